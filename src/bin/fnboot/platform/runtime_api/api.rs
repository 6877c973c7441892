//! The runtime API on a port of this machine: from requests to the desk, and back.

use super::answer::{self, Mode};
use super::counters::Count;
use super::desk::{Claim, Desk, Event, Phase, Refusal};
use super::dialect::{Ask, Dialect, Which};
use super::failure::{Failure, Reported};
use super::flaky::{Fate, Flaky, Wire};
use crate::function::Function;
use crate::server;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode};
use serde_json::json;
use std::cell::RefCell;
use std::future::pending;
use std::marker::PhantomData;
use std::rc::Rc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

/// Longest body of a request that is not an answer.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

const MODE_HEADER: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE_HEADER: &str = "lambda-runtime-function-error-type";

type Reply = Response<Full<Bytes>>;

pub(crate) struct Api<D> {
    pub(crate) desk: Rc<Desk>,
    pub(crate) function: Rc<Function>,
    pub(crate) flaky: Flaky,
    pub(crate) dialect: PhantomData<D>,
}

/// One of the program's connections.
#[derive(Default)]
struct Connection {
    fate: Rc<Fate>,
    /// The event that was last delivered on it.
    delivered_id: RefCell<Option<String>>,
}

impl<D: Dialect> Api<D> {
    /// Serves the program for ever.
    pub(crate) async fn run(self: Rc<Self>, listener: TcpListener) {
        server::accept(&listener, |stream| {
            spawn_local(Rc::clone(&self).talk(stream));
        })
        .await;
    }

    async fn talk(self: Rc<Self>, stream: TcpStream) {
        self.desk.counters().add(Count::Connections);
        let connection = Connection::default();
        let fate = Rc::clone(&connection.fate);
        let answer = |request| self.answer(&connection, request);
        if server::talk(Wire { stream, fate }, answer).await.is_err()
            && let Some(request_id) = connection.delivered_id.take()
        {
            self.desk.redeliver(&request_id);
        }
    }

    async fn answer(&self, connection: &Connection, request: Request<Incoming>) -> Reply {
        let (head, mut body) = request.into_parts();
        let ask = D::route(&head.method, head.uri.path());
        match self.dispatch(connection, &ask, &head, &mut body).await {
            Ok(reply) => reply,
            Err(refusal) => {
                server::drain(&mut body).await;
                self.refuse(&ask, &refusal)
            }
        }
    }

    async fn dispatch(
        &self,
        connection: &Connection,
        ask: &Ask,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Reply, Refusal> {
        match ask {
            Ask::Next => {
                let event = self.desk.next().await?;
                return Ok(self.deliver(connection, &event));
            }
            Ask::Answer(which) => {
                self.take_answer(which, &head.headers, body).await?;
                self.break_after_answer(connection);
            }
            Ask::Error(which) => {
                self.take_error(which, &head.headers, body).await?;
                self.break_after_answer(connection);
            }
            Ask::Ready => {
                if read(&head.headers, body).await?.is_empty() {
                    return Err(Refusal::EmptyBody);
                }
                self.desk.ready();
            }
            Ask::RestoreNext => self.desk.restore()?,
            Ask::InitError | Ask::RestoreError => {
                let during = match ask {
                    Ask::InitError => Phase::Starting,
                    _ => Phase::Restored,
                };
                let error = reported(&head.headers, read(&head.headers, body).await?);
                self.desk.fail_start(during, error)?;
            }
            Ask::Register => {
                let body = read(&head.headers, body).await?;
                return self.register(&head.headers, &body);
            }
            // An extension that wants nothing gets nothing, for as long as it lives.
            Ask::ExtensionNext => return pending().await,
            Ask::Unknown => return Err(Refusal::NotFound),
        }
        Ok(accepted::<D>(ask))
    }

    fn deliver(&self, connection: &Connection, event: &Event) -> Reply {
        connection
            .delivered_id
            .replace(Some(event.request_id.clone()));
        let counters = self.desk.counters();
        let delivery = counters.get(Count::Delivered) + counters.get(Count::Replayed);
        if let Some(place) = self.flaky.breaks_within(delivery, bytes_min(event)) {
            counters.add(Count::Cut);
            connection.fate.break_after(place);
        }
        let mut reply = Response::new(Full::new(event.body.clone()));
        *reply.headers_mut() = event.headers.clone();
        reply
    }

    async fn take_answer(
        &self,
        which: &Which,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<(), Refusal> {
        let claim = self.claim(which, headers)?;
        let mode = match mode(headers) {
            Ok(mode) => mode,
            Err(mode) => {
                claim.settle(Err(Failure::UnknownMode(mode.clone())));
                self.desk.wedge();
                return Err(Refusal::UnknownMode(mode));
            }
        };
        let bytes_max = match mode {
            Mode::Buffered => D::ANSWER_BYTES_MAX,
            Mode::Streamed => D::STREAM_BYTES_MAX,
        };
        let tap = claim.event().tap.as_ref();
        let answer = answer::read(headers, body, mode, tap, bytes_max).await;
        let refusal = match &answer {
            Ok(_) => Ok(()),
            Err(Failure::TooLarge { bytes_max }) => Err(Refusal::TooLarge {
                bytes_max: *bytes_max,
            }),
            Err(_) => Err(Refusal::Truncated),
        };
        claim.settle(answer);
        refusal
    }

    async fn take_error(
        &self,
        which: &Which,
        headers: &HeaderMap,
        body: &mut Incoming,
    ) -> Result<(), Refusal> {
        let claim = self.claim(which, headers)?;
        let limit = D::ANSWER_BYTES_MAX;
        let (failure, outcome) = match server::read_body(body, headers, limit).await {
            Ok(body) => (Failure::Reported(reported(headers, body)), Ok(())),
            Err(server::BodyError::TooLarge { bytes_max }) => (
                Failure::TooLarge { bytes_max },
                Err(Refusal::TooLarge { bytes_max }),
            ),
            Err(server::BodyError::Cut) => (Failure::Truncated, Err(Refusal::Truncated)),
        };
        claim.settle(Err(failure));
        outcome
    }

    fn claim(&self, which: &Which, headers: &HeaderMap) -> Result<Claim, Refusal> {
        let echo = D::ECHOED.map(|name| (name, headers.get(name)));
        self.desk.claim(which, echo)
    }

    fn register(&self, headers: &HeaderMap, body: &[u8]) -> Result<Reply, Refusal> {
        if self.desk.phase() != Phase::Starting {
            return Err(Refusal::WrongPhase(self.desk.phase()));
        }
        let reply = D::register(&self.function, headers, body)?;
        self.desk.register_extension();
        Ok(reply)
    }

    fn break_after_answer(&self, connection: &Connection) {
        let counters = self.desk.counters();
        let answers = counters.get(Count::Answered) + counters.get(Count::Errors);
        if self.flaky.breaks_after(answers) {
            counters.add(Count::Cut);
            connection.fate.end();
        }
    }

    fn refuse(&self, ask: &Ask, refusal: &Refusal) -> Reply {
        self.desk.counters().add(Count::Refused);
        let Some((status, error_type, message)) = D::refused(ask, refusal) else {
            return accepted::<D>(ask);
        };
        let body = json!({ "errorMessage": message, "errorType": error_type });
        json_reply(status, format!("{body}\n").into())
    }
}

fn accepted<D: Dialect>(ask: &Ask) -> Reply {
    let (status, body) = D::accepted(ask);
    json_reply(status, Bytes::from_static(body.as_bytes()))
}

fn json_reply(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

async fn read(headers: &HeaderMap, body: &mut Incoming) -> Result<Bytes, Refusal> {
    server::read_body(body, headers, REQUEST_BYTES_MAX)
        .await
        .map_err(|error| match error {
            server::BodyError::TooLarge { bytes_max } => Refusal::TooLarge { bytes_max },
            server::BodyError::Cut => Refusal::Truncated,
        })
}

fn reported(headers: &HeaderMap, body: Bytes) -> Reported {
    let error_type = headers.get(ERROR_TYPE_HEADER);
    Reported {
        error_type: error_type.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()),
        body,
    }
}

fn mode(headers: &HeaderMap) -> Result<Mode, String> {
    let Some(mode) = headers.get(MODE_HEADER) else {
        return Ok(Mode::Buffered);
    };
    let mode = String::from_utf8_lossy(mode.as_bytes());
    match mode.to_ascii_lowercase().as_str() {
        "" | "buffered" => Ok(Mode::Buffered),
        "streaming" => Ok(Mode::Streamed),
        _ => Err(mode.into_owned()),
    }
}

/// What the event takes on the wire, without what hyper adds.
fn bytes_min(event: &Event) -> usize {
    let fields = event.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    "HTTP/1.1 200 OK\r\n\r\n".len() + fields.sum::<usize>() + event.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Option<&str>, want: Result<Mode, &str>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(MODE_HEADER, value.parse().unwrap());
        }
        assert_eq!(mode(&headers), want.map_err(str::to_owned), "{value:?}");
    }

    #[test]
    fn modes() {
        check(None, Ok(Mode::Buffered));
        check(Some("streaming"), Ok(Mode::Streamed));
        check(Some("Streaming"), Ok(Mode::Streamed));
        check(Some("buffered"), Ok(Mode::Buffered));
        check(Some("chunked"), Err("chunked"));
    }
}
