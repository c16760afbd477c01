//! Liveness: once faults have stopped and everything is healed, the cluster must answer again.

use crate::history::entries_of;
use crate::op::{Op, Outcome, Who, seconds};
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "liveness";

/// The quiet period: no fault is active in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quiet {
    /// Virtual nanoseconds at which the last fault was healed.
    pub from_ns: u64,
    /// Virtual nanoseconds at which the observation ended.
    pub to_ns: u64,
}

/// What may be asked of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The last part of the quiet period that needs an answer, in percent of it (1 to 100). The rest before
    /// it is the time allowed for recovery.
    pub tail_percent: u64,
    /// So many attempts must have been made in that part before silence means anything.
    pub attempts_min: usize,
    /// Virtual nanoseconds after the heal from which changes, not only reads, must get through.
    pub recovery_ns: u64,
    /// An operation still open at the end counts as an attempt when it waited at least so long.
    pub patience_ns: u64,
}

impl Default for Config {
    /// An answer in the second half, three attempts, three seconds to recover, one second of patience.
    fn default() -> Self {
        Self { tail_percent: 50, attempts_min: 3, recovery_ns: 3_000_000_000, patience_ns: 1_000_000_000 }
    }
}

/// Judges whether any operation ended in ok in the last part of the quiet period.
///
/// Silence of which too few clients took note is unknown.
#[must_use]
pub fn check(ops: &[Op], quiet: Quiet, config: &Config) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let span = quiet.to_ns.saturating_sub(quiet.from_ns);
    let tail_ns = (u128::from(span) * u128::from(config.tail_percent.clamp(1, 100)) / 100) as u64;
    let tail_from = quiet.to_ns.saturating_sub(tail_ns);
    let in_tail = |at: u64| (tail_from..=quiet.to_ns).contains(&at);
    if ops.iter().any(|op| op.outcome == Outcome::Ok && op.completed_ns.is_some_and(in_tail)) {
        return check_changes(ops, quiet, config, judgement);
    }
    let attempts: Vec<&Op> = ops
        .iter()
        .filter(|op| match op.completed_ns {
            Some(at) if at <= quiet.to_ns => at >= tail_from,
            _ => op.invoked_ns.saturating_add(config.patience_ns) <= quiet.to_ns,
        })
        .collect();
    let window = format!("between {} and {}", seconds(tail_from), seconds(quiet.to_ns));
    if attempts.len() < config.attempts_min.max(1) {
        judgement.unknown(format!(
            "{} attempts {window}, {} are needed to tell silence from idleness",
            attempts.len(),
            config.attempts_min.max(1)
        ));
        return judgement;
    }
    let summary = format!(
        "none of {} attempts {window} succeeded, though all faults were healed at {}",
        attempts.len(),
        seconds(quiet.from_ns)
    );
    judgement.violation("no-progress-after-heal", quiet.to_ns, summary, evidence(ops, &attempts, quiet));
    judgement
}

/// A cluster that answers reads may still be unable to change anything: judges whether any change got through
/// once it had time to recover.
fn check_changes(ops: &[Op], quiet: Quiet, config: &Config, mut judgement: Judgement) -> Judgement {
    let from = quiet.from_ns.saturating_add(config.recovery_ns);
    let changes = || ops.iter().filter(|op| !op.call.is_read());
    let got_through = |op: &Op| op.outcome == Outcome::Ok && op.completed_ns.is_some_and(|at| at >= from);
    let gave_up = |op: &&Op| op.invoked_ns >= from && op.outcome == Outcome::Info;
    let attempts: Vec<&Op> = changes().filter(gave_up).collect();
    if attempts.len() >= config.attempts_min.max(1) && !changes().any(got_through) {
        let summary = format!(
            "none of {} changes tried since {} got through, though all faults were healed at {} and reads succeed",
            attempts.len(),
            seconds(from),
            seconds(quiet.from_ns)
        );
        judgement.violation("no-change-after-heal", quiet.to_ns, summary, evidence(ops, &attempts, quiet));
    }
    judgement
}

fn evidence(ops: &[Op], attempts: &[&Op], quiet: Quiet) -> Evidence {
    let last = ops.iter().filter(|op| op.outcome == Outcome::Ok).max_by_key(|op| op.completed_ns);
    let mut lines = vec![match last {
        Some(op) => format!("the last success was {op}"),
        None => "no operation of the run succeeded".to_string(),
    }];
    lines.push(format!("healed at {}; since then in vain:", seconds(quiet.from_ns)));
    let mut groups: BTreeMap<(&str, String), Vec<&Op>> = BTreeMap::new();
    for op in attempts {
        let end = match (&op.error, op.completed_ns) {
            (Some(error), _) => format!("{}: {error}", op.outcome.name()),
            (None, Some(_)) => op.outcome.name().to_string(),
            (None, None) => "no answer".to_string(),
        };
        groups.entry((op.call.key(), end)).or_default().push(op);
    }
    for ((key, end), group) in &groups {
        let mut clients: Vec<(Option<u32>, u32)> =
            group.iter().map(|op| (op.client, op.client.map_or(op.process, |_| 0))).collect();
        clients.sort_unstable();
        clients.dedup();
        let clients: Vec<String> =
            clients.into_iter().map(|(client, process)| Who(client, process).to_string()).collect();
        lines.push(format!("  key {key}: {} by {} ({end})", group.len(), clients.join(" ")));
    }
    Evidence {
        entries: last.into_iter().chain(attempts.last().copied()).flat_map(entries_of).collect(),
        lines,
        ..Evidence::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Call;

    const SECOND: u64 = 1_000_000_000;
    const QUIET: Quiet = Quiet { from_ns: 10 * SECOND, to_ns: 20 * SECOND };

    fn op(n: u32, invoked_s: u64, end: Option<(u64, Outcome)>) -> Op {
        Op {
            process: n,
            call: Call::Delete { key: "x".into() },
            outcome: end.map_or(Outcome::Info, |(_, outcome)| outcome),
            invoke: u64::from(n) * 2,
            invoked_ns: invoked_s * SECOND,
            complete: end.map(|_| u64::from(n) * 2 + 1),
            completed_ns: end.map(|(at, _)| at * SECOND),
            error: end
                .and_then(|(_, outcome)| (outcome == Outcome::Fail).then(|| "connection refused".into())),
            client: None,
            node: None,
        }
    }

    #[test]
    fn a_success_in_the_tail_is_progress() {
        let ops = [op(0, 12, Some((13, Outcome::Fail))), op(1, 14, Some((15, Outcome::Ok)))];
        assert_eq!(check(&ops, QUIET, &Config::default()), Judgement::new(NAME));
    }

    #[test]
    fn silence_despite_attempts_is_a_violation() {
        let ops = [
            op(0, 2, Some((3, Outcome::Ok))),
            op(1, 14, Some((16, Outcome::Fail))),
            op(2, 16, Some((17, Outcome::Fail))),
            op(3, 12, Some((18, Outcome::Info))),
            op(4, 4, None),
            op(5, 20, None),
        ];
        let judgement = check(&ops, QUIET, &Config::default());
        let violation = &judgement.violations[0];
        assert_eq!(violation.signature, "liveness/no-progress-after-heal");
        insta::assert_snapshot!(format!("{}\n{}", violation.summary, violation.evidence.lines.join("\n")), @r"
        none of 4 attempts between 15.000000 and 20.000000 succeeded, though all faults were healed at 10.000000
        the last success was p0 delete x  [2.000000, 3.000000] ok  #0
        healed at 10.000000; since then in vain:
          key x: 2 by p1 p2 (fail: connection refused)
          key x: 1 by p3 (info)
          key x: 1 by p4 (no answer)
        ");
    }

    #[test]
    fn reads_alone_are_no_recovery() {
        let read = |n, at| {
            let call = Call::Read { key: "x".into(), value: Some(None) };
            Op { call, ..op(n, at, Some((at, Outcome::Ok))) }
        };
        let changes = [13, 14, 15].map(|at| op(at as u32, at, Some((at + 1, Outcome::Info))));
        let stuck: Vec<Op> = changes.iter().cloned().chain([read(1, 14), read(2, 19)]).collect();
        let judgement = check(&stuck, QUIET, &Config::default());
        assert_eq!(judgement.violations[0].signature, "liveness/no-change-after-heal");
        let recovered: Vec<Op> = stuck.into_iter().chain([op(9, 16, Some((17, Outcome::Ok)))]).collect();
        assert_eq!(check(&recovered, QUIET, &Config::default()), Judgement::new(NAME));
    }

    #[test]
    fn silence_of_idle_clients_is_unknown() {
        let ops = [op(0, 2, Some((3, Outcome::Ok))), op(1, 14, Some((16, Outcome::Fail)))];
        let judgement = check(&ops, QUIET, &Config::default());
        assert_eq!(
            judgement.unknown,
            ["1 attempts between 15.000000 and 20.000000, 3 are needed to tell silence from idleness"]
        );
        assert!(judgement.violations.is_empty());
    }
}
