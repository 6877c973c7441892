//! The platforms that the tool plays; one folder each, and nothing outside it knows the dialect.
//!
//! A folder holds how an instance is started and stopped, how an event reaches the program and how the
//! answer is judged. A platform that pushes (FC) is a client of the program; one that the program
//! polls (a runtime API) would be a server beside it, behind the same `Instance`.

pub(crate) mod fc;

use clap::ValueEnum;

/// Whom the tool plays.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// Alibaba Cloud Function Compute: the program is an HTTP server
    Fc,
}
