//! Ctrl-C: the first asks the command to stop in order, which it has a moment for; another a second later ends the program
//! at once.

use super::exit::Exit;
use fuzzer::report::stopwatch::Stopwatch;
use nix::sys::signal::{SigSet, Signal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long the program may take to stop in order.
const ORDER_MAX: Duration = Duration::from_millis(1_800);

static WISH: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that [`flag`] gave out, if it did.
pub fn wish() -> Option<Arc<AtomicBool>> {
    WISH.get().cloned()
}

/// Whether the user or the system has asked the program to stop.
pub fn is_wished() -> bool {
    WISH.get().is_some_and(|stop| stop.load(Ordering::Relaxed))
}

/// A flag that is set when the user or the system asks the program to stop. Must be called before other threads are
/// started, so that all of them leave the signals to the one that waits here.
pub fn flag() -> Arc<AtomicBool> {
    let stop = Arc::clone(WISH.get_or_init(Arc::default));
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

/// Ends the program when it has had its time, wherever it is.
fn end_in_time() {
    let (nobody, never) = channel::<()>();
    // What is waited for never comes.
    let _late = never.recv_timeout(ORDER_MAX);
    drop(nobody);
    end();
}

fn end() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
