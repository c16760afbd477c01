//! Drawing figures of which nobody knows the right size.

use interceptor::rng::Rng;
use rand::RngExt;

/// A whole number from `low` to `high`, both included: each doubling is as likely as any other. 0 counts as 1.
#[must_use]
pub fn log_uniform(low: u64, high: u64, rng: &mut Rng) -> u64 {
    let (low, high) = (low.max(1), high.max(low).max(1));
    let octave = rng.random_range(low.ilog2()..=high.ilog2());
    let first = (1_u64 << octave).max(low);
    let last = (u64::MAX >> (63 - octave)).min(high);
    rng.random_range(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn log_uniform_stays_within(seed: u64, low in 0_u64..=1 << 40, more in 0_u64..=u64::MAX >> 1) {
            let high = low.saturating_add(more);
            let drawn = log_uniform(low, high, &mut split(seed, "log"));
            prop_assert!((low.max(1)..=high.max(1)).contains(&drawn));
        }
    }
}
