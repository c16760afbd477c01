//! Histories of our own findings: what was found in the run may not be in what its clients saw.

use anyhow::Context;
use oracle::{Judgement, Verdict, Violation};
use std::path::{Path, PathBuf};

/// The file of a finding that says what was found.
const VERDICT: &str = "verdict.json";

/// A finding whose history is judged.
pub struct Finding {
    directory: PathBuf,
    violation: Violation,
}

impl Finding {
    /// The finding that a path, or the directory of a file `history.jsonl`, is.
    ///
    /// # Errors
    /// Its verdict cannot be read.
    pub fn at(history: &Path) -> anyhow::Result<Option<Self>> {
        let directory = match history.file_name() {
            Some(name) if name == "history.jsonl" && !history.is_dir() => history.parent().unwrap_or(history),
            _ => history,
        };
        let path = directory.join(VERDICT);
        if !path.is_file() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let verdict: Verdict = serde_json::from_str(&text)
            .with_context(|| format!("{}: this is no verdict of a finding", path.display()))?;
        Ok(match verdict {
            Verdict::Violation(violation) => Some(Self { directory: directory.to_owned(), violation }),
            Verdict::Valid | Verdict::Unknown { .. } => None,
        })
    }

    /// Says what was found where the history alone does not show it: then it is not valid.
    pub fn compare(&self, judgement: &mut Judgement) {
        let signature = &self.violation.signature;
        if judgement.verdict() == Verdict::Valid {
            judgement.unknown(self.told());
        } else if judgement.violations.iter().all(|violation| violation.signature != *signature) {
            judgement.note(self.told());
        }
    }

    /// What this finding is.
    pub fn told(&self) -> String {
        let Violation { signature, oracle, .. } = &self.violation;
        format!(
            "this is the finding {signature}, of the oracle {oracle}, which what clients saw does not show here; \
             `fuzz replay {}` shows it",
            self.directory.display()
        )
    }
}
