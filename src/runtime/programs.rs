//! Which program the stock program starts: what its arguments say, or else `FNBOOT`, or else `_HANDLER`.

use super::config::Config;
use super::starting::{ARGUMENTS_BYTES, command};
use super::{fatal, handler, stock};
use crate::bytes::Writer;
use crate::limits::WORD_BYTES_MAX;
use crate::program::Function;
use crate::program::words::Words;
use crate::sys::env::{self, Args};
use crate::sys::fd::Errno;
use crate::sys::strings::Strings;

/// How the names of fnboot's own variables go on behind `FNBOOT_`, with those that only programs have.
pub const NAMES: &[u8] =
    b"CONTENT_TYPE LOG_PREFIX MARKERS MAX_BODY SIGTERM STREAMING TIMEOUT WORKERS WORKER_EVENTS";

/// What the arguments say, or else the environment.
pub fn function(args: Args, config: &Config) -> Function {
    match stock::word(args) {
        Some(kind) => of_kind(kind, from_arguments(args), config),
        None => match env::var(b"FNBOOT").filter(|text| !text.is_empty()) {
            Some(text) => of_text(text, config),
            None => handler::function(config),
        },
    }
}

/// What `FNBOOT` says.
fn of_text(text: &'static [u8], config: &Config) -> Function {
    let mut words = Words::new(text);
    let mut place = [0; 16];
    let mut kind = Writer::new(&mut place);
    match words.next(&mut kind) {
        // It has nothing but blanks.
        Ok(false) => handler::function(config),
        Ok(true) => of_kind(kind.written(), from_words(words, text), config),
        Err(bad) => fatal::value(bad, text),
    }
}

fn of_kind(kind: &[u8], words: Result<Strings, Errno>, config: &Config) -> Function {
    let words = fatal::kernel("cannot read the arguments: !", words);
    match (kind, words.get(0)) {
        (b"echo", _) => Function::ECHO,
        (b"command" | b"function", None) => fatal::usage("$: of what? see --help", kind),
        (b"command", _) => command(words, config),
        #[cfg(feature = "function")]
        (b"function", Some(word)) => handler::named(word, true, config),
        _ => fatal::usage("unknown argument '$'; see --help", kind),
    }
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

const LONG_WORD: &str = "FNBOOT: a word of it is longer than 4096 bytes";

/// The words that are left of `text`.
fn from_words(mut left: Words<'_>, text: &[u8]) -> Result<Strings, Errno> {
    let mut words = Strings::new(ARGUMENTS_BYTES)?;
    let mut place = [0; WORD_BYTES_MAX];
    loop {
        let mut word = Writer::new(&mut place);
        match left.next(&mut word) {
            Ok(true) if word.is_cut() => fatal::value(LONG_WORD, b""),
            Ok(true) => words.put(&[word.written()])?,
            Ok(false) => return Ok(words),
            Err(bad) => fatal::value(bad, text),
        }
    }
}
