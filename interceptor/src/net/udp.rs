//! UDP (udp(7)): datagrams that may be lost, doubled or overtaken, and word of ports that nobody holds.

use super::address::{Address, Endpoint, fit};
use super::ready::Ready;
use super::socket::Body;
use super::wire::{Class, Event};
use super::{Net, Received, SocketId};
use crate::event::HostId;
use crate::time::{Instant, Span};
use nix::errno::Errno;
use rand::Rng as _;
use std::collections::VecDeque;
use std::net::IpAddr;

/// The most bytes a datagram carries.
const LARGEST: usize = 65_507;
/// What the kernel counts for a datagram beside its bytes.
const OVERHEAD: usize = 512;
const HEADERS: usize = 42;
/// A datagram that would wait longer than this for its turn on the link is dropped, as a full queue does.
const LONGEST_QUEUE: Span = Span::from_secs(1);

#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub sender: SocketId,
    /// Which connect() of the sender it belongs to, or 0.
    pub connection: u32,
    pub from: HostId,
    pub to: HostId,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub data: Vec<u8>,
}

pub(super) struct Udp {
    pub local: Endpoint,
    pub remote: Option<(HostId, Endpoint)>,
    pub connection: u32,
    /// The local address was chosen by connect, which a disconnect takes back.
    source_chosen: bool,
    queue: VecDeque<(Endpoint, Vec<u8>)>,
    queued: usize,
    pub capacity: usize,
    read_shut: bool,
    write_shut: bool,
}

impl Udp {
    pub fn new(local: Endpoint) -> Self {
        Self {
            local,
            remote: None,
            connection: 0,
            source_chosen: false,
            queue: VecDeque::new(),
            queued: 0,
            capacity: 212_992,
            read_shut: false,
            write_shut: false,
        }
    }

    /// Bytes of the first datagram.
    pub fn available(&self) -> usize {
        self.queue.front().map_or(0, |(_, data)| data.len())
    }

    pub fn readiness(&self, error: Option<Errno>) -> Ready {
        Ready::ERR.when(error.is_some())
            | Ready::HUP.when(self.read_shut && self.write_shut)
            | (Ready::IN | Ready::RDHUP).when(self.read_shut)
            | Ready::IN.when(!self.queue.is_empty())
            | Ready::OUT
    }
}

impl Net {
    pub(super) fn udp_connect(&mut self, id: SocketId, address: &Address) -> Result<(), Errno> {
        let (to, destination, source) = self.resolve(id, address)?;
        let connection = self.next_connection();
        let udp = self.sockets.udp(id).ok_or(Errno::EBADF)?;
        let chosen = udp.source_chosen || udp.local.ip.is_unspecified();
        if source.port == 0 {
            self.hold_port(id, Endpoint { ip: udp.local.ip, port: 0 })?;
        }
        let udp = self.sockets.udp_mut(id).ok_or(Errno::EBADF)?;
        udp.local.ip = source.ip;
        udp.source_chosen = chosen;
        udp.remote = Some((to, destination));
        udp.connection = connection;
        Ok(())
    }

    pub(super) fn udp_disconnect(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let wildcard = Endpoint::unbound(socket.domain).ip;
        let Body::Udp(udp) = &mut socket.body else { return };
        udp.remote = None;
        udp.connection = 0;
        if std::mem::take(&mut udp.source_chosen) {
            udp.local.ip = wildcard;
        }
    }

    pub(super) fn udp_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        destination: Option<&Address>,
        now: Instant,
    ) -> Result<usize, Errno> {
        let socket = self.sockets.open_mut(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        if data.len() > LARGEST {
            return Err(Errno::EMSGSIZE);
        }
        let (from, broadcasts) = (socket.host, socket.options.broadcasts());
        let udp = self.sockets.udp(id).ok_or(Errno::EBADF)?;
        if udp.write_shut {
            return Err(Errno::EPIPE);
        }
        let (connection, unbound) = (udp.connection, udp.local);
        let (to, destination, mut source) = match (destination, udp.remote) {
            (None, None) => return Err(Errno::EDESTADDRREQ),
            (None, Some((to, remote))) => (to, remote, udp.local),
            (Some(Address::Inet(address)), _) if is_broadcast(address.ip()) && !broadcasts => {
                return Err(Errno::EACCES);
            }
            (Some(address), _) => self.resolve(id, address)?,
        };
        if destination.port == 0 {
            return Err(Errno::EINVAL);
        }
        if source.port == 0 {
            self.hold_port(id, unbound)?;
            source.port = self.sockets.udp(id).map_or(0, |udp| udp.local.port);
        }
        if self.wire.congestion(from, to, now) > LONGEST_QUEUE {
            return Ok(data.len());
        }
        let size = HEADERS + data.len();
        let Some(at) = self.wire.pass(from, to, size, Class::Data, now, &mut self.rng) else {
            return Ok(data.len());
        };
        let datagram =
            Datagram { sender: id, connection, from, to, source, destination, data: data.to_vec() };
        if let Some(again) = self.wire.duplicate(from, to, at, &mut self.rng) {
            self.wire.schedule(again, Event::Datagram(Box::new(datagram.clone())));
        }
        self.wire.schedule(at, Event::Datagram(Box::new(datagram)));
        Ok(data.len())
    }

    pub(super) fn on_datagram(&mut self, datagram: Datagram, at: Instant) {
        if !self.hosts[usize::from(datagram.to.0)].up {
            return;
        }
        let Some(receiver) = self.udp_receiver(&datagram) else {
            // ICMP: port unreachable. Only a connected socket hears of it.
            if datagram.connection != 0
                && let Some(at) = self.control(datagram.to, datagram.from, at)
            {
                let (to, connection) = (datagram.sender, datagram.connection);
                self.wire.schedule(at, Event::Unreachable { to, connection });
            }
            return;
        };
        let Some(udp) = self.sockets.udp_mut(receiver) else { return };
        if udp.queued < udp.capacity {
            udp.queued += datagram.data.len() + OVERHEAD;
            udp.queue.push_back((datagram.source, datagram.data));
            self.edge(receiver, Ready::IN);
        }
    }

    /// The socket that fits a datagram best: connected before bound, an address before the wildcard.
    fn udp_receiver(&mut self, datagram: &Datagram) -> Option<SocketId> {
        let ports = &self.hosts[usize::from(datagram.to.0)].udp;
        let score = |(id, held): (SocketId, &super::host::Binding)| {
            let udp = self.sockets.udp(id)?;
            let fits = fit(udp.local.ip, held.v6_only, datagram.destination.ip)?;
            match udp.remote {
                Some((_, remote)) if remote == datagram.source => Some((fits + 8, id)),
                Some(_) => None,
                None => Some((fits, id)),
            }
        };
        let scored: Vec<_> = ports.holders(datagram.destination.port).filter_map(score).collect();
        let best = scored.iter().map(|&(score, _)| score).max()?;
        let several: Vec<_> =
            scored.into_iter().filter(|&(score, _)| score == best).map(|(_, id)| id).collect();
        match several[..] {
            [only] => Some(only),
            _ => Some(several[self.rng.next_u32() as usize % several.len()]),
        }
    }

    pub(super) fn on_unreachable(&mut self, id: SocketId, connection: u32) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let Body::Udp(udp) = &socket.body else { return };
        if udp.connection == connection {
            socket.error = Some(Errno::ECONNREFUSED);
            self.edge(id, Ready::ERR | Ready::IN | Ready::OUT);
        }
    }

    pub(super) fn udp_receive(&mut self, id: SocketId, max: usize, peek: bool) -> Result<Received, Errno> {
        let socket = self.sockets.open_mut(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let domain = socket.domain;
        let Body::Udp(udp) = &mut socket.body else { return Err(Errno::EINVAL) };
        let Some((source, data)) = udp.queue.front() else {
            return if udp.read_shut { Ok(Received::default()) } else { Err(Errno::EAGAIN) };
        };
        let (from, length) = (Some(source.shown(domain)), data.len());
        let bytes = if peek {
            data[..max.min(length)].to_vec()
        } else {
            udp.queued -= length + OVERHEAD;
            let mut data = udp.queue.pop_front().map(|(_, data)| data).unwrap_or_default();
            data.truncate(max);
            data
        };
        Ok(Received { truncated_len: length - bytes.len(), bytes, from })
    }

    pub(super) fn udp_shutdown(&mut self, id: SocketId, read: bool, write: bool) -> Result<(), Errno> {
        let udp = self.sockets.udp_mut(id).ok_or(Errno::EBADF)?;
        udp.read_shut |= read;
        udp.write_shut |= write;
        let connected = udp.remote.is_some();
        let ready = self.readiness(id);
        self.edge(id, ready);
        if connected { Ok(()) } else { Err(Errno::ENOTCONN) }
    }
}

fn is_broadcast(ip: IpAddr) -> bool {
    matches!(ip.to_canonical(), IpAddr::V4(ip) if ip.is_broadcast())
}
