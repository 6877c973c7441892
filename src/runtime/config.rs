//! Settings, from the environment. Nothing below `runtime` reads it, but for what a handler asks of
//! its context.

use super::settings::{
    API, Bad, CONCURRENCY, CONCURRENCY_MAX, FC_PORT, HAS_FC, HAS_LAMBDA, HAS_SCF, POLLS, PORT,
    PUSHES, Settings, Switch, Var, configure_log, number,
};
use super::{fatal, hosts};
use crate::bytes::{self, has, is_word_ignore_case};
use crate::handler::Platform;
use crate::limits::{ADDRESS_BYTES_MAX, BODY_BYTES_DEFAULT, BODY_BYTES_MAX};
use crate::platform::runtime_api::{Address, PORT_DEFAULT};
use crate::sys::env;

/// What can be set from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    platform: Platform,
    source: Source,
    /// Where calls are asked for, if they are: `AWS_LAMBDA_RUNTIME_API`, or `SCF_RUNTIME_API` and
    /// `SCF_RUNTIME_API_PORT`.
    pub address: Address,
    /// `FNBOOT_MAX_BODY`, in bytes.
    pub body_bytes_max: usize,
    /// `FNBOOT_MARKERS`: whether start and end of each call are logged.
    pub markers: Switch,
    /// `FNBOOT_STREAMING`: whether answers to events are sent in pieces, on Lambda.
    streaming: Switch,
    /// `FNBOOT_SIGTERM`: whether an extension is registered, so that Lambda sends `SIGTERM`.
    pub sigterm: Switch,
    /// Whether Lambda takes a snapshot of the instance before its first event.
    pub is_snapshot: bool,
    /// `AWS_LAMBDA_MAX_CONCURRENCY`: how many events are taken at once.
    pub conn_count: usize,
}

/// Where calls come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The platform sends them to this port: `FC_SERVER_PORT`, else `FC_CUSTOM_LISTEN_PORT`, else
    /// 9000.
    Port(u16),
    /// They are asked for.
    Api,
}

const LISTEN_PORT_DEFAULT: u16 = 9000;

/// What the names of variables begin with by which a platform is there.
const OF_PLATFORMS: &[u8] = b"FC_ AWS_LAMBDA_ SCF_";

/// How the names of fnboot's own variables go on behind `FNBOOT_`.
pub const NAMES: &[u8] = b"MARKERS MAX_BODY SIGTERM STREAMING";

impl Config {
    /// Who calls.
    #[inline]
    pub fn platform(&self) -> Platform {
        self.platform.enabled()
    }

    /// Where calls come from.
    #[inline]
    pub fn source(&self) -> Source {
        match self.source {
            Source::Api if POLLS => Source::Api,
            Source::Port(port) if PUSHES => Source::Port(port),
            Source::Port(_) if HAS_LAMBDA => Source::Api,
            _ => Source::Port(LISTEN_PORT_DEFAULT),
        }
    }

    /// Whether answers to events are sent in pieces.
    pub fn is_streaming(&self) -> bool {
        self.platform() == Platform::Lambda && self.streaming == Switch::On
    }

    /// Whether there is one event at a time.
    pub fn is_alone(&self) -> bool {
        self.conn_count == 1
    }

    /// Reads the environment of the process. The first variable that looks like one of fnboot's and is
    /// none is named on standard error, because it is likely misspelt; `names` are those that are known.
    ///
    /// # Errors
    /// The first variable that has a value it cannot have.
    pub fn from_environment(names: &[u8]) -> Result<Self, Bad> {
        let is_unknown = |name: &&[u8]| !bytes::split(names, b' ').any(|known| known == *name);
        if let Some(name) = env::names_after(b"FNBOOT_").find(is_unknown) {
            fatal::warn("FNBOOT_$: unknown variable", name);
        }
        let is_scf_bootstrap = || env::is_program("scf_bootstrap");
        Self::from(env::var, is_scf_bootstrap, is_alone)
    }

    fn from(
        var: impl Fn(&[u8]) -> Option<&'static [u8]>,
        is_scf_bootstrap: impl Fn() -> bool,
        is_alone: impl Fn() -> bool,
    ) -> Result<Self, Bad> {
        let mut settings = Settings { var, bad: None };
        let mut config = Self {
            platform: Platform::Fc,
            source: Source::Port(LISTEN_PORT_DEFAULT),
            address: Address::NOWHERE,
            body_bytes_max: settings
                .number(
                    "FNBOOT_MAX_BODY: '$' is not bytes, up to 1073741824",
                    0,
                    BODY_BYTES_MAX,
                )
                .unwrap_or(BODY_BYTES_DEFAULT),
            markers: settings.switch("FNBOOT_MARKERS: '$' is not on or off", Switch::On),
            streaming: Switch::Off,
            sigterm: Switch::Off,
            is_snapshot: false,
            conn_count: 1,
        };
        if HAS_SCF && is_scf_bootstrap() {
            config.platform = Platform::Scf;
        } else if HAS_LAMBDA && let Some(api) = settings.value(API) {
            config.lambda(api, &mut settings);
        } else if HAS_SCF && let Some(host) = settings.value("SCF_RUNTIME_API") {
            config.scf(host, &mut settings);
        } else if HAS_FC {
            let mut port = settings.port(FC_PORT);
            if port.is_none() {
                port = settings.port("FC_CUSTOM_LISTEN_PORT: '$' is not a port from 1 to 65535");
            }
            // Without a platform it is a container of one that says it so: Knative, Cloud Run.
            if port.is_none() && is_alone() {
                port = settings.port(PORT);
            }
            config.source = Source::Port(port.unwrap_or(LISTEN_PORT_DEFAULT));
        } else {
            let text = "this build is not for FC, and no other platform is there";
            settings.refuse(text, b"");
        }
        settings.bad.map_or(Ok(config), Err)
    }

    fn scf<V: Var>(&mut self, host: &'static [u8], settings: &mut Settings<V>) {
        self.platform = Platform::Scf;
        self.source = Source::Api;
        let text = "SCF_RUNTIME_API_PORT: '$' is not a port from 1 to 65535";
        match (hosts::address(host), settings.port(text)) {
            (Some(ip), Some(port)) => {
                let name = host;
                self.address = Address { ip, port, name };
            }
            (Some(_), None) => settings.refuse(text, b""),
            (None, _) => {
                let text = "SCF_RUNTIME_API: '$' is not an IPv4 address or a name in /etc/hosts";
                settings.refuse(text, host);
            }
        }
    }

    #[inline]
    fn lambda<V: Var>(&mut self, api: &'static [u8], settings: &mut Settings<V>) {
        self.platform = Platform::Lambda;
        self.source = Source::Api;
        if let Some(address) = address(api) {
            self.address = address;
        } else {
            settings.refuse(API, api);
        }
        self.streaming = settings.switch("FNBOOT_STREAMING: '$' is not on or off", Switch::Off);
        self.sigterm = settings.switch("FNBOOT_SIGTERM: '$' is not on or off", Switch::Off);
        let kind = settings.value("AWS_LAMBDA_INITIALIZATION_TYPE");
        self.is_snapshot = kind == Some(b"snap-start");
        let conn_count = settings.number(CONCURRENCY, 1, CONCURRENCY_MAX);
        self.conn_count = conn_count.unwrap_or(1);
        configure_log();
    }
}

/// Whether there is no platform, as far as variables tell.
#[inline(never)]
fn is_alone() -> bool {
    !bytes::split(OF_PLATFORMS, b' ').any(env::has_any)
}

/// Where an API is: what stands between `http://` and the paths in its documentation, which is
/// `host`, `host:port` or `host:port/path`. Many write it with `http://`, or with a slash at its end.
fn address(text: &'static [u8]) -> Option<Address> {
    let mut name = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if is_word_ignore_case(scheme, SCHEME) => rest,
        _ => text,
    };
    while let [before @ .., b'/'] = name {
        name = before;
    }
    let authority = bytes::before(name, b'/');
    let base = name.get(authority.len()..)?;
    let host = bytes::before(authority, b':');
    let port = match authority.get(host.len() + 1..) {
        Some(digits) => port(digits)?,
        None => PORT_DEFAULT,
    };
    if name.len() > ADDRESS_BYTES_MAX || !base.iter().all(|&byte| is_path_byte(byte)) {
        return None;
    }
    // Last, as a name is looked up.
    let ip = hosts::address(host)?;
    Some(Address { ip, port, name })
}

const SCHEME: &str = "http://";

/// Whether a byte can be in the path of a URI (RFC 3986 §3.3): in particular a query does not follow.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !has(b"\"#<>?[\\]^`{|}", byte)
}

fn port(digits: &[u8]) -> Option<u16> {
    number(digits).filter(|&port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &'static str)]) -> Result<Config, Bad> {
        let var = |name: &[u8]| {
            let found = variables.iter().find(|(other, _)| other.as_bytes() == name);
            found.map(|(_, value)| value.as_bytes())
        };
        let is_alone = || !variables.iter().any(|(name, _)| name.starts_with("FC_"));
        Config::from(var, || false, is_alone)
    }

    #[test]
    fn defaults() {
        let want = Config {
            platform: Platform::Fc,
            source: Source::Port(9000),
            address: Address::NOWHERE,
            body_bytes_max: 33_554_432,
            markers: Switch::On,
            streaming: Switch::Off,
            sigterm: Switch::Off,
            is_snapshot: false,
            conn_count: 1,
        };
        assert_eq!(read(&[]), Ok(want));
        assert_eq!(
            read(&[("FC_SERVER_PORT", ""), ("FNBOOT_MARKERS", "")]),
            Ok(want)
        );
    }

    #[test]
    fn the_first_port_counts() {
        let both = [("FC_CUSTOM_LISTEN_PORT", "2"), ("FC_SERVER_PORT", "1")];
        assert_eq!(
            read(&both).map(|config| config.source()),
            Ok(Source::Port(1))
        );
        assert_eq!(
            read(&both[..1]).map(|config| config.source()),
            Ok(Source::Port(2))
        );
    }

    /// Where there is no platform, a container is told its port so: Knative, Cloud Run.
    #[test]
    fn a_port_without_a_platform() {
        let port = |variables: &[_]| read(variables).map(|config| config.source());
        assert_eq!(port(&[("PORT", "8080")]), Ok(Source::Port(8080)));
        let fc = ("FC_FUNCTION_NAME", "f");
        assert_eq!(port(&[("PORT", "8080"), fc]), Ok(Source::Port(9000)));
        let both = [("PORT", "8080"), ("FC_SERVER_PORT", "9001")];
        assert_eq!(port(&both), Ok(Source::Port(9001)));
        let bad = read(&[("PORT", "http")]).expect_err("a bad port");
        assert!(bad.text.starts_with("PORT: '$' is not "), "{bad:?}");
    }

    #[test]
    fn the_platform_is_told_by_its_variables() {
        let told = |variables: &[_]| {
            let config = read(variables).expect("a platform");
            assert_eq!(config.source(), Source::Api);
            let Address { port, name, .. } = config.address;
            (config.platform(), port, name)
        };
        let scf = [
            ("SCF_RUNTIME_API", "localhost"),
            ("SCF_RUNTIME_API_PORT", "9001"),
        ];
        assert_eq!(told(&scf), (Platform::Scf, 9001, &b"localhost"[..]));
        let both = [scf[0], scf[1], ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9002")];
        assert_eq!(
            told(&both),
            (Platform::Lambda, 9002, &b"127.0.0.1:9002"[..])
        );
        let web = Config::from(|_| None, || true, || true).expect("a web function");
        assert_eq!(
            (web.platform(), web.source()),
            (Platform::Scf, Source::Port(9000))
        );
    }

    #[test]
    fn addresses_have_many_forms() {
        for (text, name, port, base) in [
            ("127.0.0.1:9001", "127.0.0.1:9001", 9001, ""),
            ("127.0.0.1", "127.0.0.1", 80, ""),
            ("127.0.0.1/", "127.0.0.1", 80, ""),
            ("127.0.0.1:80", "127.0.0.1:80", 80, ""),
            ("localhost", "localhost", 80, ""),
            ("LocalHost:65535", "LocalHost:65535", 65_535, ""),
            ("http://localhost:1", "localhost:1", 1, ""),
            ("HTTP://localhost:1//", "localhost:1", 1, ""),
            ("localhost:1/Name", "localhost:1/Name", 1, "/Name"),
            ("localhost/Name/", "localhost/Name", 80, "/Name"),
            ("http://localhost/a//b/", "localhost/a//b", 80, "/a//b"),
            (
                "localhost/-._~!$&'()*+,;=:@%20",
                "localhost/-._~!$&'()*+,;=:@%20",
                80,
                "/-._~!$&'()*+,;=:@%20",
            ),
        ] {
            let want = Address {
                ip: [127, 0, 0, 1],
                port,
                name: name.as_bytes(),
            };
            assert_eq!(address(text.as_bytes()), Some(want), "{text}");
            assert_eq!(want.parts().1, base.as_bytes(), "{text}");
        }
    }

    #[test]
    fn bad_addresses_are_named() {
        for bad in [
            ":1",
            "/",
            "/path",
            "http://",
            "http:///path",
            "http:localhost:1",
            "http://http://localhost:1",
            "https://localhost:1",
            "1.2.3:4",
            "1.2.3.4.5:6",
            "1.2.3.256:7",
            "1.2.3.4:65536",
            "1.2.3.4:0",
            "1.2.3.4:",
            "1.2.3.4:/path",
            "1.2.3.4:+1",
            "1.2.3.4: 1",
            "1.2.3.4:1:",
            "1.2.3.4:http",
            "nobody.invalid:1",
            "user@localhost:1",
            "user:password@localhost:1",
            "[::1]:1",
            "[::1]",
            "::1",
            " localhost:1",
            "localhost:1 ",
            "localhost,127.0.0.1:1",
            "localhost:1?query",
            "localhost?query",
            "localhost:1/path?query",
            "localhost:1/path#part",
            "localhost:1/a path",
            "localhost:1/path\r\nX: y",
            "localhost:1/\x7f",
            "localhost:1/\u{e9}",
        ] {
            let got = read(&[("AWS_LAMBDA_RUNTIME_API", bad)]).expect_err(bad);
            let start = "AWS_LAMBDA_RUNTIME_API: '$' is not ";
            assert!(got.text.starts_with(start), "{got:?}");
            assert_eq!(got.value, bad.as_bytes());
        }
        for bad in [
            "127.0.0.1:1",
            "http://127.0.0.1",
            "127.0.0.1/",
            "127.0.0.1/path",
            "::1",
            "nobody.invalid",
        ] {
            let variables = [("SCF_RUNTIME_API", bad), ("SCF_RUNTIME_API_PORT", "1")];
            let got = read(&variables).expect_err(bad);
            assert!(got.text.starts_with("SCF_RUNTIME_API: '$' is not "));
            assert_eq!(got.value, bad.as_bytes());
        }
    }

    /// As long as the longest, and one byte longer.
    #[test]
    fn long_addresses_are_refused() {
        const LONG: [u8; ADDRESS_BYTES_MAX + 1] = {
            let mut text = [b'a'; ADDRESS_BYTES_MAX + 1];
            let (start, _) = text.split_at_mut(8);
            start.copy_from_slice(b"1.2.3.4/");
            text
        };
        assert!(address(&LONG[..ADDRESS_BYTES_MAX]).is_some());
        assert_eq!(address(&LONG), None);
    }

    /// Each name is that of a setting, and each setting has its name.
    #[test]
    fn names_are_those_of_the_settings() {
        let names = core::str::from_utf8(NAMES).expect("text").split(' ');
        let names: std::vec::Vec<&str> = names.collect();
        for name in &names {
            let name = std::format!("FNBOOT_{name}");
            let api = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");
            let bad = read(&[api, (&name, "?")]).expect_err("a bad value");
            assert!(bad.text.starts_with(&std::format!("{name}: ")), "{bad:?}");
        }
        let source = include_str!("config.rs");
        let (code, _) = source.split_once("mod tests").expect("tests");
        for setting in code
            .split("\"FNBOOT_")
            .skip(1)
            .filter(|text| !text.starts_with('$'))
        {
            let name = setting.split([':', '"']).next().expect("a name");
            assert!(name.is_empty() || names.contains(&name), "{name}");
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (name, value) in [
            ("FC_SERVER_PORT", "0"),
            ("FC_SERVER_PORT", "65536"),
            ("FC_SERVER_PORT", "+80"),
            ("FC_CUSTOM_LISTEN_PORT", "http"),
            ("FNBOOT_MAX_BODY", "32M"),
            ("FNBOOT_MAX_BODY", "1073741825"),
            ("FNBOOT_MARKERS", "yes"),
        ] {
            let got = read(&[(name, value)]).expect_err("a bad value");
            assert!(
                got.text.starts_with(&std::format!("{name}: '$' is not ")),
                "{got:?}"
            );
            assert_eq!(got.value, value.as_bytes());
        }
    }
}
