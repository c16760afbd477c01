//! `fuzz doctor`: what can be typed.

use clap::Args;

/// `fuzz doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Only this target: a name under targets/, or the path of a target.toml or its directory
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}
