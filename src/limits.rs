//! Every bound of the program, with its unit in its name and its answer in its doc.
//!
//! Nothing here knows who asks. A bound that a user may want to move at run time is only a default
//! here; `runtime::config` reads the variable.

/// Longest request head accepted, request line included; a longer one is answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest request target accepted, in a request line that is at most 64 bytes longer; a longer one
/// is answered with 414. FC's own limit is 4 KiB.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Most header fields accepted; more are answered with 431. FC sends about 25.
pub const FIELD_COUNT_MAX: usize = 100;

/// Most parameters of a query that an event names, as many as common servers read; more stand only in its raw query.
#[cfg(feature = "worker")]
pub const PARAMETER_COUNT_MAX: usize = 1000;

/// Longest body accepted unless `FNBOOT_MAX_BODY` says otherwise; FC's own limit. A longer request is
/// answered with 413; a longer event of an API ends the process.
pub const BODY_BYTES_DEFAULT: usize = 32 * 1024 * 1024;

/// Largest value of `FNBOOT_MAX_BODY`: positions in a buffer are 32 bits wide.
pub const BODY_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Bytes of chunk extensions accepted in one body, all together; more are answered with 400.
pub const EXTENSION_BYTES_MAX: u32 = 16 * 1024;

/// Digits accepted in the size of one chunk, zeros in front included; more are answered with 400.
pub const SIZE_DIGIT_COUNT_MAX: u16 = 1024;

/// Trailer section accepted after a chunked body; a longer one is answered with 431.
pub const TRAILER_BYTES_MAX: u32 = 8 * 1024;

/// The shared buffer that a short request is served from.
pub const SCRATCH_BYTES: usize = 32 * 1024;

/// Longest response head written, FC's own limit being 8 KiB; a handler that asks for more has
/// failed its call.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 10 * 1024;

/// Most header fields a handler can put into a response; one more fails the call.
pub const RESPONSE_FIELD_COUNT_MAX: usize = 32;

/// Longest prelude of a streamed answer, the JSON that stands for its head; a longer one fails the call. A head that
/// can be written fits, with some escapes.
#[cfg(feature = "worker")]
pub const PRELUDE_BYTES_MAX: usize = 2 * RESPONSE_HEAD_BYTES_MAX;

/// Room for a piece of an answer that goes on; a longer piece fails the call.
pub const PIECE_BYTES: usize = 64 * 1024;

/// Largest handler that is moved to its place, over a stack that holds up to three copies of it; a larger
/// one does not compile. The messages in `runtime` and `sys::entry` name this number.
pub const HANDLER_BYTES_MAX: usize = 64 * 1024;

/// Longest message an `Error` keeps; the rest is cut.
pub const ERROR_BYTES_MAX: usize = 512;

/// Longest type an `Error` keeps; the rest is cut. With message and place it fits the answer and the
/// line of the log, also where JSON needs six bytes for one.
pub const ERROR_KIND_BYTES_MAX: usize = 320;

/// Longest place an `Error` keeps; the rest is cut.
pub const ERROR_PLACE_BYTES_MAX: usize = 128;

/// Longest log entry, FC's own limit; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 32 * 1024;

/// Longest request id that is repeated in a log line; the rest is cut.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// How long before its deadline a call fails that was put off and has no answer: a twentieth of the time
/// that was left for it, but at least this.
pub const GRACE_MS_MIN: u64 = 50;

/// And at most this.
pub const GRACE_MS_MAX: u64 = 250;

/// How long before its deadline a program is told to end: a tenth of the time that was left for it, but at
/// least this. When half of that is over it is killed.
pub const MARGIN_MS_MIN: u64 = 100;

/// And at most this.
pub const MARGIN_MS_MAX: u64 = 500;

/// Processes of a command at once; further calls wait for the end of one.
pub const PROCESS_COUNT_MAX: usize = 256;

/// Interpreters of a function at once, unless `FNBOOT_WORKERS` says otherwise; further calls wait for one.
pub const WORKER_COUNT_DEFAULT: usize = 16;

/// How long an interpreter may take until it can serve; one that takes longer is killed. FC's own limit for an
/// instance.
pub const LOAD_MS_MAX: u64 = 120_000;

/// Processes of a program that stays which may end in a row without a call that was served; then fnboot ends.
pub const DEATH_COUNT_MAX: usize = 3;

/// Connections to a server beside fnboot, each with a call or idle; further calls fail.
pub const UPSTREAM_COUNT_MAX: usize = 1024;

/// Longest answer in one piece of a worker where an API sends events: Lambda's own limit, and nearly SCF's; a longer one is
/// answered with 413, and its call fails.
pub const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// Connections of one worker to its runtime API; one more is closed.
pub const WORKER_CONN_COUNT_MAX: usize = 16;

/// How long a connection to it may have been idle to be used again: servers close such ones by themselves, some after
/// two seconds, and an instance that was frozen does not hear of it in time.
pub const IDLE_MS_MAX: u64 = 1000;

/// How long after its end it is started again; twice as long after each further end without an answer in between.
pub const RESTART_MS: u64 = 100;

/// Longest path of a program or a function; a longer one is not found.
pub const PATH_BYTES_MAX: usize = 4096;

/// Longest word of `FNBOOT`; a longer one is refused at the start.
pub const WORD_BYTES_MAX: usize = 4096;

/// Connections held at once; further ones wait in the kernel's queue.
pub const CONN_COUNT_MAX: usize = 16 * 1024;

/// Length of the kernel's queue of connections not yet accepted (`listen(2)`).
pub const BACKLOG_COUNT: i32 = 1024;

/// Events taken from the kernel in one tick.
pub const EVENT_COUNT_MAX: usize = 64;

/// Calls that were put off and are answered in one tick, so that those whose answers are always there do not
/// starve the others.
pub const WAKE_COUNT_MAX: usize = 64;

/// Connections accepted in one tick, so that a flood of them does not starve those that are open.
pub const ACCEPT_COUNT_MAX: usize = 64;

/// Warm memory kept for the next long bodies, in all, while calls keep coming.
pub const WARM_BYTES_MAX: usize = 40 * 1024 * 1024;

/// Warm mappings kept, in number.
pub const WARM_COUNT_MAX: usize = 32;

/// How long after the last event warm memory is given back.
pub const WARM_IDLE_MS: u64 = 100;

/// How long a client that was told the connection ends may still send.
pub const LINGER_MS_MAX: u64 = 10_000;

/// The same, once `SIGTERM` has come.
pub const LINGER_LAST_MS_MAX: u64 = 500;

/// How long `SIGTERM` waits for what is in flight: for every connection of a server to be closed, for every
/// event of an API to be answered and its answer responded to.
pub const DRAIN_MS_MAX: u64 = 10_000;

/// How often in a row a platform's API is tried that does not answer; then the process ends, unless another
/// connection waits for events.
pub const RETRY_COUNT_MAX: usize = 50;

/// How long the next try waits.
pub const RETRY_MS: u64 = 100;

/// A connection that lasted this long does not count as failed, even without a response.
pub const STABLE_CONN_MS_MIN: u64 = 2_000;

/// Longest address of a platform's API, its path included; a longer one is refused at the start.
pub const ADDRESS_BYTES_MAX: usize = 1024;

/// How much of `/etc/hosts` is read, in whole lines; a name beyond it is not found.
pub const HOSTS_BYTES_MAX: usize = 64 * 1024;

/// How long accepting pauses when descriptors run out and none of ours is closed meanwhile.
pub const PAUSE_MS_MAX: u64 = 250;

const _: () = assert!(
    HEAD_BYTES_MAX <= SCRATCH_BYTES,
    "a whole head must fit the shared buffer"
);
const _: () = assert!(
    TARGET_BYTES_MAX < HEAD_BYTES_MAX,
    "414 must be reachable before 431"
);
