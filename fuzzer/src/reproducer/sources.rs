//! Sources: the files of the host that a run read or ran, with their digests, so that a replay which goes another way can
//! say which of them is another one. No path that names a user is kept.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Result};
use std::path::{Path, PathBuf};

/// Bytes that are read of all files together; of those that come later the length stands for the contents.
const READ_MAX: u64 = 512 << 20;
/// Directories whose names say nothing of a user.
const KNOWN: [&str; 8] = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/etc", "/nix"];

/// Files by name, with the SHA-256 of each, or its length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sources(pub BTreeMap<String, String>);

impl Sources {
    /// Reads the files. What lies in `root`, the target's directory, is named from there.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a PathBuf>, root: &Path) -> Self {
        let mut left = READ_MAX;
        let mut sources = BTreeMap::new();
        for path in paths {
            if let Ok(digest) = digest(path, &mut left) {
                sources.insert(named(path, root), digest);
            }
        }
        Self(sources)
    }

    /// What is different now, a line for each file.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, digest) in &self.0 {
            match now.0.get(name) {
                Some(other) if other == digest => {}
                Some(_) => changes.push(format!("{name} is another file than the recorded one")),
                None => changes.push(format!("{name} is not read any more")),
            }
        }
        let fresh = now.0.keys().filter(|name| !self.0.contains_key(*name));
        changes.extend(fresh.map(|name| format!("{name} was not read then")));
        // What changed comes before what follows from it.
        changes.sort_by_key(|line| !line.contains("another file"));
        changes
    }

    /// As a table.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a table of plain text")
    }
}

fn named(path: &Path, root: &Path) -> String {
    if let Ok(inner) = path.strip_prefix(root) {
        return inner.display().to_string();
    }
    if KNOWN.iter().any(|known| path.starts_with(known)) {
        return path.display().to_string();
    }
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn digest(path: &Path, left: &mut u64) -> Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let Some(rest) = left.checked_sub(len) else { return Ok(format!("{len} bytes")) };
    *left = rest;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_named_first() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two, three] = ["one.so", "two.so", "three.so"].map(|name| directory.path().join(name));
        for path in [&one, &two, &three] {
            std::fs::write(path, "as it was").unwrap();
        }
        let before = Sources::of([&one, &two], directory.path());
        assert_eq!(before.changes(&before), [""; 0]);
        std::fs::write(&two, "otherwise").unwrap();
        let after = Sources::of([&two, &three], directory.path());
        let told = [
            "two.so is another file than the recorded one",
            "one.so is not read any more",
            "three.so was not read then",
        ];
        assert_eq!(before.changes(&after), told);
        assert_eq!(toml::from_str::<Sources>(&after.to_toml()).unwrap(), after);
    }

    #[test]
    fn no_name_tells_of_a_user() {
        let shown = ["/usr/lib/libc.so.6", "/home/me/target/lib/x.py", "/home/me/other/y.so"]
            .map(|path| named(Path::new(path), Path::new("/home/me/target")));
        assert_eq!(shown, ["/usr/lib/libc.so.6", "lib/x.py", "y.so"]);
    }
}
