//! fnboot turns a function into a cloud function: it is the whole of the small static program,
//! `bootstrap`, that a serverless platform starts. The platform calls the program over HTTP (Alibaba
//! Cloud Function Compute, FC; the web functions of Tencent Cloud SCF), or is asked for events over
//! HTTP (AWS Lambda, SCF); fnboot speaks these protocols and hands each call to a [`Handler`].
//!
//! ```
//! use fnboot::{Context, Error, Handler, info};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn invoke<'a>(&'a mut self, event: &'a [u8], cx: &Context<'_>) -> Result<&'a [u8], Error> {
//!         info!(cx, "{} bytes", event.len());
//!         Ok(event) // Borrowed from the receive buffer: never copied.
//!     }
//! }
//! ```
//!
//! A program without std ends with [`main!`]`(Hello);`, one with std (and the feature of that name)
//! has a `fn main() { fnboot::run(Hello) }`. How to build, try and deploy it stands in the
//! README, complete functions in `examples/`. What follows is for those who work on fnboot itself.
//!
//! # One call, from the socket and back
//!
//! ```text
//!             sys::socket     http::exchange, head, body, chunk     platform::fc
//!            ┌───────────┐   ┌─────────────────────────────────┐   ┌─────────────┐
//!  platform ─┤ recv(2)   ├──▶│ head ──▶ framing ──▶ whole body │──▶│ which call? │──┐
//!            └───────────┘   └─────────────────────────────────┘   └─────────────┘  │ &[u8]
//!                 the shared buffer, or a mapping of the connection's own           ▼
//!                                                                                Handler
//!            ┌───────────┐   ┌─────────────────────────────────┐   ┌─────────────┐  │ &[u8]
//!  platform ◀┤ sendmsg(2)│◀──│ http::write: head of the answer │◀──│ how it went │◀─┘
//!            └───────────┘   └─────────────────────────────────┘   └─────────────┘
//!                 head and body in one call; the rest, if any, waits where it lies
//! ```
//!
//! A platform that is asked for events takes the same road: its responses come in, one of them with
//! the event, and requests go out, one of them with the answer. A message is followed by one answer, so
//! the same connection, the same exchange and the same buffers serve both sides. Which side is ours is in
//! `runtime::side`: a build for FC alone has no client, because `Side::client` is a constant `None` there.
//!
//! In between, `runtime::call` does two things. It *calls*: finds out which call a message is, lets the
//! handler perform it, logs how it went, and has an outcome or an [`Error`]. It *renders*: makes of that,
//! and of the head of the message, the bytes of the answer, in `runtime::push` for a platform that sends
//! requests, in `runtime::poll` for one that is asked for events. An answer that is complete only later,
//! because its pieces are collected, is rendered by the same code (`render`) as one that is there at once.
//!
//! One thread, one direction, no queue. What both directions do in a tick of the loop (wait, serve,
//! expire) can be read in one function, `Connections::tick` in `runtime::connections`. `runtime::server`
//! adds accepting connections, and after `SIGTERM` draining them; `runtime::poller` adds opening
//! connections, and after `SIGTERM` waiting for the last answers. Both wait for `limits::DRAIN_MS_MAX` at
//! most, whose doc says for what; a call that was put off is in flight. The life of a connection is in the drawing at the top of
//! `runtime::connection`; nobody outside of that folder reads from a socket or writes to it, and in it only
//! `Link::prepare`, in `link`, replaces one.
//!
//! The client of an API loses no answer in silence. An answer that cannot go out on the connection of its
//! event goes out on a new one (`Link::prepare`). The rest is in `runtime::connection::client`: while a
//! long answer is being sent, `Connection::watch` hears an API that refuses it early or goes away; a short
//! one that has no response is sent once more (`Connection::send_again`). What is refused, or lost for all
//! that, is logged with the id of its event (`poll::log_lost`).
//!
//! A client that breaks a rule or a bound is refused. `http` decides that, as a [`http::Reject`], which
//! has a status and a reason: a body that is too long, for instance, by its `Content-Length` in
//! `http::exchange`, by the size of a chunk in `http::chunk`. `Connection::refuse` has it rendered by
//! `push::refuse`, and closes.
//!
//! A request that arrives in one read is parsed, called and answered out of one buffer that all
//! connections share. Only a request that does not owns memory, a mapping big enough for all of it,
//! and only until it is answered. An answer that lies in that memory is sent from there.
//!
//! An answer that goes on ([`Context::stream`]) gets a mapping of its own: the head of its call, so
//! that every piece has the whole context, the requests that have already come behind it, which wait until
//! its end, and one piece at a time. The loop asks the handler for the next piece when the socket has
//! taken the last and it is due: no thread, no queue, and a client that does not read stops the handler.
//! (The pieces of an answer that a platform takes only as a whole are collected there first.) A handler
//! that never streams carries none of this.
//!
//! A call that is put off ([`Context::defer`]) is such an answer, too, of which there is nothing yet. Its
//! mapping holds the head of its call and the requests behind it, and the connection waits without reading.
//! Three things end the wait. The handler's own descriptor, its waker, becomes readable: then the loop asks
//! it ([`Handler::woken`]) for the numbers of calls that can be answered, and has each answered
//! ([`Handler::resume`]) and rendered by the code that renders an answer which is there at once. Or the
//! deadline comes, less a moment in which the platform still takes a failure: the call is abandoned, and
//! fails with `TimedOut`. Or nobody is there any more: the peer has reset the connection, or `SIGTERM` has
//! waited for long enough. The number of a call leads to its connection, and is used once, so that an answer
//! that comes too late reaches nobody. Where it is kept which number is next, and whether the waker is
//! watched, are statics (`runtime::deferred`) that a handler which puts nothing off does not have.
//!
//! A function that is a program (`program`) puts each of its calls off. `runtime::programs` reads what is to
//! serve: `bootstrap command` starts a process for each event, `bootstrap function` keeps interpreters with the
//! function loaded. One type serves both, `program::programs`: it has the calls, in the order of their numbers,
//! and workers, each a process with two pipes. A worker for one event has the event as its standard input, a
//! file that is there before it starts, and the environment of its call. An interpreter shares that file and
//! one with the call's variables, and is told by a line over a socket that there is a new event; a line back
//! says how it went, after the answer was written to its pipe: no framing, no quoting. What happens in the
//! interpreter is in the shims, `src/program/shims`, which `build.rs` embeds. All that there is to hear of
//! programs makes one descriptor readable, the nested epoll in `program::supervisor`, and that is the waker.
//! `bootstrap cgi` is `bootstrap command` whose output `program::reply` reads as status, headers and body.
//! Nothing blocks on a program; only an initialization that no request asks for is waited for.
//!
//! A server beside fnboot (`program::web`) is not started for a call, and is told of one by a request. `Web::begin` sends
//! the request on out of the buffer that it came in, and puts the call off. What comes of the answer at first is read to
//! one place for all connections, because most answers are there at once: the waker tells the call, and the answer goes
//! on to the client from that place, its head as it came (`platform::response::passed_head`). A longer answer is a stream
//! whose pieces are read from the one socket to the buffer that they are sent from to the other. Such a handler
//! is asked for everything that a platform sends ([`Handler::http`] with `Scope::All`), because its server knows hooks and
//! events as requests, too.
//!
//! A program that asks for events (`program::runtime_api`, `bootstrap worker`) is served the runtime APIs of Lambda and SCF,
//! each worker on a port of its own. `Api::begin` puts the call off, with all that a worker is told of it; a worker's
//! question is a connection that waits. `desk` pairs the two, so both sides wait for each other. These connections are a
//! server's, with its `http::exchange` and its refusals, but they are not among those of `runtime`, because a worker has
//! asked before there is a platform to be served. They make the one descriptor readable, as those of a server beside
//! fnboot do. An answer goes on from where it was read to, one in pieces from socket to socket. A request of an HTTP
//! function is made an event (`platform::gateway::url_event`), and its answer a response (`url_answer`): the opposite of
//! what follows.
//!
//! An event may be an HTTP request, which a gateway has made JSON of. If the handler says that it serves these
//! ([`Handler::HTTP_EVENTS`]), `runtime::http_events` stands in front of `Caller::answer`: `platform::gateway::event`
//! tells such an event from all others and makes the request, of slices of the event where it can. What has to be
//! changed (escapes, base64, the target) is written to memory of the pool that is lent until the answer is sent, and
//! not over the event: its buffer also holds the head that a call is known by later, and may be the one
//! that all connections share. `runtime::gateway` renders the answer, in the shape of its request
//! (`platform::gateway::answer`). JSON is read by `platform::json`, which copies nothing.
//!
//! `bootstrap` has no C start: the kernel enters at `sys::start`, which relocates the program and
//! calls `main`. `sys/layout.ld`, beside it, tells the linker how the program lies in memory, and to
//! refuse one that needs more than that start sets up. A program that is linked in the ordinary way
//! starts in the ordinary way.
//!
//! The first wait of a server is `accept4(2)` on a listener that blocks: epoll, the table of connections
//! and whatever else serves many calls is set up after the first one is answered.
//!
//! # Where is what
//!
//! | module | is | may name | never |
//! |---|---|---|---|
//! | `limits` | every bound: its unit is in its name, what happens beyond it in its doc | – | knows who asks |
//! | `bytes` | a writer over a slice, strict decimal, moves inside a buffer | itoa | knows why |
//! | `calendar` | seconds since 1970 as a date | – | reads a clock |
//! | `sys` | one kernel call per function: slices in, owned descriptors out; where the kernel enters (`start`), and what [`main!`] makes (`entry`) | libc, for its numbers and layouts; std, where there is one | knows HTTP, retries, logs, decides |
//! | `http` | HTTP/1.1: head, framing, chunks, the head of an answer | `bytes calendar limits`, httparse, itoa | holds a descriptor, reads a clock |
//! | `handler` | what users write and are given: [`Handler`], [`Context`], [`Request`], [`Response`], [`Error`], [`Flow`] | `bytes http limits` | does I/O |
//! | `log` | one entry, one `write(2)` (of a long one, one for each page); the log macros | `bytes calendar limits sys` | fails, blocks a call for long |
//! | `platform` | a platform's dialect as pure functions: which call is this, what does an answer look like, what is logged; JSON, and HTTP requests as gateways write them in it | `bytes calendar handler http limits log` | does I/O, holds state |
//! | `net` | readiness (`reactor`), warm memory (`pool`) | `limits sys` | knows what bytes mean |
//! | `answers` | answers from other threads, for handlers with std | `handler`, std | knows which calls there are |
//! | `echo` | the built-in function of the stock `bootstrap` | `handler` | does anything a user would want |
//! | `program` | functions that are programs: their processes, what they are told, what their failures are | `bytes echo handler http limits log platform sys`; std, to pack texts | names `runtime` |
//! | [`testing`] | calls that no platform made, for users' unit tests | `handler http sys` | is in a program |
//! | `runtime` | where all of them meet: settings, connections, the loop, the call itself | all above, std | is unsafe, parses bytes |
//!
//! Beside the library: `src/main.rs`, the stock `bootstrap` that echoes; `src/bin/fnboot`, the local
//! tool that plays the platform (std and the usual crates; nothing of it reaches `bootstrap`);
//! `tests/it`, tests against the real binary; `benches`, the measurements.
//!
//! # What never happens
//!
//! - Nothing outside `sys` is unsafe, but for the C entry point in `src/main.rs`: its name and its
//!   arguments.
//! - Nothing below `runtime` reads the environment, but for `program`, which hands it on to programs. A
//!   [`Context`] that is asked for credentials does so by a function that `runtime` gave it.
//! - No file is read, but for `/etc/hosts` where it has to say which address the API's name has; and, where
//!   programs are started, the first line of one that cannot be, and the kernel's list of children.
//! - No program inherits a descriptor but those of its channel, a signal that is ignored or blocked, or
//!   `FNBOOT`. No group that fnboot has started is killed after its leader was reaped.
//! - No memory is read that a safe function may free: of the environment, the strings that the
//!   program was started with (`sys::env`).
//! - Nothing in `http` and `platform` holds a descriptor, reads a clock or keeps state that is not
//!   in its argument, so that all of the protocol runs in memory: under tests, Miri and a fuzzer.
//! - Nothing allocates, and there is no second thread. Long bodies live in mappings, everything else
//!   in places reserved in the program, which cost nothing until they are touched.
//! - No body is copied, but for the part of one that came into the shared buffer before it turned out to be
//!   longer; what the kernel does not take at once of an answer, unless all of it lies in the buffer; the
//!   beginning of an answer in pieces; a short answer to an API, which is kept until it has a response; and
//!   what JSON has to escape, or to write in base64.
//! - No code of our own panics: positions are clamped to their slice, and debug builds and tests
//!   assert that clamping changed nothing. Hostile input reaches no assertion.
//! - No connection is closed for being idle, because FC takes that for a failed call. An answer closes one
//!   only if the client asked for it or broke a rule, its end is that of the answer (HTTP/1.0, a stream that
//!   failed), memory is out or the process ends. One whose peer does not answer the kernel any more (TCP
//!   keep-alive) breaks.
//! - Nothing that follows a refused request is read as a request.
//! - No call that was put off ends twice, or never: it is resumed once, or abandoned once, or was failed by
//!   the handler before it returned. Nothing is read on its connection meanwhile, so that answers keep the
//!   order of their requests. No answer that comes late reaches another call.
//! - No event goes to two workers, and no worker has two. Of the answers to one, the first counts.
//! - No answer of a server beside fnboot, or of a worker, that broke off is completed, and no request is sent to it twice unless nothing of
//!   it went out or its method allows that. What comes behind an answer is never taken for the next one.
//! - No call is ended because its client has sent its end (FIN): that client may still read.
//! - How the network cut a stream changes nothing: the protocol never looks ahead.
//! - No header and no credential is logged. A request id is, without whatever could end its line.
//! - No call waits for a log: who does not read it loses lines, after one moment of patience.
//! - No run-time detection of the processor, no lock, no `dyn` on the way of a call.
//! - No answer leaves before the log of its call: the instance may be frozen right after.
//! - No two files of `src` name each other, directly or in a circle; only a file of a module's folder names
//!   items of the module that declares it.
//! - What an API sends behind a response, or while the function works, is never taken for the response to
//!   the next request.
//!
//! # Texts with holes
//!
//! A text and its slices cost an address and a length each, so what belongs together is one text here and
//! there, with marks that stand for something. Each is read by the function beside it:
//!
//! | where | mark | stands for |
//! |---|---|---|
//! | `runtime::fatal`, messages of `runtime::config` | `$` `#` `!` | a value, a number, what the kernel said |
//! | `log`, what each entry begins with | `@` `#` `!` | the time, the request id, the level |
//! | `bytes`, `put_numbers` | a digit | the next number, with that many places |
//! | `platform::runtime_api`, lines of requests | a blank, `~`, `$` | the base path, what all paths begin with, the event |
//! | `platform`, names of headers | `*` | whatever follows |
//! | `platform::gateway::url_event`, the beginning of events | `~` and a letter | a value of the request |
//! | `program::runtime_api::asks`, what an extension and an ARN say | `~` | a variable, whose name follows up to the next one; a value of the call |
//! | `program::variables`, tables of variables | `$`, `=`, `:`, `~`, `+` | where their values are from |
//! | `http::Reject`, `http::write::reason` | three digits | the status of the line |
//!
//! Whole texts that no call waits for, the shims and what `--help` prints, are packed by `build.rs`, and unpacked
//! by `program::unpack` where one is needed: 22 KiB of them take 8 KiB. All of them are unpacked in a
//! millisecond, which an interpreter that is about to start does not feel.
//!
//! # What was tried and did not pay
//!
//! Time, as a ratio; below 1 is faster:
//!
//! - `TCP_DEFER_ACCEPT` on the listener, so that the first `accept4(2)` returns with the request
//!   already there: 1.06 from `execve(2)` to the first answer.
//! - The kernel's clock without a call (vdso): two page faults more before the first answer.
//! - Edges of epoll instead of levels, `read(2)` and `writev(2)` instead of the socket's calls: 0.96 to
//!   1.03 of the processor time of a call, which is no more than two runs of the same program differ.
//! - A short body copied behind its head and sent from there, where two places cost the kernel more
//!   than one: 0.99 of the processor time of a call, for 200 bytes.
//!
//! - The JSON of gateways at optimization level `2`: 0.8 of the processor time of 1 MB of JSON as a body, there and
//!   back. Most of what is left are branches that depend on where the quotes are.
//! - Base64 in whole groups, or a memory copy for each run between two escapes: 1.0 and 2.4 of the same.
//!
//! Size, of the build for FC alone:
//!
//! - A head parser of our own instead of httparse. Of the first line it pays, and is taken: 0.9 KiB
//!   less, 2.9 KiB less of the full build, which reads two kinds of it. Of the fields, too, it would be
//!   1.7 KiB less, for 18 % more time a call where it looks at single bytes. With the processor's
//!   vectors it took a quarter fewer instructions a call than httparse, and the same time: where a
//!   field begins is known when the last one has been read, and that wait is most of it. Not taken: a
//!   parser of fields that everybody knows and tests is worth more than the bytes.
//! - The core library's parser for the IPv6 address in a `Host`: 2.4 KiB more than the one in
//!   `http::host`, most of it panics.
//! - Optimization level `s` for everything: 9 % larger; `2`: 45 %. For httparse alone `2` pays: 10 %
//!   fewer instructions a call, for 60 bytes.
//! - Folding identical code, the machine outliner, merged functions, other thresholds of inlining,
//!   another relocation model: less than a hundredth of the file, and a larger archive.
//! - Register allocation across functions, no jump tables: 260 and 180 bytes less, by flags that
//!   nobody would understand or that older compilers do not know.
//! - Status lines stored with their codes as text instead of found by code: 40 bytes more.
//! - `memchr` and the like of the core library on texts of a few bytes: each brings a loop over words
//!   and, called twice, a panic (`strip_prefix`, `split_at`, `skip` do, too: 300 to 500 bytes each).
//! - Longer contexts, or room for more of them, to pack the shims with: up to 500 bytes less, and four times the
//!   page faults. With LZMA they take as much, and unpacking is more code.
//! - Functions that are never inlined, or may be, tried one by one: what paid is marked so. Most of
//!   the rest moves 20 bytes here or there.
//!
//! # Adding a platform
//!
//! A platform is a dialect and a direction.
//!
//! 1. The dialect: `platform/NAME.rs` behind a feature of that name, pure functions as in
//!    `platform::fc`: from a request, or from the head of a response for a platform that is polled,
//!    to the call it is; from an answer or an [`Error`] to status, fields and body; its log lines.
//!    Every header it sends gets its accessor in [`Context`], which falls back, not forks: users
//!    write one function for all platforms.
//! 2. The direction: one that pushes (FC, SCF's web functions) is served by `runtime::server`, and
//!    what is particular about its answers is in `runtime::push`. One that is polled (Lambda, SCF's
//!    event functions) is asked by `runtime::poller`, and `runtime::poll` says which request follows
//!    which response; what the APIs have in common is in `platform::runtime_api`.
//! 3. `runtime::config` tells the platforms apart by what they put into the environment, and
//!    [`Platform`] by its variant.
//! 4. The local tool plays it: `src/bin/fnboot/platform/NAME`.
#![no_std]
#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(not(any(feature = "fc", feature = "lambda", feature = "scf")))]
compile_error!("a platform is missing: one of the features `fc`, `lambda`, `scf`");

#[cfg(feature = "std")]
mod answers;
mod bytes;
mod calendar;
mod echo;
mod handler;
// Public because tests, benches and fuzzers drive the protocol in memory; nothing of it is promised.
#[doc(hidden)]
pub mod http;
#[cfg_attr(
    not(all(feature = "function", feature = "worker")),
    allow(dead_code, reason = "some bounds are those of programs")
)]
mod limits;
mod log;
mod net;
mod platform;
#[cfg(feature = "command")]
mod program;
mod runtime;
mod sys;
pub mod testing;

#[cfg(feature = "std")]
pub use answers::{AnswerSender, Answers};
pub use bytes::Writer;
#[doc(hidden)]
pub use handler::Scope;
pub use handler::{Context, Credentials, Error, Flow, Handler, Platform, Request, Response};
pub use log::Level;
#[doc(hidden)]
pub use log::entry as log_entry;
#[doc(hidden)]
pub use platform::json;
#[cfg(feature = "std")]
pub use runtime::run;
#[doc(hidden)]
pub use runtime::{bootstrap, panicked, start, start_in_place};
#[doc(hidden)]
pub use sys::env::Args;
#[cfg(feature = "std")]
pub use sys::env::export_trace_id;
#[doc(hidden)]
pub use sys::memory::Reserved;
