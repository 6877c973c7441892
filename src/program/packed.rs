//! Texts in little room: [`unpack`] reads what `build.rs` has packed, which has this file, too.
//!
//! Each bit of a text is foretold from what was before it, and only how wrong that was is stored, by arithmetic
//! coding. What foretells is [`Model`]: it counts which bit came in the same place of a byte after the same one
//! to three bytes, and after anything, and trusts the longer contexts more.

/// Room for the counts of a model, in bytes.
pub const MODEL_BYTES: usize = 1 << (SLOT_BITS + 1);

/// How many pairs of counts there are, as a power of two. A place that two contexts share costs little.
const SLOT_BITS: u32 = 18;

/// Contexts of none to three bytes.
const ORDER_COUNT: usize = 4;

/// Spreads what it is multiplied with over the upper bits.
const HASH: u64 = 0x9e37_79b9_7f4a_7c15;

/// What ends each text.
pub const END: u8 = 0;

/// What is known of a text so far.
pub struct Model<'a> {
    /// How often a zero and a one came in a context.
    counts: &'a mut [[u8; 2]],
    /// Where in them the contexts of the next bit are.
    places: [usize; ORDER_COUNT],
    /// The bytes before this one, the last of them lowest.
    before: u64,
    /// The bits of this byte that are known, behind a one.
    bits: u64,
}

impl<'a> Model<'a> {
    /// Nothing is known. `counts` are zeros.
    pub fn new(counts: &'a mut [u8]) -> Self {
        Self {
            counts: counts.as_chunks_mut().0,
            places: [0; ORDER_COUNT],
            before: 0,
            bits: 1,
        }
    }

    /// The odds of a zero and a one.
    pub fn odds(&mut self) -> [u64; 2] {
        let (mut zeros, mut ones) = (2, 2);
        for (order, place) in self.places.iter_mut().enumerate() {
            let context = self.before & ((1 << (8 * order)) - 1);
            let key = context << 16 | self.bits << 8 | order as u64;
            *place = (key.wrapping_mul(HASH) >> (64 - SLOT_BITS)) as usize;
            if let Some(&[zero, one]) = self.counts.get(*place) {
                // What has never been otherwise is trusted twice as much.
                let is_sure = zero == 0 || one == 0;
                let weight = (order as u64 + 1).pow(2) << u32::from(is_sure);
                zeros += weight * u64::from(zero);
                ones += weight * u64::from(one);
            }
        }
        [zeros, ones]
    }

    /// Learns the bit that came, whose odds were asked for. Returns the byte that it completes.
    pub fn learn(&mut self, bit: bool) -> Option<u8> {
        for place in self.places {
            if let Some([zero, one]) = self.counts.get_mut(place) {
                let (came, other) = if bit { (one, zero) } else { (zero, one) };
                *came = came.saturating_add(1);
                *other = (*other).min(1);
            }
        }
        self.bits = self.bits << 1 | u64::from(bit);
        let byte = u8::try_from(self.bits ^ 0x100).ok()?;
        (self.before, self.bits) = (self.before << 8 | u64::from(byte), 1);
        Some(byte)
    }
}

/// Where the numbers that begin with a one end, of those from `low` to `high`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a part of a number of 32 bits"
)]
pub fn middle(low: u32, high: u32, [zeros, ones]: [u64; 2]) -> u32 {
    low + (u64::from(high - low) * ones / (zeros + ones)) as u32
}

/// Puts the text of that number, counted from zero, to the front of `place`: how long it is. `counts` are zeros.
pub fn unpack(packed: &[u8], counts: &mut [u8], number: usize, place: &mut [u8]) -> usize {
    let mut model = Model::new(counts);
    let mut packed = packed.iter();
    let (mut low, mut high, mut code) = (0, 0, 0);
    let (mut count, mut len) = (0, 0);
    while count <= number {
        // What low and high have in common is known. At first that is all.
        while (low ^ high) >> 24 == 0 {
            (low, high) = (low << 8, high << 8 | 0xff);
            code = code << 8 | packed.next().map_or(0, |&byte| u32::from(byte));
        }
        let middle = middle(low, high, model.odds());
        let bit = code <= middle;
        (low, high) = if bit {
            (low, middle)
        } else {
            (middle + 1, high)
        };
        match model.learn(bit) {
            Some(END) => count += 1,
            Some(byte) if count == number => {
                if let Some(place) = place.get_mut(len) {
                    *place = byte;
                }
                len += 1;
            }
            _ => {}
        }
    }
    len
}
