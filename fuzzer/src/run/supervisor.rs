//! The supervisor: starts nodes again that ended by themselves, as an init system does, and gives up on those
//! that keep ending.

use interceptor::time::{Instant, Span};
use std::collections::VecDeque;

/// Time between the end of a node and its restart.
const RESTART: Span = Span::from_millis(500);
/// So many ends within [`WITHIN`] are enough.
const ENDS_MAX: usize = 5;
/// See [`ENDS_MAX`].
const WITHIN: Span = Span::from_secs(5);

/// Which nodes wait to be started again.
#[derive(Debug)]
pub(super) struct Supervisor {
    nodes: Vec<Watched>,
}

#[derive(Clone, Debug, Default)]
struct Watched {
    restart_at: Option<Instant>,
    ends: VecDeque<Instant>,
}

impl Supervisor {
    pub fn new(nodes: usize) -> Self {
        Self { nodes: vec![Watched::default(); nodes] }
    }

    /// A node ended by itself.
    pub fn on_exit(&mut self, node: usize, at: Instant) {
        let Some(watched) = self.nodes.get_mut(node) else { return };
        watched.ends.push_back(at);
        while watched.ends.front().is_some_and(|first| at.since(*first) > WITHIN) {
            watched.ends.pop_front();
        }
        watched.restart_at = (watched.ends.len() < ENDS_MAX).then(|| at + RESTART);
    }

    /// When a node is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.nodes.iter().filter_map(|watched| watched.restart_at).min()
    }

    /// The nodes to start now.
    pub fn due(&mut self, now: Instant) -> Vec<usize> {
        let mut due = Vec::new();
        for (node, watched) in self.nodes.iter_mut().enumerate() {
            if watched.restart_at.is_some_and(|at| at <= now) {
                watched.restart_at = None;
                due.push(node);
            }
        }
        due
    }

    /// Every node has another chance; the caller starts them all.
    pub fn pardon(&mut self) {
        self.nodes.fill(Watched::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::START + Span::from_millis(ms)
    }

    #[test]
    fn a_node_comes_back_after_half_a_second() {
        let mut supervisor = Supervisor::new(2);
        supervisor.on_exit(1, at(100));
        assert_eq!(supervisor.deadline(), Some(at(600)));
        assert!(supervisor.due(at(599)).is_empty());
        assert_eq!(supervisor.due(at(600)), [1]);
        assert_eq!(supervisor.deadline(), None);
    }

    #[test]
    fn a_node_that_keeps_ending_is_left_alone_until_pardoned() {
        let mut supervisor = Supervisor::new(1);
        for i in 0..4 {
            supervisor.on_exit(0, at(i * 600));
            assert_eq!(supervisor.due(at(i * 600 + 500)), [0]);
        }
        supervisor.on_exit(0, at(2_400));
        assert_eq!(supervisor.deadline(), None);
        supervisor.pardon();
        supervisor.on_exit(0, at(3_000));
        assert!(supervisor.deadline().is_some());
        let mut slow = Supervisor::new(1);
        (0..20).for_each(|i| slow.on_exit(0, at(i * 1_500)));
        assert!(slow.deadline().is_some());
    }
}
