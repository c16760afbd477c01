//! Every family of calls: a guest that checks itself, natively and in the sandbox.

mod support;

use interceptor::sandbox::Limits;
use support::{assert_clean, check_guest, compiled, compiled_statically, sandboxed};

#[test]
fn files() {
    check_guest(&compiled("files.c"), &[]);
    assert!(!std::path::Path::new("/usr/from-the-sandbox").exists());
}

#[test]
fn locks() {
    check_guest(&compiled("locks.c"), &[]);
}

#[test]
fn arguments_that_are_wrong() {
    check_guest(&compiled("arguments.c"), &[]);
}

#[test]
fn owners_holes_and_sockets() {
    check_guest(&compiled("ownership.c"), &[]);
}

#[test]
fn much_that_is_never_synced() {
    // Deleted files, too, would fill this drive, if their names were not committed then.
    let limits = Limits { disk_max: 300 << 20, ..Limits::default() };
    let ran = sandboxed(&compiled("unsynced.c"), &[], 7, limits);
    assert_clean(&ran);
    assert_eq!(ran.stdout, ["ok one file", "ok cut", "ok deleted ones"]);
}

#[test]
fn requests_that_end_later() {
    check_guest(&compiled("aio.c"), &[]);
}

#[test]
fn pipes() {
    check_guest(&compiled("pipes.c"), &[]);
}

#[test]
fn processes() {
    check_guest(&compiled("processes.c"), &[]);
}

#[test]
fn signals() {
    check_guest(&compiled("signals.c"), &[]);
}

#[test]
fn timers() {
    check_guest(&compiled("timers.c"), &[]);
}

#[test]
fn threads() {
    check_guest(&compiled("threads.c"), &[]);
}

#[test]
fn threads_that_outlive_the_main_one() {
    check_guest(&compiled("main-gone.c"), &[]);
}

#[test]
fn stopped_processes() {
    check_guest(&compiled("jobs.c"), &[]);
}

#[test]
fn storms_of_faults_timers_and_signals() {
    check_guest(&compiled("storms.c"), &[]);
}

#[test]
fn numbers_of_processes() {
    check_guest(&compiled("numbers.c"), &[]);
}

#[test]
fn processes_of_the_host_are_out_of_reach() {
    let mut victim = std::process::Command::new("sleep").arg("1000").spawn().expect("a process of the host");
    let limits = || std::fs::read_to_string(format!("/proc/{}/limits", victim.id())).expect("it lives");
    let before = limits();
    let ran = sandboxed(&compiled("numbers.c"), &[&victim.id().to_string()], 7, Limits::default());
    assert_clean(&ran);
    assert_eq!(limits(), before);
    assert!(victim.try_wait().expect("it is ours").is_none(), "it lives");
    victim.kill().expect("it is ours");
    victim.wait().expect("it is ours");
}

#[test]
fn sockets() {
    check_guest(&compiled("sockets.c"), &[]);
}

#[test]
fn transfers() {
    check_guest(&compiled("transfers.c"), &[]);
}

#[test]
fn sleeps() {
    check_guest(&compiled("sleeps.c"), &["go"]);
}

#[test]
fn a_sleep_without_a_stop_takes_as_long_as_one_with() {
    let guest = compiled("sleeps.c");
    let [go, c] = ["go", "c-"].map(|made| {
        let ran = sandboxed(&guest, &[made, "times"], 7, Limits::default());
        assert_clean(&ran);
        ran
    });
    assert_eq!((&go.stdout, go.virtual_ms), (&c.stdout, c.virtual_ms));
    let calls = |ran: &support::Ran| ran.calls.iter().filter(|call| call.contains(" nanosleep(")).count();
    assert_eq!(calls(&c), 401);
    assert!((1..200).contains(&calls(&go)), "{} of 401 were calls", calls(&go));
}

#[test]
fn where_a_path_lies_is_not_told_but_what_it_is() {
    let guest = compiled("paths.c");
    let [one, other] = ["a", "b"].map(|place| sandboxed(&guest, &[place], 7, Limits::default()));
    assert_clean(&one);
    assert_eq!(one.stdout, support::native(&guest, &["a"]));
    support::assert_same(&one, &other);
    let opened: Vec<&String> = one.calls.iter().filter(|call| call.contains(" openat(")).collect();
    let path = |call: &str| call.split(", ").nth(1).map(str::to_owned);
    let [.., made, gone, there] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!(path(made), path(gone));
    assert_ne!(path(made), path(there));
}

#[test]
fn clocks() {
    check_guest(&compiled("clocks.c"), &[]);
}

#[test]
fn programs_without_a_loader() {
    for name in ["clocks.c", "threads.c", "sockets.c"] {
        check_guest(&compiled_statically(name), &[]);
    }
}

#[test]
fn identity_is_the_nodes_own_and_follows_the_seed() {
    let guest = compiled("identity.c");
    check_guest(&guest, &[]);
    let [one, two] = [1, 2].map(|seed| sandboxed(&guest, &[], seed, Limits::default()));
    assert_clean(&one);
    let about = |ran: &support::Ran| ran.stderr.last().cloned().unwrap_or_default();
    assert!(about(&one).starts_with("pid 1 thread 2 host n1 cpus 1 1 1 ram 8589934592"), "{}", about(&one));
    assert_eq!(about(&one), about(&two), "what a seed does not change");
    for (a, b) in one.stderr.iter().zip(&two.stderr).take(3) {
        assert_ne!(a, b, "random bytes of another seed");
    }
}
