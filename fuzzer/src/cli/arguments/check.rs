//! `fuzz check`: what can be typed.

use crate::cli::source::format_named;
use clap::Args;
use oracle::format::Format;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz check store/latest/history.edn              format and model are told from the history, where that is clear
  fuzz check history.edn --model cas-register --independent
                                                   values are pairs [key value]: each key is checked on its own
  fuzz check txns.edn --model list-append --set consistency=serializable --html report.html
  fuzz check texts.txt --format plume --json       one JSON object on standard output
  fuzz check fuzz-out/raft-demo/findings/NAME      the clients' history of a finding
  fuzz check history.edn --model conformance --set reference='python3 reference.py'
                                                   a program of yours says what is right
  fuzz check --list                                all models
  fuzz check --explain bank                        what a model can be told, and an example

Formats (--format, where the beginning of the file does not tell):
  edn     Jepsen's and Elle's maps, in sequence or in one vector or list; Porcupine's key-value text too
  json    the same as JSON, an object a line or in one array; what campaigns write
  txt     Jepsen's history.txt
  etcd    the logs of Jepsen's etcd test, as Porcupine has them
  plume   lines r(key,value,session,transaction), of Plume and PolySI
  awdit   lines `r key value` between lines of - and =, AWDIT's test format
  dbcop   sessions of transactions of events, dbcop's JSON
The last three have sessions, not real time: serializable and snapshot-isolation keep the order of each session there,
as those tools do, unless told otherwise (--set order=none).

Exit code 0: nothing is wrong; 1: a violation, with its evidence; 2: the input is bad, with line and column;
4: it could not be decided, in the --steps given for instance, or nothing succeeded that could be judged.";

/// `fuzz check`
#[derive(Debug, Args)]
pub struct Check {
    /// The history: a file, `-` for standard input, or the directory of a finding or of a run of Jepsen's
    #[arg(required_unless_present_any = ["list", "explain"])]
    pub history: Option<PathBuf>,
    /// What it is a history of [default: told from its operations, where that is clear]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Its format [default: told from its beginning]
    #[arg(long, value_name = "FORMAT", value_parser = format_named)]
    pub format: Option<Format>,
    /// Values are pairs [key value], as Jepsen's `independent` has them
    #[arg(long)]
    pub independent: bool,
    /// Tell the model something; `--explain` shows what it understands. May be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Most steps of a search; beyond, the verdict is unknown [default: 10000000]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Write verdict, evidence and pictures as a page of HTML
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// List the models
    #[arg(long, conflicts_with = "history")]
    pub list: bool,
    /// Tell what a model can be told, or what an anomaly is, with a history in which it is found
    #[arg(long, value_name = "NAME", conflicts_with_all = ["history", "list"])]
    pub explain: Option<String>,
}
