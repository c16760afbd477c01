//! Every data type against the definition, written down as plainly as possible: random small histories, valid and
//! invalid, with crashed operations; and wrong checkers, which must be found out.

use crate::checker::linearizable::decide::{Datatype, Finding, Quick, find, known};
use crate::checker::linearizable::search::{self, Answer, Item};
use crate::checker::linearizable::sequential;
use crate::model::Model;
use crate::model::counter::{self, Counter};
use crate::model::keyed::{Keyed, On};
use crate::model::map::{self, Entry};
use crate::model::multi::{Access, MultiRegister};
use crate::model::mutex::{self, Mutex};
use crate::model::register::{self, Register, Value};
use crate::model::sequence::{self, Sequence};
use crate::model::set::{self, Set};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Histories of each shape.
const HISTORIES: u64 = 9000;
/// Mutants of each shape.
const MUTANTS: u64 = 300;

/// Some order of all that completed and any part of the rest respects `before` and the model.
fn has_order<M: Model>(
    model: &M,
    items: &[Item<M::Action>],
    state: &M::State,
    placed: &mut Vec<bool>,
    before: &dyn Fn(usize, usize) -> bool,
) -> bool {
    let must = |i: usize| items[i].ret.is_some();
    if (0..items.len()).all(|i| placed[i] || !must(i)) {
        return true;
    }
    for i in 0..items.len() {
        if placed[i] || (0..items.len()).any(|j| !placed[j] && must(j) && before(j, i)) {
            continue;
        }
        let Some(after) = model.step(state, &items[i].action) else { continue };
        placed[i] = true;
        if has_order(model, items, &after, placed, before) {
            return true;
        }
        placed[i] = false;
    }
    false
}

fn linearizable<M: Model>(model: &M, items: &[Item<M::Action>]) -> bool {
    let before = |j: usize, i: usize| items[j].ret.is_some_and(|ret| ret < items[i].call);
    has_order(model, items, &model.init(), &mut vec![false; items.len()], &before)
}

/// What to draw histories from.
struct Shape<M: Model> {
    model: M,
    /// The n-th operation as it is right in a state, or something else that is well-formed.
    draw: fn(&mut ChaCha8Rng, usize, &M::State, &M, bool) -> M::Action,
}

/// A history of up to seven operations: each took effect at an instant of its own, if it did, and some answers may
/// have been spoilt.
fn history<M: Model>(shape: &Shape<M>, rng: &mut ChaCha8Rng) -> Vec<Item<M::Action>> {
    let count = rng.random_range(1..8);
    let width = [5, 150, 400][rng.random_range(0..3)];
    let wrong_percent = [0, 15, 60][rng.random_range(0..3)];
    let crash_percent = [0, 30][rng.random_range(0..2)];
    drawn(shape, rng, Size { count, width, wrong_percent, crash_percent })
}

/// What histories are like.
struct Size {
    count: usize,
    /// How far from its instant an operation may begin and end; instants are 100 apart.
    width: i64,
    wrong_percent: u32,
    crash_percent: u32,
}

fn drawn<M: Model>(shape: &Shape<M>, rng: &mut ChaCha8Rng, size: Size) -> Vec<Item<M::Action>> {
    let Size { count, width, wrong_percent, crash_percent } = size;
    let mut state = shape.model.init();
    let mut ends: Vec<(i64, usize, bool)> = Vec::new();
    let mut actions = Vec::new();
    let mut crashed = Vec::new();
    for n in 0..count {
        let right = rng.random_range(0..100) >= wrong_percent;
        let action = (shape.draw)(rng, n, &state, &shape.model, right);
        let crashes = rng.random_range(0..100) < crash_percent;
        if !crashes || rng.random_bool(0.5) {
            state = shape.model.step(&state, &action).unwrap_or(state);
        }
        let at = n as i64 * 100;
        ends.push((at - rng.random_range(1..width), n, false));
        ends.push((at + rng.random_range(1..width), n, true));
        actions.push(action);
        crashed.push(crashes);
    }
    ends.sort_unstable();
    let index = |n: usize, is_ret: bool| {
        ends.iter().position(|(_, other, ret)| (*other, *ret) == (n, is_ret)).unwrap() as u64 + 1
    };
    let item = |(n, action): (usize, M::Action)| Item {
        action,
        call: index(n, false),
        ret: (!crashed[n]).then(|| index(n, true)),
    };
    let mut items: Vec<Item<M::Action>> = actions.into_iter().enumerate().map(item).collect();
    items.retain(|item| item.ret.is_some() || !shape.model.is_pure(&item.action));
    items.sort_by_key(|item| item.call);
    items
}

/// Compares the checker with the definition, and its parts with each other; gives the number of invalid histories and
/// of those that the fast algorithm decided.
fn agree<D: Datatype>(name: &str, shape: &Shape<D>, remodel: fn(&[Item<D::Action>]) -> D) -> (u64, u64)
where
    D::Action: std::fmt::Debug,
{
    let (mut invalid, mut fast) = (0, 0);
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let items = history(shape, &mut rng);
        let model = remodel(&items);
        let expected = linearizable(&model, &items);
        let dump = || format!("{name}, seed {seed}: valid {expected}\n{items:#?}");
        let (reduced, used) = model.reduce(&items);
        let searched = search::search(&model, &reduced, used, &mut 1_000_000);
        assert_eq!(matches!(searched, Answer::Order(_)), expected, "search: {}", dump());
        match model.quick(&items) {
            Quick::Unclear => {}
            answer => {
                fast += 1;
                assert_eq!(answer == Quick::Valid, expected, "fast: {}", dump());
            }
        }
        match find(&model, &items, 1_000_000) {
            Finding::Valid => assert!(expected, "{}", dump()),
            Finding::OutOfBudget { .. } => panic!("out of budget: {}", dump()),
            Finding::Impossible(found) => {
                assert!(!expected, "{}", dump());
                invalid += 1;
                let at = |cut: u64| -> Vec<Item<D::Action>> {
                    items.iter().filter_map(|item| known(&model, item, cut)).collect()
                };
                assert!(linearizable(&model, &at(found.at - 1)), "too late: {}", dump());
                assert!(!linearizable(&model, &at(found.at)), "too early: {}", dump());
                assert_eq!(items[found.culprit].ret, Some(found.at), "{}", dump());
                let few: Vec<Item<D::Action>> =
                    found.core.iter().filter_map(|i| known(&model, &items[*i], found.at)).collect();
                assert!(!linearizable(&model, &few), "core {:?}: {}", found.core, dump());
            }
        }
    }
    mutants(name, shape, remodel);
    (invalid, fast)
}

/// Mutants of longer histories that are in order: a single operation of each is another one. The search is compared with
/// the fast algorithm, wherever both can tell.
fn mutants<D: Datatype>(name: &str, shape: &Shape<D>, remodel: fn(&[Item<D::Action>]) -> D)
where
    D::Action: std::fmt::Debug,
{
    let mut told = [0; 2];
    for seed in 0..MUTANTS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (count, width) = (rng.random_range(40..120), [5, 150, 300][rng.random_range(0..3)]);
        let size = Size { count, width, wrong_percent: 0, crash_percent: rng.random_range(0..3) };
        let mut items = drawn(shape, &mut rng, size);
        let at = rng.random_range(0..items.len());
        let action = (shape.draw)(&mut rng, count, &shape.model.init(), &shape.model, false);
        if items[at].ret.is_some() || !shape.model.is_pure(&action) {
            items[at].action = action;
        }
        let model = remodel(&items);
        let fast = match model.quick(&items) {
            Quick::Unclear => continue,
            answer => answer == Quick::Valid,
        };
        let (reduced, used) = model.reduce(&items);
        let searched = match search::search(&model, &reduced, used, &mut 100_000) {
            Answer::OutOfBudget { .. } => continue,
            answer => matches!(answer, Answer::Order(_)),
        };
        assert_eq!(fast, searched, "{name}, mutant {seed}: {items:#?}");
        told[usize::from(fast)] += 1;
    }
    let [invalid, valid] = told;
    assert!(
        told == [0, 0] || (invalid > 5 && valid > 5),
        "{name}: {invalid} invalid and {valid} valid mutants"
    );
}

/// The shape has both kinds of histories in plenty.
fn mixed(name: &str, (invalid, fast): (u64, u64), is_fast: bool) {
    let range = HISTORIES / 10..HISTORIES * 9 / 10;
    assert!(
        range.contains(&invalid),
        "{name}: {invalid} of {HISTORIES} are invalid: too uneven to mean much"
    );
    assert_eq!(fast > HISTORIES / 2, is_fast, "{name}: {fast} of {HISTORIES} were decided fast");
}

fn registers(unique: bool) -> Shape<Register> {
    let draw = |rng: &mut ChaCha8Rng, n: usize, state: &Value, _: &Register, right: bool| {
        let seen = if right { *state } else { Value::numbered(rng.random_range(0..6)) };
        match rng.random_range(0..2) {
            0 => register::Action::Read(seen),
            _ => register::Action::Write(Value::numbered(n as u32 + 1)),
        }
    };
    let any = |rng: &mut ChaCha8Rng, _: usize, state: &Value, _: &Register, right: bool| {
        let some = Value::numbered(rng.random_range(0..3));
        let seen = if right { *state } else { some };
        match rng.random_range(0..5) {
            0 | 1 => register::Action::Read(seen),
            2 => register::Action::Write(some),
            3 => register::Action::Swap(seen, Value::numbered(rng.random_range(0..3))),
            _ if some != *state || !right => register::Action::Refuse(some),
            _ => register::Action::Write(some),
        }
    };
    Shape { model: Register, draw: if unique { draw } else { any } }
}

#[test]
fn registers_agree() {
    mixed("unique values", agree("register", &registers(true), |_| Register), true);
    mixed("swaps", agree("cas-register", &registers(false), |_| Register), false);
}

#[test]
fn transactions_agree() {
    let model = MultiRegister { registers: 2 };
    let draw = |rng: &mut ChaCha8Rng, _: usize, state: &Vec<u32>, _: &MultiRegister, right: bool| {
        let mut now = state.clone();
        (0..rng.random_range(1..3))
            .map(|_| {
                let register = rng.random_range(0..2_usize);
                let some = rng.random_range(0..3);
                if rng.random_bool(0.5) {
                    Access::Read(register as u32, if right { now[register] } else { some })
                } else {
                    now[register] = some;
                    Access::Write(register as u32, some)
                }
            })
            .collect()
    };
    mixed(
        "multi",
        agree("multi-register", &Shape { model, draw }, |_| MultiRegister { registers: 2 }),
        false,
    );
}

#[test]
fn maps_agree() {
    let all = || {
        let letters = ["", "a", "b"];
        let two = letters.iter().flat_map(|one| letters.iter().map(move |two| [*one, *two].concat()));
        let texts: Vec<String> = two.collect();
        let many = texts.iter().flat_map(|one| texts.iter().map(|two| [one.as_str(), two].concat()));
        Entry::new(many.map(Arc::from).collect::<Vec<Arc<str>>>())
    };
    let draw = |rng: &mut ChaCha8Rng, _: usize, state: &Option<Arc<str>>, _: &Entry, right: bool| {
        let some: Arc<str> = ["", "a", "b", "ab", "ba"][rng.random_range(0..5)].into();
        match rng.random_range(0..5) {
            0 | 1 => map::Action::Get(state.clone().filter(|_| right).unwrap_or(some)),
            2 | 3 => map::Action::Append(["a", "b"][rng.random_range(0..2)].into()),
            _ => map::Action::Put(some),
        }
    };
    let remodel = |items: &[Item<map::Action>]| {
        Entry::new(items.iter().filter_map(|item| match &item.action {
            map::Action::Get(text) => Some(text.clone()),
            _ => None,
        }))
    };
    mixed("map", agree("map", &Shape { model: all(), draw }, remodel), false);
    // that unseen texts are one state changes nothing
    for seed in 0..HISTORIES {
        let items = history(&Shape { model: all(), draw }, &mut ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(linearizable(&remodel(&items), &items), linearizable(&all(), &items), "seed {seed}");
    }
}

#[test]
fn sets_agree() {
    let grow = |rng: &mut ChaCha8Rng, n: usize, state: &Vec<u32>, _: &Set, right: bool| {
        if rng.random_bool(0.5) {
            return set::Action::Add(rng.random_range(0..=n as u32));
        }
        let mut all = state.clone();
        if !right {
            let some = rng.random_range(0..4);
            match all.binary_search(&some) {
                Ok(at) => _ = all.remove(at),
                Err(at) => all.insert(at, some),
            }
        }
        set::Action::Read(all.into())
    };
    mixed("growing", agree("set", &Shape { model: Set, draw: grow }, |_| Set), true);
    let any = |rng: &mut ChaCha8Rng, _: usize, state: &Vec<u32>, _: &Set, right: bool| {
        let some = rng.random_range(0..2);
        match rng.random_range(0..6) {
            0 | 1 => set::Action::Add(some),
            2 => set::Action::Remove(some),
            3 if right => set::Action::Read(state.clone().into()),
            _ => set::Action::Contains(some, right == state.contains(&some)),
        }
    };
    mixed("removals", agree("set", &Shape { model: Set, draw: any }, |_| Set), false);
}

fn sequences_agree(model: Sequence, same: fn(&[Item<sequence::Action>]) -> Sequence, name: &str) {
    let unique = |rng: &mut ChaCha8Rng, n: usize, state: &Vec<u32>, model: &Sequence, right: bool| {
        let some = rng.random_range(0..n as u32 + 1);
        match (rng.random_bool(0.5), right, model.next(state)) {
            (true, ..) => sequence::Action::Put(n as u32),
            (_, true, Some(next)) => sequence::Action::Take(next),
            (_, true, None) => sequence::Action::Empty,
            (_, false, _) if some == 0 => sequence::Action::Empty,
            (_, false, _) => sequence::Action::Take(some),
        }
    };
    mixed("unique", agree(name, &Shape { model, draw: unique }, same), true);
    let any = |rng: &mut ChaCha8Rng, _: usize, state: &Vec<u32>, model: &Sequence, right: bool| match (
        rng.random_range(0..5),
        right,
        model.next(state),
    ) {
        (0 | 1, ..) => sequence::Action::Put(rng.random_range(0..3)),
        (2, ..) => sequence::Action::Unanswered,
        (_, true, Some(next)) => sequence::Action::Take(next),
        (_, true, None) => sequence::Action::Empty,
        (_, false, _) => sequence::Action::Take(rng.random_range(0..3)),
    };
    mixed("repeated", agree(name, &Shape { model, draw: any }, same), false);
}

#[test]
fn queues_agree() {
    sequences_agree(Sequence::Queue, |_| Sequence::Queue, "queue");
}

#[test]
fn stacks_agree() {
    sequences_agree(Sequence::Stack, |_| Sequence::Stack, "stack");
}

#[test]
fn counters_agree() {
    let ones = |rng: &mut ChaCha8Rng, _: usize, state: &i64, _: &Counter, right: bool| match (
        rng.random_bool(0.5),
        right,
    ) {
        (true, _) => counter::Action::Add(1),
        (_, true) => counter::Action::Read(*state),
        (_, false) => counter::Action::Read(*state + rng.random_range(-1..2)),
    };
    mixed(
        "ones",
        agree("counter", &Shape { model: Counter { initial: 3 }, draw: ones }, |_| Counter { initial: 3 }),
        true,
    );
    let any = |rng: &mut ChaCha8Rng, n: usize, state: &i64, model: &Counter, right: bool| {
        let _ = model;
        match (rng.random_bool(0.5), right) {
            (true, _) => counter::Action::Add([1, -2, 5][(n + rng.random_range(0..2)) % 3]),
            (_, true) => counter::Action::Read(*state),
            (_, false) => counter::Action::Read(*state + rng.random_range(-3..4)),
        }
    };
    let (invalid, _) =
        agree("counter", &Shape { model: Counter::default(), draw: any }, |_| Counter::default());
    assert!(invalid > HISTORIES / 10, "{invalid}");
}

#[test]
fn locks_agree() {
    let draw = |rng: &mut ChaCha8Rng, _: usize, taken: &bool, _: &Mutex, right: bool| {
        let release = if right { *taken } else { rng.random_bool(0.5) };
        if release { mutex::Action::Release } else { mutex::Action::Acquire }
    };
    mixed("mutex", agree("mutex", &Shape { model: Mutex, draw }, |_| Mutex), false);
}

type Two = Keyed<Register>;

fn two_registers() -> Shape<Two> {
    let model = Keyed(vec![Register, Register]);
    let draw = |rng: &mut ChaCha8Rng, n: usize, state: &Vec<Value>, _: &Two, right: bool| {
        let key = rng.random_range(0..2_u32);
        let draw = registers(false).draw;
        On { key, action: draw(rng, n, &state[key as usize], &Register, right) }
    };
    Shape { model, draw }
}

#[test]
fn several_keys_together_agree() {
    mixed("keyed", agree("keyed", &two_registers(), |_| Keyed(vec![Register, Register])), false);
}

#[test]
fn sequential_consistency_agrees() {
    let shape = two_registers();
    let mut invalid = 0;
    for seed in 0..HISTORIES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let items = history(&shape, &mut rng);
        let processes: Vec<u64> = items.iter().map(|_| rng.random_range(0..3)).collect();
        let before = |j: usize, i: usize| processes[j] == processes[i] && j < i;
        // who is optional may be passed over, and then comes no more
        let expected = in_program_order(
            &shape.model,
            &items,
            &shape.model.init(),
            &mut vec![false; items.len()],
            &before,
        );
        let answer = sequential::search(&shape.model, &items, &processes, &mut 1_000_000);
        assert_eq!(
            matches!(answer, sequential::Answer::Order(_)),
            expected,
            "seed {seed}\n{items:#?}\n{processes:?}"
        );
        invalid += u64::from(!expected);
    }
    assert!((HISTORIES / 10..HISTORIES * 9 / 10).contains(&invalid), "{invalid}");
}

/// As [`has_order`], and what is passed over never comes.
fn in_program_order<M: Model>(
    model: &M,
    items: &[Item<M::Action>],
    state: &M::State,
    gone: &mut Vec<bool>,
    before: &dyn Fn(usize, usize) -> bool,
) -> bool {
    if (0..items.len()).all(|i| gone[i] || items[i].ret.is_none()) {
        return true;
    }
    for i in 0..items.len() {
        if gone[i] || (0..items.len()).any(|j| !gone[j] && items[j].ret.is_some() && before(j, i)) {
            continue;
        }
        let Some(after) = model.step(state, &items[i].action) else { continue };
        let kept = gone.clone();
        (0..items.len()).filter(|j| before(*j, i)).for_each(|j| gone[j] = true);
        gone[i] = true;
        if in_program_order(model, items, &after, gone, before) {
            return true;
        }
        *gone = kept;
    }
    false
}

/// How often a checker differs from the definition.
fn differences<M: Model>(shape: &Shape<M>, check: impl Fn(&[Item<M::Action>]) -> bool) -> usize {
    let differs = |seed: &u64| {
        let items = history(shape, &mut ChaCha8Rng::seed_from_u64(*seed));
        check(&items) != linearizable(&shape.model, &items)
    };
    (0..1000).filter(differs).count()
}

#[test]
fn wrong_checkers_are_found_out() {
    let shape = registers(true);
    let valid =
        |items: &[Item<register::Action>]| matches!(find(&Register, items, 1_000_000), Finding::Valid);
    assert_eq!(differences(&shape, valid), 0);
    let with = |items: &[Item<register::Action>], change: &dyn Fn(&mut Item<register::Action>)| {
        let mut items = items.to_vec();
        items.iter_mut().for_each(change);
        valid(&items)
    };
    // a crashed operation must have happened before anything later began
    let forced =
        |items: &[Item<register::Action>]| with(items, &|item| item.ret = item.ret.or(Some(item.call)));
    assert!(differences(&shape, forced) > 0, "forced");
    // real time does not count
    assert!(differences(&shape, |items| with(items, &|item| item.call = 0)) > 0, "untimed");
    // crashed operations never happened
    let dropped = |items: &[Item<register::Action>]| {
        valid(&items.iter().filter(|item| item.ret.is_some()).cloned().collect::<Vec<_>>())
    };
    assert!(differences(&shape, dropped) > 0, "dropped");
    // everything is in order, or nothing is
    assert!(differences(&shape, |_| true) > 100 && differences(&shape, |_| false) > 100);
}
