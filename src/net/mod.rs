//! Readiness: when to read and write, and where to.
//!
//! Nothing here knows what the bytes mean.

pub mod pool;
pub mod reactor;
