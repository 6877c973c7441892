//! `fnboot invoke`: one call on a fresh instance.
//!
//! Standard output is the function's answer, byte for byte, and nothing else; everything for people goes
//! to standard error.

use crate::function::{self, Function};
use crate::platform::lambda::Lambda;
use crate::platform::runtime_api::{Flaky, Player};
use crate::platform::scf::Scf;
use crate::platform::{Platform, fc};
use crate::signals::{self, Signals};
use crate::terminal::{self, say};
use clap::Args;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use std::error::Error;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

#[derive(Args)]
pub(crate) struct Options {
    /// The event, or the body of an HTTP request
    #[arg(
        short,
        long,
        value_name = "EVENT",
        group = "input",
        allow_hyphen_values = true
    )]
    event: Option<String>,
    /// Read the event from a file
    #[arg(long, value_name = "FILE", group = "input")]
    event_file: Option<PathBuf>,
    /// Read the event from standard input
    #[arg(long, group = "input")]
    stdin: bool,
    /// Call an HTTP function: 'GET /path', or '/path'
    #[arg(long, value_name = "REQUEST", value_parser = parse_target)]
    http: Option<Target>,
    /// Add a header to the request, or replace one, the platform's included; with a runtime API,
    /// to the HTTP request, or without one to the event
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Lambda: the mobile SDK's client context, as JSON
    #[arg(long, value_name = "JSON")]
    client_context: Option<HeaderValue>,
    /// Lambda: the caller's Cognito identity, as JSON
    #[arg(long, value_name = "JSON")]
    cognito_identity: Option<HeaderValue>,
    /// Lambda: the caller's tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<HeaderValue>,
    #[command(flatten)]
    function: function::Options,
}

/// What an HTTP function is asked.
pub(crate) type Target = (Method, Uri);

/// What is sent to the function.
pub(crate) struct Input {
    pub(crate) body: Bytes,
    pub(crate) http: Option<Target>,
    pub(crate) headers: HeaderMap,
    /// Lambda's headers that tell who calls.
    pub(crate) caller: HeaderMap,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed,
}

pub(crate) async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let input = Input {
        body: read_event(&options)?,
        caller: caller(&options),
        http: options.http,
        headers: options.headers.into_iter().collect(),
    };
    let function: Rc<Function> = Rc::new(options.function.into());
    function.check()?;
    if !input.caller.is_empty() && function.platform != Platform::Lambda {
        return Err("--client-context, --cognito-identity and --tenant are Lambda's".into());
    }
    let mut signals = Signals::listen()?;
    let call = async {
        match function.platform {
            Platform::Fc => fc::invoke::run(&function, input).await,
            Platform::Lambda => {
                Player::<Lambda>::new(function, Flaky::Off)
                    .invoke(input)
                    .await
            }
            Platform::Scf => Player::<Scf>::new(function, Flaky::Off).invoke(input).await,
        }
    };
    tokio::select! {
        verdict = call => Ok(match verdict? {
            Verdict::Succeeded => ExitCode::SUCCESS,
            Verdict::Failed => ExitCode::FAILURE,
        }),
        // Dropping the call kills the instance.
        signal = signals.next() => Ok(signals::exit_code(signal)),
    }
}

/// Writes the answer as it is, and for people who read it on a terminal the line end that it lacks.
pub(crate) fn print_result(body: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let is_for_people = out.is_terminal() && !body.ends_with(b"\n");
    let line_end: &[u8] = if is_for_people { b"\n" } else { b"" };
    match out
        .write_all(body)
        .and_then(|()| out.write_all(line_end))
        .and_then(|()| out.flush())
    {
        // A reader that has seen enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        result => result?,
    }
    if !is_for_people {
        terminal::beside(body);
    }
    Ok(())
}

/// Shows the head of an answer to an HTTP request.
pub(crate) fn show_head(status: StatusCode, headers: &HeaderMap) {
    say(format_args!("HTTP/1.1 {status}"));
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        say(format_args!("{name}: {value}"));
    }
}

fn caller(options: &Options) -> HeaderMap {
    let fields = [
        ("lambda-runtime-client-context", &options.client_context),
        ("lambda-runtime-cognito-identity", &options.cognito_identity),
        ("lambda-runtime-aws-tenant-id", &options.tenant),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((HeaderName::from_static(name), value.clone()?)));
    given.collect()
}

fn read_event(options: &Options) -> Result<Bytes, Box<dyn Error>> {
    if let Some(event) = &options.event {
        return Ok(event.clone().into());
    }
    if let Some(path) = &options.event_file {
        let event = std::fs::read(path);
        return Ok(event
            .map_err(|error| format!("{}: {error}", path.display()))?
            .into());
    }
    let mut event = Vec::new();
    if options.stdin {
        io::stdin().read_to_end(&mut event)?;
    }
    Ok(event.into())
}

fn parse_target(text: &str) -> Result<Target, String> {
    let text = text.trim();
    let (method, target) = match text.split_once(' ') {
        Some(parts) => parts,
        None if text.starts_with('/') => ("GET", text),
        None => return Err(format!("no path in {text:?}: want 'GET /path' or '/path'")),
    };
    let method =
        Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is not a method"))?;
    let target = target.trim();
    if !target.starts_with('/') {
        return Err(format!("{target:?} does not start with a slash"));
    }
    let uri = target
        .parse()
        .map_err(|error| format!("{target:?}: {error}"))?;
    Ok((method, uri))
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    let name = name
        .parse()
        .map_err(|_| format!("{name:?} is not a header name"))?;
    let value = value.trim();
    let value = value
        .parse()
        .map_err(|_| format!("{value:?} is not a header value"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, &str)>) {
        let got = parse_target(text).ok();
        let got = got
            .as_ref()
            .map(|(method, uri)| (method.as_str(), uri.to_string()));
        assert_eq!(
            got,
            want.map(|(method, uri)| (method, uri.to_owned())),
            "{text:?}"
        );
    }

    #[test]
    fn targets() {
        check("GET /path?q=1", Some(("GET", "/path?q=1")));
        check("/path", Some(("GET", "/path")));
        check(" DELETE  /a%20b ", Some(("DELETE", "/a%20b")));
        check("GET path", None);
        check("G(T /path", None);
        check("", None);
        for bare in ["GET", "path", " "] {
            let error = parse_target(bare).unwrap_err();
            assert!(error.contains(": want 'GET /path'"), "{error}");
        }
    }

    #[test]
    fn headers() {
        let (name, value) = parse_header("X-Test:  a: b ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-test", "a: b"));
        assert!(parse_header("no colon").is_err());
        assert!(parse_header("bad name: x").is_err());
    }
}
