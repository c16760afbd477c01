//! A node's place in an execution: what the placeholders of its commands, environment and files stand for.

use super::{FileSpec, Manifest, Target, TargetError, template};
use crate::plain;
use std::collections::BTreeMap;
use std::io::Error;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Most files that nodes find, or clients.
const FILES_MAX: usize = 10_000;
/// Most bytes of these all together: each node has a copy, and the room holds them all.
const BYTES_MAX: usize = 64 << 20;
/// How deep directories may lie that are copied.
const DEPTH_MAX: usize = 32;
/// Most bytes of a path in the data directory. With that of the directory it stays below PATH_MAX of Linux.
const PATH_MAX: usize = 1024;
/// Most bytes of a name (NAME_MAX of Linux).
const NAME_MAX: usize = 255;

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
    /// It may be executed, as the file that it is a copy of.
    pub executable: bool,
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
        let mut placed = Placed::default();
        for spec in specs {
            let from = match &spec.text {
                Some(text) => {
                    let file = PlacedFile {
                        path: spec.path.clone(),
                        content: text.clone().into_bytes(),
                        is_template: true,
                        executable: false,
                        nodes: spec.nodes.clone(),
                    };
                    placed.add(file).map_err(|source| {
                        let what = format!("cannot place {}", spec.path.display());
                        TargetError::Io { what, source }
                    })?;
                    continue;
                }
                None => spec.from.as_deref().unwrap_or(&spec.path),
            };
            let from = self.file.parent().unwrap_or(Path::new(".")).join(from);
            let before = placed.files.len();
            placed.copy(&from, &spec.path, &spec.nodes, 0).map_err(|(from, source)| {
                let (from, name) = (from.display(), self.name());
                let doctor = format!("`fuzz doctor --target {name}` says what brings it");
                let what = format!("cannot read {from}, which nodes find at their start ({doctor})");
                TargetError::Io { what, source }
            })?;
            if placed.files.len() == before {
                let what = format!("cannot place {}", spec.path.display());
                let source = Error::other(format!("there is no file in the directory {}", from.display()));
                return Err(TargetError::Io { what, source });
            }
        }
        Ok(placed.files)
    }
}

/// Files as they are read, and what they may be all together.
#[derive(Default)]
struct Placed {
    files: Vec<PlacedFile>,
    bytes: usize,
}

impl Placed {
    fn add(&mut self, mut file: PlacedFile) -> std::io::Result<()> {
        // As one path is written, with a slash at its end or two within, so it is compared.
        file.path = file.path.components().collect();
        check_path(&file.path).map_err(Error::other)?;
        self.bytes += file.content.len();
        if self.bytes > BYTES_MAX || self.files.len() == FILES_MAX {
            return Err(Error::other(format!(
                "at most {FILES_MAX} files of {BYTES_MAX} bytes all together can be placed"
            )));
        }
        self.files.push(file);
        Ok(())
    }

    /// A file, or all files under a directory, sorted; an error comes with the path of what is at fault.
    fn copy(
        &mut self,
        from: &Path,
        path: &Path,
        nodes: &Option<Vec<u8>>,
        depth: usize,
    ) -> Result<(), (PathBuf, Error)> {
        let fault = |error| (from.to_owned(), error);
        match plain::other(from).map_err(fault)? {
            None => {
                let content = plain::bytes(from, BYTES_MAX - self.bytes.min(BYTES_MAX)).map_err(fault)?;
                let executable = std::fs::metadata(from).map_err(fault)?.permissions().mode() & 0o111 != 0;
                let (path, nodes) = (path.to_owned(), nodes.clone());
                self.add(PlacedFile { path, content, is_template: false, executable, nodes }).map_err(fault)
            }
            Some("a directory") if depth == DEPTH_MAX => Err(fault(Error::other(format!(
                "directories lie more than {DEPTH_MAX} deep; does a link lead back?"
            )))),
            Some("a directory") => {
                let listed = std::fs::read_dir(from).and_then(|all| {
                    all.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()
                });
                let mut names = listed.map_err(fault)?;
                names.sort();
                names
                    .iter()
                    .try_for_each(|name| self.copy(&from.join(name), &path.join(name), nodes, depth + 1))
            }
            Some(what) => Err(fault(Error::other(format!("it is {what}, and no plain file")))),
        }
    }
}

/// Copies of files and directories, each with the place that it is to have in a data directory.
///
/// # Errors
/// What cannot be read or placed, with its path; places that do not go together.
pub fn copies(wanted: &[(PathBuf, PathBuf)]) -> Result<Vec<PlacedFile>, String> {
    let mut placed = Placed::default();
    for (from, to) in wanted {
        placed
            .copy(from, to, &None, 0)
            .map_err(|(from, error)| format!("cannot place {}: {error}", from.display()))?;
    }
    super::prepare::check_apart(&placed.files)?;
    Ok(placed.files)
}

/// Whether a file can be placed at `path`.
///
/// # Errors
/// It leads out of the data directory, or is longer than a file system takes.
pub(super) fn check_path(path: &Path) -> Result<(), String> {
    let shown: String = path.display().to_string().chars().take(80).collect();
    let shown = shown.escape_debug();
    let bytes = path.as_os_str().as_encoded_bytes();
    if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(format!("path `{shown}` must lie in the data directory"));
    }
    if bytes.contains(&0) {
        return Err(format!("path `{shown}` holds the character NUL"));
    }
    if bytes.len() > PATH_MAX || path.components().any(|part| part.as_os_str().len() > NAME_MAX) {
        return Err(format!(
            "path `{shown}…` is too long: {PATH_MAX} bytes are possible, and {NAME_MAX} in each part"
        ));
    }
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
