//! What etcd's servers tell each other (`server/etcdserver/api/rafthttp`): answers to `/raft/stream/…` are streams of messages
//! in chunks, in one of two encodings, and `POST /raft` carries one message.
//!
//! Messages are of Protocol Buffers; their first field is their type (`raftpb.Message`).

use super::FRAME_MAX;
use super::binary::{Grammar, Then};
use std::borrow::Cow;

/// Types of messages (raftpb.MessageType), by number.
const TYPES: [&str; 19] = [
    "MsgHup",
    "MsgBeat",
    "MsgProp",
    "MsgApp",
    "MsgAppResp",
    "MsgVote",
    "MsgVoteResp",
    "MsgSnap",
    "MsgHeartbeat",
    "MsgHeartbeatResp",
    "MsgUnreachable",
    "MsgSnapStatus",
    "MsgCheckQuorum",
    "MsgTransferLeader",
    "MsgTimeoutNow",
    "MsgReadIndex",
    "MsgReadIndexResp",
    "MsgPreVote",
    "MsgPreVoteResp",
];

/// The tag of the first field: number 1, a number.
const TYPE_TAG: u8 = 8;

/// The kind of a message whose encoding begins with these bytes.
pub(super) fn named(beginning: &[u8]) -> Option<Cow<'static, str>> {
    match beginning {
        [TYPE_TAG, number, ..] => {
            let known = TYPES.get(usize::from(*number)).map(|name| Cow::Borrowed(*name));
            Some(known.unwrap_or_else(|| format!("message {number}").into()))
        }
        _ => None,
    }
}

/// A length of eight bytes, big end first; `None` is one that nobody writes.
fn length(part: &[u8]) -> Option<u64> {
    let bytes = part.try_into().ok()?;
    Some(u64::from_be_bytes(bytes)).filter(|length| *length <= FRAME_MAX)
}

/// What stands next.
enum Place {
    /// Of all messages: length, and then the message.
    Length,
    Type(u64),
    /// Of entries alone (`msgappv2`): what it is.
    Kind,
    /// The number of entries.
    Entries,
    /// The length of an entry, and how many follow it.
    Entry(u64),
    /// How far the leader's log is committed.
    Commit,
    /// The length of a whole message.
    Whole,
}

/// A stream of messages in one of the encodings.
pub(super) struct RaftStream {
    place: Place,
}

impl RaftStream {
    /// The encoding follows from the first chunk, for each begins with a message: there are lengths, whose first byte is 0, or
    /// kinds, of which only a sign of life is 0, and stands alone in its chunk. `None` is neither.
    pub(super) fn of_chunk(first: u8, len: u64) -> Option<Self> {
        match (first, len) {
            (0, 1) | (1 | 2, _) => Some(Self { place: Place::Kind }),
            (0, _) => Some(Self { place: Place::Length }),
            _ => None,
        }
    }

    /// A part of eight bytes follows.
    fn then(&mut self, place: Place) -> Then {
        self.place = place;
        Then::Read(8)
    }
}

impl Grammar for RaftStream {
    fn first(&self) -> usize {
        if matches!(self.place, Place::Length) { 8 } else { 1 }
    }

    fn after(&mut self, part: &[u8]) -> Then {
        match self.place {
            Place::Length => match length(part).filter(|length| *length >= 2) {
                None => Then::Garbage,
                Some(length) => {
                    self.place = Place::Type(length);
                    Then::Read(2)
                }
            },
            Place::Type(length) => {
                self.place = Place::Length;
                let Some(label) = named(part) else { return Then::Garbage };
                Then::End { pass: length - 2, label, next: 8 }
            }
            Place::Kind => match part[0] {
                0 => Then::End { pass: 0, label: "sign of life".into(), next: 1 },
                1 => self.then(Place::Entries),
                2 => self.then(Place::Whole),
                _ => Then::Garbage,
            },
            Place::Entries => match length(part) {
                None => Then::Garbage,
                Some(0) => self.then(Place::Commit),
                Some(entries) => self.then(Place::Entry(entries - 1)),
            },
            Place::Entry(more) => match length(part) {
                None => Then::Garbage,
                Some(entry) => {
                    self.place = more.checked_sub(1).map_or(Place::Commit, Place::Entry);
                    Then::Pass(entry, 8)
                }
            },
            Place::Commit => {
                self.place = Place::Kind;
                Then::End { pass: 0, label: "MsgApp".into(), next: 1 }
            }
            Place::Whole => match length(part) {
                None => Then::Garbage,
                Some(pass) => {
                    self.place = Place::Kind;
                    Then::End { pass, label: "MsgApp".into(), next: 1 }
                }
            },
        }
    }
}
