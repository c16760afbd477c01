//! Faults in one line, for people.

use super::{Direction, Fault, Loss, Node};
use std::fmt;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition { side, direction, for_ms } => {
                let what = match direction {
                    Direction::Both => "cut off",
                    Direction::Outbound => "cut off outbound",
                    Direction::Inbound => "cut off inbound",
                };
                write!(f, "{what} {} for {}", Nodes(side), Time(*for_ms))
            }
            Self::Link { from, to, for_ms } => write!(f, "hold {from} -> {to} for {}", Time(*for_ms)),
            Self::Delay { from, to, delay_ms, jitter_ms, for_ms } => {
                write!(f, "delay {from} -> {to} by {}", Time(*delay_ms))?;
                if *jitter_ms > 0 {
                    write!(f, " to {}", Time(delay_ms.saturating_add(*jitter_ms)))?;
                }
                write!(f, " for {}", Time(*for_ms))
            }
            Self::Stall { from, to, for_ms } => write!(f, "stall {from} -> {to} for {}", Time(*for_ms)),
            Self::Reset { a, b } => write!(f, "reset {a} <-> {b}"),
            Self::Kill { node, down_ms } => write!(f, "kill {node}, down for {}", Time(*down_ms)),
            Self::PowerLoss { node, loss, down_ms } => {
                let lost = match loss {
                    Loss::All => "all",
                    Loss::Prefix => "a tail",
                    Loss::Subset => "a part",
                    Loss::Torn => "a torn tail",
                };
                write!(f, "power off {node}, losing {lost} of its unsynced data, down for {}", Time(*down_ms))
            }
            Self::Pause { node, for_ms } => write!(f, "pause {node} for {}", Time(*for_ms)),
            Self::ClockJump { node, by_ms } => {
                let sign = if *by_ms < 0 { '-' } else { '+' };
                write!(f, "jump clock of {node} by {sign}{}", Time(by_ms.unsigned_abs()))
            }
            Self::ClockRate { node, percent, for_ms } => {
                write!(f, "run clock of {node} at {percent}% for {}", Time(*for_ms))
            }
            Self::SlowFsync { node, delay_ms, for_ms } => {
                write!(f, "slow fsync of {node} by {} for {}", Time(*delay_ms), Time(*for_ms))
            }
            Self::FsyncError { node, count } => write!(f, "fail next {count} fsyncs of {node}"),
            Self::NoSpace { node, bytes, for_ms } => {
                write!(f, "fill disk of {node} but for {bytes} bytes for {}", Time(*for_ms))
            }
        }
    }
}

/// Nodes, with commas.
struct Nodes<'a>(&'a [Node]);

impl fmt::Display for Nodes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.0.iter().enumerate() {
            write!(f, "{}{node}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Milliseconds, as people write them: `250ms`, `1.5s`.
pub(crate) struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{}ms", self.0);
        }
        let fraction = format!(".{:03}", self.0 % 1000);
        write!(f, "{}{}s", self.0 / 1000, fraction.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_one_plain_line() {
        let n = Node;
        let side = vec![n(1), n(3)];
        let shown = [
            Fault::Partition { side: side.clone(), direction: Direction::Both, for_ms: 1500 },
            Fault::Partition { side, direction: Direction::Inbound, for_ms: 20 },
            Fault::Link { from: n(1), to: n(2), for_ms: 1000 },
            Fault::Delay { from: n(1), to: n(2), delay_ms: 5, jitter_ms: 0, for_ms: 60_000 },
            Fault::Delay { from: n(1), to: n(2), delay_ms: 5, jitter_ms: 5, for_ms: 1001 },
            Fault::Stall { from: n(1), to: n(2), for_ms: 7 },
            Fault::Reset { a: n(1), b: n(2) },
            Fault::Kill { node: n(2), down_ms: 300 },
            Fault::PowerLoss { node: n(2), loss: Loss::Torn, down_ms: 300 },
            Fault::Pause { node: n(2), for_ms: 300 },
            Fault::ClockJump { node: n(2), by_ms: -61_000 },
            Fault::ClockRate { node: n(2), percent: 50, for_ms: 300 },
            Fault::SlowFsync { node: n(2), delay_ms: 10, for_ms: 300 },
            Fault::FsyncError { node: n(2), count: 2 },
            Fault::NoSpace { node: n(2), bytes: 4096, for_ms: 300 },
        ]
        .map(|fault| fault.to_string());
        insta::assert_snapshot!(shown.join("\n"), @r"
        cut off n1,n3 for 1.5s
        cut off inbound n1,n3 for 20ms
        hold n1 -> n2 for 1s
        delay n1 -> n2 by 5ms for 60s
        delay n1 -> n2 by 5ms to 10ms for 1.001s
        stall n1 -> n2 for 7ms
        reset n1 <-> n2
        kill n2, down for 300ms
        power off n2, losing a torn tail of its unsynced data, down for 300ms
        pause n2 for 300ms
        jump clock of n2 by -61s
        run clock of n2 at 50% for 300ms
        slow fsync of n2 by 10ms for 300ms
        fail next 2 fsyncs of n2
        fill disk of n2 but for 4096 bytes for 300ms
        ");
    }
}
