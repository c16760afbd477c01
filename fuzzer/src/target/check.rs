//! Whether a manifest that can be read makes sense.

use super::place::WORDS;
use super::{Manifest, template};
use crate::nearest::suggestion;
use std::collections::BTreeSet;
use std::path::Component;

/// Names of oracles that can be switched off.
const ORACLES: [&str; 13] = [
    "crash",
    "sanitizer",
    "raft",
    "durability",
    "collection",
    "lock",
    "counter",
    "watch",
    "total-queue",
    "bank",
    "list-append",
    "linearizability",
    "liveness",
];

impl Manifest {
    /// The first contradiction, by field, and what would be right.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("version 0 does not exist; write `version = 1`".into());
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!(
                "name `{}` must be made of lower-case letters, digits, `-` and `.`",
                self.name
            ));
        }
        if !(1..=9).contains(&self.nodes) {
            return Err(format!("nodes = {} is out of range; 1 to 9 are possible", self.nodes));
        }
        if self.node.command.is_empty() {
            return Err("[node] command is empty; write the program and its arguments".into());
        }
        if let Some(docker) = self.docker.as_ref().filter(|docker| !docker.binary.is_absolute()) {
            let binary = docker.binary.display();
            return Err(format!(
                "[docker] binary = \"{binary}\" is not absolute; write its path in the image"
            ));
        }
        let words = self.node.command.iter().chain(self.node.beside.iter().flatten());
        for text in words.chain(self.node.env.values()).chain([&self.node.peer]) {
            template::check(text, &WORDS).map_err(|why| format!("[node] {why}"))?;
        }
        self.check_files()?;
        for text in self.client.exec.iter().flat_map(|exec| exec.command.iter().chain(exec.env.values())) {
            template::check(text, &WORDS).map_err(|why| format!("[client.exec] {why}"))?;
        }
        if template::holds(&self.node.peer, "peers") {
            return Err("[node] peer must not hold {peers}: it is what {peers} is made of".into());
        }
        if self.node.peer.is_empty() && self.node.command.iter().any(|word| template::holds(word, "peers")) {
            return Err(
                "[node] command holds {peers} but peer is not set; write peer = \"{id}={ip}:PORT\"".into()
            );
        }
        if self.faults.max_down.is_some_and(|down| down > self.nodes) {
            return Err(format!("[faults] max_down is more than nodes = {}", self.nodes));
        }
        if !(self.faults.atomic_write().is_power_of_two() && self.faults.atomic_write() <= 4096) {
            return Err(format!(
                "[faults] atomic_write = {} is no power of two up to 4096; drives write 512 or 4096 bytes whole",
                self.faults.atomic_write()
            ));
        }
        if self.workload.families.is_empty() {
            return Err(
                "[workload] families is empty; write register, set or another: see targets/README.md".into(),
            );
        }
        self.client.check(&self.workload.families)?;
        for name in &self.oracles.off {
            if !ORACLES.contains(&name.as_str()) {
                return Err(format!("[oracles] off holds `{name}`: {}", suggestion(name, &ORACLES)));
            }
        }
        for pattern in &self.oracles.output {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if pattern.name.is_empty() || !pattern.name.chars().all(is_plain) {
                return Err(format!(
                    "[[oracles.output]] name is `{}`, expected lower-case letters, digits and -",
                    pattern.name
                ));
            }
            if pattern.any.iter().all(String::is_empty) {
                return Err(format!(
                    "[[oracles.output]] `{}` names no text to look for in `any`",
                    pattern.name
                ));
            }
        }
        if let Some(known) = self.oracles.known.iter().find(|known| !known.contains('/')) {
            return Err(format!("[oracles] known holds `{known}`; signatures look like ORACLE/KIND"));
        }
        self.check_ready()?;
        self.check_names()
    }

    fn check_files(&self) -> Result<(), String> {
        let clients = self.client.exec.iter().flat_map(|exec| &exec.files);
        for file in self.node.files.iter().chain(clients) {
            let path = file.path.display();
            if !file.path.components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(format!("[[node.file]] path `{path}` must lie in the data directory"));
            }
            if file.text.is_some() && file.from.is_some() {
                return Err(format!("[[node.file]] {path} has both text and from; write one"));
            }
            if file.nodes.iter().flatten().any(|id| *id == 0 || *id > self.nodes) {
                return Err(format!("[[node.file]] {path}: nodes are numbered from 1 to {}", self.nodes));
            }
        }
        Ok(())
    }

    fn check_ready(&self) -> Result<(), String> {
        if self.ready.is_empty() {
            return Err(
                "there is no [[ready]]; write what every node must answer before clients begin".into()
            );
        }
        for ready in &self.ready {
            match (&ready.http, &ready.command) {
                (Some(path), None) if path.starts_with('/') => {}
                (Some(path), None) => return Err(format!("[[ready]] http = `{path}` must begin with `/`")),
                (None, Some(command)) if !command.is_empty() => {}
                _ => return Err("[[ready]] needs either http or command".into()),
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let mut ports = BTreeSet::new();
        for port in &self.ports {
            if !ports.insert(port.port) {
                return Err(format!("[[port]] {} is listed twice", port.port));
            }
        }
        let mut names = BTreeSet::from(["none"]);
        for bug in &self.bugs {
            if bug.name.is_empty() || bug.name.contains(',') || !names.insert(&bug.name) {
                return Err(format!(
                    "[[bug]] name `{}` is empty, reserved, repeated or holds a comma",
                    bug.name
                ));
            }
        }
        for (set, members) in &self.sets {
            if names.contains(set.as_str()) {
                return Err(format!("[sets] `{set}` is also the name of a bug, or reserved"));
            }
            for member in members {
                if !self.bugs.iter().any(|bug| bug.name == *member) {
                    let known: Vec<&str> = self.bugs.iter().map(|bug| bug.name.as_str()).collect();
                    return Err(format!(
                        "[sets] {set} names the bug `{member}`: {}",
                        suggestion(member, &known)
                    ));
                }
            }
        }
        Ok(())
    }
}
