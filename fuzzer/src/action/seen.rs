//! Events of a run so far, by node and key: what an action can be aimed at.

use crate::fault::Node;
use interceptor::event::{Event, EventKind, HostId};
use interceptor::timeline::key;
use std::collections::BTreeMap;

/// The key of all answers that clients got.
pub(super) const ANSWER: &str = "client:ok";
/// The key of all syncs.
pub(super) const SYNC: &str = "fsync";

/// With what the keys of all reports begin.
pub(super) const REPORT: &str = "report";

/// How often each kind of event happened, since the cluster was ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    counts: BTreeMap<(HostId, String), u32>,
}

impl Seen {
    /// Takes note of an event.
    pub fn take(&mut self, event: &Event) {
        if matches!(event.kind, EventKind::Fault { .. }) {
            return;
        }
        let count = self.counts.entry((event.host, key::of(&event.kind))).or_default();
        *count = count.saturating_add(1);
    }

    /// Events that a trigger of this key would have counted by now; `None`: on any host.
    #[must_use]
    pub fn count(&self, node: Option<Node>, event: &str) -> u32 {
        let host = node.map(host);
        let counts = self
            .counts
            .iter()
            .filter(|((on, key), _)| host.is_none_or(|host| host == *on) && key::continues(key, event));
        counts.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Keys of events of a node that begin with this word.
    #[must_use]
    pub fn keys(&self, node: Node, stem: &str) -> Vec<&str> {
        let all = self.counts.keys().filter(|(on, key)| *on == host(node) && key::continues(key, stem));
        all.map(|(_, key)| key.as_str()).collect()
    }
}

fn host(node: Node) -> HostId {
    HostId(u16::from(node.0.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::time::Instant;

    #[test]
    fn events_are_counted_as_triggers_count_them() {
        let mut seen = Seen::default();
        let mut take = |host, kind| seen.take(&Event { at: Instant(1), host: HostId(host), kind });
        take(0, EventKind::Fsync { failed: false });
        take(0, EventKind::Fsync { failed: true });
        take(1, EventKind::Fsync { failed: false });
        take(5, EventKind::Client { label: "ok:write".into() });
        take(5, EventKind::Client { label: "info:write".into() });
        take(0, EventKind::Fault { label: "kill n1".into(), on: true });
        assert_eq!((seen.count(Some(Node(1)), SYNC), seen.count(None, SYNC)), (2, 3));
        assert_eq!((seen.count(None, ANSWER), seen.count(Some(Node(3)), SYNC)), (1, 0));
        assert_eq!(seen.keys(Node(1), SYNC), ["fsync", "fsync:failed"]);
        assert!(seen.keys(Node(1), "fault").is_empty());
    }
}
