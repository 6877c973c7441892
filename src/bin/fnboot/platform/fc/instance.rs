//! One instance: a program that listens, the agent's connections to it, and its calls.
//!
//! ```text
//! start: spawn, TCP probe until it listens, POST /initialize if configured
//! send:  request out, head of the answer back     } each against the deadline; past it the whole
//! frame: one piece of the answer's body           } process group is killed, as FC does
//! stop:  SIGTERM, then SIGKILL
//! ```

use super::client::{Broken, Client, Connection};
use super::contract::{self, Call, Control};
use super::{failure, id};
use crate::figures::Figures;
use crate::function::{Function, Initializer};
use crate::process::{Farewell, Process, SpawnError};
use crate::readiness::{self, Doing, Limit};
use crate::warm;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A program that starts fast is met fast; a slow one is not kept busy by being asked.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);
const PROBE_INTERVAL_SLOW: Duration = Duration::from_millis(20);

/// How long a program may take until it listens where nothing else is said.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// From `SIGTERM` until `SIGKILL`.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A broken connection is often the first sign of an exit.
const EXIT_TIMEOUT: Duration = Duration::from_millis(500);

/// A warm instance.
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) function: Rc<Function>,
    /// From `exec` to the first successful probe.
    start_duration: Duration,
    port: u16,
    process: Process,
    client: Client,
}

/// A complete answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The error type that FC gives the call; none if the function did not say that it failed.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        failure::reported(&self.headers)
    }
}

/// Starts instances of its function.
pub(crate) struct Launcher(pub(crate) Rc<Function>);

impl warm::Launch for Launcher {
    type Instance = Instance;
    type Failure = failure::Start;

    fn function(&self) -> &Function {
        &self.0
    }

    async fn launch(&self) -> Result<Instance, failure::Start> {
        Instance::start(&self.0).await
    }
}

impl warm::Instance for Instance {
    fn id(&self) -> &str {
        &self.id
    }

    fn start_duration(&self) -> Duration {
        self.start_duration
    }

    fn process(&self) -> &Process {
        &self.process
    }

    async fn stop(&self) {
        self.process.stop(Farewell::Polite(STOP_TIMEOUT)).await;
    }
}

/// One call being measured.
pub(crate) struct Meter {
    started: Instant,
    /// When the last step ended: what is found out about a failure afterwards is not the call's time.
    ended: Cell<Instant>,
    deadline: Instant,
    log_position: u64,
    /// The call's own, until its figures are taken.
    connection: RefCell<Option<Connection>>,
}

impl Meter {
    /// The call ended now, or a step of it.
    pub(crate) fn end(&self) {
        self.ended.set(Instant::now());
    }
}

impl Instance {
    /// Starts the program and waits until it is ready for calls.
    pub(crate) async fn start(function: &Rc<Function>) -> Result<Self, failure::Start> {
        let id = id::instance();
        let port = free_port().map_err(|error| {
            failure::Start::Spawn(SpawnError {
                program: function.program(),
                error,
            })
        })?;
        let variables = contract::variables(function, port, &id);
        let started = Instant::now();
        let process = Process::start(function, variables, contract::FOREIGN_VARIABLES)
            .await
            .map_err(failure::Start::Spawn)?;
        let mut instance = Self {
            id,
            function: Rc::clone(function),
            start_duration: Duration::ZERO,
            port,
            process,
            client: Client::new(address(port)),
        };
        instance.probe().await?;
        instance.start_duration = started.elapsed();
        if function.initializer == Initializer::Present {
            instance
                .initialize()
                .await
                .map_err(failure::Start::Initialize)?;
        }
        Ok(instance)
    }

    pub(crate) fn host(&self) -> String {
        address(self.port).to_string()
    }

    /// Starts the clock of a call.
    pub(crate) async fn meter(&self) -> Meter {
        // Before the clock starts. A program that takes no connection any more is `send`'s to report.
        let connection = RefCell::new(self.client.take().await.ok());
        self.process.memory_peak_bytes();
        let log_position = self.process.log().position();
        let started = Instant::now();
        let deadline = started + self.function.timeout;
        Meter {
            started,
            ended: Cell::new(started),
            deadline,
            log_position,
            connection,
        }
    }

    /// After a call: what it cost, and the end of what it printed.
    pub(crate) fn figures(&self, meter: &Meter) -> (Figures, Vec<u8>) {
        if let Some(connection) = meter.connection.take() {
            self.client.give_back(connection);
        }
        self.process.log().drain();
        let figures = Figures {
            duration: meter.ended.get() - meter.started,
            memory_mb: self.function.memory_mb,
            memory_peak_bytes: self.process.memory_peak_bytes(),
        };
        (figures, self.process.log().tail_since(meter.log_position))
    }

    /// Sends a request; the answer's head.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        meter: &Meter,
    ) -> Result<Response<Incoming>, failure::Call> {
        let exchange = async {
            let held = meter.connection.take();
            let mut connection = match held {
                Some(connection) => connection,
                None => self.client.take().await?,
            };
            let response = connection.send_request(request).await?;
            meter.connection.replace(Some(connection));
            Ok(response)
        };
        self.guard(meter, exchange).await
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(crate) async fn frame(
        &self,
        body: &mut Incoming,
        meter: &Meter,
    ) -> Result<Option<Frame<Bytes>>, failure::Call> {
        let next = async { body.frame().await.transpose().map_err(Broken::Http) };
        self.guard(meter, next).await
    }

    /// Sends a request; the whole answer.
    pub(crate) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        meter: &Meter,
    ) -> Result<Answer, failure::Call> {
        let (head, body) = self.send(request, meter).await?.into_parts();
        let body = async { Ok(body.collect().await?.to_bytes()) };
        let body = self.guard(meter, body).await?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    /// An event as FC pushes it.
    pub(crate) fn event(&self, call: &Call, event: Bytes) -> Request<Full<Bytes>> {
        let mut headers = contract::headers(&self.function, call);
        headers.insert("content-type", contract::OCTETS);
        self.request(
            Method::POST,
            Uri::from_static(call.control.path()),
            headers,
            event,
        )
    }

    /// An HTTP request: the client's own, `headers` included.
    pub(crate) fn http(
        &self,
        call: &Call,
        (method, uri): (Method, Uri),
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        let base_path = contract::base_path(uri.path());
        headers.extend(contract::headers(&self.function, call));
        if let Ok(base_path) = base_path.try_into() {
            headers.insert("x-fc-base-path", base_path);
        }
        self.request(method, uri, headers, body)
    }

    fn request(
        &self,
        method: Method,
        uri: Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Request<Full<Bytes>> {
        if let Ok(host) = self.host().try_into() {
            headers.entry("host").or_insert(host);
        }
        headers.entry("user-agent").or_insert(contract::AGENT);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }

    /// Waits until the port takes a connection. The connection says nothing: FC's probe is bare TCP.
    async fn probe(&self) -> Result<(), failure::Start> {
        let limit = Limit::new(self.function.start_timeout, START_TIMEOUT);
        let misfit = readiness::misfit(
            limit,
            || Doing::look(&self.process),
            |doing| failure::misfit(doing, self.port, &self.function),
        );
        let limit = limit.duration();
        let exited = pin!(self.process.exited());
        tokio::select! {
            () = listening(self.port) => Ok(()),
            status = exited => {
                self.process.log().drain();
                Err(failure::Start::Exited(self.function.program(), status))
            }
            why = misfit => {
                self.process.log().drain();
                Err(failure::Start::Misfit(why))
            }
            () = sleep(limit) => {
                self.process.log().drain();
                Err(failure::Start::NotListening { port: self.port, limit })
            }
        }
    }

    async fn initialize(&self) -> Result<(), failure::Initialize> {
        let meter = self.meter().await;
        let call = Call::new(Control::Initialize);
        let headers = contract::headers(&self.function, &call);
        let uri = Uri::from_static(call.control.path());
        let request = self.request(Method::POST, uri, headers, Bytes::new());
        let result = self.exchange(request, &meter).await;
        self.figures(&meter);
        let answer = result.map_err(failure::Initialize::Call)?;
        if answer.status.is_success() {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        Err(failure::Initialize::Refused {
            status: answer.status.as_u16(),
            body,
        })
    }

    /// One step of a call, against all that can end the call early.
    async fn guard<T>(
        &self,
        meter: &Meter,
        step: impl Future<Output = Result<T, Broken>>,
    ) -> Result<T, failure::Call> {
        let step = timeout_at(meter.deadline, step);
        let result = self.process.watched(step).await;
        meter.end();
        match result {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(self.why(error).await),
            Err(_) => {
                self.process.memory_peak_bytes();
                self.process.kill();
                Err(failure::Call::TimedOut(self.function.timeout))
            }
        }
    }

    async fn why(&self, error: Broken) -> failure::Call {
        match timeout(EXIT_TIMEOUT, self.process.exited()).await {
            Ok(status) => failure::Call::Exited(status),
            Err(_) => failure::Call::Broken(error),
        }
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A port that was free a moment ago. Every interface, because that is what a program will bind.
///
/// Not one of those that Linux by default gives to whoever asks for any: until a slow program binds
/// its port, somebody else would get it and be taken for the program. Nor the one that was given out
/// last, whose connections the kernel may not have forgotten. Tools that run at the same time start far
/// apart.
fn free_port() -> io::Result<u16> {
    const FIRST: u16 = 61_000;
    const COUNT: u16 = 4_500;
    static GIVEN_COUNT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(61) % u32::from(COUNT);
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..COUNT {
        let given = u32::from(GIVEN_COUNT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((start + given) % u32::from(COUNT)).unwrap_or(0);
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, FIRST + offset)) {
            Ok(_) => return Ok(FIRST + offset),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn listening(port: u16) {
    let mut attempts = 0_u32;
    loop {
        if let Ok(stream) = TcpStream::connect(address(port)).await
            // A port of the ephemeral range can be given to the probe itself, and TCP then happily
            // connects it to itself.
            && stream.local_addr().ok() != stream.peer_addr().ok()
        {
            return;
        }
        attempts += 1;
        sleep(if attempts < 1000 {
            PROBE_INTERVAL
        } else {
            PROBE_INTERVAL_SLOW
        })
        .await;
    }
}
