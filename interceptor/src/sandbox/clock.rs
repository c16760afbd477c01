//! A node's clocks: what its programs read, as a function of virtual time.

use crate::time::{Instant, Span};

/// Which clock a guest means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockKind {
    /// Never jumps.
    Monotonic,
    /// The wall clock.
    Realtime,
}

/// The clocks of one node.
#[derive(Clone, Debug)]
pub struct NodeClock {
    /// Virtual time at which the monotonic clock showed `base_ns`.
    since: Instant,
    base_ns: u64,
    /// Wall clock minus monotonic clock.
    offset_ns: i64,
    /// Rate in percent of virtual time.
    percent: u32,
}

impl NodeClock {
    /// Clocks that show these times when the sandbox is switched on, at the true rate.
    #[must_use]
    pub fn new(monotonic_ns: u64, realtime_ns: u64) -> Self {
        let offset_ns = realtime_ns as i64 - monotonic_ns as i64;
        Self { since: Instant::START, base_ns: monotonic_ns, offset_ns, percent: 100 }
    }

    /// What the clock shows.
    #[must_use]
    pub fn read(&self, kind: ClockKind, now: Instant) -> u64 {
        let passed = u128::from(now.since(self.since).0) * u128::from(self.percent) / 100;
        let monotonic = self.base_ns.saturating_add(passed as u64);
        match kind {
            ClockKind::Monotonic => monotonic,
            ClockKind::Realtime => monotonic.saturating_add_signed(self.offset_ns),
        }
    }

    /// The virtual instant at which the clock first shows at least `shown_ns`, if nobody touches it.
    #[must_use]
    pub fn instant_of(&self, kind: ClockKind, shown_ns: u64) -> Instant {
        let monotonic = match kind {
            ClockKind::Monotonic => shown_ns,
            ClockKind::Realtime => shown_ns.saturating_add_signed(self.offset_ns.saturating_neg()),
        };
        let ahead = u128::from(monotonic.saturating_sub(self.base_ns)) * 100;
        let ahead = ahead.div_ceil(u128::from(self.percent));
        self.since + Span(u64::try_from(ahead).unwrap_or(u64::MAX))
    }

    /// Moves the wall clock.
    pub fn jump(&mut self, by_ns: i64) {
        self.offset_ns = self.offset_ns.saturating_add(by_ns);
    }

    /// Runs both clocks at `percent` of the true rate from now on (1 to 1000).
    pub fn set_rate(&mut self, percent: u32, now: Instant) {
        self.base_ns = self.read(ClockKind::Monotonic, now);
        self.since = now;
        self.percent = percent.clamp(1, 1000);
    }

    /// A true nanosecond in nanoseconds of this clock, for `n` of them, rounded down.
    #[must_use]
    pub fn scale(&self, n: u64) -> u64 {
        n * u64::from(self.percent) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::ClockKind::{Monotonic, Realtime};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_jump_moves_the_wall_clock_only() {
        let mut clock = NodeClock::new(1_000, 5_000);
        clock.jump(-3_000);
        assert_eq!((clock.read(Monotonic, Instant(10)), clock.read(Realtime, Instant(10))), (1_010, 2_010));
    }

    proptest! {
        #[test]
        fn a_clock_never_runs_back_and_its_deadlines_are_met(
            rates in proptest::collection::vec((1_u32..=1000, 0_u64..5_000_000_000), 1..6),
            ahead in 0_u64..5_000_000_000,
        ) {
            let mut clock = NodeClock::new(7, 1_700_000_000_000_000_000);
            let (mut now, mut shown) = (Instant::START, 0);
            for (percent, span) in rates {
                clock.set_rate(percent, now);
                prop_assert!(clock.read(Monotonic, now) >= shown);
                for kind in [Monotonic, Realtime] {
                    let target = clock.read(kind, now) + ahead;
                    let at = clock.instant_of(kind, target);
                    prop_assert!(clock.read(kind, at) >= target);
                    prop_assert!(at == now || clock.read(kind, Instant(at.0 - 1)) < target || at < now);
                }
                now += Span(span);
                shown = clock.read(Monotonic, now);
            }
        }
    }
}
