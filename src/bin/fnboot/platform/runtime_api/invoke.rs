//! One call on a fresh instance: the platform's log, then the result.

use super::answer::Answer;
use super::dialect::Dialect;
use super::failure::Failure;
use super::instance::Call;
use super::player::Player;
use crate::invoke::{Input, Verdict, print_result};
use crate::terminal::say;
use crate::warm::Instance as _;
use std::error::Error;
use std::io;

impl<D: Dialect> Player<D> {
    /// Starts an instance, calls it, shows everything, stops it.
    pub(crate) async fn invoke(self, input: Input) -> Result<Verdict, Box<dyn Error>> {
        let mut call = Call::new(input.body);
        call.headers = input.headers;
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
            Ok(answer) => show_answer(answer)?,
            Err(failure) => show_failure::<D>(failure, &request_id)?,
        };
        instance.stop().await;
        Ok(verdict)
    }
}

fn show_answer(answer: &Answer) -> io::Result<Verdict> {
    say(format_args!("Invoke Result:"));
    print_result(&answer.body)?;
    let Some(error) = &answer.late_error else {
        return Ok(Verdict::Succeeded);
    };
    let error_type = error.error_type.as_deref().unwrap_or("unknown");
    say(format_args!("Error Type, after the result: {error_type}"));
    say(format_args!("{}", String::from_utf8_lossy(&error.body)));
    Ok(Verdict::Failed)
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
