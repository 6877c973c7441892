//! The platforms that are polled: the program asks a runtime API for its next event, and posts the answer.
//!
//! ```text
//! caller ── Player ── Instance::call ──► Desk ◄── Api ◄── HTTP ── program
//!                          deadline,     what may be     paths and
//!                          exit, log     asked now       bytes
//! ```
//! `Desk` is the platform's side of the contract, a state machine without sockets; `Api` puts it on a
//! port; `Instance` holds both beside the process. Names, numbers and texts are the [`Dialect`]'s.

mod answer;
mod api;
mod counters;
mod desk;
mod dialect;
mod failure;
mod flaky;
mod instance;
mod invoke;
mod player;

pub(crate) use answer::{Answer, Mode, Piece, TapReader};
pub(crate) use desk::{Phase, Refusal};
pub(crate) use dialect::{Ask, Complaint, Dialect, Ready, Report, Which, header_map};
pub(crate) use failure::Failure;
pub(crate) use flaky::Flaky;
pub(crate) use instance::{Call, Outcome};
pub(crate) use player::{Player, Stage};
