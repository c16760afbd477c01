//! What checkers of anybody's histories share: taking values apart, telling operations apart by key, evidence.

use crate::model::intern::Interner;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use crate::verdict::Evidence;
use std::collections::BTreeMap;

/// How many elements a sentence names.
pub(crate) const SHOWN: usize = 8;
/// How many characters of an operation are shown.
const LINE_MAX: usize = 240;

/// When a violation that an operation shows became certain; 0 where the history has no times.
pub(crate) fn at_ns(op: &Op) -> u64 {
    op.completed_ns.or(op.invoked_ns).unwrap_or_default()
}

/// The operation in a line, cut where its value is long.
pub(crate) fn line(op: &Op) -> String {
    cut(op.to_string(), LINE_MAX)
}

fn cut(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push_str(" ...");
    }
    text
}

/// These operations in the order of their invocations, each once, and what else is to be said.
pub(crate) fn evidence(ops: &[&Op], more: impl IntoIterator<Item = String>) -> Evidence {
    let mut ops = ops.to_vec();
    ops.sort_by_key(|op| op.invoke);
    ops.dedup_by_key(|op| op.invoke);
    let lines = ops.iter().map(|op| line(op)).chain(more).collect();
    Evidence { lines, ops: ops.into_iter().cloned().collect(), ..Evidence::default() }
}

/// The operations on each object, in the order of their invocations. A history without keys has one object.
pub(crate) fn by_key(ops: &[Op]) -> BTreeMap<Option<&Value>, Vec<&Op>> {
    let mut keys: BTreeMap<Option<&Value>, Vec<&Op>> = BTreeMap::new();
    for op in ops {
        keys.entry(op.key.as_ref()).or_default().push(op);
    }
    keys
}

/// ` of KEY`, or nothing for the object of a history without keys.
pub(crate) fn of_key(key: Option<&Value>) -> String {
    key.map(|key| format!(" of {key}")).unwrap_or_default()
}

/// The first few of these, with the number of all where it is greater.
pub(crate) fn some<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    let mut all = all.into_iter();
    let mut shown: Vec<String> = all.by_ref().take(SHOWN).map(|one| cut(one.to_string(), LINE_MAX)).collect();
    let more = all.count();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// `f` is none that the check understands.
pub(crate) fn not_understood(op: &Op, expected: &str) -> Error {
    Error::at(op.place, format!("operation {}: `{}` is not understood, expected {expected}", op.invoke, op.f))
}

/// The value of an operation is of another kind.
pub(crate) fn wrong_value(op: &Op, value: &Value, expected: &str) -> Error {
    let shown = cut(value.to_string(), LINE_MAX);
    let cause = format!(
        "operation {} ({}): its value is {} ({shown}), expected {expected}",
        op.invoke,
        op.f,
        value.kind()
    );
    Error::at(op.place, cause)
}

/// A whole number.
pub(crate) fn int(op: &Op, value: &Value) -> Result<i64, Error> {
    value.as_int().ok_or_else(|| wrong_value(op, value, "a whole number"))
}

/// A list or a set.
pub(crate) fn elements<'a>(op: &Op, value: &'a Value) -> Result<&'a [Value], Error> {
    value.as_elements().ok_or_else(|| wrong_value(op, value, "a list or a set"))
}

/// It took effect.
pub(crate) fn is_ok(op: &Op) -> bool {
    op.outcome == Outcome::Ok
}

/// Values as small numbers, in the order in which they came.
pub(crate) type Ids<'a> = Interner<&'a Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some(1..=3), "1, 2, 3");
        assert_eq!(some(1..=10), "1, 2, 3, 4, 5, 6, 7, 8, and 2 more");
    }
}
