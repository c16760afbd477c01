//! One node of a replicated key-value store on the crate openraft.

mod network;
mod node;
mod store;

use std::process::ExitCode;

use clap::Parser;
use kv_edge::options::Options;
use openraft::error::Fatal;

/// The node could not go on: its disk failed, or it could not start.
const EXIT_FAILED: u8 = 70;
/// openraft panicked; what Rust programs end with then.
const EXIT_PANIC: u8 = 101;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = match Options::parse().check() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("openraft-kv: {error}");
            return ExitCode::from(2);
        }
    };
    let Err(error) = node::run(options).await;
    eprintln!("openraft-kv: {error:#}");
    let panicked = matches!(error.downcast_ref(), Some(Fatal::<u64>::Panicked));
    ExitCode::from(if panicked { EXIT_PANIC } else { EXIT_FAILED })
}
