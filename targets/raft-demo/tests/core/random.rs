//! Random faults against the simulated cluster. The correct core keeps every promise; buggy ones get caught.

use proptest::prelude::*;
use raft_demo::bugs::{Bug, Bugs};
use raft_demo::entry::NodeId;
use raft_demo::machine::Outcome;
use raft_demo::raft::Reply;
use rand::RngExt;

use crate::world::{MS, World};

/// A client that writes each key once: an acknowledged key must be there ever after.
#[derive(Default)]
struct Writer {
    asked: Vec<(u64, String)>,
    acknowledged: Vec<String>,
    reads: Vec<(u64, String)>,
}

impl Writer {
    fn write(&mut self, world: &mut World, id: NodeId) {
        let key = format!("w{}", world.now_ns);
        let token = world.put(id, &key, "x");
        self.asked.push((token, key));
    }

    fn read(&mut self, world: &mut World, id: NodeId) {
        self.collect(world);
        if let Some(key) = self.acknowledged.last().cloned() {
            let token = world.get(id, &key);
            self.reads.push((token, key));
        }
    }

    fn collect(&mut self, world: &mut World) {
        let done = Reply::Applied(Outcome::Done);
        let acknowledged = self.asked.extract_if(.., |(token, _)| world.replies.get(token) == Some(&done));
        self.acknowledged.extend(acknowledged.map(|(_, key)| key));
        for (token, key) in &self.reads {
            if world.replies.get(token) == Some(&Reply::Value(None)) {
                world.invariants.break_with(format!("linearizability: acknowledged {key} is not read"));
            }
        }
        self.reads.retain(|(token, _)| !world.replies.contains_key(token));
    }
}

/// A client alone on its key: with retries of one sequence number its compare-and-set never fails.
struct Counter {
    value: u64,
    asked: Option<u64>,
}

impl Counter {
    fn turn(&mut self, world: &mut World, id: NodeId) {
        match self.asked.map(|token| world.replies.get(&token).cloned()) {
            Some(None) => return,
            Some(Some(Reply::Applied(Outcome::Done))) => self.value += 1,
            Some(Some(Reply::Applied(outcome))) => {
                world.invariants.break_with(format!("exactly once: own compare-and-set gave {outcome:?}"));
            }
            _ => {}
        }
        let expect = (self.value > 0).then(|| self.value.to_string());
        let next = self.value + 1;
        self.asked = Some(world.cas(id, expect.as_deref(), &next.to_string(), next));
    }
}

/// One run: twenty seconds of faults, then peace; what broke, if anything.
fn run(mut world: World, seed: u64) -> Option<String> {
    world.latency_ns_max = [2, 20, 120][(seed % 3) as usize] * MS;
    world.loss_one_in = [0, 50, 8][(seed / 3 % 3) as usize];
    let (mut writer, mut counter) = (Writer::default(), Counter { value: 0, asked: None });
    for _ in 0..1000 {
        let ms = world.rng.random_range(1..40);
        world.run_ms(ms);
        let id = world.rng.random_range(1..=3);
        match world.rng.random_range(0..100) {
            0..1 => world.isolate(id),
            1..2 => world.hold_all(id),
            2..3 => world.cut(id, id % 3 + 1),
            3..6 => world.heal(),
            6..8 => world.kill(id),
            8..9 => world.cut_power(id),
            9..14 => {
                if !world.is_up(id) {
                    world.start(id);
                }
            }
            14..15 => world.pause(id),
            15..18 => world.resume(id),
            18..19 => world.hold(id, id % 3 + 1),
            19..20 => {
                let jump_ns = world.rng.random_range(0..1u64 << 40);
                world.wall_ns.insert(id, jump_ns);
            }
            20..50 => writer.write(&mut world, id),
            50..80 => writer.read(&mut world, id),
            _ => counter.turn(&mut world, id),
        }
        writer.collect(&mut world);
        if let Some(broken) = world.invariants.broken() {
            return Some(broken.to_owned());
        }
    }
    heal_everything(&mut world);
    settle(&mut world, &mut writer)
}

fn heal_everything(world: &mut World) {
    world.heal();
    (world.latency_ns_max, world.loss_one_in) = (2 * MS, 0);
    for id in world.ids() {
        world.resume(id);
        if !world.is_up(id) {
            world.start(id);
        }
    }
}

/// Peace: the cluster must answer, agree, and have all it acknowledged.
fn settle(world: &mut World, writer: &mut Writer) -> Option<String> {
    world.run_ms(5000);
    let mut progress = false;
    for _ in 0..50 {
        let Some(leader) = world.leader() else { break };
        let token = world.put(leader, "last", "x");
        world.run_ms(200);
        progress |= world.replies.get(&token) == Some(&Reply::Applied(Outcome::Done));
    }
    if !progress {
        return Some("liveness: no write succeeds after the faults".to_owned());
    }
    world.run_ms(500);
    writer.collect(world);
    let digests: Vec<u32> = world.ids().iter().map(|id| world.node(*id).machine().digest()).collect();
    if digests.iter().any(|digest| *digest != digests[0]) {
        world.invariants.break_with(format!("replicas differ: {digests:x?}"));
    }
    for key in &writer.acknowledged {
        if world.node(1).machine().get(key).is_none() {
            world.invariants.break_with(format!("durability: acknowledged {key} is gone"));
        }
    }
    world.invariants.broken().map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_correct_core_keeps_every_promise(seed: u64, lease: bool, autopilot: bool) {
        prop_assert_eq!(run(World::with(3, Bugs::NONE, seed, lease, autopilot), seed), None);
    }
}

/// Whether random faults break a buggy core within `runs` runs; a panic counts.
fn caught(bug: Bug, runs: u64) -> Option<(u64, String)> {
    (0..runs).find_map(|seed| {
        let broken = std::panic::catch_unwind(|| run(World::new(3, Bugs::only(bug), seed), seed));
        broken.unwrap_or_else(|_| Some("panic".to_owned())).map(|what| (seed, what))
    })
}

#[test]
fn random_faults_catch_the_common_mistakes() {
    for bug in [
        Bug::VoteNotPersisted,
        Bug::PrematureCommit,
        Bug::ConflictKept,
        Bug::AckBeforeFsync,
        Bug::StaleRead,
        Bug::EarlyMembership,
        Bug::RetryTwice,
        Bug::LostWakeup,
        Bug::PanicOrder,
    ] {
        assert!(caught(bug, 20).is_some(), "{bug:?} was not caught");
    }
}
