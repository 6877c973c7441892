//! What a program does while the tool waits until it is ready, as the kernel tells it in `/proc`.
//!
//! A program of the wrong kind never gets ready: one that should ask a runtime API and listens
//! instead, or one that listens elsewhere than it is called. The tool says so after [`GRACE`], because
//! the platforms' own limits are long. A program that listens nowhere may just be slow, so the tool
//! only says that and waits on.

use crate::process::Process;
use crate::terminal::say;
use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the program must do one thing before the tool takes it for its last word. Some open a
/// port for a debugger or for metrics before they are ready.
const GRACE: Duration = Duration::from_secs(3);

/// A look reads the sockets of every process in the group; a program that is quick is never looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// What a program does that is not ready.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It listens, and not where the tool waits for it.
    Listens(Listeners),
    /// It has connected to the runtime API.
    Asks,
    Neither,
}

/// Where a program listens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listeners(Vec<SocketAddr>);

/// How long the tool waits for a program.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// The platform's own: a program that listens elsewhere ends the wait before.
    Default(Duration),
    /// What the command line says is meant.
    Given(Duration),
}

impl Limit {
    pub(crate) fn new(given: Option<Duration>, default: Duration) -> Self {
        given.map_or(Self::Default(default), Self::Given)
    }

    pub(crate) fn duration(self) -> Duration {
        let (Self::Default(limit) | Self::Given(limit)) = self;
        limit
    }
}

impl Doing {
    /// What a program does that has not connected to a runtime API.
    pub(crate) fn look(process: &Process) -> Self {
        let listeners = listeners(process.id());
        if listeners.is_empty() {
            Self::Neither
        } else {
            Self::Listens(Listeners(listeners))
        }
    }
}

/// Returns why the wait is in vain, as soon as that is known; says once what is uncertain.
pub(crate) async fn misfit(
    limit: Limit,
    look: impl Fn() -> Doing,
    explain: impl Fn(&Doing) -> String,
) -> String {
    let (mut doing, mut since, mut is_told) = (Doing::Neither, Instant::now(), false);
    loop {
        sleep(LOOK_INTERVAL).await;
        let now = look();
        if now != doing {
            (doing, since, is_told) = (now, Instant::now(), false);
        }
        if is_told || since.elapsed() < GRACE {
            continue;
        }
        match (&doing, limit) {
            (Doing::Listens(_), Limit::Default(_)) => return explain(&doing),
            _ => say(format_args!(
                "fnboot: still waiting, up to {} s: {}",
                limit.duration().as_secs(),
                explain(&doing)
            )),
        }
        is_told = true;
    }
}

impl fmt::Display for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " and " };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

/// Where the processes of a group listen for TCP connections, each address once: workers share theirs.
fn listeners(group: u32) -> Vec<SocketAddr> {
    let mut found: Vec<_> = members(group)
        .into_iter()
        .flat_map(listeners_of_one)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The processes of a group. What ends meanwhile is left out here, as in all that follows.
fn members(group: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.is_ok_and(|stat| parse_group(&stat) == Some(group))
        })
        .collect()
}

/// The process group in `/proc/PID/stat`, the third field after the name, which may hold anything.
fn parse_group(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(2)?.parse().ok()
}

fn listeners_of_one(pid: u32) -> Vec<SocketAddr> {
    let inodes = sockets(pid);
    if inodes.is_empty() {
        return Vec::new();
    }
    // The process's own tables, because its network may be another than the tool's.
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|table| table.lines().filter_map(parse_listener).collect::<Vec<_>>())
        .filter(|(inode, _)| inodes.contains(inode))
        .map(|(_, address)| address)
        .collect()
}

/// The inodes of the sockets that a process has open.
fn sockets(pid: u32) -> Vec<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| parse_socket(&fs::read_link(descriptor.path()).ok()?))
        .collect()
}

fn parse_socket(link: &Path) -> Option<u64> {
    let inode = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// Inode and address of a socket that listens, from a line of `/proc/PID/net/tcp` or `tcp6`.
fn parse_listener(line: &str) -> Option<(u64, SocketAddr)> {
    const LISTEN: &str = "0A";
    let fields: Vec<_> = line.split_whitespace().collect();
    let (address, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != LISTEN {
        return None;
    }
    let (ip, port) = address.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((inode.parse().ok()?, SocketAddr::new(parse_ip(ip)?, port)))
}

/// The kernel prints an address as one or four numbers of 32 bits, each in the machine's own order.
fn parse_ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(IpAddr::from(word(0)?));
    }
    let mut bytes = [0; 16];
    for (index, place) in bytes.chunks_mut(4).enumerate() {
        place.copy_from_slice(&word(index * 8)?);
    }
    Some(IpAddr::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[track_caller]
    fn check(line: &str, want: Option<(u64, &str)>) {
        let want = want.map(|(inode, address)| (inode, address.parse().unwrap()));
        assert_eq!(parse_listener(line), want, "{line:?}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernels_tables() {
        let rest = "00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0";
        check(
            &format!("   0: 0100007F:2328 00000000:0000 0A {rest}"),
            Some((77, "127.0.0.1:9000")),
        );
        let (any, one) = ("0".repeat(32), format!("{}01000000", "0".repeat(24)));
        check(
            &format!("   1: {one}:0050 {any}:0000 0A {rest}"),
            Some((77, "[::1]:80")),
        );
        check(
            &format!("   2: 0100007F:2328 0100007F:0050 01 {rest}"),
            None,
        );
        check("  sl  local_address rem_address   st tx_queue", None);
        check("", None);
    }

    #[test]
    fn names_do_not_hide_the_group() {
        assert_eq!(parse_group("7 (a) b 1 2) S 1 42 42 0"), Some(42));
        assert_eq!(parse_group("7 (a"), None);
    }

    #[test]
    fn this_process_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // As /proc numbers it: the kernel has no number for a group from outside a PID namespace.
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(listeners(parse_group(&stat).unwrap()).contains(&address));
    }
}
