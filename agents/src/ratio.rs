//! Ratio: by which factor one agent needs longer than another to the bug, over one bug and over all of them.
//!
//! The factor of a bug is that of the restricted mean times ([`KaplanMeier::restricted_mean`]); over several bugs it is the
//! geometric mean of their factors, so that a bug that takes a hundred times as long weighs no more than the others. Intervals
//! are percentiles of a bootstrap (Efron, Tibshirani: "An Introduction to the Bootstrap", 1993, chapter 13) that draws the
//! trials of each bug and agent anew.

use crate::math::{exp, ln};
use crate::survival::{KaplanMeier, Trial};
use rand::{Rng, RngExt};

/// Two agents on one bug.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Whose time is above the line.
    pub a: &'a [Trial],
    /// Whose time is below it.
    pub b: &'a [Trial],
    /// Where means are cut off.
    pub horizon: f64,
}

/// A factor and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Times that `a` needs for one that `b` needs; below 1 where `a` is faster.
    pub ratio: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What [`ratios`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratios {
    /// By pair.
    pub each: Vec<Ratio>,
    /// Of all of them: the geometric mean.
    pub pooled: Ratio,
}

/// The factors, with intervals from `resamples` draws of `rng`. A pair of which neither found the bug has the factor 1, and
/// counts. `None` when there are no pairs or draws, or a mean is not above 0 because trials are missing or took no time.
pub fn ratios(pairs: &[Pair<'_>], resamples: usize, rng: &mut impl Rng) -> Option<Ratios> {
    if pairs.is_empty() || resamples == 0 {
        return None;
    }
    let logs =
        pairs.iter().map(|pair| log_ratio(pair.a, pair.b, pair.horizon)).collect::<Option<Vec<_>>>()?;
    let mut drawn = vec![Vec::with_capacity(resamples); pairs.len()];
    let mut pooled = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        let mut sum = 0.0;
        for (pair, drawn) in pairs.iter().zip(&mut drawn) {
            let (a, b) = (redrawn(pair.a, rng), redrawn(pair.b, rng));
            let log = log_ratio(&a, &b, pair.horizon)?;
            drawn.push(log);
            sum += log;
        }
        pooled.push(sum / pairs.len() as f64);
    }
    let each = logs.iter().zip(drawn).map(|(log, drawn)| ratio(*log, drawn)).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    Some(Ratios { each, pooled: ratio(mean, pooled) })
}

fn log_ratio(a: &[Trial], b: &[Trial], horizon: f64) -> Option<f64> {
    let mean = |trials| Some(KaplanMeier::fit(trials)?.restricted_mean(horizon)).filter(|mean| *mean > 0.0);
    Some(ln(mean(a)?) - ln(mean(b)?))
}

/// As many trials, each drawn from all of them.
fn redrawn(trials: &[Trial], rng: &mut impl Rng) -> Vec<Trial> {
    trials.iter().map(|_| trials[rng.random_range(0..trials.len())]).collect()
}

fn ratio(log: f64, mut drawn: Vec<f64>) -> Ratio {
    drawn.sort_by(f64::total_cmp);
    let last = drawn.len() - 1;
    let at = |share: f64| drawn[((last as f64 * share).round() as usize).min(last)];
    Ratio { ratio: exp(log), low: exp(at(0.025)), high: exp(at(0.975)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    /// Thirty trials found at 1 to 30 times `scale`.
    fn spread(scale: f64) -> Vec<Trial> {
        (1..=30).map(|time| Trial::found(f64::from(time) * scale)).collect()
    }

    #[test]
    fn factors_are_those_of_the_means_and_pool_by_their_geometric_mean() {
        let (slow, fast) = (spread(4.0), spread(1.0));
        let pairs = [
            Pair { a: &slow, b: &fast, horizon: 1_000.0 },
            Pair { a: &fast, b: &fast, horizon: 1_000.0 },
            Pair { a: &fast, b: &slow, horizon: 1_000.0 },
        ];
        let found = ratios(&pairs, 500, &mut rng()).unwrap();
        for (ratio, want) in found.each.iter().zip([4.0, 1.0, 0.25]) {
            assert!((ratio.ratio - want).abs() < 1e-9, "{found:?}");
            assert!(ratio.low < want && want < ratio.high, "{found:?}");
        }
        assert!((found.pooled.ratio - 1.0).abs() < 1e-9, "{found:?}");
        let width = |ratio: &Ratio| ratio.high / ratio.low;
        assert!(width(&found.pooled) < width(&found.each[0]), "three bugs say more than one: {found:?}");
        assert!(found.each[0].low > 2.5 && found.each[0].high < 6.5, "{found:?}");
        assert_eq!(ratios(&pairs, 500, &mut rng()), Some(found), "the same draws give the same interval");
    }

    #[test]
    fn what_nobody_found_counts_as_even() {
        let never = [Trial::censored(50.0); 5];
        let pairs = [Pair { a: &never, b: &never, horizon: 50.0 }];
        let even = Ratio { ratio: 1.0, low: 1.0, high: 1.0 };
        assert_eq!(ratios(&pairs, 20, &mut rng()), Some(Ratios { each: vec![even], pooled: even }));
        assert_eq!(ratios(&[], 20, &mut rng()), None);
        assert_eq!(ratios(&[Pair { a: &[], b: &never, horizon: 50.0 }], 20, &mut rng()), None);
    }
}
