//! Stops that were seen while another one was waited for, in the order they were seen.

use std::collections::VecDeque;
use tracer::{Stop, Tid};

/// Stops that nobody has answered yet.
#[derive(Debug, Default)]
pub struct Stops {
    queue: VecDeque<(Tid, Stop)>,
}

impl Stops {
    /// Adds one.
    pub fn push(&mut self, tid: Tid, stop: Stop) {
        self.queue.push_back((tid, stop));
    }

    /// Takes the first of this thread.
    pub fn take_of(&mut self, tid: Tid) -> Option<Stop> {
        self.take(|who, _| who == tid).map(|(_, stop)| stop)
    }

    /// Takes the first that is wanted.
    pub fn take(&mut self, wanted: impl Fn(Tid, Stop) -> bool) -> Option<(Tid, Stop)> {
        let at = self.queue.iter().position(|&(tid, stop)| wanted(tid, stop))?;
        self.queue.remove(at)
    }

    /// The thread is gone: its stops mean nothing any more, and its id may come again.
    pub fn forget(&mut self, tid: Tid) {
        self.queue.retain(|(who, _)| *who != tid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_taken_in_order_and_forgotten_with_their_thread() {
        let mut stops = Stops::default();
        for (tid, stop) in [(1, Stop::Fresh), (2, Stop::BeforeCall), (1, Stop::Exited(0)), (3, Stop::Fresh)] {
            stops.push(Tid(tid), stop);
        }
        assert_eq!(stops.take(|_, stop| stop.is_end()), Some((Tid(1), Stop::Exited(0))));
        assert_eq!((stops.take_of(Tid(2)), stops.take_of(Tid(2))), (Some(Stop::BeforeCall), None));
        stops.forget(Tid(1));
        assert_eq!(stops.take(|_, _| true), Some((Tid(3), Stop::Fresh)));
    }
}
