//! Randomness: one seed per schedule, split by label, so that a new use never shifts an old one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// The only generator of the sandbox.
pub type Rng = ChaCha8Rng;

/// A generator for one use of `seed`: equal seeds and labels give equal streams, different labels
/// independent ones.
#[must_use]
pub fn split(seed: u64, label: &str) -> Rng {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(label.as_bytes()).finalize();
    Rng::from_seed(digest.into())
}

#[cfg(test)]
mod tests {
    use super::split;
    use rand::Rng;

    #[test]
    fn streams_depend_on_seed_and_label_only() {
        let first = |seed, label| split(seed, label).next_u64();
        assert_eq!(first(1, "net"), first(1, "net"));
        assert_ne!(first(1, "net"), first(1, "disk"));
        assert_ne!(first(1, "net"), first(2, "net"));
    }
}
