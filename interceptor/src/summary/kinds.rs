//! The kinds of events by role, numbered for bit sets.

use super::feature;
use crate::timeline::Timeline;
use std::collections::BTreeMap;

/// Most (role, kind) pairs of a run; events of further ones count as the last.
pub(super) const KINDS_MAX: usize = 512;

/// The name of all events past the bound.
const OVERFLOW: &str = "any other event";

const UNSEEN: u16 = u16::MAX;

/// The (role, kind) pairs of a run, in order of first appearance.
#[derive(Default)]
pub(super) struct Kinds {
    names: Vec<String>,
    hashes: Vec<u64>,
    by_name: BTreeMap<String, u16>,
    /// By role, then by key of the timeline: the pair's number.
    by_key: Vec<Vec<u16>>,
}

impl Kinds {
    /// The number of the pair of an event and a role, given by number and name.
    pub(super) fn of(&mut self, timeline: &Timeline, event: usize, (role, role_name): (usize, &str)) -> u16 {
        let key = timeline.key_id(event);
        if self.by_key.len() <= role {
            self.by_key.resize_with(role + 1, Vec::new);
        }
        let known = &mut self.by_key[role];
        if known.len() <= key {
            known.resize(key + 1, UNSEEN);
        }
        if known[key] == UNSEEN {
            let number = self.number(role_name, timeline.key(event));
            self.by_key[role][key] = number;
        }
        self.by_key[role][key]
    }

    fn number(&mut self, role: &str, key: &str) -> u16 {
        let mut name = format!("{role} {}", without_names(key));
        if self.names.len() >= KINDS_MAX - 1 && !self.by_name.contains_key(&name) {
            name.replace_range(.., OVERFLOW);
        }
        if let Some(number) = self.by_name.get(&name) {
            return *number;
        }
        let number = u16::try_from(self.names.len()).expect("few kinds");
        self.hashes.push(feature::hash(&name));
        self.by_name.insert(name.clone(), number);
        self.names.push(name);
        number
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Role and kind in words.
    pub(super) fn name(&self, kind: usize) -> &str {
        &self.names[kind]
    }

    /// The hash of the name.
    pub(super) fn hash(&self, kind: usize) -> u64 {
        self.hashes[kind]
    }
}

/// An event's key, with the labels of faults and client operations cut to their stems.
fn without_names(key: &str) -> String {
    for prefix in ["fault:on:", "fault:off:", "client:"] {
        if let Some(label) = key.strip_prefix(prefix) {
            return format!("{prefix}{}", stem(label));
        }
    }
    key.to_owned()
}

/// The first two words of a label that hold no digit: what remains when victims, keys and figures are taken
/// out.
pub(super) fn stem(label: &str) -> String {
    let words = label.split(|c: char| !(c.is_alphanumeric() || "-_:".contains(c)));
    let plain = words.filter(|word| !word.is_empty() && !word.contains(|c: char| c.is_ascii_digit()));
    plain.take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{stem, without_names};

    #[test]
    fn stems_are_free_of_victims_and_figures() {
        let stems = [
            ("kill n1", "kill"),
            ("partition n1 | n2 n3 for 300ms", "partition for"),
            ("read(k3) ok", "read ok"),
            ("write ok k=1", "write ok"),
            ("17", ""),
        ];
        for (label, expected) in stems {
            assert_eq!(stem(label), expected);
        }
        assert_eq!(without_names("fault:on:pause n2"), "fault:on:pause");
        assert_eq!(without_names("send:GET /v3/kv"), "send:GET /v3/kv");
    }
}
