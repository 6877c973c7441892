//! Calls that no platform made, for the unit tests of functions.
//!
//! ```
//! use fnboot::{Context, Error, Handler, Request, Response, testing};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
//!         Ok(if cx.request_id().is_empty() { b"who?" } else { event })
//!     }
//!
//!     fn http<'a>(&'a mut self, request: &Request<'a>, _: &Context<'_>) -> Result<Response<'a>, Error> {
//!         Ok(Response::new(200).body(request.path()))
//!     }
//! }
//!
//! let mut hello = Hello;
//! let headers = [("x-fc-request-id", "1")];
//! testing::event(&headers, |cx| assert_eq!(hello.invoke(b"hi", cx).unwrap(), b"hi"));
//! testing::request("GET", "/a?b", &[], b"", |request, cx| {
//!     let response = hello.http(request, cx).unwrap();
//!     assert_eq!(response.parts().unwrap(), (200, &[][..], &b"/a"[..]));
//! });
//! ```

use core::cell::Cell;

use crate::handler::{Context, Platform, Request};
use crate::http::head::{self, Head, Headers};
use crate::sys::{clock, env};

/// Runs `test` with the context of a call that has these headers, at most 100: names and values.
///
/// It is a call of FC, in a program that is built for several platforms; what other platforms tell
/// by variables is read from those of the test.
pub fn event<T>(headers: &[(&str, &str)], test: impl FnOnce(&Context<'_>) -> T) -> T {
    request("", "", headers, b"", |_, cx| test(cx))
}

/// Runs `test` with an HTTP request, and the context of its call.
pub fn request<T>(
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    test: impl FnOnce(&Request<'_>, &Context<'_>) -> T,
) -> T {
    let mut rows = head::EMPTY_ROWS;
    let headers = Headers::from_pairs(headers, &mut rows);
    let head = Head {
        method,
        target,
        headers,
        ..Head::default()
    };
    let cx = Context {
        platform: Platform::Fc,
        headers,
        arrived_ms: clock::epoch_ms(),
        now_ms: clock::epoch_ms,
        environment: env::var,
        stream: &Cell::new(None),
    };
    test(&Request { head, body }, &cx)
}
