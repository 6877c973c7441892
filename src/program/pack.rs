//! Packs the text of the shims for [`super::unpack`]: part of `build.rs`, and of the tests.

use std::collections::HashMap;
use std::vec;
use std::vec::Vec;

use super::unpack::{DISTANCE, IS_COPY, LENGTH, LETTERS, SLOT_COUNT, Slot, learned, share};

/// How often the items are chosen anew, by what the decisions of the last choice cost.
const ROUNDS: usize = 6;

/// How long a copy is at most, so that packing takes no long time.
const LEN_MAX: usize = 256;

/// What the text is made of at a place: a copy, or a letter, which has the distance 0 and the length 1.
#[derive(Clone, Copy, Default)]
struct Item {
    distance: usize,
    len: usize,
}

/// Bits that each side of a decision takes.
type Costs = Vec<[f32; 2]>;

/// Packs `text`, which is ASCII.
pub fn pack(text: &[u8]) -> Vec<u8> {
    let copies = copies(text);
    let mut costs = vec![[1.0; 2]; SLOT_COUNT];
    let mut best = None;
    for _ in 0..ROUNDS {
        let items = choose(text, &copies, &costs);
        let (packed, next) = encode(text, &items);
        costs = next;
        if best
            .as_ref()
            .is_none_or(|best: &Vec<u8>| packed.len() < best.len())
        {
            best = Some(packed);
        }
    }
    best.unwrap_or_default()
}

/// For each place the nearest copy of every length that is longer than all nearer ones.
fn copies(text: &[u8]) -> Vec<Vec<Item>> {
    let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut copies = vec![vec![]; text.len()];
    for (at, pair) in text.windows(2).enumerate() {
        let earlier = places.entry(pair).or_default();
        let mut longest = 1;
        for &from in earlier.iter().rev() {
            let pairs = text[from..].iter().zip(&text[at..]).take(LEN_MAX);
            let len = pairs.take_while(|(old, new)| old == new).count();
            if len > longest {
                let distance = at - from;
                copies[at].push(Item { distance, len });
                longest = len;
            }
            if len == LEN_MAX {
                break;
            }
        }
        earlier.push(at);
    }
    copies
}

/// The cheapest items, forward: what the text up to a place costs at least, and the last item of that.
fn choose(text: &[u8], copies: &[Vec<Item>], costs: &Costs) -> Vec<Item> {
    let mut least = vec![(f32::INFINITY, Item::default()); text.len() + 1];
    least[0].0 = 0.0;
    for at in 0..text.len() {
        let mut offer = |item: Item| {
            let mut cost = least[at].0;
            let is_behind_copy = least[at].1.distance > 0;
            decide(text, at, item, is_behind_copy, |index, bit| {
                cost += costs[index][bit];
            });
            let end = &mut least[at + item.len];
            if cost < end.0 {
                *end = (cost, item);
            }
        };
        offer(Item {
            distance: 0,
            len: 1,
        });
        for &Item { distance, len } in &copies[at] {
            (2..=len).for_each(|len| offer(Item { distance, len }));
        }
    }
    let (mut items, mut end) = (vec![], text.len());
    while end > 0 {
        items.push(least[end].1);
        end -= least[end].1.len;
    }
    items.reverse();
    items
}

/// The decisions that tell `item`: which slot, and which side.
fn decide(
    text: &[u8],
    at: usize,
    item: Item,
    is_behind_copy: bool,
    mut tell: impl FnMut(usize, usize),
) {
    let is_copy = item.distance > 0;
    tell(IS_COPY + usize::from(is_behind_copy), usize::from(is_copy));
    if is_copy {
        number(item.distance, DISTANCE, &mut tell);
        number(item.len - 1, LENGTH, &mut tell);
        return;
    }
    let tree = at.checked_sub(1).map_or(0, |last| usize::from(text[last])) * LETTERS;
    let leaf = LETTERS + usize::from(text[at]);
    for shift in (0..LETTERS.ilog2()).rev() {
        let branch = leaf >> shift;
        tell(tree + branch / 2, branch % 2);
    }
}

fn number(number: usize, mut index: usize, tell: &mut impl FnMut(usize, usize)) {
    for shift in (0..number.ilog2()).rev() {
        tell(index, 1);
        tell(index + 1, number >> shift & 1);
        index += 2;
    }
    tell(index, 0);
}

/// The packed text, and what its decisions cost on average.
fn encode(text: &[u8], items: &[Item]) -> (Vec<u8>, Costs) {
    let mut slots = vec![Slot::default(); SLOT_COUNT];
    let mut counts = vec![[0.3f32; 2]; SLOT_COUNT];
    let (mut packed, mut low, mut range) = (vec![], 0, 1 << 24);
    let (mut at, mut is_behind_copy) = (0, false);
    for &item in items {
        decide(text, at, item, is_behind_copy, |index, bit| {
            let share = share(slots[index], range);
            if bit == 1 {
                range = share;
            } else {
                low += u64::from(share);
                range -= share;
            }
            slots[index] = learned(slots[index], bit == 1);
            counts[index][bit] += 1.0;
            while range < 1 << 24 {
                range <<= 8;
                shift(&mut packed, &mut low);
            }
        });
        (at, is_behind_copy) = (at + item.len, item.distance > 0);
    }
    (0..4).for_each(|_| shift(&mut packed, &mut low));
    // The range has begun below the first byte, which is zero, and behind the end the reader finds zeros.
    let len = packed
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    let packed = packed.get(1..len).unwrap_or_default().to_vec();
    let costs = counts
        .iter()
        .map(|of| of.map(|count| ((of[0] + of[1]) / count).log2()));
    (packed, costs.collect())
}

/// Moves the top byte of the lower end of the range to what is packed, with the carry.
fn shift(packed: &mut Vec<u8>, low: &mut u64) {
    if *low >> 32 == 1 {
        for byte in packed.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
    packed.push(low.to_be_bytes()[4]);
    *low = (*low & 0x00ff_ffff) << 8;
}
