//! FC's gateway: takes HTTP triggers and the invoke API's calls, hands them to the warm instance.
//!
//! ```text
//! answer: limits, body, route ─┬─ HTTP trigger:  request through, answer streamed back
//!                              └─ API invoke:    event to /invoke, the answer's body back
//! ```
//! Every call is shown: its request line when it comes, what the function prints, a summary at its end.

use super::contract::{self, Call, Control};
use super::failure;
use super::instance::{Answer, Instance, Launcher, Meter};
use super::reply::{self, Refusal, Reply, ReplyBody};
use super::route::{self, Route, Tail, Wait};
use crate::figures::Figures;
use crate::function::Function;
use crate::log::TAIL_BYTES;
use crate::serve;
use crate::server;
use crate::terminal::say;
use crate::warm::{Lease, Warm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::Either;
use http_body_util::channel::{Channel, Sender};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use std::error::Error;
use std::rc::Rc;
use tokio::task::spawn_local;

/// How much of a request's path and query is shown.
const SHOWN_CHARS: usize = 200;

/// Calls that an instance takes at the same time where the function's settings say nothing.
const CONCURRENCY: u32 = 20;

pub(crate) struct Gateway {
    warm: Warm<Launcher>,
}

/// A call in progress. If dropped before it ends, its client has disconnected.
struct Running {
    lease: Lease<Instance>,
    call: Call,
    meter: Meter,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Open,
    Shown,
}

impl Gateway {
    pub(crate) fn new(function: Rc<Function>) -> Self {
        let concurrency = function.concurrency.unwrap_or(CONCURRENCY);
        Self {
            warm: Warm::new(Launcher(function), concurrency),
        }
    }

    async fn reply(self: Rc<Self>, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        // A proxy's client names the host in the target too; the function sees path and query.
        let target = head.uri.path_and_query().map_or("*", PathAndQuery::as_str);
        let route = route::route(&head.method, head.uri.path());
        let call = match &route {
            Route::Http => Call::new(Control::HttpInvoke),
            Route::Invoke { service, function } => Call {
                service: service.clone(),
                function: Some(function.clone()),
                ..Call::new(Control::Invoke)
            },
        };
        say(format_args!(
            "--> {} {} {:.SHOWN_CHARS$}",
            call.request_id, head.method, target
        ));
        let request_id = call.request_id.clone();
        let reply = match route {
            Route::Http => self.http(call, head, body).await,
            Route::Invoke { .. } => self.invoke(call, head, body).await,
        };
        reply.unwrap_or_else(|refusal| refuse(&refusal, &request_id))
    }

    /// An HTTP trigger's request.
    async fn http(&self, call: Call, head: Parts, mut body: Incoming) -> Result<Reply, Refusal> {
        reply::check_head(&head.uri, &head.headers)?;
        let body = server::read_body(&mut body, &head.headers, reply::BODY_BYTES_MAX).await?;
        let mut running = self.start(call).await?;
        let uri = head
            .uri
            .into_parts()
            .path_and_query
            .map_or_else(Uri::default, Uri::from);
        let target = (head.method, uri);
        let headers = pass_to_function(head.headers);
        let request = running
            .instance()
            .http(&running.call, target, headers, body);
        match running.instance().send(request, &running.meter).await {
            Ok(response) => Ok(stream_back(running, response)),
            Err(failure) => Ok(running.fail(&failure, StatusCode::BAD_GATEWAY)),
        }
    }

    /// A call of the API.
    async fn invoke(
        self: &Rc<Self>,
        call: Call,
        head: Parts,
        mut body: Incoming,
    ) -> Result<Reply, Refusal> {
        reply::check_head(&head.uri, &head.headers)?;
        let wait = route::wait(&head.headers);
        let bytes_max = match wait {
            Wait::Sync => reply::BODY_BYTES_MAX,
            Wait::Async => reply::ASYNC_BODY_BYTES_MAX,
        };
        let event = server::read_body(&mut body, &head.headers, bytes_max).await?;
        if wait == Wait::Sync {
            return self.event(call, event, route::tail(&head.headers)).await;
        }
        let accepted = reply::whole(StatusCode::ACCEPTED, &call.request_id, Bytes::new());
        let gateway = Rc::clone(self);
        spawn_local(async move {
            let request_id = call.request_id.clone();
            if let Err(refusal) = gateway.event(call, event, Tail::Unwanted).await {
                // Nobody waits for the reply, but it shows why.
                refuse(&refusal, &request_id);
            }
        });
        Ok(accepted)
    }

    /// One event, answered as the API does: whatever the function's status, the caller's is 200.
    async fn event(&self, call: Call, event: Bytes, tail: Tail) -> Result<Reply, Refusal> {
        let mut running = self.start(call).await?;
        let request = running.instance().event(&running.call, event);
        match running.instance().exchange(request, &running.meter).await {
            Ok(answer) => Ok(running.succeed(answer, tail)),
            Err(failure) => {
                let status = match failure {
                    failure::Call::TimedOut(_) => StatusCode::OK,
                    failure::Call::Exited(_) | failure::Call::Broken(_) => StatusCode::BAD_GATEWAY,
                };
                Ok(running.fail(&failure, status))
            }
        }
    }

    async fn start(&self, call: Call) -> Result<Running, Refusal> {
        let lease = self
            .warm
            .lease()
            .await
            .map_err(|failure| Refusal::NotStarted {
                failure,
                control: call.control,
            })?;
        let meter = lease.instance().meter().await;
        Ok(Running {
            lease,
            call,
            meter,
            state: State::Open,
        })
    }
}

impl serve::Gateway for Gateway {
    type Body = ReplyBody;

    async fn warm_up(&self) -> Result<(), Box<dyn Error>> {
        Ok(self.warm.lease().await.map(drop)?)
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Reply {
        self.reply(request).await
    }

    async fn stop(&self) {
        self.warm.stop().await;
    }
}

impl Running {
    fn instance(&self) -> &Instance {
        self.lease.instance()
    }

    /// Ends the call and shows how.
    fn show(&mut self, end: &str) -> (Figures, Vec<u8>) {
        self.state = State::Shown;
        let (figures, log) = self.instance().figures(&self.meter);
        say(format_args!(
            "<-- {} {end}, {figures}",
            self.call.request_id
        ));
        (figures, log)
    }

    fn succeed(&mut self, answer: Answer, tail: Tail) -> Reply {
        let error_type = answer.error_type();
        let (figures, log) = match error_type {
            None => self.show("200"),
            Some(error_type) => self.show(error_type),
        };
        let mut reply = reply::whole(StatusCode::OK, &self.call.request_id, answer.body);
        let headers = reply.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        reply::set(headers, "x-fc-instance-id", &self.instance().id);
        reply::set(
            headers,
            "x-fc-invocation-duration",
            &figures.billed_ms().to_string(),
        );
        reply::set(
            headers,
            "x-fc-max-memory-usage",
            &format!("{:.2}", figures.memory_peak_mb()),
        );
        if let Some(error_type) = error_type {
            reply::set(headers, "x-fc-error-type", error_type);
        }
        if tail == Tail::Wanted {
            reply::set(
                headers,
                "x-fc-log-result",
                &BASE64.encode(tail_of(log, &figures)),
            );
        }
        reply
    }

    fn fail(&mut self, failure: &failure::Call, status: StatusCode) -> Reply {
        let (figures, _) = self.show(&format!("{failure} ({})", failure.detail()));
        let message = failure.message(&figures);
        reply::failed(status, &self.call.request_id, failure::UNHANDLED, &message)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.state == State::Open {
            self.meter.end();
            self.show("Invocation canceled by client");
        }
    }
}

/// The log as FC hands it back: what the call printed, then its figures, at most 4 KiB from the end.
fn tail_of(mut log: Vec<u8>, figures: &Figures) -> Vec<u8> {
    log.extend_from_slice(format!("\n{figures}\n").as_bytes());
    let excess = log.len().saturating_sub(TAIL_BYTES);
    log.drain(..excess);
    log
}

/// Passes the answer on while it comes.
fn stream_back(mut running: Running, response: Response<Incoming>) -> Reply {
    let (head, body) = response.into_parts();
    if let Err(refusal) = reply::check_response_head(&head.headers) {
        running.show(&refusal.message());
        return refusal.reply(&running.call.request_id);
    }
    let error_type = failure::reported(&head.headers);
    let mut reply = reply::whole(head.status, &running.call.request_id, Bytes::new());
    let headers = reply.headers_mut();
    if let Some(error_type) = error_type {
        reply::set(headers, "x-fc-error-type", error_type);
    }
    for (name, value) in &head.headers {
        // How the body is framed on this hop is this hop's matter.
        if !contract::is_dropped_from_response(name) && name != TRANSFER_ENCODING {
            headers.append(name, value.clone());
        }
    }
    if body.is_end_stream() {
        running.show(head.status.as_str());
        return reply;
    }
    let (sender, channel) = Channel::new(1);
    spawn_local(pump(running, body, sender, head.status));
    reply.map(|_| Either::Right(channel))
}

/// Moves the body, piece by piece, as fast as the client takes it.
async fn pump(
    mut running: Running,
    mut body: Incoming,
    mut sender: Sender<Bytes, failure::Call>,
    status: StatusCode,
) {
    loop {
        match running.instance().frame(&mut body, &running.meter).await {
            Ok(Some(frame)) => {
                if sender.send(frame).await.is_err() {
                    // The client left; dropping the call says so.
                    return;
                }
            }
            Ok(None) => {
                running.show(status.as_str());
                return;
            }
            Err(failure) => {
                running.fail(&failure, status);
                sender.abort(failure);
                return;
            }
        }
    }
}

/// The client's headers without those that are the gateway's. Go sends one chunked body where the client
/// did, so that framing header stays.
fn pass_to_function(headers: HeaderMap) -> HeaderMap {
    let is_chunked = headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|coding| coding == "chunked");
    let mut passed = HeaderMap::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in headers {
        // A repeated name comes once, its further values without.
        last = name.or(last);
        if let Some(name) = &last
            && !contract::is_dropped_from_request(name)
            && (is_chunked || name != TRANSFER_ENCODING)
        {
            passed.append(name.clone(), value);
        }
    }
    passed
}

fn refuse(refusal: &Refusal, request_id: &str) -> Reply {
    say(format_args!("<-- {request_id} {}", refusal.message()));
    refusal.reply(request_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;
    use std::time::Duration;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(given: &[(&str, &str)], want: &[(&str, &str)]) {
        assert_eq!(pass_to_function(headers(given)), headers(want), "{given:?}");
    }

    #[test]
    fn a_clients_headers_pass_but_for_the_gateways() {
        check(
            &[("accept", "a"), ("accept", "b")],
            &[("accept", "a"), ("accept", "b")],
        );
        check(
            &[("x-fc-request-id", "forged"), ("host", "h")],
            &[("host", "h")],
        );
        check(
            &[("x-fc-a", "1"), ("x-fc-a", "2"), ("te", "trailers")],
            &[("te", "trailers")],
        );
        check(
            &[
                ("connection", "close"),
                ("keep-alive", "5"),
                ("expect", "100-continue"),
            ],
            &[],
        );
        check(
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", "chunked")],
        );
        check(&[("transfer-encoding", "gzip, chunked")], &[]);
    }

    #[test]
    fn the_tail_is_the_end_and_has_the_figures() {
        let figures = Figures {
            duration: Duration::from_millis(1),
            memory_mb: 128,
            memory_peak_bytes: 1 << 20,
        };
        let tail = tail_of(b"a line\n".repeat(1000), &figures);
        assert_eq!(tail.len(), TAIL_BYTES);
        assert!(tail.ends_with(format!("a line\n\n{figures}\n").as_bytes()));
        assert!(tail_of(Vec::new(), &figures).starts_with(b"\nDuration: 1.00 ms"));
    }
}
