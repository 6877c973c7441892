//! Bytes into a fixed place, and strict numbers out of bytes.

use core::fmt;

/// Writes into a borrowed slice and remembers whether everything fitted.
///
/// What does not fit is cut, never written elsewhere: a caller to whom that matters asks
/// [`Writer::is_cut`].
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    /// Invariant: `len <= bytes.len()`.
    len: usize,
    cut: bool,
}

impl<'a> Writer<'a> {
    /// A writer at the front of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self {
            bytes,
            len: 0,
            cut: false,
        }
    }

    /// Appends `bytes`, or as many of them as fit.
    pub fn put(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.len..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.len += count;
        self.cut |= count < bytes.len();
    }

    /// Appends `number` in decimal.
    pub fn put_decimal(&mut self, number: u64) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Appends `number` in decimal, with zeros in front up to `width` digits.
    pub fn put_padded(&mut self, number: u64, width: usize) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        for _ in digits.len()..width {
            self.put(b"0");
        }
        self.put(digits);
    }

    /// Appends `text` as the inside of a JSON string (RFC 8259 §7). Bytes that are not UTF-8
    /// become U+FFFD.
    pub fn put_json(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            for &byte in chunk.valid().as_bytes() {
                match byte {
                    b'"' => self.put(b"\\\""),
                    b'\\' => self.put(b"\\\\"),
                    b'\n' => self.put(b"\\n"),
                    b'\r' => self.put(b"\\r"),
                    b'\t' => self.put(b"\\t"),
                    0..0x20 => {
                        let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                        self.put(b"\\u00");
                        self.put(&digits);
                    }
                    _ => self.put(&[byte]),
                }
            }
            if !chunk.invalid().is_empty() {
                self.put("\u{FFFD}".as_bytes());
            }
        }
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        (self.len, self.cut) = (0, false);
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What was written, for as long as the slice under it lives.
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        &self.bytes[..self.len]
    }

    /// Whether something did not fit.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// Formatted text; what does not fit is cut, and that is not an error.
impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The number that `digits` spell in decimal: nothing but digits, at least one, no overflow.
///
/// `FromStr` takes `+5`, which no protocol here allows.
#[must_use]
pub fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut number = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some(number)
}

/// The value of one hexadecimal digit.
#[must_use]
pub fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `text` without spaces and tabs at its ends (RFC 9110 §5.6.3, optional white space).
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = text
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(text.len());
    let to = text
        .iter()
        .rposition(|byte| !is_space(byte))
        .map_or(from, |last| last + 1);
    &text[from..to]
}

/// Where `part` lies in `whole`, if it does: the two are compared by address, not by content.
///
/// This is how an answer that the handler borrowed from the receive buffer is told from any other.
#[must_use]
pub fn position(whole: &[u8], part: &[u8]) -> Option<usize> {
    let from = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (from + part.len() <= whole.len()).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_takes_digits_only() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"007"), Some(7));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for bad in [
            "",
            "+5",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1_0",
            "18446744073709551616",
            "1,1",
        ] {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn trim_takes_blanks_off_both_ends() {
        for (text, want) in [("", ""), (" \t ", ""), (" a b\t", "a b"), ("a", "a")] {
            assert_eq!(trim(text.as_bytes()), want.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn writer_cuts_and_says_so() {
        let mut place = [0; 4];
        let mut writer = Writer::new(&mut place);
        writer.put(b"abc");
        assert!(!writer.is_cut());
        writer.put(b"de");
        assert!(writer.is_cut());
        assert_eq!(writer.finish(), b"abcd");
    }

    #[test]
    fn json_escapes() {
        let mut place = [0; 64];
        let mut writer = Writer::new(&mut place);
        writer.put_json(b"a\"b\\c\n\x01\xff\xc3\xa9");
        assert_eq!(writer.finish(), "a\\\"b\\\\c\\n\\u0001\u{FFFD}é".as_bytes());
    }

    #[test]
    fn position_is_by_address() {
        let whole = *b"abcabc";
        assert_eq!(position(&whole, &whole[3..]), Some(3));
        assert_eq!(position(&whole[1..], &whole[..3]), None);
        assert_eq!(position(&whole[..4], &whole[2..]), None);
        assert_eq!(position(&whole, b"abc"), None);
    }
}
