//! `fuzz shrink`: what can be typed.

use super::which::{ClockName, LauncherName};
use clap::Args;
use std::path::PathBuf;

/// `fuzz shrink`
#[derive(Debug, Args)]
pub struct Shrink {
    /// The directory of a finding: its schedule.toml becomes smaller; original.toml stays
    pub path: PathBuf,
    /// Most executions
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub executions: u32,
    /// The target, when it is not the one the schedule names
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Use the binary as it is
    #[arg(long)]
    pub no_build: bool,
    /// Where nodes live [default: as recorded]
    #[arg(long, value_name = "LAUNCHER", value_enum)]
    pub launcher: Option<LauncherName>,
    /// By which clock it lives [default: as recorded]
    #[arg(long, value_name = "CLOCK", value_enum)]
    pub clock: Option<ClockName>,
}
