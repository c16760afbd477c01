//! The wires of the room: one directed link per pair of hosts, and the queue of everything that will happen
//! (packets under way, timers), ordered by (instant, sequence number).

use super::SocketId;
use super::udp::Datagram;
use crate::event::{HostId, Link};
use crate::rng::Rng;
use crate::time::{Instant, Span};
use rand::Rng as _;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Something that happens at a later instant.
#[derive(Debug)]
pub(super) enum Event {
    /// The request of `client` to connect arrives.
    Syn { client: SocketId, connection: u32 },
    /// The consent of `child` arrives at `client`.
    SynAck { client: SocketId, child: SocketId },
    /// The confirmation of `client` arrives at `child`.
    Opened { child: SocketId, client: SocketId },
    /// The next item of the receiver's wire arrives.
    Segment { to: SocketId, from: SocketId },
    /// A repeated packet that asks for an acknowledgement and carries nothing new arrives.
    Probe { to: SocketId, from: SocketId },
    /// An acknowledgement of everything before `ack`, with leave to send up to `edge`.
    Ack { to: SocketId, from: SocketId, ack: u64, edge: u64 },
    /// A reset of that connection arrives.
    Reset { to: SocketId, connection: u32 },
    /// The request of `client` is repeated.
    SynTimer { client: SocketId },
    /// The consent of `child` is repeated.
    OpenTimer { child: SocketId },
    /// Unacknowledged data is repeated.
    Retransmit { id: SocketId },
    /// An idle connection is tried.
    Keepalive { id: SocketId },
    /// A datagram arrives.
    Datagram(Box<Datagram>),
    /// Word arrives that nobody holds the port that `to` is connected to.
    Unreachable { to: SocketId, connection: u32 },
}

/// What a packet is to a stalled link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Opens, closes or acknowledges.
    Control,
    /// Carries bytes of a program.
    Data,
}

struct Entry {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl Entry {
    const fn key(&self) -> (Instant, u64) {
        (self.at, self.sequence)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// One direction between two hosts.
struct Lane {
    link: Link,
    /// When the last byte handed to it has left.
    busy_until: Instant,
    held: u64,
}

#[derive(Default)]
pub(super) struct Wire {
    lanes: Vec<Vec<Lane>>,
    queue: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Wire {
    /// Adds the lanes of one more host; its way to itself takes 5 us.
    pub fn add_host(&mut self) {
        let lane = |link| Lane { link, busy_until: Instant::START, held: 0 };
        let own = Link { latency: Span::from_micros(5), jitter: Span::ZERO, bandwidth: 0, ..Link::default() };
        for row in &mut self.lanes {
            row.push(lane(Link::default()));
        }
        let mut row: Vec<Lane> = self.lanes.iter().map(|_| lane(Link::default())).collect();
        row.push(lane(own));
        self.lanes.push(row);
    }

    fn lane(&mut self, from: HostId, to: HostId) -> &mut Lane {
        &mut self.lanes[usize::from(from.0)][usize::from(to.0)]
    }

    pub fn link(&self, from: HostId, to: HostId) -> &Link {
        &self.lanes[usize::from(from.0)][usize::from(to.0)].link
    }

    pub fn set_link(&mut self, from: HostId, to: HostId, link: Link) {
        self.lane(from, to).link = link;
    }

    pub fn held(&self, from: HostId, to: HostId) -> u64 {
        self.lanes[usize::from(from.0)][usize::from(to.0)].held
    }

    /// Sends a packet of `bytes` from `from` to `to`: when it arrives, or `None` when the link's faults keep
    /// it back. Data takes its turn on the link's bandwidth, control packets slip between.
    pub fn pass(
        &mut self,
        from: HostId,
        to: HostId,
        bytes: usize,
        class: Class,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Instant> {
        let lane = self.lane(from, to);
        let link = &lane.link;
        if link.blocked || (link.stalled && class == Class::Data) || chance(link.loss_ppm, rng) {
            lane.held += 1;
            return None;
        }
        let mut leaves = now;
        if class == Class::Data && link.bandwidth > 0 {
            let sending = (bytes as u64).saturating_mul(1_000_000_000) / link.bandwidth;
            leaves = now.max(lane.busy_until) + Span::from_nanos(sending);
            lane.busy_until = leaves;
        }
        let arrives = leaves + link.latency + draw(link.jitter, rng);
        if is_slow(link) {
            lane.held += 1;
        }
        Some(arrives)
    }

    /// How long data handed to the link now would wait for its turn.
    pub fn congestion(&self, from: HostId, to: HostId, now: Instant) -> Span {
        self.lanes[usize::from(from.0)][usize::from(to.0)].busy_until.since(now)
    }

    /// When a second copy of a datagram arrives that arrived first at `first`, if the link makes one.
    pub fn duplicate(&mut self, from: HostId, to: HostId, first: Instant, rng: &mut Rng) -> Option<Instant> {
        let lane = self.lane(from, to);
        if !chance(lane.link.duplicate_ppm, rng) {
            return None;
        }
        lane.held += 1;
        Some(first + Span::from_micros(1) + draw(lane.link.jitter, rng))
    }

    pub fn schedule(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse(Entry { at, sequence: self.sequence, event }));
    }

    /// The earliest entry.
    pub fn peek(&self) -> Option<(Instant, &Event)> {
        self.queue.peek().map(|Reverse(entry)| (entry.at, &entry.event))
    }

    pub fn pop(&mut self) -> Option<(Instant, Event)> {
        self.queue.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}

fn chance(ppm: u32, rng: &mut Rng) -> bool {
    ppm > 0 && rng.next_u32() % 1_000_000 < ppm
}

fn draw(most: Span, rng: &mut Rng) -> Span {
    if most == Span::ZERO { Span::ZERO } else { Span(rng.next_u64() % most.0.saturating_add(1)) }
}

/// The link is worse than a quiet one: passing it counts as being delayed by a fault.
fn is_slow(link: &Link) -> bool {
    let quiet = Link::default();
    link.latency > quiet.latency
        || link.jitter > quiet.jitter
        || (link.bandwidth > 0 && link.bandwidth < quiet.bandwidth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::split;

    #[test]
    fn the_queue_is_ordered_by_instant_and_then_by_arrival() {
        let mut wire = Wire::default();
        for (at, id) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            wire.schedule(Instant(at), Event::Retransmit { id: SocketId(id) });
        }
        let order: Vec<u32> = std::iter::from_fn(|| wire.pop())
            .map(|(_, event)| match event {
                Event::Retransmit { id } => id.0,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn a_quiet_link_holds_nothing_and_bandwidth_queues() {
        let (mut wire, mut rng) = (Wire::default(), split(1, "test"));
        wire.add_host();
        wire.add_host();
        let (a, b) = (HostId(0), HostId(1));
        assert!(!is_slow(&Link::default()));
        let link = Link { bandwidth: 1_000, jitter: Span::ZERO, latency: Span::ZERO, ..Link::default() };
        wire.set_link(a, b, link);
        let mut pass = |class| wire.pass(a, b, 1_000, class, Instant::START, &mut rng);
        assert_eq!(pass(Class::Data), Some(Instant(1_000_000_000)));
        assert_eq!(pass(Class::Data), Some(Instant(2_000_000_000)));
        assert_eq!(pass(Class::Control), Some(Instant::START));
        assert_eq!((wire.held(a, b), wire.held(b, a)), (3, 0));
    }
}
