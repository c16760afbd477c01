//! Which check a history is for, told from its operations.
//!
//! | operations | check |
//! |---|---|
//! | `txn` with `append` | `list-append` |
//! | `txn` of `r` and `w` | `rw-register` |
//! | `read`, `write`, `delete` | `register`; with `cas` `cas-register` |
//! | `get`, `put`, `append` | `map` |
//! | `add` or `broadcast`, `read` or `elements` of lists | `set` |
//! | `add` or `increment`, `read` of numbers | `counter` |
//! | `watch`, `write` | `watch` |
//! | `transfer`, `read`, or `read` alone of maps | `bank` |
//! | `generate` | `unique-ids` |
//! | `enqueue`, `dequeue`, `drain` | `total-queue` |
//! | `push`, `pop` | `stack` |
//!
//! Of anything else, such as `acquire` and `release`, several checks make sense, or none: who asks has to choose.
//! So has who asks of a history whose values are all pairs: they may be keys with values (Jepsen's `independent`).

use crate::check::{CHECKS, Check};
use crate::history::Phase;
use crate::raw::Entry;
use crate::value::Value;
use std::collections::BTreeSet;

/// How many entries are enough to tell.
pub const ENTRIES_MAX: usize = 10_000;

/// Names of operations beyond which it is no use to look.
const NAMES_MAX: usize = 64;

/// What was seen of a history.
#[derive(Clone, Debug, Default)]
pub struct Guess {
    /// Names of operations, and of accesses of transactions as `txn/append`.
    names: BTreeSet<String>,
    /// An answer of `read` or `elements` was a list.
    reads_lists: bool,
    /// One was a set.
    reads_sets: bool,
    /// A set was written as a whole.
    writes_sets: bool,
    /// One was a number.
    reads_numbers: bool,
    /// One was a map.
    reads_maps: bool,
    /// A value was a pair, with no key beside it.
    has_pairs: bool,
    /// A value was something else, or in a transaction.
    has_others: bool,
}

impl Guess {
    /// Takes an entry into account; those of no client say nothing.
    pub fn see(&mut self, entry: &Entry) {
        if entry.process.client().is_none() || self.names.len() > NAMES_MAX {
            return;
        }
        if !self.names.contains(&entry.f) {
            self.names.insert(entry.f.clone());
        }
        let is_pair = matches!(&entry.value, Value::List(pair) if pair.len() == 2)
            && entry.key.is_none()
            && entry.f != "txn";
        self.has_pairs |= is_pair;
        self.has_others |= !is_pair;
        if entry.f == "txn" {
            for access in entry.value.as_elements().unwrap_or_default() {
                if let Some([name, ..]) = access.as_elements()
                    && let Some(name) = name.as_name()
                {
                    self.names.insert(format!("txn/{name}"));
                }
            }
        } else if entry.f == "write" {
            self.writes_sets |= matches!(entry.value, Value::Set(_));
        } else if entry.phase == Phase::Ok && matches!(entry.f.as_str(), "read" | "elements") {
            self.reads_maps |= matches!(entry.value, Value::Map(_));
            self.reads_lists |= matches!(entry.value, Value::List(_));
            self.reads_sets |= matches!(entry.value, Value::Set(_));
            self.reads_numbers |= matches!(entry.value, Value::Int(_) | Value::Number(_));
        }
    }

    /// The names of operations that were seen.
    #[must_use]
    pub fn operations(&self) -> Vec<&str> {
        self.names.iter().map(String::as_str).filter(|name| !name.starts_with("txn/")).collect()
    }

    /// All values are pairs that may be keys with values.
    #[must_use]
    pub const fn holds_only_pairs(&self) -> bool {
        self.has_pairs && !self.has_others
    }

    /// The checks that make sense: one where it is clear.
    #[must_use]
    pub fn checks(&self) -> Vec<&'static Check> {
        match self.clear().and_then(crate::check::named) {
            Some(check) => vec![check],
            None => CHECKS.iter().filter(|check| self.is_named_by(check)).collect(),
        }
    }

    /// The name of the one check that is meant, if it is clear.
    fn clear(&self) -> Option<&'static str> {
        let has = |name: &str| self.names.contains(name);
        let only = |names: &[&str]| {
            !self.names.is_empty() && self.names.iter().all(|name| names.contains(&name.as_str()))
        };
        let adds = has("add") || has("broadcast");
        let reads_elements = self.reads_lists || self.reads_sets;
        let reads_one = !self.reads_lists && (!self.reads_sets || self.writes_sets);
        match () {
            () if only(&["txn", "txn/r", "txn/append"]) && has("txn/append") => Some("list-append"),
            () if only(&["txn", "txn/r", "txn/w"]) => Some("rw-register"),
            // maps that nobody writes are balances
            () if only(&["read"]) && self.reads_maps => {
                (!reads_elements && !self.reads_numbers).then_some("bank")
            }
            () if only(&["read", "write", "delete"]) && reads_one => Some("register"),
            () if only(&["read", "write", "delete", "cas"]) && reads_one => Some("cas-register"),
            () if only(&["get", "put", "append"]) => Some("map"),
            () if only(&["add", "broadcast", "read", "elements"]) && adds => {
                match (reads_elements, self.reads_numbers) {
                    (true, false) => Some("set"),
                    (false, true) => Some("counter"),
                    _ => None,
                }
            }
            () if only(&["increment", "read"]) && has("increment") => Some("counter"),
            () if only(&["watch", "write"]) && has("watch") => Some("watch"),
            () if only(&["transfer", "read"]) && has("transfer") => Some("bank"),
            () if only(&["generate"]) => Some("unique-ids"),
            () if only(&["enqueue", "dequeue", "drain"]) && has("drain") => Some("total-queue"),
            () if only(&["push", "pop"]) => Some("stack"),
            () => None,
        }
    }

    /// The check's line of help names all operations that were seen.
    fn is_named_by(&self, check: &Check) -> bool {
        let named: Vec<&str> = check.about.split('`').skip(1).step_by(2).collect();
        let operations = self.operations();
        !operations.is_empty() && operations.iter().all(|operation| named.contains(operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Format, Options, read};

    fn guess(lines: &[&str]) -> Guess {
        let mut guess = Guess::default();
        let text: String = lines.iter().map(|line| format!("{{:process 0, :type :ok, {line}}}\n")).collect();
        for entry in read(Format::Edn, text.as_bytes(), Options::default()) {
            guess.see(&entry.unwrap());
        }
        guess
    }

    #[test]
    fn operations_tell_the_check() {
        let cases: [(&[&str], &str); 17] = [
            (&[":f :txn :value [[:r 1 nil] [:append 1 2]]"], "list-append"),
            (&[":f \"txn\" :value [[\"r\" 1 nil] [\"w\" 1 2]]"], "rw-register"),
            (&[":f :read", ":f :write :value 1"], "register"),
            (&[":f :read", ":f :write :value 1", ":f :cas :value [1 2]"], "cas-register"),
            (&[":f :get", ":f :append"], "map"),
            (&[":f :add :value 1", ":f :read :value #{1}"], "set"),
            (&[":f :broadcast :value 1", ":f :read :value [1]"], "set"),
            (&[":f :add :value 1", ":f :read :value 1"], "counter"),
            (&[":f :increment", ":f :read :value 1"], "counter"),
            (&[":f :watch", ":f :write :value 1"], "watch"),
            (&[":f :transfer", ":f :read :value {0 1}"], "bank"),
            (&[":f :read :value {0 10, 1 10}"], "bank"),
            (&[":f :write :value {:a 1}", ":f :read :value {:a 1}"], "register"),
            (&[":f :write :value #{1}", ":f :read :value #{1}"], "register"),
            (&[":f :generate"], "unique-ids"),
            (&[":f :enqueue", ":f :drain"], "total-queue"),
            (&[":f :pop"], "stack"),
        ];
        for (lines, name) in cases {
            assert_eq!(guess(lines).clear(), Some(name), "{lines:?}");
        }
    }

    #[test]
    fn pairs_everywhere_may_be_keys_with_values() {
        let all = guess(&[":f :write :value [7 1]", ":f :read :value [7 nil]"]);
        assert!(all.holds_only_pairs());
        let others: [&[&str]; 5] = [
            &[],
            &[":f :write :value 1", ":f :cas :value [1 2]"],
            &[":f :add :value 1", ":f :read :value [1 2]"],
            &[":f :write :key 7 :value [1 2]"],
            &[":f :txn :value [[:r 1 nil] [:w 1 2]]"],
        ];
        for lines in others {
            assert!(!guess(lines).holds_only_pairs(), "{lines:?}");
        }
    }

    #[test]
    fn what_is_not_clear_names_candidates() {
        let none: [&[&str]; 5] = [
            &[],
            &[":f :acquire", ":f :release"],
            &[":f :add :value 1"],
            &[":f :enqueue", ":f :dequeue"],
            &[":f :txn :value [[:inc 1 2]]"],
        ];
        for lines in none {
            assert_eq!(guess(lines).clear(), None, "{lines:?}");
        }
        let names: Vec<&str> =
            guess(&[":f :enqueue", ":f :dequeue"]).checks().iter().map(|check| check.name).collect();
        assert!(names.contains(&"queue") && names.contains(&"total-queue"), "{names:?}");
        assert!(guess(&[]).checks().is_empty());
        assert!(guess(&[":f :frobnicate"]).checks().is_empty());
    }
}
