//! What may be done to the room from outside: the operations that faults are made of, and the clients' ends
//! of connections.

use super::clock::{NodeClock, Time};
use super::{ClockKind, Error, Sandbox};
use crate::disk::{DiskFaults, Landed, Loss, Lost};
use crate::dissector::Direction;
use crate::event::{EventKind, Exit, HostId, Link};
use crate::net::{Address, Domain, Kind, Ready, SocketId};
use crate::time::Instant;
use crate::timeline::Flow;
use nix::errno::Errno;
use std::net::SocketAddr;

/// One operation on the room. Nodes are numbered from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Kills all processes of a node; the machine lives on, so peers see its connections end.
    Kill(usize),
    /// Cuts the node's power: processes are gone, peers see silence, and what was not durable is lost.
    PowerOff(usize, Loss),
    /// Starts the node's program, if it does not run.
    Start(usize),
    /// The node's threads do not run.
    Pause(usize),
    /// They do again.
    Resume(usize),
    /// Moves the wall clock of a node by nanoseconds.
    ClockJump(usize, i64),
    /// Runs the clocks of a node at a percentage of the true rate (1 to 1000).
    ClockRate(usize, u32),
    /// Replaces the faults of a node's disk.
    Disk(usize, DiskFaults),
    /// Replaces what the link from one host to another does.
    Link(HostId, HostId, Link),
    /// Resets all connections between two hosts.
    Reset(HostId, HostId),
}

/// Something happened on a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    /// Which connection.
    pub socket: SocketId,
    /// What became true (again).
    pub ready: Ready,
}

impl Sandbox {
    /// Carries out an operation now; returns what it touched at once (processes killed, connections reset).
    ///
    /// # Errors
    /// When the sandbox fails; an operation on a node that is in the wrong state touches nothing.
    pub fn operate(&mut self, operation: Operation) -> Result<u64, Error> {
        if self.stopped.is_some() {
            return Ok(0);
        }
        let touched = self.strike(operation);
        self.contain(touched, 0)
    }

    fn strike(&mut self, operation: Operation) -> Result<u64, Error> {
        use Operation as Op;
        match operation {
            Op::Kill(node) => self.kill(node),
            Op::PowerOff(node, loss) => self.power_off(node, loss),
            Op::Start(node) => {
                let starts = self.nodes[node].roots.is_empty();
                self.start(node)?;
                Ok(u64::from(starts))
            }
            Op::Pause(node) => {
                self.log_operation(node, 3);
                self.nodes[node].paused = true;
                self.halt(|thread| thread.node == node);
                Ok(self.threads_of_node(node) as u64)
            }
            Op::Resume(node) => {
                self.log_operation(node, 4);
                self.nodes[node].paused = false;
                Ok(self.threads_of_node(node) as u64)
            }
            Op::ClockJump(node, by_ns) => {
                self.log_operation(node, 5);
                self.change_clock(node, |clock, _| clock.jump(by_ns));
                Ok(u64::from(!self.nodes[node].roots.is_empty()))
            }
            Op::ClockRate(node, percent) => {
                self.log_operation(node, 6);
                self.change_clock(node, |clock, now| clock.set_rate(percent, now));
                Ok(u64::from(!self.nodes[node].roots.is_empty()))
            }
            Op::Disk(node, faults) => {
                self.nodes[node].disk.set_faults(faults);
                Ok(0)
            }
            Op::Link(from, to, link) => {
                self.net.set_link(from, to, link, self.now);
                self.spread_edges();
                Ok(0)
            }
            Op::Reset(a, b) => {
                let count = self.net.reset_between(a, b, self.now);
                self.spread_edges();
                Ok(count as u64)
            }
        }
    }

    /// What the last power loss took, once.
    pub fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    fn kill(&mut self, node: usize) -> Result<u64, Error> {
        let killed = self.threads_of_node(node) as u64;
        let host = self.nodes[node].host;
        self.log_operation(node, 2);
        self.note_code_of_node(node);
        self.end_processes(node)?;
        if killed > 0 {
            self.net.host_killed(host, self.now);
            self.note(host, EventKind::Exit(Exit::Killed));
        }
        self.spread_edges();
        Ok(killed)
    }

    fn power_off(&mut self, node: usize, loss: Loss) -> Result<u64, Error> {
        let killed = self.threads_of_node(node) as u64;
        let host = self.nodes[node].host;
        self.log_operation(node, 7);
        self.note_code_of_node(node);
        // Off the network first: nobody hears its connections end.
        self.net.host_powered_off(host);
        self.aio.forget_node(node);
        self.end_processes(node)?;
        let mut lost = self.nodes[node].disk.power_loss(loss)?;
        lost.told.iter_mut().for_each(|line| *line = self.nodes[node].named_by_node(line));
        self.nodes[node].storage.fresh_memory()?;
        if killed > 0 {
            self.note(host, EventKind::Exit(Exit::Killed));
        }
        self.spread_edges();
        let touched = killed + lost.data_ops_undone + lost.name_ops_undone;
        self.lost = Some(lost);
        Ok(touched)
    }

    /// Changes the clock of a node. Programs that run free and read it meanwhile wait: what they read does not run back.
    fn change_clock(&mut self, node: usize, change: impl FnOnce(&mut NodeClock, Instant)) {
        let owner = &mut self.nodes[node];
        if let Time::Real { begun_ns, .. } = &self.time {
            owner.pages.hold();
            self.now = self.time.now(self.now);
            change(&mut owner.clock, self.now);
            owner.pages.set_running(owner.clock.running_terms(*begun_ns));
        } else {
            change(&mut owner.clock, self.now);
        }
        self.rearm(node);
    }

    /// The clock of a node was touched: pending timers of its threads follow it.
    fn rearm(&mut self, node: usize) {
        let now = self.now;
        let ids: Vec<_> = self.threads.iter().filter(|(_, t)| t.node == node).map(|(&id, _)| id).collect();
        for id in ids {
            let thread = self.thread(id);
            let (Some(until), Some(timer)) = (thread.until, thread.timer) else { continue };
            self.timers.cancel(timer);
            let at = self.nodes[node].clock.instant_of(until.clock, until.ns).max(now);
            let timer = self.timers.set(at, super::timers::Due::Wake(id));
            self.thread_mut(id).timer = Some(timer);
        }
        self.rearm_descriptors(node);
        self.rearm_process_timers(node);
    }

    /// Whether the node's program runs.
    #[must_use]
    pub fn is_up(&self, node: usize) -> bool {
        !self.nodes[node].roots.is_empty()
    }

    /// Calls of a node's disk that its faults failed, delayed or refused so far, and packets a link held.
    #[must_use]
    pub fn disk_landed(&self, node: usize) -> u64 {
        landed(self.nodes[node].disk.landed())
    }

    /// Packets that faults of the link have held back or delayed so far.
    #[must_use]
    pub fn link_landed(&self, from: HostId, to: HostId) -> u64 {
        self.net.held(from, to)
    }

    /// What the link from one host to another does now.
    #[must_use]
    pub fn link(&self, from: HostId, to: HostId) -> &Link {
        self.net.link(from, to)
    }

    /// What a node's wall clock shows, in nanoseconds since the epoch.
    #[must_use]
    pub fn wall_clock(&self, node: usize) -> u64 {
        self.nodes[node].clock.read(ClockKind::Realtime, self.now)
    }

    /// A client begins to connect to a node; the outcome comes as a [`ClientEvent`].
    pub fn client_connect(&mut self, client: HostId, node: usize, port: u16) -> SocketId {
        let socket = self.net.socket(client, Domain::V4, Kind::Stream).expect("a room has stream sockets");
        let to = Address::Inet(SocketAddr::from((super::node_address(node), port)));
        // EINPROGRESS is the only answer a new stream socket can give here.
        let _begun = self.net.connect(socket, &to, self.now);
        self.spread_edges();
        socket
    }

    /// How a client's attempt to connect went: `None` while it goes on.
    pub fn client_connected(&mut self, socket: SocketId) -> Option<Result<(), Errno>> {
        match self.net.connect_result(socket) {
            Err(Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY) => None,
            other => Some(other),
        }
    }

    /// A client sends; the number of bytes taken.
    ///
    /// # Errors
    /// As send(2): EAGAIN when the buffer is full, ECONNRESET, EPIPE.
    pub fn client_send(&mut self, socket: SocketId, bytes: &[u8]) -> Result<usize, Errno> {
        let sent = self.net.send(socket, bytes, None, self.now)?;
        self.capture_sent(socket, &bytes[..sent]);
        self.spread_edges();
        Ok(sent)
    }

    /// A client receives; nothing at all is the end of the stream.
    ///
    /// # Errors
    /// As recv(2): EAGAIN when nothing is there, ECONNRESET.
    pub fn client_receive(&mut self, socket: SocketId) -> Result<Vec<u8>, Errno> {
        let received = self.net.recv(socket, 65_536, false, self.now)?;
        self.capture_received(socket, received.bytes.len());
        self.spread_edges();
        Ok(received.bytes)
    }

    /// A client closes its end.
    pub fn client_close(&mut self, socket: SocketId) {
        self.net.close(socket, self.now);
        self.spread_edges();
    }

    /// Takes the next thing that happened on a client's connection.
    pub fn next_client_event(&mut self) -> Option<ClientEvent> {
        let (socket, ready) = self.client_events.pop_front()?;
        Some(ClientEvent { socket, ready: Ready(ready) })
    }

    pub(super) fn capture_sent(&mut self, socket: SocketId, bytes: &[u8]) {
        self.moved ^= super::log::checksum(bytes);
        if let Some(flow) = self.flow(socket, true) {
            self.capture.sent(self.now, flow, bytes, &mut self.events);
        }
    }

    pub(super) fn capture_received(&mut self, socket: SocketId, count: usize) {
        if let Some(flow) = self.flow(socket, false) {
            self.capture.received(self.now, flow, count as u64, &mut self.events);
        }
    }

    /// Who writes and who reads on a stream, when this end writes (`sends`) or reads.
    fn flow(&mut self, socket: SocketId, sends: bool) -> Option<Flow> {
        let (_, domain, kind) = self.net.identity(socket)?;
        if domain == Domain::Unix || kind != Kind::Stream {
            return None;
        }
        let flow = self.net.flow(socket)?;
        if self.announced.insert(flow.connection) {
            self.capture.open(flow.connection, flow.server_port);
        }
        let direction = if flow.initiated == sends { Direction::Request } else { Direction::Reply };
        let (from, to) = if sends { (flow.from, flow.to) } else { (flow.to, flow.from) };
        Some(Flow { connection: flow.connection, direction, from, to })
    }

    pub(super) fn note_disconnect(&mut self, socket: SocketId) {
        if let Some(flow) = self.net.flow(socket) {
            self.note(flow.from, EventKind::Disconnect { peer: flow.to, reset: false });
        }
    }
}

fn landed(landed: Landed) -> u64 {
    [
        landed.syncs_failed,
        landed.syncs_delayed,
        landed.syncs_lied,
        landed.reads_failed,
        landed.writes_failed,
        landed.writes_delayed,
        landed.writes_short,
        landed.refused_space,
    ]
    .iter()
    .sum()
}
