//! Anomalies of registers, and what is vouched for.

use super::store::shown;
use super::*;
use crate::checker::transaction::register::CHECK;

fn registers(script: &[&str], settings: &[(&str, &str)]) -> Vec<String> {
    names(&judge(&CHECK, &steps(script, false), settings))
}

#[test]
fn anomalies_of_registers_are_found() {
    let found = |script: &[&str]| registers(script, &[]);
    assert_eq!(found(&["wx1", "rx1", "rx"]), [""; 0]);
    assert_eq!(found(&["! wx1", "rx1"]), ["G1a"]);
    assert_eq!(found(&["? wx1", "rx1"]), [""; 0]);
    assert_eq!(found(&["rx1"]), ["thin-air-read"]);
    assert_eq!(found(&["wx1 wx2", "rx1"]), ["G-single", "G1b"]);
    assert_eq!(found(&["wx1 ry1", "wy1 rx1"]), ["G1c"]);
    assert_eq!(found(&["rx1 wx2", "rx2 wx1"]), ["G1c"]);
    assert_eq!(found(&["wx1 wy1", "rx1 ry"]), ["G-single"]);
    assert_eq!(found(&["rx wy1", "ry wx1"]), ["G2-item"]);
    assert_eq!(found(&["wx1", "wy1", "rx1 ry", "rx ry1"]), ["G-nonadjacent"]);
    assert_eq!(found(&["wx1", "rx1 wx2", "rx1 wx3"]), ["G2-item", "lost-update"]);
    assert_eq!(found(&["wx1 rx2", "wx2"]), ["internal"]);
    assert_eq!(found(&["rx1 wx1"]), ["future-read"]);
    assert_eq!(found(&["@1 0-1 rx1", "@2 2-3 wx1"]), ["G1c-realtime"]);
    assert_eq!(found(&["@1 0-1 wx1", "@1 2-3 rx"]), ["G-single-process"]);
    assert_eq!(found(&["@1 0-1 wx1", "@2 2-3 rx"]), ["G-single-realtime"]);
}

#[test]
fn anomalies_with_a_name_of_their_own_are_called_by_it() {
    let summary = |script: &[&str]| {
        judge(&CHECK, &steps(script, false), &[("realtime", "no")]).violations[0].summary.clone()
    };
    assert!(summary(&["rx wy1", "ry wx1"]).starts_with("write skew: transactions that missed"));
    assert!(summary(&["wx1 wy1", "rx1 ry"]).starts_with("read skew: a transaction that missed"));
    assert!(summary(&["wx1", "wy1", "rx1 ry", "rx ry1"]).starts_with("long fork: transactions that each"));
    assert!(summary(&["wx1 ry1", "wy1 rx1"]).starts_with("transactions that saw each other's writes"));
}

#[test]
fn the_order_of_versions_is_what_is_vouched_for() {
    // A write between two reads that shows only if a register follows the order of processes, or real time.
    let script = ["@1 0-1 wx1", "@2 2-3 rx1 wx2", "@3 4-5 rx1"];
    assert_eq!(registers(&script, &[]), ["G-single-realtime"]);
    assert_eq!(registers(&script, &[("wfr-keys", "no")]), [""; 0]);
    let script = ["@1 0-1 wx1", "@2 2-3 wx2", "@3 4-5 rx1"];
    assert_eq!(registers(&script, &[]), [""; 0]);
    assert_eq!(registers(&script, &[("sequential-keys", "yes")]), [""; 0]);
    // The reader saw the older one again, so the register did not follow real time.
    assert_eq!(registers(&script, &[("linearizable-keys", "yes")]), ["cyclic-versions"]);
    let script = ["@1 0-1 wx1", "@1 2-3 wx2 wy1", "@2 4-9 ry1 rx1"];
    assert_eq!(registers(&script, &[("realtime", "no")]), [""; 0]);
    assert_eq!(registers(&script, &[("realtime", "no"), ("sequential-keys", "yes")]), ["G-single"]);
    assert_eq!(registers(&script, &[("realtime", "no"), ("linearizable-keys", "yes")]), ["cyclic-versions"]);
}

#[test]
fn reasons_are_told() {
    let script = ["wx1", "rx1 wx2 wy1", "ry1 rx1"];
    let judgement = judge(&CHECK, &steps(&script, false), &[("realtime", "no")]);
    assert_eq!(names(&judgement), ["G-single"]);
    assert_eq!(
        judgement.violations[0].evidence.lines[2..],
        [
            "T1 comes before T2 (rw): T1 read x = 1, and T2 wrote 2, which is newer: \
             the transaction #1 had 1, then wrote 2",
            "but T2 comes before T1 (wr): T1 read y = 1, which T2 wrote",
        ]
    );
}

#[test]
fn a_store_of_registers_never_shows_what_its_isolation_forbids() {
    let found = shown(&CHECK, false, &[("sequential-keys", "yes"), ("linearizable-keys", "yes")]);
    assert!(found[1] > 5 && found[2] > 30, "weak stores show it: {found:?}");
}
