//! One server while it runs.

use std::io::{PipeReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::peer::Peer;
use super::{Outcome, port, request};

/// How long a server may take to listen, or to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A process that listens, or soon will; killed when this is dropped.
pub(crate) struct Server {
    process: Child,
    report: PipeReader,
    port: u16,
}

/// The moment of `execve`.
pub(crate) struct Start {
    pub(crate) at_ns: u64,
    /// Those of the launcher, which the server's own count continues.
    pub(crate) minor_faults: u64,
}

impl Server {
    /// Starts `peer` on one core, through the launcher, to listen on a free port.
    pub(crate) fn start(launcher: &Path, peer: &Peer, core: usize) -> Outcome<Self> {
        let port = port::free()?;
        Self::launch(
            launcher,
            peer,
            port,
            core,
            &[("FC_SERVER_PORT", &port.to_string())],
        )
    }

    /// Starts `peer` on one core, through the launcher, with that environment and nothing else.
    pub(crate) fn launch(
        launcher: &Path,
        peer: &Peer,
        port: u16,
        core: usize,
        environment: &[(&str, &str)],
    ) -> Outcome<Self> {
        let (report, report_to) = std::io::pipe()?;
        let process = Command::new(launcher)
            .arg(core.to_string())
            .arg(&peer.program)
            .args(peer.arguments(port)?)
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(report_to)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            process,
            report,
            port,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// When and how it began, as the launcher tells.
    pub(crate) fn started(&mut self) -> Outcome<Start> {
        let (mut at_ns, mut minor_faults) = ([0; 8], [0; 8]);
        self.report.read_exact(&mut at_ns)?;
        self.report.read_exact(&mut minor_faults)?;
        let [at_ns, minor_faults] = [at_ns, minor_faults].map(u64::from_ne_bytes);
        Ok(Start {
            at_ns,
            minor_faults,
        })
    }

    /// Connects as soon as it listens; and how often it did not yet.
    pub(crate) fn connect(&self) -> Outcome<(TcpStream, u32)> {
        connect(self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects as soon as somebody listens; and how often nobody did yet.
pub(crate) fn connect(port: u16) -> Outcome<(TcpStream, u32)> {
    let give_up = Instant::now() + PATIENCE;
    let mut refused_count = 0;
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok((stream, refused_count));
            }
            Err(_) if Instant::now() < give_up => refused_count += 1,
            Err(error) => return Err(format!("nobody listens on port {port}: {error}").into()),
        }
        // A refused attempt costs about as much, on the client's core only.
        (0..64).for_each(|_| std::hint::spin_loop());
    }
}

/// One call, until the whole answer is here; the answer's body and when that was.
pub(crate) fn exchange(stream: &mut TcpStream, call: &[u8]) -> Outcome<(Vec<u8>, u64)> {
    if call.len() <= 16 * 1024 {
        stream.write_all(call)?;
        return receive(stream);
    }
    // From another thread, because a server may answer while it still reads.
    let mut sender = stream.try_clone()?;
    std::thread::scope(|scope| {
        let sent = scope.spawn(move || sender.write_all(call));
        let received = receive(stream)?;
        sent.join().map_err(|_| "the sender panicked")??;
        Ok(received)
    })
}

/// An answer, once it is whole: its body and when that was.
pub(crate) fn receive(stream: &mut TcpStream) -> Outcome<(Vec<u8>, u64)> {
    let mut answer = Vec::new();
    let mut piece = [0; 16 * 1024];
    loop {
        let got = stream.read(&mut piece)?;
        let now_ns = now_ns()?;
        if got == 0 {
            return Err("closed before the answer was whole".into());
        }
        answer.extend_from_slice(&piece[..got]);
        if let Some(body) = request::answered(&answer)? {
            return Ok((body, now_ns));
        }
    }
}

/// The clock that the launcher reads too.
pub(crate) fn now_ns() -> Outcome<u64> {
    let now = clock_gettime(ClockId::Monotonic);
    Ok(u64::try_from(now.tv_sec)? * 1_000_000_000 + u64::try_from(now.tv_nsec)?)
}
