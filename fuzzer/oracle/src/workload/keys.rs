//! Which key is asked for.

use super::Shape;
use rand::{Rng, RngExt};

/// The keys in use: slots, each of which holds a key until it has been asked for often enough.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The key in each slot, and how often it was drawn.
    slots: Vec<(u64, u64)>,
    /// The next fresh key.
    fresh: u64,
    /// Groups of clients; those of one share the slots whose number leaves the same rest.
    groups: usize,
    clients_per_key: usize,
    operations_per_key: u64,
    skew_percent: u32,
}

impl Keys {
    /// Keys from 0 on.
    pub fn new(shape: &Shape) -> Self {
        let clients_per_key = shape.clients_per_key.max(1);
        let groups = shape.clients.max(1).div_ceil(clients_per_key);
        let count = shape.keys.max(groups as u64).max(1);
        Self {
            slots: (0..count).map(|key| (key, 0)).collect(),
            fresh: count,
            groups,
            clients_per_key,
            operations_per_key: shape.operations_per_key,
            skew_percent: shape.skew_percent.min(99),
        }
    }

    /// A key for this client.
    pub fn draw(&mut self, client: usize, rng: &mut dyn Rng) -> u64 {
        let group = client / self.clients_per_key % self.groups;
        let mut count = (self.slots.len() - group).div_ceil(self.groups);
        while count > 1 && rng.random_ratio(self.skew_percent, 100) {
            count = count.div_ceil(2);
        }
        let slot = &mut self.slots[group + rng.random_range(0..count) * self.groups];
        let (key, drawn) = *slot;
        *slot = (key, drawn + 1);
        if drawn + 1 == self.operations_per_key {
            *slot = (self.fresh, 0);
            self.fresh += 1;
        }
        key
    }

    /// How many keys were ever in use.
    pub fn count(&self) -> u64 {
        self.fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn few_clients_share_a_key_and_none_is_asked_for_too_often() {
        let shape =
            Shape { clients: 7, keys: 6, clients_per_key: 2, operations_per_key: 20, ..Shape::default() };
        let mut keys = Keys::new(&shape);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut drawn: BTreeMap<u64, (u64, BTreeSet<usize>)> = BTreeMap::new();
        for n in 0..2_000 {
            let (count, clients) = drawn.entry(keys.draw(n % 7, &mut rng)).or_default();
            *count += 1;
            clients.insert(n % 7);
        }
        assert!(drawn.values().all(|(count, clients)| *count <= 20 && clients.len() <= 2), "{drawn:?}");
        assert!(drawn.len() as u64 <= keys.count() && drawn.len() >= 100);
    }

    #[test]
    fn skew_prefers_the_first_keys() {
        let of = |skew_percent| {
            let shape = Shape { keys: 8, operations_per_key: 0, skew_percent, ..Shape::default() };
            let mut keys = Keys::new(&shape);
            let mut rng = ChaCha8Rng::seed_from_u64(2);
            (0..8_000).filter(|n| keys.draw(n % 5, &mut rng) == 0).count()
        };
        let (even, skewed) = (of(0), of(80));
        assert!((900..1_100).contains(&even) && (4_200..5_200).contains(&skewed), "{even} {skewed}");
    }
}
