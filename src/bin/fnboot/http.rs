//! HTTP on this machine: takes connections, serves each until its client is done with it, reads bodies.

use crate::terminal::say;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, IntoHeaderName, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// More than any platform's limit of bytes leaves room for, so that it is the platform that refuses.
pub(crate) const HEADERS_MAX: usize = 4096;

/// Rest after a failed accept: out of descriptors, most likely, and calls that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much of a refused body is read, so that its sender sees the answer and not a reset.
pub(crate) const REFUSED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Changes, with an error, when a connection is over. Part of its requests, for calls that end with it.
pub(crate) type Left = watch::Receiver<()>;

/// A whole body, or one that is still being written.
pub(crate) type ReplyBody = Either<Full<Bytes>, Channel<Bytes, io::Error>>;
pub(crate) type Reply = Response<ReplyBody>;

/// Takes connections for ever, at most so many at a time; the others wait in the kernel's queue, so that
/// nobody takes all descriptors.
pub(crate) async fn accept<T>(
    listener: &TcpListener,
    count_max: usize,
    mut talk: impl FnMut(TcpStream) -> T,
) where
    T: Future<Output = ()> + 'static,
{
    let places = Arc::new(Semaphore::new(count_max));
    loop {
        // The semaphore is never closed.
        let place = Arc::clone(&places).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                // Only latency would suffer.
                let _ = stream.set_nodelay(true);
                let talk = talk(stream);
                spawn_local(async move {
                    talk.await;
                    drop(place);
                });
            }
            Err(error) => {
                say(format_args!("fnboot: accept: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection. Like the platforms, it is never the server that closes an idle one. A client
/// that breaks off is its own business: whoever was on the connection has been answered by hyper as far
/// as it can be.
pub(crate) async fn talk<A, R>(stream: TcpStream, answer: A)
where
    A: Fn(Request<Incoming>) -> R,
    R: Future<Output = Reply>,
{
    let peer = stream.peer_addr().map(|peer| peer.ip());
    let (_here, left) = watch::channel(());
    let service = service_fn(|mut request: Request<Incoming>| {
        // Who asks, for gateways that tell it to the function.
        if let Ok(peer) = &peer {
            request.extensions_mut().insert(*peer);
        }
        request.extensions_mut().insert(left.clone());
        let method = request.method().clone();
        let reply = answer(request);
        async move { Ok::<_, Infallible>(framed(reply.await, &method)) }
    });
    let _ = http1::Builder::new()
        .title_case_headers(true)
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Leaves the framing of a reply to hyper, whatever a function says of it. A length is taken over only
/// where hyper does not know it: of a body that is still being written, and where there is none, in the
/// answer to a HEAD and with 304 (RFC 9110 §8.6).
fn framed(reply: Reply, method: &Method) -> Reply {
    let (mut head, mut body) = reply.into_parts();
    let has_no_body = *method == Method::HEAD || head.status == StatusCode::NOT_MODIFIED;
    let headers = &mut head.headers;
    headers.remove(TRANSFER_ENCODING);
    let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
    let is_one = matches!(lengths[..], [length] if is_number(length));
    if !is_one || matches!(body, Either::Left(_)) && !has_no_body {
        headers.remove(CONTENT_LENGTH);
    }
    if has_no_body {
        if let Some(length @ 1..) = body.size_hint().exact() {
            // What a GET would get.
            headers.insert(CONTENT_LENGTH, length.into());
        }
        body = whole(Bytes::new());
    }
    if head.status.is_informational() {
        // A client waits for a final status after it.
        head.status = StatusCode::BAD_GATEWAY;
    }
    Response::from_parts(head, body)
}

/// Digits and nothing else: Rust's own parser takes a sign.
fn is_number(value: &HeaderValue) -> bool {
    let text = value.to_str().unwrap_or_default();
    let is_unsigned = text.bytes().all(|byte| byte.is_ascii_digit());
    is_unsigned && text.parse::<u64>().is_ok()
}

pub(crate) fn whole(body: impl Into<Bytes>) -> ReplyBody {
    Either::Left(Full::new(body.into()))
}

/// Drops the fields that belong to one hop (RFC 9110 §7.6.1), and a length beside chunks, which are this
/// hop's matter, too (RFC 9112 §6.3 item 3).
pub(crate) fn drop_hop(headers: &mut HeaderMap) {
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "upgrade"] {
        headers.remove(name);
    }
}

/// A reply with a whole body.
pub(crate) fn reply(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Reply {
    let mut reply = Response::new(whole(body));
    *reply.status_mut() = status;
    set(reply.headers_mut(), CONTENT_TYPE, content_type);
    reply
}

/// A reply in JSON.
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Reply {
    reply(status, "application/json", body.to_string())
}

/// Sets a header, unless no header can carry the value, as a strange name of a function.
pub(crate) fn set(headers: &mut HeaderMap, name: impl IntoHeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge { bytes_max: usize },
    Cut,
}

/// Reads a body of at most `bytes_max`. More is read and dropped, within reason.
pub(crate) async fn read(
    body: &mut Incoming,
    headers: &HeaderMap,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let too_large = BodyError::TooLarge { bytes_max };
    let is_announced = body.size_hint().lower() > bytes_max as u64;
    if is_announced && headers.contains_key("expect") {
        // The sender waits for leave to send, and does not get it.
        return Err(too_large);
    }
    let mut taken = Vec::new();
    let mut read_bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(BodyError::Cut);
        };
        let piece = frame.into_data().unwrap_or_default();
        read_bytes += piece.len();
        if read_bytes > REFUSED_BYTES_MAX {
            break;
        }
        if read_bytes <= bytes_max && !is_announced {
            taken.extend_from_slice(&piece);
        }
    }
    if read_bytes > bytes_max {
        return Err(too_large);
    }
    Ok(taken.into())
}

/// Reads what is left of a body that nobody wants, so that the connection can be used again.
pub(crate) async fn drain(body: &mut Incoming) {
    // Nobody wants to know how it ends either.
    let _ = read(body, &HeaderMap::new(), 0).await;
}
