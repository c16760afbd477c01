//! `raft-demo-cli`: reads and writes a cluster from the command line.
//!
//! Exit codes: 0 done; 1 a definite no (not found, mismatch, refused); 2 bad flags; 4 no answer.

use std::hash::{BuildHasher, Hasher};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use raft_demo::edge::client::{ClientError, Session, exchange};
use serde_json::{Value, json};

const EXIT_NO: u8 = 1;
const EXIT_NO_ANSWER: u8 = 4;

/// Reads and writes a raft-demo cluster.
#[derive(Debug, Parser)]
#[command(name = "raft-demo-cli", version)]
struct Options {
    /// Client addresses of the nodes
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// Give up after so many seconds
    #[arg(long, default_value_t = 10)]
    timeout_s: u64,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the value of a key
    Get {
        /// The key
        key: String,
    },
    /// Set a key
    Put {
        /// The key
        key: String,
        /// Its new value
        value: String,
    },
    /// Set a key if it has the expected value
    Cas {
        /// The key
        key: String,
        /// The value it must have
        #[arg(required_unless_present = "absent")]
        expect: Option<String>,
        /// Its new value
        #[arg(long = "to", value_name = "VALUE")]
        value: String,
        /// The key must be absent
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
    },
    /// Remove a key
    Delete {
        /// The key
        key: String,
    },
    /// Print what each node says about itself
    Status,
    /// Change the voters, one at a time
    Members {
        #[command(subcommand)]
        change: Change,
    },
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Add a node, started with --join
    Add {
        /// Its number
        id: u64,
        /// Its peer address, IP:PORT
        addr: String,
    },
    /// Remove a node; stop it afterwards
    Remove {
        /// Its number
        id: u64,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => {
            eprintln!("raft-demo-cli: cannot start: {error}; raise the limit on open files");
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

async fn run(options: Options) -> ExitCode {
    if matches!(options.action, Action::Status) {
        return status(&options.nodes).await;
    }
    // Random state differs per process: a client id of its own.
    let client = format!("cli-{:016x}", std::hash::RandomState::new().build_hasher().finish());
    let mut session = Session::new(options.nodes, client, Duration::from_secs(options.timeout_s));
    let answer = match options.action {
        Action::Get { key } => session.get(&key).await,
        Action::Put { key, value } => session.put(&key, &value).await,
        Action::Cas { key, expect, value, .. } => session.cas(&key, expect.as_deref(), &value).await,
        Action::Delete { key } => session.delete(&key).await,
        Action::Members { change: Change::Add { id, addr } } => {
            session.change_members(&json!({ "add": { "id": id, "addr": addr } })).await
        }
        Action::Members { change: Change::Remove { id } } => {
            session.change_members(&json!({ "remove": id })).await
        }
        Action::Status => return ExitCode::SUCCESS,
    };
    show(answer)
}

fn show(answer: Result<(u16, Value), ClientError>) -> ExitCode {
    match answer {
        Ok((200, body)) => {
            println!("{}", body["value"].as_str().unwrap_or("ok"));
            ExitCode::SUCCESS
        }
        Ok((_, body)) => {
            let error = body["error"].as_str().unwrap_or("refused");
            match &body["actual"] {
                Value::String(actual) => eprintln!("raft-demo-cli: {error}: it is {actual:?}"),
                _ => eprintln!("raft-demo-cli: {error}"),
            }
            ExitCode::from(EXIT_NO)
        }
        Err(error) => {
            eprintln!("raft-demo-cli: {error}");
            ExitCode::from(EXIT_NO_ANSWER)
        }
    }
}

async fn status(nodes: &[String]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for node in nodes {
        match exchange(node, "GET", "/status", "").await {
            Ok((_, body)) => println!("{node} {body}"),
            Err(error) => {
                eprintln!("raft-demo-cli: {error}");
                code = ExitCode::from(EXIT_NO_ANSWER);
            }
        }
    }
    code
}
