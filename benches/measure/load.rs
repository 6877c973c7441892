//! `wrk`, the load generator: <https://github.com/wg/wrk>.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::measure::stats::float;
use crate::measure::{Outcome, peer, request, settings};

/// The program, and where its scripts lie.
pub(crate) struct Load {
    program: PathBuf,
    directory: PathBuf,
    seconds: usize,
}

/// What the client saw.
pub(crate) struct Seen {
    pub(crate) call_count: u64,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Load {
    pub(crate) fn new(seconds: usize) -> Outcome<Self> {
        Ok(Self {
            program: peer::installed("wrk", "wrk")?,
            directory: settings::output()?,
            seconds,
        })
    }

    /// Calls with one event over and over again, on so many connections.
    ///
    /// # Errors
    /// Any call that fails.
    pub(crate) fn run(
        &self,
        port: u16,
        event_bytes: usize,
        connection_count: usize,
    ) -> Outcome<Seen> {
        let output = Command::new(&self.program)
            .args(["--threads", "1", "--timeout", "10s"])
            .args(["--connections", &connection_count.to_string()])
            .args(["--duration", &format!("{}s", self.seconds)])
            .arg("--script")
            .arg(self.script(event_bytes)?)
            .arg(format!("http://127.0.0.1:{port}/invoke"))
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let measured = text.lines().find_map(|line| line.strip_prefix("measured "));
        let numbers = measured
            .ok_or_else(|| format!("wrk said: {text}"))?
            .split(' ');
        let numbers: Vec<u64> = numbers.map(str::parse).collect::<Result<_, _>>()?;
        let [call_count, us, p50_us, p99_us, error_count] = numbers[..] else {
            return Err(format!("wrk said: {text}").into());
        };
        if error_count > 0 || call_count == 0 {
            return Err(format!("{error_count} of {call_count} calls failed").into());
        }
        let [calls, us, p50_us, p99_us] = [call_count, us, p50_us, p99_us].map(float);
        Ok(Seen {
            call_count,
            calls_per_second: calls / us * 1e6,
            p50_us,
            p99_us,
        })
    }

    /// The script of one size of events, written anew.
    ///
    /// It defines no `request` and no `response`, so that `wrk` runs no Lua while it measures.
    fn script(&self, event_bytes: usize) -> Outcome<PathBuf> {
        let event = self.directory.join(format!("event-{event_bytes}"));
        fs::write(&event, request::event(event_bytes))?;
        let mut script = String::from("wrk.method = \"POST\"\n");
        for (name, value) in request::fields() {
            writeln!(script, "wrk.headers[\"{name}\"] = \"{value}\"")?;
        }
        writeln!(
            script,
            "wrk.body = io.open({:?}, \"rb\"):read(\"*a\")",
            event.display().to_string()
        )?;
        script += "\
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format(\"measured %d %d %d %d %d\", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), failed))
end
";
        let path = self.directory.join(format!("event-{event_bytes}.lua"));
        fs::write(&path, script)?;
        Ok(path)
    }
}
