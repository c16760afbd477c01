//! Proof that equal hashes mean something: they survive a busy machine, and a leak breaks them.

mod support;

use interceptor::room::Room;
use interceptor::sandbox::{Limits, Sandbox};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Guest, Ran, assert_same, cluster, compiled, outcome, python, run_while_up, sandboxed};

/// Two threads that do nothing but keep processors busy, until dropped.
struct Load(Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>);

impl Load {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let busy = |_| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || while !stop.load(Ordering::Relaxed) {})
        };
        let threads = (0..2).map(busy).collect();
        Self(stop, threads)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|thread| thread.join().expect("it only spins"));
    }
}

fn run_in(room: &Room, guests: &[Guest<'_>]) -> Ran {
    let mut sandbox = Sandbox::new(room, cluster(guests, 11, Limits::default())).expect("a sandbox");
    for node in 0..guests.len() {
        sandbox.start(node).expect("the guest starts");
    }
    run_while_up(&mut sandbox, guests.len() - 1, 60);
    outcome(&sandbox, guests.len())
}

/// Runs a cluster on a quiet machine, then on a busy one, from another directory, in another room.
fn check_under_load(guests: &[Guest<'_>]) {
    let [first, second] = [0, 1].map(|_| Room::directory().expect("a room for the test"));
    let quiet = run_in(&first, guests);
    let before = std::env::current_dir().expect("there is one");
    std::env::set_current_dir("/").expect("there is a root");
    let load = Load::start();
    let busy = run_in(&second, guests);
    drop(load);
    std::env::set_current_dir(before).expect("it was there");
    for room in [first, second] {
        std::fs::remove_dir_all(room.root()).expect("the room is ours");
    }
    assert!(quiet.exit.is_some(), "{:#?}", quiet.stderr);
    assert_eq!(quiet.stopped, None);
    assert_same(&quiet, &busy);
}

#[test]
fn a_leak_is_listed_and_breaks_the_hash() {
    let canary = compiled("canary.c");
    let [first, second] = [1, 1].map(|seed| sandboxed(&canary, &[], seed, Limits::default()));
    assert_eq!(first.leaks, ["/proc/self/schedstat"]);
    assert_ne!(first.stdout, second.stdout, "the canary is no canary");
    assert_ne!(first.hash, second.hash, "the hash does not see what guests read");
}

#[test]
fn threads_and_sockets_under_load() {
    for name in ["threads.c", "sockets.c", "signals.c"] {
        check_under_load(&[(&compiled(name), &[])]);
    }
}

#[test]
fn tokio_under_load() {
    let name = "tokio-echo";
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", name, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.expect("cargo runs").success());
    check_under_load(&[(&target.join("debug").join(name), &[])]);
}

#[test]
fn python_under_load() {
    let Some(python) = python() else {
        println!("skipped: there is no python3 on the path");
        return;
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/python");
    let [server, client] = ["server.py", "client.py"].map(|name| {
        let script = std::fs::read_to_string(directory.join(name));
        script.expect("the script is part of the sources")
    });
    let guests = [(&*python, &["-c", &server, "10.0.0.1"][..]), (&*python, &["-c", &client, "10.0.0.1"][..])];
    check_under_load(&guests);
}
