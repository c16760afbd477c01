//! What one intercepted call and one clock read cost: this program runs itself as a guest that does nothing else.

use super::exit::Exit;
use anyhow::{Context, bail};
use fuzzer::pool;
use interceptor::event::{EventKind, Exit as End};
use interceptor::room::Room;
use interceptor::sandbox::{Clock, Config, Limits, NodeConfig, Pause, Sandbox};
use interceptor::time::{Instant, host_ns};
use serde::{Deserialize, Serialize};
use std::process::{Command, Stdio};

/// Virtual time that a guest gets.
const PATIENCE: Instant = Instant(60_000_000_000);
/// What a guest may take of the disk beside its program, in bytes.
const DISK_MAX: u64 = 64 << 20;

/// What a guest repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A call that the sandbox answers.
    Calls,
    /// A read of the monotonic clock.
    Clocks,
}

/// Nanoseconds of the host for one of `what`, the cost of a guest that repeats nothing taken off; `repeats` of them were
/// made. In a process of its own, for a sandbox needs that.
///
/// # Errors
/// When the guest cannot be run.
pub fn cost_ns(what: What, repeats: u64) -> anyhow::Result<f64> {
    let name = clap::ValueEnum::to_possible_value(&what).expect("no value is skipped").get_name().to_owned();
    let program = std::env::current_exe().context("cannot find this program to run it as a guest")?;
    let output = Command::new(program)
        .args(["gauge", &name, &repeats.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run this program as a guest")?;
    if !output.status.success() {
        bail!("the guest that is measured could not be run: {}", output.status);
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().context("the gauge printed no number")
}

/// `fuzz gauge`: prints what [`cost_ns`] returns.
pub fn main(what: What, repeats: u64) -> anyhow::Result<Exit> {
    pool::pin(pool::cpus().first().copied())?;
    let program = std::env::current_exe()?;
    let room = Room::enter(std::fs::metadata(&program)?.len() + DISK_MAX)?;
    let program = room.install(&program)?;
    let run = |repeats: u64| -> anyhow::Result<f64> {
        let name = clap::ValueEnum::to_possible_value(&what).expect("no value is skipped");
        let node = NodeConfig {
            name: "n1".into(),
            programs: vec![interceptor::sandbox::Program {
                program: program.display().to_string().into(),
                arguments: vec!["repeat".into(), name.get_name().into(), repeats.to_string()],
            }],
            environment: Vec::new(),
            files: Vec::new(),
        };
        let config = Config {
            seed: 1,
            nodes: vec![node],
            clients: 0,
            client_programs: vec![],
            dissectors: vec![],
            roles: vec![],
            atomic_write: 1,
            limits: Limits::default(),
            keep_log: false,
            clock: Clock::Virtual,
            shown: vec![],
        };
        let mut sandbox = Sandbox::new(&room, config)?;
        sandbox.start(0)?;
        let begun_ns = host_ns();
        while sandbox.run(PATIENCE)? == Pause::Activity {
            let end = sandbox.events().iter().find_map(|event| match &event.kind {
                EventKind::Exit(end) => Some(end.clone()),
                _ => None,
            });
            match end {
                Some(End::Status(0)) => return Ok((host_ns() - begun_ns) as f64),
                Some(end) => bail!("the guest ended with {end:?}"),
                None => {}
            }
        }
        bail!("the guest did not end: {}", sandbox.stopped().unwrap_or("its time was over"))
    };
    // The first run looks at the program as no later one has to.
    run(0)?;
    let idle = run(0)?;
    #[allow(clippy::print_stdout, reason = "the answer to the parent")]
    {
        println!("{}", (run(repeats)? - idle).max(0.0) / repeats.max(1) as f64);
    }
    Ok(Exit::Clean)
}

/// `fuzz repeat`: the guest.
pub fn repeat(what: What, repeats: u64) -> anyhow::Result<Exit> {
    for _ in 0..repeats {
        match what {
            What::Calls => {
                std::hint::black_box(nix::unistd::getppid());
            }
            #[allow(clippy::disallowed_types, reason = "the read is what is measured")]
            What::Clocks => {
                std::hint::black_box(std::time::Instant::now());
            }
        }
    }
    Ok(Exit::Clean)
}
