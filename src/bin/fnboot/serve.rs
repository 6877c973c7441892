//! `fnboot serve`: a local endpoint that plays the platform's gateway.

use crate::function::{self, Function};
use crate::platform::Platform;
use crate::platform::fc::gateway::Gateway;
use crate::signals::Signals;
use crate::terminal::say;
use clap::{Args, value_parser};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// Rest after a failed accept: out of descriptors, most likely, and calls that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// More than any platform's limit of bytes leaves room for, so that it is the gateway that refuses.
const HEADERS_MAX: usize = 4096;

#[derive(Args)]
pub(crate) struct Options {
    /// Port to listen on; 0 for any
    #[arg(short, long, default_value_t = 8000)]
    port: u16,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Calls that the instance takes at the same time; more wait
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(u32).range(1..=200))]
    concurrency: u32,
    #[command(flatten)]
    function: function::Options,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let function: Function = options.function.into();
    let mut signals = Signals::listen()?;
    let listener = TcpListener::bind((options.host, options.port))
        .await
        .map_err(|error| {
            format!(
                "cannot listen on {}:{}: {error}",
                options.host, options.port
            )
        })?;
    let address = listener.local_addr()?;
    let gateway = match function.platform {
        Platform::Fc => Rc::new(Gateway::new(function, options.concurrency)),
    };
    tokio::select! {
        // A program that does not start at all is better known now than at the first call.
        ready = gateway.warm_up() => ready?,
        _ = signals.next() => return Ok(ExitCode::SUCCESS),
    }
    say(format_args!("Listening on http://{address}"));
    tokio::select! {
        () = accept(&listener, &gateway) => {}
        _ = signals.next() => {}
    }
    gateway.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Takes connections for ever; this loop has no bound.
async fn accept(listener: &TcpListener, gateway: &Rc<Gateway>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(talk(stream, Rc::clone(gateway)));
            }
            Err(error) => {
                say(format_args!("fnboot: accept: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until its client is done with it.
async fn talk(stream: TcpStream, gateway: Rc<Gateway>) {
    // Only latency would suffer.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let gateway = Rc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.answer(request).await) }
    });
    // A client that breaks off, or does not speak HTTP, has been answered by hyper as far as it can be.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(true)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
