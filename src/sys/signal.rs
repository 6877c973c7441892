//! `SIGTERM` and `SIGINT` (Ctrl-C), which ask the process to end, without a system call per wait and
//! without a race. Where the rest of the program says `SIGTERM`, either is meant. A second `SIGINT` ends
//! the process at once, as whoever presses Ctrl-C again wants it.
//!
//! The handler sets a flag. A flag alone is not enough: the signal may come after the flag was looked at
//! and before the wait begins, and the wait would never end. So the handler also wakes the descriptor
//! that is waited for: it keeps a listener from blocking ([`wake_listener`]), and makes an eventfd(2)
//! readable, which is one of those that an epoll waits for ([`Wake`]).
//!
//! The handler acts only in the thread that waits. A program with std may have others, to any of
//! which the kernel may give the signal: then the handler hands it on to that thread.

use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering, compiler_fence};

use libc::c_int;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check};
use super::process;
use super::socket::Listener;

static TERMINATING: AtomicBool = AtomicBool::new(false);

/// The descriptor that the handler wakes, or zero for none: no listener and no [`Wake`] has that number,
/// and a static that is not zero would be a page of its own.
static WOKEN: AtomicI32 = AtomicI32::new(0);

/// Whether the process was asked to end.
#[inline(never)]
pub fn terminating() -> bool {
    TERMINATING.load(Ordering::Relaxed)
}

/// Asks the process to end, as the signal does, by the thread that waits.
pub fn terminate() {
    TERMINATING.store(true, Ordering::Relaxed);
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

/// From now on the signal keeps a listener from blocking in `accept4(2)`. Returns whether it has come
/// before: then it did not.
pub fn wake_listener(listener: &Listener) -> bool {
    WOKEN.store(listener.0.number(), Ordering::Relaxed);
    // A thread and its own signal handler: the compiler alone could reorder the two.
    compiler_fence(Ordering::SeqCst);
    terminating()
}

/// What the signal makes readable, for an epoll to wait for. It is never closed, because the signal may
/// come at any time.
#[derive(Debug)]
pub struct Wake(pub(super) ManuallyDrop<Fd>);

impl Wake {
    /// `eventfd2(2)`: readable once the signal comes. It may have come before: whoever waits looks first.
    /// The number must not be that of a standard stream: the caller has opened something before it.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::EFD_CLOEXEC as usize;
        // SAFETY: eventfd2(2) takes no pointers.
        let fd = Fd::own(unsafe { call3(libc::SYS_eventfd2, 0, flags, 0) })?;
        WOKEN.store(fd.number(), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Ok(Self(ManuallyDrop::new(fd)))
    }
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
    // The first call is for a listener, and harmless for an eventfd; the second is for an eventfd. A
    // listener refuses it with EPIPE, and SIGPIPE is ignored before there is a wait (log::prepare).
    let fd = WOKEN.load(Ordering::Relaxed);
    if fd > 0 {
        let (fd, set_flags, one) = (fd as usize, libc::F_SETFL as usize, 1_u64);
        // SAFETY: fcntl(2) with F_SETFL takes an integer, no pointer.
        unsafe { call3(libc::SYS_fcntl, fd, set_flags, libc::O_NONBLOCK as usize) };
        let place = (&raw const one).expose_provenance();
        // SAFETY: `one` lives through the call, with its size behind it.
        unsafe { call3(libc::SYS_write, fd, place, size_of_val(&one)) };
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

/// `rt_sigaction(2)`: the signal has its default action from now on.
pub(super) fn set_default(signal: c_int) {
    // An error is ignored: those of which the action cannot be changed have the default one.
    let _ = action(signal, libc::SIG_DFL);
}

/// `rt_sigprocmask(2)`, `SIG_SETMASK`: the signals that this thread blocks from now on, and those that it
/// blocked before. Signal number `n` is bit `n - 1`.
pub(super) fn set_mask(mask: u64) -> u64 {
    let mut before = 0;
    let arguments = [
        libc::SIG_SETMASK as usize,
        (&raw const mask).expose_provenance(),
        (&raw mut before).expose_provenance(),
        size_of_val(&mask),
        0,
        0,
    ];
    // There is no way for this to fail.
    // SAFETY: both masks live through the call, `before` exclusively borrowed, with their size behind.
    unsafe { call6(libc::SYS_rt_sigprocmask, arguments) };
    before
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
