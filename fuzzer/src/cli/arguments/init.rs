//! `fuzz init`: what can be typed.

use clap::Args;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  fuzz init shop --binary ./target/release/shop --command '{bin} --id {id} --peers {peers} --dir {data}' \\
       --peer '{id}={ip}:7000' --client http --port 8080 --ready /health
  fuzz init cache --binary redis-server --command '{bin} --bind {ip} --dir {data} --protected-mode no' \\
       --nodes 1 --client resp --port 6379 --ready PING
  fuzz init queue --binary ./queue --client exec --ready /health --port 9000
  fuzz init store --compose docker-compose.yml     what the file says; what cannot be carried over is told
  fuzz init store                                  asks, at a terminal

What is not given is filled in with an example to change. targets/README.md describes every field.";

/// `fuzz init`
#[derive(Debug, Args)]
pub struct Init {
    /// The target's name: lower-case letters, digits, `-` and `.`
    pub name: String,
    /// Directory to write target.toml to [default: targets/NAME where there is a targets/, else NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Nodes, command, environment, ports and health check from this Docker Compose file; other flags come before it
    #[arg(long, value_name = "FILE")]
    pub compose: Option<PathBuf>,
    /// Variables of the Compose file, after those of the environment; may be given again [default: the .env beside it]
    #[arg(long, value_name = "FILE", requires = "compose")]
    pub env_file: Vec<PathBuf>,
    /// Nodes of a cluster [default: 3]
    #[arg(long, value_name = "N")]
    pub nodes: Option<u8>,
    /// The program: a path, or a name in PATH
    #[arg(long, value_name = "PATH")]
    pub binary: Option<String>,
    /// Its command line, in words [default: {bin} --listen {ip}:7000 --peers {peers} --dir {data}]
    #[arg(long, value_name = "WORDS")]
    pub command: Option<String>,
    /// One peer, for {peers} [default: {ip}:7000]
    #[arg(long, value_name = "TEXT")]
    pub peer: Option<String>,
    /// What clients speak [default: http]
    #[arg(long)]
    pub client: Option<Speaks>,
    /// The port they speak to [default: 8000]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// What tells that a node is ready: the path of an HTTP GET, or a command of RESP [default: that its port accepts]
    #[arg(long, value_name = "QUESTION")]
    pub ready: Option<String>,
}

impl Init {
    /// No flag describes the target.
    pub fn says_nothing(&self) -> bool {
        let texts = [&self.binary, &self.command, &self.peer, &self.ready];
        let numbers = self.nodes.is_some() || self.port.is_some() || self.client.is_some();
        self.compose.is_none() && !numbers && texts.iter().all(|text| text.is_none())
    }
}

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Speaks {
    /// HTTP, requests by template
    Http,
    /// RESP, commands by template
    Resp,
    /// Our own HTTP and JSON, see targets/README.md
    KvHttp,
    /// A program speaks for them
    Exec,
}
