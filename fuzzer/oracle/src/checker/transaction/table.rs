//! A hash table of numbers, for things that are kept elsewhere: it has an order of its own only inside.

use crate::value::Value;
use std::hash::{Hash, Hasher};

/// Maps hashes to the numbers of things kept in a `Vec`; the caller says which are equal.
///
/// A slot holds the hash (upper half) and the number plus one (lower half); 0 is a free slot. At most half are taken.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<u64>,
    taken: usize,
}

impl Table {
    /// The number of the thing with this hash that `is` the one sought; else `new`, which is now its number.
    pub fn number(&mut self, hash: u32, new: u32, is: impl Fn(u32) -> bool) -> u32 {
        if self.taken * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                self.slots[at] = u64::from(hash) << 32 | (u64::from(new) + 1);
                self.taken += 1;
                return new;
            }
            if (slot >> 32) as u32 == hash && is(slot as u32 - 1) {
                return slot as u32 - 1;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let slots = vec![0; (self.slots.len() * 2).max(16)];
        let mask = slots.len() - 1;
        for slot in std::mem::replace(&mut self.slots, slots).into_iter().filter(|slot| *slot != 0) {
            let mut at = (slot >> 32) as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }
}

/// The hash of a pair of numbers.
pub(super) const fn hash_pair(a: u32, b: u64) -> u32 {
    (mix(mix(a as u64 + 1) ^ b) >> 16) as u32
}

/// The hash of a value within something that has a number.
pub(super) fn hash_value(within: u32, value: &Value) -> u32 {
    if let Value::Int(number) = value {
        return hash_pair(within, *number as u64);
    }
    let mut mixer = Mixer(u64::from(within));
    value.hash(&mut mixer);
    (mix(mixer.finish()) >> 16) as u32
}

/// Spreads a number over all its bits (the finalizer of SplitMix64).
const fn mix(number: u64) -> u64 {
    let a = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    b ^ (b >> 31)
}

/// A hasher without a seed: the same at every run.
struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ u64::from_le_bytes(word)).wrapping_add(chunk.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_have_one_number_however_many_there_are() {
        let mut table = Table::default();
        let mut kept: Vec<Value> = Vec::new();
        for round in 0..2 {
            for i in 0..5_000_i64 {
                let value = if i % 2 == 0 { Value::Int(i) } else { Value::text(format!("t{i}")) };
                let hash = hash_value(7, &value);
                let new = kept.len() as u32;
                let number = table.number(hash, new, |at| kept[at as usize] == value);
                assert_eq!(number == new, round == 0);
                if number == new {
                    kept.push(value);
                }
                assert_eq!(number, i as u32);
            }
        }
    }
}
