//! The watchdog: a thread of ours that notices a guest which never stops, or a run that eats memory.
//!
//! Nothing it does can change a run that ends well. It looks at the processor time of the thread that runs now and at the
//! memory of all processes; past a bound it stops the thread with a signal that the thread never receives. The tracer sees
//! that stop, reads where the thread stood, and the run is `Unknown` and says why. A thread that does not even stop, for it
//! is deep in the kernel, is killed.

use super::memory;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracer::Tid;

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(25);
/// A thread that has been told to stop has so many looks to do so.
const LOOKS_TO_STOP: u32 = 8;
/// After a costly look at the memory, so many are not at that.
const LOOKS_TO_REST: u32 = 8;
/// Nanoseconds of processor time in a tick, as /proc counts them (USER_HZ is 100).
const NS_PER_TICK: u64 = 10_000_000;

/// What a run was caught at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// A thread ran for so many milliseconds of its own processor time without a stop.
    Spins {
        /// See above.
        ms: u64,
    },
    /// A thread has waited in a call of the host for at least so many milliseconds.
    Waits {
        /// See above.
        ms: u64,
    },
    /// The processes of the run use so many bytes of memory together.
    Memory {
        /// See above.
        bytes: u64,
    },
}

/// What it was caught at, and the thread that ran then.
pub type Verdict = (Overrun, Tid);

#[derive(Default)]
struct Shared {
    /// The number of the turn in the upper half, the thread that has it in the lower; a thread of 0: nobody runs. In one
    /// word, so that a thread is never taken for the one before.
    turn: AtomicU64,
    process: AtomicI32,
    /// Processes that have not ended.
    processes: Mutex<BTreeSet<i32>>,
    /// Bytes of memory that is in no process: of files that are only in memory.
    held: AtomicU64,
    fired: AtomicBool,
    verdict: Mutex<Option<Verdict>>,
}

/// The handle; dropping it ends the thread.
pub struct Watchdog {
    shared: Arc<Shared>,
    /// Number of the last turn.
    turns: AtomicU64,
    quit: Option<Sender<()>>,
    watcher: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts watching: `spin_ms_max` processor milliseconds without a stop, `memory_max` bytes of all processes.
    pub fn start(spin_ms_max: u64, memory_max: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let (quit, stop) = channel();
        let seen = Arc::clone(&shared);
        let watcher = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let gauge = Gauge::new(spin_ms_max);
            let mut watcher = Watcher { shared: seen, memory_max, gauge, rests: 0, told: None };
            while stop.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                watcher.look();
            }
        });
        Self { shared, turns: AtomicU64::new(0), quit: Some(quit), watcher: watcher.ok() }
    }

    /// This thread of this process runs now.
    pub fn watch(&self, thread: Tid, process: Tid) {
        let number = self.turns.fetch_add(1, SeqCst) + 1;
        self.shared.process.store(process.0, SeqCst);
        self.shared.turn.store(number << 32 | u64::from(thread.0.cast_unsigned()), SeqCst);
    }

    /// No thread runs now.
    pub fn rest(&self) {
        self.shared.turn.store(0, SeqCst);
    }

    /// There is such a process from now on.
    pub fn born(&self, process: Tid) {
        self.shared.processes.lock().unwrap_or_else(PoisonError::into_inner).insert(process.0);
    }

    /// There is no such process any more.
    pub fn gone(&self, process: Tid) {
        self.shared.processes.lock().unwrap_or_else(PoisonError::into_inner).remove(&process.0);
    }

    /// So many bytes of memory are in no process.
    pub fn hold(&self, bytes: u64) {
        self.shared.held.store(bytes, SeqCst);
    }

    /// Bytes of memory that the run uses; no more than it does where that is above `bound`.
    pub fn used(&self, bound: u64) -> u64 {
        self.shared.used(bound).0
    }

    /// What it has noticed, once.
    pub fn take_verdict(&self) -> Option<Verdict> {
        if !self.shared.fired.load(SeqCst) {
            return None;
        }
        self.shared.verdict.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(watcher) = self.watcher.take() {
            let _ended = watcher.join();
        }
    }
}

impl Shared {
    /// Bytes, and whether it was costly to find out.
    fn used(&self, bound: u64) -> (u64, bool) {
        let processes: Vec<i32> =
            self.processes.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let held = self.held.load(SeqCst);
        let (used, was_costly) = memory::used(&processes, bound.saturating_sub(held));
        (held + used, was_costly)
    }
}

/// The thread's own.
struct Watcher {
    shared: Arc<Shared>,
    memory_max: u64,
    gauge: Gauge,
    /// So many looks are not at the memory.
    rests: u32,
    /// The turn that was told to stop, and how often it was found still going.
    told: Option<(u64, u32)>,
}

impl Watcher {
    fn look(&mut self) {
        let turn = self.shared.turn.load(SeqCst);
        let (thread, process) = (Tid(turn as u32 as i32), Tid(self.shared.process.load(SeqCst)));
        let runs = thread.0 != 0;
        if let Some((told, looks)) = &mut self.told {
            // Once is enough: the run is over. But who was told to stop must do so.
            if runs && *told == turn {
                *looks += 1;
                if *looks > LOOKS_TO_STOP {
                    // One that is gone does not run either.
                    let _gone = process.send_process_signal(libc::SIGKILL);
                }
            }
            return;
        }
        let used_ns = if runs { processor_ns(process, thread) } else { None };
        let spins = used_ns.and_then(|ns| self.gauge.judge(turn, ns, || is_asleep(process, thread)));
        let Some(overrun) = spins.or_else(|| self.memory()) else { return };
        // The turn may be over meanwhile: then the thread neither spins nor waits, but the memory is used all the same.
        let goes_on = runs && self.shared.turn.load(SeqCst) == turn;
        if !goes_on && spins.is_some() {
            return;
        }
        self.told = Some((turn, 0));
        *self.shared.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some((overrun, thread));
        self.shared.fired.store(true, SeqCst);
        if goes_on {
            let _gone = thread.send_signal(process, libc::SIGSTOP);
        }
    }
}

impl Watcher {
    /// Whether too much memory is used; where that takes long to find out, not at every look.
    fn memory(&mut self) -> Option<Overrun> {
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        let (bytes, was_costly) = self.shared.used(self.memory_max);
        self.rests = if was_costly { LOOKS_TO_REST } else { 0 };
        (bytes > self.memory_max).then_some(Overrun::Memory { bytes })
    }
}

/// Tells from samples of a turn whether its thread does not stop.
struct Gauge {
    ms_max: u64,
    turn: u64,
    /// Processor time when the turn was first looked at: what the thread used before is not the turn's.
    begun_ns: u64,
    last_ns: u64,
    /// In so many looks in a row it slept and got nothing done.
    asleep: u64,
}

impl Gauge {
    fn new(ms_max: u64) -> Self {
        Self { ms_max, turn: 0, begun_ns: 0, last_ns: 0, asleep: 0 }
    }

    fn judge(&mut self, turn: u64, used_ns: u64, is_asleep: impl FnOnce() -> bool) -> Option<Overrun> {
        if self.turn != turn {
            *self = Self { turn, begun_ns: used_ns, last_ns: used_ns, asleep: 0, ..*self };
            return None;
        }
        let rests = used_ns == std::mem::replace(&mut self.last_ns, used_ns);
        self.asleep = if rests && is_asleep() { self.asleep + 1 } else { 0 };
        let ms = used_ns.saturating_sub(self.begun_ns) / 1_000_000;
        let waited_ms = self.asleep * PERIOD.as_millis() as u64;
        if ms > self.ms_max {
            Some(Overrun::Spins { ms })
        } else if waited_ms > self.ms_max {
            Some(Overrun::Waits { ms: waited_ms })
        } else {
            None
        }
    }
}

/// Processor time of a thread: `schedstat` of proc(5), or `stat` where the kernel does not have that.
fn processor_ns(process: Tid, thread: Tid) -> Option<u64> {
    let precise = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"));
    if let Ok(text) = precise {
        return text.split_whitespace().next()?.parse().ok();
    }
    let fields = stat(process, thread)?;
    let ticks = |at: usize| fields.split_whitespace().nth(at).and_then(|f| f.parse::<u64>().ok());
    Some((ticks(11)? + ticks(12)?) * NS_PER_TICK)
}

/// Whether a thread waits for something that may never come (state S of proc(5)); for a drive it waits in another way.
fn is_asleep(process: Tid, thread: Tid) -> bool {
    stat(process, thread).is_some_and(|fields| fields.starts_with('S'))
}

/// The fields of /proc/PID/task/TID/stat from the state on.
fn stat(process: Tid, thread: Tid) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    text.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn only_what_a_thread_used_in_its_turn_counts() {
        let mut gauge = Gauge::new(100);
        assert_eq!(gauge.judge(1, 10 * MS, || false), None);
        // Another thread, which has lived long: what it used before is not this turn's.
        assert_eq!(gauge.judge(2, 9_000 * MS, || false), None);
        assert_eq!(gauge.judge(2, 9_100 * MS, || false), None);
        // The first one again, in a new turn.
        assert_eq!(gauge.judge(3, 500 * MS, || false), None);
        assert_eq!(gauge.judge(3, 601 * MS, || false), Some(Overrun::Spins { ms: 101 }));
    }

    #[test]
    fn a_thread_that_gets_no_processor_does_not_wait() {
        let mut gauge = Gauge::new(50);
        assert!((0..100).all(|_| gauge.judge(1, 5 * MS, || false).is_none()), "it would run if it could");
        let mut looks = (0..4).map(|_| gauge.judge(1, 5 * MS, || true));
        assert_eq!(looks.find_map(|found| found), Some(Overrun::Waits { ms: 75 }));
        assert_eq!(gauge.judge(1, 6 * MS, || true), None, "it got something done");
    }

    #[test]
    fn our_own_processor_time_is_known() {
        let own = Tid(nix::unistd::getpid().as_raw());
        assert!(processor_ns(own, own).is_some_and(|ns| ns > 0));
        assert!(stat(own, own).is_some());
    }
}
