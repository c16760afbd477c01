//! Which faults are possible, and whom they strike.

use super::{Fault, Node};

/// No duration, delay or distance of a fault is longer: an hour.
pub const DURATION_MS_MAX: u64 = 3_600_000;
/// No clock jumps farther: ten years.
pub const JUMP_MS_MAX: u64 = 10 * 365 * 86_400_000;

impl Fault {
    /// The nodes it names, in the order they are written.
    #[must_use]
    pub fn victims(&self) -> Vec<Node> {
        match self {
            Self::Partition { side, .. } => side.clone(),
            Self::Link { from, to, .. } | Self::Delay { from, to, .. } | Self::Stall { from, to, .. } => {
                vec![*from, *to]
            }
            Self::Reset { a, b } => vec![*a, *b],
            Self::Kill { node, .. }
            | Self::PowerLoss { node, .. }
            | Self::Pause { node, .. }
            | Self::ClockJump { node, .. }
            | Self::ClockRate { node, .. }
            | Self::SlowFsync { node, .. }
            | Self::FsyncError { node, .. }
            | Self::NoSpace { node, .. } => vec![*node],
        }
    }

    /// The nodes it names, to be changed.
    pub fn victims_mut(&mut self) -> Vec<&mut Node> {
        match self {
            Self::Partition { side, .. } => side.iter_mut().collect(),
            Self::Link { from, to, .. } | Self::Delay { from, to, .. } | Self::Stall { from, to, .. } => {
                vec![from, to]
            }
            Self::Reset { a, b } => vec![a, b],
            Self::Kill { node, .. }
            | Self::PowerLoss { node, .. }
            | Self::Pause { node, .. }
            | Self::ClockJump { node, .. }
            | Self::ClockRate { node, .. }
            | Self::SlowFsync { node, .. }
            | Self::FsyncError { node, .. }
            | Self::NoSpace { node, .. } => vec![node],
        }
    }

    /// How long it lasts, in milliseconds; `None` for those that are over at once (or when used up).
    #[must_use]
    pub const fn lasts_ms(&self) -> Option<u64> {
        match self {
            Self::Partition { for_ms, .. }
            | Self::Link { for_ms, .. }
            | Self::Delay { for_ms, .. }
            | Self::Stall { for_ms, .. }
            | Self::Pause { for_ms, .. }
            | Self::ClockRate { for_ms, .. }
            | Self::SlowFsync { for_ms, .. }
            | Self::NoSpace { for_ms, .. } => Some(*for_ms),
            Self::Kill { down_ms, .. } | Self::PowerLoss { down_ms, .. } => Some(*down_ms),
            Self::Reset { .. } | Self::ClockJump { .. } | Self::FsyncError { .. } => None,
        }
    }

    /// How long it lasts, to be changed.
    pub const fn lasts_ms_mut(&mut self) -> Option<&mut u64> {
        match self {
            Self::Partition { for_ms, .. }
            | Self::Link { for_ms, .. }
            | Self::Delay { for_ms, .. }
            | Self::Stall { for_ms, .. }
            | Self::Pause { for_ms, .. }
            | Self::ClockRate { for_ms, .. }
            | Self::SlowFsync { for_ms, .. }
            | Self::NoSpace { for_ms, .. } => Some(for_ms),
            Self::Kill { down_ms, .. } | Self::PowerLoss { down_ms, .. } => Some(down_ms),
            Self::Reset { .. } | Self::ClockJump { .. } | Self::FsyncError { .. } => None,
        }
    }

    /// Whether it can strike a cluster of `nodes`.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn check(&self, nodes: u8) -> Result<(), String> {
        for victim in self.victims() {
            victim.check(nodes)?;
        }
        if let Some(ms) = self.lasts_ms() {
            within("its duration", ms, DURATION_MS_MAX)?;
        }
        match self {
            Self::Partition { side, .. } => check_side(side, nodes),
            Self::Link { from, to, .. } | Self::Stall { from, to, .. } => distinct(*from, *to),
            Self::Delay { from, to, delay_ms, jitter_ms, .. } => {
                distinct(*from, *to)?;
                if *jitter_ms > DURATION_MS_MAX {
                    return Err(format!("jitter_ms = {jitter_ms} is over {DURATION_MS_MAX}"));
                }
                within("delay_ms", *delay_ms, DURATION_MS_MAX)
            }
            Self::Reset { a, b } => distinct(*a, *b),
            Self::ClockJump { by_ms, .. } => {
                within("by_ms without its sign", by_ms.unsigned_abs(), JUMP_MS_MAX)
            }
            Self::ClockRate { percent, .. } => within("percent", u64::from(*percent), 1000),
            Self::SlowFsync { delay_ms, .. } => within("delay_ms", *delay_ms, DURATION_MS_MAX),
            Self::FsyncError { count, .. } => within("count", u64::from(*count), u64::from(u32::MAX)),
            Self::NoSpace { bytes, .. } if *bytes > i64::MAX.unsigned_abs() => {
                Err(format!("bytes = {bytes} is more than a file can hold"))
            }
            Self::NoSpace { .. } | Self::Kill { .. } | Self::PowerLoss { .. } | Self::Pause { .. } => Ok(()),
        }
    }
}

impl Node {
    /// Whether a cluster of `nodes` has it.
    ///
    /// # Errors
    /// When it has not.
    pub fn check(self, nodes: u8) -> Result<(), String> {
        if (1..=nodes).contains(&self.0) {
            Ok(())
        } else {
            Err(format!("unknown node {self}: the cluster has n1 to n{nodes}"))
        }
    }
}

fn check_side(side: &[Node], nodes: u8) -> Result<(), String> {
    if side.is_empty() {
        return Err("the side is empty; name the nodes that are cut off".into());
    }
    if let Some(twice) = side.iter().enumerate().find(|(i, node)| side[..*i].contains(node)) {
        return Err(format!("the side names {} twice", twice.1));
    }
    if side.len() >= usize::from(nodes) {
        return Err(format!("the side holds all {nodes} nodes; leave one out"));
    }
    Ok(())
}

fn distinct(from: Node, to: Node) -> Result<(), String> {
    if from == to { Err(format!("both ends are {from}; name two nodes")) } else { Ok(()) }
}

fn within(what: &str, value: u64, max: u64) -> Result<(), String> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("{what} is {value}; 1 to {max} are possible"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Direction, Loss};

    fn why(fault: Fault) -> String {
        fault.check(3).unwrap_err()
    }

    #[test]
    fn what_is_impossible_is_named() {
        let n = Node;
        let side = |side: &[u8]| Fault::Partition {
            side: side.iter().map(|i| Node(*i)).collect(),
            direction: Direction::Both,
            for_ms: 5,
        };
        assert_eq!(why(side(&[])), "the side is empty; name the nodes that are cut off");
        assert_eq!(why(side(&[2, 2])), "the side names n2 twice");
        assert_eq!(why(side(&[1, 2, 3])), "the side holds all 3 nodes; leave one out");
        assert_eq!(why(side(&[4])), "unknown node n4: the cluster has n1 to n3");
        assert_eq!(why(Fault::Link { from: n(1), to: n(1), for_ms: 5 }), "both ends are n1; name two nodes");
        assert_eq!(why(Fault::Reset { a: n(2), b: n(2) }), "both ends are n2; name two nodes");
        assert_eq!(
            why(Fault::ClockRate { node: n(1), percent: 1001, for_ms: 5 }),
            "percent is 1001; 1 to 1000 are possible"
        );
        assert_eq!(
            why(Fault::ClockRate { node: n(1), percent: 0, for_ms: 5 }),
            "percent is 0; 1 to 1000 are possible"
        );
        assert_eq!(
            why(Fault::Pause { node: n(1), for_ms: 0 }),
            "its duration is 0; 1 to 3600000 are possible"
        );
        assert_eq!(
            why(Fault::FsyncError { node: n(1), count: 0 }),
            "count is 0; 1 to 4294967295 are possible"
        );
        assert!(Fault::ClockJump { node: n(1), by_ms: i64::MIN }.check(3).is_err());
        assert_eq!(side(&[1, 2]).check(3), Ok(()));
        assert_eq!(Fault::PowerLoss { node: n(3), loss: Loss::Torn, down_ms: 1 }.check(3), Ok(()));
    }
}
