//! What the end-to-end measurements share.
//!
//! `peer` says who is measured and builds them, `server` starts one and calls it, `process` reads
//! what the kernel counted, `stats` sums up, `table`, `chart` and `report` show it.
//!
//! Nothing here knows what is measured; that is in `wrk.rs` and `coldstart.rs`. This is a bench of its
//! own, too, which has the unit tests: those two have no harness that would run any.

#![allow(
    dead_code,
    reason = "each measurement uses its part of what both share"
)]

pub(crate) mod chart;
pub(crate) mod machine;
pub(crate) mod peer;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod server;
pub(crate) mod settings;
pub(crate) mod stats;
pub(crate) mod table;

/// A measurement that cannot be made says why and ends.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// True if `cargo bench` runs this program; `cargo test --benches` runs it too, to see that it
/// starts, and must not wait for minutes of load.
pub(crate) fn asked_for() -> bool {
    let asked = std::env::args().any(|argument| argument == "--bench");
    if !asked {
        println!("not measured: this is not `cargo bench`");
    }
    asked
}
