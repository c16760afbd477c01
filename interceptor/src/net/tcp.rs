//! One end of a TCP connection: its state, its two queues, and what can be told from them alone. How ends
//! talk over the wire is in `handshake` and `stream`.
//!
//! The model knows what the wire will do to a packet when it is sent, so a packet kept back stays in (or is
//! counted by) the sender, and retransmission timers run only where something was really lost.

use super::SocketId;
use super::address::{Domain, Endpoint};
use super::ready::Ready;
use crate::event::HostId;
use crate::rng::Rng;
use crate::time::{Instant, Span};
use nix::errno::Errno;
use rand::Rng as _;
use std::collections::{BTreeMap, VecDeque};

/// Payload of a full Ethernet frame with timestamps.
pub(super) const MSS: usize = 1_448;
/// Room for unacknowledged and for unread bytes.
pub(super) const BUFFER: usize = 256 * 1024;
/// The first retransmission timeout, and the longest (tcp(7); RFC 6298 with Linux's bounds).
pub(super) const RTO_MIN: Span = Span::from_millis(200);
const RTO_MAX: Span = Span::from_secs(120);
/// Unacknowledged data is given up after this long: `tcp_retries2` = 15 doublings from 200 ms.
const GIVE_UP: Span = Span::from_millis(924_600);
/// The most bytes that travel as one burst (segmentation offload).
const BURST: usize = 44 * MSS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Fresh, or bound.
    Closed,
    Listen,
    SynSent,
    SynReceived,
    /// From the handshake to the end of both directions.
    Established,
    /// Over: in order, by reset, or by a failed attempt to connect.
    Finished,
}

/// What the program has been told about its connect().
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    None,
    Pending,
    Told,
}

/// What a segment carries.
#[derive(Debug)]
pub(super) enum Item {
    Data(Vec<u8>),
    Fin,
}

pub(super) struct Tcp {
    pub host: HostId,
    pub state: State,
    pub attempt: Attempt,
    pub local: Endpoint,
    pub remote: Endpoint,
    /// The port was chosen by bind, not by connect.
    pub bound: bool,
    pub peer: Option<SocketId>,
    pub peer_host: HostId,
    pub connection: u32,
    pub initiated: bool,
    /// The program has closed it; the kernel finishes alone.
    pub orphan: bool,
    /// This side ended its direction first: TIME_WAIT falls to it.
    pub closed_first: bool,
    /// When both directions were over.
    pub finished_at: Option<Instant>,
    pub send: Sending,
    pub receive: Receiving,
    pub syn: Syn,
    pub listener: Option<SocketId>,
    pub listening: Listening,
    /// When the next keepalive is due, and how many went unanswered.
    pub keepalive_at: Option<Instant>,
    pub keepalive_probes: u32,
    pub last_heard: Instant,
}

/// The handshake's repetitions, of either side.
#[derive(Default)]
pub(super) struct Syn {
    pub started_at: Instant,
    pub sent_at: Instant,
    pub attempt: u32,
    pub timer_at: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Listening {
    pub backlog: usize,
    /// Connections that ask: by client, the child made for it.
    pub embryos: BTreeMap<SocketId, SocketId>,
    pub accepted: VecDeque<SocketId>,
}

pub(super) struct Sending {
    /// What has not been handed to the wire.
    pub queue: VecDeque<Item>,
    /// Bytes accepted from the program.
    pub written: u64,
    /// Sequence numbers handed to the wire, and acknowledged; the end of the direction counts one.
    pub sent: u64,
    pub acked: u64,
    /// The peer takes bytes before this one.
    pub edge: u64,
    /// The direction ends after the last byte written.
    pub fin: bool,
    /// The head of the queue was lost and waits for its timer.
    pub stuck: bool,
    pub rto: Span,
    pub rto_at: Option<Instant>,
    pub unacked_since: Option<Instant>,
    /// Nothing sent later arrives before.
    pub last_arrival: Instant,
    pub capacity: usize,
    /// TCP_USER_TIMEOUT; zero when unset.
    pub user_timeout: Span,
}

#[derive(Default)]
pub(super) struct Receiving {
    /// Under way to here, in order of arrival.
    pub wire: VecDeque<Item>,
    ready: VecDeque<Vec<u8>>,
    /// Bytes of the first of `ready` that are read already.
    offset: usize,
    /// Bytes that a read may take.
    pub bytes: usize,
    /// Bytes arrived.
    pub received: u64,
    /// The last edge that the peer was told.
    pub advertised: u64,
    pub fin: bool,
    /// The program shut this direction.
    pub shut: bool,
    pub capacity: usize,
}

impl Tcp {
    pub fn new(host: HostId, domain: Domain) -> Self {
        Self {
            host,
            state: State::Closed,
            attempt: Attempt::None,
            local: Endpoint::unbound(domain),
            remote: Endpoint::unbound(domain),
            bound: false,
            peer: None,
            peer_host: HostId(0),
            connection: 0,
            initiated: false,
            orphan: false,
            closed_first: false,
            finished_at: None,
            send: Sending::new(BUFFER),
            receive: Receiving { capacity: BUFFER, advertised: BUFFER as u64, ..Receiving::default() },
            syn: Syn::default(),
            listener: None,
            listening: Listening::default(),
            keepalive_at: None,
            keepalive_probes: 0,
            last_heard: Instant::START,
        }
    }

    /// The state of a socket whose attempt to connect failed: as new, but its buffers keep their sizes.
    pub fn renew(&mut self, domain: Domain) {
        let kept = if self.bound { self.local } else { Endpoint::unbound(domain) };
        let mut fresh = Self { local: kept, bound: self.bound, ..Self::new(self.host, domain) };
        fresh.inherit(self);
        *self = fresh;
    }

    /// Takes over what an accepted connection has from its listener.
    pub fn inherit(&mut self, listener: &Self) {
        self.send.capacity = listener.send.capacity;
        self.send.user_timeout = listener.send.user_timeout;
        self.receive.capacity = listener.receive.capacity;
        self.receive.advertised = listener.receive.capacity as u64;
    }

    /// Ends the connection on this side: what was under way or unsent is dropped, what arrived stays readable.
    pub fn finish(&mut self, now: Instant) {
        self.state = State::Finished;
        self.finished_at = Some(now);
        self.send.queue.clear();
        self.send.rto_at = None;
        self.receive.wire.clear();
        self.syn.timer_at = None;
        self.keepalive_at = None;
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Established | State::SynReceived)
    }

    /// The state by its number in the kernel (`tcpi_state`).
    pub fn state_number(&self) -> u8 {
        match self.state {
            State::SynSent => 2,
            State::SynReceived => 3,
            State::Closed | State::Finished => 7,
            State::Listen => 10,
            State::Established => match (self.send.fin, self.receive.fin, self.send.outstanding()) {
                (false, false, _) => 1,
                (true, false, true) => 4,
                (true, false, false) => 5,
                (false, true, _) => 8,
                (true, true, _) => 9,
            },
        }
    }

    pub fn read_over(&self) -> bool {
        self.receive.shut || self.receive.fin || self.state == State::Finished
    }

    pub fn write_over(&self) -> bool {
        self.send.fin || self.state == State::Finished
    }

    /// tcp(7) and epoll_ctl(2), as tcp_poll tells it.
    pub fn readiness(&self, error: Option<Errno>) -> Ready {
        if self.state == State::Listen {
            return Ready::IN.when(!self.listening.accepted.is_empty());
        }
        let (read_over, write_over) = (self.read_over(), self.write_over());
        let mut ready = Ready::ERR.when(error.is_some());
        ready |= Ready::HUP.when((read_over && write_over) || self.state == State::Closed);
        ready |= (Ready::IN | Ready::RDHUP).when(read_over);
        if self.state != State::SynSent {
            ready |= Ready::IN.when(self.receive.bytes > 0);
            ready |= Ready::OUT.when(write_over || self.send.is_writable());
        }
        ready
    }
}

impl Sending {
    pub fn new(capacity: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            written: 0,
            sent: 0,
            acked: 0,
            edge: 0,
            fin: false,
            stuck: false,
            rto: RTO_MIN,
            rto_at: None,
            unacked_since: None,
            last_arrival: Instant::START,
            capacity,
            user_timeout: Span::ZERO,
        }
    }

    /// The sequence number after the last thing to send.
    pub fn end(&self) -> u64 {
        self.written + u64::from(self.fin)
    }

    pub fn outstanding(&self) -> bool {
        self.acked < self.end()
    }

    /// Bytes that the program has written and the peer has not acknowledged.
    pub fn used(&self) -> usize {
        usize::try_from(self.written.saturating_sub(self.acked)).unwrap_or(usize::MAX)
    }

    pub fn space(&self) -> usize {
        self.capacity.saturating_sub(self.used())
    }

    /// A third of the buffer is free: what Linux asks for before it reports OUT.
    pub fn is_writable(&self) -> bool {
        self.space() >= self.used() / 2 && self.space() > 0
    }

    /// Cuts `data` into segments and queues them.
    pub fn push(&mut self, data: &[u8], now: Instant, rng: &mut Rng) {
        let mut rest = data;
        while !rest.is_empty() {
            let (segment, tail) = rest.split_at(segment_length(rest.len(), rng));
            self.queue.push_back(Item::Data(segment.to_vec()));
            rest = tail;
        }
        self.written += data.len() as u64;
        self.unacked_since.get_or_insert(now);
    }

    /// Ends the direction.
    pub fn push_fin(&mut self, now: Instant) {
        self.fin = true;
        self.queue.push_back(Item::Fin);
        self.unacked_since.get_or_insert(now);
    }

    /// Takes the next item that may be sent now, cut to the peer's window, and counts it as sent.
    pub fn next_item(&mut self) -> Option<Item> {
        if self.stuck {
            return None;
        }
        let room = usize::try_from(self.edge.saturating_sub(self.sent)).unwrap_or(usize::MAX);
        match self.queue.front_mut()? {
            Item::Fin => {}
            Item::Data(_) if room == 0 => return None,
            Item::Data(data) if data.len() > room => {
                let rest = data.split_off(room);
                self.queue.insert(1, Item::Data(rest));
            }
            Item::Data(_) => {}
        }
        let item = self.queue.pop_front()?;
        self.sent += item.length();
        Some(item)
    }

    /// Takes back an item that the wire did not carry; it waits for the retransmission timer.
    pub fn put_back(&mut self, item: Item) {
        self.sent -= item.length();
        self.queue.push_front(item);
        self.stuck = true;
    }

    /// How long data may stay unacknowledged.
    pub fn patience(&self) -> Span {
        if self.user_timeout == Span::ZERO { GIVE_UP } else { self.user_timeout }
    }

    pub fn back_off(&mut self) {
        self.rto = Span(self.rto.0.saturating_mul(2)).min(RTO_MAX);
    }

    /// Takes an acknowledgement in; duplicates and old ones change nothing but prove that the peer is there.
    pub fn acknowledge(&mut self, ack: u64, edge: u64, now: Instant) {
        if ack > self.acked {
            self.rto = RTO_MIN;
        }
        self.acked = self.acked.max(ack);
        self.edge = self.edge.max(edge);
        self.unacked_since = self.outstanding().then_some(now);
        if !self.outstanding() {
            self.rto_at = None;
        }
    }
}

impl Receiving {
    pub fn push(&mut self, data: Vec<u8>) {
        self.bytes += data.len();
        self.received += data.len() as u64;
        self.ready.push_back(data);
    }

    /// The sequence number that is expected next.
    pub fn ack(&self) -> u64 {
        self.received + u64::from(self.fin)
    }

    /// The sequence number before which there is room.
    pub fn edge(&self) -> u64 {
        self.received - self.bytes as u64 + self.capacity as u64
    }

    /// So much was read since the peer was last told that it should hear of it.
    pub fn owes_update(&self) -> bool {
        self.edge().saturating_sub(self.advertised) >= (self.capacity as u64 / 4).max(1)
    }

    /// Up to `max` bytes in order, left in place when `peek`.
    pub fn read(&mut self, max: usize, peek: bool) -> Vec<u8> {
        let wanted = max.min(self.bytes);
        if !peek && self.offset == 0 && self.ready.front().is_some_and(|first| first.len() == wanted) {
            self.bytes -= wanted;
            return self.ready.pop_front().unwrap_or_default();
        }
        let mut bytes = Vec::with_capacity(wanted);
        let mut start = self.offset;
        for chunk in &self.ready {
            let end = chunk.len().min(start + wanted - bytes.len());
            bytes.extend_from_slice(&chunk[start..end]);
            start = 0;
            if bytes.len() == wanted {
                break;
            }
        }
        if !peek {
            self.consume(wanted);
        }
        bytes
    }

    fn consume(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(first) = self.ready.front() {
            let left = first.len() - self.offset;
            if count < left {
                self.offset += count;
                return;
            }
            count -= left;
            self.offset = 0;
            self.ready.pop_front();
        }
    }
}

impl Item {
    /// The sequence numbers it takes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Fin => 1,
        }
    }
}

/// Where to cut: mostly bursts as offloading makes them, at times a few full frames, rarely anywhere, so that
/// programs meet partial reads.
fn segment_length(len: usize, rng: &mut Rng) -> usize {
    let draw = rng.next_u32();
    let (choice, amount) = (draw % 64, (draw >> 6) as usize);
    match choice {
        0 if len > 1 => (1 + amount % (len - 1)).min(BURST),
        1..=8 => len.min(MSS * (1 + amount % 4)),
        _ => len.min(BURST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::split;

    #[test]
    fn reads_cross_segments_and_peeks_leave_them() {
        let mut receiving = Receiving { capacity: 100, ..Receiving::default() };
        receiving.push(b"hello ".to_vec());
        receiving.push(b"world".to_vec());
        assert_eq!(receiving.read(8, true), b"hello wo");
        assert_eq!(receiving.read(2, false), b"he");
        assert_eq!(receiving.read(6, false), b"llo wo");
        assert_eq!(receiving.read(9, false), b"rld");
        assert_eq!((receiving.bytes, receiving.edge()), (0, 111));
    }

    #[test]
    fn the_window_cuts_a_segment() {
        let mut sending = Sending::new(1_000);
        sending.edge = 4;
        sending.queue.push_back(Item::Data(b"abcdef".to_vec()));
        sending.written = 6;
        assert!(matches!(sending.next_item(), Some(Item::Data(data)) if data == b"abcd"));
        assert!(sending.next_item().is_none());
        sending.edge = 100;
        assert!(matches!(sending.next_item(), Some(Item::Data(data)) if data == b"ef"));
    }

    #[test]
    fn cuts_are_within_bounds_and_sometimes_odd() {
        let mut rng = split(7, "cut");
        let cuts: Vec<usize> = (0..2_000).map(|_| segment_length(10_000, &mut rng)).collect();
        assert!(cuts.iter().all(|&cut| (1..=10_000).contains(&cut)));
        assert!(cuts.iter().any(|cut| cut % MSS != 0 && *cut != 10_000));
        assert!(cuts.iter().filter(|&&cut| cut == 10_000).count() > 1_500);
    }
}
