//! The table, its mask, and what becomes of actions.

use super::*;
use crate::schedule::{VERSION, Workload};
use interceptor::rng::split;
use proptest::prelude::*;

fn view(nodes: usize, leader: Option<usize>) -> View {
    let role = |index| Some(if Some(index) == leader { "leader" } else { "follower" }.to_owned());
    View { roles: (0..nodes).map(role).collect(), up: vec![true; nodes], active: Vec::new() }
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
    assert_eq!(names.len(), 60);
    assert_eq!(space.fault_kinds().len(), Kind::ALL.len());
    insta::assert_snapshot!(names.join("\n"), @r"
    nothing
    partition leader short
    partition leader medium
    partition leader long
    partition follower short
    partition follower medium
    partition follower long
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
    kill all
    power-loss leader short
    power-loss leader medium
    power-loss follower short
    power-loss follower medium
    power-loss all
    pause leader short
    pause leader medium
    pause leader long
    pause follower short
    pause follower medium
    clock-jump forward leader
    clock-jump back leader
    clock-rate fast leader medium
    clock-rate fast leader long
    clock-rate slow leader medium
    clock-rate slow leader long
    clock-rate fast follower medium
    slow-fsync leader medium
    slow-fsync follower medium
    fsync-error leader
    fsync-error follower
    no-space leader medium
    no-space follower medium
    power-loss mid-sync leader
    power-loss mid-sync follower
    ");
}

#[test]
fn a_leader_must_be_known_to_be_struck() {
    let without = legal_names(&view(3, None), &Bounds::default());
    assert!(without.iter().all(|name| !name.contains("leader")), "{without:?}");
    assert!(without.contains(&"kill follower short".to_owned()));
    let with = legal_names(&view(3, Some(1)), &Bounds::default());
    assert_eq!(with.len(), 60 - 4, "splits need four nodes");
    assert_eq!(legal_names(&view(5, Some(1)), &Bounds::default()).len(), 60);
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
    let bounds = Bounds { kinds: BTreeSet::from([Kind::Pause]), max_down: None };
    let names = legal_names(&view(3, Some(0)), &bounds);
    assert!(names.len() == 6 && names[1..].iter().all(|name| name.starts_with("pause")), "{names:?}");
    let bounds = |max| Bounds { max_down: Some(max), ..Bounds::default() };
    let taking_down =
        |names: &[String]| names.iter().filter(|n| n.starts_with("kill") || n.starts_with("power")).count();
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(0))), 0);
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(1))), 12);
    assert_eq!(taking_down(&legal_names(&view(3, Some(0)), &bounds(3))), 14);
    let down = Step { when: Trigger::At { at_ms: 0 }, fault: Fault::Kill { node: Node(2), down_ms: 5_000 } };
    let busy = schedule(3, vec![down]);
    let of = |view: &View, max| legal(view, &bounds(max), &busy, 0).len();
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
    view.active = vec![Fault::Pause { node: Node(1), for_ms: 5 }; ACTIVE_MAX];
    assert_eq!(legal_names(&view, &Bounds::default()), ["nothing"]);
}

#[test]
fn the_power_fails_while_the_disk_syncs() {
    let mut met = 0;
    for seed in 0..50 {
        let faults = mid_sync(Node(2), Length::Short, &mut split(seed, "mid-sync"));
        let [
            (0, Fault::SlowFsync { node: Node(2), delay_ms, for_ms }),
            (at_ms, Fault::PowerLoss { node: Node(2), .. }),
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
        for (_, fault) in resolve(id, &view, &mut split(1, "x")) {
            assert_eq!(fault.victims().first(), Some(&Node(2)), "{}", space.info(id).name);
        }
    }
}

proptest! {
    #[test]
    fn legal_actions_become_possible_faults(
        seed: u64, nodes in 1_usize..=9, leader in proptest::option::of(0_usize..9), down in 0_u16..512,
    ) {
        let mut view = view(nodes, leader.map(|leader| leader % nodes));
        view.up = (0..nodes).map(|node| down >> node & 1 == 0).collect();
        let mut rng = split(seed, "test");
        let count = u8::try_from(nodes).unwrap();
        let space = space();
        for id in legal(&view, &Bounds::default(), &schedule(count, Vec::new()), 0) {
            let faults = resolve(id, &view, &mut rng);
            let name = &space.info(id).name;
            prop_assert_eq!(faults.is_empty(), name == "nothing", "{}", name);
            for (_, fault) in &faults {
                prop_assert_eq!(fault.check(count), Ok(()), "{}", name);
            }
            if let Some((_, last)) = faults.last() {
                prop_assert!(name.starts_with(last.kind().name()), "{} {}", name, last);
            }
        }
    }
}
