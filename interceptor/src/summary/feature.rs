//! Features as numbers, and the dictionary that turns them back into words.
//!
//! A feature's number is the FNV-1a hash (64 bits, Fowler, Noll and Vo) of each of its texts, mixed with the
//! finaliser of SplitMix64 (Steele, Lea and Flood, 2014); its last three bits are its class. The numbers are kept in
//! corpora: changing how they are made makes all saved coverage worthless.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Entries of a dictionary unless told otherwise.
pub const ENTRIES_MAX: usize = 1 << 17;

/// What a feature says about its one or two texts. The numbers are part of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tag {
    /// A (role, kind) happened.
    Kind = 1,
    /// On one node, the first of these came before the first of those.
    Before = 2,
    /// A node that received this went on to do that.
    Reaction = 3,
    /// On two nodes, neither in the other's past.
    Concurrent = 4,
    /// A node's own view of itself.
    Colour = 5,
    /// All nodes' views of themselves.
    Cluster = 6,
    /// A fault is active.
    Fault = 7,
}

/// The hash of a text.
pub(super) fn hash(text: &str) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv)
}

/// The number of the feature that says `tag` about the texts with these hashes.
pub(super) fn number(tag: Tag, a: u64, b: u64) -> u64 {
    let mixed = mix(mix(mix(tag as u64).wrapping_add(a)).wrapping_add(b));
    mixed & !CLASS | tag as u64 & CLASS
}

/// The bits of a number that tell its class.
const CLASS: u64 = 7;

/// The class of what came before what on one node.
pub const ORDERS: usize = Tag::Before as usize;
/// The class of what happened concurrently on two nodes.
pub const CONCURRENT: usize = Tag::Concurrent as usize;

/// How many classes of features there are.
pub const CLASSES: usize = 8;

/// The class of features that tell how all nodes see themselves, together.
pub const CLUSTER: usize = Tag::Cluster as usize;

/// The class of a feature, below [`CLASSES`]: what sort of thing it says, whatever about.
#[must_use]
pub fn class_of(feature: u64) -> usize {
    usize::try_from(feature & CLASS).unwrap_or_default()
}

fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What features mean: a bounded map from numbers to words. Once full, it learns nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dictionary {
    limit: usize,
    entries: BTreeMap<u64, (Tag, u32, u32)>,
    texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Default for Dictionary {
    /// Room for 131,072 features.
    fn default() -> Self {
        Self::bounded(ENTRIES_MAX)
    }
}

impl Dictionary {
    /// Room for `limit` features.
    #[must_use]
    pub fn bounded(limit: usize) -> Self {
        Self { limit, entries: BTreeMap::new(), texts: Vec::new(), numbers: BTreeMap::new() }
    }

    /// How many features it can explain.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// It can explain nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What a feature means.
    #[must_use]
    pub fn explain(&self, feature: u64) -> Option<String> {
        let (tag, a, b) = self.entries.get(&feature)?;
        let (a, b) = (self.texts.get(*a as usize)?, self.texts.get(*b as usize)?);
        Some(match tag {
            Tag::Kind => a.clone(),
            Tag::Before => format!("on one node: {a}, then {b}"),
            Tag::Reaction => format!("{a}, and its receiver then: {b}"),
            Tag::Concurrent => format!("on two nodes, unordered: {a}, {b}"),
            Tag::Colour => format!("a node: {a}"),
            Tag::Cluster => format!("the cluster: {a}"),
            Tag::Fault => format!("under fault: {a}"),
        })
    }

    /// Takes over what another dictionary knows.
    pub fn absorb(&mut self, other: &Self) {
        for (feature, (tag, a, b)) in &other.entries {
            if let (Some(a), Some(b)) = (other.texts.get(*a as usize), other.texts.get(*b as usize)) {
                self.insert(*feature, *tag, a, b);
            }
        }
    }

    /// The number of a feature, with its meaning noted.
    pub(super) fn note(&mut self, tag: Tag, a: &str, b: &str) -> u64 {
        let feature = number(tag, hash(a), hash(b));
        self.insert(feature, tag, a, b);
        feature
    }

    pub(super) fn insert(&mut self, feature: u64, tag: Tag, a: &str, b: &str) {
        if self.entries.len() < self.limit && !self.entries.contains_key(&feature) {
            let entry = (tag, self.text(a), self.text(b));
            self.entries.insert(feature, entry);
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("at most two texts for each of few entries");
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::{Dictionary, Tag, class_of, hash, number};

    #[test]
    fn numbers_are_those_of_saved_coverage() {
        assert_eq!(class_of(number(Tag::Cluster, 1, 2)), Tag::Cluster as usize);
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(number(Tag::Before, hash("a"), hash("b")), FIXED);
        assert_ne!(number(Tag::Before, hash("b"), hash("a")), FIXED);
        assert_ne!(number(Tag::Reaction, hash("a"), hash("b")), FIXED);
    }

    /// Made once by this code; see the head of the file.
    const FIXED: u64 = 0x15ab_ccda_4f8b_9bca;

    #[test]
    fn a_dictionary_is_bounded_and_can_be_merged() {
        let mut small = Dictionary::bounded(2);
        let [a, b, c] = ["a", "b", "c"].map(|text| small.note(Tag::Kind, text, ""));
        assert_eq!((small.explain(a), small.explain(b)), (Some("a".into()), Some("b".into())));
        assert_eq!((small.explain(c), small.len()), (None, 2));
        let mut large = Dictionary::default();
        let d = large.note(Tag::Before, "b", "d");
        large.absorb(&small);
        assert_eq!(large.explain(a), Some("a".into()));
        assert_eq!(large.explain(d), Some("on one node: b, then d".into()));
    }
}
