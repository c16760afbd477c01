//! Survival: comparing agents by the time to a bug when some trials never found it.
//!
//! A trial that ran out of budget is censored: the bug would have come later than that, nobody knows when.
//! Leaving such trials out, or counting the budget as their time, favours the agent that gives up; the
//! estimators here use exactly what is known. Times are in any unit, executions or seconds, as long as it is
//! the same for all; they are at least 0.

use crate::math;
use crate::statistics::Z95;

/// How one trial ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// When the bug was found, or when the trial stopped without it.
    pub time: f64,
    /// Whether the bug was found.
    pub found: bool,
}

impl Trial {
    /// The bug was found at `time`.
    pub fn found(time: f64) -> Self {
        Self { time, found: true }
    }

    /// The trial stopped at `time` without it.
    pub fn censored(time: f64) -> Self {
        Self { time, found: false }
    }
}

/// The share of trials that have not found the bug yet, over time.
///
/// Kaplan, Meier: "Nonparametric Estimation from Incomplete Observations", Journal of the American Statistical
/// Association 53, 1958.
#[derive(Clone, Debug, PartialEq)]
pub struct KaplanMeier {
    /// Where the curve falls: time, and its height from there on. Times ascend.
    steps: Vec<(f64, f64)>,
    /// For each step, what it adds to the relative variance of the curve: found / (at risk * (at risk - found)). Absent where
    /// the curve falls to 0, which has no variance.
    terms: Vec<Option<f64>>,
    /// The end of the longest trial: nothing is known beyond.
    end: f64,
}

impl KaplanMeier {
    /// The estimate from these trials; `None` when there are none or a time is NaN or below 0.
    pub fn fit(trials: &[Trial]) -> Option<Self> {
        let sorted = sorted(trials)?;
        let mut at_risk = sorted.len() as f64;
        let mut height = 1.0;
        let (mut steps, mut terms) = (Vec::new(), Vec::new());
        for group in sorted.chunk_by(|x, y| x.time == y.time) {
            // Who is censored at an instant was still at risk at that instant.
            let found = group.iter().filter(|trial| trial.found).count();
            if found > 0 {
                let found = found as f64;
                let left = at_risk - found;
                height *= left / at_risk;
                steps.push((group[0].time, height));
                terms.push((left > 0.0).then(|| found / (at_risk * left)));
            }
            at_risk -= group.len() as f64;
        }
        Some(Self { steps, terms, end: sorted.last().map_or(0.0, |trial| trial.time) })
    }

    /// The points where the curve falls: time, and its height from there on. It starts at 1.
    pub fn steps(&self) -> &[(f64, f64)] {
        &self.steps
    }

    /// The share that has not found the bug by `time`, that instant included.
    pub fn survival(&self, time: f64) -> f64 {
        self.steps.iter().take_while(|step| step.0 <= time).last().map_or(1.0, |step| step.1)
    }

    /// The first time by which at least half have found it; `None` when fewer than half ever do.
    pub fn median(&self) -> Option<f64> {
        self.steps.iter().find(|step| step.1 <= 0.5 + 1e-12).map(|step| step.0)
    }

    /// The mean time to the bug, cut off at `horizon`: the area under the curve up to there. Take a horizon that
    /// every trial could have reached; past the longest trial the curve is carried on flat.
    pub fn restricted_mean(&self, horizon: f64) -> f64 {
        let (mut area, mut from, mut height) = (0.0, 0.0, 1.0);
        for &(time, next) in self.steps.iter().take_while(|step| step.0 < horizon) {
            area += (time - from) * height;
            (from, height) = (time, next);
        }
        area + (horizon - from).max(0.0) * height
    }

    /// The variance of [`Self::restricted_mean`], by Greenwood's formula: the squared area under the rest of the curve after
    /// each step, times what the step adds to the curve's relative variance (Klein, Moeschberger: "Survival Analysis", 2003,
    /// section 4.5).
    pub fn restricted_mean_variance(&self, horizon: f64) -> f64 {
        let whole = self.restricted_mean(horizon);
        let known = self.steps.iter().zip(&self.terms).take_while(|(step, _)| step.0 < horizon);
        known
            .filter_map(|(step, term)| {
                let rest = whole - self.restricted_mean(step.0);
                term.map(|term| rest * rest * term)
            })
            .sum()
    }

    /// The restricted mean and its 95 % interval from the normal approximation, cut off at 0 and `horizon`.
    pub fn restricted_mean_interval(&self, horizon: f64) -> (f64, f64, f64) {
        let mean = self.restricted_mean(horizon);
        let spread = Z95 * self.restricted_mean_variance(horizon).sqrt();
        (mean, (mean - spread).max(0.0), (mean + spread).min(horizon))
    }

    /// The end of the longest trial.
    pub fn end(&self) -> f64 {
        self.end
    }
}

/// What [`log_rank`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogRank {
    /// How many trials of the first sample found the bug.
    pub observed: f64,
    /// How many would have, were both samples alike.
    pub expected: f64,
    /// The statistic, chi-squared with one degree of freedom.
    pub chi2: f64,
    /// Two-sided.
    pub p: f64,
}

/// Whether two samples find the bug at the same pace: Mantel's log-rank test (Cancer Chemotherapy Reports 50,
/// 1966). `None` when a sample is empty, a time is NaN or below 0, or no trial tells them apart.
pub fn log_rank(a: &[Trial], b: &[Trial]) -> Option<LogRank> {
    log_rank_stratified(&[(a, b)])
}

/// The same over several bugs, each a stratum: trials are compared within a bug only, and what is observed and expected is
/// added up. `None` when no stratum tells the samples apart.
pub fn log_rank_stratified(strata: &[(&[Trial], &[Trial])]) -> Option<LogRank> {
    let (mut observed, mut expected, mut variance) = (0.0, 0.0, 0.0);
    for (a, b) in strata {
        let sums = sums(a, b)?;
        observed += sums.observed;
        expected += sums.expected;
        variance += sums.variance;
    }
    if variance <= 0.0 {
        return None;
    }
    let off: f64 = observed - expected;
    let chi2 = off * off / variance;
    Some(LogRank { observed, expected, chi2, p: math::normal_two_sided(chi2.sqrt()) })
}

/// What the log-rank test adds up over the instants of one stratum.
#[derive(Default)]
struct Sums {
    observed: f64,
    expected: f64,
    variance: f64,
}

fn sums(a: &[Trial], b: &[Trial]) -> Option<Sums> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let all = sorted(&[a, b].concat())?;
    let mut sums = Sums::default();
    for group in all.chunk_by(|x, y| x.time == y.time) {
        let time = group[0].time;
        let found = group.iter().filter(|trial| trial.found).count() as f64;
        if found == 0.0 {
            continue;
        }
        let risk_a = a.iter().filter(|trial| trial.time >= time).count() as f64;
        let risk = risk_a + b.iter().filter(|trial| trial.time >= time).count() as f64;
        sums.observed += a.iter().filter(|trial| trial.found && trial.time == time).count() as f64;
        let share = risk_a / risk;
        sums.expected += found * share;
        if risk > 1.0 {
            sums.variance += found * share * (1.0 - share) * (risk - found) / (risk - 1.0);
        }
    }
    Some(sums)
}

/// The trials by time; `None` when there are none or a time makes no sense.
fn sorted(trials: &[Trial]) -> Option<Vec<Trial>> {
    if trials.is_empty() || trials.iter().any(|trial| trial.time.is_nan() || trial.time < 0.0) {
        return None;
    }
    let mut sorted = trials.to_vec();
    sorted.sort_by(|x, y| x.time.total_cmp(&y.time));
    Some(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weeks in remission of 21 leukaemia patients under 6-MP and 21 under placebo: Freireich et al., Blood 21,
    /// 1963, the standard example of survival analysis.
    fn remission() -> (Vec<Trial>, Vec<Trial>) {
        let found = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|week| Trial::found(f64::from(week)));
        let censored =
            [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|week| Trial::censored(f64::from(week)));
        let placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23];
        (
            found.into_iter().chain(censored).collect(),
            placebo.map(|week| Trial::found(f64::from(week))).to_vec(),
        )
    }

    #[test]
    fn the_standard_example_comes_out_as_published() {
        let (treated, placebo) = remission();
        let curve = KaplanMeier::fit(&treated).unwrap();
        for (week, height) in [(5.9, 1.0), (6.0, 0.857_1), (7.0, 0.806_7), (13.0, 0.690_2), (30.0, 0.448_2)] {
            assert!((curve.survival(week) - height).abs() < 5e-5, "{week}: {}", curve.survival(week));
        }
        assert_eq!(curve.median(), Some(23.0));
        assert_eq!(KaplanMeier::fit(&placebo).unwrap().median(), Some(8.0));
        let test = log_rank(&treated, &placebo).unwrap();
        assert_eq!(test.observed, 9.0);
        assert!((test.expected - 19.25).abs() < 5e-3, "{test:?}");
        assert!((test.chi2 - 16.79).abs() < 5e-3, "{test:?}");
        assert!((test.p - 4.17e-5).abs() < 5e-7, "{test:?}");
    }

    #[test]
    fn without_censoring_the_restricted_mean_is_the_mean() {
        let trials = [2.0, 4.0, 9.0].map(Trial::found);
        let curve = KaplanMeier::fit(&trials).unwrap();
        assert!((curve.restricted_mean(100.0) - 5.0).abs() < 1e-12);
        assert!((curve.restricted_mean(3.0) - (2.0 + 2.0 / 3.0)).abs() < 1e-12);
        assert_eq!(curve.restricted_mean(0.0), 0.0);
        assert_eq!(curve.end(), 9.0);
    }

    /// Without censoring Greenwood's formula gives the variance of the mean, with n in the denominator: of 2, 4, 9 the
    /// squared distances to 5 add up to 26, so it is 26 / 3 / 3.
    #[test]
    fn greenwoods_variance_is_that_of_the_mean() {
        let curve = KaplanMeier::fit(&[2.0, 4.0, 9.0].map(Trial::found)).unwrap();
        assert!((curve.restricted_mean_variance(100.0) - 26.0 / 9.0).abs() < 1e-12);
        let (mean, low, high) = curve.restricted_mean_interval(100.0);
        let spread = 1.959_963_984_540_054 * (26.0_f64 / 9.0).sqrt();
        assert!((mean - 5.0).abs() < 1e-12);
        assert!((low - (5.0 - spread)).abs() < 1e-9 && (high - (5.0 + spread)).abs() < 1e-9);
        assert_eq!(curve.restricted_mean_interval(5.0).2, 5.0, "the horizon is a bound");
        // Half found at 1, the rest censored at 5: S = 1/2 from 1 on, the rest's area 2, 4 * 2 / (4 * 2) of it.
        let half = [Trial::found(1.0), Trial::found(1.0), Trial::censored(5.0), Trial::censored(5.0)];
        let curve = KaplanMeier::fit(&half).unwrap();
        assert!((curve.restricted_mean_variance(5.0) - 4.0 * 2.0 / 8.0).abs() < 1e-12);
        let nothing = KaplanMeier::fit(&[Trial::censored(5.0); 3]).unwrap();
        assert_eq!(nothing.restricted_mean_interval(5.0), (5.0, 5.0, 5.0));
    }

    #[test]
    fn strata_are_added_up_and_not_mixed() {
        let (treated, placebo) = remission();
        let one = log_rank(&treated, &placebo).unwrap();
        let two = log_rank_stratified(&[(&treated, &placebo), (&treated, &placebo)]).unwrap();
        assert!((two.chi2 - 2.0 * one.chi2).abs() < 1e-9, "{two:?}");
        // A stratum in which both are alike, however slow, takes nothing away from the difference elsewhere.
        let slow = [Trial::censored(1_000.0); 4];
        assert_eq!(log_rank_stratified(&[(&treated, &placebo), (&slow, &slow)]), Some(one));
        assert_eq!(log_rank_stratified(&[(&slow, &slow)]), None);
    }

    #[test]
    fn what_was_never_found_has_no_median() {
        let trials = [Trial::found(1.0), Trial::censored(5.0), Trial::censored(5.0)];
        let curve = KaplanMeier::fit(&trials).unwrap();
        assert_eq!(curve.median(), None);
        assert!((curve.restricted_mean(5.0) - (1.0 + 4.0 * 2.0 / 3.0)).abs() < 1e-12);
        assert_eq!(KaplanMeier::fit(&[]), None);
        assert_eq!(KaplanMeier::fit(&[Trial::found(-1.0)]), None);
        assert_eq!(log_rank(&[Trial::censored(5.0)], &[Trial::censored(5.0)]), None);
    }
}
