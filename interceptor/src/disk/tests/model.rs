//! A naive model of durability: it keeps every change ever made and folds the right ones.

use crate::disk::Loss;
use proptest::prelude::{TestCaseError, prop_assert, prop_assert_eq};
use std::collections::BTreeMap;

/// Files with their bytes, directories without.
pub(super) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// What a name leads to in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inode {
    File(usize),
    Dir(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

/// Per byte, because a range sync makes part of a write durable.
#[derive(Clone, Debug)]
pub(super) struct Change {
    seq: usize,
    edit: Edit,
    durable: Vec<bool>,
    /// A sync of it failed.
    failed: Vec<bool>,
}

pub(super) type Names = BTreeMap<String, Inode>;

/// What Linux writes at once.
const PAGE: usize = 4096;

/// Everything that ever happened since the last loss; nothing is dropped, nothing is undone.
#[derive(Default)]
pub(super) struct Model {
    start: Vec<Vec<u8>>,
    changes: Vec<Vec<Change>>,
    /// The names at first and after every change, with its place and the directories it touches.
    history: Vec<(usize, Vec<usize>, Names)>,
    durable_names: usize,
    inodes: usize,
    seq: usize,
    /// Mapped files by their virtual number, with what they hold: stores to them become changes when they are looked for, one
    /// a page.
    mapped: BTreeMap<u64, (usize, Vec<u8>)>,
}

impl Model {
    /// A model in which all of `tree` is durable. Hard links are told by `same`.
    pub(super) fn of(tree: &Tree, same: &dyn Fn(&str, &str) -> bool) -> Self {
        let mut model = Self { inodes: 1, ..Self::default() };
        let mut names: Names = BTreeMap::from([(String::new(), Inode::Dir(0))]);
        for (name, bytes) in tree {
            let inode = match bytes {
                None => model.fresh_dir(),
                Some(bytes) => match names
                    .iter()
                    .find(|(other, inode)| matches!(inode, Inode::File(_)) && same(other, name))
                {
                    Some((_, inode)) => *inode,
                    None => model.fresh_file(bytes.clone()),
                },
            };
            names.insert(name.clone(), inode);
        }
        model.history.push((0, Vec::new(), names));
        model
    }

    pub(super) fn fresh_dir(&mut self) -> Inode {
        self.inodes += 1;
        Inode::Dir(self.inodes)
    }

    pub(super) fn fresh_file(&mut self, bytes: Vec<u8>) -> Inode {
        self.start.push(bytes);
        self.changes.push(Vec::new());
        Inode::File(self.start.len() - 1)
    }

    pub(super) fn names(&self) -> &Names {
        &self.history.last().expect("the names at first").2
    }

    pub(super) fn file(&self, name: &str) -> Option<usize> {
        match self.names().get(name) {
            Some(Inode::File(file)) => Some(*file),
            _ => None,
        }
    }

    pub(super) fn dir(&self, name: &str) -> Option<usize> {
        match self.names().get(name) {
            Some(Inode::Dir(dir)) => Some(*dir),
            _ => None,
        }
    }

    /// A change by a call, which looks for stores where it changes.
    pub(super) fn edit(&mut self, file: usize, edit: Edit) {
        self.look(
            file,
            match &edit {
                Edit::Write { offset, data } => *offset..offset + data.len(),
                Edit::SetLen(len) => *len..usize::MAX,
            },
        );
        if let Some((_, bytes)) = self.mapped.values_mut().find(|(other, _)| *other == file) {
            match &edit {
                Edit::Write { offset, data } => {
                    bytes.resize(bytes.len().max(offset + data.len()), 0);
                    bytes[*offset..offset + data.len()].copy_from_slice(data);
                }
                Edit::SetLen(len) => bytes.resize(*len, 0),
            }
        }
        self.change(file, edit);
    }

    fn change(&mut self, file: usize, edit: Edit) {
        self.seq += 1;
        let bytes = if let Edit::Write { data, .. } = &edit { data.len() } else { 1 };
        let no = vec![false; bytes];
        self.changes[file].push(Change { seq: self.seq, edit, durable: no.clone(), failed: no });
    }

    pub(super) fn map(&mut self, file: usize, number: u64) {
        let bytes = self.bytes(file, &|_| usize::MAX);
        self.mapped.entry(number).or_insert((file, bytes));
    }

    /// A store to a mapped file; how much of it fits.
    pub(super) fn store(&mut self, file: usize, offset: usize, data: &[u8]) -> usize {
        let Some((_, bytes)) = self.mapped.values_mut().find(|(other, _)| *other == file) else { return 0 };
        let fits = bytes.len().saturating_sub(offset).min(data.len());
        if fits > 0 {
            bytes[offset..offset + fits].copy_from_slice(&data[..fits]);
        }
        fits
    }

    /// Stores to pages within reach of a range become changes.
    fn look(&mut self, file: usize, range: std::ops::Range<usize>) {
        let Some((_, now)) = self.mapped.values().find(|(other, _)| *other == file) else { return };
        let (now, known) = (now.clone(), self.bytes(file, &|_| usize::MAX));
        for offset in (0..now.len()).step_by(PAGE) {
            let page = offset..(offset + PAGE).min(now.len());
            let reached = offset < range.end && range.start < offset + PAGE;
            if reached && known[page.clone()] != now[page.clone()] {
                self.change(file, Edit::Write { offset, data: now[page].to_vec() });
            }
        }
    }

    /// Looks for all stores to all files, in the order of their numbers.
    pub(super) fn look_at_all(&mut self) {
        let files: Vec<usize> = self.mapped.values().map(|(file, _)| *file).collect();
        files.into_iter().for_each(|file| self.look(file, 0..usize::MAX));
    }

    pub(super) fn rename_all(&mut self, touches: &[&str], change: impl FnOnce(&mut Names)) {
        self.seq += 1;
        let mut names = self.names().clone();
        let dirs = touches.iter().filter_map(|name| self.dir(parent(name))).collect();
        change(&mut names);
        self.history.push((self.seq, dirs, names));
    }

    pub(super) fn sync(&mut self, file: usize, fails: bool, range: std::ops::Range<usize>) {
        self.look(file, range.clone());
        let changes = &mut self.changes[file];
        // Pages within reach that hold a byte which no sync has tried to write yet.
        let reach = range.start / PAGE..range.end.div_ceil(PAGE);
        let mut dirty = std::collections::BTreeSet::new();
        for change in changes.iter() {
            if let Edit::Write { offset, data } = &change.edit {
                let volatile = (0..data.len()).filter(|at| !change.durable[*at] && !change.failed[*at]);
                dirty.extend(volatile.map(|at| (offset + at) / PAGE).filter(|page| reach.contains(page)));
            }
        }
        for change in changes {
            let Change { edit, durable, failed, .. } = change;
            let marks = if fails { failed } else { durable };
            match edit {
                Edit::Write { offset, .. } => {
                    for (at, mark) in marks.iter_mut().enumerate() {
                        *mark |= dirty.contains(&((*offset + at) / PAGE));
                    }
                }
                Edit::SetLen(_) => marks[0] = true,
            }
        }
    }

    pub(super) fn sync_dir(&mut self, dir: usize) {
        if let Some(last) = self.history.iter().rposition(|(_, touches, _)| touches.contains(&dir)) {
            self.durable_names = self.durable_names.max(last);
        }
    }

    pub(super) fn sync_all(&mut self) {
        (0..self.start.len()).for_each(|file| self.sync(file, false, 0..usize::MAX));
        self.durable_names = self.history.len() - 1;
    }

    /// The tree as a guest sees it.
    pub(super) fn tree_now(&self) -> Tree {
        let mut tree = self.tree_at(self.seq, usize::MAX);
        for (file, bytes) in self.mapped.values() {
            for (name, _) in self.names().iter().filter(|(_, inode)| **inode == Inode::File(*file)) {
                tree.insert(name.clone(), Some(bytes.clone()));
            }
        }
        tree
    }

    /// Whether each file of `tree` holds what it held after some number of changes, no fewer than are durable.
    pub(super) fn is_written_back(&self, tree: &Tree) -> bool {
        let names = &self.history[self.durable_names].2;
        tree.iter().all(|(name, bytes)| match (names.get(name), bytes) {
            (Some(Inode::File(file)), Some(bytes)) => (0..=self.seq).any(|seq| {
                let survives = |change: &Change| if change.seq <= seq { usize::MAX } else { 0 };
                *bytes == self.bytes(*file, &survives)
            }),
            _ => true,
        })
    }

    /// The bytes of a file when, besides what is durable, so many bytes of each change survive.
    pub(super) fn bytes(&self, file: usize, survives: &dyn Fn(&Change) -> usize) -> Vec<u8> {
        let mut bytes = self.start[file].clone();
        for change in &self.changes[file] {
            let survives = survives(change);
            match &change.edit {
                Edit::Write { offset, data } => {
                    for (at, byte) in data.iter().enumerate() {
                        if change.durable[at] || at < survives {
                            if bytes.len() <= offset + at {
                                bytes.resize(offset + at + 1, 0);
                            }
                            bytes[offset + at] = *byte;
                        }
                    }
                }
                Edit::SetLen(len) if change.durable[0] || survives > 0 => bytes.resize(*len, 0),
                Edit::SetLen(_) => {}
            }
        }
        bytes
    }

    /// The tree with the names at `version`.
    fn tree(&self, version: usize, survives: &dyn Fn(&Change) -> usize) -> Tree {
        let names = self.history[version].2.iter().filter(|(name, _)| !name.is_empty());
        let entry = |(name, inode): (&String, &Inode)| match inode {
            Inode::File(file) => (name.clone(), Some(self.bytes(*file, survives))),
            Inode::Dir(_) => (name.clone(), None),
        };
        names.map(entry).collect()
    }

    /// The tree when everything up to `seq` survives, and `cut` bytes of the change at `seq`.
    fn tree_at(&self, seq: usize, cut: usize) -> Tree {
        let version = self.history.iter().rposition(|(at, _, _)| *at <= seq).expect("the names at first");
        let survives = |change: &Change| match change.seq.cmp(&seq) {
            std::cmp::Ordering::Less => usize::MAX,
            std::cmp::Ordering::Equal => cut,
            std::cmp::Ordering::Greater => 0,
        };
        self.tree(version.max(self.durable_names), &survives)
    }
}

pub(super) fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// Checks the tree after a loss against what the model allows.
pub(super) fn judge(loss: Loss, model: &Model, tree: &Tree) -> Result<(), TestCaseError> {
    match loss {
        Loss::All => prop_assert_eq!(tree, &model.tree(model.durable_names, &|_| 0)),
        Loss::Prefix => {
            prop_assert!((0..=model.seq).any(|seq| tree == &model.tree_at(seq, usize::MAX)), "no prefix");
        }
        Loss::Torn => {
            let writes = model.changes.iter().flatten();
            let mut cuts: Vec<(usize, usize)> = (0..=model.seq).map(|seq| (seq, usize::MAX)).collect();
            for change in writes {
                if let Edit::Write { data, .. } = &change.edit {
                    let fits = model.tree_at(change.seq, 0).keys().eq(tree.keys());
                    cuts.extend((1..data.len()).filter(|_| fits).map(|cut| (change.seq, cut)));
                }
            }
            prop_assert!(cuts.iter().any(|(seq, cut)| tree == &model.tree_at(*seq, *cut)), "no torn prefix");
        }
        Loss::Subset => {
            let versions = model.durable_names..model.history.len();
            let explains = |version: usize| {
                let names = &model.history[version].2;
                let same = names.keys().filter(|name| !name.is_empty()).eq(tree.keys());
                same && names.iter().all(|(name, inode)| match (inode, tree.get(name)) {
                    (Inode::File(file), Some(Some(bytes))) => explained(model, *file, bytes),
                    (Inode::File(_), _) | (Inode::Dir(_), Some(Some(_))) => false,
                    (Inode::Dir(_), _) => true,
                })
            };
            prop_assert!(versions.into_iter().any(explains), "bytes from nowhere");
        }
    }
    Ok(())
}

/// Every sector of the file is the durable one with the first of the pending changes to it laid over it, up to any of them.
/// Changes of length are metadata: each may be there or not.
fn explained(model: &Model, file: usize, bytes: &[u8]) -> bool {
    (0..bytes.len()).step_by(512).all(|start| {
        let sector = start..(start + 512).min(bytes.len());
        let mut start_bytes = vec![0; sector.len()];
        let old = model.start[file].get(start..).unwrap_or_default();
        let known = old.len().min(sector.len());
        start_bytes[..known].copy_from_slice(&old[..known]);
        let runs: Vec<(usize, Laid)> = (model.changes[file].iter().enumerate())
            .flat_map(|(index, change)| laid(change, &sector).into_iter().map(move |run| (index, run)))
            .collect();
        let mut pending: Vec<usize> =
            runs.iter().filter(|(_, run)| run.must == Must::Pending).map(|(index, _)| *index).collect();
        pending.dedup();
        (0..=pending.len()).any(|written| {
            let there = |(index, run): &&(usize, Laid)| {
                run.must != Must::Pending || pending[..written].contains(index)
            };
            let edits: Vec<&Laid> = runs.iter().filter(there).map(|(_, run)| run).collect();
            reaches(&start_bytes, &edits, &bytes[sector.clone()])
        })
    })
}

/// A run of bytes of one change within a sector, from an offset in the sector.
struct Laid {
    at: usize,
    bytes: Vec<u8>,
    must: Must,
}

/// Whether a run is in its sector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Must {
    Be,
    /// With all earlier ones like it, or not.
    Pending,
    /// Or not.
    May,
}

fn laid(change: &Change, sector: &std::ops::Range<usize>) -> Vec<Laid> {
    match &change.edit {
        Edit::SetLen(len) if *len < sector.end => {
            let at = len.max(&sector.start) - sector.start;
            let must = if change.durable[0] { Must::Be } else { Must::May };
            vec![Laid { at, bytes: vec![0; sector.len() - at], must }]
        }
        Edit::SetLen(_) => Vec::new(),
        Edit::Write { offset, data } => {
            let mut runs: Vec<Laid> = Vec::new();
            for at in (*offset).max(sector.start)..(offset + data.len()).min(sector.end) {
                let must = if change.durable[at - offset] { Must::Be } else { Must::Pending };
                match runs.last_mut().filter(|run| run.must == must) {
                    Some(run) => run.bytes.push(data[at - offset]),
                    None => {
                        runs.push(Laid { at: at - sector.start, bytes: vec![data[at - offset]], must });
                    }
                }
            }
            runs
        }
    }
}

/// Can `sector` become `wanted` by these edits, in order, those left out that may be? Looked at from the end: an edit that
/// agrees with `wanted` where no later one decides may as well be taken, for that only leaves fewer bytes to explain.
fn reaches(sector: &[u8], edits: &[&Laid], wanted: &[u8]) -> bool {
    let mut decided = vec![false; wanted.len()];
    for edit in edits.iter().rev() {
        let mut places = (edit.at..).zip(&edit.bytes);
        if places.all(|(at, byte)| decided[at] || wanted[at] == *byte) {
            decided[edit.at..edit.at + edit.bytes.len()].fill(true);
        } else if edit.must != Must::May {
            return false;
        }
    }
    (0..wanted.len()).all(|at| decided[at] || sector[at] == wanted[at])
}
