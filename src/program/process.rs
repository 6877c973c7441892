//! A program that was started: its process, what it writes, how it ends.

use core::ops::Range;

use super::launch::Launch;
use super::supervisor::{Ready, Supervisor};
use crate::bytes;
use crate::log;
use crate::sys::child::{self, Pid, Signal};
use crate::sys::fd::{Errno, Fd, Io};
use crate::sys::memory::{Mapping, whole_pages};
use crate::sys::pipe::pipe;
use crate::sys::strings::Strings;
use crate::sys::wait::Status;

/// A process, and what it has written that nobody has taken yet.
///
/// Its memory has the log in front, then what an interpreter replies, then the output:
///
/// ```text
///  ┌──────────── LOG_BYTES ───────────┬─ LINE_BYTES ─┐
///  │ tail, passed on │ not passed on  │ reply        │ output …
/// ```
#[derive(Debug)]
pub struct Process {
    pub pid: Pid,
    /// How it ended: then it is reaped.
    pub status: Option<Status>,
    output: Option<Fd>,
    log: Option<Fd>,
    memory: Mapping,
    output_len: usize,
    log_len: usize,
    /// How much of the log was passed on.
    passed_len: usize,
}

/// Where the log of a process is read to.
const LOG_BYTES: usize = 4096;

/// Room for a reply: a longer message is cut.
const LINE_BYTES: usize = 1024;

/// Where the output begins.
const OUTPUT_START: usize = LOG_BYTES + LINE_BYTES;

/// So much of what was passed on stays, because a failure is told by it.
const TAIL_BYTES: usize = 1024;

/// Room for the output at first.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Reads in a row from one process, before others get their turn.
const TURN_COUNT_MAX: usize = 16;

/// Reads of the log of a process that has ended: what is in its pipe, unless somebody fills it again.
const LAST_COUNT_MAX: usize = 1024;

/// What each line of a log is marked with besides the time: a request id, if lines are marked at all.
pub type Mark<'a> = Option<&'a [u8]>;

impl Process {
    /// Starts a program, known by `index`. It has `input` as its standard input, and these descriptors from 3 on.
    ///
    /// # Errors
    /// What the kernel says, to the last step, which is `execve(2)`.
    pub fn start(
        launch: &Launch,
        environment: &Strings,
        input: &Fd,
        more: Option<[&Fd; 3]>,
        supervisor: &Supervisor,
        index: usize,
    ) -> Result<Self, Errno> {
        let memory = Mapping::new(OUTPUT_START + OUTPUT_BYTES)?;
        let ([output, output_end], [log, log_end]) = (pipe()?, pipe()?);
        supervisor.watch(&output, Ready::Output(index))?;
        supervisor.watch(&log, Ready::Log(index))?;
        let [third, fourth, fifth] = more.unwrap_or([input; 3]);
        let descriptors = [input, &output_end, &log_end, third, fourth, fifth];
        let count = if more.is_some() { 6 } else { 3 };
        let descriptors = descriptors.get(..count).unwrap_or_default();
        let pid = child::spawn(launch.path(), &launch.arguments, environment, descriptors)?;
        Ok(Self::new(pid, Some(output), log, memory))
    }

    /// Starts a program that answers over connections, known by `index`: what it writes to standard output is its log, too.
    ///
    /// # Errors
    /// As of [`Process::start`].
    #[cfg(any(feature = "web", feature = "worker"))]
    pub fn start_server(
        launch: &Launch,
        environment: &Strings,
        input: &Fd,
        supervisor: &Supervisor,
        index: usize,
    ) -> Result<Self, Errno> {
        let memory = Mapping::new(OUTPUT_START)?;
        let [log, log_end] = pipe()?;
        supervisor.watch(&log, Ready::Log(index))?;
        let descriptors = [input, &log_end, &log_end];
        let pid = child::spawn(launch.path(), &launch.arguments, environment, &descriptors)?;
        Ok(Self::new(pid, None, log, memory))
    }

    fn new(pid: Pid, output: Option<Fd>, log: Fd, memory: Mapping) -> Self {
        Self {
            pid,
            status: None,
            output,
            log: Some(log),
            memory,
            output_len: 0,
            log_len: 0,
            passed_len: 0,
        }
    }

    /// Sends a signal to it and to what it has started, unless that has left its group.
    pub fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // An error means that nobody is left there. The process itself may have left its group.
            let _ = child::kill_group(self.pid, signal);
            let _ = child::kill(self.pid, signal);
        }
    }

    /// What it has written to its standard output.
    pub fn output(&self) -> &[u8] {
        bytes::slice(&self.memory, OUTPUT_START..OUTPUT_START + self.output_len)
    }

    /// Where the reply of an interpreter is read to.
    pub fn reply(&mut self) -> &mut [u8] {
        bytes::slice_mut(&mut self.memory, LOG_BYTES..OUTPUT_START)
    }

    /// That part of the reply.
    pub fn replied(&self, part: Range<usize>) -> &[u8] {
        bytes::slice(&self.memory, LOG_BYTES + part.start..LOG_BYTES + part.end)
    }

    /// The last that it has written to its standard error.
    pub fn tail(&self) -> &[u8] {
        let from = self.log_len.saturating_sub(TAIL_BYTES);
        bytes::slice(&self.memory, from..self.log_len)
    }

    /// Forgets what was read of what it has written, and gives the memory back that was long.
    pub fn reset(&mut self) {
        self.output_len = 0;
        if self.passed_len == self.log_len {
            (self.log_len, self.passed_len) = (0, 0);
        }
        let len = whole_pages(OUTPUT_START + OUTPUT_BYTES);
        if self.memory.len() > len {
            self.memory.shrink(OUTPUT_START);
            // If memory is out, the next output asks for room again.
            let _ = self.memory.grow(len);
        }
    }

    /// Whether it has not closed its standard output.
    pub fn is_writing(&self) -> bool {
        self.output.is_some()
    }

    /// Throws away what it has written to its standard output and nobody has read.
    pub fn discard_output(&mut self) {
        for _ in 0..LAST_COUNT_MAX {
            self.output_len = 0;
            if self.fill_output(0, 1) {
                break;
            }
        }
    }

    /// Reads what it has written, up to `bytes_max` in all. Returns false if it has written more, or memory
    /// is out. Of a process that has ended that is all: the room doubles from read to read, so it soon is more than
    /// a pipe has.
    pub fn read_output(&mut self, bytes_max: usize) -> bool {
        self.fill_output(bytes_max, TURN_COUNT_MAX)
    }

    fn fill_output(&mut self, bytes_max: usize, turns: usize) -> bool {
        for _ in 0..turns {
            let Some(output) = &self.output else {
                return true;
            };
            let used = OUTPUT_START + self.output_len;
            if used == self.memory.len() && self.memory.grow(2 * used).is_err() {
                return false;
            }
            let end = self.memory.len();
            match output.read(bytes::slice_mut(&mut self.memory, used..end)) {
                Io::Done(0) | Io::Closed(_) => self.output = None,
                Io::Done(count) => self.output_len += count,
                Io::Blocked => return true,
            }
            if self.output_len > bytes_max {
                return false;
            }
        }
        true
    }

    /// Passes on what it has written to the log: whole lines, and of a line that is too long what there is.
    pub fn read_log(&mut self, mark: Mark<'_>) {
        self.pass_log(mark, TURN_COUNT_MAX);
    }

    /// Reads and passes on all that is left of the log of a process that has ended, or of a call.
    pub fn drain_log(&mut self, mark: Mark<'_>) {
        self.pass_log(mark, LAST_COUNT_MAX);
        self.pass(self.log_len, mark);
    }

    fn pass_log(&mut self, mark: Mark<'_>, turns: usize) {
        for _ in 0..turns {
            let Some(log) = &self.log else {
                return;
            };
            let place = bytes::slice_mut(&mut self.memory, self.log_len..LOG_BYTES);
            let count = match log.read(place) {
                Io::Blocked => return,
                Io::Done(count) => count,
                Io::Closed(_) => 0,
            };
            if count == 0 {
                self.log = None;
                return self.pass(self.log_len, mark);
            }
            let from = self.log_len;
            self.log_len += count;
            let new = bytes::slice(&self.memory, from..self.log_len);
            if let Some(end) = new.iter().rposition(|&byte| byte == b'\n') {
                self.pass(from + end + 1, mark);
            }
            self.make_room(mark);
        }
    }

    /// Passes on the log up to `end`.
    fn pass(&mut self, end: usize, mark: Mark<'_>) {
        let text = bytes::slice(&self.memory, self.passed_len..end);
        self.passed_len = end;
        if text.is_empty() {
            // It would end a line that another has not ended yet.
            return;
        }
        let Some(request_id) = mark else {
            return log::pass(text, self.pid.number().cast_unsigned());
        };
        let text = match text {
            [lines @ .., b'\n'] => lines,
            _ => text,
        };
        for line in bytes::split(text, b'\n') {
            log::line(request_id, line);
        }
    }

    /// Moves the tail to the front when there is little room behind it.
    fn make_room(&mut self, mark: Mark<'_>) {
        if LOG_BYTES - self.log_len >= TAIL_BYTES {
            return;
        }
        self.pass(self.log_len, mark);
        let from = self.log_len - TAIL_BYTES;
        bytes::shift(&mut self.memory, from..self.log_len, 0);
        (self.log_len, self.passed_len) = (TAIL_BYTES, TAIL_BYTES);
    }
}
