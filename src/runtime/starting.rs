//! How a program becomes the function: it is looked for, and its settings are read.

use super::config::{Config, Source};
use super::fatal;
use super::settings::{Bad, Settings, Switch};
use crate::bytes;
use crate::handler::Platform;
use crate::limits::{PROCESS_COUNT_MAX, WORKER_COUNT_DEFAULT};
use crate::program::{self, Function, Launch, Stay};
use crate::sys::clock::NEVER;
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::strings::Strings;

/// Room for the arguments of a program: as much as the kernel takes of them by default (execve(2)).
const ARGUMENTS_BYTES: usize = 2 * 1024 * 1024;

/// No arguments yet.
#[inline(never)]
pub fn words() -> Strings {
    fatal::kernel(NO_MEMORY, Strings::new(ARGUMENTS_BYTES))
}

/// What is started with these arguments.
#[inline(never)]
pub fn launch(arguments: Strings) -> &'static mut Launch {
    fatal::kernel(NO_MEMORY, Launch::new(arguments).ok_or(Errno::AGAIN))
}

pub const NO_MEMORY: &str = "out of memory: !";

/// A program that is started for each event: the one that the arguments begin with.
#[inline(never)]
pub fn command(arguments: Strings, config: &Config) -> Function {
    let launch = launch(arguments);
    match launch.find() {
        Ok(()) => start(launch, Stay::OneEvent, config),
        Err(text) => {
            let name = launch.arguments.get(0).unwrap_or_default();
            missing(text, name, ENTRYPOINT, config)
        }
    }
}

pub fn start(launch: &'static mut Launch, stay: Stay, config: &Config) -> Function {
    launch.arguments.complete();
    let settings = settings(stay, config);
    let function = Function::programs(launch, settings, config.platform());
    fatal::kernel("cannot start the function: !", function)
}

pub const ENTRYPOINT: &str = "Runtime.InvalidEntrypoint";

/// There is no function: where the platform takes that as an init error it is told so, else the process ends.
pub fn missing(text: &'static str, value: &[u8], kind: &'static str, config: &Config) -> Function {
    if config.platform() != Platform::Lambda {
        fatal::value(text, value);
    }
    Function::missing(program::about(kind, text, value))
}

/// What is set for programs.
fn settings(stay: Stay, config: &Config) -> program::Settings {
    let mut settings = Settings {
        var: env::var,
        bad: None,
    };
    let prefix = settings.switch("FNBOOT_LOG_PREFIX: '$' is not on or off", Switch::Off);
    let timeout = "FNBOOT_TIMEOUT: '$' is not seconds, from 1 to 86400";
    let timeout = settings.number(timeout, 1, 86_400);
    let workers = settings.number(
        "FNBOOT_WORKERS: '$' is not a number from 1 to 256",
        1,
        PROCESS_COUNT_MAX,
    );
    let events = "FNBOOT_WORKER_EVENTS: '$' is not a number of events";
    let event_count_max = settings.number(events, 1, usize::MAX);
    let worker_count_max = match stay {
        Stay::OneEvent => PROCESS_COUNT_MAX,
        // One event at a time comes from an API.
        Stay::Resident if config.source() == Source::Api && config.is_alone() => 1,
        Stay::Resident => workers.unwrap_or(WORKER_COUNT_DEFAULT),
    };
    let text = "FNBOOT_CONTENT_TYPE: '$' is not a type";
    let content_type = settings.value(text);
    if let Some(value) = content_type
        && !value.iter().all(|&byte| bytes::is_text(byte))
    {
        settings.refuse(text, value);
    }
    if let Some(Bad { text, value }) = settings.bad {
        fatal::value(text, value);
    }
    program::Settings {
        body_bytes_max: config.body_bytes_max,
        content_type: content_type.unwrap_or(b"application/octet-stream"),
        prefixes_log: prefix == Switch::On,
        timeout_ms: timeout.map_or(NEVER, |seconds| seconds as u64 * 1000),
        stay,
        worker_count_max,
        event_count_max: event_count_max.map_or(u64::MAX, |count| count as u64),
    }
}
