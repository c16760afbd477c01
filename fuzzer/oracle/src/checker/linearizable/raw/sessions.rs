//! Registers under less than linearizability: sessions, and reads that may lag.

use super::part::Part;
use super::settings::Settings;
use crate::checker::linearizable::session::{self, Guarantee};
use crate::checker::linearizable::staleness;
use crate::model::register::Register;
use crate::raw::{Error, Op};
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeSet;

/// Judges the guarantees of sessions that were asked for: see [`session`].
pub(super) fn judge(
    ops: &[Op],
    parts: &[Part<'_, Register>],
    settings: &Settings,
) -> Result<Judgement, Error> {
    let guarantees = guarantees(settings.guarantees.as_deref())?;
    let mut judgement = Judgement::new(session::NAME);
    for part in parts {
        let own: Vec<&Op> = part.ops.iter().map(|position| &ops[*position as usize]).collect();
        let processes: Vec<u64> = own.iter().map(|op| op.process).collect();
        let Some(breaches) = session::judge(&part.items, &processes, &guarantees) else {
            judgement.unknown(format!(
                "a value was written twice{}, so versions cannot be told apart",
                part.of_key()
            ));
            continue;
        };
        for (kind, positions) in breaches {
            let some: Vec<&Op> = positions.into_iter().map(|i| own[i]).collect();
            let lines = some.iter().map(|op| format!("  {op}"));
            let lines = ["no order of versions agrees with all of these".to_owned()]
                .into_iter()
                .chain(lines)
                .collect();
            let last = some.iter().max_by_key(|op| op.complete.unwrap_or(op.invoke));
            let (at_ns, culprit) = last.map_or((0, None), |op| {
                (op.completed_ns.or(op.invoked_ns).unwrap_or_default(), Some(op.invoke))
            });
            let told = last.map(|op| op.to_string()).unwrap_or_default();
            let summary = format!("{told} breaks {kind}{}", part.of_key());
            let ops = some.into_iter().cloned().collect();
            let evidence = Evidence { ops, lines, culprit, ..Evidence::default() };
            judgement.violation(kind, at_ns, summary, evidence);
        }
    }
    Ok(judgement)
}

fn guarantees(text: Option<&str>) -> Result<BTreeSet<Guarantee>, Error> {
    let Some(text) = text else { return Ok(Guarantee::ALL.into()) };
    let named = |name: &str| {
        let known = Guarantee::ALL.map(Guarantee::name).join(", ");
        let cause = || format!("setting `guarantees` has {name:?}, expected some of {known}");
        Guarantee::named(name.trim()).ok_or_else(|| Error::at(None, cause()))
    };
    text.split(',').map(named).collect()
}

/// Lets reads lag by so many nanoseconds: see [`staleness`].
pub(super) fn relax(ops: &[Op], parts: &mut [Part<'_, Register>], bound_ns: u64) -> Result<(), Error> {
    let untimed = |op: &Op| op.error("it has no time, and a bound on staleness needs one");
    let mut events = Vec::with_capacity(ops.len() * 2);
    for op in ops {
        events.push((op.invoke, op.invoked_ns.ok_or_else(|| untimed(op))?));
        events.extend(op.complete.zip(op.completed_ns));
    }
    events.sort_unstable();
    for part in parts {
        let time = |position: &u32| ops[*position as usize].invoked_ns.unwrap_or_default();
        let times: Vec<u64> = part.ops.iter().map(time).collect();
        staleness::relax(&mut part.items, &times, &events, bound_ns);
    }
    Ok(())
}
