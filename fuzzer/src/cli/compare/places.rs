//! From the words of an experiment to what can be searched: targets found and built, bugs known, twins told apart.

use crate::cli::arguments::LauncherName;
use crate::cli::rig::{self, Rig};
use anyhow::anyhow;
use fuzzer::compare::experiment::{Sought, Twin, Word};
use fuzzer::compare::{Experiment, ExperimentError, Plan, Problem, Subject};
use fuzzer::target::Target;
use std::collections::BTreeMap;
use std::path::Path;

/// The plan, and a place for each of its subjects.
pub struct Settled {
    /// What is searched.
    pub plan: Plan,
    /// By subject.
    pub places: Vec<Place>,
}

/// Where something is searched.
pub struct Place {
    /// The target, built.
    pub rig: Rig,
    /// Nodes of a cluster.
    pub nodes: u8,
    /// Planted bugs that are switched on.
    pub bugs: Vec<String>,
}

/// Finds and builds all that an experiment names; its paths start at `from`, and `fuzz` is the digest of this program.
///
/// # Errors
/// A name that leads nowhere, with its place in the file; what a build command says.
pub fn settle(experiment: &Experiment, from: &Path, no_build: bool, fuzz: &str) -> anyhow::Result<Settled> {
    rig::note_roots();
    let mut yard =
        Yard { experiment, from, no_build, rigs: BTreeMap::new(), subjects: Vec::new(), places: Vec::new() };
    let mut problems: Vec<Problem> = Vec::new();
    for sought in &experiment.problems {
        for mut problem in yard.problems(sought)? {
            let target = yard.subjects[problem.subject].target.clone();
            let same = |name: &str| problems.iter().find(|other: &&Problem| other.name == name);
            // The same bug in two targets.
            if same(&problem.name).is_some_and(|other| yard.subjects[other.subject].target != target) {
                problem.name = format!("{target}/{}", problem.name);
            }
            if same(&problem.name).is_some() {
                let why =
                    format!("there is a problem `{}` already; give this one another name", problem.name);
                return Err(experiment.wrong(sought.name.as_ref().unwrap_or(&sought.target), why).into());
            }
            problems.push(problem);
        }
    }
    let Yard { subjects, places, .. } = yard;
    let plan = Plan {
        name: experiment.name.clone(),
        about: experiment.about.clone(),
        fuzz: fuzz.to_owned(),
        arms: experiment.arms.clone(),
        baseline: experiment.baseline,
        problems,
        subjects,
    };
    Ok(Settled { plan, places })
}

/// What was found so far.
struct Yard<'a> {
    experiment: &'a Experiment,
    from: &'a Path,
    no_build: bool,
    /// By the words that name target and binary: each is built once.
    rigs: BTreeMap<(String, Option<String>), Rig>,
    subjects: Vec<Subject>,
    places: Vec<Place>,
}

impl Yard<'_> {
    fn problems(&mut self, sought: &Sought) -> anyhow::Result<Vec<Problem>> {
        let rig = self.rig(&sought.target, sought.binary.as_ref())?;
        let bugs = self.bugs(&rig.target, &sought.bugs)?;
        let (nodes, workload) = (sought.nodes, sought.workload.as_ref());
        let twin = match &sought.twin {
            Twin::None => None,
            Twin::Correct => Some(self.subject(rig.clone(), None, nodes, workload)?),
            Twin::Other { target, binary } => {
                let other = self.rig(target.as_ref().unwrap_or(&sought.target), binary.as_ref())?;
                Some(self.subject(other, None, nodes, workload)?)
            }
        };
        let manifest = rig.target.manifest.clone();
        let problem = |name: Option<String>, story: &str, subject: usize| Problem {
            name: name.unwrap_or_else(|| manifest.name.clone()),
            story: story.to_owned(),
            subject,
            twin,
            signatures: sought.signatures.clone(),
            budget: sought.budget.clone(),
        };
        let named = sought.name.as_ref().map(|name| name.get_ref().clone());
        if bugs.is_empty() {
            let subject = self.subject(rig, None, nodes, workload)?;
            if twin == Some(subject) {
                let why = "its twin is the same target with the same binary; say which one has the fix";
                return Err(self.experiment.wrong(&sought.target, why).into());
            }
            return Ok(vec![problem(named, &manifest.about, subject)]);
        }
        let mut problems = Vec::new();
        for bug in bugs {
            let subject = self.subject(rig.clone(), Some(&bug), nodes, workload)?;
            let spec = manifest.bugs.iter().find(|spec| spec.name == bug);
            let story = spec.map_or("", |spec| spec.story.as_str());
            problems.push(problem(named.clone().or(Some(bug.clone())), story, subject));
        }
        Ok(problems)
    }

    /// A target, built; with another binary, which is not.
    fn rig(&mut self, word: &Word, binary: Option<&Word>) -> anyhow::Result<Rig> {
        let key = (word.get_ref().clone(), binary.map(|binary| binary.get_ref().clone()));
        if let Some(known) = self.rigs.get(&key) {
            return Ok(known.clone());
        }
        let name = word.get_ref();
        let is_path = name.contains('/') || name.ends_with(".toml") || matches!(name.as_str(), "." | "..");
        let from_here = if is_path { self.from.join(name).display().to_string() } else { name.clone() };
        let target = rig::find(&from_here).map_err(|error| self.wrong(word, error))?;
        let rig = match binary {
            None => {
                let clock = target.manifest.node.clock;
                Rig::of(target, LauncherName::Native, clock, self.no_build)?
            }
            Some(binary) => Rig::with_binary(target, self.from.join(binary.get_ref()))
                .map_err(|error| self.wrong(binary, format!("{error:#}")))?,
        };
        self.rigs.insert(key, rig.clone());
        Ok(rig)
    }

    /// The bugs that words stand for, each once, in the manifest's order.
    fn bugs(&self, target: &Target, words: &[Word]) -> anyhow::Result<Vec<String>> {
        let mut chosen = Vec::new();
        for word in words {
            chosen.extend(match word.get_ref().as_str() {
                "all" => target.manifest.bugs.iter().map(|bug| bug.name.clone()).collect(),
                name => target.manifest.bugs_named(&[name]).map_err(|error| self.wrong(word, error))?,
            });
        }
        if let (Some(word), true) = (words.first(), chosen.is_empty()) {
            return Err(self.wrong(word, format!("target `{}` has no bugs to find", target.name())));
        }
        let mut bugs: Vec<String> = target.manifest.bugs.iter().map(|bug| bug.name.clone()).collect();
        bugs.retain(|bug| chosen.contains(bug));
        Ok(bugs)
    }

    /// The position of a subject, which is added if need be.
    fn subject(
        &mut self,
        mut rig: Rig,
        bug: Option<&str>,
        nodes: Option<u8>,
        workload: Option<&Word>,
    ) -> anyhow::Result<usize> {
        if let Some(word) = workload {
            rig.restrict(word.get_ref()).map_err(|error| self.wrong(word, error))?;
        }
        let nodes = nodes.unwrap_or(rig.target.manifest.nodes);
        let bugs: Vec<String> = bug.into_iter().map(str::to_owned).collect();
        let subject = Subject {
            target: rig.target.name().to_owned(),
            manifest: rig.target.digest.clone(),
            binary: rig.binary.digest.clone(),
            clock: rig.clock,
            nodes,
            bugs: bugs.clone(),
            workload: workload.map(|word| word.get_ref().clone()),
        };
        if let Some(known) = self.subjects.iter().position(|known| *known == subject) {
            return Ok(known);
        }
        self.subjects.push(subject);
        self.places.push(Place { rig, nodes, bugs });
        Ok(self.places.len() - 1)
    }

    fn wrong(&self, word: &Word, why: impl ToString) -> anyhow::Error {
        let error: ExperimentError = self.experiment.wrong(word, why.to_string());
        anyhow!(error)
    }
}
