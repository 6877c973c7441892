//! The address that a name has: of an API that is asked for events, before anything is asked.
//!
//! Not a resolver: the names of `/etc/hosts` are all there are, as the API is on the instance itself
//! or, in tests, in a container beside it.

use crate::bytes::{self, eq_ignore_case, is_word_ignore_case};
use crate::http::host;
use crate::limits::{ADDRESS_BYTES_MAX, HOSTS_BYTES_MAX};
use crate::sys::file::File;
use crate::sys::memory::Mapping;

/// The address in IPv4 of a host that is one, or a name. Only for a name is a file read, and not for
/// `localhost`, whatever stands there (RFC 6761 §6.3).
#[inline(never)]
pub fn address(host: &[u8]) -> Option<[u8; 4]> {
    if is_word_ignore_case(host, "localhost") {
        return Some([127, 0, 0, 1]);
    }
    if host.len() > ADDRESS_BYTES_MAX || !host::is_name(host) {
        return None;
    }
    host::ipv4(host).or_else(|| read(host))
}

fn read(name: &[u8]) -> Option<[u8; 4]> {
    let file = File::open(c"/etc/hosts").ok()?;
    let mut place = Mapping::new(HOSTS_BYTES_MAX).ok()?;
    let mut len = 0;
    // At the end of the file nothing more is read, nor when the place is full.
    while let count @ 1.. = file.read(place.get_mut(len..HOSTS_BYTES_MAX)?).ok()? {
        len += count;
    }
    if len == HOSTS_BYTES_MAX {
        // What is cut there could be another name.
        len = place.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    }
    find(place.get_mut(..len)?, name)
}

/// hosts(5): an address and its names on a line, in front of what is a comment. The first line in
/// IPv4 counts.
fn find(hosts: &mut [u8], name: &[u8]) -> Option<[u8; 4]> {
    for byte in &mut *hosts {
        if matches!(byte, b'\t' | b'\r') {
            *byte = b' ';
        }
    }
    for line in bytes::split(hosts, b'\n') {
        let line = bytes::before(line, b'#');
        let mut words = bytes::split(line, b' ').filter(|word| !word.is_empty());
        let ip = words.next().and_then(host::ipv4);
        if ip.is_some() && words.any(|word| eq_ignore_case(word, name)) {
            return ip;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_the_name_counts() {
        let mut hosts = *b"# 10.0.0.1 api\n\
            \n\
            ::1 api\n\
            10.0.0.2 # api\n\
            10.0.0.3 apis an.api api.\n\
            10.0.0.256 api\n\
            api 10.0.0.4\n\
            \t 10.0.0.5\tother  API#api\r\n\
            10.0.0.6 api last\r\n\
            10.0.0.7 end";
        for (name, want) in [
            ("api", Some([10, 0, 0, 5])),
            ("Other", Some([10, 0, 0, 5])),
            ("last", Some([10, 0, 0, 6])),
            ("end", Some([10, 0, 0, 7])),
            ("10.0.0.4", None),
            ("#", None),
            ("", None),
        ] {
            assert_eq!(find(&mut hosts, name.as_bytes()), want, "{name}");
        }
        assert_eq!(find(&mut [], b"api"), None);
    }

    #[test]
    fn localhost_and_addresses_are_known() {
        assert_eq!(address(b"LocalHost"), Some([127, 0, 0, 1]));
        assert_eq!(address(b"10.0.0.1"), Some([10, 0, 0, 1]));
        for name in [
            "nobody.invalid",
            "",
            "127.0.0.1:80",
            "[::1]",
            "::1",
            "user@localhost",
            "a b",
        ] {
            assert_eq!(address(name.as_bytes()), None, "{name}");
        }
    }
}
