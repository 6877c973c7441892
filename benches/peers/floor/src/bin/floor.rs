//! The floor: an epoll echo that parses nothing.
//!
//! The first bytes of a connection tell how long its requests are: one search for the end of the
//! head and for Content-Length. Every later request of the connection is taken to be as long, so a
//! call costs its system calls and nothing else. The event is complete before it is answered, as a
//! function needs it; the answer is a fixed head and the event itself in one `writev(2)`.
//!
//! Edge-triggered, each connection registered once. Short requests share one scratch buffer; a long
//! one takes a warm buffer from a pool and gives it back with its answer.

#![no_std]
#![no_main]

use core::ffi::{c_char, c_int, c_void};
use core::ptr::null_mut;

/// Longest request, head included.
const REQUEST_BYTES_MAX: usize = 1024 * 1024 + 16 * 1024;
/// Requests up to this long are expected to come in one read.
const SCRATCH_BYTES: usize = 16 * 1024;
/// Connections, and so the largest descriptor too.
const CONNECTION_COUNT_MAX: usize = 256;
const EVENT_COUNT_MAX: usize = 64;
/// A client that says no more gets no more.
const GONE: c_int = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;

type Large = [u8; REQUEST_BYTES_MAX];

/// What is known of a connection; the index is its descriptor.
#[derive(Clone, Copy)]
struct Connection {
    /// Length of each request, head included; zero until the first is seen.
    request_bytes: usize,
    event_bytes: usize,
    /// Bytes of the request that are here.
    read_bytes: usize,
    /// Bytes of the answer that are gone; the answer is under way if `answering`.
    written_bytes: usize,
    answering: bool,
    /// The buffer it holds, if any.
    large: Option<usize>,
    answer_head: [u8; 64],
    answer_head_bytes: usize,
}

const NEW: Connection = Connection {
    request_bytes: 0,
    event_bytes: 0,
    read_bytes: 0,
    written_bytes: 0,
    answering: false,
    large: None,
    answer_head: [0; 64],
    answer_head_bytes: 0,
};

struct Floor {
    connections: [Connection; CONNECTION_COUNT_MAX],
    scratch: [u8; SCRATCH_BYTES],
    large: [Large; CONNECTION_COUNT_MAX],
    /// A stack of free buffers, the warmest on top.
    free: [usize; CONNECTION_COUNT_MAX],
    free_count: usize,
    /// Buffers that were never used lie from here on.
    fresh: usize,
}

static mut FLOOR: Floor = Floor {
    connections: [NEW; CONNECTION_COUNT_MAX],
    scratch: [0; SCRATCH_BYTES],
    large: [[0; REQUEST_BYTES_MAX]; CONNECTION_COUNT_MAX],
    free: [0; CONNECTION_COUNT_MAX],
    free_count: 0,
    fresh: 0,
};

/// The C entry point.
// SAFETY: the C runtime calls the one symbol of this name, with these arguments.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    let floor = &raw mut FLOOR;
    // SAFETY: `main` runs once, in the only thread, and nothing else names the static.
    let floor = unsafe { &mut *floor };
    let listener = floor::listen(libc::SOCK_NONBLOCK);
    // SAFETY: epoll_create1(2) takes no pointers.
    let epoll = unsafe { libc::epoll_create1(0) };
    add(epoll, listener, libc::EPOLLIN);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENT_COUNT_MAX];
    loop {
        // SAFETY: pointer and count are of one live, exclusively borrowed array.
        let ready =
            unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), EVENT_COUNT_MAX as c_int, -1) };
        for event in events.iter().take(ready as usize) {
            let fd = event.u64 as c_int;
            if fd == listener {
                accept(epoll, listener);
            } else if event.events as c_int & GONE != 0 {
                floor.close(fd);
            } else {
                floor.proceed(fd);
            }
        }
    }
}

fn accept(epoll: c_int, listener: c_int) {
    // SAFETY: accept4(2) may be told not to write an address.
    let fd = unsafe { libc::accept4(listener, null_mut(), null_mut(), libc::SOCK_NONBLOCK) };
    if fd < 0 {
        return;
    }
    if fd as usize >= CONNECTION_COUNT_MAX {
        floor::exit(1);
    }
    floor::set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY);
    add(
        epoll,
        fd,
        libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET,
    );
}

fn add(epoll: c_int, fd: c_int, interest: c_int) {
    let mut event = libc::epoll_event {
        events: interest as u32,
        u64: fd as u64,
    };
    // SAFETY: the event is a live local, which the kernel copies.
    unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
}

impl Floor {
    /// Reads, answers once the whole request is here, and stops when the kernel has no more.
    fn proceed(&mut self, fd: c_int) {
        if self.connections[fd as usize].answering && !self.answer(fd) {
            return;
        }
        while self.read(fd) {}
    }

    /// Reads once; true if the socket may have more.
    fn read(&mut self, fd: c_int) -> bool {
        let connection = &self.connections[fd as usize];
        if connection.large.is_none() && connection.request_bytes > SCRATCH_BYTES {
            self.take_large(fd);
        }
        let connection = &mut self.connections[fd as usize];
        let into = match connection.large {
            Some(index) => &mut self.large[index][connection.read_bytes..],
            None => &mut self.scratch[..],
        };
        // SAFETY: pointer and length are of one live, exclusively borrowed slice.
        let got = unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) };
        if got <= 0 {
            if got == 0 || errno() != libc::EAGAIN {
                self.close(fd);
            }
            return false;
        }
        let filled = got as usize == into.len();
        connection.read_bytes += got as usize;
        if connection.request_bytes == 0 {
            connection.learn(&into[..got as usize]);
        }
        if connection.read_bytes == connection.request_bytes {
            connection.answering = true;
            self.answer(fd);
            return false;
        }
        if connection.large.is_none() {
            self.take_large(fd);
        }
        filled
    }

    /// Sends what is left of the answer; true if nothing is left.
    fn answer(&mut self, fd: c_int) -> bool {
        let connection = &mut self.connections[fd as usize];
        let request = match connection.large {
            Some(index) => &self.large[index][..connection.request_bytes],
            None => &self.scratch[..connection.request_bytes],
        };
        let event = &request[connection.request_bytes - connection.event_bytes..];
        let head = &connection.answer_head[..connection.answer_head_bytes];
        let head_left = &head[connection.written_bytes.min(head.len())..];
        let event_left = &event[connection.written_bytes.saturating_sub(head.len())..];
        let parts = [part(head_left), part(event_left)];
        // SAFETY: both parts are live slices, and the count is theirs.
        let sent = unsafe { libc::writev(fd, parts.as_ptr(), 2) };
        if sent < 0 && errno() != libc::EAGAIN {
            self.close(fd);
            return false;
        }
        connection.written_bytes += sent.max(0) as usize;
        if connection.written_bytes < head.len() + event.len() {
            // What waits for the peer must survive the next request of another connection.
            if connection.large.is_none() {
                self.take_large(fd);
            }
            return false;
        }
        connection.read_bytes = 0;
        connection.written_bytes = 0;
        connection.answering = false;
        self.give_back(fd);
        true
    }

    /// Moves what a connection has from the scratch buffer into one of its own.
    fn take_large(&mut self, fd: c_int) {
        let index = if self.free_count > 0 {
            self.free_count -= 1;
            self.free[self.free_count]
        } else {
            self.fresh += 1;
            self.fresh - 1
        };
        let connection = &mut self.connections[fd as usize];
        let here = connection.read_bytes;
        self.large[index][..here].copy_from_slice(&self.scratch[..here]);
        connection.large = Some(index);
    }

    fn give_back(&mut self, fd: c_int) {
        if let Some(index) = self.connections[fd as usize].large.take() {
            self.free[self.free_count] = index;
            self.free_count += 1;
        }
    }

    fn close(&mut self, fd: c_int) {
        self.give_back(fd);
        self.connections[fd as usize] = NEW;
        // SAFETY: accept4(2) gave this descriptor, and nothing else holds it.
        unsafe { libc::close(fd) };
    }
}

impl Connection {
    /// Finds how long each request is, and prepares the head of each answer.
    fn learn(&mut self, first: &[u8]) {
        const NAME: &[u8] = b"content-length: ";
        let Some(head_end) = first.windows(4).position(|four| four == b"\r\n\r\n") else {
            floor::exit(1)
        };
        let field = first
            .windows(NAME.len())
            .position(|name| name.eq_ignore_ascii_case(NAME));
        let Some(field) = field else { floor::exit(1) };
        let digits = &first[field + NAME.len()..];
        let digits = &digits[..digits.iter().position(|byte| *byte == b'\r').unwrap_or(0)];
        self.event_bytes = digits
            .iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
        self.request_bytes = head_end + 4 + self.event_bytes;

        for piece in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: "[..],
            digits,
            b"\r\n\r\n",
        ] {
            let end = self.answer_head_bytes + piece.len();
            self.answer_head[self.answer_head_bytes..end].copy_from_slice(piece);
            self.answer_head_bytes = end;
        }
    }
}

fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
        iov_len: bytes.len(),
    }
}

fn errno() -> c_int {
    // SAFETY: the C library gives the address of this thread's errno.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: that address is valid as long as the thread runs.
    unsafe { place.read() }
}
