//! The manner of a run in which an agent chooses: which kinds of faults it is offered, how often it is asked, and
//! whether its faults strike at once.
//!
//! Leaving kinds out and leaving time between faults finds what offering everything all the time cannot: a
//! cluster that is struck four times a second seldom gets as far as the state that a bug needs. (Groce et al.,
//! "Swarm testing", ISSTA 2012.)

use crate::fault::Kind;
use interceptor::rng::Rng;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use std::collections::BTreeSet;

/// Most kinds in a part.
const PART_MAX: usize = 5;
/// In how many windows an agent is asked once.
const PACES: [u32; 4] = [1, 1, 2, 4];
/// How many faults may be in force at once.
const ACTIVE: [usize; 4] = [1, 3, 5, 8];

/// Drawn once a run, from its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The kinds that the agent is offered.
    pub kinds: BTreeSet<Kind>,
    /// The agent is asked in one window of so many; at least 1.
    pub pace: u32,
    /// Most faults in force at once that the agent adds to.
    pub active_max: usize,
    /// What the agent chooses strikes at any instant of its window; otherwise at its beginning.
    pub is_spread: bool,
}

impl Manner {
    /// All of `kinds` in one run of three, otherwise a few of them.
    #[must_use]
    pub fn draw(kinds: &BTreeSet<Kind>, rng: &mut Rng) -> Self {
        let mut offered: Vec<Kind> = kinds.iter().copied().collect();
        if !rng.random_ratio(1, 3) && offered.len() > 1 {
            offered.shuffle(rng);
            offered.truncate(rng.random_range(1..=PART_MAX.min(offered.len())));
        }
        Self {
            kinds: offered.into_iter().collect(),
            pace: PACES.choose(rng).copied().unwrap_or(1),
            active_max: ACTIVE.choose(rng).copied().unwrap_or(1),
            is_spread: rng.random(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::rng::split;

    #[test]
    fn manners_differ_and_offer_something() {
        let all = BTreeSet::from(Kind::ALL);
        let manners: Vec<Manner> =
            (0..300).map(|seed| Manner::draw(&all, &mut split(seed, "manner"))).collect();
        let sizes: BTreeSet<usize> = manners.iter().map(|manner| manner.kinds.len()).collect();
        assert_eq!(sizes, BTreeSet::from([1, 2, 3, 4, 5, all.len()]));
        let offered: BTreeSet<Kind> = manners.iter().flat_map(|manner| manner.kinds.clone()).collect();
        assert_eq!(offered, all);
        let paces: BTreeSet<u32> = manners.iter().map(|manner| manner.pace).collect();
        assert_eq!(paces, BTreeSet::from(PACES));
    }

    #[test]
    fn equal_seeds_give_equal_manners() {
        let all = BTreeSet::from(Kind::ALL);
        let draw = |seed| Manner::draw(&all, &mut split(seed, "manner"));
        assert_eq!(draw(3), draw(3));
        assert!(Manner::draw(&BTreeSet::new(), &mut split(1, "manner")).kinds.is_empty());
    }
}
