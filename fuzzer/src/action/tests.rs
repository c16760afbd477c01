//! The table, its mask, and what becomes of actions.

use super::*;
use crate::schedule::{VERSION, Workload};
use interceptor::event::{Event, EventKind, HostId, MessageId, Report};
use interceptor::rng::split;
use interceptor::time::Instant;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn view(nodes: usize, leader: Option<usize>) -> View {
    let role = |index| Some(if Some(index) == leader { "leader" } else { "follower" }.to_owned());
    View {
        roles: (0..nodes).map(role).collect(),
        up: vec![true; nodes],
        active: Vec::new(),
        seen: Seen::default(),
    }
}

/// A view of a cluster in which every node has sent, received and synced, and clients were answered.
fn busy(nodes: usize, leader: Option<usize>) -> View {
    let mut view = view(nodes, leader);
    let mut take = |host: usize, kind| {
        let host = HostId(u16::try_from(host).unwrap());
        view.seen.take(&Event { at: Instant(1), host, kind });
    };
    for node in 0..nodes {
        let (message, peer, label) = (MessageId(0), HostId(0), "append".to_owned());
        take(node, EventKind::Send { message, peer, label: label.clone(), bytes: 9 });
        take(node, EventKind::Receive { message, peer, label, bytes: 9 });
        take(node, EventKind::Fsync { failed: false });
    }
    take(nodes, EventKind::Client { label: "ok:write".into() });
    // One node alone has said something so far: another may be struck when it says the same.
    take(0, EventKind::Report(Report { kind: "snapshot".into(), fields: BTreeMap::new() }));
    view
}

fn schedule(nodes: u8, steps: Vec<Step>) -> Schedule {
    Schedule {
        version: VERSION,
        target: "t".into(),
        bugs: Vec::new(),
        nodes,
        seed: 1,
        horizon_ms: 8_000,
        workload: Workload::default(),
        agent_from_ms: Some(0),
        agent_salt: 0,
        steps,
    }
}

fn legal_names(view: &View, bounds: &Bounds) -> Vec<String> {
    let space = space();
    let nodes = u8::try_from(view.count()).unwrap();
    legal(view, bounds, &schedule(nodes, Vec::new()), 0)
        .into_iter()
        .map(|id| space.info(id).name.clone())
        .collect()
}

#[test]
fn the_table_is_fixed() {
    let space = space();
    let names: Vec<&str> = space.actions().iter().map(|action| action.name.as_str()).collect();
    assert_eq!(names.len(), 116);
    assert_eq!(space.fault_kinds().len(), Kind::ALL.len());
    insta::assert_snapshot!(names.join("\n"), @r"
    nothing
    partition leader short
    partition leader medium
    partition leader long
    partition leader lasting
    partition follower short
    partition follower medium
    partition follower long
    partition follower lasting
    partition outbound leader medium
    partition outbound leader long
    partition inbound leader medium
    partition inbound leader long
    partition outbound follower medium
    partition inbound follower medium
    partition inbound follower long
    partition minority-with-leader medium
    partition minority-with-leader long
    partition minority-with-follower medium
    partition minority-with-follower long
    link leader-follower medium
    link leader-follower long
    link follower-leader medium
    link follower-follower medium
    delay leader-follower medium
    delay leader-follower long
    delay follower-leader medium
    stall leader-follower medium
    stall follower-leader medium
    reset leader-follower
    kill leader short
    kill leader medium
    kill leader long
    kill follower short
    kill follower medium
    kill follower long
    kill follower lasting
    kill all
    power-loss leader short
    power-loss leader medium
    power-loss follower short
    power-loss follower medium
    power-loss all
    power-loss mid-sync leader
    power-loss mid-sync follower
    pause leader short
    pause leader medium
    pause leader long
    pause leader lasting
    pause follower short
    pause follower medium
    pause follower lasting
    clock-jump forward leader
    clock-jump back leader
    clock-jump forward follower
    clock-jump back follower
    clock-rate fast leader medium
    clock-rate fast leader long
    clock-rate fast leader lasting
    clock-rate slow leader medium
    clock-rate slow leader long
    clock-rate slow leader lasting
    clock-rate fast follower medium
    clock-rate fast follower long
    clock-rate fast follower lasting
    clock-rate slow follower medium
    clock-rate slow follower long
    clock-rate slow follower lasting
    slow-fsync leader medium
    slow-fsync leader lasting
    slow-fsync follower medium
    fsync-error leader
    fsync-error follower
    no-space leader medium
    no-space leader lasting
    no-space follower medium
    kill leader medium after-sync
    kill leader medium after-send
    kill leader medium after-receive
    kill leader medium after-answer
    kill leader medium after-report
    power-loss leader medium after-sync
    power-loss leader medium after-send
    power-loss leader medium after-receive
    power-loss leader medium after-answer
    power-loss leader medium after-report
    pause leader medium after-sync
    pause leader medium after-send
    pause leader medium after-receive
    pause leader medium after-answer
    pause leader medium after-report
    partition leader medium after-sync
    partition leader medium after-send
    partition leader medium after-receive
    partition leader medium after-answer
    partition leader medium after-report
    kill follower medium after-sync
    kill follower medium after-send
    kill follower medium after-receive
    kill follower medium after-answer
    kill follower medium after-report
    power-loss follower medium after-sync
    power-loss follower medium after-send
    power-loss follower medium after-receive
    power-loss follower medium after-answer
    power-loss follower medium after-report
    pause follower medium after-sync
    pause follower medium after-send
    pause follower medium after-receive
    pause follower medium after-answer
    pause follower medium after-report
    partition follower medium after-sync
    partition follower medium after-send
    partition follower medium after-receive
    partition follower medium after-answer
    partition follower medium after-report
    ");
}

#[test]
fn a_leader_must_be_known_to_be_struck() {
    let without = legal_names(&view(3, None), &Bounds::default());
    assert!(without.iter().all(|name| !name.contains("leader")), "{without:?}");
    assert!(without.contains(&"kill follower short".to_owned()));
    let with = legal_names(&view(3, Some(1)), &Bounds::default());
    assert_eq!(with.len(), 76 - 4, "splits need four nodes");
    assert_eq!(legal_names(&view(5, Some(1)), &Bounds::default()).len(), 76);
    assert_eq!(legal_names(&busy(5, Some(1)), &Bounds::default()).len(), 116);
    let silent = View { roles: vec![None; 3], ..view(3, None) };
    assert_eq!(legal_names(&silent, &Bounds::default()), without);
}

#[test]
fn a_single_node_has_nobody_to_be_cut_from() {
    let names = legal_names(&view(1, Some(0)), &Bounds::default());
    let between = ["partition", "link", "delay", "stall", "reset"];
    assert!(names.iter().all(|name| between.iter().all(|kind| !name.starts_with(kind))), "{names:?}");
    assert!(names.contains(&"power-loss all".to_owned()));
}

#[test]
fn bounds_hold() {
    let bounds = Bounds { kinds: BTreeSet::from([Kind::Pause]), ..Bounds::default() };
    let names = legal_names(&view(3, Some(0)), &bounds);
    assert!(names.len() == 8 && names[1..].iter().all(|name| name.starts_with("pause")), "{names:?}");
    let bounds = |max| Bounds { max_down: Some(max), ..Bounds::default() };
    let taking_down =
        |names: &[String]| names.iter().filter(|n| n.starts_with("kill") || n.starts_with("power")).count();
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(0))), 0);
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(1))), 13);
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(3))), 15);
    let down = Step { when: Trigger::At { at_ms: 0 }, fault: Fault::Kill { node: Node(2), down_ms: 5_000 } };
    let struck = schedule(3, vec![down]);
    let of = |view: &View, max| legal(view, &bounds(max), &struck, 0).len();
    assert!(of(&view(3, Some(0)), 1) < of(&view(3, Some(0)), 2));
}

#[test]
fn the_same_is_not_done_twice_to_one_node() {
    let mut view = view(3, Some(0));
    view.active.push(Fault::Pause { node: Node(1), for_ms: 5 });
    let names = legal_names(&view, &Bounds::default());
    assert!(
        !names.contains(&"pause leader short".to_owned())
            && names.contains(&"pause follower short".to_owned())
    );
}

#[test]
fn much_may_be_in_force_as_long_as_the_manner_allows_it() {
    let mut view = view(3, Some(0));
    view.active = (0..4).map(|_| Fault::Pause { node: Node(1), for_ms: 5 }).collect();
    assert!(legal_names(&view, &Bounds::default()).len() > 30);
    let narrow = Bounds { active_max: 4, ..Bounds::default() };
    assert_eq!(legal_names(&view, &narrow), ["nothing"]);
}

#[test]
fn what_is_aimed_strikes_at_events_to_come_of_kinds_that_were_seen() {
    let (space, quiet, busy) = (space(), view(3, Some(0)), busy(3, Some(0)));
    assert!(legal_names(&quiet, &Bounds::default()).iter().all(|name| !name.contains(" after-")));
    let mut aimed = 0;
    for id in legal(&busy, &Bounds::default(), &schedule(3, Vec::new()), 0) {
        if !space.info(id).name.contains(" after-") {
            continue;
        }
        aimed += 1;
        for seed in 0..20 {
            let [Strike { when: When::On(Trigger::On { event, node, peer: None, nth }), fault }] =
                &resolve(id, &busy, &mut split(seed, "aim"))[..]
            else {
                panic!("one fault that waits")
            };
            assert!(*nth > busy.seen.count(*node, event), "it is still to come");
            assert!(node.is_none_or(|node| fault.victims() == [node]));
        }
    }
    assert_eq!(aimed, 40);
}

#[test]
fn the_power_fails_while_the_disk_syncs() {
    let mut met = 0;
    for seed in 0..50 {
        let faults = mid_sync(Node(2), Length::Short, &mut split(seed, "mid-sync"));
        let [
            Strike { when: When::After(0), fault: Fault::SlowFsync { node: Node(2), delay_ms, for_ms } },
            Strike { when: When::After(at_ms), fault: Fault::PowerLoss { node: Node(2), .. } },
        ] = faults[..]
        else {
            panic!("{faults:?}")
        };
        assert!(at_ms <= for_ms && at_ms <= 2 * SYNC_MS_MAX);
        met += u32::from(at_ms < delay_ms);
    }
    assert!((10..40).contains(&met), "before the first sync is over, and in a later one: {met} of 50");
}

#[test]
fn nodes_that_are_down_are_left_alone() {
    let mut view = view(3, Some(0));
    view.up = vec![false, true, false];
    let space = space();
    for id in legal(&view, &Bounds::default(), &schedule(3, Vec::new()), 0) {
        for Strike { fault, .. } in resolve(id, &view, &mut split(1, "x")) {
            assert_eq!(fault.victims().first(), Some(&Node(2)), "{}", space.info(id).name);
        }
    }
}

proptest! {
    #[test]
    fn legal_actions_become_possible_faults(
        seed: u64, nodes in 1_usize..=9, leader in proptest::option::of(0_usize..9), down in 0_u16..512,
    ) {
        let mut view = busy(nodes, leader.map(|leader| leader % nodes));
        view.up = (0..nodes).map(|node| down >> node & 1 == 0).collect();
        let mut rng = split(seed, "test");
        let count = u8::try_from(nodes).unwrap();
        let space = space();
        for id in legal(&view, &Bounds::default(), &schedule(count, Vec::new()), 0) {
            let faults = resolve(id, &view, &mut rng);
            let name = &space.info(id).name;
            prop_assert_eq!(faults.is_empty(), name == "nothing", "{}", name);
            for Strike { when, fault } in &faults {
                let when = match when {
                    When::After(at_ms) => Trigger::At { at_ms: *at_ms },
                    When::On(trigger) => trigger.clone(),
                };
                prop_assert_eq!(Step { when, fault: fault.clone() }.check(count, 8_000), Ok(()), "{}", name);
            }
            if let Some(Strike { fault, .. }) = faults.last() {
                prop_assert!(name.starts_with(fault.kind().name()), "{} {}", name, fault);
            }
        }
    }
}
