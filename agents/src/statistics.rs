//! Statistics: comparing agents over many trials, where each trial gives one number.
//!
//! For numbers that may be censored, such as the time to a bug that some trials never found, see
//! [`crate::survival`]. Which test to use when, and why the effect size belongs next to the p-value: Arcuri,
//! Briand: "A practical guide for using statistical tests to assess randomized algorithms in software
//! engineering", ICSE 2011.

use crate::math;

/// How many standard deviations a normal variable keeps within, 95 times of 100.
pub const Z95: f64 = 1.959_963_984_540_054;

/// What [`mann_whitney`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MannWhitney {
    /// In how many pairs the first sample's value is larger, ties counting half.
    pub u: f64,
    /// `u` standardised, corrected for continuity; above 0 where the first sample tends to be larger.
    pub z: f64,
    /// Two-sided, from the normal approximation: fit for 8 or more values on each side.
    pub p: f64,
}

/// Mann and Whitney's rank test, corrected for ties (Annals of Mathematical Statistics 18, 1947). `None` when a
/// sample is empty or holds NaN.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<MannWhitney> {
    let (u, ties) = u_and_ties(a, b)?;
    let (n, m) = (a.len() as f64, b.len() as f64);
    let all = n + m;
    let variance = n * m / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)).max(1.0));
    let off = u - n * m / 2.0;
    if variance <= 0.0 {
        // All values are equal.
        return Some(MannWhitney { u, z: 0.0, p: 1.0 });
    }
    let z = off.signum() * (off.abs() - 0.5).max(0.0) / variance.sqrt();
    Some(MannWhitney { u, z, p: math::normal_two_sided(z) })
}

/// Vargha and Delaney's A12 (Journal of Educational and Behavioral Statistics 25, 2000): the probability that
/// a value of `a` is larger than one of `b`, ties counting half. 0.5 is no effect; 0.56, 0.64 and 0.71 are
/// called small, medium and large. `None` when a sample is empty or holds NaN.
pub fn a12(a: &[f64], b: &[f64]) -> Option<f64> {
    let (u, _) = u_and_ties(a, b)?;
    Some(u / (a.len() as f64 * b.len() as f64))
}

/// Holm's correction for several tests at once (Scandinavian Journal of Statistics 6, 1979): the adjusted
/// p-values, in the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![0.0; p.len()];
    let mut floor = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        floor = floor.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = floor;
    }
    adjusted
}

/// Wilson's interval for a proportion at 95 % (Journal of the American Statistical Association 22, 1927):
/// lower and upper end. The whole of 0 to 1 when there were no trials.
pub fn wilson(successes: u64, trials: u64) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let n = trials as f64;
    let rate = successes.min(trials) as f64 / n;
    let centre = rate + Z95 * Z95 / (2.0 * n);
    let spread = Z95 * (rate * (1.0 - rate) / n + Z95 * Z95 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z95 * Z95 / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// The middle of the sample; the mean of the two middle values when their number is even. `None` when it is
/// empty or holds NaN.
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) })
}

/// U of the first sample, and the sum of t^3 - t over groups of t equal values.
fn u_and_ties(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    if a.is_empty() || b.is_empty() || a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let mut all: Vec<(f64, bool)> = a.iter().map(|&value| (value, true)).collect();
    all.extend(b.iter().map(|&value| (value, false)));
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|x, y| x.0 == y.0) {
        let size = group.len() as f64;
        let ours = group.iter().filter(|(_, first)| *first).count() as f64;
        // Equal values share the mean of their ranks.
        rank_sum += ours * (before + (size + 1.0) / 2.0);
        ties += size * size * size - size;
        before += size;
    }
    let n = a.len() as f64;
    Some((rank_sum - n * (n + 1.0) / 2.0, ties))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mann_whitney_by_hand() {
        // Ranks of a: 2, 4, 6, 7 of 1..=8; U = 19 - 10 = 9, variance 4*4*9/12 = 12.
        let found = mann_whitney(&[2.0, 4.0, 6.0, 7.0], &[1.0, 3.0, 5.0, 8.0]).unwrap();
        assert_eq!(found.u, 9.0);
        assert!((found.z - 0.5 / 12f64.sqrt()).abs() < 1e-12);
        // Apart altogether: U = 64 of 8 * 8, z = 31.5 / sqrt(64 * 17 / 12) = 3.3081, p = 0.000939.
        let low: Vec<f64> = (0..8).map(f64::from).collect();
        let high: Vec<f64> = (10..18).map(f64::from).collect();
        let apart = mann_whitney(&high, &low).unwrap();
        assert_eq!(apart.u, 64.0);
        assert!((apart.z - 3.308_1).abs() < 1e-4 && (apart.p - 0.000_939).abs() < 1e-6, "{apart:?}");
        // With ties: a = 1 1 2, b = 1 2 2. U = 2*0.5 + 1*(1 + 0.5 + 0.5) = 3, ties 24 + 24.
        let tied = mann_whitney(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0]).unwrap();
        assert_eq!(tied.u, 3.0);
        let variance: f64 = 9.0 / 12.0 * (7.0 - 48.0 / 30.0);
        assert!((tied.z + 1.0 / variance.sqrt()).abs() < 1e-12, "{tied:?}");
        assert_eq!(mann_whitney(&[3.0; 5], &[3.0; 5]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
    }

    #[test]
    fn effect_size_correction_interval_and_median() {
        assert_eq!(a12(&[3.0, 4.0], &[1.0, 2.0]), Some(1.0));
        assert_eq!(a12(&[1.0, 2.0], &[1.0, 2.0]), Some(0.5));
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (ours, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((ours - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        let (low, high) = wilson(8, 10);
        assert!((low - 0.490_16).abs() < 1e-5 && (high - 0.943_32).abs() < 1e-5, "{low} {high}");
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        assert_eq!(wilson(0, 20).0, 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    proptest! {
        #[test]
        fn u_counts_the_pairs(
            a in prop::collection::vec(0u8..6, 1..12),
            b in prop::collection::vec(0u8..6, 1..12),
        ) {
            let [a, b] = [a, b].map(|values| values.into_iter().map(f64::from).collect::<Vec<_>>());
            let pair = |x: f64, y: f64| if x > y { 1.0 } else if x == y { 0.5 } else { 0.0 };
            let want: f64 = a.iter().map(|&x| b.iter().map(|&y| pair(x, y)).sum::<f64>()).sum();
            let found = mann_whitney(&a, &b).unwrap();
            prop_assert_eq!(found.u, want);
            prop_assert!((0.0..=1.0).contains(&found.p));
            prop_assert!((a12(&a, &b).unwrap() + a12(&b, &a).unwrap() - 1.0).abs() < 1e-12);
        }
    }
}
