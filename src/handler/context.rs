//! What a call comes with: [`Context`], the [`Platform`] that calls, the [`Credentials`] of the
//! function.
//!
//! A context borrows the headers of its call, and looks for a value when it is asked for one. It
//! never reads a clock or the environment but through the functions that it was given, and never
//! shows a secret to a formatter.

use core::cell::Cell;
use core::fmt;
use core::str;
use core::time::Duration;

use crate::bytes;
use crate::http::head::Headers;
use crate::limits::REQUEST_ID_BYTES_MAX;

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
    /// The same, limited to the enabled features, so that the optimizer drops the code of other platforms.
    pub(crate) fn enabled(self) -> Self {
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
    /// Where a handler leaves that its answer goes on, or comes later.
    pub(crate) rest: &'a Cell<Rest>,
}

/// What there is of an answer beside what the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// Nothing so far, but the call may be put off: then this is its number.
    Offered(u64),
    /// More of it, for which the handler keeps this state.
    Stream(u64),
    /// All of it, under this number; zero if the call must not be put off.
    Later(u64),
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
        self.platform.enabled()
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

    /// The same as it was sent.
    pub(crate) fn sent_id(&self) -> &'a [u8] {
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
    /// piece with [`Handler::stream`](super::Handler::stream), which is given `state`. For handlers
    /// that say so with [`Handler::STREAMS`](super::Handler::STREAMS); any other fails the call.
    ///
    /// The answer to an HTTP request is sent as it comes. The answer to an event is collected and
    /// sent as a whole, up to the limit of a body, unless the platform takes events' answers in
    /// pieces (Lambda, with `FNBOOT_STREAMING=on`).
    ///
    /// A call does either this or [`defer`](Context::defer): one that does both fails.
    pub fn stream(&self, state: u64) {
        self.rest.set(match self.rest.get() {
            Rest::Later(_) => Rest::Later(0),
            _ => Rest::Stream(state),
        });
    }

    /// What [`stream`](Context::stream) was given last: for tests of functions.
    #[must_use]
    pub fn streamed(&self) -> Option<u64> {
        match self.rest.get() {
            Rest::Stream(state) => Some(state),
            _ => None,
        }
    }

    /// Puts the call off: it is answered later, by [`Handler::resume`](super::Handler::resume), and what it
    /// returns now is dropped. An error that it returns now is not: it ends the call, which is then neither
    /// resumed nor abandoned. Returns the number of the call, which no other call of the process has.
    ///
    /// For handlers that say so with [`Handler::DEFERS`](super::Handler::DEFERS); any other fails the call, as do
    /// one that streams as well, and hooks that no request asks for (`initialize` on Lambda and SCF, `pre_stop`
    /// there).
    ///
    /// The event is lent for this call only: whatever answers it later needs a copy.
    #[must_use = "the answer is known by this number"]
    pub fn defer(&self) -> u64 {
        let call = match self.rest.get() {
            Rest::Offered(call) | Rest::Later(call) => call,
            Rest::Nothing | Rest::Stream(_) => 0,
        };
        self.rest.set(Rest::Later(call));
        call
    }

    /// Whether the call may be put off: not a hook that no request asks for.
    #[cfg(feature = "command")]
    pub(crate) fn may_defer(&self) -> bool {
        matches!(self.rest.get(), Rest::Offered(_))
    }

    /// What [`defer`](Context::defer) returned, if it was called: for tests of functions.
    #[must_use]
    pub fn deferred(&self) -> Option<u64> {
        match self.rest.get() {
            Rest::Later(call) => Some(call),
            _ => None,
        }
    }

    /// Name of the function.
    #[must_use]
    #[inline(never)]
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
            Platform::Lambda => {
                let account = bytes::part(self.function_arn()?.as_bytes(), b':', 4);
                Some(bytes::text(account)).filter(|account| !account.is_empty())
            }
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
        self.deadline_ms().map(Duration::from_millis)
    }

    /// How long the call may still take; zero when the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.remaining_ms().map(Duration::from_millis)
    }

    /// [`deadline`](Context::deadline), in milliseconds.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        let (name, unit_ms) = match self.platform() {
            Platform::Lambda => return self.number("lambda-runtime-deadline-ms"),
            Platform::Fc => ("x-fc-function-timeout", 1000),
            Platform::Scf => ("time_limit_in_ms", 1),
        };
        let timeout_ms = self.number(name)?.saturating_mul(unit_ms);
        Some(self.arrived_ms.saturating_add(timeout_ms))
    }

    /// [`remaining`](Context::remaining), in milliseconds.
    pub(crate) fn remaining_ms(&self) -> Option<u64> {
        Some(self.deadline_ms()?.saturating_sub((self.now_ms)()))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
