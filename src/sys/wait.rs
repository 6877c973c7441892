//! How child processes end.
//!
//! A process that has ended is looked at first ([`ended`]) and reaped later ([`reap`]): in between, its
//! number is still its own, and that of its group, so that the group can be killed.

use libc::c_int;

use super::call::call6;
use super::child::Pid;
use super::epoll::Source;
use super::fd::{Errno, Fd, Io, check, restart};
use super::signal;

/// Readable while a child may have ended (`SIGCHLD`).
#[derive(Debug)]
pub struct Ends(pub(super) Fd);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// By itself, with that exit status.
    Exited(c_int),
    /// By a signal of that number.
    Killed(c_int),
}

/// A child that has ended and is not reaped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub process: Pid,
    pub status: Status,
}

impl Source for Ends {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

impl Ends {
    /// `signalfd4(2)`, and before it `rt_sigprocmask(2)` and `rt_sigaction(2)`: the signal stays pending
    /// until it is read here. It is not ignored any more, if it was when the program was started: else the
    /// kernel would reap every child itself, and nobody would hear how it ended.
    ///
    /// For a process of one thread: any other must block the signal, too.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> Result<Self, Errno> {
        signal::set_default(libc::SIGCHLD);
        let mask = 1_u64 << (libc::SIGCHLD - 1);
        signal::set_mask(signal::set_mask(u64::MAX) | mask);
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        let arguments = [
            usize::MAX,
            (&raw const mask).expose_provenance(),
            size_of_val(&mask),
            flags as usize,
            0,
            0,
        ];
        // SAFETY: `mask` lives through the call, with its size behind it.
        Fd::own(unsafe { call6(libc::SYS_signalfd4, arguments) }).map(Self)
    }

    /// `read(2)`: forgets the signal. Whoever then asks for what has [`ended`] until there is nothing
    /// more misses no child: one that ends later sends the signal again.
    pub fn forget(&self) -> Io {
        let mut signal = [0; size_of::<libc::signalfd_siginfo>()];
        self.0.read(&mut signal)
    }
}

/// `waitid(2)` with `WNOWAIT`: a child that has ended, that one or any. It stays, and is told again
/// until it is reaped.
///
/// # Errors
/// `ECHILD` when there is no such child, not even one that runs.
pub fn ended(process: Option<Pid>) -> Result<Option<End>, Errno> {
    let (which, number) = match process {
        Some(process) => (libc::P_PID, process.number()),
        None => (libc::P_ALL, 0),
    };
    let mut told = Told::NOTHING;
    let place = (&raw mut told).expose_provenance();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let arguments = [
        which as usize,
        number as usize,
        place,
        options as usize,
        0,
        0,
    ];
    // SAFETY: `told` has the kernel's layout and lives through the call, exclusively borrowed; nobody
    // asks for the resources that were used.
    restart(|| unsafe { call6(libc::SYS_waitid, arguments) })?;
    let status = match told.code {
        libc::CLD_EXITED => Status::Exited(told.status),
        _ => Status::Killed(told.status),
    };
    Ok(Pid::new(told.process).map(|process| End { process, status }))
}

/// `wait4(2)`: takes a child that has ended away, after which its number may be another process's. Returns
/// whether it had ended.
///
/// # Errors
/// `ECHILD` when there is no such child.
pub fn reap(process: Pid) -> Result<bool, Errno> {
    let (number, options) = (process.number(), libc::WNOHANG);
    let arguments = [number as usize, 0, options as usize, 0, 0, 0];
    // SAFETY: wait4(2) takes null for what nobody asks for.
    check(unsafe { call6(libc::SYS_wait4, arguments) }).map(|reaped| reaped != 0)
}

/// The kernel's `siginfo_t`, as waitid(2) fills it.
#[repr(C)]
struct Told {
    signal: c_int,
    error: c_int,
    code: c_int,
    padding: c_int,
    /// Zero when no child has ended.
    process: c_int,
    user: c_int,
    status: c_int,
    rest: [c_int; 25],
}

impl Told {
    const NOTHING: Self = Self {
        signal: 0,
        error: 0,
        code: 0,
        padding: 0,
        process: 0,
        user: 0,
        status: 0,
        rest: [0; 25],
    };
}

const _: () = assert!(size_of::<Told>() == size_of::<libc::siginfo_t>());
