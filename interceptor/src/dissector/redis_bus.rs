//! The bus of Redis Cluster (`clusterMsg` in cluster.h): gossip, failures, votes.

use super::FRAME_MAX;
use super::binary::{Grammar, Then, word};

/// Signature, length, version, port and type.
const HEAD: usize = 14;

/// The types, by number.
const TYPES: [&str; 11] = [
    "PING",
    "PONG",
    "MEET",
    "FAIL",
    "PUBLISH",
    "FAILOVER_AUTH_REQUEST",
    "FAILOVER_AUTH_ACK",
    "UPDATE",
    "MFSTART",
    "MODULE",
    "PUBLISHSHARD",
];

/// Messages begin with a signature and tell their length and type.
pub(super) struct RedisBus;

impl Grammar for RedisBus {
    fn first(&self) -> usize {
        HEAD
    }

    fn after(&mut self, part: &[u8]) -> Then {
        let length = u64::from(word(part, 4));
        if !part.starts_with(b"RCmb") || length < HEAD as u64 || length > FRAME_MAX {
            return Then::Garbage;
        }
        let number = usize::from(u16::from_be_bytes([part[12], part[13]]));
        let label = TYPES.get(number).map_or_else(|| format!("type {number}").into(), |name| (*name).into());
        Then::End { pass: length - HEAD as u64, label, next: HEAD }
    }
}
