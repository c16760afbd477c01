//! The log in memory: the entries after the last snapshot.

use crate::entry::{Entry, Index, Term};

/// Consecutive entries after `base_index`, which the snapshot covers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    base_index: Index,
    base_term: Term,
    entries: Vec<Entry>,
}

impl Log {
    /// A log over a snapshot; `entries` follow `base_index` without a gap.
    pub fn new(base_index: Index, base_term: Term, entries: Vec<Entry>) -> Log {
        Log { base_index, base_term, entries }
    }

    /// The last entry the snapshot covers; 0: no snapshot.
    pub fn base_index(&self) -> Index {
        self.base_index
    }

    /// The last entry; the base if there are none.
    pub fn last_index(&self) -> Index {
        self.base_index + self.entries.len() as Index
    }

    /// The last entry's term.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.base_term, |entry| entry.term)
    }

    /// The term at an index; `None` before the base or after the end.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base_index { Some(self.base_term) } else { self.get(index).map(|entry| entry.term) }
    }

    /// The entry at an index, unless compacted or not there yet.
    pub fn get(&self, index: Index) -> Option<&Entry> {
        let offset = index.checked_sub(self.base_index + 1)?;
        self.entries.get(offset as usize)
    }

    /// All entries after the base.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Up to `count_max` entries from `from` on, all of the term of the first.
    pub fn batch(&self, from: Index, count_max: usize) -> Vec<Entry> {
        let offset = from.saturating_sub(self.base_index + 1) as usize;
        let rest = self.entries.get(offset..).unwrap_or_default();
        let term = rest.first().map(|entry| entry.term);
        rest.iter().take(count_max).take_while(|entry| Some(entry.term) == term).cloned().collect()
    }

    /// The first index of the run of equal terms that ends at `index`.
    pub fn run_start(&self, index: Index) -> Index {
        let term = self.term_at(index);
        let mut start = index;
        while start > self.base_index + 1 && self.term_at(start - 1) == term {
            start -= 1;
        }
        start
    }

    /// Adds an entry at the end.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Removes entries from `from` on.
    pub fn truncate(&mut self, from: Index) {
        self.entries.truncate(from.saturating_sub(self.base_index + 1) as usize);
    }

    /// Moves the base forward to `index`, which is in the log.
    pub fn compact(&mut self, index: Index, term: Term) {
        let gone = (index.saturating_sub(self.base_index) as usize).min(self.entries.len());
        self.entries.drain(..gone);
        (self.base_index, self.base_term) = (index, term);
    }

    /// Drops everything and starts after `index`.
    pub fn reset(&mut self, index: Index, term: Term) {
        *self = Log::new(index, term, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Command;

    fn log(terms: &[Term]) -> Log {
        let entry =
            |(at, &term): (usize, &Term)| Entry { index: 11 + at as Index, term, command: Command::Noop };
        Log::new(10, 1, terms.iter().enumerate().map(entry).collect())
    }

    #[test]
    fn indices_count_from_the_base() {
        let log = log(&[2, 2, 3]);
        assert_eq!((log.last_index(), log.last_term()), (13, 3));
        assert_eq!(
            [9, 10, 11, 13, 14].map(|index| log.term_at(index)),
            [None, Some(1), Some(2), Some(3), None]
        );
        assert_eq!(log.run_start(12), 11);
        assert_eq!(log.batch(11, 9).len(), 2);
        assert_eq!(log.batch(13, 9).len(), 1);
        assert!(log.batch(14, 9).is_empty());
    }

    #[test]
    fn compaction_and_truncation_move_the_ends() {
        let mut log = log(&[2, 2, 3]);
        log.truncate(13);
        log.compact(11, 2);
        assert_eq!((log.base_index(), log.last_index(), log.last_term()), (11, 12, 2));
        log.reset(20, 4);
        assert_eq!((log.last_index(), log.term_at(20)), (20, Some(4)));
    }
}
