//! The operating system: the only `unsafe` and the only `libc` of the crate.
//!
//! One kernel call per function, under the kernel's own name: slices go in, owned descriptors and
//! counts come out. Nothing here knows HTTP, tries again (but for `EINTR`, in [`fd::restart`]),
//! logs or decides.
#![allow(
    unsafe_code,
    reason = "the fence: everything outside this folder is safe code"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the kernel takes and returns words: which part of one counts is in its manual"
)]

// The C library of the static target. With std it would be linked anyway; without, nobody else asks
// for it, and a user's own program must not have to.
#[cfg(target_env = "musl")]
#[link(name = "c", kind = "static", modifiers = "-bundle")]
unsafe extern "C" {}

mod call;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod child;
pub mod clock;
mod entry;
pub mod env;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod epoll;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod fd;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod file;
pub mod memory;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod pipe;
pub mod process;
pub mod signal;
pub mod socket;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod strings;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod timer;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod wait;
// With std the C library starts the program.
#[cfg(not(feature = "std"))]
mod start;
