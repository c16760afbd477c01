//! Several registers under one operation: `txn`, `read` or `write` of `[[f register value] ...]`, where `f` is `r`,
//! `read`, `w` or `write`; or `read` and `write` of `{register value}`.
//!
//! Registers that no operation has in common have nothing to do with each other, so each such group is judged alone.

use super::first;
use super::part::{Part, by_key, not_understood};
use super::settings::Settings;
use crate::checker::linearizable::search::Item;
use crate::model::intern::Interner;
use crate::model::multi::{Access, MultiRegister};
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;

/// A read or a write as it was written down.
type Step<'a> = (bool, &'a Value, &'a Value);

/// The groups of registers of a history.
pub(super) fn parts<'a>(
    ops: &'a [Op],
    settings: &'a Settings,
) -> Result<Vec<Part<'a, MultiRegister>>, Error> {
    let mut parts = Vec::new();
    for (key, positions) in by_key(ops) {
        let mut registers = Interner::default();
        let mut groups = Groups::default();
        let mut read = Vec::new();
        for position in positions {
            let op = &ops[position as usize];
            let steps = steps(op, settings)?;
            if op.outcome == Outcome::Fail || steps.is_empty() {
                continue;
            }
            let numbers: Vec<u32> =
                steps.iter().map(|(_, register, _)| registers.number(*register)).collect();
            numbers.iter().for_each(|register| groups.join(numbers[0], *register));
            read.push((position, numbers, steps));
        }
        // the group of each register, and its place there
        let mut places = Vec::new();
        let mut roots: Interner<u32> = Interner::default();
        let mut sizes: Vec<usize> = Vec::new();
        for register in 0..registers.len() as u32 {
            let group = roots.number(groups.root(register)) as usize;
            sizes.resize(sizes.len().max(group + 1), 0);
            places.push((group, sizes[group] as u32));
            sizes[group] += 1;
        }
        let first = parts.len();
        for registers in sizes {
            let mut names = Interner::default();
            names.number(&settings.initial);
            let model = MultiRegister { registers };
            parts.push(Part { key: key.cloned(), model, ops: Vec::new(), items: Vec::new(), names });
        }
        for (position, numbers, steps) in read {
            let part = &mut parts[first + places[numbers[0] as usize].0];
            let access = |(register, (writes, _, value)): (&u32, &Step<'a>)| {
                let (place, value) = (places[*register as usize].1, part.names.number(value));
                if *writes { Access::Write(place, value) } else { Access::Read(place, value) }
            };
            let action = numbers.iter().zip(&steps).map(access).collect();
            let op = &ops[position as usize];
            part.ops.push(position);
            part.items.push(Item { action, call: op.invoke, ret: op.effective_by() });
        }
    }
    Ok(parts)
}

/// All reads and writes of a history.
///
/// # Errors
/// As [`parts`].
pub(super) fn accesses<'a>(ops: &'a [Op], settings: &Settings) -> Result<Vec<first::Access<'a>>, Error> {
    let mut accesses = Vec::new();
    for op in ops {
        let of = |(writes, register, value)| first::Access { op, writes, register: Some(register), value };
        accesses.extend(steps(op, settings)?.into_iter().map(of));
    }
    Ok(accesses)
}

/// The reads and writes of an operation, but for reads without an answer.
fn steps<'a>(op: &'a Op, settings: &Settings) -> Result<Vec<Step<'a>>, Error> {
    if !["txn", "read", "write"].contains(&op.f.as_str()) {
        return Err(not_understood(op, "txn, read or write"));
    }
    let not_steps =
        || op.error("its value is not understood, expected [[f register value] ...] or {register value}");
    let all: Vec<Step<'a>> = match op.value() {
        Value::Map(pairs) if op.f != "txn" => {
            pairs.iter().map(|(register, value)| (op.f == "write", register, value)).collect()
        }
        Value::Nil => Vec::new(),
        value => {
            let one = |step: &'a Value| match step.as_elements() {
                Some([f, register, value]) => match f.as_name() {
                    Some("r" | "read") => Ok((false, register, value)),
                    Some("w" | "write") => Ok((true, register, value)),
                    _ => Err(not_steps()),
                },
                _ => Err(not_steps()),
            };
            value.as_elements().ok_or_else(not_steps)?.iter().map(one).collect::<Result<_, _>>()?
        }
    };
    let says = |(writes, _, value): &Step<'a>| {
        let unknown = op.outcome != Outcome::Ok || (settings.nil_is_unknown && **value == Value::Nil);
        *writes || !unknown
    };
    Ok(all.into_iter().filter(says).collect())
}

/// Registers that belong together: each points towards the root of its group.
#[derive(Default)]
struct Groups(Vec<u32>);

impl Groups {
    fn root(&mut self, register: u32) -> u32 {
        let length = self.0.len() as u32;
        self.0.extend(length..=register.max(length));
        let mut at = register;
        while self.0[at as usize] != at {
            self.0[at as usize] = self.0[self.0[at as usize] as usize];
            at = self.0[at as usize];
        }
        at
    }

    fn join(&mut self, one: u32, other: u32) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other) as usize] = one.min(other);
    }
}
