//! What was read of a history: how much, of whom, and whether it says anything.

use crate::history::Phase;
use crate::raw::{Entry, Process};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Keys are counted up to here.
const KEYS_MAX: usize = 1_000_000;
/// So many names are worth a sentence.
const NAMES_SHOWN: usize = 8;

/// Counts of what a history holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Its entries.
    pub entries: u64,
    /// Invocations of clients.
    pub operations: u64,
    /// Operations that ended in `ok`.
    pub ok: u64,
    /// Operations that ended in `fail`.
    pub fail: u64,
    /// Keys that stand apart from values.
    keys: BTreeSet<Value>,
    /// What the history calls clients whose numbers it does not tell.
    called: BTreeMap<u64, Process>,
    /// Somebody whose entries are no operations.
    other: Option<Process>,
}

impl Tally {
    /// Counts an entry.
    pub fn count(&mut self, entry: &Entry) {
        self.entries += 1;
        match &entry.process {
            Process::Client(_) => {}
            Process::Named(_) => {
                if self.other.is_none() {
                    self.other = Some(entry.process.clone());
                }
                return;
            }
            Process::Called { number, .. } | Process::Again { number, .. } => {
                if self.called.len() <= NAMES_SHOWN && !self.called.contains_key(number) {
                    self.called.insert(*number, entry.process.clone());
                }
            }
        }
        match entry.phase {
            Phase::Invoke => self.operations += 1,
            Phase::Ok => self.ok += 1,
            Phase::Fail => self.fail += 1,
            Phase::Info => {}
        }
        if entry.phase == Phase::Invoke
            && let Some(key) = &entry.key
            && self.keys.len() < KEYS_MAX
            && !self.keys.contains(key)
        {
            self.keys.insert(key.clone());
        }
    }

    /// How many keys stand apart from values; 0 where there are none.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Why nothing can be said of this history, if nothing can.
    #[must_use]
    pub fn says_nothing(&self) -> Option<String> {
        match (self.operations, self.ok, &self.other) {
            (0, _, None) => {
                Some("the history has no operation of a client, so nothing was judged".to_owned())
            }
            (0, _, Some(other)) => Some(format!(
                "the history has no operation of a client (only entries of {other}), so nothing was judged"
            )),
            (1, 0, _) => Some("the only operation did not succeed, so nothing can be said of it".to_owned()),
            (all, 0, _) => Some(format!(
                "none of the {all} operations succeeded ({} failed, {} of unknown end), so nothing can be said of them",
                self.fail,
                all.saturating_sub(self.fail)
            )),
            _ => None,
        }
    }

    /// Who is who, where messages call clients otherwise than the history does.
    pub(super) fn names(&self) -> Vec<String> {
        let is_again = |process: &&Process| matches!(process, Process::Again { .. });
        let of = |again: bool, what: &str| {
            let some: Vec<String> = self
                .called
                .values()
                .filter(|process| is_again(process) == again)
                .take(NAMES_SHOWN)
                .filter_map(|process| Some(format!("p{} is {process}", process.client()?)))
                .collect();
            let more = if self.called.len() > NAMES_SHOWN { ", ..." } else { "" };
            (!some.is_empty()).then(|| format!("{what}{}{more}", some.join(", ")))
        };
        let again = "a process that goes on after an operation of unknown end counts as a new one: ";
        [of(false, "in the history "), of(true, again)].into_iter().flatten().collect()
    }
}
