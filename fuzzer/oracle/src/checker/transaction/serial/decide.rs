//! Whether a history has an order, and if not, few transactions that have none.

use super::super::closure::Closure;
use super::Held;
use super::access::Accesses;
use super::infer::{Inferred, infer};
use super::instance::Instance;
use super::part::{Part, parts};
use super::search::{Answer, search};
use crate::op::Outcome;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Steps of a first try, for each event.
const FIRST_STEPS: u64 = 8;
/// Steps of each try once it is known what every order holds, for each event, before one of them takes the rest.
const GUESS_STEPS: u64 = 64;

/// Where transactions are left out, one try takes at most this part of the steps that are left, but [`SHARE_LEAST`] in any
/// case.
const SHARE: u64 = 16;
const SHARE_LEAST: u64 = 10_000;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// There is an order.
    Order,
    /// There is none, not even of these, which are as few as steps allowed.
    None(Part),
    /// Steps ran out: so many transactions are not decided, and of the hardest part so many of its events had an order.
    Unknown { txns: usize, placed: usize, events: usize },
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub accesses: &'a Accesses<'a>,
    pub held: Held,
    pub is_snapshot: bool,
}

impl Question<'_> {
    /// Decides a whole history in about `steps`; as many again go into making a contradiction small.
    pub fn decide(&self, steps_max: u64) -> Decision {
        let mut steps = steps_max;
        let mut unknown: Option<(usize, usize, usize)> = None;
        for part in parts(self.accesses, self.held) {
            let size = part.txns.len();
            match self.of_part(&part, &mut steps) {
                Fate::Order => {}
                Fate::None(txns) => {
                    let part = Part { txns, keys: None };
                    return Decision::None(self.shrink(part, &mut steps_max.clone()));
                }
                Fate::Unknown { placed, events } => {
                    let (txns, worst, of) = unknown.unwrap_or((0, placed, events));
                    let (worst, of) =
                        if events - placed > of - worst { (placed, events) } else { (worst, of) };
                    unknown = Some((txns + size, worst, of));
                }
            }
        }
        match unknown {
            None => Decision::Order,
            Some((txns, placed, events)) => Decision::Unknown { txns, placed, events },
        }
    }

    pub fn instance(&self, part: &Part) -> Instance {
        Instance::new(self.accesses, part, self.held, self.is_snapshot)
    }

    fn of_part(&self, part: &Part, steps: &mut u64) -> Fate {
        let instance = self.instance(part);
        let events = instance.events() as usize;
        let mut guesses = self.guesses(&instance);
        // a history that is in order is so most often about as it was recorded
        let given: Vec<(u32, u32)> = instance.given.iter().map(|given| (given.from, given.to)).collect();
        let mut is_none = false;
        for ranks in &guesses {
            match quick(&instance, &given, None, ranks, FIRST_STEPS, steps) {
                Answer::Order => return Fate::Order,
                Answer::None => {
                    is_none = true;
                    break;
                }
                Answer::Unknown(_) => {}
            }
        }
        let (arcs, closure) = match infer(&instance, steps) {
            Inferred::Contradiction(proof) => {
                let txns = proof.txns(&instance);
                return Fate::None(txns.into_iter().map(|txn| instance.txns[txn as usize]).collect());
            }
            Inferred::Known { .. } if is_none => return Fate::None(part.txns.clone()),
            Inferred::Known { arcs, closure } => (arcs, closure),
        };
        if let Some(closure) = &closure {
            let place = |event: u32| (u64::from(closure.place[event as usize]), u64::from(event));
            guesses.push((0..events as u32).map(place).collect());
        }
        let mut best: Option<(usize, usize)> = None;
        for (number, ranks) in guesses.iter().enumerate() {
            match quick(&instance, &arcs, closure.as_ref(), ranks, GUESS_STEPS, steps) {
                Answer::Order => return Fate::Order,
                Answer::None => return Fate::None(part.txns.clone()),
                Answer::Unknown(placed) if best.is_none_or(|(most, _)| placed > most) => {
                    best = Some((placed, number));
                }
                Answer::Unknown(_) => {}
            }
        }
        if let Some(fate) = self.again(part, &instance, (&arcs, closure.as_ref()), &guesses, steps) {
            return fate;
        }
        let guess = best.map_or(0, |(_, number)| number);
        match search(&instance, &arcs, closure.as_ref(), &guesses[guess], steps) {
            Answer::Order => Fate::Order,
            Answer::None => Fate::None(part.txns.clone()),
            Answer::Unknown(placed) => Fate::Unknown { placed, events },
        }
    }

    /// A search that took a wrong turn early may never come back to it. So each guess is tried again with its events a little
    /// out of place, ever further, and in ever more steps, as long as that leaves half of them for the last try.
    fn again(
        &self,
        part: &Part,
        instance: &Instance,
        (arcs, closure): (&[(u32, u32)], Option<&Closure>),
        guesses: &[Vec<(u64, u64)>],
        steps: &mut u64,
    ) -> Option<Fate> {
        let end = *steps / 2;
        let mut each = GUESS_STEPS;
        for round in 1.. {
            for ranks in guesses {
                if steps.saturating_sub(u64::from(instance.events()) * each) < end {
                    return None;
                }
                match quick(instance, arcs, closure, &shaken(ranks, round), each, steps) {
                    Answer::Order => return Some(Fate::Order),
                    Answer::None => return Some(Fate::None(part.txns.clone())),
                    Answer::Unknown(_) => {}
                }
            }
            if round % 4 == 0 {
                each *= 2;
            }
        }
        None
    }

    /// Orders in which events may be tried: by the time of completion, and under snapshot isolation also with begins by
    /// the time of invocation.
    fn guesses(&self, instance: &Instance) -> Vec<Vec<(u64, u64)>> {
        let history = self.accesses.history;
        let txn = |event: u32| instance.txns[instance.txn_of(event) as usize] as usize;
        // what is known of a transaction's time is when it was over; if nobody knows, when it was read first
        let mut over: Vec<u64> =
            (0..instance.txns.len()).map(|at| history.txns[instance.txns[at] as usize].complete).collect();
        for version in instance.keys.iter().flat_map(|key| &key.versions) {
            let Some(writer) = version.writer else { continue };
            if history.txns[instance.txns[writer as usize] as usize].outcome == Outcome::Info {
                for reader in &version.readers {
                    over[writer as usize] = over[writer as usize].min(over[*reader as usize]);
                }
            }
        }
        let events = instance.events();
        let by_end = |event: u32| (over[instance.txn_of(event) as usize], u64::from(event));
        let by_begin = |event: u32| {
            let is_begin = event.is_multiple_of(2);
            if is_begin { (history.txns[txn(event)].invoke, u64::from(event)) } else { by_end(event) }
        };
        let mut guesses = vec![(0..events).map(by_end).collect()];
        if instance.is_snapshot {
            guesses.push((0..events).map(by_begin).collect());
        }
        guesses
    }

    /// Leaves out transactions, in ever smaller blocks, as long as the others have no order.
    fn shrink(&self, mut part: Part, steps: &mut u64) -> Part {
        let mut block = part.txns.len().div_ceil(2).max(1);
        loop {
            let mut is_smaller = false;
            let mut start = 0;
            while start < part.txns.len() {
                let end = (start + block).min(part.txns.len());
                let rest = [&part.txns[..start], &part.txns[end..]].concat();
                let rest = Part { txns: rest, keys: part.keys.clone() };
                // one hard try does not take all that is left
                let share = (*steps / SHARE).max(SHARE_LEAST).min(*steps);
                let mut left = share.saturating_sub(rest.txns.len() as u64);
                let fate = self.of_part(&rest, &mut left);
                *steps -= share - left;
                match fate {
                    Fate::None(txns) => {
                        is_smaller = true;
                        part.txns = txns;
                    }
                    Fate::Order => start = end,
                    Fate::Unknown { .. } if *steps == 0 => return part,
                    Fate::Unknown { .. } => start = end,
                }
            }
            if block == 1 && !is_smaller {
                return part;
            }
            block = (block / 2).max(1);
        }
    }
}

/// The order of `ranks`, in which each event has moved back by less than twice as many places as there were rounds.
fn shaken(ranks: &[(u64, u64)], round: u64) -> Vec<(u64, u64)> {
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by_key(|event| ranks[*event]);
    let mut shaken = vec![(0, 0); ranks.len()];
    let mut rng = ChaCha8Rng::seed_from_u64(round);
    for (place, event) in (0..).zip(order) {
        shaken[event] = (place + rng.random_range(0..2 * round), event as u64);
    }
    shaken
}

/// A search in so many steps an event, and no more than an eighth of what is left.
fn quick(
    instance: &Instance,
    arcs: &[(u32, u32)],
    closure: Option<&Closure>,
    ranks: &[(u64, u64)],
    steps_each: u64,
    steps: &mut u64,
) -> Answer {
    let all = (u64::from(instance.events()) * steps_each).min(*steps / 8);
    let mut left = all;
    let answer = search(instance, arcs, closure, ranks, &mut left);
    *steps -= all - left;
    answer
}

enum Fate {
    Order,
    /// There is none, not even of these.
    None(Vec<u32>),
    Unknown {
        placed: usize,
        events: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shaken_stays_near_and_differs_each_time() {
        // Events in the reverse of their order.
        let ranks: Vec<(u64, u64)> = (0..200).map(|event| (200 - event, event)).collect();
        for round in 1..20 {
            let shaken = shaken(&ranks, round);
            assert_ne!(shaken, super::shaken(&ranks, round + 1));
            let mut order: Vec<usize> = (0..200).collect();
            order.sort_by_key(|event| shaken[*event]);
            for (place, event) in (0_u64..).zip(order) {
                assert!(place.abs_diff(199 - event as u64) < 2 * round, "round {round}: {event} at {place}");
            }
        }
    }
}
