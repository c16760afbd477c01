//! The target: a manifest (`target.toml`) that says how to build and start nodes, what clients do and which bugs can be
//! switched on. Owns reading and checking manifests; finding them is in [`discover`], building in [`build`].

pub mod build;
mod check;
pub mod discover;

use crate::nearest::suggestion;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The manifest version that this program reads; newer ones are refused.
pub const VERSION: u32 = 1;

/// Why a target cannot be used. All of these are the caller's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file could not be read or a program not be started.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The system's word.
        source: std::io::Error,
    },
    /// The manifest is not what it should be.
    #[error("{file}: {why}")]
    Manifest {
        /// The manifest.
        file: String,
        /// Line and column, or the offending field, and what would be right.
        why: String,
    },
    /// No target has this name.
    #[error("unknown target `{name}`: {hint}")]
    UnknownTarget {
        /// As given.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// The target has no such bug or set of bugs.
    #[error("target `{target}` has no bug or set `{name}`: {hint}")]
    UnknownBug {
        /// The target.
        target: String,
        /// As given.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// No directory of targets was found.
    #[error(
        "no targets found from {from}; run from a checkout that has targets/, or pass a path to --target"
    )]
    NoTargets {
        /// Where the search began.
        from: String,
    },
    /// The build command failed.
    #[error("building `{target}` failed: `{command}` {status}\n{tail}")]
    Build {
        /// The target.
        target: String,
        /// As run.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        tail: String,
    },
}

/// What `target.toml` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version.
    pub version: u32,
    /// The target's name: letters, digits, `-`.
    pub name: String,
    /// One sentence for people.
    #[serde(default)]
    pub about: String,
    /// Nodes of a cluster unless asked otherwise.
    pub nodes: u8,
    /// How its binary is made.
    pub build: BuildSpec,
    /// How a node is started.
    pub node: NodeSpec,
    /// Ports whose messages can be told apart.
    #[serde(default, rename = "port")]
    pub ports: Vec<PortSpec>,
    /// When a node counts as ready.
    pub ready: ReadySpec,
    /// What clients do.
    pub workload: WorkloadSpec,
    /// Limits on faults.
    #[serde(default)]
    pub faults: FaultSpec,
    /// Named sets of bugs.
    #[serde(default)]
    pub sets: BTreeMap<String, Vec<String>>,
    /// Bugs that can be switched on.
    #[serde(default, rename = "bug")]
    pub bugs: Vec<BugSpec>,
}

/// How the binary is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildSpec {
    /// Program and arguments, run in the root; empty when there is nothing to build.
    #[serde(default)]
    pub command: Vec<String>,
    /// The binary: relative to the root, absolute, or a bare name that is looked up in PATH.
    pub binary: PathBuf,
}

/// How a node is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Program and arguments with placeholders in braces.
    pub command: Vec<String>,
    /// One peer; all of them joined with commas make `{peers}`.
    #[serde(default)]
    pub peer: String,
    /// Environment variables, with placeholders.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Statuses with which a node may end by itself.
    #[serde(default = "orderly")]
    pub exits: Vec<i32>,
}

fn orderly() -> Vec<i32> {
    vec![0]
}

/// A port whose messages a dissector names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortSpec {
    /// The port that nodes listen on.
    pub port: u16,
    /// The dissector's name; see the interceptor.
    pub dissector: String,
}

/// When a node counts as ready: a GET of `http` on `port` answers 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadySpec {
    /// The path asked for.
    pub http: String,
    /// The port asked at.
    pub port: u16,
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// The workload's name.
    pub kind: String,
    /// The port clients talk to.
    pub port: u16,
}

/// Limits on faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Most nodes that may be down at once; absent: all of them.
    #[serde(default)]
    pub max_down: Option<u8>,
}

impl Default for FaultSpec {
    /// No limit.
    fn default() -> Self {
        Self { max_down: None }
    }
}

/// A bug that can be switched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BugSpec {
    /// Its name.
    pub name: String,
    /// What is wrong and what it leads to.
    #[serde(default)]
    pub story: String,
    /// How deep it lies, from 1 (any fault shows it).
    #[serde(default = "one")]
    pub level: u8,
}

fn one() -> u8 {
    1
}

/// A manifest and where it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it says.
    pub manifest: Manifest,
    /// The manifest itself, as an absolute path.
    pub file: PathBuf,
    /// The directory that build commands run in and relative binaries start from.
    pub root: PathBuf,
    /// SHA-256 of the manifest's text, in hex.
    pub digest: String,
}

impl Target {
    /// Reads and checks the manifest at `file` (a `target.toml`).
    ///
    /// # Errors
    /// When it cannot be read, is malformed or contradicts itself.
    pub fn load(file: &Path) -> Result<Self, TargetError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| TargetError::Io { what: format!("cannot read {}", file.display()), source })?;
        let root = discover::root_of(file);
        let manifest = Manifest::parse(&text, &discover::shown(file, &root))?;
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        Ok(Self { manifest, file, root, digest: build::sha256(text.as_bytes()) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }
}

impl Manifest {
    /// Reads and checks a manifest; `file` is used in messages only.
    ///
    /// # Errors
    /// Line and column for what is not TOML or not a manifest; the field for what contradicts itself.
    pub fn parse(text: &str, file: &str) -> Result<Self, TargetError> {
        let refuse = |why: String| TargetError::Manifest { file: file.to_owned(), why };
        let version: Version = toml::from_str(text).map_err(|e| refuse(one_block(&e)))?;
        if version.version > VERSION {
            return Err(refuse(format!(
                "manifest version {} is newer than this program reads ({VERSION}); update fuzz",
                version.version
            )));
        }
        let manifest: Self = toml::from_str(text).map_err(|e| refuse(one_block(&e)))?;
        manifest.check().map_err(refuse)?;
        Ok(manifest)
    }

    /// The bugs that words from the command line stand for: names, sets, or `none`; each word may hold several, with commas.
    /// The result is in the manifest's order, without repeats.
    ///
    /// # Errors
    /// An unknown word, with the nearest name.
    pub fn bugs_named<S: AsRef<str>>(&self, words: &[S]) -> Result<Vec<String>, TargetError> {
        let mut chosen = BTreeSet::new();
        for word in words.iter().flat_map(|words| words.as_ref().split(',')).map(str::trim) {
            if word.is_empty() || word == "none" {
                continue;
            }
            if let Some(members) = self.sets.get(word) {
                chosen.extend(members.iter().map(String::as_str));
            } else if let Some(bug) = self.bugs.iter().find(|bug| bug.name == word) {
                chosen.insert(bug.name.as_str());
            } else {
                let bugs = self.bugs.iter().map(|bug| bug.name.as_str());
                let known: Vec<&str> =
                    bugs.chain(self.sets.keys().map(String::as_str)).chain(["none"]).collect();
                return Err(TargetError::UnknownBug {
                    target: self.name.clone(),
                    name: word.to_owned(),
                    hint: suggestion(word, &known),
                });
            }
        }
        Ok(self
            .bugs
            .iter()
            .filter(|bug| chosen.contains(bug.name.as_str()))
            .map(|bug| bug.name.clone())
            .collect())
    }

    /// The bugs of a run that names none: the set `demo`, or no bug at all.
    #[must_use]
    pub fn bugs_by_default(&self) -> Vec<String> {
        self.sets.get("demo").cloned().unwrap_or_default()
    }

    /// Program and arguments of one node, placeholders filled in.
    #[must_use]
    pub fn command_of(&self, place: &Place<'_>) -> Vec<String> {
        let peers = self.peers_of(place);
        self.node.command.iter().map(|word| fill(word, place, place.id, &peers)).collect()
    }

    /// Environment of one node, placeholders filled in.
    #[must_use]
    pub fn env_of(&self, place: &Place<'_>) -> BTreeMap<String, String> {
        let peers = self.peers_of(place);
        self.node
            .env
            .iter()
            .map(|(name, value)| (name.clone(), fill(value, place, place.id, &peers)))
            .collect()
    }

    fn peers_of(&self, place: &Place<'_>) -> String {
        let ids = 1..=u8::try_from(place.ips.len()).unwrap_or(u8::MAX);
        ids.map(|id| fill(&self.node.peer, place, id, "")).collect::<Vec<_>>().join(",")
    }
}

/// What a node's placeholders stand for in one execution.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `{bin}`.
    pub bin: &'a str,
    /// `{id}`: from 1.
    pub id: u8,
    /// `{ip}` of every node, in order.
    pub ips: &'a [String],
    /// `{data}`.
    pub data: &'a str,
    /// `{bug}`: joined with commas, `none` when empty.
    pub bugs: &'a [String],
}

fn fill(text: &str, place: &Place<'_>, id: u8, peers: &str) -> String {
    let bugs = if place.bugs.is_empty() { "none".to_owned() } else { place.bugs.join(",") };
    let ip = place.ips.get(usize::from(id).wrapping_sub(1)).map_or("", String::as_str);
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, tail) = after.split_once('}').expect("a checked manifest closes its braces");
        match name {
            "bin" => filled.push_str(place.bin),
            "id" => filled.push_str(&id.to_string()),
            "ip" => filled.push_str(ip),
            "peers" => filled.push_str(peers),
            "data" => filled.push_str(place.data),
            "nodes" => filled.push_str(&place.ips.len().to_string()),
            _ => filled.push_str(&bugs),
        }
        rest = tail;
    }
    filled + rest
}

/// Only the version, whatever else is there.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// A TOML error without its trailing line feed: position, the line, a caret and the reason.
fn one_block(error: &toml::de::Error) -> String {
    error.to_string().trim_end().to_owned()
}

#[cfg(test)]
mod tests;
