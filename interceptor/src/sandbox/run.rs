//! The one loop: fire what is due, pick a thread, let it run to its next stop, answer.

use super::guest::{Outcome, Trouble};
use super::log::{Entry, What};
use super::task::{Call, State, Thread, ThreadId};
use super::timers::Due;
use super::{Deadline, Error, Sandbox};
use crate::time::{Instant, Span};
use tracer::Stop;

/// Most signals that a thread receives in one turn.
const SIGNALS_IN_A_TURN: u32 = 1_000;

/// Why [`Sandbox::run`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Time has reached the bound.
    Reached,
    /// There are new events, or something happened on a client's connection.
    Activity,
    /// The run was ended early; see [`Sandbox::stopped`].
    Stopped,
}

impl Sandbox {
    /// Runs the cluster until `until`, or until something happened that the caller may want to act on.
    ///
    /// # Errors
    /// When the sandbox itself fails; what guests do is never an error.
    pub fn run(&mut self, until: Instant) -> Result<Pause, Error> {
        let seen = self.events.len();
        loop {
            if self.stopped.is_some() {
                return Ok(Pause::Stopped);
            }
            self.now = self.time.now(self.now);
            let fired = self.fire_due();
            self.contain(fired, ())?;
            if self.events.len() > seen || !self.client_events.is_empty() {
                return Ok(Pause::Activity);
            }
            if self.now >= until {
                return Ok(Pause::Reached);
            }
            let runnable = self.runnable();
            if self.time.is_real() {
                let ran = self.run_free(&runnable, until);
                self.contain(ran, ())?;
            } else if runnable.is_empty() {
                self.now = self.next_deadline().map_or(until, |at| at.min(until)).max(self.now);
            } else {
                let chosen = self.interleaver.pick(&runnable);
                self.alone_until = match runnable[..] {
                    [_] => self.next_deadline().map_or(until, |at| at.min(until)),
                    _ => self.now,
                };
                let taken = self.turn(chosen);
                self.contain_turn(chosen, taken)?;
            }
        }
    }

    /// Threads that could go on, sorted.
    fn runnable(&self) -> Vec<ThreadId> {
        self.threads.iter().filter(|(_, thread)| self.can_go_on(thread)).map(|(&id, _)| id).collect()
    }

    pub(super) fn can_go_on(&self, thread: &Thread) -> bool {
        matches!(thread.state, State::Ready | State::Retry) && !self.is_held(thread)
    }

    /// Its node is paused, or its process stopped.
    pub(super) fn is_held(&self, thread: &Thread) -> bool {
        self.nodes[thread.node].paused || self.processes[&thread.process].stopped
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.net.deadline(), self.timers.deadline()].into_iter().flatten().min()
    }

    /// Fires everything that is due now: packets first, then timers, each in their order.
    fn fire_due(&mut self) -> Result<(), Error> {
        if self.net.deadline().is_some_and(|at| at <= self.now) {
            self.net.advance(self.now);
        }
        self.spread_edges();
        while let Some(due) = self.timers.pop(self.now) {
            match due {
                Due::Wake(id) => {
                    if let Some(thread) = self.threads.get_mut(&id) {
                        thread.timer = None;
                        thread.state = State::Retry;
                    }
                }
                Due::Descriptor(id) => self.timer_descriptor_fires(id),
                Due::Alarm(process) => self.alarm_fires(process)?,
                Due::Posix(process, timer) => self.posix_timer_fires(process, timer)?,
                Due::Aio(number) => self.aio_ends(number)?,
            }
        }
        Ok(())
    }

    /// Lets a thread have its turn: its parked call is tried again, or it goes on.
    pub(super) fn turn(&mut self, id: ThreadId) -> Result<(), Error> {
        self.calling = None;
        if self.thread(id).state == State::Retry {
            let call = self.thread(id).call.expect("a thread that is to try again has a call");
            return self.answer(id, &call);
        }
        let signal = std::mem::take(&mut self.thread_mut(id).receives);
        self.go_on(id, signal)
    }

    /// Lets a thread go on, with a signal or without: to its next stop, which is handled, or on its own. One that receives
    /// signal after signal is not waited for: others have their turn, and time its due.
    pub(super) fn go_on(&mut self, id: ThreadId, mut signal: i32) -> Result<(), Error> {
        for _ in 0..SIGNALS_IN_A_TURN {
            self.thread_mut(id).after_call = false;
            if self.time.is_real() {
                return self.set_free(id, signal);
            }
            self.set_clock_page(self.thread(id).node);
            self.thread(id).tid.resume(signal)?;
            let mut stop = self.await_stop(id)?;
            // Not every processor lets this be answered: time and turns are as where it does not.
            while stop == Stop::Signal(libc::SIGSEGV) && self.answer_cpuid(id)? {
                if self.stopped.is_some() {
                    return Ok(());
                }
                self.thread(id).tid.resume(0)?;
                stop = self.await_stop(id)?;
            }
            let Some(next) = self.handle_stop(id, stop)? else { return Ok(()) };
            signal = next;
            if self.stopped.is_some() || self.is_held(self.thread(id)) {
                break;
            }
        }
        let thread = self.thread_mut(id);
        (thread.state, thread.receives) = (State::Ready, signal);
        Ok(())
    }

    /// Counts a stop of a guest's; too many end the run.
    pub(super) fn count(&mut self, id: ThreadId, doing: impl FnOnce(String) -> String) {
        self.calls += 1;
        if self.calls > self.config.limits.calls_max {
            let doing = doing(format!("node n{}", self.thread(id).node + 1));
            self.stop_run(format!(
                "the nodes made more than {} calls; {doing}",
                self.config.limits.calls_max
            ));
        }
    }

    /// A thread of the node is about to run: a clock that does not run by itself is set.
    pub(super) fn set_clock_page(&mut self, node: usize) {
        if !self.time.is_real() {
            // Only the first time a thread goes on in its turn: what it does then may change what happens next.
            let alone = std::mem::replace(&mut self.alone_until, self.now).since(self.now);
            let node = &mut self.nodes[node];
            node.pages.set_clock(node.clock.set_terms(self.now, alone));
        }
    }

    /// Handles a stop: the signal that the thread goes on with in the same turn, if it does.
    pub(super) fn handle_stop(&mut self, id: ThreadId, stop: Stop) -> Result<Option<i32>, Error> {
        let node = self.thread(id).node;
        match self.nodes[node].pages.used() {
            Some(used) => self.now = self.time.after_stop(self.now, Span(used.slept_ns), used.reads),
            None if self.time.is_real() => self.now = self.time.after_stop(self.now, Span::ZERO, 0),
            None => self.stop_run(format!("node n{} stored to the page in which its clock is", node + 1)),
        }
        match stop {
            Stop::BeforeCall => {
                let call = self.thread(id).tid.call()?;
                self.count(id, |who| format!("{who} was making `{}`", super::syscalls::name(call.number)));
                self.answer(id, &call)?;
            }
            Stop::Signal(signal) => return self.signal_stop(id, signal),
            Stop::Exited(_) | Stop::Killed(_) if self.heed_host(id, stop) => {
                // Whoever clears up waits for it.
                self.stops.push(self.thread(id).tid, stop);
                return Err(Error::Over);
            }
            Stop::Exited(_) | Stop::Killed(_) => self.thread_ended(id, stop)?,
            Stop::Fresh => self.thread_mut(id).state = State::Ready,
            other => {
                return Err(Error::Stop { thread: self.thread(id).vtid, node, stop: format!("{other:?}") });
            }
        }
        Ok(None)
    }

    /// Answers a call: the first time, or again after a wait.
    fn answer(&mut self, id: ThreadId, call: &Call) -> Result<(), Error> {
        self.calling = Some(call.number);
        let outcome = match super::syscalls::handle(self, id, call) {
            Ok(outcome) => outcome,
            Err(Trouble::Fails(errno)) => {
                self.note_refusal(id, call, errno);
                let failed = -i64::from(errno as i32);
                if self.threads.get(&id).is_some_and(|thread| thread.after_call) {
                    // Another call ran in its place, or its results found no room: what the guest is told is this.
                    let tid = self.thread(id).tid;
                    let told = tid.registers().and_then(|mut registers| {
                        registers.set_result(failed);
                        tid.set_registers(&registers)
                    });
                    self.unless_dying(id, told)?;
                    Outcome::Ran(failed)
                } else {
                    Outcome::Return(failed)
                }
            }
            Err(Trouble::Broken(Error::Tracer(error))) if error.is_gone() && self.is_dying(id) => {
                self.unpark(id, State::Free);
                Outcome::Gone
            }
            Err(Trouble::Broken(error)) => return Err(error),
        };
        self.finish_call(id, call, outcome)
    }

    /// Leaves a call as its handler said.
    pub(super) fn finish_call(&mut self, id: ThreadId, call: &Call, outcome: Outcome) -> Result<(), Error> {
        self.spread_edges();
        if !self.threads.contains_key(&id) {
            // The call ended its caller.
            return Ok(());
        }
        match outcome {
            Outcome::Return(result) => {
                self.unless_dying(id, self.thread(id).tid.skip_call(result))?;
                self.complete(id, call, result);
            }
            Outcome::Ran(result) => {
                self.thread_mut(id).after_call = true;
                self.complete(id, call, result);
            }
            Outcome::Continue => self.complete(id, call, 0),
            Outcome::Restart => {
                let tid = self.thread(id).tid;
                let restarted = tid.registers().and_then(|mut registers| {
                    registers.restart_call(call);
                    tid.set_registers(&registers)
                });
                self.unless_dying(id, restarted)?;
                self.complete(id, call, -512);
            }
            Outcome::Park(keys) => {
                self.park(id, call, keys);
                self.heed_signal(id)?;
            }
            Outcome::Gone => {}
        }
        Ok(())
    }

    /// Whether the registers of a thread whose call ends could be set; one that is being killed needs none.
    fn unless_dying(&self, id: ThreadId, set: Result<(), tracer::Error>) -> Result<(), Error> {
        match set {
            Err(error) if error.is_gone() && self.is_dying(id) => Ok(()),
            other => Ok(other?),
        }
    }

    /// The call is over: it is logged, and the thread can go on.
    fn complete(&mut self, id: ThreadId, call: &Call, result: i64) {
        let suspended = self.suspend_after_call.take() == Some(id);
        self.unpark(id, if suspended { State::Suspended } else { State::Ready });
        let data = std::mem::take(&mut self.moved);
        // Where a path lies says nothing of what it is, and follows from what a loader makes of the processor.
        let paths = self.paths.take();
        let told = |argument: u64| {
            paths.iter().find(|(at, _)| *at == argument && argument != 0).map_or(argument, |(_, text)| *text)
        };
        let what = What::Call { number: call.number, arguments: call.args.map(told), result, data };
        self.log_entry(id, what);
    }

    pub(super) fn log_entry(&mut self, id: ThreadId, what: What) {
        let thread = self.thread(id);
        let entry = Entry { at: self.now, node: thread.node as u16, thread: thread.vtid, what };
        tracing::trace!("{entry}");
        self.log.push(entry);
    }

    fn park(&mut self, id: ThreadId, call: &Call, keys: Vec<super::task::Key>) {
        let now = self.now;
        let node = self.thread(id).node;
        let deadline = self.thread(id).until;
        if let Some(Deadline { clock, ns }) = deadline
            && self.thread(id).timer.is_none()
        {
            let at = self.nodes[node].clock.instant_of(clock, ns).max(now);
            let timer = self.timers.set(at, Due::Wake(id));
            self.thread_mut(id).timer = Some(timer);
        }
        // What a part of a call has moved counts where it arrives.
        self.moved = 0;
        self.paths.take();
        let thread = self.thread_mut(id);
        thread.call = Some(*call);
        thread.state = State::Parked(keys);
    }

    /// Ends a wait, whatever it was for.
    pub(super) fn unpark(&mut self, id: ThreadId, state: State) {
        let Some(thread) = self.threads.get_mut(&id) else { return };
        thread.state = state;
        thread.call = None;
        thread.until = None;
        thread.woken = false;
        thread.progress = 0;
        if let Some(timer) = thread.timer.take() {
            self.timers.cancel(timer);
        }
    }

    /// Every thread that waits for `key` tries its call again.
    pub(super) fn wake(&mut self, key: super::task::Key) {
        for thread in self.threads.values_mut() {
            if let State::Parked(keys) = &thread.state
                && keys.contains(&key)
            {
                thread.state = State::Retry;
            }
        }
    }
}
