//! Anomalies by their names, each with a few transactions that show it, and nothing that it does not imply.

use super::append;
use super::script::{entries, steps};
use crate::check::Check;
use crate::raw::Entry;

/// An anomaly of transactions.
#[derive(Clone, Copy, Debug)]
pub struct Anomaly {
    /// Elle's name for it: `G-single-process`.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Transactions that show it.
    pub(super) script: &'static [&'static str],
    /// Other anomalies that come with it, which no name implies.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look for all that is found"))]
    pub(super) also: &'static [&'static str],
}

impl Anomaly {
    /// A history that shows it.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        entries(&steps(self.script, true))
    }

    /// The check that finds it there.
    #[must_use]
    pub const fn check(&self) -> &'static Check {
        &append::CHECK
    }
}

const fn anomaly(
    name: &'static str,
    about: &'static str,
    script: &'static [&'static str],
    also: &'static [&'static str],
) -> Anomaly {
    Anomaly { name, about, script, also }
}

/// All of them, but for `cyclic-versions`, which registers alone can show, and `G2` proper, which takes predicates: see
/// [`g2`](crate::checker::predicate).
pub const ANOMALIES: &[Anomaly] = &[
    anomaly(
        "G0",
        "dirty write: transactions whose writes of several keys are in opposite orders (a cycle of ww)",
        &["ax1 ay1", "ax2 ay2", "rx12 ry21"],
        &[],
    ),
    anomaly(
        "G1c",
        "circular information flow: transactions that saw each other's writes (a cycle of ww and wr)",
        &["ax1 ry1", "ax2 ay1", "rx12 ry1"],
        &[],
    ),
    anomaly(
        "G-single",
        "read skew: a transaction that missed a write, though it comes after it (a cycle with one rw)",
        &["ax1 ay1", "ax2 ry", "rx12"],
        &[],
    ),
    anomaly(
        "G-nonadjacent",
        "long fork: transactions that each missed a write of another, though they come after it (several rw, none after another)",
        &["ax1", "ay1", "rx1 ry", "rx ry1"],
        &[],
    ),
    anomaly(
        "G2-item",
        "write skew: transactions that missed each other's writes (a cycle with rw after rw)",
        &["ax1 ry", "ay1 rx"],
        &[],
    ),
    anomaly(
        "G0-process",
        "dirty write, where the cycle uses the order of a process",
        &["@1 0-1 ax1", "@1 2-3 ax2", "@2 4-5 rx21"],
        &[],
    ),
    anomaly(
        "G1c-process",
        "circular information flow, where the cycle uses the order of a process",
        &["@1 0-1 rx1", "@1 2-3 ax1"],
        &[],
    ),
    anomaly(
        "G-single-process",
        "read skew, where the cycle uses the order of a process",
        &["@1 0-1 ax1", "@1 2-3 rx", "@2 4-5 rx1"],
        &[],
    ),
    anomaly(
        "G-nonadjacent-process",
        "long fork, where the cycle uses the order of a process",
        &["@1 0-8 ax1", "@2 1-9 ay1", "@3 2-7 rx1 ry", "@4 3-4 ry1", "@4 5-6 rx"],
        &[],
    ),
    anomaly(
        "G2-item-process",
        "write skew, where the cycle uses the order of a process",
        &["@1 1-2 az1", "@2 0-5 ay1 rz", "@1 3-4 ry"],
        &[],
    ),
    anomaly(
        "G0-realtime",
        "dirty write, where the cycle uses the order of real time",
        &["@1 0-1 ax1", "@2 2-3 ax2", "@3 4-5 rx21"],
        &[],
    ),
    anomaly(
        "G1c-realtime",
        "circular information flow, where the cycle uses the order of real time",
        &["@1 0-1 rx1", "@2 2-3 ax1"],
        &[],
    ),
    anomaly(
        "G-single-realtime",
        "read skew, where the cycle uses the order of real time",
        &["@1 0-1 ax1", "@2 2-3 rx"],
        &[],
    ),
    anomaly(
        "G-nonadjacent-realtime",
        "long fork, where the cycle uses the order of real time",
        &["@1 0-8 ax1", "@2 1-9 ay1", "@3 2-7 rx1 ry", "@4 3-4 ry1", "@5 5-6 rx"],
        &[],
    ),
    anomaly(
        "G2-item-realtime",
        "write skew, where the cycle uses the order of real time",
        &["@1 1-2 az1", "@2 0-5 ay1 rz", "@3 3-4 ry"],
        &[],
    ),
    anomaly("G1a", "aborted read: a read of what a failed transaction wrote", &["! ax1", "rx1"], &[]),
    anomaly(
        "G1b",
        "intermediate read: a read of what its writer overwrote itself",
        &["ax1 ax2", "rx1"],
        &["G-single"],
    ),
    anomaly(
        "dirty-update",
        "a transaction that took effect built on what a failed one wrote",
        &["! ax1", "ax2", "rx12"],
        &["G1a"],
    ),
    anomaly("duplicate-elements", "a list has an element twice", &["ax1", "ax2", "rx121"], &[]),
    anomaly("internal", "a transaction contradicts what it read or wrote itself before", &["ax1 rx"], &[]),
    anomaly(
        "incompatible-order",
        "two lists of one key are no prefixes of each other",
        &["ax1", "ax2", "ax3", "rx12", "rx132"],
        &[],
    ),
    anomaly("future-read", "a transaction saw what it wrote only later", &["ax1 rx01 ax0 ax3"], &[]),
    anomaly(
        "lost-update",
        "two transactions read the same version of a key, and both wrote it",
        &["ax1", "rx1 ax2", "rx1 ax3"],
        &["G2-item"],
    ),
    anomaly("thin-air-read", "a read of what nobody ever wrote", &["rx1"], &[]),
];

/// The anomaly with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Anomaly> {
    ANOMALIES.iter().find(|anomaly| anomaly.name == name)
}
