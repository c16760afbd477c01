//! What a transaction did with each key, while its micro-operations are gone through: nearly all have few, some thousands.

use std::collections::BTreeMap;

/// So many keys are looked through one after the other.
const FEW: usize = 16;

/// Something of each key; costs the logarithm of the number of keys.
#[derive(Debug)]
pub(super) struct Touched<T> {
    few: Vec<(u32, T)>,
    many: BTreeMap<u32, T>,
}

impl<T> Default for Touched<T> {
    fn default() -> Self {
        Self { few: Vec::new(), many: BTreeMap::new() }
    }
}

impl<T> Touched<T> {
    /// What is known of a key.
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self.few.iter().position(|(known, _)| *known == key) {
            Some(at) => Some(&mut self.few[at].1),
            None => self.many.get_mut(&key),
        }
    }

    /// A key is known.
    pub fn has(&self, key: u32) -> bool {
        self.few.iter().any(|(known, _)| *known == key) || self.many.contains_key(&key)
    }

    /// From now on this is known of a key; gives what was known.
    pub fn put(&mut self, key: u32, value: T) -> Option<T> {
        if let Some(known) = self.get_mut(key) {
            return Some(std::mem::replace(known, value));
        }
        if self.few.len() < FEW {
            self.few.push((key, value));
        } else {
            self.many.insert(key, value);
        }
        None
    }
}
