//! The platforms that the tool plays; one folder each, and nothing outside it knows the dialect.
//!
//! A folder holds how an instance is started and stopped, how an event reaches the program and how the
//! answer is judged. FC pushes: the tool is a client of the program. Lambda and SCF are polled: the tool
//! is the program's server, the one in `runtime_api`, and their folders hold what differs. All
//! of them choose a function's keys in the same way, by `keys`.

pub(crate) mod fc;
mod keys;
pub(crate) mod lambda;
pub(crate) mod runtime_api;
pub(crate) mod scf;

use clap::ValueEnum;

/// Whom the tool plays.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Platform {
    /// Alibaba Cloud Function Compute: the program is an HTTP server
    Fc,
    /// Tencent Cloud Serverless Cloud Function: the program polls
    Scf,
    /// AWS Lambda: the program polls
    Lambda,
}
