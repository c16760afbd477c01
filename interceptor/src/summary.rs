//! The summary: what a window of the timeline amounts to.
//!
//! A window's **features** say which kinds of events happened in which role, in which order on one node, what
//! followed a message on its receiver, what happened concurrently on two nodes, and how the nodes see
//! themselves. They speak of roles, never of node numbers: nodes that play the same part must not multiply what is seen.
//! Roles are what nodes say of themselves, or else who sends to all others.
//! How the nodes **stand** to each other at its end is told besides.
//!
//! Everything here is a function of the timeline and the window. Owner of the roles of the nodes as of the
//! last window, and of the [`Dictionary`] that says what features mean.

pub mod coverage;
mod feature;
mod kinds;
mod node;
#[cfg(test)]
mod tests;
mod traffic;
mod window;

pub use coverage::CoverageMap;
pub use feature::{CLASSES, CLUSTER, CONCURRENT, Dictionary, ORDERS, class_of};
pub use node::{FOLLOWS, LEADS, Standing};

use crate::event::{Event, EventKind, HostId};
use crate::timeline::Timeline;
use feature::Tag;
use kinds::Kinds;
use node::Cluster;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use traffic::Traffic;
use window::Window;

/// Events of a window that are looked at for features; later ones only change the roles and faults that hold
/// at its end.
pub const EVENTS_MAX: usize = 400;

/// Most faults followed at one time.
const FAULTS_MAX: usize = 256;

/// What a window amounts to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSummary {
    /// Its features, sorted, without repeats.
    pub features: Vec<u64>,
    /// How the nodes stand to each other at its end.
    pub standing: Standing,
}

/// Summarises the windows of one run, in order.
pub struct Summarizer {
    cluster: Cluster,
    traffic: Traffic,
    kinds: Kinds,
    /// Number of the (role, kind) of every event before `ids.len()`.
    ids: Vec<u16>,
    faults: BTreeMap<(HostId, String), u32>,
    window: Window,
    dictionary: Dictionary,
}

impl Summarizer {
    /// For a run whose hosts `0..nodes` are nodes and the others clients.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self::with_dictionary(nodes, Dictionary::default())
    }

    /// The same, going on with the dictionary of earlier runs, which has no influence on features.
    #[must_use]
    pub fn with_dictionary(nodes: usize, dictionary: Dictionary) -> Self {
        Self {
            cluster: Cluster::new(nodes),
            traffic: Traffic::new(nodes),
            kinds: Kinds::default(),
            ids: Vec::new(),
            faults: BTreeMap::new(),
            window: Window::new(nodes),
            dictionary,
        }
    }

    /// Summarises the events `range` of the timeline. Windows are given in order; an earlier one than the
    /// last is possible, and costs as much as all before it together.
    pub fn window(&mut self, timeline: &Timeline, range: Range<usize>) -> WindowSummary {
        let end = range.end.min(timeline.len());
        let start = range.start.min(end);
        if start < self.ids.len() {
            self.ids.clear();
            self.faults.clear();
            self.cluster.forget();
            self.traffic.forget();
        }
        for index in self.ids.len()..end {
            let id = self.kinds.of(timeline, index, self.cluster.role(timeline.events()[index].host));
            self.ids.push(id);
            self.follow(&timeline.events()[index]);
        }
        let looked_at = start..end.min(start + EVENTS_MAX);
        let mut features = Vec::new();
        self.window.features(
            timeline,
            looked_at,
            &self.ids,
            &self.kinds,
            &mut self.dictionary,
            &mut features,
        );
        let active = self.active();
        for fault in &active {
            features.push(self.dictionary.note(Tag::Fault, fault, ""));
        }
        for colour in self.cluster.colours().iter().collect::<BTreeSet<_>>() {
            features.push(self.dictionary.note(Tag::Colour, colour, ""));
        }
        features.push(self.dictionary.note(Tag::Cluster, &self.cluster.colours().join(" | "), ""));
        features.sort_unstable();
        features.dedup();
        WindowSummary { features, standing: self.cluster.standing() }
    }

    /// Names of the faults that are active, without victims and figures.
    fn active(&self) -> BTreeSet<String> {
        self.faults.keys().map(|(_, label)| kinds::stem(label)).collect()
    }

    fn follow(&mut self, event: &Event) {
        self.cluster.follow(event);
        self.traffic.follow(event);
        self.cluster.suppose(self.traffic.leader());
        if let EventKind::Fault { label, on } = &event.kind {
            let key = (event.host, label.clone());
            if *on {
                if self.faults.len() < FAULTS_MAX || self.faults.contains_key(&key) {
                    *self.faults.entry(key).or_default() += 1;
                }
            } else if let Some(count) = self.faults.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.faults.remove(&key);
                }
            }
        }
    }

    /// The node that leads by what was sent until the end of the last window, where no node says what it is.
    #[must_use]
    pub fn supposed_leader(&self) -> Option<usize> {
        self.traffic.leader().filter(|_| !self.cluster.is_told())
    }

    /// What a feature means, if the dictionary still had room for it.
    #[must_use]
    pub fn explain(&self, feature: u64) -> Option<String> {
        self.dictionary.explain(feature)
    }

    /// The dictionary, to go on with in the next run.
    #[must_use]
    pub fn into_dictionary(self) -> Dictionary {
        self.dictionary
    }
}
