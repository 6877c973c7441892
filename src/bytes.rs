//! Bytes into a fixed place, and strict numbers out of bytes.

use core::fmt;
use core::ops::Range;
use core::str;

/// Writes into a borrowed slice and remembers whether everything fitted.
///
/// What does not fit is cut, never written elsewhere: a caller to whom that matters asks
/// [`Writer::is_cut`]. Text is formatted into it with `write!`.
///
/// ```
/// use core::fmt::Write as _;
/// use fnboot::{Context, Error, Handler, Writer};
///
/// struct Count {
///     calls: u64,
///     answer: [u8; 32],
/// }
///
/// impl Handler for Count {
///     fn invoke<'a>(&'a mut self, _: &'a [u8], _: &Context<'_>) -> Result<&'a [u8], Error> {
///         self.calls += 1;
///         let mut answer = Writer::new(&mut self.answer);
///         write!(answer, "call {}", self.calls)?;
///         Ok(answer.finish())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    /// How much was to be written; more than `bytes.len()` if something was cut.
    len: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the front of `bytes`.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    /// Appends `bytes`, or as many of them as fit.
    #[inline(never)]
    pub fn put(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        copy(room, bytes);
        self.len += bytes.len();
    }

    /// Appends one byte. In a loop over short parts this is quicker than [`Writer::put`], which is a call and a copy.
    #[allow(clippy::inline_always, reason = "a call takes as long as a copy")]
    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }

    /// Appends `number` in decimal.
    pub fn put_decimal(&mut self, number: u64) {
        // In pairs of digits: for what is wider than a byte, itoa brings a check that could panic.
        let (high, low) = (number / 100, (number % 100) as u8);
        if high == 0 {
            return self.put(itoa::Buffer::new().format(low).as_bytes());
        }
        self.put_decimal(high);
        self.put(&[b'0' + low / 10, b'0' + low % 10]);
    }

    /// Appends `number` in hexadecimal, eight digits of it.
    pub(crate) fn put_hex(&mut self, number: u32) {
        for shift in (0..8).rev() {
            self.put(&[hex((number >> (4 * shift) & 15) as u8)]);
        }
    }

    /// Appends `pattern`, in which every digit stands for the next of `numbers`, with zeros in
    /// front up to that many places: `2:2` for a time of the day.
    pub(crate) fn put_numbers(&mut self, pattern: &[u8], numbers: &[u32]) {
        let mut numbers = numbers.iter();
        for &byte in pattern {
            if byte.is_ascii_digit() {
                self.put_places(*numbers.next().unwrap_or(&0), byte - b'0');
            } else {
                self.push(byte);
            }
        }
    }

    /// The last `count` decimal places of `number`.
    fn put_places(&mut self, number: u32, count: u8) {
        if count > 0 {
            self.put_places(number / 10, count - 1);
            self.put(&[b'0' + (number % 10) as u8]);
        }
    }

    /// Appends `text`, which is UTF-8, as the inside of a JSON string (RFC 8259 §7). DEL is escaped, too:
    /// what was appended can be the value of a field (RFC 9110 §5.5).
    pub(crate) fn put_json(&mut self, text: &[u8]) {
        for &byte in text {
            let escaped: &[u8] = match byte {
                b'"' | b'\\' => &[b'\\', byte],
                0..0x20 | 0x7f => &[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), hex(byte & 15)],
                _ => &[byte],
            };
            // Half an escape would spoil what follows: where a whole one does not fit, spaces do.
            let fits = escaped.len() <= self.room();
            self.put(if fits { escaped } else { b"      " });
        }
    }

    /// Appends JSON up to the beginning of a string, and `text`, which is UTF-8, as the inside of it.
    #[inline(never)]
    pub(crate) fn put_member(&mut self, json: &[u8], text: &[u8]) {
        self.put(json);
        self.put_json(text);
    }

    /// Takes the first `count` bytes of the place as written.
    pub(crate) fn skip(&mut self, count: usize) {
        self.len += count;
    }

    /// The place that is left, for whoever writes to it otherwise and then [skips](Writer::skip) what he has written.
    #[cfg(any(feature = "web", feature = "worker"))]
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or_default()
    }

    /// Appends `bytes` in base64 (RFC 4648 §4).
    pub(crate) fn put_base64(&mut self, bytes: &[u8]) {
        for group in bytes.chunks(3) {
            let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            let value = |index: usize| (bits >> (18 - 6 * index) & 63) as usize;
            let digit = |index: usize| match BASE64_DIGITS.get(value(index)) {
                Some(&digit) if index <= group.len() => digit,
                _ => b'=',
            };
            for index in 0..4 {
                self.push(digit(index));
            }
        }
    }

    /// Appends what of `text` stands for itself in a JSON string, up to the first byte that does not. Returns how much
    /// that is.
    #[inline(never)]
    pub(crate) fn put_plain(&mut self, text: &[u8]) -> usize {
        let count = plain_len(text);
        for &byte in text.get(..count).unwrap_or_default() {
            self.push(byte);
        }
        count
    }

    /// How many more bytes fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.len)
    }

    /// Forgets what was written behind the first `len` bytes.
    #[cfg(feature = "function")]
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// What was written so far.
    #[inline(never)]
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(self.bytes)
    }

    /// What was written, for as long as the slice under it lives.
    #[inline(never)]
    #[must_use]
    pub fn finish(self) -> &'a [u8] {
        self.bytes.get(..self.len).unwrap_or(self.bytes)
    }

    /// Whether something did not fit.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.len > self.bytes.len()
    }
}

/// Formatted text; what does not fit is cut, and that is not an error.
impl fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// The digits of base64 (RFC 4648 §4).
pub const BASE64_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes that are looked at together.
const WORD_BYTES: usize = 8;

/// How many bytes of a word stand for themselves in a JSON string (RFC 8259 §7), up to the first that does not: a quote,
/// a backslash or a control character.
#[allow(clippy::inline_always, reason = "it is asked for each word")]
#[inline(always)]
fn plain_run(word: [u8; WORD_BYTES]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let word = u64::from_le_bytes(word);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound);
    // A byte below its bound takes from the next one, so what is above the first may be wrong.
    let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslashes = below(word ^ (ONES * u64::from(b'\\')), 1);
    let special = (quotes | backslashes | below(word, 0x20)) & !word & (ONES << 7);
    special.trailing_zeros() as usize / 8
}

/// The same of one byte.
fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// How much of `text` stands for itself in a JSON string, up to the first byte that does not.
#[inline(never)]
pub fn plain_len(text: &[u8]) -> usize {
    let mut count = 0;
    for word in text.as_chunks().0 {
        let run = plain_run(*word);
        count += run;
        if run < WORD_BYTES {
            return count;
        }
    }
    while text.get(count).is_some_and(|&byte| is_plain(byte)) {
        count += 1;
    }
    count
}

/// The digit of a value below 16.
fn hex(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' - 10 + value
    }
}

/// The number that `digits` spell in decimal: nothing but digits, at least one, no overflow.
///
/// `FromStr` takes `+5`, which no protocol here allows.
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
pub fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Whether a byte can be in a token, such as a method or a field name (RFC 9110 §5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || has(b"!#$%&'*+-.^_`|~", byte)
}

/// Whether a byte can be in a field value: no control but HTAB, in particular no CR, LF or NUL
/// (RFC 9110 §5.5).
pub fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether `byte` is among `bytes`.
///
/// Not the core library's, which looks at a word at a time and is worth it for long texts only.
#[allow(clippy::manual_contains, reason = "the words of the core library's")]
#[inline(never)]
pub fn has(bytes: &[u8], byte: u8) -> bool {
    bytes.iter().any(|&other| other == byte)
}

/// The parts of `text` between the bytes that are `mark`.
pub fn split(text: &[u8], mark: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |&byte| byte == mark)
}

/// Whether a header's name is in a list of names, in which a star stands for whatever follows.
#[must_use]
pub fn is_listed(list: &[u8], name: &str) -> bool {
    let name = name.as_bytes();
    split(list, b' ').any(|listed| match listed.split_last() {
        Some((b'*', prefix)) => name
            .get(..prefix.len())
            .is_some_and(|name| eq_ignore_case(name, prefix)),
        _ => eq_ignore_case(name, listed),
    })
}

/// The line of `text` with that number, counted from zero; empty if there are fewer.
#[must_use]
pub fn line(text: &[u8], number: usize) -> &[u8] {
    part(text, b'\n', number)
}

/// A text as a static of its own name, by which `sys/layout.ld` places it: texts have none.
#[cfg(feature = "worker")]
pub const fn named<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut place = [0; N];
    place.copy_from_slice(text);
    place
}

/// The part of that number of a text that `mark` parts; empty if there is none.
#[inline(never)]
#[must_use]
pub fn part(text: &[u8], mark: u8, number: usize) -> &[u8] {
    split(text, mark).nth(number).unwrap_or_default()
}

/// `text` up to the first byte that is `mark`, or all of it.
#[inline(never)]
#[must_use]
pub fn before(text: &[u8], mark: u8) -> &[u8] {
    split(text, mark).next().unwrap_or_default()
}

/// Takes the next part of `rest`, up to a byte that is `mark`, or all of it; `None` if nothing is left.
/// [`split`] as a function that is called: as an iterator, it is in every loop anew.
#[cfg(feature = "command")]
#[inline(never)]
pub fn take_part<'a>(rest: &mut &'a [u8], mark: u8) -> Option<&'a [u8]> {
    if rest.is_empty() {
        return None;
    }
    let part = before(rest, mark);
    *rest = rest.get(part.len() + 1..).unwrap_or_default();
    Some(part)
}

/// `text` without spaces and tabs at its ends (RFC 9110 §5.6.3, optional white space).
pub fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut rest = text;
    while let Some((_, after)) = rest.split_first().filter(|(first, _)| is_space(first)) {
        rest = after;
    }
    while let Some((_, before)) = rest.split_last().filter(|(last, _)| is_space(last)) {
        rest = before;
    }
    rest
}

/// Where `part` lies in `whole`, if it does: the two are compared by address, not by content.
///
/// This is how an answer that the handler borrowed from the receive buffer is told from any other.
pub fn position(whole: &[u8], part: &[u8]) -> Option<usize> {
    let from = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    (from + part.len() <= whole.len()).then_some(from)
}

/// The part of `whole` at `range`, of which what lies outside is cut.
///
/// Positions are kept beside the bytes they belong to, so nothing is ever cut: tests and debug
/// builds assert it. But the code of a panic, its messages and their formatting would make up a
/// third of the program.
#[inline(never)]
pub fn slice(whole: &[u8], range: Range<usize>) -> &[u8] {
    let part = whole.get(range);
    debug_assert!(part.is_some(), "a position outside of its bytes");
    part.unwrap_or_default()
}

/// [`slice`], for writing.
#[inline(never)]
pub fn slice_mut(whole: &mut [u8], range: Range<usize>) -> &mut [u8] {
    let part = whole.get_mut(range);
    debug_assert!(part.is_some(), "a position outside of its bytes");
    part.unwrap_or_default()
}

/// `bytes` up to the first that is not UTF-8, or all of them: a text that was cut ends with its last
/// whole character.
pub fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// Copies `from` to the front of `to`, or as much of it as fits.
pub fn copy(to: &mut [u8], from: &[u8]) {
    let count = to.len().min(from.len());
    if let (Some(to), Some(from)) = (to.get_mut(..count), from.get(..count)) {
        to.copy_from_slice(from);
    }
}

/// Moves the part at `range` to `to`, both within `bytes`.
pub fn shift(bytes: &mut [u8], range: Range<usize>, to: usize) {
    let distance = range.start - to;
    let bytes = slice_mut(bytes, to..range.end);
    // The C library copies bytes onto themselves, too, and backwards at that.
    if 0 < distance && distance <= bytes.len() {
        bytes.copy_within(distance.., 0);
    }
}

/// Whether the bytes are those of `word`, whatever their case.
pub fn is_word_ignore_case(bytes: &[u8], word: &str) -> bool {
    eq_ignore_case(bytes, word.as_bytes())
}

/// Whether the bytes are the same, whatever their case.
///
/// One function for all: inlined, the comparison would be there forty times.
#[inline(never)]
pub fn eq_ignore_case(bytes: &[u8], others: &[u8]) -> bool {
    // From the end: names of fields rather begin than end alike.
    let mut pairs = bytes.iter().zip(others).rev();
    bytes.len() == others.len()
        && pairs.all(|(byte, other)| byte == other || byte.eq_ignore_ascii_case(other))
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

    #[cfg(feature = "command")]
    #[test]
    fn parts_are_taken_one_by_one() {
        let mut rest = &b"a  bc"[..];
        for want in ["a", "", "bc"] {
            assert_eq!(take_part(&mut rest, b' '), Some(want.as_bytes()));
        }
        assert_eq!(take_part(&mut rest, b' '), None);
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
        writer.put_json("a\"b\\c\n\x1f\x7fé".as_bytes());
        assert_eq!(
            writer.finish(),
            "a\\\"b\\\\c\\u000a\\u001f\\u007fé".as_bytes()
        );
    }

    /// Every byte at every place of the words around it.
    #[test]
    fn plain_is_what_stands_for_itself() {
        // Miri is slow, and all words are alike.
        let (byte_step, len_step) = if cfg!(miri) { (31, 12) } else { (1, 1) };
        for byte in (0..=255_u8).step_by(byte_step) {
            let is_special = matches!(byte, 0..0x20 | b'"' | b'\\');
            let lens = (1..=25).step_by(len_step);
            for (len, at) in lens.flat_map(|len| (0..len).map(move |at| (len, at))) {
                let mut text = [0xff; 25];
                text[at] = byte;
                // What comes behind a special one changes nothing.
                text[at + 1..].fill(byte.wrapping_add(1));
                text[len..].fill(b'"');
                let rest = &text[at + 1..len];
                let behind = rest.iter().take_while(|byte| is_plain(**byte)).count();
                let want = if is_special { at } else { at + 1 + behind };
                assert_eq!(plain_len(&text[..len]), want, "{byte} at {at} of {len}");
                let mut place = [0; 20];
                let mut writer = Writer::new(&mut place);
                assert_eq!(writer.put_plain(&text[..len]), want);
                assert_eq!(writer.finish(), &text[..want.min(20)]);
            }
        }
    }

    #[test]
    fn text_ends_with_a_whole_character() {
        for (bytes, want) in [
            (&b""[..], ""),
            (b"abc", "abc"),
            (b"a\xc3\xa9", "aé"),
            (b"a\xc3", "a"),
            (b"\xf0\x9f\x98", ""),
            (b"a\xffb", "a"),
        ] {
            assert_eq!(text(bytes), want, "{bytes:?}");
        }
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
