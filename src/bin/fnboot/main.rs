//! `fnboot`, the local tool: plays a platform on the developer's machine and packs what is deployed.
//!
//! ```text
//! options                what the command line says
//!   invoke               one call, as the platform's own command-line tool shows it
//!   serve                a local endpoint that plays the gateway
//!     gateway            what the platforms' gateways share: they start a call and relay what streams
//!     instances          the instances behind it: kept, started side by side, replaced
//!   package              the archive that is uploaded, the same bytes for the same input
//!
//! instance               one started program, how calls reach it, and their clock
//!   call, failure        what goes in, what comes out, and why not
//!   client               over HTTP: connections that are kept
//!   runtime_api          polled: the API that the program asks
//!   readiness            why a program does not get ready
//!   process, log         the program as a process group; what it prints
//!   family, warden       ends what a program started, also after a kill of the tool itself
//!
//! platform               one folder each: a dialect (names, numbers, texts), and a gateway for its callers
//! function               what is deployed: a program, its folder, its settings
//! http, proc, terminal, signals, figures, id   helpers that know no platform
//! ```
//! A gateway sends a call through `instances` to an `instance`; `invoke` starts an instance of its own and
//! calls it directly. The answer comes back whole, or through the call's tap while the program streams it.
//! What differs between platforms is asked of a `Dialect`.
//!
//! Nothing here reaches `bootstrap`; std and the usual crates are welcome. One thread runs all calls, so they
//! share state by `Rc`. Other threads write to the terminal behind one lock (`terminal`), and wait for a
//! program's end and kill what it left (`process`).

mod call;
mod client;
mod failure;
mod family;
mod figures;
mod function;
mod gateway;
mod http;
mod id;
mod instance;
mod instances;
mod invoke;
mod log;
mod options;
mod package;
mod platform;
mod proc;
mod process;
mod readiness;
mod runtime_api;
mod serve;
mod signals;
mod terminal;
mod warden;

use futures_lite::future;
use invoke::Verdict;
use options::Command;
use signals::Signals;
use std::env;
use std::error::Error;
use std::process::ExitCode;

/// Usage and start-up errors; a function that failed is 1.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    if env::args_os()
        .nth(1)
        .is_some_and(|word| word == warden::ARGUMENT)
    {
        warden::run();
        return ExitCode::SUCCESS;
    }
    let runtime = terminal::open().and_then(|()| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build()
    });
    let code = runtime.map_err(Into::into).and_then(|runtime| {
        let code = tokio::task::LocalSet::new().block_on(&runtime, async {
            let code = run().await.unwrap_or_else(|error| {
                terminal::say(format_args!("fnboot: {error}"));
                ExitCode::from(EXIT_USAGE)
            });
            terminal::flush().await;
            Ok(code)
        });
        // Whatever is still running was dropped with its task.
        process::gone();
        code
    });
    code.unwrap_or_else(|error: Box<dyn Error>| {
        eprintln!("fnboot: {error}");
        ExitCode::from(EXIT_USAGE)
    })
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    family::adopt();
    match options::parse(env::args_os())? {
        Command::Show(text) => terminal::print(text.as_bytes()).await?,
        Command::Package(options) => return package::run(&options),
        Command::Serve(options) => serve::run(options, &mut Signals::listen()?).await?,
        Command::Invoke(mut options) => {
            // Before the signals are caught, because it may wait for somebody to type.
            let body = options.read()?;
            let mut signals = Signals::listen()?;
            let call = async {
                Ok(match invoke::run(options, body).await? {
                    Verdict::Succeeded => ExitCode::SUCCESS,
                    Verdict::Failed => ExitCode::FAILURE,
                })
            };
            // Dropping the call kills the instance.
            let signal = async { Ok(signals::exit_code(signals.next().await)) };
            return future::or(call, signal).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}
