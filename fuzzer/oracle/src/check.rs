//! The checks that can be asked for by name, of histories of anybody: `fuzz check HISTORY --model NAME`.

mod tally;

pub use tally::Tally;

use crate::checker;
use crate::example::Example;
use crate::raw::{Entry, Error, clients};
use crate::verdict::{Judgement, Verdict};
use std::collections::BTreeMap;

/// A history as it is read, an entry at a time.
pub type Source<'a> = dyn Iterator<Item = Result<Entry, Error>> + 'a;

/// What a check may be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most steps of a search; out of budget is unknown.
    pub steps_max: u64,
    /// What the check at hand understands besides, by name: see its [`Check::options`].
    pub settings: BTreeMap<String, String>,
}

impl Default for Options {
    /// Ten million steps, no settings.
    fn default() -> Self {
        Self { steps_max: 10_000_000, settings: BTreeMap::new() }
    }
}

impl Options {
    /// The text of a setting.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A setting that is `yes` or `no`.
    ///
    /// # Errors
    /// It is neither.
    pub fn is_set(&self, name: &str, default: bool) -> Result<bool, Error> {
        match self.text(name) {
            None => Ok(default),
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            Some(other) => Err(Error::at(None, format!("setting `{name}` is {other:?}, expected yes or no"))),
        }
    }

    /// A setting that is a whole number.
    ///
    /// # Errors
    /// It is none, or does not fit.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Error> {
        let parse = |text: &str| {
            let cause = || format!("setting `{name}` is {text:?}, expected a whole number in its range");
            text.parse().map_err(|_| Error::at(None, cause()))
        };
        self.text(name).map(parse).transpose()
    }
}

/// Reads a history and judges it. Whoever asks uses [`Check::judge`], which knows who is a client, and that nothing judged
/// is not valid.
pub type Run = fn(&mut Source<'_>, &Options) -> Result<Judgement, Error>;

/// A setting that a check understands.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in [`Options::settings`].
    pub name: &'static str,
    /// What it means, its unit, and what holds without it.
    pub about: &'static str,
}

/// What a check holds in memory while it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Operations that are open, and a little for each process and key: a history may be larger than memory.
    Open,
    /// Something of every operation: memory grows with the history.
    History,
}

impl Holds {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::History => "history",
        }
    }
}

/// A check with a name.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name: `register`, `list-append`, `bank`.
    pub name: &'static str,
    /// One line of help: what is checked, of which operations.
    pub about: &'static str,
    /// A history in which it finds something.
    pub example: Example,
    /// The settings it understands.
    pub options: &'static [Setting],
    /// What it holds in memory.
    pub holds: Holds,
    /// Judges a history. Anything it does not understand is an error with its place.
    pub run: Run,
}

impl Check {
    /// Judges a history, once it is certain that the check understands all settings.
    ///
    /// Nothing judged is never valid: where no operation succeeded, and nothing is wrong, the answer is unknown.
    ///
    /// # Errors
    /// A setting that the check does not have, an entry that cannot be read (also behind the part that the check looked
    /// at), or what [`Check::run`] says.
    pub fn judge(&self, source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
        self.judge_and_count(source, options).map(|(judgement, _)| judgement)
    }

    /// The same, with the count of what was read.
    ///
    /// # Errors
    /// Those of [`Check::judge`].
    pub fn judge_and_count(
        &self,
        source: &mut Source<'_>,
        options: &Options,
    ) -> Result<(Judgement, Tally), Error> {
        let is_known = |name: &&String| self.options.iter().any(|setting| setting.name == name.as_str());
        if let Some(name) = options.settings.keys().find(|name| !is_known(name)) {
            let known: Vec<&str> = self.options.iter().map(|setting| setting.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Error::at(None, format!("`{}` has no setting `{name}`; it has {known}", self.name)));
        }
        let mut tally = Tally::default();
        let mut entries = clients(source).inspect(|entry| entry.iter().for_each(|entry| tally.count(entry)));
        let mut judgement = (self.run)(&mut entries, options)?;
        // a check may be content with a part; a history is good as a whole
        entries.try_for_each(|entry| entry.map(drop))?;
        if self.judges_operations()
            && judgement.verdict() == Verdict::Valid
            && let Some(why) = tally.says_nothing()
        {
            judgement.unknown(why);
        }
        if judgement.verdict() != Verdict::Valid {
            tally.names().into_iter().for_each(|note| judgement.note(note));
        }
        Ok((judgement, tally))
    }

    /// It judges operations of clients; others judge lines, ends of processes or samples, and say themselves when there
    /// are none.
    fn judges_operations(&self) -> bool {
        use checker::process::{CRASH, LOG_PATTERN, SANITIZER};
        ![CRASH, SANITIZER, LOG_PATTERN, checker::steady_state::CHECK]
            .iter()
            .any(|other| other.name == self.name)
    }
}

/// All of them, in the order in which help shows them.
pub const CHECKS: &[Check] = &[
    checker::linearizable::raw::REGISTER,
    checker::linearizable::raw::CAS_REGISTER,
    checker::linearizable::raw::MULTI_REGISTER,
    checker::linearizable::raw::MAP,
    checker::linearizable::raw::SET,
    checker::linearizable::raw::QUEUE,
    checker::linearizable::raw::STACK,
    checker::linearizable::raw::COUNTER,
    checker::linearizable::raw::MUTEX,
    checker::set::SET,
    checker::set::SET_FULL,
    checker::unique_ids::CHECK,
    checker::bank::CHECK,
    checker::counter::CHECK,
    checker::queue::QUEUE,
    checker::queue::TOTAL_QUEUE,
    checker::semaphore::MUTEX,
    checker::semaphore::SEMAPHORE,
    checker::fencing::CHECK,
    checker::kafka::CHECK,
    checker::watch::CHECK,
    checker::convergence::G_SET,
    checker::convergence::BROADCAST,
    checker::convergence::OR_SET,
    checker::convergence::PN_COUNTER,
    checker::convergence::G_COUNTER,
    checker::convergence::AGREEMENT,
    checker::stats::CHECK,
    checker::steady_state::CHECK,
    checker::recovery::CHECK,
    checker::durability::raw::CHECK,
    checker::process::CRASH,
    checker::process::SANITIZER,
    checker::process::LOG_PATTERN,
    checker::long_fork::CHECK,
    checker::causal::CHECK,
    checker::causal_reverse::CHECK,
    checker::predicate::CHECK,
    checker::transaction::append::CHECK,
    checker::transaction::register::CHECK,
    checker::transaction::weak::READ_COMMITTED,
    checker::transaction::weak::READ_ATOMIC,
    checker::transaction::weak::CAUSAL,
    checker::transaction::serial::SERIALIZABLE,
    checker::transaction::serial::STRICT,
    checker::transaction::serial::SNAPSHOT,
];

pub use crate::checker::transaction::known::{ALIASES, ANOMALIES, Anomaly, canonical, named as anomaly};

/// The check with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_a_check_of_its_own() {
        let names: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
        let all: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), all.len(), "a name occurs twice: {all:?}");
        assert!(CHECKS.iter().all(|check| named(check.name).is_some_and(|one| one.about == check.about)));
    }

    #[test]
    fn settings_are_read_and_strangers_refused() {
        let setting = |name: &str, text: &str| {
            let settings = BTreeMap::from([(name.to_owned(), text.to_owned())]);
            Options { settings, ..Options::default() }
        };
        assert_eq!(setting("a", "yes").is_set("a", false), Ok(true));
        assert_eq!(setting("a", "yes").is_set("b", false), Ok(false));
        assert_eq!(setting("a", "-7").number::<i64>("a"), Ok(Some(-7)));
        let cause = |error: Error| error.cause;
        let expected = "setting `a` is \"-7\", expected a whole number in its range";
        assert_eq!(setting("a", "-7").number::<u64>("a").map_err(cause), Err(expected.to_owned()));
        let expected = "setting `a` is \"on\", expected yes or no";
        assert_eq!(setting("a", "on").is_set("a", false).map_err(cause), Err(expected.to_owned()));
        let example = Example { settings: &[], history: &[], finds: "" };
        let run: Run = |_, _| Ok(Judgement::new("x"));
        let check = Check { name: "x", about: "", example, options: &[], holds: Holds::Open, run };
        let refused = check.judge(&mut std::iter::empty(), &setting("a", "1")).map_err(cause);
        assert_eq!(refused, Err("`x` has no setting `a`; it has none".to_owned()));
        assert!(check.judge(&mut std::iter::empty(), &Options::default()).is_ok());
    }

    /// What the check says of lines `PROCESS :TYPE :F VALUE`.
    fn told(check: &Check, lines: &[&str]) -> Verdict {
        let text: String = lines
            .iter()
            .map(|line| {
                let mut words = line.splitn(4, ' ');
                let mut next = || words.next().unwrap_or("nil");
                let (process, phase, f, value) = (next(), next(), next(), next());
                format!("{{:process {process}, :type {phase}, :f {f}, :value {value}}}\n")
            })
            .collect();
        let mut entries = crate::format::read(
            crate::format::Format::Edn,
            text.as_bytes(),
            crate::format::Options::default(),
        );
        check.judge(&mut entries, &Options::default()).unwrap().verdict()
    }

    #[test]
    fn nothing_judged_is_not_valid() {
        let unknown = |why: &str| Verdict::Unknown { why: format!("register: {why}") };
        let check = Check {
            run: |source, _| crate::raw::ops(source).map(|_| Judgement::new("register")),
            ..CHECKS[0]
        };
        assert_eq!(told(&check, &["0 :invoke :write 1", "0 :ok :write 1"]), Verdict::Valid);
        assert_eq!(
            told(&check, &[]),
            unknown("the history has no operation of a client, so nothing was judged")
        );
        assert_eq!(
            told(&check, &[":nemesis :info :kill", ":nemesis :info :start"]),
            unknown(
                "the history has no operation of a client (only entries of nemesis), so nothing was judged"
            )
        );
        assert_eq!(
            told(
                &check,
                &[
                    "0 :invoke :write 1",
                    "0 :fail :write 1",
                    "1 :invoke :read",
                    "1 :info :read",
                    "2 :invoke :read"
                ]
            ),
            unknown(
                "none of the 3 operations succeeded (1 failed, 2 of unknown end), so nothing can be said of them"
            )
        );
    }

    #[test]
    fn no_check_calls_nothing_valid() {
        for check in CHECKS {
            let settings =
                check.example.settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let options = Options { settings: settings.collect(), ..Options::default() };
            let judgement = check.judge(&mut std::iter::empty(), &options).unwrap();
            assert!(matches!(judgement.verdict(), Verdict::Unknown { .. }), "{}", check.name);
        }
    }
}
