//! An HTTP response as a handler makes it: [`Response`].
//!
//! It borrows all that it is made of, and is checked when it is sent. It never frames a body nor
//! speaks for the connection: such fields belong to the server.

use super::error::Error;
use crate::http::write;
use crate::limits::RESPONSE_FIELD_COUNT_MAX;

/// An HTTP response.
///
/// The server itself adds `Content-Length`, `Date` and `Connection`. Headers that belong to FC (see
/// [`Response::header`]) are dropped.
///
/// ```
/// # use fnboot::Response;
/// fn moved(to: &str) -> Response<'_> {
///     Response::new(308)
///         .header("Location", to)
///         .header("Content-Type", "text/plain")
///         .body("It is not here any more.\n")
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    fields: [(&'a str, &'a [u8]); RESPONSE_FIELD_COUNT_MAX],
    /// Invariant: counts every header that was given, so more than `fields.len()` is an overflow.
    field_count: usize,
}

impl<'a> Response<'a> {
    /// An empty response with that status, which must be from 200 to 599: any other one fails the
    /// call.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let fields = [("", &b""[..]); RESPONSE_FIELD_COUNT_MAX];
        Self {
            status,
            body: b"",
            fields,
            field_count: 0,
        }
    }

    /// With one more header. A name may come several times.
    ///
    /// Dropped are those that the platform owns: `Connection`, `Content-Length`, `Date`,
    /// `Keep-Alive`, `Server`, `Transfer-Encoding`, `Upgrade` and everything that begins with
    /// `x-fc-` or `x-scf-`. A name or
    /// value that would break the head, or more than 32 headers, fail the call.
    #[must_use]
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.put(name, value.as_ref());
        self
    }

    /// Appends a header.
    #[inline(never)]
    pub(crate) fn put(&mut self, name: &'a str, value: &'a [u8]) {
        if let Some(field) = self.fields.get_mut(self.field_count) {
            *field = (name, value);
        }
        self.field_count += 1;
    }

    /// Whether it was given more headers than it holds.
    #[cfg(feature = "command")]
    pub(crate) fn has_too_many_fields(&self) -> bool {
        self.field_count > self.fields.len()
    }

    /// With that body.
    #[must_use]
    pub fn body(mut self, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.body = body.as_ref();
        self
    }

    /// Status, headers and body, if it is a response that can be sent: for tests of functions.
    ///
    /// # Errors
    /// What the call would fail with.
    #[allow(
        clippy::type_complexity,
        reason = "the three parts, as they were given"
    )]
    pub fn parts(&self) -> Result<(u16, &[(&'a str, &'a [u8])], &'a [u8]), Error> {
        Ok((self.status, self.checked()?, self.body))
    }

    /// The headers of a response that can be sent.
    pub(crate) fn checked(&self) -> Result<&[(&'a str, &'a [u8])], Error> {
        let bad = |message| Err(Error::fixed("BadResponse", message));
        if !(200..=599).contains(&self.status) {
            return bad("status not between 200 and 599");
        }
        let Some(fields) = self.fields.get(..self.field_count) else {
            return bad("more than 32 headers");
        };
        if !fields
            .iter()
            .all(|(name, value)| write::is_field(name, value))
        {
            return bad("a header's name or value is not valid");
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_count_their_headers() {
        let mut response = Response::new(200);
        for _ in 0..RESPONSE_FIELD_COUNT_MAX {
            response = response.header("a", "b");
        }
        assert!(response.checked().is_ok());
        assert!(response.header("a", "b").checked().is_err());
    }
}
