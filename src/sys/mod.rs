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
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod child;
pub mod clock;
mod entry;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod env;
#[allow(dead_code, reason = "for programs, which are to come")]
pub mod epoll;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod fd;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod file;
pub mod memory;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod pipe;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod process;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod signal;
pub mod socket;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod strings;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod timer;
#[cfg_attr(not(feature = "command"), allow(dead_code, reason = "for programs"))]
pub mod wait;
// With std the C library starts the program.
#[cfg(not(feature = "std"))]
mod start;
