//! System calls until a server waits, and until it answers: `strace`.

use std::collections::HashMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::measure::peer::{self, Peer};
use crate::measure::server::{connect, exchange};
use crate::measure::{Outcome, machine, port, settings};

/// Calls that wait for clients, if they wait.
const WAITS: [&str; 10] = [
    "accept",
    "accept4",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "io_uring_enter",
    "poll",
    "ppoll",
    "pselect6",
    "select",
];
/// Calls that can carry an answer.
const SENDS: [&str; 6] = [
    "pwritev2", "sendmsg", "sendmmsg", "sendto", "write", "writev",
];

/// How long nobody calls after the server listens: a call that lasts as long as half of it waited.
const SILENCE: Duration = Duration::from_millis(200);

/// Calls counted from after `execve` returned, all threads together.
#[derive(Clone, Copy)]
pub(crate) struct Calls {
    /// Up to and including the first that waited for a client.
    pub(crate) to_wait: usize,
    /// Up to and including the last that sent the answer.
    pub(crate) to_answer: usize,
}

/// Counts the calls of one server that is started and called once.
pub(crate) fn count(peer: &Peer, call: &[u8]) -> Outcome<Calls> {
    let strace = peer::installed("strace", "strace")?;
    let log = settings::output()?.join(format!("{}.strace", peer.id.word()));
    let port = port::free()?;
    let cores = settings::cores()?;
    // As in the timed rounds: what the client does must not wait for the server, nor for strace.
    machine::pin(cores.server)?;
    let mut tracer = Command::new(strace)
        .args(["-f", "-T", "-q", "-s", "64", "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(&peer.program)
        .args(peer.arguments(port)?)
        .env_clear()
        .env("FC_SERVER_PORT", port.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    machine::pin(cores.client)?;
    let answered = call_once(port, call);
    end(&fs::read_to_string(&log)?)?;
    tracer.wait()?;
    answered?;
    parse(&fs::read_to_string(&log)?).ok_or_else(|| format!("cannot read {}", log.display()).into())
}

fn call_once(port: u16, call: &[u8]) -> Outcome<()> {
    // Whether it listens shows in the kernel's table: a first connection would end the wait.
    while !listens(port)? {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(SILENCE);
    let (mut stream, _) = connect(port)?;
    exchange(&mut stream, call)?;
    // What the server does after it answered is not looked at, but an answer in two parts is.
    std::thread::sleep(SILENCE / 4);
    Ok(())
}

fn listens(port: u16) -> Outcome<bool> {
    const LISTEN: &str = "0A";
    let local = format!(":{port:04X}");
    let mut sockets = fs::read_to_string("/proc/net/tcp")?;
    sockets += &fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    Ok(sockets.lines().any(|line| {
        let mut words = line.split_whitespace();
        words
            .nth(1)
            .is_some_and(|address| address.ends_with(&local))
            && words.nth(1) == Some(LISTEN)
    }))
}

/// Ends the traced process, the first of the log, and so its tracer.
fn end(log: &str) -> Outcome<()> {
    let id = log.split(' ').next().unwrap_or_default().parse()?;
    kill_process(
        Pid::from_raw(id).ok_or("a log without a process")?,
        Signal::KILL,
    )?;
    Ok(())
}

/// Reads a log of `strace -f -T`: one line per call, or two if another thread's came between.
fn parse(log: &str) -> Option<Calls> {
    let mut begun: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut count = 0;
    let mut to_wait = None;
    let mut answer: Option<(usize, &str)> = None;
    for line in log.lines().skip(1) {
        let (thread, rest) = line.split_once(' ')?;
        let rest = rest.trim_start();
        let (index, name) = if rest.starts_with("<... ") {
            begun.remove(thread)?
        } else if let Some((name, arguments)) = rest.split_once('(') {
            count += 1;
            let fd = arguments.split([',', ')']).next().unwrap_or_default();
            let is_answer = match answer {
                Some((_, answer_fd)) => answer_fd == fd,
                None => rest.contains("\"HTTP/1."),
            };
            if is_answer && SENDS.contains(&name) {
                answer = Some((count, fd));
            }
            (count, name)
        } else {
            continue; // "+++ exited" and the like.
        };
        if rest.ends_with("<unfinished ...>") {
            begun.insert(thread, (index, name));
        } else if to_wait.is_none() && WAITS.contains(&name) && waited(rest) {
            to_wait = Some(index);
        }
    }
    Some(Calls {
        to_wait: to_wait?,
        to_answer: answer?.0,
    })
}

/// True if a finished call lasted for a good part of the silence.
fn waited(line: &str) -> bool {
    let seconds = line
        .rsplit_once('<')
        .and_then(|(_, end)| end.strip_suffix('>'));
    let seconds: f64 = seconds
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0.0);
    seconds > SILENCE.as_secs_f64() / 2.0
}
