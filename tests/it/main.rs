//! Integration tests against the real `bootstrap`, the static program that ships.
//!
//! `make test` builds what they run, and runs them. A variable names another file to test:
//! `$BOOTSTRAP` (default `pkg/bootstrap`), `$EXAMPLES` the folder with those of `examples/`,
//! `$FIXTURES` the folder with those of `tests/fixture`, `$FNBOOT_TOOL` the local tool.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::format_collect,
    reason = "a test that cannot go on fails, and says so"
)]

mod api;
mod conform;
mod examples;
mod fc;
mod gates;
mod harness;
mod lambda;
mod library;
mod polled;
mod properties;
mod props;
mod scf;
mod stream;
mod structure;
mod tool;
mod wire;
