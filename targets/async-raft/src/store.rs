//! The storage async-raft asks for: log, hard state, state machine and snapshot.
//!
//! It is the crate's own `memstore` with another state machine, and with a journal under it: each change is
//! written to the journal first, and the journal is played back at start. The log and the hard state are synced
//! before a change counts; what was applied need not be, for it can be applied again. The journal is never
//! shortened.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use anyhow::Result;
use async_raft::NodeId;
use async_raft::async_trait::async_trait;
use async_raft::raft::{Entry, EntryPayload, MembershipConfig};
use async_raft::storage::{CurrentSnapshotData, HardState, InitialState, RaftStorage};
use kv_edge::journal::Journal;
use kv_edge::machine::Machine;
use serde::{Deserialize, Serialize};

use crate::command::{Command, Outcome};

/// The storage of one node.
#[derive(Debug)]
pub struct Store {
    id: NodeId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    memory: Memory,
}

/// All there is, in memory.
#[derive(Debug, Default)]
struct Memory {
    log: BTreeMap<u64, Entry<Command>>,
    hard_state: Option<HardState>,
    machine: Machine,
    /// The index of the last command applied to the machine.
    applied: u64,
    snapshot: Option<Snapshot>,
}

/// The machine after the entry at `index`; what nodes send each other as a snapshot, in JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Snapshot {
    index: u64,
    term: u64,
    membership: MembershipConfig,
    machine: Machine,
}

/// A change, and a line of the journal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record {
    HardState(HardState),
    Append(Vec<Entry<Command>>),
    /// Removes the entries from `start` up to, but not including, `stop`.
    Delete {
        start: u64,
        stop: Option<u64>,
    },
    Apply(Vec<(u64, Command)>),
    /// This node's own snapshot takes the place of the log up to its index.
    Compact(Snapshot),
    /// The leader's snapshot takes the place of the machine and of the log, or of a part of it.
    Install {
        snapshot: Snapshot,
        delete_through: Option<u64>,
    },
}

impl Store {
    /// Opens the storage of node `id` in `dir`.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn open(id: NodeId, dir: &Path) -> io::Result<Store> {
        let (journal, records) = Journal::open(dir)?;
        let mut memory = Memory::default();
        for record in records {
            memory.change(record);
        }
        Ok(Store { id, inner: Mutex::new(Inner { journal, memory }) })
    }

    /// Whether the node has never taken part in a cluster.
    pub fn is_pristine(&self) -> bool {
        let memory = &self.lock().memory;
        memory.log.is_empty() && memory.hard_state.as_ref().is_none_or(|state| state.current_term == 0)
    }

    /// The value of a key in the local state machine.
    pub fn get(&self, key: &str) -> Option<String> {
        self.lock().memory.machine.get(key).map(str::to_owned)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the storage")
    }

    fn membership(&self, memory: &Memory) -> MembershipConfig {
        memory.membership_up_to(u64::MAX).unwrap_or_else(|| MembershipConfig::new_initial(self.id))
    }
}

impl Inner {
    /// Makes a change; returns what its commands came to.
    fn change(&mut self, record: Record) -> Result<Vec<Outcome>> {
        let must_sync = !matches!(record, Record::Apply(_));
        let mut written = self.journal.append(&record);
        if must_sync {
            written = written.and_then(|()| self.journal.sync());
        }
        if let Err(error) = written {
            // async-raft stops the node, but does not say why.
            eprintln!("async-raft-kv: the journal cannot be written: {error}");
            return Err(error.into());
        }
        Ok(self.memory.change(record))
    }
}

impl Memory {
    fn change(&mut self, record: Record) -> Vec<Outcome> {
        match record {
            Record::HardState(state) => self.hard_state = Some(state),
            Record::Append(entries) => self.log.extend(entries.into_iter().map(|entry| (entry.index, entry))),
            Record::Delete { start, stop } => {
                self.log.retain(|&index, _| index < start || stop.is_some_and(|stop| index >= stop));
            }
            Record::Apply(commands) => return self.apply(commands),
            Record::Compact(snapshot) => self.replace_log(snapshot, |index, through| index > through),
            Record::Install { snapshot, delete_through } => {
                self.machine = snapshot.machine.clone();
                self.applied = snapshot.index;
                self.replace_log(snapshot, |index, _| delete_through.is_some_and(|through| index > through));
            }
        }
        Vec::new()
    }

    fn apply(&mut self, commands: Vec<(u64, Command)>) -> Vec<Outcome> {
        let apply = |(index, command): (u64, Command)| {
            self.applied = index;
            Outcome(self.machine.apply(index, &command.0))
        };
        commands.into_iter().map(apply).collect()
    }

    /// Keeps the entries that `keeps` (their index, the snapshot's) and a pointer to the snapshot.
    fn replace_log(&mut self, snapshot: Snapshot, keeps: impl Fn(u64, u64) -> bool) {
        let Snapshot { index, term, .. } = snapshot;
        let pointer = Entry::new_snapshot_pointer(index, term, String::new(), snapshot.membership.clone());
        self.log.retain(|&entry, _| keeps(entry, index));
        self.log.insert(index, pointer);
        self.snapshot = Some(snapshot);
    }

    fn membership_up_to(&self, last: u64) -> Option<MembershipConfig> {
        self.log.range(..=last).rev().find_map(|(_, entry)| match &entry.payload {
            EntryPayload::ConfigChange(change) => Some(change.membership.clone()),
            EntryPayload::SnapshotPointer(pointer) => Some(pointer.membership.clone()),
            EntryPayload::Blank | EntryPayload::Normal(_) => None,
        })
    }
}

fn portable(snapshot: &Snapshot) -> Result<CurrentSnapshotData<Cursor<Vec<u8>>>> {
    let bytes = serde_json::to_vec(snapshot)?;
    Ok(CurrentSnapshotData {
        index: snapshot.index,
        term: snapshot.term,
        membership: snapshot.membership.clone(),
        snapshot: Box::new(Cursor::new(bytes)),
    })
}

#[async_trait]
impl RaftStorage<Command, Outcome> for Store {
    type Snapshot = Cursor<Vec<u8>>;
    type ShutdownError = io::Error;

    async fn get_membership_config(&self) -> Result<MembershipConfig> {
        Ok(self.membership(&self.lock().memory))
    }

    async fn get_initial_state(&self) -> Result<InitialState> {
        let memory = &self.lock().memory;
        let Some(hard_state) = memory.hard_state.clone() else {
            return Ok(InitialState::new_initial(self.id));
        };
        let (last_log_index, last_log_term) =
            memory.log.values().next_back().map_or((0, 0), |entry| (entry.index, entry.term));
        Ok(InitialState {
            last_log_index,
            last_log_term,
            last_applied_log: memory.applied,
            hard_state,
            membership: self.membership(memory),
        })
    }

    async fn save_hard_state(&self, state: &HardState) -> Result<()> {
        self.lock().change(Record::HardState(state.clone())).map(drop)
    }

    async fn get_log_entries(&self, start: u64, stop: u64) -> Result<Vec<Entry<Command>>> {
        if start > stop {
            return Ok(Vec::new());
        }
        Ok(self.lock().memory.log.range(start..stop).map(|(_, entry)| entry.clone()).collect())
    }

    async fn delete_logs_from(&self, start: u64, stop: Option<u64>) -> Result<()> {
        self.lock().change(Record::Delete { start, stop }).map(drop)
    }

    async fn append_entry_to_log(&self, entry: &Entry<Command>) -> Result<()> {
        self.lock().change(Record::Append(vec![entry.clone()])).map(drop)
    }

    async fn replicate_to_log(&self, entries: &[Entry<Command>]) -> Result<()> {
        self.lock().change(Record::Append(entries.to_vec())).map(drop)
    }

    async fn apply_entry_to_state_machine(&self, index: &u64, data: &Command) -> Result<Outcome> {
        let mut outcomes = self.lock().change(Record::Apply(vec![(*index, data.clone())]))?;
        Ok(outcomes.pop().expect("one command has one outcome"))
    }

    async fn replicate_to_state_machine(&self, entries: &[(&u64, &Command)]) -> Result<()> {
        let commands = entries.iter().map(|&(&index, command)| (index, command.clone())).collect();
        self.lock().change(Record::Apply(commands)).map(drop)
    }

    async fn do_log_compaction(&self) -> Result<CurrentSnapshotData<Self::Snapshot>> {
        let mut inner = self.lock();
        let index = inner.memory.applied;
        let entry = inner.memory.log.get(&index);
        let term = entry.map(|entry| entry.term).ok_or_else(|| anyhow::anyhow!("no entry {index}"))?;
        let membership = inner.memory.membership_up_to(index);
        let membership = membership.unwrap_or_else(|| MembershipConfig::new_initial(self.id));
        let snapshot = Snapshot { index, term, membership, machine: inner.memory.machine.clone() };
        let data = portable(&snapshot)?;
        inner.change(Record::Compact(snapshot))?;
        Ok(data)
    }

    async fn create_snapshot(&self) -> Result<(String, Box<Self::Snapshot>)> {
        Ok((String::new(), Box::new(Cursor::new(Vec::new()))))
    }

    async fn finalize_snapshot_installation(
        &self,
        _index: u64,
        _term: u64,
        delete_through: Option<u64>,
        _id: String,
        snapshot: Box<Self::Snapshot>,
    ) -> Result<()> {
        let snapshot = serde_json::from_slice(snapshot.get_ref())?;
        self.lock().change(Record::Install { snapshot, delete_through }).map(drop)
    }

    async fn get_current_snapshot(&self) -> Result<Option<CurrentSnapshotData<Self::Snapshot>>> {
        self.lock().memory.snapshot.as_ref().map(portable).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kv_edge::machine::{self, Change};

    use super::*;

    fn put(value: &str) -> Command {
        let change = Change::Put { value: value.into() };
        Command(machine::Command { key: "k".into(), change, session: None })
    }

    fn entry(index: u64, command: Command) -> Entry<Command> {
        let payload = EntryPayload::Normal(async_raft::raft::EntryNormal { data: command });
        Entry { term: 1, index, payload }
    }

    #[tokio::test]
    async fn a_restart_finds_what_was_stored() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Arc::new(Store::open(1, dir.path()).unwrap());
        let store = open();
        assert!(store.is_pristine());
        store.save_hard_state(&HardState { current_term: 3, voted_for: Some(2) }).await.unwrap();
        store.replicate_to_log(&[entry(1, put("a")), entry(2, put("b")), entry(3, put("c"))]).await.unwrap();
        store.delete_logs_from(3, None).await.unwrap();
        store.apply_entry_to_state_machine(&1, &put("a")).await.unwrap();
        let store = open();
        let state = store.get_initial_state().await.unwrap();
        assert!(!store.is_pristine());
        assert_eq!((state.last_log_index, state.last_applied_log), (2, 1));
        assert_eq!(state.hard_state, HardState { current_term: 3, voted_for: Some(2) });
        assert_eq!(store.get("k").as_deref(), Some("a"));
        store.replicate_to_state_machine(&[(&2, &put("b"))]).await.unwrap();
        let snapshot = store.do_log_compaction().await.unwrap();
        for compacted in [store, open()] {
            let log = compacted.get_log_entries(0, 9).await.unwrap();
            assert!(matches!(&log[..], [Entry { index: 2, payload: EntryPayload::SnapshotPointer(_), .. }]));
        }
        let dir = tempfile::tempdir().unwrap();
        let other = Store::open(2, dir.path()).unwrap();
        other.finalize_snapshot_installation(2, 1, None, String::new(), snapshot.snapshot).await.unwrap();
        for installed in [other, Store::open(2, dir.path()).unwrap()] {
            assert_eq!(installed.get("k").as_deref(), Some("b"));
            assert!(installed.get_current_snapshot().await.unwrap().is_some_and(|found| found.index == 2));
        }
    }
}
