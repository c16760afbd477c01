//! A node's place in an execution: what the placeholders of its commands, environment and files stand for.

use super::{FileSpec, Manifest, Target, TargetError, template};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Words that a node's commands, environment, files and the peer pattern may hold.
pub(super) const WORDS: [&str; 8] = ["bin", "id", "ip", "ips", "peers", "data", "bug", "nodes"];

/// What placeholders stand for on one node.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `{bin}`.
    pub bin: &'a str,
    /// `{id}`: from 1.
    pub id: u8,
    /// `{ip}` of every node, in order; `{ip:2}` is that of the second, on whichever node.
    pub ips: &'a [String],
    /// `{data}`.
    pub data: &'a str,
    /// `{bug}`: joined with commas, `none` when empty.
    pub bugs: &'a [String],
}

impl Place<'_> {
    fn fill(&self, text: &str, peers: &str) -> String {
        let ip = |id: u8| self.ips.get(usize::from(id).wrapping_sub(1)).cloned();
        template::fill(text, &|name, argument| match (name, argument) {
            ("bin", None) => Some(self.bin.to_owned()),
            ("id", None) => Some(self.id.to_string()),
            ("ip", None) => ip(self.id),
            ("ips", None) => Some(self.ips.join(",")),
            ("ip", Some(id)) => ip(id.parse().ok()?),
            ("peers", None) => Some(peers.to_owned()),
            ("data", None) => Some(self.data.to_owned()),
            ("nodes", None) => Some(self.ips.len().to_string()),
            ("bug", None) if self.bugs.is_empty() => Some("none".to_owned()),
            ("bug", None) => Some(self.bugs.join(",")),
            _ => None,
        })
    }
}

impl Manifest {
    /// A command with its placeholders filled in.
    #[must_use]
    pub fn words(&self, command: &[String], place: &Place<'_>) -> Vec<String> {
        let peers = self.peers_of(place);
        command.iter().map(|word| place.fill(word, &peers)).collect()
    }

    /// An environment with its placeholders filled in.
    #[must_use]
    pub fn env_of(&self, env: &BTreeMap<String, String>, place: &Place<'_>) -> BTreeMap<String, String> {
        let peers = self.peers_of(place);
        env.iter().map(|(name, value)| (name.clone(), place.fill(value, &peers))).collect()
    }

    fn peers_of(&self, place: &Place<'_>) -> String {
        let ids = 1..=u8::try_from(place.ips.len()).unwrap_or(u8::MAX);
        let peers = ids.map(|id| Place { id, ..*place }.fill(&self.node.peer, ""));
        peers.collect::<Vec<_>>().join(",")
    }
}

/// What a file that is to be placed holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// Where, in the data directory.
    pub path: PathBuf,
    /// Its content; placeholders are filled in where `is_template`.
    pub content: Vec<u8>,
    /// It was written in the manifest.
    pub is_template: bool,
    /// The nodes that have it; absent: all.
    pub nodes: Option<Vec<u8>>,
}

impl Target {
    /// The files that nodes find when they are started for the first time, read and in order.
    ///
    /// # Errors
    /// A file that cannot be read, with its path.
    pub fn files(&self) -> Result<Vec<PlacedFile>, TargetError> {
        self.read(&self.manifest.node.files)
    }

    /// The files that clients find which are programs.
    ///
    /// # Errors
    /// As [`Self::files`].
    pub fn client_files(&self) -> Result<Vec<PlacedFile>, TargetError> {
        self.manifest.client.exec.as_ref().map_or(Ok(Vec::new()), |exec| self.read(&exec.files))
    }

    fn read(&self, specs: &[FileSpec]) -> Result<Vec<PlacedFile>, TargetError> {
        let mut files = Vec::new();
        for spec in specs {
            let nodes = spec.nodes.clone();
            match (&spec.text, &spec.from) {
                (Some(text), _) => files.push(PlacedFile {
                    path: spec.path.clone(),
                    content: text.clone().into_bytes(),
                    is_template: true,
                    nodes,
                }),
                (None, from) => {
                    let beside = self.file.parent().unwrap_or(Path::new("."));
                    let from = beside.join(from.as_deref().unwrap_or(&spec.path));
                    copy_of(&from, &spec.path, &nodes, &mut files).map_err(|source| {
                        let (from, name) = (from.display(), self.name());
                        let doctor = format!("`fuzz doctor --target {name}` says what brings it");
                        let what = format!("cannot read {from}, which nodes find at their start ({doctor})");
                        TargetError::Io { what, source }
                    })?;
                }
            }
        }
        Ok(files)
    }
}

/// A file, or all files under a directory, sorted.
fn copy_of(
    from: &Path,
    path: &Path,
    nodes: &Option<Vec<u8>>,
    files: &mut Vec<PlacedFile>,
) -> std::io::Result<()> {
    if from.is_dir() {
        let mut names: Vec<_> =
            std::fs::read_dir(from)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
        names.sort();
        return names.iter().try_for_each(|name| copy_of(&from.join(name), &path.join(name), nodes, files));
    }
    let (path, nodes) = (path.to_owned(), nodes.clone());
    files.push(PlacedFile { path, content: std::fs::read(from)?, is_template: false, nodes });
    Ok(())
}

impl PlacedFile {
    /// What it holds on one node; `None` where that node has it not.
    #[must_use]
    pub fn on(&self, manifest: &Manifest, place: &Place<'_>) -> Option<Vec<u8>> {
        if self.nodes.as_ref().is_some_and(|nodes| !nodes.contains(&place.id)) {
            return None;
        }
        if !self.is_template {
            return Some(self.content.clone());
        }
        let text = String::from_utf8_lossy(&self.content);
        Some(place.fill(&text, &manifest.peers_of(place)).into_bytes())
    }
}
