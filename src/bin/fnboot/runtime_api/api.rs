//! The runtime API on a port of this machine: from requests to the desk, and back.

use super::asks::{Ask, Phase, Refused};
use super::desk::{Claim, Desk, Settled, truncated};
use crate::call::{Answer, Head, Mode, Piece};
use crate::failure::{Reason, Reported};
use crate::function::Function;
use crate::http::{self, BodyError, REFUSED_BYTES_MAX, Reply};
use crate::platform::dialect::{Dialect, Reached};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response};
use serde_json::json;
use std::future::pending;
use std::rc::Rc;
use tokio::net::TcpListener;
use tokio::task::spawn_local;

/// Longest body of a request that is not an answer.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

const MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// Connections of one program at the same time, beside one for each call.
const CONNECTION_COUNT_MAX: usize = 64;

struct Api {
    dialect: &'static dyn Dialect,
    /// Longest answer in bytes, in one piece and streamed.
    limits: (usize, usize),
    echoed: Option<&'static str>,
    desk: Rc<Desk>,
    function: Rc<Function>,
}

/// Serves the program for ever.
pub(crate) async fn run(
    dialect: &'static dyn Dialect,
    desk: Rc<Desk>,
    function: Rc<Function>,
    listener: TcpListener,
) {
    let Reached::Api {
        answer_bytes_max,
        stream_bytes_max,
        echoed,
        ..
    } = dialect.facts().reached
    else {
        return;
    };
    let count_max = CONNECTION_COUNT_MAX + function.concurrency.unwrap_or(0) as usize;
    let api = Rc::new(Api {
        dialect,
        limits: (answer_bytes_max, stream_bytes_max),
        echoed,
        desk,
        function,
    });
    http::accept(&listener, count_max, |stream| {
        api.desk.has_connection.set(true);
        let api = Rc::clone(&api);
        let answer = move |request| Rc::clone(&api).answer(request);
        http::talk(stream, answer)
    })
    .await;
}

impl Api {
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Reply {
        let (head, mut body) = request.into_parts();
        let ask = self.dialect.route(&head.method, head.uri.path());
        let is_answer = matches!(ask, Ask::Answer(_) | Ask::Error(_));
        let reply = async move {
            match self.dispatch(&ask, &head, &mut body).await {
                Ok(reply) => reply,
                Err(refusal) => {
                    http::drain(&mut body).await;
                    self.refuse(&ask, &refusal)
                }
            }
        };
        if !is_answer {
            return reply.await;
        }
        // A task of its own, because hyper drops this future when a program leaves without waiting for the
        // reply, although the end of its answer may still be on its way to a slow caller.
        match spawn_local(reply).await {
            Ok(reply) => reply,
            // A task is lost only when it panics, and then the whole tool ends.
            Err(_) => pending().await,
        }
    }

    async fn dispatch(
        &self,
        ask: &Ask,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Reply, Refused> {
        let headers = &head.headers;
        match ask {
            Ask::Next => {
                let event = self.desk.next().await?;
                let mut reply = Response::new(http::whole(event.body.clone()));
                *reply.headers_mut() = event.headers.clone();
                return Ok(reply);
            }
            Ask::Answer(which) | Ask::Error(which) => {
                let echo = self.echoed.map(|name| (name, headers.get(name)));
                let claim = self.desk.claim(which, echo)?;
                let result = match ask {
                    Ask::Error(_) => self.read_error(headers, body).await,
                    _ => self.read_answer(&claim, headers, body).await,
                };
                let refusal = result.as_ref().err().and_then(refusal);
                claim.settle(result);
                if let Some(Refused::UnknownMode(_)) = refusal {
                    self.desk.wedge();
                }
                return refusal.map_or_else(|| Ok(self.accept(ask)), Err);
            }
            Ask::Ready => {
                if read(headers, body).await?.is_empty() {
                    return Err(Refused::EmptyBody);
                }
                self.desk.ready();
            }
            Ask::RestoreNext => self.desk.restore()?,
            Ask::InitError | Ask::RestoreError => {
                let during = match ask {
                    Ask::InitError => Phase::Starting,
                    _ => Phase::Restored,
                };
                let error = reported(headers, read(headers, body).await?);
                self.desk.fail_start(during, error)?;
            }
            Ask::Register => {
                let body = read(headers, body).await?;
                return self.register(headers, &body);
            }
            // The tool sends no events to extensions.
            Ask::ExtensionNext => return pending().await,
            Ask::Unknown => return Err(Refused::NotFound),
        }
        Ok(self.accept(ask))
    }

    /// Reads an answer as it comes: in one piece, or streamed past whoever wants it early. A caller that
    /// left does not stop the program, on no platform.
    async fn read_answer(
        &self,
        claim: &Claim,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Settled {
        let mode = mode(headers).map_err(Reason::UnknownMode)?;
        let bytes_max = match mode {
            Mode::Buffered => self.limits.0,
            Mode::Streamed => self.limits.1,
        };
        let head = Head {
            headers: headers.clone(),
            ..Head::default()
        };
        let tap = claim.event().tap.as_ref();
        let tap = tap.filter(|_| mode == Mode::Streamed);
        if let Some(tap) = tap {
            let _ = tap.send(Piece::Head(head.clone())).await;
        }
        let (mut taken, mut read_bytes, mut late_error) = (Vec::new(), 0, None);
        while let Some(frame) = body.frame().await {
            let piece = match frame.map_err(|_| truncated())?.into_data() {
                Ok(piece) => piece,
                Err(frame) => {
                    late_error = frame.trailers_ref().and_then(read_trailers);
                    continue;
                }
            };
            read_bytes += piece.len();
            if read_bytes > REFUSED_BYTES_MAX {
                break;
            }
            if read_bytes > bytes_max {
                // Read on, so that the program sees the refusal and not a reset.
            } else if let Some(tap) = tap {
                let _ = tap.send(Piece::Body(Frame::data(piece))).await;
            } else {
                taken.extend_from_slice(&piece);
            }
        }
        if read_bytes > bytes_max {
            return Err(Reason::TooLarge { bytes_max });
        }
        Ok(Answer {
            head,
            mode,
            body: taken.into(),
            late_error,
        })
    }

    async fn read_error(&self, headers: &HeaderMap, body: &mut Incoming) -> Settled {
        Err(match http::read(body, headers, self.limits.0).await {
            Ok(body) => Reason::Reported(reported(headers, body)),
            Err(BodyError::TooLarge { bytes_max }) => Reason::TooLarge { bytes_max },
            Err(BodyError::Cut) => truncated(),
        })
    }

    fn register(&self, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Refused> {
        if self.desk.phase() != Phase::Starting {
            return Err(Refused::WrongPhase(self.desk.phase()));
        }
        let reply = self.dialect.register(&self.function, headers, body)?;
        self.desk.has_extension.set(true);
        Ok(reply)
    }

    fn accept(&self, ask: &Ask) -> Reply {
        let (status, body) = self.dialect.accepted(ask);
        http::reply(status, "application/json", body)
    }

    fn refuse(&self, ask: &Ask, refusal: &Refused) -> Reply {
        let Some((status, error_type, message)) = self.dialect.refused(ask, refusal) else {
            return self.accept(ask);
        };
        let body = json!({ "errorMessage": message, "errorType": error_type });
        http::reply(status, "application/json", format!("{body}\n"))
    }
}

async fn read(headers: &HeaderMap, body: &mut Incoming) -> Result<Bytes, Refused> {
    let body = http::read(body, headers, REQUEST_BYTES_MAX).await;
    body.map_err(|error| match error {
        BodyError::TooLarge { bytes_max } => Refused::TooLarge { bytes_max },
        BodyError::Cut => Refused::Truncated,
    })
}

/// What the program is told if an event was settled so.
fn refusal(reason: &Reason) -> Option<Refused> {
    match reason {
        Reason::Reported(_) => None,
        Reason::UnknownMode(mode) => Some(Refused::UnknownMode(mode.clone())),
        &Reason::TooLarge { bytes_max } => Some(Refused::TooLarge { bytes_max }),
        _ => Some(Refused::Truncated),
    }
}

fn reported(headers: &HeaderMap, body: Bytes) -> Reported {
    let error_type = headers.get(ERROR_TYPE);
    Reported {
        error_type: error_type.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()),
        body,
    }
}

/// An error after the beginning of a streamed answer.
fn read_trailers(trailers: &HeaderMap) -> Option<Reported> {
    trailers.get(ERROR_TYPE)?;
    let body = trailers.get(ERROR_BODY).map(HeaderValue::as_bytes);
    let body = body.unwrap_or_default();
    // Not base64, not nothing: shown as it came.
    let body = BASE64.decode(body).unwrap_or_else(|_| body.to_vec());
    Some(reported(trailers, body.into()))
}

fn mode(headers: &HeaderMap) -> Result<Mode, String> {
    let mode = headers.get(MODE).map(HeaderValue::as_bytes);
    let mode = String::from_utf8_lossy(mode.unwrap_or_default());
    match mode.to_ascii_lowercase().as_str() {
        "" | "buffered" => Ok(Mode::Buffered),
        "streaming" => Ok(Mode::Streamed),
        _ => Err(mode.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::lambda::Lambda;
    use crate::readiness::Ready;
    use crate::runtime_api::desk::Event;
    use hyper::header::HeaderName;
    use std::io::Write;
    use std::net::TcpStream;
    use std::thread;
    use std::time::Duration;
    use tokio::sync::mpsc;

    #[test]
    fn modes() {
        for (value, want) in [
            ("", Ok(Mode::Buffered)),
            ("streaming", Ok(Mode::Streamed)),
            ("Streaming", Ok(Mode::Streamed)),
            ("buffered", Ok(Mode::Buffered)),
            ("chunked", Err("chunked".to_owned())),
        ] {
            let name = HeaderName::from_static(MODE);
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(mode(&headers), want, "{value:?}");
        }
    }

    #[test]
    fn trailers_carry_a_late_error() {
        let mut trailers = HeaderMap::new();
        assert_eq!(read_trailers(&trailers), None);
        trailers.insert(ERROR_TYPE, HeaderValue::from_static("Function.Mid"));
        trailers.insert(ERROR_BODY, HeaderValue::from_static("e30="));
        let error = read_trailers(&trailers).unwrap();
        assert_eq!(error.error_type.as_deref(), Some("Function.Mid"));
        assert_eq!(error.body, "{}");
    }

    /// What a slow caller gets of an answer of a million bytes if so many come, and whether the answer is whole.
    async fn taken_slowly(sent_bytes: usize) -> (usize, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let desk = Rc::new(Desk::new(Ready::Next, false));
        spawn_local(run(&Lambda, Rc::clone(&desk), Rc::default(), listener));
        let (tap, mut pieces) = mpsc::channel(1);
        let settled = desk.submit(Event {
            request_id: "a".to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            tap: Some(tap),
        });
        desk.next().await.unwrap();
        let head = "POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nHost: h\r\n\
                    Lambda-Runtime-Function-Response-Mode: streaming\r\nContent-Length: 1000000\r\n\r\n";
        let wire = [head.as_bytes(), &vec![b'x'; sent_bytes]].concat();
        // It leaves as soon as it has said all.
        thread::spawn(move || TcpStream::connect(address).unwrap().write_all(&wire));
        let mut count = 0;
        while let Some(piece) = pieces.recv().await {
            if let Piece::Body(frame) = piece {
                count += frame.into_data().unwrap().len();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (count, settled.await.unwrap().is_ok())
    }

    #[test]
    fn a_slow_caller_gets_the_end_of_an_answer_whose_sender_has_left() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            assert_eq!(taken_slowly(1_000_000).await, (1_000_000, true));
            assert_eq!(taken_slowly(500_000).await, (500_000, false));
        });
    }
}
