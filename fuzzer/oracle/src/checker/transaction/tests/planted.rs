//! Anomalies planted into histories of a store that has none: each is found, and nothing that it does not imply.

use super::store::{Isolation, Rng, Size, history, rng, shown};
use super::*;
use crate::checker::transaction::append::CHECK;
use rand::RngExt;

/// The anomaly, a script that has it and what it implies only, and further names that must come with it.
const PLANTS: &[(&str, &[&str], &[&str])] = &[
    ("G0", &["ax1 ay1", "ax2 ay2", "rx12 ry21"], &[]),
    ("G1c", &["ax1 ry1", "ax2 ay1", "rx12 ry1"], &[]),
    ("G-single", &["ax1 ay1", "ax2 ry", "rx12"], &[]),
    ("G-nonadjacent", &["ax1", "ay1", "rx1 ry", "rx ry1"], &[]),
    ("G2-item", &["ax1 ry", "ay1 rx"], &[]),
    ("G0-process", &["@1 0-1 ax1", "@1 2-3 ax2", "@2 4-5 rx21"], &[]),
    ("G1c-process", &["@1 0-1 rx1", "@1 2-3 ax1"], &[]),
    ("G-single-process", &["@1 0-1 ax1", "@1 2-3 rx", "@2 4-5 rx1"], &[]),
    ("G-nonadjacent-process", &["@1 0-8 ax1", "@2 1-9 ay1", "@3 2-7 rx1 ry", "@4 3-4 ry1", "@4 5-6 rx"], &[]),
    ("G2-item-process", &["@1 1-2 az1", "@2 0-5 ay1 rz", "@1 3-4 ry"], &[]),
    ("G0-realtime", &["@1 0-1 ax1", "@2 2-3 ax2", "@3 4-5 rx21"], &[]),
    ("G1c-realtime", &["@1 0-1 rx1", "@2 2-3 ax1"], &[]),
    ("G-single-realtime", &["@1 0-1 ax1", "@2 2-3 rx"], &[]),
    (
        "G-nonadjacent-realtime",
        &["@1 0-8 ax1", "@2 1-9 ay1", "@3 2-7 rx1 ry", "@4 3-4 ry1", "@5 5-6 rx"],
        &[],
    ),
    ("G2-item-realtime", &["@1 1-2 az1", "@2 0-5 ay1 rz", "@3 3-4 ry"], &[]),
    ("G1a", &["! ax1", "rx1"], &[]),
    ("G1b", &["ax1 ax2", "rx1"], &["G-single"]),
    ("dirty-update", &["! ax1", "ax2", "rx12"], &["G1a"]),
    ("duplicate-elements", &["ax1", "ax2", "rx121"], &[]),
    ("internal", &["ax1 rx"], &[]),
    ("incompatible-order", &["ax1", "ax2", "ax3", "rx12", "rx132"], &[]),
    ("future-read", &["ax1 rx01 ax0 ax3"], &[]),
    ("lost-update", &["ax1", "rx1 ax2", "rx1 ax3"], &["G2-item"]),
    ("thin-air-read", &["rx1"], &[]),
];

#[test]
fn each_planted_anomaly_is_found_and_no_other() {
    for (seed, (name, script, also)) in (0..).zip(PLANTS) {
        for round in 0..8 {
            let mut rng = rng(seed * 100 + round);
            let size = Size { txns: 60, clients: 5, keys: 4, mops_max: 4 };
            let mut history = history(&mut rng, Isolation::Serial, size, true);
            plant(&mut rng, &mut history, &steps(script, true));
            let mut expected: Vec<String> = also.iter().map(|name| (*name).to_owned()).collect();
            expected.push((*name).to_owned());
            expected.sort();
            assert_eq!(names(&judge(&CHECK, &history, &[])), expected, "{name}, round {round}");
        }
    }
}

#[test]
fn a_store_never_shows_what_its_isolation_forbids() {
    let found = shown(&CHECK, true, &[]);
    assert!(found[1] > 30 && found[2] > 50, "weak stores show it: {found:?}");
}

/// Puts a script into a history: its events in their order at random places, its keys and processes made new.
fn plant(rng: &mut Rng, history: &mut Vec<Step>, script: &[Step]) {
    let end = history.iter().map(|step| step.to).max().unwrap();
    let mut instants: Vec<u64> = script.iter().flat_map(|step| [step.from, step.to]).collect();
    instants.sort_unstable();
    let mut places: Vec<u64> = Vec::new();
    while places.len() < instants.len() {
        let place = rng.random_range(0..end / 10) * 10 + 5;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places.sort_unstable();
    let at = |instant: u64| places[instants.binary_search(&instant).unwrap()];
    for step in script {
        let (from, to) = (at(step.from), at(step.to));
        history.push(Step { process: step.process + 100_000, from, to, ..step.clone() });
    }
}
