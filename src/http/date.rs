//! `Date` (RFC 9110 §6.6.1): the text is made anew once a second, not once a response.

use crate::bytes::{self, Writer};
use crate::calendar::civil;

const FIELD_BYTES: usize = 37;
const DAYS: &[u8; 21] = b"SunMonTueWedThuFriSat";
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// The field for one second.
#[derive(Debug)]
pub struct Date {
    second: u64,
    text: [u8; FIELD_BYTES],
}

impl Default for Date {
    fn default() -> Self {
        Self::new()
    }
}

impl Date {
    /// No second yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            second: u64::MAX,
            text: [0; FIELD_BYTES],
        }
    }

    /// The whole line for `second`, in seconds since the Unix epoch: `Date: Sun, 06 Nov 1994
    /// 08:49:37 GMT` and CR LF (RFC 9110 §5.6.7).
    pub fn field(&mut self, second: u64) -> &[u8] {
        if self.second != second {
            self.second = second;
            render(second, &mut Writer::new(&mut self.text));
        }
        &self.text
    }
}

fn render(second: u64, line: &mut Writer<'_>) {
    let now = civil(second);
    line.put(b"Date: ");
    line.put(name(DAYS, now.weekday));
    line.put_numbers(b", 2 ", &[now.day]);
    line.put(month(now.month));
    let numbers = [now.year, now.hour, now.minute, now.second];
    line.put_numbers(b" 4 2:2:2 GMT\r\n", &numbers);
}

/// The short name of a month, of which January is the first.
#[must_use]
pub fn month(number: u32) -> &'static [u8] {
    name(MONTHS, number - 1)
}

fn name(names: &'static [u8], index: u32) -> &'static [u8] {
    let start = index as usize * 3;
    bytes::slice(names, start..start + 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn fields_of_known_moments() {
        for (second, want) in [
            (0, "Thu, 01 Jan 1970 00:00:00"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00"),
        ] {
            let mut date = Date::new();
            let want = format!("Date: {want} GMT\r\n");
            assert_eq!(date.field(second), want.as_bytes());
            assert_eq!(date.field(second), want.as_bytes());
        }
    }
}
