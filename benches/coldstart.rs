//! Cold start: from `execve` to the first answer, `make coldstart`.
//!
//! One core for the server, one for the client. A round starts every server once, calls it once and
//! kills it; the order moves on from round to round. The clock starts right before `execve(2)`, in
//! the launcher, and stops when the whole answer has been read. Until somebody listens the client
//! tries to connect again and again, so the answer's time has the grain of one attempt: about 5 µs.
//!
//! There are two blocking floors, the same source linked twice. `× floor` is against the ordinary
//! program, musl's static PIE, as fnboot is one itself; `× no PIE` against one without relocations,
//! RELRO and the padding of segments, which is less than any hardened program can do.
//!
//! In rounds of their own fnboot and AWS's runtime are started as Lambda functions: from `execve(2)`
//! to the first question for an event, and then event by event (`measure/lambda.rs`).
//!
//! On a machine that has other work, `chrt -f 10 make coldstart` keeps it out of the way.
//!
//! | variable | default | |
//! |---|---|---|
//! | `BOOTSTRAP` | `pkg/bootstrap` | the program that ships |
//! | `MEASURE_ROUNDS` | 200 | rounds |
//! | `MEASURE_SERVERS` | all | `fnboot,floor-blocking-pie,floor-blocking,floor,hyper-speed,hyper-smallest,nginx,go,lambda-runtime` |
//! | `MEASURE_CORES` | `0,1` | the server's core, the client's core |
//! | `MEASURE_WRITE` | | `anyway`: see below |
//!
//! The README and its picture are written only by a run that had every server, no fewer rounds than
//! by default, and a quiet machine: each time and each ratio that the README shows is a median that
//! is hardly off, and others had hardly any of the machine's time (`measure/record.rs` has the
//! bounds). Any other run shows its tables, says what speaks against it, and fails unless a
//! variable made it another one. `MEASURE_WRITE=anyway` writes all the same, and measures without
//! the servers that are missing.

#[path = "measure/calls.rs"]
mod calls;
#[allow(dead_code, reason = "a part of it is for `programs`")]
#[path = "measure/lambda.rs"]
mod lambda;
mod measure;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use calls::Calls;
use lambda::Run;
use measure::chart::{Chart, Panel, Role, Row};
use measure::peer::{self, Id, Peer, Peers};
use measure::record::{Figure, Judge};
use measure::server::{self, Server};
use measure::settings::{self, Amount};
use measure::stats::{float, median, median_error_percent, percentile, ratios};
use measure::table::{Table, error, figure, kib, ratio, size, tenths};
use measure::{Outcome, machine, process, report, request};

const SERVERS: [Id; 9] = [
    Id::Fnboot,
    Id::FloorBlockingPie,
    Id::FloorBlocking,
    Id::Floor,
    Id::HyperSmallest,
    Id::HyperSpeed,
    Id::Nginx,
    Id::Go,
    Id::LambdaRuntime,
];

const ROUNDS: Amount = ("MEASURE_ROUNDS", 200);

/// What was measured for one server, a value per round.
struct Series {
    server: Id,
    us: Vec<f64>,
    minor_faults: Vec<f64>,
    peak_rss_kib: Vec<f64>,
    refused: Vec<f64>,
    calls: Option<Calls>,
    file_bytes: u64,
    zip_bytes: u64,
}

fn main() -> ExitCode {
    measure::run(measure_all)
}

fn measure_all() -> Outcome<()> {
    // Missed now rather than after the peers are built.
    peer::installed("strace", "strace")?;
    let round_count = settings::number(ROUNDS)?;
    let mut peers = peer::prepare(&SERVERS)?;
    let lambda_runtime = peers.all.pop_if(|peer| peer.id == Id::LambdaRuntime);
    machine::pin(settings::cores()?.client)?;

    let call = request::call(&request::event(11));
    eprintln!("packing them takes a while, too");
    let mut series = peers
        .all
        .iter()
        .map(|peer| describe(peer, &call))
        .collect::<Outcome<Vec<_>>>()?;
    let judge = Judge::begin(&peers.missing, &[ROUNDS])?;
    // The first round warms the page cache and is not kept.
    for round in 0..=round_count {
        measure_round(round, &peers, &call, &mut series)?;
        if round == 0 {
            series.iter_mut().for_each(Series::forget);
        }
        if round % 50 == 0 {
            eprintln!("round {round} of {round_count}");
        }
    }
    let fnboot = peers.all.iter().find(|peer| peer.id == Id::Fnboot);
    // One without the other says nothing.
    let functions: Vec<&Peer> = fnboot
        .zip(lambda_runtime.as_ref())
        .map_or(Vec::new(), |(ours, theirs)| vec![ours, theirs]);
    let mut functions = measure_functions(&peers.launcher, &functions, round_count)?;
    functions.sort_by_key(|one| one.runtime != Id::Fnboot);
    show(&series, round_count)?;
    show_functions(&functions, round_count)?;
    if judge.is_for_readme(&figures(&series, &functions))? {
        write(&series, &functions, round_count)?;
    }
    Ok(())
}

/// What does not change from round to round.
fn describe(peer: &Peer, call: &[u8]) -> Outcome<Series> {
    let calls = calls::count(peer, call);
    if let Err(error) = &calls {
        eprintln!(
            "system calls of {} are not counted: {error}",
            peer.id.label()
        );
    }
    Ok(Series {
        server: peer.id,
        us: Vec::new(),
        minor_faults: Vec::new(),
        peak_rss_kib: Vec::new(),
        refused: Vec::new(),
        calls: calls.ok(),
        file_bytes: fs::metadata(&peer.program)?.len(),
        zip_bytes: zip_bytes(&peer.program)?,
    })
}

/// Size of a zip archive that holds the program and nothing else, packed with as much effort as
/// `make package` takes.
fn zip_bytes(program: &Path) -> Outcome<u64> {
    let content = fs::read(program)?;
    let passes = (16 * 1024 * 1024 / content.len().max(1)).clamp(5, 255);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated)
        .compression_level(Some(9 + i64::try_from(passes)?))
        .with_zopfli_buffer(Some(content.len() + 1));
    archive.start_file("bootstrap", options)?;
    archive.write_all(&content)?;
    Ok(u64::try_from(archive.finish()?.into_inner().len())?)
}

fn measure_round(round: usize, peers: &Peers, call: &[u8], series: &mut [Series]) -> Outcome<()> {
    let core = settings::cores()?.server;
    let server_count = peers.all.len();
    for turn in 0..server_count {
        let index = (round + turn) % server_count;
        let peer = &peers.all[index];
        measure_start(&peers.launcher, peer, core, call, &mut series[index])
            .map_err(|error| format!("{}: {error}", peer.id.label()))?;
    }
    Ok(())
}

fn measure_start(
    launcher: &Path,
    peer: &Peer,
    core: usize,
    call: &[u8],
    series: &mut Series,
) -> Outcome<()> {
    let mut server = Server::start(launcher, peer, core)?;
    let (mut stream, refused_count) = server.connect()?;
    let (answer, answered_ns) = server::exchange(&mut stream, call)?;
    let minor_faults = process::minor_faults(server.id())?;
    let peak_rss_kib = process::status(server.id(), "VmHWM")?;
    let start = server.started()?;
    if answer != request::event(11) {
        return Err("the answer is not the event".into());
    }
    series.us.push(float(answered_ns - start.at_ns) / 1e3);
    series
        .minor_faults
        .push(float(minor_faults - start.minor_faults));
    series.peak_rss_kib.push(float(peak_rss_kib));
    series.refused.push(f64::from(refused_count));
    Ok(())
}

/// What was measured for one runtime of Lambda, a value per round.
struct Function {
    runtime: Id,
    runs: Vec<Run>,
    file_bytes: u64,
    zip_bytes: u64,
}

fn measure_functions(
    launcher: &Path,
    peers: &[&Peer],
    round_count: usize,
) -> Outcome<Vec<Function>> {
    let mut functions = Vec::new();
    for peer in peers {
        functions.push(Function {
            runtime: peer.id,
            runs: Vec::new(),
            file_bytes: fs::metadata(&peer.program)?.len(),
            zip_bytes: zip_bytes(&peer.program)?,
        });
    }
    // The first round is not kept, here either.
    for round in 0..=round_count {
        for turn in 0..peers.len() {
            let index = (round + turn) % peers.len();
            let run = lambda::run(launcher, peers[index])
                .map_err(|error| format!("{}: {error}", peers[index].id.label()))?;
            if round > 0 {
                functions[index].runs.push(run);
            }
        }
    }
    Ok(functions)
}

impl Function {
    fn values(&self, of: fn(&Run) -> f64) -> Vec<f64> {
        self.runs.iter().map(of).collect()
    }

    /// A value in times of another runtime's, round by round.
    fn ratios(&self, other: &Self, of: fn(&Run) -> f64) -> Vec<f64> {
        ratios(&self.values(of), &other.values(of))
    }

    fn to(&self, other: &Self, of: fn(&Run) -> f64) -> f64 {
        median(&self.ratios(other, of))
    }
}

impl Series {
    fn forget(&mut self) {
        for values in [
            &mut self.us,
            &mut self.minor_faults,
            &mut self.peak_rss_kib,
            &mut self.refused,
        ] {
            values.clear();
        }
    }

    /// Time in times of another server's, round by round; empty without that server.
    fn ratios(&self, other: Id, all: &[Self]) -> Vec<f64> {
        let other = all.iter().find(|one| one.server == other);
        other.map_or(Vec::new(), |other| ratios(&self.us, &other.us))
    }

    /// Their median; not a number without that server.
    fn to(&self, other: Id, all: &[Self]) -> f64 {
        median(&self.ratios(other, all))
    }
}

fn show(series: &[Series], round_count: usize) -> Outcome<()> {
    let how = format!(
        "`make coldstart`: from execve to the first answer to a POST of 11 bytes with FC's \
         headers; one core for the server, one for the client; {round_count} rounds, interleaved.",
    );
    report::publish("coldstart", &how, &table(series).markdown(), &rows(series))?;
    let row = |one: &Series| Row {
        label: one.server.label().to_owned(),
        role: match one.server {
            Id::Fnboot => Role::Ours,
            Id::Floor | Id::FloorBlocking | Id::FloorBlockingPie => Role::Floor,
            _ => Role::Peer,
        },
        values: vec![Some(median(&one.us)), Some(kib(one.zip_bytes))],
    };
    let chart = Chart {
        title: "Cold start and package, less is better",
        subtitle: &format!("Median of {round_count} starts. {}.", machine::name()),
        panels: vec![
            Panel {
                heading: "execve to first answer, µs".into(),
                figure,
            },
            Panel {
                heading: "package (zip), KiB".into(),
                figure: tenths,
            },
        ],
        rows: series.iter().map(row).collect(),
    };
    chart.draw("coldstart")
}

/// Everything that the README shows of a run.
fn write(series: &[Series], functions: &[Function], round_count: usize) -> Outcome<()> {
    let how = format!("Medians of {round_count} starts.");
    report::show_in_readme("coldstart", &how, &summary(series).markdown())?;
    report::show_picture("coldstart")?;
    if let Some(table) = functions_table(functions) {
        let how = format!("Medians of {round_count} starts and 200 events each.");
        report::show_in_readme("lambda", &how, &table.markdown())?;
    }
    Ok(())
}

/// The times that the README shows.
fn figures(series: &[Series], functions: &[Function]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for one in series {
        let mut add = |what: &str, values: &[f64]| {
            let name = format!("{}, {what}", one.server.label());
            figures.push(Figure::new(name, values));
        };
        add("cold start µs", &one.us);
        add("× floor", &one.ratios(Id::FloorBlockingPie, series));
        add("× no PIE", &one.ratios(Id::FloorBlocking, series));
    }
    let mut add = |what: &str, of: fn(&Run) -> f64| {
        for one in functions {
            let name = format!("Lambda, {}, {what}", one.runtime.label());
            figures.push(Figure::new(name, &one.values(of)));
        }
        if let [fnboot, other] = functions {
            let name = format!("Lambda, fnboot's ratio, {what}");
            figures.push(Figure::new(name, &fnboot.ratios(other, of)));
        }
    };
    add("µs to the first next", |run| run.to_next_us);
    add("µs per event", |run| run.event_us);
    add("CPU µs per event", |run| run.processor_us);
    figures
}

/// The table that the README shows.
fn summary(series: &[Series]) -> Table {
    let mut table = Table::new(&[
        "server",
        "file",
        "zip",
        "cold start µs",
        "× floor",
        "× no PIE",
        "minor faults",
        "peak RSS",
    ]);
    for one in series {
        table.rows.push(vec![
            one.server.label().to_owned(),
            size(one.file_bytes),
            size(one.zip_bytes),
            figure(median(&one.us)),
            ratio(one.to(Id::FloorBlockingPie, series)),
            ratio(one.to(Id::FloorBlocking, series)),
            format!("{:.0}", median(&one.minor_faults)),
            format!("{} KiB", figure(median(&one.peak_rss_kib))),
        ]);
    }
    table
}

fn table(series: &[Series]) -> Table {
    let mut table = Table::new(&[
        "server",
        "median µs",
        "± %",
        "p99 µs",
        "× floor",
        "± %",
        "× no PIE",
        "× smallest hyper",
        "minor faults",
        "system calls to wait / answer",
        "peak RSS KiB",
        "file",
        "zip",
    ]);
    for one in series {
        let calls = one
            .calls
            .map(|calls| format!("{} / {}", calls.to_wait, calls.to_answer));
        table.rows.push(vec![
            one.server.label().to_owned(),
            figure(median(&one.us)),
            error(&one.us),
            figure(percentile(&one.us, 99)),
            ratio(one.to(Id::FloorBlockingPie, series)),
            error(&one.ratios(Id::FloorBlockingPie, series)),
            ratio(one.to(Id::FloorBlocking, series)),
            ratio(one.to(Id::HyperSmallest, series)),
            format!("{:.0}", median(&one.minor_faults)),
            calls.unwrap_or_default(),
            figure(median(&one.peak_rss_kib)),
            size(one.file_bytes),
            size(one.zip_bytes),
        ]);
    }
    table
}

fn rows(series: &[Series]) -> Vec<Value> {
    let row = |one: &Series| {
        json!({
            "server": one.server.word(),
            "median_us": median(&one.us),
            "median_error_percent": median_error_percent(&one.us),
            "p99_us": percentile(&one.us, 99),
            "to_floor": one.to(Id::FloorBlockingPie, series),
            "to_floor_without_pie": one.to(Id::FloorBlocking, series),
            "to_smallest_hyper": one.to(Id::HyperSmallest, series),
            "minor_faults": median(&one.minor_faults),
            "calls_to_wait": one.calls.map(|calls| calls.to_wait),
            "calls_to_answer": one.calls.map(|calls| calls.to_answer),
            "peak_rss_kib": median(&one.peak_rss_kib),
            "refused_connections": median(&one.refused),
            "file_bytes": one.file_bytes,
            "zip_bytes": one.zip_bytes,
        })
    };
    series.iter().map(row).collect()
}

fn show_functions(functions: &[Function], round_count: usize) -> Outcome<()> {
    let ([fnboot, other], Some(table)) = (functions, functions_table(functions)) else {
        return Ok(()); // One of them was not wanted, or cannot be had.
    };
    let how = format!(
        "`make coldstart`: the same programs as Lambda functions; from execve to the first question \
         for an event, from an event to the next question, RSS after 220 events; in brackets in \
         times of the other; {round_count} rounds, interleaved.",
    );
    let row = |one: &Function| {
        json!({
            "runtime": one.runtime.word(),
            "to_next_us": median(&one.values(|run| run.to_next_us)),
            "event_us": median(&one.values(|run| run.event_us)),
            "processor_us": median(&one.values(|run| run.processor_us)),
            "rss_kib": median(&one.values(|run| run.rss_kib)),
            "to_next_ratio": one.to(other, |run| run.to_next_us),
            "event_ratio": one.to(other, |run| run.event_us),
            "rss_ratio": one.to(other, |run| run.rss_kib),
            "file_bytes": one.file_bytes,
            "zip_bytes": one.zip_bytes,
        })
    };
    let rows = [row(fnboot), row(other)];
    report::publish("lambda", &how, &table.markdown(), &rows)
}

/// The runtimes of Lambda, if both were measured.
fn functions_table(functions: &[Function]) -> Option<Table> {
    let [_, other] = functions else {
        return None;
    };
    let mut table = Table::new(&[
        "Lambda runtime",
        "file",
        "zip",
        "to the first `next`, µs",
        "µs per event",
        "of it CPU",
        "RSS",
    ]);
    let part = |one: &Function, of| {
        let own = figure(median(&one.values(of)));
        match one.runtime {
            Id::Fnboot => format!("{own} ({})", ratio(one.to(other, of))),
            _ => own,
        }
    };
    for one in functions {
        table.rows.push(vec![
            one.runtime.label().to_owned(),
            size(one.file_bytes),
            size(one.zip_bytes),
            part(one, |run| run.to_next_us),
            part(one, |run| run.event_us),
            part(one, |run| run.processor_us),
            format!("{} KiB", part(one, |run| run.rss_kib)),
        ]);
    }
    Some(table)
}
