//! Integration tests against the real `bootstrap`, the static program that ships.
//!
//! `$BOOTSTRAP` names it (default `pkg/bootstrap`), `$FIXTURES` the folder of the handlers under
//! `tests/fixture`. Both are built by `make`.

mod conform;
mod fc;
mod gates;
mod harness;
mod library;
mod props;
mod structure;
mod wire;
