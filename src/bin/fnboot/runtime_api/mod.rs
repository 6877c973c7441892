//! The API that a polled program asks for its next event, and posts the answer to.
//!
//! ```text
//! caller ── Instance::perform ──► desk ◄── api ◄── HTTP ── program
//!              deadline, exit      what may be     paths and
//!                                  asked now       bytes
//! ```
//! `desk` is the platform's side of the contract, a state machine without sockets; `api` puts it on a
//! port; `asks` are what passes between them. Names, numbers and texts are the platform's dialect.

pub(crate) mod api;
pub(crate) mod asks;
pub(crate) mod desk;
