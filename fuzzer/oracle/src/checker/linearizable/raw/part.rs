//! The operations of one key as a data type sees them.

use super::super::decide::Datatype;
use super::super::search::Item;
use crate::model::intern::Interner;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;

/// One key's share of a history.
pub(super) struct Part<'a, D: Datatype> {
    /// The key, where there are keys.
    pub key: Option<Value>,
    /// The data type.
    pub model: D,
    /// Positions in the history, one an item.
    pub ops: Vec<u32>,
    /// What the operations count as.
    pub items: Vec<Item<D::Action>>,
    /// What numbers stand for.
    pub names: Interner<&'a Value>,
}

impl<D: Datatype> Part<'_, D> {
    /// ` on key KEY`, or nothing.
    pub fn of_key(&self) -> String {
        self.key.as_ref().map(|key| format!(" on key {key}")).unwrap_or_default()
    }

    /// The value with this number.
    pub fn name(&self, number: u32) -> String {
        if (number as usize) < self.names.len() { self.names.item(number).to_string() } else { "?".into() }
    }
}

/// Reads the operations of one key: what each does, if it counts.
pub(super) trait Reading<'a> {
    /// The data type.
    type Model: Datatype;

    /// What the operation counts as; nothing if it says nothing. Failed ones are shown only if [`Self::FAILED`].
    ///
    /// # Errors
    /// It is not understood.
    fn action(&mut self, op: &'a Op) -> Result<Option<<Self::Model as crate::model::Model>::Action>, Error>;

    /// The data type and the names of values, once all operations were read.
    fn finish(self) -> (Self::Model, Interner<&'a Value>);

    /// Failed operations may say something.
    const FAILED: bool = false;
}

/// The history's operations by key; keys in their order.
pub(super) fn by_key(ops: &[Op]) -> Vec<(Option<&Value>, Vec<u32>)> {
    let mut keys: Interner<Option<&Value>> = Interner::default();
    let mut all: Vec<Vec<u32>> = Vec::new();
    for (position, op) in ops.iter().enumerate() {
        let key = keys.number(op.key.as_ref()) as usize;
        if key == all.len() {
            all.push(Vec::new());
        }
        all[key].push(position as u32);
    }
    let mut all: Vec<_> =
        all.into_iter().enumerate().map(|(number, ops)| (*keys.item(number as u32), ops)).collect();
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}

/// All parts of a history whose operations name their key beside the value.
pub(super) fn parts<'a, R: Reading<'a>>(
    ops: &'a [Op],
    reading: impl Fn() -> R,
) -> Result<Vec<Part<'a, R::Model>>, Error> {
    let part = |(key, positions): (Option<&Value>, Vec<u32>)| part(key.cloned(), ops, &positions, reading());
    by_key(ops).into_iter().map(part).collect()
}

/// The part that the operations at these positions make.
pub(super) fn part<'a, R: Reading<'a>>(
    key: Option<Value>,
    ops: &'a [Op],
    positions: &[u32],
    mut reading: R,
) -> Result<Part<'a, R::Model>, Error> {
    let mut kept = Vec::with_capacity(positions.len());
    let mut items = Vec::with_capacity(positions.len());
    for &position in positions {
        let op = &ops[position as usize];
        let action = reading.action(op)?;
        if op.outcome == Outcome::Fail && !R::FAILED {
            continue;
        }
        let Some(action) = action else { continue };
        kept.push(position);
        items.push(Item { action, call: op.invoke, ret: op.effective_by() });
    }
    let (model, names) = reading.finish();
    Ok(Part { key, model, ops: kept, items, names })
}

/// The operation is none that the data type has.
pub(super) fn not_understood(op: &Op, expected: &str) -> Error {
    let cause = format!("operation {}: `{}` is not understood, expected {expected}", op.invoke, op.f);
    Error::at(op.place, cause)
}
