//! Threads that run free, under the host's clock: whoever can go on does so at once, and their stops are answered one
//! at a time, each in its turn.
//!
//! A thread that was let go is [`State::Free`] until its stop is answered. Meanwhile it may be anywhere, also on its
//! way out: others of its process can end it while it stands at a stop, and all that is learnt of that at first is
//! that it cannot be reached. Its end is reported like any other stop.

use super::clock::Time;
use super::task::{State, Thread, ThreadId};
use super::{Error, Sandbox};
use crate::time::{Instant, Span};
use tracer::{Stop, Tid, poll_any};

/// How often the memory of processes is looked at.
const LOOK_EVERY: Span = Span::from_millis(250);

impl Sandbox {
    /// Lets everybody go on who can; when nobody can, answers the next stop, waiting for it until something is due.
    pub(super) fn run_free(&mut self, runnable: &[ThreadId], until: Instant) -> Result<(), Error> {
        for &id in runnable {
            if self.threads.get(&id).is_some_and(|thread| self.can_go_on(thread)) {
                self.turn(id)?;
            }
        }
        if !runnable.is_empty() {
            return Ok(());
        }
        self.bound_memory();
        match self.next_stop(until)? {
            Some((tid, stop)) => self.meet(tid, stop),
            None => Ok(()),
        }
    }

    /// Lets a thread run, with a signal or without. One that cannot be reached is being killed.
    pub(super) fn set_free(&mut self, id: ThreadId, signal: i32) -> Result<(), Error> {
        self.thread_mut(id).state = State::Free;
        match self.thread(id).tid.resume(signal) {
            Err(error) if !error.is_gone() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Stops the threads that run free and are meant; what they were about to ask is answered later.
    pub(super) fn halt(&mut self, is_meant: impl Fn(&Thread) -> bool) {
        for thread in self.threads.values() {
            if thread.state == State::Free && is_meant(thread) {
                // One that is gone does not run either.
                let _gone = thread.tid.interrupt();
            }
        }
    }

    /// The next stop that may be answered now. All stops there are count as seen at once: the kernel tells of the oldest
    /// thread first, and one that makes call after call would keep the others waiting.
    fn next_stop(&mut self, until: Instant) -> Result<Option<(Tid, Stop)>, Error> {
        if let Some(found) = self.take_stop() {
            return Ok(Some(found));
        }
        let Time::Real { begun_ns, patience } = &self.time else { return Ok(None) };
        let at = self.next_deadline().map_or(until, |at| at.min(until)).min(self.now + LOOK_EVERY);
        if let Some((tid, stop)) = patience.wait_any(begun_ns.saturating_add(at.0))? {
            self.stops.push(tid, stop);
            while let Some((tid, stop)) = poll_any()? {
                self.stops.push(tid, stop);
            }
        }
        Ok(self.take_stop())
    }

    /// The first stop of a thread that is not held: one of a paused node ends, but asks nothing.
    fn take_stop(&mut self) -> Option<(Tid, Stop)> {
        let mut stops = std::mem::take(&mut self.stops);
        let found = stops.take(|tid, stop| {
            let thread = self.by_tid.get(&tid.0).and_then(|id| self.threads.get(id));
            stop.is_end() || thread.is_none_or(|thread| !self.is_held(thread))
        });
        self.stops = stops;
        found
    }

    /// Answers a stop.
    fn meet(&mut self, tid: Tid, stop: Stop) -> Result<(), Error> {
        let Some(&id) = self.by_tid.get(&tid.0) else {
            if !stop.is_end() {
                // Nobody knows it: who made it was killed meanwhile.
                let _gone = tid.send_process_signal(libc::SIGKILL);
            }
            return Ok(());
        };
        match self.handle_stop(id, stop) {
            Err(Error::Tracer(error)) if error.is_gone() && self.is_dying(id) => Ok(()),
            Ok(Some(signal)) => self.go_on(id, signal),
            other => other.map(|_| ()),
        }
    }

    /// Ends the run if its processes use more memory than they may.
    fn bound_memory(&mut self) {
        if self.now < self.looked + LOOK_EVERY {
            return;
        }
        self.looked = self.now;
        let max = self.config.limits.memory_max;
        let bytes = self.watchdog.used(max);
        if bytes > max {
            self.stop_run(self.told_memory(bytes));
        }
    }
}
