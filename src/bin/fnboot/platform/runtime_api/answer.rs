//! The program's answer, read as it comes: in one piece, or streamed past whoever wants it early.

use super::failure::{Failure, Reported};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

/// How much of an answer that is too long is read, so that the program sees the refusal and not a reset.
const REFUSED_BYTES_MAX: usize = 256 * 1024 * 1024;

const ERROR_TYPE_TRAILER: &str = "lambda-runtime-function-error-type";
const ERROR_BODY_TRAILER: &str = "lambda-runtime-function-error-body";

/// A complete answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) mode: Mode,
    pub(crate) content_type: Option<HeaderValue>,
    /// Empty if it went through a [`Tap`].
    pub(crate) body: Bytes,
    /// An error met after the beginning was out.
    pub(crate) late_error: Option<Reported>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Buffered,
    Streamed,
}

/// Where a streamed answer goes while it comes.
pub(crate) type Tap = mpsc::Sender<Piece>;
pub(crate) type TapReader = mpsc::Receiver<Piece>;

#[derive(Debug)]
pub(crate) enum Piece {
    ContentType(Option<HeaderValue>),
    Body(Bytes),
}

/// Reads an answer of at most `bytes_max`.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut Incoming,
    mode: Mode,
    tap: Option<&Tap>,
    bytes_max: usize,
) -> Result<Answer, Failure> {
    let tap = tap.filter(|_| mode == Mode::Streamed);
    let content_type = headers.get(CONTENT_TYPE).cloned();
    pass(tap, Piece::ContentType(content_type.clone())).await;
    let (mut taken, mut read_bytes, mut late_error) = (Vec::new(), 0, None);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Truncated)?;
        match frame.into_data() {
            Ok(piece) => {
                read_bytes += piece.len();
                if read_bytes > REFUSED_BYTES_MAX {
                    break;
                }
                if read_bytes > bytes_max {
                    continue;
                }
                if tap.is_some() {
                    pass(tap, Piece::Body(piece)).await;
                } else {
                    taken.extend_from_slice(&piece);
                }
            }
            Err(frame) => late_error = frame.trailers_ref().and_then(read_trailers),
        }
    }
    if read_bytes > bytes_max {
        return Err(Failure::TooLarge { bytes_max });
    }
    Ok(Answer {
        mode,
        content_type,
        body: taken.into(),
        late_error,
    })
}

/// A caller that left does not stop the program, on no platform.
async fn pass(tap: Option<&Tap>, piece: Piece) {
    if let Some(tap) = tap {
        let _ = tap.send(piece).await;
    }
}

fn read_trailers(trailers: &HeaderMap) -> Option<Reported> {
    let error_type = trailers.get(ERROR_TYPE_TRAILER)?;
    let body = trailers.get(ERROR_BODY_TRAILER).map(HeaderValue::as_bytes);
    let body = body.unwrap_or_default();
    Some(Reported {
        error_type: Some(String::from_utf8_lossy(error_type.as_bytes()).into_owned()),
        // Not base64, not nothing: shown as it came.
        body: BASE64.decode(body).unwrap_or_else(|_| body.to_vec()).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_carry_a_late_error() {
        let mut trailers = HeaderMap::new();
        assert_eq!(read_trailers(&trailers), None);
        trailers.insert(ERROR_TYPE_TRAILER, HeaderValue::from_static("Function.Mid"));
        trailers.insert(ERROR_BODY_TRAILER, HeaderValue::from_static("e30="));
        let error = read_trailers(&trailers).unwrap();
        assert_eq!(error.error_type.as_deref(), Some("Function.Mid"));
        assert_eq!(error.body, "{}");
    }
}
