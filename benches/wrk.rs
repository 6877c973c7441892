//! End to end: the shipped program against others under load, `make wrk`.
//!
//! One core for the server, one for `wrk`. In each round every server is started anew, and within
//! one kind of call the servers follow each other directly, so that what disturbs the machine
//! disturbs all. The honest figure is the server's processor time per call: requests per second and
//! latencies are the client's too.
//!
//! Nothing else may run meanwhile: a real-time priority does not help here, it keeps the kernel's own
//! threads from their share of the work.
//!
//! | variable | default | |
//! |---|---|---|
//! | `BOOTSTRAP` | `pkg/bootstrap` | the program that ships |
//! | `MEASURE_ROUNDS` | 7 | rounds, of which the medians are shown |
//! | `MEASURE_SECONDS` | 1 | seconds of load per figure and round |
//! | `MEASURE_SERVERS` | all | `fnboot,floor,hyper-speed,hyper-smallest,nginx,nginx-echo,go` |
//! | `MEASURE_EVENTS` | `11,4096,1048576` | bytes of the event |
//! | `MEASURE_CONNECTIONS` | `1,16,64` | |
//! | `MEASURE_CORES` | `0,1` | the server's core, the client's core |
//! | `MEASURE_WRITE` | | `anyway`: see below |
//!
//! The README and its picture are written only by a run that had every server, no smaller amount of
//! anything than by default, and a quiet machine: each processor time and each ratio to the floor
//! that the README shows is a median that is hardly off, and others had hardly any of the machine's
//! time (`measure/record.rs` has the bounds). Any other run shows its tables, says what speaks
//! against it, and fails unless a variable made it another one. `MEASURE_WRITE=anyway` writes all
//! the same, and measures without the servers that are missing.

#[path = "measure/load.rs"]
mod load;
mod measure;

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use load::Load;
use measure::chart::{Chart, Panel, Role, Row};
use measure::peer::{self, Id, Peer, Peers};
use measure::record::{Figure, Judge};
use measure::server::{self, Server};
use measure::settings::{self, Amount};
use measure::stats::{float, median, median_error_percent, ratios};
use measure::table::{self, Table, error, figure, ratio};
use measure::{Outcome, machine, process, report, request};

const SERVERS: [Id; 7] = [
    Id::Fnboot,
    Id::Floor,
    Id::HyperSpeed,
    Id::HyperSmallest,
    Id::Nginx,
    Id::NginxEcho,
    Id::Go,
];

const ROUNDS: Amount = ("MEASURE_ROUNDS", 7);
const SECONDS: Amount = ("MEASURE_SECONDS", 1);

/// One kind of call.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell {
    event_bytes: usize,
    connection_count: usize,
}

/// What was measured for one server and one kind of call, a value per round.
struct Series {
    server: Id,
    cell: Cell,
    calls_per_second: Vec<f64>,
    p50_us: Vec<f64>,
    p99_us: Vec<f64>,
    processor_us: Vec<f64>,
    /// Part of the processor time that was user mode, from 0 to 1.
    user_part: Vec<f64>,
}

fn main() -> ExitCode {
    measure::run(measure_all)
}

fn measure_all() -> Outcome<()> {
    let round_count = settings::number(ROUNDS)?;
    let load = Load::new(settings::number(SECONDS)?)?;
    let cells = cells()?;
    let peers = peer::prepare(&SERVERS)?;
    machine::pin(settings::cores()?.client)?;

    let judge = Judge::begin(&peers.missing, &[ROUNDS, SECONDS])?;
    let mut series = Vec::new();
    for round in 0..round_count {
        eprintln!("round {} of {round_count}", round + 1);
        measure_round(round, &load, &peers, &cells, &mut series)?;
    }
    show(&series, &cells, round_count, &judge)
}

fn cells() -> Outcome<Vec<Cell>> {
    let events: Vec<usize> = settings::list("MEASURE_EVENTS", &[11, 4096, 1 << 20])?;
    let connections: Vec<usize> = settings::list("MEASURE_CONNECTIONS", &[1, 16, 64])?;
    let cells = events.iter().flat_map(|&event_bytes| {
        connections.iter().map(move |&connection_count| Cell {
            event_bytes,
            connection_count,
        })
    });
    Ok(cells.collect())
}

fn measure_round(
    round: usize,
    load: &Load,
    peers: &Peers,
    cells: &[Cell],
    series: &mut Vec<Series>,
) -> Outcome<()> {
    let core = settings::cores()?.server;
    let start = |peer| Ok((peer, Server::start(&peers.launcher, peer, core)?));
    let mut servers = peers
        .all
        .iter()
        .map(start)
        .collect::<Outcome<Vec<(&Peer, Server)>>>()?;
    // No server always follows the same other one.
    let first = round % servers.len().max(1);
    servers.rotate_left(first);
    for &cell in cells {
        for (peer, server) in servers
            .iter()
            .filter(|(peer, _)| peer.id.answers(cell.event_bytes))
        {
            let word = peer.id.word();
            measure_cell(peer.id, server, load, cell, series)
                .map_err(|error| format!("{word}, {}: {error}", cell.name()))?;
        }
    }
    Ok(())
}

fn measure_cell(
    id: Id,
    server: &Server,
    load: &Load,
    cell: Cell,
    series: &mut Vec<Series>,
) -> Outcome<()> {
    check(server, cell.event_bytes)?;
    let ticks_before = process::processor_ticks(server.id())?;
    let ns_before = process::processor_ns(server.id())?;
    let seen = load.run(server.port(), cell.event_bytes, cell.connection_count)?;
    let ns = process::processor_ns(server.id())? - ns_before;
    let ticks = process::processor_ticks(server.id())?;

    let (user, kernel) = (
        float(ticks.0 - ticks_before.0),
        float(ticks.1 - ticks_before.1),
    );
    let processor_us = float(ns) / 1e3 / float(seen.call_count);
    let series = of(series, id, cell);
    series.calls_per_second.push(seen.calls_per_second);
    series.p50_us.push(seen.p50_us);
    series.p99_us.push(seen.p99_us);
    series.processor_us.push(processor_us);
    series.user_part.push(user / (user + kernel).max(1.0));
    eprintln!(
        "  {:<24} {:<15} {:>9} calls/s {:>7} µs",
        cell.name(),
        id.word(),
        figure(seen.calls_per_second),
        figure(processor_us)
    );
    Ok(())
}

/// A server that does not echo is not measured.
fn check(server: &Server, event_bytes: usize) -> Outcome<()> {
    let event = request::event(event_bytes);
    let (mut stream, _) = server.connect()?;
    let (answer, _) = server::exchange(&mut stream, &request::call(&event))?;
    if answer == event {
        Ok(())
    } else {
        Err("the answer is not the event".into())
    }
}

fn of(series: &mut Vec<Series>, server: Id, cell: Cell) -> &mut Series {
    let index = series
        .iter()
        .position(|one| one.server == server && one.cell == cell);
    let index = index.unwrap_or_else(|| {
        series.push(Series::new(server, cell));
        series.len() - 1
    });
    &mut series[index]
}

impl Cell {
    fn name(self) -> String {
        let event = table::bytes(self.event_bytes);
        match self.connection_count {
            1 => format!("{event}, 1 connection"),
            count => format!("{event}, {count} connections"),
        }
    }
}

impl Series {
    fn new(server: Id, cell: Cell) -> Self {
        Self {
            server,
            cell,
            calls_per_second: Vec::new(),
            p50_us: Vec::new(),
            p99_us: Vec::new(),
            processor_us: Vec::new(),
            user_part: Vec::new(),
        }
    }

    fn user_us(&self) -> f64 {
        let parts = self.processor_us.iter().zip(&self.user_part);
        median(&parts.map(|(us, part)| us * part).collect::<Vec<_>>())
    }

    /// Processor time in times of the floor's, round by round; empty without a floor.
    fn floor_ratios(&self, all: &[Self]) -> Vec<f64> {
        let floor = all
            .iter()
            .find(|one| one.server == Id::Floor && one.cell == self.cell);
        floor.map_or(Vec::new(), |floor| {
            ratios(&self.processor_us, &floor.processor_us)
        })
    }

    /// Their median; not a number without a floor.
    fn to_floor(&self, all: &[Self]) -> f64 {
        median(&self.floor_ratios(all))
    }
}

fn show(series: &[Series], cells: &[Cell], round_count: usize, judge: &Judge) -> Outcome<()> {
    let how = format!(
        "`make wrk`: POST of an event with FC's headers, answered with itself; one core for the \
         server, one for wrk; medians of {round_count} rounds, interleaved.",
    );
    let connection_count = usual(cells);
    let mut markdown = format!(
        "At {connection_count} connections; CPU is the server's time per call, and in times of the \
         floor's. Calls per second and latencies are those of the smallest event:\n\n"
    );
    markdown += &summary(series, cells, connection_count).markdown();
    for &cell in cells {
        write!(
            markdown,
            "\n{}:\n\n{}",
            cell.name(),
            detail(series, cell).markdown()
        )?;
    }
    report::publish("wrk", &how, &markdown, &rows(series))?;
    draw(series, cells, connection_count)?;
    if judge.is_for_readme(&figures(series, connection_count))? {
        let summary = summary(series, cells, connection_count);
        let how = format!("Medians of {round_count} rounds; wrk on another core.");
        report::show_in_readme("wrk", &how, &summary.markdown())?;
        report::show_picture("wrk")?;
    }
    Ok(())
}

/// What the README shows and what must be steady for it. Latencies and calls per second are not in
/// it: they are the client's too.
fn figures(series: &[Series], connection_count: usize) -> Vec<Figure> {
    let shown = series
        .iter()
        .filter(|one| one.cell.connection_count == connection_count);
    let figures = shown.flat_map(|one| {
        let name = format!("{}, {}", one.server.label(), one.cell.name());
        [
            Figure::new(format!("{name}, CPU µs"), &one.processor_us),
            Figure::new(format!("{name}, × floor"), &one.floor_ratios(series)),
        ]
    });
    figures.collect()
}

/// The number of connections that the summary and the picture are about.
fn usual(cells: &[Cell]) -> usize {
    let mut counts = cells.iter().map(|cell| cell.connection_count);
    counts
        .clone()
        .find(|&count| count == 16)
        .or_else(|| counts.next())
        .unwrap_or(0)
}

/// The table that the README shows: a row per server, processor time for each event, the rest for
/// the first one.
fn summary(series: &[Series], cells: &[Cell], connection_count: usize) -> Table {
    let cells: Vec<Cell> = cells
        .iter()
        .copied()
        .filter(|cell| cell.connection_count == connection_count)
        .collect();
    let mut table = Table::new(&["server", "calls/s", "p50 / p99 µs"]);
    table.head.extend(
        cells
            .iter()
            .map(|cell| format!("CPU µs, {}", table::bytes(cell.event_bytes))),
    );
    for server in SERVERS {
        let of_cell = |&cell| {
            series
                .iter()
                .find(|one| one.server == server && one.cell == cell)
        };
        let Some(first) = cells.first().and_then(of_cell) else {
            continue;
        };
        let mut row = vec![
            server.label().to_owned(),
            figure(median(&first.calls_per_second)),
            format!(
                "{:.0} / {:.0}",
                median(&first.p50_us),
                median(&first.p99_us)
            ),
        ];
        row.extend(cells.iter().map(|cell| match of_cell(cell) {
            Some(one) => {
                format!(
                    "{} ({})",
                    figure(median(&one.processor_us)),
                    ratio(one.to_floor(series))
                )
            }
            None => String::new(),
        }));
        table.rows.push(row);
    }
    table
}

/// Everything about one kind of call.
fn detail(series: &[Series], cell: Cell) -> Table {
    let mut table = Table::new(&[
        "server",
        "calls/s",
        "p50 µs",
        "p99 µs",
        "CPU µs per call",
        "of it user",
        "× floor",
        "± %",
    ]);
    let of_cell = |server| {
        series
            .iter()
            .find(|one| one.server == server && one.cell == cell)
    };
    for one in SERVERS.into_iter().filter_map(of_cell) {
        table.rows.push(vec![
            one.server.label().to_owned(),
            figure(median(&one.calls_per_second)),
            format!("{:.0}", median(&one.p50_us)),
            format!("{:.0}", median(&one.p99_us)),
            figure(median(&one.processor_us)),
            figure(one.user_us()),
            ratio(one.to_floor(series)),
            error(&one.floor_ratios(series)),
        ]);
    }
    table
}

fn rows(series: &[Series]) -> Vec<Value> {
    let row = |one: &Series| {
        json!({
            "server": one.server.word(),
            "event_bytes": one.cell.event_bytes,
            "connection_count": one.cell.connection_count,
            "calls_per_second": median(&one.calls_per_second),
            "p50_us": median(&one.p50_us),
            "p99_us": median(&one.p99_us),
            "processor_us": median(&one.processor_us),
            "processor_user_us": one.user_us(),
            "processor_error_percent": median_error_percent(&one.processor_us),
            "processor_to_floor": one.to_floor(series),
            "processor_to_floor_error_percent": median_error_percent(&one.floor_ratios(series)),
            "processor_us_rounds": one.processor_us,
        })
    };
    series.iter().map(row).collect()
}

fn draw(series: &[Series], cells: &[Cell], connection_count: usize) -> Outcome<()> {
    let cells = cells
        .iter()
        .filter(|cell| cell.connection_count == connection_count);
    let cells: Vec<Cell> = cells.copied().collect();
    let row = |server: &Id| Row {
        label: server.label().to_owned(),
        role: match server {
            Id::Fnboot => Role::Ours,
            Id::Floor => Role::Floor,
            _ => Role::Peer,
        },
        values: cells
            .iter()
            .map(|&cell| {
                series
                    .iter()
                    .find(|one| one.server == *server && one.cell == cell)
            })
            .map(|one| one.map(|one| median(&one.processor_us)))
            .collect(),
    };
    let chart = Chart {
        title: "CPU time per call in µs, less is better",
        subtitle: &format!(
            "POST with Function Compute's headers, answered with itself; {connection_count} \
             connections. {}.",
            machine::name()
        ),
        panels: cells
            .iter()
            .map(|cell| Panel {
                heading: table::bytes(cell.event_bytes),
                figure,
            })
            .collect(),
        rows: SERVERS
            .iter()
            .map(row)
            .filter(|row| row.values.iter().any(Option::is_some))
            .collect(),
    };
    chart.draw("wrk")
}
