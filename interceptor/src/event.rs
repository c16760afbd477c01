//! What the shim saw, one [`Event`] at a time, in the order it happened.

use crate::time::{Instant, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A host of the virtual machine room: the nodes come first (`0..nodes`), the clients follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(pub u16);

/// A message of one execution, numbered in the order of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u32);

/// How a process tree ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It called exit with this status.
    Status(i32),
    /// A signal of its own making ended it (a crash): the signal's number.
    Signal(i32),
    /// The sandbox ended it (a fault, or the end of the run).
    Killed,
}

/// One thing that happened on one host at one virtual instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// Where. Faults on a link are recorded at the first victim.
    pub host: HostId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The node's first process runs (again).
    Start,
    /// The node's last process ended.
    Exit(Exit),
    /// A connection to `peer` was established (seen by the side that asked).
    Connect {
        /// The other side.
        peer: HostId,
    },
    /// An attempt to connect to `peer` failed.
    ConnectFailed {
        /// The other side.
        peer: HostId,
    },
    /// A connection with `peer` ended, in order or by reset.
    Disconnect {
        /// The other side.
        peer: HostId,
        /// Ended by a reset.
        reset: bool,
    },
    /// A whole message left the program.
    Send {
        /// Its number.
        message: MessageId,
        /// Where it goes.
        peer: HostId,
        /// Its kind, from the dissector.
        label: String,
        /// Its size in bytes.
        bytes: u32,
    },
    /// The last byte of a message was read by the program.
    Receive {
        /// Its number.
        message: MessageId,
        /// Where it came from.
        peer: HostId,
        /// Its kind, from the dissector.
        label: String,
        /// Its size in bytes.
        bytes: u32,
    },
    /// A file was made durable, or the attempt failed.
    Fsync {
        /// The call returned an error.
        failed: bool,
    },
    /// The node reported its state.
    Report(Report),
    /// A fault began, or ended (`on == false`); the label is the fault's own.
    Fault {
        /// Its name.
        label: String,
        /// Begins or ends.
        on: bool,
    },
    /// A client operation was invoked or completed at this host (`label` tells which and how).
    Client {
        /// Its description.
        label: String,
    },
}

/// A state report: one line of JSON that a node prints, `{"report":KIND, FIELD:VALUE…}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What is reported: `state`, `append`, `apply`…
    pub kind: String,
    /// The other fields, as text.
    pub fields: BTreeMap<String, String>,
}

impl Report {
    /// Reads a line of output; anything that is not an object with a text field `report` is no report.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if !line.starts_with(b"{\"report\":") {
            return None;
        }
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
        let mut kind = None;
        let mut fields = BTreeMap::new();
        for (name, value) in object {
            let text = match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            if name == "report" {
                kind = Some(text);
            } else {
                fields.insert(name, text);
            }
        }
        Some(Self { kind: kind?, fields })
    }

    /// A field read as a number.
    #[must_use]
    pub fn number(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.parse().ok()
    }

    /// A field as text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }
}

/// A line a node wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When its last byte was written.
    pub at: Instant,
    /// By which node.
    pub host: HostId,
    /// On standard error rather than standard output.
    pub stderr: bool,
    /// Its text without the line feed; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// What a link does to the packets of one direction. Loss on a stream is added delay, never a hole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Time a packet takes.
    pub latency: Span,
    /// Up to this much more, drawn per packet.
    pub jitter: Span,
    /// Bytes a second; 0 is unlimited.
    pub bandwidth: u64,
    /// Packets are held (and retransmitted after it lifts), connects time out.
    pub blocked: bool,
    /// Data is held back; connections still open and close.
    pub stalled: bool,
    /// Chance in a million that a packet is lost: delay on a stream, absence of a datagram.
    pub loss_ppm: u32,
    /// Chance in a million that a datagram arrives twice.
    pub duplicate_ppm: u32,
}

impl Default for Link {
    /// A quiet local network: 200 us, 50 us of jitter, 1 GB/s.
    fn default() -> Self {
        Self {
            latency: Span::from_micros(200),
            jitter: Span::from_micros(50),
            bandwidth: 1_000_000_000,
            blocked: false,
            stalled: false,
            loss_ppm: 0,
            duplicate_ppm: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn a_report_is_an_object_that_says_so() {
        let report = Report::parse(br#"{"report":"state","term":3,"role":"leader"}"#).unwrap();
        assert_eq!(
            (report.kind.as_str(), report.number("term"), report.text("role")),
            ("state", Some(3), Some("leader"))
        );
        for line in [&b"{\"term\":3}"[..], b"hello", b"{\"report\":", b"{\"report\":\"x\""] {
            assert_eq!(Report::parse(line), None);
        }
    }
}
