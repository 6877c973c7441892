//! What can go wrong with an instance, in FC's words where FC has any.

use super::client::Broken;
use crate::figures::Figures;
use crate::function::Function;
use crate::process::SpawnError;
use crate::readiness::Doing;
use hyper::HeaderMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// `X-Fc-Error-Type` of a call that the program did not answer.
pub(crate) const UNHANDLED: &str = "UnhandledInvocationError";

/// `X-Fc-Error-Type` of a call whose answer says that it failed.
const REPORTED: &str = "InvocationError";

/// The error type of an answer. FC looks at nothing but `x-fc-status`.
pub(crate) fn reported(headers: &HeaderMap) -> Option<&'static str> {
    headers
        .get("x-fc-status")
        .filter(|status| *status == "404")
        .map(|_| REPORTED)
}

/// What a program does that does not listen on `port`, and what to try.
pub(crate) fn misfit(doing: &Doing, port: u16, function: &Function) -> String {
    let Doing::Listens(listeners) = doing else {
        return format!(
            "the program listens nowhere, and FC_SERVER_PORT says port {port}; one that asks a \
             runtime API for its events needs --platform lambda or scf"
        );
    };
    // SCF fixes the port of its web functions, so fnboot's programs look at their name first.
    let advice = if function.is_named("scf_bootstrap") {
        "; fnboot's own take that port by another name than scf_bootstrap"
    } else {
        ""
    };
    format!(
        "the program listens on {listeners} and not on 0.0.0.0:{port}, the port that \
         FC_SERVER_PORT says{advice}; if it is only slow, --start-timeout SECONDS waits for it"
    )
}

/// Why there is no instance.
#[derive(Debug)]
pub(crate) enum Start {
    Spawn(SpawnError),
    Exited(PathBuf, ExitStatus),
    NotListening {
        port: u16,
        limit: Duration,
    },
    /// It listens on another port.
    Misfit(String),
    Initialize(Initialize),
}

/// Why an initializer failed.
#[derive(Debug)]
pub(crate) enum Initialize {
    Refused { status: u16, body: String },
    Call(Call),
}

/// Why a call got no answer.
#[derive(Debug)]
pub(crate) enum Call {
    TimedOut(Duration),
    Exited(ExitStatus),
    /// The program lives and broke the connection, or HTTP.
    Broken(Broken),
}

impl Start {
    /// FC's error code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Spawn(failure) => match failure.error.kind() {
                io::ErrorKind::NotFound => "CAFileNotFound",
                io::ErrorKind::PermissionDenied => "CAFilePermission",
                _ => "CAExited",
            },
            Self::Exited(..) => "CAExited",
            Self::NotListening { .. } | Self::Misfit(_) => "FunctionNotStarted",
            Self::Initialize(_) => "InitializationError",
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(failure) => write!(f, "{failure}"),
            Self::Exited(program, status) => {
                write!(
                    f,
                    "{} ended before it listened: {status}",
                    program.display()
                )
            }
            Self::NotListening { port, limit } => write!(
                f,
                "Function instance health check failed on port {port} in {} seconds: \
                 nothing listens on the port in FC_SERVER_PORT",
                limit.as_secs()
            ),
            Self::Misfit(why) => write!(f, "{why}"),
            Self::Initialize(failure) => write!(f, "Initialize failed: {failure}"),
        }
    }
}

impl fmt::Display for Initialize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, body } => write!(f, "status {status} {body}"),
            Self::Call(failure) => write!(f, "{failure}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(limit) => {
                write!(f, "Function time out after {} seconds", limit.as_secs())
            }
            // A connection that breaks is the same event to FC, whether the process lives or not.
            Self::Exited(_) | Self::Broken(_) => {
                write!(f, "Process exited unexpectedly before completing request")
            }
        }
    }
}

impl Call {
    /// FC's message to the caller.
    pub(crate) fn message(&self, figures: &Figures) -> String {
        if let Self::TimedOut(_) = self {
            return self.to_string();
        }
        format!(
            "{self} (duration: {:.0}ms, maxMemoryUsage: {:.2}MB)",
            figures.duration_ms(),
            figures.memory_peak_mb()
        )
    }

    /// What FC does not say and a person wants to know.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::TimedOut(_) => "the instance was killed".to_owned(),
            Self::Exited(status) => status.to_string(),
            Self::Broken(error) => {
                format!("the process is alive, but its answer is not HTTP or was cut: {error}")
            }
        }
    }
}

impl Error for Start {}
impl Error for Call {}
