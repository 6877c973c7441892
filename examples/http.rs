//! An HTTP function without std: a few routes, and pages made on the fly. The same file runs on FC, behind the
//! gateways of Lambda (API Gateway, function URL, load balancer) and SCF.
//!
//! ```text
//! make example NAME=http
//! make invoke PROGRAM=pkg/http/bootstrap HTTP='GET /hello?name=you'
//! make serve PROGRAM=pkg/http/bootstrap PLATFORM=lambda # curl 'localhost:8000/hello?name=you'
//! ```
#![no_std]
#![no_main]

use core::fmt::{self, Write as _};

use fnboot::{Context, Error, Handler, Request, Response, info};

/// Lives as long as the process: counts its visits, and keeps the page that is being answered.
struct Site {
    visits: u32,
    page: Page,
}

impl Handler for Site {
    /// Behind a gateway of Lambda or SCF, a request is an event.
    const HTTP_EVENTS: bool = true;

    /// Somebody calls the function, not its URL.
    fn invoke<'a>(&'a mut self, _: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
        Err(Error::new("NoEvents", "this is an HTTP function"))
    }

    fn http<'a>(
        &'a mut self,
        request: &Request<'a>,
        cx: &Context<'_>,
    ) -> Result<Response<'a>, Error> {
        self.visits += 1;
        info!(cx, "{} {}", request.method(), request.path());
        let text = Response::new(200).header("Content-Type", "text/plain; charset=utf-8");
        Ok(match (request.method(), request.path()) {
            ("GET" | "HEAD", "/") => text.body("Try /hello?name=you, /visits or POST /echo.\n"),
            ("GET" | "HEAD", "/hello") => {
                let name = parameter(request, "name").unwrap_or("stranger");
                text.body(self.page.print(format_args!("Hello, {name}!\n"))?)
            }
            ("GET" | "HEAD", "/visits") => {
                let visits = self.visits;
                text.body(self.page.print(format_args!("{visits}\n"))?)
            }
            ("POST", "/echo") => {
                let kind = request.header("Content-Type").unwrap_or(b"text/plain");
                Response::new(200)
                    .header("Content-Type", kind)
                    .body(request.body())
            }
            (_, "/echo") => Response::new(405).header("Allow", "POST"),
            (_, "/" | "/hello" | "/visits") => Response::new(405).header("Allow", "GET, HEAD"),
            _ => Response::new(404).body("No such page.\n"),
        })
    }
}

/// The value of a parameter of the query, still percent-encoded.
fn parameter<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let pairs = request.query()?.split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Text of a limited length, as there is no `String` without an allocator.
struct Page {
    bytes: [u8; 1024],
    len: usize,
}

impl Page {
    const EMPTY: Self = Self {
        bytes: [0; 1024],
        len: 0,
    };

    /// Replaces the page.
    fn print(&mut self, text: fmt::Arguments<'_>) -> Result<&[u8], Error> {
        self.len = 0;
        if self.write_fmt(text).is_err() {
            return Err(Error::new("PageTooLong", "a page has at most 1024 bytes"));
        }
        Ok(&self.bytes[..self.len])
    }
}

impl fmt::Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fnboot::main!(Site {
    visits: 0,
    page: Page::EMPTY,
});
