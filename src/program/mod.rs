//! Functions that are programs: [`Function`] is what the stock program serves.
//!
//! [`command`] starts a process for each event. Its parts: [`launch`] is the program, found once; [`input`] the
//! event as a file; [`environment`] the process's own variables and, from [`variables`], those of the call;
//! [`process`] what was started and what it writes; [`supervisor`] the one descriptor by which the loop hears of
//! all of them; [`failure`] and [`kinds`] what a failed call is told as; [`orphans`] what programs leave behind.

#[allow(dead_code, reason = "interim")]
mod cgi;
mod command;
mod environment;
mod failure;
#[allow(dead_code, reason = "interim")]
pub mod find;
mod input;
mod kinds;
mod launch;
mod orphans;
mod process;
mod supervisor;
mod variables;
pub mod words;

use core::mem::MaybeUninit;

use crate::echo::Echo;
use crate::handler::{Context, Error, Handler, Platform, Request, Response};
use crate::sys::fd::Errno;
use crate::sys::memory::Reserved;
use command::Command;
use kinds::Kinds;
pub use launch::Launch;

/// What is set for all programs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub platform: Platform,
    /// Longest answer.
    pub body_bytes_max: usize,
    /// `FNBOOT_CONTENT_TYPE`: of the answer to an HTTP request.
    pub content_type: &'static [u8],
    /// `FNBOOT_LOG_PREFIX`: whether each line of a program's log gets time, request id and level.
    pub prefixes_log: bool,
}

/// The function of the stock program.
#[derive(Debug)]
pub enum Function {
    /// The built-in one.
    Echo(Echo),
    /// A process for each event.
    Command(&'static mut Command),
    /// There is none: the instance cannot be initialized.
    Missing(Error),
}

/// One command at most, in its place.
static COMMAND: Reserved<[MaybeUninit<Command>; 1]> =
    Reserved::new([const { MaybeUninit::uninit() }]);

/// Where the types of failures are kept.
static KINDS: Reserved<[u8; KINDS_BYTES]> = Reserved::new([0; KINDS_BYTES]);

const KINDS_BYTES: usize = 4096;

impl Function {
    /// The built-in function.
    pub const ECHO: Self = Self::Echo(Echo);

    /// `bootstrap command`: the program is started for each event.
    ///
    /// # Errors
    /// Out of memory.
    pub fn command(launch: Launch, settings: Settings) -> Result<Self, Errno> {
        let kinds = Kinds::new(KINDS.take().map_or(&mut [], |place| &mut place[..]));
        let command = Command::new(launch, settings, kinds)?;
        let place = COMMAND.take().ok_or(Errno::AGAIN)?;
        let [place] = place;
        Ok(Self::Command(place.write(command)))
    }
}

impl Handler for Function {
    const DEFERS: bool = true;

    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        match self {
            Self::Echo(echo) => echo.invoke(event, cx),
            Self::Command(command) => command.begin(event, None, cx).map(|()| &b""[..]),
            Self::Missing(error) => Err(error.clone()),
        }
    }

    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        cx: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        match self {
            Self::Echo(echo) => echo.http(request, cx),
            Self::Command(_) if is_probe(request, cx) => Ok(Response::new(200)),
            Self::Command(command) => command
                .begin(request.body(), Some(request), cx)
                .map(|()| Response::new(200)),
            Self::Missing(error) => Err(error.clone()),
        }
    }

    fn waker(&mut self) -> Option<i32> {
        match self {
            Self::Command(command) => command.waker(),
            Self::Echo(_) | Self::Missing(_) => None,
        }
    }

    fn woken(&mut self) -> Option<u64> {
        match self {
            Self::Command(command) => command.woken(),
            Self::Echo(_) | Self::Missing(_) => None,
        }
    }

    fn resume<'a>(&'a mut self, call: u64, _: &Context<'_>) -> Result<&'a [u8], Error> {
        match self {
            Self::Command(command) => command.answer(call),
            Self::Echo(_) => Ok(b""),
            Self::Missing(error) => Err(error.clone()),
        }
    }

    fn resume_http<'a>(&'a mut self, call: u64, cx: &Context<'_>) -> Result<Response<'a>, Error> {
        let content_type = match self {
            Self::Command(command) => command.content_type(),
            Self::Echo(_) | Self::Missing(_) => b"",
        };
        Ok(Response::new(200)
            .header("Content-Type", content_type)
            .body(self.resume(call, cx)?))
    }

    fn abandon(&mut self, call: u64) {
        if let Self::Command(command) = self {
            command.abandon(call);
        }
    }

    fn initialize(&mut self, _: &Context<'_>) -> Result<(), Error> {
        match self {
            Self::Missing(error) => Err(error.clone()),
            Self::Echo(_) | Self::Command(_) => Ok(()),
        }
    }
}

/// Whether a request is none that a function is meant to see, so that no program is started for it: FC looks
/// by GET whether an instance is healthy, without the id that a call has; and whatever hook it may ask for
/// besides those that are known, it says so in a header.
fn is_probe(request: &Request<'_>, cx: &Context<'_>) -> bool {
    if cx.platform() != Platform::Fc {
        return false;
    }
    match request.header("x-fc-control-path") {
        Some(path) => path != b"/http-invoke",
        None => cx.request_id().is_empty() && matches!(request.method(), "GET" | "HEAD"),
    }
}
