//! Runs that end before their time, through the program: a node that never stops is undecided and no finding, and a signal
//! ends the program whatever a worker is doing.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::disallowed_types, reason = "how long it takes is what is tested")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "support/descendants.rs"]
mod descendants;

use descendants::descendants;

/// The toy store, with a program beside it that runs this code.
fn beside(code: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let toy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/toy");
    let read = |name: &str| std::fs::read_to_string(toy.join(name)).unwrap();
    let beside = format!("[node]\nbeside = [[\"{{bin}}\", \"-I\", \"-S\", \"-c\", {code:?}]]\n");
    std::fs::write(dir.path().join("target.toml"), read("target.toml").replace("[node]\n", &beside)).unwrap();
    std::fs::write(dir.path().join("server.py"), read("server.py")).unwrap();
    dir
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG");
    command
}

/// Spins from its second start on.
const SPINS_LATER: &str = "import os, time\nif os.path.exists(\"seen\"):\n    while True: pass\n\
                           open(\"seen\", \"w\").close()\nwhile True: time.sleep(10)";

#[test]
fn a_node_that_spins_after_a_restart_is_undecided() {
    let dir = beside(SPINS_LATER);
    let schedule = "version = 1\ntarget = \"toy\"\nbugs = []\nnodes = 1\nseed = 7\nhorizon_ms = 1000\n\
                    [workload]\nclients = 1\nrate = 1\nkeys = 1\n\
                    [[step]]\nwhen = { at_ms = 100 }\nfault = { kind = \"kill\", node = \"n1\", down_ms = 200 }\n";
    std::fs::write(dir.path().join("schedule.toml"), schedule).unwrap();
    let output = fuzz(dir.path(), &["replay", "schedule.toml", "--target", "."]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    for part in [
        "unknown: node n1, thread",
        "of its processor time without a stop, at instruction 0x",
        "--clock real",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("crash") && !said.contains("instruction 0x0 "), "{said}");
}

/// The first descendant of a process whose command line has this text.
fn descendant_with(of: u32, text: &str) -> Option<u32> {
    let line = |id: &u32| std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    descendants(of).into_iter().find(|id| String::from_utf8_lossy(&line(id)).contains(text))
}

/// Waits for something, as long as a busy machine may take.
fn until<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(it) = there() {
            return it;
        }
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::yield_now();
    }
}

/// A campaign whose cluster is busy with this code beside it; how it ends after a signal, and how soon.
fn ends_after(signal: &str, code: &str) -> (Option<i32>, Duration) {
    let dir = beside(code);
    let mut child =
        fuzz(dir.path(), &["run", "--target", ".", "--out", "out", "--seed", "1", "--cores", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    let guest = until(|| descendant_with(child.id(), "busy"));
    let asked = Instant::now();
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    let took = asked.elapsed();
    until(|| descendant_with(child.id(), "busy").is_none().then_some(()));
    until(|| (!Path::new(&format!("/proc/{guest}/exe")).exists()).then_some(()));
    (code, took)
}

#[test]
fn a_signal_ends_the_program_within_two_seconds() {
    for (signal, code) in [
        ("-TERM", "busy = 1\nwhile True: pass"),
        ("-INT", "import os\nbusy = 1\nos.fork()\nwhile True: pass"),
        ("-HUP", "busy = 1\nwhile True: pass"),
        ("-QUIT", "busy = 1\nwhile True: pass"),
    ] {
        let (status, took) = ends_after(signal, code);
        assert_eq!(status, Some(130), "{signal} {code}");
        assert!(took < Duration::from_secs(2), "{signal} {code}: {took:?}");
    }
}
