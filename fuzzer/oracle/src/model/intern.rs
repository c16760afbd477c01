//! Numbers for values, in the order in which they are met.
//!
//! A hash table of its own: its numbers do not depend on the hash, so that results are the same in every run, and a
//! million values take a fraction of a second.

use std::hash::{Hash, Hasher};

/// Gives equal values equal numbers, counted from 0.
#[derive(Clone, Debug)]
pub struct Interner<T> {
    /// Positions in `items`, plus one; 0 is free. Its length is a power of two, at least twice that of `items`.
    slots: Vec<u32>,
    hashes: Vec<u32>,
    items: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { slots: vec![0; 16], hashes: Vec::new(), items: Vec::new() }
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The number of `item`; it gets the next one if it is new.
    ///
    /// # Panics
    /// At four billion values.
    pub fn number(&mut self, item: T) -> u32 {
        let hash = hash_of(&item);
        match self.find(&item, hash) {
            Ok(number) => number,
            Err(slot) => {
                let number = u32::try_from(self.items.len()).expect("fewer than 2^32 values");
                self.slots[slot] = number + 1;
                self.hashes.push(hash as u32);
                self.items.push(item);
                if self.items.len() * 2 > self.slots.len() {
                    self.grow();
                }
                number
            }
        }
    }

    /// The number of `item`, if it has one.
    #[must_use]
    pub fn get(&self, item: &T) -> Option<u32> {
        self.find(item, hash_of(item)).ok()
    }

    /// The value with this number.
    ///
    /// # Panics
    /// If no value has it.
    #[must_use]
    pub fn item(&self, number: u32) -> &T {
        &self.items[number as usize]
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Its number, or the slot it would take.
    fn find(&self, item: &T, hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let Some(number) = self.slots[slot].checked_sub(1) else { return Err(slot) };
            if self.hashes[number as usize] == hash as u32 && self.items[number as usize] == *item {
                return Ok(number);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let length = self.slots.len() * 2;
        let mask = length - 1;
        let mut slots = vec![0; length];
        for (number, item) in self.items.iter().enumerate() {
            // beyond 2^32 slots the stored half of the hash would not do
            let hash = if length <= 1 << 32 { u64::from(self.hashes[number]) } else { hash_of(item) };
            let mut slot = hash as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number as u32 + 1;
        }
        self.slots = slots;
    }
}

/// The hash of a value, the same in every run.
pub(crate) fn hash_of<T: Hash>(item: &T) -> u64 {
    let mut hasher = Mixer(0);
    item.hash(&mut hasher);
    hasher.finish()
}

/// Multiplies and rotates a word at a time; good for tables, not against those who choose values to make it slow.
struct Mixer(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(FACTOR);
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value as u64);
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(value as u64);
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(FACTOR);
        mixed ^ (mixed >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_in_the_order_of_meeting_and_stay() {
        let mut numbers = Interner::default();
        for round in 0..2 {
            for i in 0..10_000_u64 {
                assert_eq!(numbers.number(i * 7919), i as u32, "round {round}");
            }
        }
        assert_eq!((numbers.len(), numbers.get(&7919), numbers.get(&1)), (10_000, Some(1), None));
        assert_eq!(*numbers.item(2), 2 * 7919);
        let mut texts = Interner::default();
        let first: Vec<u32> =
            ["a", "b", "", "a", "aaaaaaaab", "aaaaaaaac", ""].map(|t| texts.number(t)).into();
        assert_eq!(first, [0, 1, 2, 0, 3, 4, 2]);
    }
}
