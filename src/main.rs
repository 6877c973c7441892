//! `bootstrap`: the file that a platform starts.
#![no_std]
#![no_main]

use core::ffi::{c_char, c_int};

/// What the C library's start, or fnboot's own, calls.
#[allow(unsafe_code, reason = "the C entry point and its arguments")]
#[allow(
    clippy::similar_names,
    reason = "the names that every C program has for them"
)]
// SAFETY: the program has no other `main`.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: this is what `main` was called with.
    fnboot::bootstrap(unsafe { fnboot::Args::new(argc, argv) })
}

fnboot::panic_handler!();
