//! What time it is: how it passes in the room, and a node's clocks, what its programs read, as functions of that.

use super::Error;
use crate::time::{Instant, Span, host_ns};
use serde::{Deserialize, Serialize};
use tracer::{Patience, vdso};

/// By which clock the room lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// Its own: one thread runs at a time, each call costs a fixed time, and time jumps when nobody can run. A run is a
    /// function of its configuration.
    #[default]
    Virtual,
    /// The host's: threads run free and at once, and what comes of that differs from run to run.
    Real,
}

impl Clock {
    /// Its name on the command line and in findings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Real => "real",
        }
    }
}

/// How time passes in a room.
pub(super) enum Time {
    /// When the room says so.
    Virtual,
    /// By itself.
    Real {
        /// The host's monotonic clock when the room was switched on.
        begun_ns: u64,
        /// Waits for threads.
        patience: Patience,
    },
}

/// What an intercepted call costs in virtual time.
const CALL: Span = Span::from_nanos(1_000);
/// What a clock read costs in virtual time.
const CLOCK_READ_NS: u64 = 20;
/// A sleeper wakes later than it asked by the timer slack of Linux (PR_SET_TIMERSLACK, prctl(2)).
pub(super) const SLACK: Span = Span::from_micros(50);
/// After so many clock reads the next one is a call.
const CLOCK_READS_MAX: u64 = 500;

impl Time {
    /// The room is switched on.
    pub fn begin(clock: Clock) -> Result<Self, Error> {
        Ok(match clock {
            Clock::Virtual => Self::Virtual,
            Clock::Real => Self::Real { begun_ns: host_ns(), patience: Patience::new()? },
        })
    }

    /// Threads run free.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real { .. })
    }

    /// What time it is, when it was `last` a moment ago.
    pub fn now(&self, last: Instant) -> Instant {
        match self {
            Self::Virtual => last,
            Self::Real { begun_ns, .. } => Instant(host_ns().saturating_sub(*begun_ns)).max(last),
        }
    }

    /// A thread that went on at `last` has stopped, after it slept so long without a stop, and after so many reads of its
    /// clock since.
    pub fn after_stop(&self, last: Instant, slept: Span, reads: u64) -> Instant {
        match self {
            Self::Virtual => last + slept + Span(reads * CLOCK_READ_NS) + CALL,
            Self::Real { .. } => self.now(last),
        }
    }

    /// The image whose functions guests call to know the time.
    pub fn image(&self) -> Vec<u8> {
        match self {
            Self::Virtual => vdso::image(),
            Self::Real { .. } => vdso::running_image(),
        }
    }
}

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
    /// When the monotonic clock showed `base_ns`.
    since: Instant,
    base_ns: u64,
    /// Wall clock minus monotonic clock.
    offset_ns: i64,
    /// Rate in percent of the room's time.
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

    /// What programs that go on now read without a stop, each read a little later than the one before. They are `alone` for
    /// so long: a sleep that ends before needs no stop. It takes what the call and its wait would, on a clock at the true
    /// rate; on others sleeps are calls.
    #[must_use]
    pub fn set_terms(&self, now: Instant, alone: Span) -> vdso::Clock {
        vdso::Clock {
            monotonic_ns: self.read(ClockKind::Monotonic, now),
            realtime_ns: self.read(ClockKind::Realtime, now),
            reads_max: CLOCK_READS_MAX,
            step_ns: CLOCK_READ_NS * u64::from(self.percent) / 100,
            alone_ns: if self.percent == 100 { alone.0 } else { 0 },
            oversleep_ns: CALL.0 + SLACK.0,
        }
    }

    /// What programs make of the host's clock, in a room that was switched on when that showed `begun_ns`.
    #[must_use]
    pub fn running_terms(&self, begun_ns: u64) -> vdso::RunningClock {
        vdso::RunningClock {
            since_ns: begun_ns + self.since.0,
            percent: u64::from(self.percent),
            base_ns: self.base_ns,
            offset_ns: self.offset_ns as u64,
        }
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
