//! The network openraft asks for: its three calls as JSON, labelled by their `type`.
//!
//! The call itself is the `body`, for serde cannot read maps with numbers as keys beside a label.

use std::io;
use std::sync::Arc;

use kv_edge::peers::Peers;
use openraft::BasicNode;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use crate::node::{Raft, Types};

type Failure<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

/// What a node asks of another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", rename_all = "snake_case")]
pub enum Request {
    /// Entries, or a heartbeat.
    AppendEntries(AppendEntriesRequest<Types>),
    /// A candidate's request.
    Vote(VoteRequest<u64>),
    /// A part of a snapshot.
    InstallSnapshot(InstallSnapshotRequest<Types>),
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", rename_all = "snake_case")]
pub enum Response {
    /// To entries.
    AppendEntriesReply(AppendEntriesResponse<u64>),
    /// To a candidate.
    VoteReply(VoteResponse<u64>),
    /// To a part of a snapshot.
    InstallSnapshotReply(InstallSnapshotResponse<u64>),
    /// The node cannot answer, and why.
    Error(String),
}

/// The peers of a node.
#[derive(Clone, Debug)]
pub struct Network {
    peers: Arc<Peers>,
}

/// One of them.
#[derive(Debug)]
pub struct Link {
    peers: Arc<Peers>,
    target: u64,
}

impl Network {
    /// The network to `peers`. openraft gives up calls by itself.
    pub fn new(peers: Arc<Peers>) -> Network {
        Network { peers }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Link {
        Link { peers: Arc::clone(&self.peers), target }
    }
}

impl Link {
    async fn call(&self, request: Request) -> io::Result<Response> {
        self.peers.call(self.target, &request).await
    }
}

fn unreachable(answer: io::Result<Response>) -> Unreachable {
    let error = answer.map_or_else(|error| error, |other| io::Error::other(format!("answered {other:?}")));
    Unreachable::new(&error)
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failure> {
        match self.call(Request::AppendEntries(rpc)).await {
            Ok(Response::AppendEntriesReply(reply)) => Ok(reply),
            other => Err(unreachable(other).into()),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failure<InstallSnapshotError>> {
        match self.call(Request::InstallSnapshot(rpc)).await {
            Ok(Response::InstallSnapshotReply(reply)) => Ok(reply),
            other => Err(unreachable(other).into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _option: RPCOption,
    ) -> Result<VoteResponse<u64>, Failure> {
        match self.call(Request::Vote(rpc)).await {
            Ok(Response::VoteReply(reply)) => Ok(reply),
            other => Err(unreachable(other).into()),
        }
    }
}

/// Has a peer's request answered by this node.
pub async fn answer(raft: Raft, request: Request) -> Response {
    let response = match request {
        Request::AppendEntries(rpc) => {
            let reply = raft.append_entries(rpc).await;
            reply.map(Response::AppendEntriesReply).map_err(|error| error.to_string())
        }
        Request::Vote(rpc) => {
            let reply = raft.vote(rpc).await;
            reply.map(Response::VoteReply).map_err(|error| error.to_string())
        }
        Request::InstallSnapshot(rpc) => {
            let reply = raft.install_snapshot(rpc).await;
            reply.map(Response::InstallSnapshotReply).map_err(|error| error.to_string())
        }
    };
    response.unwrap_or_else(Response::Error)
}
