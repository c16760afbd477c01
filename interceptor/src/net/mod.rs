//! The network of the virtual machine room: TCP, UDP and `AF_UNIX` sockets as guests see them, entirely in
//! memory. It makes no system call and knows no descriptor, no thread and no fault by name.
//!
//! [`Net`] owns all of it. A call that would block returns `EAGAIN`; the caller parks the thread until
//! [`Net::take_edges`] names the socket. [`Net::deadline`] tells when something happens next, and
//! [`Net::advance`] makes it happen. Same seed and same calls, same edges: the only generator is split from
//! the seed, and the queue is ordered by (instant, sequence number).
//!
//! It is not a packet-accurate TCP: no congestion control, no Nagle, no urgent data. What it keeps is what
//! programs can tell: order, partial reads and writes, back-pressure, errors and when they come, readiness.

mod address;
mod fault;
mod handshake;
mod host;
mod inet;
mod option;
mod ready;
mod socket;
mod stream;
mod tcp;
mod udp;
mod unix;
mod wire;

#[cfg(test)]
mod tests;

pub use address::{Address, Domain, Kind, UnixName};
pub use nix::errno::Errno;
pub use ready::Ready;

use crate::event::HostId;
use crate::rng::{Rng, split};
use crate::time::Instant;
use address::Endpoint;
use host::Host;
use option::Options;
use socket::{Body, Family, Socket, Sockets};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tcp::Tcp;
use udp::Udp;
use wire::{Event, Wire};

/// A socket of the room; numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// What a receive took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The bytes; none on a stream means that it has ended.
    pub bytes: Vec<u8>,
    /// Who sent a datagram.
    pub from: Option<Address>,
    /// Bytes of the message beyond those, lost unless peeked at.
    pub truncated_len: usize,
}

/// Who talks with whom on a connection, as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Number of the connection, the same at both ends of a stream.
    pub connection: u32,
    /// The host of this end.
    pub from: HostId,
    /// The host of the other end.
    pub to: HostId,
    /// The port of the end that was connected to.
    pub server_port: u16,
    /// This end connected.
    pub initiated: bool,
}

/// The network of one run.
pub struct Net {
    rng: Rng,
    /// The latest instant any call has named.
    now: Instant,
    hosts: Vec<Host>,
    routes: BTreeMap<IpAddr, HostId>,
    sockets: Sockets,
    wire: Wire,
    edges: Vec<(SocketId, Ready)>,
    connections: u32,
    /// Closed connections that wait in vain for their peer's end, by when they are forgotten.
    expiring: VecDeque<(Instant, SocketId)>,
}

impl Net {
    /// A network without hosts.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: split(seed, "net"),
            now: Instant::START,
            hosts: Vec::new(),
            routes: BTreeMap::new(),
            sockets: Sockets::default(),
            wire: Wire::default(),
            edges: Vec::new(),
            connections: 0,
            expiring: VecDeque::new(),
        }
    }

    /// Adds a powered host with this address and `fd00::N`, N counting from 1, linked to all others by
    /// [`Link::default`](crate::event::Link). Hosts are numbered in the order of this call.
    pub fn add_host(&mut self, address: Ipv4Addr) -> HostId {
        let id = HostId(u16::try_from(self.hosts.len()).expect("a room has fewer than 2^16 hosts"));
        let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, id.0.wrapping_add(1));
        self.hosts.push(Host::new(address, v6));
        self.routes.insert(IpAddr::V4(address), id);
        self.routes.insert(IpAddr::V6(v6), id);
        self.wire.add_host();
        id
    }

    /// The host's addresses.
    #[must_use]
    pub fn addresses(&self, host: HostId) -> (Ipv4Addr, Ipv6Addr) {
        let host = &self.hosts[usize::from(host.0)];
        (host.v4, host.v6)
    }

    /// Makes a socket.
    ///
    /// # Errors
    /// `ESOCKTNOSUPPORT` for a kind that the domain has not.
    pub fn socket(&mut self, host: HostId, domain: Domain, kind: Kind) -> Result<SocketId, Errno> {
        let body = match (domain, kind) {
            (Domain::Unix, _) => return Ok(self.make_unix(host, kind, true)),
            (_, Kind::Stream) => Body::Tcp(Tcp::new(host, domain)),
            (_, Kind::Dgram) => Body::Udp(Udp::new(Endpoint::unbound(domain))),
            (_, Kind::SeqPacket) => return Err(Errno::ESOCKTNOSUPPORT),
        };
        let options = Options::default();
        Ok(self.sockets.insert(Socket { host, domain, kind, options, error: None, open: true, body }))
    }

    /// Makes two `AF_UNIX` sockets that are each other's peer.
    pub fn socketpair(&mut self, host: HostId, kind: Kind) -> (SocketId, SocketId) {
        let (a, b) = (self.make_unix(host, kind, true), self.make_unix(host, kind, true));
        self.unix_pair(a, b);
        (a, b)
    }

    /// Names the socket, as bind(2).
    ///
    /// # Errors
    /// `EADDRINUSE`, `EADDRNOTAVAIL`, `EAFNOSUPPORT`, `EINVAL` when it has a name, `EBADF`.
    pub fn bind(&mut self, id: SocketId, address: &Address, now: Instant) -> Result<(), Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp | Family::Udp => self.inet_bind(id, address),
            Family::Unix => self.unix_bind(id, address),
        }
    }

    /// Takes connections from now on, as listen(2).
    ///
    /// # Errors
    /// `EADDRINUSE`, `EINVAL` when connected, `EOPNOTSUPP` for datagrams, `EBADF`.
    pub fn listen(&mut self, id: SocketId, backlog: i32, now: Instant) -> Result<(), Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp => self.tcp_listen(id, backlog),
            Family::Udp => Err(Errno::EOPNOTSUPP),
            Family::Unix => self.unix_listen(id, backlog),
        }
    }

    /// Connects, as connect(2) on a non-blocking socket. A caller that wants to block waits for edges and
    /// asks [`Net::connect_result`].
    ///
    /// # Errors
    /// TCP: `EINPROGRESS` at first, `EALREADY`, then success or the failure once, then `EISCONN`;
    /// `ENETUNREACH` for an address that no host has. `AF_UNIX`: `EAGAIN` when the listener's queue is full,
    /// `ECONNREFUSED`, `ENOENT`, `EPROTOTYPE`. All: `EAFNOSUPPORT`, `EADDRINUSE` without free ports, `EBADF`.
    pub fn connect(&mut self, id: SocketId, address: &Address, now: Instant) -> Result<(), Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp => self.tcp_connect(id, address, now),
            Family::Udp => self.udp_connect(id, address),
            Family::Unix => self.unix_connect(id, address),
        }
    }

    /// How a [`Net::connect`] that could not finish at once stands: what a blocking connect(2) returns.
    ///
    /// # Errors
    /// `EAGAIN` while it lasts; `ECONNREFUSED`, `ETIMEDOUT` and others when it failed, after which the socket
    /// may connect anew; `ENOTCONN` when none was begun.
    pub fn connect_result(&mut self, id: SocketId) -> Result<(), Errno> {
        match self.family(id)? {
            Family::Tcp => self.tcp_connect_result(id),
            Family::Udp => Ok(()),
            Family::Unix => self.unix_connect_result(id),
        }
    }

    /// A socket forgets its peer, which is told of it where there is a connection: connect(2) with `AF_UNSPEC`.
    ///
    /// # Errors
    /// `EINVAL` for connections of `AF_UNIX`, `EBADF`.
    pub fn disconnect(&mut self, id: SocketId, now: Instant) -> Result<(), Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Udp => self.udp_disconnect(id),
            Family::Unix if self.sockets.open(id)?.kind == Kind::Dgram => self.unix_disconnect(id),
            Family::Tcp => self.tcp_disconnect(id, now),
            Family::Unix => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Takes the next connection that waits: its socket, and the peer's name.
    ///
    /// # Errors
    /// `EAGAIN` when none waits, `EINVAL` when not listening, `EOPNOTSUPP` for datagrams, `EBADF`.
    pub fn accept(&mut self, id: SocketId) -> Result<(SocketId, Address), Errno> {
        match self.family(id)? {
            Family::Tcp => self.tcp_accept(id),
            Family::Udp => Err(Errno::EOPNOTSUPP),
            Family::Unix => self.unix_accept(id),
        }
    }

    /// Sends; on a stream possibly only the first part, whose length is returned.
    ///
    /// # Errors
    /// `EAGAIN` without room, `EPIPE` (the caller raises SIGPIPE), `ECONNRESET` and other errors of the
    /// connection once, `ENOTCONN`, `EDESTADDRREQ`, `EMSGSIZE`, `EBADF`.
    pub fn send(
        &mut self,
        id: SocketId,
        data: &[u8],
        destination: Option<&Address>,
        now: Instant,
    ) -> Result<usize, Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp => self.tcp_send(id, data, now),
            Family::Udp => self.udp_send(id, data, destination, now),
            Family::Unix => self.unix_send(id, data, destination),
        }
    }

    /// Receives up to `max` bytes; `peek` leaves them. No bytes from a stream means that it has ended.
    ///
    /// # Errors
    /// `EAGAIN` when there is nothing yet, `ECONNRESET` and other errors of the connection once, `ENOTCONN`,
    /// `EBADF`.
    pub fn recv(&mut self, id: SocketId, max: usize, peek: bool, now: Instant) -> Result<Received, Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp => self.tcp_receive(id, max, peek, now),
            Family::Udp => self.udp_receive(id, max, peek),
            Family::Unix => self.unix_receive(id, max, peek),
        }
    }

    /// Ends one or both directions, as shutdown(2).
    ///
    /// # Errors
    /// `ENOTCONN`, `EBADF`.
    pub fn shutdown(&mut self, id: SocketId, read: bool, write: bool, now: Instant) -> Result<(), Errno> {
        self.now = self.now.max(now);
        match self.family(id)? {
            Family::Tcp => self.tcp_shutdown(id, read, write, now),
            Family::Udp => self.udp_shutdown(id, read, write),
            Family::Unix => self.unix_shutdown(id, read, write),
        }
    }

    /// What the socket is ready for now, as poll(2) would tell; nothing for a socket that is gone.
    #[must_use]
    pub fn readiness(&self, id: SocketId) -> Ready {
        let Some(socket) = self.sockets.get(id) else { return Ready::NONE };
        match &socket.body {
            Body::Tcp(tcp) => tcp.readiness(socket.error),
            Body::Udp(udp) => udp.readiness(socket.error),
            Body::Unix(unix) => self.unix_readiness(unix, socket.error),
        }
    }

    /// Bytes that a read would find: of the stream, or of the next message (FIONREAD).
    #[must_use]
    pub fn available(&self, id: SocketId) -> usize {
        match self.sockets.get(id).map(|socket| &socket.body) {
            Some(Body::Tcp(tcp)) => tcp.receive.bytes,
            Some(Body::Udp(udp)) => udp.available(),
            Some(Body::Unix(unix)) => unix.available(),
            None => 0,
        }
    }

    /// Bytes of a TCP stream that are written and not acknowledged (SIOCOUTQ); 0 for other sockets.
    #[must_use]
    pub fn unsent(&self, id: SocketId) -> usize {
        self.sockets.tcp(id).map_or(0, |tcp| tcp.send.used())
    }

    /// Takes the pending error (SO_ERROR).
    pub fn take_error(&mut self, id: SocketId) -> Option<Errno> {
        self.sockets.get_mut(id)?.error.take()
    }

    /// The socket's own name.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn local(&self, id: SocketId) -> Result<Address, Errno> {
        let socket = self.sockets.open(id)?;
        Ok(match &socket.body {
            Body::Tcp(tcp) => tcp.local.shown(socket.domain),
            Body::Udp(udp) => udp.local.shown(socket.domain),
            Body::Unix(unix) => Address::Unix(unix.name.clone()),
        })
    }

    /// The peer's name.
    ///
    /// # Errors
    /// `ENOTCONN`, `EBADF`.
    pub fn peer(&self, id: SocketId) -> Result<Address, Errno> {
        let socket = self.sockets.open(id)?;
        match &socket.body {
            Body::Tcp(_) => self.tcp_peer(id),
            Body::Udp(udp) => udp.remote.map(|(_, end)| end.shown(socket.domain)).ok_or(Errno::ENOTCONN),
            Body::Unix(unix) if unix.peer.is_some() => Ok(Address::Unix(unix.peer_name.clone())),
            Body::Unix(_) => Err(Errno::ENOTCONN),
        }
    }

    /// The host, domain and kind of a socket.
    #[must_use]
    pub fn identity(&self, id: SocketId) -> Option<(HostId, Domain, Kind)> {
        self.sockets.get(id).map(|socket| (socket.host, socket.domain, socket.kind))
    }

    /// Who talks with whom: of a TCP socket from its connect on, of a UDP socket with a fixed peer.
    #[must_use]
    pub fn flow(&self, id: SocketId) -> Option<Flow> {
        let socket = self.sockets.get(id)?;
        match &socket.body {
            Body::Tcp(tcp) if tcp.connection != 0 => Some(Flow {
                connection: tcp.connection,
                from: socket.host,
                to: tcp.peer_host,
                server_port: if tcp.initiated { tcp.remote.port } else { tcp.local.port },
                initiated: tcp.initiated,
            }),
            Body::Udp(udp) => udp.remote.map(|(to, remote)| Flow {
                connection: udp.connection,
                from: socket.host,
                to,
                server_port: remote.port,
                initiated: true,
            }),
            Body::Tcp(_) | Body::Unix(_) => None,
        }
    }

    /// When something happens next without any call: a packet arrives or a timer ends.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.wire.peek().map(|(at, _)| at)
    }

    /// Makes everything happen that is due by `now`, in order, each thing at its own instant.
    pub fn advance(&mut self, now: Instant) {
        while let Some(at) = self.deadline()
            && at <= now
        {
            let Some((at, event)) = self.wire.pop() else { break };
            self.now = self.now.max(at);
            self.happen(event, at);
        }
        self.now = self.now.max(now);
        while let Some(&(at, id)) = self.expiring.front()
            && at <= now
        {
            self.expiring.pop_front();
            if self.sockets.tcp(id).is_some_and(|tcp| tcp.orphan) {
                self.remove(id);
            }
        }
        while self.wire.peek().is_some_and(|(at, event)| self.is_void(event, at)) {
            self.wire.pop();
        }
    }

    fn happen(&mut self, event: Event, at: Instant) {
        match event {
            Event::Syn { client, connection } => self.on_syn(client, connection, at),
            Event::SynAck { client, child } => self.on_syn_ack(client, child, at),
            Event::Opened { child, client } => {
                if self.sockets.tcp(child).is_some() {
                    self.opened(child, at)
                } else {
                    self.stray(child, client, at)
                }
            }
            Event::Segment { to, from } => self.on_segment(to, from, at),
            Event::Probe { to, from } => self.on_probe(to, from, at),
            Event::Ack { to, from, ack, edge } => self.on_ack(to, from, ack, edge, at),
            Event::Reset { to, connection } => self.on_reset(to, connection, at),
            Event::SynTimer { client } => self.on_syn_timer(client, at),
            Event::OpenTimer { child } => self.on_open_timer(child, at),
            Event::Retransmit { id } => self.on_retransmit(id, at),
            Event::Keepalive { id } => self.on_keepalive(id, at),
            Event::Datagram(datagram) => self.on_datagram(*datagram, at),
            Event::Unreachable { to, connection } => self.on_unreachable(to, connection),
        }
    }

    /// A timer that was called off.
    fn is_void(&self, event: &Event, at: Instant) -> bool {
        let differs = |id: &SocketId, timer: fn(&Tcp) -> Option<Instant>| {
            self.sockets.tcp(*id).is_none_or(|tcp| timer(tcp) != Some(at))
        };
        match event {
            Event::SynTimer { client: id } | Event::OpenTimer { child: id } => {
                differs(id, |tcp| tcp.syn.timer_at)
            }
            Event::Retransmit { id } => differs(id, |tcp| tcp.send.rto_at),
            Event::Keepalive { id } => differs(id, |tcp| tcp.keepalive_at),
            _ => false,
        }
    }

    /// The edges since the last call, in order: each arrival (even at a socket that was readable), each time
    /// a full buffer drained, each change of a connection. Nothing is told about sockets no program holds.
    pub fn take_edges(&mut self) -> Vec<(SocketId, Ready)> {
        std::mem::take(&mut self.edges)
    }

    /// Records an edge; a repetition of the last one says nothing new.
    fn edge(&mut self, id: SocketId, ready: Ready) {
        let known = self.edges.last() == Some(&(id, ready));
        if !ready.is_empty() && !known && self.sockets.get(id).is_some_and(|socket| socket.open) {
            self.edges.push((id, ready));
        }
    }

    fn next_connection(&mut self) -> u32 {
        self.connections += 1;
        self.connections
    }
}
