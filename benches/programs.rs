//! Functions that are programs, against the least that the same can cost, and against other runtimes that
//! start programs: `make programs`.
//!
//! | what | fnboot | beside it |
//! |---|---|---|
//! | `command` | a call of FC over one connection | a loop in C that starts the same program with two pipes; of-watchdog |
//! | `function` | a call of FC over one connection | a loop of that language that reads a line and writes one; the built-in function |
//! | `function`, bash | an event of Lambda's runtime API | the loop with curl of AWS's tutorial |
//! | `worker` | a call of FC over one connection; an event of Lambda's runtime API | the same worker, which asks a stand-in for that API |
//!
//! What `worker` adds is what an event takes more than the worker needs when it asks the stand-in itself. On FC that
//! includes the client and all that fnboot does for it, less what the stand-in does in their place.
//!
//! Everything runs on one core. In each round all of them answer a few events, one after the other, and the
//! order moves on from round to round; a round's figure is the median of its events, a ratio is that of two
//! figures of the same round.
//!
//! of-watchdog (<https://github.com/openfaas/of-watchdog>) is measured where `WATCHDOG` names it.
//!
//! On a machine that has other work, `chrt -f 10 make programs` keeps it out of the way.
//!
//! | variable | default | |
//! |---|---|---|
//! | `BOOTSTRAP` | `pkg/bootstrap` | the program that ships |
//! | `WATCHDOG` | | a built of-watchdog: `CGO_ENABLED=0 go build` in its source |
//! | `MEASURE_ROUNDS` | 40 | rounds |
//! | `MEASURE_CALLS` | 20 | events of each in a round |
//! | `MEASURE_LONG` | 10 | events of 6 MB |
//! | `MEASURE_PAUSE_MS` | 0 | before each event: what is done ahead of it then costs nothing |
//! | `MEASURE_KINDS` | all | `command,bash,php,python,node,worker` |
//! | `MEASURE_CORES` | `0,1` | the first of them is the one |
//!
//! Marks are shown, not enforced: clocks differ from machine to machine. What can be enforced is a counter, in
//! `tests/it/gates.rs`.

#[allow(dead_code, reason = "a whole run is a part of `coldstart`")]
#[path = "measure/lambda.rs"]
mod lambda;
mod measure;
#[path = "measure/sides.rs"]
mod sides;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use measure::settings::{self, Amount};
use measure::stats::{float, median, median_error_percent, ratios};
use measure::table::{Table, error, figure, ratio};
use measure::{Outcome, machine, peer, report, request};
use sides::Side;

const ROUNDS: Amount = ("MEASURE_ROUNDS", 40);
const CALLS: Amount = ("MEASURE_CALLS", 20);
const LONG: Amount = ("MEASURE_LONG", 10);

/// Bytes of a long event: the most that Lambda and FC take.
const LONG_BYTES: usize = 6 << 20;

/// Events of one that is started for a round, before they count.
const WARM_COUNT: usize = 10;

/// Events until the memory of an idle fnboot is looked at.
const EVENT_COUNT: usize = 1000;

/// What the function is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The built-in one.
    Echo,
    /// A static program that does nothing but read and write.
    Least,
    /// `/bin/cat`.
    Cat,
    Bash,
    Php,
    Python,
    Node,
    /// A custom runtime that does nothing but ask and answer.
    Worker,
    /// One in bash, as SCF teaches it.
    Curl,
}

const LATER: [Kind; 6] = [
    Kind::Bash,
    Kind::Php,
    Kind::Python,
    Kind::Node,
    Kind::Worker,
    Kind::Curl,
];

/// Who runs it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The least that can be done: a loop; for a worker the stand-in for its API.
    Loop,
    Fnboot,
    /// fnboot as a runtime of Lambda.
    Polled,
    Serializing,
    Streaming,
    Tutorial,
}

/// One of those that are measured, with a figure per round.
struct Entry {
    kind: Kind,
    who: Who,
    /// It runs until the end, or is started for each round.
    side: Option<Side>,
    us: Vec<f64>,
}

/// All that is measured of fnboot alone.
struct Alone {
    kind: Kind,
    long_ms: Vec<f64>,
    /// After [`EVENT_COUNT`] short events: resident, and the most so far.
    rss_kib: u64,
    peak_kib: u64,
}

/// What was promised, and what came of it.
struct Mark {
    what: String,
    /// At most so much.
    most: f64,
    values: Vec<f64>,
}

/// What is started.
struct Programs {
    fnboot: PathBuf,
    starts: PathBuf,
    least: PathBuf,
    worker: PathBuf,
    watchdog: Option<PathBuf>,
}

fn main() -> ExitCode {
    measure::run(measure_all)
}

fn measure_all() -> Outcome<()> {
    let (round_count, call_count) = (settings::number(ROUNDS)?, settings::number(CALLS)?);
    let programs = Programs::prepare()?;
    machine::pin(settings::cores()?.server)?;

    let mut missing = Vec::new();
    let mut entries = entries(&programs, &mut missing)?;
    // The first round warms caches and pools, and is not kept.
    for round in 0..=round_count {
        let entry_count = entries.len();
        for turn in 0..entry_count {
            let entry = &mut entries[(round + turn) % entry_count];
            let us = entry.measure(&programs, call_count);
            let us = us.map_err(|error| format!("{}: {error}", entry.name()))?;
            if round > 0 {
                entry.us.push(us);
            }
        }
        if round % 10 == 0 {
            eprintln!("round {round} of {round_count}");
        }
    }
    for entry in &mut entries {
        entry.side = None;
    }
    // There are none where the tutorial was not wanted.
    let _ = std::fs::remove_dir_all(tutorial_files()?);
    let alone = measure_alone(&programs, &entries)?;
    show(&entries, &alone, round_count)?;
    for one in &missing {
        eprintln!("not measured: {one}");
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err("not everything was measured".into())
    }
}

impl Programs {
    fn prepare() -> Outcome<Self> {
        let watchdog = std::env::var_os("WATCHDOG").map(PathBuf::from);
        let watchdog = watchdog.map(std::fs::canonicalize).transpose();
        Ok(Self {
            fnboot: peer::fnboot()?,
            starts: peer::build_c("loop", &[])?,
            least: peer::build_c("echo", &["-static"])?,
            worker: peer::build_c("worker", &["-static"])?,
            watchdog: watchdog.map_err(|error| format!("WATCHDOG: {error}"))?,
        })
    }

    fn command(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Cat => "/bin/cat".into(),
            _ => self.least.clone(),
        }
    }

    /// Starts one of them, in the folder of the function.
    fn start(&self, kind: Kind, who: Who) -> Outcome<Side> {
        let directory = match (kind, kind.loop_words()) {
            (Kind::Curl, _) => peer::source("bash"),
            (_, Some((word, _))) => peer::source(word),
            _ => std::env::temp_dir(),
        };
        let mut fnboot = Command::new(&self.fnboot);
        match (who, kind) {
            (_, Kind::Echo) => {}
            (_, Kind::Least | Kind::Cat) => {
                fnboot.arg("command").arg(self.command(kind));
            }
            (_, Kind::Worker) => {
                fnboot.arg("worker").arg(&self.worker);
            }
            (_, Kind::Curl) => {
                fnboot.args(["worker", "bash", "scf.sh"]);
            }
            _ => {
                fnboot.args(["function", "index.handler"]);
            }
        }
        match who {
            Who::Fnboot => Side::server(&mut fnboot, &directory, "FC_SERVER_PORT"),
            Who::Polled => Side::runtime(&mut fnboot, &directory, "index.handler"),
            Who::Tutorial => {
                let mut tutorial = Command::new("bash");
                // It leaves a file there for each event.
                let files = tutorial_files()?;
                std::fs::create_dir_all(&files)?;
                tutorial.arg("tutorial.sh").env("TMPDIR", files);
                tutorial.stderr(Stdio::null());
                Side::runtime(&mut tutorial, &directory, "index.handler")
            }
            Who::Loop if kind == Kind::Worker => {
                Side::runtime(&mut Command::new(&self.worker), &directory, "index.handler")
            }
            Who::Loop => match kind.loop_words() {
                Some((_, [program, file])) => {
                    Side::lines(Command::new(program).arg(file), &directory)
                }
                None => Ok(Side::Starts {
                    program: self.starts.clone(),
                    started: self.command(kind),
                }),
            },
            Who::Serializing => self.watchdog(kind, "serializing"),
            Who::Streaming => self.watchdog(kind, "streaming"),
        }
    }

    fn watchdog(&self, kind: Kind, mode: &str) -> Outcome<Side> {
        let program = self.watchdog.as_ref().ok_or(
            "WATCHDOG names no of-watchdog; in its source, github.com/openfaas/of-watchdog: \
             CGO_ENABLED=0 go build",
        )?;
        let mut watchdog = Command::new(program);
        watchdog
            .env("fprocess", self.command(kind))
            .env("mode", mode)
            .env("suppress_lock", "true")
            // It logs every call, fnboot to its standard output.
            .stderr(Stdio::null());
        Side::server(&mut watchdog, &std::env::temp_dir(), "port")
    }
}

impl Kind {
    /// By this word `MEASURE_KINDS` knows it.
    fn word(self) -> &'static str {
        match self {
            Self::Echo | Self::Least | Self::Cat => "command",
            Self::Bash => "bash",
            Self::Php => "php",
            Self::Python => "python",
            Self::Node => "node",
            Self::Worker | Self::Curl => "worker",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Echo => "the built-in function",
            Self::Least => "command: a static echo in C",
            Self::Cat => "command: /bin/cat",
            Self::Bash => "function: bash",
            Self::Php => "function: PHP",
            Self::Python => "function: Python",
            Self::Node => "function: Node.js",
            Self::Worker => "worker: a static loop in C",
            Self::Curl => "worker: bash and curl, by SCF's paths",
        }
    }

    /// The folder in `benches/peers`, and how its loop is started.
    fn loop_words(self) -> Option<(&'static str, [&'static str; 2])> {
        match self {
            Self::Echo | Self::Least | Self::Cat | Self::Worker | Self::Curl => None,
            Self::Bash => Some(("bash", ["bash", "loop.sh"])),
            Self::Php => Some(("php", ["php", "loop.php"])),
            Self::Python => Some(("python", ["python3", "loop.py"])),
            Self::Node => Some(("node", ["node", "loop.js"])),
        }
    }

    /// Who is measured with it.
    fn all(self) -> &'static [Who] {
        match self {
            Self::Echo | Self::Curl => &[Who::Fnboot],
            Self::Least | Self::Cat => &[Who::Loop, Who::Fnboot, Who::Serializing, Who::Streaming],
            Self::Bash => &[Who::Loop, Who::Fnboot, Who::Polled, Who::Tutorial],
            Self::Php | Self::Python | Self::Node => &[Who::Loop, Who::Fnboot],
            Self::Worker => &[Who::Loop, Who::Fnboot, Who::Polled],
        }
    }
}

impl Who {
    /// Whether it may run while others are measured: of-watchdog has a second port, which cannot be chosen.
    fn stays(self) -> bool {
        !matches!(self, Self::Serializing | Self::Streaming)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Loop => "bare loop",
            Self::Fnboot => "fnboot",
            Self::Polled => "fnboot, on Lambda",
            Self::Serializing => "of-watchdog, serializing",
            Self::Streaming => "of-watchdog, streaming",
            Self::Tutorial => "AWS's tutorial, with curl",
        }
    }
}

impl Entry {
    /// The median of some events, in µs.
    fn measure(&mut self, programs: &Programs, call_count: usize) -> Outcome<f64> {
        let (event, pause) = (request::event(11), pause()?);
        if let Some(side) = &mut self.side {
            return Ok(median(&side.calls(call_count, &event, pause)?));
        }
        let mut side = programs.start(self.kind, self.who)?;
        side.calls(WARM_COUNT, &event, pause)?;
        Ok(median(&side.calls(call_count, &event, pause)?))
    }

    fn name(&self) -> String {
        format!("{}, {}", self.kind.label(), self.who.label())
    }
}

/// `MEASURE_PAUSE_MS`.
fn pause() -> Outcome<Duration> {
    let pause: Vec<u64> = settings::list("MEASURE_PAUSE_MS", &[0])?;
    Ok(pause
        .first()
        .copied()
        .map_or(Duration::ZERO, Duration::from_millis))
}

fn tutorial_files() -> Outcome<PathBuf> {
    Ok(settings::output()?.join("tutorial"))
}

/// Starts all that are wanted, and calls each once.
fn entries(programs: &Programs, missing: &mut Vec<String>) -> Outcome<Vec<Entry>> {
    let wanted: Vec<String> = settings::list("MEASURE_KINDS", &[])?;
    let mut entries = Vec::new();
    let commands = [Kind::Echo, Kind::Least, Kind::Cat];
    for kind in commands.into_iter().chain(LATER) {
        let is_wanted = wanted.is_empty() || wanted.iter().any(|word| word == kind.word());
        if !is_wanted && kind != Kind::Echo {
            continue;
        }
        for &who in kind.all() {
            let started = programs.start(kind, who).and_then(|mut side| {
                side.calls(1, &request::event(11), Duration::ZERO)?;
                Ok(side)
            });
            match started {
                Ok(side) => entries.push(Entry {
                    kind,
                    who,
                    side: who.stays().then_some(side),
                    us: Vec::new(),
                }),
                Err(error) => missing.push(format!("{}, {}: {error}", kind.label(), who.label())),
            }
        }
    }
    Ok(entries)
}

/// Memory after many events, and long events, of each kind that fnboot could run.
fn measure_alone(programs: &Programs, entries: &[Entry]) -> Outcome<Vec<Alone>> {
    let long_count = settings::number(LONG)?;
    let mut alone = Vec::new();
    // A shell passes an answer to curl as an argument, which cannot be so long.
    let is_wanted = |entry: &&Entry| entry.who == Who::Fnboot && entry.kind != Kind::Curl;
    for entry in entries.iter().filter(is_wanted) {
        let kind = entry.kind;
        eprintln!(
            "{EVENT_COUNT} events, and {long_count} long ones: {}",
            kind.label()
        );
        let mut side = programs.start(kind, Who::Fnboot)?;
        side.calls(EVENT_COUNT, &request::event(11), Duration::ZERO)?;
        let (rss_kib, peak_kib) = (side.memory_kib("VmRSS")?, side.memory_kib("VmHWM")?);
        let long = request::event(LONG_BYTES);
        side.calls(1, &long, Duration::ZERO)?;
        let long_us = side.calls(long_count, &long, Duration::ZERO)?;
        alone.push(Alone {
            kind,
            long_ms: long_us.iter().map(|us| us / 1e3).collect(),
            rss_kib,
            peak_kib,
        });
    }
    Ok(alone)
}

/// The figures of one of them, if it was measured.
fn us(entries: &[Entry], kind: Kind, who: Who) -> Option<&[f64]> {
    let is_it = |entry: &&Entry| entry.kind == kind && entry.who == who;
    entries.iter().find(is_it).map(|entry| &entry.us[..])
}

/// What it is compared with: the loop, and for a runtime of Lambda the tutorial's.
fn base(kind: Kind, who: Who) -> Who {
    match who {
        _ if kind == Kind::Worker => Who::Loop,
        Who::Polled | Who::Tutorial => Who::Tutorial,
        _ => Who::Loop,
    }
}

/// In times of what it is compared with, round by round; empty without that.
fn to_base(entries: &[Entry], entry: &Entry) -> Vec<f64> {
    let base = us(entries, entry.kind, base(entry.kind, entry.who));
    base.map_or(Vec::new(), |base| ratios(&entry.us, base))
}

/// What it takes more than the built-in function does, a worker more than without fnboot, round by round.
fn added(entries: &[Entry], entry: &Entry) -> Vec<f64> {
    let (kind, who) = match entry.kind {
        Kind::Worker => (Kind::Worker, Who::Loop),
        _ => (Kind::Echo, Who::Fnboot),
    };
    let base = us(entries, kind, who).unwrap_or_default();
    let pairs = entry.us.iter().zip(base);
    pairs.map(|(us, base)| us - base).collect()
}

fn marks(entries: &[Entry], alone: &[Alone]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut add = |what: String, most, values| marks.push(Mark { what, most, values });
    for entry in entries {
        let label = entry.kind.label();
        match (entry.who, entry.kind) {
            (Who::Fnboot, Kind::Least | Kind::Cat) => {
                add(format!("{label}, × loop"), 1.15, to_base(entries, entry));
            }
            (Who::Fnboot, Kind::Bash) => {
                add(format!("{label}, × loop"), 1.4, to_base(entries, entry));
            }
            (Who::Fnboot | Who::Polled, Kind::Worker) => {
                let what = format!("{}, added µs", entry.name());
                add(what, 60.0, added(entries, entry));
            }
            (Who::Polled, _) => {
                add(
                    format!("{label}, × tutorial"),
                    1.0 / 15.0,
                    to_base(entries, entry),
                );
            }
            (Who::Fnboot, Kind::Php | Kind::Python | Kind::Node) => {
                // Or 1.3 × their loop, which is less than a call of the built-in function.
                add(format!("{label}, added µs"), 100.0, added(entries, entry));
            }
            _ => {}
        }
    }
    for one in alone {
        let label = one.kind.label();
        let long_ms = if one.kind == Kind::Bash { 300.0 } else { 50.0 };
        add(format!("{label}, 6 MB, ms"), long_ms, one.long_ms.clone());
        add(format!("{label}, RSS KiB"), 128.0, vec![float(one.rss_kib)]);
        add(
            format!("{label}, peak KiB"),
            128.0,
            vec![float(one.peak_kib)],
        );
    }
    marks
}

fn show(entries: &[Entry], alone: &[Alone], round_count: usize) -> Outcome<()> {
    let how = format!(
        "`make programs`: an event of 11 bytes, from the call to the whole answer (on Lambda: to the next \
         question); all on one core; medians of {round_count} rounds, interleaved. × is against the bare loop \
         of the same kind, on Lambda against the tutorial's; a worker's loop is a stand-in for its API. RSS is that of fnboot alone, idle after \
         {EVENT_COUNT} events.",
    );
    let mut table = Table::new(&[
        "",
        "µs",
        "± %",
        "×",
        "± %",
        "µs more than the built-in function; worker: than the loop",
    ]);
    for entry in entries {
        let to_base = to_base(entries, entry);
        table.rows.push(vec![
            entry.name(),
            figure(median(&entry.us)),
            error(&entry.us),
            ratio(median(&to_base)),
            error(&to_base),
            figure(median(&added(entries, entry))),
        ]);
    }
    let marks = marks(entries, alone);
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
    let markdown = format!("{}\n{}", table.markdown(), promised.markdown());
    report::publish("programs", &how, &markdown, &rows(entries, &marks))
}

fn rows(entries: &[Entry], marks: &[Mark]) -> Vec<Value> {
    let timed = entries.iter().map(|entry| {
        json!({
            "kind": entry.kind.label(),
            "who": entry.who.label(),
            "us": median(&entry.us),
            "error_percent": median_error_percent(&entry.us),
            "to_base": median(&to_base(entries, entry)),
            "us_rounds": entry.us,
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
