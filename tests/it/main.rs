//! Integration tests against the real `bootstrap`, the static program that ships.
//!
//! `make test` builds what they run, and runs them. A variable names another file to test:
//! `$BOOTSTRAP` (default `pkg/bootstrap`), `$BOOTSTRAP_ARM64`, `$EXAMPLES` the folder with those of `examples/`,
//! `$FIXTURES` the folder with those of `tests/fixture`, `$FNBOOT_TOOL` the local tool.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "a test that cannot go on fails, and says so"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::format_push_string,
    clippy::large_stack_arrays,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "tests are tables, patterns of bytes, and nothing that has to be small or fast"
)]

mod api;
mod arm64;
mod cgi;
mod chaos;
mod command;
mod conform;
mod crates;
mod cruel;
mod examples;
mod faults;
mod fc;
mod function;
mod gates;
mod gateway;
mod harness;
mod http_events;
mod lambda;
mod lambda_tool;
mod languages;
mod later;
mod library;
mod package;
mod polled;
mod port;
#[path = "../../benches/measure/process.rs"]
#[allow(dead_code, reason = "the measurements ask for more")]
mod process;
mod programs_tool;
mod properties;
mod props;
mod scf;
mod serve;
mod soak;
mod stream;
mod structure;
mod tool;
mod web;
mod wire;
mod worker;
