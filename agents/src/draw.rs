//! Drawing from the caller's generator. Written out here so that choices stay the same when the `rand` crate
//! changes how it samples.

use rand::Rng;

use crate::action::ActionId;

/// A number in `[0, 1)`, a multiple of 2^-53.
pub(crate) fn unit(rng: &mut dyn Rng) -> f64 {
    const STEP: f64 = 1.0 / (1u64 << 53) as f64;
    (rng.next_u64() >> 11) as f64 * STEP
}

/// A whole number below `bound`, each equally likely.
///
/// # Panics
/// When `bound` is 0.
pub(crate) fn below(bound: usize, rng: &mut dyn Rng) -> usize {
    let bound = bound as u64;
    assert!(bound > 0, "cannot draw from nothing");
    // The last, incomplete run of `bound` numbers is rejected; it is less than half of all, so the loop ends
    // after two rounds on average at worst.
    let rest = (u64::MAX % bound + 1) % bound;
    loop {
        let drawn = rng.next_u64();
        if drawn <= u64::MAX - rest {
            return (drawn % bound) as usize;
        }
    }
}

/// An index, drawn with the given probabilities. One draw from the generator, always.
pub(crate) fn weighted(probabilities: &[f64], rng: &mut dyn Rng) -> Option<usize> {
    let mut left = unit(rng);
    let mut last = None;
    for (index, &probability) in probabilities.iter().enumerate() {
        if probability > 0.0 {
            if left < probability {
                return Some(index);
            }
            left -= probability;
            last = Some(index);
        }
    }
    // Rounding can leave a sliver beyond the sum; it belongs to the last entry that is possible at all.
    last
}

/// One of `legal`, drawn with the given probabilities; `None` when `legal` is empty.
pub(crate) fn action(legal: &[ActionId], probabilities: &[f64], rng: &mut dyn Rng) -> Option<ActionId> {
    debug_assert_eq!(legal.len(), probabilities.len(), "one probability for each legal action");
    if legal.is_empty() {
        return None;
    }
    weighted(probabilities, rng).map(|index| legal[index])
}

/// The uniform distribution over those of `legal` that pass; `None` when none does.
pub(crate) fn uniform_where(legal: &[ActionId], pass: impl Fn(ActionId) -> bool) -> Option<Vec<f64>> {
    let passes: Vec<bool> = legal.iter().map(|&action| pass(action)).collect();
    let count = passes.iter().filter(|&&pass| pass).count();
    let share = 1.0 / count as f64;
    (count > 0).then(|| passes.into_iter().map(|pass| if pass { share } else { 0.0 }).collect())
}

/// The uniform distribution over `count` entries.
pub(crate) fn uniform(count: usize) -> Vec<f64> {
    vec![1.0 / count as f64; count]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn below_is_even_and_in_range() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0u32; 3];
        for _ in 0..30_000 {
            counts[below(3, &mut rng)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_600..10_400).contains(&count)), "{counts:?}");
        assert_eq!(below(1, &mut rng), 0);
    }

    #[test]
    fn weighted_skips_what_is_impossible_and_follows_the_weights() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut counts = [0u32; 4];
        for _ in 0..20_000 {
            counts[weighted(&[0.0, 0.25, 0.75, 0.0], &mut rng).unwrap()] += 1;
        }
        assert_eq!((counts[0], counts[3]), (0, 0));
        assert!((4_700..5_300).contains(&counts[1]), "{counts:?}");
        assert_eq!(weighted(&[], &mut rng), None);
        assert_eq!(weighted(&[0.0, 1e-300], &mut rng), Some(1), "the sliver goes to what is possible");
    }
}
