//! `fnboot serve`: a local endpoint that plays the platform's gateway.

use crate::function::{Function, Platform};
use crate::gateway::Gateway;
use crate::http::{self, Reply};
use crate::instances::Instances;
use crate::platform;
use crate::signals::Signals;
use crate::terminal::say;
use futures_lite::future;
use hyper::Request;
use hyper::body::Incoming;
use std::error::Error;
use std::future::pending;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use tokio::net::TcpListener;

/// Clients at the same time, of the 1,024 descriptors that a process usually has.
const CLIENT_COUNT_MAX: usize = 512;

pub(crate) struct Serve {
    pub(crate) port: u16,
    pub(crate) host: IpAddr,
    pub(crate) function: Function,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            port: 8000,
            host: Ipv4Addr::LOCALHOST.into(),
            function: Function::default(),
        }
    }
}

/// Serves until a signal comes.
///
/// # Errors
///
/// The port is taken, or the program cannot be started.
pub(crate) async fn run(options: Serve, signals: &mut Signals) -> Result<(), Box<dyn Error>> {
    let Serve {
        port,
        host,
        function,
    } = options;
    let listener = TcpListener::bind((host, port)).await;
    let listener = listener.map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    let address = listener.local_addr()?;
    let platform = function.platform;
    let dialect = platform::of(platform);
    let instances = Rc::new(Instances::new(Rc::new(function), dialect));
    let gateway = Rc::new(Gateway {
        dialect,
        instances: Rc::clone(&instances),
    });
    let serving = async {
        // A program that does not start at all is better known now than at the first call.
        instances.warm_up().await?;
        say(format_args!("Listening on http://{address}"));
        http::accept(&listener, CLIENT_COUNT_MAX, |stream| {
            let gateway = Rc::clone(&gateway);
            let answer = move |request| answer(platform, Rc::clone(&gateway), request);
            http::talk(stream, answer)
        })
        .await;
        pending().await
    };
    let signal = async {
        signals.next().await;
        Ok(())
    };
    let result: Result<(), Box<dyn Error>> = future::or(serving, signal).await;
    instances.stop().await;
    result
}

async fn answer(platform: Platform, gateway: Rc<Gateway>, request: Request<Incoming>) -> Reply {
    match platform {
        Platform::Fc => platform::fc::gateway::answer(gateway, request).await,
        Platform::Lambda => platform::lambda::gateway::answer(gateway, request).await,
        Platform::Scf | Platform::ScfWeb => platform::scf::gateway::answer(gateway, request).await,
    }
}
