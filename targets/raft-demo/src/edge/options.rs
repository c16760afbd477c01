//! The flags of `raft-demo`, checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, ValueEnum};

use crate::bugs::{Bug, Bugs};
use crate::entry::{Member, NodeId};
use crate::raft::{ReadMode, Settings};

const MS: u64 = 1_000_000;
/// The window of the autopilot where a planted bug needs one.
const AUTOPILOT_MS: u64 = 800;

/// A node of a replicated key-value store.
#[derive(Clone, Debug, Parser)]
#[command(name = "raft-demo", version)]
pub struct Options {
    /// This node's number, from 1
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub id: NodeId,
    /// Where peers reach this node
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Where clients reach this node
    #[arg(long, value_name = "IP:PORT")]
    pub client: SocketAddr,
    /// All nodes of a new cluster, this one included; with --join, the nodes of the running one
    #[arg(long, value_name = "ID=IP:PORT", value_delimiter = ',', value_parser = peer)]
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// Where clients reach each node, for hints to the leader
    #[arg(long, value_name = "ID=IP:PORT", value_delimiter = ',', value_parser = client_peer)]
    pub client_peers: Vec<(NodeId, String)>,
    /// The node's directory; created if it is not there
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Join a running cluster: wait to be added with `raft-demo-cli members add`
    #[arg(long)]
    pub join: bool,
    /// Planted bugs to switch on, separated by commas
    #[arg(long = "bug", value_name = "NAME", default_value = "none", value_parser = Bugs::parse)]
    pub bugs: Bugs,
    /// How reads are made linearizable
    #[arg(long, value_enum, default_value_t = Reads::Readindex)]
    pub reads: Reads,
    /// Between heartbeats
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub heartbeat_ms: u64,
    /// The shortest election timeout; the longest is twice that
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(2..=600_000))]
    pub election_ms: u64,
    /// Applied entries between snapshots
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_every: u64,
    /// Remove voters that are silent for so long, and take them in again when they return; 0: never
    #[arg(long, default_value_t = 0)]
    pub autopilot_ms: u64,
    /// Print state reports on stdout, one JSON object a line
    #[arg(long)]
    pub reports: bool,
}

/// The values of `--reads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reads {
    /// Ask a majority each time
    Readindex,
    /// Rely on a lease on the monotonic clock
    Lease,
}

impl Options {
    /// Reads the command line; on nonsense prints one message and exits with code 2.
    pub fn from_command_line() -> Options {
        let options = Options::parse();
        match options.check() {
            Ok(options) => options,
            Err(why) => Options::command().error(clap::error::ErrorKind::ValueValidation, why).exit(),
        }
    }

    fn check(mut self) -> Result<Options, String> {
        let ids: Vec<NodeId> = self.peers.iter().map(|(id, _)| *id).collect();
        if let Some(id) = ids.iter().find(|id| ids.iter().filter(|other| other == id).count() > 1) {
            return Err(format!("--peers names node {id} twice; give each node its own number"));
        }
        if !self.join && !ids.contains(&self.id) {
            return Err(format!(
                "--peers lacks node {0}; add {0}={1}, or use --join for a node added later",
                self.id, self.listen
            ));
        }
        if self.election_ms < 2 * self.heartbeat_ms {
            return Err(format!(
                "--election-ms {} is less than twice --heartbeat-ms {}; followers would not wait for a lost heartbeat",
                self.election_ms, self.heartbeat_ms
            ));
        }
        if self.bugs.has(Bug::LeaseWallClock) {
            self.reads = Reads::Lease;
        }
        if self.bugs.has(Bug::EarlyMembership) && self.autopilot_ms == 0 {
            self.autopilot_ms = AUTOPILOT_MS;
        }
        Ok(self)
    }

    /// What the core needs to know.
    pub fn settings(&self) -> Settings {
        let peers = self.peers.iter();
        let mut peers: Vec<Member> =
            peers.map(|(id, addr)| Member { id: *id, addr: addr.to_string() }).collect();
        peers.sort_by_key(|peer| peer.id);
        let own = peers.iter().find(|peer| peer.id == self.id);
        let election_ns = self.election_ms * MS;
        Settings {
            id: self.id,
            addr: own.map_or_else(|| self.listen.to_string(), |peer| peer.addr.clone()),
            members: if self.join { Vec::new() } else { peers.clone() },
            peers,
            bugs: self.bugs,
            reads: match self.reads {
                Reads::Readindex => ReadMode::ReadIndex,
                Reads::Lease => ReadMode::Lease,
            },
            heartbeat_ns: self.heartbeat_ms * MS,
            election_ns: election_ns..2 * election_ns,
            boot_election_ns: election_ns / 6..election_ns / 2,
            snapshot_every: self.snapshot_every,
            autopilot_ns: self.autopilot_ms * MS,
            patience_ns: 2000 * MS,
        }
    }
}

fn pair(text: &str) -> Result<(NodeId, SocketAddr), String> {
    let wrong = || format!("`{text}` is not ID=IP:PORT");
    let (id, addr) = text.split_once('=').ok_or_else(wrong)?;
    let id = id.parse().ok().filter(|id| *id > 0).ok_or_else(wrong)?;
    Ok((id, addr.parse().map_err(|_| wrong())?))
}

fn peer(text: &str) -> Result<(NodeId, SocketAddr), String> {
    pair(text)
}

fn client_peer(text: &str) -> Result<(NodeId, String), String> {
    pair(text).map(|(id, addr)| (id, addr.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &[&str]) -> Result<Options, String> {
        let base = [
            "raft-demo",
            "--id",
            "1",
            "--listen",
            "127.0.0.1:1",
            "--client",
            "127.0.0.1:2",
            "--data-dir",
            "d",
        ];
        let options = Options::try_parse_from(base.iter().chain(extra)).map_err(|error| error.to_string())?;
        options.check()
    }

    #[test]
    fn flags_become_settings() {
        let options = parse(&["--peers", "2=127.0.0.2:1,1=127.0.0.1:1"]).unwrap();
        let settings = options.settings();
        assert_eq!(settings.members.iter().map(|m| m.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(settings.election_ns, 300 * MS..600 * MS);
        assert_eq!(settings.boot_election_ns, 50 * MS..150 * MS);
        assert_eq!((settings.reads, settings.autopilot_ns), (ReadMode::ReadIndex, 0));
    }

    #[test]
    fn bugs_bring_the_feature_they_live_in() {
        let peers = ["--peers", "1=127.0.0.1:1", "--bug"];
        let lease = parse(&[&peers[..], &["lease-wall-clock"]].concat()).unwrap();
        assert_eq!(lease.settings().reads, ReadMode::Lease);
        let early = parse(&[&peers[..], &["early-membership"]].concat()).unwrap();
        assert_eq!(early.settings().autopilot_ns, AUTOPILOT_MS * MS);
    }

    #[test]
    fn nonsense_is_explained() {
        for (extra, part) in [
            (&["--peers", "2=127.0.0.1:1"][..], "lacks node 1"),
            (&["--peers", "1=127.0.0.1:1,1=127.0.0.1:2"], "names node 1 twice"),
            (&["--peers", "1=localhost"], "is not ID=IP:PORT"),
            (&["--join", "--bug", "stale"], "unknown bug `stale`; choose none, or from: vote-not-persisted"),
            (&["--join", "--election-ms", "150"], "less than twice"),
        ] {
            let error = parse(extra).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
