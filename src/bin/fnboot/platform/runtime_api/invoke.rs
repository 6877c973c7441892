//! One call on a fresh instance: the platform's log, then the result.

use super::answer::{Answer, Mode};
use super::dialect::Dialect;
use super::failure::Failure;
use super::instance::Call;
use super::player::Player;
use crate::invoke::{Input, Verdict, print_result, show_head};
use crate::terminal::say;
use crate::warm::Instance as _;
use hyper::header::{HOST, HeaderValue};
use std::error::Error;
use std::io;

impl<D: Dialect> Player<D> {
    /// Starts an instance, calls it, shows everything, stops it.
    pub(crate) async fn invoke(self, input: Input) -> Result<Verdict, Box<dyn Error>> {
        let is_http = input.http.is_some();
        let call = call::<D>(input)?;
        let request_id = call.request_id.clone();
        let instance = match self.start().await {
            Ok(instance) => instance,
            // What the program reports is its failure; everything else means that there is none.
            Err(failure @ Failure::StartReported(_)) => {
                return Ok(show_failure::<D>(&failure, &request_id)?);
            }
            Err(failure) => {
                let complaint = D::explain(&failure, &request_id);
                return Err(format!("{}: {failure}", complaint.error_type).into());
            }
        };
        let outcome = instance.call(call).await;
        let verdict = match &outcome.result {
            Ok(answer) => show_answer::<D>(answer, is_http)?,
            Err(failure) => show_failure::<D>(failure, &request_id)?,
        };
        instance.stop().await;
        Ok(verdict)
    }
}

fn call<D: Dialect>(input: Input) -> Result<Call, &'static str> {
    let mut call = Call::new(input.body);
    call.headers = input.caller;
    let Some(target) = input.http else {
        call.headers.extend(input.headers);
        return Ok(call);
    };
    let mut headers = input.headers;
    headers
        .entry(HOST)
        .or_insert(HeaderValue::from_static("localhost"));
    call.event = D::http_event(&target, &headers, &call.event, &call.request_id)
        .ok_or("--http: this platform hands its runtime API no HTTP requests")?;
    Ok(call)
}

/// A stream says itself whether it is meant for an HTTP client; anything else is, if it was one that asked.
fn show_answer<D: Dialect>(answer: &Answer, is_http: bool) -> io::Result<Verdict> {
    let is_meant = is_http || answer.mode == Mode::Streamed;
    let response = Some(answer).filter(|_| is_meant).and_then(D::http_answer);
    let mut verdict = Verdict::Succeeded;
    if let Some(response) = &response {
        show_head(response.status(), response.headers());
        if response.status().is_server_error() {
            verdict = Verdict::Failed;
        }
    } else if is_http {
        say(format_args!(
            "Not an answer to an HTTP request: callers get 502"
        ));
        verdict = Verdict::Failed;
    }
    say(format_args!("Invoke Result:"));
    print_result(
        response
            .as_ref()
            .map_or(&answer.body, |response| response.body()),
    )?;
    if let Some(error) = &answer.late_error {
        let error_type = error.error_type.as_deref().unwrap_or("unknown");
        say(format_args!("Error Type, after the result: {error_type}"));
        say(format_args!("{}", String::from_utf8_lossy(&error.body)));
        verdict = Verdict::Failed;
    }
    Ok(verdict)
}

/// A failure has a result too: what the platform gives the caller.
fn show_failure<D: Dialect>(failure: &Failure, request_id: &str) -> io::Result<Verdict> {
    let complaint = D::explain(failure, request_id);
    say(format_args!("Error Type: {}", complaint.error_type));
    say(format_args!("({failure})"));
    say(format_args!("Invoke Result:"));
    print_result(&complaint.body)?;
    Ok(Verdict::Failed)
}
