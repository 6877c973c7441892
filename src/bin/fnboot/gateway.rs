//! What the platforms' gateways share: they start a call, wait for its head, and relay what streams.

use crate::call::{Answer, Call, Head, Outcome, Payload, Piece};
use crate::failure::{Reason, Stage};
use crate::http::{Left, Reply, whole};
use crate::instances::Instances;
use crate::platform::dialect::{Complaint, Dialect};
use futures_lite::future;
use http_body_util::Either;
use http_body_util::channel::{Channel, SendError, Sender};
use hyper::body::{Bytes, Frame};
use hyper::header::EXPECT;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_local;

pub(crate) struct Gateway {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) instances: Rc<Instances>,
}

/// A call under way.
pub(crate) struct Calling(Pin<Box<dyn Future<Output = Outcome>>>);

/// What [`Calling::begin`] returns.
pub(crate) enum Begun {
    /// The head of an answer that streams.
    Head(Head),
    /// All of it.
    Over(Outcome),
}

impl Gateway {
    /// Has a call answered, and shows it as `what`. If its caller leaves, the call is cancelled.
    pub(crate) fn calling(&self, call: Call, what: &str) -> Calling {
        let instances = Rc::clone(&self.instances);
        let what = what.to_owned();
        Calling(Box::pin(async move { instances.call(call, &what).await }))
    }

    /// The same, but if its caller leaves, the call goes on.
    pub(crate) fn detached(&self, call: Call, what: &str) -> Calling {
        let task = spawn_local(self.calling(call, what).0);
        Calling(Box::pin(async move {
            match task.await {
                Ok(outcome) => outcome,
                // A task is lost only when it panics, and then the whole tool ends.
                Err(_) => pending().await,
            }
        }))
    }

    /// What a caller is told of a call that failed.
    pub(crate) fn explain(&self, request_id: &str, outcome: &Outcome) -> Complaint {
        match &outcome.result {
            Err(failure) => self.dialect.explain(failure, request_id, &outcome.figures),
            Ok(_) => Complaint {
                status: StatusCode::BAD_GATEWAY,
                error_type: String::new(),
                body: Bytes::new(),
            },
        }
    }

    /// Has an HTTP request answered, and passes the answer on while it comes, its headers as `clean`
    /// leaves them; an error if the call ended without one.
    pub(crate) async fn pass_through(
        &self,
        request_id: &str,
        what: &str,
        mut request: Request<Bytes>,
        clean: impl Fn(&mut HeaderMap),
    ) -> Result<Reply, Outcome> {
        let left = request.extensions_mut().remove::<Left>();
        // A proxy's client names the host in the target, too; the function sees path and query.
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = target.map_or_else(Uri::default, Uri::from);
        request.headers_mut().remove(EXPECT);
        let mut call = Call::new(request_id.to_owned(), Payload::Http(request));
        let mut pieces = call.tap();
        let calling = self.calling(call, what);
        let mut calling = Calling(Box::pin(until_left(calling, left)));
        let to_client = |mut head: Head| {
            clean(&mut head.headers);
            let mut response = Response::new(());
            *response.status_mut() = head.status;
            *response.headers_mut() = head.headers;
            response
        };
        match calling.begin(&mut pieces).await {
            Begun::Head(head) => Ok(relay(to_client(head), Bytes::new(), pieces, calling)),
            Begun::Over(outcome) => match outcome.result {
                Ok(answer) => Ok(to_client(answer.head).map(|()| whole(answer.body))),
                Err(_) => Err(outcome),
            },
        }
    }
}

/// Drops the call when its client's connection is over: while nothing of the answer comes, nobody else
/// would notice.
async fn until_left(calling: Calling, left: Option<Left>) -> Outcome {
    let left = async {
        let Some(mut left) = left else {
            return pending().await;
        };
        let _ = left.changed().await;
        Outcome::not_started(Stage::Call.failed(Reason::Canceled))
    };
    future::or(calling.0, left).await
}

impl Calling {
    pub(crate) async fn outcome(self) -> Outcome {
        self.0.await
    }

    /// Waits for the head of an answer that streams, or for the end.
    pub(crate) async fn begin(&mut self, pieces: &mut Receiver<Piece>) -> Begun {
        let head = async {
            match pieces.recv().await {
                Some(Piece::Head(head)) => Begun::Head(head),
                _ => pending().await,
            }
        };
        let over = async { Begun::Over((&mut self.0).await) };
        future::or(head, over).await
    }
}

/// The reply to a call whose answer streams: its `first` bytes, then the pieces, as fast as the client
/// takes them.
pub(crate) fn relay(
    head: Response<()>,
    first: Bytes,
    pieces: Receiver<Piece>,
    calling: Calling,
) -> Reply {
    let (mut sender, channel) = Channel::new(1);
    spawn_local(async move {
        let (mut calling, mut ended) = (calling.0, None);
        // The call goes on while its pieces leave.
        let end = async {
            ended = Some((&mut calling).await);
            pending().await
        };
        let passed_on = future::or(pass_on(first, pieces, &mut sender), end).await;
        if passed_on.is_err() {
            // The client left. The call ends with it, unless it is detached.
            return;
        }
        let outcome = match ended {
            Some(outcome) => outcome,
            None => calling.await,
        };
        match outcome.result {
            // A client that left needs no end.
            Ok(Answer {
                body,
                late_error: None,
                ..
            }) if !body.is_empty() => {
                let _ = sender.send(Frame::data(body)).await;
            }
            Ok(Answer {
                late_error: None, ..
            }) => {}
            _ => sender.abort(io::ErrorKind::UnexpectedEof.into()),
        }
    });
    head.map(|()| Either::Right(channel))
}

async fn pass_on(
    first: Bytes,
    mut pieces: Receiver<Piece>,
    sender: &mut Sender<Bytes, io::Error>,
) -> Result<(), SendError> {
    if !first.is_empty() {
        sender.send(Frame::data(first)).await?;
    }
    while let Some(piece) = pieces.recv().await {
        if let Piece::Body(frame) = piece {
            sender.send(frame).await?;
        }
    }
    Ok(())
}
