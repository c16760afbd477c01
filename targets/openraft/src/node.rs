//! A node: openraft over [`Network`] and [`Store`], and what it answers to clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use kv_edge::clients::{self, Answer};
use kv_edge::machine::{Command, Outcome};
use kv_edge::options::Options;
use kv_edge::peers::{self, Peers};
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError};
use openraft::{BasicNode, Config, SnapshotPolicy};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::network::{self, Network};
use crate::store::Store;

openraft::declare_raft_types!(
    /// What openraft replicates here.
    pub Types: D = Command, R = Outcome, SnapshotData = std::io::Cursor<Vec<u8>>
);

/// openraft as this server uses it.
pub type Raft = openraft::Raft<Types>;

struct Node {
    raft: Raft,
    store: Store,
}

/// Runs a node until openraft stops it, which it does when its storage fails.
///
/// # Errors
///
/// Why it ended, or could not start.
pub async fn run(options: Options) -> Result<Infallible> {
    let store = Store::open(&options.data_dir).context("cannot open the journal")?;
    let peer_listener = listen(options.listen).await?;
    let client_listener = listen(options.client).await?;
    let config = Config {
        heartbeat_interval: options.heartbeat_ms,
        election_timeout_min: options.election_ms,
        election_timeout_max: 2 * options.election_ms,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_every),
        ..Config::default()
    };
    let network = Network::new(Arc::new(Peers::new(options.members())));
    let config = Arc::new(config.validate()?);
    let raft = Raft::new(options.id, config, network, store.clone(), store.clone()).await?;
    let peer_raft = raft.clone();
    tokio::spawn(peers::serve(peer_listener, move |request| network::answer(peer_raft.clone(), request)));
    let node = Node { raft: raft.clone(), store };
    tokio::spawn(clients::serve(client_listener, Arc::new(node)));
    if !raft.is_initialized().await? {
        sleep(options.formation_delay()).await;
        let member = |(id, addr): (u64, SocketAddr)| (id, BasicNode::new(addr.to_string()));
        let members = options.members().into_iter().map(member);
        // Not allowed means that the cluster runs already.
        let _ = raft.initialize(members.collect::<std::collections::BTreeMap<_, _>>()).await;
    }
    let mut metrics = raft.metrics();
    let last = metrics.wait_for(|metrics| metrics.running_state.is_err()).await?;
    let fatal = last.running_state.clone().expect_err("it was waited for");
    Err(fatal).context("openraft has stopped")
}

async fn listen(addr: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(addr).await;
    listener.with_context(|| format!("cannot listen on {addr}; choose another address"))
}

impl clients::Node for Node {
    fn status(&self) -> Value {
        let metrics = self.raft.metrics().borrow().clone();
        json!({
            "id": metrics.id,
            "leader": metrics.current_leader,
            "state": metrics.state,
            "term": metrics.current_term,
            "last": metrics.last_log_index,
            "applied": metrics.last_applied.map(|id| id.index),
        })
    }

    async fn read(&self, key: &str) -> Answer {
        match self.raft.ensure_linearizable().await {
            Ok(_) => Answer::Value(self.store.get(key)),
            Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
                Answer::NotLeader(to.leader_id)
            }
            Err(error) => Answer::Unknown(error.to_string()),
        }
    }

    async fn write(&self, command: Command) -> Answer {
        match self.raft.client_write(command).await {
            Ok(response) => Answer::Applied(response.data),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Answer::NotLeader(to.leader_id)
            }
            Err(error) => Answer::Unknown(format!("unknown outcome: {error}")),
        }
    }
}
