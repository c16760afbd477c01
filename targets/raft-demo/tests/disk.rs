//! The disk on real files: torn tails, damage, crashes between two files.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::Path;

use raft_demo::bugs::{Bug, Bugs};
use raft_demo::entry::{Command, Entry, Index, Member, Snapshot, Term};
use raft_demo::machine::Machine;
use raft_demo::raft::Recovered;
use raft_demo::storage::{Store, StoreError};

fn entry(index: Index, term: Term) -> Entry {
    let command = Command::Put { key: format!("k{index}"), value: "v".repeat(40), session: None };
    Entry { index, term, command }
}

fn snapshot(index: Index, term: Term) -> Snapshot {
    let members = vec![Member { id: 1, addr: "127.0.0.1:1".into() }];
    Snapshot { index, term, members, machine: Machine::default() }
}

fn recover(path: &Path) -> Recovered {
    Store::open(path, Bugs::NONE).unwrap().1
}

/// Appends each batch and makes it durable.
fn write_batches(path: &Path, batches: &[&[Entry]]) {
    let mut store = Store::open(path, Bugs::NONE).unwrap().0;
    for batch in batches {
        for entry in *batch {
            store.append(entry);
        }
        store.sync(0).unwrap();
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn everything_synced_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/node");
    let mut store = Store::open(&path, Bugs::NONE).unwrap().0;
    store.save_meta(3, 2).unwrap();
    for index in 1..=4 {
        store.append(&entry(index, 1));
    }
    store.sync(0).unwrap();
    store.truncate(4).unwrap();
    store.append(&entry(4, 3));
    store.append(&entry(5, 3));
    store.truncate(5).unwrap();
    store.sync(0).unwrap();
    drop(store);
    let disk = recover(&path);
    assert_eq!((disk.term, disk.vote), (3, 2));
    assert_eq!(disk.entries, [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 3)]);
    assert_eq!(recover(&path).entries.len(), 4, "recovery itself changes nothing");
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_nothing_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (log, keep) = (dir.path().join("log"), dir.path().join("keep"));
    write_batches(dir.path(), &[&[entry(1, 1)], &[entry(2, 1)]]);
    let safe = fs::metadata(&log).unwrap().len() as usize;
    write_batches(dir.path(), &[&[entry(3, 1), entry(4, 1)]]);
    fs::copy(&log, &keep).unwrap();
    let whole = fs::read(&keep).unwrap();
    for length in safe..whole.len() {
        fs::write(&log, &whole[..length]).unwrap();
        assert!(matches!(recover(dir.path()).entries.len(), 2 | 3));
        // The file is as long as it was meant to be, but the end never reached the disk.
        let mut zeros = whole.clone();
        zeros[length..].fill(0);
        fs::write(&log, &zeros).unwrap();
        assert!(matches!(recover(dir.path()).entries.len(), 2 | 3));
    }
}

#[test]
fn a_batch_that_reached_the_disk_in_reverse_is_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    write_batches(dir.path(), &[&[entry(1, 1)]]);
    let safe = fs::metadata(&log).unwrap().len() as usize;
    write_batches(dir.path(), &[&[entry(2, 1), entry(3, 1)]]);
    // Of the batch only the second record is whole: that proves nothing about the first.
    flip(&log, safe + 40);
    assert_eq!(recover(dir.path()).entries, [entry(1, 1)]);
}

#[test]
fn damage_under_later_batches_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_batches(dir.path(), &[&[entry(1, 1)], &[entry(2, 1)], &[entry(3, 1)]]);
    flip(&dir.path().join("log"), 40);
    let error = Store::open(dir.path(), Bugs::NONE).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("record at byte 0 is bad"), "{error}");
}

#[test]
fn a_trusting_recovery_makes_up_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    write_batches(dir.path(), &[&[entry(1, 1), entry(2, 1)]]);
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 10]).unwrap();
    let trusting = Store::open(dir.path(), Bugs::only(Bug::TornTailTrusted)).unwrap().1;
    let empty = Entry { index: 2, term: 1, command: Command::Noop };
    assert_eq!(trusting.entries, [entry(1, 1), empty]);
}

#[test]
fn damaged_meta_and_snapshot_are_refused() {
    for name in ["meta", "snapshot"] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Bugs::NONE).unwrap().0;
        store.save_meta(1, 1).unwrap();
        store.save_snapshot(&snapshot(1, 1), &[]).unwrap();
        drop(store);
        flip(&dir.path().join(name), 15);
        let error = Store::open(dir.path(), Bugs::NONE).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("checksum"), "{error}");
    }
}

#[test]
fn a_crash_between_snapshot_and_log_is_repaired() {
    // What the log holds, the snapshot, and what is left after recovery.
    let cases: [(&[Entry], Snapshot, &[Entry]); 4] = [
        (&[entry(1, 1), entry(2, 1), entry(3, 2)], snapshot(2, 1), &[entry(3, 2)]),
        (&[entry(1, 1), entry(2, 1), entry(3, 1)], snapshot(2, 2), &[]),
        (&[entry(1, 1)], snapshot(5, 2), &[]),
        (&[], snapshot(5, 2), &[]),
    ];
    for (log, snapshot, left) in cases {
        let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write_batches(dir.path(), &[log]);
        Store::open(aside.path(), Bugs::NONE).unwrap().0.save_snapshot(&snapshot, &[]).unwrap();
        fs::copy(aside.path().join("snapshot"), dir.path().join("snapshot")).unwrap();
        let disk = recover(dir.path());
        assert_eq!(disk.snapshot, Some(snapshot));
        assert_eq!(disk.entries, left);
    }
}

#[test]
fn a_gap_after_the_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Bugs::NONE).unwrap().0;
    store.save_snapshot(&snapshot(5, 1), &[entry(6, 1)]).unwrap();
    drop(store);
    fs::remove_file(dir.path().join("snapshot")).unwrap();
    let error = Store::open(dir.path(), Bugs::NONE).unwrap_err().to_string();
    assert!(error.contains("begins at entry 6"), "{error}");
}

#[test]
fn a_disk_that_cannot_be_written_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("node"), Bugs::NONE).unwrap_err().to_string();
    assert!(error.starts_with("cannot create") && error.contains("file/node"), "{error}");
}

#[test]
fn what_is_written_behind_a_torn_record_is_lost_only_by_mistake() {
    for (bugs, left) in [(Bugs::NONE, 3), (Bugs::only(Bug::TornTailKept), 1)] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        write_batches(dir.path(), &[&[entry(1, 1)], &[entry(2, 1)]]);
        let whole = fs::read(&log).unwrap();
        fs::write(&log, &whole[..whole.len() - 1]).unwrap();
        let (mut store, disk) = Store::open(dir.path(), bugs).unwrap();
        assert_eq!(disk.entries, [entry(1, 1)]);
        for index in 2..=3 {
            store.append(&entry(index, 2));
            store.sync(0).unwrap();
        }
        drop(store);
        assert_eq!(Store::open(dir.path(), bugs).unwrap().1.entries.len(), left);
    }
}

#[test]
fn entries_wait_in_the_page_cache_for_their_commit_only_by_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Bugs::only(Bug::FsyncAtCommit)).unwrap().0;
    let unsynced = |store: &mut Store, index, commit| {
        store.append(&entry(index, 1));
        store.sync_committed(commit, 0).unwrap();
        store.first_unsynced()
    };
    assert_eq!(unsynced(&mut store, 1, 0), Some(1));
    assert_eq!(unsynced(&mut store, 2, 0), Some(1));
    assert_eq!(unsynced(&mut store, 3, 1), None);
    assert_eq!(unsynced(&mut store, 4, 3), Some(4));
    store.append(&entry(5, 1));
    store.sync(0).unwrap();
    assert_eq!(store.first_unsynced(), None);
}
