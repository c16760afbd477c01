//! A node: async-raft over [`Network`] and [`Store`], and what it answers to clients.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use async_raft::error::{ClientReadError, ClientWriteError};
use async_raft::raft::ClientWriteRequest;
use async_raft::{Config, SnapshotPolicy};
use kv_edge::clients::{self, Answer};
use kv_edge::machine;
use kv_edge::options::Options;
use kv_edge::peers::{self, Peers};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::command::{Command, Outcome};
use crate::network::{self, Network};
use crate::store::Store;

/// async-raft as this server uses it.
pub type Raft = async_raft::Raft<Command, Outcome, Network, Store>;

struct Node {
    raft: Raft,
    store: Arc<Store>,
}

/// Runs a node until async-raft stops it, which it does when its storage fails.
///
/// # Errors
///
/// The node could not start, or async-raft panicked.
pub async fn run(options: Options) -> Result<()> {
    let store = Arc::new(Store::open(options.id, &options.data_dir).context("cannot open the journal")?);
    let peer_listener = listen(options.listen).await?;
    let client_listener = listen(options.client).await?;
    let is_first_start = store.is_pristine();
    let mut config = Config::build("kv".to_owned())
        .heartbeat_interval(options.heartbeat_ms)
        .election_timeout_min(options.election_ms)
        .election_timeout_max(2 * options.election_ms)
        .validate()?;
    config.snapshot_policy = SnapshotPolicy::LogsSinceLast(options.snapshot_every);
    let network = Network::new(Peers::new(options.members()), Duration::from_millis(options.election_ms));
    let raft = Raft::new(options.id, Arc::new(config), Arc::new(network), Arc::clone(&store));
    let peer_raft = raft.clone();
    tokio::spawn(peers::serve(peer_listener, move |request| network::answer(peer_raft.clone(), request)));
    let node = Node { raft: raft.clone(), store };
    tokio::spawn(clients::serve(client_listener, Arc::new(node)));
    if is_first_start {
        sleep(options.formation_delay()).await;
        // Not allowed means that the cluster runs already: async-raft says that this is safe to ignore.
        let _ = raft.initialize(options.members().into_keys().collect()).await;
    }
    let mut metrics = raft.metrics();
    while metrics.changed().await.is_ok() {}
    raft.shutdown().await
}

async fn listen(addr: std::net::SocketAddr) -> Result<TcpListener> {
    let listener: io::Result<_> = TcpListener::bind(addr).await;
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
            "applied": metrics.last_applied,
        })
    }

    /// As async-raft documents reads: it confirms that this node leads, then the local state machine is read.
    async fn read(&self, key: &str) -> Answer {
        match self.raft.client_read().await {
            Ok(()) => Answer::Value(self.store.get(key)),
            Err(ClientReadError::ForwardToLeader(leader)) => Answer::NotLeader(leader),
            Err(ClientReadError::RaftError(error)) => Answer::Unknown(error.to_string()),
        }
    }

    async fn write(&self, command: machine::Command) -> Answer {
        match self.raft.client_write(ClientWriteRequest::new(Command(command))).await {
            Ok(response) => Answer::Applied(response.data.0),
            // It is told so before anything enters the log.
            Err(ClientWriteError::ForwardToLeader(_, leader)) => Answer::NotLeader(leader),
            Err(ClientWriteError::RaftError(error)) => Answer::Unknown(format!("unknown outcome: {error}")),
        }
    }
}
