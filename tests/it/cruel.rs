//! Thousands of events from a runtime API that is as cruel as one can be: what it does to its
//! connections comes from a seed. No answer may be lost in silence, none posted twice without need,
//! nothing called that is no event, and the program must always ask again.
//!
//! A failure prints its seed. `FNBOOT_SEED` replays one, as far as the scheduler lets it;
//! `FNBOOT_CRUELTIES` names the cruelties to be used, or with a minus those that are not, with commas
//! in between; `FNBOOT_SOAK_SECONDS` is how long all tests of this file take together, with new seeds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::env;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::net::sockopt;
use rustix::process::Signal;

use crate::api::{Platform, chunked, response};
use crate::harness::{CLOSE_WAIT, ESTABLISHED, Program, Server, Socket, find, noise, sockets};
use crate::process;
use crate::stream::pieces;

/// Events of a seed: at most, and at least, even if the time is over.
const EVENT_COUNT: u32 = 2000;
const EVENT_COUNT_MIN: u32 = 300;

/// Events before the first cruelty. The program's memory is compared with what it has after them.
const WARM_COUNT: u32 = 20;

/// How long all tests take together.
const SECONDS: u64 = 15;
const TEST_COUNT: u64 = 5;

/// The seed of a short run: `make test` must not fail by chance.
const SEED: u64 = 1;

/// No seed takes that long.
const SEED_MAX: Duration = Duration::from_secs(300);

/// The program must ask, answer or leave within that time, whatever happened.
const QUIET_MAX: Duration = Duration::from_secs(8);

/// An event without a response to its answer must stand in the log by then.
const OPEN_MAX: Duration = Duration::from_secs(6);

/// A reset destroys nothing of an event that is not longer, because the event has arrived by then.
const ARRIVES_BYTES: usize = 16 * 1024;

/// The API may respond within an answer that is longer.
const LARGE_BYTES: usize = 64 * 1024;

/// Connections in a row that end without a response. The program gives up after 50.
const BARREN_COUNT_MAX: u32 = 5;

/// Memory that the program may have at the end and had not after the warm-up.
const GROWTH_KIB_MAX: u64 = 256;

/// The same where calls are put off: that function keeps its last answer.
const DEFERRED_GROWTH_KIB_MAX: u64 = 8 * 1024;

const MIB: usize = 1024 * 1024;

/// The id and the text of stray events, which must not be called.
const STRAY: &str = "stray";

/// The two functions: of the second one, most calls are put off.
const FIXTURE: &str = "fixture";
const DEFERRED: &str = "deferred";

/// Failures of theirs, which are no lost answers.
const FAILURES: [&str; 4] = [
    "Unknown: no such",
    "Broken: it ",
    "Broken: in the end",
    "TimedOut: no answer",
];

/// What the API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cruelty {
    /// Waits before it says anything.
    Delay,
    /// Cuts its bytes into several writes.
    Split,
    /// Ends a connection on which an event is waited for.
    IdleClose,
    IdleReset,
    IdleHalfClose,
    /// The same with a 408.
    IdleTimeout,
    /// Ends a connection within an event.
    CutEvent,
    /// Ends a connection right behind an event, or while the function works.
    CloseBehind,
    ResetBehind,
    /// A 100 or a 103 before a response or within an answer, and one that has framing fields.
    Interim,
    InterimFramed,
    /// A field in several lines.
    Fold,
    /// Chunks.
    Chunked,
    /// A length, and the end of the connection.
    Last,
    /// No length: a body up to the end of the connection, in HTTP/1.0 or 1.1.
    EventToEnd,
    TakenToEnd,
    /// Bytes behind an event or an acknowledgement, in the same segment.
    StrayBehindEvent,
    StrayBehindTaken,
    /// 204 for an answer, and one that has framing fields.
    NoContent,
    NoContentFramed,
    /// Ends a connection within an answer, or behind it without a response.
    CutAnswer,
    DropAnswer,
    /// Ends a connection within the response to an answer.
    CutTaken,
    /// Refuses an answer that it has read, or before that.
    Refuse,
    RefuseEarly,
    /// Takes an answer before it has read all of it.
    TakeEarly,
}

const CRUELTIES: [Cruelty; 26] = [
    Cruelty::Delay,
    Cruelty::Split,
    Cruelty::IdleClose,
    Cruelty::IdleReset,
    Cruelty::IdleHalfClose,
    Cruelty::IdleTimeout,
    Cruelty::CutEvent,
    Cruelty::CloseBehind,
    Cruelty::ResetBehind,
    Cruelty::Interim,
    Cruelty::InterimFramed,
    Cruelty::Fold,
    Cruelty::Chunked,
    Cruelty::Last,
    Cruelty::EventToEnd,
    Cruelty::TakenToEnd,
    Cruelty::StrayBehindEvent,
    Cruelty::StrayBehindTaken,
    Cruelty::NoContent,
    Cruelty::NoContentFramed,
    Cruelty::CutAnswer,
    Cruelty::DropAnswer,
    Cruelty::CutTaken,
    Cruelty::Refuse,
    Cruelty::RefuseEarly,
    Cruelty::TakeEarly,
];

/// Those that are in use.
fn cruelties() -> Vec<Cruelty> {
    let named = env::var("FNBOOT_CRUELTIES").unwrap_or_default();
    let named: Vec<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    let (without, with): (Vec<&str>, Vec<&str>) =
        named.iter().partition(|name| name.starts_with('-'));
    let known: Vec<String> = CRUELTIES.iter().map(|it| format!("{it:?}")).collect();
    for name in &named {
        let name = name.trim_start_matches('-');
        assert!(known.iter().any(|it| it == name), "no {name} in {known:?}");
    }
    let is_used = |cruelty: &Cruelty| {
        let name = format!("{cruelty:?}");
        let is_without = without.iter().any(|it| it[1..] == name);
        !is_without && (with.is_empty() || with.contains(&name.as_str()))
    };
    CRUELTIES.into_iter().filter(is_used).collect()
}

/// Chance that a seed decides: xorshift64*.
pub struct Chance(u64);

impl Chance {
    /// One of its own for each connection and each event.
    pub fn new(seed: u64, kind: u64, index: u32) -> Self {
        let mut mixed = seed ^ (kind << 56) ^ (u64::from(index) << 20) ^ 0x9e37_79b9_7f4a_7c15;
        for _ in 0..2 {
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
        }
        Self(mixed.max(1))
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * count as u64) >> 32) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// An event and what must become of it.
struct Sample {
    body: Vec<u8>,
    answer: Answer,
    /// How long the function works, in milliseconds; it is told so by its deadline.
    work_ms: u64,
}

enum Answer {
    Response(Vec<u8>),
    /// An error of that type.
    Error(&'static str),
}

impl Sample {
    fn new(api: &Api, number: u32) -> Self {
        let mut chance = Chance::new(api.seed, 2, number);
        let is_cruel = number >= WARM_COUNT;
        let (mut work_ms, mut answer) = (0, None);
        let is_deferred = api.fixture == DEFERRED;
        let body = match chance.below(100) {
            0..10 if is_cruel && is_deferred => {
                answer = Some(Answer::Error("Broken"));
                format!("fail {}", chance.below(4)).into_bytes()
            }
            10..16 if is_cruel && is_deferred => {
                work_ms = 2 + chance.below(6) as u64;
                answer = Some(Answer::Error("TimedOut"));
                b"never".to_vec()
            }
            16..20 if is_cruel && is_deferred => {
                answer = Some(Answer::Response(b"piece\n".repeat(3)));
                b"streamed".to_vec()
            }
            0..6 if is_cruel => {
                answer = Some(Answer::Error("Unknown"));
                Vec::new()
            }
            6..10 if is_cruel => {
                answer = Some(Answer::Error("Broken"));
                b"fail".to_vec()
            }
            10..16 if is_cruel => {
                work_ms = 2 + chance.below(6) as u64;
                answer = Some(Answer::Response(b"waited".to_vec()));
                b"wait-until-left-ms 0".to_vec()
            }
            16..20 if is_cruel => {
                let (count, len, wait) = chance.pick(&[(3, 100, 1), (0, 1, 0), (30, 60_000, 0)]);
                answer = Some(Answer::Response(pieces(count, len).into_bytes()));
                format!("stream more {count} {len} {wait}").into_bytes()
            }
            class => {
                let len = match class {
                    _ if number == WARM_COUNT / 2 => 6 * MIB,
                    0..60 => chance.below(1024),
                    60..85 => chance.below(ARRIVES_BYTES - 1024),
                    85..98 => chance.below(100 * 1024),
                    _ => chance.below(6 * MIB),
                };
                let from = chance.below(api.noise.len() - len);
                let noise = &api.noise[from..from + len];
                let text = if is_deferred {
                    answer = Some(Answer::Response(noise.to_vec()));
                    format!("after {} ", chance.below(6))
                } else {
                    format!("echo {number} ")
                };
                [text.as_bytes(), noise].concat()
            }
        };
        let answer = answer.unwrap_or_else(|| Answer::Response(body.clone()));
        Self {
            body,
            answer,
            work_ms,
        }
    }
}

fn id(number: u32) -> String {
    format!("cruel-{number:07}")
}

fn number(id: &str) -> Option<u32> {
    id.strip_prefix("cruel-")?.get(..7)?.parse().ok()
}

/// What became of an event so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It was not handed over, or not completely.
    Queued,
    /// A reset may have destroyed a part of it: the program answers it or asks for it again.
    Limbo,
    Handed,
    /// Its answer is being read.
    Posting,
    /// Its answer got no response: the program posts it again, or logs a line about it.
    Dropped,
    /// Its answer was refused: the program logs a line about it.
    Refused,
    /// A part of a response was sent: the program may post the answer again, log a line or neither.
    Open,
    Taken,
}

struct Entry {
    state: State,
    since: Instant,
    /// How often an answer was begun.
    post_count: u32,
}

struct Failure {
    text: String,
    connection: Option<u32>,
    event: Option<u32>,
}

struct Trace {
    at: Duration,
    connection: u32,
    event: Option<u32>,
    text: String,
}

/// What all connections know.
#[derive(Default)]
struct Book {
    entries: Vec<Entry>,
    /// Events that are to be handed over again.
    queue: VecDeque<u32>,
    limbo: Vec<u32>,
    /// How many events there may be.
    allowed_count: u32,
    is_cruel: bool,
    is_over: bool,
    /// Connections so far, those that are open, and those that have asked for an event that is not
    /// there.
    connection_count: u32,
    open_count: usize,
    waiting_count: usize,
    last_accept: Option<Instant>,
    barren_count: u32,
    used: BTreeMap<Cruelty, u32>,
    /// Events about which the log has a line.
    logged: BTreeSet<u32>,
    trace: VecDeque<Trace>,
    failure: Option<Failure>,
}

impl Book {
    fn set(&mut self, event: u32, state: State) {
        let entry = &mut self.entries[event as usize];
        (entry.state, entry.since) = (state, Instant::now());
        match state {
            State::Queued => self.queue.push_back(event),
            State::Limbo => self.limbo.push(event),
            _ => {}
        }
    }

    fn is_settled(&self, event: u32) -> bool {
        match self.entries[event as usize].state {
            State::Taken | State::Open => true,
            State::Handed | State::Dropped | State::Refused => self.logged.contains(&event),
            State::Queued | State::Limbo | State::Posting => false,
        }
    }

    /// The next event to be handed over.
    fn next(&mut self, is_alone: bool) -> Option<u32> {
        let limbo = std::mem::take(&mut self.limbo);
        for event in limbo {
            let Entry { state, since, .. } = self.entries[event as usize];
            if state == State::Limbo && (is_alone || since.elapsed() > Duration::from_secs(2)) {
                self.set(event, State::Queued);
            } else if state == State::Limbo {
                self.limbo.push(event);
            }
        }
        if let Some(event) = self.queue.pop_front() {
            return Some(event);
        }
        let event = self.entries.len() as u32;
        (event < self.allowed_count).then(|| {
            let (state, since) = (State::Handed, Instant::now());
            self.entries.push(Entry {
                state,
                since,
                post_count: 0,
            });
            event
        })
    }
}

/// The API of one program.
struct Api {
    fixture: &'static str,
    platform: Platform,
    /// How many connections the program has.
    conn_count: usize,
    seed: u64,
    start: Instant,
    noise: Vec<u8>,
    cruelties: Vec<Cruelty>,
    port: u16,
    book: Mutex<Book>,
    changed: Condvar,
}

impl Api {
    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book
            .lock()
            .expect("no thread panics while it holds this")
    }

    /// Takes connections until the end.
    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let mut book = self.lock();
            if book.is_over {
                return;
            }
            let index = book.connection_count;
            book.connection_count += 1;
            book.open_count += 1;
            book.last_accept = Some(Instant::now());
            drop(book);
            let api = Arc::clone(self);
            let stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut connection = Connection::new(&api, stream, index);
                connection.note("is accepted");
                let result = connection.converse();
                let event = connection.event;
                connection.note("is over");
                drop(connection);
                let mut book = api.lock();
                book.open_count -= 1;
                if let Err(text) = result {
                    let connection = Some(index);
                    book.failure.get_or_insert(Failure {
                        text,
                        connection,
                        event,
                    });
                }
            });
        }
    }

    /// The next event, once there is one; none at the end.
    fn wait_for_event(&self) -> Option<u32> {
        let mut book = self.lock();
        book.waiting_count += 1;
        let found = loop {
            if book.is_over {
                break None;
            }
            if let Some(event) = book.next(self.conn_count == 1) {
                book.set(event, State::Handed);
                break Some(event);
            }
            let pause = Duration::from_millis(20);
            book = self.changed.wait_timeout(book, pause).expect("as above").0;
        };
        book.waiting_count -= 1;
        found
    }
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
    HalfClose,
}

const ENDS: [End; 3] = [End::Close, End::Reset, End::HalfClose];

/// What follows a response before the end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Early {
    Reset,
    Close,
    HalfClose,
    ReadNoMore,
    ReadOn,
}

/// How a response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Length,
    Chunked,
    /// It is the last one of its connection.
    Last,
    /// The same in HTTP/1.0.
    LastOld,
    /// It lasts as long as its connection.
    ToEnd,
    ToEndOld,
}

impl Form {
    fn is_last(self) -> bool {
        !matches!(self, Self::Length | Self::Chunked)
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Over,
}

/// A request of the program's, without its body.
struct Request {
    line: String,
    len: usize,
}

/// A body that is being read.
struct Body {
    want: Answer,
    len: usize,
    at: usize,
    told: Vec<u8>,
}

/// One connection of the program's, as the API sees it.
struct Connection {
    api: Arc<Api>,
    stream: TcpStream,
    index: u32,
    chance: Chance,
    /// What came and was not yet looked at.
    buffer: Vec<u8>,
    /// The event that it was about last.
    event: Option<u32>,
}

type Result<T> = std::result::Result<T, String>;

impl Connection {
    fn new(api: &Arc<Api>, stream: TcpStream, index: u32) -> Self {
        stream.set_nodelay(true).expect("set_nodelay");
        let patience = Some(QUIET_MAX);
        stream.set_read_timeout(patience).expect("set_read_timeout");
        stream
            .set_write_timeout(patience)
            .expect("set_write_timeout");
        Self {
            api: Arc::clone(api),
            stream,
            index,
            chance: Chance::new(api.seed, 1, index),
            buffer: Vec::new(),
            event: None,
        }
    }

    fn note(&self, text: impl ToString) {
        const TRACE_COUNT: usize = 20_000;
        let trace = Trace {
            at: self.api.start.elapsed(),
            connection: self.index,
            event: self.event,
            text: text.to_string(),
        };
        let mut book = self.api.lock();
        if book.trace.len() == TRACE_COUNT {
            book.trace.pop_front();
        }
        book.trace.push_back(trace);
    }

    fn set(&self, state: State) {
        let event = self.event.expect("an event");
        self.api.lock().set(event, state);
    }

    /// Whether it is time for this cruelty.
    fn is(&mut self, cruelty: Cruelty, percent: usize) -> bool {
        // Drawn in any case, so that what follows does not depend on which cruelties are in use.
        let is_drawn = self.chance.percent(percent);
        let mut book = self.api.lock();
        let is_drawn = is_drawn && book.is_cruel && self.api.cruelties.contains(&cruelty);
        if is_drawn {
            *book.used.entry(cruelty).or_default() += 1;
        }
        is_drawn
    }

    /// The same for a cruelty after which the program may have got no response.
    fn is_barren(&mut self, cruelty: Cruelty, percent: usize) -> bool {
        let is_too_much = self.api.lock().barren_count >= BARREN_COUNT_MAX;
        if !self.is(cruelty, percent) || is_too_much {
            return false;
        }
        self.api.lock().barren_count += 1;
        true
    }

    /// Answers requests until the connection is over.
    fn converse(&mut self) -> Result<()> {
        loop {
            let Some(request) = self.request()? else {
                self.note("was left by the program");
                return Ok(());
            };
            let flow = if request.line == self.api.platform.next() {
                self.next()?
            } else if request.line == "POST /runtime/init/ready" {
                let mut body = Body::new(Answer::Error(""), request.len);
                self.read_body(&mut body, request.len)?;
                self.put_whole(&response("200 OK", "", ""))?;
                Flow::On
            } else {
                self.answer(&request)?
            };
            if flow == Flow::Over {
                return Ok(());
            }
        }
    }

    /// The program asks for an event.
    fn next(&mut self) -> Result<Flow> {
        self.event = None;
        self.note("is asked for an event");
        if self.is(Cruelty::Delay, 5) {
            thread::sleep(Duration::from_millis(self.chance.below(4) as u64));
        }
        for (cruelty, end) in [
            (Cruelty::IdleClose, End::Close),
            (Cruelty::IdleReset, End::Reset),
            (Cruelty::IdleHalfClose, End::HalfClose),
        ] {
            if self.is_barren(cruelty, 1) {
                return self.end(end);
            }
        }
        if self.is_barren(Cruelty::IdleTimeout, 1) {
            let length = self.chance.pick(&["", "Content-Length: 0\r\n"]);
            let head = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n";
            self.note("says 408");
            self.put(format!("{head}{length}\r\n").as_bytes())?;
            return self.end(End::Close);
        }
        self.event = self.api.wait_for_event();
        match self.event {
            Some(event) => self.hand_over(event),
            None => self.drain(),
        }
    }

    fn hand_over(&mut self, event: u32) -> Result<Flow> {
        let sample = Sample::new(&self.api, event);
        let mut fields = self.api.platform.fields(&id(event));
        if sample.work_ms > 0 {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            let until_ms = since.expect("a time").as_millis() + u128::from(sample.work_ms);
            fields = fields.replace("4102444800000", &until_ms.to_string());
            fields = fields.replace(": 3000", &format!(": {}", sample.work_ms));
        }
        if self.is(Cruelty::Fold, 6) {
            if self.chance.percent(50) {
                fields = fields.replace(": cruel", ":\r\n \tcruel");
            } else {
                fields.push_str("X-Folded: one,\r\n\ttwo,\r\n   three\r\n");
            }
        }
        if self.is_barren(Cruelty::CutEvent, 3) {
            return self.cut_event(&fields, &sample);
        }
        let mut form = self.form(Cruelty::EventToEnd);
        let stray = self.stray(Cruelty::StrayBehindEvent, sample.body.len());
        if !stray.is_empty() && form.is_last() {
            form = Form::Length;
        }
        self.interim()?;
        let wire = render(&mut self.chance, "200 OK", &fields, &sample.body, form);
        let text = format!(
            "hands it over, {} bytes, {form:?}, stray {}",
            wire.len(),
            stray.len()
        );
        self.note(text);
        let is_sent = if stray.is_empty() {
            self.put(&wire)?
        } else {
            self.put_whole(&[wire.as_slice(), &stray].concat())?
        };
        if !is_sent {
            return Err("the program ended the connection within an event".into());
        }
        if form.is_last() {
            self.is_answered();
            return self.last();
        }
        self.go_on_behind(event, wire.len(), sample.work_ms)
    }

    /// The event is handed over: waits for its answer, unless the connection ends behind the event.
    fn go_on_behind(&mut self, event: u32, len: usize, work_ms: u64) -> Result<Flow> {
        let more = if work_ms > 0 { 15 } else { 0 };
        if self.is(Cruelty::CloseBehind, 3 + more) {
            self.is_answered();
            self.wait_a_little(work_ms);
            return self.end(End::Close);
        }
        if !self.is_barren(Cruelty::ResetBehind, 2 + more) {
            self.is_answered();
            return Ok(Flow::On);
        }
        if len <= ARRIVES_BYTES {
            thread::sleep(Duration::from_millis(1));
        } else {
            let mut book = self.api.lock();
            // Otherwise the program is posting the answer already.
            if book.entries[event as usize].state == State::Handed {
                book.set(event, State::Limbo);
            }
        }
        self.wait_a_little(work_ms);
        self.end(End::Reset)
    }

    /// Hands a part of an event over. It comes again, on whatever connection.
    fn cut_event(&mut self, fields: &str, sample: &Sample) -> Result<Flow> {
        let form = self.chance.pick(&[Form::Length, Form::Chunked]);
        let wire = render(&mut self.chance, "200 OK", fields, &sample.body, form);
        let at = self.chance.below(wire.len());
        let end = self.chance.pick(&ENDS);
        self.note(format!(
            "hands {at} of {} bytes over, then {end:?}",
            wire.len()
        ));
        self.put(&wire[..at])?;
        self.set(State::Queued);
        self.api.changed.notify_all();
        self.end(end)
    }

    /// As long as a function may work, or less.
    fn wait_a_little(&mut self, work_ms: u64) {
        let most = usize::try_from(work_ms).expect("short") + 1;
        thread::sleep(Duration::from_millis(self.chance.below(most) as u64));
    }

    /// A complete response was sent, so the program counts its failures from zero again.
    fn is_answered(&self) {
        self.api.lock().barren_count = 0;
    }

    fn form(&mut self, to_end: Cruelty) -> Form {
        if self.is(Cruelty::Last, 3) {
            return self.chance.pick(&[Form::Last, Form::LastOld]);
        }
        if self.is(to_end, 3) {
            return self.chance.pick(&[Form::ToEnd, Form::ToEndOld]);
        }
        if self.is(Cruelty::Chunked, 20) {
            return Form::Chunked;
        }
        Form::Length
    }

    /// Interim responses, sometimes.
    fn interim(&mut self) -> Result<()> {
        let mut wire = String::new();
        for (cruelty, framing) in [
            (Cruelty::Interim, &[""][..]),
            (
                Cruelty::InterimFramed,
                &[
                    "Content-Length: 0\r\n",
                    "Content-Length: 5\r\n",
                    "Transfer-Encoding: chunked\r\n",
                ],
            ),
        ] {
            if self.is(cruelty, 3) {
                let status = self
                    .chance
                    .pick(&["100 Continue", "103 Early Hints\r\nLink: <a>"]);
                let framing = self.chance.pick(framing);
                wire.push_str(&format!("HTTP/1.1 {status}\r\n{framing}\r\n"));
            }
        }
        if !wire.is_empty() {
            self.note(format!("says {wire:?}"));
            self.put(wire.as_bytes())?;
        }
        Ok(())
    }

    /// Bytes that belong to no response. They are sent in one segment with the response before them.
    fn stray(&mut self, cruelty: Cruelty, len: usize) -> Vec<u8> {
        if !self.is(cruelty, 3) || len > ARRIVES_BYTES - 1024 {
            return Vec::new();
        }
        let kind = self.chance.below(4);
        self.note(format!("has stray bytes of kind {kind}"));
        match kind {
            0 => b"\0\xffgarbage".to_vec(),
            1 => response("202 Accepted", "", "{}"),
            2 => response("413 Content Too Large", "", "{}"),
            _ => {
                let fields = self.api.platform.fields(STRAY);
                response("200 OK", &fields, format!("echo {STRAY}"))
            }
        }
    }

    /// The program answers an event.
    fn answer(&mut self, request: &Request) -> Result<Flow> {
        self.begin_answer(request)?;
        let sample = Sample::new(&self.api, self.event.expect("an event"));
        let want = match sample.answer {
            Answer::Response(_) => "response",
            Answer::Error(_) => "error",
        };
        if !request.line.ends_with(want) {
            return Err(format!("{} instead of {want}", request.line));
        }
        let mut body = Body::new(sample.answer, request.len);
        body.check_len()?;
        let is_large = body.len > LARGE_BYTES;
        let part = self.chance.below(body.len + 1);
        if self.is_barren(Cruelty::RefuseEarly, if is_large { 15 } else { 0 }) {
            return self.respond_early(&mut body, part, State::Refused);
        }
        if self.is_barren(Cruelty::TakeEarly, if is_large { 10 } else { 0 }) {
            return self.respond_early(&mut body, part, State::Taken);
        }
        if self.is_barren(Cruelty::CutAnswer, if is_large { 10 } else { 1 }) {
            let end = self.chance.pick(&ENDS);
            self.note(format!("reads {part} of {} bytes, then {end:?}", body.len));
            self.read_body(&mut body, part)?;
            self.set(State::Dropped);
            return self.end(end);
        }
        if is_large && self.chance.percent(20) {
            self.read_body(&mut body, part)?;
            self.interim()?;
        }
        if !self.read_body(&mut body, request.len)? {
            self.note("was left by the program within an answer");
            self.set(State::Dropped);
            return Ok(Flow::Over);
        }
        body.check()?;
        self.respond()
    }

    /// Finds the event that a request answers. It must wait for an answer.
    fn begin_answer(&mut self, request: &Request) -> Result<()> {
        let mut words = request.line.rsplit('/');
        let mut book = self.api.lock();
        let event = match self.api.platform {
            Platform::Lambda => words.nth(1).and_then(number),
            // The path has no id: the answer is to the event that was handed over last.
            Platform::Scf => {
                let at = book
                    .entries
                    .iter()
                    .rposition(|it| it.state != State::Queued);
                at.map(|at| at as u32)
            }
        }
        .filter(|&event| (event as usize) < book.entries.len());
        let Some(event) = event else {
            return Err(format!("{} answers nothing that there is", request.line));
        };
        let entry = &mut book.entries[event as usize];
        entry.post_count += 1;
        let (state, count) = (entry.state, entry.post_count);
        let is_limbo = state == State::Queued && count == 1 && self.api.conn_count > 1;
        book.queue.retain(|&other| other != event);
        book.set(event, State::Posting);
        drop(book);
        self.event = Some(event);
        self.note(format!(
            "gets {} with {} bytes, {state:?}",
            request.line, request.len
        ));
        match state {
            State::Handed | State::Limbo if count == 1 => Ok(()),
            State::Dropped | State::Open if count == 2 => Ok(()),
            _ if is_limbo => Ok(()),
            _ => Err(format!("answer {count} to an event that is {state:?}")),
        }
    }

    /// Responds before the answer is read.
    fn respond_early(&mut self, body: &mut Body, part: usize, state: State) -> Result<Flow> {
        if !self.read_body(body, part)? {
            self.set(State::Dropped);
            return Ok(Flow::Over);
        }
        let status = match state {
            State::Taken => "202 Accepted",
            _ => self
                .chance
                .pick(&["413 Content Too Large", "400 Bad Request"]),
        };
        let then = self.chance.pick(&[
            Early::Reset,
            Early::Close,
            Early::HalfClose,
            Early::ReadNoMore,
            Early::ReadOn,
        ]);
        let is_last = then == Early::ReadNoMore || self.chance.percent(50);
        let close = if is_last { "Connection: close\r\n" } else { "" };
        let text = format!("says {status} {close:?} after {part} of {} bytes", body.len);
        self.note(format!("{text}, then {then:?}"));
        let may_be_unseen = matches!(then, Early::Reset | Early::Close);
        self.set(match state {
            State::Taken if may_be_unseen => State::Open,
            _ if may_be_unseen => State::Dropped,
            _ => state,
        });
        self.put(&response(status, close, "{}"))?;
        if !may_be_unseen {
            self.is_answered();
        }
        match then {
            Early::Reset => self.end(End::Reset),
            Early::Close => self.end(End::Close),
            Early::HalfClose => {
                self.half_close();
                self.hold()
            }
            Early::ReadNoMore => self.hold(),
            Early::ReadOn if is_last => self.drain(),
            Early::ReadOn => {
                // The kernel may have taken the whole answer, and then the program goes on.
                thread::sleep(Duration::from_millis(self.chance.below(20) as u64));
                let is_whole = self.read_body(body, body.len)?;
                Ok(if is_whole { Flow::On } else { Flow::Over })
            }
        }
    }

    /// Responds to an answer that was read.
    fn respond(&mut self) -> Result<Flow> {
        if self.is(Cruelty::Delay, 5) {
            thread::sleep(Duration::from_millis(self.chance.below(4) as u64));
        }
        if self.is_barren(Cruelty::DropAnswer, 2) {
            let end = self.chance.pick(&ENDS);
            self.note(format!("says nothing to it, then {end:?}"));
            self.set(State::Dropped);
            return self.end(end);
        }
        let taken = match self.api.platform {
            Platform::Lambda => ("202 Accepted", "{\"status\":\"OK\"}\n"),
            Platform::Scf => ("200 OK", ""),
        };
        if self.is_barren(Cruelty::CutTaken, 2) {
            let wire = response(taken.0, "", taken.1);
            let (at, end) = (self.chance.below(wire.len()), self.chance.pick(&ENDS));
            self.note(format!("says {at} of {} bytes, then {end:?}", wire.len()));
            let is_status = at >= "HTTP/1.1 202".len();
            self.set(if is_status {
                State::Open
            } else {
                State::Dropped
            });
            self.put(&wire[..at])?;
            return self.end(end);
        }
        let is_refused = self.is(Cruelty::Refuse, 3);
        let (status, told) = if is_refused {
            let refusals = ["413 Content Too Large", "400 Bad Request", "403 Forbidden"];
            (self.chance.pick(&refusals), "{\"errorType\":\"No\"}\n")
        } else {
            taken
        };
        self.interim()?;
        let mut form = self.form(Cruelty::TakenToEnd);
        let fields = if self.is(Cruelty::Fold, 3) {
            "X-Folded: a,\r\n b\r\n"
        } else {
            ""
        };
        let stray = self.stray(Cruelty::StrayBehindTaken, told.len());
        if !stray.is_empty() && form.is_last() {
            form = Form::Length;
        }
        let mut wire = render(&mut self.chance, status, fields, told.as_bytes(), form);
        if let Some(no_content) = self.no_content().filter(|_| !is_refused) {
            (wire, form) = (no_content.into_bytes(), Form::Length);
        }
        let text = String::from_utf8_lossy(&wire).into_owned();
        self.note(format!("says {text:?}, {form:?}, stray {}", stray.len()));
        self.set(if is_refused {
            State::Refused
        } else {
            State::Taken
        });
        if stray.is_empty() {
            self.put(&wire)?;
        } else {
            self.put_whole(&[wire.as_slice(), &stray].concat())?;
        }
        self.is_answered();
        if form.is_last() {
            return self.last();
        }
        Ok(Flow::On)
    }

    fn no_content(&mut self) -> Option<String> {
        let is_plain = self.is(Cruelty::NoContent, 4);
        let is_framed = self.is(Cruelty::NoContentFramed, 2);
        let lengths = [
            "Content-Length: 0\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
        ];
        let framing = if is_framed {
            self.chance.pick(&lengths)
        } else {
            ""
        };
        (is_plain || is_framed).then(|| format!("HTTP/1.1 204 No Content\r\n{framing}\r\n"))
    }

    /// Sends bytes, sometimes in several writes; whether the program took them.
    fn put(&mut self, bytes: &[u8]) -> Result<bool> {
        let count = if self.is(Cruelty::Split, 10) {
            1 + self.chance.below(4)
        } else {
            0
        };
        let mut cuts: Vec<usize> = (0..count)
            .map(|_| self.chance.below(bytes.len() + 1))
            .collect();
        cuts.sort_unstable();
        let mut from = 0;
        for to in cuts {
            if !self.put_whole(&bytes[from..to])? {
                return Ok(false);
            }
            from = to;
            if self.chance.percent(50) {
                thread::sleep(Duration::from_micros(300));
            }
        }
        self.put_whole(&bytes[from..])
    }

    /// The same in one write.
    fn put_whole(&mut self, bytes: &[u8]) -> Result<bool> {
        match self.stream.write_all(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err(format!("the program does not read: {} bytes", bytes.len()))
            }
            Err(error) => {
                self.note(format!("cannot say that: {error}"));
                Ok(false)
            }
        }
    }

    /// The last response of the connection is sent: there must be no request behind it.
    fn last(&mut self) -> Result<Flow> {
        self.half_close();
        self.buffer.clear();
        if self.fill()? {
            let got = String::from_utf8_lossy(&self.buffer);
            return Err(format!("a request behind the last response: {got:?}"));
        }
        Ok(Flow::Over)
    }

    fn half_close(&mut self) {
        self.note("half-closes");
        // Fails if the program has reset the connection.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection. The program must leave a half-closed one.
    fn end(&mut self, end: End) -> Result<Flow> {
        self.note(format!("ends: {end:?}"));
        match end {
            End::Close => Ok(Flow::Over),
            End::Reset => {
                let linger = sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO));
                linger.expect("SO_LINGER");
                Ok(Flow::Over)
            }
            End::HalfClose => {
                self.half_close();
                if self.chance.percent(50) {
                    self.drain()
                } else {
                    self.hold()
                }
            }
        }
    }

    /// Reads, whatever comes, until the program has left.
    fn drain(&mut self) -> Result<Flow> {
        while self.fill()? {
            self.buffer.clear();
        }
        Ok(Flow::Over)
    }

    /// Reads nothing until the program has left. Its FIN cannot arrive behind unread bytes, so the
    /// state of its socket tells.
    fn hold(&mut self) -> Result<Flow> {
        let its = self.stream.peer_addr().map_err(|error| error.to_string());
        let Ok(its) = its else {
            return Ok(Flow::Over);
        };
        // The program has not closed it.
        let is_it = |socket: Socket| {
            (socket.local, socket.remote) == (its.port(), self.api.port)
                && [ESTABLISHED, CLOSE_WAIT].contains(&socket.state)
        };
        let until = Instant::now() + QUIET_MAX;
        loop {
            if !sockets().any(is_it) {
                return Ok(Flow::Over);
            }
            if Instant::now() > until {
                return Err("the program does not leave a connection that nobody reads".into());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// One read; nothing where the program has left.
    fn fill(&mut self) -> Result<bool> {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                Err("the program neither says anything nor leaves".into())
            }
            Err(_) => Ok(false),
        }
    }

    /// The head of the next request; none where the program has left.
    fn request(&mut self) -> Result<Option<Request>> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !self.fill()? {
                return Ok(None);
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8(head).map_err(|_| "a head that is no text")?;
        let (line, fields) = head
            .split_once(" HTTP/1.1\r\n")
            .ok_or_else(|| head.clone())?;
        let mut fields = fields.lines().filter_map(|line| line.split_once(": "));
        let len = fields.find_map(|(name, value)| (name == "Content-Length").then_some(value));
        let len = len.map_or(Ok(0), str::parse).map_err(|_| head.clone())?;
        Ok(Some(Request {
            line: line.into(),
            len,
        }))
    }

    /// Reads a body up to `to`; whether it came so far.
    fn read_body(&mut self, body: &mut Body, to: usize) -> Result<bool> {
        while body.at < to {
            if self.buffer.is_empty() && !self.fill()? {
                return Ok(false);
            }
            let count = self.buffer.len().min(to - body.at);
            body.take(&self.buffer[..count])?;
            self.buffer.drain(..count);
        }
        Ok(true)
    }
}

impl Body {
    fn new(want: Answer, len: usize) -> Self {
        Self {
            want,
            len,
            at: 0,
            told: Vec::new(),
        }
    }

    fn check_len(&self) -> Result<()> {
        match &self.want {
            Answer::Response(want) if want.len() != self.len => Err(format!(
                "an answer of {} instead of {} bytes",
                self.len,
                want.len()
            )),
            _ => Ok(()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let at = self.at;
        self.at += bytes.len();
        match &self.want {
            Answer::Response(want) => {
                let pairs = want[at..self.at].iter().zip(bytes);
                match pairs.clone().position(|(want, got)| want != got) {
                    None => Ok(()),
                    Some(other) => Err(format!("another answer from byte {} on", at + other)),
                }
            }
            Answer::Error(_) => {
                self.told.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Checks what was not compared while it came: the type of an error.
    fn check(&self) -> Result<()> {
        if let Answer::Error(name) = self.want {
            let told = String::from_utf8_lossy(&self.told);
            if !told.contains(&format!("\"errorType\":\"{name}\"")) {
                return Err(format!("{told} is no {name}"));
            }
        }
        Ok(())
    }
}

/// A response in that form.
fn render(chance: &mut Chance, status: &str, fields: &str, body: &[u8], form: Form) -> Vec<u8> {
    let len = body.len();
    let (version, framing) = match form {
        Form::Length => return response(status, fields, body),
        Form::Chunked => {
            let size = 1 + len / 4 + chance.below(len / 4 + 64);
            let wire = chunked(fields, body, size);
            let line = b"HTTP/1.1 200 OK".len();
            return [format!("HTTP/1.1 {status}").as_bytes(), &wire[line..]].concat();
        }
        Form::Last => (
            "1.1",
            format!("Connection: close\r\nContent-Length: {len}\r\n"),
        ),
        Form::LastOld => ("1.0", format!("Content-Length: {len}\r\n")),
        Form::ToEnd => ("1.1", String::new()),
        Form::ToEndOld => ("1.0", String::new()),
    };
    let head = format!("HTTP/{version} {status}\r\n{fields}{framing}\r\n");
    [head.as_bytes(), body].concat()
}

/// A program and the API that is cruel to it.
struct Soak {
    api: Arc<Api>,
    server: Server,
    /// The last lines that the program wrote, and the beginning of one more.
    log: VecDeque<String>,
    line: String,
}

impl Soak {
    fn new(fixture: &'static str, platform: Platform, conn_count: usize, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let api = Arc::new(Api {
            fixture,
            platform,
            conn_count,
            seed,
            start: Instant::now(),
            noise: noise(7 * MIB),
            cruelties: cruelties(),
            port,
            book: Mutex::default(),
            changed: Condvar::new(),
        });
        let program = Program::fixture(fixture).without_port();
        let program = match platform {
            Platform::Lambda => program
                .env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"))
                .env("AWS_LAMBDA_MAX_CONCURRENCY", conn_count),
            Platform::Scf => program
                .env("SCF_RUNTIME_API", "127.0.0.1")
                .env("SCF_RUNTIME_API_PORT", port),
        };
        let server = program.start();
        let listening = Arc::clone(&api);
        thread::spawn(move || listening.listen(&listener));
        Self {
            api,
            server,
            log: VecDeque::new(),
            line: String::new(),
        }
    }

    /// All events, or as many as there is time for.
    fn run(&mut self, end: Instant) {
        self.wait_until("the program to wait for events", Self::is_idle);
        let fd_count = self.fd_count();
        self.allow(WARM_COUNT);
        self.wait_until("the program to wait for events", Self::is_idle);
        let rss_kib = self.settled_rss_kib();
        let growth_kib = match self.api.fixture {
            DEFERRED => DEFERRED_GROWTH_KIB_MAX,
            _ => GROWTH_KIB_MAX,
        };
        self.api.lock().is_cruel = true;
        self.allow(EVENT_COUNT);
        self.wait_until("all events", |soak| {
            let count = soak.api.lock().entries.len() as u32;
            let is_late = Instant::now() > end && count >= EVENT_COUNT_MIN;
            count == EVENT_COUNT || is_late
        });
        let mut book = self.api.lock();
        book.is_cruel = false;
        book.allowed_count = book.entries.len() as u32;
        drop(book);
        self.wait_until("the program to wait for events", Self::is_idle);
        self.wait_until("descriptors to be closed", |soak| {
            soak.fd_count() == fd_count
        });
        self.wait_until("memory to be given back", |soak| {
            soak.rss_kib() <= rss_kib + growth_kib
        });
        let seconds = self.api.start.elapsed().as_secs_f64();
        println!("in {seconds:.1} s {}", self.figures());
        self.api.lock().is_over = true;
        self.server.signal(Signal::TERM);
        self.server.expect_exit(0);
    }

    fn allow(&self, count: u32) {
        self.api.lock().allowed_count = count;
        self.api.changed.notify_all();
    }

    /// Whether every event is settled, and the program waits for the next.
    fn is_idle(&mut self) -> bool {
        let book = self.api.lock();
        let count = book.entries.len() as u32;
        count == book.allowed_count
            && book.waiting_count == self.api.conn_count
            && book.open_count == self.api.conn_count
            && (0..count).all(|event| book.is_settled(event))
    }

    fn fd_count(&self) -> usize {
        let path = format!("/proc/{}/fd", self.server.pid().as_raw_nonzero());
        fs::read_dir(path).map_or(0, Iterator::count)
    }

    /// Once the program has given back what it keeps for a moment.
    fn settled_rss_kib(&self) -> u64 {
        thread::sleep(Duration::from_millis(300));
        self.rss_kib()
    }

    fn rss_kib(&self) -> u64 {
        // None of a process that has ended.
        process::status(self.server.id(), "VmRSS").unwrap_or(0)
    }

    /// Looks at everything until that is reached.
    fn wait_until(&mut self, what: &str, is_reached: impl Fn(&mut Self) -> bool) {
        let mut since = Instant::now();
        let mut before = (0, 0);
        loop {
            self.read_log();
            self.watch();
            if is_reached(self) {
                return;
            }
            let book = self.api.lock();
            let now = (book.connection_count, book.entries.len());
            drop(book);
            if now != before {
                (before, since) = (now, Instant::now());
            }
            if since.elapsed() > QUIET_MAX + OPEN_MAX {
                self.fail(format!("waited in vain for {what}"), None, None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nothing may have failed, and nothing may wait for too long.
    fn watch(&mut self) {
        let is_alive = self.server.is_alive();
        let mut book = self.api.lock();
        if let Some(Failure {
            text,
            connection,
            event,
        }) = book.failure.take()
        {
            drop(book);
            self.fail(text, connection, event);
        }
        if !is_alive {
            drop(book);
            self.fail("the program has ended".into(), None, None);
        }
        let is_late = |event: &u32| {
            let Entry { state, since, .. } = book.entries[*event as usize];
            let is_open = !matches!(state, State::Posting | State::Queued | State::Limbo);
            is_open && since.elapsed() > OPEN_MAX && !book.is_settled(*event)
        };
        let late = (0..book.entries.len() as u32).find(is_late);
        let is_gone = book.open_count < self.api.conn_count
            && book.last_accept.unwrap_or(self.api.start).elapsed() > QUIET_MAX;
        drop(book);
        if let Some(event) = late {
            let text = format!("{} is neither answered nor in the log", id(event));
            self.fail(text, None, Some(event));
        }
        if is_gone {
            self.fail("the program does not come again".into(), None, None);
        }
    }

    /// Finds the events that the log has lines about. Lines about failed calls do not count.
    fn read_log(&mut self) {
        const LINE_COUNT: usize = 60;
        self.line.push_str(&self.server.stdout.take());
        while let Some(end) = self.line.find('\n') {
            let line: String = self.line.drain(..=end).collect();
            let event = line.find("cruel-").and_then(|at| number(&line[at..]));
            let is_function = FAILURES.iter().any(|text| line.contains(text));
            if let Some(event) = event.filter(|_| !is_function) {
                self.api.lock().logged.insert(event);
            }
            if self.log.len() == LINE_COUNT {
                self.log.pop_front();
            }
            self.log.push_back(line);
        }
    }

    fn figures(&self) -> String {
        let book = self.api.lock();
        let open: Vec<u32> = (0..book.entries.len() as u32)
            .filter(|&event| !book.is_settled(event))
            .collect();
        format!(
            "{} events, unsettled {open:?}, {} connections, {} open, {} waiting, {} KiB, used {:?}",
            book.entries.len(),
            book.connection_count,
            book.open_count,
            book.waiting_count,
            self.rss_kib(),
            book.used
        )
    }

    /// Fails, and says everything that may help.
    fn fail(&mut self, text: String, connection: Option<u32>, event: Option<u32>) -> ! {
        const LAST_COUNT: usize = 40;
        const OWN_COUNT: usize = 80;
        // The program's last lines may not have been read yet, and say why.
        thread::sleep(Duration::from_millis(100));
        self.read_log();
        let figures = self.figures();
        let mut book = self.api.lock();
        book.is_over = true;
        let trace = std::mem::take(&mut book.trace);
        drop(book);
        let is_event = |it: &&Trace| event.is_some() && it.event == event;
        let mut concerned: BTreeSet<u32> = trace
            .iter()
            .filter(is_event)
            .map(|it| it.connection)
            .collect();
        concerned.extend(connection);
        let own: Vec<&Trace> = trace
            .iter()
            .filter(|it| concerned.contains(&it.connection))
            .collect();
        let own = &own[own.len().saturating_sub(OWN_COUNT)..];
        let last = trace.iter().skip(trace.len().saturating_sub(LAST_COUNT));
        let show = |it: &Trace| {
            let of = it
                .event
                .map_or_else(String::new, |event| format!(" {}", id(event)));
            let Trace {
                at,
                connection,
                text,
                ..
            } = it;
            format!(
                "{:9.4} connection {connection}{of}: {text}\n",
                at.as_secs_f64()
            )
        };
        let own: String = own.iter().map(|it| show(it)).collect();
        let last: String = last.map(show).collect();
        panic!(
            "{text}\nFNBOOT_SEED={} {:?} with {} connections\n{figures}\n\
            -- the connections of it\n{own}-- the last of all\n{last}\
            -- standard output\n{}\n-- standard error\n{}",
            self.api.seed,
            self.api.platform,
            self.api.conn_count,
            self.log.iter().map(String::as_str).collect::<String>() + &self.line,
            self.server.stderr.take()
        );
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        self.api.lock().is_over = true;
        self.api.changed.notify_all();
        // Wakes the listening thread, which then sees that this is the end.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.api.port));
    }
}

/// Seed after seed for this platform's part of the time, or a seed that is named, once and to its end.
fn soak(fixture: &'static str, platform: Platform, conn_count: usize) {
    let number = |name| {
        env::var(name)
            .ok()
            .map(|text| text.parse().expect("a number"))
    };
    let (seconds, named) = (number("FNBOOT_SOAK_SECONDS"), number("FNBOOT_SEED"));
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let new_seed = since.expect("a time").as_millis() as u64 % 1_000_000_000;
    let first = if seconds.is_some() { new_seed } else { SEED };
    let time = Duration::from_millis(seconds.unwrap_or(SECONDS) * 1000 / TEST_COUNT);
    let end = Instant::now() + if named.is_some() { SEED_MAX } else { time };
    for seed in named.unwrap_or(first).. {
        println!("FNBOOT_SEED={seed} {fixture} {platform:?} with {conn_count} connections");
        Soak::new(fixture, platform, conn_count, seed).run(end);
        if named.is_some() || seconds.is_none() || Instant::now() > end {
            return;
        }
    }
}

#[test]
fn lambda() {
    soak(FIXTURE, Platform::Lambda, 1);
}

#[test]
fn lambda_with_many_at_once() {
    soak(FIXTURE, Platform::Lambda, 4);
}

#[test]
fn scf() {
    soak(FIXTURE, Platform::Scf, 1);
}

#[test]
fn lambda_with_calls_that_are_put_off() {
    soak(DEFERRED, Platform::Lambda, 4);
}

#[test]
fn scf_with_calls_that_are_put_off() {
    soak(DEFERRED, Platform::Scf, 1);
}
