//! Names of sockets: [`Domain`], [`Kind`], [`Address`]; inside the model an inet name is an `Endpoint`, in
//! which an IPv4 address mapped into IPv6 is the IPv4 address itself.

use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`; carries IPv4 too unless `IPV6_V6ONLY` is set.
    V6,
    /// `AF_UNIX`.
    Unix,
}

/// The type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Dgram,
    /// `SOCK_SEQPACKET`, on `AF_UNIX` only.
    SeqPacket,
}

/// The name of an `AF_UNIX` socket (unix(7)).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnixName {
    /// No name. In a call to bind: choose an abstract one.
    #[default]
    Unnamed,
    /// A file. The model compares bytes: the caller passes one absolute form for one file.
    Path(Vec<u8>),
    /// A name in the host's abstract name space, without the leading zero byte.
    Abstract(Vec<u8>),
}

/// The name of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Internet address and port.
    Inet(SocketAddr),
    /// `AF_UNIX` name.
    Unix(UnixName),
}

/// An internet name with IPv4-mapped addresses folded to IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub ip: IpAddr,
    pub port: u16,
}

impl Endpoint {
    /// The name of an unbound socket of `domain`.
    pub fn unbound(domain: Domain) -> Self {
        let ip = match domain {
            Domain::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Domain::V4 | Domain::Unix => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        Self { ip, port: 0 }
    }

    /// Reads an address given to a socket of `domain`; `EAFNOSUPPORT` when the families differ.
    pub fn parse(domain: Domain, address: &Address) -> Result<Self, Errno> {
        match (domain, address) {
            (Domain::V4, Address::Inet(SocketAddr::V4(a))) => {
                Ok(Self { ip: IpAddr::V4(*a.ip()), port: a.port() })
            }
            (Domain::V6, Address::Inet(SocketAddr::V6(a))) => {
                Ok(Self { ip: IpAddr::V6(*a.ip()).to_canonical(), port: a.port() })
            }
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// The name as a program with a socket of `domain` sees it.
    pub fn shown(self, domain: Domain) -> Address {
        Address::Inet(match (domain, self.ip) {
            (Domain::V6, IpAddr::V4(ip)) => {
                SocketAddr::V6(SocketAddrV6::new(ip.to_ipv6_mapped(), self.port, 0, 0))
            }
            (_, ip) => SocketAddr::new(ip, self.port),
        })
    }

    /// The destination that is meant: the unspecified address stands for the loopback one.
    pub fn destination(self) -> Self {
        let ip = match self.ip {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self { ip, ..self }
    }
}

/// How well a socket bound to `bound` fits a packet to `to`: 3 exact, 2 wildcard of the family, 1 the IPv6
/// wildcard taking IPv4, `None` not at all.
pub(super) fn fit(bound: IpAddr, v6_only: bool, to: IpAddr) -> Option<u8> {
    match (bound, to) {
        _ if bound == to => Some(3),
        (IpAddr::V4(b), IpAddr::V4(_)) if b.is_unspecified() => Some(2),
        (IpAddr::V6(b), IpAddr::V6(_)) if b.is_unspecified() => Some(2),
        (IpAddr::V6(b), IpAddr::V4(_)) if b.is_unspecified() && !v6_only => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_folded_and_shown_again() {
        let given = Address::Inet("[::ffff:10.0.0.1]:80".parse().unwrap());
        let end = Endpoint::parse(Domain::V6, &given).unwrap();
        assert_eq!(end.ip, "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(end.shown(Domain::V6), given);
        assert_eq!(Endpoint::parse(Domain::V4, &given), Err(Errno::EAFNOSUPPORT));
    }

    #[test]
    fn the_closest_binding_fits_best() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(fit(ip("10.0.0.1"), false, ip("10.0.0.1")), Some(3));
        assert_eq!(fit(ip("0.0.0.0"), false, ip("10.0.0.1")), Some(2));
        assert_eq!(fit(ip("::"), false, ip("10.0.0.1")), Some(1));
        assert_eq!(fit(ip("::"), true, ip("10.0.0.1")), None);
        assert_eq!(fit(ip("0.0.0.0"), false, ip("::1")), None);
    }
}
