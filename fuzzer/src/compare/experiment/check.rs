//! What is typed, checked: every mistake is told with line and column.

use super::typed::{OtherTwin, Seeds, TypedArm, TypedBudget, TypedProblem, TypedTwin};
use super::{Arm, Budget, ExperimentError, NAME_MAX, SEEDS_MAX, Sought, Twin, Word};
use crate::campaign::Search;
use crate::schedule::{HORIZON_MS_MAX, NODES_MAX};
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;

/// The text that places are told of.
pub(super) struct Page<'a>(pub(super) &'a str);

impl Page<'_> {
    pub(super) fn wrong(&self, span: Range<usize>, why: impl Into<String>) -> ExperimentError {
        let before = &self.0[..span.start.min(self.0.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ExperimentError::Wrong {
            line: 1 + before.matches('\n').count(),
            column: 1 + before[line_start..].chars().count(),
            why: why.into(),
        }
    }

    pub(super) fn count(&self, what: &str, count: usize, max: usize) -> Result<(), ExperimentError> {
        match count {
            0 => Err(self.wrong(0..0, format!("there is no [[{what}]]; write at least one"))),
            count if count > max => {
                Err(self
                    .wrong(0..0, format!("{count} [[{what}]]s are more than the {max} that are possible")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn name(&self, name: &Word) -> Result<(), ExperimentError> {
        let text = name.get_ref();
        let is_good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_name = !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(is_good);
        match is_name && !text.starts_with('.') {
            true => Ok(()),
            false => Err(self.wrong(
                name.span(),
                format!("`{text}` is no name: 1 to {NAME_MAX} letters, digits, `-`, `_` and `.`"),
            )),
        }
    }

    pub(super) fn budget(&self, typed: &TypedBudget, usual: &Budget) -> Result<Budget, ExperimentError> {
        let seeds = match &typed.seeds {
            None => usual.seeds.clone(),
            Some(seeds) => self.seeds(seeds)?,
        };
        let executions = self.within("executions", typed.executions.as_ref(), 1..=100_000_000)?;
        let seconds = self.within("seconds", typed.seconds.as_ref(), 1..=10_000_000)?;
        let horizon_ms = self.within("horizon_ms", typed.horizon_ms.as_ref(), 1..=HORIZON_MS_MAX)?;
        let cores = match &typed.cores {
            None => usual.cores,
            Some(cores) if (1..=1_024).contains(cores.get_ref()) => *cores.get_ref(),
            Some(cores) => {
                return Err(self.wrong(cores.span(), "cores is out of range; 1 to 1024 are possible"));
            }
        };
        Ok(Budget {
            seeds,
            executions: executions.unwrap_or(usual.executions),
            seconds: seconds.or(usual.seconds),
            cores,
            horizon_ms: horizon_ms.unwrap_or(usual.horizon_ms),
        })
    }

    fn within(
        &self,
        field: &str,
        value: Option<&Spanned<u64>>,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ExperimentError> {
        let Some(value) = value else { return Ok(None) };
        if range.contains(value.get_ref()) {
            return Ok(Some(*value.get_ref()));
        }
        let (least, most) = (range.start(), range.end());
        let why = format!("{field} = {} is out of range; {least} to {most} are possible", value.get_ref());
        Err(self.wrong(value.span(), why))
    }

    fn seeds(&self, typed: &Spanned<Seeds>) -> Result<Vec<u64>, ExperimentError> {
        let wrong = |why: String| Err(self.wrong(typed.span(), why));
        match typed.get_ref() {
            Seeds::Count(count) if (1..=SEEDS_MAX).contains(count) => Ok((1..=*count).collect()),
            Seeds::Count(count) => {
                wrong(format!("seeds = {count} is out of range; 1 to {SEEDS_MAX} are possible"))
            }
            Seeds::List(seeds) => {
                let different: BTreeSet<&u64> = seeds.iter().collect();
                if seeds.is_empty() || seeds.len() as u64 > SEEDS_MAX {
                    wrong(format!("{} seeds are listed; 1 to {SEEDS_MAX} are possible", seeds.len()))
                } else if different.len() < seeds.len() {
                    wrong("a seed is listed twice; the same search again says nothing new".into())
                } else {
                    Ok(seeds.clone())
                }
            }
        }
    }

    pub(super) fn problem(&self, typed: &TypedProblem, usual: &Budget) -> Result<Sought, ExperimentError> {
        if let Some(name) = &typed.name {
            self.name(name)?;
            if typed.bugs.len() > 1 {
                return Err(
                    self.wrong(name.span(), "several bugs are several problems, each by its own name")
                );
            }
        }
        let nodes = match &typed.nodes {
            Some(nodes) if !(1..=NODES_MAX).contains(nodes.get_ref()) => {
                return Err(self.wrong(nodes.span(), "nodes is out of range; 1 to 9 are possible"));
            }
            nodes => nodes.as_ref().map(|nodes| *nodes.get_ref()),
        };
        let twin = match &typed.twin {
            None => Twin::None,
            Some(twin) => match twin.get_ref() {
                TypedTwin::Flag(false) => Twin::None,
                TypedTwin::Flag(true) if typed.bugs.is_empty() => {
                    let why = "twin = true is the build without the planted bugs, and there are none; say which target is \
                               the fixed one: twin = { target = \"...\" } or { binary = \"...\" }";
                    return Err(self.wrong(twin.span(), why));
                }
                TypedTwin::Flag(true) => Twin::Correct,
                TypedTwin::Other(OtherTwin { target: None, binary: None }) => {
                    return Err(self.wrong(twin.span(), "this twin names neither a target nor a binary"));
                }
                TypedTwin::Other(OtherTwin { target, binary }) => {
                    // Of what is read as one of several things only the whole has a place.
                    let word = |word: &Option<String>| Some(Spanned::new(twin.span(), word.clone()?));
                    Twin::Other { target: word(target), binary: word(binary) }
                }
            },
        };
        let budget = TypedBudget {
            seeds: typed.seeds.clone(),
            executions: typed.executions.clone(),
            seconds: typed.seconds.clone(),
            cores: typed.cores.clone(),
            horizon_ms: typed.horizon_ms.clone(),
        };
        Ok(Sought {
            name: typed.name.clone(),
            target: typed.target.clone(),
            binary: typed.binary.clone(),
            bugs: typed.bugs.clone(),
            workload: typed.workload.clone(),
            nodes,
            signatures: typed.signatures.clone(),
            twin,
            budget: self.budget(&budget, usual)?,
        })
    }

    pub(super) fn arms(&self, typed: &[TypedArm], usual: &str) -> Result<Vec<Arm>, ExperimentError> {
        let mut arms: Vec<Arm> = Vec::new();
        for arm in typed {
            self.name(&arm.name)?;
            let faults = arm.faults.unwrap_or(true);
            let span = arm.name.span();
            if !faults && (arm.agent.is_some() || arm.search.is_some()) {
                let why = "without faults there is nothing to choose: leave out agent and search";
                return Err(self.wrong(span, why));
            }
            if let Some(agent) = &arm.agent {
                agents::build(agent.get_ref(), &crate::action::space())
                    .map_err(|error| self.wrong(agent.span(), error.to_string()))?;
            }
            let search = match (&arm.search, faults) {
                (_, false) => Search::Random,
                (None, true) => Search::default(),
                (Some(search), true) => *search.get_ref(),
            };
            // Whom nobody asks makes no difference.
            let agent = match search {
                Search::Random => "uniform",
                _ => arm.agent.as_ref().map_or(usual, |agent| agent.get_ref()),
            };
            let arm = Arm { name: arm.name.get_ref().clone(), agent: agent.to_owned(), search, faults };
            if let Some(other) = arms.iter().find(|other| other.name == arm.name) {
                return Err(self.wrong(span, format!("there is an arm `{}` already", other.name)));
            }
            if let Some(other) =
                arms.iter().find(|other| Arm { name: arm.name.clone(), ..(*other).clone() } == arm)
            {
                let why = format!("`{}` searches exactly as `{}` does", arm.name, other.name);
                return Err(self.wrong(span, why));
            }
            arms.push(arm);
        }
        Ok(arms)
    }
}
