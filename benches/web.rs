//! A server as the function: what is put in front of it, against other adapters: `make web`.
//!
//! | from | fnboot | beside it |
//! |---|---|---|
//! | HTTP | `bootstrap web`, as a server of FC | of-watchdog in its mode `http` |
//! | a function URL of Lambda | `bootstrap web`, as a runtime | the Lambda Web Adapter |
//!
//! Behind all of them is the same server (`peers/spawn/server.c`), and the request is the same, with the fields that
//! a function URL hands on. The server is also asked directly, over a connection that stays: what others take more
//! than that is what they add. On Lambda that is from an event to the next question, and includes what the stand-in
//! for the API takes, which is the same for both.
//!
//! Everything runs on one core. In each round all of them answer a few requests of each kind, one after the other,
//! and the order moves on from round to round; a round's figure is the median of its requests, a ratio is that of
//! two figures of the same round. Starts are measured in rounds of their own, and from another core.
//!
//! of-watchdog (<https://github.com/openfaas/of-watchdog>) and the adapter
//! (<https://github.com/aws/aws-lambda-web-adapter>) are measured where a variable names them. Memory is that of the
//! adapter's process alone, without the server's.
//!
//! `chrt -f 10 make web` keeps other work out of the way, but costs adapters that have several threads more than
//! others: what is told should be measured without it.
//!
//! | variable | default | |
//! |---|---|---|
//! | `BOOTSTRAP` | `pkg/bootstrap` | the program that ships |
//! | `ADAPTER` | | a built Lambda Web Adapter: `cargo install lambda_web_adapter`, with the target of musl as its authors do |
//! | `WATCHDOG` | | a built of-watchdog: `CGO_ENABLED=0 go build -ldflags '-s -w'` in its source |
//! | `MEASURE_ROUNDS` | 40 | rounds, also of starts |
//! | `MEASURE_CALLS` | 20 | requests of each kind in a round |
//! | `MEASURE_CORES` | `0,1` | the first of them is the one |
//!
//! Marks are shown, not enforced: clocks differ from machine to machine. What can be enforced is a counter, in
//! `tests/it/gates.rs`.

#[path = "measure/gateway.rs"]
mod gateway;
#[allow(dead_code, reason = "the rest is for runtimes that echo")]
#[path = "measure/lambda.rs"]
mod lambda;
mod measure;
#[allow(dead_code, reason = "the rest is for functions that echo")]
#[path = "measure/sides.rs"]
mod sides;

use std::env::temp_dir;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use gateway::Gateway;
use measure::server::{self, PATIENCE, now_ns};
use measure::settings::{self, Amount, Cores};
use measure::stats::{float, median, median_error_percent, ratios};
use measure::table::{Table, error, figure, ratio, size};
use measure::{Outcome, machine, peer, port, process, report};
use sides::Process;

const ROUNDS: Amount = ("MEASURE_ROUNDS", 40);
const CALLS: Amount = ("MEASURE_CALLS", 20);

/// Requests until memory is looked at.
const REQUEST_COUNT: usize = 1000;

/// Long requests and answers until the most memory is looked at.
const LONG_COUNT: usize = 20;

const LONG_BYTES: usize = 100 << 10;

/// After this a process has done what it does after its start, or an answer.
const SETTLED: Duration = Duration::from_millis(300);

/// What stands in front of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Nothing.
    Server,
    Fnboot,
    Watchdog,
    /// fnboot as a runtime of Lambda.
    Polled,
    Adapter,
}

const ALL: [Who; 5] = [
    Who::Server,
    Who::Fnboot,
    Who::Watchdog,
    Who::Polled,
    Who::Adapter,
];

/// What it is asked.
#[derive(Clone, Copy)]
struct Ask {
    label: &'static str,
    path: &'static str,
    answer_bytes: usize,
    body_bytes: usize,
}

const ASKS: [Ask; 3] = [
    Ask {
        label: "short",
        path: "/11",
        answer_bytes: 11,
        body_bytes: 0,
    },
    Ask {
        label: "answer of 100 KiB",
        path: "/102400",
        answer_bytes: LONG_BYTES,
        body_bytes: 0,
    },
    Ask {
        label: "request of 100 KiB",
        path: "/11",
        answer_bytes: 11,
        body_bytes: LONG_BYTES,
    },
];

/// A request as its client sends it: over HTTP, or as an event.
struct Sent {
    ask: Ask,
    request: Vec<u8>,
    event: Vec<u8>,
}

/// What is started.
struct Programs {
    fnboot: PathBuf,
    server: PathBuf,
    watchdog: Option<PathBuf>,
    adapter: Option<PathBuf>,
}

/// One of those that are measured, while it runs.
struct Side {
    /// The first is the one that is measured, the others are killed with it.
    processes: Vec<Process>,
    client: Client,
}

/// How it is asked. A connection is kept from the first answer on.
enum Client {
    Http {
        port: u16,
        stream: Option<TcpStream>,
    },
    Lambda(Gateway),
}

/// One of those that are measured, with a figure per round.
struct Entry {
    who: Who,
    /// While requests are measured.
    side: Option<Side>,
    file_bytes: u64,
    /// For each of [`ASKS`].
    us: [Vec<f64>; ASKS.len()],
    /// Of it what the API took, on Lambda.
    api_us: [Vec<f64>; ASKS.len()],
    /// From a start to the first answer.
    start_us: Vec<f64>,
    memory: Memory,
}

/// Of its own process, in KiB.
#[derive(Default)]
struct Memory {
    /// Before the first request.
    idle: u64,
    /// After [`REQUEST_COUNT`] short ones.
    after: u64,
    /// The most, with long ones.
    peak: u64,
}

/// What was promised, and what came of it.
struct Mark {
    what: String,
    /// At most so much.
    most: f64,
    values: Vec<f64>,
}

fn main() -> ExitCode {
    measure::run(measure_all)
}

fn measure_all() -> Outcome<()> {
    let (round_count, call_count) = (settings::number(ROUNDS)?, settings::number(CALLS)?);
    let programs = Programs::prepare()?;
    let sent = ASKS.map(Sent::new);
    let cores = settings::cores()?;
    let one_core = Cores {
        client: cores.server,
        ..cores
    };
    let since = machine::ticks()?;

    let mut entries = entries(&programs, &sent[0], one_core)?;
    // The first round warms caches and pools, and is not kept.
    for round in 0..=round_count {
        let entry_count = entries.len();
        for turn in 0..entry_count {
            let entry = &mut entries[(round + turn) % entry_count];
            entry
                .measure(&sent, call_count, round > 0)
                .map_err(|error| format!("{}: {error}", entry.who.label()))?;
        }
        say_round("round", round, round_count);
    }
    for entry in &mut entries {
        entry.side = None;
    }
    for entry in &mut entries {
        entry.memory = programs
            .memory(entry.who, &sent, one_core)
            .map_err(|error| format!("memory of {}: {error}", entry.who.label()))?;
    }
    for round in 0..=round_count {
        let entry_count = entries.len();
        for turn in 0..entry_count {
            let entry = &mut entries[(round + turn) % entry_count];
            let us = programs
                .first_answer_us(entry.who, &sent[0], cores)
                .map_err(|error| format!("start of {}: {error}", entry.who.label()))?;
            if round > 0 {
                entry.start_us.push(us);
            }
        }
        say_round("starts, round", round, round_count);
    }
    let others_percent = machine::ticks()?.others_percent(since);
    show(&entries, round_count, others_percent)
}

fn say_round(what: &str, round: usize, count: usize) {
    if round.is_multiple_of(10) {
        eprintln!("{what} {round} of {count}");
    }
}

/// Starts all that there are. What is missing is said.
fn entries(programs: &Programs, sent: &Sent, cores: Cores) -> Outcome<Vec<Entry>> {
    let mut entries = Vec::new();
    for who in ALL {
        let program = match programs.of(who) {
            Ok(program) => program,
            Err(error) => {
                eprintln!("not measured: {}: {error}", who.label());
                continue;
            }
        };
        let side = programs.start(who, cores).and_then(|mut side| {
            side.first_answer(sent, cores)?;
            Ok(side)
        });
        entries.push(Entry {
            who,
            side: Some(side.map_err(|error| format!("{}: {error}", who.label()))?),
            file_bytes: fs::metadata(program)?.len(),
            us: [const { Vec::new() }; ASKS.len()],
            api_us: [const { Vec::new() }; ASKS.len()],
            start_us: Vec::new(),
            memory: Memory::default(),
        });
    }
    Ok(entries)
}

impl Programs {
    fn prepare() -> Outcome<Self> {
        let named = |name: &str| {
            let program = std::env::var_os(name).map(fs::canonicalize).transpose();
            program.map_err(|error| format!("{name}: {error}"))
        };
        Ok(Self {
            fnboot: peer::fnboot()?,
            server: peer::build_c("server", &["-static"])?,
            watchdog: named("WATCHDOG")?,
            adapter: named("ADAPTER")?,
        })
    }

    /// The program that is measured.
    fn of(&self, who: Who) -> Outcome<&PathBuf> {
        match who {
            Who::Server => Ok(&self.server),
            Who::Fnboot | Who::Polled => Ok(&self.fnboot),
            Who::Watchdog => Ok(self.watchdog.as_ref().ok_or(
                "WATCHDOG names no of-watchdog; in its source, github.com/openfaas/of-watchdog: \
                 CGO_ENABLED=0 go build -ldflags '-s -w'",
            )?),
            Who::Adapter => Ok(self.adapter.as_ref().ok_or(
                "ADAPTER names no Lambda Web Adapter: cargo install lambda_web_adapter --locked \
                 --target x86_64-unknown-linux-musl",
            )?),
        }
    }

    /// Starts one of them on the core of servers, and waits on that of clients until it can be asked.
    fn start(&self, who: Who, cores: Cores) -> Outcome<Side> {
        machine::pin(cores.server)?;
        let mut command = Command::new(self.of(who)?);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let port = port::free()?;
        let server_port = port::free()?.to_string();
        let mut server = Command::new(&self.server);
        let mut processes = Vec::new();
        let mut api = None;
        match who {
            Who::Server => {
                command.env("PORT", port.to_string());
            }
            Who::Fnboot => {
                command.arg("web").arg(&self.server);
                command.env("FNBOOT_WEB_PORT", &server_port);
                command.env("FC_SERVER_PORT", port.to_string());
            }
            Who::Watchdog => {
                command
                    .env("fprocess", &self.server)
                    .env("PORT", &server_port)
                    .env("upstream_url", format!("http://127.0.0.1:{server_port}"))
                    .env("mode", "http")
                    .env("port", port.to_string())
                    .env("suppress_lock", "true")
                    // It logs every request.
                    .stderr(Stdio::null());
            }
            Who::Polled => {
                command.arg("web").arg(&self.server);
                command.env("FNBOOT_WEB_PORT", &server_port);
                api = Some(listen(&mut command)?);
            }
            Who::Adapter => {
                server.env("PORT", &server_port);
                processes.push(Process::start(&mut server, &temp_dir())?);
                command.env("AWS_LWA_PORT", &server_port);
                api = Some(listen(&mut command)?);
            }
        }
        processes.insert(0, Process::start(&mut command, &temp_dir())?);
        machine::pin(cores.client)?;
        let client = match api {
            Some(listener) => Client::Lambda(Gateway::wait(listener)?),
            None => Client::Http { port, stream: None },
        };
        Ok(Side { processes, client })
    }

    /// From the start to the first answer, in µs. Where the adapter does not start the server, that is started first.
    fn first_answer_us(&self, who: Who, sent: &Sent, cores: Cores) -> Outcome<f64> {
        let before_ns = now_ns()?;
        let mut side = self.start(who, cores)?;
        let us = float(side.first_answer(sent, cores)? - before_ns) / 1e3;
        Ok(us)
    }

    /// The memory of one of them, asked one request after the other.
    fn memory(&self, who: Who, sent: &[Sent], cores: Cores) -> Outcome<Memory> {
        let mut side = self.start(who, cores)?;
        std::thread::sleep(SETTLED);
        let idle = side.memory_kib("VmRSS")?;
        side.first_answer(&sent[0], cores)?;
        side.ask(&sent[0], REQUEST_COUNT)?;
        std::thread::sleep(SETTLED);
        let after = side.memory_kib("VmRSS")?;
        for one in sent {
            side.ask(one, LONG_COUNT)?;
        }
        Ok(Memory {
            idle,
            after,
            peak: side.memory_kib("VmHWM")?,
        })
    }
}

/// The API that a runtime will ask.
fn listen(runtime: &mut Command) -> Outcome<TcpListener> {
    let (listener, address) = lambda::listen()?;
    runtime.envs(lambda::environment(&address));
    Ok(listener)
}

impl Sent {
    fn new(ask: Ask) -> Self {
        let body = "b".repeat(ask.body_bytes);
        let method = if body.is_empty() { "GET" } else { "POST" };
        let mut fields: Vec<(&str, String)> = gateway::FIELDS
            .map(|(name, value)| (name, value.to_owned()))
            .into();
        if !body.is_empty() {
            fields.push(("content-type", "text/plain".into()));
            fields.push(("content-length", body.len().to_string()));
        }
        let mut request = format!("{method} {} HTTP/1.1\r\n", ask.path).into_bytes();
        for (name, value) in fields {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body.as_bytes());
        Self {
            ask,
            request,
            event: gateway::event(method, ask.path, &body),
        }
    }
}

impl Side {
    /// The first answer; when it was there. Some listen before their server does.
    fn first_answer(&mut self, sent: &Sent, cores: Cores) -> Outcome<u64> {
        let give_up = Instant::now() + PATIENCE;
        let (port, stream) = match &mut self.client {
            Client::Lambda(gateway) => return Ok(gateway.event(&sent.event)?.body_ns),
            Client::Http { port, stream } => (*port, stream),
        };
        loop {
            if let Ok((answered_ns, open)) = ask_anew(port, &sent.request) {
                *stream = Some(open);
                return Ok(answered_ns);
            }
            if Instant::now() > give_up {
                return Err("does not answer".into());
            }
            if cores.client == cores.server {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// How long each of some requests takes, in µs: to the whole answer, on Lambda to the next question; and what the
    /// API took of it.
    fn ask(&mut self, sent: &Sent, count: usize) -> Outcome<(Vec<f64>, Vec<f64>)> {
        (0..count).map(|_| self.ask_once(sent)).collect()
    }

    fn ask_once(&mut self, sent: &Sent) -> Outcome<(f64, f64)> {
        let (ns, api_ns, answer_bytes) = match &mut self.client {
            Client::Lambda(gateway) => {
                let answered = gateway.event(&sent.event)?;
                let ns = answered.next_ns - answered.from_ns;
                (ns, answered.own_ns, answered.body.len())
            }
            Client::Http { stream, .. } => {
                let stream = stream.as_mut().ok_or("was not asked before")?;
                let before_ns = now_ns()?;
                stream.write_all(&sent.request)?;
                let (answer, answered_ns) = server::receive(stream)?;
                (answered_ns - before_ns, 0, answer.len())
            }
        };
        if answer_bytes == sent.ask.answer_bytes {
            Ok((float(ns) / 1e3, float(api_ns) / 1e3))
        } else {
            Err(format!("an answer of {answer_bytes} bytes").into())
        }
    }

    fn memory_kib(&self, figure: &str) -> Outcome<u64> {
        let process = self.processes.first().ok_or("no process")?;
        process::status(process.id(), figure)
    }
}

/// Asks over a new connection: when the answer was there, and the connection.
fn ask_anew(port: u16, request: &[u8]) -> Outcome<(u64, TcpStream)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let (_, answered_ns) = server::receive(&mut stream)?;
    Ok((answered_ns, stream))
}

impl Who {
    fn label(self) -> &'static str {
        match self {
            Self::Server => "the server alone",
            Self::Fnboot => "fnboot",
            Self::Watchdog => "of-watchdog, http",
            Self::Polled => "fnboot, on Lambda",
            Self::Adapter => "Lambda Web Adapter",
        }
    }

    /// What it is compared with.
    fn base(self) -> Option<Self> {
        match self {
            Self::Server => None,
            Self::Fnboot | Self::Watchdog => Some(Self::Watchdog),
            Self::Polled | Self::Adapter => Some(Self::Adapter),
        }
    }
}

impl Entry {
    fn measure(&mut self, sent: &[Sent], call_count: usize, is_kept: bool) -> Outcome<()> {
        let side = self.side.as_mut().ok_or("does not run any more")?;
        for (index, sent) in sent.iter().enumerate() {
            let (us, api_us) = side.ask(sent, call_count)?;
            if is_kept {
                self.us[index].push(median(&us));
                self.api_us[index].push(median(&api_us));
            }
        }
        Ok(())
    }
}

fn find(entries: &[Entry], who: Who) -> Option<&Entry> {
    entries.iter().find(|entry| entry.who == who)
}

/// What one of them takes more than the server alone, round by round.
fn added(
    entries: &[Entry],
    entry: &Entry,
    of: fn(&Entry, usize) -> &[f64],
    ask: usize,
) -> Vec<f64> {
    let server = find(entries, Who::Server).map_or(&[][..], |server| of(server, ask));
    let pairs = of(entry, ask).iter().zip(server);
    pairs.map(|(us, server)| us - server).collect()
}

/// The same in times of what it is compared with; empty without that.
fn added_ratio(
    entries: &[Entry],
    entry: &Entry,
    of: fn(&Entry, usize) -> &[f64],
    ask: usize,
) -> Vec<f64> {
    let base = entry.who.base().filter(|&who| who != entry.who);
    let base = base.and_then(|who| find(entries, who));
    base.map_or(Vec::new(), |base| {
        ratios(
            &added(entries, entry, of, ask),
            &added(entries, base, of, ask),
        )
    })
}

fn us(entry: &Entry, ask: usize) -> &[f64] {
    &entry.us[ask]
}

fn start_us(entry: &Entry, _ask: usize) -> &[f64] {
    &entry.start_us
}

fn marks(entries: &[Entry]) -> Vec<Mark> {
    let (Some(ours), Some(other)) = (find(entries, Who::Polled), find(entries, Who::Adapter))
    else {
        return Vec::new();
    };
    let mut marks = Vec::new();
    let mut add = |what: String, most, values| {
        let what = format!("{what}, × Lambda Web Adapter");
        marks.push(Mark { what, most, values });
    };
    for (index, ask) in ASKS.iter().enumerate() {
        let values = added_ratio(entries, ours, us, index);
        add(format!("added, {}", ask.label), 0.5, values);
    }
    let to = |of: fn(&Entry) -> u64| vec![float(of(ours)) / float(of(other))];
    add("RSS, idle".into(), 0.1, to(|entry| entry.memory.idle));
    add(
        format!("RSS after {REQUEST_COUNT} requests"),
        0.1,
        to(|entry| entry.memory.after),
    );
    add("file".into(), 0.02, to(|entry| entry.file_bytes));
    marks
}

fn show(entries: &[Entry], round_count: usize, others_percent: f64) -> Outcome<()> {
    let how = format!(
        "`make web`: what a request takes more than the same server asked directly, from the request to the whole \
         answer, on Lambda from the event to the next question; in brackets in times of the adapter beside it. All \
         on one core; medians of {round_count} rounds, interleaved. RSS is that of the adapter alone, idle and after \
         {REQUEST_COUNT} requests.{} Others had {others_percent:.0} % of the machine.",
        api_share(entries),
    );
    let mut table = Table::new(&[
        "",
        "added µs, 11 B",
        "± %",
        "100 KiB answered",
        "± %",
        "100 KiB sent",
        "± %",
        "added to the first answer, ms",
        "± %",
        "RSS KiB",
        "most, long bodies",
        "file",
    ]);
    for entry in entries {
        let mut row = vec![entry.who.label().to_owned()];
        for index in 0..ASKS.len() {
            row.extend(cells(entries, entry, us, index, 1.0));
        }
        row.extend(cells(entries, entry, start_us, 0, 1e3));
        let Memory { idle, after, peak } = entry.memory;
        row.push(format!("{}, {}", figure(float(idle)), figure(float(after))));
        row.extend([figure(float(peak)), size(entry.file_bytes)]);
        table.rows.push(row);
    }
    let marks = marks(entries);
    let mut promised = Table::new(&["mark", "at most", "measured", "± %", ""]);
    for mark in &marks {
        let got = median(&mark.values);
        promised.rows.push(vec![
            mark.what.clone(),
            figure(mark.most),
            figure(got),
            error(&mark.values),
            (if got <= mark.most { "met" } else { "missed" }).into(),
        ]);
    }
    let tables = [Some(table), (!marks.is_empty()).then_some(promised)];
    let tables = tables.iter().flatten().map(Table::markdown);
    let markdown = tables.collect::<Vec<_>>().join("\n");
    report::publish("web", &how, &markdown, &rows(entries, &marks))
}

/// What the stand-in for the API has of the figures of Lambda.
fn api_share(entries: &[Entry]) -> String {
    let Some(polled) = find(entries, Who::Polled) else {
        return String::new();
    };
    let shares = polled.api_us.iter().map(|us| figure(median(us)));
    let shares: Vec<String> = shares.collect();
    format!(
        " On Lambda {} µs of it are the stand-in for the API.",
        shares.join(", ")
    )
}

/// A figure with its ratio, and how far the median is likely off. The server's own is the whole time.
fn cells(
    entries: &[Entry],
    entry: &Entry,
    of: fn(&Entry, usize) -> &[f64],
    ask: usize,
    unit: f64,
) -> [String; 2] {
    if entry.who == Who::Server {
        let whole = of(entry, ask);
        return [
            format!("whole: {}", figure(median(whole) / unit)),
            error(whole),
        ];
    }
    let added = added(entries, entry, of, ask);
    let own = figure(median(&added) / unit);
    let to_base = median(&added_ratio(entries, entry, of, ask));
    let text = if to_base.is_finite() {
        format!("{own} ({})", ratio(to_base))
    } else {
        own
    };
    [text, error(&added)]
}

fn rows(entries: &[Entry], marks: &[Mark]) -> Vec<Value> {
    let timed = entries.iter().map(|entry| {
        let asks: Vec<Value> = (0..ASKS.len())
            .map(|ask| {
                let added = added(entries, entry, us, ask);
                json!({
                    "ask": ASKS[ask].label,
                    "us": median(&entry.us[ask]),
                    "added_us": median(&added),
                    "error_percent": median_error_percent(&added),
                    "to_base": median(&added_ratio(entries, entry, us, ask)),
                    "api_us": median(&entry.api_us[ask]),
                    "us_rounds": entry.us[ask],
                })
            })
            .collect();
        json!({
            "who": entry.who.label(),
            "asks": asks,
            "start_us": median(&entry.start_us),
            "start_us_rounds": entry.start_us,
            "idle_kib": entry.memory.idle,
            "rss_kib": entry.memory.after,
            "peak_kib": entry.memory.peak,
            "file_bytes": entry.file_bytes,
        })
    });
    let marks = marks.iter().map(|mark| {
        json!({
            "mark": mark.what,
            "most": mark.most,
            "measured": median(&mark.values),
        })
    });
    timed.chain(marks).collect()
}
