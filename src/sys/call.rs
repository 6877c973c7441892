//! The system call itself.
//!
//! Not the C library's wrappers: they bring fallbacks for kernels of 2008, cancellation points and
//! `errno`, which needs thread-local storage, which needs two more calls at every start. Without
//! them the program needs nothing of the C library to be set up before `main` (see
//! [`start`](super::start)).

#![allow(
    clippy::inline_always,
    clippy::many_single_char_names,
    reason = "one instruction, whose arguments have no other names"
)]

use core::arch::asm;

use libc::c_long;

/// Calls the kernel with three arguments; what it returns is a count, or an error number negated.
///
/// # Safety
/// The arguments are what the call of that number takes: every pointer among them is valid for what
/// the kernel does with it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn call3(number: c_long, a: usize, b: usize, c: usize) -> isize {
    let result;
    // SAFETY: the caller's promise; rcx and r11 are what the instruction itself overwrites.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// [`call3`] with six arguments.
///
/// # Safety
/// As there.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn call6(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the caller's promise; rcx and r11 are what the instruction itself overwrites.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            in("r9") f,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Calls the kernel with three arguments; what it returns is a count, or an error number negated.
///
/// # Safety
/// The arguments are what the call of that number takes: every pointer among them is valid for what
/// the kernel does with it.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn call3(number: c_long, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller's promise; no call reads more arguments than it takes.
    unsafe { call6(number, [a, b, c, 0, 0, 0]) }
}

/// [`call3`] with six arguments.
///
/// # Safety
/// As there.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn call6(number: c_long, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the caller's promise; the instruction itself overwrites x0 alone.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a as isize => result,
            in("x1") b,
            in("x2") c,
            in("x3") d,
            in("x4") e,
            in("x5") f,
            options(nostack),
        );
    }
    result
}
