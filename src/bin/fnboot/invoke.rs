//! `fnboot invoke`: one call on a fresh instance, shown as the platform's own command-line tool shows it.
//!
//! Standard output is the function's answer, byte for byte, and nothing else; everything for people goes
//! to standard error.

use crate::call::{Answer, Mode};
use crate::failure::{Failure, Stage};
use crate::figures::Figures;
use crate::function::Function;
use crate::instance::Instance;
use crate::platform;
use crate::platform::dialect::{Complaint, Dialect, Reached};
use crate::terminal::{print, say};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, StatusCode, Uri};
use std::error::Error;
use std::io::Read;
use std::rc::Rc;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[derive(Default)]
pub(crate) struct Invoke {
    /// Where the event is read, or the body of an HTTP request.
    pub(crate) event: Option<Box<dyn Read>>,
    /// What an HTTP function is asked.
    pub(crate) http: Option<(Method, Uri)>,
    pub(crate) headers: HeaderMap,
    /// Lambda's headers that tell who calls.
    pub(crate) caller: HeaderMap,
    pub(crate) function: Function,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
}

impl Invoke {
    /// Reads the event.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn read(&mut self) -> Result<Bytes> {
        let mut bytes = Vec::new();
        if let Some(mut event) = self.event.take() {
            let read = event.read_to_end(&mut bytes);
            read.map_err(|error| format!("the event: {error}"))?;
        }
        Ok(bytes.into())
    }
}

/// Starts an instance, calls it, shows everything, stops it.
///
/// # Errors
///
/// There is no function that could be called, or no way to call it.
pub(crate) async fn run(options: Invoke, body: Bytes) -> Result<Verdict> {
    let function = Rc::new(options.function);
    let dialect = platform::of(function.platform);
    let is_http = options.http.is_some();
    dialect.check_call(is_http)?;
    let mut call = dialect.call(options.http, options.headers, body)?;
    call.headers.extend(options.caller);
    let request_id = call.request_id.clone();
    // The platform's own tool frames all that is logged, or the platform's log begins and ends the call.
    let frame = dialect.facts().frame;
    if let Some([begin, _]) = frame {
        say(format_args!("{begin}"));
    }
    let instance = match Instance::start(&function, dialect).await {
        Ok(instance) => instance,
        Err(failure) => return not_started(dialect, &failure, &request_id).await,
    };
    if frame.is_none() {
        say(format_args!("{}", dialect.log_begin(&request_id, "")));
    }
    let meter = instance.meter().await;
    let result = instance.perform(Stage::Call, call, &meter).await;
    let outcome = instance.outcome(&meter, result);
    match frame {
        Some([_, end]) => say(format_args!("{end}\nRequestId: {request_id}")),
        None => say(format_args!("{}", dialect.log_end(&request_id, &outcome))),
    }
    let verdict = match &outcome.result {
        Ok(answer) => show_answer(dialect, answer, is_http).await?,
        Err(failure) => {
            let complaint = dialect.explain(failure, &request_id, &outcome.figures);
            show_failure(failure, &complaint).await?
        }
    };
    if frame.is_some() {
        say(format_args!("{}", outcome.figures));
    }
    instance.stop().await;
    Ok(verdict)
}

/// What a failed initialization says is the function's failure; everything else means that there is none.
async fn not_started(
    dialect: &dyn Dialect,
    failure: &Failure,
    request_id: &str,
) -> Result<Verdict> {
    if let Some([_, end]) = dialect.facts().frame {
        say(format_args!("{end}"));
    }
    let complaint = dialect.explain(failure, request_id, &Figures::default());
    if failure.has_started() {
        return show_failure(failure, &complaint).await;
    }
    Err(format!("{}: {failure}", complaint.error_type).into())
}

async fn show_answer(dialect: &dyn Dialect, answer: &Answer, is_http: bool) -> Result<Verdict> {
    let (head, body, mut has_failed) = match dialect.facts().reached {
        Reached::Http { .. } => of_program(dialect, answer, is_http),
        Reached::Api { .. } => of_api(dialect, answer, is_http),
    };
    if let Some((status, headers)) = head {
        say(format_args!("HTTP/1.1 {status}"));
        for (name, value) in &headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            say(format_args!("{name}: {value}"));
        }
    }
    say(format_args!("Invoke Result:"));
    print(&body).await?;
    if let Some(error) = &answer.late_error {
        let error_type = error.error_type.as_deref().unwrap_or("unknown");
        say(format_args!("Error Type, after the result: {error_type}"));
        say(format_args!("{}", String::from_utf8_lossy(&error.body)));
        has_failed = true;
    }
    Ok([Verdict::Succeeded, Verdict::Failed][usize::from(has_failed)])
}

/// What is shown of an answer: a head if it says something, the body, and whether the call failed.
type Shown = (Option<(StatusCode, HeaderMap)>, Bytes, bool);

/// An answer over HTTP.
fn of_program(dialect: &dyn Dialect, answer: &Answer, is_http: bool) -> Shown {
    let head = &answer.head;
    let error_type = dialect.error_type(&head.headers);
    if let Some(error_type) = error_type {
        say(format_args!("Error Type: {error_type}"));
    }
    // A client of an HTTP function may well be told that it is wrong; an event cannot be.
    let is_refused = !is_http && !head.status.is_success();
    let is_shown = is_http || (is_refused && error_type.is_none());
    let shown = is_shown.then(|| (head.status, head.headers.clone()));
    // A server error is a failure to whoever runs this in a script, though not to FC.
    let has_failed = error_type.is_some() || is_refused || head.status.is_server_error();
    (shown, answer.body.clone(), has_failed)
}

/// An answer to a runtime API. A stream says itself whether it is meant for an HTTP client; anything else
/// is, if it was one that asked.
fn of_api(dialect: &dyn Dialect, answer: &Answer, is_http: bool) -> Shown {
    let is_meant = is_http || answer.mode == Mode::Streamed;
    if let Some(response) = dialect.http_answer(answer).filter(|_| is_meant) {
        let (head, body) = response.into_parts();
        let has_failed = head.status.is_server_error();
        return (Some((head.status, head.headers)), body, has_failed);
    }
    if is_http {
        let line = "Not an answer to an HTTP request: callers get 502";
        say(format_args!("{line}"));
    }
    (None, answer.body.clone(), is_http)
}

/// A failure has a result, too: what the platform gives the caller.
async fn show_failure(failure: &Failure, complaint: &Complaint) -> Result<Verdict> {
    say(format_args!("Error Type: {}", complaint.error_type));
    say(format_args!("({failure})"));
    say(format_args!("Invoke Result:"));
    print(&complaint.body).await?;
    Ok(Verdict::Failed)
}
