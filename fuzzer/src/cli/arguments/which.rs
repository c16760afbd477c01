//! Which target, and where and by which clock it runs, as typed.

use clap::{Args, ValueEnum};
use fuzzer::reproducer::Expected;
use interceptor::sandbox::Clock;

/// Which target, and how it is built.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// A name under targets/, or the path of a target.toml or its directory
    #[arg(long, value_name = "NAME", default_value = "raft-demo")]
    pub target: String,
    /// Use the binary as it is
    #[arg(long)]
    pub no_build: bool,
    /// Where nodes live: on this machine's file system, or in containers of the target's image (Docker or Podman)
    #[arg(long, value_name = "LAUNCHER", value_enum, default_value_t)]
    pub launcher: LauncherName,
    /// By which clock it lives: its own, which makes runs repeat bit for bit, or the host's, where threads run free and
    /// findings have a rate [default: as the manifest says, mostly virtual]
    #[arg(long, value_name = "CLOCK", value_enum)]
    pub clock: Option<ClockName>,
    /// What clients work on: one of the manifest's families, such as register or set [default: any of them]
    #[arg(long, value_name = "FAMILY")]
    pub workload: Option<String>,
}

/// Where nodes live, as typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LauncherName {
    /// Programs of this machine
    #[default]
    Native,
    /// Programs of an image; needs root
    Docker,
}

impl LauncherName {
    /// That of a finding.
    #[must_use]
    pub fn recorded(expected: Option<&Expected>) -> Self {
        match expected {
            Some(expected) if expected.environment.launcher == "docker" => Self::Docker,
            _ => Self::Native,
        }
    }
}

/// By which clock a cluster lives, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockName {
    /// Time is the sandbox's: runs repeat bit for bit, and idle time is skipped
    Virtual,
    /// Time is the host's and threads run free: for what the virtual clock does not carry
    Real,
}

impl From<ClockName> for Clock {
    fn from(name: ClockName) -> Self {
        match name {
            ClockName::Virtual => Self::Virtual,
            ClockName::Real => Self::Real,
        }
    }
}
