//! Linearizability, and what is weaker, of histories of anybody: the checks by name.
//!
//! Each check reads its own operations (see `CHECKS`) and judges them key by key. Failed operations did not happen;
//! those without a completion are optional, always.

mod judge;
mod part;
mod read_multi;
mod read_others;
mod read_register;
mod sessions;
mod settings;

use super::{NAME, staleness};
use crate::check::{Check, Options};
use crate::model::sequence::Sequence;
use crate::raw::{Error, Op, ops};
use crate::value::Value;
use crate::verdict::Judgement;
use read_others::{Counters, Entries, Locks, Sequences, Sets};
use read_register::Registers;
use settings::{
    CONSISTENCY, CONSISTENCY_OF_REGISTERS, Consistency, GUARANTEES, INITIAL, INITIAL_COUNT, NIL, PARTITION,
    REFUSALS, STALENESS, Settings, THREADS,
};

/// `register`: the fastest, for reads and writes.
pub const REGISTER: Check = Check {
    name: "register",
    about: "linearizable registers: `read`, `write`, `delete`, of one value a key",
    options: &[CONSISTENCY_OF_REGISTERS, GUARANTEES, STALENESS, INITIAL, NIL, PARTITION, THREADS],
    run: |source, options| register(&ops(source)?, options, false),
};

/// `cas-register`: with compare-and-set.
pub const CAS_REGISTER: Check = Check {
    name: "cas-register",
    about: "linearizable registers: `read`, `write`, `delete`, `cas` of [old new]",
    options: &[CONSISTENCY_OF_REGISTERS, GUARANTEES, STALENESS, INITIAL, NIL, REFUSALS, PARTITION, THREADS],
    run: |source, options| register(&ops(source)?, options, true),
};

/// `multi-register`: several at once.
pub const MULTI_REGISTER: Check = Check {
    name: "multi-register",
    about: "linearizable transactions on registers: `txn`, `read`, `write` of [[f register value] ...] or {register value}",
    options: &[CONSISTENCY, INITIAL, NIL, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = read_multi::parts(&ops, &settings)?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `map`: texts that are appended to.
pub const MAP: Check = Check {
    name: "map",
    about: "a linearizable map of texts: `get`, `put`, `append`, of one entry a key",
    options: &[CONSISTENCY, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = part::parts(&ops, Entries::default)?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `linearizable-set`.
pub const SET: Check = Check {
    name: "linearizable-set",
    about: "a linearizable set: `add`, `remove`, `contains` of [element truth], `read` of all elements",
    options: &[CONSISTENCY, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = part::parts(&ops, Sets::default)?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `fifo-queue`.
pub const QUEUE: Check = Check {
    name: "fifo-queue",
    about: "a linearizable queue, first in first out: `enqueue`, `dequeue` (nil: there was nothing)",
    options: &[CONSISTENCY, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = part::parts(&ops, || Sequences::new(Sequence::Queue))?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `stack`.
pub const STACK: Check = Check {
    name: "stack",
    about: "a linearizable stack, last in first out: `push`, `pop` (nil: there was nothing)",
    options: &[CONSISTENCY, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = part::parts(&ops, || Sequences::new(Sequence::Stack))?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `linearizable-counter`.
pub const COUNTER: Check = Check {
    name: "linearizable-counter",
    about: "a linearizable counter: `add` of a number, `increment`, `decrement`, `read` of the sum",
    options: &[CONSISTENCY, INITIAL_COUNT, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let initial = match settings.initial {
            Value::Nil => 0,
            Value::Int(initial) => initial,
            _ => return Err(Error::at(None, "setting `initial` is not understood, expected a whole number")),
        };
        let parts = part::parts(&ops, || Counters { initial })?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// `linearizable-mutex`.
pub const MUTEX: Check = Check {
    name: "linearizable-mutex",
    about: "a lock for one at a time: `acquire`, `release`",
    options: &[CONSISTENCY, PARTITION, THREADS],
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let parts = part::parts(&ops, || Locks)?;
        Ok(judge::judge(&ops, parts, &settings))
    },
};

/// Judges operations on registers, with `cas` among them if `swaps`: see [`CAS_REGISTER`].
///
/// # Errors
/// An operation or a setting that is not understood, or a bound on staleness where the history has no times.
pub fn register(ops: &[Op], options: &Options, swaps: bool) -> Result<Judgement, Error> {
    let settings = Settings::new(options)?;
    let mut parts = part::parts(ops, || Registers::new(&settings, swaps))?;
    if settings.consistency == Consistency::Session {
        return sessions::judge(ops, &parts, &settings);
    }
    let mut name = NAME;
    if let Some(bound_ns) = settings.stale_ns {
        name = staleness::NAME;
        sessions::relax(ops, &mut parts, bound_ns)?;
    }
    Ok(judge::judge_as(name, ops, parts, &settings))
}

#[cfg(test)]
mod tests;
