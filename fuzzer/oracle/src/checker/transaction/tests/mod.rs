//! Histories in a notation, and what checks make of them.

mod blind;
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

/// Evidence has operations, a line for each, and a picture in which some of them come before themselves.
fn sound(evidence: &Evidence) {
    assert!(!evidence.ops.is_empty() && evidence.lines.len() > evidence.ops.len());
    let Some(graph) = &evidence.graph else { return };
    assert_eq!(graph.nodes.len(), evidence.ops.len());
    let mut left: Vec<usize> = (0..graph.nodes.len()).collect();
    while let Some(at) = left.iter().position(|node| {
        let mut into = graph.edges.iter().filter(|edge| edge.to == *node);
        into.all(|edge| !left.contains(&edge.from))
    }) {
        left.swap_remove(at);
    }
    assert!(!left.is_empty(), "the picture has no circle: {:#?}", graph.edges);
}
