//! How TCP connections begin: connect, listen, accept, and the three packets between them (RFC 9293, 3.5;
//! Linux's retries: 1 s doubling, six times for a request, five for a consent).

use super::address::Address;
use super::ready::Ready;
use super::socket::{Body, Socket};
use super::tcp::{Attempt, State, Syn, Tcp};
use super::wire::{Class, Event};
use super::{Net, SocketId};
use crate::event::HostId;
use crate::time::{Instant, Span};
use nix::errno::Errno;
use rand::Rng as _;

/// The most connections that a listener keeps waiting, whatever it asks for (`net.core.somaxconn`).
const BACKLOG_MAX: usize = 4_096;
const CONSENT_RETRIES: u32 = 5;
/// Headers of a packet without payload.
pub(super) const HEADERS: usize = 66;

impl Net {
    pub(super) fn tcp_connect(&mut self, id: SocketId, address: &Address, now: Instant) -> Result<(), Errno> {
        let tcp = self.sockets.tcp(id).ok_or(Errno::EBADF)?;
        match tcp.attempt {
            Attempt::Pending if tcp.state == State::SynSent => return Err(Errno::EALREADY),
            Attempt::Pending => return self.tcp_connect_result(id),
            Attempt::Told => return Err(Errno::EISCONN),
            Attempt::None if tcp.state != State::Closed => return Err(Errno::EISCONN),
            Attempt::None => {}
        }
        let (to, destination, source) = self.resolve(id, address)?;
        if source.port == 0 {
            self.hold_port(id, source)?;
        }
        let connection = self.next_connection();
        let tcp = self.sockets.tcp_mut(id).ok_or(Errno::EBADF)?;
        tcp.local.ip = source.ip;
        tcp.remote = destination;
        tcp.peer_host = to;
        tcp.connection = connection;
        tcp.initiated = true;
        tcp.state = State::SynSent;
        tcp.attempt = Attempt::Pending;
        tcp.syn = Syn { started_at: now, ..Syn::default() };
        self.send_syn(id, now);
        Err(Errno::EINPROGRESS)
    }

    pub(super) fn tcp_connect_result(&mut self, id: SocketId) -> Result<(), Errno> {
        let socket = self.sockets.open_mut(id)?;
        let Body::Tcp(tcp) = &mut socket.body else { return Err(Errno::EINVAL) };
        match (tcp.attempt, tcp.state) {
            (Attempt::None, _) => Err(Errno::ENOTCONN),
            (Attempt::Told, _) => Ok(()),
            (Attempt::Pending, State::SynSent) => Err(Errno::EAGAIN),
            (Attempt::Pending, State::Finished) => {
                let error = socket.error.take().unwrap_or(Errno::ECONNABORTED);
                let (port, bound) = (tcp.local.port, tcp.bound);
                tcp.renew(socket.domain);
                if !bound && let Some(ports) = self.ports(id) {
                    ports.release(port, id);
                }
                Err(error)
            }
            (Attempt::Pending, _) => {
                tcp.attempt = Attempt::Told;
                Ok(())
            }
        }
    }

    pub(super) fn tcp_listen(&mut self, id: SocketId, backlog: i32) -> Result<(), Errno> {
        let tcp = self.sockets.tcp(id).ok_or(Errno::EBADF)?;
        let (state, local) = (tcp.state, tcp.local);
        match state {
            State::Listen => {}
            State::Closed if local.port == 0 => self.hold_port(id, local)?,
            State::Closed => {
                let ports = self.ports(id).ok_or(Errno::EBADF)?;
                let wanted = ports.binding(local.port, id).ok_or(Errno::EINVAL)?;
                if ports.taken(local.port, id, &wanted) {
                    return Err(Errno::EADDRINUSE);
                }
            }
            _ => return Err(Errno::EINVAL),
        }
        let tcp = self.sockets.tcp_mut(id).ok_or(Errno::EBADF)?;
        tcp.state = State::Listen;
        // The kernel reads a negative backlog as unsigned: as large as can be.
        tcp.listening.backlog = usize::try_from(backlog).unwrap_or(BACKLOG_MAX).min(BACKLOG_MAX);
        let port = tcp.local.port;
        if let Some(ports) = self.ports(id) {
            ports.set_listening(port, id, true);
        }
        Ok(())
    }

    pub(super) fn tcp_accept(&mut self, id: SocketId) -> Result<(SocketId, Address), Errno> {
        let tcp = self.sockets.tcp_mut(id).ok_or(Errno::EBADF)?;
        if tcp.state != State::Listen {
            return Err(Errno::EINVAL);
        }
        let child = tcp.listening.accepted.pop_front().ok_or(Errno::EAGAIN)?;
        let socket = self.sockets.get_mut(child).ok_or(Errno::ECONNABORTED)?;
        socket.open = true;
        let domain = socket.domain;
        let Body::Tcp(tcp) = &mut socket.body else { return Err(Errno::ECONNABORTED) };
        tcp.listener = None;
        Ok((child, tcp.remote.shown(domain)))
    }

    /// Stops listening: connections that wait to be accepted are reset, those that ask are forgotten.
    pub(super) fn tcp_unlisten(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        let listening = std::mem::take(&mut tcp.listening);
        tcp.state = State::Closed;
        let port = tcp.local.port;
        if let Some(ports) = self.ports(id) {
            ports.set_listening(port, id, false);
        }
        for child in listening.embryos.into_values().chain(listening.accepted) {
            self.abort(child, now);
        }
    }

    /// A packet that only opens, closes or acknowledges: when it arrives, if it does.
    pub(super) fn control(&mut self, from: HostId, to: HostId, now: Instant) -> Option<Instant> {
        self.wire.pass(from, to, HEADERS, Class::Control, now, &mut self.rng)
    }

    fn send_syn(&mut self, client: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(client) else { return };
        tcp.syn.sent_at = now;
        let (from, to, connection) = (tcp.host, tcp.peer_host, tcp.connection);
        match self.control(from, to, now) {
            Some(at) => self.wire.schedule(at, Event::Syn { client, connection }),
            None => self.arm_syn(client, now),
        }
    }

    /// The request (or its answer) was lost: it will be repeated.
    pub(super) fn arm_syn(&mut self, client: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(client) else { return };
        if tcp.state != State::SynSent || tcp.syn.timer_at.is_some() {
            return;
        }
        let mut at = tcp.syn.sent_at + doubled(tcp.syn.attempt);
        if tcp.send.user_timeout > Span::ZERO {
            at = at.min(tcp.syn.started_at + tcp.send.user_timeout);
        }
        let at = at.max(now);
        tcp.syn.timer_at = Some(at);
        self.wire.schedule(at, Event::SynTimer { client });
    }

    pub(super) fn on_syn_timer(&mut self, client: SocketId, at: Instant) {
        let Some(socket) = self.sockets.get_mut(client) else { return };
        let retries = socket.options.syn_retries();
        let Body::Tcp(tcp) = &mut socket.body else { return };
        if tcp.syn.timer_at != Some(at) {
            return;
        }
        tcp.syn.timer_at = None;
        tcp.syn.attempt += 1;
        let limit = tcp.send.user_timeout;
        let expired = limit > Span::ZERO && at.since(tcp.syn.started_at) >= limit;
        if tcp.syn.attempt > retries || expired {
            self.fail(client, Errno::ETIMEDOUT, at);
        } else {
            self.send_syn(client, at);
        }
    }

    pub(super) fn on_syn(&mut self, client: SocketId, connection: u32, at: Instant) {
        let Some(tcp) = self.sockets.tcp(client) else { return };
        if tcp.state != State::SynSent || tcp.connection != connection {
            return;
        }
        let (from, to, wanted) = (tcp.host, tcp.peer_host, tcp.remote);
        let host = &self.hosts[usize::from(to.0)];
        if !host.up {
            self.arm_syn(client, at);
            return;
        }
        let listeners = host.tcp.listeners(wanted);
        let asked = |&id: &SocketId| Some((id, *self.sockets.tcp(id)?.listening.embryos.get(&client)?));
        if let Some((_, child)) = listeners.iter().find_map(asked) {
            self.send_consent(child, at);
            return;
        }
        let listener = match listeners[..] {
            [] => return self.send_reset(to, from, client, connection, at),
            [only] => only,
            ref several => several[self.rng.next_u32() as usize % several.len()],
        };
        let waiting = self
            .sockets
            .tcp(listener)
            .map_or(0, |tcp| tcp.listening.accepted.len() + tcp.listening.embryos.len());
        if self.sockets.tcp(listener).is_none_or(|tcp| waiting > tcp.listening.backlog) {
            self.arm_syn(client, at);
            return;
        }
        if let Some(child) = self.make_child(listener, client, at) {
            self.send_consent(child, at);
        }
    }

    /// The server's end of the connection that `client` asks for.
    fn make_child(&mut self, listener: SocketId, client: SocketId, at: Instant) -> Option<SocketId> {
        let asking = self.sockets.tcp(client)?;
        let (local, remote, peer_host) = (asking.remote, asking.local, asking.host);
        let (connection, window) = (asking.connection, asking.receive.edge());
        let parent = self.sockets.get(listener)?;
        let Body::Tcp(listening) = &parent.body else { return None };
        let mut tcp = Tcp::new(parent.host, parent.domain);
        tcp.inherit(listening);
        tcp.state = State::SynReceived;
        tcp.attempt = Attempt::Told;
        tcp.local = local;
        tcp.remote = remote;
        tcp.bound = true;
        tcp.peer = Some(client);
        tcp.peer_host = peer_host;
        tcp.connection = connection;
        tcp.send.edge = window;
        tcp.listener = Some(listener);
        tcp.last_heard = at;
        let (host, binding) = (parent.host, parent.binding(local.ip));
        let child = self.sockets.insert(Socket {
            host,
            domain: parent.domain,
            kind: parent.kind,
            options: parent.options.clone(),
            error: None,
            open: false,
            body: Body::Tcp(tcp),
        });
        self.hosts[usize::from(host.0)].tcp.hold(local.port, child, binding);
        self.sockets.tcp_mut(listener)?.listening.embryos.insert(client, child);
        Some(child)
    }

    fn send_consent(&mut self, child: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(child) else { return };
        let Some(client) = tcp.peer else { return };
        tcp.syn.sent_at = now;
        let (from, to) = (tcp.host, tcp.peer_host);
        match self.control(from, to, now) {
            Some(at) => {
                if let Some(tcp) = self.sockets.tcp_mut(child) {
                    tcp.send.last_arrival = at;
                }
                self.wire.schedule(at, Event::SynAck { client, child });
            }
            None => {
                self.arm_syn(client, now);
                self.arm_consent(child, now);
            }
        }
    }

    pub(super) fn on_syn_ack(&mut self, client: SocketId, child: SocketId, at: Instant) {
        let Some(tcp) = self.sockets.tcp(child) else {
            // The server lost its power after it had consented.
            return self.arm_syn(client, at);
        };
        let (host, from, connection, window) = (tcp.host, tcp.peer_host, tcp.connection, tcp.receive.edge());
        let expected = self.sockets.tcp(client).is_some_and(|tcp| {
            let asking = tcp.state == State::SynSent || tcp.peer == Some(child);
            asking && tcp.connection == connection && tcp.state != State::Finished
        });
        if !expected {
            if self.hosts[usize::from(from.0)].up {
                self.send_reset(from, host, child, connection, at);
            } else {
                self.arm_consent(child, at);
            }
            return;
        }
        let Some(socket) = self.sockets.get_mut(client) else { return };
        let keepalive = socket.options.keeps_alive();
        let Body::Tcp(tcp) = &mut socket.body else { return };
        if tcp.state == State::SynSent {
            tcp.state = State::Established;
            tcp.peer = Some(child);
            tcp.send.edge = window;
            tcp.syn.timer_at = None;
            tcp.last_heard = at;
            let ready = self.readiness(client);
            self.edge(client, ready);
            if keepalive {
                self.arm_keepalive(client, at);
            }
        }
        match self.control(from, host, at) {
            Some(arrives) => {
                if let Some(tcp) = self.sockets.tcp_mut(client) {
                    tcp.send.last_arrival = tcp.send.last_arrival.max(arrives);
                }
                self.wire.schedule(arrives, Event::Opened { child, client });
            }
            None => self.arm_consent(child, at),
        }
    }

    pub(super) fn arm_consent(&mut self, child: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(child) else { return };
        if tcp.state != State::SynReceived || tcp.syn.timer_at.is_some() {
            return;
        }
        let at = (tcp.syn.sent_at + doubled(tcp.syn.attempt)).max(now);
        tcp.syn.timer_at = Some(at);
        self.wire.schedule(at, Event::OpenTimer { child });
    }

    pub(super) fn on_open_timer(&mut self, child: SocketId, at: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(child) else { return };
        if tcp.syn.timer_at != Some(at) || tcp.state != State::SynReceived {
            return;
        }
        tcp.syn.timer_at = None;
        tcp.syn.attempt += 1;
        if tcp.syn.attempt > CONSENT_RETRIES {
            self.remove(child);
        } else {
            self.send_consent(child, at);
        }
    }

    /// The handshake is over for the server: the connection waits to be accepted.
    pub(super) fn opened(&mut self, child: SocketId, at: Instant) {
        let Some(socket) = self.sockets.get_mut(child) else { return };
        let keepalive = socket.options.keeps_alive();
        let Body::Tcp(tcp) = &mut socket.body else { return };
        if tcp.state != State::SynReceived {
            return;
        }
        tcp.state = State::Established;
        tcp.syn.timer_at = None;
        tcp.last_heard = at;
        let (client, listener) = (tcp.peer, tcp.listener);
        if let Some(listener) = listener
            && let Some(tcp) = self.sockets.tcp_mut(listener)
        {
            if let Some(client) = client {
                tcp.listening.embryos.remove(&client);
            }
            tcp.listening.accepted.push_back(child);
            self.edge(listener, Ready::IN);
        }
        if keepalive {
            self.arm_keepalive(child, at);
        }
    }
}

/// 1 s, 2 s, 4 s…
fn doubled(attempt: u32) -> Span {
    Span::from_secs(1 << attempt.min(20))
}
