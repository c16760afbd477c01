//! Tallies: what became of clients' operations, by kind. Where no change or no read ever succeeded nothing was put to the
//! test, and "no violation" says nothing.

use oracle::{Call, Entry, Function, Phase};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Different answers that are kept of one kind of operations.
const ANSWERS_MAX: usize = 16;
/// The longest answer that is kept, in characters.
const ANSWER_CHARS_MAX: usize = 80;
/// What all further answers are called.
const OTHERS: &str = "other answers";
/// So many attempts of one kind without success are no chance, while other kinds succeed.
const TRIED_MIN: u64 = 20;

/// Operations of one kind by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// They took effect, or were answered.
    pub ok: u64,
    /// They certainly did not; a swap that was refused because something else was there is one of them.
    pub failed: u64,
    /// Nobody knows.
    pub unknown: u64,
}

impl Counts {
    /// How many there were.
    #[must_use]
    pub const fn tried(self) -> u64 {
        self.ok + self.failed + self.unknown
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ok, {} failed, {} unknown", self.ok, self.failed, self.unknown)
    }
}

/// What became of operations, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How they ended.
    pub counts: BTreeMap<Function, Counts>,
    /// What was answered to those that are not ok, and how often.
    pub answers: BTreeMap<Function, BTreeMap<String, u64>>,
}

impl Tally {
    /// Of the operations of a history; those that are open have no answer.
    #[must_use]
    pub fn of(history: &[Entry]) -> Self {
        let mut tally = Self::default();
        let mut open: BTreeMap<u32, Function> = BTreeMap::new();
        for entry in history {
            let function = entry.call.function();
            if entry.phase == Phase::Invoke {
                open.insert(entry.process, function);
                continue;
            }
            open.remove(&entry.process);
            let counts = tally.counts.entry(function).or_default();
            let answer = entry.error.as_deref();
            match (entry.phase, &entry.call) {
                (Phase::Ok, Call::Cas { result: Some(false), .. }) => {
                    counts.failed += 1;
                    tally.hear(function, "something else was there");
                }
                (Phase::Ok, _) => counts.ok += 1,
                (Phase::Fail, _) => {
                    counts.failed += 1;
                    tally.hear(function, answer.unwrap_or("it failed"));
                }
                _ => {
                    counts.unknown += 1;
                    tally.hear(function, answer.unwrap_or("no answer"));
                }
            }
        }
        for function in open.into_values() {
            tally.counts.entry(function).or_default().unknown += 1;
            tally.hear(function, "no answer");
        }
        tally
    }

    fn hear(&mut self, function: Function, answer: &str) {
        self.hear_often(function, gist(answer), 1);
    }

    fn hear_often(&mut self, function: Function, answer: String, count: u64) {
        let answers = self.answers.entry(function).or_default();
        let is_kept = answers.contains_key(&answer) || answers.len() < ANSWERS_MAX;
        *answers.entry(if is_kept { answer } else { OTHERS.to_owned() }).or_default() += count;
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (function, more) in &other.counts {
            let counts = self.counts.entry(*function).or_default();
            counts.ok += more.ok;
            counts.failed += more.failed;
            counts.unknown += more.unknown;
        }
        for (function, answers) in &other.answers {
            for (answer, count) in answers {
                self.hear_often(*function, answer.clone(), *count);
            }
        }
    }

    /// All kinds together.
    #[must_use]
    pub fn sum(&self) -> Counts {
        sum(self.counts.values())
    }

    /// Why it is not known whether the target keeps its promises, and what to do: nothing was asked, no change or no read
    /// ever succeeded, or a kind was tried often and always in vain.
    #[must_use]
    pub fn in_vain(&self) -> Option<String> {
        if self.sum().tried() == 0 {
            return Some(
                "clients asked for nothing: give them more time (--horizon), or a higher rate in the schedule".into(),
            );
        }
        let of = |is_read| self.counts.iter().filter(move |(function, _)| function.is_read() == is_read);
        let never = |is_read: bool| {
            let all = sum(of(is_read).map(|(_, counts)| counts));
            all.tried() > 0 && all.ok == 0
        };
        let is_vain = |(function, counts): &(&Function, &Counts)| {
            counts.ok == 0 && counts.tried() > 0 && (counts.tried() >= TRIED_MIN || never(function.is_read()))
        };
        let vain: Vec<String> = self.counts.iter().filter(is_vain).map(|(f, c)| self.told(*f, *c)).collect();
        (!vain.is_empty()).then(|| {
            format!(
                "{}; nothing is known of what was never done: look at [client] of the manifest, what it asks and where, and \
                 at what the target answers to that",
                vain.join("; ")
            )
        })
    }

    /// `no write ever succeeded: 12 failed, 0 unknown, most often "404 Not Found"`
    fn told(&self, function: Function, counts: Counts) -> String {
        let answers = self.answers.get(&function);
        let most = answers.and_then(|answers| answers.iter().max_by_key(|(_, count)| **count));
        let most = most.map(|(answer, _)| format!(", most often \"{answer}\"")).unwrap_or_default();
        let Counts { failed, unknown, .. } = counts;
        format!("no {} ever succeeded: {failed} failed, {unknown} unknown{most}", function.name())
    }
}

impl fmt::Display for Tally {
    /// `read 10 ok, 0 failed, 0 unknown; write 9 ok, 0 failed, 1 unknown`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.counts.is_empty() {
            return f.write_str("none");
        }
        for (index, (function, counts)) in self.counts.iter().enumerate() {
            let gap = if index == 0 { "" } else { "; " };
            write!(f, "{gap}{} {counts}", function.name())?;
        }
        Ok(())
    }
}

/// All of these together.
pub fn sum<'a>(all: impl Iterator<Item = &'a Counts>) -> Counts {
    all.fold(Counts::default(), |sum, it| Counts {
        ok: sum.ok + it.ok,
        failed: sum.failed + it.failed,
        unknown: sum.unknown + it.unknown,
    })
}

/// An answer as it is counted: its first line, of HTTP its status alone.
fn gist(answer: &str) -> String {
    let line = answer.lines().next().unwrap_or_default().trim();
    let is_status = line.len() >= 3 && line.bytes().take(3).all(|byte| byte.is_ascii_digit());
    let line = if is_status { line.split(": ").next().unwrap_or(line) } else { line };
    line.chars().take(ANSWER_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(script: &[(&str, Phase, &str)]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for (f, phase, error) in script {
            let (key, value) = ("k".to_owned(), "v".to_owned());
            let call = match *f {
                "read" => Call::Read { key, value: Some(None) },
                "cas" => Call::Cas { key, expect: None, value, result: Some(false) },
                _ => Call::Write { key, value },
            };
            let index = entries.len() as u64;
            let entry = |index, phase, call, error| Entry {
                index,
                at_ns: index,
                process: 1,
                phase,
                call,
                error,
                client: None,
                node: None,
            };
            entries.push(entry(index, Phase::Invoke, call.question(), None));
            let error = (!error.is_empty()).then(|| (*error).to_owned());
            if *phase != Phase::Invoke {
                entries.push(entry(index + 1, *phase, call, error));
            }
        }
        entries
    }

    #[test]
    fn a_kind_that_never_succeeded_is_named_with_its_answer() {
        let mut script = vec![("read", Phase::Ok, ""); 3];
        script.extend([
            ("write", Phase::Fail, "404 Not Found: no k1"),
            ("write", Phase::Fail, "404 Not Found: no k2"),
        ]);
        script.push(("write", Phase::Info, "timed out"));
        let tally = Tally::of(&history(&script));
        assert_eq!(tally.to_string(), "read 3 ok, 0 failed, 0 unknown; write 0 ok, 2 failed, 1 unknown");
        let why = tally.in_vain().unwrap();
        assert!(
            why.starts_with("no write ever succeeded: 2 failed, 1 unknown, most often \"404 Not Found\"; "),
            "{why}"
        );
        script.push(("write", Phase::Ok, ""));
        assert_eq!(Tally::of(&history(&script)).in_vain(), None);
    }

    #[test]
    fn other_changes_excuse_a_kind_only_while_it_is_rare() {
        let some = |count| {
            let mut script = vec![("read", Phase::Ok, ""), ("write", Phase::Ok, "")];
            script.extend(vec![("cas", Phase::Ok, ""); count]);
            Tally::of(&history(&script)).in_vain()
        };
        assert_eq!(some(19), None);
        assert!(some(20).unwrap().contains("no cas ever succeeded: 20 failed"));
    }

    #[test]
    fn nothing_asked_is_nothing_known() {
        assert!(Tally::default().in_vain().unwrap().starts_with("clients asked for nothing"));
        let open = Tally::of(&history(&[("write", Phase::Invoke, "")]));
        assert!(open.in_vain().unwrap().contains("most often \"no answer\""));
    }

    #[test]
    fn tallies_add_up_and_stay_small() {
        let mut sum = Tally::default();
        for number in 0..100 {
            let error = format!("e{number}");
            sum.add(&Tally::of(&history(&[("write", Phase::Fail, &error)])));
        }
        assert_eq!(sum.sum(), Counts { ok: 0, failed: 100, unknown: 0 });
        let answers = &sum.answers[&Function::Write];
        assert_eq!((answers.len(), answers[OTHERS]), (ANSWERS_MAX + 1, 100 - ANSWERS_MAX as u64));
    }
}
