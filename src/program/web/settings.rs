//! What is set for a server beside fnboot.

use crate::bytes;
use crate::handler::Platform;

/// What is set for it.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    pub platform: Platform,
    /// What events are sent to, if it is set.
    pub event_path: Option<&'static [u8]>,
    /// What is taken away from the front of paths; empty for nothing.
    pub base_path: &'static [u8],
    /// Statuses that fail a call, besides those from 500 on that fail an event: a [list](lists).
    pub error_statuses: &'static [u8],
    /// What is asked for until it is answered with one of these statuses; empty if nothing is.
    pub ready_path: &'static [u8],
    pub ready_statuses: &'static [u8],
    /// Longest answer to an event of an API.
    pub body_bytes_max: usize,
    /// How long a call may take, where no platform tells that; `NEVER` if nobody does.
    pub timeout_ms: u64,
    /// Whether each line of its log gets time and level.
    pub prefixes_log: bool,
}

/// Where events are sent if nothing is set: as FC does.
pub const EVENT_PATH_DEFAULT: &[u8] = b"/invoke";

/// Whether a list of statuses, such as `200-399,404`, has this one.
pub fn lists(list: &[u8], status: u16) -> bool {
    bytes::split(list, b',')
        .filter_map(range)
        .any(|(first, last)| (first..=last).contains(&status))
}

/// Whether a text is such a list.
pub fn is_list(text: &[u8]) -> bool {
    bytes::split(text, b',').all(|item| range(item).is_some())
}

/// The first and the last status of an item.
fn range(item: &[u8]) -> Option<(u16, u16)> {
    let item = bytes::trim(item);
    let first = bytes::before(item, b'-');
    let last = if first.len() < item.len() {
        bytes::slice(item, first.len() + 1..item.len())
    } else {
        first
    };
    let status = |text: &[u8]| {
        let status =
            bytes::decimal(bytes::trim(text)).filter(|status| (100..=999).contains(status));
        status.and_then(|status| u16::try_from(status).ok())
    };
    Some((status(first)?, status(last)?)).filter(|(first, last)| first <= last)
}

/// Whether a text is a path that a request can have: FC's own are such, and so is one with a query.
pub fn is_path(text: &[u8]) -> bool {
    let is_byte = |byte: &u8| byte.is_ascii_graphic() && *byte != b'#';
    text.first() == Some(&b'/') && text.iter().all(is_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_listed() {
        for (list, listed, not) in [
            ("500", &[500][..], &[499, 501, 200][..]),
            ("500,502-504", &[500, 502, 503, 504], &[501, 505]),
            (" 200 - 399 , 404 ", &[200, 301, 399, 404], &[199, 400, 405]),
            ("100-999", &[100, 999], &[99]),
        ] {
            assert!(is_list(list.as_bytes()), "{list}");
            for status in listed {
                assert!(lists(list.as_bytes(), *status), "{list}: {status}");
            }
            for status in not {
                assert!(!lists(list.as_bytes(), *status), "{list}: {status}");
            }
        }
        assert!(!lists(b"", 500));
        for bad in [
            "",
            ",",
            "500,",
            "5xx",
            "99",
            "1000",
            "500-",
            "-500",
            "504-502",
            "500-502-504",
        ] {
            assert!(!is_list(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn paths_are_told() {
        for path in ["/", "/a", "/a?b", "/%20"] {
            assert!(is_path(path.as_bytes()), "{path}");
        }
        for bad in ["", "a", "http://a/", "/a b", "/a#b", "/\r\n", "/\u{e4}"] {
            assert!(!is_path(bad.as_bytes()), "{bad}");
        }
    }
}
