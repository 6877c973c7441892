//! Functions that are programs: [`Function`] is what the stock program serves.
//!
//! [`programs`] has the calls, [`calls`], and what serves them, [`workers`]: each [`worker`] is a [`process`] for one
//! call, or an interpreter that stays, with a shim of ours in it ([`language`]). The rest are parts of these: [`launch`] is
//! what is started, found once; [`environment`] the process's own variables and, from [`variables`] and [`cgi`],
//! those of a call; [`input`] the event as a file; [`supervisor`] the one descriptor by which the loop hears of
//! all of them; [`reply`] the answer of a CGI program; [`failure`] and [`kinds`] what a failed call is told as; [`orphans`]
//! what programs leave behind. A program that stays and speaks HTTP is a [`server`], asked by [`web`] or, through
//! [`runtime_api`], asking itself; [`framing`] finds where a body ends that comes in pieces.
//! [`words`] splits a command line, [`find`] tells which file a function is in, [`unpack`] reads the shims and what
//! `--help` prints.

mod calls;
mod cgi;
mod environment;
mod failure;
#[cfg(feature = "function")]
pub mod find;
#[cfg(any(feature = "web", feature = "worker"))]
mod framing;
mod input;
mod kinds;
#[cfg(feature = "function")]
pub mod language;
mod launch;
mod orphans;
#[cfg(test)]
mod pack;
mod process;
mod programs;
mod reply;
#[cfg(feature = "worker")]
mod runtime_api;
#[cfg(any(feature = "web", feature = "worker"))]
mod server;
mod settings;
mod supervisor;
#[cfg(feature = "function")]
mod unpack;
mod variables;
#[cfg(feature = "web")]
pub mod web;
pub mod words;
mod worker;
mod workers;

use core::mem::MaybeUninit;

#[cfg(any(feature = "web", feature = "worker"))]
use crate::bytes::Writer;
use crate::echo::Echo;
#[cfg(any(feature = "web", feature = "worker"))]
use crate::handler::Flow;
use crate::handler::{Context, Error, Handler, Platform, Report, Request, Response, Scope};
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::memory::Reserved;
use calls::Task;
pub use failure::about;
pub use launch::Launch;
use programs::Programs;
#[cfg(feature = "worker")]
use runtime_api::Api;
pub use settings::{Reply, Settings, Stay};
#[cfg(feature = "web")]
use web::Web;

/// The function of the stock program.
#[derive(Debug)]
pub enum Function {
    /// The built-in one.
    Echo(Echo),
    Programs(&'static mut Programs),
    #[cfg(feature = "web")]
    Web(&'static mut Web),
    #[cfg(feature = "worker")]
    Api(&'static mut Api),
    /// There is none: the instance cannot be initialized.
    Missing(&'static Error),
}

/// Why there is no function. Beside [`Function`], which would be as long as an error.
static MISSING: Reserved<[MaybeUninit<Error>; 1]> =
    Reserved::new([const { MaybeUninit::uninit() }]);

/// How long a hook may take that no request asks for: after `SIGTERM` little time is left.
const PRE_STOP_MS_MAX: u64 = 1500;

impl Function {
    /// The built-in function.
    pub const ECHO: Self = Self::Echo(Echo);

    /// The function that a program is.
    ///
    /// # Errors
    /// Out of descriptors, processes or memory.
    pub fn programs(
        launch: &'static mut Launch,
        settings: Settings,
        platform: Platform,
    ) -> Result<Self, Errno> {
        let programs = Programs::new(launch, settings, platform)?;
        if settings.stay == Stay::Resident {
            programs.prepare()?;
        }
        Ok(Self::Programs(programs))
    }

    /// The function that a server is, once it is ready.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    #[cfg(feature = "web")]
    pub fn web(launch: &'static mut Launch, settings: web::Settings) -> Result<Self, Error> {
        Web::start(launch, settings).map(Self::Web)
    }

    /// The function that a program is which asks for events, once it has asked.
    ///
    /// # Errors
    /// It cannot be started, ends, says that it cannot start, or does not ask in time.
    #[cfg(feature = "worker")]
    pub fn worker(
        launch: &'static mut Launch,
        settings: Settings,
        platform: Platform,
        is_streaming: bool,
    ) -> Result<Self, Error> {
        Api::start(launch, settings, platform, is_streaming).map(Self::Api)
    }

    /// Whether the program wants to hear of `SIGTERM`.
    #[cfg(feature = "worker")]
    pub fn has_extension(&self) -> bool {
        matches!(self, Self::Api(api) if api.has_extension)
    }

    /// No function: `error` says why.
    #[inline(never)]
    pub fn missing(error: Error) -> Self {
        // A second one would be of a second run, which has ended before.
        MISSING
            .take()
            .map_or(Self::ECHO, |[place]| Self::Missing(place.write(error)))
    }

    fn begin<'a>(
        &'a mut self,
        task: Task,
        event: &[u8],
        request: Option<&Request<'_>>,
        cx: &Context<'_>,
    ) -> Result<&'a [u8], Error> {
        match self {
            Self::Programs(programs) => programs.begin(cx.defer(), task, event, request, cx),
            #[cfg(feature = "web")]
            Self::Web(web) => web.begin(cx.defer(), request, event, cx).map(|()| &b""[..]),
            #[cfg(feature = "worker")]
            Self::Api(api) => api.begin(cx.defer(), request, event, cx).map(|()| &b""[..]),
            _ => self.without_program(),
        }
    }

    /// Does what a hook is for.
    fn hook(&mut self, task: Task, timeout_ms: u64, cx: &Context<'_>) -> Result<&[u8], Error> {
        match self {
            Self::Programs(programs) => programs.hook(task, timeout_ms, cx),
            _ => self.without_program(),
        }
    }

    /// What comes of a call that no program serves.
    fn without_program(&self) -> Result<&[u8], Error> {
        match self {
            Self::Missing(error) => Err((*error).clone()),
            _ => Ok(b""),
        }
    }
}

impl Handler for Function {
    const DEFERS: bool = true;
    const STREAMS: bool = cfg!(any(feature = "web", feature = "worker"));
    const HTTP_EVENTS: bool = cfg!(any(feature = "cgi", feature = "web"));

    fn scope(&self) -> Scope {
        match self {
            #[cfg(feature = "web")]
            Self::Web(_) => Scope::All,
            Self::Programs(programs) if cfg!(feature = "gateway") && programs.is_cgi() => {
                Scope::Events
            }
            _ => Scope::Requests,
        }
    }

    #[cfg(any(feature = "web", feature = "worker"))]
    fn stream(
        &mut self,
        state: &mut u64,
        piece: &mut Writer<'_>,
        _: &Context<'_>,
    ) -> Result<Flow, Error> {
        match self {
            #[cfg(feature = "web")]
            Self::Web(web) => web.piece(*state, piece),
            #[cfg(feature = "worker")]
            Self::Api(api) => api.piece(*state, piece),
            _ => Ok(Flow::End),
        }
    }

    #[cfg(any(feature = "web", feature = "worker"))]
    fn end(&mut self) {
        match self {
            #[cfg(feature = "web")]
            Self::Web(web) => web.end(),
            #[cfg(feature = "worker")]
            Self::Api(api) => api.end(),
            _ => {}
        }
    }

    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        match self {
            Self::Echo(echo) => echo.invoke(event, cx),
            _ => self.begin(Task::Invoke, event, None, cx),
        }
    }

    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        cx: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        match self {
            Self::Echo(echo) => echo.http(request, cx),
            #[cfg(feature = "web")]
            Self::Web(_) if web::upgrades(request) => Ok(Response::new(501)
                .header("Content-Type", "text/plain")
                .body("the protocol cannot be changed (Upgrade)\n")),
            #[cfg(feature = "web")]
            Self::Web(web) => {
                let begun = web.begin(cx.defer(), Some(request), b"", cx);
                begun.map(|()| Response::new(200))
            }
            _ if is_probe(request, cx) => Ok(Response::new(200)),
            _ => {
                // On Lambda it may be an event whose answer may be sent in pieces.
                let is_event = cx.platform() == Platform::Lambda && self.scope() == Scope::Requests;
                let event = request.body();
                let request = Some(request).filter(|_| !is_event);
                self.begin(Task::Invoke, event, request, cx)
                    .map(|_| Response::new(200))
            }
        }
    }

    fn waker(&mut self) -> Option<i32> {
        match self {
            Self::Programs(programs) => Some(programs.waker()),
            #[cfg(feature = "web")]
            Self::Web(web) => Some(web.waker()),
            #[cfg(feature = "worker")]
            Self::Api(api) => Some(api.waker()),
            Self::Echo(_) | Self::Missing(_) => None,
        }
    }

    fn woken(&mut self) -> Option<u64> {
        match self {
            Self::Programs(programs) => programs.woken(),
            #[cfg(feature = "web")]
            Self::Web(web) => web.woken(),
            #[cfg(feature = "worker")]
            Self::Api(api) => api.woken(),
            Self::Echo(_) | Self::Missing(_) => None,
        }
    }

    fn resume_any<'a>(
        &'a mut self,
        call: u64,
        is_http: bool,
        response: &mut Response<'a>,
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Programs(programs) => {
                let (content_type, is_cgi) = (programs.content_type(), programs.is_cgi());
                let output = programs.answer(call, &mut report.json)?;
                if is_cgi {
                    // Whatever is wrong with the answer from here on, the program has made it so.
                    report.status = reply::BAD_REPLY_STATUS;
                    return reply::answer(output, content_type, is_http, response);
                }
                response.put("Content-Type", content_type);
                response.body = output;
            }
            #[cfg(feature = "web")]
            Self::Web(web) => web.answer(call, response, report, cx)?,
            #[cfg(feature = "worker")]
            Self::Api(api) => api.answer(call, is_http, response, report, cx)?,
            Self::Echo(_) | Self::Missing(_) => {}
        }
        let _ = cx;
        Ok(())
    }

    fn abandon(&mut self, call: u64) {
        match self {
            Self::Programs(programs) => programs.abandon(call),
            #[cfg(feature = "web")]
            Self::Web(web) => web.abandon(call),
            #[cfg(feature = "worker")]
            Self::Api(api) => api.abandon(call),
            Self::Echo(_) | Self::Missing(_) => {}
        }
    }

    fn initialize(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        self.hook(Task::Initialize, u64::MAX, cx).map(drop)
    }

    fn pre_stop(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        self.hook(Task::PreStop, PRE_STOP_MS_MAX, cx).map(drop)
    }
}

/// Whether a request is none that a function is meant to see, so that no program is started for it: FC looks
/// by GET whether an instance is healthy, without the id that a call has; and whatever hook it may ask for
/// besides those that are known, it says so in a header. Where no variable of FC's is set, nobody sends an id (Knative,
/// Cloud Run).
fn is_probe(request: &Request<'_>, cx: &Context<'_>) -> bool {
    let is_there = || env::names_after(b"FC_").next().is_some();
    if cx.platform() != Platform::Fc {
        return false;
    }
    if let Some(path) = request.header("x-fc-control-path") {
        return path != b"/http-invoke";
    }
    let is_get = matches!(request.method(), "GET" | "HEAD");
    cx.sent_id().is_empty() && is_get && is_there()
}
