//! Variables of a Compose file: what the process's environment and `.env` files say, filled in as Compose does it:
//! <https://docs.docker.com/reference/compose-file/interpolation/>. The environment comes before files.

use super::dotenv;
use super::yaml::Fault;
use std::collections::{BTreeMap, BTreeSet};

/// How deep defaults of variables may lie in each other.
const DEPTH_MAX: usize = 32;
/// Most bytes of a file in which variables are filled in, all its texts with variables together.
const FILLED_MAX: usize = 4 << 20;

/// What is known of variables.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    environment: BTreeMap<String, String>,
    files: BTreeMap<String, String>,
}

impl Variables {
    /// Those of an environment.
    pub fn of(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { environment: environment.into_iter().collect(), files: BTreeMap::new() }
    }

    /// Adds those of an `.env` file; a later file comes before an earlier one.
    ///
    /// # Errors
    /// The first line that is none of such a file.
    pub fn add(&mut self, text: &str) -> Result<(), Fault> {
        for (name, value) in dotenv::read(text, self)? {
            self.files.insert(name, value);
        }
        Ok(())
    }

    /// What a variable stands for, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.files.get(name)).map(String::as_str)
    }
}

/// Fills variables in, and keeps in mind which were not set.
pub struct Filling<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    /// Those that were not set and are empty therefore.
    pub unset: BTreeSet<String>,
    /// Bytes that may still be made.
    left: usize,
}

impl<'a> Filling<'a> {
    /// Fills in what `get` knows.
    pub fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get, unset: BTreeSet::new(), left: FILLED_MAX }
    }

    /// The text with `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:+other}`, `${NAME+other}`,
    /// `${NAME:?message}`, `${NAME?message}` and `$$` filled in.
    ///
    /// # Errors
    /// What is none of these; a variable that must be set and is not.
    pub fn fill(&mut self, text: &str) -> Result<String, String> {
        self.filled(text, 0)
    }

    fn filled(&mut self, text: &str, depth: usize) -> Result<String, String> {
        if depth > DEPTH_MAX {
            return Err(format!("defaults of variables lie more than {DEPTH_MAX} deep"));
        }
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                filled.push('$');
                rest = after;
                continue;
            }
            let (inside, after) = match rest.strip_prefix('{') {
                Some(inner) => {
                    let end = closing(inner)
                        .ok_or_else(|| format!("`${}` is not closed; `$$` is a dollar sign", shown(rest)))?;
                    (&inner[..end], &inner[end + 1..])
                }
                None => rest.split_at(name_end(rest)),
            };
            let (name, operation) = inside.split_at(name_end(inside));
            if name.is_empty() {
                return Err(format!("`${}` names no variable; `$$` is a dollar sign", shown(rest)));
            }
            filled.push_str(&self.value(name, operation, depth)?);
            rest = after;
            if filled.len() > self.left {
                return Err(beyond());
            }
        }
        filled.push_str(rest);
        self.left = self.left.checked_sub(filled.len()).ok_or_else(beyond)?;
        Ok(filled)
    }

    /// What a variable with an operation behind it stands for.
    fn value(&mut self, name: &str, operation: &str, depth: usize) -> Result<String, String> {
        let value = (self.get)(name);
        let (also_empty, operation) = match operation.strip_prefix(':') {
            Some(operation) => (true, operation),
            None => (false, operation),
        };
        let is_set = value.as_ref().is_some_and(|value| !(also_empty && value.is_empty()));
        let mut operation = operation.chars();
        let (kind, other) = (operation.next(), operation.as_str());
        match kind {
            None if !also_empty => {
                if value.is_none() {
                    self.unset.insert(name.to_owned());
                }
                Ok(value.unwrap_or_default())
            }
            Some('-' | '?') if is_set => Ok(value.unwrap_or_default()),
            Some('-') => self.filled(other, depth + 1),
            Some('+') if is_set => self.filled(other, depth + 1),
            Some('+') => Ok(String::new()),
            Some('?') => {
                let said = self.filled(other, depth + 1)?;
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                Err(format!("the variable {name} must be set, in the environment or in .env{said}"))
            }
            _ => Err(format!(
                "`{}` behind the variable {name} is no operation; expected one of :- - :+ + :? ?",
                shown(&format!("{}{other}", kind.map_or_else(String::new, String::from)))
            )),
        }
    }
}

fn beyond() -> String {
    format!("variables make the texts of this file longer than {FILLED_MAX} bytes")
}

fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Whether a text can be the name of a variable.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && name_end(text) == text.len()
}

/// Where the name ends with which a text begins.
fn name_end(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Where the brace that encloses `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> (Result<String, String>, Vec<String>) {
        let get = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            "LONG" => Some("l".repeat(100_000)),
            _ => None,
        };
        let mut filling = Filling::new(&get);
        let filled = filling.fill(text);
        (filled, filling.unset.into_iter().collect())
    }

    #[test]
    fn variables_stand_for_what_compose_says() {
        for (text, expected) in [
            ("$A-${A}-$$A-$${A}", "a-a-$A-${A}"),
            ("${A:-x}${A-x}${A:+x}${A+x}${A:?x}${A?x}", "aaxxaa"),
            ("${EMPTY:-x}|${EMPTY-x}|${EMPTY:+x}|${EMPTY+x}|${EMPTY?x}|$EMPTY", "x|||x||"),
            ("${B:-x}|${B-}|${B:+x}|${B+x}", "x|||"),
            ("${B:-${C:-${A}}}/${B-$A}/${B:-a{b}c}", "a/a/a{b}c"),
            ("$A.b ${A}b ünï", "a.b ab ünï"),
        ] {
            assert_eq!(filled(text), (Ok(expected.to_owned()), vec![]), "{text}");
        }
        assert_eq!(filled("[$B|${C}|$A]"), (Ok("[||a]".into()), vec!["B".into(), "C".into()]));
    }

    #[test]
    fn what_cannot_be_filled_in_is_refused() {
        for (text, expected) in [
            ("a ${A", "`${A` is not closed; `$$` is a dollar sign"),
            ("a $ b", "`$ b` names no variable; `$$` is a dollar sign"),
            ("grep x$", "`$` names no variable; `$$` is a dollar sign"),
            ("${}", "`${}` names no variable; `$$` is a dollar sign"),
            ("$1", "`$1` names no variable; `$$` is a dollar sign"),
            ("${B:?say which $A}", "the variable B must be set, in the environment or in .env: say which a"),
            ("${EMPTY:?}", "the variable EMPTY must be set, in the environment or in .env"),
            ("${A/x/y}", "`/x/y` behind the variable A is no operation; expected one of :- - :+ + :? ?"),
            ("${A:}", "`` behind the variable A is no operation; expected one of :- - :+ + :? ?"),
        ] {
            assert_eq!(filled(text).0, Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn nothing_is_filled_in_without_end() {
        let told = |text: &str| filled(text).0.unwrap_err();
        let nested = "${B:-".repeat(100_000) + &"}".repeat(100_000);
        assert_eq!(told(&nested), "defaults of variables lie more than 32 deep");
        assert!(told(&"${".repeat(500_000)).ends_with("is not closed; `$$` is a dollar sign"));
        let long = told(&"$LONG".repeat(100));
        assert_eq!(long, "variables make the texts of this file longer than 4194304 bytes");
    }

    #[test]
    fn the_environment_comes_before_files_and_later_files_before_earlier_ones() {
        let mut variables = Variables::of([("A".to_owned(), "environment".to_owned())]);
        variables.add("A=1\nB=$A-2\nC=3\n").unwrap();
        variables.add("C=$B-4\n").unwrap();
        let shown: Vec<Option<&str>> = ["A", "B", "C", "D"].map(|name| variables.get(name)).into();
        assert_eq!(shown, [Some("environment"), Some("environment-2"), Some("environment-2-4"), None]);
    }
}
