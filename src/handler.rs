//! What a user writes and what the user is given: [`Handler`], [`Context`], [`Request`],
//! [`Response`], [`Error`].
//!
//! Nothing here does I/O or allocates. Everything a handler is given is borrowed from the receive
//! buffer, and what it answers may be, too: then not a byte of a body is copied.

use core::cell::Cell;
use core::fmt::{self, Write as _};
use core::panic::Location;
use core::str;
use core::time::Duration;

use crate::bytes::{self, Writer};
use crate::http::head::{self, Head, Headers};
use crate::http::write;
use crate::limits::{ERROR_BYTES_MAX, REQUEST_ID_BYTES_MAX, RESPONSE_FIELD_COUNT_MAX};

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

    /// Nobody takes the rest of the answer that `state` stands for: the client has gone.
    fn abandon(&mut self, state: u64) {
        let _ = state; // Nothing is held by default.
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
impl<H: Handler> Handler for &mut H {
    const STREAMS: bool = H::STREAMS;

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

/// How an answer goes on after a piece of it, which may be empty. See [`Handler::stream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// There is more: call again as soon as this piece is taken.
    More,
    /// There may be more later: call again after that time.
    Wait(Duration),
    /// This was the last piece.
    End,
}

/// Who calls.
///
/// ```
/// use fnboot::{Context, Platform};
///
/// fn console(cx: &Context<'_>) -> &'static str {
///     match cx.platform() {
///         Platform::Fc => "https://fcnext.console.aliyun.com",
///         Platform::Lambda => "https://console.aws.amazon.com/lambda",
///         Platform::Scf => "https://console.tencentcloud.com/scf",
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Alibaba Cloud Function Compute.
    Fc,
    /// AWS Lambda.
    Lambda,
    /// Tencent Cloud Serverless Cloud Function.
    Scf,
}

impl Platform {
    /// The same, of which the compiler knows that it is one of those that are built in: so nothing
    /// is left of the others.
    pub(crate) fn built_in(self) -> Self {
        match self {
            Self::Fc if cfg!(feature = "fc") => Self::Fc,
            Self::Lambda | Self::Fc if cfg!(feature = "lambda") => Self::Lambda,
            _ if cfg!(feature = "scf") => Self::Scf,
            _ => Self::Fc,
        }
    }
}

/// What the platform tells about a call.
///
/// What it does not tell is `None`. Sources: FC 3.0 "Context and log format", request headers;
/// AWS Lambda "Using the Lambda runtime API", response headers of the next invocation, and "Defined
/// runtime environment variables"; SCF "Custom Runtime", headers of the next invocation, and
/// "Environment Variables".
///
/// ```
/// # use fnboot::Context;
/// fn describe(cx: &Context<'_>) -> String {
///     let memory_mb = cx.function_memory_mb().unwrap_or(0);
///     format!("{} in {memory_mb} MB", cx.function_name().unwrap_or("?"))
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub(crate) platform: Platform,
    pub(crate) headers: Headers<'a>,
    /// Milliseconds since the Unix epoch.
    pub(crate) arrived_ms: u64,
    pub(crate) now_ms: fn() -> u64,
    pub(crate) environment: fn(&[u8]) -> Option<&'static [u8]>,
    /// Where a handler leaves that its answer goes on.
    pub(crate) stream: &'a Cell<Option<u64>>,
}

/// Keys that a function may call other services of the platform with: secrets.
///
/// ```
/// use fnboot::{Context, Error};
///
/// fn sign<'a>(cx: &Context<'a>) -> Result<&'a str, Error> {
///     let keys = cx.credentials();
///     let keys = keys.ok_or_else(|| Error::new("NoRole", "the function has no role"))?;
///     Ok(keys.access_key_id)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Credentials<'a> {
    /// Names the keys; temporary ones begin with `STS.`.
    pub access_key_id: &'a str,
    /// What requests are signed with.
    pub access_key_secret: &'a str,
    /// Empty where the platform gives none.
    pub security_token: &'a str,
}

/// Nothing of a secret gets into a log by accident.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(..)")
    }
}

/// Without the headers, among which there are secrets.
impl fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Context({:?}, {:?})",
            self.platform,
            self.request_id()
        )
    }
}

impl<'a> Context<'a> {
    /// Who calls.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform.built_in()
    }

    /// The call's id; empty where the platform sent none.
    #[must_use]
    pub fn request_id(&self) -> &'a str {
        str::from_utf8(self.sent_id()).unwrap_or("")
    }

    /// The same for a line of the log: somebody's bytes, of which nothing must end the line or a
    /// string in it. What could, and what follows, is cut.
    #[doc(hidden)]
    #[must_use]
    pub fn id(&self) -> &'a [u8] {
        let id = self.sent_id();
        let id = id.get(..REQUEST_ID_BYTES_MAX).unwrap_or(id);
        let is_plain = |byte: &u8| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~');
        let end = id.iter().position(|byte| !is_plain(byte));
        bytes::slice(id, 0..end.unwrap_or(id.len()))
    }

    fn sent_id(&self) -> &'a [u8] {
        let id = match self.platform() {
            Platform::Fc => self.headers.get("x-fc-request-id"),
            Platform::Lambda => self.headers.get("lambda-runtime-aws-request-id"),
            Platform::Scf => {
                let of_event = self.headers.get("request_id");
                of_event.or_else(|| self.headers.get("x-scf-request-id"))
            }
        };
        id.unwrap_or_default()
    }

    /// Says that the answer goes on after what the call returns: the rest is asked for piece by
    /// piece with [`Handler::stream`], which is given `state`. For handlers that say so with
    /// [`Handler::STREAMS`]; any other fails the call.
    ///
    /// The answer to an HTTP request is sent as it comes. The answer to an event is collected and
    /// sent as a whole, up to the limit of a body, unless the platform takes events' answers in
    /// pieces (Lambda, with `FNBOOT_STREAMING=on`).
    pub fn stream(&self, state: u64) {
        self.stream.set(Some(state));
    }

    /// What [`stream`](Context::stream) was given last: for tests of functions.
    #[must_use]
    pub fn streamed(&self) -> Option<u64> {
        self.stream.get()
    }

    /// Name of the function.
    #[must_use]
    pub fn function_name(&self) -> Option<&'a str> {
        match self.platform() {
            Platform::Fc => self.field("x-fc-function-name"),
            Platform::Lambda => self.variable("AWS_LAMBDA_FUNCTION_NAME"),
            Platform::Scf => self.variable("SCF_FUNCTIONNAME"),
        }
    }

    /// The `handler` setting of the function.
    #[must_use]
    pub fn function_handler(&self) -> Option<&'a str> {
        match self.platform() {
            Platform::Fc => self.field("x-fc-function-handler"),
            Platform::Lambda | Platform::Scf => self.variable("_HANDLER"),
        }
    }

    /// Memory of the instance, in MB.
    #[must_use]
    pub fn function_memory_mb(&self) -> Option<u64> {
        match self.platform() {
            Platform::Fc => self.number("x-fc-function-memory"),
            Platform::Lambda => {
                let value = (self.environment)(b"AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?;
                bytes::decimal(value)
            }
            Platform::Scf => self.number("memory_limit_in_mb"),
        }
    }

    /// How long a call may take. Lambda tells only the [`deadline`](Context::deadline).
    #[must_use]
    pub fn function_timeout(&self) -> Option<Duration> {
        match self.platform() {
            Platform::Fc => self
                .number("x-fc-function-timeout")
                .map(Duration::from_secs),
            Platform::Lambda => None,
            Platform::Scf => self.number("time_limit_in_ms").map(Duration::from_millis),
        }
    }

    /// The `initializer` setting of the function (FC 2.0).
    #[must_use]
    pub fn function_initializer(&self) -> Option<&'a str> {
        self.field("x-fc-function-initializer")
    }

    /// How long the initializer may take (FC 2.0).
    #[must_use]
    pub fn initialization_timeout(&self) -> Option<Duration> {
        self.number("x-fc-initialization-timeout")
            .map(Duration::from_secs)
    }

    /// The region, e.g. `cn-hangzhou`.
    #[must_use]
    pub fn region(&self) -> Option<&'a str> {
        match self.platform() {
            Platform::Fc => self.field("x-fc-region"),
            Platform::Lambda => self.variable("AWS_REGION"),
            Platform::Scf => self.variable("TENCENTCLOUD_REGION"),
        }
    }

    /// The account that owns the function.
    #[must_use]
    pub fn account_id(&self) -> Option<&'a str> {
        match self.platform() {
            Platform::Fc => self.field("x-fc-account-id"),
            // arn:aws:lambda:REGION:ACCOUNT:function:NAME
            Platform::Lambda => self.function_arn()?.split(':').nth(4),
            Platform::Scf => self.variable("TENCENTCLOUD_UIN"),
        }
    }

    /// The version or alias that was called, e.g. `LATEST`.
    #[must_use]
    pub fn qualifier(&self) -> Option<&'a str> {
        self.field("x-fc-qualifier")
    }

    /// The version that runs.
    #[must_use]
    pub fn version_id(&self) -> Option<&'a str> {
        match self.platform() {
            Platform::Fc => self.field("x-fc-version-id"),
            Platform::Lambda => self.variable("AWS_LAMBDA_FUNCTION_VERSION"),
            Platform::Scf => self.variable("SCF_FUNCTIONVERSION"),
        }
    }

    /// The name by which the function was called, with version or alias (Lambda).
    #[must_use]
    pub fn function_arn(&self) -> Option<&'a str> {
        self.field("lambda-runtime-invoked-function-arn")
    }

    /// The trace that the call belongs to, `Root=…;Parent=…;Sampled=…` (Lambda).
    #[must_use]
    pub fn trace_id(&self) -> Option<&'a str> {
        self.field("lambda-runtime-trace-id")
    }

    /// What a client of AWS's mobile SDK tells about itself, as JSON (Lambda).
    #[must_use]
    pub fn client_context(&self) -> Option<&'a str> {
        self.field("lambda-runtime-client-context")
    }

    /// Who the caller is to Amazon Cognito, as JSON (Lambda).
    #[must_use]
    pub fn cognito_identity(&self) -> Option<&'a str> {
        self.field("lambda-runtime-cognito-identity")
    }

    /// The tenant that the call is for (Lambda, functions with tenant isolation).
    #[must_use]
    pub fn tenant_id(&self) -> Option<&'a str> {
        self.field("lambda-runtime-aws-tenant-id")
    }

    /// The service of the function (FC 2.0).
    #[must_use]
    pub fn service_name(&self) -> Option<&'a str> {
        self.field("x-fc-service-name")
    }

    /// The project of the log service that the log goes to.
    #[must_use]
    pub fn log_project(&self) -> Option<&'a str> {
        self.field("x-fc-service-logproject")
    }

    /// The log store of the log service that the log goes to.
    #[must_use]
    pub fn log_store(&self) -> Option<&'a str> {
        self.field("x-fc-service-logstore")
    }

    /// How often an asynchronous call was tried before.
    #[must_use]
    pub fn retry_count(&self) -> Option<u64> {
        self.number("x-fc-retry-count")
    }

    /// The trace's span, if tracing is on.
    #[must_use]
    pub fn tracing_span_context(&self) -> Option<&'a str> {
        self.field("x-fc-tracing-opentracing-span-context")
    }

    /// The trace's baggage, base64 of a JSON map, if tracing is on.
    #[must_use]
    pub fn tracing_span_baggages(&self) -> Option<&'a str> {
        self.field("x-fc-tracing-opentracing-span-baggages")
    }

    /// Where spans are sent to, if tracing is on.
    #[must_use]
    pub fn tracing_jaeger_endpoint(&self) -> Option<&'a str> {
        self.field("x-fc-tracing-jaeger-endpoint")
    }

    /// The path under which the HTTP trigger was reached.
    #[must_use]
    pub fn base_path(&self) -> Option<&'a str> {
        self.field("x-fc-base-path")
    }

    /// Address of the caller, where FC tells it.
    #[must_use]
    pub fn client_ip(&self) -> Option<&'a str> {
        self.field("x-fc-client-ip")
    }

    /// Keys of the function's role: those that came with the call, which are the fresher ones,
    /// else those of the process (`ALIBABA_CLOUD_ACCESS_KEY_ID` and so on; `AWS_ACCESS_KEY_ID`;
    /// `TENCENTCLOUD_SECRETID`).
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials<'a>> {
        let [id, secret, token] = match self.platform() {
            Platform::Fc => [
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
                "ALIBABA_CLOUD_SECURITY_TOKEN",
            ],
            Platform::Lambda => [
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
            ],
            Platform::Scf => [
                "TENCENTCLOUD_SECRETID",
                "TENCENTCLOUD_SECRETKEY",
                "TENCENTCLOUD_SESSIONTOKEN",
            ],
        };
        let sent = match self.platform() {
            Platform::Fc => self
                .field("x-fc-access-key-id")
                .zip(self.field("x-fc-access-key-secret")),
            Platform::Lambda | Platform::Scf => None,
        };
        let (access_key_id, access_key_secret) = match sent {
            Some(keys) => keys,
            None => (self.variable(id)?, self.variable(secret)?),
        };
        // custom.debian11 sends the keys with the call, and no token.
        let sent = sent.and_then(|_| self.field("x-fc-security-token"));
        let security_token = sent.or_else(|| self.variable(token)).unwrap_or("");
        Some(Credentials {
            access_key_id,
            access_key_secret,
            security_token,
        })
    }

    /// Any header of the call by its name, whatever its case. Empty ones are there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.get(name)
    }

    /// When the call is ended by force, since the Unix epoch: as the platform says, or its arrival
    /// and [`function_timeout`](Context::function_timeout).
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.platform() == Platform::Lambda {
            let deadline_ms = self.number("lambda-runtime-deadline-ms");
            return deadline_ms.map(Duration::from_millis);
        }
        Duration::from_millis(self.arrived_ms).checked_add(self.function_timeout()?)
    }

    /// How long the call may still take; zero when the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        let now = Duration::from_millis((self.now_ms)());
        Some(self.deadline()?.saturating_sub(now))
    }

    /// A header that says something: FC sends many of them empty.
    fn field(&self, name: &str) -> Option<&'a str> {
        self.headers.text(name).filter(|value| !value.is_empty())
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.headers.get(name).and_then(bytes::decimal)
    }

    fn variable(&self, name: &str) -> Option<&'static str> {
        let value = (self.environment)(name.as_bytes())?;
        str::from_utf8(value).ok().filter(|value| !value.is_empty())
    }
}

/// An HTTP request.
///
/// ```
/// # use fnboot::{Request, Response};
/// fn route<'a>(request: &Request<'a>) -> Response<'a> {
///     match (request.method(), request.path()) {
///         ("GET", "/health") => Response::new(204),
///         ("POST", "/echo") => Response::new(200).body(request.body()),
///         _ => Response::new(404).body(b"no such thing\n"),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The method, as the client spelt it.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.head.method
    }

    /// Path and query, as the client spelt them.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.head.target
    }

    /// The path, still percent-encoded; begins with `/`.
    #[must_use]
    pub fn path(&self) -> &'a str {
        head::split_target(self.head.target).0
    }

    /// What follows the `?`, still percent-encoded.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        head::split_target(self.head.target).1
    }

    /// The value of the first header of that name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.head.headers.get(name)
    }

    /// All headers in the order in which they came: names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.head.headers.iter()
    }

    /// The whole body, its transfer coding removed.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }
}

/// An HTTP response.
///
/// The server itself adds `Content-Length`, `Date` and `Connection`. Headers that belong to FC (see
/// [`Response::header`]) are dropped.
///
/// ```
/// # use fnboot::Response;
/// fn moved(to: &str) -> Response<'_> {
///     Response::new(308)
///         .header("Location", to)
///         .header("Content-Type", "text/plain")
///         .body("It is not here any more.\n")
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    fields: [(&'a str, &'a [u8]); RESPONSE_FIELD_COUNT_MAX],
    /// Invariant: counts every header that was given, so more than `fields.len()` is an overflow.
    field_count: usize,
}

impl<'a> Response<'a> {
    /// An empty response with that status, which must be from 200 to 599: any other one fails the
    /// call.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let fields = [("", &b""[..]); RESPONSE_FIELD_COUNT_MAX];
        Self {
            status,
            body: b"",
            fields,
            field_count: 0,
        }
    }

    /// With one more header. A name may come several times.
    ///
    /// Dropped are those that the platform owns: `Connection`, `Content-Length`, `Date`,
    /// `Keep-Alive`, `Server`, `Transfer-Encoding`, `Upgrade` and everything that begins with
    /// `x-fc-` or `x-scf-`. A name or
    /// value that would break the head, or more than 32 headers, fail the call.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        if let Some(field) = self.fields.get_mut(self.field_count) {
            *field = (name, value.as_ref());
        }
        self.field_count += 1;
        self
    }

    /// With that body.
    #[must_use]
    pub fn body(mut self, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.body = body.as_ref();
        self
    }

    /// Status, headers and body, if it is a response that can be sent: for tests of functions.
    ///
    /// # Errors
    /// What the call would fail with.
    #[allow(
        clippy::type_complexity,
        reason = "the three parts, as they were given"
    )]
    pub fn parts(&self) -> Result<(u16, &[(&'a str, &'a [u8])], &'a [u8]), Error> {
        Ok((self.status, self.checked()?, self.body))
    }

    /// The headers of a response that can be sent.
    pub(crate) fn checked(&self) -> Result<&[(&'a str, &'a [u8])], Error> {
        let bad = |message| Err(Error::fixed("BadResponse", message));
        if !(200..=599).contains(&self.status) {
            return bad("status not between 200 and 599");
        }
        let Some(fields) = self.fields.get(..self.field_count) else {
            return bad("more than 32 headers");
        };
        if !fields
            .iter()
            .all(|(name, value)| write::is_field(name, value))
        {
            return bad("a header's name or value is not valid");
        }
        Ok(fields)
    }
}

/// Why a call failed: a type, a message, and where it was made.
///
/// It needs no allocation: a message longer than 512 bytes is cut. `?` turns every
/// [`core::error::Error`] into one; its type is then the name of that error's Rust type.
///
/// ```
/// use fnboot::Error;
///
/// fn parse(event: &[u8]) -> Result<u32, Error> {
///     if event.is_empty() {
///         return Err(Error::new("EmptyEvent", "an event must have a number in it"));
///     }
///     let number = core::str::from_utf8(event)?.parse::<u32>()?;
///     if number > 100 {
///         return Err(Error::new("TooLarge", format_args!("{number} is over 100")));
///     }
///     Ok(number)
/// }
///
/// assert_eq!(parse(b"42").unwrap(), 42);
/// assert_eq!(parse(b"101").unwrap_err().message(), "101 is over 100");
/// assert_eq!(parse(b"x").unwrap_err().kind(), "core::num::error::ParseIntError");
/// ```
#[derive(Clone)]
pub struct Error {
    kind: &'static str,
    text: Text,
}

#[derive(Clone)]
enum Text {
    /// A message that is there already, made nowhere in particular.
    Fixed(&'static str),
    Written {
        bytes: [u8; ERROR_BYTES_MAX + TRACE_BYTES_MAX],
        /// Invariant: `bytes[..message_len]` is UTF-8.
        message_len: usize,
        /// Invariant: `bytes[message_len..][..trace_len]` is UTF-8.
        trace_len: usize,
    },
}

const TRACE_BYTES_MAX: usize = 128;

impl Error {
    /// An error of that type with a message: text, or `format_args!(…)`, or anything that can be
    /// displayed.
    #[must_use]
    #[track_caller]
    pub fn new(kind: &'static str, message: impl fmt::Display) -> Self {
        let place = Location::caller();
        Self::at(kind, message, format_args!("{place}"))
    }

    /// An error with a message that needs no formatting, which would be most of a small binary.
    pub(crate) fn fixed(kind: &'static str, message: &'static str) -> Self {
        let text = Text::Fixed(message);
        Self { kind, text }
    }

    /// An error that was made at `place`.
    #[cold]
    #[inline(never)]
    pub(crate) fn at(
        kind: &'static str,
        message: impl fmt::Display,
        place: impl fmt::Display,
    ) -> Self {
        let mut bytes = [0; ERROR_BYTES_MAX + TRACE_BYTES_MAX];
        let message_len = display(message, &mut bytes[..ERROR_BYTES_MAX]);
        let room = &mut bytes[message_len..];
        let room_len = room.len().min(TRACE_BYTES_MAX);
        let trace_len = display(place, &mut room[..room_len]);
        let text = Text::Written {
            bytes,
            message_len,
            trace_len,
        };
        Self { kind, text }
    }

    /// The error's type: `errorType` in the answer.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What is wrong: `errorMessage` in the answer.
    #[must_use]
    pub fn message(&self) -> &str {
        str::from_utf8(self.message_bytes()).unwrap_or("")
    }

    /// Where it was made, `file:line:column`: the one line of `stackTrace` in the answer.
    #[must_use]
    pub fn place(&self) -> &str {
        str::from_utf8(self.place_bytes()).unwrap_or("")
    }

    /// [`message`](Error::message), where nobody needs to be told again that it is UTF-8.
    pub(crate) fn message_bytes(&self) -> &[u8] {
        match &self.text {
            Text::Fixed(message) => message.as_bytes(),
            Text::Written {
                bytes, message_len, ..
            } => bytes::slice(bytes, 0..*message_len),
        }
    }

    /// The same of [`place`](Error::place).
    pub(crate) fn place_bytes(&self) -> &[u8] {
        match &self.text {
            Text::Fixed(_) => b"",
            Text::Written {
                bytes,
                message_len,
                trace_len,
            } => bytes::slice(bytes, *message_len..*message_len + *trace_len),
        }
    }
}

/// Writes `text` to the front of `place` and returns its length, cut where a character ends.
fn display(text: impl fmt::Display, place: &mut [u8]) -> usize {
    let mut writer = Writer::new(place);
    // A `Display` that fails leaves what it wrote before: better than no message.
    let _ = write!(writer, "{text}");
    let written = writer.finish();
    match str::from_utf8(written) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    }
}

impl<E: core::error::Error> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        let place = Location::caller();
        Self::at(core::any::type_name::<E>(), error, format_args!("{place}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.kind, self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self} (at {})", self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn messages_are_cut_between_characters() {
        let error = Error::new("Long", "é".repeat(ERROR_BYTES_MAX));
        assert_eq!(error.message().len(), ERROR_BYTES_MAX);
        let error = Error::new("Long", format!("x{}", "é".repeat(ERROR_BYTES_MAX)));
        assert_eq!(error.message().len(), ERROR_BYTES_MAX - 1);
        assert!(error.place().contains("handler.rs:"), "{}", error.place());
    }

    #[test]
    fn conversion_names_type_and_place() {
        fn parse() -> Result<u8, Error> {
            Ok("x".parse::<u8>()?)
        }
        let error = parse().expect_err("not a number");
        assert_eq!(error.kind(), "core::num::error::ParseIntError");
        assert_eq!(error.message(), "invalid digit found in string");
        assert!(error.place().contains("handler.rs:"), "{}", error.place());
    }

    #[test]
    fn ids_in_the_log_cannot_forge_a_line() {
        let long = "x".repeat(1000);
        for (sent, want) in [
            ("1-2-3", "1-2-3"),
            ("a\nFC Invoke End", "a"),
            ("a\"b", "a"),
            ("a\\b", "a"),
            ("a~!#[]\u{e9}", "a~!#[]"),
            (&long[..], &long[..REQUEST_ID_BYTES_MAX]),
        ] {
            crate::testing::event(Platform::Fc, &[("x-fc-request-id", sent)], |cx| {
                assert_eq!(cx.id(), want.as_bytes());
                assert_eq!(cx.request_id(), sent);
            });
        }
    }

    #[test]
    fn responses_count_their_headers() {
        let mut response = Response::new(200);
        for _ in 0..RESPONSE_FIELD_COUNT_MAX {
            response = response.header("a", "b");
        }
        assert!(response.checked().is_ok());
        assert!(response.header("a", "b").checked().is_err());
    }
}
