//! What happens when a virtual instant comes.

use super::files::DescriptionId;
use super::task::{ProcessId, ThreadId};
use crate::time::{Instant, Span};
use std::collections::BTreeMap;

/// A pending timer: its instant, and a number that keeps equal instants in the order they were set.
pub type TimerId = (Instant, u64);

/// What a timer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A parked thread's time is up.
    Wake(ThreadId),
    /// A timer descriptor expires.
    Descriptor(DescriptionId),
    /// An interval timer of a process expires (setitimer(2) with `ITIMER_REAL`, alarm(2)).
    Alarm(ProcessId),
    /// A POSIX timer of a process expires (timer_create(2)).
    Posix(ProcessId, i32),
    /// The device is done with a request (io_submit(2)).
    Aio(u64),
}

/// When something is due, once or again and again, by a clock of a node. While nobody takes note of what has expired, it is
/// not set again: what passes meanwhile is counted when somebody does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// When it is due next, in nanoseconds of its clock.
    pub next_ns: Option<u64>,
    /// Its interval; zero: once.
    pub interval: Span,
}

impl Beat {
    /// How often it was due until the clock showed `now_ns`; from now on it is due after that.
    pub fn catch_up(&mut self, now_ns: u64) -> u64 {
        let Some(next) = self.next_ns.filter(|&next| next <= now_ns) else { return 0 };
        if self.interval == Span::ZERO {
            self.next_ns = None;
            return 1;
        }
        let passed = (now_ns - next) / self.interval.0 + 1;
        self.next_ns = Some(next.saturating_add(passed.saturating_mul(self.interval.0)));
        passed
    }

    /// Nanoseconds until it is due next, at least one if it is at all.
    #[must_use]
    pub fn left_ns(mut self, now_ns: u64) -> u64 {
        if self.interval > Span::ZERO {
            self.catch_up(now_ns);
        }
        self.next_ns.map_or(0, |next| next.saturating_sub(now_ns).max(1))
    }
}

/// All pending timers.
#[derive(Default)]
pub struct Timers {
    queue: BTreeMap<TimerId, Due>,
    next: u64,
}

impl Timers {
    /// Sets a timer.
    pub fn set(&mut self, at: Instant, due: Due) -> TimerId {
        self.next += 1;
        let id = (at, self.next);
        self.queue.insert(id, due);
        id
    }

    /// Removes a timer; one that has fired is none.
    pub fn cancel(&mut self, id: TimerId) {
        self.queue.remove(&id);
    }

    /// When the next timer fires.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|(id, _)| id.0)
    }

    /// Takes the next timer that is due at `now`.
    pub fn pop(&mut self, now: Instant) -> Option<Due> {
        if self.deadline()? > now {
            return None;
        }
        self.queue.pop_first().map(|(_, due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_unseen_is_counted_and_not_fired() {
        let mut beat = Beat { next_ns: Some(100), interval: Span(1) };
        assert_eq!((beat.catch_up(99), beat.catch_up(100), beat.next_ns), (0, 1, Some(101)));
        assert_eq!((beat.catch_up(2_000_000_100), beat.left_ns(2_000_000_100)), (2_000_000_000, 1));
        let mut slow = Beat { next_ns: Some(100), interval: Span(70) };
        assert_eq!((slow.left_ns(250), slow.catch_up(250), slow.next_ns), (60, 3, Some(310)));
        let mut once = Beat { next_ns: Some(100), interval: Span::ZERO };
        assert_eq!(
            (once.left_ns(30), once.catch_up(500), once.catch_up(900), once.left_ns(0)),
            (70, 1, 0, 0)
        );
        let mut never = Beat { next_ns: Some(u64::MAX), interval: Span(u64::MAX) };
        assert_eq!((never.catch_up(u64::MAX), never.next_ns), (1, Some(u64::MAX)));
    }

    #[test]
    fn timers_fire_in_order_of_instant_then_of_setting() {
        let mut timers = Timers::default();
        let wake = |n| Due::Wake(ThreadId(n));
        timers.set(Instant(5), wake(1));
        let gone = timers.set(Instant(4), wake(2));
        timers.set(Instant(5), wake(3));
        timers.set(Instant(9), wake(4));
        timers.cancel(gone);
        let fired: Vec<Due> = std::iter::from_fn(|| timers.pop(Instant(5))).collect();
        assert_eq!(fired, [wake(1), wake(3)]);
        assert_eq!(timers.deadline(), Some(Instant(9)));
    }
}
