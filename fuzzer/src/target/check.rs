//! Whether a manifest that can be read makes sense.

use super::place::{WORDS, check_path};
use super::{Manifest, oracles, program, template};
use crate::nearest::suggestion;
use crate::schedule::{self, NODES_MAX};
use interceptor::dissector::Dissector;
use std::collections::{BTreeMap, BTreeSet};

/// The longest word of a command, or variable with its name, in bytes: what Linux passes on (MAX_ARG_STRLEN), less the end.
const WORD_MAX: usize = 128 * 1024 - 1;
/// Most bytes of a command and its environment all together, a pointer for each among them.
const COMMAND_MAX: usize = 1 << 20;
/// Most bytes of a text that is placed, filled in.
const TEXT_MAX: usize = 16 << 20;
/// The longest time that can be asked for, in milliseconds: an hour.
const TIME_MS_MAX: u64 = 3_600_000;

impl Manifest {
    /// The first contradiction, by field, and what would be right.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("version 0 does not exist; write `version = 1`".into());
        }
        if !schedule::is_name(&self.name) {
            let shown: String = self.name.chars().take(80).collect();
            return Err(format!("name `{}` cannot be one: {}", shown.escape_debug(), schedule::NAME));
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
        if self.build.binary.as_os_str().is_empty() {
            return Err("[build] binary is empty; write the path of the program, or its name in PATH".into());
        }
        if self.node.beside.iter().any(Vec::is_empty) {
            return Err("[node] beside holds an empty command; write the program and its arguments".into());
        }
        let lengths = self.lengths()?;
        for command in std::iter::once(&self.node.command).chain(&self.node.beside) {
            self.check_command(command, &self.node.env, &lengths).map_err(|why| format!("[node] {why}"))?;
        }
        self.check_files(&lengths)?;
        if let Some(exec) = &self.client.exec {
            self.check_command(&exec.command, &exec.env, &lengths)
                .map_err(|why| format!("[client.exec] {why}"))?;
        }
        for program in self.status.iter().filter_map(|status| status.program.as_ref()) {
            self.check_command(program, &BTreeMap::new(), &lengths)
                .map_err(|why| format!("[[status]] program: {why}"))?;
        }
        self.check_build()?;
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
        if !(1..=TIME_MS_MAX).contains(&self.client.timeout_ms) {
            let ms = self.client.timeout_ms;
            return Err(format!(
                "[client] timeout_ms = {ms} is out of range; 1 to {TIME_MS_MAX} are possible"
            ));
        }
        if self.oracles.recovery_ms > TIME_MS_MAX {
            let ms = self.oracles.recovery_ms;
            return Err(format!(
                "[oracles] recovery_ms = {ms} is out of range; 0 to {TIME_MS_MAX} are possible"
            ));
        }
        let oracles = oracles::names();
        for name in &self.oracles.off {
            if !oracles.contains(&name.as_str()) {
                return Err(format!("[oracles] off holds `{name}`: {}", suggestion(name, &oracles)));
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

    /// How many bytes each word of a node's templates stands for at most.
    fn lengths(&self) -> Result<BTreeMap<&'static str, usize>, String> {
        let bugs: usize = self.bugs.iter().map(|bug| bug.name.len() + 1).sum();
        let nodes = usize::from(NODES_MAX);
        // The room is at /srv, or in a directory for temporary files; the program is in it, or in an image.
        let image = self.docker.as_ref().map_or(0, |docker| docker.binary.as_os_str().len());
        let mut lengths = BTreeMap::from([
            ("bin", image.max(512)),
            ("id", 1),
            ("ip", "10.0.0.9".len()),
            ("ips", nodes * "10.0.0.9,".len()),
            ("data", 512),
            ("nodes", 1),
            ("bug", bugs.max("none".len())),
        ]);
        check_text(&self.node.peer).map_err(|why| format!("[node] peer {why}"))?;
        template::check(&self.node.peer, &WORDS, self.nodes).map_err(|why| format!("[node] {why}"))?;
        let peer = template::length_max(&self.node.peer, &|name| *lengths.get(name).unwrap_or(&0));
        lengths.insert("peers", nodes * (peer + 1));
        Ok(lengths)
    }

    /// Whether a program can be given this command and environment.
    fn check_command(
        &self,
        command: &[String],
        env: &BTreeMap<String, String>,
        lengths: &BTreeMap<&'static str, usize>,
    ) -> Result<(), String> {
        program::named(command.first().map_or("", String::as_str))?;
        let length = |text: &str| template::length_max(text, &|name| *lengths.get(name).unwrap_or(&0));
        let mut all = 0_usize;
        for (what, name, text) in command
            .iter()
            .map(|word| ("a word of the command", "", word))
            .chain(env.iter().map(|(name, text)| ("a variable", name.as_str(), text)))
        {
            if what == "a variable" && (name.is_empty() || name.contains(['=', '\0'])) {
                return Err(format!("env: `{}` is no name of a variable", name.escape_debug()));
            }
            check_text(text).map_err(|why| format!("{what} {why}"))?;
            template::check(text, &WORDS, self.nodes)?;
            let bytes = length(text) + name.len() + 1;
            if bytes > WORD_MAX {
                return Err(format!("{what} may have {bytes} bytes; a program can be given {WORD_MAX}"));
            }
            all += bytes + 9;
        }
        if all > COMMAND_MAX {
            return Err(format!(
                "the command and its environment may have {all} bytes; a program can be given {COMMAND_MAX}"
            ));
        }
        Ok(())
    }

    fn check_build(&self) -> Result<(), String> {
        let docker = self.docker.iter().flat_map(|docker| docker.command.iter().chain([&docker.image]));
        for text in self.build.command.iter().chain(&self.build.versions).chain(docker) {
            check_text(text).map_err(|why| format!("[build] or [docker]: a word {why}"))?;
        }
        let commands =
            [("build", Some(&self.build.command)), ("docker", self.docker.as_ref().map(|it| &it.command))];
        for (table, command) in commands {
            if command.and_then(|command| command.first()).is_some_and(String::is_empty) {
                return Err(format!("[{table}] command names no program; its first word is empty"));
            }
        }
        if self.docker.as_ref().is_some_and(|docker| docker.image.is_empty()) {
            return Err("[docker] image is empty; write its name, as `docker images` shows it".into());
        }
        Ok(())
    }

    fn check_files(&self, lengths: &BTreeMap<&'static str, usize>) -> Result<(), String> {
        let nodes = self.node.files.iter().map(|file| ("node", file));
        let clients = self.client.exec.iter().flat_map(|exec| &exec.files).map(|file| ("client.exec", file));
        for (table, file) in nodes.chain(clients) {
            let path = file.path.display();
            check_path(&file.path).map_err(|why| format!("[[{table}.file]] {why}"))?;
            if file.text.is_some() && file.from.is_some() {
                return Err(format!("[[{table}.file]] {path} has both text and from; write one"));
            }
            if file.from.as_ref().is_some_and(|from| from.as_os_str().is_empty()) {
                return Err(format!("[[{table}.file]] {path}: from is empty; write the path of a file"));
            }
            match &file.nodes {
                Some(_) if table == "client.exec" => {
                    return Err(format!(
                        "[[{table}.file]] {path}: clients are not numbered; leave `nodes` out"
                    ));
                }
                Some(nodes) if nodes.is_empty() => {
                    return Err(format!(
                        "[[{table}.file]] {path}: nodes is empty; leave it out for all of them"
                    ));
                }
                Some(nodes) if nodes.iter().any(|id| *id == 0 || *id > self.nodes) => {
                    return Err(format!(
                        "[[{table}.file]] {path}: nodes are numbered from 1 to {}",
                        self.nodes
                    ));
                }
                _ => {}
            }
            let text = file.text.as_deref().unwrap_or_default();
            let bytes = template::length_max(text, &|name| *lengths.get(name).unwrap_or(&name.len()));
            if bytes > TEXT_MAX {
                return Err(format!(
                    "[[{table}.file]] {path} may have {bytes} bytes; {TEXT_MAX} are possible"
                ));
            }
        }
        Ok(())
    }

    fn check_ready(&self) -> Result<(), String> {
        if self.questions().is_empty() {
            return Err(
                "there is neither a [[ready]] nor a port of clients nor a [[port]]: write what every node must answer, or \
                 which port must accept, before clients begin"
                    .into(),
            );
        }
        for ready in &self.ready {
            let (path, command) = (ready.http.as_deref(), ready.command.as_deref());
            match (path, command) {
                _ if ready.port == 0 => {
                    return Err("[[ready]] port is 0; write the port that is asked".into());
                }
                (Some(_), None) if !(100..600).contains(&ready.status) => {
                    return Err(format!("[[ready]] status = {} is no status of HTTP", ready.status));
                }
                (Some(path), None) if is_path(path) => {}
                (Some(path), None) => {
                    return Err(format!(
                        "[[ready]] http = `{}` must begin with `/` and have no blanks",
                        path.escape_debug()
                    ));
                }
                (None, Some([])) => {
                    return Err("[[ready]] command is empty; write its name and arguments".into());
                }
                (None, Some(_)) => {}
                (None, None) if ready.expect.is_empty() => {}
                (None, None) => {
                    return Err("[[ready]] expects an answer and asks nothing; write http or command".into());
                }
                (Some(_), Some(_)) => return Err("[[ready]] has both http and command; write one".into()),
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), String> {
        let mut ports = BTreeSet::new();
        for port in &self.ports {
            if port.port == 0 {
                return Err("[[port]] port is 0; write the port that nodes listen on".into());
            }
            if let Err(error) = Dissector::parse(&port.dissector) {
                return Err(format!("[[port]] {}: {error}", port.port));
            }
            if !ports.insert(port.port) {
                return Err(format!("[[port]] {} is listed twice", port.port));
            }
        }
        if let Some(status) = self.node.exits.iter().find(|status| !(0..256).contains(*status)) {
            return Err(format!("[node] exits has {status}; a program ends with a status from 0 to 255"));
        }
        self.role_lines()?;
        self.check_status()?;
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

/// Whether a text can be given to a program.
fn check_text(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        let shown: String = text.chars().take(40).collect();
        return Err(format!("`{}` holds the character NUL", shown.escape_debug()));
    }
    Ok(())
}

/// Whether a text can stand in the first line of a request over HTTP.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
