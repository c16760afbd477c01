//! Lines by which programs say what they are: `became leader at term 7` is as good as a report, once it is known that this is
//! how the program says so.

use crate::event::Report;
use std::collections::BTreeMap;

/// The kind of report that a line of this sort amounts to.
pub const KIND: &str = "role";

/// Numbers that a line may tell, as they are written in its pattern: `{term}`.
pub const NUMBERS: [&str; 3] = ["term", "commit", "last"];

/// How one role is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleLine {
    role: String,
    /// Texts that follow each other in the line, with anything between; after a text a number may be told.
    parts: Vec<(String, Option<&'static str>)>,
}

impl RoleLine {
    /// Reads a pattern: texts that follow each other, with `{…}` for anything between them and `{term}`, `{commit}` or `{last}`
    /// for a number right there.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(role: &str, pattern: &str) -> Result<Self, String> {
        let (mut parts, mut rest) = (Vec::new(), pattern);
        while let Some((text, behind)) = rest.split_once('{') {
            let Some((name, behind)) = behind.split_once('}') else {
                return Err(format!("`{pattern}` has a `{{` without its `}}`"));
            };
            let number = NUMBERS.into_iter().find(|number| *number == name);
            if number.is_none() && name != "…" && name != "..." {
                return Err(format!(
                    "`{{{name}}}` is not known; write {{term}}, {{commit}}, {{last}}, or {{…}} for anything"
                ));
            }
            if text.is_empty() {
                return Err(format!("there is nothing to look for before `{{{name}}}`"));
            }
            parts.push((text.to_owned(), number));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push((rest.to_owned(), None));
        }
        if parts.is_empty() {
            return Err("it has no text to look for".into());
        }
        Ok(Self { role: role.to_owned(), parts })
    }

    /// The report that a line amounts to, if it says this.
    #[must_use]
    pub fn read(&self, line: &str) -> Option<Report> {
        let mut fields = BTreeMap::from([("role".to_owned(), self.role.clone())]);
        let mut rest = line;
        for (text, number) in &self.parts {
            let (_, behind) = rest.split_once(text.as_str())?;
            rest = behind;
            if let Some(name) = number {
                let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let value: u64 = rest[..digits].parse().ok()?;
                fields.insert((*name).to_owned(), value.to_string());
                rest = &rest[digits..];
            }
        }
        Some(Report { kind: KIND.to_owned(), fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, line: &str) -> Option<(Option<u64>, Option<u64>)> {
        let report = RoleLine::parse("leader", pattern).unwrap().read(line)?;
        assert_eq!((report.kind.as_str(), report.text("role")), ("role", Some("leader")));
        Some((report.number("term"), report.number("commit")))
    }

    #[test]
    fn lines_are_read_as_the_pattern_says() {
        let etcd = r#"{"level":"info","msg":"8211f1d0f64f3269 became leader at term 12"}"#;
        assert_eq!(read("became leader at term {term}", etcd), Some((Some(12), None)));
        assert_eq!(read("became leader", etcd), Some((None, None)));
        assert_eq!(read("became follower", etcd), None);
        assert_eq!(read("leader{…}term {term}", etcd), Some((Some(12), None)));
        assert_eq!(
            read("at term {term} commit {commit}", "now at term 3 commit 40."),
            Some((Some(3), Some(40)))
        );
        assert_eq!(read("at term {term}", "at term x"), None, "a number must be one");
        assert_eq!(read("at term {term}", "at term 99999999999999999999999"), None);
    }

    #[test]
    fn patterns_that_say_nothing_are_refused() {
        let refused = |pattern| RoleLine::parse("leader", pattern).unwrap_err();
        assert_eq!(refused(""), "it has no text to look for");
        assert_eq!(refused("{term} x"), "there is nothing to look for before `{term}`");
        assert_eq!(refused("a {term"), "`a {term` has a `{` without its `}`");
        assert!(refused("a {trem}").starts_with("`{trem}` is not known"));
    }
}
