use super::*;
use crate::check;
use crate::checker::conformance::{self, Reference};
use crate::raw::{Entry, ops};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

fn history(family: Family, flaw: Option<Flaw>, seed: u64) -> Vec<Entry> {
    let shape = Shape { keys: 2, operations_per_key: 40, ..Shape::default() };
    let mut bench = Bench { generator: Generator::new(family, shape), store: Flawed::new(family, flaw, 10) };
    simulate(Plan { operations: 120, ..Plan::default() }, &mut ChaCha8Rng::seed_from_u64(seed), &mut bench)
}

/// A register, for the family whose checks search.
struct Register;

impl Reference for Register {
    fn ask(&mut self, line: &str) -> Result<String, String> {
        let question: Json = serde_json::from_str(line).unwrap();
        let (state, value) = (&question["state"], &question["value"]);
        Ok(match question["f"].as_str().unwrap() {
            "read" => json!({ "state": state, "value": state }),
            "write" => json!({ "state": value }),
            _ if value[0] == *state => json!({ "state": value[1] }),
            _ => json!({ "refused": true }),
        }
        .to_string())
    }
}

/// What the checks of a family say: signatures.
fn judged(family: Family, entries: &[Entry]) -> BTreeSet<String> {
    let checks: &[(&str, &[(&str, &str)])] = match family {
        Family::Register => {
            let ops = ops(entries.iter().cloned().map(Ok)).unwrap();
            let judgement = conformance::judge(&ops, &mut Register, 1_000_000).unwrap();
            return judgement.violations.into_iter().map(|one| one.signature).collect();
        }
        Family::Set => &[("set", &[]), ("set-full", &[("linearizable", "yes")])],
        Family::Log => &[("kafka", &[])],
        Family::Lock => &[("mutex", &[]), ("fencing", &[])],
        Family::Queue => &[("queue", &[]), ("total-queue", &[("duplicates", "no")])],
        Family::Counter => &[("counter", &[]), ("linearizable-counter", &[])],
        Family::Watch => &[("watch", &[])],
        Family::Bank => &[("bank", &[("total", "100")])],
        Family::Transactions => &[("list-append", &[])],
    };
    let mut found = BTreeSet::new();
    for (name, settings) in checks {
        let check = check::named(name).unwrap_or_else(|| panic!("no check {name}"));
        let options = crate::checker::simulation::settings(settings);
        let judgement = check.judge(&mut entries.iter().cloned().map(Ok), &options).unwrap();
        found.extend(judgement.violations.into_iter().map(|one| one.signature));
    }
    found
}

#[test]
fn a_right_store_is_right_in_every_family() {
    for family in Family::ALL {
        for seed in 0..20 {
            let found = judged(family, &history(family, None, seed));
            assert!(found.is_empty(), "{} {seed}: {found:?}", family.name());
        }
        assert_eq!(Family::named(family.name()), Some(family));
    }
}

#[test]
fn each_flaw_is_found_as_what_it_is() {
    use Flaw::{ChangeDenied, ChangeTwice, LostChange, StaleRead, TornTransfer};
    let cases: &[(Family, Flaw, &[&str])] = &[
        (Family::Register, LostChange, &["conformance/unlike-the-reference"]),
        (Family::Register, ChangeDenied, &["conformance/unlike-the-reference"]),
        (Family::Register, StaleRead, &["conformance/unlike-the-reference"]),
        (Family::Set, LostChange, &["set/acknowledged-element-lost", "set-full/acknowledged-element-lost"]),
        (Family::Set, ChangeDenied, &["set/unexpected-element", "set-full/unexpected-element"]),
        (Family::Set, ChangeTwice, &["set-full/duplicated-element"]),
        (Family::Set, StaleRead, &["set-full/stale-elements"]),
        (Family::Log, ChangeDenied, &["kafka/aborted-read"]),
        (Family::Lock, LostChange, &["mutex/two-holders", "fencing/token-not-increasing"]),
        (Family::Queue, LostChange, &["total-queue/lost-element"]),
        (Family::Queue, ChangeTwice, &["queue/duplicated-element", "total-queue/duplicated-element"]),
        (Family::Queue, ChangeDenied, &["queue/unexpected-element", "total-queue/unexpected-element"]),
        (Family::Counter, LostChange, &["counter/too-low"]),
        (Family::Counter, ChangeTwice, &["counter/too-high"]),
        (Family::Counter, ChangeDenied, &["counter/too-high"]),
        (Family::Counter, StaleRead, &["counter/too-low"]),
        (Family::Watch, LostChange, &["watch/two-values", "watch/missed-change"]),
        (Family::Watch, ChangeTwice, &["watch/repeated-change"]),
        (Family::Watch, ChangeDenied, &["watch/unwritten-change"]),
        (Family::Bank, TornTransfer, &["bank/wrong-total"]),
        (Family::Transactions, ChangeDenied, &["list-append/G1a"]),
    ];
    for (family, flaw, expected) in cases {
        let found: BTreeSet<String> =
            (0..40).flat_map(|seed| judged(*family, &history(*family, Some(*flaw), seed))).collect();
        for one in *expected {
            assert!(found.contains(*one), "{} {flaw:?}: {found:?} without {one}", family.name());
        }
    }
}

#[test]
fn equal_seeds_give_equal_histories() {
    for family in Family::ALL {
        assert_eq!(history(family, None, 3), history(family, None, 3));
        assert_ne!(history(family, None, 3), history(family, None, 4));
    }
}

#[test]
fn clients_pause_as_the_rate_says() {
    let shape = Shape { clients: 4, rate: 20, ..Shape::default() };
    let generator = Generator::new(Family::Set, shape);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let pauses: Vec<u64> = (0..1_000).map(|_| generator.pause_ns(&mut rng)).collect();
    let mean = pauses.iter().sum::<u64>() / 1_000;
    assert!((190_000_000..210_000_000).contains(&mean), "{mean}");
}
