//! Programs that commands name: a path, or a name that is looked up in PATH.

use crate::plain;
use nix::unistd::{AccessFlags, access};
use std::path::{Path, PathBuf};

/// The file of this name in PATH that can be run.
#[must_use]
pub fn in_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| runnable(file).is_ok())
}

/// Whether a file can be run.
///
/// # Errors
/// What it is instead, or what it lacks.
pub(super) fn runnable(file: &Path) -> Result<(), String> {
    let shown = file.display();
    match plain::other(file) {
        Err(error) => Err(format!("{shown}: {error}")),
        Ok(Some(what)) => Err(format!("{shown} is {what}, and no program")),
        Ok(None) => access(file, AccessFlags::X_OK)
            .map_err(|error| format!("{shown} cannot be run: {}; is it executable?", error.desc())),
    }
}

/// What the first word of a command names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named<'a> {
    /// `{bin}`.
    Binary,
    /// A file in the data directory.
    Placed(&'a Path),
    /// A file of the host, or of the image.
    Absolute(&'a Path),
    /// A name to be looked up.
    Name(&'a Path),
}

/// Tells what the first word of a command names.
///
/// # Errors
/// It can be none of these.
pub(super) fn named(word: &str) -> Result<Named<'_>, String> {
    let has_placeholder = |text| super::template::placeholder(text).is_some();
    match word.strip_prefix("{data}/") {
        _ if word == "{bin}" => Ok(Named::Binary),
        Some(rest) if !has_placeholder(rest) => Ok(Named::Placed(Path::new(rest))),
        _ if word.is_empty() || has_placeholder(word) => {
            Err(format!("`{word}` names no program; write {{bin}}, a path, a name in PATH, or {{data}}/FILE"))
        }
        _ if word.starts_with('/') => Ok(Named::Absolute(Path::new(word))),
        // Programs are started in their data directory.
        _ if word.contains('/') => Ok(Named::Placed(Path::new(word.trim_start_matches("./")))),
        _ => Ok(Named::Name(Path::new(word))),
    }
}
