//! Repeated trials: what can be said of a schedule whose runs are not all alike, as by the host's clock.

use agents::statistics::wilson;
use serde::Serialize;
use std::fmt;

/// How often a schedule showed a violation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Runs that showed it.
    pub shown: u64,
    /// All runs.
    pub runs: u64,
}

impl Rate {
    /// Counts a run.
    pub fn count(&mut self, shows: bool) {
        self.runs += 1;
        self.shown += u64::from(shows);
    }

    /// Where the share of all possible runs lies, with 95 % confidence: Wilson's interval.
    #[must_use]
    pub fn interval(self) -> (f64, f64) {
        wilson(self.shown, self.runs)
    }
}

impl fmt::Display for Rate {
    /// `3 of 5 runs (23% to 88%, 95% confidence)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval();
        let Self { shown, runs } = self;
        write!(f, "{shown} of {runs} runs ({:.0}% to {:.0}%, 95% confidence)", low * 100.0, high * 100.0)
    }
}

/// Whether a schedule shows a violation about as often as another one, decided by as few runs as that takes.
///
/// Wald's sequential probability ratio test (Annals of Mathematical Statistics 16, 1945): runs are made until what
/// they showed is nine times as likely at the other schedule's rate as at a third of it, or the other way round. So a
/// schedule that is as good is refused about one time in ten, and one that is three times worse is taken about one time
/// in ten. What [`TRIALS_MAX`] runs do not decide is refused, which only schedules that rarely break get to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trials {
    /// What a run that shows the violation adds to the evidence.
    shown: f64,
    /// What one that does not adds; negative.
    missed: f64,
}

/// Most runs of one decision.
pub const TRIALS_MAX: u32 = 20;
/// How much worse a schedule must be to be told from one that is as good.
const TIMES_WORSE: f64 = 3.0;
/// The odds at which evidence decides, as a logarithm: errors of one in ten.
const DECIDES: f64 = 2.197;

/// What trials came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// It shows the violation often enough.
    pub shows: bool,
    /// Runs that were made.
    pub runs: u32,
}

impl Trials {
    /// Trials against a schedule that shows the violation at this rate. The rate is taken for a little nearer to one half
    /// than it is (Laplace's rule of succession): few runs prove neither always nor never.
    #[must_use]
    pub fn against(rate: Rate) -> Self {
        let as_often = (rate.shown as f64 + 1.0) / (rate.runs as f64 + 2.0);
        let worse = as_often / TIMES_WORSE;
        Self { shown: (as_often / worse).ln(), missed: ((1.0 - as_often) / (1.0 - worse)).ln() }
    }

    /// Runs until it is decided. `run` tells whether the violation showed; `None`: the caller has had enough.
    ///
    /// # Errors
    /// The first error of `run`.
    pub fn decide<E>(&self, mut run: impl FnMut() -> Result<Option<bool>, E>) -> Result<Decision, E> {
        let mut evidence = 0.0;
        for runs in 0..TRIALS_MAX {
            let Some(shows) = run()? else { return Ok(Decision { shows: false, runs }) };
            evidence += if shows { self.shown } else { self.missed };
            if evidence.abs() >= DECIDES {
                return Ok(Decision { shows: evidence > 0.0, runs: runs + 1 });
            }
        }
        Ok(Decision { shows: false, runs: TRIALS_MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use rand::RngExt;

    /// The share of 2000 schedules with this probability that are taken, and the mean number of runs.
    fn taken(rate: Rate, probability: f64) -> (f64, f64) {
        let trials = Trials::against(rate);
        let mut rng = split(7, "trials");
        let (mut taken, mut runs) = (0, 0);
        for _ in 0..2_000 {
            let decision =
                trials.decide(|| Ok::<_, ()>(Some(rng.random_bool(probability)))).expect("nothing fails");
            assert!((1..=TRIALS_MAX).contains(&decision.runs));
            taken += u32::from(decision.shows);
            runs += decision.runs;
        }
        (f64::from(taken) / 2_000.0, f64::from(runs) / 2_000.0)
    }

    #[test]
    fn what_is_as_good_is_taken_and_what_is_worse_is_not() {
        for (rate, as_often) in
            [(Rate { shown: 5, runs: 5 }, 6.0 / 7.0), (Rate { shown: 3, runs: 5 }, 4.0 / 7.0)]
        {
            let ((good, some), (bad, few)) = (taken(rate, as_often), taken(rate, as_often / 3.0));
            assert!(good > 0.88 && bad < 0.12, "{rate}: {good} {bad}");
            assert!(some < 7.0 && few < 8.0, "{rate}: {some} {few}");
            assert!(taken(rate, 0.0).0 == 0.0 && taken(rate, 1.0).0 == 1.0);
        }
    }

    #[test]
    fn nobody_is_asked_longer_than_the_bound_or_the_caller_wants() {
        let rare = Trials::against(Rate { shown: 1, runs: 20 });
        let never = rare.decide(|| Ok::<_, ()>(Some(false))).unwrap();
        assert_eq!(never, Decision { shows: false, runs: TRIALS_MAX });
        let mut left = 1;
        let stopped = Trials::against(Rate { shown: 5, runs: 5 }).decide(|| {
            left -= 1;
            Ok::<_, ()>((left >= 0).then_some(true))
        });
        assert_eq!(stopped, Ok(Decision { shows: false, runs: 1 }));
    }

    #[test]
    fn a_rate_is_told_with_what_it_may_be() {
        let mut rate = Rate::default();
        [true, false, true, true, false].into_iter().for_each(|shows| rate.count(shows));
        assert_eq!(rate.to_string(), "3 of 5 runs (23% to 88%, 95% confidence)");
    }
}
