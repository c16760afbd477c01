//! From the parts of a history to a judgement.

use super::part::Part;
use super::settings::{Consistency, Settings};
use crate::checker::linearizable::NAME;
use crate::checker::linearizable::classify::Why;
use crate::checker::linearizable::core::{SHARE, shrink};
use crate::checker::linearizable::decide::{Datatype, Finding, Impossible, find};
use crate::checker::linearizable::explain::{Story, Told, contradiction};
use crate::checker::linearizable::search::Item;
use crate::checker::linearizable::sequential::{self, Answer};
use crate::model::intern::Interner;
use crate::model::keyed::{Keyed, On};
use crate::raw::Op;
use crate::verdict::{Evidence, Judgement};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Below this many operations threads are not worth their start.
const ALONE_MAX: usize = 20_000;
/// How many operations evidence has at most: the last of them.
const EVIDENCE_MAX: usize = 200;
/// How many keys a sentence names.
const KEYS_SHOWN: usize = 8;

impl Told for Op {
    fn invoke(&self) -> u64 {
        self.invoke
    }

    fn effective_by(&self) -> Option<u64> {
        Self::effective_by(self)
    }
}

/// Judges all parts of a history.
pub(super) fn judge<'a, D>(ops: &'a [Op], parts: Vec<Part<'a, D>>, settings: &Settings) -> Judgement
where
    D: Datatype + Sync,
    D::Action: Sync,
{
    judge_as(NAME, ops, parts, settings)
}

/// The same in the name of another oracle, unless sequential consistency is asked for.
pub(super) fn judge_as<'a, D>(
    name: &str,
    ops: &'a [Op],
    parts: Vec<Part<'a, D>>,
    settings: &Settings,
) -> Judgement
where
    D: Datatype + Sync,
    D::Action: Sync,
{
    match settings.consistency {
        Consistency::Sequential => in_sequence(ops, &together(parts), settings.steps_max),
        Consistency::Linearizable | Consistency::Session if settings.partition => {
            linearizable(name, ops, &parts, settings)
        }
        Consistency::Linearizable | Consistency::Session => {
            linearizable(name, ops, &[together(parts)], settings)
        }
    }
}

fn linearizable<D>(name: &str, ops: &[Op], parts: &[Part<'_, D>], settings: &Settings) -> Judgement
where
    D: Datatype + Sync,
    D::Action: Sync,
{
    let total: usize = parts.iter().map(|part| part.items.len()).sum();
    let most = if total <= ALONE_MAX { Some(1) } else { settings.threads };
    let findings = each(most, parts, |part| find(&part.model, &part.items, settings.steps_max));
    let mut judgement = Judgement::new(name);
    let mut undecided = 0;
    for (part, finding) in parts.iter().zip(&findings) {
        match finding {
            Finding::Valid => {}
            Finding::OutOfBudget { at } => {
                undecided += 1;
                judgement.unknown(out_of_budget(ops, part, *at, settings.steps_max));
            }
            Finding::Impossible(found) => report(ops, part, found, &mut judgement),
        }
    }
    if undecided > 0 && parts.len() > 1 {
        judgement.unknown(fine(parts, &findings));
    }
    judgement
}

/// Judges sequential consistency: see [`sequential`].
fn in_sequence<M: Datatype>(ops: &[Op], part: &Part<'_, M>, steps_max: u64) -> Judgement {
    let mut judgement = Judgement::new(sequential::NAME);
    let own: Vec<&Op> = part.ops.iter().map(|position| &ops[*position as usize]).collect();
    let search = |some: &[usize], steps: &mut u64| {
        let items: Vec<Item<M::Action>> = some.iter().map(|i| part.items[*i].clone()).collect();
        let processes: Vec<u64> = some.iter().map(|i| own[*i].process).collect();
        sequential::search(&part.model, &items, &processes, steps)
    };
    let all: Vec<usize> = (0..own.len()).collect();
    let mut steps = steps_max;
    let order = match search(&all, &mut steps) {
        Answer::Order(_) => return judgement,
        Answer::OutOfBudget { order } => {
            let (placed, all) = (order.len(), own.len());
            judgement.unknown(format!(
                "the {all} operations could not be ordered in {steps_max} steps; raise the budget; \
                 the longest order that was found has {placed} of them"
            ));
            return judgement;
        }
        Answer::Impossible { order } => order,
    };
    let (mut steps, share) = (steps_max, steps_max.div_ceil(SHARE));
    let core = shrink(&part.model, &part.items, None, all, |some| {
        // what takes too long to tell stays in, and the rest is tried all the same
        let given = share.min(steps);
        let mut left = given;
        let answer = matches!(search(some, &mut left), Answer::Impossible { .. });
        steps -= given - left;
        (answer || steps > 0).then_some(answer)
    });
    let summary = format!(
        "no order of the {} operations keeps that of each process and explains every answer; the longest has {}",
        own.len(),
        order.len()
    );
    let core: Vec<&Op> = core.into_iter().map(|i| own[i]).collect();
    let lines = contradiction(&core, 0);
    let core = &core[core.len().saturating_sub(EVIDENCE_MAX)..];
    let last = core.iter().max_by_key(|op| op.complete);
    let at_ns = last.and_then(|op| op.completed_ns.or(op.invoked_ns)).unwrap_or_default();
    let ops = core.iter().map(|op| (*op).clone()).collect();
    judgement.violation("no-order", at_ns, summary, Evidence { ops, lines, ..Evidence::default() });
    judgement
}

/// What each part gives, at most so many at a time. The results do not depend on how many.
fn each<T: Sync, R: Send>(threads_max: Option<usize>, all: &[T], judge: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads_max.unwrap_or_else(processors).min(all.len());
    if threads <= 1 {
        return all.iter().map(judge).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(one) = all.get(position) else { return done };
            done.push((position, judge(one)));
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a judge does not panic")).collect()
    });
    results.sort_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

/// All keys as one data type.
fn together<'a, D: Datatype>(parts: Vec<Part<'a, D>>) -> Part<'a, Keyed<D>> {
    let mut all: Vec<(u32, Item<On<D::Action>>)> = Vec::new();
    let mut models = Vec::new();
    for (key, part) in parts.into_iter().enumerate() {
        for (position, Item { action, call, ret }) in part.ops.into_iter().zip(part.items) {
            all.push((position, Item { action: On { key: key as u32, action }, call, ret }));
        }
        models.push(part.model);
    }
    all.sort_by_key(|(position, _)| *position);
    let (ops, items) = all.into_iter().unzip();
    Part { key: None, model: Keyed(models), ops, items, names: Interner::default() }
}

fn out_of_budget<D: Datatype>(ops: &[Op], part: &Part<'_, D>, at: u64, steps_max: u64) -> String {
    let before = part.items.iter().filter(|item| item.ret.is_some_and(|ret| ret < at)).count();
    let stuck = part.ops.iter().map(|position| &ops[*position as usize]).find(|op| op.complete == Some(at));
    let stuck = stuck.map(|op| format!("; it got no further than {op}")).unwrap_or_default();
    format!(
        "the {} operations{} could not be ordered in {steps_max} steps; raise the budget or use more keys; \
         the {before} complete before entry {at} have an order{stuck}",
        part.items.len(),
        part.of_key()
    )
}

fn fine<D: Datatype>(parts: &[Part<'_, D>], findings: &[Finding]) -> String {
    let is_fine = |(part, finding): (&Part<'_, D>, &Finding)| match (&part.key, finding) {
        (Some(key), Finding::Valid) => Some(key.to_string()),
        _ => None,
    };
    let keys: Vec<String> = parts.iter().zip(findings).filter_map(is_fine).collect();
    let more = if keys.len() > KEYS_SHOWN { ", ..." } else { "" };
    let shown = keys[..keys.len().min(KEYS_SHOWN)].join(", ");
    format!("{} of {} keys are in order: {shown}{more}", keys.len(), parts.len())
}

fn report<D: Datatype>(ops: &[Op], part: &Part<'_, D>, found: &Impossible, judgement: &mut Judgement) {
    let own: Vec<&Op> = part.ops.iter().map(|position| &ops[*position as usize]).collect();
    let culprit = own[found.culprit];
    let (kind, why) = part.model.blame(&part.items, found.culprit, found.at);
    let order = found.order.as_ref().map(|order| {
        // those that were open did not need to be placed: a change matters all the same
        let settled =
            |i: &&usize| !part.model.is_pure(&part.items[**i].action) || part.items[**i].ret < Some(found.at);
        let order: Vec<usize> = order.iter().filter(settled).copied().collect();
        let left = order
            .iter()
            .try_fold(part.model.init(), |state, i| part.model.step(&state, &part.items[*i].action));
        let left = left.map(|state| part.model.show(&state, &|number| part.name(number))).unwrap_or_default();
        (order.into_iter().map(|i| own[i]).collect(), left)
    });
    let first = found.core.len().saturating_sub(EVIDENCE_MAX);
    let core: Vec<&Op> = found.core[first..].iter().map(|i| own[*i]).collect();
    let evidence_ops = core.iter().map(|op| (*op).clone()).collect();
    let of_key = part.of_key();
    let summary = summary(&own, culprit, why);
    let left_out = first;
    let story = Story { ops: &own, of_key, culprit, cut: found.at, order, core, left_out };
    let at_ns = culprit.completed_ns.or(culprit.invoked_ns).unwrap_or_default();
    let evidence = Evidence {
        ops: evidence_ops,
        lines: story.lines(),
        culprit: Some(culprit.invoke),
        ..Evidence::default()
    };
    judgement.violation(kind, at_ns, summary, evidence);
}

fn summary(own: &[&Op], culprit: &Op, why: Why) -> String {
    let key = culprit.key.as_ref().map(|key| format!(" {key}")).unwrap_or_default();
    let told = format!("{} {}{key} {}", culprit.who(), culprit.f, culprit.value());
    match why {
        Why::Held => format!("{told}, though the register held what it asked for all the time"),
        Why::Unwritten => format!("{told}, a value that no operation can have written"),
        Why::Unordered => format!("{told}, which no order of the other operations allows"),
        Why::Told(why) => format!("{told}, which {why}"),
        Why::Replaced(by) => {
            let by = own[by];
            format!("{told}, which {} had replaced by {} {} before that began", by.who(), by.f, by.asked)
        }
    }
}
