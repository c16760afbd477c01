//! The timeline: the events of one execution in the order they happened, with a vector clock for each.
//!
//! Happens-before is Lamport's: the order of events on one host, and a message's sending before its receipt,
//! closed under transitivity. A host counts as one process: threads of a node are ordered by when the shim
//! saw them.
//!
//! Owner of the events of a run. It takes at most as many as it was told to hold and counts the rest. It must
//! not read a clock of the machine or depend on anything but the events pushed.

pub mod capture;
mod describe;
pub mod key;
pub mod shiviz;
pub mod space_time;
#[cfg(test)]
mod tests;

pub use capture::{Capture, Datagram, Flow};
pub use describe::describe;
pub use key::Pattern;

use crate::event::{Event, EventKind, HostId, MessageId};
use std::collections::BTreeMap;

/// Events a timeline holds unless told otherwise.
pub const EVENTS_MAX: usize = 1 << 18;

/// Distinct event keys of a run; events with further ones are counted under the key `other`.
pub const KEYS_MAX: usize = 2048;

const ABSENT: u32 = u32::MAX;

/// The events of one execution.
#[derive(Clone, Debug)]
pub struct Timeline {
    hosts: usize,
    limit: usize,
    events: Vec<Event>,
    /// One row of `hosts` components for each event: how many events of each host are in its past, itself
    /// included.
    clocks: Vec<u32>,
    /// Number of the key of each event.
    keys: Vec<u32>,
    key_names: Vec<String>,
    key_numbers: BTreeMap<String, u32>,
    /// Events by key, host and peer, dropped ones included.
    counts: BTreeMap<(u32, HostId, Option<HostId>), u64>,
    messages: Vec<Passage>,
    /// The last event of each host.
    last: Vec<u32>,
    dropped: u64,
    scratch: String,
}

/// A message's way: the events of its sending and of its first receipt.
#[derive(Clone, Copy, Debug)]
struct Passage {
    message: MessageId,
    send: u32,
    receive: u32,
}

impl Timeline {
    /// An empty timeline of a cluster with `hosts` hosts, nodes and clients alike, that holds [`EVENTS_MAX`]
    /// events.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self::bounded(hosts, EVENTS_MAX)
    }

    /// The same for at most `limit` events.
    #[must_use]
    pub fn bounded(hosts: usize, limit: usize) -> Self {
        Self {
            hosts,
            limit: limit.min(ABSENT as usize - 1),
            events: Vec::new(),
            clocks: Vec::new(),
            keys: Vec::new(),
            key_names: Vec::new(),
            key_numbers: BTreeMap::new(),
            counts: BTreeMap::new(),
            messages: Vec::new(),
            last: vec![ABSENT; hosts],
            dropped: 0,
            scratch: String::new(),
        }
    }

    /// Appends an event and returns its index; `None` when the timeline is full, and then the event is only
    /// counted.
    ///
    /// Events come in the order they happened, so a message is sent before it is received. A receipt whose
    /// sending is unknown is a local event.
    ///
    /// # Panics
    /// When the event's host is not one of the timeline's.
    pub fn push(&mut self, event: Event) -> Option<usize> {
        let host = usize::from(event.host.0);
        assert!(host < self.hosts, "event on host {host} of a timeline with {} hosts", self.hosts);
        let key = self.key_number(&event.kind);
        *self.counts.entry((key, event.host, key::peer(&event.kind))).or_default() += 1;
        let index = self.events.len();
        if index >= self.limit {
            self.dropped += 1;
            return None;
        }
        let row = index * self.hosts;
        self.clocks.resize(row + self.hosts, 0);
        let (past, clock) = self.clocks.split_at_mut(row);
        let width = self.hosts;
        let row_of = |event: u32| event as usize * width..(event as usize + 1) * width;
        if self.last[host] != ABSENT {
            clock.copy_from_slice(&past[row_of(self.last[host])]);
        }
        let number = u32::try_from(index).expect("the limit is below the largest u32");
        match &event.kind {
            EventKind::Send { message, .. } => {
                let at = self.messages.partition_point(|passage| passage.message < *message);
                if self.messages.get(at).is_none_or(|passage| passage.message != *message) {
                    self.messages.insert(at, Passage { message: *message, send: number, receive: ABSENT });
                }
            }
            EventKind::Receive { message, .. } => {
                if let Ok(at) = self.messages.binary_search_by_key(message, |passage| passage.message) {
                    let passage = &mut self.messages[at];
                    for (own, sent) in clock.iter_mut().zip(&past[row_of(passage.send)]) {
                        *own = (*own).max(*sent);
                    }
                    passage.receive = passage.receive.min(number);
                }
            }
            _ => {}
        }
        clock[host] += 1;
        self.last[host] = number;
        self.keys.push(key);
        self.events.push(event);
        Some(index)
    }

    fn key_number(&mut self, kind: &EventKind) -> u32 {
        self.scratch.clear();
        key::write(kind, &mut self.scratch);
        if let Some(number) = self.key_numbers.get(&self.scratch) {
            return *number;
        }
        if self.key_names.len() >= KEYS_MAX {
            self.scratch.replace_range(.., key::OTHER);
        }
        let next = u32::try_from(self.key_names.len()).expect("few keys");
        let number = *self.key_numbers.entry(self.scratch.clone()).or_insert(next);
        if number == next {
            self.key_names.push(self.scratch.clone());
        }
        number
    }

    /// How many hosts there are.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// How many events are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// No event is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many events came after the timeline was full; above 0, what is derived from it is of a prefix of
    /// the run.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The events held, in the order they happened.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The vector clock of an event: for each host, how many of its events happened before this one or are
    /// it.
    #[must_use]
    pub fn clock(&self, event: usize) -> &[u32] {
        &self.clocks[event * self.hosts..(event + 1) * self.hosts]
    }

    /// Event `a` is in the past of event `b`.
    #[must_use]
    pub fn happens_before(&self, a: usize, b: usize) -> bool {
        let host = usize::from(self.events[a].host.0);
        a != b && self.clock(b)[host] >= self.clock(a)[host]
    }

    /// Neither event is in the past of the other, and they are not the same.
    #[must_use]
    pub fn concurrent(&self, a: usize, b: usize) -> bool {
        a != b && !self.happens_before(a, b) && !self.happens_before(b, a)
    }

    /// The sending of the message that is received by event `receive`.
    #[must_use]
    pub fn send_of(&self, receive: usize) -> Option<usize> {
        match &self.events[receive].kind {
            EventKind::Receive { message, .. } => self.passage(*message).map(|passage| passage.send as usize),
            _ => None,
        }
    }

    /// The first receipt of the message that is sent by event `send`.
    #[must_use]
    pub fn receive_of(&self, send: usize) -> Option<usize> {
        match &self.events[send].kind {
            EventKind::Send { message, .. } => {
                let receive = self.passage(*message)?.receive;
                (receive != ABSENT).then_some(receive as usize)
            }
            _ => None,
        }
    }

    fn passage(&self, message: MessageId) -> Option<&Passage> {
        let at = self.messages.binary_search_by_key(&message, |passage| passage.message).ok()?;
        Some(&self.messages[at])
    }

    /// The key of an event; see [`key`] for its grammar.
    #[must_use]
    pub fn key(&self, event: usize) -> &str {
        &self.key_names[self.keys[event] as usize]
    }

    /// A number for the key of an event: dense, in order of first appearance, equal for equal keys of this
    /// timeline.
    #[must_use]
    pub fn key_id(&self, event: usize) -> usize {
        self.keys[event] as usize
    }

    /// How many events match, those that were dropped included.
    #[must_use]
    pub fn count(&self, pattern: &Pattern) -> u64 {
        let matching = self.counts.iter().filter(|((key, host, peer), _)| {
            pattern.matches_parts(&self.key_names[*key as usize], *host, *peer)
        });
        matching.map(|(_, count)| count).sum()
    }

    /// The `nth` event held, from 1, that matches.
    #[must_use]
    pub fn nth(&self, pattern: &Pattern, nth: u32) -> Option<usize> {
        let skip = usize::try_from(nth.checked_sub(1)?).ok()?;
        let mut matching = (0..self.len()).filter(|event| {
            let at = &self.events[*event];
            pattern.matches_parts(self.key(*event), at.host, key::peer(&at.kind))
        });
        matching.nth(skip)
    }

    /// Every key with the number of its events, by key.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&str, u64> {
        let mut counts = BTreeMap::new();
        for ((key, ..), count) in &self.counts {
            *counts.entry(self.key_names[*key as usize].as_str()).or_default() += count;
        }
        counts
    }
}
