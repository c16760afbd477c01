//! The generator that libafl's parts draw from: the campaign's own, one a candidate.

use interceptor::rng::{Rng, split};
use libafl_bolts::rands::Rand;
use rand::Rng as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The generator of one candidate. It is saved as what it was made of: between candidates nothing else counts.
#[derive(Clone, Debug)]
pub(super) struct Random {
    seed: u64,
    candidate: u64,
    pub(super) rng: Rng,
}

impl Random {
    /// The generator of a candidate of the campaign with this seed.
    pub(super) fn of(seed: u64, candidate: u64) -> Self {
        Self { seed, candidate, rng: split(seed, &format!("candidate {candidate}")) }
    }
}

impl Rand for Random {
    fn set_seed(&mut self, seed: u64) {
        *self = Self::of(seed, 0);
    }

    fn next(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

impl Serialize for Random {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.seed, self.candidate).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Random {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (seed, candidate) = Deserialize::deserialize(deserializer)?;
        Ok(Self::of(seed, candidate))
    }
}
