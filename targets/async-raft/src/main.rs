//! One node of a replicated key-value store on the crate async-raft.

mod command;
mod network;
mod node;
mod store;

use std::process::ExitCode;

use clap::Parser;
use kv_edge::options::Options;

/// The node could not go on: its disk failed, or it could not start.
const EXIT_FAILED: u8 = 70;
/// async-raft panicked; what Rust programs end with then.
const EXIT_PANIC: u8 = 101;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::parse().check() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("async-raft-kv: {error}");
            return ExitCode::from(2);
        }
    };
    match node::run(options).await {
        Ok(()) => {
            eprintln!("async-raft-kv: async-raft has stopped");
            ExitCode::from(EXIT_FAILED)
        }
        Err(error) if error.is::<tokio::task::JoinError>() => {
            eprintln!("async-raft-kv: {error}");
            ExitCode::from(EXIT_PANIC)
        }
        Err(error) => {
            eprintln!("async-raft-kv: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}
