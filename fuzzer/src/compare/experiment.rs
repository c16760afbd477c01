//! The experiment: the file that says what is compared. Owner of its format; what targets and bugs it names is looked up by
//! the caller, which gets the place of each name for its messages.

mod check;
mod typed;

use crate::campaign::Search;
use crate::nearest::suggestion;
use crate::syntax;
use check::Page;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use typed::{Typed, Version};

/// The version that this program reads; newer ones are refused.
pub const VERSION: u32 = 1;
/// The longest file that is read, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// Most arms: more cannot be told apart in a picture.
pub const ARMS_MAX: usize = 12;
/// Most entries of `[[problem]]`.
pub const PROBLEMS_MAX: usize = 200;
/// Most seeds.
pub const SEEDS_MAX: u64 = 10_000;
/// The longest name of an arm or a problem, in characters.
const NAME_MAX: usize = 48;

/// Why a file is no experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    /// It is not TOML, or TOML of something else; with line and column.
    #[error("{0}")]
    Syntax(String),
    /// It was written for a newer version.
    #[error("experiment version {found} is newer than this program reads ({VERSION}); update fuzz")]
    Newer {
        /// The version it names.
        found: u32,
    },
    /// Something in it makes no sense.
    #[error("line {line}, column {column}: {why}")]
    Wrong {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, and what would be right.
        why: String,
    },
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Its name: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// A sentence for people.
    pub about: String,
    /// The arm that the others are compared with, as a position in `arms`.
    pub baseline: usize,
    /// How it is searched; at least one.
    pub arms: Vec<Arm>,
    /// What is searched for; at least one.
    pub problems: Vec<Sought>,
    /// The text, for places.
    text: String,
}

/// One way to search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Its name.
    pub name: String,
    /// The agent, parameters included.
    pub agent: String,
    /// How candidates are drawn.
    pub search: Search,
    /// Whether there are any faults.
    pub faults: bool,
}

/// How often and how long a problem is searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// A search for each.
    pub seeds: Vec<u64>,
    /// Most executions of a search.
    pub executions: u64,
    /// Most host seconds of a search.
    pub seconds: Option<u64>,
    /// Clusters that a search runs at a time.
    pub cores: u16,
    /// The longest schedule, in milliseconds of the cluster's clock.
    pub horizon_ms: u64,
}

/// A word with its place in the file.
pub type Word = Spanned<String>;

/// What is searched for, as typed.
#[derive(Clone, Debug)]
pub struct Sought {
    /// What it is called; absent: by its bug or target.
    pub name: Option<Word>,
    /// The target.
    pub target: Word,
    /// Another binary than the manifest's.
    pub binary: Option<Word>,
    /// Planted bugs, each a problem of its own; sets and `all` stand for several.
    pub bugs: Vec<Word>,
    /// What clients work on.
    pub workload: Option<Word>,
    /// Nodes of a cluster; absent: as the target says.
    pub nodes: Option<u8>,
    /// What counts as the bug: signatures, or their beginnings with `*`; empty: any violation.
    pub signatures: Vec<String>,
    /// What must stay clean.
    pub twin: Twin,
    /// How often and how long.
    pub budget: Budget,
}

/// What must stay clean when it is searched as long.
#[derive(Clone, Debug)]
pub enum Twin {
    /// Nothing is searched.
    None,
    /// The same target without planted bugs.
    Correct,
    /// Another target, or another binary of the same one.
    Other {
        /// The target; absent: the problem's.
        target: Option<Word>,
        /// The binary; absent: the manifest's.
        binary: Option<Word>,
    },
}

impl Experiment {
    /// Reads and checks an experiment; `agent` is the agent of arms that name none.
    ///
    /// # Errors
    /// Line and column of what is no TOML, no experiment or makes no sense.
    pub fn parse(text: &str, agent: &str) -> Result<Self, ExperimentError> {
        let syntax =
            |e: toml::de::Error| ExperimentError::Syntax(syntax::told(text, &e, &["problem", "arm"]));
        let Version { version } = toml::from_str(text).map_err(syntax)?;
        if version > VERSION {
            return Err(ExperimentError::Newer { found: version });
        }
        let typed: Typed = toml::from_str(text).map_err(syntax)?;
        let page = Page(text);
        page.name(&typed.name)?;
        page.count("problem", typed.problem.len(), PROBLEMS_MAX)?;
        page.count("arm", typed.arm.len(), ARMS_MAX)?;
        let usual = page.budget(&typed.search, &Budget::default())?;
        let problems = typed.problem.iter().map(|problem| page.problem(problem, &usual));
        let problems = problems.collect::<Result<_, _>>()?;
        let arms = page.arms(&typed.arm, agent)?;
        let baseline = match &typed.baseline {
            None => 0,
            Some(name) => arms.iter().position(|arm| arm.name == *name.get_ref()).ok_or_else(|| {
                let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
                let hint = suggestion(name.get_ref(), &names);
                page.wrong(name.span(), format!("baseline: there is no arm `{}`: {hint}", name.get_ref()))
            })?,
        };
        let name = typed.name.into_inner();
        Ok(Self { name, about: typed.about, baseline, arms, problems, text: text.to_owned() })
    }

    /// An error at a word's place.
    #[must_use]
    pub fn wrong(&self, word: &Word, why: impl Into<String>) -> ExperimentError {
        Page(&self.text).wrong(word.span(), why)
    }
}

impl Default for Budget {
    /// Ten seeds, a thousand executions on one core, ten seconds of faults.
    fn default() -> Self {
        Self { seeds: (1..=10).collect(), executions: 1_000, seconds: None, cores: 1, horizon_ms: 10_000 }
    }
}

#[cfg(test)]
mod tests;
