//! `launch CORE PROGRAM [ARG...]`: becomes PROGRAM on one core, and says when.
//!
//! Writes to standard input (the write end of a pipe) two native-endian `u64`: the monotonic clock
//! in ns right before `execve(2)`, and the minor faults of this process so far, which the program's
//! own count continues. A tiny program of its own, so that what `execve` tears down is as small as
//! it can be, and the same for every server.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};
use core::mem::{MaybeUninit, size_of_val};

// The panic handler.
use floor as _;

/// Where the pipe goes: closed by `execve`, out of the way of the program's own descriptors.
const REPORT_FD: c_int = 100;

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The C entry point.
///
/// # Safety
/// `arguments` points to `count` C strings and a null.
// SAFETY: the C runtime calls the one symbol of this name, and keeps that promise.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count < 3 {
        return 2;
    }
    // SAFETY: the count says that there are at least three arguments.
    let core_name = unsafe { arguments.add(1) };
    // SAFETY: as above; the rest of the list is the program's own list.
    let program = unsafe { arguments.add(2) };
    // SAFETY: in bounds, as above.
    let core_name = unsafe { core_name.read() };
    // SAFETY: an argument is a C string.
    pin(unsafe { libc::atoi(core_name) });

    // SAFETY: dup3(2) takes no pointers.
    unsafe { libc::dup3(0, REPORT_FD, libc::O_CLOEXEC) };
    // The program's standard input becomes what its standard output is: /dev/null.
    // SAFETY: dup2(2) takes no pointers.
    unsafe { libc::dup2(1, 0) };
    let report = [now_ns(), minor_faults()];
    // SAFETY: pointer and length are of one live local.
    unsafe { libc::write(REPORT_FD, report.as_ptr().cast(), size_of_val(&report)) };
    // SAFETY: `program` is in bounds, as above.
    let path = unsafe { program.read() };
    // SAFETY: the C runtime set `environ` before it called `main`.
    let environment = unsafe { environ };
    // SAFETY: both lists are of C strings, end in null, and are not changed meanwhile.
    unsafe { libc::execve(path, program, environment) };
    127
}

fn pin(core: c_int) {
    let mut cores: [u64; 16] = [0; 16];
    let index = core as usize / 64;
    if index < cores.len() {
        cores[index] = 1 << (core % 64);
    }
    // SAFETY: pointer and length are of one live local; the kernel reads a plain bit set.
    unsafe { libc::sched_setaffinity(0, size_of_val(&cores), cores.as_ptr().cast()) };
}

fn now_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec into a live local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn minor_faults() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the kernel writes one rusage into a live local.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    // SAFETY: all zeroes is a valid rusage, and so is what the kernel wrote.
    let usage = unsafe { usage.assume_init() };
    usage.ru_minflt as u64
}
