//! One call as FC's own tools show it: the log in a frame, the result, the figures.

use super::contract::{Call, Control};
use super::failure;
use super::instance::{Answer, Instance};
use crate::figures::Figures;
use crate::function::Function;
use crate::invoke::{Input, Verdict, print_result, show_head};
use crate::terminal::say;
use crate::warm::Instance as _;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use std::error::Error;
use std::rc::Rc;

/// Starts an instance, calls it, shows everything, stops it.
pub(crate) async fn run(function: &Rc<Function>, input: Input) -> Result<Verdict, Box<dyn Error>> {
    begin_log();
    let instance = match Instance::start(function).await {
        Ok(instance) => instance,
        Err(error) => {
            end_log();
            return start_failed(&error);
        }
    };
    let is_http = input.http.is_some();
    let call = Call::new(if is_http {
        Control::HttpInvoke
    } else {
        Control::Invoke
    });
    let request = request(&instance, &call, input);
    let meter = instance.meter().await;
    let result = instance.exchange(request, &meter).await;
    let (figures, _) = instance.figures(&meter);
    end_log();
    say(format_args!("RequestId: {}", call.request_id));
    let verdict = match result {
        Ok(answer) => show_answer(&answer, is_http)?,
        Err(failure) => show_failure(&failure, &figures),
    };
    say(format_args!("{figures}"));
    instance.stop().await;
    Ok(verdict)
}

/// Opens the frame that the platform's own tools draw around the log.
fn begin_log() {
    say(format_args!("========= FC invoke Logs begin ========="));
}

/// Closes it.
fn end_log() {
    say(format_args!("========= FC invoke Logs end ========="));
}

/// A failed initializer is the function's failure; everything else means that there is no function.
fn start_failed(error: &failure::Start) -> Result<Verdict, Box<dyn Error>> {
    if !matches!(error, failure::Start::Initialize(_)) {
        return Err(format!("{}: {error}", error.code()).into());
    }
    say(format_args!("Error Type: {}", error.code()));
    say(format_args!("{error}"));
    Ok(Verdict::Failed)
}

fn request(instance: &Instance, call: &Call, input: Input) -> Request<Full<Bytes>> {
    let added = input.headers.clone();
    let mut request = match input.http {
        Some(target) => instance.http(call, target, input.headers, input.body),
        None => instance.event(call, input.body),
    };
    request.headers_mut().extend(added);
    request
}

fn show_answer(answer: &Answer, is_http: bool) -> std::io::Result<Verdict> {
    let error_type = answer.error_type();
    if let Some(error_type) = error_type {
        say(format_args!("Error Type: {error_type}"));
    }
    // A client of an HTTP function may well be told that it is wrong; an event cannot be.
    let is_refused = !is_http && !answer.status.is_success();
    if is_http || (is_refused && error_type.is_none()) {
        show_head(answer.status, &answer.headers);
    }
    say(format_args!("Invoke Result:"));
    print_result(&answer.body)?;
    // A server error is a failure to whoever runs this in a script, though not to FC.
    let has_failed = error_type.is_some() || is_refused || answer.status.is_server_error();
    Ok(if has_failed {
        Verdict::Failed
    } else {
        Verdict::Succeeded
    })
}

fn show_failure(failure: &failure::Call, figures: &Figures) -> Verdict {
    say(format_args!("Error Type: {}", failure::UNHANDLED));
    say(format_args!("{}", failure.message(figures)));
    say(format_args!("({})", failure.detail()));
    Verdict::Failed
}
