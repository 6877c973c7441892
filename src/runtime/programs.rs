//! Which program the stock program starts, and with which settings: what its arguments say, or else `FNBOOT`.

use super::config::Config;
use super::fatal;
use super::settings::{Bad, Settings, Switch};
use super::stock;
use crate::bytes::Writer;
use crate::handler::{Error, Platform};
use crate::limits::WORD_BYTES_MAX;
use crate::program::words::Words;
use crate::program::{self, Function, Launch};
use crate::sys::env::{self, Args};
use crate::sys::fd::Errno;
use crate::sys::strings::Strings;

/// How the names of the variables go on behind `FNBOOT_` that only programs have.
pub const NAMES: &[u8] = b"CONTENT_TYPE LOG_PREFIX TIMEOUT";

/// Room for the arguments of a program: as much as the kernel takes of them by default (execve(2)).
const ARGUMENTS_BYTES: usize = 2 * 1024 * 1024;

/// What the arguments say, or else the environment.
pub fn function(args: Args, config: &Config) -> Function {
    match stock::word(args) {
        Some(kind) => of_kind(kind, from_arguments(args), config),
        None => match env::var(b"FNBOOT").filter(|text| !text.is_empty()) {
            Some(text) => of_text(text, config),
            None => of_handler(),
        },
    }
}

/// What `_HANDLER` names.
fn of_handler() -> Function {
    stock::check_handler();
    Function::ECHO
}

/// What `FNBOOT` says.
fn of_text(text: &'static [u8], config: &Config) -> Function {
    let mut words = Words::new(text);
    let mut place = [0; 16];
    let mut kind = Writer::new(&mut place);
    match words.next(&mut kind) {
        // It has nothing but blanks.
        Ok(false) => of_handler(),
        Ok(true) => of_kind(kind.written(), from_words(words, text), config),
        Err(bad) => fatal::value(bad, text),
    }
}

fn of_kind(kind: &[u8], words: Result<Strings, Errno>, config: &Config) -> Function {
    let words = fatal::kernel("cannot read the arguments: !", words);
    match kind {
        b"echo" => Function::ECHO,
        b"command" => command(words, config),
        _ => fatal::usage("unknown argument '$'; see --help", kind),
    }
}

fn command(words: Strings, config: &Config) -> Function {
    if words.get(0).is_none() {
        fatal::usage("command: which program? see --help", b"");
    }
    let settings = settings(config);
    let (errno, words) = match Launch::find(words) {
        Ok(launch) => {
            let function = Function::command(launch, settings);
            return fatal::kernel("cannot set up programs: !", function);
        }
        Err(failed) => failed,
    };
    let text = if errno == Errno::ACCES {
        "command: nobody may execute the program '$'"
    } else {
        "command: there is no program '$'"
    };
    missing(text, words.get(0).unwrap_or_default(), config)
}

/// There is no function: where the platform takes that as an init error it is told so, else the process ends.
fn missing(text: &'static str, value: &[u8], config: &Config) -> Function {
    if config.platform() != Platform::Lambda {
        fatal::value(text, value);
    }
    fatal::tell_value(text, value);
    let (before, after) = text.split_once('$').unwrap_or_default();
    let parts = [before.as_bytes(), value, after.as_bytes()];
    Function::Missing(Error::of("Runtime.InvalidEntrypoint", &parts))
}

/// The arguments behind the kind.
fn from_arguments(args: Args) -> Result<Strings, Errno> {
    let mut words = Strings::new(ARGUMENTS_BYTES)?;
    let mut index = 2;
    while let Some(word) = args.get(index) {
        words.put(&[word])?;
        index += 1;
    }
    Ok(words)
}

/// The words that are left of `text`.
fn from_words(mut left: Words<'_>, text: &[u8]) -> Result<Strings, Errno> {
    let mut words = Strings::new(ARGUMENTS_BYTES)?;
    let mut place = [0; WORD_BYTES_MAX];
    loop {
        let mut word = Writer::new(&mut place);
        match left.next(&mut word) {
            Ok(true) if word.is_cut() => return Err(Errno::TOOBIG),
            Ok(true) => words.put(&[word.written()])?,
            Ok(false) => return Ok(words),
            Err(bad) => fatal::value(bad, text),
        }
    }
}

/// What is set for programs.
fn settings(config: &Config) -> program::Settings {
    let mut settings = Settings {
        var: env::var,
        bad: None,
    };
    let prefix = settings.switch("FNBOOT_LOG_PREFIX: '$' is not on or off", Switch::Off);
    let timeout = "FNBOOT_TIMEOUT: '$' is not seconds, from 1 to 86400";
    settings.number(timeout, 1..=86_400);
    let content_type = settings.value("FNBOOT_CONTENT_TYPE: '$' is not a type");
    if let Some(Bad { text, value }) = settings.bad {
        fatal::value(text, value);
    }
    program::Settings {
        platform: config.platform(),
        body_bytes_max: config.body_bytes_max,
        content_type: content_type.unwrap_or(b"application/octet-stream"),
        prefixes_log: prefix == Switch::On,
    }
}
