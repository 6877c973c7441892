//! What the kernel tells of processes in `/proc`: memory, groups, where they listen.
//!
//! A process that ends while it is read is left out.

use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Peak resident memory of `pid` and its living descendants, added up; zero once it is gone.
///
/// A sum of peaks: the descendants need not have peaked together, so it errs upwards, and shared
/// pages count once per process.
pub(crate) fn memory_peak_bytes(pid: u32) -> u64 {
    let mut total = 0;
    let mut waiting = vec![pid];
    while let Some(pid) = waiting.pop() {
        let status = file(&format!("{pid}/status"));
        total += parse_high_water(&status.unwrap_or_default());
        waiting.extend(children(pid));
    }
    total
}

/// Where the processes of a group listen for TCP connections, each address once: workers share theirs.
pub(crate) fn listeners(group: u32) -> Vec<SocketAddr> {
    let is_member = |pid: &u32| group_alive(*pid).is_ok_and(|found| found == Some(group));
    let processes = processes().unwrap_or_default();
    let members = processes.into_iter().filter(is_member);
    let found: BTreeSet<_> = members.flat_map(listeners_of_one).collect();
    found.into_iter().collect()
}

/// The group of a process that can still start another: none of one that is gone, or of a zombie, unless
/// only its first thread has ended.
pub(crate) fn group_alive(pid: u32) -> io::Result<Option<u32>> {
    let stat = file(&format!("{pid}/stat"))?;
    let Some((state, group)) = parse_stat(&stat) else {
        return Ok(None);
    };
    let is_alive = !ENDED.contains(&state) || {
        let threads = threads(pid)?.into_iter();
        let files = threads.map(|thread| file(&format!("{pid}/task/{thread}/stat")));
        let files = files.collect::<io::Result<Vec<_>>>()?;
        let mut threads = files.iter().filter_map(|file| parse_stat(file));
        threads.any(|(state, _)| !ENDED.contains(&state))
    };
    Ok(is_alive.then_some(group))
}

/// States of what starts nobody.
const ENDED: [&str; 2] = ["Z", "X"];

/// A file in `/proc`, empty if its process is gone. The kernel cuts names where it likes, so these files are
/// not always UTF-8.
pub(crate) fn file(name: &str) -> io::Result<String> {
    match fs::read(format!("/proc/{name}")) {
        Ok(file) => Ok(String::from_utf8_lossy(&file).into_owned()),
        Err(error) if is_no_descriptor(&error) => Err(error),
        Err(_) => Ok(String::new()),
    }
}

pub(crate) fn processes() -> io::Result<Vec<u32>> {
    numbers("/proc")
}

pub(crate) fn threads(pid: u32) -> io::Result<Vec<u32>> {
    numbers(&format!("/proc/{pid}/task"))
}

/// The names in a folder that are numbers; none if its process is gone.
fn numbers(folder: &str) -> io::Result<Vec<u32>> {
    let names = match fs::read_dir(folder) {
        Ok(names) => names.flatten(),
        Err(error) if is_no_descriptor(&error) => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let numbers = names.filter_map(|name| name.file_name().to_str()?.parse().ok());
    Ok(numbers.collect())
}

/// That the tool cannot look says nothing of a process.
fn is_no_descriptor(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    error == Some(Errno::MFILE) || error == Some(Errno::NFILE)
}

/// The children of every thread: each thread has a list of those it started.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let threads = threads(pid).unwrap_or_default().into_iter();
    let lists = threads.map(|thread| file(&format!("{pid}/task/{thread}/children")));
    let lists = lists.map(Result::unwrap_or_default).collect::<String>();
    lists.split_whitespace().flat_map(str::parse).collect()
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
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    let descriptors = descriptors.into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| parse_socket(&fs::read_link(descriptor.path()).ok()?))
        .collect()
}

fn parse_high_water(status: &str) -> u64 {
    let mut lines = status.lines();
    let kib = lines.find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    // A process that ended has none.
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// State and process group in `/proc/PID/stat`: the first and the third field after the name, which may
/// hold anything.
fn parse_stat(stat: &str) -> Option<(&str, u32)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    Some((fields.next()?, fields.nth(1)?.parse().ok()?))
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

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernels_tables() {
        let any = "0".repeat(32);
        let ipv6 = format!("00000000000000000000000001000000:0050 {any}:0000");
        for (addresses, state, want) in [
            ("0100007F:2328 00000000:0000", "0A", Some("127.0.0.1:9000")),
            (&*ipv6, "0A", Some("[::1]:80")),
            ("0100007F:2328 0100007F:0050", "01", None),
            ("local_address rem_address", "st", None),
        ] {
            let line =
                format!("0: {addresses} {state} 00000000:00000000 00:00000000 00000000 0 0 77 1 0");
            let want = want.map(|address| (77, address.parse().unwrap()));
            assert_eq!(parse_listener(&line), want, "{line:?}");
        }
        assert_eq!(parse_listener(""), None);
    }

    #[test]
    fn files_of_a_process() {
        let status = "Name:\tx\nVmHWM:\t      72 kB\nVmRSS:\t 70 kB\n";
        assert_eq!(parse_high_water(status), 72 * 1024);
        assert_eq!(parse_high_water("Name:\tzombie\n"), 0);
        assert_eq!(parse_stat("7 (a) Z 1 2) S 1 42 42 0"), Some(("S", 42)));
        assert_eq!(parse_stat("7 (a"), None);
    }
}
