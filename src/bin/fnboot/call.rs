//! A call, from whoever makes it to the instance and back: what is sent, what comes, what it cost.
//!
//! An answer that the program streams passes through the call's tap while it comes, head first; any
//! other is whole in the outcome. Dropping a call's future cancels the call.

use crate::failure::{Failure, Reported};
use crate::figures::Figures;
use hyper::body::{Bytes, Frame};
use hyper::{HeaderMap, Request, StatusCode};
use std::time::Duration;
use tokio::sync::mpsc;

/// One invocation.
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) payload: Payload,
    /// Headers of the caller; they replace the platform's of the same name.
    pub(crate) headers: HeaderMap,
    /// Where a streamed answer goes while it comes.
    pub(crate) tap: Option<mpsc::Sender<Piece>>,
}

pub(crate) enum Payload {
    Event(Bytes),
    /// An HTTP request as its client sent it, for platforms that pass it through.
    Http(Request<Bytes>),
    /// FC's initializer.
    Initialize,
}

/// A part of a streamed answer.
pub(crate) enum Piece {
    Head(Head),
    Body(Frame<Bytes>),
}

/// The head of an answer. With a runtime API the status is 200, because the program sends a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// What came of a call that succeeded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) mode: Mode,
    /// What did not go through the tap: all of it, or the end.
    pub(crate) body: Bytes,
    /// An error that the program met after the beginning was out.
    pub(crate) late_error: Option<Reported>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Buffered,
    Streamed,
}

/// How a call ended.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answer, Failure>,
    pub(crate) figures: Figures,
    /// From `exec` until the instance was ready; only for its first call.
    pub(crate) init_duration: Option<Duration>,
    /// The end of what the program printed meanwhile.
    pub(crate) log: Vec<u8>,
    pub(crate) instance_id: String,
}

impl Call {
    pub(crate) fn new(request_id: String, payload: Payload) -> Self {
        let headers = HeaderMap::new();
        Self {
            request_id,
            payload,
            headers,
            tap: None,
        }
    }

    /// Lets the answer be read while it comes.
    pub(crate) fn tap(&mut self) -> mpsc::Receiver<Piece> {
        let (sender, receiver) = mpsc::channel(1);
        self.tap = Some(sender);
        receiver
    }
}

impl Outcome {
    /// Of a call for which there was no instance.
    pub(crate) fn not_started(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            figures: Figures::default(),
            init_duration: None,
            log: Vec::new(),
            instance_id: String::new(),
        }
    }
}
