//! Where everything meets: settings, the call of the handler, connections, the loop.

mod caller;
pub mod config;
mod connection;
mod connections;
mod guard;
mod memory;
mod poller;
mod pull;
mod push;
mod server;
mod shared;
mod slots;

use core::ffi::CStr;
use core::panic::Location;

use crate::bytes::Writer;
use crate::echo::Echo;
use crate::handler::Handler;
use crate::http::Reject;
use crate::log;
use crate::platform::runtime_api::Ask;
use crate::sys::env::Args;
use crate::sys::fd::Errno;
use crate::sys::{env, process};
use config::{Config, Source};

/// Why the program could not start, or could not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fatal<'a> {
    /// A variable of the environment has a value that it cannot have.
    Variable {
        name: &'static CStr,
        value: &'static [u8],
        want: &'static str,
    },
    /// The port cannot be listened on.
    Port { port: u16, errno: Errno },
    /// The kernel refused something that it never should.
    Kernel { doing: &'static str, errno: Errno },
    /// The API of the platform cannot be reached.
    Unreachable { port: u16, errno: Errno },
    /// The API answered in a way after which nothing can be asked for.
    Api { ask: Ask, status: u16 },
    /// The API sent something that is not HTTP, as far as it is understood here.
    Response(Reject),
    /// The handler could not be initialized.
    Initialize,
    /// `run` was called while it runs.
    Twice,
    /// The handler panicked, and there is no unwinding.
    Panic(Option<&'a Location<'a>>),
}

/// Serves the platform with `handler` until it is told to stop. Never returns: the process ends
/// with status 0 after `SIGTERM`, with 1 (and one line on standard error) if it cannot start.
///
/// For a program with std, which has a `main` of its own; one without uses [`main!`](crate::main!).
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
pub fn run(handler: impl Handler) -> ! {
    guard::prepare();
    match start(handler) {
        Ok(()) => process::exit(0),
        Err(fatal) => end(fatal),
    }
}

fn start(handler: impl Handler) -> Result<(), Fatal<'static>> {
    let config = Config::from_environment()?;
    let (connections, events) = memory::take(handler, config)?;
    match config.source() {
        Source::Port(port) => server::serve(connections, events, port),
        Source::Api(address) => poller::poll(connections, events, address),
    }
}

/// Says why, and ends the process.
fn end(fatal: Fatal<'_>) -> ! {
    explain(fatal);
    process::exit(1)
}

fn kernel(doing: &'static str) -> impl Fn(Errno) -> Fatal<'static> {
    move |errno| Fatal::Kernel { doing, errno }
}

/// The stock program: what its arguments say, else the built-in function.
#[doc(hidden)]
pub fn bootstrap(args: Args) -> ! {
    match args.get(1) {
        None => {}
        Some(b"--version") => print(concat!("fnboot ", env!("CARGO_PKG_VERSION"), "\n")),
        Some(b"--help") => print(USAGE),
        Some(word) => {
            log::complain(|line| {
                line.put(b"unknown argument '");
                line.put(word.get(..VALUE_BYTES_MAX).unwrap_or(word));
                line.put(b"'; see --help");
            });
            process::exit(2)
        }
    }
    if let Some(name) = env::var(c"_HANDLER").filter(|name| !matches!(*name, b"" | b"echo")) {
        let want = "a function of this build: it has echo only";
        end(Fatal::Variable {
            name: c"_HANDLER",
            value: name,
            want,
        });
    }
    run(Echo)
}

const USAGE: &str = "usage: bootstrap [--help | --version]
Serves the function that _HANDLER names (echo) on FC_SERVER_PORT, FC_CUSTOM_LISTEN_PORT or 9000.
FNBOOT_MAX_BODY: longest body in bytes. FNBOOT_MARKERS: on or off.
";

fn print(text: &str) -> ! {
    log::write(text.as_bytes());
    process::exit(0)
}

/// So much of a bad value is shown: what it should have been must still fit the line.
const VALUE_BYTES_MAX: usize = 200;

/// One clear line for whoever has to find out why.
#[cold]
#[inline(never)]
fn explain(fatal: Fatal<'_>) {
    log::complain(|line| match fatal {
        Fatal::Variable { name, value, want } => {
            line.put(name.to_bytes());
            line.put(b": '");
            line.put(value.get(..VALUE_BYTES_MAX).unwrap_or(value));
            line.put(b"' is not ");
            line.put(want.as_bytes());
        }
        Fatal::Port { port, errno } => {
            line.put(b"cannot listen on port ");
            line.put_decimal(u64::from(port));
            put_errno(errno, line);
        }
        Fatal::Kernel { doing, errno } => {
            line.put(doing.as_bytes());
            put_errno(errno, line);
        }
        Fatal::Unreachable { port, errno } => {
            line.put(b"cannot reach the platform's API on port ");
            line.put_decimal(u64::from(port));
            put_errno(errno, line);
        }
        Fatal::Api { ask, status } => {
            line.put(b"the platform's API answered ");
            line.put(match ask {
                Ask::Next => b"the question for an event",
                _ => b"a request",
            });
            line.put(b" with status ");
            line.put_decimal(u64::from(status));
        }
        Fatal::Response(reject) => {
            line.put(b"the platform's API: ");
            line.put(reject.reason().as_bytes());
        }
        Fatal::Initialize => line.put(b"the function could not be initialized"),
        Fatal::Twice => line.put(b"already running"),
        Fatal::Panic(place) => {
            line.put(b"panic at ");
            line.put(place.map_or("?", Location::file).as_bytes());
            line.put(b":");
            line.put_decimal(place.map_or(0, |place| u64::from(place.line())));
        }
    });
}

/// An error number in words, for the two that users meet.
fn put_errno(errno: Errno, line: &mut Writer<'_>) {
    match errno {
        Errno::ADDRINUSE => line.put(b": address already in use"),
        Errno::ACCES => line.put(b": permission denied"),
        Errno::CONNREFUSED => line.put(b": connection refused"),
        Errno(number) => {
            line.put(b": error ");
            line.put_decimal(u64::from(number.unsigned_abs()));
        }
    }
}

/// What a panic comes to in a program without unwinding: one line that says where, and the end.
///
/// Only the place is taken, not the message: to look at a message means to link the formatting of
/// all that any panic could show, which is a third of the whole program.
#[doc(hidden)]
pub fn panicked(place: Option<&Location<'_>>) -> ! {
    explain(Fatal::Panic(place));
    process::exit(101)
}
