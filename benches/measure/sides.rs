//! What answers events in some way: a server, a runtime of Lambda, a loop over pipes, a loop that starts a
//! process for each.
//!
//! All of it runs on the core of this process: at one event at a time nothing runs side by side, and what it
//! takes to wake another core is the machine's, not a runtime's.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lambda::{self, Api};
use crate::measure::server::{self, PATIENCE};
use crate::measure::{Outcome, port, process, request};

/// A process that is killed when this is dropped.
pub(crate) struct Process(Child);

/// What answers events, one at a time.
pub(crate) enum Side {
    /// A server, over one connection that stays.
    Server { process: Process, stream: TcpStream },
    /// A runtime that asks for events.
    Runtime {
        _process: Process,
        api: Api,
        count: usize,
    },
    /// A loop that reads a line and writes one.
    Lines {
        _process: Process,
        to: ChildStdin,
        from: BufReader<ChildStdout>,
    },
    /// The loop that starts a program for each event; it takes its own time.
    Starts { program: PathBuf, started: PathBuf },
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts a command in a directory, with no environment but a `PATH` and what it has of its own.
    pub(crate) fn start(command: &mut Command, directory: &Path) -> Outcome<Self> {
        let own: Vec<_> = command
            .get_envs()
            .map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_owned()))
            .collect();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(own)
            .current_dir(directory);
        Ok(Self(command.spawn()?))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Side {
    /// Starts a server that is told of its port by the variable `port_name`.
    pub(crate) fn server(
        command: &mut Command,
        directory: &Path,
        port_name: &str,
    ) -> Outcome<Self> {
        let port = port::free()?;
        command.env(port_name, port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = Process::start(command, directory)?;
        let stream = connect(port, &mut process)?;
        Ok(Self::Server { process, stream })
    }

    /// Starts a runtime of Lambda.
    pub(crate) fn runtime(command: &mut Command, directory: &Path, handler: &str) -> Outcome<Self> {
        let (listener, address) = lambda::listen()?;
        command.envs(lambda::environment(&address));
        command.env("_HANDLER", handler);
        command.env("LAMBDA_TASK_ROOT", directory);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let process = Process::start(command, directory)?;
        let mut api = Api::wait(listener)?;
        api.next_asked()?;
        Ok(Self::Runtime {
            _process: process,
            api,
            count: 0,
        })
    }

    /// Starts a loop over pipes.
    pub(crate) fn lines(command: &mut Command, directory: &Path) -> Outcome<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command, directory)?;
        let to = process.0.stdin.take().ok_or("no standard input")?;
        let from = process.0.stdout.take().ok_or("no standard output")?;
        Ok(Self::Lines {
            _process: process,
            to,
            from: BufReader::new(from),
        })
    }

    /// How long each of some events takes, in µs: from the event to the whole answer, for a runtime of Lambda
    /// to its next question. Before each there is a pause, but for what takes its own time.
    pub(crate) fn calls(
        &mut self,
        count: usize,
        event: &[u8],
        pause: Duration,
    ) -> Outcome<Vec<f64>> {
        match self {
            Self::Starts { program, started } => starts(program, started, count, event.len()),
            Self::Server { stream, .. } => {
                let call = request::call(event);
                (0..count)
                    .map(|_| timed(pause, || exchange(stream, &call, event)))
                    .collect()
            }
            Self::Lines { to, from, .. } => {
                let line = [event, b"\n"].concat();
                (0..count)
                    .map(|_| timed(pause, || echo_line(to, from, &line)))
                    .collect()
            }
            Self::Runtime {
                api, count: done, ..
            } => {
                *done += count;
                (*done - count..*done)
                    .map(|index| {
                        std::thread::sleep(pause);
                        api.event(index)
                    })
                    .collect()
            }
        }
    }

    /// A figure of a server's memory in KiB: `VmRSS`, `VmHWM`.
    pub(crate) fn memory_kib(&self, figure: &str) -> Outcome<u64> {
        match self {
            Self::Server { process, .. } => process::status(process.id(), figure),
            _ => Err("not a server".into()),
        }
    }
}

/// Connects as soon as the process listens.
fn connect(port: u16, process: &mut Process) -> Outcome<TcpStream> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            return Ok(stream);
        }
        if let Some(status) = process.0.try_wait()? {
            return Err(format!("ended before it listened: {status}").into());
        }
        if Instant::now() > give_up {
            return Err("does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn timed(pause: Duration, call: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
    let before = Instant::now();
    call()?;
    Ok(before.elapsed().as_secs_f64() * 1e6)
}

fn exchange(stream: &mut TcpStream, call: &[u8], event: &[u8]) -> Outcome<()> {
    let (answer, _) = server::exchange(stream, call)?;
    // What a shell says ends with a newline.
    match answer.strip_prefix(event) {
        Some(b"" | b"\n") => Ok(()),
        _ => Err("the answer is not the event".into()),
    }
}

fn echo_line(to: &mut ChildStdin, from: &mut BufReader<ChildStdout>, line: &[u8]) -> Outcome<()> {
    to.write_all(line)?;
    let mut answer = Vec::new();
    from.read_until(b'\n', &mut answer)?;
    if answer == line {
        Ok(())
    } else {
        Err("the answer is not the event".into())
    }
}

fn starts(program: &Path, started: &Path, count: usize, event_bytes: usize) -> Outcome<Vec<f64>> {
    let output = Command::new(program)
        .args([count.to_string(), event_bytes.to_string()])
        .arg(started)
        .env_clear()
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let lines = std::str::from_utf8(&output.stdout)?.lines();
    let ns = lines.map(str::parse::<f64>);
    Ok(ns
        .map(|ns| ns.map(|ns| ns / 1e3))
        .collect::<Result<_, _>>()?)
}
