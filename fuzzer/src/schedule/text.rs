//! Schedules as TOML, which people read and write, and their digest.

use super::{BYTES_MAX, Refusal, STEPS_MAX, Schedule, VERSION};
use crate::syntax;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Why a text is not a schedule that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// It is not TOML, or TOML of something else; with line and column.
    #[error("{0}")]
    Syntax(String),
    /// It was written by a newer version.
    #[error(
        "schedule version {found} was written by a newer version of this program, which reads up to {VERSION}; update fuzz"
    )]
    Newer {
        /// The version it names.
        found: u32,
    },
    /// It is too long to be read at all.
    #[error("{found} bytes are more than the {BYTES_MAX} of a schedule, which has at most {STEPS_MAX} steps")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// It can be read but not run.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Schedule {
    /// Reads and checks a schedule.
    ///
    /// # Errors
    /// Line and column for what is not TOML or not a schedule; the field or step for what cannot be run.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        if text.len() > BYTES_MAX {
            return Err(ScheduleError::TooLong { found: text.len() });
        }
        let syntax = |e: toml::de::Error| ScheduleError::Syntax(syntax::told(text, &e, &["workload"]));
        let version: Version = toml::from_str(text).map_err(syntax)?;
        if version.version > VERSION {
            return Err(ScheduleError::Newer { found: version.version });
        }
        let schedule: Self = toml::from_str(text).map_err(syntax)?;
        schedule.check()?;
        Ok(schedule)
    }

    /// Its text, which [`Self::parse`] reads back to the same schedule.
    ///
    /// # Panics
    /// When a number does not fit in 63 bits; a schedule that passed [`Self::check`] has none.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a checked schedule has only numbers that TOML writes")
    }

    /// SHA-256 of its text, in hex: equal schedules have equal digests.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hex = String::new();
        for byte in Sha256::digest(self.to_toml()) {
            write!(hex, "{byte:02x}").expect("a string grows");
        }
        hex
    }
}

/// Only the version, whatever else is there.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"version = 1
target = "demo"
bugs = ["stale"]
nodes = 3
seed = 7
horizon_ms = 8000

[workload]
clients = 5
rate = 20
keys = 3

[[step]]
when = { at_ms = 900 }
fault = { kind = "partition", side = ["n1"], for_ms = 1500 }

[[step]]
when = { event = "send:append", node = "n2", nth = 3 }
fault = { kind = "power-loss", node = "n2", loss = "torn", down_ms = 400 }
"#;

    fn why(from: &str, to: &str) -> String {
        let text = TEXT.replacen(from, to, 1);
        assert_ne!(text, TEXT);
        Schedule::parse(&text).unwrap_err().to_string()
    }

    #[test]
    fn text_and_binary_forms_are_exact() {
        let schedule = Schedule::parse(TEXT).unwrap();
        assert_eq!(Schedule::parse(&schedule.to_toml()).unwrap(), schedule);
        let frame = crate::codec::encode(&schedule).unwrap();
        assert_eq!(crate::codec::decode::<Schedule>(&frame).unwrap(), schedule);
        let parts = (schedule.steps.clone(), schedule.workload.clone());
        let frame = crate::codec::encode(&parts).unwrap();
        assert_eq!(
            crate::codec::decode::<(Vec<crate::schedule::Step>, crate::schedule::Workload)>(&frame).unwrap(),
            parts
        );
        assert_eq!(
            postcard::from_bytes::<Schedule>(&postcard::to_allocvec(&schedule).unwrap()).unwrap(),
            schedule
        );
    }

    #[test]
    fn the_digest_is_that_of_the_content() {
        let schedule = Schedule::parse(TEXT).unwrap();
        let mut other = schedule.clone();
        assert_eq!(other.digest(), schedule.digest());
        other.seed = 8;
        assert_ne!(other.digest(), schedule.digest());
        assert_eq!(schedule.digest().len(), 64);
    }

    #[test]
    fn errors_name_the_place_and_the_remedy() {
        assert_eq!(
            why("version = 1", "version = 9\nfuture = true"),
            "schedule version 9 was written by a newer version of this program, which reads up to 1; update fuzz"
        );
        assert_eq!(why("nodes = 3", "nodes = 0"), "nodes: 0 is out of range; 1 to 9 are possible");
        assert_eq!(why("clients = 5", "clients = 0"), "workload: clients is 0; give at least 1");
        assert_eq!(
            why("clients = 5", "clients = 251"),
            "workload: clients = 251 is out of range; 1 to 250 are possible"
        );
        for name in ["", "..", "a/b", "/tmp/x", "./demo", "Demo", "de mo", "a\\u0000", &"a".repeat(65)] {
            let error = why("\"demo\"", &format!("\"{name}\""));
            assert!(error.starts_with("target: `") && error.contains("is no name of a target"), "{error}");
        }
        let long = format!("{TEXT}{}", "#".repeat(BYTES_MAX));
        let long = Schedule::parse(&long).unwrap_err().to_string();
        assert!(
            long.ends_with("bytes are more than the 1048576 of a schedule, which has at most 1024 steps"),
            "{long}"
        );
        assert_eq!(
            why("side = [\"n1\"]", "side = [\"n4\"]"),
            "step 1 (at 900ms: cut off n4 for 1.5s): unknown node n4: the cluster has n1 to n3"
        );
        assert_eq!(
            why("at_ms = 900", "at_ms = 9000"),
            "step 1 (at 9s: cut off n1 for 1.5s): its instant lies beyond horizon_ms = 8000"
        );
        for (from, to, part) in [
            ("[\"n1\"]", "[\"x1\"]", "`x1` is not a node; nodes are written n1, n2, n3"),
            (", nth = 3", "", "add nth = 1 for the first"),
            ("at_ms = 900", "at_ms = 900, nth = 1", "it is either at_ms or event and nth"),
            ("{ at_ms = 900 }", "{}", "says neither at_ms nor event"),
            ("at_ms = 900", "at = 900", "unknown field `at`"),
            ("\"partition\"", "\"partitoin\"", "unknown variant `partitoin`"),
            ("seed = 7", "sede = 7", "unknown field `sede`"),
            ("nodes = 3", "nodes = ", "line 4"),
        ] {
            let error = why(from, to);
            assert!(error.contains(part), "{error}");
        }
    }
}
