//! An HTTP request as a handler is given it: [`Request`].
//!
//! It is a view of the receive buffer, of a head and a body that the protocol has checked. It never
//! decodes: path, query and headers are as the client spelt them.

use crate::http::head::{self, Head};

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
