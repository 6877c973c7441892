//! Chunked bodies (RFC 9112 §7.1), decoded where they lie.
//!
//! ```text
//!     ┌──────────────── CR LF after data ────────────────┐
//!     ▼                                                  │
//!   Start ──→ Size ──── CR ────→ SizeLf ─→ Data ─→ DataCr ─→ DataLf
//!               │               ▲    │ size 0
//!               ;   extension   │    ▼
//!               └─→ Word … ─ CR ┘  TrailerStart ⇄ TrailerName → TrailerValue → TrailerLf
//!                                    │
//!                                    └── CR ─→ EndLf ─→ end
//! ```
//!
//! An extension is `BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ]` (RFC 9112 §7.1.1), to
//! the letter: what ends a line for one reader and not for another would be a request that only one
//! of them sees.
//!
//! The decoder takes every byte it is given up to the end of the body, so nothing undecoded is ever
//! kept, and how the network cut the stream cannot matter.

use super::{Parsed, Reject};
use crate::bytes::{self, Writer, is_text, is_token};
use crate::limits::{EXTENSION_BYTES_MAX, SIZE_DIGIT_COUNT_MAX, TRAILER_BYTES_MAX};

/// The state of one chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    /// Size of the current chunk while it is read, or `u32::MAX` if it is larger than any body may be;
    /// then the bytes of it that are still to come.
    left: u32,
    /// Bytes spent on extensions so far, then on trailers.
    spent: u32,
    /// Digits of the current size so far.
    digit_count: u16,
    /// What of the line before a chunk is read.
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Size,
    /// The name of an extension.
    Name,
    /// Its value.
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first digit of a size must come.
    Start,
    Size,
    /// A name or a value must come.
    WordStart,
    Word,
    Quoted,
    /// Behind a backslash in a quoted value.
    Escaped,
    QuotedEnd,
    /// Blanks before an equals sign or a semicolon, of which one must come.
    Blank,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// Bytes in front of the data of a chunk that is written: its size in eight digits, and CR LF.
pub const SIZE_BYTES: usize = 10;

/// What follows the data of a chunk.
pub const DATA_END: &[u8] = b"\r\n";

/// The last chunk, and no trailers.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// The two together.
pub const DATA_END_AND_LAST: &[u8] = b"\r\n0\r\n\r\n";

/// The size of a chunk, before its data.
pub fn put_size(len: usize, to: &mut Writer<'_>) {
    to.put_hex(u32::try_from(len).unwrap_or(u32::MAX));
    to.put(b"\r\n");
}

/// A whole chunk; none for no data, as that would be the last.
pub fn put(data: &[u8], to: &mut Writer<'_>) {
    if !data.is_empty() {
        put_size(data.len(), to);
        to.put(data);
        to.put(DATA_END);
    }
}

/// How far one call of [`Decoder::decode`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where the next byte to decode lies.
    pub read: usize,
    /// Where the decoded body ends.
    pub decoded: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the front of a body.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Start,
            left: 0,
            spent: 0,
            digit_count: 0,
            part: Part::Size,
        }
    }

    /// Decodes `bytes[at.read..]` to `bytes[at.decoded..]`, up to the end of the body or of
    /// `bytes`, and moves `at` along. The decoded body is never longer than `body_bytes_max`.
    ///
    /// # Errors
    /// Anything but the grammar; sizes, extensions and trailers over their limits.
    pub fn decode(
        &mut self,
        bytes: &mut [u8],
        at: &mut Progress,
        body_bytes_max: usize,
    ) -> Result<Parsed<()>, Reject> {
        while at.read < bytes.len() {
            if self.state == State::Data {
                self.copy(bytes, at);
                continue;
            }
            let Some(&byte) = bytes.get(at.read) else {
                break;
            };
            at.read += 1;
            if self.state == State::EndLf {
                return if byte == b'\n' {
                    Ok(Parsed::Done(()))
                } else {
                    Err(Reject::Trailer)
                };
            }
            self.state = self.next(byte)?;
            if self.state == State::Data {
                let room = body_bytes_max - at.decoded.min(body_bytes_max);
                if self.left as usize > room {
                    return Err(Reject::BodyTooLarge);
                }
            }
        }
        Ok(Parsed::More)
    }

    /// How much has come of the trailer section, up to its end.
    #[must_use]
    pub fn trailer_bytes(&self) -> usize {
        match self.state {
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::EndLf => self.spent as usize,
            _ => 0,
        }
    }

    /// Moves as much of the current chunk as is there.
    fn copy(&mut self, bytes: &mut [u8], at: &mut Progress) {
        let there = bytes.len() - at.read;
        let count = there.min(self.left as usize);
        bytes::shift(bytes, at.read..at.read + count, at.decoded);
        at.read += count;
        at.decoded += count;
        self.left -= u32::try_from(count).unwrap_or(self.left);
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// The state after `byte`, outside of data.
    fn next(&mut self, byte: u8) -> Result<State, Reject> {
        match self.state {
            State::Start | State::Size => self.size(byte),
            State::SizeLf if byte != b'\n' => Err(Reject::ChunkSize),
            State::SizeLf if self.left == 0 => {
                self.spent = 0;
                Ok(State::TrailerStart)
            }
            State::SizeLf | State::Data => Ok(State::Data),
            State::DataCr if byte == b'\r' => Ok(State::DataLf),
            State::DataLf if byte == b'\n' => Ok(State::Start),
            State::DataCr | State::DataLf => Err(Reject::ChunkEnd),
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::EndLf => self.trailer(byte),
            _ => self.extension(byte),
        }
    }

    /// RFC 9112 §7.1: `1*HEXDIG`, of which any number may be zeros in front.
    fn size(&mut self, byte: u8) -> Result<State, Reject> {
        if let Some(digit) = bytes::hex_digit(byte) {
            if self.state == State::Start {
                (self.left, self.digit_count) = (0, 0);
            }
            self.digit_count += 1;
            if self.digit_count > SIZE_DIGIT_COUNT_MAX {
                return Err(Reject::ChunkSize);
            }
            self.left = self.left.saturating_mul(16).saturating_add(digit.into());
            return Ok(State::Size);
        }
        match (self.state, byte) {
            (State::Size, b'\r') => Ok(State::SizeLf),
            (State::Size, b' ' | b'\t' | b';') => {
                (self.part, self.state) = (Part::Size, State::Blank);
                self.extension(byte)
            }
            _ => Err(Reject::ChunkSize),
        }
    }

    /// What follows a size. Extensions are checked, and thrown away.
    #[inline(never)]
    fn extension(&mut self, byte: u8) -> Result<State, Reject> {
        use State::{Blank, Escaped, Quoted, QuotedEnd, SizeLf, Word, WordStart};
        self.spend(EXTENSION_BYTES_MAX, Reject::ChunkExtension)?;
        let is_blank = matches!(byte, b' ' | b'\t');
        Ok(match self.state {
            Quoted if byte == b'"' => QuotedEnd,
            Quoted if byte == b'\\' => Escaped,
            Quoted | Escaped if is_text(byte) => Quoted,
            WordStart if byte == b'"' && self.part == Part::Value => Quoted,
            // RFC 9110 §5.6.3, "bad white space": only where the grammar has it.
            WordStart if is_blank => WordStart,
            WordStart | Word if is_token(byte) => Word,
            Word | QuotedEnd if byte == b'\r' => SizeLf,
            Word | QuotedEnd | Blank if is_blank => Blank,
            Word | QuotedEnd | Blank if byte == b';' => {
                self.part = Part::Name;
                WordStart
            }
            Word | Blank if byte == b'=' && self.part == Part::Name => {
                self.part = Part::Value;
                WordStart
            }
            _ => return Err(Reject::ChunkExtension),
        })
    }

    /// Trailers are checked like any field, and thrown away (RFC 9112 §7.1.2).
    #[inline(never)]
    fn trailer(&mut self, byte: u8) -> Result<State, Reject> {
        self.spend(TRAILER_BYTES_MAX, Reject::TrailerTooLarge)?;
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err(Reject::Trailer),
        }
    }

    /// Without a bound here a client could send for ever and never send a body.
    fn spend(&mut self, max: u32, reject: Reject) -> Result<(), Reject> {
        self.spent += 1;
        if self.spent > max {
            Err(reject)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::vec::Vec;

    const BODY_BYTES_MAX: usize = 64;

    /// A body, and what is left after its end.
    type Decoded = (Vec<u8>, Vec<u8>);

    /// Decodes the pieces one after the other, as the network would deliver them; the body, and
    /// what was left after its end. `None` if the end has not come.
    fn decode(pieces: &[&[u8]]) -> Result<Option<Decoded>, Reject> {
        let mut decoder = Decoder::new();
        let mut at = Progress {
            read: 0,
            decoded: 0,
        };
        let mut bytes = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            bytes.truncate(at.decoded);
            at.read = at.decoded;
            bytes.extend_from_slice(piece);
            if decoder.decode(&mut bytes, &mut at, BODY_BYTES_MAX)? == Parsed::Done(()) {
                let mut rest = bytes[at.read..].to_vec();
                rest.extend(pieces[index + 1..].concat());
                return Ok(Some((bytes[..at.decoded].to_vec(), rest)));
            }
            assert_eq!(at.read, bytes.len(), "everything is taken");
        }
        Ok(None)
    }

    /// Decodes `wire` delivered as two reads, cut at every position.
    #[track_caller]
    fn check(wire: &str, want: Result<Option<(&str, &str)>, Reject>) {
        let want = want.map(|done| {
            done.map(|(body, rest)| (body.as_bytes().to_vec(), rest.as_bytes().to_vec()))
        });
        for cut in 0..=wire.len() {
            let (first, second) = wire.as_bytes().split_at(cut);
            assert_eq!(decode(&[first, second]), want, "{wire:?} cut at {cut}");
        }
    }

    #[track_caller]
    fn takes(wire: &str, body: &str) {
        check(wire, Ok(Some((body, ""))));
        check(&format!("{wire}GET /"), Ok(Some((body, "GET /"))));
        for cut in 0..wire.len() {
            assert_eq!(
                decode(&[&wire.as_bytes()[..cut]]),
                Ok(None),
                "{wire:?} cut at {cut}"
            );
        }
    }

    #[track_caller]
    fn refuses(wire: &str, reject: Reject) {
        check(wire, Err(reject));
    }

    /// What else is taken and refused is in `tests/rows.rs`.
    #[test]
    fn takes_the_grammar() {
        takes("0\r\n\r\n", "");
        takes("1\r\na\r\n2;x\r\nbc\r\n00\r\n\r\n", "abc");
        takes("2\r\n\r\n\r\n0\r\nA: b\r\n\r\n", "\r\n");
    }

    #[test]
    fn refusals_name_the_place() {
        refuses("+1\r\n", Reject::ChunkSize);
        refuses("1\r\nxy", Reject::ChunkEnd);
        refuses("1;=\r\n", Reject::ChunkExtension);
        refuses("1 2\r\n", Reject::ChunkExtension);
        refuses("0\r\n:\r\n", Reject::Trailer);
    }

    /// Extensions are bounded over all chunks of a body, digits of a size in each.
    #[test]
    fn bounds_have_answers() {
        let chunk = format!("1;{}\r\nx\r\n", "a".repeat(1000));
        assert_eq!(
            decode(&[chunk.repeat(20).as_bytes()]),
            Err(Reject::ChunkExtension)
        );
        let digits = |count: u16| format!("{}1\r\nx\r\n", "0".repeat(usize::from(count) - 1));
        let most = digits(SIZE_DIGIT_COUNT_MAX).repeat(50);
        assert_eq!(decode(&[most.as_bytes()]), Ok(None));
        let more = digits(SIZE_DIGIT_COUNT_MAX + 1);
        assert_eq!(decode(&[more.as_bytes()]), Err(Reject::ChunkSize));
        let endless = "a: b\r\n".repeat(TRAILER_BYTES_MAX as usize / 6 + 1);
        assert_eq!(
            decode(&[b"0\r\n", endless.as_bytes()]),
            Err(Reject::TrailerTooLarge)
        );
    }

    #[test]
    fn refuses_bodies_over_the_limit() {
        takes(
            &format!("40\r\n{}\r\n0\r\n\r\n", "x".repeat(64)),
            &"x".repeat(64),
        );
        refuses("41\r\n", Reject::BodyTooLarge);
        refuses("ffffffffffffffff\r\n", Reject::BodyTooLarge);
        refuses(
            &format!("40\r\n{}\r\n1\r\n", "x".repeat(64)),
            Reject::BodyTooLarge,
        );
    }
}
