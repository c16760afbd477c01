//! The three protocols of ZooKeeper: of clients, of followers with their leader (Zab), and of elections.
//!
//! All are records of Jute: numbers are big end first; buffers and texts have their length before them, which is -1 where
//! there are none.

use super::binary::{Grammar, Then, word};
use super::{Direction, FRAME_MAX};
use std::borrow::Cow;

/// A length as Jute writes it; `None` is one that nobody writes.
fn length(word: u32) -> Option<u64> {
    match word.cast_signed() {
        -1 => Some(0),
        length => u64::try_from(length).ok().filter(|length| *length <= FRAME_MAX),
    }
}

/// What clients and servers tell each other: frames, the first of which opens a session.
pub(super) struct Client {
    direction: Direction,
    is_open: bool,
    /// Of the open frame, once it is known.
    frame: Option<u64>,
}

impl Client {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, is_open: false, frame: None }
    }

    /// Bytes at the beginning of a frame that are looked at.
    fn head(&self) -> usize {
        match self.direction {
            Direction::Request => 8,
            Direction::Reply => 16,
        }
    }
}

impl Grammar for Client {
    fn first(&self) -> usize {
        4
    }

    fn after(&mut self, part: &[u8]) -> Then {
        let head = self.head();
        let Some(frame) = self.frame.take() else {
            let Some(frame) = length(word(part, 0)).filter(|frame| *frame >= head as u64) else {
                return Then::Garbage;
            };
            self.frame = Some(frame);
            return Then::Read(head);
        };
        let label = match (self.direction, std::mem::replace(&mut self.is_open, true)) {
            (_, false) => "session".into(),
            (Direction::Request, true) => request(word(part, 4).cast_signed()),
            (Direction::Reply, true) => reply(word(part, 0).cast_signed(), word(part, 12).cast_signed()),
        };
        Then::End { pass: frame - head as u64, label, next: 4 }
    }
}

/// The name of a request (ZooDefs.OpCode).
fn request(number: i32) -> Cow<'static, str> {
    let name = match number {
        1 => "create",
        2 => "delete",
        3 => "exists",
        4 => "getData",
        5 => "setData",
        6 => "getACL",
        7 => "setACL",
        8 => "getChildren",
        9 => "sync",
        11 => "ping",
        12 => "getChildren2",
        13 => "check",
        14 => "multi",
        15 => "create2",
        16 => "reconfig",
        18 => "removeWatches",
        19 => "createContainer",
        21 => "createTTL",
        22 => "multiRead",
        100 => "auth",
        101 => "setWatches",
        105 => "setWatches2",
        -11 => "closeSession",
        _ => return format!("request {number}").into(),
    };
    name.into()
}

/// The kind of an answer, by the number of its request and its error (KeeperException.Code).
fn reply(request: i32, error: i32) -> Cow<'static, str> {
    let name = match (request, error) {
        (-1, _) => "event",
        (-2, _) => "pong",
        (_, 0) => "ok",
        (_, -4) => "connection lost",
        (_, -101) => "no node",
        (_, -103) => "bad version",
        (_, -110) => "node exists",
        (_, -112) => "session expired",
        (_, -118) => "session moved",
        _ => return format!("error {error}").into(),
    };
    name.into()
}

/// Ends a snapshot.
const SIGNATURE: &[u8] = b"\0\0\0\x0aBenWasHere";
/// Type, transaction and the length of the data.
const PACKET: usize = 16;
/// The type of a packet that a snapshot follows.
const SNAP: usize = 15;

/// Types of packets (Leader.java), by number.
const PACKETS: [&str; 20] = [
    "",
    "REQUEST",
    "PROPOSAL",
    "ACK",
    "COMMIT",
    "PING",
    "REVALIDATE",
    "SYNC",
    "INFORM",
    "COMMITANDACTIVATE",
    "NEWLEADER",
    "FOLLOWERINFO",
    "UPTODATE",
    "DIFF",
    "TRUNC",
    "SNAP",
    "OBSERVERINFO",
    "LEADERINFO",
    "ACKEPOCH",
    "INFORMANDACTIVATE",
];

/// What stands next between a follower and its leader.
enum Place {
    Packet,
    /// Behind the data of a packet: the number of identities.
    Identities,
    /// The length of a text, and how many follow it.
    Text(u64),
    /// In a snapshot: how much of the signature was seen.
    Snapshot(usize),
}

/// What a follower and its leader tell each other.
pub(super) struct Quorum {
    place: Place,
    /// The type of the open packet.
    packet: usize,
}

impl Default for Quorum {
    fn default() -> Self {
        Self { place: Place::Packet, packet: 0 }
    }
}

impl Quorum {
    /// The packet ends so many bytes later.
    fn end(&mut self, pass: u64) -> Then {
        let next;
        (self.place, next) =
            if self.packet == SNAP { (Place::Snapshot(0), 1) } else { (Place::Packet, PACKET) };
        Then::End { pass, label: PACKETS[self.packet].into(), next }
    }
}

impl Grammar for Quorum {
    fn first(&self) -> usize {
        PACKET
    }

    fn after(&mut self, part: &[u8]) -> Then {
        match self.place {
            Place::Packet => {
                let kind = word(part, 0) as usize;
                let Some(data) = length(word(part, 12)).filter(|_| (1..PACKETS.len()).contains(&kind)) else {
                    return Then::Garbage;
                };
                (self.packet, self.place) = (kind, Place::Identities);
                Then::Pass(data, 4)
            }
            Place::Identities => match length(word(part, 0)) {
                None => Then::Garbage,
                Some(0) => self.end(0),
                // Each is two texts.
                Some(identities) => {
                    self.place = Place::Text(2 * identities - 1);
                    Then::Read(4)
                }
            },
            Place::Text(more) => match (length(word(part, 0)), more) {
                (None, _) => Then::Garbage,
                (Some(text), 0) => self.end(text),
                (Some(text), more) => {
                    self.place = Place::Text(more - 1);
                    Then::Pass(text, 4)
                }
            },
            Place::Snapshot(seen) => {
                // No beginning of the signature but its first byte stands in it again, and that thrice.
                let seen = match part[0] {
                    byte if byte == SIGNATURE[seen] => seen + 1,
                    0 if seen == 3 => 3,
                    0 => 1,
                    _ => 0,
                };
                if seen < SIGNATURE.len() {
                    self.place = Place::Snapshot(seen);
                    return Then::Read(1);
                }
                self.place = Place::Packet;
                Then::End { pass: 0, label: "snapshot".into(), next: PACKET }
            }
        }
    }
}

/// Who connects says so first: the version of the protocol, its number and its address, or its number alone.
const VERSIONS: [i64; 2] = [-65_536, -65_535];

/// States of who sends a notification, by number.
const STATES: [&str; 4] = ["looking", "following", "leading", "observing"];

/// What stands next in an election.
enum Stage {
    Hello,
    Address,
    Length,
    State(u64),
}

/// What servers tell each other in elections.
pub(super) struct Election {
    stage: Stage,
    direction: Direction,
}

impl Election {
    pub(super) fn new(direction: Direction) -> Self {
        Self { stage: Stage::Hello, direction }
    }
}

impl Grammar for Election {
    fn first(&self) -> usize {
        4
    }

    fn after(&mut self, part: &[u8]) -> Then {
        match self.stage {
            // Who was connected to says nothing first, and its frames have a length of four bytes.
            Stage::Hello if self.direction == Direction::Request && part.len() == 4 => {
                self.stage = Stage::Address;
                // The second half of the version, or of the number.
                match word(part, 0) {
                    u32::MAX => Then::Read(4),
                    0 => {
                        self.stage = Stage::Length;
                        Then::End { pass: 4, label: "hello".into(), next: 4 }
                    }
                    _ => Then::Garbage,
                }
            }
            Stage::Address if part.len() == 4 => {
                let version = i64::from(word(part, 0)) | -1_i64 << 32;
                if VERSIONS.contains(&version) { Then::Read(12) } else { Then::Garbage }
            }
            Stage::Address => match length(word(part, 8)) {
                None => Then::Garbage,
                Some(address) => {
                    self.stage = Stage::Length;
                    Then::End { pass: address, label: "hello".into(), next: 4 }
                }
            },
            Stage::Hello | Stage::Length => match length(word(part, 0)).filter(|length| *length >= 4) {
                None => Then::Garbage,
                Some(frame) => {
                    self.stage = Stage::State(frame);
                    Then::Read(4)
                }
            },
            Stage::State(frame) => {
                self.stage = Stage::Length;
                let Some(state) = STATES.get(word(part, 0) as usize) else { return Then::Garbage };
                Then::End { pass: frame - 4, label: (*state).into(), next: 4 }
            }
        }
    }
}
