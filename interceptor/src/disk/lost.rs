//! The account of a power loss: how much it took, and which names and files that was.

use super::inodes::InodeKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Most lines that are told of one loss.
const LINES_MAX: usize = 12;

/// What a power loss took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Changes of contents undone, in whole or in part.
    pub data_ops_undone: u64,
    /// Changes of names undone.
    pub name_ops_undone: u64,
    /// A write survived in part.
    pub torn: bool,
    /// Bytes of payload that are gone.
    pub bytes: u64,
    /// Names that are gone, back, or lead to another file, and bytes of files, for people; paths are relative to the node's
    /// directory.
    pub told: Vec<String>,
    /// How much more of that there is.
    pub untold: u64,
}

/// What was lost of one file's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Changes undone, in whole or in part.
    pub(super) changes: u64,
    /// Bytes of payload that are gone.
    pub(super) bytes: u64,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: InodeKey,
    pub(super) is_dir: bool,
}

/// All names of a tree, relative to its root.
pub(super) type Names = BTreeMap<PathBuf, Entry>;

/// Tells `lost` by what names led to before and after it, and by what files lost.
pub(super) fn tell(lost: &mut Lost, before: &Names, after: &Names, shares: &BTreeMap<InodeKey, Share>) {
    let mut lines = Vec::new();
    let mut told = BTreeSet::new();
    lines.extend(only_in(before, after).map(|(path, entry)| shown(path, entry, "is gone")));
    lines.extend(only_in(after, before).map(|(path, entry)| shown(path, entry, "is back")));
    for (path, entry) in after {
        let other = before.get(path).is_some_and(|was| was.key != entry.key && !(was.is_dir && entry.is_dir));
        if other {
            lines.push(shown(path, entry, "leads to what it led to before"));
        }
        // A file of several names is told once.
        match shares.get(&entry.key).filter(|_| told.insert(entry.key)) {
            Some(Share { bytes: 0, changes }) => {
                lines.push(format!("{} lost {changes} changes of length", path.display()));
            }
            Some(Share { bytes, .. }) => lines.push(format!("{} lost {bytes} bytes", path.display())),
            None => {}
        }
    }
    lost.untold = lines.len().saturating_sub(LINES_MAX) as u64;
    lines.truncate(LINES_MAX);
    lost.told = lines;
}

/// Names in `one` and not in `other`, without those whose directory is missing there as well.
fn only_in<'a>(one: &'a Names, other: &'a Names) -> impl Iterator<Item = (&'a PathBuf, &'a Entry)> {
    let there = |path: &Path| path.as_os_str().is_empty() || other.contains_key(path);
    one.iter().filter(move |(path, _)| !other.contains_key(*path) && path.parent().is_none_or(there))
}

fn shown(path: &Path, entry: &Entry, what: &str) -> String {
    let (slash, rest) = if entry.is_dir { ("/", " with all in it") } else { ("", "") };
    format!("{}{slash} {what}{rest}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[(&str, u64)]) -> Names {
        let entry = |ino: u64, is_dir| Entry { key: InodeKey { dev: 1, ino }, is_dir };
        entries
            .iter()
            .map(|&(path, ino)| (PathBuf::from(path.trim_end_matches('/')), entry(ino, path.ends_with('/'))))
            .collect()
    }

    fn told(before: &[(&str, u64)], after: &[(&str, u64)], shares: &[(u64, Share)]) -> Vec<String> {
        let mut lost = Lost::default();
        let shares = shares.iter().map(|(ino, share)| (InodeKey { dev: 1, ino: *ino }, *share)).collect();
        tell(&mut lost, &names(before), &names(after), &shares);
        assert_eq!(lost.untold, 0);
        lost.told
    }

    #[test]
    fn names_are_told_by_what_became_of_them() {
        let before = [("CURRENT", 1), ("d/", 2), ("d/x", 3), ("log", 4), ("log.old", 4)];
        let after = [("CURRENT", 5), ("e", 6), ("log", 4), ("log.old", 4)];
        let shares = [(4, Share { changes: 2, bytes: 70 }), (6, Share { changes: 1, bytes: 0 })];
        let expected = [
            "d/ is gone with all in it",
            "e is back",
            "CURRENT leads to what it led to before",
            "e lost 1 changes of length",
            "log lost 70 bytes",
        ];
        assert_eq!(told(&before, &after, &shares), expected);
    }

    #[test]
    fn a_long_account_is_cut_and_says_so() {
        let many: Vec<(String, u64)> = (0..100).map(|i| (format!("f{i:03}"), i)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(name, ino)| (name.as_str(), *ino)).collect();
        let mut lost = Lost::default();
        tell(&mut lost, &names(&many), &names(&[]), &BTreeMap::new());
        assert_eq!((lost.told.len(), lost.untold, lost.told[0].as_str()), (12, 88, "f000 is gone"));
    }
}
