//! Consistency models, and which of them a history with certain anomalies cannot have.
//!
//! Three relations: anomalies that imply others, models that imply others, and anomalies that a model forbids. Sources:
//! Adya, "Weak Consistency" (1999); Bailis et al., "Highly Available Transactions" (VLDB 2014); Cerone, Bernardi and
//! Gotsman, "A Framework for Transactional Consistency Models with Atomic Visibility" (CONCUR 2015); Daudjee and Salem
//! on sessions (ICDE 2004, VLDB 2006); brought together by Elle (Kingsbury and Alvaro, VLDB 2020), whose lattice this is.

use std::collections::BTreeSet;

type Relation = &'static [(&'static str, &'static [&'static str])];

/// An anomaly of the left is also one of each on the right. Those of processes and real time follow by rule.
const IMPLIED: Relation = &[
    ("G0", &["G1c"]),
    ("G1a", &["G1"]),
    ("G1b", &["G1"]),
    ("G1c", &["G1"]),
    ("G-single", &["G-nonadjacent", "G-SIb"]),
    ("G-nonadjacent", &["G2-item"]),
    ("G-SIb", &["G-SI"]),
    ("G2-item", &["G2"]),
    ("internal", &[]),
    ("incompatible-order", &["G1a"]),
    ("future-read", &["G1c"]),
    ("dirty-update", &["G1a"]),
    ("thin-air-read", &["G1a"]),
    ("lost-update", &["write-skew", "G2-item"]),
    ("write-skew", &["G2"]),
    ("cyclic-versions", &[]),
    ("duplicate-elements", &[]),
];

/// What satisfies the left satisfies each on the right.
const MODELS: Relation = &[
    ("causal-cerone", &["read-atomic"]),
    ("consistent-view", &["cursor-stability", "monotonic-view"]),
    ("cursor-stability", &["read-committed"]),
    ("forward-consistent-view", &["consistent-view"]),
    ("monotonic-atomic-view", &["read-committed"]),
    ("monotonic-snapshot-read", &["read-committed"]),
    ("monotonic-view", &["read-committed"]),
    ("parallel-snapshot-isolation", &["causal-cerone", "update-atomic"]),
    ("prefix", &["causal-cerone"]),
    ("read-atomic", &["monotonic-atomic-view"]),
    ("read-committed", &["read-uncommitted"]),
    ("read-uncommitted", &[]),
    ("repeatable-read", &["cursor-stability", "monotonic-atomic-view"]),
    ("serializable", &["repeatable-read", "snapshot-isolation", "update-serializable"]),
    (
        "snapshot-isolation",
        &[
            "forward-consistent-view",
            "monotonic-atomic-view",
            "monotonic-snapshot-read",
            "parallel-snapshot-isolation",
            "prefix",
        ],
    ),
    ("strict-serializable", &["strong-session-serializable", "strong-snapshot-isolation"]),
    ("strong-read-committed", &["strong-session-read-committed", "strong-read-uncommitted"]),
    ("strong-read-uncommitted", &["strong-session-read-uncommitted"]),
    ("strong-session-read-committed", &["read-committed", "strong-session-read-uncommitted"]),
    ("strong-session-read-uncommitted", &["read-uncommitted"]),
    ("strong-session-serializable", &["serializable", "strong-session-snapshot-isolation"]),
    ("strong-session-snapshot-isolation", &["snapshot-isolation", "strong-session-read-committed"]),
    ("strong-snapshot-isolation", &["strong-session-snapshot-isolation", "strong-read-committed"]),
    ("update-atomic", &["read-atomic"]),
    ("update-serializable", &["forward-consistent-view"]),
];

/// What the left forbids, besides what the models that it implies forbid.
const FORBIDDEN: Relation = &[
    ("causal-cerone", &["internal", "G1a"]),
    ("consistent-view", &["G1", "G-single"]),
    ("cursor-stability", &["G1", "lost-update"]),
    ("forward-consistent-view", &["G1", "G-SIb"]),
    ("parallel-snapshot-isolation", &["internal", "G1a"]),
    ("prefix", &["internal", "G1a"]),
    ("read-atomic", &["internal", "G1a", "future-read"]),
    ("read-committed", &["G1"]),
    ("read-uncommitted", &["G0", "duplicate-elements", "cyclic-versions"]),
    ("repeatable-read", &["G1", "G2-item", "lost-update"]),
    ("serializable", &["internal", "G1", "G2"]),
    ("snapshot-isolation", &["internal", "G1", "G-SI", "G-nonadjacent"]),
    ("strict-serializable", &["G1c-realtime", "G2-realtime"]),
    ("strong-read-committed", &["G1c-realtime"]),
    ("strong-read-uncommitted", &["G0-realtime"]),
    ("strong-session-read-committed", &["G1c-process"]),
    ("strong-session-read-uncommitted", &["G0-process"]),
    ("strong-session-serializable", &["G1-process", "G2-process"]),
    ("strong-session-snapshot-isolation", &["internal", "G1-process", "G-nonadjacent-process"]),
    ("strong-snapshot-isolation", &["internal", "G1-realtime", "G-nonadjacent-realtime"]),
    ("update-atomic", &["lost-update"]),
    ("update-serializable", &["G1"]),
];

/// Other names of the same models.
const ALIASES: &[(&str, &str)] = &[
    ("strong-serializable", "strict-serializable"),
    ("conflict-serializable", "serializable"),
    ("causal", "causal-cerone"),
    ("PL-1", "read-uncommitted"),
    ("PL-2", "read-committed"),
    ("PL-2.99", "repeatable-read"),
    ("PL-3", "serializable"),
    ("PL-3U", "update-serializable"),
    ("PL-CS", "cursor-stability"),
    ("PL-2L", "monotonic-view"),
    ("PL-2+", "consistent-view"),
    ("PL-FCV", "forward-consistent-view"),
    ("PL-MSR", "monotonic-snapshot-read"),
    ("PL-SI", "snapshot-isolation"),
    ("PL-SS", "strict-serializable"),
];

/// The model with this name, or another name of it.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| *name);
    MODELS.iter().map(|(model, _)| *model).find(|model| *model == name)
}

/// The names of all models.
pub(super) fn names() -> Vec<&'static str> {
    MODELS.iter().map(|(model, _)| *model).collect()
}

fn of(relation: Relation, name: &str) -> impl Iterator<Item = &'static str> {
    let found = relation.iter().find(|(left, _)| *left == name);
    found.into_iter().flat_map(|(_, right)| right.iter().copied())
}

/// An anomaly and all that it implies. `X` implies `X-process`, which implies `X-realtime`; and where `X` implies `Y`,
/// `X-process` implies `Y-process`, and so on.
pub(super) fn implied(anomaly: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![anomaly.to_owned()];
    while let Some(name) = open.pop() {
        let (base, suffix) = ["-process", "-realtime"]
            .into_iter()
            .find_map(|suffix| name.strip_suffix(suffix).map(|base| (base.to_owned(), suffix)))
            .unwrap_or((name.clone(), ""));
        if !all.insert(name) {
            continue;
        }
        open.extend(of(IMPLIED, &base).map(|other| format!("{other}{suffix}")));
        match suffix {
            "" if base.starts_with('G') => open.push(format!("{base}-process")),
            "-process" => open.push(format!("{base}-realtime")),
            _ => {}
        }
    }
    all
}

/// A model and all that it implies.
fn downwards(model: &'static str) -> BTreeSet<&'static str> {
    let mut all = BTreeSet::new();
    let mut open = vec![model];
    while let Some(model) = open.pop() {
        if all.insert(model) {
            open.extend(of(MODELS, model));
        }
    }
    all
}

/// Does a model forbid an anomaly?
pub(super) fn forbids(model: &'static str, anomaly: &str) -> bool {
    let implied = implied(anomaly);
    downwards(model).into_iter().any(|model| of(FORBIDDEN, model).any(|name| implied.contains(name)))
}

/// What a history can still satisfy, and what not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Boundary {
    /// The weakest models that are ruled out: all that imply one of them are, too.
    pub not: Vec<&'static str>,
    /// The strongest models that are not ruled out: all that they imply are not either.
    pub still: Vec<&'static str>,
}

/// The boundary that these anomalies draw.
pub(super) fn boundary<'a>(anomalies: impl IntoIterator<Item = &'a str>) -> Boundary {
    let anomalies: Vec<&str> = anomalies.into_iter().collect();
    let is_out = |model: &'static str| anomalies.iter().any(|anomaly| forbids(model, anomaly));
    let (out, still): (Vec<_>, Vec<_>) = names().into_iter().partition(|model| is_out(model));
    let below = |model: &&'static str, all: &[&'static str]| {
        all.iter().any(|other| other != model && downwards(model).contains(other))
    };
    let above = |model: &&'static str, all: &[&'static str]| {
        all.iter().any(|other| other != model && downwards(other).contains(model))
    };
    Boundary {
        not: out.iter().filter(|model| !below(model, &out)).copied().collect(),
        still: still.iter().filter(|model| !above(model, &still)).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_name_only_what_there_is() {
        let models: BTreeSet<&str> = names().into_iter().collect();
        for (model, implied) in MODELS {
            assert!(implied.iter().all(|model| models.contains(model)), "{model}");
        }
        assert!(FORBIDDEN.iter().all(|(model, _)| models.contains(model)));
        assert!(ALIASES.iter().all(|(_, name)| models.contains(name)));
        assert_eq!(named("PL-2"), Some("read-committed"));
        assert_eq!(named("perfect"), None);
    }

    #[test]
    fn anomalies_draw_the_boundaries_that_elle_draws() {
        let not = |anomalies: &[&'static str]| boundary(anomalies.iter().copied()).not;
        assert_eq!(not(&["G0"]), ["read-uncommitted"]);
        assert_eq!(not(&["G1a"]), ["read-committed"]);
        assert_eq!(not(&["G1c"]), ["read-committed"]);
        assert_eq!(not(&["G-single"]), ["consistent-view", "repeatable-read"]);
        assert_eq!(not(&["G2-item"]), ["repeatable-read"]);
        assert_eq!(not(&["G-nonadjacent"]), ["repeatable-read", "snapshot-isolation"]);
        assert_eq!(not(&["G-single-realtime"]), ["strong-snapshot-isolation"]);
        assert_eq!(not(&["G-single-process"]), ["strong-session-snapshot-isolation"]);
        assert_eq!(not(&["G2-item-realtime"]), ["strict-serializable"]);
        assert_eq!(not(&["internal"]), ["read-atomic"]);
        assert_eq!(not(&["lost-update"]), ["cursor-stability", "update-atomic"]);
        assert_eq!(not(&[]), [""; 0]);
        assert_eq!(boundary([]).still, ["strict-serializable"]);
        assert_eq!(boundary(["G0"]).still, [""; 0]);
        let skewed = boundary(["G2-item"]).still;
        assert_eq!(skewed, ["strong-snapshot-isolation", "update-serializable"]);
    }

    #[test]
    fn models_forbid_what_their_weaker_ones_do() {
        assert!(forbids("strict-serializable", "G0"));
        assert!(forbids("snapshot-isolation", "G-single"));
        assert!(!forbids("snapshot-isolation", "G2-item"));
        assert!(!forbids("serializable", "G-single-realtime"));
        assert!(forbids("read-committed", "G0"));
    }
}
