//! The checks that can be asked for by name, of histories of anybody: `fuzz check HISTORY --model NAME`.

use crate::raw::{Entry, Error};
use crate::verdict::Judgement;
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

/// A setting that a check understands.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name in [`Options::settings`].
    pub name: &'static str,
    /// What it means, its unit, and what holds without it.
    pub about: &'static str,
}

/// A check with a name.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its name: `register`, `list-append`, `bank`.
    pub name: &'static str,
    /// One line of help: what is checked, of which operations.
    pub about: &'static str,
    /// The settings it understands.
    pub options: &'static [Setting],
    /// Judges a history. Anything it does not understand is an error with its place.
    pub run: fn(&mut Source<'_>, &Options) -> Result<Judgement, Error>,
}

/// All of them, in the order in which help shows them.
pub const CHECKS: &[Check] = &[];

/// The check with this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.name == name)
}
