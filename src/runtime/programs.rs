//! Which program the stock program starts: what its arguments say, or else `FNBOOT`, or else `_HANDLER`.

use super::config::Config;
use super::{fatal, handler, starting, stock};
use crate::bytes::{self, Writer};
use crate::limits::WORD_BYTES_MAX;
use crate::program::words::Words;
use crate::program::{Function, Reply};
use crate::sys::env::{self, Args};
use crate::sys::memory::Mapping;
use crate::sys::strings::Strings;

/// How the names of fnboot's own variables go on behind `FNBOOT_`, with those that only programs have.
pub const NAMES: &[u8] =
    b"BASE_PATH CONTENT_TYPE ERROR_STATUS EVENT_PATH LOG_PREFIX MARKERS MAX_BODY READY_PATH READY_STATUS SIGTERM \
    STREAMING TIMEOUT WEB_PORT WORKERS WORKER_EVENTS";

/// What the arguments say, or else `FNBOOT`, or else, if that has nothing but blanks, `_HANDLER`.
pub fn function(args: Args, config: &mut Config) -> Function {
    let text = env::var(b"FNBOOT").unwrap_or_default();
    if stock::word(args).is_none() && text.is_empty() {
        // The built-in function starts without anything that programs need.
        return handler::function(config);
    }
    of_words(args, text, config)
}

/// What the words say that follow the program's own name, or else those of `text`.
#[inline(never)]
fn of_words(args: Args, text: &[u8], config: &mut Config) -> Function {
    let mut words = starting::words();
    if args.get(1).is_some() {
        put_arguments(args, &mut words);
    } else {
        put_text(text, &mut words);
    }
    fatal::kernel("cannot read the arguments: !", words.check());
    let Some(kind) = words.get(0) else {
        return handler::function(config);
    };
    if kind == b"echo" {
        return Function::ECHO;
    }
    let is_web = cfg!(feature = "web") && kind == b"web";
    let is_worker = cfg!(feature = "worker") && kind == b"worker";
    let reply = match kind {
        b"cgi" if cfg!(feature = "cgi") => Some(Reply::Cgi),
        b"function" if cfg!(feature = "function") => None,
        _ if is_web || is_worker || kind == b"command" => Some(Reply::Body),
        _ => fatal::usage("unknown argument '$'; see --help", kind),
    };
    let Some(word) = words.get(1) else {
        fatal::usage("$: of what? see --help", kind);
    };
    let Some(reply) = reply else {
        return handler::named(word, true, config);
    };
    words.take_first();
    #[cfg(feature = "web")]
    if is_web {
        return starting::web(words, config);
    }
    #[cfg(feature = "worker")]
    if is_worker {
        return starting::worker(words, config);
    }
    starting::command(words, reply, config)
}

/// Appends the arguments behind the program's own name.
fn put_arguments(args: Args, words: &mut Strings) {
    let mut index = 1;
    while let Some(word) = args.get(index) {
        words.put(word);
        index += 1;
    }
}

const LONG_WORD: &str = "FNBOOT: a word of it is longer than 4096 bytes";

/// Appends the words of `text`.
fn put_text(text: &[u8], words: &mut Strings) {
    let mut place = fatal::kernel(starting::NO_MEMORY, Mapping::new(WORD_BYTES_MAX));
    let mut left = Words::new(text);
    loop {
        let mut word = Writer::new(bytes::slice_mut(&mut place, 0..WORD_BYTES_MAX));
        match left.next(&mut word) {
            Ok(true) if word.is_cut() => fatal::value(LONG_WORD, b""),
            Ok(true) => words.put(word.written()),
            Ok(false) => return,
            Err(bad) => fatal::value(bad, text),
        }
    }
}
