//! Anomalies by their names, each with a few transactions that show it, and nothing that it does not imply.

use super::script::{entries, steps};
use super::{append, register};
use crate::check::{Check, Options};
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
    /// Only registers can show it, and the check of them has to be told this.
    registers: Option<Settings>,
}

/// Names and values.
type Settings = &'static [(&'static str, &'static str)];

impl Anomaly {
    /// A history that shows it.
    #[must_use]
    pub fn history(&self) -> Vec<Entry> {
        entries(&steps(self.script, self.is_of_lists()))
    }

    /// Lists can show it.
    pub(super) const fn is_of_lists(&self) -> bool {
        self.registers.is_none()
    }

    /// The check that finds it there.
    #[must_use]
    pub const fn check(&self) -> &'static Check {
        if self.is_of_lists() { &append::CHECK } else { &register::CHECK }
    }

    /// What the check has to be told.
    #[must_use]
    pub fn settings(&self) -> &'static [(&'static str, &'static str)] {
        self.registers.unwrap_or_default()
    }

    /// The same, as the check takes it.
    #[must_use]
    pub fn options(&self) -> Options {
        let settings = self.settings().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Options { settings: settings.collect(), ..Options::default() }
    }
}

const fn anomaly(
    name: &'static str,
    about: &'static str,
    script: &'static [&'static str],
    also: &'static [&'static str],
) -> Anomaly {
    Anomaly { name, about, script, also, registers: None }
}

/// All of them, but for `G2` proper, which takes predicates: see [`g2`](crate::checker::predicate).
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
    Anomaly {
        registers: Some(&[("linearizable-keys", "yes")]),
        ..anomaly(
            "cyclic-versions",
            "versions of a register come before themselves, so it did not follow the order that was vouched for",
            &["@1 0-1 wx1", "@2 2-3 wx2", "@3 4-5 rx1"],
            &[],
        )
    },
];

/// Other names of anomalies, with the names by which they are explained: of an anomaly, or of the check for it alone.
pub const ALIASES: &[(&str, &str)] = &[
    ("dirty-write", "G0"),
    ("aborted-read", "G1a"),
    ("intermediate-read", "G1b"),
    ("circular-information-flow", "G1c"),
    ("read-skew", "G-single"),
    ("write-skew", "G2-item"),
    ("G2", "g2"),
];

/// The name by which it is explained.
#[must_use]
pub fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

/// The anomaly with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Anomaly> {
    ANOMALIES.iter().find(|anomaly| anomaly.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_is_found_in_its_history() {
        for anomaly in ANOMALIES {
            let mut history = anomaly.history().into_iter().map(Ok);
            let judgement = anomaly.check().judge(&mut history, &anomaly.options()).unwrap();
            let signature = format!("{}/{}", anomaly.check().name, anomaly.name);
            let is_found = judgement.violations.iter().any(|one| one.signature == signature);
            assert!(is_found, "{}: {:?}", anomaly.name, judgement.violations);
        }
    }

    #[test]
    fn every_alias_leads_to_an_explanation_and_is_no_name() {
        for (alias, name) in ALIASES {
            assert!(named(name).is_some() || crate::check::named(name).is_some(), "{alias}");
            assert!(named(alias).is_none() && crate::check::named(alias).is_none(), "{alias}");
            assert_eq!(canonical(alias), *name);
        }
        assert_eq!(canonical("long-fork"), "long-fork");
    }
}
