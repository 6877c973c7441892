//! What the stock program's arguments say that every build of it knows, and which function a build without
//! programs serves.

#[cfg(not(feature = "command"))]
use super::config::Config;
use super::fatal;
#[cfg(feature = "function")]
use crate::bytes;
#[cfg(not(feature = "command"))]
use crate::echo::Echo;
use crate::log;
#[cfg(feature = "function")]
use crate::program::language;
#[cfg(not(feature = "function"))]
use crate::sys::env;
use crate::sys::env::Args;
use crate::sys::process;

#[cfg(not(feature = "command"))]
pub use super::config::NAMES;

#[cfg(all(feature = "command", not(feature = "function")))]
const USAGE: &str = include_str!("../program/shims/usage.txt");
#[cfg(not(feature = "command"))]
const USAGE: &str = "usage: bootstrap [--help | --version]
Serves the function that _HANDLER names (echo) on FC_SERVER_PORT, FC_CUSTOM_LISTEN_PORT or 9000,
or for AWS_LAMBDA_RUNTIME_API or SCF_RUNTIME_API with SCF_RUNTIME_API_PORT.
FNBOOT_MAX_BODY: in bytes.
FNBOOT_MARKERS, FNBOOT_STREAMING, FNBOOT_SIGTERM: on or off.
";

/// The only function.
#[cfg(not(feature = "command"))]
pub fn function(args: Args, _: &mut Config) -> Echo {
    if let Some(word) = word(args) {
        fatal::usage("unknown argument '$'; see --help", word);
    }
    check_handler();
    Echo
}

/// What the first argument is, if it is none that asks about the program itself.
pub fn word(args: Args) -> Option<&'static [u8]> {
    let word = args.get(1)?;
    if word == b"--version" {
        print(concat!("fnboot ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    }
    if word == b"--help" {
        help();
    }
    Some(word)
}

#[cfg(feature = "function")]
fn help() -> ! {
    let texts = fatal::kernel("out of memory: !", language::texts());
    print(bytes::part(&texts, 0, language::USAGE))
}

#[cfg(not(feature = "function"))]
fn help() -> ! {
    print(USAGE.as_bytes())
}

/// Whether `_HANDLER` names the built-in function: deployment tools say `bootstrap`, the file's own name.
#[cfg(not(feature = "function"))]
pub fn check_handler() {
    let is_own = |name: &[u8]| matches!(name, b"" | b"echo" | b"bootstrap");
    if let Some(name) = env::var(b"_HANDLER").filter(|name| !is_own(name)) {
        let text = "_HANDLER: this build has echo only, not '$'";
        fatal::value(text, name);
    }
}

fn print(text: &[u8]) -> ! {
    log::write(text);
    process::exit(0)
}
