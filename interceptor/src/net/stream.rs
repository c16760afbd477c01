//! How TCP connections live and end: segments and acknowledgements over the wire, retransmission, keepalive,
//! shutdown, close, reset (RFC 9293; RFC 6298; tcp(7)).

use super::address::Address;
use super::handshake::HEADERS;
use super::host::TIME_WAIT;
use super::ready::Ready;
use super::socket::Body;
use super::tcp::{Item, State};
use super::wire::{Class, Event};
use super::{Net, Received, SocketId};
use crate::event::HostId;
use crate::time::{Instant, Span};
use nix::errno::Errno;

impl Net {
    pub(super) fn tcp_send(&mut self, id: SocketId, data: &[u8], now: Instant) -> Result<usize, Errno> {
        let socket = self.sockets.open_mut(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let Body::Tcp(tcp) = &mut socket.body else { return Err(Errno::EINVAL) };
        match tcp.state {
            State::SynSent | State::SynReceived => return Err(Errno::EAGAIN),
            State::Established if !tcp.send.fin => {}
            _ => return Err(Errno::EPIPE),
        }
        if data.is_empty() {
            return Ok(0);
        }
        let count = tcp.send.space().min(data.len());
        if count == 0 {
            return Err(Errno::EAGAIN);
        }
        tcp.send.push(&data[..count], now, &mut self.rng);
        self.pump(id, now);
        Ok(count)
    }

    pub(super) fn tcp_receive(
        &mut self,
        id: SocketId,
        max: usize,
        peek: bool,
        now: Instant,
    ) -> Result<Received, Errno> {
        let socket = self.sockets.open_mut(id)?;
        let Body::Tcp(tcp) = &mut socket.body else { return Err(Errno::EINVAL) };
        match tcp.state {
            State::Closed | State::Listen => return Err(socket.error.take().unwrap_or(Errno::ENOTCONN)),
            _ if max == 0 => return Ok(Received::default()),
            _ => {}
        }
        if tcp.receive.bytes == 0 {
            // After an orderly end there is nothing more to report; after a reset the error comes first, once.
            return match socket.error {
                _ if tcp.receive.fin => Ok(Received::default()),
                Some(error) => {
                    socket.error = None;
                    Err(error)
                }
                None if tcp.read_over() => Ok(Received::default()),
                None => Err(Errno::EAGAIN),
            };
        }
        let bytes = tcp.receive.read(max, peek);
        if !peek && tcp.state == State::Established && tcp.receive.owes_update() {
            self.acknowledge(id, now);
        }
        Ok(Received { bytes, ..Received::default() })
    }

    /// Hands to the wire what the peer's window and the losses so far allow.
    fn pump(&mut self, id: SocketId, now: Instant) {
        loop {
            let Some(tcp) = self.sockets.tcp_mut(id) else { return };
            let (from, to, Some(peer)) = (tcp.host, tcp.peer_host, tcp.peer) else { return };
            if !tcp.is_connected() {
                return;
            }
            let Some(item) = tcp.send.next_item() else { return };
            let (bytes, class) = match &item {
                Item::Data(data) => (HEADERS + data.len(), Class::Data),
                Item::Fin => (HEADERS, Class::Control),
            };
            let Some(at) = self.wire.pass(from, to, bytes, class, now, &mut self.rng) else {
                tcp.send.put_back(item);
                self.arm_retransmission(id, now);
                return;
            };
            let at = at.max(tcp.send.last_arrival);
            tcp.send.last_arrival = at;
            self.wire.schedule(at, Event::Segment { to: peer, from: id });
            if let Some(receiver) = self.sockets.tcp_mut(peer).filter(|tcp| tcp.peer == Some(id)) {
                receiver.receive.wire.push_back(item);
            }
        }
    }

    pub(super) fn on_segment(&mut self, to: SocketId, from: SocketId, at: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(to).filter(|tcp| tcp.is_connected() && tcp.peer == Some(from))
        else {
            return self.stray(to, from, at);
        };
        let Some(item) = tcp.receive.wire.pop_front() else { return };
        if tcp.state == State::SynReceived {
            self.opened(to, at);
        }
        let Some(tcp) = self.sockets.tcp_mut(to) else { return };
        tcp.last_heard = at;
        match item {
            // Nobody will read it: the sender must learn that (RFC 2525, 2.17).
            Item::Data(_) if tcp.orphan => self.abort(to, at),
            // Nor will a program that has shut both directions.
            Item::Data(_) if tcp.receive.shut && tcp.send.fin => {
                let (host, there, connection) = (tcp.host, tcp.peer_host, tcp.connection);
                self.send_reset(host, there, from, connection, at);
                self.fail(to, Errno::ECONNRESET, at);
            }
            Item::Data(data) => {
                tcp.receive.push(data);
                self.edge(to, Ready::IN);
                self.acknowledge(to, at);
            }
            Item::Fin => {
                tcp.receive.fin = true;
                self.acknowledge(to, at);
                let ready = self.readiness(to);
                self.edge(to, ready);
                self.check_finished(to, at);
            }
        }
    }

    /// A packet of `from` found no connection at `to`: a host that runs answers with a reset.
    pub(super) fn stray(&mut self, to: SocketId, from: SocketId, at: Instant) {
        let Some(sender) = self.sockets.tcp(from).filter(|tcp| tcp.peer == Some(to)) else { return };
        let (host, there, connection) = (sender.host, sender.peer_host, sender.connection);
        if self.hosts[usize::from(there.0)].up {
            self.send_reset(there, host, from, connection, at);
        } else {
            self.arm_retransmission(from, at);
        }
    }

    /// Tells the peer what has arrived and how much more may come.
    fn acknowledge(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        let (from, to, Some(peer)) = (tcp.host, tcp.peer_host, tcp.peer) else { return };
        let (ack, edge) = (tcp.receive.ack(), tcp.receive.edge());
        tcp.receive.advertised = edge;
        match self.control(from, to, now) {
            Some(at) => self.wire.schedule(at, Event::Ack { to: peer, from: id, ack, edge }),
            None => self.arm_retransmission(peer, now),
        }
    }

    pub(super) fn on_ack(&mut self, to: SocketId, from: SocketId, ack: u64, edge: u64, at: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(to).filter(|tcp| tcp.is_connected() && tcp.peer == Some(from))
        else {
            return;
        };
        let was_writable = tcp.send.is_writable();
        tcp.last_heard = at;
        tcp.keepalive_probes = 0;
        tcp.send.acknowledge(ack, edge, at);
        let writable = !tcp.write_over() && !was_writable && tcp.send.is_writable();
        self.edge(to, Ready::OUT.when(writable));
        self.pump(to, at);
        self.check_finished(to, at);
    }

    /// Something of `id` was lost under way, or its acknowledgement was.
    fn arm_retransmission(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        if !tcp.is_connected() || !tcp.send.outstanding() || tcp.send.rto_at.is_some() {
            return;
        }
        let last = tcp.send.unacked_since.unwrap_or(now) + tcp.send.patience();
        let at = (now + tcp.send.rto).min(last).max(now);
        tcp.send.rto_at = Some(at);
        self.wire.schedule(at, Event::Retransmit { id });
    }

    pub(super) fn on_retransmit(&mut self, id: SocketId, at: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        if tcp.send.rto_at != Some(at) {
            return;
        }
        tcp.send.rto_at = None;
        let waited = tcp.send.unacked_since.map_or(Span::ZERO, |since| at.since(since));
        if waited >= tcp.send.patience() {
            return self.fail(id, Errno::ETIMEDOUT, at);
        }
        tcp.send.back_off();
        if std::mem::take(&mut tcp.send.stuck) { self.pump(id, at) } else { self.probe(id, at) }
    }

    /// Asks the peer for an acknowledgement.
    fn probe(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp(id) else { return };
        let (from, to, Some(peer)) = (tcp.host, tcp.peer_host, tcp.peer) else { return };
        match self.control(from, to, now) {
            Some(at) => self.wire.schedule(at, Event::Probe { to: peer, from: id }),
            None => self.arm_retransmission(id, now),
        }
    }

    pub(super) fn on_probe(&mut self, to: SocketId, from: SocketId, at: Instant) {
        match self.sockets.tcp_mut(to) {
            Some(tcp) if tcp.is_connected() && tcp.peer == Some(from) => {
                tcp.last_heard = at;
                self.opened(to, at);
                self.acknowledge(to, at);
            }
            _ => self.stray(to, from, at),
        }
    }

    /// Starts the keepalive clock of an established connection.
    pub(super) fn arm_keepalive(&mut self, id: SocketId, now: Instant) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let idle = socket.options.keepalive().idle;
        let Body::Tcp(tcp) = &mut socket.body else { return };
        if tcp.state == State::Established {
            let at = now + idle;
            tcp.keepalive_at = Some(at);
            self.wire.schedule(at, Event::Keepalive { id });
        }
    }

    pub(super) fn on_keepalive(&mut self, id: SocketId, at: Instant) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let (enabled, keepalive) = (socket.options.keeps_alive(), socket.options.keepalive());
        let Body::Tcp(tcp) = &mut socket.body else { return };
        if tcp.keepalive_at != Some(at) {
            return;
        }
        tcp.keepalive_at = None;
        if !enabled || tcp.state != State::Established || tcp.orphan {
            return;
        }
        let silent = at.since(tcp.last_heard);
        let limit = tcp.send.user_timeout;
        let wait = if tcp.send.outstanding() {
            keepalive.idle
        } else if silent < keepalive.idle {
            keepalive.idle - silent
        } else if tcp.keepalive_probes >= keepalive.probes
            || (limit > Span::ZERO && silent >= limit && tcp.keepalive_probes > 0)
        {
            let (from, to, peer, connection) = (tcp.host, tcp.peer_host, tcp.peer, tcp.connection);
            if let Some(peer) = peer {
                self.send_reset(from, to, peer, connection, at);
            }
            return self.fail(id, Errno::ETIMEDOUT, at);
        } else {
            tcp.keepalive_probes += 1;
            self.probe(id, at);
            keepalive.interval
        };
        if let Some(tcp) = self.sockets.tcp_mut(id) {
            tcp.keepalive_at = Some(at + wait);
            self.wire.schedule(at + wait, Event::Keepalive { id });
        }
    }

    pub(super) fn tcp_shutdown(
        &mut self,
        id: SocketId,
        read: bool,
        write: bool,
        now: Instant,
    ) -> Result<(), Errno> {
        let tcp = self.sockets.tcp_mut(id).ok_or(Errno::EBADF)?;
        match tcp.state {
            State::Listen if read => {
                self.tcp_unlisten(id, now);
                let ready = self.readiness(id);
                self.edge(id, ready);
                return Ok(());
            }
            State::Listen => return Ok(()),
            State::SynSent => {
                self.fail(id, Errno::ECONNRESET, now);
                return Ok(());
            }
            State::Established => {}
            _ => return Err(Errno::ENOTCONN),
        }
        tcp.receive.shut |= read;
        let ending = write && !tcp.send.fin;
        if ending {
            self.end_sending(id, now);
        }
        let ready = self.readiness(id);
        self.edge(id, ready);
        Ok(())
    }

    fn end_sending(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        if tcp.send.fin {
            return;
        }
        tcp.closed_first = !tcp.receive.fin;
        tcp.send.push_fin(now);
        self.pump(id, now);
    }

    /// The last descriptor is gone.
    pub(super) fn tcp_close(&mut self, id: SocketId, now: Instant) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.open = false;
        let at_once = socket.options.lingers_not();
        let Body::Tcp(tcp) = &mut socket.body else { return };
        tcp.orphan = true;
        match tcp.state {
            State::Listen => {
                self.tcp_unlisten(id, now);
                self.remove(id);
            }
            State::Closed | State::SynSent | State::Finished => self.remove(id),
            State::SynReceived | State::Established if at_once || tcp.receive.bytes > 0 => {
                self.abort(id, now)
            }
            State::SynReceived | State::Established => {
                self.end_sending(id, now);
                self.check_finished(id, now);
            }
        }
    }

    /// Both directions are over and acknowledged: the connection is.
    fn check_finished(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp_mut(id) else { return };
        if tcp.state != State::Established || !tcp.send.fin || tcp.send.outstanding() {
            return;
        }
        if tcp.receive.fin {
            tcp.finish(now);
            if tcp.orphan {
                self.remove(id);
            } else {
                let ready = self.readiness(id);
                self.edge(id, ready);
            }
        } else if tcp.orphan && tcp.finished_at.is_none() {
            // FIN_WAIT2 of a closed socket ends by itself; nobody can tell when, so it needs no timer.
            tcp.finished_at = Some(now);
            self.expiring.push_back((now + TIME_WAIT, id));
        }
    }

    /// Sends a reset and forgets the connection.
    pub(super) fn abort(&mut self, id: SocketId, now: Instant) {
        self.reset_peer(id, now);
        self.remove(id);
    }

    /// Dissolves the connection; the socket is as new.
    pub(super) fn tcp_disconnect(&mut self, id: SocketId, now: Instant) {
        match self.sockets.tcp(id).map(|tcp| tcp.state) {
            None | Some(State::Closed) => return,
            Some(State::Listen) => return self.tcp_unlisten(id, now),
            Some(_) => self.reset_peer(id, now),
        }
        let Some(socket) = self.sockets.get_mut(id) else { return };
        let domain = socket.domain;
        let Body::Tcp(tcp) = &mut socket.body else { return };
        let (port, bound) = (tcp.local.port, tcp.bound);
        tcp.renew(domain);
        if !bound && let Some(ports) = self.ports(id) {
            ports.release(port, id);
        }
        let ready = self.readiness(id);
        self.edge(id, ready);
    }

    /// Tells the other end of a connection that it is over.
    fn reset_peer(&mut self, id: SocketId, now: Instant) {
        let Some(tcp) = self.sockets.tcp(id) else { return };
        let (from, to, peer, connection) = (tcp.host, tcp.peer_host, tcp.peer, tcp.connection);
        let not_before = tcp.send.last_arrival;
        if let Some(peer) = peer.filter(|_| tcp.is_connected()) {
            match self.control(from, to, now) {
                Some(at) => self.wire.schedule(at.max(not_before), Event::Reset { to: peer, connection }),
                None => self.unanswered(peer, now),
            }
        }
    }

    pub(super) fn send_reset(
        &mut self,
        from: HostId,
        to: HostId,
        id: SocketId,
        connection: u32,
        now: Instant,
    ) {
        match self.control(from, to, now) {
            Some(at) => self.wire.schedule(at, Event::Reset { to: id, connection }),
            None => self.unanswered(id, now),
        }
    }

    /// What `id` waits for was lost: whatever it has sent without an answer, it repeats.
    fn unanswered(&mut self, id: SocketId, now: Instant) {
        self.arm_syn(id, now);
        self.arm_consent(id, now);
        self.arm_retransmission(id, now);
    }

    pub(super) fn on_reset(&mut self, id: SocketId, connection: u32, at: Instant) {
        let Some(tcp) = self.sockets.tcp(id).filter(|tcp| tcp.connection == connection) else { return };
        match tcp.state {
            State::SynSent => self.fail(id, Errno::ECONNREFUSED, at),
            State::SynReceived => self.remove(id),
            State::Established if tcp.receive.fin => self.fail(id, Errno::EPIPE, at),
            State::Established => self.fail(id, Errno::ECONNRESET, at),
            State::Closed | State::Listen | State::Finished => {}
        }
    }

    /// Ends the connection with an error that the program will see once.
    pub(super) fn fail(&mut self, id: SocketId, error: Errno, now: Instant) {
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.error = Some(error);
        let Body::Tcp(tcp) = &mut socket.body else { return };
        tcp.finish(now);
        tcp.closed_first = false;
        if tcp.orphan {
            return self.remove(id);
        }
        let ready = self.readiness(id);
        self.edge(id, ready);
    }

    /// Forgets a socket and gives its port back, after TIME_WAIT where that is due.
    pub(super) fn remove(&mut self, id: SocketId) {
        let now = self.now;
        let waits = self.sockets.tcp(id).is_some_and(|tcp| tcp.closed_first && tcp.state == State::Finished);
        let finished_at = self.sockets.tcp(id).and_then(|tcp| tcp.finished_at);
        if let Some(tcp) = self.sockets.tcp(id)
            && let (Some(listener), Some(client)) = (tcp.listener, tcp.peer)
            && let Some(parent) = self.sockets.tcp_mut(listener)
        {
            parent.listening.embryos.remove(&client);
            parent.listening.accepted.retain(|&child| child != id);
        }
        let port =
            self.sockets.get(id).and_then(|socket| socket.local_endpoint()).map_or(0, |local| local.port);
        if let Some(ports) = self.ports(id) {
            let until = finished_at.unwrap_or(now) + TIME_WAIT;
            if waits && until > now { ports.wait(port, id, until) } else { ports.release(port, id) }
        }
        self.sockets.remove(id);
    }

    /// The peer's name, once there is a peer.
    pub(super) fn tcp_peer(&self, id: SocketId) -> Result<Address, Errno> {
        let socket = self.sockets.open(id)?;
        match &socket.body {
            Body::Tcp(tcp) if tcp.state == State::Established => Ok(tcp.remote.shown(socket.domain)),
            _ => Err(Errno::ENOTCONN),
        }
    }
}
