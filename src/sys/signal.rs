//! `SIGTERM` and `SIGINT` (Ctrl-C), which ask the process to end, without a system call per wait and
//! without a race. Where the rest of the program says `SIGTERM`, either is meant. A second `SIGINT` ends
//! the process at once, as whoever presses Ctrl-C again wants it.
//!
//! The handler sets a flag. A flag alone is not enough: the signal may come after the flag was
//! looked at and before the wait begins, and the wait would never end. So whoever is about to wait
//! says on which socket ([`wait_on`]), and the handler shuts that socket down, which ends a wait
//! that has begun as well as one that is about to. A socket that is yet to be connected cannot be
//! shut down: that it blocks no more is enough for it.
//!
//! The handler acts only in the thread that waits. A program with std may have others, to any of
//! which the kernel may give the signal: then the handler hands it on to that thread.

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering, compiler_fence};

use libc::c_int;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check};
use super::process;

static TERMINATING: AtomicBool = AtomicBool::new(false);

/// The descriptor that a wait depends on, or zero when nobody waits: no listener has that number,
/// and a static that is not zero would be a page of its own.
static WAITED_ON: AtomicI32 = AtomicI32::new(0);

/// Whether the process was asked to end.
#[inline(never)]
pub fn terminating() -> bool {
    TERMINATING.load(Ordering::Relaxed)
}

/// `rt_sigaction(2)`: from now on `SIGTERM` and `SIGINT` (Ctrl-C) no longer end the process by
/// themselves, nor are they ignored, as they are for process 1 of a container.
///
/// # Errors
/// None that a correct program can meet.
pub fn catch_terminate() -> Result<(), Errno> {
    if cfg!(feature = "std") {
        threads::remember();
    }
    let handler: extern "C" fn(c_int) = on_terminate;
    action(libc::SIGTERM, handler as libc::sighandler_t)?;
    action(libc::SIGINT, handler as libc::sighandler_t)
}

/// `rt_sigaction(2)`: writing to a pipe that nobody reads is an error, not the end of the process.
///
/// # Errors
/// None that a correct program can meet.
pub fn ignore_broken_pipe() -> Result<(), Errno> {
    action(libc::SIGPIPE, libc::SIG_IGN)
}

/// Runs `wait`, which waits on `source` among others and which the signal is to end. `wait` gets
/// whether the signal has already come.
///
/// If the signal comes meanwhile, the source is shut down: it accepts and receives nothing more, and
/// never blocks.
pub fn wait_on<T>(source: Option<&Fd>, wait: impl FnOnce(bool) -> T) -> T {
    WAITED_ON.store(source.map_or(0, Fd::number), Ordering::Relaxed);
    // A thread and its own signal handler: the compiler alone could reorder the two.
    compiler_fence(Ordering::SeqCst);
    let result = wait(terminating());
    compiler_fence(Ordering::SeqCst);
    WAITED_ON.store(0, Ordering::Relaxed);
    result
}

extern "C" fn on_terminate(signal: c_int) {
    if cfg!(feature = "std") && threads::hand_on(signal) {
        return;
    }
    if signal == libc::SIGINT && terminating() {
        process::exit(128 + libc::SIGINT);
    }
    TERMINATING.store(true, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    let fd = WAITED_ON.load(Ordering::Relaxed);
    if fd > 0 {
        let (fd, set_flags) = (fd as usize, libc::F_SETFL as usize);
        // SAFETY: fcntl(2) with F_SETFL takes an integer, no pointer.
        unsafe { call3(libc::SYS_fcntl, fd, set_flags, libc::O_NONBLOCK as usize) };
        // SAFETY: shutdown(2) takes no pointers.
        unsafe { call3(libc::SYS_shutdown, fd, libc::SHUT_RD as usize, 0) };
    }
}

/// Which thread a signal has come to: a question only in programs with std.
mod threads {
    use core::sync::atomic::{AtomicI32, Ordering};

    use libc::c_int;

    use super::call3;

    /// The thread that waits, by its number for the kernel.
    static WAITING: AtomicI32 = AtomicI32::new(0);

    pub(super) fn remember() {
        WAITING.store(current(), Ordering::Relaxed);
    }

    /// `tgkill(2)`: hands a signal that came to another thread on to the one that waits. Returns
    /// whether it did, which is so in every thread but that one.
    pub(super) fn hand_on(signal: c_int) -> bool {
        let waiting = WAITING.load(Ordering::Relaxed);
        if waiting == current() {
            return false;
        }
        // SAFETY: getpid(2) takes no arguments.
        let process = unsafe { call3(libc::SYS_getpid, 0, 0, 0) };
        // SAFETY: tgkill(2) takes no pointers.
        unsafe {
            call3(
                libc::SYS_tgkill,
                process.cast_unsigned(),
                waiting as usize,
                signal as usize,
            )
        };
        true
    }

    fn current() -> c_int {
        // SAFETY: gettid(2) takes no arguments.
        (unsafe { call3(libc::SYS_gettid, 0, 0, 0) }) as c_int
    }
}

fn action(signal: c_int, handler: libc::sighandler_t) -> Result<(), Errno> {
    let action = KernelAction {
        handler,
        flags: RESTORER_FLAG,
        restorer: RESTORER,
        mask: 0,
    };
    let (place, mask_bytes) = (
        (&raw const action).expose_provenance(),
        size_of_val(&action.mask),
    );
    let arguments = [signal as usize, place, 0, mask_bytes, 0, 0];
    // SAFETY: `action` has the kernel's layout and lives through the call, its handler is a
    // function for ever or SIG_IGN, and nobody asks for the old action.
    check(unsafe { call6(libc::SYS_rt_sigaction, arguments) }).map(drop)
}

/// The kernel's own `struct sigaction`. No flags: a wait that the signal interrupts returns.
#[repr(C)]
struct KernelAction {
    handler: libc::sighandler_t,
    flags: libc::c_ulong,
    restorer: Option<extern "C" fn()>,
    mask: u64,
}

/// On x86-64 the program itself brings the code that a signal handler returns to; elsewhere the
/// kernel has its own.
#[cfg(target_arch = "x86_64")]
const RESTORER_FLAG: libc::c_ulong = 0x0400_0000;
#[cfg(target_arch = "x86_64")]
const RESTORER: Option<extern "C" fn()> = Some(restore);
#[cfg(not(target_arch = "x86_64"))]
const RESTORER_FLAG: libc::c_ulong = 0;
#[cfg(not(target_arch = "x86_64"))]
const RESTORER: Option<extern "C" fn()> = None;

/// `rt_sigreturn(2)`.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn restore() {
    core::arch::naked_asm!("mov eax, 15", "syscall")
}
