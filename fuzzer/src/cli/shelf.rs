//! Where `--keep` puts runs, whatever they showed: a directory each, as a finding is written.

use super::output::note;
use super::rig::{self, Rig};
use anyhow::bail;
use fuzzer::execution::Execution;
use fuzzer::report::story;
use fuzzer::reproducer::environment::Environment;
use fuzzer::reproducer::{Record, ReproducerError};
use fuzzer::target::Part;
use std::path::{Path, PathBuf};

/// Runs of a search that are kept: with its timeline and its history each takes a megabyte or more.
pub const RUNS_MAX: u64 = 100;

/// A directory of runs.
pub struct Shelf {
    directory: PathBuf,
    environment: Environment,
    parts: Vec<Part>,
}

impl Shelf {
    /// The one that was asked for.
    ///
    /// # Errors
    /// What is there is no directory.
    pub fn asked(directory: Option<&Path>, rig: &Rig) -> anyhow::Result<Option<Self>> {
        let Some(directory) = directory else { return Ok(None) };
        if directory.exists() && !directory.is_dir() {
            bail!("--keep {}: it is there already, and no directory", directory.display());
        }
        let (environment, parts) = (rig.environment(), rig.parts());
        Ok(Some(Self { directory: directory.to_owned(), environment, parts }))
    }

    /// Puts a run there by the name `name`, which may have directories in it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&self, name: &str, run: &Execution) -> Result<(), ReproducerError> {
        let place = self.directory.join(name);
        let slug = place.file_name().and_then(|slug| slug.to_str()).unwrap_or("run");
        let story = story::tell(run, None);
        let record = Record {
            execution: run,
            slug,
            original: None,
            environment: &self.environment,
            story: &story,
            parts: &self.parts,
        };
        record.write(place.parent().unwrap_or(Path::new("."))).map(drop)
    }

    /// Says where all of it is.
    pub fn tell(&self) {
        note(format!("runs are kept in {}", rig::typed(&self.directory).display()));
    }
}
