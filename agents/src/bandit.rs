//! Bandit: which of a few arms to pull, learnt from what each has given, when that changes over time.
//!
//! EXP3.S, made for rewards that drift (Auer, Cesa-Bianchi, Freund, Schapire: "The Nonstochastic Multiarmed Bandit
//! Problem", SIAM Journal on Computing 32, 2002). A part of all pulls is spread evenly for ever, so that no arm dies out.

use ndarray::Array1;
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{draw, math};

/// EXP3's gamma: the share of pulls that is spread evenly over all arms.
const EXPLORE: f64 = 0.1;
/// EXP3.S's alpha: what part of all weight is spread evenly after each reward.
const SHARE_BACK: f64 = 0.002;
/// The largest exponent of one reward, where odds are so small that it would run away.
const GROWTH_MAX: f64 = 50.0;

/// A pull: which arm, and with which probability it was drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// The arm, from 0.
    pub arm: u16,
    /// The odds when it was drawn; 0: there was no draw.
    pub odds: f64,
}

/// Weights of arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandit {
    /// One an arm; they sum to 1.
    weights: Array1<f64>,
    /// What is given to each arm before the bandit has its share; sums to at most 1.
    floor: Vec<f64>,
}

impl Bandit {
    /// All arms alike, at least one. `floor` is the share of pulls that each gets whatever it gives, 0 where there is none.
    #[must_use]
    pub fn new(arms: usize, floor: &[f64]) -> Self {
        let arms = arms.max(1);
        let floor = (0..arms).map(|arm| floor.get(arm).copied().unwrap_or(0.0)).collect();
        Self { weights: Array1::from_elem(arms, 1.0 / arms as f64), floor }
    }

    /// The probability of each arm; they sum to 1.
    #[must_use]
    pub fn odds(&self) -> Vec<f64> {
        let even = EXPLORE / self.weights.len() as f64;
        let rest = 1.0 - self.floor.iter().sum::<f64>();
        let arms = self.weights.iter().zip(&self.floor);
        arms.map(|(weight, floor)| rest * ((1.0 - EXPLORE) * weight + even) + floor).collect()
    }

    /// Draws an arm. One draw from the generator, always.
    pub fn pull(&self, rng: &mut dyn Rng) -> Pull {
        let odds = self.odds();
        let arm = draw::weighted(&odds, rng).unwrap_or(0);
        Pull { arm: u16::try_from(arm).unwrap_or(0), odds: odds[arm] }
    }

    /// Tells what a pull gave, within 0 and 1. Others may have been drawn and rewarded since.
    pub fn reward(&mut self, pull: Pull, gain: f64) {
        let count = self.weights.len() as f64;
        let Some(weight) = self.weights.get_mut(usize::from(pull.arm)) else { return };
        let growth = EXPLORE * gain.clamp(0.0, 1.0) / pull.odds.max(1e-6) / count;
        *weight *= math::exp(growth.min(GROWTH_MAX));
        let sum = self.weights.sum();
        self.weights.mapv_inplace(|weight| (weight / sum) * (1.0 - SHARE_BACK) + SHARE_BACK / count);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Pulls in which arms give 1 with these probabilities; how often each was pulled.
    fn play(bandit: &mut Bandit, gives: &[f64], pulls: u32, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut pulled = vec![0; gives.len()];
        for _ in 0..pulls {
            let pull = bandit.pull(rng);
            let arm = usize::from(pull.arm);
            pulled[arm] += 1;
            bandit.reward(pull, f64::from(u8::from(draw::unit(rng) < gives[arm])));
        }
        pulled
    }

    #[test]
    fn the_best_arm_is_found_and_found_again_when_it_changes() {
        let mut bandit = Bandit::new(3, &[0.2]);
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        play(&mut bandit, &[0.1, 0.2, 0.9], 600, &mut rng);
        let first = play(&mut bandit, &[0.1, 0.2, 0.9], 1_000, &mut rng);
        assert!(first[2] > 550 && first[0] > 170 && first[1] > 10, "{first:?}");
        play(&mut bandit, &[0.1, 0.9, 0.2], 1_500, &mut rng);
        let second = play(&mut bandit, &[0.1, 0.9, 0.2], 1_000, &mut rng);
        assert!(second[1] > 500, "{second:?}");
    }

    #[test]
    fn odds_stay_sound_at_the_edge() {
        let mut bandit = Bandit::new(2, &[1.0]);
        bandit.reward(Pull { arm: 1, odds: 0.0 }, 1.0);
        bandit.reward(Pull { arm: 9, odds: 0.5 }, 1.0);
        assert!((bandit.weights.sum() - 1.0).abs() < 1e-9);
        assert_eq!(bandit.odds(), [1.0, 0.0]);
        assert_eq!(Bandit::new(0, &[]).odds().len(), 1);
    }
}
