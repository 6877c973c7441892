//! Identifiers as FC 3.0 makes them.

use crate::id::random;
use std::time::{SystemTime, UNIX_EPOCH};

/// A fresh request id: `1-67a59f35-150c1267-f381ba1c085c`; the second field is the time in seconds.
pub(crate) fn request() -> String {
    format!("1-{}", unique())
}

/// A fresh instance id: `c-67a59f35-150c1267-f381ba1c085c`.
pub(crate) fn instance() -> String {
    format!("c-{}", unique())
}

fn unique() -> String {
    // A clock before 1970 still gives an id.
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    format!(
        "{:08x}-{:08x}-{:012x}",
        seconds & 0xffff_ffff,
        random() >> 32,
        random() >> 16
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, kind: &str) {
        let fields: Vec<_> = id.split('-').collect();
        let lengths: Vec<_> = fields.iter().map(|field| field.len()).collect();
        assert_eq!(lengths, [1, 8, 8, 12], "{id}");
        assert_eq!(fields[0], kind);
        assert!(
            fields[1..]
                .iter()
                .all(|field| field.bytes().all(|b| b.is_ascii_hexdigit()))
        );
    }

    #[test]
    fn ids_look_like_the_platforms() {
        check(&request(), "1");
        check(&instance(), "c");
    }

    #[test]
    fn the_second_field_is_the_time() {
        let seconds = u64::from_str_radix(&request()[2..10], 16).unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!(now.abs_diff(seconds) <= 1);
    }

    #[test]
    fn ids_differ() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| request()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
