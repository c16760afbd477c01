//! The states that a search has met, packed into words one after the other.

/// A set of word sequences with a bound on its memory. Once it is full it forgets to take new ones, which costs a
/// search time and never truth.
pub(super) struct Seen {
    /// Starts in `words`, plus one, with the upper half of the hash beside; 0 is free.
    slots: Vec<(u32, u32)>,
    /// Each sequence after its length.
    words: Vec<u64>,
    count: usize,
    words_max: usize,
}

impl Seen {
    /// An empty set that takes at most about `bytes_max` bytes, no more than 32 GiB.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            slots: vec![(0, 0); 64],
            words: Vec::new(),
            count: 0,
            words_max: (bytes_max / 16).min(u32::MAX as usize - 1),
        }
    }

    /// Takes a sequence. False: it was there.
    pub fn insert(&mut self, key: &[u64]) -> bool {
        let hash = hash(key);
        let tag = (hash >> 32) as u32;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let (start, other) = self.slots[slot];
            let Some(start) = start.checked_sub(1) else { break };
            if other == tag && self.at(start as usize) == key {
                return false;
            }
            slot = (slot + 1) & mask;
        }
        if self.words.len() + key.len() >= self.words_max || self.slots.len() >= self.words_max {
            return true;
        }
        self.slots[slot] = (self.words.len() as u32 + 1, tag);
        self.words.push(key.len() as u64);
        self.words.extend_from_slice(key);
        self.count += 1;
        if self.count * 2 > self.slots.len() {
            self.grow();
        }
        true
    }

    fn at(&self, start: usize) -> &[u64] {
        let length = self.words[start] as usize;
        &self.words[start + 1..start + 1 + length]
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![(0, 0); self.slots.len() * 2];
        let mut start = 0;
        while start < self.words.len() {
            let key = self.at(start);
            let hash = hash(key);
            let mut slot = hash as usize & mask;
            while slots[slot].0 != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = (start as u32 + 1, (hash >> 32) as u32);
            start += key.len() + 1;
        }
        self.slots = slots;
    }
}

fn hash(key: &[u64]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = key.iter().fold(key.len() as u64, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(FACTOR);
        hash ^ (hash >> 29)
    });
    mixed.wrapping_mul(FACTOR) ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sequence_is_new_once() {
        let mut seen = Seen::new(1 << 24);
        for round in 0..2 {
            for i in 0..5000_u64 {
                let key: Vec<u64> = (0..i % 5).map(|n| i * n).chain([i]).collect();
                assert_eq!(seen.insert(&key), round == 0, "{key:?}");
            }
        }
    }

    #[test]
    fn a_full_set_takes_no_more_memory() {
        let mut seen = Seen::new(1 << 12);
        (0..100_000_u64).for_each(|i| _ = seen.insert(&[i]));
        assert!(seen.words.len() * 8 + seen.slots.len() * 8 <= 1 << 13);
        assert!(!seen.insert(&[0]));
        assert!(seen.insert(&[99_999]));
    }
}
