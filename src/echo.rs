//! The built-in function: whoever deploys `bootstrap` alone sees that it works.

use crate::handler::{Context, Error, Handler, Request, Response};

/// Answers an event with itself, and an HTTP request with its body, or with a greeting.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Handler for Echo {
    fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
        Ok(event)
    }

    #[inline]
    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        _: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        let sent = request.body();
        let body = if sent.is_empty() {
            b"Hello World!\n"
        } else {
            sent
        };
        Ok(Response::new(200).body(body))
    }
}
