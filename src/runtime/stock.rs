//! What the stock program's arguments say that every build of it knows, and which function a build without
//! programs serves.

#[cfg(not(feature = "command"))]
use super::config::Config;
#[cfg(not(feature = "function"))]
use super::fatal;
#[cfg(not(feature = "command"))]
use crate::echo::Echo;
use crate::log;
#[cfg(not(feature = "function"))]
use crate::sys::env;
use crate::sys::env::Args;
use crate::sys::process;

#[cfg(not(feature = "command"))]
pub use super::config::NAMES;

#[cfg(feature = "command")]
const USAGE: &str = "usage: bootstrap [--help | --version]
       bootstrap command CMD [ARG...]  one process for each event: event on stdin, answer on stdout, log on stderr
       bootstrap function FILE.NAME    a function in a script, loaded once: .sh .php .py .js .mjs .cjs
Serves a function on FC_SERVER_PORT, FC_CUSTOM_LISTEN_PORT or 9000, or for AWS_LAMBDA_RUNTIME_API or
SCF_RUNTIME_API with SCF_RUNTIME_API_PORT. Without arguments: FNBOOT, in the same words; _HANDLER; echo.
FNBOOT_MAX_BODY: in bytes. FNBOOT_TIMEOUT: in seconds. FNBOOT_CONTENT_TYPE: of answers to HTTP requests.
FNBOOT_WORKERS: interpreters at once. FNBOOT_WORKER_EVENTS: events of each.
FNBOOT_MARKERS, FNBOOT_STREAMING, FNBOOT_SIGTERM, FNBOOT_LOG_PREFIX: on or off.
";
#[cfg(not(feature = "command"))]
const USAGE: &str = "usage: bootstrap [--help | --version]
Serves the function that _HANDLER names (echo) on FC_SERVER_PORT, FC_CUSTOM_LISTEN_PORT or 9000,
or for AWS_LAMBDA_RUNTIME_API or SCF_RUNTIME_API with SCF_RUNTIME_API_PORT.
FNBOOT_MAX_BODY: in bytes.
FNBOOT_MARKERS, FNBOOT_STREAMING, FNBOOT_SIGTERM: on or off.
";

/// The only function.
#[cfg(not(feature = "command"))]
pub fn function(args: Args, _: &Config) -> Echo {
    if let Some(word) = word(args) {
        fatal::usage("unknown argument '$'; see --help", word);
    }
    check_handler();
    Echo
}

/// What the first argument is, if it is none that asks about the program itself.
pub fn word(args: Args) -> Option<&'static [u8]> {
    match args.get(1)? {
        b"--version" => print(concat!("fnboot ", env!("CARGO_PKG_VERSION"), "\n")),
        b"--help" => print(USAGE),
        word => Some(word),
    }
}

/// Whether `_HANDLER` names the built-in function.
#[cfg(not(feature = "function"))]
pub fn check_handler() {
    if let Some(name) = env::var(b"_HANDLER").filter(|name| !matches!(*name, b"" | b"echo")) {
        let text = "_HANDLER: '$' is not a function of this build: it has echo only";
        fatal::value(text, name);
    }
}

fn print(text: &str) -> ! {
    log::write(text.as_bytes());
    process::exit(0)
}
