//! The watchdog: a thread of ours that ends a guest which never makes a call, or eats memory.
//!
//! Nothing it does can change a run that ends well: it looks at the processor time and the memory of the
//! thread that runs now, and past a bound it kills the process; the run is then `Unknown` and says why.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tracer::Tid;

#[derive(Default)]
struct Shared {
    /// Counts the turns, so that one turn is not taken for another.
    turn: AtomicU64,
    thread: AtomicI32,
    process: AtomicI32,
    fired: AtomicBool,
    verdict: Mutex<Option<String>>,
}

/// The handle; dropping it ends the thread.
pub struct Watchdog {
    shared: Arc<Shared>,
    quit: Option<Sender<()>>,
    watcher: Option<JoinHandle<()>>,
}

/// How often it looks.
const PERIOD: Duration = Duration::from_millis(25);
/// Ticks of processor time in a millisecond, as /proc counts them (USER_HZ is 100).
const MS_PER_TICK: u64 = 10;

impl Watchdog {
    /// Starts watching: `spin_ms_max` processor milliseconds without a call, `memory_max` resident bytes.
    pub fn start(spin_ms_max: u64, memory_max: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let (quit, stop) = channel();
        let seen = Arc::clone(&shared);
        let watcher = std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            let mut last = (0, 0);
            while stop.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                look(&seen, &mut last, spin_ms_max, memory_max);
            }
        });
        Self { shared, quit: Some(quit), watcher: watcher.ok() }
    }

    /// This thread of this process runs now.
    pub fn watch(&self, thread: Tid, process: Tid) {
        self.shared.process.store(process.0, Ordering::Relaxed);
        self.shared.thread.store(thread.0, Ordering::Relaxed);
        self.shared.turn.fetch_add(1, Ordering::Release);
    }

    /// No thread runs now.
    pub fn rest(&self) {
        self.shared.thread.store(0, Ordering::Release);
    }

    /// Why it ended a process, once.
    pub fn take_verdict(&self) -> Option<String> {
        if !self.shared.fired.load(Ordering::Acquire) {
            return None;
        }
        self.shared.verdict.lock().ok()?.take()
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

fn look(shared: &Shared, last: &mut (u64, u64), spin_ms_max: u64, memory_max: u64) {
    let turn = shared.turn.load(Ordering::Acquire);
    let thread = shared.thread.load(Ordering::Acquire);
    let process = shared.process.load(Ordering::Relaxed);
    if thread == 0 {
        return;
    }
    let Some((used_ms, instruction)) = processor_ms(process, thread) else { return };
    if last.0 != turn {
        *last = (turn, used_ms);
    }
    let spun = used_ms.saturating_sub(last.1);
    let why = if spun > spin_ms_max {
        format!("a thread ran {spun} ms without a system call, at instruction {instruction}")
    } else {
        match resident_bytes(process) {
            Some(bytes) if bytes > memory_max => format!("a process uses {bytes} bytes of memory"),
            _ => return,
        }
    };
    // The thread may have stopped meanwhile: then it neither spins nor eats.
    if shared.turn.load(Ordering::Acquire) != turn || shared.thread.load(Ordering::Acquire) != thread {
        return;
    }
    if let Ok(mut verdict) = shared.verdict.lock() {
        *verdict = Some(why);
    }
    shared.fired.store(true, Ordering::Release);
    let _gone = Tid(process).send_process_signal(libc::SIGKILL);
}

/// Processor time of a thread, and where it stands (proc_pid_stat(5), fields 14, 15 and 30).
fn processor_ms(process: i32, thread: i32) -> Option<(u64, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok());
    let at = fields.get(27).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Some(((ticks(11)? + ticks(12)?) * MS_PER_TICK, format!("{at:#x}")))
}

/// Resident memory of a process (proc_pid_statm(5)).
pub(super) fn resident_bytes(process: i32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * tracer::PAGE)
}
