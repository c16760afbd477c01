//! `raft-demo`: a node of the store.

use std::process::ExitCode;

use raft_demo::edge::node::{self, NodeError};
use raft_demo::edge::options::Options;

/// The disk failed: the node must not go on. (`EX_SOFTWARE`, sysexits.h.)
const EXIT_DISK: u8 = 70;
/// The flags or addresses do not work.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let options = Options::from_command_line();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("raft-demo: cannot start: {error}; raise the limit on open files");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    // A task of its own: waking it costs no system call, unlike waking the runtime's root.
    let result = runtime.block_on(async { tokio::spawn(node::run(options)).await });
    let (message, code) = match result {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error @ NodeError::Listen { .. })) => (error.to_string(), EXIT_USAGE),
        Ok(Err(error @ NodeError::Store(_))) => (error.to_string(), EXIT_DISK),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    eprintln!("raft-demo: {message}");
    ExitCode::from(code)
}
