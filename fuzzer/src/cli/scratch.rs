//! A directory for as long as a command runs.

use anyhow::Context;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the names begin with; the number of the process follows.
const PREFIX: &str = "fuzz-scratch-";

/// Gone when it is dropped; what is left of a process that was killed goes with the next one that is made.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one in the directory for temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make() -> anyhow::Result<Self> {
        Self::make_in(&std::env::temp_dir())
    }

    fn make_in(base: &Path) -> anyhow::Result<Self> {
        clear(base);
        let path = base.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!(%error, "leaving the directory to the next start");
        }
    }
}

/// Removes our own directories whose processes are gone; what cannot be removed stays.
fn clear(base: &Path) {
    let own = nix::unistd::getuid().as_raw();
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        let is_dead = owner.is_some_and(|id| !Path::new("/proc").join(id.to_string()).exists());
        if is_dead && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == own) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dead_processes_left_is_cleared_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        // No process has this number: it is above the kernel's limit.
        let dead = base.path().join(format!("{PREFIX}4194999"));
        let alive = base.path().join(format!("{PREFIX}1"));
        let other = base.path().join("fuzz-scratch-notes");
        for dir in [&dead, &alive, &other] {
            std::fs::create_dir_all(dir.join("deep")).unwrap();
        }
        let scratch = Scratch::make_in(base.path()).unwrap();
        assert!(scratch.path().is_dir() && alive.exists() && other.exists() && !dead.exists());
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
