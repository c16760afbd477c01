//! `target.toml`: what is accepted is printed and read back the same, and every node's words can be filled in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use readers::target::{Manifest, Place};
use readers::workload::protocol::Protocol;

fuzz_target!(|text: &str| {
    let Ok(manifest) = Manifest::parse(text, "target.toml") else { return };
    let printed = toml::to_string(&manifest).expect("a manifest is TOML");
    let again = Manifest::parse(&printed, "target.toml").unwrap_or_else(|error| panic!("{error}\n{printed}"));
    assert_eq!(again, manifest, "{printed}");
    let bugs: Vec<String> = manifest.bugs.iter().map(|bug| bug.name.clone()).collect();
    let ips: Vec<String> = (1..=manifest.nodes).map(|id| format!("10.0.0.{id}")).collect();
    for id in 1..=manifest.nodes {
        let place = Place { bin: "/srv/bin/node", id, ips: &ips, data: "/srv/n1", bugs: &bugs };
        for command in [&manifest.node.command].into_iter().chain(&manifest.node.beside) {
            let words = manifest.words(command, &place);
            assert!(words.len() == command.len() && words.iter().all(|word| !word.contains('\0')));
        }
        assert_eq!(manifest.env_of(&manifest.node.env, &place).len(), manifest.node.env.len());
    }
    let _ = Protocol::new(&manifest.client).greeting();
    assert!(!manifest.questions().is_empty());
    for family in &manifest.workload.families {
        let _ = manifest.judges(*family);
    }
});
