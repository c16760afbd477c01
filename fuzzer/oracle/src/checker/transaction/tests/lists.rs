//! One list history for each anomaly, and for each thing that looks like one and is none.

use super::*;
use crate::checker::transaction::append::CHECK;

#[test]
fn histories_without_anomalies_have_none() {
    assert_eq!(lists(&["ax1"]), [""; 0]);
    assert_eq!(lists(&["rx"]), [""; 0]);
    assert_eq!(lists(&["ax1 ry", "rx1 ay1", "rx1 ry1"]), [""; 0]);
    assert_eq!(lists(&["ry56 ax3 rx123 ax4 rx1234", "ax1", "ax2", "ay5", "ay6", "? az1"]), [""; 0]);
}

#[test]
fn cycles_have_their_classes() {
    assert_eq!(lists(&["ax1 ay1", "ax2 ay2", "rx12 ry21"]), ["G0"]);
    assert_eq!(lists(&["ax1 ry1", "ax2 ay1", "rx12 ry1"]), ["G1c"]);
    assert_eq!(lists(&["ax1 ay1", "ax2 ry", "rx12"]), ["G-single"]);
    assert_eq!(lists(&["ax1 ry", "ay1 rx"]), ["G2-item"]);
    // A long fork: two readers see two independent writes in different orders.
    assert_eq!(lists(&["ax1", "ay1", "rx1 ry", "rx ry1"]), ["G-nonadjacent"]);
}

#[test]
fn orders_of_processes_and_real_time_have_their_names() {
    let stale = |first: &str, second: &str| {
        lists(&["@0 0-1 ax1", &format!("@{first} 2-3 ax2"), &format!("@{second} 4-5 rx1"), "@4 6-7 rx12"])
    };
    assert_eq!(stale("1", "2"), ["G-single-realtime"]);
    assert_eq!(stale("1", "1"), ["G-single-process"]);
    assert_eq!(lists(&["@1 0-1 ax1", "@2 2-3 ax2", "@3 4-5 rx21"]), ["G0-realtime"]);
    assert_eq!(lists(&["@1 0-1 ax1", "@1 2-3 ax2", "@3 4-5 rx21"]), ["G0-process"]);
    assert_eq!(lists(&["@1 0-1 rx1", "@2 2-3 ax1"]), ["G1c-realtime"]);
    assert_eq!(lists(&["@1 0-1 rx1", "@1 2-3 ax1"]), ["G1c-process"]);
    let fork = ["@1 0-9 ax1", "@2 1-10 ay1", "@3 2-3 rx1", "@3 4-5 ry", "@4 6-7 ry1", "@4 8-11 rx"];
    assert_eq!(lists(&fork), ["G-nonadjacent-process", "G-single-realtime"]);
    let names_without_realtime =
        |script: &[&str]| names(&judge(&CHECK, &steps(script, true), &[("realtime", "no")]));
    assert_eq!(names_without_realtime(&fork), ["G-nonadjacent-process"]);
    assert_eq!(names_without_realtime(&["@1 0-1 rx1", "@2 2-3 ax1"]), [""; 0]);
}

#[test]
fn reads_of_what_is_not_there_to_be_read_are_found() {
    assert_eq!(lists(&["! ax1", "rx1"]), ["G1a"]);
    assert_eq!(lists(&["ax1 ax2", "rx1"]), ["G-single", "G1b"]);
    assert_eq!(lists(&["rx1"]), ["thin-air-read"]);
    assert_eq!(lists(&["! ax1", "ax2", "rx12"]), ["G1a", "dirty-update"]);
    assert_eq!(lists(&["? ax1", "rx1"]), [""; 0]);
    assert_eq!(lists(&["ax1 rx1 ax2", "rx12"]), [""; 0]);
}

#[test]
fn what_a_crashed_transaction_read_is_unknown() {
    assert_eq!(lists(&["? ax2 ry", "ax1 ay1", "rx12 ry1"]), [""; 0]);
    // What it wrote counts once somebody saw it, all of it.
    assert_eq!(lists(&["? ax1 ay1", "ay2 rx1", "ry21"]), ["G1c"]);
    assert_eq!(lists(&["? ax1 ay1", "rx", "ry"]), [""; 0]);
}

#[test]
fn lists_contradict_themselves_and_each_other() {
    let both = ["ax1", "ax2", "ax3"];
    assert_eq!(lists(&[both[0], both[1], both[2], "rx12", "rx132"]), ["incompatible-order"]);
    assert_eq!(lists(&["ax1", "ax2", "rx121"]), ["duplicate-elements"]);
    assert_eq!(lists(&["ax1", "rx rx1"]), ["G-single", "internal"]);
    assert_eq!(lists(&["ax1 rx"]), ["internal"]);
    for read in ["rx12", "rx923", "rx1234", "rx1"] {
        let found = lists(&["ax1", "ax2", "ax9", "ax4", &format!("rx12 ax3 {read}")]);
        assert!(found.contains(&"internal".to_owned()), "{read}: {found:?}");
    }
    assert_eq!(lists(&["rx012 ax1", "ax0", "ax2"]), ["G1c", "future-read"]);
    assert_eq!(lists(&["ax1 rx01 ax0 ax3"]), ["future-read"]);
}

#[test]
fn updates_are_lost_even_where_their_order_is_unknown() {
    assert_eq!(lists(&["ax1", "rx1 ax2", "rx1 ax3"]), ["G2-item", "lost-update"]);
    assert_eq!(lists(&["ax1", "rx1 ax2", "rx1 ax3", "rx123"]), ["G-single", "lost-update"]);
}

#[test]
fn many_readers_of_much_that_is_never_read_again_stay_linear() {
    let mut script = vec!["rx"; 300];
    script.extend(vec!["rz"; 300]);
    let writes: Vec<String> = (0..300).map(|i| format!("ax{i} az{i}")).collect();
    script.extend(writes.iter().map(String::as_str));
    assert_eq!(lists(&script), [""; 0]);
    let graph = {
        let mut entries = entries(&steps(&script, true)).into_iter().map(Ok);
        let history =
            super::super::intake::read(&mut entries, super::super::history::Datatype::List).unwrap();
        let order = super::super::depend::of_lists(&history);
        super::super::depend::graph(&history, &order, false)
    };
    assert_eq!(graph.nodes(), 902);
}

#[test]
fn what_a_model_allows_is_told_and_no_violation() {
    let skew = steps(&["ax1 ry", "ay1 rx"], true);
    let judgement = judge(&CHECK, &skew, &[("consistency", "snapshot-isolation")]);
    assert_eq!(names(&judgement), [""; 0]);
    assert!(judgement.notes[0].starts_with("snapshot-isolation allows G2-item: "), "{:?}", judgement.notes);
    assert_eq!(judgement.notes[1], "ruled out: repeatable-read, and all that imply one of them");
    assert_eq!(
        judgement.notes[2],
        "still possible: strong-snapshot-isolation, update-serializable, and all that they imply"
    );
    let judgement = judge(&CHECK, &skew, &[("consistency", "serializable")]);
    assert_eq!(names(&judgement), ["G2-item"]);
}

#[test]
fn a_cycle_is_told_in_sentences() {
    let script = ["@0 0-1 ax1", "@1 2-3 ax2", "@2 4-5 rx1", "@3 6-7 rx12"];
    let judgement = judge(&CHECK, &steps(&script, true), &[]);
    let violation = &judgement.violations[0];
    assert_eq!(violation.signature, "list-append/G-single-realtime");
    assert_eq!(
        violation.evidence.lines,
        [
            "T1 = p2 txn [[:r :x [1]]]  [0.000004, 0.000005] ok  #4",
            "T2 = p1 txn [[:append :x 2]]  [0.000002, 0.000003] ok  #2",
            "T1 comes before T2 (rw): T1 read x as [1], without T2's append of 2",
            "but T2 comes before T1 (realtime): T2 was over at #3, before T1 was asked for at #4",
        ]
    );
    assert_eq!(violation.at_ns, 5_000);
}

#[test]
fn what_is_not_understood_is_an_error_with_its_place() {
    let fails = |script: &[&str], settings: &[(&str, &str)]| {
        let mut entries = entries(&steps(script, true)).into_iter().map(Ok);
        CHECK.judge(&mut entries, &options(settings)).unwrap_err().to_string()
    };
    assert_eq!(
        fails(&["ax1", "ax1"], &[]),
        "line 2, column 1: operation 1 (txn [[:append :x 1]]): 1 is written to :x, and was so before; \
         expected every value of a key once"
    );
    assert_eq!(
        fails(&["wx1"], &[]),
        "line 1, column 1: operation 0 (txn [[:w :x 1]]): expected [append key value] or [r key value], \
         not [:w :x 1]"
    );
    assert!(fails(&["ax1"], &[("consistency", "good")]).starts_with("`good` is no consistency model; "));
}
