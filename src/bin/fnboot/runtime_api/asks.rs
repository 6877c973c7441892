//! What a program asks of a runtime API, and what it may not.

/// What the program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Ready,
    Next,
    Answer(Which),
    Error(Which),
    InitError,
    RestoreNext,
    RestoreError,
    Register,
    ExtensionNext,
    /// Something that the API does not have.
    Unknown,
}

/// Which event an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one there is.
    Current,
    Id(String),
}

/// What the program asked and may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NotFound,
    /// Not in this phase.
    WrongPhase(Phase),
    /// The event has its answer.
    Answered,
    UnknownId,
    /// The header that must come back did not.
    NotEchoed(&'static str),
    UnknownMode(String),
    TooLarge {
        bytes_max: usize,
    },
    Truncated,
    /// A body is needed, whatever it is.
    EmptyBody,
    /// An extension asked; the platform has a type and a message for each case.
    Extension(&'static str, String),
}

/// Where the program is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    /// As `Starting`, with the snapshot taken and restored.
    Restored,
    Serving,
    Failed,
    Wedged,
}
