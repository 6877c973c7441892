//! What a user writes and what the user is given: [`Handler`], [`Context`], [`Request`],
//! [`Response`], [`Error`].
//!
//! Nothing here does I/O or allocates. Everything a handler is given is borrowed from the receive
//! buffer, and what it answers may be, too: then not a byte of a body is copied.
//!
//! Each file is what a user holds, and names only those before it: `error`; `context` and `request`,
//! which come with a call; `response`, which may turn out to be an error; here the trait in which
//! they meet.

mod context;
mod error;
mod request;
mod response;

use core::time::Duration;

use crate::bytes::Writer;

pub(crate) use context::Rest;
pub use context::{Context, Credentials, Platform};
pub use error::{Error, Report};
pub use request::Request;
pub use response::Response;

/// A cloud function.
///
/// Only [`invoke`](Handler::invoke) must be written. One process serves many calls, one after the
/// other: what the handler keeps in `self` lives from call to call.
///
/// ```
/// use fnboot::{Context, Error, Handler};
///
/// struct Shout(Vec<u8>);
///
/// impl Handler for Shout {
///     fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
///         self.0 = event.to_ascii_uppercase();
///         Ok(&self.0)
///     }
/// }
/// ```
pub trait Handler {
    /// Whether answers may go on after what a call returns: see [`Handler::stream`]. A program
    /// whose handler never does is 4 KiB smaller.
    const STREAMS: bool = false;

    /// Whether calls may be put off with [`Context::defer`], to be answered later: see
    /// [`Handler::resume`]. A program whose handler never does carries none of it.
    const DEFERS: bool = false;

    /// Whether [`http`](Handler::http) also answers requests that come as events: those of API Gateway (REST,
    /// HTTP), function URLs and load balancers on Lambda, of API gateways and function URLs on SCF. The
    /// response goes back as the JSON that this gateway wants. So one HTTP function serves three clouds. All other
    /// events go to [`invoke`](Handler::invoke), and without the feature `gateway` these do, too.
    ///
    /// A program whose handler does not say so is 13 KiB smaller.
    ///
    /// ```
    /// use fnboot::{Context, Error, Handler, Request, Response};
    ///
    /// struct Site;
    ///
    /// impl Handler for Site {
    ///     const HTTP_EVENTS: bool = true;
    ///
    ///     fn invoke<'a>(&'a mut self, _: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
    ///         Err(Error::new("NoEvents", "this is an HTTP function"))
    ///     }
    ///
    ///     fn http<'a>(&'a mut self, request: &Request<'a>, _: &Context<'_>) -> Result<Response<'a>, Error> {
    ///         Ok(Response::new(200).body(request.path()))
    ///     }
    /// }
    /// ```
    const HTTP_EVENTS: bool = false;

    /// The process ends: no call is in flight any more.
    #[doc(hidden)]
    fn end(&mut self) {}

    /// Which calls [`http`](Handler::http) answers, of a program that only knows that once it runs.
    #[doc(hidden)]
    fn scope(&self) -> Scope {
        if Self::HTTP_EVENTS {
            Scope::Events
        } else {
            Scope::Requests
        }
    }

    /// Answers an event: bytes in, bytes out.
    ///
    /// The answer may be (a part of) the event itself, something that `self` owns, or `'static`.
    ///
    /// # Errors
    /// The call fails; the platform is told so and the caller is given the error's type and
    /// message as JSON.
    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error>;

    /// Answers an HTTP request. Unless it is written, the request's body is handed to
    /// [`invoke`](Handler::invoke), whose answer is the body of a 200.
    ///
    /// # Errors
    /// The caller gets a 500 with the error's type and message as JSON.
    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        cx: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        let answer = self.invoke(request.body(), cx)?;
        Ok(Response::new(200)
            .header("Content-Type", "application/octet-stream")
            .body(answer))
    }

    /// Writes the next piece of an answer that goes on: one whose call said so with
    /// [`Context::stream`]. Called again whenever the network has taken the last piece, until the
    /// answer ends; other calls may be answered in between.
    ///
    /// `state` is the number given to [`Context::stream`]: whatever tells this answer from others,
    /// to be changed as it goes on. A [`Writer`] that is full cuts: [`Writer::room`] tells how much
    /// it takes.
    ///
    /// # Errors
    /// The call fails. What was sent before cannot be taken back: the client sees an answer that
    /// breaks off.
    ///
    /// ```
    /// use core::fmt::Write as _;
    /// use core::time::Duration;
    /// use fnboot::{Context, Error, Flow, Handler, Request, Response, Writer};
    ///
    /// struct Ticker;
    ///
    /// impl Handler for Ticker {
    ///     const STREAMS: bool = true;
    ///
    ///     fn invoke<'a>(&'a mut self, _: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
    ///         cx.stream(3);
    ///         Ok(b"")
    ///     }
    ///
    ///     fn stream(
    ///         &mut self,
    ///         state: &mut u64,
    ///         piece: &mut Writer<'_>,
    ///         _: &Context<'_>,
    ///     ) -> Result<Flow, Error> {
    ///         write!(piece, "data: {state}\n\n")?;
    ///         *state -= 1;
    ///         Ok(if *state > 0 { Flow::Wait(Duration::from_secs(1)) } else { Flow::End })
    ///     }
    /// }
    /// ```
    fn stream(
        &mut self,
        state: &mut u64,
        piece: &mut Writer<'_>,
        cx: &Context<'_>,
    ) -> Result<Flow, Error> {
        let _ = (state, piece, cx); // Nothing goes on by default.
        Ok(Flow::End)
    }

    /// Nobody takes the rest of the answer that `state` stands for: the client has gone, or asked for the
    /// head alone; an API refuses it; the status has no content; fnboot refused the response or a piece;
    /// memory is out; or the process ends. Called once, and not for an answer that the handler ended itself,
    /// by [`Flow::End`] or an error.
    ///
    /// A call that was put off is abandoned under its number: if its client is gone, its time is over, memory is
    /// out, or the process ends. From then on [`resume`](Handler::resume) is not called for it. Numbers of calls
    /// are 16,384 and more, which tells them from smaller states of a handler that streams, too.
    fn abandon(&mut self, state: u64) {
        let _ = state; // Nothing is held by default.
    }

    /// The descriptor that is readable while [`woken`](Handler::woken) has something to tell: an eventfd, one
    /// end of a socket pair, an epoll. It is asked for until there is one, is watched from then on, and stays
    /// the handler's, who must not close it. One that cannot be watched ends the process.
    fn waker(&mut self) -> Option<i32> {
        None // No call is put off by default.
    }

    /// The number of a call that was put off and can be answered now. Called when the [`waker`](Handler::waker)
    /// is readable, until there is none; what made it readable must have been read by then. If the call waits,
    /// [`resume`](Handler::resume) follows at once, before the next number is asked for. It is no fault to name
    /// one that is over.
    ///
    /// An answer that goes on under the number of its call, and [waits](Flow::Wait), goes on at once when that number
    /// is told.
    fn woken(&mut self) -> Option<u64> {
        None // No call is put off by default.
    }

    /// Answers an event whose call was put off: asked once, after [`woken`](Handler::woken) told its number.
    /// While it is not, the call waits, and other calls are served, until a moment before its
    /// [deadline](Context::deadline) (a twentieth of the time that was left, 50 to 250 ms): then it fails
    /// with the type `TimedOut`. A client that only ends its side of the connection still gets the answer.
    ///
    /// The answer may go on ([`Context::stream`]), if the handler says so with [`STREAMS`](Handler::STREAMS). It
    /// cannot be put off again.
    ///
    /// With std, `fnboot::Answers` does most of it: its documentation has a handler that answers from threads.
    ///
    /// # Errors
    /// The call fails, as one that was not put off.
    fn resume<'a>(&'a mut self, call: u64, cx: &Context<'_>) -> Result<&'a [u8], Error> {
        let _ = (call, cx);
        Err(Error::fixed("NotResumed", "Handler::resume is not written"))
    }

    /// The same for an HTTP request. Unless it is written, what [`resume`](Handler::resume) answers is the
    /// body of a 200.
    ///
    /// # Errors
    /// As of [`http`](Handler::http).
    fn resume_http<'a>(&'a mut self, call: u64, cx: &Context<'_>) -> Result<Response<'a>, Error> {
        Ok(Response::new(200)
            .header("Content-Type", "application/octet-stream")
            .body(self.resume(call, cx)?))
    }

    /// The same for either kind of call: the answer is put into `response`, which is an empty one. For a handler
    /// that has more to say of a failure than its error, in `report`.
    #[doc(hidden)]
    fn resume_any<'a>(
        &'a mut self,
        call: u64,
        is_http: bool,
        response: &mut Response<'a>,
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let _ = report; // A failure is made of its error by default.
        if is_http {
            *response = self.resume_http(call, cx)?;
        } else {
            response.body = self.resume(call, cx)?;
        }
        Ok(())
    }

    /// Called once before the first call: on FC, if the function is configured so; on Lambda, and
    /// for SCF's event functions, always.
    ///
    /// # Errors
    /// The instance is not used; the platform may try another.
    fn initialize(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        let _ = cx; // Nothing to do by default.
        Ok(())
    }

    /// Called before the instance is frozen, if the function is configured so (FC 2.0).
    ///
    /// # Errors
    /// Are logged; the platform ignores them.
    fn pre_freeze(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        let _ = cx; // Nothing to do by default.
        Ok(())
    }

    /// Called before the instance is stopped: on FC, if the function is configured so; on Lambda,
    /// and for SCF's event functions, when `SIGTERM` comes.
    ///
    /// # Errors
    /// Are logged; the platform ignores them.
    fn pre_stop(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        let _ = cx; // Nothing to do by default.
        Ok(())
    }
}

/// A handler that stays where it is: one too large to be moved, or one that its owner looks at again.
#[deny(
    clippy::missing_trait_methods,
    reason = "a method that is not here would fall back to its default without a word"
)]
impl<H: Handler> Handler for &mut H {
    const STREAMS: bool = H::STREAMS;
    const DEFERS: bool = H::DEFERS;
    const HTTP_EVENTS: bool = H::HTTP_EVENTS;

    fn scope(&self) -> Scope {
        (**self).scope()
    }

    fn end(&mut self) {
        (**self).end();
    }

    fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
        (**self).invoke(event, cx)
    }

    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        cx: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        (**self).http(request, cx)
    }

    fn stream(
        &mut self,
        state: &mut u64,
        piece: &mut Writer<'_>,
        cx: &Context<'_>,
    ) -> Result<Flow, Error> {
        (**self).stream(state, piece, cx)
    }

    fn abandon(&mut self, state: u64) {
        (**self).abandon(state);
    }

    fn waker(&mut self) -> Option<i32> {
        (**self).waker()
    }

    fn woken(&mut self) -> Option<u64> {
        (**self).woken()
    }

    fn resume<'a>(&'a mut self, call: u64, cx: &Context<'_>) -> Result<&'a [u8], Error> {
        (**self).resume(call, cx)
    }

    fn resume_http<'a>(&'a mut self, call: u64, cx: &Context<'_>) -> Result<Response<'a>, Error> {
        (**self).resume_http(call, cx)
    }

    fn resume_any<'a>(
        &'a mut self,
        call: u64,
        is_http: bool,
        response: &mut Response<'a>,
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        (**self).resume_any(call, is_http, response, report, cx)
    }

    fn initialize(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        (**self).initialize(cx)
    }

    fn pre_freeze(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        (**self).pre_freeze(cx)
    }

    fn pre_stop(&mut self, cx: &Context<'_>) -> Result<(), Error> {
        (**self).pre_stop(cx)
    }
}

/// Which calls a handler answers as HTTP requests.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those that a platform sends as such.
    Requests,
    /// Those that come as events, too: [`Handler::HTTP_EVENTS`].
    Events,
    /// These, and whatever else a platform asks for by a request: events and hooks.
    All,
}

/// How an answer goes on after a piece of it, which may be empty. See [`Handler::stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There is more: call again as soon as this piece is taken.
    More,
    /// There may be more later: call again after that time, or once [`Handler::woken`] tells the number by which the
    /// answer goes on. `Duration::MAX` waits for that alone.
    Wait(Duration),
    /// This was the last piece.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Writes down which of its methods were called, and answers with what no default does.
    struct Recorder(Vec<&'static str>);

    #[deny(
        clippy::missing_trait_methods,
        reason = "a method that is not here could not be seen below"
    )]
    impl Handler for Recorder {
        const STREAMS: bool = true;
        const DEFERS: bool = true;
        const HTTP_EVENTS: bool = true;

        fn scope(&self) -> Scope {
            Scope::All
        }

        fn end(&mut self) {
            self.0.push("end");
        }

        fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
            self.0.push("invoke");
            Ok(event)
        }

        fn http<'a>(
            &'a mut self,
            request: &Request<'a>,
            _: &Context<'_>,
        ) -> Result<Response<'a>, Error> {
            self.0.push("http");
            Ok(Response::new(201).body(request.body()))
        }

        fn stream(
            &mut self,
            state: &mut u64,
            piece: &mut Writer<'_>,
            _: &Context<'_>,
        ) -> Result<Flow, Error> {
            self.0.push("stream");
            *state += 1;
            piece.put(b"piece");
            Ok(Flow::More)
        }

        fn abandon(&mut self, state: u64) {
            assert_eq!(state, 8);
            self.0.push("abandon");
        }

        fn waker(&mut self) -> Option<i32> {
            self.0.push("waker");
            Some(9)
        }

        fn woken(&mut self) -> Option<u64> {
            self.0.push("woken");
            Some(10)
        }

        fn resume<'a>(&'a mut self, call: u64, _: &Context<'_>) -> Result<&'a [u8], Error> {
            assert_eq!(call, 10);
            self.0.push("resume");
            Ok(b"late")
        }

        fn resume_http<'a>(&'a mut self, _: u64, _: &Context<'_>) -> Result<Response<'a>, Error> {
            self.0.push("resume_http");
            Ok(Response::new(202))
        }

        fn resume_any<'a>(
            &'a mut self,
            call: u64,
            is_http: bool,
            response: &mut Response<'a>,
            report: &mut Report<'a>,
            _: &Context<'_>,
        ) -> Result<(), Error> {
            assert_eq!((call, is_http, response.status), (10, true, 203));
            self.0.push("resume_any");
            report.json = b"{}";
            Err(Error::fixed("Own", "resume_any"))
        }

        fn initialize(&mut self, _: &Context<'_>) -> Result<(), Error> {
            self.0.push("initialize");
            Err(Error::fixed("Own", "initialize"))
        }

        fn pre_freeze(&mut self, _: &Context<'_>) -> Result<(), Error> {
            self.0.push("pre_freeze");
            Err(Error::fixed("Own", "pre_freeze"))
        }

        fn pre_stop(&mut self, _: &Context<'_>) -> Result<(), Error> {
            self.0.push("pre_stop");
            Err(Error::fixed("Own", "pre_stop"))
        }
    }

    /// Calls every method of the trait. That it is generic matters: on a handler's own type the
    /// compiler would look through the reference.
    fn call_all<H: Handler>(mut handler: H, request: &Request<'_>, cx: &Context<'_>) {
        assert!(H::STREAMS && H::DEFERS && H::HTTP_EVENTS);
        assert_eq!(handler.scope(), Scope::All);
        let message = |result: Result<(), Error>| result.map_err(|error| error.kind());
        assert_eq!(message(handler.initialize(cx)), Err("Own"));
        assert_eq!(handler.invoke(b"event", cx).expect("an answer"), b"event");
        let response = handler.http(request, cx).expect("a response");
        assert_eq!((response.status, response.body), (201, &b"body"[..]));
        let (mut state, mut place) = (7, [0; 16]);
        let mut piece = Writer::new(&mut place);
        let flow = handler.stream(&mut state, &mut piece, cx);
        assert_eq!(flow.expect("a piece"), Flow::More);
        assert_eq!((state, piece.finish()), (8, &b"piece"[..]));
        handler.abandon(state);
        assert_eq!((handler.waker(), handler.woken()), (Some(9), Some(10)));
        assert_eq!(handler.resume(10, cx).expect("an answer"), b"late");
        assert_eq!(handler.resume_http(10, cx).expect("one").status, 202);
        let mut report = Report::NONE;
        let mut response = Response::new(203);
        let failed = handler.resume_any(10, true, &mut response, &mut report, cx);
        assert_eq!(failed.expect_err("an error").kind(), "Own");
        assert_eq!(report.json, b"{}");
        assert_eq!(message(handler.pre_freeze(cx)), Err("Own"));
        assert_eq!(message(handler.pre_stop(cx)), Err("Own"));
        handler.end();
    }

    #[test]
    fn a_lent_handler_is_called_itself() {
        let mut recorder = Recorder(Vec::new());
        let platform = Platform::Fc.enabled();
        crate::testing::request(platform, "PUT", "/", &[], b"body", |request, cx| {
            call_all(&mut recorder, request, cx);
        });
        let want = [
            "initialize",
            "invoke",
            "http",
            "stream",
            "abandon",
            "waker",
            "woken",
            "resume",
            "resume_http",
            "resume_any",
            "pre_freeze",
            "pre_stop",
            "end",
        ];
        assert_eq!(recorder.0, want);
    }
}
