//! Why a program does not get ready, as soon as that is known.
//!
//! A program of the wrong kind never gets ready: one that should ask a runtime API and listens
//! instead, or one that listens on another port than the platform calls. The tool says so after [`GRACE`], because
//! the platforms' own limits are long. A program that listens nowhere may just be slow, so the tool
//! only says that and waits on.

use crate::function::Function;
use crate::proc;
use crate::terminal::say;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a program must do the same thing before the tool reports it, because some open a port for a
/// debugger or for metrics first.
const GRACE: Duration = Duration::from_secs(3);

/// A look reads the sockets of every process in the group; a program that is quick is never looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What makes a program ready.
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    /// It listens on this port, which the platform told it.
    Listen { port: u16, is_fixed: bool },
    /// It asks the runtime API for an event.
    Next,
    /// It says to the runtime API that it is ready.
    Call,
}

/// What a program does that is not ready.
#[derive(PartialEq, Eq)]
enum Doing {
    Listens(Vec<SocketAddr>),
    /// It has connected to the runtime API.
    Asks,
    Neither,
}

/// Returns why the wait is in vain, as soon as that is known; says once what is uncertain.
pub(crate) async fn misfit(
    function: &Function,
    ready: Ready,
    group: u32,
    has_connected: impl Fn() -> bool,
    limit: Duration,
) -> String {
    let (mut doing, mut since, mut is_told) = (Doing::Neither, Instant::now(), false);
    loop {
        sleep(LOOK_INTERVAL).await;
        let now = match proc::listeners(group) {
            _ if has_connected() => Doing::Asks,
            listeners if listeners.is_empty() => Doing::Neither,
            listeners => Doing::Listens(listeners),
        };
        if now != doing {
            (doing, since, is_told) = (now, Instant::now(), false);
        }
        if is_told || since.elapsed() < GRACE {
            continue;
        }
        let why = explain(&doing, ready, function);
        // With `--start-timeout` the tool waits as long as it says.
        if matches!(doing, Doing::Listens(_)) && function.start_timeout.is_none() {
            return why;
        }
        let seconds = limit.as_secs();
        say(format_args!(
            "fnboot: still waiting, up to {seconds} s: {why}"
        ));
        is_told = true;
    }
}

/// What the program does, and what to try.
fn explain(doing: &Doing, ready: Ready, function: &Function) -> String {
    // A program built with fnboot takes no port but 9000 if it is called `scf_bootstrap`.
    let advice = if function.is_named("scf_bootstrap") {
        "; fnboot's own take their port by another name than scf_bootstrap"
    } else {
        ""
    };
    let slow = "if it is only slow, --start-timeout SECONDS waits for it";
    let whose = |is_fixed| {
        if is_fixed {
            "of SCF's web functions"
        } else {
            "that FC_SERVER_PORT says"
        }
    };
    let connected = "the program has connected to the runtime API and not";
    match (doing, ready) {
        (Doing::Listens(listeners), ready) => {
            let listeners: Vec<_> = listeners.iter().map(SocketAddr::to_string).collect();
            let doing = format!("the program listens on {}", listeners.join(" and "));
            let Ready::Listen { port, is_fixed } = ready else {
                return format!(
                    "{doing} and has not connected to the runtime API; one that is called over HTTP \
                     needs --platform fc, or --platform scf --web{advice}; {slow}"
                );
            };
            let whose = whose(is_fixed);
            format!("{doing} and not on 0.0.0.0:{port}, the port {whose}{advice}; {slow}")
        }
        (_, Ready::Listen { port, is_fixed }) => format!(
            "the program listens nowhere, and not on {port}, the port {}; one that asks a runtime \
             API for its events needs --platform lambda or scf",
            whose(is_fixed)
        ),
        (Doing::Asks, Ready::Next) => format!("{connected} asked for an event"),
        (Doing::Asks, Ready::Call) => format!("{connected} said that it is ready"),
        (Doing::Neither, _) => {
            "the program has not connected to the runtime API and listens nowhere".to_owned()
        }
    }
}
