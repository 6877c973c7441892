//! Where everything meets: settings, the call of the handler, connections, the loop.

mod answer;
mod call;
pub mod config;
mod connection;
mod connections;
mod deferred;
mod fatal;
mod gateway;
#[cfg(feature = "command")]
mod handler;
mod hosts;
mod http_events;
mod panics;
mod poll;
mod poller;
#[cfg(feature = "command")]
mod programs;
mod push;
mod receipts;
mod server;
mod service;
mod settings;
mod side;
mod slots;
#[cfg(feature = "command")]
mod starting;
mod statics;
mod stock;

use core::panic::Location;

use crate::handler::Handler;
use crate::limits::HANDLER_BYTES_MAX;
use crate::sys::env::Args;
use crate::sys::memory::Reserved;
use crate::sys::process;
use config::{Config, Source};
#[cfg(feature = "command")]
use programs as function;
#[cfg(not(feature = "command"))]
use stock as function;

/// Serves the platform with `handler` until it is told to stop. Never returns: the process ends
/// with status 0 after `SIGTERM` or `SIGINT`, with 1 (and one line on standard error) if it cannot
/// start.
///
/// For a program with std and the feature `std`, which has a `main` of its own; one without uses
/// [`main!`](crate::main!). A handler of more than 64 KiB is lent: `run(&mut handler)`.
///
/// ```no_run
/// # use fnboot::{Context, Error, Handler};
/// struct Hello;
///
/// impl Handler for Hello {
///     fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
///         Ok(event)
///     }
/// }
///
/// fn main() {
///     fnboot::run(Hello)
/// }
/// ```
#[cfg(feature = "std")]
pub fn run(handler: impl Handler) -> ! {
    serve(handler)
}

/// What [`main!`](crate::main!) does with a handler.
#[doc(hidden)]
pub fn start(_args: Args, handler: impl Handler) -> ! {
    serve(handler)
}

/// What [`main!`](crate::main!) does with a handler that is a static.
#[doc(hidden)]
pub fn start_in_place<H: Handler>(_args: Args, handler: &'static Reserved<H>) -> ! {
    serve(statics::taken(handler))
}

fn serve<H: Handler>(handler: H) -> ! {
    const {
        assert!(
            size_of::<H>() <= HANDLER_BYTES_MAX,
            "a handler of more than 64 KiB would be moved over the stack: \
            `fnboot::main!(static NAME: Type = value)` leaves it in its place, \
            and so does `fnboot::run(&mut handler)` in a program with std"
        );
    }
    serve_with(config::NAMES, |_| handler)
}

/// Serves with the handler that `handler` makes. `names` are those of the variables that are known.
#[inline]
fn serve_with<H: Handler>(names: &[u8], handler: impl FnOnce(&mut Config) -> H) -> ! {
    panics::prepare();
    let mut config =
        Config::from_environment(names).unwrap_or_else(|bad| fatal::value(bad.text, bad.value));
    let handler = handler(&mut config);
    let (mut connections, events) = statics::take(handler, config);
    match config.source() {
        Source::Port(port) => server::serve(&mut connections, events, port),
        Source::Api => poller::poll(&mut connections, events),
    }
    connections.service.caller.end();
    process::exit(0)
}

/// The stock program: what its arguments say, else the built-in function.
#[doc(hidden)]
pub fn bootstrap(args: Args) -> ! {
    serve_with(function::NAMES, |config| function::function(args, config))
}

/// What a panic comes to in a program without unwinding: one line that says where, and the end.
///
/// Only the place is taken, not the message: to look at a message means to link the formatting of
/// all that any panic could show, which is a third of the whole program.
#[doc(hidden)]
pub fn panicked(place: Option<&Location<'_>>) -> ! {
    fatal::panic(
        place.map_or("?", Location::file),
        place.map_or(0, Location::line),
    )
}
