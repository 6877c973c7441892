//! One call, from a complete message to the answer's bytes: marker, handler, marker, renderer.

use core::cell::Cell;

use super::answer::{Coding, Due, Outcome, Renderer, Reply, Stream};
use super::config::Config;
use super::gateway::{Answer, Lent, Ready};
use super::poll::{self, Client, Progress, Turn};
use super::settings::Switch;
use super::side::Side;
use super::{deferred, gateway, panics, push};
use crate::bytes::Writer;
use crate::handler::{
    Context, Error, Flow, Handler, Platform, Report, Request, Response, Rest, Scope,
};
use crate::http::exchange::Message;
use crate::http::head::{self, Head};
use crate::http::{Kind, Parsed, Persist};
use crate::log;
use crate::net::pool::Pool;
use crate::platform::fc::{self, Marker};
use crate::platform::gateway::Shape;
use crate::platform::{Call, response};
use crate::sys::memory::Mapping;
use crate::sys::{clock, env};

/// The handler, and what every call of it needs.
pub struct Caller<H> {
    pub(super) handler: H,
    pub renderer: Renderer,
    /// Of connections to an API.
    pub progress: Progress,
}

impl<H: Handler> Caller<H> {
    pub fn new(handler: H, renderer: Renderer) -> Self {
        Self {
            handler,
            renderer,
            progress: Progress::NONE,
        }
    }

    /// Whether events that are HTTP requests are answered as such.
    #[inline]
    pub fn takes_events(&self) -> bool {
        self.handler.scope() != Scope::Requests
    }

    /// Answers a message: a request by a response, a response of an API by the next request.
    #[inline(never)]
    pub fn answer<'a>(&'a mut self, side: &mut Side, message: &Message<'a>) -> Reply<'a> {
        let Self {
            handler,
            renderer,
            progress,
        } = self;
        let mut request = Request {
            head: message.head,
            body: message.body,
        };
        if let Some(client) = side.client() {
            match poll::turn(renderer, progress, client, message.head.status) {
                Turn::Event => {
                    request.head.method = "POST";
                    request.head.target = "/";
                }
                Turn::Ask(next) => return poll::ask(renderer, client, next, &message.head),
                Turn::End => return Reply::LAST,
            }
        }
        let Renderer {
            config, buffers, ..
        } = renderer;
        let scope = handler.scope();
        let (call, place) = if side.is_client() {
            let call = if const { gateway::serves::<H>() } && scope != Scope::Requests {
                Call::Invoke
            } else {
                poll::call(config)
            };
            (call, &mut buffers.prelude_or_failure[..])
        } else {
            let call = match scope {
                Scope::All => Call::Http,
                Scope::Requests | Scope::Events => push::route(config, &request),
            };
            (call, &mut buffers.head[..])
        };
        let rest = Cell::new(offered::<H>());
        let cx = context(config, renderer.time.now_ms(), &message.head, &rest);
        let id = cx.id();
        log_marker(config, call, Marker::Start, id);
        export_trace_id(config, &cx);
        let result = perform(handler, call, &request, &cx, &mut Writer::new(place));
        let stream = match rest.get() {
            Rest::Stream(state) if H::STREAMS => Some(state),
            _ => None,
        };
        match &result {
            Ok(_) if H::DEFERS && matches!(rest.get(), Rest::Later(_)) => {}
            Ok(_) if stream.is_none() => log_marker(config, call, Marker::End, id),
            Ok(_) => {}
            Err(error) => log_failure(config, call, error, id),
        }
        if let Some(client) = side.client() {
            let receipt = buffers.receipts.of(client.index);
            if let Some(receipt) = receipt {
                receipt.begin(id);
            }
        }
        if H::DEFERS
            && result.is_ok()
            && let Rest::Later(number) = rest.get()
        {
            return put_off(call, number, message.persist, &cx);
        }
        render(
            renderer,
            side,
            call,
            &message.head,
            message.persist,
            result.as_ref(),
            Report::NONE,
            stream,
        )
    }

    /// The answer to a call that was put off as `number`: from the handler, or because its time is over. `head`
    /// is the head of the message that is answered, which came at `arrived_ms`.
    #[allow(clippy::too_many_arguments, reason = "what is kept of a call")]
    #[inline(never)]
    pub fn resume<'a>(
        &'a mut self,
        side: &mut Side,
        head: &[u8],
        arrived_ms: u64,
        persist: Persist,
        call: Call,
        number: u64,
        due: Due,
        pool: &mut Pool,
        lent: &'a mut Lent,
    ) -> Reply<'a> {
        let mut fields = head::fields();
        let head = parsed_again(side.kind(), head, &mut fields);
        let rest = Cell::new(Rest::Nothing);
        let Self {
            handler, renderer, ..
        } = self;
        let Renderer {
            config, buffers, ..
        } = renderer;
        let cx = context(config, arrived_ms, &head, &rest);
        let id = cx.id();
        let mut report = Report::NONE;
        let place = if side.is_client() {
            &mut buffers.prelude_or_failure[..]
        } else {
            &mut buffers.head[..]
        };
        let mut place = Writer::new(place);
        let scope = handler.scope();
        let mut response = Response::new(200);
        let given = ask(handler, call, number, due, &mut response, &mut report, &cx);
        let stream = cx.streamed();
        if const { gateway::serves::<H>() }
            && call == Call::Http
            && let Some((client, shape)) = gateway::asked(side)
        {
            let made = given.and_then(|()| {
                let passed = if scope == Scope::All {
                    report.passed
                } else {
                    b""
                };
                gateway::put_response(shape, passed, &response, &mut place)
            });
            let lent = &mut lent.answer;
            let (shape, report) = (Some(shape), report.json);
            return render_event(
                renderer, client, &head, id, made, shape, report, stream, pool, lent,
            );
        }
        let result = given.and_then(|()| {
            if call == Call::Http {
                put_head(cx.platform(), scope, &response, &mut report, &mut place)?;
            }
            let head_len = place.written().len();
            Ok(Outcome::new(response.status, head_len, response.body))
        });
        match &result {
            Ok(_) if H::STREAMS && stream.is_some() => {}
            Ok(_) => log_marker(config, call, Marker::End, id),
            Err(error) => log_failure(config, call, error, id),
        }
        let result = result.as_ref();
        render(renderer, side, call, &head, persist, result, report, stream)
    }

    /// The answer to an event whose pieces were collected, or whose handler failed over them: `head` is
    /// that of the message that is answered.
    pub fn collected<'a>(
        &'a mut self,
        side: &mut Side,
        head: &[u8],
        persist: Persist,
        result: Result<&'a [u8], &Error>,
        pool: &mut Pool,
        lent: &'a mut Lent,
    ) -> Reply<'a> {
        let mut fields = head::fields();
        let head = parsed_again(side.kind(), head, &mut fields);
        if const { gateway::serves::<H>() }
            && let Some((client, shape)) = gateway::asked(side)
            && let Ok(kept) = result
        {
            let renderer = &mut self.renderer;
            let answer = gateway::collected(renderer, kept);
            return match gateway::encode(&answer, pool, &mut lent.answer) {
                Ok(answer) => gateway::render(renderer, client, shape, &head, &answer),
                Err(error) => {
                    poll::render(renderer, client, Call::Http, &head, Err(&error), b"", None)
                }
            };
        }
        let outcome = result.map(|body| Outcome::new(200, 0, body));
        let result = outcome.as_ref().map_err(|error| *error);
        render(
            &mut self.renderer,
            side,
            Call::Invoke,
            &head,
            persist,
            result,
            Report::NONE,
            None,
        )
    }

    /// Asks the handler for the next piece of an answer, which it writes to `piece`. `head` is the
    /// head of the message that is answered, which came at `arrived_ms`.
    ///
    /// # Errors
    /// The handler failed, and that is logged.
    pub fn next_piece(
        &mut self,
        kind: Kind,
        head: &[u8],
        arrived_ms: u64,
        stream: Stream,
        state: &mut u64,
        piece: &mut Writer<'_>,
    ) -> Result<Flow, Error> {
        let room = piece.room();
        let mut fields = head::fields();
        let head = parsed_again(kind, head, &mut fields);
        let unused = Cell::new(Rest::Nothing);
        let config = &self.renderer.config;
        let cx = context(config, arrived_ms, &head, &unused);
        let handler = &mut self.handler;
        let result = panics::call(|| handler.stream(state, piece, &cx)).and_then(|flow| {
            let fault = if piece.is_cut() {
                "a piece longer than its room"
            } else if room == 0 && flow != Flow::End {
                "an answer longer than a body may be"
            } else {
                return Ok(flow);
            };
            // A handler that said that this was the end has ended the answer itself.
            if flow != Flow::End {
                give_up(handler, *state);
            }
            Err(Error::fixed("BadPiece", fault))
        });
        match &result {
            Ok(Flow::End) => log_marker(config, stream.call, Marker::End, cx.id()),
            Ok(_) => {}
            Err(error) => log_failure(config, stream.call, error, cx.id()),
        }
        result
    }

    /// Nobody takes the rest of an answer.
    pub fn abandon(&mut self, kind: Kind, head: &[u8], stream: Stream, state: u64) {
        give_up(&mut self.handler, state);
        if stream.coding == Coding::Refused {
            return;
        }
        let mut fields = head::fields();
        let head = parsed_again(kind, head, &mut fields);
        let unused = Cell::new(Rest::Nothing);
        let Renderer { config, time, .. } = &mut self.renderer;
        let request_id = context(config, time.now_ms(), &head, &unused).id();
        if H::DEFERS && stream.coding == Coding::Later {
            let error = Error::fixed("Abandoned", "nobody waits for the answer any more");
            return log_failure(config, stream.call, &error, request_id);
        }
        log_marker(config, stream.call, Marker::End, request_id);
    }

    /// The descriptor by which the handler tells that calls can be answered which were put off.
    pub fn waker(&mut self) -> Option<i32> {
        panics::call(|| Ok(self.handler.waker())).unwrap_or_default()
    }

    /// A call that was put off and can be answered.
    pub fn woken(&mut self) -> Option<u64> {
        // A panic in it has no call that it could fail: it is printed by its hook.
        panics::call(|| Ok(self.handler.woken())).unwrap_or_default()
    }

    /// The process ends.
    pub fn end(&mut self) {
        // A panic in it has no call that it could fail: it is printed by its hook.
        let _ = panics::call(|| {
            self.handler.end();
            Ok(())
        });
    }

    /// Calls `initialize` or `pre_stop`, because no message asks for them.
    ///
    /// # Errors
    /// The handler failed, and that is logged.
    pub fn hook(&mut self, call: Call) -> Result<(), Error> {
        let Renderer { config, time, .. } = &mut self.renderer;
        let rest = Cell::new(Rest::Nothing);
        let cx = context(config, time.now_ms(), &Head::default(), &rest);
        let request = Request::default();
        let handler = &mut self.handler;
        let done = perform(handler, call, &request, &cx, &mut Writer::new(&mut []));
        if let Err(error) = &done {
            log_failure(config, call, error, b"");
        }
        done.map(drop)
    }
}

/// The answer to a call, whoever sends it and however late: `head` is that of the message which asked for it,
/// `report` what a failure is beside its error, `stream` what the handler knows the
/// rest of the answer by, if there is more to come.
#[allow(
    clippy::too_many_arguments,
    reason = "one call for each part of a call"
)]
#[inline(never)]
fn render<'a>(
    renderer: &'a mut Renderer,
    side: &mut Side,
    call: Call,
    head: &Head<'_>,
    persist: Persist,
    result: Result<&Outcome<'a>, &Error>,
    report: Report<'a>,
    stream: Option<u64>,
) -> Reply<'a> {
    match side.client() {
        Some(client) => poll::render(renderer, client, call, head, result, report.json, stream),
        None => push::render(renderer, call, head, persist, result, report, stream),
    }
}

/// Nothing yet, for a call that is put off as `number`.
pub fn put_off<'a>(call: Call, number: u64, persist: Persist, cx: &Context<'_>) -> Reply<'a> {
    let coding = Coding::Later;
    Reply {
        persist,
        rest: Some((Stream { call, coding }, number)),
        remaining_ms: cx.remaining_ms(),
        ..Reply::NOTHING
    }
}

/// The answer to an event that is an HTTP request: `event` is the head of the response that it came with, `made` what
/// the answer begins with, for the gateway whose events have that shape or else in pieces; `report` and `stream` as
/// for [`render`].
#[allow(
    clippy::too_many_arguments,
    reason = "one call for each part of a call"
)]
#[inline(never)]
pub fn render_event<'a>(
    renderer: &'a mut Renderer,
    client: &mut Client,
    event: &Head<'_>,
    id: &[u8],
    made: Result<Answer<'a>, Error>,
    shape: Option<Shape>,
    report: &'a [u8],
    stream: Option<u64>,
    pool: &mut Pool,
    lent: &'a mut Option<Mapping>,
) -> Reply<'a> {
    let call = Call::Http;
    let ready = made
        .and_then(|answer| gateway::ready(renderer, client, &answer, shape, stream, pool, lent));
    let result = match &ready {
        Ok(Ready::Kept(reply)) => return *reply,
        Ok(Ready::Whole(shape, answer)) => {
            let reply = gateway::render(renderer, client, *shape, event, answer);
            let coding = Coding::Dropped;
            let rest = stream.map(|state| (Stream { call, coding }, state));
            return Reply { rest, ..reply };
        }
        Ok(Ready::Prelude(outcome)) => Ok(outcome),
        Err(error) => {
            log_failure(&renderer.config, call, error, id);
            Err(error)
        }
    };
    poll::render(renderer, client, call, event, result, report, stream)
}

/// Writes what a response begins with that comes late: what another server's begins with, if the handler passes that
/// on.
fn put_head(
    platform: Platform,
    scope: Scope,
    response: &Response<'_>,
    report: &mut Report<'_>,
    head: &mut Writer<'_>,
) -> Result<(), Error> {
    if scope != Scope::All || report.passed.is_empty() {
        return response::head(platform, response, head);
    }
    let has_date = response::passed_head(platform, report.passed, response, head)?;
    report.set_has_date(has_date);
    Ok(())
}

/// Asks for the answer to a call that was put off as `number`, if it is not too late for it.
#[inline]
fn ask<'a, H: Handler>(
    handler: &'a mut H,
    call: Call,
    number: u64,
    due: Due,
    response: &mut Response<'a>,
    report: &mut Report<'a>,
    cx: &Context<'_>,
) -> Result<(), Error> {
    if due == Due::TooLate {
        give_up(handler, number);
        let fault = "no answer before the deadline";
        return Err(Error::fixed("TimedOut", fault));
    }
    let is_http = call == Call::Http;
    ended(cx, || {
        handler.resume_any(number, is_http, response, report, cx)
    })?;
    match cx.rest.get() {
        Rest::Stream(_) if H::STREAMS => check_rest::<H>(call, cx),
        Rest::Nothing => Ok(()),
        _ => {
            cx.rest.set(Rest::Nothing);
            let fault = "an answer that comes later cannot be put off again";
            Err(Error::fixed("NoDefer", fault))
        }
    }
}

/// Tells the handler that nobody asks for the rest of an answer.
fn give_up<H: Handler>(handler: &mut H, state: u64) {
    // A panic in it has no call that it could fail: it is printed by its hook.
    let _ = panics::call(|| {
        handler.abandon(state);
        Ok(())
    });
}

/// A head that was kept: it was parsed before, and so can be parsed again.
fn parsed_again<'h, 'b: 'h>(
    kind: Kind,
    bytes: &'b [u8],
    fields: &'h mut head::Fields<'b>,
) -> Head<'h> {
    match head::parse(kind, bytes, fields) {
        Ok(Parsed::Done(head)) => head,
        _ => Head::default(),
    }
}

/// What a handler finds where it leaves that its answer goes on, or comes later.
#[inline]
pub fn offered<H: Handler>() -> Rest {
    if H::DEFERS {
        Rest::Offered(deferred::next_call())
    } else {
        Rest::Nothing
    }
}

/// Lets the function see the trace of its event. With many events at once there is no one trace.
#[inline]
pub fn export_trace_id(config: &Config, cx: &Context<'_>) {
    if config.platform() == Platform::Lambda && config.is_alone() {
        env::export("_X_AMZN_TRACE_ID", || cx.trace_id());
    }
}

/// What the handler is told about the call that has this head.
#[inline]
pub fn context<'a>(
    config: &Config,
    arrived_ms: u64,
    head: &Head<'a>,
    rest: &'a Cell<Rest>,
) -> Context<'a> {
    Context {
        platform: config.platform(),
        headers: head.headers,
        arrived_ms,
        now_ms: clock::epoch_ms,
        environment: env::var,
        rest,
    }
}

/// Logs a marker, for a platform that does not do so itself.
fn log_marker(config: &Config, call: Call, marker: Marker, request_id: &[u8]) {
    if config.platform() == Platform::Fc && config.markers == Switch::On {
        let mut place = [0; 256];
        let mut line = Writer::new(&mut place);
        fc::put_marker(call, marker, request_id, &mut line);
        log::write(line.written());
    }
}

/// Logs what went wrong, before the marker that ends the call.
pub fn log_failure(config: &Config, call: Call, error: &Error, request_id: &[u8]) {
    log::failure(
        request_id,
        error.kind(),
        error.message_bytes(),
        error.place_bytes(),
    );
    log_marker(config, call, Marker::Failed, request_id);
}

/// Calls the method that the call is for. A panic in it is an error, where there is unwinding.
/// `head` takes what an HTTP function's response begins with.
#[inline]
fn perform<'a, H: Handler>(
    handler: &'a mut H,
    call: Call,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<Outcome<'a>, Error> {
    if call == Call::Http {
        return perform_http(handler, request, cx, head);
    }
    let result = match call {
        Call::Invoke | Call::Http => panics::call(|| handler.invoke(request.body(), cx)),
        hook => panics::call(|| perform_hook(handler, hook, cx)).map(|()| &b""[..]),
    };
    match result {
        Ok(body) => check_rest::<H>(call, cx).map(|()| Outcome::new(200, 0, body)),
        Err(error) => {
            cx.rest.set(Rest::Nothing);
            Err(error)
        }
    }
}

fn perform_hook<H: Handler>(handler: &mut H, hook: Call, cx: &Context<'_>) -> Result<(), Error> {
    match hook {
        Call::Initialize => handler.initialize(cx),
        Call::PreFreeze => handler.pre_freeze(cx),
        Call::PreStop => handler.pre_stop(cx),
        Call::Invoke | Call::Http => Ok(()),
    }
}

/// Calls the handler. One that fails has ended its answer itself, so that nothing of it goes on.
fn ended<T>(cx: &Context<'_>, handler: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panics::call(handler).inspect_err(|_| cx.rest.set(Rest::Nothing))
}

/// Calls an HTTP function, and writes what its response begins with to `head`.
#[inline]
fn perform_http<'a, H: Handler>(
    handler: &'a mut H,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<Outcome<'a>, Error> {
    let given = respond(handler, request, cx)?;
    response::head(cx.platform(), &given, head)?;
    let head_len = head.written().len();
    Ok(Outcome::new(given.status, head_len, given.body))
}

/// Calls an HTTP function.
#[inline]
pub fn respond<'a, H: Handler>(
    handler: &'a mut H,
    request: &Request<'a>,
    cx: &Context<'_>,
) -> Result<Response<'a>, Error> {
    let given = ended(cx, || handler.http(request, cx));
    if given.is_ok() {
        check_rest::<H>(Call::Http, cx)?;
        // What comes with a call that is put off is nobody's.
        if H::DEFERS && matches!(cx.rest.get(), Rest::Later(_)) {
            return Ok(Response::new(200));
        }
    }
    given
}

/// Whether the call may go on as it wants to.
fn check_rest<H: Handler>(call: Call, cx: &Context<'_>) -> Result<(), Error> {
    let (kind, fault) = match (cx.rest.get(), call) {
        (Rest::Nothing, _) => return Ok(()),
        (Rest::Offered(_) | Rest::Later(1..), _) if H::DEFERS => return Ok(()),
        (Rest::Stream(_), Call::Http | Call::Invoke) if H::STREAMS => return Ok(()),
        // One text for both, because a handler that does neither should not carry two.
        _ if !H::STREAMS && !H::DEFERS => ("NoStream", "STREAMS or DEFERS is false"),
        (Rest::Stream(_), _) if !H::STREAMS => ("NoStream", "STREAMS is false"),
        (Rest::Stream(_), _) => ("NoStream", "a hook has no answer"),
        _ if !H::DEFERS => ("NoDefer", "DEFERS is false"),
        _ => (
            "NoDefer",
            "neither beside a stream, nor in a hook that nothing asked for",
        ),
    };
    Err(Error::fixed(kind, fault))
}
