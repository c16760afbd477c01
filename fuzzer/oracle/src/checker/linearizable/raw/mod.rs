//! Linearizability, and what is weaker, of histories of anybody: the checks by name.
//!
//! Each check reads its own operations (see `CHECKS`) and judges them key by key. Failed operations did not happen;
//! those without a completion are optional, always.

mod first;
mod judge;
mod part;
mod read_multi;
mod read_others;
mod read_register;
mod sessions;
mod settings;

use super::{NAME, staleness};
use crate::check::{Check, Holds, Options};
use crate::example::Example;
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
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "0 :invoke :write 2",
            "0 :ok :write 2",
            "1 :invoke :read nil",
            "1 :ok :read 1",
        ],
        finds: "linearizability/stale-read",
    },
    options: &[CONSISTENCY_OF_REGISTERS, GUARANTEES, STALENESS, INITIAL, NIL, PARTITION, THREADS],
    holds: Holds::History,
    run: |source, options| register(&ops(source)?, options, false),
};

/// `cas-register`: with compare-and-set.
pub const CAS_REGISTER: Check = Check {
    name: "cas-register",
    about: "linearizable registers: `read`, `write`, `delete`, `cas` of [old new]",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write 1",
            "0 :ok :write 1",
            "1 :invoke :cas [1 2]",
            "1 :ok :cas [1 2]",
            "2 :invoke :cas [1 3]",
            "2 :ok :cas [1 3]",
        ],
        finds: "linearizability/lost-update",
    },
    options: &[CONSISTENCY_OF_REGISTERS, GUARANTEES, STALENESS, INITIAL, NIL, REFUSALS, PARTITION, THREADS],
    holds: Holds::History,
    run: |source, options| register(&ops(source)?, options, true),
};

/// `multi-register`: several at once.
pub const MULTI_REGISTER: Check = Check {
    name: "multi-register",
    about: "linearizable transactions on registers: `txn`, `read`, `write` of [[f register value] ...] or {register value}",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :write {:x 1, :y 1}",
            "0 :ok :write {:x 1, :y 1}",
            "1 :invoke :read {:x nil, :y nil}",
            "1 :ok :read {:x 1, :y nil}",
        ],
        finds: "linearizability/inconsistent-transaction",
    },
    options: &[CONSISTENCY, INITIAL, NIL, PARTITION, THREADS],
    holds: Holds::History,
    run: |source, options| {
        let (ops, settings) = (ops(source)?, Settings::new(options)?);
        let judge =
            |settings: &Settings| Ok(judge::judge(&ops, read_multi::parts(&ops, settings)?, settings));
        let mut judgement = judge(&settings)?;
        first::tell(&mut judgement, options, &read_multi::accesses(&ops, &settings)?, judge)?;
        Ok(judgement)
    },
};

/// `map`: texts that are appended to.
pub const MAP: Check = Check {
    name: "map",
    about: "a linearizable map of texts: `get`, `put`, `append`, of one entry a key",
    example: Example {
        settings: &[],
        history: &[
            r#"0 :invoke :put "a""#,
            r#"0 :ok :put "a""#,
            r#"0 :invoke :append "b""#,
            r#"0 :ok :append "b""#,
            "1 :invoke :get nil",
            r#"1 :ok :get "ba""#,
        ],
        finds: "linearizability/inconsistent-get",
    },
    options: &[CONSISTENCY, PARTITION, THREADS],
    holds: Holds::History,
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
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :add 1",
            "0 :ok :add 1",
            "1 :invoke :contains [1 nil]",
            "1 :ok :contains [1 false]",
        ],
        finds: "linearizability/missing-element",
    },
    options: &[CONSISTENCY, PARTITION, THREADS],
    holds: Holds::History,
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
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :enqueue 1",
            "0 :ok :enqueue 1",
            "0 :invoke :enqueue 2",
            "0 :ok :enqueue 2",
            "1 :invoke :dequeue nil",
            "1 :ok :dequeue 2",
        ],
        finds: "linearizability/out-of-order",
    },
    options: &[CONSISTENCY, PARTITION, THREADS],
    holds: Holds::History,
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
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :push 1",
            "0 :ok :push 1",
            "0 :invoke :push 2",
            "0 :ok :push 2",
            "1 :invoke :pop nil",
            "1 :ok :pop 1",
        ],
        finds: "linearizability/out-of-order",
    },
    options: &[CONSISTENCY, PARTITION, THREADS],
    holds: Holds::History,
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
    example: Example {
        settings: &[],
        history: &["0 :invoke :add 5", "0 :ok :add 5", "1 :invoke :read nil", "1 :ok :read 4"],
        finds: "linearizability/inconsistent-sum",
    },
    options: &[CONSISTENCY, INITIAL_COUNT, PARTITION, THREADS],
    holds: Holds::History,
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
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :acquire nil",
            "0 :ok :acquire nil",
            "1 :invoke :acquire nil",
            "1 :ok :acquire nil",
        ],
        finds: "linearizability/acquired-twice",
    },
    options: &[CONSISTENCY, PARTITION, THREADS],
    holds: Holds::History,
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
    let judge = |settings: &Settings| register_with(ops, settings, swaps);
    let mut judgement = judge(&Settings::new(options)?)?;
    let accesses: Vec<_> = ops.iter().flat_map(first::of_register).collect();
    first::tell(&mut judgement, options, &accesses, judge)?;
    Ok(judgement)
}

fn register_with(ops: &[Op], settings: &Settings, swaps: bool) -> Result<Judgement, Error> {
    let mut parts = part::parts(ops, || Registers::new(settings, swaps))?;
    if settings.consistency == Consistency::Session {
        return sessions::judge(ops, &parts, settings);
    }
    let mut name = NAME;
    if let Some(bound_ns) = settings.stale_ns {
        name = staleness::NAME;
        sessions::relax(ops, &mut parts, bound_ns)?;
    }
    Ok(judge::judge_as(name, ops, parts, settings))
}

#[cfg(test)]
mod tests;
