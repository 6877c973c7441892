//! The text of the shims out of its packed form, which `build.rs` makes with `pack`.
//!
//! The text is a row of items. An item is one letter, or a copy of text that stands before it: how far back, and
//! how long. All is told in decisions between two, and each kind of decision has a [`Slot`], which learns how likely
//! either side is. An arithmetic coder (a range coder, as in LZMA) spends the fewer bits the likelier a decision was.
//!
//! `build.rs` compiles this file, too: it names nothing of the crate.

use core::slice::Iter;

/// What is known of one kind of decision, as an `i32`: above four bits, how far the probability of a one is from a
/// half, in 65536ths; below, how many decisions it has seen, up to [`SEEN_MAX`]. Zeroed memory knows nothing.
pub type Slot = [u8; size_of::<i32>()];

/// The more a slot has seen, the slower it changes.
const SEEN_MAX: i32 = 8;
/// No side is so unlikely that it cannot be.
const LEAN_MAX: i32 = 32700;

/// Where the slots are. The letters come first: those of one letter behind another are a tree.
pub const LETTERS: usize = 128;
/// Whether an item is a copy; the next slot is for items behind a copy.
pub const IS_COPY: usize = LETTERS * LETTERS;
pub const LENGTH: usize = IS_COPY + 2;
pub const DISTANCE: usize = LENGTH + 32;
pub const SLOT_COUNT: usize = DISTANCE + 32;

/// The share of `range` that stands for a one.
pub fn share(slot: Slot, range: u32) -> u32 {
    let half = 1 << 15;
    (range >> 16) * (half + (i32::from_ne_bytes(slot) >> 4)).cast_unsigned()
}

/// The slot after a decision.
pub fn learned(slot: Slot, is_one: bool) -> Slot {
    let state = i32::from_ne_bytes(slot);
    let (lean, seen) = (state >> 4, state & 15);
    let goal = if is_one { LEAN_MAX } else { -LEAN_MAX };
    let lean = lean + ((goal - lean) >> (seen / 2 + 1));
    (lean << 4 | (seen + 1).min(SEEN_MAX)).to_ne_bytes()
}

struct Decisions<'a> {
    packed: Iter<'a, u8>,
    slots: &'a mut [Slot],
    range: u32,
    code: u32,
}

impl Decisions<'_> {
    /// The next decision. Without a slot, or behind the end, it is any.
    #[inline(never)]
    fn next(&mut self, index: usize) -> usize {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.code = self.code << 8 | u32::from(*self.packed.next().unwrap_or(&0));
        }
        let Some(slot) = self.slots.get_mut(index) else {
            return 0;
        };
        let share = share(*slot, self.range);
        let is_one = self.code < share;
        if is_one {
            self.range = share;
        } else {
            self.range -= share;
            self.code = self.code.wrapping_sub(share);
        }
        *slot = learned(*slot, is_one);
        usize::from(is_one)
    }

    /// A letter behind the letter `last`.
    fn letter(&mut self, last: u8) -> u8 {
        let mut branch = 1;
        while branch < LETTERS {
            branch = branch << 1 | self.next(usize::from(last) * LETTERS + branch);
        }
        u8::try_from(branch - LETTERS).unwrap_or(0)
    }

    /// A number from 1 on (Elias gamma): before each binary digit but the first, whether there is one.
    fn number(&mut self, mut index: usize) -> usize {
        let mut number = 1;
        while self.next(index) == 1 {
            number = number << 1 | self.next(index + 1);
            index += 2;
        }
        number
    }
}

/// Fills `text` with the beginning of what was packed, with the help of zeroed `slots`, [`SLOT_COUNT`] of them.
///
/// What is not of `pack` makes some other text.
#[inline(never)]
pub fn unpack(packed: &[u8], slots: &mut [Slot], text: &mut [u8]) {
    // The first decision finds so small a range that it reads the first bytes.
    let mut decisions = Decisions {
        packed: packed.iter(),
        slots,
        range: 1,
        code: 0,
    };
    let (mut len, mut is_copy) = (0usize, 0);
    loop {
        is_copy = decisions.next(IS_COPY + is_copy);
        let (mut distance, mut count) = (1, 1);
        if is_copy == 1 {
            distance = decisions.number(DISTANCE);
            count += decisions.number(LENGTH);
        }
        while count > 0 {
            let mut letter = *text.get(len.wrapping_sub(distance)).unwrap_or(&0);
            if is_copy == 0 {
                letter = decisions.letter(letter);
            }
            let Some(place) = text.get_mut(len) else {
                return;
            };
            *place = letter;
            len += 1;
            count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::super::pack::pack;
    use super::*;

    fn text(packed: &[u8], len: usize) -> Vec<u8> {
        let (mut slots, mut text) = (vec![Slot::default(); SLOT_COUNT], vec![0; len]);
        unpack(packed, &mut slots, &mut text);
        text
    }

    #[track_caller]
    fn check(original: &[u8]) -> usize {
        let packed = pack(original);
        assert_eq!(text(&packed, original.len()), original);
        let half = original.len() / 2;
        assert_eq!(text(&packed, half), original[..half]);
        packed.len()
    }

    #[test]
    fn odd_texts_come_back() {
        let all: Vec<u8> = (0..128).collect();
        for text in [
            &b""[..],
            b"a",
            b"\0",
            b"\0\0\0\0",
            b"aa",
            b"aba",
            b"abababab",
            b"\x7f\x7f\x7f",
            &all,
        ] {
            check(text);
        }
        assert!(check(&[b'a'; 3000]) < 30);
        assert!(check(&all.repeat(10)) < 200);
        // Far copies, and long ones.
        let far = [&all[..], &[b'x'; 3000], &all].concat();
        check(&far);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn texts_come_back(text in "([a-c]{0,9}|[ -~]{0,20}|for each of them|\n){0,60}") {
            let text: String = text;
            check(text.as_bytes());
        }

        #[test]
        fn what_is_broken_makes_some_other_text(
            packed in prop::collection::vec(any::<u8>(), 0..300),
            len in 0..3000usize,
            slot_count in 0..=SLOT_COUNT,
        ) {
            let (mut slots, mut text) = (vec![Slot::default(); slot_count], vec![0; len]);
            unpack(&packed, &mut slots, &mut text);
        }
    }

    #[test]
    fn what_is_cut_or_changed_makes_some_other_text() {
        let original = b"What stands here twice, stands here twice. ".repeat(3);
        let packed = pack(&original);
        for at in 0..packed.len() {
            text(&packed[..at], original.len());
            for with in [1, 0x80, 0xff] {
                let mut changed = packed.clone();
                changed[at] ^= with;
                text(&changed, original.len());
            }
        }
    }
}
