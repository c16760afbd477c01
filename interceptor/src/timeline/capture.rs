//! The capture: turns bytes that programs write and read into [`EventKind::Send`] and [`EventKind::Receive`].
//!
//! Owner of the numbering of messages and of what is under way on each connection. A message is sent when its
//! last byte was written, and received when the reader took its last byte. It does not know where bytes are
//! in between: latency, partitions and lost datagrams are the network's.

use crate::dissector::{Direction, Dissector, Labels, Message, Stream};
use crate::event::{Event, EventKind, HostId, MessageId};
use crate::time::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// Most messages sent and not yet read on one direction of a connection; the receipt of further ones is not
/// seen.
pub const UNREAD_MAX: usize = 1 << 16;

/// One direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The connection's number, unique in a run.
    pub connection: u32,
    /// Which direction: tells the two flows of a connection apart, also when a host talks to itself.
    pub direction: Direction,
    /// The host that writes.
    pub from: HostId,
    /// The host that reads.
    pub to: HostId,
}

/// A datagram that was sent; the network keeps it with the packet (and with its copies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Its number.
    pub message: MessageId,
    from: HostId,
    label: Rc<str>,
    bytes: u32,
}

/// The messages of one run.
#[derive(Default)]
pub struct Capture {
    ports: BTreeMap<u16, Dissector>,
    connections: BTreeMap<u32, Connection>,
    labels: Labels,
    next: u32,
    unseen: u64,
    found: Vec<Message>,
}

#[derive(Default)]
struct Connection {
    port: u16,
    directions: BTreeMap<Direction, Way>,
}

struct Way {
    stream: Stream,
    read: u64,
    unread: VecDeque<Unread>,
}

struct Unread {
    end: u64,
    message: MessageId,
    label: Rc<str>,
    bytes: u32,
}

impl Capture {
    /// A capture that uses these dissectors for these server ports, and shapes for all others.
    #[must_use]
    pub fn new(ports: BTreeMap<u16, Dissector>) -> Self {
        Self { ports, ..Self::default() }
    }

    /// A connection to `port` was made. A connection that is not announced has no known protocol.
    pub fn open(&mut self, connection: u32, port: u16) {
        self.connections.insert(connection, Connection { port, ..Connection::default() });
    }

    /// A connection is gone, and with it what was not read.
    pub fn close(&mut self, connection: u32) {
        self.connections.remove(&connection);
    }

    /// The flow's writer wrote `bytes`; the messages that this completes are appended to `out`.
    pub fn sent(&mut self, at: Instant, flow: Flow, bytes: &[u8], out: &mut Vec<Event>) {
        let Self { ports, connections, labels, next, unseen, found } = self;
        let connection = connections.entry(flow.connection).or_default();
        let way = connection.directions.entry(flow.direction).or_insert_with(|| {
            let dissector = ports.get(&connection.port).unwrap_or(&Dissector::Shape);
            Way { stream: Stream::new(dissector, flow.direction), read: 0, unread: VecDeque::new() }
        });
        way.stream.push(bytes, labels, found);
        for Message { start, end, label } in found.drain(..) {
            let bytes = u32::try_from(end - start).unwrap_or(u32::MAX);
            let message = number(next);
            out.push(send(at, flow.from, flow.to, message, &label, bytes));
            if way.unread.len() < UNREAD_MAX {
                way.unread.push_back(Unread { end, message, label, bytes });
            } else {
                *unseen += 1;
            }
        }
    }

    /// The flow's reader read the next `bytes` bytes; the messages whose last byte is among them are appended
    /// to `out`.
    pub fn received(&mut self, at: Instant, flow: Flow, bytes: u64, out: &mut Vec<Event>) {
        let connection = self.connections.get_mut(&flow.connection);
        let Some(way) = connection.and_then(|connection| connection.directions.get_mut(&flow.direction))
        else {
            return;
        };
        way.read = way.read.saturating_add(bytes);
        while let Some(unread) = way.unread.pop_front_if(|unread| unread.end <= way.read) {
            out.push(receive(at, flow.from, flow.to, unread.message, &unread.label, unread.bytes));
        }
    }

    /// A datagram to a server's `port` (`Request`), or back from it (`Reply`), was sent.
    pub fn datagram_sent(
        &mut self,
        at: Instant,
        flow: Flow,
        port: u16,
        bytes: &[u8],
        out: &mut Vec<Event>,
    ) -> Datagram {
        let dissector = self.ports.get(&port).unwrap_or(&Dissector::Shape);
        let label = dissector.datagram(flow.direction, bytes, &mut self.labels);
        let (message, bytes) = (number(&mut self.next), u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        out.push(send(at, flow.from, flow.to, message, &label, bytes));
        Datagram { message, from: flow.from, label, bytes }
    }

    /// The datagram, or a copy of it, was read by host `by`.
    pub fn datagram_received(&mut self, at: Instant, datagram: &Datagram, by: HostId, out: &mut Vec<Event>) {
        out.push(receive(at, datagram.from, by, datagram.message, &datagram.label, datagram.bytes));
    }

    /// Messages sent so far.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.next
    }

    /// Messages whose receipt is not seen because too many were under way; see [`UNREAD_MAX`].
    #[must_use]
    pub fn unseen(&self) -> u64 {
        self.unseen
    }
}

fn number(next: &mut u32) -> MessageId {
    let message = MessageId(*next);
    *next = next.checked_add(1).expect("a run ends long before four billion messages");
    message
}

fn send(at: Instant, host: HostId, peer: HostId, message: MessageId, label: &str, bytes: u32) -> Event {
    Event { at, host, kind: EventKind::Send { message, peer, label: label.to_owned(), bytes } }
}

fn receive(at: Instant, peer: HostId, host: HostId, message: MessageId, label: &str, bytes: u32) -> Event {
    Event { at, host, kind: EventKind::Receive { message, peer, label: label.to_owned(), bytes } }
}

#[cfg(test)]
mod tests {
    use super::{Capture, Flow};
    use crate::dissector::Direction;
    use crate::event::{Event, EventKind, HostId};
    use crate::time::Instant;
    use proptest::prelude::*;

    fn flow(connection: u32, direction: Direction) -> Flow {
        let ends = [HostId(0), HostId(1)];
        let (from, to) =
            if direction == Direction::Request { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        Flow { connection, direction, from, to }
    }

    fn show(events: &[Event]) -> Vec<String> {
        let text = |event: &Event| match &event.kind {
            EventKind::Send { message, peer, label, bytes } => {
                format!("{} > {} #{} {label} {bytes}", event.host.0, peer.0, message.0)
            }
            EventKind::Receive { message, peer, label, bytes } => {
                format!("{} < {} #{} {label} {bytes}", event.host.0, peer.0, message.0)
            }
            other => format!("{other:?}"),
        };
        events.iter().map(text).collect()
    }

    #[test]
    fn a_message_is_sent_and_received_with_its_last_byte() {
        let mut capture = Capture::new([(80, "line-json:op".parse().unwrap())].into());
        let (to, back) = (flow(7, Direction::Request), flow(7, Direction::Reply));
        let mut out = Vec::new();
        capture.open(7, 80);
        capture.sent(Instant(1), to, b"{\"op\":\"put\"}\n{\"op\"", &mut out);
        capture.received(Instant(2), to, 12, &mut out);
        capture.sent(Instant(3), to, b":\"get\"}\n", &mut out);
        capture.received(Instant(4), to, 1, &mut out);
        capture.sent(Instant(5), back, b"{\"op\":\"ok\"}\n", &mut out);
        capture.received(Instant(6), to, 13, &mut out);
        capture.received(Instant(7), back, 100, &mut out);
        let expected = [
            "0 > 1 #0 put 13",
            "0 > 1 #1 get 13",
            "1 < 0 #0 put 13",
            "1 > 0 #2 ok 12",
            "1 < 0 #1 get 13",
            "0 < 1 #2 ok 12",
        ];
        assert_eq!(show(&out), expected);
        capture.close(7);
        out.clear();
        capture.received(Instant(8), to, 5, &mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn a_datagram_may_arrive_twice_or_never() {
        let mut capture = Capture::new([(53, "frame32-enum:0".parse().unwrap())].into());
        let mut out = Vec::new();
        let to = flow(0, Direction::Request);
        let first = capture.datagram_sent(Instant(1), to, 53, &[0, 0, 0, 1, 9], &mut out);
        capture.datagram_sent(Instant(1), to, 9, b"x", &mut out);
        capture.datagram_received(Instant(2), &first, HostId(1), &mut out);
        capture.datagram_received(Instant(3), &first, HostId(1), &mut out);
        assert_eq!(show(&out), ["0 > 1 #0 9 5", "0 > 1 #1 >0a 1", "1 < 0 #0 9 5", "1 < 0 #0 9 5"]);
    }

    proptest! {
        #[test]
        fn every_message_arrives_once_in_order_and_not_before_it_was_read(
            steps in proptest::collection::vec((any::<bool>(), any::<bool>(), 1_usize..20), 1..60),
        ) {
            let mut capture = Capture::new([(80, "frame32-enum:0".parse().unwrap())].into());
            capture.open(1, 80);
            let mut out = Vec::new();
            let (mut written, mut read) = ([0_u64; 2], [0_u64; 2]);
            for (reply, write, size) in steps {
                let way = flow(1, if reply { Direction::Reply } else { Direction::Request });
                let side = usize::from(reply);
                if write {
                    let mut frame = u32::try_from(size).unwrap().to_be_bytes().to_vec();
                    frame.resize(4 + size, 1);
                    capture.sent(Instant(0), way, &frame, &mut out);
                    written[side] += frame.len() as u64;
                } else {
                    let take = (size as u64).min(written[side] - read[side]);
                    capture.received(Instant(0), way, take, &mut out);
                    read[side] += take;
                }
                let mut sizes = [0; 2];
                let mut last = [None; 2];
                for event in &out {
                    if let EventKind::Receive { message, bytes, .. } = &event.kind {
                        let side = usize::from(event.host == HostId(0));
                        sizes[side] += u64::from(*bytes);
                        prop_assert!(last[side] < Some(*message));
                        last[side] = Some(*message);
                    }
                }
                prop_assert!(sizes[0] <= read[0] && sizes[1] <= read[1]);
            }
            for side in [Direction::Request, Direction::Reply] {
                capture.received(Instant(0), flow(1, side), u64::MAX, &mut out);
            }
            let received = out.iter().filter(|event| matches!(event.kind, EventKind::Receive { .. })).count();
            prop_assert_eq!(received as u32, capture.messages());
        }
    }
}
