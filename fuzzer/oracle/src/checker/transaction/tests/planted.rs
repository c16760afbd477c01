//! Anomalies planted into histories of a store that has none: each is found, and nothing that it does not imply.

use super::store::{Isolation, Rng, Size, history, rng, shown};
use super::*;
use crate::checker::transaction::append::CHECK;
use crate::checker::transaction::known::{ANOMALIES, Anomaly};
use rand::RngExt;

#[test]
fn each_planted_anomaly_is_found_and_no_other() {
    for (seed, Anomaly { name, script, also, .. }) in
        (0..).zip(ANOMALIES.iter().filter(|anomaly| anomaly.is_of_lists()))
    {
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
