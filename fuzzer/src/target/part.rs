//! The files that a target is made of beside its binary, for a copy that can take its place.

use super::Target;
use super::client::ExecSpec;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The most bytes of a file that is copied: bigger ones are data that came from elsewhere.
const BYTES_MAX: u64 = 16 << 20;

/// A file to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where in the copy; the manifest finds its files there as it does now.
    pub path: PathBuf,
    /// Where it is.
    pub file: PathBuf,
}

impl Target {
    /// The manifest, first, and the files that it places which lie beside it or near it. What has an absolute path stays
    /// where it is.
    ///
    /// # Errors
    /// When a directory that is placed cannot be read.
    pub fn parts(&self) -> io::Result<Vec<Part>> {
        let beside = self.file.parent().unwrap_or(Path::new("/"));
        let client = self.manifest.client.exec.as_ref().map_or(&[][..], |ExecSpec { files, .. }| files);
        let specs = self.manifest.node.files.iter().chain(client).filter(|spec| spec.text.is_none());
        let named = specs.map(|spec| spec.from.as_deref().unwrap_or(&spec.path));
        let placed: Vec<PathBuf> =
            named.filter(|from| from.is_relative()).map(|from| plain(&beside.join(from))).collect();
        // What is placed from beside the manifest's own directory needs that directory's name in the copy.
        let base = beside.ancestors().find(|dir| placed.iter().all(|file| file.starts_with(dir)));
        let base = base.unwrap_or(Path::new("/"));
        let mut files = vec![self.file.clone()];
        placed.iter().try_for_each(|file| all_of(file, &mut files))?;
        files[1..].sort();
        files.dedup();
        let inside = |file: PathBuf| {
            let path = file.strip_prefix(base).ok()?.to_owned();
            Some(Part { path, file })
        };
        Ok(files.into_iter().filter_map(inside).collect())
    }
}

/// A file, or all files under a directory.
fn all_of(place: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_dir() {
        for entry in std::fs::read_dir(place)? {
            all_of(&entry?.path(), files)?;
        }
    } else if place.metadata().is_ok_and(|it| it.is_file() && it.len() <= BYTES_MAX) {
        files.push(place.to_owned());
    }
    Ok(())
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_finds_its_files_where_the_manifest_looks_for_them() {
        let dir = tempfile::tempdir().unwrap();
        let text = |from: &str| {
            format!(
                "version = 1\nname = \"toy\"\nnodes = 1\n[build]\nbinary = \"toy\"\n[node]\ncommand = [\"{{bin}}\"]\n\
                 [[node.file]]\npath = \"x\"\nfrom = \"{from}\"\n[[node.file]]\npath = \"y\"\ntext = \"hello\"\n\
                 [[ready]]\nhttp = \"/\"\nport = 1\n[client.kv-http]\nport = 1\n"
            )
        };
        let own = dir.path().join("targets/toy");
        std::fs::create_dir_all(own.join("more/deep")).unwrap();
        std::fs::write(own.join("more/deep/b"), "b").unwrap();
        std::fs::write(own.join("more/a"), "a").unwrap();
        std::fs::create_dir_all(dir.path().join("targets/other")).unwrap();
        std::fs::write(dir.path().join("targets/other/z"), "z").unwrap();
        let paths = |from: &str| -> Vec<String> {
            std::fs::write(own.join("target.toml"), text(from)).unwrap();
            let target = Target::load(&own.join("target.toml")).unwrap();
            target.parts().unwrap().iter().map(|it| it.path.display().to_string()).collect()
        };
        assert_eq!(paths("./more"), ["target.toml", "more/a", "more/deep/b"]);
        assert_eq!(paths("../other/z"), ["toy/target.toml", "other/z"]);
        assert_eq!(paths("/etc/hosts"), ["target.toml"]);
    }
}
