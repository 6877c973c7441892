//! Free ports, for the tests and for `benches/measure`.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};

/// A port that nobody listens on and that was not given out before in this process. Not one of those
/// that the kernel gives to clients: a client that asks until somebody listens could be given that
/// very port, and would talk to itself.
pub fn free() -> Result<u16, &'static str> {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two processes at the same time rarely begin at the same port.
    let start = u16::try_from(std::process::id() % 220).unwrap_or(0) * 100;
    let next = |_| FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
    let mut ports = (0..COUNT).map(next);
    ports.find(|&port| is_free(port)).ok_or("no free port")
}

/// Bound, and never listened on: what another thread is just starting has a copy of every socket
/// until it is executed, and such a listener would take a test's first connection with it.
fn is_free(port: u16) -> bool {
    let flags = SocketFlags::CLOEXEC;
    let probe = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    probe.is_ok_and(|probe| {
        // As the program does: else a copy would keep it from the port.
        let is_set = sockopt::set_socket_reuseaddr(&probe, true).is_ok();
        let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        is_set && net::bind(&probe, &address).is_ok()
    })
}
