//! What is known of the cluster when an action is chosen.

use super::deed::{Role, Way};
use super::seen::Seen;
use crate::fault::{Fault, Node};
use interceptor::rng::Rng;
use interceptor::summary::LEADS;
use rand::RngExt;
use rand::seq::IndexedRandom;

/// What is known of the cluster when an action is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What each node last said of its role, if it is up and has said so.
    pub roles: Vec<Option<String>>,
    /// Which nodes run.
    pub up: Vec<bool>,
    /// The faults in force.
    pub active: Vec<Fault>,
    /// What happened so far.
    pub seen: Seen,
}

impl View {
    pub(super) fn count(&self) -> usize {
        self.up.len()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = Node> {
        (1..).map(Node).take(self.count())
    }

    /// The nodes that run and play a role. Who has not said what it is counts as a follower.
    pub(super) fn playing(&self, role: Role) -> Vec<Node> {
        let plays = |index: usize| {
            let leads =
                self.roles.get(index).and_then(Option::as_deref).is_some_and(|role| LEADS.contains(&role));
            self.up[index] && leads == (role == Role::Leader)
        };
        self.nodes().filter(|node| plays(usize::from(node.0) - 1)).collect()
    }

    /// Sender and receiver, one of each role.
    pub(super) fn pairs(&self, way: Way) -> Vec<(Node, Node)> {
        let (leaders, followers) = (self.playing(Role::Leader), self.playing(Role::Follower));
        let (from, to) = match way {
            Way::FromLeader => (&leaders, &followers),
            Way::ToLeader => (&followers, &leaders),
            Way::BetweenFollowers => (&followers, &followers),
        };
        let pairs = from.iter().flat_map(|a| to.iter().map(|b| (*a, *b)));
        pairs.filter(|(a, b)| a != b).collect()
    }

    /// The largest minority that holds the leader, or does not.
    pub(super) fn minority(&self, role: Role, nodes: usize, rng: &mut Rng) -> Vec<Node> {
        let size = (nodes - 1) / 2;
        let leader = self.playing(Role::Leader).choose(rng).copied();
        let mut side: Vec<Node> = leader.into_iter().filter(|_| role == Role::Leader).collect();
        let mut others: Vec<Node> = self.nodes().filter(|node| Some(*node) != leader).collect();
        while side.len() < size && !others.is_empty() {
            side.push(others.swap_remove(rng.random_range(0..others.len())));
        }
        side.sort();
        side
    }
}
