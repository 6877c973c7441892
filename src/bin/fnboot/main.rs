//! `fnboot`, the local tool: plays a platform on the developer's machine and packs what is deployed.
//!
//! ```text
//! main       the command line, exit status
//! invoke     one call, as the platform's own command-line tool shows it
//! serve      a local endpoint that plays the gateway
//! warm       the instance behind that endpoint: kept, and replaced when it must be
//! package    the archive that is uploaded, the same bytes for the same input
//! function   what is deployed: a program and its settings
//! process    the program as a process group: start, stop, memory, output
//! readiness  what a program does that does not get ready
//! server     HTTP connections, whoever is at their other end
//! platform   one folder per platform: how it starts a function and how it hands events over
//! ```
//! Nothing here reaches `bootstrap`; std and the usual crates are welcome. One thread does it all, so
//! state is shared by `Rc`, and nothing below needs a lock.

mod figures;
mod function;
mod id;
mod invoke;
mod log;
mod memory;
mod package;
mod platform;
mod process;
mod readiness;
mod serve;
mod server;
mod signals;
mod terminal;
mod warm;

use clap::{Parser, Subcommand};
use std::error::Error;
use std::process::ExitCode;

/// Usage and start-up errors, as clap's own; a function that failed is 1.
const EXIT_USAGE: u8 = 2;

#[derive(Parser)]
#[command(
    version,
    about = "Runs a function on this machine as the cloud would, and packs it."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start PROGRAM as the platform would, call it once, show log, result and figures.
    Invoke(Box<invoke::Options>),
    /// Play the platform's gateway on a local port, with a warm instance of PROGRAM behind it.
    Serve(serve::Options),
    /// Pack BINARY as the archive that is uploaded: small, and the same bytes every time.
    Package(package::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli.command).unwrap_or_else(|error| {
        terminal::say(format_args!("fnboot: {error}"));
        ExitCode::from(EXIT_USAGE)
    })
}

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Invoke(options) => block_on(invoke::run(*options)),
        Command::Serve(options) => block_on(serve::run(options)),
        Command::Package(options) => package::run(&options),
    }
}

/// Runs `work` and everything it spawns on this one thread.
fn block_on<T>(work: impl Future<Output = Result<T, Box<dyn Error>>>) -> Result<T, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
