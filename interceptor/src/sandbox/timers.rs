//! What happens when a virtual instant comes.

use super::files::DescriptionId;
use super::task::{ProcessId, ThreadId};
use crate::time::Instant;
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
