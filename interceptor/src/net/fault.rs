//! What befalls hosts and links from outside: processes killed, power, links, resets.

use super::socket::{Body, Family};
use super::tcp::State;
use super::{Net, SocketId};
use crate::event::{HostId, Link};
use crate::time::Instant;
use std::collections::BTreeSet;

impl Net {
    /// All processes of a running host are gone: its kernel closes their sockets, in the order of their
    /// making. Peers see an end, or a reset where something was left unread; listeners are gone.
    pub fn host_killed(&mut self, host: HostId, now: Instant) {
        self.now = self.now.max(now);
        for id in self.sockets.on(host) {
            if self.sockets.get(id).is_some_and(|socket| socket.open) {
                self.close(id, now);
            }
        }
    }

    /// The host loses its power: its sockets vanish without a word, and packets to it go unanswered. Packets
    /// that it has sent still arrive.
    pub fn host_powered_off(&mut self, host: HostId) {
        for id in self.sockets.on(host) {
            self.sockets.remove(id);
        }
        let host = &mut self.hosts[usize::from(host.0)];
        host.forget();
        host.up = false;
    }

    /// The host runs again, with none of its former sockets: packets to those are answered with a reset.
    pub fn host_powered_on(&mut self, host: HostId) {
        self.hosts[usize::from(host.0)].up = true;
    }

    /// The host has power.
    #[must_use]
    pub fn is_powered(&self, host: HostId) -> bool {
        self.hosts[usize::from(host.0)].up
    }

    /// Changes what the link does to packets sent from `now` on; those under way still arrive as they would
    /// have. What was kept back is repeated by its senders' timers: 200 ms, then twice as long each time.
    pub fn set_link(&mut self, from: HostId, to: HostId, link: Link, now: Instant) {
        self.now = self.now.max(now);
        self.wire.set_link(from, to, link);
    }

    /// What the link does to packets.
    #[must_use]
    pub fn link(&self, from: HostId, to: HostId) -> &Link {
        self.wire.link(from, to)
    }

    /// Packets that the link has so far blocked, lost, doubled, or carried while it was slower than
    /// [`Link::default`]: the proof that a fault has landed.
    #[must_use]
    pub fn held(&self, from: HostId, to: HostId) -> u64 {
        self.wire.held(from, to)
    }

    /// Resets every TCP connection between two hosts, at once and at both ends: `ECONNRESET` (`ECONNREFUSED`
    /// where connect() is under way, `EPIPE` where the peer had ended already). The number of connections.
    pub fn reset_between(&mut self, a: HostId, b: HostId, now: Instant) -> usize {
        self.now = self.now.max(now);
        let mut connections = BTreeSet::new();
        for from in BTreeSet::from([a, b]) {
            let to = if from == a { b } else { a };
            for id in self.sockets.on(from) {
                if let Some(connection) = self.live_connection(id, to) {
                    connections.insert(connection);
                    self.on_reset(id, connection, now);
                }
            }
        }
        connections.len()
    }

    fn live_connection(&self, id: SocketId, to: HostId) -> Option<u32> {
        let tcp = self.sockets.tcp(id)?;
        let live = matches!(tcp.state, State::SynSent | State::SynReceived | State::Established);
        (live && tcp.peer_host == to).then_some(tcp.connection)
    }

    /// The last descriptor of the socket is gone. A stream ends in order, or by a reset when bytes were left
    /// unread or SO_LINGER says so; its kernel goes on sending what was written.
    pub fn close(&mut self, id: SocketId, now: Instant) {
        self.now = self.now.max(now);
        let Ok(socket) = self.sockets.open(id) else { return };
        match socket.body {
            Body::Tcp(_) => self.tcp_close(id, now),
            Body::Udp(_) => self.remove(id),
            Body::Unix(_) => self.unix_close(id),
        }
    }

    pub(super) fn family(&self, id: SocketId) -> Result<Family, nix::errno::Errno> {
        self.sockets.open(id).map(super::socket::Socket::family)
    }
}
