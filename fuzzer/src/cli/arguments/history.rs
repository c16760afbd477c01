//! `fuzz history`: what can be typed.

use crate::cli::source::format_named;
use clap::{Args, Subcommand};
use oracle::format::Format;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  fuzz history convert history.edn --to json >history.jsonl
  fuzz history convert txns.edn --to plume --out txns.txt
  fuzz history convert history.txt --to dbcop --out history.json

Formats: edn, json, txt (Jepsen's history.txt), kv (Porcupine's key-value text), etcd (logs), plume, awdit, dbcop. What a format has no word for
is an error that names the entry; edn has a word for everything.";

/// `fuzz history`
#[derive(Debug, Subcommand)]
pub enum History {
    /// Write a history in another format
    #[command(after_help = EXAMPLES)]
    Convert(Convert),
}

/// `fuzz history convert`
#[derive(Debug, Args)]
pub struct Convert {
    /// The history: a file, `-` for standard input, or the directory of a finding or of a run of Jepsen's
    pub history: PathBuf,
    /// The format to write
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub to: Format,
    /// The format to read [default: told from its beginning]
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub format: Option<Format>,
    /// Values that are read are pairs [key value], as Jepsen's `independent` has them
    #[arg(long)]
    pub independent: bool,
    /// Write keys and values as such pairs
    #[arg(long)]
    pub to_independent: bool,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
