//! What a program is told about a call: the variables of its environment.
//!
//! Which header becomes which variable is a table of text, one for each platform, read by [`put_call`]
//! and by [`owner`]: what the one sets, the other knows. Values are somebody's bytes, and are never
//! looked into.

use crate::bytes::{self, Writer};
use crate::handler::{Context, Platform};

/// Longest `NAME=value` with its NUL that the kernel takes (execve(2), `MAX_ARG_STRLEN`, which is 32 pages:
/// more than this where pages are larger).
pub const VARIABLE_BYTES_MAX: usize = 128 * 1024;

/// Room for everything that [`put_call`] writes: no header is longer than a head, none becomes more than
/// three variables, and all names together are far shorter than that.
pub const CALL_BYTES_MAX: usize = 64 * 1024;

/// Variables one after the other, `NAME=value`, each with the same byte behind it: NUL as the kernel wants
/// them, or a newline.
#[derive(Debug)]
pub struct Variables<'a> {
    into: Writer<'a>,
    end: u8,
}

impl<'a> Variables<'a> {
    /// No variables yet, in `place`. Each will end with `end`.
    pub fn new(place: &'a mut [u8], end: u8) -> Self {
        let into = Writer::new(place);
        Self { into, end }
    }

    /// Appends a variable. One that cannot be is left out: its value has a NUL or the byte that ends a
    /// variable in it, or it is longer than the kernel takes.
    #[inline(never)]
    pub fn put(&mut self, name: &[u8], value: &[u8]) {
        let len = name.len() + value.len() + 2;
        if len <= VARIABLE_BYTES_MAX && !bytes::has(value, 0) && !bytes::has(value, self.end) {
            self.into.put(name);
            self.into.put(b"=");
            self.into.put(value);
            self.end();
        }
    }

    /// Appends a part of a variable, for one whose value comes in pieces. It is the caller who knows that
    /// nothing is in it that ends a variable.
    pub fn put_part(&mut self, part: &[u8]) {
        self.into.put(part);
    }

    /// Ends a variable that was put in parts.
    pub fn end(&mut self) {
        self.into.put(&[self.end]);
    }

    /// What was written.
    pub fn finish(self) -> &'a [u8] {
        self.into.finish()
    }

    /// Whether something did not fit.
    #[cfg(test)]
    pub fn is_cut(&self) -> bool {
        self.into.is_cut()
    }
}

/// Whose a variable in the environment of the process is, as programs see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The process's own: every program gets it.
    Process,
    /// The call's: [`put_call`] sets it if the call says something. What the process has of that name is
    /// about another call, and no program gets it.
    Call,
    /// Both: [`put_call`] sets it, to what the process has if the call says nothing. A program that is
    /// started before there is a call gets it.
    Both,
}

/// Whose the variable `name` is. `FNBOOT` says what fnboot starts, so a program that is an fnboot itself
/// must not get it: no call ever sets it.
pub fn owner(platform: Platform, name: &[u8]) -> Owner {
    let mut owner = listed(ALL, name);
    if owner == Owner::Process {
        // The names that shell runtimes of Lambda have are used on every platform.
        owner = listed(LAMBDA, name);
    }
    if owner == Owner::Process {
        owner = listed(table(platform), name);
    }
    owner
}

/// The same, as one table says.
#[inline(never)]
pub fn listed(table: &[u8], name: &[u8]) -> Owner {
    let (mut rest, mut owner) = (table, Owner::Call);
    while let Some(word) = bytes::take_part(&mut rest, b' ') {
        if word == b"+" {
            owner = Owner::Both;
        } else if word == name {
            return owner;
        }
    }
    Owner::Process
}

/// Appends what the call says. What it does not say is left out, and so is a header that is there but
/// empty: FC sends many of them.
pub fn put_call(cx: &Context<'_>, into: &mut Variables<'_>) {
    let mut place = [0; 20];
    let id = cx.sent_id();
    put_table(cx, &[id, deadline(cx, &mut place)], ALL, into);
    put_table(cx, &[id], table(cx.platform()), into);
}

/// Appends the variables of a table, for whose `$` the values are given in their order.
#[inline(never)]
pub fn put_table(cx: &Context<'_>, values: &[&[u8]], table: &[u8], into: &mut Variables<'_>) {
    let (mut values, mut rest) = (values.iter(), table);
    let (mut said, mut prefix): (&[u8], Option<&[u8]>) = (b"", None);
    let mut is_of_process = false;
    while let Some(word) = bytes::take_part(&mut rest, b' ') {
        match word {
            b"$" => said = values.next().copied().unwrap_or_default(),
            b"+" => is_of_process = true,
            [b'=', text @ ..] => said = text,
            [b':', header @ ..] => (said, prefix) = (value_of(cx, header, b""), None),
            [b'~', start @ ..] => prefix = Some(start),
            name => {
                let mut value = match prefix {
                    Some(prefix) => value_of(cx, prefix, name),
                    None => said,
                };
                if is_of_process && value.is_empty() {
                    value = (cx.environment)(name).unwrap_or_default();
                }
                if !value.is_empty() {
                    into.put(name, value);
                }
            }
        }
    }
}

/// The value of the first header whose name is `start` and what `variable` is spelt like, with hyphens;
/// empty where there is none.
#[inline(never)]
fn value_of<'a>(cx: &Context<'a>, start: &[u8], variable: &[u8]) -> &'a [u8] {
    let is_like = |(byte, other): (&u8, &u8)| match byte {
        b'-' => *other == b'_',
        b'_' => false,
        _ => byte.to_ascii_uppercase() == *other,
    };
    for (name, value) in cx.headers.iter() {
        let parts = name.as_bytes().split_at_checked(start.len());
        let (front, rest) = parts.unwrap_or_default();
        if rest.len() == variable.len()
            && rest.iter().zip(variable).all(is_like)
            && bytes::eq_ignore_case(front, start)
        {
            return value;
        }
    }
    b""
}

/// Appends the event as the variable that FC runs a container with which has no server, if it is text,
/// UTF-8 without a NUL, and fits a variable. It may have newlines in it.
pub fn put_event(event: &[u8], into: &mut Variables<'_>) {
    const NAME: &[u8] = b"FC_CUSTOM_CONTAINER_EVENT";
    let is_long = event.len() > VARIABLE_BYTES_MAX;
    if !event.is_empty() && !is_long && bytes::text(event).len() == event.len() {
        into.put(NAME, event);
    }
}

/// When the call is ended by force, in milliseconds since the Unix epoch; empty if nobody says.
fn deadline<'p>(cx: &Context<'_>, place: &'p mut [u8]) -> &'p [u8] {
    let mut digits = Writer::new(place);
    if let Some(deadline_ms) = cx.deadline_ms() {
        digits.put_decimal(deadline_ms);
    }
    digits.finish()
}

/// What a platform has besides [`ALL`].
///
/// Each table is names of variables, and before them where their value is from: `:` a header of that name,
/// `=` that text, `$` the next of the values that are given, nothing for those that are only there because of
/// [`owner`].
/// Names behind `~` are those of their headers, which begin with what follows that mark and are spelt with
/// hyphens. Names behind `+` the process has, too, because the platform tells the same when it starts it.
fn table(platform: Platform) -> &'static [u8] {
    match platform {
        Platform::Fc => FC,
        Platform::Lambda => LAMBDA,
        Platform::Scf => SCF,
    }
}

/// What shell runtimes of Lambda have, of the request id and the deadline, and what OpenTelemetry reads
/// ("Environment Variables as Context Propagation Carriers").
const ALL: &[u8] = b"FNBOOT FC_CUSTOM_CONTAINER_EVENT \
    $ LAMBDA_RUNTIME_AWS_REQUEST_ID AWS_LAMBDA_REQUEST_ID \
    $ LAMBDA_RUNTIME_DEADLINE_MS AWS_LAMBDA_DEADLINE_MS \
    ~ TRACEPARENT TRACESTATE BAGGAGE";

const FC: &[u8] = b"$ FC_REQUEST_ID ~x- FC_RETRY_COUNT \
    + FC_FUNCTION_NAME FC_FUNCTION_HANDLER FC_FUNCTION_TIMEOUT FC_REGION FC_ACCOUNT_ID FC_QUALIFIER \
    FC_VERSION_ID FC_SERVICE_NAME \
    :x-fc-function-memory FC_FUNCTION_MEMORY_SIZE \
    :x-fc-service-logproject FC_LOG_PROJECT \
    :x-fc-service-logstore FC_LOG_STORE \
    :x-fc-access-key-id ALIBABA_CLOUD_ACCESS_KEY_ID \
    :x-fc-access-key-secret ALIBABA_CLOUD_ACCESS_KEY_SECRET \
    :x-fc-security-token ALIBABA_CLOUD_SECURITY_TOKEN";

/// The keys of the function's role are in the environment of the process, and nowhere else.
const LAMBDA: &[u8] = b"\
    :lambda-runtime-invoked-function-arn AWS_LAMBDA_FUNCTION_ARN \
    :lambda-runtime-trace-id AWS_LAMBDA_TRACE_ID _X_AMZN_TRACE_ID \
    ~ LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN LAMBDA_RUNTIME_TRACE_ID LAMBDA_RUNTIME_CLIENT_CONTEXT \
    LAMBDA_RUNTIME_COGNITO_IDENTITY LAMBDA_RUNTIME_AWS_TENANT_ID";

/// Only web functions get the keys with the call.
const SCF: &[u8] = b"$ SCF_REQUEST_ID \
    :memory_limit_in_mb SCF_MEMORY_LIMIT_IN_MB \
    :time_limit_in_ms SCF_TIME_LIMIT_IN_MS \
    + :x-scf-secret-id TENCENTCLOUD_SECRETID \
    :x-scf-secret-key TENCENTCLOUD_SECRETKEY \
    :x-scf-session-token TENCENTCLOUD_SESSIONTOKEN";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::collections::BTreeSet;
    use std::process::Command;
    use std::string::{String, ToString};
    use std::vec::Vec;
    use std::{format, vec};

    type Pairs<'a> = [(&'a str, &'a str)];

    /// The variables of a call with these headers, in a process without an environment.
    fn told(platform: Platform, headers: &Pairs<'_>) -> Vec<(String, String)> {
        testing::event(platform, headers, |cx| {
            let environment = |_: &[u8]| None;
            read(&Context { environment, ..*cx })
        })
    }

    fn read(cx: &Context<'_>) -> Vec<(String, String)> {
        let mut place = vec![0; CALL_BYTES_MAX];
        let mut variables = Variables::new(&mut place, b'\n');
        put_call(cx, &mut variables);
        assert!(!variables.is_cut());
        let text = core::str::from_utf8(variables.finish()).expect("text");
        let pairs = text.lines().map(|line| line.split_once('=').expect("="));
        pairs.map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    /// That a call with these headers has these variables, in any order, and no other.
    #[track_caller]
    fn check(platform: Platform, headers: &Pairs<'_>, want: &Pairs<'_>) {
        let pair = |&(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        let mut want: Vec<_> = want.iter().map(pair).collect();
        let mut got = told(platform, headers);
        got.sort();
        want.sort();
        assert_eq!(got, want);
    }

    #[test]
    fn fc() {
        let headers = [
            ("X-Fc-Request-Id", "1-2-3"),
            ("X-Fc-Access-Key-Id", "STS.id"),
            ("X-Fc-Access-Key-Secret", "secret"),
            ("X-Fc-Security-Token", "token"),
            ("X-Fc-Function-Name", "hello"),
            ("X-Fc-Function-Handler", "index.handler"),
            ("X-Fc-Function-Memory", "512"),
            ("X-Fc-Region", "cn-hangzhou"),
            ("X-Fc-Account-Id", "123"),
            ("X-Fc-Qualifier", "LATEST"),
            ("X-Fc-Version-Id", ""),
            ("X-Fc-Service-Name", "service"),
            ("X-Fc-Service-Logproject", "project"),
            ("X-Fc-Service-Logstore", "store"),
            ("X-Fc-Retry-Count", "0"),
            ("X-Fc-Control-Path", "/invoke"),
            ("traceparent", "00-1-2-01"),
            ("Tracestate", "a=b"),
            ("Baggage", "c=d"),
            ("Lambda-Runtime-Trace-Id", "forged"),
            ("request_id", "forged"),
        ];
        let want = [
            ("LAMBDA_RUNTIME_AWS_REQUEST_ID", "1-2-3"),
            ("AWS_LAMBDA_REQUEST_ID", "1-2-3"),
            ("FC_REQUEST_ID", "1-2-3"),
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.id"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", "token"),
            ("FC_FUNCTION_NAME", "hello"),
            ("FC_FUNCTION_HANDLER", "index.handler"),
            ("FC_FUNCTION_MEMORY_SIZE", "512"),
            ("FC_REGION", "cn-hangzhou"),
            ("FC_ACCOUNT_ID", "123"),
            ("FC_QUALIFIER", "LATEST"),
            ("FC_SERVICE_NAME", "service"),
            ("FC_LOG_PROJECT", "project"),
            ("FC_LOG_STORE", "store"),
            ("FC_RETRY_COUNT", "0"),
            ("TRACEPARENT", "00-1-2-01"),
            ("TRACESTATE", "a=b"),
            ("BAGGAGE", "c=d"),
        ];
        check(Platform::Fc, &headers, &want);
    }

    #[test]
    fn lambda() {
        let headers = [
            ("Lambda-Runtime-Aws-Request-Id", "id"),
            ("Lambda-Runtime-Deadline-Ms", "1700000000123"),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:x"),
            ("Lambda-Runtime-Trace-Id", "Root=1;Parent=2;Sampled=1"),
            ("Lambda-Runtime-Client-Context", "{\"a\": 1}"),
            ("Lambda-Runtime-Cognito-Identity", "{}"),
            ("Lambda-Runtime-Aws-Tenant-Id", "tenant"),
            ("X-Fc-Region", "forged"),
        ];
        let want = [
            ("LAMBDA_RUNTIME_AWS_REQUEST_ID", "id"),
            ("AWS_LAMBDA_REQUEST_ID", "id"),
            ("LAMBDA_RUNTIME_DEADLINE_MS", "1700000000123"),
            ("AWS_LAMBDA_DEADLINE_MS", "1700000000123"),
            ("LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN", "arn:aws:lambda:x"),
            ("AWS_LAMBDA_FUNCTION_ARN", "arn:aws:lambda:x"),
            ("LAMBDA_RUNTIME_TRACE_ID", "Root=1;Parent=2;Sampled=1"),
            ("AWS_LAMBDA_TRACE_ID", "Root=1;Parent=2;Sampled=1"),
            ("_X_AMZN_TRACE_ID", "Root=1;Parent=2;Sampled=1"),
            ("LAMBDA_RUNTIME_CLIENT_CONTEXT", "{\"a\": 1}"),
            ("LAMBDA_RUNTIME_COGNITO_IDENTITY", "{}"),
            ("LAMBDA_RUNTIME_AWS_TENANT_ID", "tenant"),
        ];
        check(Platform::Lambda, &headers, &want);
    }

    #[test]
    fn scf() {
        let headers = [
            ("Request_Id", "id"),
            ("Memory_Limit_In_Mb", "128"),
            ("x-scf-secret-id", "AKID"),
            ("x-scf-secret-key", "key"),
            ("x-scf-session-token", "token"),
        ];
        let want = [
            ("LAMBDA_RUNTIME_AWS_REQUEST_ID", "id"),
            ("AWS_LAMBDA_REQUEST_ID", "id"),
            ("SCF_REQUEST_ID", "id"),
            ("SCF_MEMORY_LIMIT_IN_MB", "128"),
            ("TENCENTCLOUD_SECRETID", "AKID"),
            ("TENCENTCLOUD_SECRETKEY", "key"),
            ("TENCENTCLOUD_SESSIONTOKEN", "token"),
        ];
        check(Platform::Scf, &headers, &want);
        let web = [("X-Scf-Request-Id", "id")];
        check(Platform::Scf, &web, &want[..3]);
    }

    #[test]
    fn a_time_limit_makes_a_deadline() {
        for (platform, name, value, own) in [
            (
                Platform::Fc,
                "x-fc-function-timeout",
                "3",
                "FC_FUNCTION_TIMEOUT",
            ),
            (
                Platform::Scf,
                "time_limit_in_ms",
                "3000",
                "SCF_TIME_LIMIT_IN_MS",
            ),
        ] {
            testing::event(platform, &[(name, value)], |cx| {
                let arrived_ms = 1_700_000_000_042;
                let got = read(&Context { arrived_ms, ..*cx });
                let has = |name: &str, value: &str| {
                    let pair = (name.to_string(), value.to_string());
                    assert!(got.contains(&pair), "{name} {got:?}");
                };
                has("LAMBDA_RUNTIME_DEADLINE_MS", "1700000003042");
                has("AWS_LAMBDA_DEADLINE_MS", "1700000003042");
                has(own, value);
                assert_eq!(got.len(), 3, "{got:?}");
            });
        }
    }

    #[test]
    fn what_the_call_does_not_say_the_process_may() {
        fn environment(name: &[u8]) -> Option<&'static [u8]> {
            match name {
                b"FC_REGION" => Some(b"of-the-process"),
                b"FC_ACCOUNT_ID" => Some(b"of-the-process"),
                b"FC_QUALIFIER" => Some(b""),
                b"FC_REQUEST_ID" => Some(b"of another call"),
                b"FC_SERVICE_NAME" => Some(b"two\nlines"),
                _ => None,
            }
        }
        let headers = [("x-fc-region", "of-the-call"), ("x-fc-account-id", "")];
        testing::event(Platform::Fc, &headers, |cx| {
            let want = [
                ("FC_REGION".to_string(), "of-the-call".to_string()),
                ("FC_ACCOUNT_ID".to_string(), "of-the-process".to_string()),
            ];
            assert_eq!(read(&Context { environment, ..*cx }), want);
        });
    }

    #[test]
    fn owners() {
        for (platform, name, want) in [
            (Platform::Fc, "FNBOOT", Owner::Call),
            (Platform::Fc, "FNBOOT_MARKERS", Owner::Process),
            (Platform::Fc, "FC_REQUEST_ID", Owner::Call),
            (Platform::Fc, "FC_REGION", Owner::Both),
            (Platform::Fc, "FC_INSTANCE_ID", Owner::Process),
            (Platform::Fc, "FC_RETRY_COUNT", Owner::Call),
            (Platform::Fc, "FC_REGIO", Owner::Process),
            (Platform::Fc, "FC_REGIONS", Owner::Process),
            (Platform::Fc, "PATH", Owner::Process),
            (Platform::Fc, "", Owner::Process),
            (Platform::Fc, "baggage", Owner::Process),
            (Platform::Fc, "BAGGAGE", Owner::Call),
            (Platform::Fc, "FC_CUSTOM_CONTAINER_EVENT", Owner::Call),
            (Platform::Fc, "ALIBABA_CLOUD_ACCESS_KEY_ID", Owner::Both),
            (
                Platform::Lambda,
                "ALIBABA_CLOUD_ACCESS_KEY_ID",
                Owner::Process,
            ),
            (Platform::Lambda, "AWS_ACCESS_KEY_ID", Owner::Process),
            (Platform::Lambda, "_X_AMZN_TRACE_ID", Owner::Call),
            (Platform::Lambda, "FNBOOT", Owner::Call),
            (Platform::Lambda, "_HANDLER", Owner::Process),
            (Platform::Scf, "TENCENTCLOUD_SECRETID", Owner::Both),
            (Platform::Scf, "SCF_REQUEST_ID", Owner::Call),
        ] {
            assert_eq!(owner(platform, name.as_bytes()), want, "{name}");
        }
    }

    /// Of a name that is there twice, some programs see the first value and some the last.
    #[test]
    fn no_platform_sets_a_variable_twice() {
        for platform in [Platform::Fc, Platform::Lambda, Platform::Scf] {
            let mut seen = BTreeSet::new();
            for table in [ALL, table(platform)] {
                for word in bytes::split(table, b' ') {
                    assert!(!word.is_empty());
                    if matches!(word[0], b'$' | b'+' | b':' | b'~' | b'=') {
                        continue;
                    }
                    let is_name = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
                    assert!(word.iter().all(is_name));
                    assert!(seen.insert(word), "{platform:?} {word:?}");
                }
            }
        }
    }

    #[test]
    fn headers_that_only_look_like_one_are_none() {
        for name in [
            "x_fc_region",
            "x-fc_region",
            "fc-region",
            "y-fc-region",
            "x-fc-regions",
            "x-",
        ] {
            check(Platform::Fc, &[(name, "forged")], &[]);
        }
        check(Platform::Fc, &[("X-FC-Region", "a")], &[("FC_REGION", "a")]);
        check(Platform::Scf, &[("memory-limit-in-mb", "1")], &[]);
    }

    #[test]
    fn no_variable_has_its_end_in_it() {
        for (end, value, is_put) in [
            (0, &b"a\nb"[..], true),
            (b'\n', b"a\nb", false),
            (0, b"a\0b", false),
            (b'\n', b"a\0b", false),
            (b'\n', b"", true),
            (0, b"\xff=", true),
        ] {
            let mut place = [0; 16];
            let mut variables = Variables::new(&mut place, end);
            variables.put(b"N", value);
            let want = [b"N=", value, &[end]].concat();
            let want = if is_put { &want[..] } else { b"" };
            assert_eq!(variables.finish(), want);
        }
    }

    #[test]
    fn only_text_is_an_event_for_the_environment() {
        let event = |event: &[u8]| {
            let mut place = vec![0; 2 * VARIABLE_BYTES_MAX];
            let mut variables = Variables::new(&mut place, 0);
            put_event(event, &mut variables);
            variables.finish().to_vec()
        };
        let json = "{\"a\":\n\"\u{e9}\"}";
        let want = format!("FC_CUSTOM_CONTAINER_EVENT={json}\0");
        assert_eq!(event(json.as_bytes()), want.as_bytes());
        for bad in [&b""[..], b"\0", b"a\0b", b"\xff", b"a\xc3"] {
            assert_eq!(event(bad), b"", "{bad:?}");
        }
        for (len, is_put) in [(131_045, true), (131_046, false), (200_000, false)] {
            let want = if is_put { 26 + len + 1 } else { 0 };
            assert_eq!(event(&vec![b'x'; len]).len(), want, "{len}");
        }
    }

    /// The longest event is the longest that a program can be started with.
    #[test]
    fn the_kernel_takes_the_longest_variable_and_no_longer_one() {
        let start = |len: usize| {
            let value = "x".repeat(len);
            let mut program = Command::new("true");
            program.env("FC_CUSTOM_CONTAINER_EVENT", value).status()
        };
        assert!(start(131_045).expect("it starts").success());
        let page_bytes = crate::sys::memory::page_bytes();
        if page_bytes == 4096 {
            let error = start(131_046).expect_err("one byte too long");
            assert_eq!(error.kind(), std::io::ErrorKind::ArgumentListTooLong);
        }
    }

    /// What a head may have in a value never ends a variable.
    #[test]
    fn headers_have_no_byte_that_ends_a_variable() {
        use crate::http::{Kind, head};
        for byte in [b'\0', b'\n', b'\r'] {
            let head = [
                b"GET / HTTP/1.1\r\nHost: a\r\nA: b",
                &[byte][..],
                b"c\r\n\r\n",
            ]
            .concat();
            let mut fields = head::fields();
            assert!(
                head::parse(Kind::Request, &head, &mut fields).is_err(),
                "{byte}"
            );
        }
    }

    /// The longest header, which becomes three variables, fits the room of a call.
    #[test]
    fn the_longest_head_fits() {
        let long = "x".repeat(crate::limits::HEAD_BYTES_MAX);
        for (platform, name) in [
            (Platform::Fc, "x-fc-request-id"),
            (Platform::Lambda, "lambda-runtime-trace-id"),
            (Platform::Scf, "request_id"),
        ] {
            assert_eq!(told(platform, &[(name, &long)]).len(), 3);
        }
    }
}
