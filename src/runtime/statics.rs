//! All memory of the program, but for long bodies.

use super::answer::{self, Renderer};
use super::call::Caller;
use super::config::Config;
use super::connections::Connections;
use super::fatal;
use super::service::{Scratch, Service};
use super::slots::{self, Slots};
use crate::handler::Handler;
use crate::limits::EVENT_COUNT_MAX;
use crate::net::pool::Pool;
use crate::sys::epoll::Event;
use crate::sys::memory::Reserved;

/// What a short event touches lies at the front, side by side: each page that is touched costs as
/// much as a dozen system calls.
#[repr(C)]
struct Memory {
    short_head: answer::ShortHead,
    pool: Pool,
    events: [Event; EVENT_COUNT_MAX],
    scratch: Scratch,
    answer: answer::Buffers,
    table: slots::Table,
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    short_head: [0; size_of::<answer::ShortHead>()],
    pool: Pool::new(),
    events: [Event::EMPTY; EVENT_COUNT_MAX],
    scratch: Scratch::NEW,
    answer: answer::Buffers::EMPTY,
    table: slots::EMPTY_TABLE,
});

/// The connections, and the place for what is ready of them: once in the life of a process.
pub fn take<H: Handler>(handler: H, config: Config) -> (Connections<H>, &'static mut [Event]) {
    let memory = taken(&MEMORY);
    let renderer = Renderer::new(config, &mut memory.short_head, &mut memory.answer);
    let caller = Caller::new(handler, renderer);
    let (scratch, pool) = (&mut memory.scratch, &mut memory.pool);
    let service = Service::new(caller, scratch, pool);
    let connections = Connections::new(Slots::new(&mut memory.table), service);
    (connections, &mut memory.events)
}

/// Takes a place that exists once: a second run in one process ends with "already running".
pub fn taken<T>(place: &'static Reserved<T>) -> &'static mut T {
    place
        .take()
        .unwrap_or_else(|| fatal::value("already running", b""))
}
