//! Names on the internet side: binding sockets to ports, choosing source addresses, finding hosts.

use super::address::{Address, Domain, Endpoint};
use super::host::{Binding, Ports};
use super::socket::{Body, Socket};
use super::{Net, SocketId};
use crate::event::HostId;
use nix::errno::Errno;
use std::net::IpAddr;

impl Net {
    /// The host that `ip` means when `from` uses it: itself for loopback and unspecified addresses.
    #[must_use]
    pub fn route(&self, from: HostId, ip: IpAddr) -> Option<HostId> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || ip.is_unspecified() { Some(from) } else { self.routes.get(&ip).copied() }
    }

    pub(super) fn ports(&mut self, id: SocketId) -> Option<&mut Ports> {
        let socket = self.sockets.get(id)?;
        let host = &mut self.hosts[usize::from(socket.host.0)];
        match socket.body {
            Body::Tcp(_) => Some(&mut host.tcp),
            Body::Udp(_) => Some(&mut host.udp),
            Body::Unix(_) => None,
        }
    }

    pub(super) fn inet_bind(&mut self, id: SocketId, address: &Address) -> Result<(), Errno> {
        let socket = self.sockets.open(id)?;
        let wanted = Endpoint::parse(socket.domain, address)?;
        if socket.local_endpoint().is_some_and(|local| local.port != 0) {
            return Err(Errno::EINVAL);
        }
        if !self.hosts[usize::from(socket.host.0)].owns(wanted.ip) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.hold_port(id, wanted)?;
        if let Some(tcp) = self.sockets.tcp_mut(id) {
            tcp.bound = true;
        }
        Ok(())
    }

    /// Gives the socket the name `wanted`, with a port of the ephemeral range when it is 0.
    pub(super) fn hold_port(&mut self, id: SocketId, wanted: Endpoint) -> Result<(), Errno> {
        let now = self.now;
        let binding = self.sockets.get(id).ok_or(Errno::EBADF)?.binding(wanted.ip);
        let ports = self.ports(id).ok_or(Errno::EINVAL)?;
        ports.expire(now);
        let port = match wanted.port {
            0 => ports.ephemeral().ok_or(Errno::EADDRINUSE)?,
            port if ports.taken(port, id, &binding) => return Err(Errno::EADDRINUSE),
            port => port,
        };
        ports.hold(port, id, binding);
        if let Some(local) = self.sockets.get_mut(id).and_then(Socket::local_endpoint_mut) {
            *local = Endpoint { port, ..wanted };
        }
        Ok(())
    }

    /// Checks the destination of a connect or of a datagram: who it is, its exact name, and the name that
    /// packets to it come from (port 0 when none is held yet).
    pub(super) fn resolve(
        &self,
        id: SocketId,
        address: &Address,
    ) -> Result<(HostId, Endpoint, Endpoint), Errno> {
        let socket = self.sockets.open(id)?;
        let destination = Endpoint::parse(socket.domain, address)?.destination();
        let local = socket.local_endpoint().ok_or(Errno::EINVAL)?;
        let to = self.route(socket.host, destination.ip).ok_or(Errno::ENETUNREACH)?;
        if socket.domain == Domain::V6 && destination.ip.is_ipv4() && socket.options.is_v6_only() {
            return Err(Errno::ENETUNREACH);
        }
        let mut source = local;
        if local.ip.is_unspecified() {
            source.ip = self.hosts[usize::from(socket.host.0)].source_for(destination.ip);
        } else if local.ip.is_ipv4() != destination.ip.is_ipv4() {
            return Err(Errno::ENETUNREACH);
        } else if local.ip.is_loopback() && to != socket.host {
            return Err(Errno::EINVAL);
        }
        Ok((to, destination, source))
    }
}

impl Socket {
    /// The hold on a port that this socket would have when bound to `ip`.
    pub(super) fn binding(&self, ip: IpAddr) -> Binding {
        Binding {
            ip,
            v6_only: self.options.is_v6_only(),
            reuse_address: self.options.reuses_address(),
            reuse_port: self.options.reuses_port(),
            listening: false,
        }
    }

    pub(super) fn local_endpoint(&self) -> Option<Endpoint> {
        match &self.body {
            Body::Tcp(tcp) => Some(tcp.local),
            Body::Udp(udp) => Some(udp.local),
            Body::Unix(_) => None,
        }
    }

    pub(super) fn local_endpoint_mut(&mut self) -> Option<&mut Endpoint> {
        match &mut self.body {
            Body::Tcp(tcp) => Some(&mut tcp.local),
            Body::Udp(udp) => Some(&mut udp.local),
            Body::Unix(_) => None,
        }
    }
}
