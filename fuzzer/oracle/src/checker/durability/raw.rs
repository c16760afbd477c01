//! The check `durability`, of histories of anybody.
//!
//! Operations on registers: `read`, `write`, `delete`, and `cas` of `[old new]`. Final reads are those with a true field
//! `final?` (or `final`); without any, those that were asked for once the last fault, the last entry of a named process,
//! was over, or `final-ms` after the beginning if that is given.

use super::NAME;
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::op::{self, Call, Outcome};
use crate::raw::{Error, Op, Pairing, Step};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The check `durability`.
pub const CHECK: Check = Check {
    name: NAME,
    about: "what `write`, `cas` or `delete` was acknowledged for is there at final `read`s, unless something newer is",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "0 :invoke :write 2",
            "0 :ok :write 2",
            "nemesis :info :power-off nil",
            "1 :invoke :read nil",
            "1 :ok :read 1",
        ],
        finds: "durability/acknowledged-write-lost",
    },
    options: &[Setting {
        name: "final-ms",
        about: "when final reads begin that are not marked, in milliseconds of the history's time; after the last fault \
                without it",
    }],
    holds: Holds::History,
    run: judge,
};

fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let final_ns = options.number::<u64>("final-ms")?.map(|ms| ms.saturating_mul(MS));
    let mut pairing = Pairing::default();
    let (mut ops, mut fault_ns) = (Vec::new(), 0);
    for entry in source {
        match pairing.step(entry?)? {
            Step::Other(fault) => fault_ns = fault.at_ns.unwrap_or(fault_ns),
            Step::Begun(_) => {}
            Step::Ended(op) => ops.push(op),
        }
    }
    ops.extend(pairing.finish());
    ops.sort_by_key(|op| op.invoke);
    let marked = ops.iter().filter(|op| op.f == "read" && is_marked(op));
    let marked_ns = marked.map(|op| op.invoked_ns.unwrap_or_default()).min();
    let calls: Vec<op::Op> = ops.iter().map(call).collect::<Result<_, _>>()?;
    let from_ns = marked_ns.or(final_ns).unwrap_or(fault_ns);
    let mut judgement = super::check(&calls, from_ns, from_ns);
    let at: BTreeMap<u64, &Op> = ops.iter().map(|op| (op.invoke, op)).collect();
    for violation in &mut judgement.violations {
        let entries = std::mem::take(&mut violation.evidence.entries);
        violation.evidence.ops =
            entries.iter().filter_map(|entry| at.get(&entry.index)).map(|op| (*op).clone()).collect();
    }
    Ok(judgement)
}

fn is_marked(op: &Op) -> bool {
    let says_so = |(name, value): &(String, Value)| {
        matches!(name.as_str(), "final?" | "final") && *value == Value::Bool(true)
    };
    op.extra.iter().any(says_so)
}

/// The operation as a campaign records it.
fn call(op: &Op) -> Result<op::Op, Error> {
    let Some(invoked_ns) = op.invoked_ns else { return Err(op.error("it has no time, which is needed")) };
    let key = op.key.as_ref().map_or_else(|| "the register".to_owned(), plain);
    let held = |value: &Value| (*value != Value::Nil).then(|| plain(value));
    let call = match op.f.as_str() {
        "read" => {
            let value = (op.outcome == Outcome::Ok).then(|| held(op.value()));
            Call::Read { key, value }
        }
        "write" => match held(&op.asked) {
            Some(value) => Call::Write { key, value },
            None => Call::Delete { key },
        },
        "delete" => Call::Delete { key },
        "cas" => match op.asked.as_elements() {
            Some([old, new]) => {
                let no = |(name, value): &(String, Value)| name == "result" && *value == Value::Bool(false);
                let result = (op.outcome == Outcome::Ok).then(|| !op.extra.iter().any(no));
                Call::Cas { key, expect: held(old), value: plain(new), result }
            }
            _ => return Err(op.error(format!("its value is {}, expected [old new]", op.asked.kind()))),
        },
        _ => {
            let cause = format!(
                "operation {}: `{}` is not understood, expected read, write, delete or cas",
                op.invoke, op.f
            );
            return Err(Error::at(op.place, cause));
        }
    };
    Ok(op::Op {
        process: u32::try_from(op.process).map_err(|_| op.error("its process is no number below 2^32"))?,
        call,
        outcome: op.outcome,
        invoke: op.invoke,
        invoked_ns,
        complete: op.complete,
        completed_ns: op.completed_ns,
        error: op.error.as_ref().map(ToString::to_string),
        client: op.client(),
        node: op.node(),
    })
}

/// A value as text; names without their marks.
fn plain(value: &Value) -> String {
    value.as_name().map_or_else(|| value.to_string(), str::to_owned)
}
