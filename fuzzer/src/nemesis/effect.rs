//! What several faults at once amount to: pure functions from the faults in force to the state of a link, a
//! disk, a clock. A fault that ends is taken out and the rest worked out anew, so faults may overlap in any way.

use crate::fault::{Direction, Fault, Loss, Node};
use interceptor::disk::{self, DiskFaults, Lost};
use interceptor::event::{HostId, Link};
use interceptor::time::Span;
use std::collections::BTreeSet;

/// Position of a node in the sandbox.
pub(super) fn position(node: Node) -> usize {
    usize::from(node.0.saturating_sub(1))
}

/// The host of a node.
pub(super) fn host(node: Node) -> HostId {
    HostId(u16::from(node.0.saturating_sub(1)))
}

/// The links a fault changes, in a cluster of `nodes`.
pub(super) fn links(fault: &Fault, nodes: usize) -> BTreeSet<(HostId, HostId)> {
    match fault {
        Fault::Partition { side, direction, .. } => {
            let inside: BTreeSet<HostId> = side.iter().map(|node| host(*node)).collect();
            let outside = || {
                (0..nodes).filter_map(|i| u16::try_from(i).ok()).map(HostId).filter(|h| !inside.contains(h))
            };
            let pairs = inside.iter().flat_map(|a| outside().map(|b| (*a, b)));
            pairs
                .flat_map(|(a, b)| match direction {
                    Direction::Both => vec![(a, b), (b, a)],
                    Direction::Outbound => vec![(a, b)],
                    Direction::Inbound => vec![(b, a)],
                })
                .collect()
        }
        Fault::Link { from, to, .. } | Fault::Delay { from, to, .. } | Fault::Stall { from, to, .. } => {
            BTreeSet::from([(host(*from), host(*to))])
        }
        _ => BTreeSet::new(),
    }
}

/// What a link does under all these faults, each of which changes it: blocked or stalled by any, delayed by all.
pub(super) fn link<'a>(faults: impl Iterator<Item = &'a Fault>) -> Link {
    let mut link = Link::default();
    for fault in faults {
        match fault {
            Fault::Partition { .. } | Fault::Link { .. } => link.blocked = true,
            Fault::Stall { .. } => link.stalled = true,
            Fault::Delay { delay_ms, jitter_ms, .. } => {
                link.latency = link.latency + Span::from_millis(*delay_ms);
                link.jitter = link.jitter + Span::from_millis(*jitter_ms);
            }
            _ => {}
        }
    }
    link
}

/// What a disk does under all these faults, each with the number of fsyncs that it still fails: the least room,
/// the sum of delays, the sum of failures.
pub(super) fn disk<'a>(faults: impl Iterator<Item = (&'a Fault, u32)>) -> DiskFaults {
    let mut disk = DiskFaults::default();
    for (fault, failures_left) in faults {
        match fault {
            Fault::SlowFsync { delay_ms, .. } => {
                disk.fsync_delay = disk.fsync_delay + Span::from_millis(*delay_ms);
            }
            Fault::FsyncError { .. } => {
                let sum = disk.fsync_error.unwrap_or_default().saturating_add(failures_left);
                disk.fsync_error = (sum > 0).then_some(sum);
            }
            Fault::NoSpace { bytes, .. } => {
                disk.space = Some(disk.space.map_or(*bytes, |space| space.min(*bytes)))
            }
            _ => {}
        }
    }
    disk
}

/// The rate of a clock under all these faults, in the order in which they began: the last one's.
pub(super) fn rate<'a>(faults: impl Iterator<Item = &'a Fault>) -> u32 {
    let rates = faults.filter_map(|fault| match fault {
        Fault::ClockRate { percent, .. } => Some(*percent),
        _ => None,
    });
    rates.last().unwrap_or(100)
}

/// What a power loss took, for people.
pub(super) fn took(lost: &Lost) -> Vec<String> {
    let more = (lost.untold > 0).then(|| format!("and {} more", lost.untold));
    let which: Vec<String> = lost.told.iter().cloned().chain(more).collect();
    let writes = plural(lost.data_ops_undone, "unsynced write");
    let torn = match (lost.torn, lost.data_ops_undone) {
        (false, _) => "",
        (true, 1) => ", in part",
        (true, _) => ", one in part",
    };
    if let ([file], 0, 1..) = (&which[..], lost.name_ops_undone, lost.data_ops_undone) {
        return vec![format!("{writes}{torn}: {file}")];
    }
    let mut took = Vec::new();
    if lost.data_ops_undone > 0 {
        took.push(format!("{} of {writes}{torn}", plural(lost.bytes, "byte")));
    }
    if lost.name_ops_undone > 0 {
        took.push(format!("{} of names", plural(lost.name_ops_undone, "unsynced change")));
    }
    if let Some(last) = took.last_mut().filter(|_| !which.is_empty()) {
        last.push_str(&format!(" ({})", which.join("; ")));
    }
    took
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The sandbox's word for a loss.
pub(super) fn loss(loss: Loss) -> disk::Loss {
    match loss {
        Loss::All => disk::Loss::All,
        Loss::Prefix => disk::Loss::Prefix,
        Loss::Subset => disk::Loss::Subset,
        Loss::Torn => disk::Loss::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(side: &[u8], direction: Direction) -> Vec<(u16, u16)> {
        let side = side.iter().map(|i| Node(*i)).collect();
        let cut = links(&Fault::Partition { side, direction, for_ms: 1 }, 3);
        cut.into_iter().map(|(from, to)| (from.0, to.0)).collect()
    }

    #[test]
    fn a_partition_cuts_what_crosses_it() {
        assert_eq!(cut(&[1], Direction::Both), [(0, 1), (0, 2), (1, 0), (2, 0)]);
        assert_eq!(cut(&[1], Direction::Outbound), [(0, 1), (0, 2)]);
        assert_eq!(cut(&[1], Direction::Inbound), [(1, 0), (2, 0)]);
        assert_eq!(cut(&[2, 3], Direction::Inbound), [(0, 1), (0, 2)]);
    }

    #[test]
    fn what_was_lost_is_told() {
        let lost = Lost { data_ops_undone: 2, name_ops_undone: 1, torn: true, bytes: 90, ..Lost::default() };
        let told = ["90 bytes of 2 unsynced writes, one in part", "1 unsynced change of names"];
        assert_eq!(took(&lost), told);
        assert!(took(&Lost::default()).is_empty());
        let told = vec!["log/ is gone with all in it".to_owned(), "a lost 5 bytes".to_owned()];
        let lost = Lost { data_ops_undone: 1, bytes: 5, told, untold: 3, ..Lost::default() };
        let told = ["5 bytes of 1 unsynced write (log/ is gone with all in it; a lost 5 bytes; and 3 more)"];
        assert_eq!(took(&lost), told);
        let told = vec!["log lost 48 bytes".to_owned()];
        let lost = Lost { data_ops_undone: 1, torn: true, bytes: 48, told, ..Lost::default() };
        assert_eq!(took(&lost), ["1 unsynced write, in part: log lost 48 bytes"]);
    }

    #[test]
    fn effects_add_up() {
        let (from, to, for_ms) = (Node(1), Node(2), 9);
        let delay = Fault::Delay { from, to, delay_ms: 10, jitter_ms: 2, for_ms };
        let all = [delay.clone(), Fault::Link { from, to, for_ms }, delay, Fault::Stall { from, to, for_ms }];
        let sum = link(all.iter());
        assert!(sum.blocked && sum.stalled);
        assert_eq!((sum.latency, sum.jitter), (Span::from_micros(20_200), Span::from_micros(4_050)));
        assert_eq!(link(std::iter::empty()), Link::default());
        let node = Node(1);
        let all = [
            (Fault::NoSpace { node, bytes: 9, for_ms }, 0),
            (Fault::NoSpace { node, bytes: 5, for_ms }, 0),
            (Fault::FsyncError { node, count: 4 }, 3),
            (Fault::FsyncError { node, count: 2 }, 2),
            (Fault::SlowFsync { node, delay_ms: 7, for_ms }, 0),
        ];
        let sum = disk(all.iter().map(|(fault, left)| (fault, *left)));
        assert_eq!((sum.space, sum.fsync_error, sum.fsync_delay), (Some(5), Some(5), Span::from_millis(7)));
        let rates = [50, 300].map(|percent| Fault::ClockRate { node, percent, for_ms });
        assert_eq!((rate(rates.iter()), rate(std::iter::empty())), (300, 100));
    }
}
