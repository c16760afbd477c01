//! The target: a manifest (`target.toml`) that says how to build and start nodes, what clients do and which bugs can be
//! switched on. Owns reading and checking manifests; finding them is in [`discover`], building in [`build`].

pub mod build;
mod check;
pub mod client;
pub mod discover;
pub mod oracles;
mod part;
pub mod path;
mod place;
mod prepare;
pub mod program;
mod role;
pub mod status;
pub mod template;

pub use part::Part;
pub use place::{Place, PlacedFile, copies};
pub use prepare::{Home, Prepared};
pub use role::RoleSpec;

use crate::fault::Kind;
use crate::nearest::suggestion;
use crate::plain;
use crate::schedule::Family;
use crate::syntax;
use client::ClientSpec;
use interceptor::sandbox::Clock;
use oracle::checker::named::Asked;
use oracle::checker::output::Pattern;
use serde::{Deserialize, Serialize};
use status::StatusSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The manifest version that this program reads; newer ones are refused.
pub const VERSION: u32 = 1;

/// The longest manifest that is read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;

/// Fields of a manifest that are tables and must be there.
const TABLES: [&str; 3] = ["build", "node", "client"];

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
    /// Its image, where nodes can also run in containers.
    #[serde(default)]
    pub docker: Option<DockerSpec>,
    /// How a node is started.
    pub node: NodeSpec,
    /// Ports whose messages can be told apart.
    #[serde(default, rename = "port")]
    pub ports: Vec<PortSpec>,
    /// Lines by which nodes tell their roles, where they do not report them.
    #[serde(default, rename = "role")]
    pub roles: Vec<RoleSpec>,
    /// What nodes are asked for their roles.
    #[serde(default)]
    pub status: Vec<StatusSpec>,
    /// When a node counts as ready: all of these; none: see [`Self::questions`].
    #[serde(default)]
    pub ready: Vec<ReadySpec>,
    /// How clients speak.
    pub client: ClientSpec,
    /// What clients do.
    #[serde(default)]
    pub workload: WorkloadSpec,
    /// Limits on faults.
    #[serde(default)]
    pub faults: FaultSpec,
    /// What is promised, and which oracles judge it.
    #[serde(default)]
    pub oracles: OracleSpec,
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
    /// The package of Debian that brings it, where it is not ours.
    #[serde(default)]
    pub package: Option<String>,
    /// Program and arguments that print its version.
    #[serde(default)]
    pub versions: Vec<String>,
}

/// What nodes run in with `--launcher docker`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockerSpec {
    /// Name or digest of an image that is on this machine.
    pub image: String,
    /// Program and arguments that make it, run in the root; empty when there is nothing to build.
    #[serde(default)]
    pub command: Vec<String>,
    /// The program in the image, as an absolute path: `{bin}`.
    pub binary: PathBuf,
}

/// How a node is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Program and arguments with placeholders in braces.
    pub command: Vec<String>,
    /// Other programs of the same node, each with its arguments. They live and die together.
    #[serde(default)]
    pub beside: Vec<Vec<String>>,
    /// One peer; all of them joined with commas make `{peers}`.
    #[serde(default)]
    pub peer: String,
    /// Environment variables, with placeholders.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Files in the data directory when the node is started for the first time.
    #[serde(default, rename = "file")]
    pub files: Vec<FileSpec>,
    /// By which clock it lives unless asked otherwise.
    #[serde(default)]
    pub clock: Clock,
    /// Statuses with which a node may end by itself.
    #[serde(default = "orderly")]
    pub exits: Vec<i32>,
}

fn orderly() -> Vec<i32> {
    vec![0]
}

/// A file that a node finds when it is started for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Where, in the data directory.
    pub path: PathBuf,
    /// What it holds, with placeholders.
    #[serde(default)]
    pub text: Option<String>,
    /// The file, or directory, that it is a copy of: relative to the manifest, or absolute.
    #[serde(default)]
    pub from: Option<PathBuf>,
    /// The nodes that have it, by number; absent: all of them.
    #[serde(default)]
    pub nodes: Option<Vec<u8>>,
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

/// A question that every node must answer well: a GET of `http`, or the `command` of RESP; with neither it is enough that the
/// port accepts a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadySpec {
    /// The path asked for.
    #[serde(default)]
    pub http: Option<String>,
    /// The status of a good answer.
    #[serde(default = "two_hundred")]
    pub status: u16,
    /// The command asked; anything but an error is a good answer.
    #[serde(default)]
    pub command: Option<Vec<String>>,
    /// One of these must be in the answer too.
    #[serde(default)]
    pub expect: Vec<String>,
    /// The port asked at.
    pub port: u16,
}

fn two_hundred() -> u16 {
    200
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// What they work on; each run takes one of them.
    pub families: Vec<Family>,
}

impl Default for WorkloadSpec {
    /// Registers.
    fn default() -> Self {
        Self { families: vec![Family::Register] }
    }
}

/// What is promised, and which oracles judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OracleSpec {
    /// Names of oracles that do not judge.
    pub off: BTreeSet<String>,
    /// Signatures of violations that are known and passed over; those that end in `*` stand for all that begin so.
    pub known: BTreeSet<String>,
    /// Lines that nodes should not write.
    pub output: Vec<Pattern>,
    /// Answers hold everything that was acknowledged before they were asked for.
    pub fresh: bool,
    /// Virtual milliseconds after the last fault within which the cluster must answer again.
    pub recovery_ms: u64,
}

impl Default for OracleSpec {
    /// All oracles, fresh answers, five seconds to recover.
    fn default() -> Self {
        let (off, known, output) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        Self { off, known, output, fresh: true, recovery_ms: 5_000 }
    }
}

impl OracleSpec {
    /// Whether a violation with this signature is passed over.
    #[must_use]
    pub fn is_known(&self, signature: &str) -> bool {
        self.known.iter().any(|known| match known.strip_suffix('*') {
            Some(beginning) => signature.starts_with(beginning),
            None => signature == known,
        })
    }
}

/// Limits on faults.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// Most nodes that may be down at once; absent: all of them.
    #[serde(default)]
    pub max_down: Option<u8>,
    /// Kinds of faults that this target is not asked to survive.
    #[serde(default)]
    pub without: BTreeSet<Kind>,
    /// Bytes that a drive writes whole or not at all when power fails; absent: one.
    #[serde(default)]
    pub atomic_write: Option<u64>,
}

impl FaultSpec {
    /// The kinds of faults that this target is asked to survive.
    #[must_use]
    pub fn kinds(&self) -> BTreeSet<Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.without.contains(kind)).collect()
    }

    /// Bytes that a drive writes whole or not at all when power fails.
    #[must_use]
    pub fn atomic_write(&self) -> u64 {
        self.atomic_write.unwrap_or(1)
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
    /// SHA-256 of the manifest's text and of the files it places, in hex.
    pub digest: String,
}

impl Target {
    /// Reads and checks the manifest at `file` (a `target.toml`).
    ///
    /// # Errors
    /// When it cannot be read, is malformed or contradicts itself.
    pub fn load(file: &Path) -> Result<Self, TargetError> {
        let text = plain::text(file, BYTES_MAX)
            .map_err(|source| TargetError::Io { what: format!("cannot read {}", file.display()), source })?;
        let root = discover::root_of(file);
        let manifest = Manifest::parse(&text, &discover::shown(file, &root))?;
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let mut target = Self { manifest, file, root, digest: String::new() };
        target.digest = target.digest_of(text);
        Ok(target)
    }

    /// Files that cannot be read are left out here; whoever runs the target is told.
    fn digest_of(&self, text: String) -> String {
        let mut bytes = text.into_bytes();
        let nodes = self.files().unwrap_or_default();
        let clients = self.client_files().unwrap_or_default();
        for file in nodes.iter().chain(&clients).filter(|file| !file.is_template) {
            bytes.extend_from_slice(file.path.as_os_str().as_encoded_bytes());
            bytes.extend_from_slice(&file.content);
        }
        build::sha256(&bytes)
    }

    /// Where what is kept of targets lies: beside the `targets/` that this one is in, wherever it is built.
    #[must_use]
    pub fn corpora(&self) -> PathBuf {
        let checkout = self.file.ancestors().find(|dir| dir.join("targets").is_dir());
        checkout.unwrap_or(&self.root).join("corpora")
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
        if text.len() > BYTES_MAX {
            return Err(refuse(format!("{} bytes are more than the {BYTES_MAX} that are read", text.len())));
        }
        let syntax = |error: toml::de::Error| refuse(syntax::told(text, &error, &TABLES));
        let version: Version = toml::from_str(text).map_err(syntax)?;
        if version.version > VERSION {
            return Err(refuse(format!(
                "manifest version {} is newer than this program reads ({VERSION}); update fuzz",
                version.version
            )));
        }
        let manifest: Self = toml::from_str(text).map_err(syntax)?;
        manifest.check().map_err(refuse)?;
        Ok(manifest)
    }

    /// What every node is asked before clients begin. Where the manifest does not say: that the port of clients accepts, or
    /// else every port that it lists.
    #[must_use]
    pub fn questions(&self) -> Vec<ReadySpec> {
        if !self.ready.is_empty() {
            return self.ready.clone();
        }
        let accepts =
            |port| ReadySpec { http: None, status: two_hundred(), command: None, expect: Vec::new(), port };
        match self.client.port() {
            0 => self.ports.iter().map(|spec| accepts(spec.port)).collect(),
            port => vec![accepts(port)],
        }
    }

    /// The oracles that judge a run whose clients worked on `family`.
    #[must_use]
    pub fn judges(&self, family: Family) -> oracle::Config {
        let judges = |name: &str| !self.oracles.off.contains(name);
        let mut config = oracle::Config {
            crash: judges("crash"),
            exit_allowed: self.node.exits.clone(),
            sanitizer: judges("sanitizer"),
            output: if judges("output") { self.oracles.output.clone() } else { Vec::new() },
            assertion: judges("assertion"),
            raft: judges("raft"),
            durability: judges("durability"),
            collections: judges("collection"),
            lock: judges("lock"),
            linearizability: judges("linearizability"),
            liveness: judges("liveness"),
            ..oracle::Config::default()
        };
        config.collection.ordered = family == Family::Log;
        config.collection.fresh = self.oracles.fresh;
        config.checks = self.checks(family);
        config
    }

    /// The checks by name that judge a run whose clients worked on `family`.
    fn checks(&self, family: Family) -> Vec<Asked> {
        // Whoever answers with what was true some time ago is linearizable in nothing.
        let judges = |name: &str| {
            let off = |name: &str| self.oracles.off.contains(name);
            !off(name)
                && (!name.starts_with("linearizable") || (self.oracles.fresh && !off("linearizability")))
        };
        let all = family.checks().iter().filter(|(name, _)| judges(name));
        let pair = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        all.map(|(name, settings)| Asked {
            check: (*name).to_owned(),
            settings: settings.iter().map(pair).collect(),
            final_reads: !self.oracles.fresh,
        })
        .collect()
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
}

/// Only the version, whatever else is there.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests;
