//! How a setting is read from the environment, and the settings that are read before all others: those of
//! the log.

use crate::bytes::{self, is_word_ignore_case};
use crate::log::{self, Form, Level};
use crate::sys::env;

/// Which platforms this build knows, so that nothing is left in it of the others.
pub const HAS_FC: bool = cfg!(feature = "fc");
pub const HAS_LAMBDA: bool = cfg!(feature = "lambda");
pub const HAS_SCF: bool = cfg!(feature = "scf");

/// Whether there is a platform among them that sends its calls.
pub const PUSHES: bool = HAS_FC || HAS_SCF;

/// Whether there is one that is asked for them.
pub const POLLS: bool = HAS_LAMBDA || HAS_SCF;

/// Something that is on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// Settings that are read more than once.
pub const API: &str = "AWS_LAMBDA_RUNTIME_API: '$' is not HOST:PORT/PATH, \
    its host an IPv4 address or a name in /etc/hosts";
pub const FC_PORT: &str = "FC_SERVER_PORT: '$' is not a port from 1 to 65535";
/// The end of the same text.
pub const PORT: &str = FC_PORT.split_at("FC_SERVER_".len()).1;
pub const CONCURRENCY: &str = "AWS_LAMBDA_MAX_CONCURRENCY: '$' is not a number from 1 to 1000";

/// Most events that are taken at once: as many connections, and no platform allows more.
pub const CONCURRENCY_MAX: usize = 1000;

/// The value of a variable.
pub trait Var: Fn(&[u8]) -> Option<&'static [u8]> {}

impl<F: Fn(&[u8]) -> Option<&'static [u8]>> Var for F {}

/// Where settings are read from, and the first that has a value it cannot have.
///
/// A setting is identified by its error message, whose text up to the colon is the variable's name:
/// one string serves both.
pub struct Settings<V> {
    pub var: V,
    pub bad: Option<Bad>,
}

impl<V: Var> Settings<V> {
    /// A variable that is set but empty counts as not set: images set them so.
    #[inline(never)]
    pub fn value(&self, text: &'static str) -> Option<&'static [u8]> {
        let text = text.as_bytes();
        let end = text.iter().position(|&byte| byte == b':');
        let name = bytes::slice(text, 0..end.unwrap_or(text.len()));
        (self.var)(name).filter(|value| !value.is_empty())
    }

    /// A number from `least` to `most`.
    #[inline(never)]
    pub fn number(&mut self, text: &'static str, least: usize, most: usize) -> Option<usize> {
        let value = self.value(text)?;
        let number = number(value).filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.refuse(text, value);
        }
        number
    }

    #[inline(never)]
    pub fn port(&mut self, text: &'static str) -> Option<u16> {
        let port = self.number(text, 1, u16::MAX.into());
        port.and_then(|port| u16::try_from(port).ok())
    }

    pub fn switch(&mut self, text: &'static str, default: Switch) -> Switch {
        match self.value(text) {
            Some(value) if is_word_ignore_case(value, "on") => Switch::On,
            Some(value) if is_word_ignore_case(value, "off") => Switch::Off,
            Some(value) => {
                self.refuse(text, value);
                default
            }
            None => default,
        }
    }

    #[inline(never)]
    pub fn refuse(&mut self, text: &'static str, value: &'static [u8]) {
        self.bad.get_or_insert(Bad { text, value });
    }
}

/// Gives the log the form and the level that Lambda's settings ask for.
#[inline(never)]
pub fn configure_log() {
    let settings = Settings {
        var: env::var,
        bad: None,
    };
    let is_scf = HAS_SCF && env::is_program("scf_bootstrap");
    if !HAS_LAMBDA || is_scf || settings.value(API).is_none() {
        return;
    }
    // On Managed Instances the log is JSON, whatever else is set.
    let is_managed = settings.value(CONCURRENCY).is_some();
    let form = settings.value("AWS_LAMBDA_LOG_FORMAT");
    let is_json = is_managed || form.is_some_and(|form| is_word_ignore_case(form, "json"));
    let level = settings.value("AWS_LAMBDA_LOG_LEVEL");
    log::configure(
        if is_json { Form::Json } else { Form::OneEvent },
        level.map_or(Level::Debug, Level::named),
    );
}

pub fn number<T: TryFrom<u64>>(digits: &[u8]) -> Option<T> {
    bytes::decimal(digits).and_then(|number| T::try_from(number).ok())
}

/// A variable of the environment that has a value it cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bad {
    /// What is wrong, in words; `$` stands for the value.
    pub text: &'static str,
    pub value: &'static [u8],
}
