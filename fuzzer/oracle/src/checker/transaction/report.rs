//! From anomalies to a judgement: what the model asked for forbids is a violation, anything else is told as allowed.

use super::direct::Findings;
use super::explain::{self, Why};
use super::graph::Kind;
use super::history::History;
use super::model;
use super::search::{Cycle, Cycles};
use crate::check::{Options, Setting};
use crate::raw::Error;
use crate::verdict::Judgement;
use std::collections::BTreeSet;

/// `consistency`
pub(super) const CONSISTENCY: Setting = Setting {
    name: "consistency",
    about: "the model that must hold, such as serializable, snapshot-isolation or read-committed; \
            strict-serializable without it",
};

/// `realtime`
pub(super) const REALTIME: Setting = Setting {
    name: "realtime",
    about: "no: the order of entries means nothing across processes; yes without it",
};

/// What a check of transactions may be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// The model that must hold.
    pub model: &'static str,
    /// The order of entries is that of real time.
    pub is_realtime: bool,
    /// Most steps of a search.
    pub steps_max: u64,
}

impl Demand {
    /// What the options say.
    ///
    /// # Errors
    /// A model that there is not, or a setting that is neither yes nor no.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let name = options.text(CONSISTENCY.name).unwrap_or("strict-serializable");
        let model = model::named(name).ok_or_else(|| {
            let names = model::names().join(", ");
            Error::at(None, format!("`{name}` is no consistency model; expected one of {names}"))
        })?;
        let is_realtime = options.is_set(REALTIME.name, true)?;
        Ok(Self { model, is_realtime, steps_max: options.steps_max })
    }
}

/// Joins what was found to a judgement of this oracle.
pub(super) fn judgement(
    oracle: &str,
    demand: &Demand,
    history: &History,
    findings: Findings,
    cycles: &Cycles,
    why: &Why<'_>,
) -> Judgement {
    let mut judgement = Judgement::new(oracle);
    let mut names: BTreeSet<&'static str> = BTreeSet::new();
    let (mut allowed, mut unexplained) = (Vec::new(), 0);
    for (name, finding) in findings {
        names.insert(name);
        let more =
            if finding.count > 1 { format!(" ({} such findings)", finding.count) } else { String::new() };
        let summary = format!("{}{more}", finding.summary);
        if model::forbids(demand.model, name) {
            judgement.violation(name, finding.at_ns, summary, finding.evidence);
        } else {
            allowed.push(format!("{} allows {name}: {summary}", demand.model));
        }
    }
    let mut told: BTreeSet<&'static str> = BTreeSet::new();
    let mut found: Vec<_> = cycles
        .found
        .iter()
        .map(|(anomaly, cycle)| {
            let at_ns = cycle.iter().map(|(txn, _)| history.ended_ns(*txn)).max().unwrap_or(0);
            (at_ns, cycle.len(), *anomaly, cycle)
        })
        .collect();
    found.sort_by_key(|(at_ns, length, anomaly, _)| (*at_ns, *length, *anomaly));
    for (at_ns, _, anomaly, cycle) in found {
        let name = anomaly.name();
        if told.contains(name) {
            continue;
        }
        let Some(evidence) = explain::cycle(history, cycle, why) else {
            unexplained += 1;
            continue;
        };
        told.insert(name);
        names.insert(name);
        let known = nickname(cycle).map(|known| format!("{known}: ")).unwrap_or_default();
        let summary = format!("{known}{}: {} transactions in a circle", anomaly.about(), cycle.len());
        if model::forbids(demand.model, name) {
            judgement.violation(name, at_ns, summary, evidence);
        } else {
            let lines = evidence.lines.join("; ");
            allowed.push(format!("{} allows {name}: {summary}: {lines}", demand.model));
        }
    }
    judgement.notes = allowed;
    if !names.is_empty() {
        let boundary = model::boundary(names);
        judgement.notes.push(format!("ruled out: {}, and all that imply one of them", list(&boundary.not)));
        judgement.notes.push(format!("still possible: {}, and all that they imply", list(&boundary.still)));
    }
    if cycles.is_cut {
        judgement
            .unknown(format!("{} steps were not enough to look for every kind of cycle", demand.steps_max));
    }
    if unexplained > 0 {
        judgement.unknown(format!("{unexplained} cycles could not be explained, and are not reported"));
    }
    judgement
}

/// What books call a cycle of this shape.
fn nickname(cycle: &Cycle) -> Option<&'static str> {
    let mut kinds: Vec<Kind> = cycle.iter().map(|(_, kind)| *kind).collect();
    if let [_, Kind::Rw, ..] = kinds[..] {
        kinds.rotate_left(1);
    }
    match kinds[..] {
        [Kind::Rw, Kind::Rw] => Some("write skew"),
        [Kind::Rw, Kind::Wr] => Some("read skew"),
        [Kind::Rw, Kind::Wr, Kind::Rw, Kind::Wr] => Some("long fork"),
        _ => None,
    }
}

fn list(models: &[&str]) -> String {
    if models.is_empty() { "none".to_owned() } else { models.join(", ") }
}
