//! A host of the room as its network stack sees it: addresses, ports in use, `AF_UNIX` names.

use super::SocketId;
use super::address::{Endpoint, Kind, UnixName, fit};
use crate::time::{Instant, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long a port stays taken after its connection was closed from this side (tcp(7), TIME_WAIT).
pub(super) const TIME_WAIT: Span = Span::from_secs(60);

const EPHEMERAL_FIRST: u16 = 32_768;
const EPHEMERAL_LAST: u16 = 60_999;

pub(super) struct Host {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    /// Powered; packets to a host without power vanish.
    pub up: bool,
    pub tcp: Ports,
    pub udp: Ports,
    /// By [`super::unix::key`].
    pub names: BTreeMap<(UnixName, Option<Kind>), SocketId>,
    pub next_autobind: u32,
}

impl Host {
    pub fn new(v4: Ipv4Addr, v6: Ipv6Addr) -> Self {
        Self {
            v4,
            v6,
            up: true,
            tcp: Ports::default(),
            udp: Ports::default(),
            names: BTreeMap::new(),
            next_autobind: 0,
        }
    }

    /// A socket of this host may be bound to `ip`.
    pub fn owns(&self, ip: IpAddr) -> bool {
        ip.is_unspecified() || ip.is_loopback() || ip == IpAddr::V4(self.v4) || ip == IpAddr::V6(self.v6)
    }

    /// The address that packets to `destination` leave from.
    pub fn source_for(&self, destination: IpAddr) -> IpAddr {
        match destination {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V4(_) => IpAddr::V4(self.v4),
            IpAddr::V6(_) => IpAddr::V6(self.v6),
        }
    }

    /// Forgets all that a kernel keeps in memory. The order of ephemeral ports goes on, as it does when a
    /// rebooted machine starts at a random one: an old connection's name does not come back at once.
    pub fn forget(&mut self) {
        self.tcp.clear();
        self.udp.clear();
        self.names.retain(|(name, _), _| matches!(name, UnixName::Path(_)));
    }
}

/// How a socket holds its port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    pub ip: IpAddr,
    pub v6_only: bool,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub listening: bool,
}

impl Binding {
    fn overlaps(&self, other: &Self) -> bool {
        fit(self.ip, self.v6_only, other.ip).is_some() || fit(other.ip, other.v6_only, self.ip).is_some()
    }

    /// Whether this one may not join `held` on the same port (socket(7), SO_REUSEADDR and SO_REUSEPORT).
    fn conflicts(&self, held: &Self) -> bool {
        let shared_address = self.reuse_address && held.reuse_address && !held.listening;
        let shared_port = self.reuse_port && held.reuse_port;
        self.overlaps(held) && !shared_address && !shared_port
    }
}

/// The ports of one protocol on one host.
pub(super) struct Ports {
    bindings: BTreeMap<(u16, SocketId), Binding>,
    listeners: BTreeMap<u16, Vec<SocketId>>,
    /// Ports in TIME_WAIT, by the end of it.
    waiting: BTreeSet<(Instant, u16, SocketId)>,
    next: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            bindings: BTreeMap::new(),
            listeners: BTreeMap::new(),
            waiting: BTreeSet::new(),
            next: EPHEMERAL_FIRST,
        }
    }
}

impl Ports {
    fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }

    /// Sockets that hold `port`, in the order of their making.
    pub fn holders(&self, port: u16) -> impl Iterator<Item = (SocketId, &Binding)> {
        self.bindings.range((port, SocketId(0))..=(port, SocketId(u32::MAX))).map(|(&(_, id), b)| (id, b))
    }

    /// Whether `binding` of `id` would clash with another socket's hold on `port`.
    pub fn taken(&self, port: u16, id: SocketId, binding: &Binding) -> bool {
        self.holders(port).any(|(other, held)| other != id && binding.conflicts(held))
    }

    /// The next free port of the ephemeral range; `None` when all are in use.
    pub fn ephemeral(&mut self) -> Option<u16> {
        for _ in EPHEMERAL_FIRST..=EPHEMERAL_LAST {
            let port = self.next;
            self.next = if port == EPHEMERAL_LAST { EPHEMERAL_FIRST } else { port + 1 };
            if self.holders(port).next().is_none() {
                return Some(port);
            }
        }
        None
    }

    pub fn hold(&mut self, port: u16, id: SocketId, binding: Binding) {
        self.bindings.insert((port, id), binding);
    }

    pub fn binding(&self, port: u16, id: SocketId) -> Option<Binding> {
        self.bindings.get(&(port, id)).copied()
    }

    pub fn release(&mut self, port: u16, id: SocketId) {
        self.bindings.remove(&(port, id));
    }

    /// Keeps the hold of a socket that is gone until `until`.
    pub fn wait(&mut self, port: u16, id: SocketId, until: Instant) {
        self.waiting.insert((until, port, id));
    }

    /// Releases the ports whose TIME_WAIT is over.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(until, port, id)) = self.waiting.first()
            && until <= now
        {
            self.waiting.pop_first();
            self.release(port, id);
        }
    }

    pub fn set_listening(&mut self, port: u16, id: SocketId, on: bool) {
        if let Some(binding) = self.bindings.get_mut(&(port, id)) {
            binding.listening = on;
        }
        let listeners = self.listeners.entry(port).or_default();
        listeners.retain(|&other| other != id);
        if on {
            listeners.push(id);
        }
    }

    /// The listeners that fit a connection to `to` best; several only with SO_REUSEPORT.
    pub fn listeners(&self, to: Endpoint) -> Vec<SocketId> {
        let fits = |&id: &SocketId| {
            let held = self.bindings.get(&(to.port, id))?;
            fit(held.ip, held.v6_only, to.ip).map(|score| (score, id))
        };
        let scored: Vec<_> = self.listeners.get(&to.port).into_iter().flatten().filter_map(fits).collect();
        let best = scored.iter().map(|&(score, _)| score).max();
        scored.into_iter().filter(|&(score, _)| Some(score) == best).map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(ip: &str, reuse_address: bool) -> Binding {
        let ip = ip.parse().unwrap();
        Binding { ip, v6_only: false, reuse_address, reuse_port: false, listening: false }
    }

    #[test]
    fn a_port_clashes_unless_addresses_differ_or_both_share() {
        let mut ports = Ports::default();
        ports.hold(80, SocketId(1), binding("10.0.0.1", false));
        let taken = |b| ports.taken(80, SocketId(2), &b);
        assert!(taken(binding("0.0.0.0", false)));
        assert!(taken(binding("::", true)));
        assert!(!taken(binding("127.0.0.1", false)));
    }

    #[test]
    fn ephemeral_ports_come_in_order_and_skip_those_in_use() {
        let mut ports = Ports::default();
        ports.hold(32_769, SocketId(1), binding("0.0.0.0", false));
        assert_eq!([ports.ephemeral(), ports.ephemeral()], [Some(32_768), Some(32_770)]);
    }
}
