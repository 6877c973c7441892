//! One instance: a program, the runtime API that it polls, and its calls.
//!
//! ```text
//! start: port, spawn, wait until it is ready ── init error, exit, time-out
//! call:  submit ── answer, exit, deadline (the whole group is killed) ── wait until it asks again
//! stop:  SIGKILL, or SIGTERM and 500 ms if it registered an extension
//! ```

use super::answer::{Answer, Tap};
use super::api::Api;
use super::counters::{Count, Counters};
use super::desk::{Desk, Event, Order, Phase};
use super::dialect::{Dialect, Report};
use super::failure::{self, Failure};
use super::flaky::Flaky;
use crate::figures::Figures;
use crate::function::Function;
use crate::id;
use crate::process::{Farewell, Process, SpawnError};
use crate::readiness::{self, Doing, Limit};
use crate::terminal::say;
use crate::warm;
use hyper::HeaderMap;
use hyper::body::Bytes;
use std::cell::Cell;
use std::io;
use std::marker::PhantomData;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// What the platform leaves a program with an extension, from `SIGTERM` until `SIGKILL`.
const EXTENSION_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an answer may be on its way, on this machine, after the program that sent it has ended.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(20);

/// A program that reported that it cannot start is expected to end by itself.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Instance<D> {
    id: String,
    function: Rc<Function>,
    start_duration: Duration,
    process: Process,
    desk: Rc<Desk>,
    api: JoinHandle<()>,
    /// Until the first call has shown it.
    init_duration: Cell<Option<Duration>>,
    dialect: PhantomData<D>,
}

/// One invocation.
#[derive(Default)]
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) event: Bytes,
    /// Added to the event's headers, or instead of the platform's.
    pub(crate) headers: HeaderMap,
    pub(crate) tap: Option<Tap>,
}

impl Call {
    pub(crate) fn new(event: Bytes) -> Self {
        Self {
            request_id: id::uuid(),
            event,
            ..Self::default()
        }
    }
}

/// How a call ended.
pub(crate) struct Outcome {
    pub(crate) result: Result<Answer, Failure>,
    /// The call's log, the platform's lines included; its end, if it is long.
    pub(crate) log: Vec<u8>,
}

impl<D: Dialect> Instance<D> {
    /// Starts the program and waits until it is ready for events.
    pub(crate) async fn start(
        function: &Rc<Function>,
        flaky: Flaky,
        counters: &Rc<Counters>,
    ) -> Result<Self, Failure> {
        let spawn_failed = |error| {
            Failure::Spawn(SpawnError {
                program: function.program(),
                error,
            })
        };
        let (listener, address) = listen().await.map_err(spawn_failed)?;
        let order = match function.concurrency {
            None => Order::OneByOne,
            Some(_) => Order::ManyAtATime,
        };
        let desk = Rc::new(Desk::new(D::READY, order, Rc::clone(counters)));
        let api = Rc::new(Api::<D> {
            desk: Rc::clone(&desk),
            function: Rc::clone(function),
            flaky,
            dialect: PhantomData,
        });
        let id = D::instance_id();
        let variables = D::variables(function, address, &id);
        let connection_count = counters.get(Count::Connections);
        let started = Instant::now();
        let process = Process::start(function, variables, D::FOREIGN_VARIABLES)
            .await
            .map_err(Failure::Spawn)?;
        let mut instance = Self {
            id,
            function: Rc::clone(function),
            start_duration: Duration::ZERO,
            process,
            desk,
            api: spawn_local(api.run(listener)),
            init_duration: Cell::default(),
            dialect: PhantomData,
        };
        instance.wait_until_ready(connection_count).await?;
        instance.start_duration = started.elapsed();
        instance.init_duration.set(Some(instance.start_duration));
        Ok(instance)
    }

    /// `connection_count` is that of former instances.
    async fn wait_until_ready(&self, connection_count: u64) -> Result<(), Failure> {
        let limit = Limit::new(self.function.start_timeout, D::START_TIMEOUT);
        let look = || {
            if self.desk.counters().get(Count::Connections) > connection_count {
                Doing::Asks
            } else {
                Doing::look(&self.process)
            }
        };
        let misfit = readiness::misfit(limit, look, |doing| {
            failure::misfit(doing, D::READY, &self.function)
        });
        let limit = limit.duration();
        let ready = async {
            tokio::select! {
                // What it reported counts, though it has exited since.
                biased;
                ready = self.desk.started() => ready.map_err(Failure::StartReported),
                status = self.ended() => Err(Failure::Exited(status)),
                why = misfit => Err(Failure::Misfit(why)),
                () = sleep(limit) => Err(Failure::StartTimedOut(limit)),
            }
        };
        let ready = self.process.watched(ready).await;
        if let Err(Failure::StartReported(_)) = ready {
            // One that stays is killed with the instance.
            let _ = timeout(EXIT_TIMEOUT, self.process.exited()).await;
        }
        self.process.log().drain();
        ready
    }

    /// Has one event answered, and shows how in the platform's way.
    pub(crate) async fn call(&self, call: Call) -> Outcome {
        let request_id = call.request_id.clone();
        let begin = D::log_begin(&request_id);
        self.process.log().drain();
        self.process.memory_peak_bytes();
        let log_position = self.process.log().position();
        say(format_args!("{begin}"));
        let started = Instant::now();
        let deadline = started + self.function.timeout;
        let event = self.event(call);
        let result = self.process.watched(self.settle(event, deadline)).await;
        // What it takes to kill a program that is late is not the call's time.
        let duration = started.elapsed().min(self.function.timeout);
        self.process.log().drain();
        let report = Report {
            request_id: &request_id,
            figures: Figures {
                duration,
                memory_mb: self.function.memory_mb,
                memory_peak_bytes: self.process.memory_peak_bytes(),
            },
            init_duration: self.init_duration.take(),
            failure: result.as_ref().err(),
        };
        let end = D::log_end(&report);
        say(format_args!("{end}"));
        let mut log = format!("{begin}\n").into_bytes();
        log.extend(self.process.log().tail_since(log_position));
        log.extend_from_slice(format!("{end}\n").as_bytes());
        Outcome { result, log }
    }

    fn event(&self, call: Call) -> Event {
        let deadline = SystemTime::now() + self.function.timeout;
        let mut headers = D::headers(&self.function, &call.request_id, deadline);
        headers.extend(call.headers);
        Event {
            request_id: call.request_id,
            headers,
            body: call.event,
            tap: call.tap,
        }
    }

    /// The answer, or what came first.
    async fn settle(&self, event: Event, deadline: Instant) -> Result<Answer, Failure> {
        let request_id = event.request_id.clone();
        let settled = self.desk.submit(event);
        let answer = async {
            tokio::select! {
                biased;
                // The desk lets go of a sender only by using it.
                Ok(result) = settled => result,
                status = self.ended() => Err(Failure::Exited(status)),
            }
        };
        let Ok(result) = timeout_at(deadline, answer).await else {
            return Err(self.time_out(&request_id).await);
        };
        if let Err(Failure::Exited(status)) = result {
            self.desk.settle(&request_id, Err(Failure::Exited(status)));
        }
        if self.function.concurrency.is_none() {
            self.rest(deadline).await;
        }
        result
    }

    /// The end of the program, once what it said before has been heard: it need not wait for a reply.
    async fn ended(&self) -> ExitStatus {
        let status = self.process.exited().await;
        sleep(LAST_WORDS_TIMEOUT).await;
        status
    }

    async fn time_out(&self, request_id: &str) -> Failure {
        let limit = self.function.timeout;
        self.process.memory_peak_bytes();
        self.process.kill();
        self.process.exited().await;
        self.desk.settle(request_id, Err(Failure::TimedOut(limit)));
        Failure::TimedOut(limit)
    }

    /// A call lasts until the program asks for the next event: what it does after its answer, what it
    /// prints and the time it takes are the call's. The answer stands, whatever happens here.
    async fn rest(&self, deadline: Instant) {
        let rest = async {
            tokio::select! {
                () = self.desk.resting() => {}
                _ = self.process.exited() => {}
            }
        };
        if self.desk.phase() == Phase::Serving && timeout_at(deadline, rest).await.is_err() {
            say(format_args!(
                "fnboot: killed: answered, but asked for no other event before the deadline"
            ));
            self.process.kill();
        }
    }
}

impl<D: Dialect> warm::Instance for Instance<D> {
    fn id(&self) -> &str {
        &self.id
    }

    fn start_duration(&self) -> Duration {
        self.start_duration
    }

    fn process(&self) -> &Process {
        &self.process
    }

    fn is_usable(&self) -> bool {
        self.process.is_alive() && self.desk.phase() == Phase::Serving
    }

    async fn stop(&self) {
        let farewell = if self.desk.has_extension() {
            Farewell::Polite(EXTENSION_TIMEOUT)
        } else {
            Farewell::Abrupt
        };
        self.process.stop(farewell).await;
    }
}

impl<D> Drop for Instance<D> {
    fn drop(&mut self) {
        self.api.abort();
    }
}

async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
