//! Which program the stock program starts, and with which settings: what its arguments say, or else `FNBOOT`.

use super::config::{Config, Source};
use super::fatal;
use super::settings::{Bad, Settings, Switch};
use super::stock;
use crate::bytes::Writer;
use crate::handler::{Error, Platform};
use crate::limits::{PATH_BYTES_MAX, PROCESS_COUNT_MAX, WORD_BYTES_MAX, WORKER_COUNT_DEFAULT};
use crate::program::find::{self, File};
use crate::program::words::Words;
use crate::program::{self, Function, Launch, Stay, language};
use crate::sys::env::{self, Args};
use crate::sys::fd::Errno;
use crate::sys::file;
use crate::sys::strings::{self, Strings};

/// How the names of the variables go on behind `FNBOOT_` that only programs have.
pub const NAMES: &[u8] = b"CONTENT_TYPE LOG_PREFIX TIMEOUT WORKERS WORKER_EVENTS";

/// Room for the arguments of a program: as much as the kernel takes of them by default (execve(2)).
const ARGUMENTS_BYTES: usize = 2 * 1024 * 1024;

/// What the arguments say, or else the environment.
pub fn function(args: Args, config: &Config) -> Function {
    match stock::word(args) {
        Some(kind) => of_kind(kind, from_arguments(args), config),
        None => match env::var(b"FNBOOT").filter(|text| !text.is_empty()) {
            Some(text) => of_text(text, config),
            None => of_handler(config),
        },
    }
}

/// What `_HANDLER` names, or else FC's setting, if there is such a file: it has a value even where none was
/// meant. A name that is fnboot's own file means the built-in function.
fn of_handler(config: &Config) -> Function {
    let value = |name| env::var(name).filter(|value| !value.is_empty());
    let name = value(b"_HANDLER");
    let hint = value(b"FC_FUNCTION_HANDLER").filter(|_| name.is_none());
    match (name.or(hint), name.is_some()) {
        (None | Some(b"echo"), _) => Function::ECHO,
        (Some(word), is_binding) => of_name(word, is_binding, config),
    }
}

/// What `FNBOOT` says.
fn of_text(text: &'static [u8], config: &Config) -> Function {
    let mut words = Words::new(text);
    let mut place = [0; 16];
    let mut kind = Writer::new(&mut place);
    match words.next(&mut kind) {
        // It has nothing but blanks.
        Ok(false) => of_handler(config),
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
        (b"function", Some(word)) => of_name(word, true, config),
        _ => fatal::usage("unknown argument '$'; see --help", kind),
    }
}

/// A program that is started for each event.
fn command(words: Strings, config: &Config) -> Function {
    let failed = match Launch::find(words) {
        Ok(launch) => return start(launch, Stay::OneEvent, config),
        Err(failed) => failed,
    };
    let (errno, words) = failed;
    let text = if errno == Errno::ACCES {
        "command: nobody may execute the program '$'"
    } else {
        "command: there is no program '$'"
    };
    missing(text, words.get(0).unwrap_or_default(), ENTRYPOINT, config)
}

/// A function in a file. If the name is not `is_binding`, and there is no such file, it is the built-in one.
fn of_name(word: &[u8], is_binding: bool, config: &Config) -> Function {
    let root = find::root(env::var).unwrap_or(b".");
    let mut place = [0; PATH_BYTES_MAX];
    let found = match find::find(word, root, &mut place, look) {
        Ok(found) => found,
        Err(_) if !is_binding => return Function::ECHO,
        Err(bad) => return missing(bad.text, bad.value, NO_HANDLER, config),
    };
    if is_own(found.path) {
        return Function::ECHO;
    }
    let programs = found.language.programs();
    if programs.is_empty() {
        let mut words = fatal::kernel("out of memory: !", Strings::new(ARGUMENTS_BYTES));
        fatal::kernel("out of memory: !", words.put(&[found.path]));
        return command(words, config);
    }
    for program in programs {
        let arguments = language::arguments(
            found.language,
            program,
            found.path,
            found.name,
            config.platform(),
        );
        let arguments = fatal::kernel("out of memory: !", arguments);
        if let Ok(launch) = Launch::find(arguments) {
            return start(launch, Stay::Resident, config);
        }
    }
    let program = programs.first().map_or("", |program| program);
    missing(
        "there is no program '$', which runs the function",
        program.as_bytes(),
        ENTRYPOINT,
        config,
    )
}

/// What there is at a path.
fn look(path: &[u8]) -> File {
    let mut place = [0; PATH_BYTES_MAX];
    match strings::path(&mut place, &[path]) {
        Ok(path) if !file::is_file(path) => File::None,
        Ok(path) if file::executable(path).is_ok() => File::Executable,
        Ok(_) => File::Plain,
        Err(_) => File::None,
    }
}

/// Whether the file at `path` is the one that this process runs.
fn is_own(path: &[u8]) -> bool {
    let mut place = [0; PATH_BYTES_MAX];
    let path = strings::path(&mut place, &[path]);
    path.is_ok_and(|path| file::is_same(path, c"/proc/self/exe"))
}

fn start(launch: Launch, stay: Stay, config: &Config) -> Function {
    let settings = settings(stay, config);
    let function = Function::programs(launch, settings, config.platform());
    fatal::kernel("cannot start the function: !", function)
}

const ENTRYPOINT: &str = "Runtime.InvalidEntrypoint";
const NO_HANDLER: &str = "Runtime.NoSuchHandler";

/// There is no function: where the platform takes that as an init error it is told so, else the process ends.
fn missing(text: &'static str, value: &[u8], kind: &'static str, config: &Config) -> Function {
    if config.platform() != Platform::Lambda {
        fatal::value(text, value);
    }
    let (before, after) = text.split_once('$').unwrap_or_default();
    Function::Missing(Error::of(
        kind,
        &[before.as_bytes(), value, after.as_bytes()],
    ))
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
fn settings(stay: Stay, config: &Config) -> program::Settings {
    let mut settings = Settings {
        var: env::var,
        bad: None,
    };
    let prefix = settings.switch("FNBOOT_LOG_PREFIX: '$' is not on or off", Switch::Off);
    let timeout = "FNBOOT_TIMEOUT: '$' is not seconds, from 1 to 86400";
    settings.number(timeout, 1..=86_400);
    let workers = settings.number(
        "FNBOOT_WORKERS: '$' is not a number from 1 to 256",
        1..=PROCESS_COUNT_MAX,
    );
    let events = "FNBOOT_WORKER_EVENTS: '$' is not a number of events";
    let event_count_max = settings.number(events, 1..=usize::MAX);
    let worker_count_max = match stay {
        Stay::OneEvent => PROCESS_COUNT_MAX,
        // One event at a time comes from an API.
        Stay::Resident if config.source() == Source::Api && config.is_alone() => 1,
        Stay::Resident => workers.unwrap_or(WORKER_COUNT_DEFAULT),
    };
    let content_type = settings.value("FNBOOT_CONTENT_TYPE: '$' is not a type");
    if let Some(Bad { text, value }) = settings.bad {
        fatal::value(text, value);
    }
    program::Settings {
        body_bytes_max: config.body_bytes_max,
        content_type: content_type.unwrap_or(b"application/octet-stream"),
        prefixes_log: prefix == Switch::On,
        stay,
        worker_count_max,
        event_count_max: event_count_max.map_or(u64::MAX, |count| count as u64),
    }
}
