//! An HTTP server on this machine: takes connections, serves each until its client is done with it.

use crate::terminal::say;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Rest after a failed accept: out of descriptors, most likely, and calls that end give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// More than any platform's limit of bytes leaves room for, so that it is the platform that refuses.
const HEADERS_MAX: usize = 4096;

/// How much of a refused body is read.
const REFUSED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Takes connections for ever; this loop has no bound.
pub(crate) async fn accept(listener: &TcpListener, mut take: impl FnMut(TcpStream)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Only latency would suffer.
                let _ = stream.set_nodelay(true);
                take(stream);
            }
            Err(error) => {
                say(format_args!("fnboot: accept: {error}"));
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection. Like the platforms, it is never the server that closes an idle one.
///
/// # Errors
///
/// The connection broke. Whoever was on it has been answered by hyper as far as it can be.
pub(crate) async fn talk<I, A, R, B>(io: I, answer: A) -> hyper::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response<B>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let service = service_fn(|request| {
        let response = answer(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    http1::Builder::new()
        .title_case_headers(true)
        .max_headers(HEADERS_MAX)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service)
        .await
}

/// Reads what is left of a body that nobody wants, so that the connection can be used again.
pub(crate) async fn drain(body: &mut Incoming) {
    let mut read_bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read_bytes += frame.data_ref().map_or(0, Bytes::len);
        if read_bytes > REFUSED_BYTES_MAX {
            return;
        }
    }
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge { bytes_max: usize },
    Cut,
}

/// Reads a body of at most `bytes_max`. More is read and dropped, within reason, so that its sender sees
/// the answer and not a reset.
pub(crate) async fn read_body(
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
        let Some(piece) = frame.data_ref() else {
            continue;
        };
        read_bytes += piece.len();
        if read_bytes > REFUSED_BYTES_MAX {
            break;
        }
        if read_bytes <= bytes_max && !is_announced {
            taken.extend_from_slice(piece);
        }
    }
    if read_bytes > bytes_max {
        Err(too_large)
    } else {
        Ok(taken.into())
    }
}
