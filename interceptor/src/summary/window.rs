//! The pairs of a window, found with bit sets over the numbers of (role, kind) pairs: the cost grows with the
//! number of events, not with its square.

use super::feature::{self, Dictionary, Tag};
use super::kinds::{KINDS_MAX, Kinds};
use crate::event::EventKind;
use crate::timeline::Timeline;
use std::ops::Range;

const WORDS: usize = KINDS_MAX / 64;

/// A set of kinds.
type Set = [u64; WORDS];

fn contains(set: &Set, kind: usize) -> bool {
    set[kind / 64] >> (kind % 64) & 1 == 1
}

fn insert(set: &mut Set, kind: usize) {
    set[kind / 64] |= 1 << (kind % 64);
}

fn members(set: &Set) -> impl Iterator<Item = usize> + use<> {
    let set = *set;
    set.into_iter().enumerate().flat_map(|(word, bits)| {
        let mut bits = bits;
        std::iter::from_fn(move || {
            let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
            bits &= bits - 1;
            Some(word * 64 + bit)
        })
    })
}

/// A relation between kinds; in the window, and which parts of it the dictionary has been told already.
struct Relation {
    tag: Tag,
    rows: Vec<Set>,
    told: Vec<Set>,
}

impl Relation {
    fn new(tag: Tag) -> Self {
        Self { tag, rows: vec![[0; WORDS]; KINDS_MAX], told: vec![[0; WORDS]; KINDS_MAX] }
    }

    fn add_all(&mut self, row: usize, set: &Set) {
        self.rows[row].iter_mut().zip(set).for_each(|(own, more)| *own |= more);
    }

    /// Moves the relation of this window into `out`, with `order` of the two kinds of a pair.
    fn drain(
        &mut self,
        kinds: &Kinds,
        order: impl Fn(usize, usize) -> (usize, usize),
        dictionary: &mut Dictionary,
        out: &mut Vec<u64>,
    ) {
        for row in 0..kinds.len() {
            let set = std::mem::replace(&mut self.rows[row], [0; WORDS]);
            for column in members(&set) {
                let (a, b) = order(row, column);
                let feature = feature::number(self.tag, kinds.hash(a), kinds.hash(b));
                if !contains(&self.told[a], b) {
                    insert(&mut self.told[a], b);
                    dictionary.insert(feature, self.tag, kinds.name(a), kinds.name(b));
                }
                out.push(feature);
            }
        }
    }
}

/// Room for the work on one window, used again for the next.
pub(super) struct Window {
    /// Of each node, its events in the window.
    events: Vec<Vec<usize>>,
    happened: Set,
    told: Set,
    /// For each kind, those that first came before it on some node.
    before: Relation,
    reaction: Relation,
    concurrent: Relation,
}

impl Window {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            events: vec![Vec::new(); nodes],
            happened: [0; WORDS],
            told: [0; WORDS],
            before: Relation::new(Tag::Before),
            reaction: Relation::new(Tag::Reaction),
            concurrent: Relation::new(Tag::Concurrent),
        }
    }

    /// Appends the features of the events `range` to `out`; `ids` has the kind of every event up to the
    /// range's end.
    pub(super) fn features(
        &mut self,
        timeline: &Timeline,
        range: Range<usize>,
        ids: &[u16],
        kinds: &Kinds,
        dictionary: &mut Dictionary,
        out: &mut Vec<u64>,
    ) {
        let kind_of = |event: usize| usize::from(ids[event]);
        self.events.iter_mut().for_each(Vec::clear);
        self.happened = [0; WORDS];
        for event in range {
            insert(&mut self.happened, kind_of(event));
            if let Some(events) = self.events.get_mut(usize::from(timeline.events()[event].host.0)) {
                events.push(event);
            }
        }
        for kind in members(&self.happened) {
            let feature = feature::number(Tag::Kind, kinds.hash(kind), feature::hash(""));
            if !contains(&self.told, kind) {
                insert(&mut self.told, kind);
                dictionary.insert(feature, Tag::Kind, kinds.name(kind), "");
            }
            out.push(feature);
        }
        for events in &self.events {
            first_occurrences(events, kind_of, &mut self.before);
            reactions(timeline, events, kind_of, &mut self.reaction);
        }
        for (x, on_x) in self.events.iter().enumerate() {
            for (y, on_y) in self.events.iter().enumerate().skip(x + 1) {
                concurrent(timeline, (x, on_x), (y, on_y), kind_of, &mut self.concurrent);
            }
        }
        self.before.drain(kinds, |later, earlier| (earlier, later), dictionary, out);
        self.reaction.drain(kinds, |send, next| (send, next), dictionary, out);
        // Unordered pairs are written in the order of their hashes, which does not depend on who came first.
        let sorted = |a, b| if kinds.hash(a) <= kinds.hash(b) { (a, b) } else { (b, a) };
        self.concurrent.drain(kinds, sorted, dictionary, out);
    }
}

/// Which kinds first occurred on the node before which others did.
fn first_occurrences(events: &[usize], kind_of: impl Fn(usize) -> usize, before: &mut Relation) {
    let mut seen = [0; WORDS];
    for event in events {
        let kind = kind_of(*event);
        if !contains(&seen, kind) {
            before.add_all(kind, &seen);
            insert(&mut seen, kind);
        }
    }
}

/// For each message received: its sending, and what the receiver did next that was not receiving.
fn reactions(
    timeline: &Timeline,
    events: &[usize],
    kind_of: impl Fn(usize) -> usize,
    reaction: &mut Relation,
) {
    let mut next = None;
    for event in events.iter().rev() {
        if !matches!(timeline.events()[*event].kind, EventKind::Receive { .. }) {
            next = Some(kind_of(*event));
        } else if let (Some(next), Some(send)) = (next, timeline.send_of(*event)) {
            insert(&mut reaction.rows[kind_of(send)], next);
        }
    }
}

/// Which kinds on node `x` were concurrent with which on node `y`. The events of `y` that are concurrent with
/// one of `x` lie between the last that it knows of and the first that knows of it, and both bounds only move
/// forward.
fn concurrent(
    timeline: &Timeline,
    (x, on_x): (usize, &[usize]),
    (y, on_y): (usize, &[usize]),
    kind_of: impl Fn(usize) -> usize,
    relation: &mut Relation,
) {
    let mut count = [0_u16; KINDS_MAX];
    let mut between: Set = [0; WORDS];
    let (mut low, mut high) = (0, 0);
    for event in on_x {
        let clock = timeline.clock(*event);
        while high < on_y.len() && timeline.clock(on_y[high])[x] < clock[x] {
            let kind = kind_of(on_y[high]);
            count[kind] += 1;
            insert(&mut between, kind);
            high += 1;
        }
        while low < high && timeline.clock(on_y[low])[y] <= clock[y] {
            let kind = kind_of(on_y[low]);
            count[kind] -= 1;
            if count[kind] == 0 {
                between[kind / 64] &= !(1 << (kind % 64));
            }
            low += 1;
        }
        relation.add_all(kind_of(*event), &between);
    }
}
