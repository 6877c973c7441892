//! What comes in pieces: where it lies, and where a body ends, each piece of which is decoded where it lies.

use core::ops::Range;

use crate::bytes;
use crate::http::Parsed;
use crate::http::Reject;
use crate::http::body::Length;
use crate::http::chunk::{Decoder, Progress};
use crate::sys::fd::Errno;
use crate::sys::memory::Mapping;

/// How much of a body is still to come (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// That many bytes.
    Sized(u64),
    Chunked(Decoder),
    /// Whatever comes up to the end of the connection.
    ToEnd,
    /// Nothing.
    Over,
}

/// What came of a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// So many bytes at the front of it are the body's, now that it is decoded.
    pub len: usize,
    /// Where in it ends what belongs to the message: what is behind came behind the end of the body.
    pub end: usize,
    /// Where in it lies what has come of the trailer section (RFC 9112 §7.1.2).
    pub trailer: Range<usize>,
}

/// What came of asking for the next piece of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    More,
    Wait,
    End,
    Broken,
}

/// A longer chunk is refused: the decoder counts no further.
const CHUNK_BYTES_MAX: usize = u32::MAX as usize - 1;

impl Framing {
    /// A body of which nothing has come.
    pub fn new(length: Length) -> Self {
        match length {
            Length::Sized(0) => Self::Over,
            Length::Sized(len) => Self::Sized(len),
            Length::Chunked => Self::Chunked(Decoder::new()),
            Length::ToEnd => Self::ToEnd,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// It breaks the rules of chunks.
    pub fn take(&mut self, piece: &mut [u8]) -> Result<Taken, Reject> {
        let mut trailer = 0..0;
        let (len, end) = match self {
            Self::Sized(left) => {
                let len = usize::try_from(*left).map_or(piece.len(), |left| left.min(piece.len()));
                *left -= len as u64;
                if *left == 0 {
                    *self = Self::Over;
                }
                (len, len)
            }
            Self::Chunked(decoder) => {
                let mut at = Progress {
                    read: 0,
                    decoded: 0,
                };
                let before = decoder.trailer_bytes();
                let parsed = decoder.decode(piece, &mut at, CHUNK_BYTES_MAX)?;
                // The last line break is none of them.
                let end = at.read - usize::from(parsed == Parsed::Done(()));
                trailer = end - (decoder.trailer_bytes() - before)..end;
                if parsed == Parsed::Done(()) {
                    *self = Self::Over;
                }
                (at.decoded, at.read)
            }
            Self::ToEnd => (piece.len(), piece.len()),
            Self::Over => (0, 0),
        };
        Ok(Taken { len, end, trailer })
    }
}

/// What has come lies in memory of its own from now on, with room for so much, and not in the place that others read to, too,
/// `filled` with it so far: in the spare one, if that is long enough. If it
/// does already, only the room is made.
///
/// # Errors
/// Out of memory.
#[inline(never)]
pub fn own(
    memory: &mut Option<Mapping>,
    spare: &mut Option<Mapping>,
    shared: &[u8],
    filled: usize,
    room: usize,
) -> Result<(), Errno> {
    if let Some(memory) = memory {
        return memory.grow(room);
    }
    let mut new = Mapping::reuse(spare, room.max(filled))?;
    bytes::copy(&mut new, bytes::slice(shared, 0..filled));
    *memory = Some(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The body that comes of pieces, whether it is over, and whether something came behind it.
    fn decoded(length: Length, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, bool), Reject> {
        let (mut framing, mut body, mut has_surplus) = (Framing::new(length), Vec::new(), false);
        for piece in pieces {
            let mut piece = piece.to_vec();
            let taken = framing.take(&mut piece)?;
            body.extend_from_slice(&piece[..taken.len]);
            has_surplus |= taken.end < piece.len();
        }
        Ok((body, framing == Framing::Over, has_surplus))
    }

    #[test]
    fn bodies_end_where_they_say() {
        let (sized, chunked) = (Length::Sized(4), Length::Chunked);
        for (length, pieces, want) in [
            (sized, &[&b"ab"[..], b"cd"][..], (&b"abcd"[..], true, false)),
            (sized, &[b"abc"], (b"abc", false, false)),
            (sized, &[b"abcde"], (b"abcd", true, true)),
            (sized, &[b"abcd", b"e"], (b"abcd", true, true)),
            (Length::Sized(0), &[], (b"", true, false)),
            (Length::Sized(0), &[b"a"], (b"", true, true)),
            (Length::ToEnd, &[b"a", b"b"], (b"ab", false, false)),
            (chunked, &[b"1\r\na\r\n0\r\n\r\n"], (b"a", true, false)),
            (chunked, &[b"1\r\na\r\n0\r\n\r\nb"], (b"a", true, true)),
            (
                chunked,
                &[b"1\r", b"\na", b"\r\n2;x\r\nbc\r\n0\r\nt: u\r\n\r\n"],
                (b"abc", true, false),
            ),
            (chunked, &[b"4\r\nab"], (b"ab", false, false)),
        ] {
            let (body, is_over, has_surplus) = decoded(length, pieces).expect("a body");
            assert_eq!(
                (&body[..], is_over, has_surplus),
                want,
                "{length:?} {pieces:?}"
            );
        }
    }

    #[test]
    fn how_the_network_cuts_a_body_changes_nothing() {
        let chunks = b"5;a=\"b\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nt: u\r\n\r\nmore";
        for (length, wire) in [
            (Length::Chunked, &chunks[..]),
            (Length::Sized(5), b"hello and more"),
            (Length::ToEnd, b"hello"),
        ] {
            let whole = decoded(length, &[wire]);
            for first in 0..wire.len() {
                for second in first..wire.len() {
                    let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
                    assert_eq!(decoded(length, &pieces), whole, "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn trailers_are_told() {
        let wire = b"1\r\na\r\n0;x=y\r\nt: u\r\nv: w\r\n\r\nmore";
        for first in 0..wire.len() {
            for second in first..wire.len() {
                let (mut framing, mut trailers) = (Framing::new(Length::Chunked), Vec::new());
                for piece in [&wire[..first], &wire[first..second], &wire[second..]] {
                    let taken = framing.take(&mut piece.to_vec()).expect("chunks");
                    trailers.extend_from_slice(&piece[taken.trailer]);
                }
                assert_eq!(trailers, b"t: u\r\nv: w\r\n\r", "{first} {second}");
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for piece in [
            &b"x\r\n"[..],
            b"1\r\nab\r\n",
            b"ffffffff\r\n",
            b"100000000\r\n",
            b"1\n",
        ] {
            assert!(decoded(Length::Chunked, &[piece]).is_err(), "{piece:?}");
        }
        assert!(decoded(Length::Chunked, &[b"fffffffe\r\nab"]).is_ok());
    }
}
