//! Arms against the baseline, by problem and over all problems.
//!
//! By problem: the factor of restricted mean executions, with a bootstrapped interval; the log-rank test, Holm-corrected over all
//! problems and arms of the experiment; A12. Over all problems: the geometric mean of the factors, and the log-rank test with each
//! problem a stratum, Holm-corrected over the arms.

use super::{ProblemResult, Sample, Samples};
use agents::ratio::{Pair, ratios};
use agents::statistics::{a12, holm};
use agents::survival::{Trial as Time, log_rank, log_rank_stratified};
use interceptor::rng::split;
use serde::Serialize;

/// Draws of the bootstrap.
const RESAMPLES: usize = 2_000;
/// Seeds the bootstrap.
const SEED: u64 = 1;

/// An arm against the baseline on one problem.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Against {
    /// Executions that the arm needs for one of the baseline, in restricted means.
    pub ratio: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How likely a search of the arm finds the bug sooner than one of the baseline, ties counting half.
    pub a12: f64,
    /// That they find it at the same pace: log-rank test.
    pub p: f64,
    /// The same, corrected.
    pub p_holm: f64,
}

/// An arm against the baseline over all problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pooled {
    /// Problems on which both have searched.
    pub problems: usize,
    /// The geometric mean of the factors.
    pub ratio: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// That they find bugs at the same pace: stratified log-rank test.
    pub p: f64,
    /// The same, corrected.
    pub p_holm: f64,
}

/// Fills in how arms compare, by problem; over all of them by arm.
pub(super) fn compare(
    baseline: usize,
    samples: &[Samples<'_>],
    problems: &mut [ProblemResult],
) -> Vec<Option<Pooled>> {
    let arms = problems.first().map_or(0, |problem| problem.arms.len());
    let mut pooled: Vec<Option<Pooled>> =
        (0..arms).map(|arm| against(arm, baseline, samples, problems)).collect();
    let mut each: Vec<&mut Against> =
        problems.iter_mut().flat_map(|it| &mut it.arms).filter_map(|arm| arm.against.as_mut()).collect();
    let corrected = holm(&each.iter().map(|it| it.p).collect::<Vec<_>>());
    each.iter_mut().zip(corrected).for_each(|(it, p)| it.p_holm = p);
    let mut all: Vec<&mut Pooled> = pooled.iter_mut().flatten().collect();
    let corrected = holm(&all.iter().map(|it| it.p).collect::<Vec<_>>());
    all.iter_mut().zip(corrected).for_each(|(it, p)| it.p_holm = p);
    pooled
}

fn against(
    arm: usize,
    baseline: usize,
    samples: &[Samples<'_>],
    problems: &mut [ProblemResult],
) -> Option<Pooled> {
    if arm == baseline {
        return None;
    }
    let has_both =
        |samples: &Samples<'_>| !samples[arm].hunts.is_empty() && !samples[baseline].hunts.is_empty();
    let there: Vec<usize> = (0..samples.len()).filter(|problem| has_both(&samples[*problem])).collect();
    let times: Vec<(Vec<Time>, Vec<Time>)> = there
        .iter()
        .map(|problem| (samples[*problem][arm].executions(), samples[*problem][baseline].executions()))
        .collect();
    let pairs: Vec<Pair<'_>> = there
        .iter()
        .zip(&times)
        .map(|(problem, (a, b))| Pair { a, b, horizon: problems[*problem].horizon_executions })
        .collect();
    let found = ratios(&pairs, RESAMPLES, &mut split(SEED, "bootstrap"))?;
    for ((problem, ratio), (a, b)) in there.iter().zip(found.each).zip(&times) {
        let (ours, theirs) = (late(&samples[*problem][arm]), late(&samples[*problem][baseline]));
        problems[*problem].arms[arm].against = Some(Against {
            ratio: ratio.ratio,
            low: ratio.low,
            high: ratio.high,
            a12: a12(&theirs, &ours).unwrap_or(0.5),
            // Where no search tells them apart nothing speaks against their being alike.
            p: log_rank(a, b).map_or(1.0, |test| test.p),
            p_holm: 1.0,
        });
    }
    let strata: Vec<(&[Time], &[Time])> = times.iter().map(|(a, b)| (a.as_slice(), b.as_slice())).collect();
    Some(Pooled {
        problems: there.len(),
        ratio: found.pooled.ratio,
        low: found.pooled.low,
        high: found.pooled.high,
        p: log_rank_stratified(&strata).map_or(1.0, |test| test.p),
        p_holm: 1.0,
    })
}

/// Executions until the bug is found; later than any where it is not.
fn late(sample: &Sample<'_>) -> Vec<f64> {
    sample.executions().iter().map(|it| if it.found { it.time } else { f64::INFINITY }).collect()
}
