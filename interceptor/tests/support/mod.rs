//! Runs guests natively and in the sandbox, and gives back what they did.

#![allow(dead_code, reason = "each test program uses its own part of this")]

use interceptor::event::{EventKind, Exit};
use interceptor::room::Room;
use interceptor::sandbox::{Clock, Config, Limits, NodeConfig, Pause, Program, Sandbox};
use interceptor::time::{Instant, Span};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a guest did in the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    /// Lines on standard output.
    pub stdout: Vec<String>,
    /// Lines on standard error.
    pub stderr: Vec<String>,
    /// How its first process ended; `None`: it was still running.
    pub exit: Option<Exit>,
    /// Why the run was ended early.
    pub stopped: Option<String>,
    /// Hash of the event log.
    pub hash: String,
    /// Virtual milliseconds it took.
    pub virtual_ms: u64,
    /// The event log.
    pub calls: Vec<String>,
    /// Leaked sources.
    pub leaks: Vec<String>,
}

impl Ran {
    /// Leaks that were read. Code that could draw random numbers by itself is beyond what guests are to blame for: much
    /// holds it, and does not use it.
    pub fn sources(&self) -> Vec<&String> {
        self.leaks.iter().filter(|leak| !leak.ends_with("may use RDRAND")).collect()
    }
}

/// A program with its arguments.
pub type Guest<'a> = (&'a Path, &'a [&'a str]);

/// A cluster of one guest a node, named `n1`, `n2`…; each finds its own address in `ADDRESS`.
pub fn cluster(guests: &[Guest<'_>], seed: u64, limits: Limits) -> Config {
    let node = |(i, (program, arguments)): (usize, &Guest<'_>)| NodeConfig {
        name: format!("n{}", i + 1),
        programs: vec![Program {
            program: program.to_path_buf(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        }],
        files: vec![],
        environment: vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("ADDRESS".into(), format!("10.0.0.{}", i + 1)),
            // No byte code is written next to the sources, and sets are ordered alike.
            ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
            ("PYTHONUNBUFFERED".into(), "1".into()),
        ]
        .into_iter()
        // What the processor says of itself can be answered here.
        .chain(can_answer_cpuid().then(|| ("CPUID".into(), "1".into())))
        .collect(),
    };
    Config {
        seed,
        nodes: guests.iter().enumerate().map(node).collect(),
        clients: 0,
        client_programs: vec![],
        dissectors: vec![],
        roles: Vec::new(),
        atomic_write: 1,
        limits,
        keep_log: true,
        clock: Clock::Virtual,
        shown: vec![],
    }
}

fn can_answer_cpuid() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("cpuid_fault"))
}

/// Runs the sandbox until virtual second `seconds`, or until node `node` is down.
pub fn run_while_up(sandbox: &mut Sandbox, node: usize, seconds: u64) {
    let end = Instant::START + Span::from_secs(seconds);
    while sandbox.is_up(node) && sandbox.run(end).expect("the sandbox works") == Pause::Activity {}
}

/// Runs the sandbox until virtual millisecond `ms`, whatever happens in it.
pub fn run_until_ms(sandbox: &mut Sandbox, ms: u64) {
    let end = Instant::START + Span::from_millis(ms);
    while sandbox.run(end).expect("the sandbox works") == Pause::Activity {}
}

/// Lines that a node has written to standard output.
pub fn stdout_of(sandbox: &Sandbox, node: u16) -> Vec<String> {
    let logs = sandbox.logs().iter();
    logs.filter(|line| line.host.0 == node && !line.stderr).map(|line| line.text.clone()).collect()
}

/// Runs one program on one node for at most 60 virtual seconds.
pub fn sandboxed(program: &Path, arguments: &[&str], seed: u64, limits: Limits) -> Ran {
    sandboxed_cluster(&[(program, arguments)], seed, limits, 0)
}

/// Runs a guest a node for at most 60 virtual seconds, or until node `last` is down. Standard output and
/// standard error are those of all nodes, each line after its node's name if there are several.
pub fn sandboxed_cluster(guests: &[Guest<'_>], seed: u64, limits: Limits, last: usize) -> Ran {
    run_cluster(cluster(guests, seed, limits), last)
}

/// Runs a program as [`sandboxed`] does, by the host's clock; it finds `FREE` in its environment.
pub fn sandboxed_free(program: &Path, arguments: &[&str]) -> Ran {
    run_cluster(free_cluster(&[(program, arguments)]), 0)
}

/// A cluster by the host's clock.
pub fn free_cluster(guests: &[Guest<'_>]) -> Config {
    let mut config = Config { clock: Clock::Real, ..cluster(guests, 7, Limits::default()) };
    config.nodes.iter_mut().for_each(|node| node.environment.push(("FREE".into(), "1".into())));
    config
}

fn run_cluster(config: Config, last: usize) -> Ran {
    let nodes = config.nodes.len();
    let room = Room::directory().expect("a room for the test");
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    for node in 0..nodes {
        sandbox.start(node).expect("the guest starts");
    }
    run_while_up(&mut sandbox, last, 60);
    let ran = outcome(&sandbox, nodes);
    drop(sandbox);
    assert_eq!(left_in(&room), [""; 0], "left in the room");
    std::fs::remove_dir_all(room.root()).expect("the room is ours");
    ran
}

/// What is in the directories of a room's nodes, which a sandbox must take away with it.
pub fn left_in(room: &Room) -> Vec<String> {
    let names = |path: PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    let is_node = |name: &String| !name.starts_with('.') && name != "bin";
    let nodes = names(room.root().to_owned()).filter(is_node).map(|name| room.root().join(name));
    let left = nodes.flat_map(|node| {
        let own = names(node.clone())
            .filter(|name| !["disk", "shm", "run", "passing", "hostname"].contains(&name.as_str()));
        let inside =
            ["disk/data", "disk/tmp", "disk/var-tmp", "shm", "run", "passing"].map(|name| node.join(name));
        own.chain(inside.into_iter().flat_map(names)).collect::<Vec<_>>()
    });
    left.collect()
}

/// What is to be seen of a run.
pub fn outcome(sandbox: &Sandbox, nodes: usize) -> Ran {
    let lines = |stderr| {
        let of_kind = sandbox.logs().iter().filter(move |line| line.stderr == stderr);
        of_kind
            .map(|l| if nodes > 1 { format!("n{}: {}", l.host.0 + 1, l.text) } else { l.text.clone() })
            .collect()
    };
    Ran {
        stdout: lines(false),
        stderr: lines(true),
        exit: sandbox.events().iter().find_map(|event| match &event.kind {
            EventKind::Exit(exit) => Some(exit.clone()),
            _ => None,
        }),
        stopped: sandbox.stopped().map(str::to_owned),
        hash: sandbox.log().hash(),
        virtual_ms: sandbox.now().0 / 1_000_000,
        calls: sandbox.log().entries().iter().map(ToString::to_string).collect(),
        leaks: sandbox.leaks().into_iter().collect(),
    }
}

/// Runs a program natively in an empty directory; its lines on standard output.
pub fn native(program: &Path, arguments: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory for the test");
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ADDRESS", "127.0.0.2")
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .expect("the guest starts natively");
    assert!(output.status.success(), "natively: {output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Two runs of one seed were the same; else says where they part.
pub fn assert_same(first: &Ran, second: &Ran) {
    if let Some(at) = first.calls.iter().zip(&second.calls).position(|(a, b)| a != b) {
        let before = &first.calls[at.saturating_sub(5)..at];
        panic!("runs part at entry {at}:\n  {}\n  {}\nafter {before:#?}", first.calls[at], second.calls[at]);
    }
    assert_eq!(first.calls.len(), second.calls.len(), "one run is longer");
    assert_eq!(first, second);
}

/// A guest that ran to its end without an error.
pub fn assert_clean(ran: &Ran) {
    let tail = &ran.calls[ran.calls.len().saturating_sub(25)..];
    let told = format!("{:#?}\n{:#?}\n{tail:#?}", ran.stdout, ran.stderr);
    assert_eq!((&ran.stopped, &ran.exit), (&None, &Some(Exit::Status(0))), "{told}");
    let failed: Vec<&String> = ran.stdout.iter().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{:#?}", ran.stderr);
    assert_eq!(ran.sources(), [""; 0], "leaks");
}

/// A guest that checks itself: natively, twice under one seed, and under another one, always with the same
/// lines on standard output.
pub fn check_guest(program: &Path, arguments: &[&str]) -> Ran {
    let natively = native(program, arguments);
    let failed: Vec<&String> = natively.iter().filter(|line| line.starts_with("FAIL")).collect();
    assert!(failed.is_empty(), "natively: {failed:#?}");
    let [first, again, other] = [7, 7, 8].map(|seed| {
        let ran = sandboxed(program, arguments, seed, Limits::default());
        assert_clean(&ran);
        assert_eq!(ran.stdout, natively, "seed {seed}");
        ran
    });
    assert_same(&first, &again);
    assert_ne!(first.hash, other.hash, "a seed that changes nothing is none");
    first
}

/// Compiles a C guest.
pub fn compiled(name: &str) -> PathBuf {
    compiled_with(name, name.trim_end_matches(".c"), &[])
}

/// Compiles a C guest that loads no library.
pub fn compiled_statically(name: &str) -> PathBuf {
    compiled_with(name, &format!("static-{}", name.trim_end_matches(".c")), &["-static"])
}

/// Compiles a C guest to a file of this name, with flags of its own.
pub fn compiled_with(name: &str, to: &str, flags: &[&str]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(to);
    // Tests run side by side: each compiles into a file of its own, and the last one stays.
    let own = format!("{}.{}.{}", out.display(), std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let status = Command::new("cc")
        .args(["-O1", "-Wall", "-pthread", "-o", &own])
        .args(flags)
        .arg(&source)
        .arg("-lrt")
        .status()
        .expect("a C compiler (package gcc)");
    assert!(status.success(), "cannot compile {name}");
    std::fs::rename(&own, &out).expect("the guest was just made");
    out
}

/// The Python interpreter itself, not a wrapper that looks for one.
pub fn python() -> Option<PathBuf> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && path.exists()).then_some(path)
}
