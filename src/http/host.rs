//! The host that a request is for, in its `Host` field or in a target in absolute form:
//! `uri-host [ ":" port ]` (RFC 9110 §7.2, RFC 3986 §3.2.2 and §3.2.3).

use crate::bytes;

/// Whether `text` names a host, and maybe a port.
///
/// Userinfo is refused (RFC 9110 §4.2.4), and so is a comma: it could stand in a name, but rather is
/// what joined two fields. So is an address of a version of IP to come (`IPvFuture`), as nobody knows
/// what it means.
#[must_use]
#[inline(never)]
pub fn is_authority(text: &[u8]) -> bool {
    match without_port(text) {
        [b'[', address @ .., b']'] => is_ipv6(address),
        host => is_name(host),
    }
}

/// The host that is in front of the port, or all of `text` if there is no port.
#[must_use]
pub fn without_port(text: &[u8]) -> &[u8] {
    let mut before_digits = text;
    while let [rest @ .., b'0'..=b'9'] = before_digits {
        before_digits = rest;
    }
    match before_digits {
        [host @ .., b':'] => host,
        _ => text,
    }
}

/// `reg-name`, of which an address of IPv4 is one. Not empty: no URI of this scheme has an empty host
/// (RFC 9110 §4.2.1).
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    let mut due_digits = 0;
    for &byte in name {
        if due_digits > 0 && byte.is_ascii_hexdigit() {
            due_digits -= 1;
        } else if due_digits == 0 && byte == b'%' {
            due_digits = 2;
        } else if due_digits > 0 || !is_name_byte(byte) {
            return false;
        }
    }
    due_digits == 0 && !name.is_empty()
}

/// `unreserved`, and `sub-delims` without the comma.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || bytes::has(b"-._~!$&'()*+;=", byte)
}

/// Eight groups of up to four digits. `::` stands for at least one of them, and the last two may be an
/// address of IPv4 (RFC 3986 §3.2.2).
///
/// Not the core library's parser, which with the panics in it is a tenth of the program.
fn is_ipv6(address: &[u8]) -> bool {
    let (mut group_count, mut gap_count, mut is_over) = (0, 0, false);
    for group in bytes::split(address, b':') {
        let is_digits = group.len() <= 4 && group.iter().all(u8::is_ascii_hexdigit);
        if is_over || !is_digits && ipv4(group).is_none() {
            return false;
        }
        is_over = !is_digits;
        gap_count += usize::from(group.is_empty());
        group_count += 1 + usize::from(is_over);
    }
    // Between two groups `::` makes one empty group, at either end two: `::1` is "", "", "1".
    let ends = usize::from(address.starts_with(b"::")) + usize::from(address.ends_with(b"::"));
    match gap_count - ends {
        0 => group_count == 8,
        // One colon alone at an end is none.
        1 => {
            let is_whole = ends > 0 || !matches!(address, [] | [b':', ..] | [.., b':']);
            is_whole && group_count - ends <= 8
        }
        _ => false,
    }
}

/// The address that `text` is in IPv4: four numbers up to 255, without zeros in front.
#[must_use]
pub fn ipv4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = bytes::split(text, b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| !matches!(part, [b'0', _, ..]))?;
        *octet = u8::try_from(bytes::decimal(part)?).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports() {
        for good in [
            "a",
            "a.b-c_d~e!$&'()*+;=",
            "%41%6a",
            "127.0.0.1",
            "999.1",
            "a:",
            "a:0",
            "a:65535",
            "[::]",
            "[::1]:80",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[::2:3:4:5:6:7:8]",
            "[1::8]",
            "[1:2:3:4:5:6:1.2.3.4]",
            "[ABCD:ef01::0000]",
            "[::ffff:1.2.3.4]:",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:b:c",
            "a:1:2",
            "::1",
            "a:+1",
            "a: 1",
            "%",
            "%4",
            "%zz",
            "%4g",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a,b",
            "a\\b",
            "a\"b",
            "a<b",
            "a\u{e9}",
            "[",
            "[]",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:x",
            "[::1]]",
            "[:::1]",
            "[1::2::3]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[12345::]",
            "[::g]",
            "[::1%25eth0]",
            "[1:]",
            "[:1]",
            "[:]",
            "[::1:]",
            "[:1::]",
            "[:::]",
            "[1:::2]",
            "[::1::]",
            "[1:2:3:4:5:6:7:8::]",
            "[::1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7:1.2.3.4]",
            "[::1.2.3.4:1]",
            "[::01.2.3.4]",
            "[::1.2.3]",
            "[::1.2.3.256]",
            "[1.2.3.4]",
            "[1.2.3.4::]",
            "[a]",
            "[v1.a]",
            "a[::1]",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
