//! Finding targets: `targets/*/target.toml` in a directory above the working directory, else above the executable.

use super::{BYTES_MAX, Target, TargetError};
use crate::nearest::suggestion;
use crate::plain;
use std::path::{Path, PathBuf};

/// The file name of a manifest.
pub const MANIFEST: &str = "target.toml";

/// The checkout this program was built from; only looked at when nothing else leads to targets.
const BUILT_FROM: &str = env!("CARGO_MANIFEST_DIR");

/// The directory that holds `targets/`: at or above `cwd`, else at or above `exe`, else the checkout of the build.
///
/// # Errors
/// When there is none.
pub fn root(cwd: &Path, exe: Option<&Path>) -> Result<PathBuf, TargetError> {
    let above = |path: &Path| path.ancestors().find(|dir| !manifests(dir).is_empty()).map(Path::to_owned);
    above(cwd)
        .or_else(|| exe.and_then(above))
        .or_else(|| above(Path::new(BUILT_FROM)))
        .ok_or_else(|| TargetError::NoTargets { from: cwd.display().to_string() })
}

/// The manifests under `root/targets`, by directory name.
#[must_use]
pub fn manifests(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("targets")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path().join(MANIFEST)).filter(|file| file.is_file()).collect();
    files.sort();
    files
}

/// The target that a word from the command line stands for: a path (a manifest, or a directory that holds one) when it
/// contains `/`, ends in `.toml`, or is `.` or `..`, else a name under `root()/targets`.
///
/// # Errors
/// An unknown name with the nearest one; a manifest that cannot be used.
pub fn find(word: &str, cwd: &Path, exe: Option<&Path>) -> Result<Target, TargetError> {
    if word.contains('/') || word.ends_with(".toml") || matches!(word, "." | "..") {
        return Target::load(&manifest_at(cwd.join(word)));
    }
    let root = root(cwd, exe).map_err(|none| here(word, cwd).unwrap_or(none))?;
    let file = root.join("targets").join(word).join(MANIFEST);
    if !word.is_empty() && file.is_file() {
        return Target::load(&file);
    }
    let files = manifests(&root);
    let names: Vec<&str> = files.iter().filter_map(|file| file.parent()?.file_name()?.to_str()).collect();
    let unknown = || TargetError::UnknownTarget { name: word.to_owned(), hint: suggestion(word, &names) };
    Err(here(word, cwd).unwrap_or_else(unknown))
}

/// The manifest that a path leads to.
fn manifest_at(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join(MANIFEST) } else { path }
}

/// The refusal of a word that is no name, but would be taken as a path: a directory that holds a manifest, or a manifest,
/// in the working directory.
fn here(word: &str, cwd: &Path) -> Option<TargetError> {
    let path = cwd.join(word);
    let is_read = path.join(MANIFEST).is_file() || Target::load(&path).is_ok();
    let hint = format!("a path has a slash, and `./{word}` would be read");
    is_read.then(|| TargetError::UnknownTarget { name: word.to_owned(), hint })
}

/// Where build commands of a manifest run: the workspace it belongs to, else the nearest package, else the directory that
/// holds `targets/`, else its own directory.
#[must_use]
pub fn root_of(manifest: &Path) -> PathBuf {
    let own = match manifest.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let cargo = |dir: &&Path| plain::text(&dir.join("Cargo.toml"), BYTES_MAX).ok();
    let workspace = own.ancestors().find(|dir| cargo(dir).is_some_and(|text| text.contains("[workspace]")));
    let package = || own.ancestors().find(|dir| cargo(dir).is_some());
    let checkout = || own.ancestors().find(|dir| dir.join("targets").is_dir());
    workspace.or_else(package).or_else(checkout).unwrap_or(own).to_owned()
}

/// A path as people should see it: from `root` when it lies there, else its last part.
#[must_use]
pub fn shown(path: &Path, root: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(inner) if !inner.as_os_str().is_empty() => inner.display().to_string(),
        _ => path.file_name().map_or_else(|| ".".into(), |name| name.to_string_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOY: &str = "version = 1\nname = \"toy\"\nnodes = 3\n[build]\nbinary = \"toy\"\n[node]\ncommand = [\"{bin}\"]\n\
                       [[ready]]\nhttp = \"/\"\nport = 1\n[client.kv-http]\nport = 1\n";

    fn checkout() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in ["toy", "tiny"] {
            std::fs::create_dir_all(dir.path().join("targets").join(name).join("src")).unwrap();
            std::fs::write(dir.path().join("targets").join(name).join(MANIFEST), TOY).unwrap();
        }
        dir
    }

    #[test]
    fn names_are_found_from_any_directory_of_the_checkout() {
        let dir = checkout();
        for inside in ["", "targets", "targets/toy/src"] {
            assert_eq!(find("toy", &dir.path().join(inside), None).unwrap().root, dir.path(), "{inside}");
        }
    }

    #[test]
    fn paths_are_taken_as_they_are() {
        let dir = checkout();
        for path in ["targets/toy", "./targets/toy/", "targets/toy/target.toml"] {
            assert_eq!(find(path, dir.path(), None).unwrap().name(), "toy", "{path}");
        }
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let dir = checkout();
        let refusal = find("tpy", dir.path(), None).unwrap_err().to_string();
        insta::assert_snapshot!(refusal, @"unknown target `tpy`: did you mean `toy`?");
    }

    #[test]
    fn an_unknown_name_that_is_a_path_says_how_to_write_it() {
        let dir = checkout();
        std::fs::create_dir_all(dir.path().join("base")).unwrap();
        let refusal = |word: &str| find(word, dir.path(), None).unwrap_err().to_string();
        assert!(!refusal("base").contains("./base"), "there is no manifest in it");
        std::fs::write(dir.path().join("base").join(MANIFEST), TOY).unwrap();
        std::fs::write(dir.path().join("manifest"), TOY).unwrap();
        std::fs::write(dir.path().join("tpy"), "no manifest").unwrap();
        for word in ["base", "manifest"] {
            let told = format!("unknown target `{word}`: a path has a slash, and `./{word}` would be read");
            assert_eq!(refusal(word), told);
            assert_eq!(find(&format!("./{word}"), dir.path(), None).unwrap().name(), "toy");
        }
        assert_eq!(refusal("tpy"), "unknown target `tpy`: did you mean `toy`?");
    }
}
