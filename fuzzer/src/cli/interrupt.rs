//! Ctrl-C: the first asks the command to stop in order, another a second later ends the program at once.

use super::exit::Exit;
use fuzzer::report::stopwatch::Stopwatch;
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A flag that is set when the user or the system asks the program to stop. Must be called before other threads are
/// started, so that all of them leave the signals to the one that waits here.
pub fn flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    if signals.thread_block().is_err() {
        return stop;
    }
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let mut first: Option<Stopwatch> = None;
        while signals.wait().is_ok() {
            flag.store(true, Ordering::Relaxed);
            // `timeout` and shells send a signal to the program and then to its group: that is one wish
            if first.is_some_and(|first| first.elapsed() > Duration::from_secs(1)) {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            first = first.or_else(|| Some(Stopwatch::start()));
        }
    });
    stop
}
