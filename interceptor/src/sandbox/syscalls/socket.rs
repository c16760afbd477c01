//! Sockets: argument layouts of the calls on one side, the virtual network on the other.

use super::data::Vector;
use crate::disk::NameCall;
use crate::net::{Address, Domain, Kind as SocketKind, SocketId, UnixName};
use crate::sandbox::ClockKind;
use crate::sandbox::Sandbox;
use crate::sandbox::files::{DescriptionId, Kind};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::home::{Own, PlaceUse};
use crate::sandbox::task::{Call, Key, ThreadId};
use nix::errno::Errno;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const NONBLOCK: u64 = libc::SOCK_NONBLOCK as u64;
const CLOEXEC: u64 = libc::SOCK_CLOEXEC as u64;
/// Messages in one call of the `mmsg` family, and buffers of one message (the kernel's own bounds).
const MESSAGES_MAX: u64 = 1024;

/// What a call that receives finds.
enum Arrival {
    /// So many bytes; of a message that may not have fitted.
    Some { count: usize, cut: bool },
    /// Nothing: the call waits.
    None(Outcome),
}

impl Sandbox {
    fn socket_of(&self, id: ThreadId, fd: u64) -> Result<(DescriptionId, SocketId), Trouble> {
        let description = self.description(id, fd)?;
        self.files.get(description).filter(|d| d.flags & libc::O_PATH == 0).ok_or(Errno::EBADF)?;
        match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Socket(socket)) => Ok((description, *socket)),
            _ => Err(Errno::ENOTSOCK.into()),
        }
    }

    pub(super) fn socket(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [family, kind, protocol, ..] = call.args;
        let (domain, socket_kind) = identify(family, kind, protocol)?;
        let host = self.nodes[self.thread(id).node].host;
        let socket = self.net.socket(host, domain, socket_kind)?;
        self.place(id, call, Kind::Socket(socket), kind)
    }

    pub(super) fn socketpair(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [family, kind, protocol, to, ..] = call.args;
        let (domain, socket_kind) = identify(family, kind, protocol)?;
        if domain != Domain::Unix {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let host = self.nodes[self.thread(id).node].host;
        let (a, b) = self.net.socketpair(host, socket_kind);
        self.place_pair(id, call, to, kind & (NONBLOCK | CLOEXEC), Kind::Socket(a), Kind::Socket(b))
    }

    pub(super) fn bind_socket(&mut self, id: ThreadId, fd: u64, address: u64, len: u64) -> Handled {
        let (_, socket) = self.socket_of(id, fd)?;
        self.check_family(id, socket, address, len)?;
        let address = self.load_address(id, address, len)?;
        let node = self.thread(id).node;
        if let Address::Unix(UnixName::Path(path)) = &address {
            let path = Path::new(std::ffi::OsStr::from_bytes(path));
            let here = libc::AT_FDCWD as i64 as u64;
            let spot = self.find_path(id, here, path, false)?.spot()?;
            if spot.file.is_some() {
                return Err(Errno::EADDRINUSE.into());
            }
            let Some(own) = spot.own.filter(|own| matches!(own.what, PlaceUse::Disk | PlaceUse::Memory))
            else {
                return Err(Errno::EROFS.into());
            };
            self.net.bind(socket, &address, self.now)?;
            self.make_socket(node, &own)?;
            self.nodes[node].unix_names.insert(spot.path, socket);
            return returns(0);
        }
        self.net.bind(socket, &address, self.now)?;
        returns(0)
    }

    /// The name must be there for who looks for it (stat, unlink); nobody connects through it.
    fn make_socket(&mut self, node: usize, own: &Own) -> Result<(), Trouble> {
        let made = |path: &Path| {
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o755);
            nix::sys::stat::mknod(path, nix::sys::stat::SFlag::S_IFSOCK, mode, 0)
        };
        if own.what == PlaceUse::Memory {
            return Ok(made(&own.path)?);
        }
        let disk = &mut self.nodes[node].disk;
        disk.admit_create()?;
        let pending = disk.before_name(NameCall::Create(&own.path))?;
        let result = made(&own.path);
        disk.after_name(pending, result.is_ok())?;
        Ok(result?)
    }

    pub(super) fn listen(&mut self, id: ThreadId, fd: u64, backlog: u64) -> Handled {
        let (_, socket) = self.socket_of(id, fd)?;
        self.net.listen(socket, backlog as i32, self.now)?;
        returns(0)
    }

    pub(super) fn accept(&mut self, id: ThreadId, call: &Call, flags: u64) -> Handled {
        let [fd, address, len, ..] = call.args;
        if flags & !(NONBLOCK | CLOEXEC) != 0 {
            return Err(Errno::EINVAL.into());
        }
        let (description, socket) = self.socket_of(id, fd)?;
        let (accepted, peer) = match self.net.accept(socket) {
            Err(Errno::EAGAIN) => return self.would_block(description),
            other => other?,
        };
        if let Err(trouble) = self.store_address(id, address, len, &peer) {
            self.net.close(accepted, self.now);
            return Err(trouble);
        }
        self.place(id, call, Kind::Socket(accepted), flags & (NONBLOCK | CLOEXEC))
    }

    pub(super) fn connect(&mut self, id: ThreadId, fd: u64, address: u64, len: u64) -> Handled {
        let (description, socket) = self.socket_of(id, fd)?;
        let nonblocking = self.files.get(description).is_none_or(|d| d.nonblocking);
        let unix = self.net.identity(socket).is_some_and(|(_, domain, _)| domain == Domain::Unix);
        if self.thread(id).call.is_some() {
            return match self.net.connect_result(socket) {
                Err(Errno::EAGAIN) if unix => self.wait_for_socket(id, description, socket, 0, true),
                Err(Errno::EAGAIN) => Ok(Outcome::Park(vec![Key::Description(description)])),
                other => {
                    other?;
                    returns(0)
                }
            };
        }
        if self.load(id, address, 2)? == (libc::AF_UNSPEC as u16).to_le_bytes() {
            self.net.disconnect(socket, self.now)?;
            return returns(0);
        }
        self.check_family(id, socket, address, len)?;
        let address = self.load_address(id, address, len)?;
        match self.net.connect(socket, &address, self.now) {
            Err(Errno::EINPROGRESS | Errno::EALREADY) if !nonblocking => {
                Ok(Outcome::Park(vec![Key::Description(description)]))
            }
            // A listener whose backlog is full (unix(7)).
            Err(Errno::EAGAIN) if unix => self.wait_for_socket(id, description, socket, 0, true),
            other => {
                other?;
                returns(0)
            }
        }
    }

    pub(super) fn shutdown(&mut self, id: ThreadId, fd: u64, how: u64) -> Handled {
        let (_, socket) = self.socket_of(id, fd)?;
        let (read, write) = match how as i32 {
            libc::SHUT_RD => (true, false),
            libc::SHUT_WR => (false, true),
            libc::SHUT_RDWR => (true, true),
            _ => return Err(Errno::EINVAL.into()),
        };
        self.net.shutdown(socket, read, write, self.now)?;
        returns(0)
    }

    /// Sends on a socket and captures what was taken.
    pub(super) fn send_bytes(
        &mut self,
        id: DescriptionId,
        bytes: &[u8],
        to: Option<&Address>,
    ) -> Result<usize, Errno> {
        let Some(Kind::Socket(socket)) = self.files.get(id).map(|d| &d.kind) else {
            return Err(Errno::ENOTSOCK);
        };
        let socket = *socket;
        let sent = self.net.send(socket, bytes, to, self.now)?;
        self.capture_sent(socket, &bytes[..sent]);
        Ok(sent)
    }

    pub(super) fn sendto(
        &mut self,
        id: ThreadId,
        fd: u64,
        vector: &Vector,
        flags: u64,
        to: u64,
        len: u64,
    ) -> Handled {
        let (_, socket) = self.socket_of(id, fd)?;
        let (inet, stream) = self
            .net
            .identity(socket)
            .map_or((false, false), |(_, domain, kind)| (domain != Domain::Unix, kind == SocketKind::Stream));
        if flags as i32 & libc::MSG_OOB != 0 && inet && !stream {
            return Err(Errno::EOPNOTSUPP.into());
        }
        let to = match to {
            0 => None,
            // A connection goes where it goes, whatever it is told (tcp(7)).
            _ if inet && stream => {
                self.load(id, to, (len as u32).min(128) as usize)?;
                None
            }
            _ => Some(self.load_address(id, to, len)?),
        };
        let bytes = self.gather(id, vector)?;
        self.send_all(id, fd, &bytes, flags, to.as_ref())
    }

    /// Sends one datagram, or all of what goes into a stream as far as the caller may wait.
    pub(super) fn send_all(
        &mut self,
        id: ThreadId,
        fd: u64,
        bytes: &[u8],
        flags: u64,
        to: Option<&Address>,
    ) -> Handled {
        let (description, socket) = self.socket_of(id, fd)?;
        let stream = self.net.identity(socket).is_some_and(|(_, _, kind)| kind == SocketKind::Stream);
        loop {
            let done = self.thread(id).progress;
            match self.send_bytes(description, &bytes[done..], to) {
                // A stream that may wait takes all of it (send(2)).
                Ok(sent) if stream && sent > 0 && done + sent < bytes.len() => {
                    self.thread_mut(id).progress = done + sent;
                }
                Ok(sent) => return returns((done + sent) as u64),
                Err(Errno::EAGAIN) => match self.wait_for_socket(id, description, socket, flags, true) {
                    Err(Trouble::Fails(Errno::EAGAIN)) if done > 0 => return returns(done as u64),
                    other => return other,
                },
                Err(Errno::EPIPE) if flags as i32 & libc::MSG_NOSIGNAL == 0 => return self.broken_pipe(id),
                Err(_) if done > 0 => return returns(done as u64),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// A socket call that cannot go on: an error, or a wait of at most the socket's own timeout.
    fn wait_for_socket(
        &mut self,
        id: ThreadId,
        description: DescriptionId,
        socket: SocketId,
        flags: u64,
        write: bool,
    ) -> Handled {
        if flags as i32 & libc::MSG_DONTWAIT != 0 {
            return Err(Errno::EAGAIN.into());
        }
        if let Some(span) = self.net.timeout(socket, write)
            && self.timed_out(id, ClockKind::Monotonic, span)
        {
            return Err(Errno::EAGAIN.into());
        }
        self.would_block(description)
    }

    pub(super) fn recvfrom(
        &mut self,
        id: ThreadId,
        fd: u64,
        vector: &Vector,
        flags: u64,
        from: (u64, u64),
    ) -> Handled {
        match self.receive(id, fd, vector, flags, from)? {
            Arrival::Some { count, .. } => returns(count),
            Arrival::None(outcome) => Ok(outcome),
        }
    }

    fn receive(
        &mut self,
        id: ThreadId,
        fd: u64,
        vector: &Vector,
        flags: u64,
        from: (u64, u64),
    ) -> Result<Arrival, Trouble> {
        let (description, socket) = self.socket_of(id, fd)?;
        let inet = self.net.identity(socket).is_some_and(|(_, domain, _)| domain != Domain::Unix);
        let stream = self.net.identity(socket).is_some_and(|(_, _, kind)| kind == SocketKind::Stream);
        if flags as i32 & libc::MSG_OOB != 0 {
            return Err(if inet && stream { Errno::EINVAL } else { Errno::EOPNOTSUPP }.into());
        }
        if flags as i32 & libc::MSG_ERRQUEUE != 0 && inet {
            return Err(Errno::EAGAIN.into());
        }
        let max = vector.iter().map(|buffer| buffer.1).fold(0, usize::saturating_add).min(1 << 24);
        let peek = flags as i32 & libc::MSG_PEEK != 0;
        let wanted = if flags as i32 & libc::MSG_WAITALL != 0 { max } else { 1 };
        if stream
            && wanted > 1
            && self.net.available(socket) < wanted
            && !self.net.readiness(socket).intersects(crate::net::Ready::RDHUP)
        {
            return self.wait_for_socket(id, description, socket, flags, false).map(Arrival::None);
        }
        // Nothing is to be read, but only where there is something (recv(2)); read(2) does not come here.
        let is_over =
            self.net.readiness(socket).intersects(crate::net::Ready::RDHUP | crate::net::Ready::ERR);
        if stream && max == 0 && self.net.available(socket) == 0 && !is_over {
            return self.wait_for_socket(id, description, socket, flags, false).map(Arrival::None);
        }
        let received = match self.net.recv(socket, max, peek, self.now) {
            Err(Errno::EAGAIN) => {
                return self.wait_for_socket(id, description, socket, flags, false).map(Arrival::None);
            }
            other => other?,
        };
        // Of a TCP stream they are thrown away (tcp(7)).
        let is_dropped = inet && stream && flags as i32 & libc::MSG_TRUNC != 0;
        if !is_dropped {
            self.scatter(id, vector, &received.bytes)?;
        }
        self.moved ^= crate::sandbox::log::checksum(&received.bytes);
        if !peek {
            self.capture_received(socket, received.bytes.len());
        }
        if let Some(address) =
            received.from.as_ref().filter(|from| **from != Address::Unix(UnixName::Unnamed))
        {
            self.store_address(id, from.0, from.1, address)?;
        } else if from.0 != 0 {
            self.address_room(id, from.1)?;
            self.store(id, from.1, &0_u32.to_le_bytes())?;
        }
        let (count, beyond) = (received.bytes.len(), received.truncated_len);
        let whole = flags as i32 & libc::MSG_TRUNC != 0;
        Ok(Arrival::Some { count: count + if whole { beyond } else { 0 }, cut: beyond > 0 })
    }

    /// `struct msghdr`: name, its length, vector, its length, control, its length, flags; 56 bytes.
    pub(super) fn sendmsg(&mut self, id: ThreadId, fd: u64, message: u64, flags: u64) -> Handled {
        let header = self.load(id, message, 56)?;
        let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let vector = self.message_vector(id, word(16), word(24))?;
        if word(40) >= 16 && word(32) != 0 && self.is_passing_descriptors(id, word(32))? {
            return Err(Errno::EOPNOTSUPP.into());
        }
        self.sendto(id, fd, &vector, flags, word(0), word(8) & 0xffff_ffff)
    }

    /// The buffers of a message: too many of them are another error than elsewhere (sendmsg(2)).
    fn message_vector(&self, id: ThreadId, at: u64, count: u64) -> Result<Vec<(u64, usize)>, Trouble> {
        if count > MESSAGES_MAX { Err(Errno::EMSGSIZE.into()) } else { self.load_vector(id, at, count) }
    }

    fn is_passing_descriptors(&self, id: ThreadId, control: u64) -> Result<bool, Trouble> {
        let tid = self.thread(id).tid;
        let (level, kind) = (tid.read_u32(control + 8)? as i32, tid.read_u32(control + 12)? as i32);
        Ok((level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS))
    }

    pub(super) fn recvmsg(&mut self, id: ThreadId, fd: u64, message: u64, flags: u64) -> Handled {
        let header = self.load(id, message, 56)?;
        let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let vector = self.message_vector(id, word(16), word(24))?;
        let len = if word(0) == 0 { 0 } else { message + 8 };
        match self.receive(id, fd, &vector, flags, (word(0), len))? {
            Arrival::None(outcome) => Ok(outcome),
            Arrival::Some { count, cut } => {
                // No control messages.
                self.store_words(id, message + 40, &[0])?;
                let told = if cut { libc::MSG_TRUNC } else { 0 } | flags as i32 & libc::MSG_CMSG_CLOEXEC;
                self.store(id, message + 48, &told.to_le_bytes())?;
                returns(count)
            }
        }
    }

    /// `struct mmsghdr`: a msghdr and the number of bytes, padded to 64.
    pub(super) fn sendmmsg(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, messages, count, flags, ..] = call.args;
        self.each_message(id, messages, count, false, |s, message| s.sendmsg(id, fd, message, flags))
    }

    /// Without a flag it waits until all messages are there (recvmmsg(2)). With a time-out, which Linux looks at only when a
    /// message comes, those that are there have to do.
    pub(super) fn recvmmsg(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, messages, count, flags, timeout, _] = call.args;
        if timeout != 0 {
            let (seconds, nanoseconds) = self.load_pair(id, timeout)?;
            super::span(seconds, nanoseconds)?;
        }
        let waits = timeout == 0 && flags as i32 & libc::MSG_WAITFORONE == 0;
        self.each_message(id, messages, count, waits, |s, message| s.recvmsg(id, fd, message, flags))
    }

    /// Does the same with each message in turn; for later ones than the first it waits if it is to.
    fn each_message(
        &mut self,
        id: ThreadId,
        messages: u64,
        count: u64,
        waits: bool,
        mut one: impl FnMut(&mut Self, u64) -> Handled,
    ) -> Handled {
        // Where it waited, some are done.
        let mut done = if waits { self.thread(id).progress } else { 0 };
        while (done as u64) < count.min(MESSAGES_MAX) {
            let message = messages + 64 * done as u64;
            match one(self, message) {
                Ok(Outcome::Return(len)) => {
                    self.store(id, message + 56, &(len as u32).to_le_bytes())?;
                    done += 1;
                }
                Ok(Outcome::Park(keys)) if waits => {
                    self.thread_mut(id).progress = done;
                    return Ok(Outcome::Park(keys));
                }
                // What was done so far counts; the wait or the error is for the next call.
                Ok(Outcome::Park(_)) | Err(Trouble::Fails(_)) if done > 0 => break,
                other => return other,
            }
        }
        returns(done as u64)
    }

    pub(super) fn getsockopt(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, level, name, to, len, ..] = call.args;
        let (_, socket) = self.socket_of(id, fd)?;
        let value = if (level as i32, name as i32) == (libc::SOL_SOCKET, libc::SO_PEERCRED) {
            let pid = self.process_of(id).vpid;
            [pid.to_le_bytes(), [0; 4], [0; 4]].concat()
        } else {
            self.net.option(socket, level as i32, name as i32)?
        };
        let room = self.address_room(id, len)?;
        let value = &value[..value.len().min(room)];
        self.store(id, to, value)?;
        self.store(id, len, &(value.len() as u32).to_le_bytes())?;
        returns(0)
    }

    pub(super) fn setsockopt(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [fd, level, name, from, len, ..] = call.args;
        let (_, socket) = self.socket_of(id, fd)?;
        if (len as i32) < 0 {
            return Err(Errno::EINVAL.into());
        }
        let value = self.load(id, from, (len as usize).min(256))?;
        self.net.set_option(socket, level as i32, name as i32, &value)?;
        returns(0)
    }

    pub(super) fn socket_name(&mut self, id: ThreadId, call: &Call, peer: bool) -> Handled {
        let [fd, to, len, ..] = call.args;
        let (_, socket) = self.socket_of(id, fd)?;
        let address = if peer { self.net.peer(socket)? } else { self.net.local(socket)? };
        self.put_address(id, to, len, &address)?;
        returns(0)
    }

    /// A socket of the network has no name in the file system: none is looked for.
    fn check_family(&self, id: ThreadId, socket: SocketId, at: u64, len: u64) -> Result<(), Trouble> {
        let is_unix = self.net.identity(socket).is_none_or(|(_, domain, _)| domain == Domain::Unix);
        let told = self.load(id, at, (len as u32 as usize).min(2))?;
        if !is_unix && told == (libc::AF_UNIX as u16).to_le_bytes() {
            return Err(Errno::EAFNOSUPPORT.into());
        }
        Ok(())
    }

    /// Reads a `sockaddr`.
    fn load_address(&self, id: ThreadId, at: u64, len: u64) -> Result<Address, Trouble> {
        if len as u32 > 128 {
            return Err(Errno::EINVAL.into());
        }
        let bytes = self.load(id, at, len as u32 as usize)?;
        let family =
            bytes.first_chunk::<2>().map(|b| i32::from(u16::from_le_bytes(*b))).ok_or(Errno::EINVAL)?;
        let port = || bytes.get(2..4).map(|b| u16::from_be_bytes([b[0], b[1]])).ok_or(Errno::EINVAL);
        match family {
            libc::AF_INET if bytes.len() >= 16 => {
                let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
                Ok(Address::Inet(SocketAddr::from((ip, port()?))))
            }
            libc::AF_INET6 if bytes.len() >= 24 => {
                let ip: [u8; 16] = bytes[8..24].try_into().expect("sixteen bytes");
                let scope =
                    bytes.get(24..28).map_or(0, |b| u32::from_le_bytes(b.try_into().expect("four bytes")));
                Ok(Address::Inet(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port()?, 0, scope))))
            }
            libc::AF_UNIX => {
                let name = &bytes[2..];
                Ok(Address::Unix(match name.first() {
                    None => UnixName::Unnamed,
                    Some(0) => UnixName::Abstract(name[1..].to_vec()),
                    Some(_) => {
                        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
                        let path = Path::new(std::ffi::OsStr::from_bytes(&name[..end]));
                        let here = libc::AT_FDCWD as i64 as u64;
                        let spot = self.find_path(id, here, path, true)?.spot()?;
                        UnixName::Path(spot.path.as_os_str().as_bytes().to_vec())
                    }
                }))
            }
            libc::AF_INET | libc::AF_INET6 => Err(Errno::EINVAL.into()),
            _ => Err(Errno::EAFNOSUPPORT.into()),
        }
    }

    /// The room for an address that a call is told.
    fn address_room(&self, id: ThreadId, len: u64) -> Result<usize, Trouble> {
        let room = self.thread(id).tid.read_u32(len)?;
        usize::try_from(room as i32).map_err(|_| Errno::EINVAL.into())
    }

    /// Writes a `sockaddr` into a buffer whose size stands at `len`, and its true size there.
    fn store_address(&self, id: ThreadId, at: u64, len: u64, address: &Address) -> Result<(), Trouble> {
        if at == 0 { Ok(()) } else { self.put_address(id, at, len, address) }
    }

    /// Writes a `sockaddr` and how long it is.
    fn put_address(&self, id: ThreadId, at: u64, len: u64, address: &Address) -> Result<(), Trouble> {
        let bytes = layout(address);
        let room = self.address_room(id, len)?;
        self.store(id, at, &bytes[..bytes.len().min(room)])?;
        self.store(id, len, &(bytes.len() as u32).to_le_bytes())
    }
}

/// The domain and kind of a socket, or what the kernel says of arguments that make none (socket(2)).
fn identify(family: u64, kind: u64, protocol: u64) -> Result<(Domain, SocketKind), Errno> {
    const KINDS: i32 = 0xf;
    const KIND_MAX: i32 = 10;
    let kind = kind as i32;
    if kind & !KINDS & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 || kind & KINDS > KIND_MAX {
        return Err(Errno::EINVAL);
    }
    let domain = match family as i32 {
        libc::AF_INET => Domain::V4,
        libc::AF_INET6 => Domain::V6,
        libc::AF_UNIX => Domain::Unix,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let protocol = protocol as i32;
    let fits = |own: i32| protocol == 0 || protocol == own;
    let kind = match (domain, kind & KINDS) {
        (Domain::Unix, _) if !fits(libc::PF_UNIX) => return Err(Errno::EPROTONOSUPPORT),
        (Domain::Unix, libc::SOCK_SEQPACKET) => SocketKind::SeqPacket,
        (Domain::Unix, libc::SOCK_STREAM) => SocketKind::Stream,
        (Domain::Unix, libc::SOCK_DGRAM | libc::SOCK_RAW) => SocketKind::Dgram,
        (_, libc::SOCK_STREAM) if fits(libc::IPPROTO_TCP) => SocketKind::Stream,
        (_, libc::SOCK_DGRAM) if fits(libc::IPPROTO_UDP) => SocketKind::Dgram,
        (_, libc::SOCK_RAW) if protocol != 0 => return Err(Errno::EPERM),
        (_, libc::SOCK_STREAM | libc::SOCK_DGRAM | libc::SOCK_RAW) => return Err(Errno::EPROTONOSUPPORT),
        _ => return Err(Errno::ESOCKTNOSUPPORT),
    };
    Ok((domain, kind))
}

fn layout(address: &Address) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    match address {
        Address::Inet(SocketAddr::V4(a)) => {
            bytes.extend((libc::AF_INET as u16).to_le_bytes());
            bytes.extend(a.port().to_be_bytes());
            bytes.extend(a.ip().octets());
            bytes.extend([0; 8]);
        }
        Address::Inet(SocketAddr::V6(a)) => {
            bytes.extend((libc::AF_INET6 as u16).to_le_bytes());
            bytes.extend(a.port().to_be_bytes());
            bytes.extend([0; 4]);
            bytes.extend(a.ip().octets());
            bytes.extend(a.scope_id().to_le_bytes());
        }
        Address::Unix(name) => {
            bytes.extend((libc::AF_UNIX as u16).to_le_bytes());
            match name {
                UnixName::Unnamed => {}
                UnixName::Path(path) => {
                    bytes.extend(path);
                    bytes.push(0);
                }
                UnixName::Abstract(name) => {
                    bytes.push(0);
                    bytes.extend(name);
                }
            }
        }
    }
    bytes
}
