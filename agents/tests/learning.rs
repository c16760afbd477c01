//! Do the agents that are said to learn do so? On a toy world with an obvious best action their policies must
//! move away from uniform, and Mallory's published constants must be caught not doing it.

mod toy;

use agents::{AnyAgent, Divergence, StateId, UNIFORM_TV_MAX, Visited, build, divergence, registry};
use toy::{Corridor, OneBest, START, World, explore, rng, twelve_actions};

/// An agent after that many schedules of 12 windows, as many choices as Mallory makes to a schedule.
fn trained(name: &str, world: &mut dyn World, schedules: usize, seed: u64) -> (AnyAgent, Visited) {
    let mut agent = build(name, &twelve_actions()).expect("a listed name");
    let mut visited = Visited::default();
    explore(&mut agent, world, &mut visited, (schedules, 12), &mut rng(seed));
    (agent, visited)
}

/// The divergence in the one state that all schedules share, and that can be learnt in any world.
fn at_start(agent: &AnyAgent, visited: &Visited) -> Divergence {
    divergence(agent, visited.sample().filter(|(state, _, _)| *state == START))
}

#[test]
fn learners_leave_uniform_where_one_action_is_best() {
    use agents::Agent;
    for entry in registry::entries().iter().filter(|entry| entry.learns) {
        for seed in 0..5 {
            let mut world = OneBest::new(7);
            let (agent, visited) = trained(entry.name, &mut world, 200, seed);
            let found = at_start(&agent, &visited);
            assert!(!found.is_uniform(), "{} stays uniform: {found}", entry.name);
            let policy = agent.policy(START, &world.legal());
            let best = policy[world.best.index()];
            assert!(policy.iter().all(|&p| p <= best), "{} prefers another: {policy:?}", entry.name);
        }
    }
}

#[test]
fn mallory_as_published_is_caught_staying_uniform() {
    for world in [&mut OneBest::new(7) as &mut dyn World, &mut Corridor::new()] {
        let (agent, visited) = trained("mallory", world, 200, 1);
        let found = divergence(&agent, visited.sample());
        assert!(found.is_uniform(), "{found}");
        let above = found.max_probability - found.uniform_probability;
        assert!((0.0..=0.003).contains(&above), "{found}");
    }
}

#[test]
fn mallory_cannot_reach_the_floor_however_long_it_runs() {
    let (agent, visited) = trained("mallory", &mut OneBest::new(3), 2_000, 2);
    let found = at_start(&agent, &visited);
    assert!(found.tv > 0.0, "it does learn something: {found}");
    assert!(found.tv < UNIFORM_TV_MAX / 3.0, "{found}");
    assert!(found.max_probability <= 0.0853 + 1e-4, "{found}");
}

#[test]
fn the_uniform_agent_is_uniform() {
    let (agent, visited) = trained("uniform", &mut OneBest::new(7), 200, 1);
    let found = divergence(&agent, visited.sample());
    assert_eq!((found.tv, found.kl), (0.0, 0.0));
    assert!(found.is_uniform());
}

#[test]
fn tables_go_deeper_than_uniform_where_states_come_again() {
    for seed in 0..5 {
        let deepest = |name: &str| {
            let mut world = Corridor::new();
            trained(name, &mut world, 200, seed);
            world.deepest
        };
        let uniform = deepest("uniform");
        for name in ["negative-visits", "bonus-max"] {
            let depth = deepest(name);
            assert!(depth >= uniform + 3, "uniform reached {uniform}, {name} {depth}");
        }
        assert!(deepest("mallory") <= uniform + 1, "as published it is a uniform draw");
    }
}

#[test]
fn a_portfolio_hands_schedules_to_what_finds_more() {
    let (agent, _) = trained("portfolio", &mut OneBest::new(7), 600, 3);
    let AnyAgent::Portfolio(agent) = agent else { panic!("`portfolio` makes a portfolio") };
    let shares = agent.shares();
    let of = |name| shares.iter().find(|share| share.0 == name).expect("a member").1;
    assert!(of("ucb1") + of("negative-visits") + of("bonus-max") > 0.4, "{shares:?}");
    assert!(of("uniform") >= 0.2 && of("periodic") < 0.15, "{shares:?}");
}

#[test]
fn a_divergence_is_measured_over_what_was_visited() {
    let (agent, visited) = trained("negative-visits", &mut Corridor::new(), 50, 4);
    let all = divergence(&agent, visited.sample());
    assert_eq!(all.states, visited.states() as u64);
    let nowhere = divergence(&agent, visited.sample().filter(|(state, _, _)| *state == StateId(1 << 40)));
    assert_eq!(nowhere, Divergence::default());
}
