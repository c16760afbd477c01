//! What holds for every agent, whatever the world: probabilities are sound, only legal actions are chosen, the
//! same seed gives the same choices, and a saved agent goes on as if nothing had happened.

mod toy;

use agents::{ActionId, Agent, AgentMemory, StateId, Transition, Visited, build, names};
use proptest::prelude::*;
use toy::{Corridor, OneBest, START, World, explore, rng, twelve_actions};

/// Any subset of the twelve actions, in any order, by a mask.
fn subset(mask: u16) -> Vec<ActionId> {
    twelve_actions().ids().filter(|id| mask >> id.0 & 1 == 1).collect()
}

prop_compose! {
    fn transition()(
        state in 0u64..6,
        action in 0u16..12,
        next in 0u64..6,
        seen_before: bool,
        visits in prop_oneof![1u64..50, Just(u64::MAX)],
        new_features in 0u32..3,
        mask in 0u16..4096,
    ) -> Transition {
        Transition {
            state: StateId(state),
            action: ActionId(action),
            next: StateId(next),
            seen_before,
            visits,
            new_features,
            legal_next: subset(mask),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn policies_are_distributions_and_choices_legal(
        history in prop::collection::vec(transition(), 0..60),
        questions in prop::collection::vec((0u64..8, 0u16..4096), 1..12),
        seed: u64,
    ) {
        for name in names() {
            // Small tables, so that states are evicted; agents without a table do not take the parameter.
            let spec = format!("{name}:states=3");
            let mut agent = build(&spec, &twelve_actions()).or_else(|_| build(name, &twelve_actions())).unwrap();
            let mut rng = rng(seed);
            agent.begin(&mut rng);
            let mut told = history.iter();
            for &(state, mask) in &questions {
                let (state, legal) = (StateId(state), subset(mask));
                let policy = agent.policy(state, &legal);
                prop_assert_eq!(policy.len(), legal.len());
                prop_assert!(policy.iter().all(|p| (0.0..=1.0 + 1e-12).contains(p)), "{}: {:?}", name, policy);
                let chosen = agent.choose(state, &legal, &mut rng);
                if legal.is_empty() {
                    prop_assert_eq!(chosen, None);
                } else {
                    prop_assert!((policy.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{}: {:?}", name, policy);
                    let index = legal.iter().position(|&action| Some(action) == chosen);
                    prop_assert!(index.is_some_and(|index| policy[index] > 0.0), "{}: {:?}", name, chosen);
                }
                told.by_ref().take(5).for_each(|transition| agent.learn(transition));
            }
            agent.end();
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_choices() {
    for name in names() {
        let run = |seed| {
            let mut agent = build(name, &twelve_actions()).unwrap();
            let mut generator = rng(seed);
            let mut visited = Visited::default();
            let worlds: [&mut dyn World; 2] = [&mut Corridor::new(), &mut OneBest::new(2)];
            worlds.map(|world| explore(&mut agent, world, &mut visited, (30, 12), &mut generator))
        };
        assert_eq!(run(5), run(5), "{name}");
        assert_ne!(run(5), run(6), "{name}");
    }
}

#[test]
fn a_saved_agent_goes_on_as_the_first() {
    let space = twelve_actions();
    for name in names() {
        let mut memory = AgentMemory::build(name, &space).unwrap();
        let mut visited = Visited::default();
        let mut generator = rng(9);
        explore(&mut memory.agent, &mut Corridor::new(), &mut visited, (40, 12), &mut generator);
        // In the middle of a schedule, where the most is in flight.
        memory.agent.begin(&mut generator);
        let legal: Vec<ActionId> = space.ids().collect();
        memory.agent.choose(START, &legal, &mut generator);

        let saved = postcard::to_stdvec(&(&memory, &visited)).unwrap();
        let (mut back, mut visited_back): (AgentMemory, Visited) = postcard::from_bytes(&saved).unwrap();
        back.check(&space).unwrap();
        assert_eq!(postcard::to_stdvec(&(&back, &visited_back)).unwrap(), saved, "{name}");

        let mut generator_back = generator.clone();
        let first = [
            memory.agent.choose(START, &legal, &mut generator).into_iter().collect(),
            explore(&mut memory.agent, &mut Corridor::new(), &mut visited, (40, 12), &mut generator),
        ];
        let second = [
            back.agent.choose(START, &legal, &mut generator_back).into_iter().collect(),
            explore(&mut back.agent, &mut Corridor::new(), &mut visited_back, (40, 12), &mut generator_back),
        ];
        assert_eq!(first, second, "{name}");
    }
}

#[test]
fn choices_follow_the_policy() {
    for name in names() {
        let mut agent = build(name, &twelve_actions()).unwrap();
        let mut generator = rng(11);
        explore(&mut agent, &mut Corridor::new(), &mut Visited::default(), (20, 12), &mut generator);
        agent.begin(&mut generator);
        let legal = subset(0b1010_1101_0110);
        let policy = agent.policy(START, &legal);
        let mut counts = vec![0u32; legal.len()];
        for _ in 0..4_000 {
            // A copy each time: an agent may change its mind once it has chosen.
            let chosen = agent.clone().choose(START, &legal, &mut generator).unwrap();
            counts[legal.iter().position(|&action| action == chosen).unwrap()] += 1;
        }
        for (probability, count) in policy.iter().zip(counts) {
            // Within five standard deviations.
            let spread = 5.0 * (4_000.0 * probability * (1.0 - probability)).sqrt();
            let off = (f64::from(count) - 4_000.0 * probability).abs();
            assert!(off <= spread + 1e-6, "{name}: {count} of 4000 at {probability}");
        }
    }
}
