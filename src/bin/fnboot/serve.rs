//! `fnboot serve`: a local endpoint that plays the platform's gateway.

use crate::function::{self, Function};
use crate::platform::runtime_api::{Flaky, Player};
use crate::platform::{Platform, fc, lambda, scf};
use crate::server;
use crate::signals::Signals;
use crate::terminal::say;
use clap::Args;
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response};
use std::error::Error;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

/// Where a polled platform's gateway tells what happened to the events.
pub(crate) const COUNTERS_PATH: &str = "/_fnboot/counters";

#[derive(Args)]
pub(crate) struct Options {
    /// Port to listen on; 0 for any
    #[arg(short, long, default_value_t = 8000)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Lambda and SCF, for tests: break the program's connection after every Nth answer and within
    /// about every Nth event; GET /_fnboot/counters tells what became of the events
    #[arg(long, value_name = "N")]
    flaky: Option<NonZeroU64>,
    #[command(flatten)]
    function: function::Options,
}

/// What callers of a platform talk to. It has a warm instance behind it.
pub(crate) trait Gateway: 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static;

    /// Starts the instance before the first call.
    async fn warm_up(&self) -> Result<(), Box<dyn Error>>;

    /// Answers one request, whatever it is.
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Response<Self::Body>;

    async fn stop(&self);
}

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let function = Rc::new(Function::from(options.function));
    function.check()?;
    let address = (options.host, options.port);
    let flaky = Flaky::new(options.flaky);
    match function.platform {
        Platform::Fc if options.flaky.is_some() => {
            Err("--flaky needs a platform with a runtime API: lambda or scf".into())
        }
        Platform::Fc => host(address, fc::gateway::Gateway::new(function)).await,
        Platform::Lambda => {
            host(
                address,
                lambda::gateway::Gateway::new(Player::new(function, flaky)),
            )
            .await
        }
        Platform::Scf => {
            host(
                address,
                scf::gateway::Gateway::new(Player::new(function, flaky)),
            )
            .await
        }
    }
}

/// Serves until a signal comes.
async fn host(
    (host, port): (IpAddr, u16),
    gateway: impl Gateway,
) -> Result<ExitCode, Box<dyn Error>> {
    let mut signals = Signals::listen()?;
    let listener = TcpListener::bind((host, port))
        .await
        .map_err(|error| format!("cannot listen on {host}:{port}: {error}"))?;
    let address = listener.local_addr()?;
    let gateway = Rc::new(gateway);
    tokio::select! {
        // A program that does not start at all is better known now than at the first call.
        ready = gateway.warm_up() => ready?,
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    }
    say(format_args!("Listening on http://{address}"));
    let accept = server::accept(&listener, |stream| {
        let gateway = Rc::clone(&gateway);
        spawn_local(async move {
            // A client that broke off is its own business.
            let _ = server::talk(stream, |request| Rc::clone(&gateway).answer(request)).await;
        });
    });
    tokio::select! {
        () = accept => {}
        _ = signals.next() => {}
    }
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}
