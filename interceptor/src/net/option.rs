//! Socket options: what programs set is echoed, what the model can honour is honoured, and what it cannot
//! carry is refused with `ENOPROTOOPT`, upon which programs fall back (socket(7), tcp(7), ip(7), ipv6(7)).

use super::address::{Domain, Kind};
use super::socket::{Body, Family, Socket};
use super::tcp::{BUFFER, MSS, State, Tcp};
use super::{Net, SocketId};
use crate::time::Span;
use nix::errno::Errno;
use std::collections::BTreeMap;

type Key = (i32, i32);

const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
const SO_BUFFER_MIN: i32 = 2_304;
const SO_BUFFER_MAX: i32 = 425_984;

/// Options that are one integer: key, default, and whether every non-zero value reads as 1.
const INTEGERS: &[(Key, i32, bool)] = &[
    ((libc::SOL_SOCKET, libc::SO_BROADCAST), 0, true),
    ((libc::SOL_SOCKET, libc::SO_BUSY_POLL), 0, false),
    ((libc::SOL_SOCKET, libc::SO_DEBUG), 0, true),
    ((libc::SOL_SOCKET, libc::SO_DONTROUTE), 0, true),
    ((libc::SOL_SOCKET, libc::SO_KEEPALIVE), 0, true),
    ((libc::SOL_SOCKET, libc::SO_NO_CHECK), 0, true),
    ((libc::SOL_SOCKET, libc::SO_OOBINLINE), 0, true),
    ((libc::SOL_SOCKET, libc::SO_PASSCRED), 0, true),
    ((libc::SOL_SOCKET, libc::SO_PRIORITY), 0, false),
    ((libc::SOL_SOCKET, libc::SO_RCVLOWAT), 1, false),
    ((libc::SOL_SOCKET, libc::SO_REUSEADDR), 0, true),
    ((libc::SOL_SOCKET, libc::SO_REUSEPORT), 0, true),
    ((libc::SOL_SOCKET, libc::SO_RXQ_OVFL), 0, true),
    ((libc::SOL_SOCKET, libc::SO_SNDLOWAT), 1, false),
    ((libc::SOL_SOCKET, libc::SO_TIMESTAMP), 0, true),
    ((libc::IPPROTO_TCP, libc::TCP_CORK), 0, true),
    ((libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT), 0, false),
    ((libc::IPPROTO_TCP, libc::TCP_KEEPCNT), 9, false),
    ((libc::IPPROTO_TCP, libc::TCP_KEEPIDLE), 7_200, false),
    ((libc::IPPROTO_TCP, libc::TCP_KEEPINTVL), 75, false),
    ((libc::IPPROTO_TCP, libc::TCP_LINGER2), 60, false),
    ((libc::IPPROTO_TCP, libc::TCP_MAXSEG), MSS as i32, false),
    ((libc::IPPROTO_TCP, libc::TCP_NODELAY), 0, true),
    ((libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT), 0, false),
    ((libc::IPPROTO_TCP, libc::TCP_QUICKACK), 1, true),
    ((libc::IPPROTO_TCP, libc::TCP_SYNCNT), 6, false),
    ((libc::IPPROTO_TCP, libc::TCP_THIN_LINEAR_TIMEOUTS), 0, true),
    ((libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT), 0, false),
    ((libc::IPPROTO_TCP, libc::TCP_WINDOW_CLAMP), 0, false),
    ((libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT), 0, true),
    ((libc::IPPROTO_IP, libc::IP_FREEBIND), 0, true),
    ((libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), 1, false),
    ((libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP), 1, true),
    ((libc::IPPROTO_IP, libc::IP_MULTICAST_TTL), 1, false),
    ((libc::IPPROTO_IP, libc::IP_TOS), 0, false),
    ((libc::IPPROTO_IP, libc::IP_TTL), 64, false),
    ((libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER), 1, false),
    ((libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS), 1, false),
    ((libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP), 1, true),
    ((libc::IPPROTO_IPV6, libc::IPV6_TCLASS), 0, false),
    ((libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS), 64, false),
    ((libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), 0, true),
];

/// What a program has set on one socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    integers: BTreeMap<Key, i32>,
    /// Kept as set: SO_LINGER, the two timeouts, TCP_CONGESTION.
    blobs: BTreeMap<Key, Vec<u8>>,
}

/// How an idle connection is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keepalive {
    pub idle: Span,
    pub interval: Span,
    pub probes: u32,
}

impl Options {
    fn integer(&self, level: i32, name: i32) -> i32 {
        self.integers
            .get(&(level, name))
            .copied()
            .unwrap_or_else(|| default_of((level, name)).map_or(0, |d| d.0))
    }

    pub fn reuses_address(&self) -> bool {
        self.integer(libc::SOL_SOCKET, libc::SO_REUSEADDR) != 0
    }

    pub fn reuses_port(&self) -> bool {
        self.integer(libc::SOL_SOCKET, libc::SO_REUSEPORT) != 0
    }

    pub fn is_v6_only(&self) -> bool {
        self.integer(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY) != 0
    }

    pub fn broadcasts(&self) -> bool {
        self.integer(libc::SOL_SOCKET, libc::SO_BROADCAST) != 0
    }

    pub fn keeps_alive(&self) -> bool {
        self.integer(libc::SOL_SOCKET, libc::SO_KEEPALIVE) != 0
    }

    pub fn keepalive(&self) -> Keepalive {
        let tcp = |name| u32::try_from(self.integer(libc::IPPROTO_TCP, name)).unwrap_or(1).max(1);
        Keepalive {
            idle: Span::from_secs(tcp(libc::TCP_KEEPIDLE).into()),
            interval: Span::from_secs(tcp(libc::TCP_KEEPINTVL).into()),
            probes: tcp(libc::TCP_KEEPCNT),
        }
    }

    pub fn syn_retries(&self) -> u32 {
        u32::try_from(self.integer(libc::IPPROTO_TCP, libc::TCP_SYNCNT)).unwrap_or(6)
    }

    /// SO_LINGER with a time of zero: close resets.
    pub fn lingers_not(&self) -> bool {
        self.linger() == Some(Span::ZERO)
    }

    /// SO_LINGER's time, when it is on.
    pub fn linger(&self) -> Option<Span> {
        let value = self.blobs.get(&(libc::SOL_SOCKET, libc::SO_LINGER))?;
        let (on, seconds) = (read_integer(value)?, read_integer(value.get(4..)?)?);
        (on != 0).then(|| Span::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    fn timeout(&self, name: i32) -> Option<Span> {
        let value = self.blobs.get(&(libc::SOL_SOCKET, name))?;
        let part = |range| value.get(range).and_then(|b: &[u8]| b.try_into().ok()).map(i64::from_le_bytes);
        let seconds = u64::try_from(part(0..8)?).ok()?;
        let micros = u64::try_from(part(8..16)?).ok()?;
        let span = Span::from_secs(seconds) + Span::from_micros(micros);
        (span > Span::ZERO).then_some(span)
    }
}

impl Net {
    /// Sets an option, as setsockopt(2): `level` and `name` in the kernel's numbers, `value` its bytes.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that the room does not carry, `EINVAL` for a value that is too short or out
    /// of range, `EBADF`.
    pub fn set_option(&mut self, id: SocketId, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let socket = self.sockets.open_mut(id)?;
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_LINGER) => return socket.keep((level, name), value, 8),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW) => {
                return socket.keep((level, libc::SO_RCVTIMEO), value, 16);
            }
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW) => {
                return socket.keep((level, libc::SO_SNDTIMEO), value, 16);
            }
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) if socket.family() == Family::Tcp => {
                return match value {
                    b"cubic" | b"reno" | b"cubic\0" | b"reno\0" => socket.keep((level, name), value, 4),
                    _ => Err(Errno::ENOENT),
                };
            }
            (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_SNDBUFFORCE) => {
                let size = buffer_size(value)?;
                socket.options.integers.insert((level, libc::SO_SNDBUF), size);
                socket.set_send_buffer(size as usize / 2);
                return Ok(());
            }
            (libc::SOL_SOCKET, libc::SO_RCVBUF | libc::SO_RCVBUFFORCE) => {
                let size = buffer_size(value)?;
                socket.options.integers.insert((level, libc::SO_RCVBUF), size);
                socket.set_receive_buffer(size as usize / 2);
                return Ok(());
            }
            _ => {}
        }
        if !socket.has_level(level) && socket.family() == Family::Unix {
            return Err(Errno::EOPNOTSUPP);
        }
        let (_, truth) =
            default_of((level, name)).filter(|_| socket.has_level(level)).ok_or(Errno::ENOPROTOOPT)?;
        let mut number = match value {
            // IP options may be given as one byte (ip(7)).
            [byte] if level == libc::IPPROTO_IP => i32::from(*byte),
            _ => read_integer(value).ok_or(Errno::EINVAL)?,
        };
        if truth {
            number = i32::from(number != 0);
        }
        let too_small = number < 0 || (number == 0 && is_count(name));
        if level == libc::IPPROTO_TCP && too_small {
            return Err(Errno::EINVAL);
        }
        socket.options.integers.insert((level, name), number);
        self.apply_option(id, level, name, number);
        Ok(())
    }

    fn apply_option(&mut self, id: SocketId, level: i32, name: i32, number: i32) {
        let now = self.now;
        match (level, name) {
            (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT) => {
                if let Some(tcp) = self.sockets.tcp_mut(id) {
                    tcp.send.user_timeout = Span::from_millis(u64::try_from(number).unwrap_or(0));
                }
            }
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE) | (libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)
                if self.sockets.get(id).is_some_and(|socket| socket.options.keeps_alive()) =>
            {
                self.arm_keepalive(id, now);
            }
            (libc::SOL_SOCKET, libc::SO_REUSEADDR | libc::SO_REUSEPORT) => {
                let Some(socket) = self.sockets.get(id) else { return };
                let Some(local) = socket.local_endpoint().filter(|local| local.port != 0) else { return };
                let mut binding = socket.binding(local.ip);
                if let Some(ports) = self.ports(id)
                    && let Some(held) = ports.binding(local.port, id)
                {
                    binding.listening = held.listening;
                    ports.hold(local.port, id, binding);
                }
            }
            _ => {}
        }
    }

    /// Reads an option, as getsockopt(2). `SO_ERROR` is taken by reading it. `SO_PEERCRED` is the caller's.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that the room does not carry, `EBADF`.
    pub fn option(&mut self, id: SocketId, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        let socket = self.sockets.open_mut(id)?;
        let number = match (level, name) {
            (libc::SOL_SOCKET, libc::SO_ERROR) => self.take_error(id).map_or(0, |error| error as i32),
            (libc::SOL_SOCKET, libc::SO_TYPE) => match socket.kind {
                Kind::Stream => libc::SOCK_STREAM,
                Kind::Dgram => libc::SOCK_DGRAM,
                Kind::SeqPacket => libc::SOCK_SEQPACKET,
            },
            (libc::SOL_SOCKET, libc::SO_DOMAIN) => match socket.domain {
                Domain::V4 => libc::AF_INET,
                Domain::V6 => libc::AF_INET6,
                Domain::Unix => libc::AF_UNIX,
            },
            (libc::SOL_SOCKET, libc::SO_PROTOCOL) => match socket.family() {
                Family::Tcp => libc::IPPROTO_TCP,
                Family::Udp => libc::IPPROTO_UDP,
                Family::Unix => 0,
            },
            (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => i32::from(socket.is_listening()),
            (libc::SOL_SOCKET, libc::SO_SNDBUF | libc::SO_RCVBUF) => {
                let usual = if socket.family() == Family::Tcp { BUFFER as i32 } else { 212_992 };
                socket.options.integers.get(&(level, name)).copied().unwrap_or(usual)
            }
            (libc::SOL_SOCKET, libc::SO_LINGER) => return Ok(socket.kept((level, name), &[0; 8])),
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW) => {
                return Ok(socket.kept((level, libc::SO_RCVTIMEO), &[0; 16]));
            }
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW) => {
                return Ok(socket.kept((level, libc::SO_SNDTIMEO), &[0; 16]));
            }
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) if socket.family() == Family::Tcp => {
                return Ok(socket.kept((level, name), b"cubic\0\0\0\0\0\0\0\0\0\0\0"));
            }
            (libc::IPPROTO_TCP, libc::TCP_INFO) if socket.has_level(level) => {
                return self.sockets.tcp(id).map(|tcp| self.tcp_info(tcp)).ok_or(Errno::ENOPROTOOPT);
            }
            _ => {
                if !socket.has_level(level) {
                    return Err(Errno::EOPNOTSUPP);
                }
                if default_of((level, name)).is_none() {
                    return Err(Errno::ENOPROTOOPT);
                }
                socket.options.integer(level, name)
            }
        };
        Ok(number.to_le_bytes().to_vec())
    }

    /// SO_SNDTIMEO (`write`) or SO_RCVTIMEO, when one is set.
    #[must_use]
    pub fn timeout(&self, id: SocketId, write: bool) -> Option<Span> {
        let name = if write { libc::SO_SNDTIMEO } else { libc::SO_RCVTIMEO };
        self.sockets.get(id)?.options.timeout(name)
    }

    /// SO_LINGER's time, when it is on: how long a close may wait for [`Net::unsent`] to reach zero.
    #[must_use]
    pub fn linger(&self, id: SocketId) -> Option<Span> {
        self.sockets.get(id)?.options.linger()
    }

    /// A `struct tcp_info` up to `tcpi_total_retrans` with the values that mean something here.
    fn tcp_info(&self, tcp: &Tcp) -> Vec<u8> {
        let there = self.wire.link(tcp.host, tcp.peer_host);
        let back = self.wire.link(tcp.peer_host, tcp.host);
        let rtt = u32::try_from((there.latency + back.latency).0 / 1_000).unwrap_or(u32::MAX);
        let micros = |span: Span| u32::try_from(span.0 / 1_000).unwrap_or(u32::MAX);
        let unacked = tcp.send.sent.saturating_sub(tcp.send.acked).div_ceil(MSS as u64);
        let idle = u32::try_from(self.now.since(tcp.last_heard).as_millis()).unwrap_or(u32::MAX);
        let mut info = vec![0; 104];
        info[0] = tcp.state_number();
        for (offset, value) in [
            (8, micros(tcp.send.rto)),
            (12, 40_000),
            (16, MSS as u32),
            (20, MSS as u32),
            (24, u32::try_from(unacked).unwrap_or(u32::MAX)),
            (52, idle),
            (56, idle),
            (60, 1_500),
            (64, tcp.receive.capacity as u32),
            (68, rtt),
            (72, rtt / 2),
            (76, i32::MAX as u32),
            (80, 10),
            (84, MSS as u32),
            (88, 3),
            (96, tcp.receive.capacity as u32),
        ] {
            info[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        }
        info
    }
}

impl Socket {
    fn keep(&mut self, key: Key, value: &[u8], least: usize) -> Result<(), Errno> {
        if value.len() < least {
            return Err(Errno::EINVAL);
        }
        self.options.blobs.insert(key, value[..value.len().min(16)].to_vec());
        Ok(())
    }

    fn kept(&self, key: Key, usual: &[u8]) -> Vec<u8> {
        self.options.blobs.get(&key).map_or_else(|| usual.to_vec(), Clone::clone)
    }

    fn has_level(&self, level: i32) -> bool {
        match level {
            libc::SOL_SOCKET => true,
            libc::IPPROTO_TCP => self.family() == Family::Tcp,
            libc::IPPROTO_IP => self.domain != Domain::Unix,
            libc::IPPROTO_IPV6 => self.domain == Domain::V6,
            _ => false,
        }
    }

    fn is_listening(&self) -> bool {
        match &self.body {
            Body::Tcp(tcp) => tcp.state == State::Listen,
            Body::Udp(_) => false,
            Body::Unix(unix) => unix.is_listening(),
        }
    }

    fn set_send_buffer(&mut self, size: usize) {
        match &mut self.body {
            Body::Tcp(tcp) => tcp.send.capacity = size,
            Body::Udp(_) => {}
            Body::Unix(unix) => unix.capacity = size,
        }
    }

    fn set_receive_buffer(&mut self, size: usize) {
        match &mut self.body {
            Body::Tcp(tcp) => {
                tcp.receive.capacity = size;
                if tcp.peer.is_none() {
                    tcp.receive.advertised = size as u64;
                }
            }
            Body::Udp(udp) => udp.capacity = size,
            // The kernel bounds a local queue by its senders.
            Body::Unix(_) => {}
        }
    }
}

fn default_of(key: Key) -> Option<(i32, bool)> {
    INTEGERS.iter().find(|(known, ..)| *known == key).map(|&(_, default, truth)| (default, truth))
}

/// TCP options for which the kernel refuses zero.
fn is_count(name: i32) -> bool {
    matches!(name, libc::TCP_KEEPCNT | libc::TCP_KEEPIDLE | libc::TCP_KEEPINTVL | libc::TCP_SYNCNT)
}

fn read_integer(value: &[u8]) -> Option<i32> {
    value.get(..4)?.try_into().ok().map(i32::from_le_bytes)
}

/// The kernel doubles what it is asked for, to have room for its own bookkeeping.
fn buffer_size(value: &[u8]) -> Result<i32, Errno> {
    let asked = read_integer(value).ok_or(Errno::EINVAL)?;
    Ok(asked.saturating_mul(2).clamp(2 * SO_BUFFER_MIN, SO_BUFFER_MAX))
}
