//! Recovery: operations succeed again once the last fault of a history is over. The check `liveness`.
//!
//! | kind | what was seen |
//! |---|---|
//! | `no-progress-after-heal` | of all that ended in the time that counts, or waited long in it, nothing succeeded |
//! | `no-change-after-heal` | only reads did, though changes were tried |
//!
//! Operations are any. Faults are the entries of named processes, such as `nemesis`, with a name in `faults` if that is
//! given; the last of them is the heal. The time that counts begins `recovery-ms` after it and ends with the history. An
//! attempt is an operation that ended in it, or that is still open at its end after `patience-ms`; with fewer than
//! `attempts` of them the answer is unknown, as it is without a fault. `reads` names the operations that change nothing.
//!
//! Linear in the number of operations, of which it holds those that are open. It is the rule of
//! [`liveness`](super::liveness), for histories of anybody. Source: Jepsen's practice of a final generator after `:heal`.

use super::liveness::NAME;
use super::shape::{at_ns, evidence, is_ok, some};
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::op::seconds;
use crate::raw::{Error, Op, Pairing, Step};
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;
/// What changes nothing, if it is not said.
const READS: &str = "read,get,elements,contains,poll,watch";

/// The check `liveness`.
pub const CHECK: Check = Check {
    name: NAME,
    about: "once the last fault is over operations succeed again, changes among them",
    example: Example {
        settings: &[("recovery-ms", "1000"), ("attempts", "2")],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "nemesis :info :start-partition nil",
            "nemesis :info :heal nil",
            "1 :invoke :write 2",
            "1 :info :write 2",
            "2 :invoke :read nil",
            "2 :fail :read nil",
        ],
        finds: "liveness/no-progress-after-heal",
    },
    options: &[
        Setting { name: "recovery-ms", about: "how long after the last fault it may take; 3000 without it" },
        Setting { name: "attempts", about: "how many attempts tell silence from idleness; 3 without it" },
        Setting {
            name: "patience-ms",
            about: "how long an operation that never ended must have waited to be an attempt; 1000 without it",
        },
        Setting {
            name: "faults",
            about: "the names of faults, separated by commas; all that are no client's without it",
        },
        Setting {
            name: "reads",
            about: "the operations that change nothing, separated by commas; read, get, elements, contains, poll and watch \
                    without it",
        },
    ],
    holds: Holds::Open,
    run: judge,
};

/// What happened since the last fault and the time for recovery.
#[derive(Default)]
struct Since {
    reads: u64,
    changes: u64,
    /// Attempts without success, by what they were and how they ended.
    vain: BTreeMap<String, u64>,
    vain_changes: u64,
    last: Option<Op>,
}

impl Since {
    fn attempt(&mut self, op: Op, is_change: bool) {
        let end = op.error.as_ref().map_or_else(|| op.outcome.name().to_owned(), ToString::to_string);
        *self.vain.entry(format!("{}: {end}", op.f)).or_default() += 1;
        self.vain_changes += u64::from(is_change);
        self.last = Some(op);
    }
}

fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let ms =
        |name, default: u64| options.number::<u64>(name).map(|ms| ms.unwrap_or(default).saturating_mul(MS));
    let (recovery_ns, patience_ns) = (ms("recovery-ms", 3_000)?, ms("patience-ms", 1_000)?);
    let attempts_min = options.number::<u64>("attempts")?.unwrap_or(3).max(1);
    let names = |text: &str| -> Vec<String> { text.split(',').map(|one| one.trim().to_owned()).collect() };
    let faults = options.text("faults").map(names);
    let reads = names(options.text("reads").unwrap_or(READS));
    let is_change = |op: &Op| !reads.contains(&op.f);

    let (mut pairing, mut since) = (Pairing::default(), Since::default());
    let (mut healed_ns, mut end_ns, mut last_ok) = (None, 0, None);
    for entry in source {
        let entry = entry?;
        let now_ns = entry.at_ns.ok_or_else(|| {
            Error::at(entry.place, format!("entry {}: it has no time, which is needed", entry.index))
        })?;
        end_ns = end_ns.max(now_ns);
        match pairing.step(entry)? {
            Step::Begun(_) => {}
            Step::Other(fault) => {
                if faults.as_ref().is_none_or(|faults| faults.contains(&fault.f)) {
                    (healed_ns, since) = (Some(now_ns), Since::default());
                }
            }
            Step::Ended(op) => {
                let counts =
                    healed_ns.is_some_and(|healed: u64| healed.saturating_add(recovery_ns) <= now_ns);
                match is_ok(&op) {
                    true if counts && is_change(&op) => since.changes += 1,
                    true if counts => since.reads += 1,
                    false if counts => {
                        let is_change = is_change(&op);
                        since.attempt(op, is_change);
                        continue;
                    }
                    _ => {}
                }
                if is_ok(&op) {
                    last_ok = Some(op);
                }
            }
        }
    }
    let mut judgement = Judgement::new(NAME);
    let Some(healed_ns) = healed_ns else {
        judgement.unknown("there is no fault, of which it could be told whether it was survived");
        return Ok(judgement);
    };
    let from_ns = healed_ns.saturating_add(recovery_ns);
    for op in pairing.finish() {
        if op.invoked_ns.is_some_and(|ns| ns.max(from_ns).saturating_add(patience_ns) <= end_ns) {
            let is_change = is_change(&op);
            since.attempt(op, is_change);
        }
    }
    let vain: u64 = since.vain.values().sum();
    let window = format!("between {} and {}", seconds(from_ns), seconds(end_ns.max(from_ns)));
    let healed = format!("though the last fault was over at {}", seconds(healed_ns));
    let shown = some(since.vain.iter().map(|(what, count)| format!("{count} {what}")));
    let found = if since.reads + since.changes == 0 {
        if vain < attempts_min {
            judgement.unknown(format!(
                "{vain} attempts {window}, {attempts_min} are needed to tell silence from idleness"
            ));
        }
        (vain >= attempts_min).then(|| {
            ("no-progress-after-heal", format!("none of {vain} attempts {window} succeeded, {healed}"))
        })
    } else {
        let is_stuck = since.changes == 0 && since.vain_changes >= attempts_min;
        is_stuck.then(|| {
            let summary = format!(
                "none of {} changes tried {window} got through, {healed}, and reads succeed",
                since.vain_changes
            );
            ("no-change-after-heal", summary)
        })
    };
    if let Some((kind, summary)) = found {
        let ops: Vec<&Op> = last_ok.iter().chain(&since.last).collect();
        let at = since.last.as_ref().map_or(end_ns, at_ns);
        judgement.violation(kind, at, summary, evidence(&ops, [format!("in vain: {shown}")]));
    }
    judgement.note(format!(
        "{} reads and {} changes succeeded {window}, {vain} did not",
        since.reads, since.changes
    ));
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{self, Format};

    /// `SECONDS PROCESS TYPE F`.
    fn found(lines: &[&str], settings: &[(&str, &str)]) -> Vec<String> {
        let mut text = String::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let [at, process, phase, f] = words[..] else { panic!("{line}") };
            text += &format!("{{:process {process}, :type :{phase}, :f :{f}, :time {at}000000000}}\n");
        }
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = Options { settings, ..Options::default() };
        let mut entries = format::read(Format::Edn, text.as_bytes(), format::Options::default());
        let judgement = CHECK.judge(&mut *entries, &options).unwrap();
        let all = judgement.violations.into_iter().map(|one| one.summary);
        all.chain(judgement.unknown).collect()
    }

    const FEW: &[(&str, &str)] = &[("attempts", "1"), ("recovery-ms", "2000")];

    #[test]
    fn what_succeeds_late_enough_is_progress() {
        let fault = ["1 :nemesis info kill", "2 :nemesis info start"];
        let then = |more: &[&str]| found(&[&fault[..], more].concat(), FEW);
        assert_eq!(then(&["5 0 invoke write", "6 0 ok write"]), [""; 0]);
        let silent = "none of 1 attempts between 4.000000 and 6.000000 succeeded, though the last fault was over at \
                      2.000000";
        assert_eq!(then(&["5 0 invoke write", "6 0 info write"]), [silent]);
        assert_eq!(
            then(&["3 0 invoke read", "4 1 invoke read", "6 1 fail read"])[0].matches("none of 2").count(),
            1
        );
        let stuck = "none of 1 changes tried between 4.000000 and 8.000000 got through, though the last fault was over \
                     at 2.000000, and reads succeed";
        let reads = ["5 0 invoke read", "6 0 ok read", "7 1 invoke cas", "8 1 info cas"];
        assert_eq!(then(&reads), [stuck]);
    }

    #[test]
    fn silence_without_attempts_or_faults_says_nothing() {
        let idle = found(&["1 :nemesis info kill", "9 0 invoke read"], FEW);
        assert_eq!(
            idle,
            ["0 attempts between 3.000000 and 9.000000, 1 are needed to tell silence from idleness"]
        );
        let calm = "there is no fault, of which it could be told whether it was survived";
        assert_eq!(found(&["1 0 invoke read", "2 0 ok read"], FEW), [calm]);
        let of_others = [FEW, &[("faults", "kill")]].concat();
        assert_eq!(found(&["1 :nemesis info log", "9 0 invoke read"], &of_others), [calm]);
    }

    #[test]
    fn a_later_fault_begins_anew() {
        let lines = ["1 :nemesis info kill", "5 0 invoke write", "6 0 ok write", "7 :nemesis info kill"];
        let later = ["10 0 invoke write", "11 0 fail write"];
        assert_eq!(found(&lines, FEW).len(), 1, "nothing was tried after the last");
        assert!(found(&[&lines[..], &later].concat(), FEW)[0].starts_with("none of 1 attempts"));
    }
}
