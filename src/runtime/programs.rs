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

/// What the arguments say, or else `FNBOOT`, or else, if that has nothing but blanks, `_HANDLER`.
pub fn function(args: Args, config: &Config) -> Function {
    let text = env::var(b"FNBOOT").unwrap_or_default();
    if stock::word(args).is_some() {
        of_words(from_arguments(args), config)
    } else if text.is_empty() {
        // The built-in function starts without anything that programs need.
        handler::function(config)
    } else {
        of_words(from_text(text), config)
    }
}

/// What these words say.
#[inline(never)]
fn of_words(words: Result<Strings, Errno>, config: &Config) -> Function {
    let mut words = fatal::kernel("cannot read the arguments: !", words);
    let Some(kind) = words.get(0) else {
        return handler::function(config);
    };
    if kind == b"echo" {
        return Function::ECHO;
    }
    let is_command = kind == b"command";
    if !is_command && (kind != b"function" || cfg!(not(feature = "function"))) {
        fatal::usage("unknown argument '$'; see --help", kind);
    }
    let Some(word) = words.get(1) else {
        fatal::usage("$: of what? see --help", kind);
    };
    if !is_command {
        return handler::named(word, true, config);
    }
    words.take_first();
    command(words, config)
}

/// The arguments behind the program's own name.
#[inline(never)]
fn from_arguments(args: Args) -> Result<Strings, Errno> {
    let mut words = Strings::new(ARGUMENTS_BYTES)?;
    let mut index = 1;
    while let Some(word) = args.get(index) {
        words.put(&[word])?;
        index += 1;
    }
    Ok(words)
}

const LONG_WORD: &str = "FNBOOT: a word of it is longer than 4096 bytes";

/// The words of `text`.
#[inline(never)]
fn from_text(text: &[u8]) -> Result<Strings, Errno> {
    let (mut words, mut left) = (Strings::new(ARGUMENTS_BYTES)?, Words::new(text));
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
