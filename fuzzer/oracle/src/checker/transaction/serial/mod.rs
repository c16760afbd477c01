//! `serializable`, `strict-serializable` and `snapshot-isolation` of registers, decided: by an anomaly, by an order of
//! the transactions that explains all reads, or by there being none.
//!
//! To decide is NP-complete (Papadimitriou, 1979), so the search for an order is bounded: out of steps is unknown. There
//! is no search where every transaction has read what it overwrites: then the anomalies are all there is to find. Else
//! the history falls into parts (`part`); of each, `infer` says what every order must hold, which is often a contradiction,
//! and `search` looks for an order that does. What has none is made small (`decide`) and told (`tell`).
//!
//! Under snapshot isolation a transaction has two places in the order, where it reads and where it writes, and two that
//! write the same register do not overlap (Cerone, Bernardi and Gotsman, CONCUR 2015).

mod access;
mod decide;
mod infer;
mod instance;
mod part;
mod search;
mod tell;

use super::history::{Action, Datatype, History, Mop};
use super::report::Demand;
use super::touched::Touched;
use super::weak::{self, Level};
use super::{intake, register};
use crate::check::{Check, Holds, Options, Setting, Source as Entries};
use crate::example::Example;
use crate::raw::Error;
use crate::verdict::Judgement;
use access::Accesses;
use decide::{Decision, Question};

/// `order`
const ORDER: Setting = Setting {
    name: "order",
    about: "what the order of transactions must hold besides: none, process, or realtime; without it none, but process \
            where a format has sessions (plume, awdit, dbcop, hist)",
};

/// Serializability.
pub const SERIALIZABLE: Check = Check {
    name: "serializable",
    about: "transactions [[:w k v] [:r k v]], values written once: one after the other in some order; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:r x nil] [:w y 1]]",
            "1 :invoke :txn [[:r y nil] [:w x 1]]",
            "0 :ok :txn [[:r x nil] [:w y 1]]",
            "1 :ok :txn [[:r y nil] [:w x 1]]",
        ],
        finds: "serializable/G2-item",
    },
    options: &[ORDER],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["serializable", "strong-session-serializable", "strict-serializable"];
        run(entries, options, Problem { name: "serializable", models, is_snapshot: false, always: None })
    },
};

/// Strict serializability.
pub const STRICT: Check = Check {
    name: "strict-serializable",
    about: "transactions [[:w k v] [:r k v]], values written once: one after the other in real time; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:w x 1]]",
            "0 :ok :txn [[:w x 1]]",
            "1 :invoke :txn [[:r x nil]]",
            "1 :ok :txn [[:r x nil]]",
        ],
        finds: "strict-serializable/G-single-realtime",
    },
    options: &[],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["strict-serializable"; 3];
        let always = Some(Held::Realtime);
        run(entries, options, Problem { name: "strict-serializable", models, is_snapshot: false, always })
    },
};

/// Snapshot isolation.
pub const SNAPSHOT: Check = Check {
    name: "snapshot-isolation",
    about: "transactions [[:w k v] [:r k v]], values written once: reads of a snapshot, no lost update; bounded search",
    example: Example {
        settings: &[],
        history: &[
            "0 :invoke :txn [[:r x nil] [:w x 1]]",
            "1 :invoke :txn [[:r x nil] [:w x 2]]",
            "0 :ok :txn [[:r x nil] [:w x 1]]",
            "1 :ok :txn [[:r x nil] [:w x 2]]",
        ],
        finds: "snapshot-isolation/lost-update",
    },
    options: &[ORDER],
    holds: Holds::History,
    run: |entries, options| {
        let models = ["snapshot-isolation", "strong-session-snapshot-isolation", "strong-snapshot-isolation"];
        run(entries, options, Problem { name: "snapshot-isolation", models, is_snapshot: true, always: None })
    },
};

/// What the order must hold besides what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Nothing,
    Process,
    Realtime,
}

struct Problem {
    name: &'static str,
    /// The consistency model, by what is held.
    models: [&'static str; 3],
    is_snapshot: bool,
    always: Option<Held>,
}

fn run(entries: &mut Entries<'_>, options: &Options, problem: Problem) -> Result<Judgement, Error> {
    let held = match (problem.always, options.text(ORDER.name)) {
        (Some(held), _) => held,
        (None, None | Some("none")) => Held::Nothing,
        (None, Some("process")) => Held::Process,
        (None, Some("realtime")) => Held::Realtime,
        (None, Some(other)) => {
            let cause = format!("setting `{}` is {other:?}, expected none, process or realtime", ORDER.name);
            return Err(Error::at(None, cause));
        }
    };
    let history = intake::read(entries, Datatype::Register)?;
    let demand = Demand {
        model: problem.models[held as usize],
        is_realtime: held == Held::Realtime,
        steps_max: options.steps_max,
    };
    let mut judgement = register::judge(problem.name, &history, &demand, register::MODEST);
    if !judgement.violations.is_empty() {
        return Ok(judgement);
    }
    judgement.notes.clear();
    // where the order of versions is known, the inference looked at everything that can be wrong
    if judgement.unknown.is_empty() && is_determined(&history) {
        return Ok(judgement);
    }
    judgement.unknown.clear();
    // a history that is too long to infer much from is looked at by cheaper means first
    if held != Held::Nothing && infer::is_too_long(&history, problem.is_snapshot) {
        let weak = weak::judge(problem.name, &history, Level::Causal, options.steps_max);
        if !weak.violations.is_empty() {
            return Ok(weak);
        }
    }
    let accesses = Accesses::new(&history);
    let question = Question { accesses: &accesses, held, is_snapshot: problem.is_snapshot };
    match question.decide(options.steps_max) {
        Decision::Order => {}
        Decision::None(part) => {
            let count = part.txns.len();
            let mut evidence = tell::evidence(&question, &part);
            let summary = format!("no order of these {count} transactions explains what was read");
            evidence.lines.push(summary.clone());
            let at_ns = part.txns.iter().map(|txn| history.ended_ns(*txn)).max().unwrap_or(0);
            judgement.violation("no-order", at_ns, summary, evidence);
        }
        Decision::Unknown { txns, placed, events } => judgement.unknown(format!(
            "no anomaly was found, and {} steps did not find an order of {txns} transactions either; of the hardest part of \
             the history, {placed} of {events} events were in order at best",
            options.steps_max
        )),
    }
    Ok(judgement)
}

/// Whether each version says which one it replaced: whoever writes a register has read it before, and no two have read
/// the same version. Then versions of a register are in a line, all dependencies are known, and histories are
/// serializable or have snapshot isolation if no cycle of them says otherwise (Zhang et al., "Fast verification of strong
/// database isolation", VLDB 2023; "MTC", arXiv 2504.02344, for *mini-transactions*, which are such).
fn is_determined(history: &History) -> bool {
    let mut replaced: Vec<(u32, u32)> = Vec::new();
    for txn in (0..history.txns.len() as u32).filter(|txn| history.counts[*txn as usize]) {
        let mut firsts: Touched<&Mop> = Touched::default();
        for mop in history.mops_of(txn) {
            match (firsts.get_mut(mop.key), mop.action) {
                (Some(first), Action::Write) if first.action == Action::Read => {
                    replaced.push((mop.key, first.version));
                }
                (_, Action::Write) => return false,
                (Some(_), _) => {}
                (None, _) => {
                    firsts.put(mop.key, mop);
                }
            }
        }
    }
    let count = replaced.len();
    replaced.sort_unstable();
    replaced.dedup();
    replaced.len() == count
}
