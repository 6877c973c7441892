//! How a program becomes the function: it is looked for, and its settings are read.

use super::config::{Config, Source};
use super::fatal;
use super::settings::{Bad, Settings, Switch};
#[cfg(feature = "web")]
use super::settings::{PORT, Var};
use crate::bytes;
#[cfg(any(feature = "web", feature = "worker"))]
use crate::handler::Error;
use crate::handler::Platform;
#[cfg(feature = "worker")]
use crate::limits::ANSWER_BYTES_MAX;
use crate::limits::{PROCESS_COUNT_MAX, WORKER_COUNT_DEFAULT};
#[cfg(feature = "web")]
use crate::program::web;
use crate::program::{self, Function, Launch, Reply, Stay};
use crate::sys::clock::NEVER;
use crate::sys::env;
use crate::sys::fd::Errno;
#[cfg(feature = "web")]
use crate::sys::process;
#[cfg(feature = "web")]
use crate::sys::socket::Listener;
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
pub fn command(arguments: Strings, reply: Reply, config: &Config) -> Function {
    match found(arguments, config) {
        Ok(launch) => start(launch, Stay::OneEvent, reply, config),
        Err(missing) => missing,
    }
}

/// The program that the arguments begin with, or the function that there is without it.
fn found(arguments: Strings, config: &Config) -> Result<&'static mut Launch, Function> {
    let launch = launch(arguments);
    match launch.find() {
        Ok(()) => Ok(launch),
        Err(text) => {
            let name = launch.arguments.get(0).unwrap_or_default();
            Err(missing(text, name, ENTRYPOINT, config))
        }
    }
}

pub fn start(launch: &'static mut Launch, stay: Stay, reply: Reply, config: &Config) -> Function {
    launch.arguments.complete();
    let settings = settings(stay, reply, config);
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

/// A server that is started once: the one that the arguments begin with.
#[cfg(feature = "web")]
#[inline(never)]
pub fn web(arguments: Strings, config: &mut Config) -> Function {
    let settings = web_settings(config);
    let launch = match found(arguments, config) {
        Ok(launch) => launch,
        Err(missing) => return missing,
    };
    let function = Function::web(launch, settings);
    function.unwrap_or_else(|error| not_started(error, config))
}

/// The program that stays cannot be started.
#[cfg(any(feature = "web", feature = "worker"))]
#[inline(never)]
fn not_started(error: Error, config: &Config) -> Function {
    if config.platform() != Platform::Lambda {
        fatal::value("the program does not start: $", error.message_bytes());
    }
    Function::missing(error)
}

/// A program that asks for events: the one that the arguments begin with.
#[cfg(feature = "worker")]
#[inline(never)]
pub fn worker(arguments: Strings, config: &mut Config) -> Function {
    let mut settings = settings(Stay::Server, Reply::Body, config);
    if config.source() == Source::Api {
        // A worker that answers with more learns it from fnboot as it would from the platform.
        settings.body_bytes_max = settings.body_bytes_max.min(ANSWER_BYTES_MAX);
    }
    let launch = match found(arguments, config) {
        Ok(launch) => launch,
        Err(missing) => return missing,
    };
    let is_streaming = config.is_streaming();
    let function = Function::worker(launch, settings, config.platform(), is_streaming);
    let function = function.unwrap_or_else(|error| not_started(error, config));
    if function.has_extension() {
        config.sigterm = Switch::On;
    }
    function
}

/// What is set for a server.
#[cfg(feature = "web")]
fn web_settings(config: &mut Config) -> web::Settings {
    let mut settings = Settings {
        var: env::var,
        bad: None,
    };
    // Its markers are its own business.
    config.markers = settings.switch("FNBOOT_MARKERS: '$' is not on or off", Switch::Off);
    let prefix = settings.switch("FNBOOT_LOG_PREFIX: '$' is not on or off", Switch::Off);
    let timeout = settings.number(TIMEOUT, 1, 86_400);
    let own_port = match config.source() {
        Source::Port(port) => Some(port),
        Source::Api => None,
    };
    let own = "FNBOOT_WEB_PORT: '$' is not a port from 1 to 65535, or fnboot's own";
    let of_adapter = "AWS_LWA_PORT: '$' is not a port from 1 to 65535, or fnboot's own";
    let [own, of_adapter] = [own, of_adapter].map(|text| other_port(&mut settings, text, own_port));
    let of_image = settings.port(PORT).filter(|port| Some(*port) != own_port);
    let port = own.or(of_adapter).or(of_image);
    let (is_list, is_path) = (web::is_list, web::is_path);
    let statuses = "FNBOOT_ERROR_STATUS/AWS_LWA_ERROR_STATUS_CODES: '$' is not a list of statuses, such as 500,502-504";
    let error_statuses = checked(&mut settings, statuses, is_list);
    let path = "FNBOOT_EVENT_PATH/AWS_LWA_PASS_THROUGH_PATH: '$' is not a path";
    let event_path = checked(&mut settings, path, is_path);
    let statuses = "FNBOOT_READY_STATUS: '$' is not a list of statuses, such as 200-399,404";
    let ready_statuses = checked(&mut settings, statuses, is_list);
    let path = "FNBOOT_READY_PATH: '$' is not a path";
    let ready_path = checked(&mut settings, path, is_path);
    let path = "FNBOOT_BASE_PATH/AWS_LWA_REMOVE_BASE_PATH: '$' is not a path";
    let base_path = checked(&mut settings, path, is_path);
    let mut base_path = base_path.unwrap_or_default();
    while let [path @ .., b'/'] = base_path {
        base_path = path;
    }
    if let Some(Bad { text, value }) = settings.bad {
        fatal::value(text, value);
    }
    web::Settings {
        port: port.unwrap_or_else(free_port),
        platform: config.platform(),
        event_path,
        base_path,
        error_statuses: error_statuses.unwrap_or_default(),
        ready_path: ready_path.unwrap_or_default(),
        ready_statuses: ready_statuses.unwrap_or(b"100-499"),
        body_bytes_max: config.body_bytes_max,
        timeout_ms: timeout.map_or(NEVER, |seconds| seconds as u64 * 1000),
        prefixes_log: prefix == Switch::On,
    }
}

/// A port that must not be fnboot's own.
#[cfg(feature = "web")]
#[inline(never)]
fn other_port<V: Var>(
    settings: &mut Settings<V>,
    text: &'static str,
    own_port: Option<u16>,
) -> Option<u16> {
    let port = settings.port(text)?;
    if Some(port) == own_port {
        let value = settings.value(text).unwrap_or_default();
        settings.refuse(text, value);
    }
    Some(port)
}

/// The value of a variable that must have that form: of the first that is set of those that the text begins with.
#[cfg(feature = "web")]
#[inline(never)]
fn checked<V: Var>(
    settings: &mut Settings<V>,
    text: &'static str,
    is_form: fn(&[u8]) -> bool,
) -> Option<&'static [u8]> {
    let names = bytes::before(text.as_bytes(), b':');
    let mut values = bytes::split(names, b'/').filter_map(&settings.var);
    let value = values.find(|value| !value.is_empty())?;
    if !is_form(value) {
        settings.refuse(text, value);
    }
    Some(value)
}

/// A port that is free: none that the kernel gives to connections, because one to itself would be taken for the
/// program's.
#[cfg(feature = "web")]
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    // Not the same one for processes that start at once.
    let start = process::id().cast_unsigned() % u32::from(COUNT);
    let start = u16::try_from(start).unwrap_or(0);
    let mut ports = (0..COUNT).map(|number| FIRST + (start + number) % COUNT);
    let port = ports.find(|&port| Listener::bind(port, 1).is_ok());
    port.unwrap_or(FIRST)
}

const TIMEOUT: &str = "FNBOOT_TIMEOUT: '$' is not seconds, from 1 to 86400";

/// What is set for programs.
fn settings(stay: Stay, reply: Reply, config: &Config) -> program::Settings {
    let mut settings = Settings {
        var: env::var,
        bad: None,
    };
    let prefix = settings.switch("FNBOOT_LOG_PREFIX: '$' is not on or off", Switch::Off);
    let timeout = settings.number(TIMEOUT, 1, 86_400);
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
        _ if config.source() == Source::Api && config.is_alone() => 1,
        Stay::Resident => workers.unwrap_or(WORKER_COUNT_DEFAULT),
        Stay::Server => workers.unwrap_or(1),
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
        reply,
        stay,
        worker_count_max,
        event_count_max: event_count_max.map_or(u64::MAX, |count| count as u64),
    }
}
