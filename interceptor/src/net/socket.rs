//! What all sockets share, and the table of them. Numbers are never given out twice, so a packet addressed
//! to a socket that is gone finds nobody.

use super::SocketId;
use super::address::{Domain, Kind};
use super::option::Options;
use super::tcp::Tcp;
use super::udp::Udp;
use super::unix::Unix;
use crate::event::HostId;
use nix::errno::Errno;

pub(super) struct Socket {
    pub host: HostId,
    pub domain: Domain,
    pub kind: Kind,
    pub options: Options,
    /// Reported once, by the next call or by SO_ERROR.
    pub error: Option<Errno>,
    /// A program holds it; otherwise it waits to be accepted, or the kernel is finishing it.
    pub open: bool,
    pub body: Body,
}

#[expect(clippy::large_enum_variant, reason = "the table boxes every socket as it is")]
pub(super) enum Body {
    Tcp(Tcp),
    Udp(Udp),
    Unix(Unix),
}

/// Which of the three models a socket follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Tcp,
    Udp,
    Unix,
}

impl Socket {
    pub const fn family(&self) -> Family {
        match self.body {
            Body::Tcp(_) => Family::Tcp,
            Body::Udp(_) => Family::Udp,
            Body::Unix(_) => Family::Unix,
        }
    }
}

#[derive(Default)]
pub(super) struct Sockets(Vec<Option<Box<Socket>>>);

impl Sockets {
    pub fn insert(&mut self, socket: Socket) -> SocketId {
        let id = SocketId(u32::try_from(self.0.len()).expect("a run makes fewer than 2^32 sockets"));
        self.0.push(Some(Box::new(socket)));
        id
    }

    pub fn remove(&mut self, id: SocketId) -> Option<Box<Socket>> {
        self.0.get_mut(id.0 as usize)?.take()
    }

    /// The sockets of `host`, in the order of their making.
    pub fn on(&self, host: HostId) -> Vec<SocketId> {
        self.all().filter(|(_, socket)| socket.host == host).map(|(id, _)| id).collect()
    }

    pub fn all(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        let named = |(index, slot)| (SocketId(index as u32), slot);
        self.0.iter().enumerate().filter_map(|(i, slot)| slot.as_deref().map(|socket| (i, socket))).map(named)
    }

    pub fn get(&self, id: SocketId) -> Option<&Socket> {
        self.0.get(id.0 as usize)?.as_deref()
    }

    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.0.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// The socket, if a program holds it: else `EBADF`.
    pub fn open(&self, id: SocketId) -> Result<&Socket, Errno> {
        self.get(id).filter(|socket| socket.open).ok_or(Errno::EBADF)
    }

    pub fn open_mut(&mut self, id: SocketId) -> Result<&mut Socket, Errno> {
        self.get_mut(id).filter(|socket| socket.open).ok_or(Errno::EBADF)
    }

    pub fn tcp(&self, id: SocketId) -> Option<&Tcp> {
        match &self.get(id)?.body {
            Body::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    pub fn tcp_mut(&mut self, id: SocketId) -> Option<&mut Tcp> {
        match &mut self.get_mut(id)?.body {
            Body::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    pub fn udp(&self, id: SocketId) -> Option<&Udp> {
        match &self.get(id)?.body {
            Body::Udp(udp) => Some(udp),
            _ => None,
        }
    }

    pub fn udp_mut(&mut self, id: SocketId) -> Option<&mut Udp> {
        match &mut self.get_mut(id)?.body {
            Body::Udp(udp) => Some(udp),
            _ => None,
        }
    }

    pub fn unix(&self, id: SocketId) -> Option<&Unix> {
        match &self.get(id)?.body {
            Body::Unix(unix) => Some(unix),
            _ => None,
        }
    }

    pub fn unix_mut(&mut self, id: SocketId) -> Option<&mut Unix> {
        match &mut self.get_mut(id)?.body {
            Body::Unix(unix) => Some(unix),
            _ => None,
        }
    }
}
