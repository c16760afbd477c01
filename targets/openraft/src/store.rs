//! The storage openraft asks for: log, vote, state machine and snapshot.
//!
//! All of it is in memory, with a journal under it: each change is written to the journal first, and the journal
//! is played back at start. Every change is synced before it counts. That is so for the committed position too: a
//! leader that restarts leads on in its term, and what it forgot to be committed its reads would miss. The state
//! machine is not in the journal: openraft rebuilds it from the last snapshot and the entries known to be committed.
//! The journal is never shortened.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Cursor};
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use kv_edge::journal::Journal;
use kv_edge::machine::{Machine, Outcome};
use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine};
use openraft::{
    BasicNode, EntryPayload, LogState, OptionalSend, RaftLogReader, RaftSnapshotBuilder, SnapshotMeta,
    StorageError, StorageIOError, StoredMembership,
};
use serde::{Deserialize, Serialize};

use crate::node::Types;

type Entry = openraft::Entry<Types>;
type LogId = openraft::LogId<u64>;
type Membership = StoredMembership<u64, BasicNode>;
type Meta = SnapshotMeta<u64, BasicNode>;
type Snapshot = openraft::Snapshot<Types>;
type Vote = openraft::Vote<u64>;
type Stored<T> = Result<T, StorageError<u64>>;

/// The storage of one node; clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    memory: Memory,
}

/// All there is, in memory.
#[derive(Debug, Default)]
struct Memory {
    log: BTreeMap<u64, Entry>,
    purged: Option<LogId>,
    vote: Option<Vote>,
    committed: Option<LogId>,
    machine: Machine,
    applied: Option<LogId>,
    membership: Membership,
    snapshot: Option<(Meta, Machine)>,
}

/// A change, and a line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    Vote(Vote),
    Committed(Option<LogId>),
    Append(Vec<Entry>),
    /// Removes the entries from this one on.
    Truncate(LogId),
    /// Removes the entries up to this one.
    Purge(LogId),
    /// This node's own snapshot.
    Compact(Meta, Machine),
    /// The leader's snapshot takes the place of the machine.
    Install(Meta, Machine),
}

impl Store {
    /// Opens the storage in `dir`.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn open(dir: &Path) -> io::Result<Store> {
        let (journal, records) = Journal::open(dir)?;
        let mut memory = Memory::default();
        for record in records {
            memory.change(record);
        }
        if let Some((meta, machine)) = memory.snapshot.clone() {
            memory.restore(&meta, machine);
        }
        Ok(Store { inner: Arc::new(Mutex::new(Inner { journal, memory })) })
    }

    /// The value of a key in the local state machine.
    pub fn get(&self, key: &str) -> Option<String> {
        self.lock().memory.machine.get(key).map(str::to_owned)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the storage")
    }

    fn change(&self, record: Record) -> io::Result<()> {
        let Inner { journal, memory } = &mut *self.lock();
        journal.append(&record).and_then(|()| journal.sync())?;
        memory.change(record);
        Ok(())
    }
}

impl Memory {
    fn change(&mut self, record: Record) {
        match record {
            Record::Vote(vote) => self.vote = Some(vote),
            Record::Committed(committed) => self.committed = committed,
            Record::Append(entries) => {
                self.log.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
            }
            Record::Truncate(from) => self.log.retain(|&index, _| index < from.index),
            Record::Purge(through) => {
                self.log.retain(|&index, _| index > through.index);
                self.purged = Some(through);
            }
            Record::Compact(meta, machine) => self.snapshot = Some((meta, machine)),
            Record::Install(meta, machine) => {
                self.restore(&meta, machine.clone());
                self.snapshot = Some((meta, machine));
            }
        }
    }

    fn restore(&mut self, meta: &Meta, machine: Machine) {
        self.machine = machine;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
    }

    fn apply(&mut self, entry: Entry) -> Outcome {
        self.applied = Some(entry.log_id);
        match entry.payload {
            EntryPayload::Blank => Outcome::Done,
            EntryPayload::Normal(command) => self.machine.apply(entry.log_id.index, &command),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Outcome::Done
            }
        }
    }
}

fn unwritten(error: io::Error) -> StorageError<u64> {
    StorageIOError::write(&error).into()
}

fn portable((meta, machine): &(Meta, Machine)) -> io::Result<Snapshot> {
    let bytes = serde_json::to_vec(machine)?;
    Ok(Snapshot { meta: meta.clone(), snapshot: Box::new(Cursor::new(bytes)) })
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Stored<Vec<Entry>> {
        Ok(self.lock().memory.log.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        let memory = &self.lock().memory;
        let last = memory.log.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: last.or(memory.purged) })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Stored<()> {
        self.change(Record::Vote(*vote)).map_err(unwritten)
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote>> {
        Ok(self.lock().memory.vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Stored<()> {
        self.change(Record::Committed(committed)).map_err(unwritten)
    }

    async fn read_committed(&mut self) -> Stored<Option<LogId>> {
        Ok(self.lock().memory.committed)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.change(Record::Append(entries.into_iter().collect())).map_err(unwritten)?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId) -> Stored<()> {
        self.change(Record::Truncate(from)).map_err(unwritten)
    }

    async fn purge(&mut self, through: LogId) -> Stored<()> {
        self.change(Record::Purge(through)).map_err(unwritten)
    }
}

impl RaftSnapshotBuilder<Types> for Store {
    async fn build_snapshot(&mut self) -> Stored<Snapshot> {
        let (meta, machine) = {
            let memory = &self.lock().memory;
            let snapshot_id = memory.applied.map_or_else(String::new, |id| id.to_string());
            let last_membership = memory.membership.clone();
            (Meta { last_log_id: memory.applied, last_membership, snapshot_id }, memory.machine.clone())
        };
        let snapshot = (meta, machine);
        let portable = portable(&snapshot).map_err(unwritten)?;
        self.change(Record::Compact(snapshot.0, snapshot.1)).map_err(unwritten)?;
        Ok(portable)
    }
}

impl RaftStateMachine<Types> for Store {
    type SnapshotBuilder = Store;

    async fn applied_state(&mut self) -> Stored<(Option<LogId>, Membership)> {
        let memory = &self.lock().memory;
        Ok((memory.applied, memory.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<Outcome>>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let memory = &mut self.lock().memory;
        Ok(entries.into_iter().map(|entry| memory.apply(entry)).collect())
    }

    async fn get_snapshot_builder(&mut self) -> Store {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<Cursor<Vec<u8>>>) -> Stored<()> {
        let machine = serde_json::from_slice(snapshot.get_ref());
        let machine =
            machine.map_err(|error| StorageIOError::read_snapshot(Some(meta.signature()), &error))?;
        self.change(Record::Install(meta.clone(), machine)).map_err(unwritten)
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot>> {
        self.lock().memory.snapshot.as_ref().map(portable).transpose().map_err(unwritten)
    }
}

#[cfg(test)]
mod tests {
    use openraft::testing::{StoreBuilder, Suite};
    use tempfile::TempDir;

    use super::*;

    struct Builder;

    impl StoreBuilder<Types, Store, Store, TempDir> for Builder {
        async fn build(&self) -> Result<(TempDir, Store, Store), StorageError<u64>> {
            let dir = tempfile::tempdir().expect("a directory for the test");
            let store = Store::open(dir.path()).expect("a journal in it");
            Ok((dir, store.clone(), store))
        }
    }

    #[test]
    fn the_storage_is_as_openraft_wants_it() {
        Suite::test_all(Builder).unwrap();
    }
}
