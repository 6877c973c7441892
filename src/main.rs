//! `bootstrap`.
#![no_std]
#![no_main]
use fnboot::{Context, Error, Handler, Request, Response};

struct Echo;

impl Handler for Echo {
    fn invoke<'a>(&'a mut self, event: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
        Ok(event)
    }
    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        _: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        Ok(Response::new(200).body(if request.body().is_empty() {
            &b"Hello World!\n"[..]
        } else {
            request.body()
        }))
    }
}

fnboot::main!(Echo);
