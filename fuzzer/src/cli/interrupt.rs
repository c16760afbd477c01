//! Ctrl-C, Ctrl-\, a terminal that goes, and SIGTERM: the first asks the command to stop in order, which it has a moment
//! for; another a second later ends the program at once.

use super::exit::Exit;
use fuzzer::report::stopwatch::Stopwatch;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long the program may take to stop in order.
const ORDER_MAX: Duration = Duration::from_millis(1_800);

/// How often it is looked for guests meanwhile: those that were being born have to end, too.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether guests of this very process end when it is asked to stop.
static WITH_GUESTS: AtomicBool = AtomicBool::new(false);

static WISH: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that [`flag`] gave out, if it did.
pub fn wish() -> Option<Arc<AtomicBool>> {
    WISH.get().cloned()
}

/// Whether the user or the system has asked the program to stop.
pub fn is_wished() -> bool {
    WISH.get().is_some_and(|stop| stop.load(Ordering::Relaxed))
}

/// Makes the signals wait until [`flag`] is called: for who must not have other threads before.
pub fn hold() -> bool {
    signals().thread_block().is_ok()
}

/// As [`flag`]; and guests that the main thread traces are ended then, and with them the run that they are in.
pub fn flag_with_guests() -> Arc<AtomicBool> {
    WITH_GUESTS.store(true, Ordering::Relaxed);
    flag()
}

/// A flag that is set when the user or the system asks the program to stop. Must be called before other threads are
/// started, so that all of them leave the signals to the one that waits here.
pub fn flag() -> Arc<AtomicBool> {
    let stop = Arc::clone(WISH.get_or_init(Arc::default));
    if !hold() {
        return stop;
    }
    let signals = signals();
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut first: Option<Stopwatch> = None;
        while signals.wait().is_ok() {
            flag.store(true, Ordering::Relaxed);
            // `timeout` and shells send a signal to the program and then to its group: that is one wish
            if first.is_some_and(|first| first.elapsed() > Duration::from_secs(1)) {
                end();
            }
            if first.is_none() {
                first = Some(Stopwatch::start());
                std::thread::spawn(end_in_time);
            }
        }
    });
    stop
}

fn signals() -> SigSet {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGQUIT);
    signals.add(Signal::SIGTERM);
    // nohup(1) wishes that it goes on when the terminal goes.
    if !is_ignored(Signal::SIGHUP) {
        signals.add(Signal::SIGHUP);
    }
    signals
}

/// Whether whoever started the program had it ignore this signal (`SigIgn` of proc(5)).
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// Ends the program when it has had its time, wherever it is.
fn end_in_time() {
    let begun = Stopwatch::start();
    let (nobody, never) = channel::<()>();
    while begun.elapsed() < ORDER_MAX {
        if WITH_GUESTS.load(Ordering::Relaxed) {
            end_guests();
        }
        // What is waited for never comes.
        let _late = never.recv_timeout(LOOK_EVERY);
    }
    drop(nobody);
    end();
}

/// Kills the processes that the main thread traces, whatever they are at.
fn end_guests() {
    let traced = format!("TracerPid:\t{}", std::process::id());
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        if status.lines().any(|line| line == traced) {
            // One that is gone has ended.
            let _gone = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

fn end() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
