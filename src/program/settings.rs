//! What is set for programs.

/// What is set for all programs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Longest answer.
    pub body_bytes_max: usize,
    /// `FNBOOT_CONTENT_TYPE`: of the answer to an HTTP request.
    pub content_type: &'static [u8],
    /// `FNBOOT_LOG_PREFIX`: whether each line of a program's log gets time, request id and level.
    pub prefixes_log: bool,
    /// `FNBOOT_TIMEOUT`: how long a call may take, where no platform tells that; `NEVER` if nobody does.
    pub timeout_ms: u64,
    pub reply: Reply,
    pub stay: Stay,
    /// `FNBOOT_WORKERS`: workers at once.
    pub worker_count_max: usize,
    /// `FNBOOT_WORKER_EVENTS`: after so many events a worker is renewed.
    pub event_count_max: u64,
}

/// What a program's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The body of an answer.
    Body,
    /// A reply of CGI/1.1, for a program that serves one event.
    Cgi,
}

/// How long a program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    /// One event.
    OneEvent,
    /// Many, over a channel.
    Resident,
    /// Many, over connections: it is a server.
    #[cfg_attr(
        not(feature = "web"),
        allow(dead_code, reason = "other builds have no server")
    )]
    Server,
}
