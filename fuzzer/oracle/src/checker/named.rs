//! Checks by name on a campaign's own history: its operations of other families ([`Call::Other`]) are handed to them as
//! those of anybody's histories are, and what they find points back into the history.

use super::Observations;
use crate::check::{self, Options};
use crate::history::{self, Phase};
use crate::op::{Call, Function};
use crate::raw::{Entry, Process};
use crate::value::Value;
use crate::verdict::{Judgement, Violation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A check that is to judge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Its name: see [`check::CHECKS`].
    pub check: String,
    /// What it is told.
    pub settings: BTreeMap<String, String>,
    /// Only final reads count, the last ones, for a target that does not promise fresh ones.
    pub final_reads: bool,
}

/// What reads show too little of is late or lost, and one read does not tell which. The first of each pair is what a check
/// says of it, the second what it is if those that were asked again show too little, too.
const LATE_OR_LOST: [(&str, &str); 1] = [("counter/too-low", "counter/lost-increment")];

/// Whether final reads are to be asked again before it is said what this is.
pub(super) fn is_undecided(signature: &str) -> bool {
    signature.contains("lost") || LATE_OR_LOST.iter().any(|(late, _)| *late == signature)
}

/// Judges the operations of other families.
///
/// A check that is not there, or does not understand the history, leaves it undecided.
#[must_use]
pub fn check(observations: &Observations, asked: &Asked, steps_max: u64) -> Judgement {
    let mut judgement = judge(observations, asked, steps_max);
    if observations.again_from_ns.is_some() {
        let last = Asked { final_reads: true, ..asked.clone() };
        for violation in &mut judgement.violations {
            let Some((_, lost)) = LATE_OR_LOST.iter().find(|(late, _)| *late == violation.signature) else {
                continue;
            };
            let again = judge(observations, &last, steps_max);
            match again.violations.into_iter().find(|other| other.signature == violation.signature) {
                Some(again) => {
                    violation.signature = (*lost).to_owned();
                    if again.summary != violation.summary {
                        let line = format!("asked again, after a change and a rest: {}", again.summary);
                        violation.evidence.lines.push(line);
                    }
                    violation.evidence.entries.extend(again.evidence.entries);
                    violation.evidence.entries.sort_by_key(|entry| entry.index);
                    violation.evidence.entries.dedup();
                }
                None if is_answered_again(observations, violation) => {
                    let line = "asked again, after a change and a rest, nothing was missing: it was late";
                    violation.evidence.lines.push(line.to_owned());
                }
                None => {}
            }
        }
    }
    judgement
}

/// Whether a read of what a violation is about was answered when it was asked again.
fn is_answered_again(observations: &Observations, violation: &Violation) -> bool {
    let key_of = |entry: &history::Entry| match &entry.call {
        Call::Other { key, .. } => Some(key.clone()),
        _ => None,
    };
    let keys: BTreeSet<_> = violation.evidence.entries.iter().filter_map(key_of).collect();
    let from_ns = observations.again_from_ns.unwrap_or(u64::MAX);
    observations.history.iter().any(|entry| {
        let is_read = matches!(&entry.call, Call::Other { function: Function::Read, .. });
        let is_late = entry.at_ns >= from_ns && entry.phase == Phase::Ok;
        is_read && is_late && key_of(entry).is_some_and(|key| keys.contains(&key))
    })
}

fn judge(observations: &Observations, asked: &Asked, steps_max: u64) -> Judgement {
    let Some(check) = check::named(&asked.check) else {
        let mut judgement = Judgement::new(&asked.check);
        judgement.unknown("there is no such check; `fuzz check --list` shows all");
        return judgement;
    };
    let entries = entries(observations, asked.final_reads);
    let mut options = Options { steps_max, settings: asked.settings.clone() };
    if check.options.iter().any(|setting| setting.name == "final-from") {
        let from_ns = observations.again_from_ns.or(observations.final_from_ns).unwrap_or(u64::MAX);
        let from = observations.history.iter().find(|entry| entry.at_ns >= from_ns);
        options.settings.extend(from.map(|entry| ("final-from".to_owned(), entry.index.to_string())));
    }
    let mut judgement = match check.judge(&mut entries.into_iter().map(Ok), &options) {
        Ok(judgement) => judgement,
        Err(error) => {
            let mut judgement = Judgement::new(&asked.check);
            judgement.unknown(error.to_string());
            judgement
        }
    };
    for violation in &mut judgement.violations {
        let ops = std::mem::take(&mut violation.evidence.ops);
        let indices: BTreeSet<u64> =
            ops.iter().flat_map(|op| [Some(op.invoke), op.complete]).flatten().collect();
        let is_meant = |entry: &&history::Entry| indices.contains(&entry.index);
        violation.evidence.entries = observations.history.iter().filter(is_meant).cloned().collect();
    }
    judgement
}

fn entries(observations: &Observations, final_reads: bool) -> Vec<Entry> {
    let from_ns = match final_reads {
        true => observations.again_from_ns.or(observations.final_from_ns).unwrap_or(u64::MAX),
        false => 0,
    };
    // Processes whose open read is left out.
    let mut passed: BTreeSet<u32> = BTreeSet::new();
    let mut entries = Vec::new();
    for entry in &observations.history {
        let Call::Other { function, key, asked, answered } = &entry.call else { continue };
        if *function == Function::Read {
            match entry.phase {
                Phase::Invoke if entry.at_ns < from_ns => {
                    passed.insert(entry.process);
                    continue;
                }
                Phase::Ok | Phase::Fail | Phase::Info if passed.remove(&entry.process) => continue,
                _ => {}
            }
        }
        entries.push(Entry {
            index: entry.index,
            at_ns: Some(entry.at_ns),
            process: Process::Client(entry.process.into()),
            phase: entry.phase,
            f: function.name().to_owned(),
            key: (!key.is_empty()).then(|| Value::text(key)),
            value: answered.as_ref().filter(|_| entry.phase == Phase::Ok).unwrap_or(asked).clone(),
            error: entry.error.as_ref().map(Value::text),
            extra: extra(entry),
            place: None,
        });
    }
    entries
}

/// Who asked and who answered, as further fields.
fn extra(entry: &history::Entry) -> Vec<(String, Value)> {
    let named = |field: &str, letter: char, number: Option<u32>| {
        number.map(|number| (field.to_owned(), Value::text(format!("{letter}{number}"))))
    };
    [named("client", 'c', entry.client), named("node", 'n', entry.node)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Entry;
    use crate::verdict::Verdict;

    /// One operation after the other on the counter `k`, a millisecond each.
    fn observed(script: &[(Function, i64)]) -> Observations {
        let mut history = Vec::new();
        for (function, number) in script {
            let asked = if *function == Function::Read { Value::Nil } else { Value::Int(*number) };
            let call = Call::Other { function: *function, key: "k".into(), asked, answered: None };
            let mut answered = call.clone();
            if let Call::Other { answered, .. } = &mut answered {
                *answered = Some(Value::Int(*number));
            }
            for (phase, call) in [(Phase::Invoke, call), (Phase::Ok, answered)] {
                let index = history.len() as u64;
                history.push(Entry {
                    index,
                    at_ns: index / 2 * 1_000_000,
                    process: 0,
                    phase,
                    call,
                    error: None,
                    client: None,
                    node: None,
                });
            }
        }
        let last = script.len() as u64 - 1;
        Observations { history, final_from_ns: Some(last * 1_000_000), ..Observations::default() }
    }

    fn asked(check: &str, final_reads: bool) -> Asked {
        Asked { check: check.into(), final_reads, ..Asked::default() }
    }

    #[test]
    fn what_is_found_points_into_the_history() {
        let observations = observed(&[(Function::Increment, 2), (Function::Read, 1)]);
        let Verdict::Violation(found) = check(&observations, &asked("counter", false), 1_000).verdict()
        else {
            panic!("nothing was found")
        };
        assert_eq!(found.signature, "counter/too-low");
        assert_eq!(found.evidence.entries, observations.history[2..]);
        assert!(found.evidence.ops.is_empty());
    }

    #[test]
    fn reads_that_may_lag_count_in_the_end_only() {
        let observations = observed(&[(Function::Increment, 2), (Function::Read, 0), (Function::Read, 2)]);
        let found =
            |final_reads| check(&observations, &asked("counter", final_reads), 1_000).violations.len();
        assert_eq!((found(false), found(true)), (1, 0));
    }

    #[test]
    fn what_a_counter_lacks_is_late_or_lost() {
        use Function::{Increment, Read};
        for (last, signature, line) in [
            (
                3,
                "counter/too-low",
                "asked again, after a change and a rest, nothing was missing: it was late",
            ),
            (
                1,
                "counter/lost-increment",
                "asked again, after a change and a rest: 1 of \"k\" was read, at least 3",
            ),
        ] {
            let script = [(Increment, 2), (Read, 0), (Increment, 1), (Read, last)];
            let mut observations = observed(&script);
            observations.final_from_ns = Some(1_000_000);
            observations.again_from_ns = Some(3_000_000);
            let Verdict::Violation(found) = check(&observations, &asked("counter", false), 1_000).verdict()
            else {
                panic!("nothing was found")
            };
            assert_eq!(found.signature, signature);
            assert!(found.evidence.lines.iter().any(|told| told.starts_with(line)), "{found:?}");
        }
    }

    #[test]
    fn nobody_who_was_asked_again_answered() {
        let mut observations = observed(&[(Function::Increment, 2), (Function::Read, 0)]);
        observations.again_from_ns = Some(2_000_000);
        let Verdict::Violation(found) = check(&observations, &asked("counter", false), 1_000).verdict()
        else {
            panic!("nothing was found")
        };
        assert_eq!(found.signature, "counter/too-low");
        let answered = |line: &String| line.starts_with("asked again");
        assert!(!found.evidence.lines.iter().any(answered), "{found:?}");
    }

    #[test]
    fn what_cannot_be_judged_is_unknown() {
        let observations = observed(&[(Function::Watch, 1)]);
        for name in ["counter", "no-such-check"] {
            let verdict = check(&observations, &asked(name, false), 1_000).verdict();
            assert!(matches!(verdict, Verdict::Unknown { .. }), "{name}: {verdict:?}");
        }
        let nothing = check(&Observations::default(), &asked("bank", false), 1_000).verdict();
        assert!(matches!(nothing, Verdict::Unknown { .. }), "{nothing:?}");
    }
}
