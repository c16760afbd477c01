//! Statistics: of everything that was tried, something succeeded.
//!
//! | kind | what was seen |
//! |---|---|
//! | `never-ok` | an operation was tried, and never acknowledged |
//!
//! Operations are any. How many of each ended how is noted. A history of which nothing succeeded passes many checks, for
//! nothing was promised: this one tells it. Linear in the number of operations, of which it holds those that are open.
//! Source: Jepsen's `checker/stats`.

use super::shape::{at_ns, evidence};
use crate::check::{Check, Holds, Source};
use crate::example::Example;
use crate::op::Outcome;
use crate::raw::{Error, Op, Pairing};
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// The check `stats`.
pub const CHECK: Check = Check {
    name: "stats",
    about: "of each sort of operations that was tried, some succeeded",
    example: Example {
        settings: &[],
        history: &["0 :invoke :read nil", "0 :ok :read nil", "1 :invoke :write 1", "1 :fail :write 1"],
        finds: "stats/never-ok",
    },
    options: &[],
    holds: Holds::Open,
    run: |source, _| judge(source),
};

/// Operations of one sort by how they ended, and the first that did not succeed.
#[derive(Default)]
struct Tally {
    ok: u64,
    fail: u64,
    info: u64,
    first: Option<Op>,
}

impl Tally {
    fn count(&mut self, op: Op) {
        match op.outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Fail => self.fail += 1,
            Outcome::Info => self.info += 1,
        }
        if op.outcome != Outcome::Ok {
            self.first.get_or_insert(op);
        }
    }
}

fn judge(source: &mut Source<'_>) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let mut pairing = Pairing::default();
    let mut count = |op: Op| match tallies.get_mut(&op.f) {
        Some(tally) => tally.count(op),
        None => tallies.entry(op.f.clone()).or_default().count(op),
    };
    for entry in source {
        pairing.push(entry?)?.into_iter().for_each(&mut count);
    }
    // what is still open may be on its way: it counts only where something else has ended
    let open = pairing.finish();
    for op in open {
        if let Some(tally) = tallies.get_mut(&op.f) {
            tally.count(op);
        }
    }
    for (f, Tally { ok, fail, info, first }) in tallies {
        if let Some(first) = first.filter(|_| ok == 0) {
            let summary = format!("{f} was tried {} times and never succeeded", fail + info);
            judgement.violation("never-ok", at_ns(&first), summary, evidence(&[&first], []));
        }
        judgement.note(format!("{f}: {ok} ok, {fail} fail, {info} info"));
    }
    Ok(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{judge as judged, script};
    use crate::value::Value;

    #[test]
    fn what_succeeded_once_is_enough_and_the_rest_is_counted() {
        let steps = [
            (0, '+', "read", Value::Nil),
            (0, '!', "read", Value::Nil),
            (0, '+', "read", Value::Nil),
            (0, '=', "read", Value::Nil),
            (1, '+', "write", Value::Nil),
            (1, '?', "write", Value::Nil),
            (2, '+', "cas", Value::Nil),
        ];
        let judgement = judged(&CHECK, &script(&steps), &[]).unwrap();
        assert_eq!(judgement.notes, ["read: 1 ok, 1 fail, 0 info", "write: 0 ok, 0 fail, 1 info"]);
        let summaries: Vec<&str> = judgement.violations.iter().map(|one| one.summary.as_str()).collect();
        assert_eq!(summaries, ["write was tried 1 times and never succeeded"]);
    }
}
