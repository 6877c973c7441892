//! Which function the stock program serves, and with which settings.

use super::config::{Config, Source};
use super::fatal;
use super::settings::{Settings, Switch};
use crate::echo::Echo;
use crate::handler::Platform;
use crate::log;
use crate::program::{self, Function};
use crate::sys::env::{self, Args};
use crate::sys::fd::Errno;
use crate::sys::process;
use crate::sys::strings::Strings;

/// How the names of the variables go on behind `FNBOOT_` that only programs have.
pub const NAMES: &[u8] = b"CONTENT_TYPE LOG_PREFIX TIMEOUT";

/// Room for the arguments of a program: as much as the kernel takes of them by default (execve(2)).
const ARGUMENTS_BYTES: usize = 2 * 1024 * 1024;

const USAGE: &str = "usage: bootstrap [--help | --version]
       bootstrap command CMD [ARG...]
Serves a function on FC_SERVER_PORT, FC_CUSTOM_LISTEN_PORT or 9000, or for AWS_LAMBDA_RUNTIME_API or
SCF_RUNTIME_API with SCF_RUNTIME_API_PORT.
  command    one process for each event: event on stdin, result on stdout, log on stderr
Without arguments: what FNBOOT says, in the same words; else what _HANDLER names; else echo.
FNBOOT_MAX_BODY: in bytes. FNBOOT_TIMEOUT: in seconds. FNBOOT_CONTENT_TYPE: of answers to HTTP requests.
FNBOOT_MARKERS, FNBOOT_STREAMING, FNBOOT_SIGTERM, FNBOOT_LOG_PREFIX: on or off.
";

/// What the arguments say, or else the environment.
pub fn function(args: Args, config: &Config) -> Function {
    match args.get(1) {
        Some(b"--version") => print(concat!("fnboot ", env!("CARGO_PKG_VERSION"), "\n")),
        Some(b"--help") => print(USAGE),
        _ => {}
    }
    let words = fatal::kernel("cannot read the arguments: !", words(args));
    match words.get(0) {
        None => built_in(),
        Some(b"command") => command(words, config),
        Some(word) => fatal::usage("unknown argument '$'; see --help", word),
    }
}

/// The arguments.
fn words(args: Args) -> Result<Strings, Errno> {
    let mut words = Strings::new(ARGUMENTS_BYTES)?;
    let mut index = 1;
    while let Some(word) = args.get(index) {
        words.put(&[word])?;
        index += 1;
    }
    Ok(words)
}

fn print(text: &str) -> ! {
    log::write(text.as_bytes());
    process::exit(0)
}
