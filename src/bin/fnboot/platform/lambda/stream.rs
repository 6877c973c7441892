//! A function URL's answer: mapped once it is whole, or passed on while the function streams it.

use super::url;
use crate::platform::runtime_api::{Answer, Failure, Outcome, Piece, TapReader};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use std::io;
use tokio::task::{JoinHandle, spawn_local};

/// Longest prelude of a streamed answer.
const PRELUDE_BYTES_MAX: usize = 1024 * 1024;

/// A whole body, or one that is still being written.
pub(crate) type ReplyBody = Either<Full<Bytes>, Channel<Bytes, io::Error>>;
pub(crate) type Reply = Response<ReplyBody>;

/// The reply to a call whose answer comes through `pieces` if it is streamed.
pub(crate) async fn reply(mut pieces: TapReader, outcome: JoinHandle<Outcome>) -> Reply {
    let Some(Piece::ContentType(content_type)) = pieces.recv().await else {
        return whole(outcome.await.ok().map(|outcome| outcome.result));
    };
    let Some((head, first)) = begin(content_type.as_ref(), &mut pieces).await else {
        return bad_gateway();
    };
    let (sender, channel) = Channel::new(1);
    spawn_local(pump(first, pieces, outcome, sender));
    head.map(|()| Either::Right(channel))
}

fn whole(result: Option<Result<Answer, Failure>>) -> Reply {
    let answer = result.and_then(Result::ok);
    match answer.as_ref().and_then(url::answer) {
        Some(response) => response.map(|body| Either::Left(Full::new(body))),
        None => bad_gateway(),
    }
}

/// The head of a streamed answer, and the first of its body.
async fn begin(
    content_type: Option<&HeaderValue>,
    pieces: &mut TapReader,
) -> Option<(Response<()>, Bytes)> {
    if !url::has_prelude(content_type) {
        return Some((url::raw(content_type, ()), Bytes::new()));
    }
    let mut taken = Vec::new();
    while let Some(Piece::Body(piece)) = pieces.recv().await {
        taken.extend_from_slice(&piece);
        let stream = Bytes::from(taken);
        if let Some((head, rest)) = url::split_prelude(&stream) {
            return Some((head?, rest));
        }
        taken = stream.into();
        if taken.len() > PRELUDE_BYTES_MAX {
            break;
        }
    }
    None
}

/// Moves the body, piece by piece, as fast as the client takes it.
async fn pump(
    first: Bytes,
    mut pieces: TapReader,
    outcome: JoinHandle<Outcome>,
    mut sender: Sender<Bytes, io::Error>,
) {
    if !first.is_empty() && sender.send_data(first).await.is_err() {
        return;
    }
    while let Some(piece) = pieces.recv().await {
        let Piece::Body(piece) = piece else { continue };
        if sender.send_data(piece).await.is_err() {
            // The client left; the function is not told, as on Lambda.
            return;
        }
    }
    let has_ended_well = outcome.await.is_ok_and(|outcome| {
        outcome
            .result
            .is_ok_and(|answer| answer.late_error.is_none())
    });
    if !has_ended_well {
        sender.abort(io::ErrorKind::UnexpectedEof.into());
    }
}

fn bad_gateway() -> Reply {
    let body = Bytes::from_static(b"Internal Server Error");
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = StatusCode::BAD_GATEWAY;
    reply
}
