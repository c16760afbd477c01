//! The network async-raft asks for: its three calls as JSON, labelled by their `type`.

use std::time::Duration;

use anyhow::{Result, bail};
use async_raft::async_trait::async_trait;
use async_raft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use async_raft::{NodeId, RaftNetwork};
use kv_edge::peers::Peers;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::command::Command;
use crate::node::Raft;

/// What a node asks of another.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Entries, or a heartbeat.
    AppendEntries(AppendEntriesRequest<Command>),
    /// A candidate's request.
    Vote(VoteRequest),
    /// A part of a snapshot.
    InstallSnapshot(InstallSnapshotRequest),
}

/// The answer to a [`Request`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Response {
    /// To entries.
    AppendEntriesReply(AppendEntriesResponse),
    /// To a candidate.
    VoteReply(VoteResponse),
    /// To a part of a snapshot.
    InstallSnapshotReply(InstallSnapshotResponse),
    /// The node cannot answer.
    Error {
        /// Why.
        error: String,
    },
}

/// The peers of a node.
#[derive(Debug)]
pub struct Network {
    peers: Peers,
    vote_limit: Duration,
}

impl Network {
    /// The network to `peers`. async-raft gives up all calls but votes after a heartbeat; a vote is given up after
    /// `vote_limit`.
    pub fn new(peers: Peers, vote_limit: Duration) -> Network {
        Network { peers, vote_limit }
    }

    async fn call(&self, target: NodeId, request: Request) -> Result<Response> {
        Ok(self.peers.call(target, &request).await?)
    }
}

#[async_trait]
impl RaftNetwork<Command> for Network {
    async fn append_entries(
        &self,
        target: NodeId,
        rpc: AppendEntriesRequest<Command>,
    ) -> Result<AppendEntriesResponse> {
        match self.call(target, Request::AppendEntries(rpc)).await? {
            Response::AppendEntriesReply(reply) => Ok(reply),
            other => bail!("node {target} answered {other:?}"),
        }
    }

    async fn install_snapshot(
        &self,
        target: NodeId,
        rpc: InstallSnapshotRequest,
    ) -> Result<InstallSnapshotResponse> {
        match self.call(target, Request::InstallSnapshot(rpc)).await? {
            Response::InstallSnapshotReply(reply) => Ok(reply),
            other => bail!("node {target} answered {other:?}"),
        }
    }

    async fn vote(&self, target: NodeId, rpc: VoteRequest) -> Result<VoteResponse> {
        match timeout(self.vote_limit, self.call(target, Request::Vote(rpc))).await?? {
            Response::VoteReply(reply) => Ok(reply),
            other => bail!("node {target} answered {other:?}"),
        }
    }
}

/// Has a peer's request answered by this node.
pub async fn answer(raft: Raft, request: Request) -> Response {
    let response = match request {
        Request::AppendEntries(rpc) => raft.append_entries(rpc).await.map(Response::AppendEntriesReply),
        Request::Vote(rpc) => raft.vote(rpc).await.map(Response::VoteReply),
        Request::InstallSnapshot(rpc) => raft.install_snapshot(rpc).await.map(Response::InstallSnapshotReply),
    };
    response.unwrap_or_else(|error| Response::Error { error: error.to_string() })
}
