//! Steps in one line, for people.

use super::{Schedule, Step, Trigger};
use crate::fault::Time;
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.fault)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { at_ms } => write!(f, "at {}", Time(*at_ms)),
            Self::On { event, node, peer, nth } => {
                write!(f, "on {nth}{} {event}", ordinal(*nth))?;
                node.map_or(Ok(()), |node| write!(f, " of {node}"))?;
                peer.map_or(Ok(()), |peer| write!(f, " with {peer}"))
            }
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.steps.len();
        let plural = if steps == 1 { "" } else { "s" };
        write!(f, "{} seed {}, {steps} step{plural} in {}", self.target, self.seed, Time(self.horizon_ms))?;
        self.agent_from_ms.map_or(Ok(()), |from| write!(f, ", agent from {}", Time(from)))
    }
}

/// The ending of an English ordinal.
fn ordinal(n: u32) -> &'static str {
    match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Node;

    #[test]
    fn triggers_are_read_aloud() {
        let on = |nth, node, peer| Trigger::On { event: "send:append".into(), node, peer, nth };
        let shown = [
            Trigger::At { at_ms: 1250 }.to_string(),
            on(1, None, None).to_string(),
            on(12, Some(Node(2)), None).to_string(),
            on(23, Some(Node(2)), Some(Node(3))).to_string(),
        ];
        assert_eq!(
            shown,
            [
                "at 1.25s",
                "on 1st send:append",
                "on 12th send:append of n2",
                "on 23rd send:append of n2 with n3"
            ]
        );
    }
}
