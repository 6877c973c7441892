//! What the end-to-end measurements share.
//!
//! `peer` says who is measured and builds them, `server` starts one and calls it, `process` reads
//! what the kernel counted, `stats` sums up, `table`, `chart` and `report` show it, and `record`
//! says whether the README may.
//!
//! Nothing here knows what is measured; that is in `wrk.rs` and `coldstart.rs`. As a bench of its
//! own this runs the unit tests, because those two have no harness that would.

#![allow(
    dead_code,
    reason = "each measurement uses its part of what both share"
)]

pub(crate) mod chart;
pub(crate) mod machine;
pub(crate) mod peer;
#[path = "../../tests/it/port.rs"]
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod stats;
pub(crate) mod table;

use std::process::ExitCode;

/// A measurement that cannot be made says why and ends.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measures, if `cargo bench` runs this program; `cargo test --benches` runs it too, to see that it
/// starts, and must not wait for minutes of load.
pub(crate) fn run(measurement: fn() -> Outcome<()>) -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not measured: this is not `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match measurement() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
