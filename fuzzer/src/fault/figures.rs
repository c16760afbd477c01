//! Figures of faults: how long, how hard, how far. The one table of what is drawn, for random schedules, for mutations and for
//! what agents choose: a size that one of them could never draw would be a bug that it could never find.

use super::{Direction, Loss};
use crate::draw::log_uniform;
use interceptor::rng::Rng;
use rand::RngExt;
use rand::seq::IndexedRandom;

/// A figure's bounds, both included; each doubling between them is as likely as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub low: u64,
    /// The most.
    pub high: u64,
}

/// Of any duration, in milliseconds: from a moment to what outlasts timers of leases, sessions and quorums.
pub const DURATION_MS: Range = Range { low: 10, high: 60_000 };
/// What is added to a packet's way, in milliseconds.
pub const DELAY_MS: Range = Range { low: 1, high: 1_000 };
/// What is added to that in turn.
pub const JITTER_MS: Range = Range { low: 1, high: 500 };
/// How far a clock jumps, without its sign, in milliseconds.
pub const JUMP_MS: Range = Range { low: 10, high: 3_600_000 };
/// How fast a clock runs, in percent.
pub const PERCENT: Range = Range { low: 10, high: 1_000 };
/// The same of one that is fast, and can be told from a true one.
const FAST_PERCENT: Range = Range { low: 110, high: 1_000 };
/// The same of one that is slow.
const SLOW_PERCENT: Range = Range { low: 10, high: 90 };
/// What is added to a sync, in milliseconds.
pub const SYNC_MS: Range = Range { low: 1, high: 1_000 };
/// How many syncs fail: once, or as many as there are.
pub const FAILURES: Range = Range { low: 1, high: 256 };
/// What a disk has room for, in bytes and one more.
pub const ROOM: Range = Range { low: 1, high: 1 << 20 };

impl Range {
    /// A figure within.
    #[must_use]
    pub fn draw(self, rng: &mut Rng) -> u64 {
        log_uniform(self.low, self.high, rng)
    }

    /// The same, of a figure that is no longer than 32 bits.
    #[must_use]
    pub fn draw_u32(self, rng: &mut Rng) -> u32 {
        u32::try_from(self.draw(rng)).unwrap_or(u32::MAX)
    }

    /// The same range, as far as it goes up to `high`.
    #[must_use]
    pub fn up_to(self, high: u64) -> Self {
        Self { high: high.clamp(self.low, self.high), ..self }
    }

    /// Between a quarter of `value` and four times as much, within the range.
    #[must_use]
    pub fn near(self, value: u64, rng: &mut Rng) -> u64 {
        let drawn = log_uniform((value / 4).max(1), value.saturating_mul(4).max(4), rng);
        drawn.clamp(self.low, self.high)
    }
}

/// How long a fault lasts, as an agent chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A moment: less than a time-out.
    Short,
    /// About an election.
    Medium,
    /// Several of them.
    Long,
    /// Longer than leases, sessions and quorums last.
    Lasting,
}

impl Length {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Short, Self::Medium, Self::Long, Self::Lasting];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Medium => "medium",
            Self::Long => "long",
            Self::Lasting => "lasting",
        }
    }

    /// Its milliseconds.
    #[must_use]
    pub const fn range_ms(self) -> Range {
        let (low, high) = match self {
            Self::Short => (200, 400),
            Self::Medium => (700, 1_300),
            Self::Long => (2_000, 4_000),
            Self::Lasting => (5_000, DURATION_MS.high),
        };
        Range { low, high }
    }
}

/// A delay and its jitter; none half of the time.
#[must_use]
pub fn delay(rng: &mut Rng) -> (u64, u64) {
    (DELAY_MS.draw(rng), if rng.random() { 0 } else { JITTER_MS.draw(rng) })
}

/// The rate of a clock that is fast, or slow.
#[must_use]
pub fn percent(is_fast: bool, rng: &mut Rng) -> u32 {
    if is_fast { FAST_PERCENT.draw_u32(rng) } else { SLOW_PERCENT.draw_u32(rng) }
}

/// What a full disk has room for yet: nothing, half of the time.
#[must_use]
pub fn room(rng: &mut Rng) -> u64 {
    if rng.random() { 0 } else { ROOM.draw(rng) - 1 }
}

/// What a loss of power leaves.
#[must_use]
pub fn loss(rng: &mut Rng) -> Loss {
    [Loss::All, Loss::Prefix, Loss::Subset, Loss::Torn].choose(rng).copied().unwrap_or_default()
}

/// Which way is cut: both, half of the time.
#[must_use]
pub fn direction(rng: &mut Rng) -> Direction {
    let all = [Direction::Both, Direction::Both, Direction::Outbound, Direction::Inbound];
    all.choose(rng).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn figures_stay_within(seed: u64, value in 0_u64..=1 << 40) {
            let mut rng = split(seed, "figures");
            for range in [DURATION_MS, DELAY_MS, JITTER_MS, JUMP_MS, PERCENT, SYNC_MS, FAILURES, ROOM] {
                for drawn in [range.draw(&mut rng), range.near(value, &mut rng)] {
                    prop_assert!((range.low..=range.high).contains(&drawn));
                }
            }
            prop_assert!(percent(true, &mut rng) > 100 && percent(false, &mut rng) < 100);
        }
    }

    #[test]
    fn lengths_lie_in_their_order_within_all_durations() {
        for pair in Length::ALL.windows(2) {
            assert!(pair[0].range_ms().high < pair[1].range_ms().low);
        }
        let [first, .., last] = Length::ALL.map(Length::range_ms);
        assert!(first.low >= DURATION_MS.low && last.high <= DURATION_MS.high);
    }
}
