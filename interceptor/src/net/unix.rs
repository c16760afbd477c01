//! `AF_UNIX` sockets (unix(7)): within one host, without a wire, so everything arrives as it is sent. A
//! sender is bounded by its own bytes that nobody has read yet.

use super::address::{Address, Domain, Kind, UnixName};
use super::option::Options;
use super::ready::Ready;
use super::socket::{Body, Socket};
use super::{Net, Received, SocketId};
use crate::event::HostId;
use nix::errno::Errno;
use std::collections::VecDeque;

/// Unread bytes a sender may have.
const BUFFER: usize = 212_992;
/// What the kernel counts for a message beside its bytes.
const OVERHEAD: usize = 256;
/// Unread messages a datagram socket takes from strangers (`net.unix.max_dgram_qlen`).
const QUEUE: usize = 10;
const BACKLOG_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Listening,
    /// Has, or had, a peer.
    Connected,
}

struct Message {
    sender: SocketId,
    from: UnixName,
    data: Vec<u8>,
    /// What it counts for in its sender's buffer.
    cost: usize,
}

pub(super) struct Unix {
    kind: Kind,
    pub name: UnixName,
    state: State,
    pub peer: Option<SocketId>,
    pub peer_name: UnixName,
    queue: VecDeque<Message>,
    /// Bytes of the first message of a stream that are read already.
    offset: usize,
    bytes: usize,
    outstanding: usize,
    pub capacity: usize,
    read_shut: bool,
    write_shut: bool,
    backlog: usize,
    pub accepting: VecDeque<SocketId>,
    /// Who waits for room: to connect here, or to send here.
    waiters: Vec<SocketId>,
    /// Where a connect() goes once there is room.
    pending: Option<UnixName>,
}

impl Unix {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            name: UnixName::Unnamed,
            state: State::Fresh,
            peer: None,
            peer_name: UnixName::Unnamed,
            queue: VecDeque::new(),
            offset: 0,
            bytes: 0,
            outstanding: 0,
            capacity: BUFFER,
            read_shut: false,
            write_shut: false,
            backlog: 0,
            accepting: VecDeque::new(),
            waiters: Vec::new(),
            pending: None,
        }
    }

    pub fn is_listening(&self) -> bool {
        self.state == State::Listening
    }

    /// Bytes of the connection, or of the first datagram.
    pub fn available(&self) -> usize {
        if self.kind == Kind::Dgram { self.queue.front().map_or(0, |m| m.data.len()) } else { self.bytes }
    }

    /// Less than a quarter of the buffer is unread: what Linux asks for before it reports OUT.
    fn is_writable(&self) -> bool {
        self.outstanding.saturating_mul(4) <= self.capacity
    }

    fn is_connection(&self) -> bool {
        self.kind != Kind::Dgram
    }
}

/// What a name is known by: an abstract one is each kind of socket's own, a file is one for all.
pub(super) fn key(name: &UnixName, kind: Kind) -> (UnixName, Option<Kind>) {
    (name.clone(), matches!(name, UnixName::Abstract(_)).then_some(kind))
}

impl Net {
    /// The file that names an `AF_UNIX` socket is gone: nobody reaches the socket by it, and it may be bound
    /// again. Until then it stays taken even when its socket is closed, as on Linux.
    pub fn unlink(&mut self, host: HostId, path: &[u8]) {
        self.hosts[usize::from(host.0)].names.remove(&key(&UnixName::Path(path.to_vec()), Kind::Stream));
    }

    pub(super) fn make_unix(&mut self, host: HostId, kind: Kind, open: bool) -> SocketId {
        self.sockets.insert(Socket {
            host,
            domain: Domain::Unix,
            kind,
            options: Options::default(),
            error: None,
            open,
            body: Body::Unix(Unix::new(kind)),
        })
    }

    pub(super) fn unix_pair(&mut self, a: SocketId, b: SocketId) {
        for (id, peer) in [(a, b), (b, a)] {
            if let Some(unix) = self.sockets.unix_mut(id) {
                unix.peer = Some(peer);
                unix.state = State::Connected;
            }
        }
    }

    pub(super) fn unix_readiness(&self, unix: &Unix, error: Option<Errno>) -> Ready {
        let mut ready = Ready::ERR.when(error.is_some());
        ready |= Ready::HUP.when(unix.read_shut && unix.write_shut);
        ready |= (Ready::IN | Ready::RDHUP).when(unix.read_shut);
        ready |= Ready::IN.when(!unix.queue.is_empty() || !unix.accepting.is_empty());
        ready |= Ready::HUP.when(unix.is_connection() && unix.state == State::Fresh);
        let full = unix.peer.is_some_and(|peer| unix.kind == Kind::Dgram && self.is_full(peer, unix));
        ready | Ready::OUT.when(unix.state != State::Listening && unix.is_writable() && !full)
    }

    /// A datagram socket takes no more from `sender`, which is not its own peer.
    fn is_full(&self, id: SocketId, sender: &Unix) -> bool {
        self.sockets.unix(id).is_some_and(|unix| {
            let mutual = unix.peer.is_some() && sender.peer == Some(id);
            unix.queue.len() > QUEUE && !mutual
        })
    }

    pub(super) fn unix_bind(&mut self, id: SocketId, address: &Address) -> Result<(), Errno> {
        let Address::Unix(name) = address else { return Err(Errno::EINVAL) };
        let socket = self.sockets.open(id)?;
        let (host, kind) = (socket.host, socket.kind);
        if self.sockets.unix(id).is_none_or(|unix| unix.name != UnixName::Unnamed) {
            return Err(Errno::EINVAL);
        }
        let host = &mut self.hosts[usize::from(host.0)];
        let mut name = name.clone();
        while name == UnixName::Unnamed {
            let chosen = UnixName::Abstract(format!("{:05x}", host.next_autobind).into_bytes());
            host.next_autobind += 1;
            if !host.names.contains_key(&key(&chosen, kind)) {
                name = chosen;
            }
        }
        if host.names.contains_key(&key(&name, kind)) {
            return Err(Errno::EADDRINUSE);
        }
        host.names.insert(key(&name, kind), id);
        if let Some(unix) = self.sockets.unix_mut(id) {
            unix.name = name;
        }
        Ok(())
    }

    pub(super) fn unix_listen(&mut self, id: SocketId, backlog: i32) -> Result<(), Errno> {
        let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
        match unix.state {
            _ if unix.kind == Kind::Dgram => return Err(Errno::EOPNOTSUPP),
            State::Connected => return Err(Errno::EINVAL),
            State::Fresh if unix.name == UnixName::Unnamed => return Err(Errno::EINVAL),
            State::Fresh | State::Listening => {}
        }
        unix.state = State::Listening;
        unix.backlog = usize::try_from(backlog).unwrap_or(BACKLOG_MAX).min(BACKLOG_MAX);
        self.wake_waiters(id);
        Ok(())
    }

    /// Who is bound to `name`: `ENOENT` for a file that names no socket, `ECONNREFUSED` for a closed one.
    fn unix_find(&self, host: HostId, name: &UnixName, kind: Kind) -> Result<SocketId, Errno> {
        match (self.hosts[usize::from(host.0)].names.get(&key(name, kind)), name) {
            (Some(&id), _) if self.sockets.get(id).is_some() => Ok(id),
            (None, UnixName::Path(_)) => Err(Errno::ENOENT),
            (_, UnixName::Unnamed) => Err(Errno::EINVAL),
            _ => Err(Errno::ECONNREFUSED),
        }
    }

    pub(super) fn unix_connect(&mut self, id: SocketId, address: &Address) -> Result<(), Errno> {
        let Address::Unix(name) = address else { return Err(Errno::EINVAL) };
        let socket = self.sockets.open(id)?;
        let (host, kind) = (socket.host, socket.kind);
        let Body::Unix(unix) = &socket.body else { return Err(Errno::EINVAL) };
        match unix.state {
            State::Listening => return Err(Errno::EINVAL),
            State::Connected if kind != Kind::Dgram => return Err(Errno::EISCONN),
            _ => {}
        }
        let own_name = unix.name.clone();
        let target = self.unix_find(host, name, kind)?;
        let there = self.sockets.unix_mut(target).ok_or(Errno::ECONNREFUSED)?;
        if there.kind != kind {
            return Err(Errno::EPROTOTYPE);
        }
        if kind == Kind::Dgram {
            if there.peer.is_some_and(|peer| peer != id) {
                return Err(Errno::EPERM);
            }
            let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
            unix.peer = Some(target);
            unix.peer_name = name.clone();
            unix.state = State::Connected;
            return Ok(());
        }
        if there.state != State::Listening {
            return Err(Errno::ECONNREFUSED);
        }
        if there.accepting.len() > there.backlog {
            there.waiters.push(id);
            let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
            unix.pending = Some(name.clone());
            return Err(Errno::EAGAIN);
        }
        let listener_name = there.name.clone();
        let child = self.make_unix(host, kind, false);
        self.unix_pair(id, child);
        if let Some(unix) = self.sockets.unix_mut(child) {
            unix.name = listener_name.clone();
            unix.peer_name = own_name;
        }
        if let Some(unix) = self.sockets.unix_mut(id) {
            unix.peer_name = listener_name;
            unix.pending = None;
        }
        if let Some(there) = self.sockets.unix_mut(target) {
            there.accepting.push_back(child);
        }
        self.edge(target, Ready::IN);
        Ok(())
    }

    pub(super) fn unix_connect_result(&mut self, id: SocketId) -> Result<(), Errno> {
        let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
        match (unix.state, unix.pending.take()) {
            (State::Connected, _) => Ok(()),
            (_, Some(name)) => self.unix_connect(id, &Address::Unix(name)),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// A datagram socket forgets its peer.
    pub(super) fn unix_disconnect(&mut self, id: SocketId) {
        if let Some(unix) = self.sockets.unix_mut(id)
            && unix.kind == Kind::Dgram
        {
            unix.peer = None;
            unix.peer_name = UnixName::Unnamed;
            unix.state = State::Fresh;
        }
    }

    pub(super) fn unix_accept(&mut self, id: SocketId) -> Result<(SocketId, Address), Errno> {
        let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
        if unix.state != State::Listening {
            return Err(if unix.kind == Kind::Dgram { Errno::EOPNOTSUPP } else { Errno::EINVAL });
        }
        if unix.accepting.is_empty() && unix.read_shut {
            return Err(Errno::EINVAL);
        }
        let child = unix.accepting.pop_front().ok_or(Errno::EAGAIN)?;
        self.wake_waiters(id);
        let socket = self.sockets.get_mut(child).ok_or(Errno::ECONNABORTED)?;
        socket.open = true;
        let Body::Unix(unix) = &socket.body else { return Err(Errno::ECONNABORTED) };
        Ok((child, Address::Unix(unix.peer_name.clone())))
    }

    pub(super) fn unix_send(
        &mut self,
        id: SocketId,
        data: &[u8],
        destination: Option<&Address>,
    ) -> Result<usize, Errno> {
        let socket = self.sockets.open_mut(id)?;
        let (host, kind) = (socket.host, socket.kind);
        let Body::Unix(unix) = &mut socket.body else { return Err(Errno::EINVAL) };
        if unix.write_shut {
            return Err(Errno::EPIPE);
        }
        if kind == Kind::Stream && destination.is_some() {
            let connected = unix.state == State::Connected;
            return Err(if connected { Errno::EISCONN } else { Errno::EOPNOTSUPP });
        }
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let (peer, from) = (unix.peer, unix.name.clone());
        let room = unix.capacity.saturating_sub(unix.outstanding);
        if kind != Kind::Stream && data.len() > unix.capacity.saturating_sub(32) {
            return Err(Errno::EMSGSIZE);
        }
        let target = match (kind, destination) {
            (Kind::Dgram, Some(Address::Unix(name))) => self.unix_find(host, name, kind)?,
            (Kind::Dgram, Some(_)) => return Err(Errno::EINVAL),
            (_, _) => peer.ok_or(Errno::ENOTCONN)?,
        };
        let Some(there) = self.sockets.unix(target) else {
            return Err(if kind == Kind::Dgram { Errno::ECONNREFUSED } else { Errno::EPIPE });
        };
        if there.read_shut {
            return Err(Errno::EPIPE);
        }
        if kind == Kind::Dgram && there.kind != Kind::Dgram {
            return Err(Errno::EPROTOTYPE);
        }
        if kind == Kind::Dgram && there.peer.is_some_and(|peer| peer != id) {
            return Err(Errno::EPERM);
        }
        if kind == Kind::Stream && data.is_empty() {
            return Ok(0);
        }
        let full =
            kind == Kind::Dgram && self.sockets.unix(id).is_some_and(|unix| self.is_full(target, unix));
        if room == 0 || full {
            if full && let Some(there) = self.sockets.unix_mut(target) {
                there.waiters.push(id);
            }
            return Err(Errno::EAGAIN);
        }
        let count = if kind == Kind::Stream { room.min(data.len()) } else { data.len() };
        let cost = if kind == Kind::Stream { count } else { count + OVERHEAD };
        if let Some(unix) = self.sockets.unix_mut(id) {
            unix.outstanding += cost;
        }
        if let Some(there) = self.sockets.unix_mut(target) {
            there.bytes += count;
            there.queue.push_back(Message { sender: id, from, data: data[..count].to_vec(), cost });
        }
        self.edge(target, Ready::IN);
        Ok(count)
    }

    pub(super) fn unix_receive(&mut self, id: SocketId, max: usize, peek: bool) -> Result<Received, Errno> {
        let socket = self.sockets.open_mut(id)?;
        let Body::Unix(unix) = &mut socket.body else { return Err(Errno::EINVAL) };
        if unix.is_connection() && unix.state != State::Connected {
            return Err(if unix.kind == Kind::Stream { Errno::EINVAL } else { Errno::ENOTCONN });
        }
        // What was sent in messages before a reset is lost; a stream is read to its end first.
        if unix.kind == Kind::SeqPacket
            && let Some(error) = socket.error.take()
        {
            return Err(error);
        }
        if unix.queue.is_empty() {
            return match socket.error.take() {
                Some(error) => Err(error),
                None if unix.read_shut => Ok(Received::default()),
                None => Err(Errno::EAGAIN),
            };
        }
        if unix.kind == Kind::Stream {
            return Ok(self.unix_receive_stream(id, max, peek));
        }
        let dgram = unix.kind == Kind::Dgram;
        let Some(first) = unix.queue.front() else { return Err(Errno::EAGAIN) };
        let from = Some(Address::Unix(first.from.clone()));
        let bytes = first.data[..max.min(first.data.len())].to_vec();
        let truncated_len = first.data.len() - bytes.len();
        if !peek && let Some(message) = unix.queue.pop_front() {
            unix.bytes -= message.data.len();
            self.unix_free(message.sender, message.cost);
            if dgram {
                self.wake_waiters(id);
            }
        }
        Ok(Received { bytes, from, truncated_len })
    }

    fn unix_receive_stream(&mut self, id: SocketId, max: usize, peek: bool) -> Received {
        let Some(unix) = self.sockets.unix_mut(id) else { return Received::default() };
        let wanted = max.min(unix.bytes);
        let from = unix.queue.front().map(|first| Address::Unix(first.from.clone()));
        let mut bytes = Vec::with_capacity(wanted);
        let mut start = unix.offset;
        for message in &unix.queue {
            let end = message.data.len().min(start + wanted - bytes.len());
            bytes.extend_from_slice(&message.data[start..end]);
            start = 0;
            if bytes.len() == wanted {
                break;
            }
        }
        if !peek {
            let mut left = wanted;
            unix.bytes -= wanted;
            let sender = unix.queue.front().map(|message| message.sender);
            while let Some(first) = unix.queue.front() {
                let rest = first.data.len() - unix.offset;
                if left < rest {
                    unix.offset += left;
                    break;
                }
                left -= rest;
                unix.offset = 0;
                unix.queue.pop_front();
            }
            if let Some(sender) = sender {
                self.unix_free(sender, wanted);
            }
        }
        Received { bytes, from, ..Received::default() }
    }

    /// `cost` bytes of `sender` are no longer unread.
    fn unix_free(&mut self, sender: SocketId, cost: usize) {
        let Some(unix) = self.sockets.unix_mut(sender) else { return };
        let was_writable = unix.is_writable();
        unix.outstanding = unix.outstanding.saturating_sub(cost);
        let writable = !was_writable && unix.is_writable();
        self.edge(sender, Ready::OUT.when(writable));
    }

    /// There is room at `id`: whoever waits for it tries again.
    fn wake_waiters(&mut self, id: SocketId) {
        let Some(unix) = self.sockets.unix_mut(id) else { return };
        for waiter in std::mem::take(&mut unix.waiters) {
            self.edge(waiter, Ready::OUT);
        }
    }

    pub(super) fn unix_shutdown(&mut self, id: SocketId, read: bool, write: bool) -> Result<(), Errno> {
        let unix = self.sockets.unix_mut(id).ok_or(Errno::EBADF)?;
        unix.read_shut |= read;
        unix.write_shut |= write;
        let peer = unix.peer.filter(|_| unix.is_connection());
        let ready = self.readiness(id);
        self.edge(id, ready);
        self.wake_waiters(id);
        if let Some(peer) = peer
            && let Some(there) = self.sockets.unix_mut(peer)
        {
            there.read_shut |= write;
            there.write_shut |= read;
            let ready = self.readiness(peer);
            self.edge(peer, ready);
        }
        Ok(())
    }

    /// The last descriptor is gone; a peer that could still have had an answer sees a reset.
    pub(super) fn unix_close(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(id) else { return };
        let Body::Unix(unix) = socket.body else { return };
        let unread = !unix.queue.is_empty();
        for message in unix.queue {
            let left = message.cost.saturating_sub(if unix.kind == Kind::Stream { unix.offset } else { 0 });
            self.unix_free(message.sender, left);
        }
        for waiter in unix.waiters {
            self.edge(waiter, Ready::OUT);
        }
        for child in unix.accepting {
            if let Some(client) = self.sockets.unix(child).and_then(|unix| unix.peer)
                && let Some(client) = self.sockets.get_mut(client)
            {
                client.error = Some(Errno::ECONNRESET);
            }
            self.unix_close(child);
        }
        if let UnixName::Abstract(_) = unix.name {
            let names = &mut self.hosts[usize::from(socket.host.0)].names;
            let name = key(&unix.name, unix.kind);
            if names.get(&name) == Some(&id) {
                names.remove(&name);
            }
        }
        if let Some(peer) = unix.peer.filter(|_| unix.kind != Kind::Dgram)
            && let Some(there) = self.sockets.get_mut(peer)
        {
            if unread {
                there.error = Some(Errno::ECONNRESET);
            }
            if let Body::Unix(unix) = &mut there.body {
                unix.read_shut = true;
                unix.write_shut = true;
            }
            let ready = self.readiness(peer);
            self.edge(peer, ready);
        }
    }
}
