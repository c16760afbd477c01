//! Who is a client: found out while a history is read.
//!
//! - A process with a number is one.
//! - A process with a name is one as soon as it invokes something, unless the name begins with `nemesis`. Until then, and
//!   if its entries are all `info`, it is somebody else.
//! - Jepsen gives a process a new number when an operation of its ended in `info`, for that may still take effect. Other
//!   recorders go on with the same process: from then on it counts as a new client, so that nobody takes the open
//!   operation for one that was over before the next began.

use super::{Entry, Error, Process};
use crate::history::Phase;
use std::collections::{BTreeMap, BTreeSet};

/// The entries of a history, in which every client is one by its [`Process`].
pub fn clients<I>(entries: I) -> Clients<I>
where
    I: Iterator<Item = Result<Entry, Error>>,
{
    Clients { entries, numbers: Numbers::default() }
}

/// See [`clients`].
#[derive(Debug)]
pub struct Clients<I> {
    entries: I,
    numbers: Numbers,
}

impl<I> Iterator for Clients<I>
where
    I: Iterator<Item = Result<Entry, Error>>,
{
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = self.entries.next()?;
        if let Ok(entry) = &mut entry {
            self.numbers.give(entry);
        }
        Some(entry)
    }
}

/// The numbers of clients.
#[derive(Debug, Default)]
struct Numbers {
    /// Those of clients with names.
    named: BTreeMap<String, u64>,
    /// Those of clients whose own number was given to somebody else before they came.
    moved: BTreeMap<u64, u64>,
    /// Those that were given to somebody.
    given: BTreeSet<u64>,
    /// Clients, by their first numbers, whose last operation has an unknown end: they may not go on as who they are.
    gone: BTreeSet<u64>,
    /// What became of those that went on all the same.
    again: BTreeMap<u64, u64>,
    /// No client has this number or a higher one.
    free: u64,
}

impl Numbers {
    fn give(&mut self, entry: &mut Entry) {
        let first = match &entry.process {
            Process::Client(number) => match self.own(*number) {
                own if own == *number => own,
                number => {
                    entry.process = Process::Called { number, name: entry.process.to_string() };
                    number
                }
            },
            Process::Named(name) if !entry.process.is_nemesis() => {
                let number = match self.named.get(name) {
                    Some(number) => *number,
                    None if entry.phase == Phase::Info => return,
                    None => {
                        let number = self.fresh();
                        self.named.insert(name.clone(), number);
                        number
                    }
                };
                entry.process = Process::Called { number, name: name.clone() };
                number
            }
            Process::Named(_) | Process::Called { .. } | Process::Again { .. } => return,
        };
        self.go_on(entry, first);
    }

    /// The number of a client that has one already: it, unless somebody else was given it.
    fn own(&mut self, number: u64) -> u64 {
        if self.given.contains(&number) {
            if let Some(moved) = self.moved.get(&number) {
                return *moved;
            }
            let moved = self.fresh();
            self.moved.insert(number, moved);
            return moved;
        }
        self.free = self.free.max(number.saturating_add(1));
        number
    }

    fn fresh(&mut self) -> u64 {
        let number = self.free;
        self.free = number.saturating_add(1);
        self.given.insert(number);
        number
    }

    /// Makes it a new client where the last operation may still take effect.
    fn go_on(&mut self, entry: &mut Entry, first: u64) {
        let number = match entry.phase {
            Phase::Invoke if self.gone.remove(&first) => {
                let number = self.fresh();
                self.again.insert(first, number);
                number
            }
            _ => self.again.get(&first).copied().unwrap_or(first),
        };
        if entry.phase == Phase::Info {
            self.gone.insert(first);
        }
        if number != first {
            let of = Box::new(entry.process.clone());
            entry.process = Process::Again { number, of };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{self, Format};

    /// The processes of entries `PROCESS :TYPE`, with their numbers where they are clients.
    fn told(lines: &[&str]) -> String {
        let text: String = lines
            .iter()
            .map(|line| {
                let (process, phase) = line.split_once(' ').unwrap();
                format!("{{:process {process}, :type {phase}, :f :x}}\n")
            })
            .collect();
        let entries = clients(format::read(Format::Edn, text.as_bytes(), format::Options::default()));
        let shown = entries.map(|entry| {
            let process = entry.unwrap().process;
            process.client().map_or_else(|| format!("({process})"), |number| format!("{process}={number}"))
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_invokes_is_a_client_unless_it_is_the_nemesis() {
        assert_eq!(told(&["a :invoke", "\"b\" :invoke", ":a :ok", "\"b\" :info"]), "a=0 b=1 a=0 b=1");
        assert_eq!(
            told(&[":nemesis :invoke", ":nemesis :ok", "\"Nemesis-2\" :invoke"]),
            "(nemesis) (nemesis) (Nemesis-2)"
        );
        assert_eq!(told(&["n1 :info", "n1 :info", "n1 :invoke"]), "(n1) (n1) n1=0");
        // nobody but a client completes anything
        assert_eq!(told(&["n1 :ok"]), "n1=0");
        assert_eq!(told(&["\"7\" :invoke", "7 :ok"]), "p7=7 p7=7");
    }

    #[test]
    fn numbers_are_given_once() {
        assert_eq!(
            told(&["3 :invoke", "a :invoke", "4 :invoke", "4 :ok", "5 :invoke"]),
            "p3=3 a=4 p4=5 p4=5 p5=6"
        );
    }

    #[test]
    fn who_goes_on_after_info_is_somebody_new() {
        let lines =
            ["0 :invoke", "0 :info", "0 :invoke", "0 :ok", "0 :invoke", "0 :info", "0 :invoke", "1 :invoke"];
        assert_eq!(told(&lines), "p0=0 p0=0 p0=1 p0=1 p0=1 p0=1 p0=2 p1=3");
        assert_eq!(told(&["a :invoke", "a :info", "a :invoke", "a :ok"]), "a=0 a=0 a=1 a=1");
    }
}
