//! Elements that replicas hold in the end.

use super::super::shape::{Ids, at_ns, elements, evidence, is_ok, not_understood, of_key, some};
use super::Object;
use crate::check::Options;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::verdict::Judgement;
use std::collections::BTreeMap;

/// Judges a set that only grows.
pub fn judge_growing(object: &Object<'_>, _: &Options, judgement: &mut Judgement) -> Result<(), Error> {
    judge(object, false, judgement)
}

/// Judges a set whose elements may be removed.
pub fn judge_removing(object: &Object<'_>, _: &Options, judgement: &mut Judgement) -> Result<(), Error> {
    judge(object, true, judgement)
}

/// What is known of an element.
#[derive(Default)]
struct Element<'a> {
    /// All operations that add it, failed ones too.
    adds: Vec<&'a Op>,
    /// Those that remove it and have not failed.
    removes: Vec<&'a Op>,
    /// A read that held it before all was quiet.
    seen: Option<&'a Op>,
}

/// What must be true of an element in the end, and the operations that make it so.
enum Must<'a> {
    Be(&'static str, &'a Op),
    NotBe(&'static str, Option<&'a Op>),
    Agree,
    /// It may be there or not, and this operation may change it at any time.
    Nothing,
}

fn judge(object: &Object<'_>, removes: bool, judgement: &mut Judgement) -> Result<(), Error> {
    let mut ids = Ids::default();
    let mut known: Vec<Element<'_>> = Vec::new();
    let mut reads: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for op in object.ops {
        match op.f.as_str() {
            "add" | "broadcast" => {
                element(&mut ids, &mut known, op).adds.push(op);
            }
            "remove" if removes => {
                let element = element(&mut ids, &mut known, op);
                element.removes.extend(Some(op).filter(|op| op.outcome != Outcome::Fail));
            }
            "read" if is_ok(op) => {
                let held: Vec<u32> =
                    elements(op, op.value())?.iter().map(|element| ids.number(element)).collect();
                known.resize_with(ids.len(), Element::default);
                if op.complete < Some(object.finals.quiet) {
                    held.iter().for_each(|id| {
                        known[*id as usize].seen.get_or_insert(op);
                    });
                }
                reads.insert(op.invoke, held);
            }
            "read" => {}
            _ => return Err(not_understood(op, if removes { "add, remove or read" } else { "add or read" })),
        }
    }
    let finals: Vec<(&Op, &Vec<u32>)> =
        object.finals.reads.iter().filter_map(|read| Some((*read, reads.get(&read.invoke)?))).collect();
    let musts: Vec<Must<'_>> = known.iter().map(|one| one.must(object, removes)).collect();
    let mut held: Vec<Option<usize>> = vec![None; musts.len()];
    let mut counts: Vec<usize> = vec![0; musts.len()];
    for (position, (read, ids_held)) in finals.iter().enumerate() {
        let mut bad = Bad::new();
        for id in ids_held.iter() {
            if held[*id as usize].replace(position) == Some(position) {
                report(&mut bad, "duplicated-element", *id, None);
                continue;
            }
            counts[*id as usize] += 1;
            if let Must::NotBe(kind, op) = musts[*id as usize] {
                report(&mut bad, kind, *id, op);
            }
        }
        for (id, must) in (0..).zip(&musts) {
            if let (Must::Be(kind, op), true) = (must, held[id as usize] != Some(position)) {
                report(&mut bad, kind, id, Some(op));
            }
        }
        for (kind, (concerned, op)) in bad {
            let first = ids.item(concerned[0]);
            let how =
                if kind.ends_with("missing") { "is not there in the end" } else { "is there in the end" };
            let how = if kind.starts_with("duplicated") { "is there twice in the end" } else { how };
            let summary = format!("{first} {how}{}, as {} reads", of_key(object.key), read.who());
            let all =
                format!("{} elements: {}", concerned.len(), some(concerned.iter().map(|id| ids.item(*id))));
            let ops: Vec<&Op> = op.into_iter().chain([*read]).collect();
            judgement.violation(kind, at_ns(read), summary, evidence(&ops, [all]));
        }
    }
    // Of elements that may be there or not, all final reads say the same.
    let is_torn = |id: &usize| (1..finals.len()).contains(&counts[*id]);
    let may_differ = |id: &usize| matches!(musts[*id], Must::Nothing);
    let is_loose = |id: &usize| matches!(musts[*id], Must::Agree);
    if let Some(id) = (0..musts.len()).find(|id| is_torn(id) && is_loose(id)) {
        let has = |at: &usize| finals[*at].1.iter().any(|one| *one as usize == id);
        let first = has(&0);
        if let Some(other) = (1..finals.len()).find(|at| has(at) != first) {
            let summary = format!(
                "{} and {} differ in the end{}: one has {}, the other has not",
                finals[0].0.who(),
                finals[other].0.who(),
                of_key(object.key),
                ids.item(u32::try_from(id).expect("ids are of 32 bits"))
            );
            let at = at_ns(finals[0].0).max(at_ns(finals[other].0));
            let shows = evidence(&[finals[0].0, finals[other].0], []);
            judgement.violation("replicas-disagree", at, summary, shows);
        }
    }
    let torn = (0..musts.len()).filter(|id| is_torn(id) && may_differ(id)).count();
    if torn > 0 {
        let of_key = of_key(object.key);
        judgement.unknown(format!(
            "final reads{of_key} differ in {torn} elements, whose additions or removals may still take effect"
        ));
    }
    Ok(())
}

/// What is wrong with a read: by kind, the elements concerned, and an operation on the first of them.
type Bad<'a> = BTreeMap<&'static str, (Vec<u32>, Option<&'a Op>)>;

fn report<'a>(bad: &mut Bad<'a>, kind: &'static str, id: u32, op: Option<&'a Op>) {
    bad.entry(kind).or_insert((Vec::new(), op)).0.push(id);
}

fn element<'e, 'a>(ids: &mut Ids<'a>, known: &'e mut Vec<Element<'a>>, op: &'a Op) -> &'e mut Element<'a> {
    let id = ids.number(&op.asked);
    known.resize_with(ids.len(), Element::default);
    &mut known[id as usize]
}

impl<'a> Element<'a> {
    fn must(&self, object: &Object<'_>, removes: bool) -> Must<'a> {
        let attempts = || self.adds.iter().filter(|op| op.outcome != Outcome::Fail);
        if attempts().next().is_none() {
            return Must::NotBe("unexpected-element", self.adds.first().copied());
        }
        let is_survivor = |add: &&&Op| {
            is_ok(add)
                && self.removes.iter().all(|op| op.effective_by().is_some_and(|done| done < add.invoke))
        };
        if let Some(add) = self.adds.iter().find(is_survivor) {
            return Must::Be("acknowledged-element-missing", add);
        }
        if let Some(seen) = self.seen.filter(|_| !removes) {
            return Must::Be("seen-element-missing", seen);
        }
        let removed = |add: &&Op| {
            let sees = |op: &&&Op| is_ok(op) && op.process == add.process && add.complete < Some(op.invoke);
            is_ok(add) && self.removes.iter().any(|op| sees(&op))
        };
        if attempts().all(removed) {
            return Must::NotBe("removed-element-present", self.removes.first().copied());
        }
        let is_open = attempts().chain(&self.removes).any(|op| op.outcome == Outcome::Info);
        if is_open && !object.finals.is_settled { Must::Nothing } else { Must::Agree }
    }
}
