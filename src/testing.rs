//! Calls that no platform made, for the unit tests of functions.
//!
//! ```
//! use fnboot::{Context, Error, Handler, Platform, Request, Response, testing};
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
//! testing::event(Platform::Fc, &headers, |cx| {
//!     assert_eq!(hello.invoke(b"hi", cx).unwrap(), b"hi");
//! });
//! testing::request(Platform::Fc, "GET", "/a?b", &[], b"", |request, cx| {
//!     let response = hello.http(request, cx).unwrap();
//!     assert_eq!(response.parts().unwrap(), (200, &[][..], &b"/a"[..]));
//! });
//! ```

use core::cell::Cell;

use crate::handler::{Context, Platform, Request, Rest};
use crate::http::head::{self, Head, Headers};
use crate::sys::{clock, env};

/// Runs `test` with the context of a call of that platform, which must be among the features. The
/// call has these headers: names and values. What a platform tells by variables is read from those
/// of the test.
///
/// # Panics
/// There are more than 100 headers, or the platform is none that the program is built for.
pub fn event<T>(
    platform: Platform,
    headers: &[(&str, &str)],
    test: impl FnOnce(&Context<'_>) -> T,
) -> T {
    request(platform, "", "", headers, b"", |_, cx| test(cx))
}

/// Runs `test` with an HTTP request, and the context of its call.
///
/// # Panics
/// As [`event`].
pub fn request<T>(
    platform: Platform,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    test: impl FnOnce(&Request<'_>, &Context<'_>) -> T,
) -> T {
    assert_eq!(platform, platform.enabled(), "not a feature of this build");
    let mut rows = head::fields();
    assert!(headers.len() <= rows.len(), "more than 100 headers");
    let headers = Headers::from_pairs(headers, &mut rows);
    let head = Head {
        method,
        target,
        headers,
        ..Head::default()
    };
    let cx = Context {
        platform,
        headers,
        arrived_ms: clock::epoch_ms(),
        now_ms: clock::epoch_ms,
        environment: env::var,
        rest: &Cell::new(Rest::Offered(1 << 32)),
    };
    test(&Request { head, body }, &cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_has_its_headers() {
        for (platform, name) in [
            (Platform::Fc, "x-fc-request-id"),
            (Platform::Lambda, "lambda-runtime-aws-request-id"),
            (Platform::Scf, "request_id"),
        ] {
            if platform != platform.enabled() {
                continue; // Not among the features of this build.
            }
            event(platform, &[("a", "b"), (name, "1")], |cx| {
                assert_eq!((cx.platform(), cx.request_id()), (platform, "1"));
                assert_eq!(cx.header("A"), Some(&b"b"[..]));
                assert_eq!(cx.streamed(), None);
                cx.stream(7);
                assert_eq!(cx.streamed(), Some(7));
            });
            event(platform, &[], |cx| {
                assert_eq!(cx.deferred(), None);
                let call = cx.defer();
                assert_eq!((cx.deferred(), cx.streamed()), (Some(call), None));
                assert_eq!(cx.defer(), call);
            });
        }
    }

    #[test]
    fn requests_are_as_given() {
        let (platform, headers) = (Platform::Fc.enabled(), [("Host", "a")]);
        request(platform, "PUT", "/a?b", &headers, b"c", |request, _| {
            assert_eq!((request.method(), request.target()), ("PUT", "/a?b"));
            assert_eq!((request.path(), request.query()), ("/a", Some("b")));
            assert_eq!(request.headers().count(), 1);
            assert_eq!(request.body(), b"c");
        });
    }
}
