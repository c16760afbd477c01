//! Runs a guest natively and in the sandbox, and gives back what it did.

use interceptor::event::{EventKind, Exit};
use interceptor::room::Room;
use interceptor::sandbox::{Config, Limits, NodeConfig, Pause, Sandbox};
use interceptor::time::{Instant, Span};
use std::path::{Path, PathBuf};

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

/// Runs one program on one node for at most 60 virtual seconds.
pub fn sandboxed(program: &Path, arguments: &[&str], seed: u64, limits: Limits) -> Ran {
    let room = Room::directory().expect("a room for the test");
    let config = Config {
        seed,
        nodes: vec![NodeConfig {
            name: "n1".into(),
            program: program.to_path_buf(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        }],
        clients: 0,
        dissectors: vec![],
        limits,
        keep_log: true,
    };
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    sandbox.start(0).expect("the guest starts");
    let end = Instant::START + Span::from_secs(60);
    while sandbox.is_up(0) && sandbox.run(end).expect("the sandbox works") == Pause::Activity {}
    let line = |stderr| move |l: &&interceptor::event::LogLine| l.stderr == stderr;
    let lines = |stderr| sandbox.logs().iter().filter(line(stderr)).map(|l| l.text.clone()).collect();
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
        leaks: sandbox.leaks().map(str::to_owned).collect(),
    }
}

/// Compiles a C guest.
pub fn compiled(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests").join(name);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name.trim_end_matches(".c"));
    let status = std::process::Command::new("cc")
        .args(["-O1", "-pthread", "-o"])
        .arg(&out)
        .arg(&source)
        .status()
        .expect("a C compiler (package gcc)");
    assert!(status.success(), "cannot compile {name}");
    out
}
