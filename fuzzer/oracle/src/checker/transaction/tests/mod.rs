//! Histories in a notation, and what checks make of them.

mod cycles;
mod decided;
mod lists;
mod planted;
mod reference;
mod registers;
mod store;

use super::script::{Step, entries, steps};
use crate::check::{Check, Options};
use crate::history::Phase;
use crate::verdict::{Evidence, Judgement};

/// Options with these settings.
pub(super) fn options(settings: &[(&str, &str)]) -> Options {
    let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Options { settings, ..Options::default() }
}

/// What a check says of these transactions.
pub(super) fn judge(check: &Check, steps: &[Step], settings: &[(&str, &str)]) -> Judgement {
    let mut entries = entries(steps).into_iter().map(Ok);
    let judgement = check.judge(&mut entries, &options(settings)).unwrap();
    judgement.violations.iter().for_each(|violation| sound(&violation.evidence));
    judgement
}

/// The names of the anomalies that are violations, sorted.
pub(super) fn names(judgement: &Judgement) -> Vec<String> {
    assert_eq!(judgement.unknown, [""; 0]);
    let name = |signature: &str| signature.split_once('/').unwrap().1.to_owned();
    let mut names: Vec<String> = judgement.violations.iter().map(|v| name(&v.signature)).collect();
    names.sort();
    names
}

/// What `list-append` finds wrong with a script.
pub(super) fn lists(script: &[&str]) -> Vec<String> {
    names(&judge(&super::append::CHECK, &steps(script, true), &[]))
}

/// Evidence has operations, a line for each, and a picture that is one circle, if it is a cycle.
fn sound(evidence: &Evidence) {
    assert!(!evidence.ops.is_empty() && evidence.lines.len() > evidence.ops.len());
    let Some(graph) = &evidence.graph else { return };
    assert_eq!(graph.nodes.len(), evidence.ops.len());
    for (at, edge) in graph.edges.iter().enumerate() {
        assert_eq!((edge.from, edge.to), (at, (at + 1) % graph.nodes.len()));
    }
}
