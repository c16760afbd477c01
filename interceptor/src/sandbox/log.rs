//! The event log: every intercepted call with its arguments, result and virtual time, and a hash over all.
//!
//! Two runs are equal when their hashes are; where they are not, the first entry that differs says where to
//! look. It is written before anything else acts on a call, for it is how everything else is debugged.

use super::syscalls::arity;
use crate::time::Instant;
use sha2::{Digest, Sha256};
use std::fmt;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the call was completed.
    pub at: Instant,
    /// The node's position, from 0.
    pub node: u16,
    /// The thread's virtual id.
    pub thread: i32,
    /// What happened.
    pub what: What,
}

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A call, its arguments, its result, and a checksum of the data it moved.
    Call {
        /// The call's number.
        number: i64,
        /// Its arguments; zeros where it takes none, and for a path a checksum of its text.
        arguments: [u64; 6],
        /// What it returned.
        result: i64,
        /// FNV-1a of the bytes it moved; 0 for none.
        data: u64,
    },
    /// A signal was delivered.
    Signal(i32),
    /// The thread ended: its status, or 256 and the signal.
    End(i32),
    /// Something the sandbox did to the node, named by a small number.
    Operation(u64),
}

/// The log of one run.
#[derive(Default)]
pub struct EventLog {
    hash: Sha256,
    count: u64,
    kept: Option<Vec<Entry>>,
}

impl EventLog {
    /// An empty log; with `keep` its entries can be read later.
    #[must_use]
    pub fn new(keep: bool) -> Self {
        Self { kept: keep.then(Vec::new), ..Self::default() }
    }

    /// Adds an entry, without what a call's registers hold beside its arguments.
    pub fn push(&mut self, mut entry: Entry) {
        if let What::Call { number, arguments, .. } = &mut entry.what {
            let taken = arity(*number, arguments);
            arguments[taken..].fill(0);
        }
        let mut bytes = [0_u8; 96];
        let mut at = 0;
        let mut put = |word: u64| {
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            at += 8;
        };
        put(entry.at.0);
        put(u64::from(entry.node) << 32 | u64::from(entry.thread as u32));
        match entry.what {
            What::Call { number, arguments, result, data } => {
                put(number as u64);
                arguments.into_iter().for_each(&mut put);
                put(result as u64);
                put(data);
            }
            What::Signal(signal) => put(1 << 32 | signal as u64),
            What::End(status) => put(2 << 32 | status as u64),
            What::Operation(operation) => put(3 << 32 | operation),
        }
        self.hash.update(&bytes[..at]);
        self.count += 1;
        if let Some(kept) = &mut self.kept {
            kept.push(entry);
        }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Nothing was logged yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The hash over all entries so far, in hex.
    #[must_use]
    pub fn hash(&self) -> String {
        use std::fmt::Write;
        self.hash.clone().finalize().iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
            hex
        })
    }

    /// The entries, if they were kept.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        self.kept.as_deref().unwrap_or_default()
    }
}

/// FNV-1a over bytes, taken eight at a time: cheap, and different for different data.
#[must_use]
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let mut chunks = bytes.chunks_exact(8);
    let mut hash = step(0xcbf2_9ce4_8422_2325, bytes.len() as u64);
    for chunk in &mut chunks {
        hash = step(hash, u64::from_le_bytes(chunk.try_into().expect("chunks of eight")));
    }
    chunks.remainder().iter().fold(hash, |hash, &byte| step(hash, u64::from(byte)))
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} n{}/{} ", self.at, self.node + 1, self.thread)?;
        match self.what {
            What::Call { number, arguments, result, data } => {
                let name = super::syscalls::name(number);
                write!(f, "{name}(")?;
                for (i, argument) in arguments[..arity(number, &arguments)].iter().enumerate() {
                    write!(f, "{}{argument:#x}", if i == 0 { "" } else { ", " })?;
                }
                write!(f, ") = {result}")?;
                if data != 0 {
                    write!(f, " data {data:016x}")?;
                }
                Ok(())
            }
            What::Signal(signal) => write!(f, "signal {signal}"),
            What::End(status) if status >= 256 => write!(f, "killed by signal {}", status - 256),
            What::End(status) => write!(f, "exit {status}"),
            What::Operation(operation) => write!(f, "operation {operation}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(result: i64) -> Entry {
        let what = What::Call { number: libc::SYS_read, arguments: [3, 0, 0, 0, 0, 0], result, data: 0 };
        Entry { at: Instant(1_500), node: 0, thread: 2, what }
    }

    #[test]
    fn the_hash_tells_results_and_order() {
        let hash = |results: &[i64]| {
            let mut log = EventLog::new(false);
            results.iter().for_each(|&r| log.push(entry(r)));
            log.hash()
        };
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[1]), hash(&[1, 2]));
    }

    #[test]
    fn what_is_left_over_in_registers_is_not_told() {
        let hash = |rest: u64| {
            let what = What::Call {
                number: libc::SYS_read,
                arguments: [3, 0, 0, rest, rest, rest],
                result: 0,
                data: 0,
            };
            let mut log = EventLog::new(true);
            log.push(Entry { what, ..entry(0) });
            (log.hash(), log.entries().to_vec())
        };
        assert_eq!(hash(0), hash(0x0101_0101_0101_0100));
    }

    #[test]
    fn entries_read_like_a_trace() {
        assert_eq!(entry(-11).to_string(), "0.000001 n1/2 read(0x3, 0x0, 0x0) = -11");
    }

    #[test]
    fn the_checksum_tells_every_byte() {
        let sums: std::collections::BTreeSet<u64> = ["", "a", "b", "abcdefgh", "abcdefgi", "abcdefgha"]
            .iter()
            .map(|s| checksum(s.as_bytes()))
            .collect();
        assert_eq!(sums.len(), 6);
    }
}
