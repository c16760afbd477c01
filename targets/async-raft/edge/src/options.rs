//! The flags of a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::NodeId;

/// One node of a replicated key-value store.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// This node's number, from 1
    #[arg(long)]
    pub id: NodeId,
    /// Where peers reach this node
    #[arg(long, value_name = "IP:PORT")]
    pub listen: SocketAddr,
    /// Where clients reach this node, over HTTP
    #[arg(long, value_name = "IP:PORT")]
    pub client: SocketAddr,
    /// All nodes, this one too: where each listens for its peers
    #[arg(long, value_name = "ID=IP:PORT,…", value_delimiter = ',', value_parser = parse_peer, required = true)]
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// Where this node keeps its journal
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// How often a leader is heard, in milliseconds; also its time limit for an append
    #[arg(long, default_value_t = 100)]
    pub heartbeat_ms: u64,
    /// The shortest election timeout in milliseconds; the longest is twice that
    #[arg(long, default_value_t = 300)]
    pub election_ms: u64,
    /// How many applied entries make a snapshot due
    #[arg(long, default_value_t = 5000)]
    pub snapshot_every: u64,
}

impl Options {
    /// Checks what one flag alone does not show.
    ///
    /// # Errors
    ///
    /// What to change.
    pub fn check(self) -> Result<Options, String> {
        let members = self.members();
        if members.len() < self.peers.len() {
            return Err("--peers names a node twice".to_owned());
        }
        if !members.contains_key(&self.id) {
            return Err(format!("--peers lacks node {}, this one", self.id));
        }
        if self.heartbeat_ms == 0 || self.election_ms < 2 * self.heartbeat_ms {
            return Err("--election-ms must be at least twice --heartbeat-ms".to_owned());
        }
        Ok(self)
    }

    /// All nodes, this one too.
    #[must_use]
    pub fn members(&self) -> BTreeMap<NodeId, SocketAddr> {
        self.peers.iter().copied().collect()
    }

    /// How long this node waits at its first start before it forms the cluster.
    ///
    /// It differs between nodes, so that the first election is not a tie.
    #[must_use]
    pub fn formation_delay(&self) -> Duration {
        let before = self.members().range(..self.id).count();
        Duration::from_millis(self.heartbeat_ms) * u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

fn parse_peer(text: &str) -> Result<(NodeId, SocketAddr), String> {
    let parsed = text.split_once('=').and_then(|(id, addr)| Some((id.parse().ok()?, addr.parse().ok()?)));
    parsed.filter(|(id, _)| *id > 0).ok_or_else(|| format!("`{text}` is not ID=IP:PORT with an ID from 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &[&str]) -> Result<Options, String> {
        let base =
            ["kv", "--id", "2", "--listen", "127.0.0.1:1", "--client", "127.0.0.1:2", "--data-dir", "d"];
        Options::try_parse_from(base.iter().chain(extra)).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn flags_are_understood() {
        let options = parse(&["--peers", "2=127.0.0.2:1,1=127.0.0.1:1"]).unwrap();
        assert_eq!(options.members().into_keys().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(options.formation_delay(), Duration::from_millis(200));
    }

    #[test]
    fn nonsense_is_explained() {
        for (extra, part) in [
            (&["--peers", "1=127.0.0.1:1"][..], "lacks node 2"),
            (&["--peers", "2=127.0.0.1:1,2=127.0.0.1:2"], "names a node twice"),
            (&["--peers", "2=localhost:1"], "is not ID=IP:PORT"),
            (&["--peers", "2=127.0.0.1:1", "--election-ms", "150"], "at least twice"),
            (&[], "--peers"),
        ] {
            let error = parse(extra).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
