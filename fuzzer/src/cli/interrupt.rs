//! Ctrl-C: the first asks the command to stop in order, the second ends the program at once.

use super::exit::Exit;
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
        while signals.wait().is_ok() {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
        }
    });
    stop
}
