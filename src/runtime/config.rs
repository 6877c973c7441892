//! Settings, from the environment. Nothing below `runtime` reads it, but for what a handler asks of
//! its context.

use core::ffi::CStr;

use super::Fatal;
use crate::bytes;
use crate::limits::{BODY_BYTES_DEFAULT, BODY_BYTES_MAX};
use crate::sys::env;

/// What can be set from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// `FC_SERVER_PORT`, else `FC_CUSTOM_LISTEN_PORT`, else 9000.
    pub port: u16,
    /// `FNBOOT_MAX_BODY`, in bytes.
    pub body_bytes_max: usize,
    /// `FNBOOT_MARKERS`: whether start and end of each call are logged.
    pub markers: Markers,
}

/// Whether start and end of each call are logged. FC 3.0 prints them itself, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markers {
    On,
    Off,
}

const PORT_DEFAULT: u16 = 9000;

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// The first variable that has a value it cannot have.
    pub fn from_environment() -> Result<Self, Fatal<'static>> {
        Self::from(env::var)
    }

    /// A variable that is set but empty counts as not set: images set them so.
    fn from(var: impl Fn(&CStr) -> Option<&'static [u8]>) -> Result<Self, Fatal<'static>> {
        let set = |name| var(name).filter(|value| !value.is_empty());
        let port = match (set(c"FC_SERVER_PORT"), set(c"FC_CUSTOM_LISTEN_PORT")) {
            (Some(value), _) => port(c"FC_SERVER_PORT", value)?,
            (None, Some(value)) => port(c"FC_CUSTOM_LISTEN_PORT", value)?,
            (None, None) => PORT_DEFAULT,
        };
        let body_bytes_max = match set(c"FNBOOT_MAX_BODY") {
            Some(value) => body_bytes(c"FNBOOT_MAX_BODY", value)?,
            None => BODY_BYTES_DEFAULT,
        };
        let markers = match set(c"FNBOOT_MARKERS") {
            None | Some(b"on") => Markers::On,
            Some(b"off") => Markers::Off,
            Some(value) => return Err(bad(c"FNBOOT_MARKERS", value, "on or off")),
        };
        Ok(Self {
            port,
            body_bytes_max,
            markers,
        })
    }
}

fn port(name: &'static CStr, value: &'static [u8]) -> Result<u16, Fatal<'static>> {
    let port = bytes::decimal(value).and_then(|port| u16::try_from(port).ok());
    port.filter(|&port| port > 0)
        .ok_or(bad(name, value, "a port from 1 to 65535"))
}

fn body_bytes(name: &'static CStr, value: &'static [u8]) -> Result<usize, Fatal<'static>> {
    let len = bytes::decimal(value).and_then(|len| usize::try_from(len).ok());
    len.filter(|&len| len <= BODY_BYTES_MAX)
        .ok_or(bad(name, value, "bytes, up to 1073741824"))
}

fn bad(name: &'static CStr, value: &'static [u8], want: &'static str) -> Fatal<'static> {
    Fatal::Variable { name, value, want }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&CStr, &'static str)]) -> Result<Config, Fatal<'static>> {
        Config::from(|name| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.as_bytes())
        })
    }

    #[test]
    fn defaults() {
        let want = Config {
            port: 9000,
            body_bytes_max: 33_554_432,
            markers: Markers::On,
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
        assert_eq!(read(&both).map(|config| config.port), Ok(1));
        assert_eq!(read(&both[..1]).map(|config| config.port), Ok(2));
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
            let Fatal::Variable {
                name: got_name,
                value: got_value,
                ..
            } = got
            else {
                panic!("{got:?}")
            };
            assert_eq!((got_name, got_value), (name, value.as_bytes()));
        }
    }
}
