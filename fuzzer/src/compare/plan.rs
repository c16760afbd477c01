//! The plan: all searches of an experiment, in the order in which they are begun. Seeds come last to an end: whenever it is
//! stopped, every problem and arm has had as many searches, but for one.

use super::cell::{Cell, Role, Subject};
use super::experiment::{Arm, Budget};
use std::collections::BTreeSet;

/// An experiment whose targets are known.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// A sentence for people.
    pub about: String,
    /// SHA-256 of the program that searches, in hex.
    pub fuzz: String,
    /// How it is searched.
    pub arms: Vec<Arm>,
    /// The arm that the others are compared with.
    pub baseline: usize,
    /// What is searched for.
    pub problems: Vec<Problem>,
    /// The targets that problems and twins are made of.
    pub subjects: Vec<Subject>,
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Its name.
    pub name: String,
    /// What is wrong, in a sentence.
    pub story: String,
    /// Where the bug is: a position in the plan's `subjects`.
    pub subject: usize,
    /// Where it is not.
    pub twin: Option<usize>,
    /// What counts as found; empty: any violation.
    pub signatures: Vec<String>,
    /// How often and how long.
    pub budget: Budget,
}

/// One search that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it depends on.
    pub cell: Cell,
    /// The cell's key.
    pub key: String,
    /// The problem that asks for it first.
    pub problem: usize,
    /// The arm.
    pub arm: usize,
    /// The target.
    pub subject: usize,
}

impl Plan {
    /// All searches, each once: problems that share a twin share its searches.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let rounds = self.problems.iter().map(|problem| problem.budget.seeds.len()).max().unwrap_or(0);
        let mut known = BTreeSet::new();
        let mut tasks = Vec::new();
        for round in 0..rounds {
            for (number, problem) in self.problems.iter().enumerate() {
                let Some(&seed) = problem.budget.seeds.get(round) else { continue };
                for role in [Role::Hunt, Role::Twin] {
                    for arm in 0..self.arms.len() {
                        let Some((subject, cell)) = self.cell(number, arm, role, seed) else { continue };
                        let key = cell.key();
                        if known.insert(key.clone()) {
                            tasks.push(Task { cell, key, problem: number, arm, subject });
                        }
                    }
                }
            }
        }
        tasks
    }

    /// The keys of the searches of a problem by an arm, in the order of seeds; none where there is no twin.
    #[must_use]
    pub fn keys(&self, problem: usize, arm: usize, role: Role) -> Vec<String> {
        let seeds = self.problems[problem].budget.seeds.iter();
        seeds.filter_map(|seed| Some(self.cell(problem, arm, role, *seed)?.1.key())).collect()
    }

    fn cell(&self, problem: usize, arm: usize, role: Role, seed: u64) -> Option<(usize, Cell)> {
        let (problem, arm) = (&self.problems[problem], &self.arms[arm]);
        let (subject, signatures) = match role {
            Role::Hunt => (problem.subject, problem.signatures.clone()),
            Role::Twin => (problem.twin?, Vec::new()),
        };
        let budget = &problem.budget;
        let cell = Cell {
            fuzz: self.fuzz.clone(),
            subject: self.subjects[subject].clone(),
            role,
            signatures,
            agent: arm.agent.clone(),
            search: arm.search,
            faults: arm.faults,
            seed,
            cores: budget.cores,
            executions: budget.executions,
            seconds: budget.seconds,
            horizon_ms: budget.horizon_ms,
        };
        Some((subject, cell))
    }
}
