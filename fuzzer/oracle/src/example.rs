//! Examples: each check has a history of a few operations in which it finds something.

use crate::check::Options;

/// A short history, and what a check finds in it.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// What the check is told.
    pub settings: &'static [(&'static str, &'static str)],
    /// The entries, a second apart, as Jepsen prints them: `PROCESS :TYPE :F VALUE`.
    pub history: &'static [&'static str],
    /// The signature of the violation.
    pub finds: &'static str,
}

impl Example {
    /// The history in EDN, a map a line.
    #[must_use]
    pub fn edn(&self) -> String {
        let map = |(second, line): (usize, &&str)| {
            let mut words = line.splitn(4, ' ');
            let mut next = || words.next().unwrap_or("nil");
            let (process, phase, f, value) = (next(), next(), next(), next());
            // clients are numbers, others have names
            let colon = if process.starts_with(|c: char| c.is_ascii_digit()) { "" } else { ":" };
            format!(
                "{{:process {colon}{process}, :type {phase}, :f {f}, :value {value}, :time {}}}\n",
                second * 1_000_000_000
            )
        };
        self.history.iter().enumerate().map(map).collect()
    }

    /// What the check is told.
    #[must_use]
    pub fn options(&self) -> Options {
        let settings = self.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Options { settings: settings.collect(), ..Options::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{CHECKS, Check};
    use crate::format::{self, Format};

    /// What the check finds in its example.
    fn found(check: &Check) -> Vec<String> {
        let text = check.example.edn();
        let mut entries = format::read(Format::Edn, text.as_bytes(), format::Options::default());
        let judgement = check.judge(&mut *entries, &check.example.options()).unwrap();
        judgement.violations.into_iter().map(|violation| violation.signature).collect()
    }

    #[test]
    fn every_check_finds_what_its_example_says() {
        for check in CHECKS {
            assert_eq!(found(check), [check.example.finds], "{}", check.name);
        }
    }

    #[test]
    fn examples_are_right_without_their_last_answer() {
        for check in CHECKS {
            let history = &check.example.history[..check.example.history.len() - 1];
            let shorter = Check { example: Example { history, ..check.example }, ..*check };
            assert_eq!(found(&shorter), [""; 0], "{}", check.name);
        }
    }
}
