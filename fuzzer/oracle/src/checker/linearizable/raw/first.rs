//! What registers may hold at first, where nobody has said so: then a violation may be none, and whoever asks is told.

use super::settings::{INITIAL, Settings, as_typed};
use crate::check::Options;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use crate::verdict::Judgement;

/// A read or a write of one register.
pub(super) struct Access<'a> {
    pub op: &'a Op,
    pub writes: bool,
    /// The register, where an operation names several.
    pub register: Option<&'a Value>,
    pub value: &'a Value,
}

/// The reads and writes of an operation on one register; a swap is both.
pub(super) fn of_register(op: &Op) -> Vec<Access<'_>> {
    let access = |writes, value| Access { op, writes, register: None, value };
    match (op.f.as_str(), op.asked.as_elements()) {
        ("read", _) => vec![access(false, op.value())],
        ("write", _) => vec![access(true, &op.asked)],
        ("cas", Some([old, new])) => vec![access(false, old), access(true, new)],
        _ => Vec::new(),
    }
}

/// Adds to a violation that it is none if registers hold another value at first, where that is so: the value that was read
/// first, before anybody could have written it.
///
/// # Errors
/// As `judge`, which judges with other settings.
pub(super) fn tell(
    judgement: &mut Judgement,
    options: &Options,
    accesses: &[Access<'_>],
    judge: impl FnOnce(&Settings) -> Result<Judgement, Error>,
) -> Result<(), Error> {
    if judgement.violations.is_empty() || options.text(INITIAL.name).is_some() {
        return Ok(());
    }
    let Some(value) = earliest(accesses) else { return Ok(()) };
    let mut settings = Settings::new(options)?;
    settings.nil_is_unknown |= options.text("nil").is_none();
    settings.initial = value.clone();
    if judge(&settings)?.violations.is_empty() {
        judgement.note(format!(
            "nothing contradicts if a register holds {value} at first: if it does, say so with --set {}={}",
            INITIAL.name,
            as_typed(value)
        ));
    }
    Ok(())
}

fn earliest<'a>(accesses: &[Access<'a>]) -> Option<&'a Value> {
    let is_read = |access: &&Access<'a>| {
        !access.writes && access.op.outcome == Outcome::Ok && *access.value != Value::Nil
    };
    let first = accesses.iter().filter(is_read).min_by_key(|access| access.op.complete)?;
    let may_be_read = |write: &Access<'_>| {
        write.writes
            && (write.register, &write.op.key) == (first.register, &first.op.key)
            && write.value == first.value
            && Some(write.op.invoke) < first.op.complete
            && write.op.invoke != first.op.invoke
    };
    (!accesses.iter().any(may_be_read)).then_some(first.value)
}
