//! One instance: a program, how calls reach it, and their clock.
//!
//! ```text
//! start:   spawn, wait until it is ready, call FC's initializer; an exit, a time-out or a misfit ends it
//! perform: over HTTP    request out, head and body of the answer back
//!          runtime API  submit to the desk, wait for the answer, and until the program asks again
//!          all against the deadline; past it the whole process group is killed
//! stop:    SIGTERM and some time where the platform leaves any, then SIGKILL
//! ```

use crate::call::{Answer, Call, Head, Mode, Outcome, Payload, Piece};
use crate::client::{self, Client, Connection};
use crate::failure::{Failure, Reason, Reported, Stage};
use crate::figures::Figures;
use crate::function::Function;
use crate::http::set;
use crate::platform::contract::Told;
use crate::platform::dialect::{Dialect, FOREIGN_VARIABLES, Reached};
use crate::process::{Process, SpawnError};
use crate::readiness::{self, Ready};
use crate::runtime_api::api;
use crate::runtime_api::asks::Phase;
use crate::runtime_api::desk::{Desk, Event};
use crate::terminal::say;
use futures_lite::future;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{HeaderMap, Request};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The probe asks every millisecond for a second, then more slowly, because each probe costs a slow
/// program time.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
const PROBE_INTERVAL_SLOW: Duration = Duration::from_millis(20);

/// How long the tool waits for an exit after a broken connection, because that often comes first.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an answer may be on its way, on this machine, after the program that sent it has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(20);

/// Longest answer over HTTP that is taken as a whole.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

pub(crate) struct Instance {
    pub(crate) id: String,
    /// From `exec` until it could be called.
    pub(crate) start_duration: Duration,
    function: Rc<Function>,
    dialect: &'static dyn Dialect,
    process: Process,
    line: Line,
    client: Client,
    /// Shown with the first call, then taken.
    init_duration: Cell<Option<Duration>>,
}

/// How calls reach the program.
struct Line {
    /// Where the program listens, or where the API does.
    address: SocketAddr,
    ready: Ready,
    /// Of a program that polls.
    desk: Option<Rc<Desk>>,
    /// Serves the API until it is dropped.
    _api: JoinSet<()>,
}

/// One call being measured.
pub(crate) struct Meter {
    started: Instant,
    /// What is found out about a failure afterwards is not the call's time.
    ended: Cell<Option<Instant>>,
    deadline: Instant,
    log_position: u64,
    /// Taken before the clock starts.
    connection: RefCell<Option<Connection>>,
}

impl Instance {
    /// Starts the program and waits until it is ready for calls.
    pub(crate) async fn start(
        function: &Rc<Function>,
        dialect: &'static dyn Dialect,
    ) -> Result<Self, Failure> {
        let not_spawned = |error| {
            let program = function.program();
            Stage::Start.failed(Reason::Spawn(SpawnError { program, error }))
        };
        let line = Line::open(function, dialect).await.map_err(not_spawned)?;
        let (id, facts) = (dialect.instance_id(), dialect.facts());
        let told = Told {
            function,
            instance_id: &id,
            address: line.address,
            request_id: "",
        };
        let variables = facts.keys.fill(facts.variables, &told);
        let started = Instant::now();
        let process = Process::start(function, &id, variables, FOREIGN_VARIABLES).await;
        let mut instance = Self {
            id,
            start_duration: Duration::ZERO,
            function: Rc::clone(function),
            dialect,
            process: process.map_err(not_spawned)?,
            client: Client::new(line.address),
            line,
            init_duration: Cell::default(),
        };
        instance.wait_until_ready().await?;
        instance.start_duration = started.elapsed();
        instance.init_duration.set(Some(instance.start_duration));
        if function.has_initializer {
            instance.initialize().await?;
        }
        Ok(instance)
    }

    async fn wait_until_ready(&self) -> Result<(), Failure> {
        let limit = self.function.start_timeout;
        let limit = limit.unwrap_or(self.dialect.facts().start_timeout);
        let desk = self.line.desk.as_ref();
        let has_connected = || desk.is_some_and(|desk| desk.has_connection());
        let failed = |reason| Err(Stage::Start.failed(reason));
        let group = self.process.id();
        let ready = self.line.ready;
        let misfit = readiness::misfit(&self.function, ready, group, has_connected, limit);
        let misfit = async { failed(Reason::Misfit(misfit.await)) };
        let started = async {
            match desk {
                None => listening(self.line.address).await,
                Some(desk) => {
                    let started = desk.started().await;
                    started.map_err(|error| Stage::Initialize.failed(Reason::Reported(error)))?;
                }
            }
            Ok(())
        };
        let ended = async { failed(Reason::Exited(self.ended().await)) };
        let expired = async {
            sleep(limit).await;
            failed(Reason::TimedOut(limit))
        };
        // What the program reported counts, though it may have exited since.
        let ready = future::or(started, future::or(ended, future::or(misfit, expired)));
        let ready = self.process.watched(ready).await;
        if ready.as_ref().is_err_and(Failure::has_started) {
            // It is expected to end by itself; if it stays, it is killed with the instance.
            let _ = timeout(EXIT_TIMEOUT, self.process.exited()).await;
        }
        self.process.log().drain();
        ready
    }

    async fn initialize(&self) -> Result<(), Failure> {
        let call = Call::new(self.dialect.request_id(), Payload::Initialize);
        let meter = self.meter().await;
        let answer = self.perform(Stage::Initialize, call, &meter).await;
        self.process.log().drain();
        let Answer { head, body, .. } = answer?;
        if head.status.is_success() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body);
        let reported = Reported {
            error_type: None,
            body: format!("status {} {body}", head.status.as_u16()).into(),
        };
        Err(Stage::Initialize.failed(Reason::Reported(reported)))
    }

    /// Why it may not be given work.
    pub(crate) fn why_unusable(&self) -> Option<String> {
        let desk = self.line.desk.as_ref();
        let is_wedged = desk.is_some_and(|desk| desk.phase() != Phase::Serving);
        match self.process.exit_status() {
            Some(status) => Some(format!("ended: {status}")),
            None if !self.process.is_alive() => Some("was killed".to_owned()),
            None => is_wedged.then(|| "is beyond use".to_owned()),
        }
    }

    /// Ends the program as the platform does. Lambda sends `SIGTERM` only to one with an extension.
    pub(crate) async fn stop(&self) {
        let limit = match &self.line.desk {
            Some(desk) if !desk.has_extension() => None,
            _ => self.dialect.facts().stop_timeout,
        };
        self.process.stop(limit).await;
    }

    /// Starts the clock of a call.
    pub(crate) async fn meter(&self) -> Meter {
        let connection = match &self.line.desk {
            // A program that takes no connection any more is `perform`'s to report.
            None => timeout(EXIT_TIMEOUT, self.client.take()).await.ok(),
            Some(_) => None,
        };
        self.process.log().drain();
        self.process.memory_peak_bytes();
        let started = Instant::now();
        Meter {
            started,
            ended: Cell::default(),
            deadline: started + self.function.timeout,
            log_position: self.process.log().position(),
            connection: RefCell::new(connection.and_then(Result::ok)),
        }
    }

    /// Has one call answered, or finds out why not.
    pub(crate) async fn perform(
        &self,
        stage: Stage,
        call: Call,
        meter: &Meter,
    ) -> Result<Answer, Failure> {
        let request_id = call.request_id.clone();
        let step = async {
            match &self.line.desk {
                None => self.push(call, meter).await,
                Some(desk) => self.submit(desk, call).await,
            }
        };
        let result = self.process.watched(timeout_at(meter.deadline, step)).await;
        if result.is_ok() {
            self.process.watched(self.rest(meter.deadline)).await;
        }
        meter.ended.set(Some(Instant::now()));
        let reason = match result {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(Reason::Broken(why))) => {
                let exited = timeout(EXIT_TIMEOUT, self.process.exited()).await;
                exited.map_or(Reason::Broken(why), Reason::Exited)
            }
            Ok(Err(reason)) => reason,
            Err(_) => {
                self.process.memory_peak_bytes();
                self.process.kill();
                self.process.exited().await;
                Reason::TimedOut(self.function.timeout)
            }
        };
        if let Some(desk) = &self.line.desk {
            desk.forget(&request_id);
        }
        Err(stage.failed(reason))
    }

    /// After a call: what it cost, and the end of what it printed.
    pub(crate) fn outcome(&self, meter: &Meter, result: Result<Answer, Failure>) -> Outcome {
        self.process.log().drain();
        let ended = meter.ended.get().unwrap_or_else(Instant::now);
        Outcome {
            result,
            figures: Figures {
                duration: (ended - meter.started).min(self.function.timeout),
                memory_mb: self.function.memory_mb,
                memory_peak_bytes: self.process.memory_peak_bytes(),
            },
            init_duration: self.init_duration.take(),
            log: self.process.log().tail_since(meter.log_position),
            instance_id: self.id.clone(),
        }
    }

    /// Sends the call as an HTTP request, reads the answer.
    async fn push(&self, call: Call, meter: &Meter) -> Result<Answer, Reason> {
        let tap = call.tap.clone();
        let request = self.request(call);
        let mut connection = match meter.connection.take() {
            Some(connection) => connection,
            None => self.client.take().await.map_err(Reason::Broken)?,
        };
        let broken = |error: hyper::Error| Reason::Broken(client::explain(&error));
        // A program may close an idle connection just now. FC repeats what is safe to repeat, once, and
        // gives up on all else.
        let is_repeatable = connection.is_reused && request.method().is_safe();
        let again = is_repeatable.then(|| request.clone());
        let mut response = connection.sender.send_request(request).await;
        if let (Err(error), Some(again)) = (&response, again)
            && client::is_lost(error)
        {
            connection = self.client.connect().await.map_err(Reason::Broken)?;
            response = connection.sender.send_request(again).await;
        }
        let (parts, mut body) = response.map_err(broken)?.into_parts();
        self.dialect.check_answer_head(&parts.headers)?;
        let head = Head {
            status: parts.status,
            headers: parts.headers,
        };
        let tap = tap.filter(|_| !body.is_end_stream());
        if let Some(tap) = &tap {
            // A client that left ends the call, which is dropped with it.
            let _ = tap.send(Piece::Head(head.clone())).await;
        }
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(broken)?;
            // Where the answer's length is known, its last piece goes out when the call is over: a client that
            // has all of it may call again at once, and finds the instance free.
            let tap = tap.as_ref().filter(|_| !body.is_end_stream());
            if let Some(tap) = tap {
                let _ = tap.send(Piece::Body(frame)).await;
            } else if let Ok(piece) = frame.into_data() {
                if whole.len() + piece.len() > ANSWER_BYTES_MAX {
                    let bytes_max = ANSWER_BYTES_MAX;
                    return Err(Reason::TooLarge { bytes_max });
                }
                whole.extend_from_slice(&piece);
            }
        }
        self.client.give_back(connection);
        Ok(Answer {
            head,
            mode: tap.map_or(Mode::Buffered, |_| Mode::Streamed),
            body: whole.into(),
            late_error: None,
        })
    }

    /// The platform's headers for a call; a header of the caller's replaces the platform's.
    fn headers(&self, call: &Call) -> HeaderMap {
        let facts = self.dialect.facts();
        let told = Told {
            function: &self.function,
            instance_id: &self.id,
            address: self.line.address,
            request_id: &call.request_id,
        };
        let mut headers = facts.keys.headers(facts.headers, &told);
        headers.extend(call.headers.clone());
        headers
    }

    fn request(&self, call: Call) -> Request<Full<Bytes>> {
        let told = self.headers(&call);
        let mut request = self.dialect.http_request(call.payload);
        let length = request.body().len();
        let headers = request.headers_mut();
        for (name, value) in &told {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        headers.extend(call.headers);
        if headers.contains_key(CONTENT_LENGTH) {
            // Whoever calls by hand may have counted wrong.
            headers.insert(CONTENT_LENGTH, length.into());
        }
        if !headers.contains_key(HOST) {
            set(headers, HOST, &self.line.address.to_string());
        }
        request.map(Full::new)
    }

    /// Queues the event for the program's next request, and waits for the answer or the program's end.
    async fn submit(&self, desk: &Desk, call: Call) -> Result<Answer, Reason> {
        let headers = self.headers(&call);
        let request_id = call.request_id.clone();
        let answer = desk.submit(Event {
            request_id: call.request_id,
            headers,
            body: self.dialect.http_request(call.payload).into_body(),
            tap: call.tap,
        });
        // The desk lets go of a sender only by using it, or if nobody waits.
        let answer = async { answer.await.unwrap_or(Err(Reason::Canceled)) };
        let ended = async {
            let status = self.ended().await;
            if desk.is_answering(&request_id) {
                // The program is gone, but the API still reads its answer, because a slow caller holds it up.
                return pending().await;
            }
            Err(Reason::Exited(status))
        };
        future::or(answer, ended).await
    }

    /// The call of a program that polls lasts until it asks for the next event: what it does after its
    /// answer, what it prints and the time it takes are the call's. The answer stands, whatever happens here.
    async fn rest(&self, deadline: Instant) {
        let Some(desk) = &self.line.desk else {
            return;
        };
        if self.function.concurrency.is_some() || desk.phase() != Phase::Serving {
            return;
        }
        let exited = async { _ = self.process.exited().await };
        let rest = future::or(desk.resting(), exited);
        if timeout_at(deadline, rest).await.is_err() {
            say("fnboot: killed: answered, but asked for no other event before the deadline");
            self.process.kill();
        }
    }

    /// Waits for the exit, then a little longer, because a last request may still be on its way.
    async fn ended(&self) -> ExitStatus {
        let status = self.process.exited().await;
        if self.line.desk.is_some() {
            sleep(LAST_WORDS_TIMEOUT).await;
        }
        status
    }
}

impl Line {
    async fn open(function: &Rc<Function>, dialect: &'static dyn Dialect) -> io::Result<Self> {
        let mut api = JoinSet::new();
        let (address, ready, desk) = match dialect.facts().reached {
            Reached::Http { fixed_port } => {
                let port = fixed_port.map_or_else(free_port, check_port)?;
                let is_fixed = fixed_port.is_some();
                let address = (Ipv4Addr::LOCALHOST, port).into();
                (address, Ready::Listen { port, is_fixed }, None)
            }
            Reached::Api { ready, .. } => {
                let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                let address = listener.local_addr()?;
                let desk = Rc::new(Desk::new(ready, function.concurrency.is_some()));
                let (served, function) = (Rc::clone(&desk), Rc::clone(function));
                api.spawn_local(api::run(dialect, served, function, listener));
                (address, ready, Some(desk))
            }
        };
        Ok(Self {
            address,
            ready,
            desk,
            _api: api,
        })
    }
}

/// A fixed port that is taken would be answered by a stranger.
fn check_port(port: u16) -> io::Result<u16> {
    let taken = |error: io::Error| io::Error::new(error.kind(), format!("port {port}: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    listener.map(|_| port).map_err(taken)
}

/// A port that was free a moment ago, on every interface, because that is what a program will bind.
///
/// It lies above Linux's default range for clients, because the kernel could give such a port to somebody
/// else before a slow program binds it. Each call takes the next one, because the last may have connections
/// that the kernel has not forgotten. The process id chooses where to begin, so that two tools do not meet.
fn free_port() -> io::Result<u16> {
    const FIRST: u16 = 61_000;
    const COUNT: u16 = 4_500;
    static GIVEN_COUNT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(61);
    let mut ports = (0..COUNT).map(|_| {
        let given = u32::from(GIVEN_COUNT.fetch_add(1, Ordering::Relaxed));
        let offset = start.wrapping_add(given) % u32::from(COUNT);
        check_port(FIRST + u16::try_from(offset).unwrap_or(0))
    });
    ports
        .find(Result::is_ok)
        .unwrap_or_else(|| Err(io::ErrorKind::AddrInUse.into()))
}

/// Waits until the address takes a connection. The connection says nothing: FC's probe is bare TCP.
async fn listening(address: SocketAddr) {
    for attempt in 0_u32.. {
        if let Ok(stream) = TcpStream::connect(address).await
            // A port of the ephemeral range can be given to the probe itself, and TCP then happily
            // connects it to itself.
            && stream.local_addr().ok() != stream.peer_addr().ok()
        {
            return;
        }
        let is_slow = attempt >= 1000;
        sleep(if is_slow {
            PROBE_INTERVAL_SLOW
        } else {
            PROBE_INTERVAL
        })
        .await;
    }
}
