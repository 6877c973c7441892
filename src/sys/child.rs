//! Child processes: how one is started, and signals to it. How one ends is in [`wait`](super::wait).

use core::arch::asm;
use core::convert::Infallible;
use core::ffi::CStr;
use core::num::NonZeroI32;
use core::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check, restart};
use super::process;
use super::signal;
use super::strings::Strings;

/// The most descriptors that a program can be started with.
const DESCRIPTOR_COUNT_MAX: usize = 8;

/// A child process, by its number. One that [`spawn`] started leads a group of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pid(NonZeroI32);

impl Pid {
    /// The child of that number; none has zero.
    pub fn new(number: c_int) -> Option<Self> {
        NonZeroI32::new(number).map(Self)
    }

    /// The number.
    pub fn number(self) -> c_int {
        self.0.get()
    }
}

/// What is sent to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Asks it to end.
    Terminate = libc::SIGTERM as u8,
    /// Ends it, even if it is stopped.
    Kill = libc::SIGKILL as u8,
}

/// `clone(2)` and `execve(2)`: starts the program at `path`. Its descriptor number `i` is
/// `descriptors[i]`, and it has no other. Its arguments and its environment are lists that were completed
/// ([`Strings::complete`]).
///
/// It leads a process group of its own, has the default action for every signal and an empty mask, and is
/// killed when this process ends (more exactly: the thread that called).
///
/// The caller waits until the program runs, so an error of `execve(2)` is the error of this function, and
/// then no process is left. (It is not where two processes cannot share memory for a moment, as under
/// valgrind or qemu's user mode: there such a program ends at once with status 127.)
///
/// # Errors
/// What the kernel says: there is no such file or it may not be executed, the strings are too long, there
/// are too many processes. `EINVAL` for more than eight descriptors, `E2BIG` for strings of which something
/// was left out.
pub fn spawn(
    path: &CStr,
    arguments: &Strings,
    environment: &Strings,
    descriptors: &[&Fd],
) -> Result<Pid, Errno> {
    if descriptors.len() > DESCRIPTOR_COUNT_MAX {
        return Err(Errno::INVAL);
    }
    arguments.check().and(environment.check())?;
    // SAFETY: getpid(2) takes no arguments.
    let parent = unsafe { call3(libc::SYS_getpid, 0, 0, 0) };
    let program = Program {
        path,
        arguments,
        environment,
        descriptors,
        parent,
        error: AtomicI32::new(0),
    };
    // A handler of the parent's must not run in the child, which shares its memory.
    let mask = signal::set_mask(u64::MAX);
    let started = start(&program);
    signal::set_mask(mask);
    started
}

/// `prctl(2)`, `PR_SET_CHILD_SUBREAPER`: a descendant whose parent has ended becomes a child of this
/// process.
///
/// # Errors
/// `EINVAL` on a kernel older than 3.4.
pub fn become_subreaper() -> Result<(), Errno> {
    let option = libc::PR_SET_CHILD_SUBREAPER as usize;
    // SAFETY: prctl(2) takes an integer with this option.
    check(unsafe { call3(libc::SYS_prctl, option, 1, 0) }).map(drop)
}

/// `kill(2)`: sends a signal to one process. Nobody has reaped it, so the number is still its own.
///
/// # Errors
/// `ESRCH` when there is no such process, `EPERM` when it has become another user's.
pub fn kill(process: Pid, signal: Signal) -> Result<(), Errno> {
    send(process.number(), signal)
}

/// `kill(2)`: sends a signal to every process of a group, also to one that its leader has left behind, and
/// to one that has ended and is not reaped. The leader is not reaped before, because then its number may soon be another group's.
///
/// # Errors
/// `ESRCH` when the group is empty, `EPERM` when all of it belongs to other users.
pub fn kill_group(leader: Pid, signal: Signal) -> Result<(), Errno> {
    send(-leader.number(), signal)
}

fn send(target: c_int, signal: Signal) -> Result<(), Errno> {
    // SAFETY: kill(2) takes no pointers.
    check(unsafe { call3(libc::SYS_kill, target as usize, signal as usize, 0) }).map(drop)
}

/// What the child needs to know, in the memory of its parent.
struct Program<'a> {
    path: &'a CStr,
    arguments: &'a Strings,
    environment: &'a Strings,
    descriptors: &'a [&'a Fd],
    /// The number of the parent.
    parent: isize,
    /// Why the program does not run; zero if it does. The one thing that the child writes to.
    error: AtomicI32,
}

/// Starts it, with every signal blocked.
fn start(program: &Program) -> Result<Pid, Errno> {
    // SAFETY: every signal is blocked, and `child` does nothing but call the kernel, and write to
    // `error`, which is atomic, and to its own stack.
    let number = check(unsafe { vfork(program) })? as c_int;
    match program.error.load(Ordering::Relaxed) {
        0 => Pid::new(number).ok_or(Errno::CHILD),
        error => {
            // It has ended already, or is about to: this is no wait. There is no way for it to fail.
            // SAFETY: wait4(2) takes null for what nobody asks for.
            let _ = restart(|| unsafe { call6(libc::SYS_wait4, [number as usize, 0, 0, 0, 0, 0]) });
            Err(Errno(error))
        }
    }
}

/// What vfork(2) is: the child shares the parent's memory, and the parent waits until it executes a
/// program or ends. No page is copied, however many the parent has.
const FLAGS: usize = (libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD) as usize;

/// `clone(2)`: the number of a process that does what `child` says.
///
/// It runs on the stack of the parent, below what is in use of it, as a function that is called there
/// would. The compiler sees no function that returns twice: only the parent goes on behind the assembly.
///
/// # Safety
/// No signal handler runs in the child, and `child` leaves the parent's memory as it is.
#[cfg(target_arch = "x86_64")]
#[inline(never)]
unsafe fn vfork(program: &Program) -> isize {
    let result;
    // SAFETY: the caller's promise. The block may use the stack, so the compiler keeps what it has below
    // the stack pointer clear of it, and aligns that for a call. The kernel takes no stack for "the same",
    // and reads the third argument only with other flags: it is the child's.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, rdx",
            "call {child}",
            "ud2",
            "2:",
            child = sym child,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") FLAGS,
            in("rsi") 0_usize,
            in("rdx") core::ptr::from_ref(program),
            in("r10") 0_usize,
            in("r8") 0_usize,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// `clone(2)`, as above.
///
/// # Safety
/// As there.
#[cfg(target_arch = "aarch64")]
#[inline(never)]
unsafe fn vfork(program: &Program) -> isize {
    let result;
    // SAFETY: as above. The call overwrites the link register of the child alone.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x0, x2",
            "bl {child}",
            "brk 1",
            "2:",
            child = sym child,
            in("x8") libc::SYS_clone,
            inlateout("x0") FLAGS => result,
            in("x1") 0_usize,
            in("x2") core::ptr::from_ref(program),
            in("x3") 0_usize,
            in("x4") 0_usize,
        );
    }
    result
}

/// The life of the child until it executes the program.
extern "C" fn child(program: &Program) -> ! {
    let Err(errno) = execute(program);
    program.error.store(errno.0, Ordering::Relaxed);
    process::exit(127)
}

/// Real-time signals included: what glibc's `posix_spawn(3)` started ignores the numbers 32 and 33.
const SIGNAL_COUNT: c_int = 64;

/// Becomes the program. Only an error returns.
fn execute(program: &Program) -> Result<Infallible, Errno> {
    // SAFETY: setpgid(2) takes no pointers.
    check(unsafe { call3(libc::SYS_setpgid, 0, 0, 0) })?;
    die_with(program.parent)?;
    set_descriptors(program.descriptors)?;
    // The handlers of the parent would be gone with its code, but what it ignores, or whoever started it
    // did, would stay ignored. To read in /proc which of them are would take longer than all these calls.
    for number in 1..=SIGNAL_COUNT {
        signal::set_default(number);
    }
    signal::set_mask(0);
    let arguments = program.arguments.raw();
    let (path, environment) = (
        program.path.as_ptr().expose_provenance(),
        program.environment.raw(),
    );
    // SAFETY: the path ends with a NUL, and the two tables are addresses of strings that do, and a null.
    let failed = unsafe { call3(libc::SYS_execve, path, arguments, environment) };
    check(failed).and(Err(Errno::INVAL))
}

/// `prctl(2)`, `PR_SET_PDEATHSIG`: the kernel kills this process when its parent ends.
fn die_with(parent: isize) -> Result<(), Errno> {
    let (option, signal) = (libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize);
    // SAFETY: prctl(2) takes an integer with this option.
    check(unsafe { call3(libc::SYS_prctl, option, signal, 0) })?;
    // The parent may have been killed before that.
    // SAFETY: getppid(2) takes no arguments.
    if unsafe { call3(libc::SYS_getppid, 0, 0, 0) } == parent {
        Ok(())
    } else {
        Err(Errno::SRCH)
    }
}

/// Gives each descriptor its place in the list as its number, and closes all others.
fn set_descriptors(descriptors: &[&Fd]) -> Result<(), Errno> {
    let mut copies = [0; DESCRIPTOR_COUNT_MAX];
    // Copies above the list first: a descriptor may have a number that another is to get.
    for (copy, descriptor) in copies.iter_mut().zip(descriptors) {
        let (command, least) = (libc::F_DUPFD_CLOEXEC as usize, descriptors.len());
        // SAFETY: fcntl(2) with F_DUPFD_CLOEXEC takes an integer, no pointer.
        *copy = check(unsafe { call3(libc::SYS_fcntl, descriptor.raw(), command, least) })?;
    }
    for (number, (&copy, _)) in copies.iter().zip(descriptors).enumerate() {
        // SAFETY: dup3(2) takes no pointers.
        check(unsafe { call3(libc::SYS_dup3, copy, number, 0) })?;
    }
    // All of ours are close-on-exec; this is for those that we were started with. An error is ignored: a
    // kernel older than 5.9 does not have this call, and passes them on.
    let (first, last) = (descriptors.len(), u32::MAX as usize);
    // SAFETY: close_range(2) takes no pointers, and the list of descriptors is the child's own.
    unsafe { call3(libc::SYS_close_range, first, last, 0) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::string::{String, ToString as _};
    use std::time::{Duration, Instant};
    use std::vec::Vec;

    use super::super::epoll::{Epoll, Event, Interest};
    use super::super::fd::Io;
    use super::super::file;
    use super::super::pipe::pipe;
    use super::super::wait::{self, End, Ends, Status};
    use super::*;

    fn strings(texts: &[&str]) -> Strings {
        let mut strings = Strings::new(1 << 20).unwrap();
        for text in texts {
            strings.put(text.as_bytes());
        }
        strings.complete();
        strings
    }

    /// The end of a child, once it comes.
    fn end(process: Pid) -> Status {
        // SAFETY: nobody asks for what waitid(2) tells; the child stays.
        let _ = restart(|| unsafe {
            let (options, number) = (libc::WEXITED | libc::WNOWAIT, process.number() as usize);
            call6(
                libc::SYS_waitid,
                [libc::P_PID as usize, number, 0, options as usize, 0, 0],
            )
        });
        let End {
            process: ended,
            status,
        } = wait::ended(Some(process)).unwrap().unwrap();
        assert_eq!(ended, process);
        assert_eq!(
            wait::ended(Some(process)),
            Ok(Some(End { process, status })),
            "it stays"
        );
        assert_eq!(wait::reap(process), Ok(true));
        assert_eq!(wait::ended(Some(process)), Err(Errno::CHILD));
        assert_eq!(wait::reap(process), Err(Errno::CHILD));
        status
    }

    /// Everything that comes out of a pipe.
    fn read_all(pipe: &Fd) -> String {
        let epoll = Epoll::new().unwrap();
        epoll.add(pipe, 0, Interest::Read).unwrap();
        let (mut all, mut place) = (Vec::new(), [0; 4096]);
        loop {
            match pipe.read(&mut place) {
                Io::Done(0) => return String::from_utf8(all).unwrap(),
                Io::Done(count) => all.extend_from_slice(&place[..count]),
                Io::Blocked => {
                    let mut events = [Event::EMPTY];
                    assert_eq!(
                        epoll.wait(&mut events, 10_000).unwrap().len(),
                        1,
                        "nothing comes"
                    );
                }
                Io::Closed(errno) => panic!("{errno:?}"),
            }
        }
    }

    struct Run {
        status: Status,
        stdout: String,
        stderr: String,
    }

    /// Runs a program to its end.
    fn run(
        path: &CStr,
        arguments: &[&str],
        environment: &[&str],
        stdin: &[u8],
    ) -> Result<Run, Errno> {
        let event = file::memory_file(c"event").unwrap();
        file::write_at(&event, stdin, 0).unwrap();
        let ([stdout, theirs_out], [stderr, theirs_err]) = (pipe().unwrap(), pipe().unwrap());
        let descriptors = [&event, &theirs_out, &theirs_err];
        let process = spawn(
            path,
            &strings(arguments),
            &strings(environment),
            &descriptors,
        )?;
        drop((theirs_out, theirs_err));
        Ok(Run {
            stdout: read_all(&stdout),
            stderr: read_all(&stderr),
            status: end(process),
        })
    }

    fn sh(script: &str) -> Run {
        run(
            c"/bin/sh",
            &["sh", "-c", script],
            &["PATH=/usr/bin:/bin"],
            b"",
        )
        .unwrap()
    }

    #[test]
    fn a_program_has_its_event_its_arguments_its_environment_and_its_streams() {
        let event: Vec<u8> = (0..200_000_u32)
            .map(|number| b'a' + (number % 26) as u8)
            .collect();
        let cat = run(c"/bin/cat", &["cat"], &[], &event).unwrap();
        assert_eq!(cat.stdout.as_bytes(), event);
        assert_eq!((cat.stderr.as_str(), cat.status), ("", Status::Exited(0)));
        let script = "echo $0 \"$@\" $A; echo log >&2; exit 3";
        let arguments = ["sh", "-c", script, "zero", "a b", "", "c"];
        let sh = run(c"/bin/sh", &arguments, &["A=1", "A2=2"], b"").unwrap();
        assert_eq!(sh.stdout, "zero a b  c 1\n");
        assert_eq!(
            (sh.stderr.as_str(), sh.status),
            ("log\n", Status::Exited(3))
        );
        let env = run(c"/usr/bin/env", &["env"], &["B=x y", "C="], b"").unwrap();
        assert_eq!(env.stdout, "B=x y\nC=\n");
    }

    #[test]
    fn a_signal_ends_a_program() {
        assert_eq!(sh("kill -9 $$").status, Status::Killed(libc::SIGKILL));
        assert_eq!(sh("kill -TERM $$").status, Status::Killed(libc::SIGTERM));
        assert_eq!(
            sh("ulimit -c 0; kill -SEGV $$").status,
            Status::Killed(libc::SIGSEGV)
        );
        assert_eq!(sh("exit 255").status, Status::Exited(255));
    }

    #[test]
    fn what_cannot_be_executed_leaves_nothing_behind() {
        let fails = |path| {
            run(path, &["x"], &[], b"")
                .map(|run| run.status)
                .unwrap_err()
        };
        assert_eq!(fails(c"/bin/nothing-of-that-name"), Errno::NOENT);
        assert_eq!(fails(c"/bin"), Errno::ACCES);
        assert_eq!(fails(c"/etc/passwd"), Errno::ACCES);
        assert_eq!(fails(c"/bin/sh/x"), Errno(libc::ENOTDIR));
        let long = std::format!("A={}", "x".repeat(200_000));
        let long = run(c"/bin/cat", &["cat"], &[&long], b"").map(|run| run.status);
        assert_eq!(long, Err(Errno::TOOBIG));
        let fd = file::memory_file(c"x").unwrap();
        let nine = spawn(c"/bin/cat", &strings(&["cat"]), &strings(&[]), &[&fd; 9]);
        assert_eq!(nine, Err(Errno::INVAL));
    }

    /// Runs `test` in a process of one thread, which has no other children.
    fn in_a_process(test: fn()) {
        // SAFETY: glibc makes its own locks usable in the child, and the child needs no other.
        let process = unsafe { libc::fork() };
        if process == 0 {
            // SAFETY: alarm(2) takes no pointers. It ends what hangs.
            unsafe { libc::alarm(60) };
            std::panic::set_hook(std::boxed::Box::new(|panic| {
                let reason = panic.to_string();
                let _ = process::Stream::Stderr.write(reason.as_bytes());
                process::exit(1)
            }));
            test();
            process::exit(0)
        }
        assert_eq!(end(Pid::new(process).unwrap()), Status::Exited(0));
    }

    fn own_descriptors() -> usize {
        fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_thousand_programs_leave_no_descriptor_and_no_zombie() {
        in_a_process(|| {
            let before = own_descriptors();
            for count in 0..1000 {
                let path = if count % 2 == 0 {
                    c"/bin/true"
                } else {
                    c"/bin/false"
                };
                let status = run(path, &["x"], &[], b"event").unwrap().status;
                assert_eq!(status, Status::Exited(count % 2));
                assert!(run(c"/bin/nothing-of-that-name", &["x"], &[], b"").is_err());
            }
            assert_eq!(own_descriptors(), before);
            assert_eq!(wait::ended(None), Err(Errno::CHILD));
        });
    }

    /// Every order of the numbers below `count`.
    fn orders(count: usize) -> Vec<Vec<usize>> {
        let Some(last) = count.checked_sub(1) else {
            return std::vec![Vec::new()];
        };
        let mut all = Vec::new();
        for order in orders(last) {
            for at in 0..=last {
                let mut order = order.clone();
                order.insert(at, last);
                all.push(order);
            }
        }
        all
    }

    #[test]
    fn each_descriptor_gets_its_number_whatever_number_it_had() {
        in_a_process(|| {
            for number in 0..5 {
                // SAFETY: nothing in this process has them from here on.
                unsafe { libc::close(number) };
            }
            let files: Vec<Fd> = (0..5)
                .map(|_| file::memory_file(c"number").unwrap())
                .collect();
            for (number, file) in files.iter().enumerate() {
                assert_eq!(file.number() as usize, number);
                file::write_at(file, number.to_string().as_bytes(), 0).unwrap();
            }
            let script =
                "exec 6<&1; exec cat /dev/fd/0 /dev/fd/6 /dev/fd/2 /dev/fd/3 /dev/fd/4 >&5";
            let (arguments, environment) = (strings(&["sh", "-c", script]), strings(&[]));
            let orders = orders(5);
            assert_eq!(orders.len(), 120);
            let same = [[0; 5], [4, 4, 4, 0, 0]].map(Vec::from);
            for order in orders.iter().chain(&same) {
                let [ours, theirs] = pipe().unwrap();
                let mut descriptors: Vec<&Fd> = order.iter().map(|&index| &files[index]).collect();
                descriptors.push(&theirs);
                let process = spawn(c"/bin/sh", &arguments, &environment, &descriptors).unwrap();
                drop(theirs);
                let want: String = order.iter().map(usize::to_string).collect();
                assert_eq!(read_all(&ours), want);
                assert_eq!(end(process), Status::Exited(0));
            }
        });
    }

    #[test]
    fn a_program_inherits_its_descriptors_and_no_other() {
        in_a_process(|| {
            // SAFETY: nobody has this number.
            unsafe { libc::dup2(2, 60) };
            let run = run(c"/bin/ls", &["ls", "/proc/self/fd"], &[], b"").unwrap();
            // The fourth is what `ls` has opened itself.
            assert_eq!(run.stdout, "0\n1\n2\n3\n");
        });
    }

    fn field<'a>(status: &'a str, name: &str) -> &'a str {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_start_matches(':').trim()
    }

    #[test]
    fn a_program_has_default_signals_whatever_its_parent_has() {
        in_a_process(|| {
            signal::catch_terminate().unwrap();
            for number in (1..32)
                .filter(|number| ![libc::SIGTERM, libc::SIGINT, libc::SIGALRM].contains(number))
            {
                // SAFETY: ignoring a signal takes no function.
                unsafe { libc::signal(number, libc::SIG_IGN) };
            }
            let ends = Ends::new().unwrap();
            signal::set_mask(signal::set_mask(0) | 1 << (libc::SIGUSR1 - 1));
            let own = fs::read_to_string("/proc/self/status").unwrap();
            let run = run(c"/bin/cat", &["cat", "/proc/self/status"], &[], b"").unwrap();
            for name in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
                assert_eq!(field(&run.stdout, name), "0000000000000000", "{name}");
            }
            let after = fs::read_to_string("/proc/self/status").unwrap();
            for name in ["SigBlk", "SigIgn", "SigCgt"] {
                assert_ne!(field(&own, name), "0000000000000000", "{name}");
                assert_eq!(field(&own, name), field(&after, name));
            }
            drop(ends);
        });
    }

    #[test]
    fn a_program_leads_a_group_that_can_be_killed_even_if_it_is_stopped() {
        let run = sh("read _ _ _ _ group _ < /proc/$$/stat; echo $(($$ == group))");
        assert_eq!(run.stdout, "1\n");
        for script in [
            "sleep 100 & echo; sleep 100",
            "sleep 100 & echo; trap '' TERM HUP; kill -STOP 0",
        ] {
            let [ours, theirs] = pipe().unwrap();
            let stdin = file::memory_file(c"event").unwrap();
            let (arguments, environment) = (strings(&["sh", "-c", script]), strings(&[]));
            let descriptors = [&stdin, &theirs, &theirs];
            let process = spawn(c"/bin/sh", &arguments, &environment, &descriptors).unwrap();
            drop(theirs);
            let epoll = Epoll::new().unwrap();
            epoll.add(&ours, 0, Interest::Read).unwrap();
            assert_eq!(epoll.wait(&mut [Event::EMPTY], 10_000).unwrap().len(), 1);
            assert_eq!(wait::ended(Some(process)), Ok(None));
            assert_eq!(wait::reap(process), Ok(false));
            let start = Instant::now();
            kill_group(process, Signal::Kill).unwrap();
            read_all(&ours);
            assert_eq!(end(process), Status::Killed(libc::SIGKILL));
            assert!(
                start.elapsed() < Duration::from_secs(50),
                "the end of sleep"
            );
        }
    }

    #[test]
    fn one_process_can_be_asked_to_end() {
        let fd = file::memory_file(c"event").unwrap();
        let (arguments, environment) = (strings(&["sleep", "100"]), strings(&[]));
        let process = spawn(c"/bin/sleep", &arguments, &environment, &[&fd; 3]).unwrap();
        kill(process, Signal::Terminate).unwrap();
        assert_eq!(end(process), Status::Killed(libc::SIGTERM));
        assert_eq!(kill(process, Signal::Terminate), Err(Errno::SRCH));
    }

    #[test]
    fn a_program_dies_with_its_parent() {
        let [ours, theirs] = pipe().unwrap();
        let start = Instant::now();
        // SAFETY: as in `in_a_process`.
        let parent = unsafe { libc::fork() };
        if parent == 0 {
            let fd = file::memory_file(c"event").unwrap();
            let (arguments, environment) = (strings(&["sleep", "100"]), strings(&[]));
            let descriptors = [&fd, &theirs, &theirs];
            let started = spawn(c"/bin/sleep", &arguments, &environment, &descriptors);
            process::exit(i32::from(started.is_err()));
        }
        drop(theirs);
        assert_eq!(end(Pid::new(parent).unwrap()), Status::Exited(0));
        assert_eq!(read_all(&ours), "");
        assert!(
            start.elapsed() < Duration::from_secs(50),
            "the end of sleep"
        );
    }

    #[test]
    fn ends_are_told_and_orphans_come_to_the_subreaper() {
        in_a_process(|| {
            // SAFETY: ignoring a signal takes no function.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            become_subreaper().unwrap();
            let (ends, epoll) = (Ends::new().unwrap(), Epoll::new().unwrap());
            epoll.add(&ends, 5, Interest::Read).unwrap();
            assert_eq!(ends.forget(), Io::Blocked);
            assert_eq!(wait::ended(None), Err(Errno::CHILD));
            let fd = file::memory_file(c"event").unwrap();
            let script = "setsid sh -c 'sleep 0.1; exit 4' & exit 3";
            let (arguments, environment) = (strings(&["sh", "-c", script]), strings(&[]));
            let leader = spawn(c"/bin/sh", &arguments, &environment, &[&fd; 3]).unwrap();
            let mut found = Vec::new();
            while found.len() < 2 {
                assert_eq!(epoll.wait(&mut [Event::EMPTY], 10_000).unwrap().len(), 1);
                assert_eq!(ends.forget(), Io::Done(128));
                while let Ok(Some(end)) = wait::ended(None) {
                    assert_eq!(wait::reap(end.process), Ok(true));
                    found.push((end.process == leader, end.status));
                }
            }
            assert_eq!(
                found,
                [(true, Status::Exited(3)), (false, Status::Exited(4))]
            );
            assert_eq!(wait::ended(None), Err(Errno::CHILD));
            assert_eq!(ends.forget(), Io::Blocked);
        });
    }
}
