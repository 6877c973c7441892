//! Settings, from the environment. Nothing below `runtime` reads it, but for what a handler asks of
//! its context.

use core::ffi::CStr;

use crate::bytes::{self, is_word};
use crate::handler::Platform;
use crate::limits::{BODY_BYTES_DEFAULT, BODY_BYTES_MAX};
use crate::log::{self, Form, Level};
use crate::platform::runtime_api::Address;
use crate::sys::env;

/// What can be set from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    platform: Platform,
    source: Source,
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
    /// They are asked for: `AWS_LAMBDA_RUNTIME_API`, or `SCF_RUNTIME_API` and
    /// `SCF_RUNTIME_API_PORT`.
    Api(Address),
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

const PORT_DEFAULT: u16 = 9000;

/// Most events that are taken at once: as many connections, and no platform allows more.
const CONCURRENCY_MAX: u64 = 1000;

/// Which platforms this build knows, so that nothing is left in it of the others.
const HAS_FC: bool = cfg!(feature = "fc");
const HAS_LAMBDA: bool = cfg!(feature = "lambda");
const HAS_SCF: bool = cfg!(feature = "scf");

impl Config {
    /// Who calls.
    #[inline]
    pub fn platform(&self) -> Platform {
        self.platform.built_in()
    }

    /// Where calls come from.
    #[inline]
    pub fn source(&self) -> Source {
        match self.source {
            Source::Api(address) if HAS_LAMBDA || HAS_SCF => Source::Api(address),
            Source::Port(port) if HAS_FC || HAS_SCF => Source::Port(port),
            Source::Port(_) if HAS_LAMBDA => Source::Api(Address::NOWHERE),
            _ => Source::Port(PORT_DEFAULT),
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

    /// Reads the environment of the process.
    ///
    /// # Errors
    /// The first variable that has a value it cannot have.
    pub fn from_environment() -> Result<Self, Bad> {
        Self::from(env::var, || env::is_program("scf_bootstrap"))
    }

    /// A variable that is set but empty counts as not set: images set them so.
    fn from(
        var: impl Fn(&CStr) -> Option<&'static [u8]>,
        is_scf_bootstrap: impl Fn() -> bool,
    ) -> Result<Self, Bad> {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let mut config = Self {
            platform: Platform::Fc,
            source: Source::Port(PORT_DEFAULT),
            body_bytes_max: BODY_BYTES_DEFAULT,
            markers: switch(
                "FNBOOT_MARKERS: '$' is not on or off",
                set(c"FNBOOT_MARKERS"),
                Switch::On,
            )?,
            streaming: Switch::Off,
            sigterm: Switch::Off,
            is_snapshot: false,
            conn_count: 1,
        };
        if let Some(value) = set(c"FNBOOT_MAX_BODY") {
            config.body_bytes_max = body_bytes(value)?;
        }
        if HAS_SCF && is_scf_bootstrap() {
            config.platform = Platform::Scf;
            return Ok(config);
        }
        if HAS_LAMBDA && let Some(value) = set(c"AWS_LAMBDA_RUNTIME_API") {
            config.lambda(value, set)?;
            return Ok(config);
        }
        if HAS_SCF && let Some(host) = set(c"SCF_RUNTIME_API") {
            config.platform = Platform::Scf;
            let value = set(c"SCF_RUNTIME_API_PORT").unwrap_or_default();
            let port = port(
                "SCF_RUNTIME_API_PORT: '$' is not a port from 1 to 65535",
                value,
            )?;
            let host =
                address(host).ok_or(bad("SCF_RUNTIME_API: '$' is not an IPv4 address", host))?;
            config.source = Source::Api(Address { host, port });
            return Ok(config);
        }
        if !HAS_FC {
            return Err(bad(
                "this build is not for FC, and no other platform is there",
                b"",
            ));
        }
        match (set(c"FC_SERVER_PORT"), set(c"FC_CUSTOM_LISTEN_PORT")) {
            (Some(value), _) => {
                config.source = Source::Port(port(
                    "FC_SERVER_PORT: '$' is not a port from 1 to 65535",
                    value,
                )?);
            }
            (None, Some(value)) => {
                config.source = Source::Port(port(
                    "FC_CUSTOM_LISTEN_PORT: '$' is not a port from 1 to 65535",
                    value,
                )?);
            }
            (None, None) => {}
        }
        Ok(config)
    }

    fn lambda(
        &mut self,
        api: &'static [u8],
        set: impl Fn(&'static CStr) -> Option<&'static [u8]>,
    ) -> Result<(), Bad> {
        self.platform = Platform::Lambda;
        let mut parts = api.splitn(2, |&byte| byte == b':');
        let host = parts.next().and_then(address);
        let port = parts
            .next()
            .and_then(number::<u16>)
            .filter(|&port| port > 0);
        let (Some(host), Some(port)) = (host, port) else {
            let text = "AWS_LAMBDA_RUNTIME_API: '$' is not an IPv4 address and a port";
            return Err(bad(text, api));
        };
        self.source = Source::Api(Address { host, port });
        self.streaming = switch(
            "FNBOOT_STREAMING: '$' is not on or off",
            set(c"FNBOOT_STREAMING"),
            Switch::Off,
        )?;
        self.sigterm = switch(
            "FNBOOT_SIGTERM: '$' is not on or off",
            set(c"FNBOOT_SIGTERM"),
            Switch::Off,
        )?;
        let kind = set(c"AWS_LAMBDA_INITIALIZATION_TYPE");
        self.is_snapshot = kind == Some(b"snap-start");
        let name = c"AWS_LAMBDA_MAX_CONCURRENCY";
        if let Some(value) = set(name) {
            let count = bytes::decimal(value).filter(|count| (1..=CONCURRENCY_MAX).contains(count));
            let count = count.ok_or(bad(
                "AWS_LAMBDA_MAX_CONCURRENCY: '$' is not a number from 1 to 1000",
                value,
            ))?;
            self.conn_count = usize::try_from(count).unwrap_or(1);
        }
        // On Managed Instances the log is JSON, whatever else is set.
        let is_json = set(c"AWS_LAMBDA_LOG_FORMAT").is_some_and(|form| is_word(form, "json"));
        let level = set(c"AWS_LAMBDA_LOG_LEVEL").map_or(Level::Debug, Level::named);
        let form = if is_json || set(name).is_some() {
            Form::Json
        } else {
            Form::Text
        };
        log::configure(form, level);
        Ok(())
    }
}

/// An address of IPv4: four numbers, or the one name that needs no resolver.
fn address(text: &[u8]) -> Option<[u8; 4]> {
    if text == b"localhost" {
        return Some([127, 0, 0, 1]);
    }
    let mut octets = [0; 4];
    let mut parts = text.split(|&byte| byte == b'.');
    for octet in &mut octets {
        *octet = number(parts.next()?)?;
    }
    parts.next().is_none().then_some(octets)
}

fn number<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    bytes::decimal(digits).and_then(|number| T::try_from(number).ok())
}

fn switch(
    text: &'static str,
    value: Option<&'static [u8]>,
    default: Switch,
) -> Result<Switch, Bad> {
    match value {
        None => Ok(default),
        Some(b"on") => Ok(Switch::On),
        Some(b"off") => Ok(Switch::Off),
        Some(value) => Err(bad(text, value)),
    }
}

fn port(text: &'static str, value: &'static [u8]) -> Result<u16, Bad> {
    let port = number::<u16>(value);
    port.filter(|&port| port > 0).ok_or(bad(text, value))
}

fn body_bytes(value: &'static [u8]) -> Result<usize, Bad> {
    let len = bytes::decimal(value).and_then(|len| usize::try_from(len).ok());
    len.filter(|&len| len <= BODY_BYTES_MAX).ok_or(bad(
        "FNBOOT_MAX_BODY: '$' is not bytes, up to 1073741824",
        value,
    ))
}

/// A variable of the environment that has a value it cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// What is wrong, in words; `$` stands for the value.
    pub text: &'static str,
    pub value: &'static [u8],
}

fn bad(text: &'static str, value: &'static [u8]) -> Bad {
    Bad { text, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&CStr, &'static str)]) -> Result<Config, Bad> {
        let var = |name: &CStr| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.as_bytes())
        };
        Config::from(var, || false)
    }

    #[test]
    fn defaults() {
        let want = Config {
            platform: Platform::Fc,
            source: Source::Port(9000),
            body_bytes_max: 33_554_432,
            markers: Switch::On,
            streaming: Switch::Off,
            sigterm: Switch::Off,
            is_snapshot: false,
            conn_count: 1,
        };
        assert_eq!(read(&[]), Ok(want));
        assert_eq!(
            read(&[(c"FC_SERVER_PORT", ""), (c"FNBOOT_MARKERS", "")]),
            Ok(want)
        );
    }

    #[test]
    fn the_first_port_counts() {
        let both = [(c"FC_CUSTOM_LISTEN_PORT", "2"), (c"FC_SERVER_PORT", "1")];
        assert_eq!(
            read(&both).map(|config| config.source()),
            Ok(Source::Port(1))
        );
        assert_eq!(
            read(&both[..1]).map(|config| config.source()),
            Ok(Source::Port(2))
        );
    }

    #[test]
    fn the_platform_is_told_by_its_variables() {
        let api = |port| {
            Source::Api(Address {
                host: [127, 0, 0, 1],
                port,
            })
        };
        let scf = [
            (c"SCF_RUNTIME_API", "localhost"),
            (c"SCF_RUNTIME_API_PORT", "80"),
        ];
        let config = read(&scf).expect("SCF");
        assert_eq!(
            (config.platform(), config.source()),
            (Platform::Scf, api(80))
        );
        let both = [
            scf[0],
            scf[1],
            (c"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ];
        let config = read(&both).expect("Lambda");
        assert_eq!(
            (config.platform(), config.source()),
            (Platform::Lambda, api(9001))
        );
        let web = Config::from(|_| None, || true).expect("a web function");
        assert_eq!(
            (web.platform(), web.source()),
            (Platform::Scf, Source::Port(9000))
        );
    }

    #[test]
    fn bad_addresses_are_named() {
        for bad in [
            "",
            ":1",
            "1.2.3:4",
            "1.2.3.4.5:6",
            "1.2.3.256:7",
            "1.2.3.4:65536",
            "1.2.3.4:0",
            "host:1",
        ] {
            let config = read(&[(c"AWS_LAMBDA_RUNTIME_API", bad)]);
            assert_eq!(config.is_err(), !bad.is_empty(), "{bad}");
        }
    }

    #[test]
    fn bad_values_are_named() {
        for (name, value) in [
            (c"FC_SERVER_PORT", "0"),
            (c"FC_SERVER_PORT", "65536"),
            (c"FC_SERVER_PORT", "+80"),
            (c"FC_CUSTOM_LISTEN_PORT", "http"),
            (c"FNBOOT_MAX_BODY", "32M"),
            (c"FNBOOT_MAX_BODY", "1073741825"),
            (c"FNBOOT_MARKERS", "yes"),
        ] {
            let got = read(&[(name, value)]).expect_err("a bad value");
            let name = name.to_str().expect("text");
            assert!(
                got.text.starts_with(&std::format!("{name}: '$' is not ")),
                "{got:?}"
            );
            assert_eq!(got.value, value.as_bytes());
        }
    }
}
