//! Positions in a buffer.

use core::ops::Range;

/// A part of a buffer. Its positions are 32 bits wide, to keep ten thousand idle connections small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u32,
    pub to: u32,
}

impl Span {
    pub const EMPTY: Self = Self { from: 0, to: 0 };

    pub fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self {
            from: u32::try_from(from).ok()?,
            to: u32::try_from(to).ok()?,
        })
    }

    pub fn range(self) -> Range<usize> {
        self.from as usize..self.to as usize
    }

    pub fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Without the first `count` positions; none are left if there were fewer.
    pub fn skip(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            from: self.from.saturating_add(count).min(self.to),
            to: self.to,
        }
    }

    /// With `count` more positions at the end.
    pub fn extend(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            from: self.from,
            to: self.to.saturating_add(count),
        }
    }
}
