//! The interleaver: which runnable thread runs next. Exactly one runs at any time, in the whole cluster.

use super::task::ThreadId;
use crate::rng::{Rng, split};
use rand::RngExt;

/// Seeded choice among the runnable threads; switches only at calls.
pub struct Interleaver {
    rng: Rng,
    last: Option<ThreadId>,
}

/// One call in so many gives up the processor although its thread could go on.
const PREEMPT_ONE_IN: u32 = 8;

impl Interleaver {
    /// An interleaver whose choices depend on `seed` alone.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: split(seed, "interleaver"), last: None }
    }

    /// Picks one of `runnable`, which is sorted and not empty. The thread that ran last mostly goes on: a
    /// switch at every call would make each handover of a lock a race, and nothing else.
    pub fn pick(&mut self, runnable: &[ThreadId]) -> ThreadId {
        if let [only] = runnable {
            self.last = Some(*only);
            return *only;
        }
        if let Some(last) = self.last
            && runnable.binary_search(&last).is_ok()
            && self.rng.random_range(0..PREEMPT_ONE_IN) != 0
        {
            return last;
        }
        let chosen = runnable[self.rng.random_range(0..runnable.len())];
        self.last = Some(chosen);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_follow_the_seed_and_reach_every_thread() {
        let threads = [ThreadId(1), ThreadId(4), ThreadId(9)];
        let picks = |seed| {
            let mut interleaver = Interleaver::new(seed);
            (0..200).map(|_| interleaver.pick(&threads)).collect::<Vec<_>>()
        };
        assert_eq!(picks(1), picks(1));
        assert_ne!(picks(1), picks(2));
        for thread in threads {
            assert!(picks(1).contains(&thread));
        }
    }
}
