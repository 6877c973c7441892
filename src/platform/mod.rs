//! The platforms' dialects as pure functions: which call a request is, what an answer looks like.
//!
//! Nothing here does I/O, holds state or calls a handler.

#[cfg(feature = "fc")]
pub mod fc;
