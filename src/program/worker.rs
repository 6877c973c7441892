//! What serves calls: a process for one of them, or an interpreter that stays for many.

use core::ops::Range;

use super::calls::{Call, Task};
use super::failure::Fault;
use super::input;
use super::launch::Launch;
use super::process::Process;
use super::supervisor::{Ready, Supervisor};
use crate::bytes;
use crate::limits::{LOAD_MS_MAX, MARGIN_MS_MAX};
use crate::sys::child::{self, Pid, Signal};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::{Errno, Fd, Io};
use crate::sys::file;
use crate::sys::pipe::socket_pair;
use crate::sys::strings::Strings;

/// A process, and if it stays, the way to talk with it.
#[derive(Debug)]
pub struct Worker {
    pub process: Process,
    pub channel: Option<Channel>,
    /// When it is killed that has not got ready, or not gone, by then: on the monotonic clock, or `NEVER`.
    pub until_ms: u64,
    /// Why fnboot has killed it, where that is what its call failed by.
    pub fault: Option<Fault>,
    /// Whether it was told to end: whatever it says after that, it is asked for nothing more.
    is_spent: bool,
}

/// The way to an interpreter: it shares two files, whose content and offset are set before it is asked for
/// something, and a socket, over which lines go: what is to be done, and how it went.
///
/// It has the event twice, because a shell reads it for the function and cannot go back in it.
#[derive(Debug)]
pub struct Channel {
    /// Closed once the interpreter is told to go.
    control: Option<Fd>,
    event: Fd,
    /// The event as the function has it; none where there is no `/proc`: then a shell leaves nothing of it.
    again: Option<Fd>,
    context: Fd,
    pub stage: Stage,
    /// How many events it has served.
    event_count: u64,
    /// Where in the context a shell tells the group of the function: there nobody has to be woken for it.
    context_len: usize,
    /// Whether what was left of that group was told to end.
    is_cleared: bool,
    /// How much it has said since it was asked.
    line_len: usize,
    /// How what it was asked for went: zero, or the exit status of a shell, or one.
    status: Option<i32>,
    /// Where in what it has said the message is that comes with a status.
    message: Range<usize>,
    /// Whether it has ended before it read what it was asked for.
    pub is_unread: bool,
}

/// What an interpreter is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It loads the function.
    Loading,
    /// It initializes what others have initialized before it.
    Initializing,
    Idle,
    /// It has a call.
    Busy,
    /// It is asked for nothing any more.
    Leaving,
}

/// The status of a failure that ends the interpreter.
const LAST_STATUS: i32 = 2;

/// How long an interpreter that has closed its end may take to end: only then it is known that it does not.
const END_MS_MAX: u64 = 50;

/// Room for the line that tells a group.
const GROUP_BYTES: usize = 16;

/// The group that the line `pid N` tells.
fn group(line: &[u8]) -> Option<Pid> {
    let number = number(line.strip_prefix(b"pid ")?.strip_suffix(b"\n")?)?;
    Pid::new(number)
}

fn number(text: &[u8]) -> Option<i32> {
    bytes::decimal(text).and_then(|number| i32::try_from(number).ok())
}

impl Channel {
    pub fn new(control: Fd, event: Fd, again: Option<Fd>, context: Fd) -> Self {
        Self {
            control: Some(control),
            event,
            again,
            context,
            stage: Stage::Loading,
            event_count: 0,
            context_len: 0,
            is_cleared: false,
            line_len: 0,
            status: None,
            message: 0..0,
            is_unread: false,
        }
    }

    /// Asks for something, with what the files have.
    ///
    /// # Errors
    /// Out of memory, or, `EPIPE`, the interpreter has gone.
    pub fn ask(&mut self, line: &[u8], event: &[u8], context: &[u8]) -> Result<(), Errno> {
        (self.line_len, self.status, self.message) = (0, None, 0..0);
        (self.context_len, self.is_cleared) = (context.len(), false);
        for (file, content) in [(&self.event, event), (&self.context, context)] {
            file::set_len(file, 0)?;
            file::write_at(file, content, 0)?;
            file::rewind(file)?;
        }
        if let Some(again) = &self.again {
            file::rewind(again)?;
        }
        match self.control.as_ref().map(|control| control.write(line)) {
            Some(Io::Done(count)) if count == line.len() => Ok(()),
            _ => Err(Errno::PIPE),
        }
    }

    /// Reads what it says to `place`; the status, once it has said how it went.
    ///
    /// # Errors
    /// What it says is no reply, or nothing was asked for: no one can tell what comes next from the reply to the
    /// next event.
    fn reply(&mut self, place: &mut [u8]) -> Result<Option<i32>, Fault> {
        let room = place.len();
        let Some(control) = &self.control else {
            return Ok(None);
        };
        match control.read(bytes::slice_mut(place, self.line_len..room)) {
            Io::Done(count @ 1..) => self.line_len += count,
            Io::Blocked => {}
            // It has closed its end. What the kernel has of what it was asked for is lost then (unix(7)), and
            // the first read says so, unless it was read.
            end => {
                self.is_unread = end == Io::Closed(Errno::CONNRESET);
                self.control = None;
            }
        }
        let said = bytes::slice(place, 0..self.line_len);
        let line = bytes::before(said, b'\n');
        let (word, end) = (bytes::before(line, b' '), line.len());
        let is_cut = end == self.line_len;
        if is_cut && end < room && (self.stage != Stage::Idle || end == 0) {
            return Ok(None);
        }
        let status = number(word).filter(|_| !is_cut && self.stage != Stage::Idle);
        if status.is_none() {
            self.control = None;
            return Err(Fault::Channel);
        }
        if self.clears() {
            self.line_len = 0;
            return Ok(None);
        }
        self.message = (word.len() + 1).min(end)..end;
        self.status = status;
        Ok(status)
    }

    /// It is asked for nothing now.
    pub fn rest(&mut self) {
        (self.stage, self.line_len) = (Stage::Idle, 0);
    }

    /// Whether it has said more than it was asked for.
    fn is_babbling(&self) -> bool {
        self.line_len > self.message.end + 1
    }

    /// Whether something is left of the function's group, which could write into the next result: it is killed,
    /// and the shell is told to see to its end, by the line that it has told the group with.
    fn clears(&mut self) -> bool {
        if core::mem::replace(&mut self.is_cleared, true) {
            return false;
        }
        let mut place = [0; GROUP_BYTES];
        let line = self.group_line(&mut place);
        let (Some(group), Some(control)) = (group(line), &self.control) else {
            return false;
        };
        // An error means that nobody is left there.
        child::kill_group(group, Signal::Kill).is_ok()
            && control.write(line) == Io::Done(line.len())
    }

    /// The line that tells in which group the function runs, if it was told.
    fn group_line<'p>(&self, place: &'p mut [u8; GROUP_BYTES]) -> &'p [u8] {
        let count = file::read_at(&self.context, place, self.context_len);
        bytes::slice(place, 0..count.unwrap_or(0))
    }

    /// That group, while there is a call in it: later its number may be another's.
    fn group(&self) -> Option<Pid> {
        let is_busy = self.stage == Stage::Busy;
        group(self.group_line(&mut [0; GROUP_BYTES])).filter(|_| is_busy)
    }

    /// Whether it has closed its end, or was told to go.
    pub fn is_closed(&self) -> bool {
        self.control.is_none()
    }

    /// Whether the function runs in a group of its own.
    pub fn has_group(&self) -> bool {
        self.group().is_some()
    }

    /// Whether it has answered, but ends with that call: by the status, which a shell may have, too, but without a
    /// message.
    fn says_it_ends(&self) -> bool {
        self.status == Some(LAST_STATUS) && !self.message.is_empty()
    }

    /// Whether what it was last asked for, or loading the function, has led to no reply, or to a bad one.
    pub fn is_failing(&self) -> bool {
        let is_starting = matches!(self.stage, Stage::Loading | Stage::Initializing);
        is_starting || self.status.is_none()
    }

    /// How it went, once it has said so.
    pub fn status(&self) -> Option<i32> {
        self.status
    }
}

impl Worker {
    /// Starts a process for one event; or, if it stays, an interpreter.
    ///
    /// # Errors
    /// As of `execve(2)`; or there is no room for the event.
    #[inline(never)]
    pub fn start(
        launch: &Launch,
        strings: &Strings,
        event: &[u8],
        stays: bool,
        supervisor: &Supervisor,
        index: usize,
    ) -> Result<Self, Errno> {
        let input = input::file(event)?;
        if !stays {
            let process = Process::start(launch, strings, &input, None, supervisor, index)?;
            return Ok(Self {
                process,
                channel: None,
                until_ms: NEVER,
                fault: None,
                is_spent: false,
            });
        }
        let context = input::file(b"")?;
        let [control, theirs] = socket_pair()?;
        supervisor.watch(&control, Ready::Control(index))?;
        let again = input::again(&input).ok();
        let (event, more) = (
            again.as_ref().unwrap_or(&input),
            Some([&theirs, &context, &input]),
        );
        Ok(Self {
            process: Process::start(launch, strings, event, more, supervisor, index)?,
            channel: Some(Channel::new(control, input, again, context)),
            until_ms: clock::monotonic_ms() + LOAD_MS_MAX,
            fault: None,
            is_spent: false,
        })
    }

    /// Reads what an interpreter says; the status, once it has said how it went. One that cannot be understood any
    /// more is killed; one that cannot be heard, in a moment, because most of these end by themselves.
    #[inline(never)]
    pub fn reply(&mut self) -> Option<i32> {
        let channel = self.channel.as_mut()?;
        match channel.reply(self.process.reply()) {
            Ok(None) if channel.is_closed() => {
                let end_ms = clock::monotonic_ms() + END_MS_MAX;
                self.until_ms = self.until_ms.min(end_ms);
                None
            }
            Ok(status) => status,
            Err(fault) => {
                self.end(fault);
                None
            }
        }
    }

    /// Kills it for that reason.
    fn end(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
        self.kill();
    }

    /// Kills it if its time is over.
    pub fn end_due(&mut self, now_ms: u64) {
        if self.until_ms <= now_ms {
            let is_closed = self.channel.as_ref().is_some_and(Channel::is_closed);
            self.end(if is_closed {
                Fault::Channel
            } else {
                Fault::NotLoaded
            });
        }
    }

    /// What an interpreter has said besides the status.
    pub fn message(&self) -> &[u8] {
        let channel = self.channel.as_ref();
        let part = channel.map_or(0..0, |channel| channel.message.clone());
        self.process.replied(part)
    }

    /// Gives it a call, if it is idle.
    ///
    /// # Errors
    /// `EPIPE` if it has gone: then it is killed. Or there is no room for the event.
    pub fn ask(&mut self, call: &Call) -> Result<(), Errno> {
        let Some(channel) = &mut self.channel else {
            return Err(Errno::SRCH);
        };
        let event = call.event();
        let line = match call.task {
            Task::Invoke if bytes::has(event, 0) => b"binary\n",
            Task::Invoke => &b"invoke\n"[..],
            task => task.line(),
        };
        let asked = channel.ask(line, event, call.variables());
        match asked {
            Ok(()) => channel.stage = Stage::Busy,
            Err(Errno::PIPE) => {
                channel.stage = Stage::Leaving;
                self.kill();
            }
            Err(_) => {}
        }
        asked
    }

    /// Its answer was taken: an interpreter is idle again; or is told to go, if it ends anyway, or has served
    /// `event_count_max` events.
    pub fn release(&mut self, event_count_max: u64, task: Task) {
        self.process.reset();
        let Some(channel) = &mut self.channel else {
            return;
        };
        channel.event_count += u64::from(task == Task::Invoke);
        let is_last = channel.event_count >= event_count_max || channel.says_it_ends();
        // One that has closed its output could answer nothing more.
        let is_last = is_last || channel.control.is_none() || channel.is_babbling();
        if is_last || self.is_spent || !self.process.is_writing() {
            self.leave();
        } else {
            channel.rest();
        }
    }

    /// An interpreter is told to go, by the end of its channel; a moment later it is killed.
    fn leave(&mut self) {
        if let Some(channel) = &mut self.channel {
            (channel.stage, channel.control) = (Stage::Leaving, None);
            self.until_ms = clock::monotonic_ms() + MARGIN_MS_MAX;
        }
    }

    /// It is asked for nothing more once its call is over.
    pub fn retire(&mut self) {
        self.is_spent = true;
    }

    /// Tells what serves a call to end: of an interpreter, the function's own group, if it has one.
    pub fn terminate(&mut self) {
        if let Some(group) = self.channel.as_ref().and_then(Channel::group) {
            // An error means that nobody is left there.
            let _ = child::kill_group(group, Signal::Terminate);
        } else {
            self.is_spent = true;
            self.process.signal(Signal::Terminate);
        }
    }

    /// Ends it, and all that is left of it.
    pub fn kill(&mut self) {
        self.is_spent = true;
        if let Some(group) = self.channel.as_ref().and_then(Channel::group)
            && self.process.status.is_none()
        {
            // An error means that nobody is left there.
            let _ = child::kill_group(group, Signal::Kill);
        }
        self.process.signal(Signal::Kill);
        self.until_ms = NEVER;
    }

    /// Whether it takes the place of one that serves.
    pub fn counts(&self) -> bool {
        let stage = self.channel.as_ref().map(|channel| channel.stage);
        self.process.status.is_none() && stage != Some(Stage::Leaving)
    }

    /// Whether it waits for something to do.
    pub fn is_idle(&self) -> bool {
        let stage = self.channel.as_ref().map(|channel| channel.stage);
        stage == Some(Stage::Idle) && !self.is_spent && self.process.status.is_none()
    }

    /// Whether it will be idle, but is not yet.
    pub fn is_starting(&self) -> bool {
        let stage = self.channel.as_ref().map(|channel| channel.stage);
        matches!(stage, Some(Stage::Loading | Stage::Initializing))
    }
}
