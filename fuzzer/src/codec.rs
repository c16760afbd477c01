//! Codec: bulk data between processes and on disk, in frames that know their format and notice damage.
//!
//! A frame is `magic, version, length, CRC-32, payload`; the payload is bincode. What people read or write by
//! hand is TOML or JSON and never comes here.
//!
//! bincode does not describe itself, so types whose serde form needs that (internally tagged or untagged
//! enums, skipped fields) travel as one JSON text inside it: see `text_in_binary`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// The first bytes of every frame.
const MAGIC: [u8; 4] = *b"FZFR";
/// The version of the format; frames of newer ones are refused.
const VERSION: u16 = 1;
/// Magic, version, length, checksum.
const HEADER: usize = 4 + 2 + 4 + 4;
/// The longest payload that is written or read: a damaged length must not exhaust the memory.
pub const PAYLOAD_MAX: usize = 512 << 20;

/// Why something could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The other side, or the disk, failed.
    #[error("cannot move a frame: {0}")]
    Io(#[from] io::Error),
    /// These bytes were not written by this codec.
    #[error("not a frame: it begins with {found:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 4],
    },
    /// The format is younger than this program.
    #[error(
        "frame version {found} was written by a newer version of this program, which reads up to {VERSION}; update fuzz"
    )]
    Newer {
        /// The version in the frame.
        found: u16,
    },
    /// The payload is longer than allowed.
    #[error("a frame of {bytes} bytes is over the limit of {PAYLOAD_MAX}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The bytes end in the middle of a frame.
    #[error("the frame is cut short")]
    Truncated,
    /// The payload changed after it was written.
    #[error("the frame is damaged: its checksum does not match")]
    Checksum,
    /// The payload is whole but is not of the type asked for.
    #[error("the frame does not hold what was expected: {0}")]
    Malformed(String),
}

/// `value` as one frame.
///
/// # Errors
/// When it is too large, or of a type that bincode cannot carry.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut frame = vec![0; HEADER];
    bincode::serde::encode_into_std_write(value, &mut frame, bincode::config::standard())
        .map_err(|e| CodecError::Malformed(e.to_string()))?;
    let payload = &frame[HEADER..];
    let bytes = payload.len();
    let length =
        u32::try_from(bytes).ok().filter(|_| bytes <= PAYLOAD_MAX).ok_or(CodecError::TooLarge { bytes })?;
    let checksum = crc32fast::hash(payload);
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..6].copy_from_slice(&VERSION.to_le_bytes());
    frame[6..10].copy_from_slice(&length.to_le_bytes());
    frame[10..14].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

/// The value in a frame that fills `bytes` exactly.
///
/// # Errors
/// Everything [`CodecError`] names.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut rest = bytes;
    let value = read_frame(&mut rest)?.ok_or(CodecError::Truncated)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        Err(CodecError::Malformed(format!("{} bytes follow it", rest.len())))
    }
}

/// Writes `value` as one frame and flushes.
///
/// # Errors
/// As [`encode`], and those of the writer.
pub fn write_frame<T: Serialize + ?Sized>(to: &mut impl Write, value: &T) -> Result<(), CodecError> {
    to.write_all(&encode(value)?)?;
    Ok(to.flush()?)
}

/// Reads one frame; `None` when the reader is at its end.
///
/// # Errors
/// Everything [`CodecError`] names.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> Result<Option<T>, CodecError> {
    let mut header = [0; HEADER];
    match fill(from, &mut header)? {
        0 => return Ok(None),
        HEADER => {}
        _ => return Err(CodecError::Truncated),
    }
    let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3, c0, c1, c2, c3] = header;
    let found = [m0, m1, m2, m3];
    if found != MAGIC {
        return Err(CodecError::Magic { found });
    }
    let found = u16::from_le_bytes([v0, v1]);
    if found > VERSION {
        return Err(CodecError::Newer { found });
    }
    let bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if bytes > PAYLOAD_MAX {
        return Err(CodecError::TooLarge { bytes });
    }
    let mut payload = Vec::new();
    from.take(bytes as u64).read_to_end(&mut payload)?;
    if payload.len() < bytes {
        return Err(CodecError::Truncated);
    }
    if crc32fast::hash(&payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(CodecError::Checksum);
    }
    let config = bincode::config::standard().with_limit::<PAYLOAD_MAX>();
    let (value, used) = bincode::serde::decode_from_slice(&payload, config)
        .map_err(|e| CodecError::Malformed(e.to_string()))?;
    if used == bytes {
        Ok(Some(value))
    } else {
        Err(CodecError::Malformed(format!("{} bytes are left over", bytes - used)))
    }
}

/// Fills `buffer` as far as the reader has bytes; how many there were.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Gives a type that derives serde with `remote = "Self"` its derived form in text formats, and that form as
/// one JSON text in binary ones.
macro_rules! text_in_binary {
    ($type:ident) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return $type::serialize(self, serializer);
                }
                let text = serde_json::to_string(self).map_err(serde::ser::Error::custom)?;
                serializer.serialize_str(&text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return $type::deserialize(deserializer);
                }
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                serde_json::from_str(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use text_in_binary;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_each_other_and_end() {
        let mut bytes = encode(&(7_u64, "seven".to_owned())).unwrap();
        write_frame(&mut bytes, &(8_u64, "eight".to_owned())).unwrap();
        let mut reader = bytes.as_slice();
        assert_eq!(read_frame::<(u64, String)>(&mut reader).unwrap(), Some((7, "seven".into())));
        assert_eq!(read_frame::<(u64, String)>(&mut reader).unwrap(), Some((8, "eight".into())));
        assert_eq!(read_frame::<(u64, String)>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_verdict_survives_with_all_its_evidence() {
        use oracle::value::Value;
        use oracle::verdict::{Edge, Graph};
        use oracle::{Evidence, Outcome, Verdict, Violation, raw};
        let op = raw::Op {
            process: 1,
            f: "read".into(),
            key: Some(Value::text("x")),
            asked: Value::Nil,
            answered: Some(Value::List(vec![Value::Int(1), Value::Keyword("a".into())])),
            outcome: Outcome::Ok,
            invoke: 4,
            invoked_ns: None,
            complete: Some(5),
            completed_ns: Some(6),
            error: None,
            extra: vec![("node".into(), Value::text("n1"))],
            place: None,
        };
        let edge = Edge { from: 0, to: 1, kind: "wr".into(), why: "it was read".into() };
        let graph = Graph { nodes: vec!["a".into(), "b".into()], edges: vec![edge] };
        for (culprit, graph) in [(Some(4), Some(graph)), (None, None)] {
            let lines = vec!["a line".into()];
            let evidence = Evidence { lines, ops: vec![op.clone()], culprit, graph, ..Evidence::default() };
            let verdict = Verdict::Violation(Violation {
                signature: "oracle/kind".into(),
                oracle: "oracle".into(),
                summary: "why".into(),
                evidence,
                at_ns: 7,
            });
            assert_eq!(decode::<Verdict>(&encode(&verdict).unwrap()).unwrap(), verdict);
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let frame = encode(&vec![1_u64, 2, 3]).unwrap();
        for at in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged[at] ^= 0x40;
            assert!(decode::<Vec<u64>>(&damaged).is_err(), "byte {at}");
            assert!(decode::<Vec<u64>>(&frame[..at]).is_err(), "cut at {at}");
        }
        assert!(decode::<Vec<u64>>(&[frame.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn a_newer_frame_says_so() {
        let mut frame = encode(&1_u8).unwrap();
        frame[4] = 9;
        let error = decode::<u8>(&frame).unwrap_err();
        assert!(error.to_string().contains("written by a newer version"), "{error}");
    }

    #[test]
    fn a_wild_length_allocates_nothing() {
        let mut frame = encode(&1_u8).unwrap();
        frame[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decode::<u8>(&frame), Err(CodecError::TooLarge { .. })));
        frame[6..10].copy_from_slice(&100_000_u32.to_le_bytes());
        assert!(matches!(decode::<u8>(&frame), Err(CodecError::Truncated)));
    }

    #[test]
    fn another_type_is_malformed() {
        let frame = encode("text").unwrap();
        assert!(matches!(decode::<u8>(&frame), Err(CodecError::Malformed(_))));
    }
}
