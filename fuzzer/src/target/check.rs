//! Whether a manifest that can be read makes sense.

use super::Manifest;
use crate::nearest::suggestion;
use std::collections::BTreeSet;

/// Words in braces that a node's command, its environment and the peer pattern may hold.
const PLACEHOLDERS: [&str; 7] = ["bin", "id", "ip", "peers", "data", "bug", "nodes"];

impl Manifest {
    /// The first contradiction, by field, and what would be right.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("version 0 does not exist; write `version = 1`".into());
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Err(format!("name `{}` must be made of lower-case letters, digits and `-`", self.name));
        }
        if !(1..=9).contains(&self.nodes) {
            return Err(format!("nodes = {} is out of range; 1 to 9 are possible", self.nodes));
        }
        if self.node.command.is_empty() {
            return Err("[node] command is empty; write the program and its arguments".into());
        }
        for text in self.node.command.iter().chain(self.node.env.values()).chain([&self.node.peer]) {
            check_placeholders(text)?;
        }
        if self.node.peer.contains("{peers}") {
            return Err("[node] peer must not hold {peers}: it is what {peers} is made of".into());
        }
        if self.node.peer.is_empty() && self.node.command.iter().any(|word| word.contains("{peers}")) {
            return Err(
                "[node] command holds {peers} but peer is not set; write peer = \"{id}={ip}:PORT\"".into()
            );
        }
        if self.faults.max_down.is_some_and(|down| down > self.nodes) {
            return Err(format!("[faults] max_down is more than nodes = {}", self.nodes));
        }
        if !self.ready.http.starts_with('/') {
            return Err(format!("[ready] http = `{}` must begin with `/`", self.ready.http));
        }
        self.check_names()
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

fn check_placeholders(text: &str) -> Result<(), String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else {
            return Err(format!("[node] `{text}`: the brace is not closed"));
        };
        if !PLACEHOLDERS.contains(&name) {
            return Err(format!(
                "[node] `{text}`: unknown placeholder {{{name}}}: {}",
                suggestion(name, &PLACEHOLDERS)
            ));
        }
        rest = tail;
    }
    Ok(())
}
