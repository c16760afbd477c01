//! `fuzz targets`: what can be typed.

use clap::Args;

/// `fuzz targets`
#[derive(Debug, Args)]
pub struct Targets {
    /// Only this one, with the stories of its bugs
    #[arg(value_name = "NAME")]
    pub target: Option<String>,
    /// Only say whether this manifest can be used, with the files and programs that it names
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub check: Option<String>,
}
