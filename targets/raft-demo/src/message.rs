//! What nodes say to each other, and how it looks on the wire.
//!
//! A frame is a 32-bit big-endian length and a JSON object whose field `type` names the message.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::entry::{Entry, Index, NodeId, Snapshot, Term};

/// No frame is longer, in bytes, without its length prefix.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// A message with its sender and the sender's term (for pre-votes, the term asked for).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Who sent it.
    pub from: NodeId,
    /// The term it belongs to.
    pub term: Term,
    /// What it says.
    #[serde(flatten)]
    pub body: Body,
}

/// The messages of the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// "Would you vote for me?"; changes nothing at the receiver (Raft dissertation, 9.6).
    PreVote {
        /// The candidate's last entry.
        last_index: Index,
        /// That entry's term.
        last_term: Term,
    },
    /// Answer to a pre-vote.
    PreVoteReply {
        /// Whether the vote would be given.
        granted: bool,
    },
    /// Asks for a vote.
    Vote {
        /// The candidate's last entry.
        last_index: Index,
        /// That entry's term.
        last_term: Term,
    },
    /// Answer to a vote request.
    VoteReply {
        /// Whether the vote is given.
        granted: bool,
    },
    /// Entries to add after `prev_index`.
    Append {
        /// The entry before the first one carried.
        prev_index: Index,
        /// That entry's term.
        prev_term: Term,
        /// The leader's commit index.
        commit: Index,
        /// The leader's latest leadership probe.
        probe: u64,
        /// Consecutive entries of one term.
        entries: Vec<Entry>,
    },
    /// An append without entries.
    Heartbeat {
        /// The last entry the leader has sent to the receiver.
        prev_index: Index,
        /// That entry's term.
        prev_term: Term,
        /// The leader's commit index.
        commit: Index,
        /// The leader's latest leadership probe.
        probe: u64,
    },
    /// Answer to an append or a heartbeat.
    AppendReply {
        /// Whether the previous entry was there.
        ok: bool,
        /// If so: the last entry known to equal the leader's.
        match_index: Index,
        /// If not: where the leader should go on.
        hint: Index,
        /// Whether it answers a heartbeat.
        heartbeat: bool,
        /// The probe of the message it answers.
        probe: u64,
    },
    /// The state at an index the leader no longer has entries for.
    Snapshot {
        /// The state.
        snapshot: Snapshot,
        /// The leader's latest leadership probe.
        probe: u64,
    },
    /// Answer to a snapshot.
    SnapshotReply {
        /// The last entry known to equal the leader's.
        match_index: Index,
        /// The probe of the message it answers.
        probe: u64,
    },
    /// "Am I still your leader?", for reads (Raft dissertation, 6.4).
    ReadProbe {
        /// Grows with each probe.
        probe: u64,
    },
    /// "You are."
    ReadProbeReply {
        /// The probe it answers.
        probe: u64,
    },
    /// A node outside the configuration asks to be taken in again.
    Join {
        /// Where its peers reach it.
        addr: String,
    },
}

/// Why bytes are not a frame.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The length prefix is above the limit.
    #[error("frame of {bytes} bytes, more than {FRAME_BYTES_MAX}")]
    TooLong {
        /// The announced length.
        bytes: usize,
    },
    /// The payload is not a message.
    #[error("malformed frame: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// The frame as bytes, length prefix included.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame).expect("messages are plain data");
    let length = u32::try_from(bytes.len() - 4).expect("the store refuses to grow past the frame limit");
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// Takes the first whole frame off `buffer`; `None` if more bytes are needed.
pub fn decode(buffer: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let Some(prefix) = buffer.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong { bytes: length });
    }
    let Some(payload) = buffer.get(4..4 + length) else { return Ok(None) };
    let frame = serde_json::from_slice(payload)?;
    buffer.drain(..4 + length);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Command, Member, Session};
    use crate::machine::Machine;

    #[test]
    fn frames_survive_any_split_of_the_stream() {
        let members = vec![Member { id: 1, addr: "10.0.0.1:7000".into() }];
        let session = Some(Session { client: "c\"1".into(), seq: u64::MAX });
        let put = Command::Put { key: "k".into(), value: "ü\n".into(), session };
        let entries = vec![
            Entry { index: 8, term: 3, command: put },
            Entry { index: 9, term: 3, command: Command::Config { members: members.clone() } },
        ];
        let append = Body::Append { prev_index: 7, prev_term: 2, commit: 7, probe: 4, entries };
        let snapshot = Snapshot { index: 5, term: 1, members, machine: Machine::default() };
        let frames = [
            Frame { from: 1, term: 3, body: append },
            Frame { from: 2, term: 3, body: Body::VoteReply { granted: true } },
            Frame { from: 1, term: 3, body: Body::Snapshot { snapshot, probe: 1 } },
        ];
        let stream: Vec<u8> = frames.iter().flat_map(encode).collect();
        for chunk in 1..stream.len() {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for part in stream.chunks(chunk) {
                buffer.extend_from_slice(part);
                while let Some(frame) = decode(&mut buffer).unwrap() {
                    seen.push(frame);
                }
            }
            assert_eq!(seen, frames);
        }
    }

    #[test]
    fn the_type_is_a_field_of_the_object() {
        let bytes = encode(&Frame { from: 2, term: 3, body: Body::ReadProbe { probe: 9 } });
        assert_eq!(&bytes[4..], br#"{"from":2,"term":3,"type":"read_probe","probe":9}"#);
        assert_eq!(bytes[..4], 49_u32.to_be_bytes());
    }

    #[test]
    fn long_and_malformed_frames_are_refused() {
        let mut long = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes().to_vec();
        assert!(matches!(decode(&mut long), Err(FrameError::TooLong { .. })));
        let mut malformed = [&3_u32.to_be_bytes()[..], b"{a}"].concat();
        assert!(matches!(decode(&mut malformed), Err(FrameError::Malformed(_))));
    }
}
