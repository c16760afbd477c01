//! Building a target's binary and taking its digest.

use super::program::in_path;
use super::{Target, TargetError};
use crate::plain;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader};
use std::path::{Component, PathBuf};
use std::process::{Command, Stdio};

/// How many of the last lines of a failed build are shown.
const TAIL: usize = 30;

/// The longest binary that is read, in bytes: a copy of it lies in the room, beside the files of nodes.
const BINARY_MAX: usize = 512 << 20;

/// A binary that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of its contents, in hex.
    pub digest: String,
}

impl Binary {
    /// The binary at a path, with its digest.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn read(path: PathBuf) -> io::Result<Self> {
        let bytes = plain::bytes(&path, BINARY_MAX)?;
        // Not where links lead: many a program looks at the name it is called by.
        let path = std::path::absolute(&path).unwrap_or(path);
        Ok(Self { digest: sha256(&bytes), path })
    }
}

impl Target {
    /// Runs the build command, if there is one; `progress` is given each line it writes to standard error.
    ///
    /// # Errors
    /// When it cannot be started or fails; the message holds the end of what it wrote.
    pub fn build(&self, progress: &mut dyn FnMut(&str)) -> Result<(), TargetError> {
        self.make(&self.manifest.build.command, progress)
    }

    /// As [`Self::build`], for the command that makes the image.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_image(&self, progress: &mut dyn FnMut(&str)) -> Result<(), TargetError> {
        self.make(self.manifest.docker.as_ref().map_or(&[], |docker| &docker.command), progress)
    }

    fn make(&self, command: &[String], progress: &mut dyn FnMut(&str)) -> Result<(), TargetError> {
        let Some((program, arguments)) = command.split_first() else {
            return Ok(());
        };
        let io = |source| TargetError::Io {
            what: format!("cannot run `{program}` to build {}", self.name()),
            source,
        };
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io)?;
        let mut tail = VecDeque::new();
        let pipe = child.stderr.take().expect("standard error was piped");
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(io)?).into_owned();
            progress(&line);
            tail.push_back(line);
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
        let status = child.wait().map_err(io)?;
        if status.success() {
            return Ok(());
        }
        Err(TargetError::Build {
            target: self.name().to_owned(),
            command: command.join(" "),
            status: status.code().map_or_else(|| "was killed".into(), |code| format!("exited with {code}")),
            tail: Vec::from(tail).join("\n"),
        })
    }

    /// What brings the binary when it is not there.
    #[must_use]
    pub fn remedy(&self) -> String {
        let build = &self.manifest.build;
        match &build.package {
            Some(package) => format!("install it: `apt-get install {package}`, or scripts/install-targets"),
            None if build.command.is_empty() => "check `binary` in [build]".to_owned(),
            None => "nothing to do: `fuzz run` builds it".to_owned(),
        }
    }

    /// The first line that the target's version command prints, if it has one and it can be run.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let (program, arguments) = self.manifest.build.versions.split_first()?;
        let binary = self.binary_path();
        let fill = |word: &String| word.replace("{bin}", &binary.display().to_string());
        let arguments: Vec<String> = arguments.iter().map(fill).collect();
        let output = Command::new(fill(program)).args(arguments).stdin(Stdio::null()).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
    }

    /// The built binary and its digest.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn binary(&self) -> Result<Binary, TargetError> {
        let remedy = || match self.manifest.build.command.is_empty() {
            true => self.remedy(),
            false => "is it what [build] makes?".to_owned(),
        };
        let named = self.manifest.build.binary.display();
        let what = || format!("cannot read the binary `{named}` of {}; {}", self.name(), remedy());
        Binary::read(self.binary_path()).map_err(|source| TargetError::Io { what: what(), source })
    }

    /// Where the manifest says the binary is. A Cargo target directory of the environment takes the place of `target`.
    fn binary_path(&self) -> PathBuf {
        let named = &self.manifest.build.binary;
        if named.is_absolute() {
            return named.clone();
        }
        if named.components().count() == 1
            && let Some(found) = in_path(named)
        {
            return found;
        }
        if named.components().next() == Some(Component::Normal("target".as_ref()))
            && let Some(dir) = std::env::var_os("CARGO_TARGET_DIR")
        {
            let inner = named.strip_prefix("target").expect("it begins with target");
            return self.root.join(dir).join(inner);
        }
        self.root.join(named)
    }
}

/// SHA-256 in hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Manifest;
    use std::path::Path;

    fn target(root: &Path, command: &str, binary: &str) -> Target {
        let text = format!(
            "version = 1\nname = \"toy\"\nnodes = 1\n[build]\ncommand = {command}\nbinary = \"{binary}\"\n[node]\n\
             command = [\"{{bin}}\"]\n[[ready]]\nhttp = \"/\"\nport = 1\n[client.kv-http]\nport = 1\n"
        );
        let manifest = Manifest::parse(&text, "target.toml").unwrap();
        Target {
            manifest,
            file: root.join("target.toml"),
            root: root.to_owned(),
            digest: sha256(text.as_bytes()),
        }
    }

    #[test]
    fn a_build_leaves_a_binary_with_a_digest() {
        let dir = tempfile::tempdir().unwrap();
        let toy = target(dir.path(), r#"["sh", "-c", "echo making it >&2; printf abc > toy"]"#, "./toy");
        let mut lines = Vec::new();
        toy.build(&mut |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["making it"]);
        insta::assert_snapshot!(toy.binary().unwrap().digest, @"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn a_failed_build_shows_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let command = r#"["sh", "-c", "for i in $(seq 40); do echo line $i >&2; done; exit 3"]"#;
        let refusal = target(dir.path(), command, "toy").build(&mut |_| {}).unwrap_err().to_string();
        assert!(refusal.ends_with("line 39\nline 40") && !refusal.contains("line 10\n"), "{refusal}");
        assert!(refusal.contains("exited with 3"), "{refusal}");
    }

    #[test]
    fn a_missing_binary_is_named_as_the_manifest_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let refusal = target(dir.path(), "[]", "out/toy").binary().unwrap_err().to_string();
        assert!(refusal.starts_with("cannot read the binary `out/toy` of toy"), "{refusal}");
    }
}
