//! What a target is made of besides its manifest and its binary, as digests by name: with another one it cannot run the
//! same way, and then it is named. What runs read of the host is in [`super::sources`].

use crate::launcher::Launcher;
use crate::target::Target;
use crate::target::build::sha256;
use crate::target::program::in_path;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What an input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file that nodes find in their data directories.
    NodeFile,
    /// A file that clients find which are programs.
    ClientFile,
    /// A program that runs beside the binary on every node.
    NodeProgram,
    /// The program that clients are.
    ClientProgram,
}

impl Kind {
    fn shown(self, name: &str) -> String {
        match self {
            Self::NodeFile => format!("file {name} of nodes"),
            Self::ClientFile => format!("file {name} of clients"),
            Self::NodeProgram => format!("program {name} of nodes"),
            Self::ClientProgram => format!("program {name} of clients"),
        }
    }
}

/// SHA-256 in hex of all inputs, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inputs(BTreeMap<Kind, BTreeMap<String, String>>);

/// An input that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub how: How,
}

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It holds something else.
    Changed,
    /// It was not there.
    New,
    /// It is not there any more.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Changed => "changed",
            How::New => "is new",
            How::Gone => "is gone",
        };
        write!(f, "{} {how}", self.kind.shown(&self.name))
    }
}

impl Inputs {
    /// What the target places and which programs it runs besides its binary. Of what runs in containers the image has
    /// the programs. What cannot be read is left out: whoever runs the target is told.
    #[must_use]
    pub fn of(target: &Target, launcher: &Launcher) -> Self {
        let mut inputs = Self::default();
        let files = [(Kind::NodeFile, target.files()), (Kind::ClientFile, target.client_files())];
        for (kind, files) in files {
            for file in files.unwrap_or_default().iter().filter(|file| !file.is_template) {
                inputs.add(kind, &file.path.to_string_lossy(), sha256(&file.content));
            }
        }
        let manifest = &target.manifest;
        let client = manifest.client.exec.iter().filter_map(|exec| exec.command.first());
        let beside = manifest.node.beside.iter().filter_map(|command| command.first());
        let beside = beside.filter(|_| *launcher == Launcher::Native);
        let programs =
            client.map(|it| (Kind::ClientProgram, it)).chain(beside.map(|it| (Kind::NodeProgram, it)));
        for (kind, program) in programs.filter(|(_, program)| !program.contains('{')) {
            let path = Path::new(program);
            let path = if program.contains('/') { Some(path.to_owned()) } else { in_path(path) };
            if let Some(bytes) = path.and_then(|path| std::fs::read(path).ok()) {
                let name =
                    Path::new(program).file_name().map_or(program.as_str().into(), |it| it.to_string_lossy());
                inputs.add(kind, &name, sha256(&bytes));
            }
        }
        inputs
    }

    /// Adds one, or replaces it.
    pub fn add(&mut self, kind: Kind, name: &str, digest: String) {
        self.0.entry(kind).or_default().insert(name.to_owned(), digest);
    }

    /// There are none: a finding of a version that did not keep them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is not as it is in `recorded`; nothing where nothing is recorded, as in findings of versions that did not keep
    /// digests.
    #[must_use]
    pub fn changes_since(&self, recorded: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if recorded.is_empty() {
            return changes;
        }
        let none = BTreeMap::new();
        let mut kinds: Vec<&Kind> = recorded.0.keys().chain(self.0.keys()).collect();
        kinds.sort();
        kinds.dedup();
        for kind in kinds {
            let (before, now) = (recorded.0.get(kind).unwrap_or(&none), self.0.get(kind).unwrap_or(&none));
            let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let how = match (before.get(name), now.get(name)) {
                    (Some(before), Some(now)) if before == now => continue,
                    (Some(_), Some(_)) => How::Changed,
                    (None, _) => How::New,
                    (_, None) => How::Gone,
                };
                changes.push(Change { kind: *kind, name: name.clone(), how });
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(all: &[(Kind, &str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        all.iter().for_each(|(kind, name, digest)| inputs.add(*kind, name, (*digest).to_owned()));
        inputs
    }

    #[test]
    fn every_change_is_named() {
        let before = inputs(&[
            (Kind::ClientFile, "client.py", "1"),
            (Kind::ClientProgram, "python3", "2"),
            (Kind::NodeFile, "a/b.conf", "3"),
        ]);
        let now = inputs(&[
            (Kind::ClientFile, "client.py", "9"),
            (Kind::ClientProgram, "python3", "2"),
            (Kind::ClientFile, "more.py", "5"),
        ]);
        let told: Vec<String> = now.changes_since(&before).iter().map(ToString::to_string).collect();
        let expected = [
            "file a/b.conf of nodes is gone",
            "file client.py of clients changed",
            "file more.py of clients is new",
        ];
        assert_eq!(told, expected);
        assert_eq!(now.changes_since(&Inputs::default()), []);
        let text = toml::to_string(&before).unwrap();
        assert_eq!(toml::from_str::<Inputs>(&text).unwrap(), before, "{text}");
    }
}
