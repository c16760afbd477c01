//! The oracles that judge a target's runs, by name: one list for manifests, messages and documents.

use crate::schedule::Family;

/// Oracles that judge whatever clients work on, or need no list of operations to know whether to.
const GENERAL: [&str; 10] = [
    "crash",
    "sanitizer",
    "output",
    "assertion",
    "raft",
    "durability",
    "collection",
    "lock",
    "linearizability",
    "liveness",
];

/// All of them: what `off` of a manifest can name. Those of [`Family::checks`] come last.
#[must_use]
pub fn names() -> Vec<&'static str> {
    let mut names = GENERAL.to_vec();
    for (check, _) in Family::ALL.iter().flat_map(|family| family.checks()) {
        if !names.contains(check) {
            names.push(check);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Manifest;
    use std::collections::BTreeSet;

    fn manifest(off: &str) -> Manifest {
        let text = format!(
            "version = 1\nname = \"toy\"\nnodes = 1\n[build]\nbinary = \"toy\"\n[node]\ncommand = [\"{{bin}}\"]\n\
             [client.exec]\ncommand = [\"sh\"]\noperations = [\"read\", \"write\"]\n[[port]]\nport = 1\ndissector = \"http\"\n\
             [oracles]\noff = [{off}]\n[[oracles.output]]\nname = \"x\"\nany = [\"x\"]\n"
        );
        Manifest::parse(&text, "target.toml").unwrap()
    }

    #[test]
    fn every_name_switches_something_off_and_all_of_them_everything() {
        let all = manifest("");
        for name in names() {
            let without = manifest(&format!("{name:?}"));
            assert!(Family::ALL.iter().any(|one| without.judges(*one) != all.judges(*one)), "{name}");
        }
        let none = manifest(&names().iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "));
        for family in Family::ALL {
            let judged = oracle::judge(&oracle::Observations::default(), &none.judges(family));
            assert!(judged.judgements.is_empty(), "{family:?}: {judged:?}");
        }
    }

    #[test]
    fn the_documents_name_exactly_these() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets/README.md");
        let text = std::fs::read_to_string(file).unwrap();
        let begin = text.find("off = [\"raft\"]").unwrap();
        let listed = text[begin..].split_once('#').unwrap().1.split_once("known =").unwrap().0;
        let listed: BTreeSet<&str> =
            listed.split([',', '#', '\n']).map(str::trim).filter(|name| !name.is_empty()).collect();
        assert_eq!(listed, names().into_iter().collect());
    }
}
