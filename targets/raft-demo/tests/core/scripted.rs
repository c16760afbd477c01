//! A short story per bug: it ends badly with the bug, and well without it.

use raft_demo::bugs::{Bug, Bugs};
use raft_demo::entry::{Command, Entry, Index, NodeId, Snapshot, Term};
use raft_demo::machine::{Machine, Outcome};
use raft_demo::message::Body;
use raft_demo::raft::{Reply, Role};

use crate::world::World;

const DONE: Reply = Reply::Applied(Outcome::Done);

/// The story says whether it ended badly.
fn check(bug: Bug, story: fn(&mut World) -> bool) {
    for (bugs, bad) in [(Bugs::NONE, false), (Bugs::only(bug), true)] {
        for seed in 0..5 {
            let mut world = World::new(3, bugs, seed);
            assert_eq!(story(&mut world), bad, "{bugs:?}, seed {seed}: {:?}", world.invariants.broken());
            assert!(bad || world.invariants.broken().is_none(), "{:?}", world.invariants.broken());
        }
    }
}

/// A story in steps, of which the one with this number is left out: it ends badly only if all are there.
fn check_steps(bug: Bug, steps: usize, story: fn(&mut World, Option<usize>) -> bool) {
    let left_out = (0..steps).map(|step| (Bugs::only(bug), Some(step)));
    for (bugs, without) in left_out.chain([(Bugs::NONE, None), (Bugs::only(bug), None)]) {
        for seed in 0..5 {
            let mut world = World::new(3, bugs, seed);
            let bad = bugs == Bugs::only(bug) && without.is_none();
            assert_eq!(
                story(&mut world, without),
                bad,
                "{bugs:?} without {without:?}, seed {seed}: {:?}",
                world.invariants.broken()
            );
        }
    }
}

/// A leader, then its two followers.
fn lead(world: &mut World) -> [NodeId; 3] {
    let leader = world.wait_for_leader();
    world.run_ms(200);
    let mut followers = world.ids().into_iter().filter(|id| *id != leader);
    [leader, followers.next().unwrap(), followers.next().unwrap()]
}

/// Only node 1 runs, and hears what the script says.
fn alone(world: &mut World) {
    world.kill(2);
    world.kill(3);
}

fn entries(term: Term, indices: std::ops::RangeInclusive<Index>) -> Vec<Entry> {
    indices.map(|index| Entry { index, term, command: Command::Noop }).collect()
}

fn append(
    world: &mut World,
    from: NodeId,
    term: Term,
    prev: (Index, Term),
    commit: Index,
    entries: Vec<Entry>,
) {
    let (prev_index, prev_term) = prev;
    world.inject(1, from, term, Body::Append { prev_index, prev_term, commit, probe: 0, entries });
}

fn broken(world: &World) -> bool {
    world.invariants.broken().is_some()
}

#[test]
fn double_vote() {
    check(Bug::DoubleVote, |world| {
        alone(world);
        world.inject(1, 2, 5, Body::Vote { last_index: 0, last_term: 0 });
        world.inject(1, 3, 5, Body::Vote { last_index: 0, last_term: 0 });
        broken(world)
    });
}

#[test]
fn vote_not_persisted() {
    check(Bug::VoteNotPersisted, |world| {
        alone(world);
        world.inject(1, 2, 5, Body::Vote { last_index: 0, last_term: 0 });
        world.kill(1);
        world.start(1);
        world.inject(1, 3, 5, Body::Vote { last_index: 0, last_term: 0 });
        broken(world)
    });
}

#[test]
fn longest_log_wins() {
    check(Bug::LongestLogWins, |world| {
        alone(world);
        append(world, 2, 2, (0, 0), 1, entries(2, 1..=1));
        world.kill(1);
        world.start(1);
        world.inject(1, 3, 3, Body::PreVote { last_index: 5, last_term: 1 });
        world.inject(1, 3, 3, Body::Vote { last_index: 5, last_term: 1 });
        // Granting keeps the new term's vote; with it node 3 would overwrite a committed entry.
        world.kill(1);
        world.start(1);
        let before = broken(world);
        world.inject(1, 2, 3, Body::Vote { last_index: 1, last_term: 2 });
        world.run_ms(1);
        !before && world.vote(1) == 3
    });
}

#[test]
fn stale_term_accepted() {
    check(Bug::StaleTermAccepted, |world| {
        alone(world);
        append(world, 2, 2, (0, 0), 2, entries(2, 1..=2));
        append(world, 3, 1, (0, 0), 0, entries(1, 1..=1));
        world.node(1).log().last_term() == 1
    });
}

#[test]
fn leader_keeps_reign() {
    check(Bug::LeaderKeepsReign, |world| {
        let [old, ..] = lead(world);
        world.isolate(old);
        world.run_until("another leader", |world| world.leader() != Some(old));
        world.heal();
        world.run_ms(300);
        broken(world)
    });
}

#[test]
fn figure8_commit() {
    check(Bug::Figure8Commit, |world| {
        // (a) s1 leads, and alone has an entry.
        let [s1, ..] = lead(world);
        let (index, term) = (world.node(s1).log().last_index() + 1, world.node(s1).term());
        world.isolate(s1);
        world.put(s1, "k", "v");
        world.kill(s1);
        world.heal();
        // (b) s2 is elected by s3, and alone has another entry at that index.
        world.run_until("s2 leads", |world| world.leader().is_some());
        let s2 = world.leader().unwrap();
        let s3 = 6 - s1 - s2;
        world.lose(s2, s1);
        world.lose(s2, s3);
        world.kill(s2);
        // (c) s1 leads again and copies the old entry to s3: two of three have it.
        world.start(s1);
        world.run_until("s3 has the entry", |world| world.node(s3).log().term_at(index) == Some(term));
        world.hold(s1, s3);
        world.run_ms(5);
        world.kill(s1);
        world.lose(s1, s3);
        world.heal();
        // (d) s2 is elected by s3 all the same, its last term being higher, and overwrites the entry.
        world.start(s2);
        world.wait_for_leader();
        world.run_ms(500);
        broken(world)
    });
}

#[test]
fn premature_commit() {
    check(Bug::PrematureCommit, |world| {
        let [leader, ..] = lead(world);
        world.isolate(leader);
        let token = world.put(leader, "k", "v");
        world.run_ms(50);
        world.replies.get(&token) == Some(&DONE)
    });
}

#[test]
fn commit_too_far() {
    check(Bug::CommitTooFar, |world| {
        alone(world);
        append(world, 2, 1, (0, 0), 0, entries(1, 1..=2));
        world.inject(1, 3, 2, Body::Heartbeat { prev_index: 1, prev_term: 1, commit: 2, probe: 0 });
        world.node(1).commit() == 2
    });
}

#[test]
fn conflict_kept() {
    check(Bug::ConflictKept, |world| {
        let [old, ..] = lead(world);
        world.isolate(old);
        world.put(old, "k", "never committed");
        world.run_until("another leader", |world| world.leader() != Some(old));
        let leader = world.leader().unwrap();
        world.put(leader, "k", "committed");
        world.run_ms(100);
        world.heal();
        world.run_ms(1000);
        broken(world)
    });
}

#[test]
fn prev_off_by_one() {
    check(Bug::PrevOffByOne, |world| {
        alone(world);
        append(world, 2, 1, (0, 0), 1, entries(1, 1..=2));
        append(world, 3, 2, (2, 2), 1, entries(2, 3..=3));
        world.node(1).log().last_index() == 3
    });
}

#[test]
fn snapshot_drops_sessions() {
    check(Bug::SnapshotDropsSessions, |world| {
        let [leader, ..] = lead(world);
        let token = world.cas(leader, None, "a", 1);
        assert_eq!(world.wait_for(token), DONE);
        for _ in 0..10 {
            let token = world.put(leader, "k", "v");
            world.wait_for(token);
        }
        world.kill(leader);
        world.start(leader);
        for other in world.ids().into_iter().filter(|id| *id != leader) {
            world.kill(other);
            world.start(other);
        }
        world.run_ms(1000);
        let leader = world.wait_for_leader();
        let retry = world.cas(leader, None, "a", 1);
        world.wait_for(retry) != DONE
    });
}

#[test]
fn snapshot_over_newer() {
    check(Bug::SnapshotOverNewer, |world| {
        alone(world);
        append(world, 2, 1, (0, 0), 4, entries(1, 1..=4));
        let snapshot = Snapshot { index: 2, term: 1, members: vec![], machine: Machine::default() };
        world.inject(1, 2, 1, Body::Snapshot { snapshot, probe: 0 });
        world.node(1).log().last_index() < 4
    });
}

#[test]
fn snapshot_term_lost() {
    check_steps(Bug::SnapshotTermLost, 3, |world, without| {
        let [leader, voter, behind] = lead(world);
        // One falls behind.
        if without != Some(0) {
            world.isolate(behind);
        }
        // There are writes until the voter has a snapshot and nothing after it.
        for writes in 1.. {
            let token = world.put(leader, "k", "v");
            assert_eq!(world.wait_for(token), DONE);
            world.run_ms(250);
            let log = world.node(voter).log();
            if log.base_index() > 0 && log.base_index() == log.last_index() {
                break;
            }
            assert!(writes < 20, "no snapshot");
        }
        // The leader goes.
        if without != Some(1) {
            world.kill(leader);
        }
        // Another one restarts with a snapshot and no log.
        if without != Some(2) {
            world.kill(voter);
            world.start(voter);
        }
        world.heal();
        world.run_ms(3000);
        let leader = world.wait_for_leader();
        let token = world.get(leader, "k");
        world.wait_for(token) == Reply::Value(None)
    });
}

#[test]
fn early_membership() {
    check(Bug::EarlyMembership, |world| {
        let [old, ..] = lead(world);
        world.isolate(old);
        world.run_ms(2000);
        let new =
            world.ids().into_iter().filter(|id| *id != old).find(|id| world.node(*id).role() == Role::Leader);
        let tokens = [world.put(old, "k", "here"), world.put(new.unwrap(), "k", "there")];
        world.run_ms(100);
        tokens.iter().all(|token| world.replies.get(token) == Some(&DONE))
    });
}

#[test]
fn ack_before_fsync() {
    check(Bug::AckBeforeFsync, |world| {
        let [leader, ..] = lead(world);
        world.run_ms(1000);
        let token = world.put(leader, "k", "v");
        assert_eq!(world.wait_for(token), DONE);
        for id in world.ids() {
            world.cut_power(id);
        }
        for id in world.ids() {
            world.start(id);
        }
        let leader = world.wait_for_leader();
        let token = world.get(leader, "k");
        world.wait_for(token) == Reply::Value(None)
    });
}

#[test]
fn fsync_at_commit() {
    check_steps(Bug::FsyncAtCommit, 3, |world, without| {
        let [leader, voter, behind] = lead(world);
        // One falls behind.
        if without != Some(0) {
            world.isolate(behind);
        }
        let token = world.put(leader, "k", "v");
        assert_eq!(world.wait_for(token), DONE);
        // The leader goes before it tells that the entry is committed.
        if without != Some(1) {
            world.kill(leader);
        }
        // The other one that has it loses power.
        if without != Some(2) {
            world.cut_power(voter);
            world.start(voter);
        }
        world.heal();
        world.run_ms(3000);
        let leader = world.wait_for_leader();
        let token = world.get(leader, "k");
        world.wait_for(token) == Reply::Value(None)
    });
}

/// Cuts the leader off, has its successor write, and asks the old one: is the read stale?
fn read_from_deposed(world: &mut World, before: fn(&mut World, NodeId)) -> bool {
    let [old, ..] = lead(world);
    before(world, old);
    world.isolate(old);
    world.run_until("another leader", |world| world.leader() != Some(old));
    let new = world.wait_for_leader();
    let token = world.put(new, "k", "v");
    assert_eq!(world.wait_for(token), DONE);
    assert_eq!(world.node(old).role(), Role::Leader, "the old leader noticed too early");
    let token = world.get(old, "k");
    world.run_ms(50);
    world.replies.get(&token) == Some(&Reply::Value(None))
}

#[test]
fn stale_read() {
    check(Bug::StaleRead, |world| read_from_deposed(world, |_, _| {}));
}

#[test]
fn probe_numbers_repeat() {
    check_steps(Bug::ProbeNumbersRepeat, 3, |world, without| {
        let [old, ..] = lead(world);
        world.run_ms(5000);
        // The leader is deposed.
        if without != Some(0) {
            world.isolate(old);
            world.run_until("another leader", |world| world.leader() != Some(old));
            world.heal();
            world.run_ms(1500);
        }
        // So is its successor, until the old one leads again.
        while without != Some(1) && world.leader() != Some(old) {
            let other = world.wait_for_leader();
            world.isolate(other);
            world.run_until("another leader", |world| world.leader() != Some(other));
            world.heal();
            world.run_ms(1500);
        }
        let leader = world.wait_for_leader();
        world.run_ms(300);
        // It is deposed once more.
        if without != Some(2) {
            world.isolate(leader);
            world.run_until("another leader", |world| world.leader() != Some(leader));
        }
        let new = world.wait_for_leader();
        let token = world.put(new, "k", "v");
        assert_eq!(world.wait_for(token), DONE);
        let token = world.get(leader, "k");
        world.run_ms(50);
        world.replies.get(&token) == Some(&Reply::Value(None))
    });
}

#[test]
fn lease_wall_clock() {
    check(Bug::LeaseWallClock, |world| {
        read_from_deposed(world, |world, leader| {
            world.wall_ns.insert(leader, 0);
            world.run_ms(200);
        })
    });
}

#[test]
fn retry_twice() {
    check(Bug::RetryTwice, |world| {
        let [leader, ..] = lead(world);
        let first = world.cas(leader, None, "a", 1);
        let retry = world.cas(leader, None, "a", 1);
        assert_eq!(world.wait_for(first), DONE);
        world.wait_for(retry) != DONE
    });
}

#[test]
fn lost_wakeup() {
    check(Bug::LostWakeup, |world| {
        let [leader, a, b] = lead(world);
        for follower in [a, b] {
            world.hold(leader, follower);
            world.put(leader, "k", "v");
            world.lose(leader, follower);
            world.heal();
            world.run_ms(300);
            world.put(leader, "k", "w");
            world.run_ms(300);
        }
        let token = world.put(leader, "k", "x");
        world.run_ms(1500);
        world.replies.get(&token) != Some(&DONE)
    });
}

#[test]
fn panic_order() {
    check(Bug::PanicOrder, |world| {
        let [leader, follower, _] = lead(world);
        let term = world.node(leader).term();
        world.cut(leader, follower);
        for _ in 0..20 {
            let token = world.put(leader, "k", "v");
            world.wait_for(token);
        }
        // By now a snapshot has been sent in vain; what the follower said before that is still on its way.
        let reject = Body::AppendReply { ok: false, match_index: 0, hint: 1, heartbeat: false, probe: 0 };
        let late = std::panic::AssertUnwindSafe(|| world.inject(leader, follower, term, reject));
        std::panic::catch_unwind(late).is_err()
    });
}
