//! Scenarios of the network, told through its public calls alone.

mod fault;
mod property;
mod tcp;
mod udp;
mod unix;

use super::{Address, Domain, Errno, Kind, Net, Ready, SocketId};
use crate::event::{HostId, Link};
use crate::time::{Instant, Span};
use std::net::Ipv4Addr;

pub(super) const A: HostId = HostId(0);
pub(super) const B: HostId = HostId(1);

pub(super) const BLOCKED: Link = Link { blocked: true, ..QUIET };
pub(super) const QUIET: Link = Link {
    latency: Span::from_micros(200),
    jitter: Span::from_micros(50),
    bandwidth: 1_000_000_000,
    blocked: false,
    stalled: false,
    loss_ppm: 0,
    duplicate_ppm: 0,
};

/// A room of two hosts, 10.0.0.1 and 10.0.0.2, and its clock.
pub(super) struct Room {
    pub net: Net,
    pub now: Instant,
}

impl Room {
    pub fn new() -> Self {
        let mut net = Net::new(1);
        assert_eq!(net.add_host(Ipv4Addr::new(10, 0, 0, 1)), A);
        assert_eq!(net.add_host(Ipv4Addr::new(10, 0, 0, 2)), B);
        Self { net, now: Instant::START }
    }

    pub fn pass(&mut self, span: Span) {
        self.now += span;
        self.net.advance(self.now);
    }

    /// Time for every packet and its answer to arrive.
    pub fn settle(&mut self) {
        self.pass(Span::from_millis(2));
    }

    pub fn tcp(&mut self, host: HostId) -> SocketId {
        self.net.socket(host, Domain::V4, Kind::Stream).unwrap()
    }

    pub fn udp(&mut self, host: HostId, at: &str) -> SocketId {
        let id = self.net.socket(host, Domain::V4, Kind::Dgram).unwrap();
        self.net.bind(id, &inet(at), self.now).unwrap();
        id
    }

    pub fn listener(&mut self, host: HostId, at: &str, backlog: i32) -> SocketId {
        let id = self.tcp(host);
        self.set(id, libc::SO_REUSEADDR, 1);
        self.net.bind(id, &inet(at), self.now).unwrap();
        self.net.listen(id, backlog, self.now).unwrap();
        id
    }

    /// A socket of `host` that has begun to connect.
    pub fn dial(&mut self, host: HostId, to: &str) -> SocketId {
        let id = self.tcp(host);
        assert_eq!(self.net.connect(id, &inet(to), self.now), Err(Errno::EINPROGRESS));
        id
    }

    /// A connection from A to port 80 of B, both ends.
    pub fn connected(&mut self) -> (SocketId, SocketId) {
        let listener = self.listener(B, "0.0.0.0:80", 8);
        let client = self.dial(A, "10.0.0.2:80");
        self.settle();
        let (server, _) = self.net.accept(listener).unwrap();
        assert_eq!(self.net.connect_result(client), Ok(()));
        self.net.close(listener, self.now);
        self.net.take_edges();
        (client, server)
    }

    pub fn send(&mut self, id: SocketId, data: &[u8]) -> Result<usize, Errno> {
        self.net.send(id, data, None, self.now)
    }

    pub fn recv(&mut self, id: SocketId) -> Result<Vec<u8>, Errno> {
        self.net.recv(id, 1 << 20, false, self.now).map(|received| received.bytes)
    }

    pub fn close(&mut self, id: SocketId) {
        self.net.close(id, self.now);
    }

    pub fn set(&mut self, id: SocketId, name: i32, value: i32) {
        self.net.set_option(id, libc::SOL_SOCKET, name, &value.to_le_bytes()).unwrap();
    }

    pub fn set_tcp(&mut self, id: SocketId, name: i32, value: i32) {
        self.net.set_option(id, libc::IPPROTO_TCP, name, &value.to_le_bytes()).unwrap();
    }

    pub fn both_ways(&mut self, link: &Link) {
        self.net.set_link(A, B, link.clone(), self.now);
        self.net.set_link(B, A, link.clone(), self.now);
    }

    /// The edges since last time, as text.
    pub fn edges(&mut self) -> Vec<String> {
        self.net.take_edges().into_iter().map(|(id, ready)| format!("{} {ready:?}", id.0)).collect()
    }

    /// Advances from deadline to deadline until the socket has an edge with one of `wanted`; the time taken.
    pub fn wait(&mut self, id: SocketId, wanted: Ready) -> Span {
        let start = self.now;
        while !self.net.take_edges().iter().any(|&(other, ready)| other == id && ready.intersects(wanted)) {
            self.now = self.net.deadline().expect("the edge comes");
            self.net.advance(self.now);
        }
        self.now.since(start)
    }
}

pub(super) fn inet(text: &str) -> Address {
    Address::Inet(text.parse().unwrap())
}
