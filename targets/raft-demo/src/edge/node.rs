//! The loop around the core: gather inputs, step, store, report, send. One turn, one write per receiver.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use super::clients::{self, ClientAddresses};
use super::options::Options;
use super::peers::{self, Link};
use crate::bugs::{Bug, Bugs};
use crate::entry::{Member, NodeId};
use crate::message::{self, Frame};
use crate::raft::{Input, Now, Output, Raft, Reply, Request, Role};
use crate::report::Report;
use crate::storage::{Store, StoreError};

/// Inputs taken in one turn.
const TURN_EVENTS_MAX: usize = 256;

/// What the edges tell the loop.
#[derive(Debug)]
pub enum Event {
    /// A peer's message.
    Frame(Frame),
    /// A client's request, and where its reply goes.
    Request(Request, oneshot::Sender<Reply>),
}

/// Why a node ends.
#[derive(Debug, Error)]
pub enum NodeError {
    /// It cannot listen.
    #[error("cannot listen on {addr}: {source}; choose another address")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Node {
    id: NodeId,
    bugs: Bugs,
    raft: Raft,
    store: Store,
    links: BTreeMap<NodeId, Link>,
    waiting: BTreeMap<u64, oneshot::Sender<Reply>>,
    next_token: u64,
    origin: Instant,
    reports: bool,
    role: Role,
    text: String,
}

/// Runs a node until its disk fails.
pub async fn run(options: Options) -> Result<(), NodeError> {
    let (id, bugs) = (options.id, options.bugs);
    let (store, disk) = Store::open(&options.data_dir, bugs)?;
    let peer_listener = listen(options.listen).await?;
    let client_listener = listen(options.client).await?;
    let addresses: ClientAddresses = Arc::new(options.client_peers.iter().cloned().collect());
    // Random state differs per process; the id keeps nodes apart even where it does not.
    let mut seed = std::hash::RandomState::new().build_hasher();
    seed.write_u64(id);
    let origin = Instant::now();
    let reports = options.reports;
    let settings = options.settings();
    let peers = settings.peers.clone();
    let heartbeat = Duration::from_nanos(settings.heartbeat_ns);
    let raft = Raft::new(settings, disk, seed.finish() ^ id, Now { mono_ns: 0, wall_ns: wall_ns(bugs) });
    let mut node = Node {
        id,
        bugs,
        raft,
        store,
        links: BTreeMap::new(),
        waiting: BTreeMap::new(),
        next_token: 1,
        origin,
        reports,
        role: Role::Follower,
        text: String::new(),
    };
    node.connect(&peers);
    let (sender, mut events) = mpsc::channel(4 * TURN_EVENTS_MAX);
    tokio::spawn(peers::serve(peer_listener, sender.clone()));
    tokio::spawn(clients::serve(client_listener, sender, addresses));
    let mut batch = Vec::new();
    let mut timers = [Box::pin(sleep_until(origin)), Box::pin(sleep_until(origin))];
    node.turn(&mut batch)?;
    loop {
        let deadline = origin + Duration::from_nanos(node.raft.deadline_ns());
        arm(&mut timers, deadline, heartbeat);
        tokio::select! {
            biased;
            _ = events.recv_many(&mut batch, TURN_EVENTS_MAX) => {}
            () = timers[0].as_mut() => {}
        }
        node.turn(&mut batch)?;
    }
}

/// Arms the first timer for the deadline, and the second for the heartbeat after it.
///
/// A timer that is armed when no other is pending makes the runtime write to its own event descriptor and
/// wake up once more. With the next one always pending a heartbeat costs neither.
fn arm(timers: &mut [Pin<Box<Sleep>>; 2], deadline: Instant, heartbeat: Duration) {
    if timers[0].deadline() == deadline {
        return;
    }
    timers.swap(0, 1);
    if timers[0].deadline() != deadline {
        timers[0].as_mut().reset(deadline);
    }
    timers[1].as_mut().reset(deadline + heartbeat);
}

async fn listen(addr: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(addr).await.map_err(|source| NodeError::Listen { addr, source })
}

impl Node {
    fn turn(&mut self, batch: &mut Vec<Event>) -> Result<(), NodeError> {
        let mono_ns = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let now = Now { mono_ns, wall_ns: wall_ns(self.bugs) };
        // Time first: after a pause a leader must learn that its reign may be over before it serves anyone.
        let mut outputs = self.raft.step(now, Input::Tick);
        for event in batch.drain(..) {
            let input = match event {
                Event::Frame(frame) => {
                    if let Some(link) = self.links.get_mut(&frame.from) {
                        link.heard();
                    }
                    Input::Message(frame)
                }
                Event::Request(request, sender) => {
                    let token = self.next_token;
                    self.next_token += 1;
                    self.waiting.insert(token, sender);
                    Input::Request(token, request)
                }
            };
            outputs.append(&mut self.raft.step(now, input));
        }
        outputs.append(&mut self.raft.step(now, Input::Flush));
        self.perform(now, outputs)
    }

    /// Stores first, then reports, then sends and answers.
    fn perform(&mut self, now: Now, outputs: Vec<Output>) -> Result<(), NodeError> {
        let (mut frames, mut replies) = (Vec::new(), Vec::new());
        let mut meta = None;
        for output in outputs {
            match output {
                Output::SaveMeta { term, vote } => meta = Some((term, vote)),
                Output::Append(entry) => self.store.append(&entry),
                Output::Truncate { from } => self.store.truncate(from)?,
                Output::SaveSnapshot { snapshot, entries } => {
                    self.store.save_snapshot(&snapshot, &entries)?
                }
                Output::Send { to, frame } => frames.push((to, frame)),
                Output::Reply { token, reply } => replies.push((token, reply)),
                Output::Members(members) => self.connect(&members),
                Output::Report(report) => self.note(&report),
            }
        }
        if let Some((term, vote)) = meta {
            self.store.save_meta(term, vote)?;
        }
        if self.bugs.has(Bug::FsyncAtCommit) && self.raft.role() != Role::Leader {
            self.store.sync_committed(self.raft.commit(), now.mono_ns)?;
        } else {
            self.store.sync(now.mono_ns)?;
        }
        self.publish();
        let sent_at = self.origin + Duration::from_nanos(now.mono_ns);
        for (to, frame) in frames {
            if let Some(link) = self.links.get_mut(&to) {
                link.send(sent_at, message::encode(&frame));
            }
        }
        for (token, reply) in replies {
            if let Some(sender) = self.waiting.remove(&token) {
                // The client may have left.
                let _ = sender.send(reply);
            }
        }
        Ok(())
    }

    /// Opens links to new addresses. Links to removed members stay: they may still need an answer.
    fn connect(&mut self, members: &[Member]) {
        for member in members.iter().filter(|member| member.id != self.id) {
            let Ok(addr) = member.addr.parse() else { continue };
            if self.links.get(&member.id).is_none_or(|link| link.addr() != addr) {
                self.links.insert(member.id, Link::open(addr));
            }
        }
    }

    fn note(&mut self, report: &Report) {
        if self.reports {
            report.write_line(self.id, &mut self.text);
        } else if let Report::State { role, term, .. } = report
            && *role != self.role
        {
            self.role = *role;
            eprintln!("raft-demo: node {} is a {} in term {term}", self.id, role.name());
        }
    }

    /// Writes the reports of the turn in one call; whether anyone reads them is not our business.
    fn publish(&mut self) {
        if !self.text.is_empty() {
            let _ = std::io::stdout().lock().write_all(self.text.as_bytes());
            self.text.clear();
        }
    }
}

/// The wall clock, read only if a planted bug relies on it.
#[allow(clippy::disallowed_types, reason = "the planted bug is that a lease runs on this clock")]
fn wall_ns(bugs: Bugs) -> u64 {
    if !bugs.has(Bug::LeaseWallClock) {
        return 0;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
