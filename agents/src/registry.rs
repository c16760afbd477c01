//! Registry: agents by name, with the parameters each takes.
//!
//! An agent is asked for as `name` or `name:parameter=value,...`, for example `mallory:temperature=0.5`.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    action::ActionSpace,
    any::AnyAgent,
    bonus_max::{BonusMax, BonusMaxSettings},
    linear::{Linear, LinearSettings},
    mallory::{self, Mallory},
    negative_visits::{self, NegativeVisits},
    periodic::{self, Periodic},
    portfolio::{self, Portfolio},
    q_learning::QSettings,
    swarm::{self, Swarm},
    table::STATES_MAX_DEFAULT,
    ucb1::{self, Ucb1},
    uniform::Uniform,
};

/// The agent of a campaign that names none.
pub const DEFAULT: &str = "linear";

/// A parameter of an agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// As written in a specification.
    pub name: &'static str,
    /// What holds when it is not given.
    pub default: f64,
    /// Smallest value that is accepted.
    pub low: f64,
    /// Largest value that is accepted.
    pub high: f64,
    /// Whether only whole numbers are accepted.
    pub whole: bool,
}

/// An agent that can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As written in a specification.
    pub name: &'static str,
    /// One line for `--help` and reports.
    pub summary: &'static str,
    /// Whether its policy is expected to move away from uniform as it learns; see
    /// [`crate::Divergence::is_uniform`]. False for baselines, and for Mallory as published.
    pub learns: bool,
    /// What it takes.
    pub parameters: &'static [Parameter],
    make: fn(&Values, &ActionSpace) -> AnyAgent,
}

/// Why an agent could not be made.
#[derive(Debug, Error, PartialEq)]
pub enum AgentError {
    /// There is no such agent.
    #[error("no agent is named `{name}`: choose one of {}", names().join(", "))]
    UnknownAgent {
        /// As asked for.
        name: String,
    },
    /// The agent has no such parameter.
    #[error("agent `{agent}` has no parameter `{name}`: it takes {known}")]
    UnknownParameter {
        /// The agent's name.
        agent: &'static str,
        /// As asked for.
        name: String,
        /// What it does take.
        known: String,
    },
    /// A parameter is not written as name, equals sign, number.
    #[error("agent `{agent}`: `{text}` is not a parameter: write name=number, separated by commas")]
    Malformed {
        /// The agent's name.
        agent: &'static str,
        /// As asked for.
        text: String,
    },
    /// A parameter is given twice.
    #[error("agent `{agent}`: parameter `{name}` is given twice: keep one")]
    Repeated {
        /// The agent's name.
        agent: &'static str,
        /// The parameter's name.
        name: &'static str,
    },
    /// The number is out of range.
    #[error("agent `{agent}`: {name}={value} is out of range: give {what} from {low} to {high}")]
    OutOfRange {
        /// The agent's name.
        agent: &'static str,
        /// The parameter's name.
        name: &'static str,
        /// As asked for.
        value: f64,
        /// `a number` or `a whole number`.
        what: &'static str,
        /// Smallest value that is accepted.
        low: f64,
        /// Largest value that is accepted.
        high: f64,
    },
}

/// All agents, in the order in which they are listed to people.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// The names of all agents.
pub fn names() -> Vec<&'static str> {
    ENTRIES.iter().map(|entry| entry.name).collect()
}

/// The agent of this name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name == name)
}

/// Makes the agent that `spec` asks for, knowing nothing yet.
///
/// # Errors
/// When there is no such agent, or it does not take such a parameter or value.
pub fn build(spec: &str, space: &ActionSpace) -> Result<AnyAgent, AgentError> {
    let (name, parameters) = spec.split_once(':').unwrap_or((spec, ""));
    let name = name.trim();
    let entry = find(name).ok_or_else(|| AgentError::UnknownAgent { name: name.to_string() })?;
    let mut values = Values::defaults(entry);
    let mut given = Vec::new();
    for text in parameters.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        let (parameter, value) = parse(entry, text)?;
        if given.contains(&parameter.name) {
            return Err(AgentError::Repeated { agent: entry.name, name: parameter.name });
        }
        given.push(parameter.name);
        values.0.insert(parameter.name, value);
    }
    Ok((entry.make)(&values, space))
}

fn parse(entry: &Entry, text: &str) -> Result<(&'static Parameter, f64), AgentError> {
    let malformed = || AgentError::Malformed { agent: entry.name, text: text.to_string() };
    let (name, value) = text.split_once('=').ok_or_else(malformed)?;
    let (name, value) = (name.trim(), value.trim().parse::<f64>().map_err(|_| malformed())?);
    let Some(parameter) = entry.parameters.iter().find(|parameter| parameter.name == name) else {
        let known: Vec<_> = entry.parameters.iter().map(|parameter| parameter.name).collect();
        let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        return Err(AgentError::UnknownParameter { agent: entry.name, name: name.to_string(), known });
    };
    let Parameter { name, low, high, whole, .. } = *parameter;
    if !(low..=high).contains(&value) || (whole && value.fract() != 0.0) {
        let what = if whole { "a whole number" } else { "a number" };
        return Err(AgentError::OutOfRange { agent: entry.name, name, value, what, low, high });
    }
    Ok((parameter, value))
}

/// A value for each parameter of one entry.
struct Values(BTreeMap<&'static str, f64>);

impl Values {
    fn defaults(entry: &Entry) -> Self {
        Self(entry.parameters.iter().map(|parameter| (parameter.name, parameter.default)).collect())
    }

    fn get(&self, name: &str) -> f64 {
        *self.0.get(name).expect("a constructor reads only parameters that its entry lists")
    }

    fn count(&self, name: &str) -> usize {
        self.get(name) as usize
    }

    fn q(&self) -> QSettings {
        QSettings {
            alpha: self.get("alpha"),
            gamma: self.get("gamma"),
            temperature: self.get("temperature"),
            states_max: self.count("states"),
        }
    }
}

const fn number(name: &'static str, default: f64, low: f64, high: f64) -> Parameter {
    Parameter { name, default, low, high, whole: false }
}

const fn whole(name: &'static str, default: usize, low: usize, high: usize) -> Parameter {
    Parameter { name, default: default as f64, low: low as f64, high: high as f64, whole: true }
}

const STATES: Parameter = whole("states", STATES_MAX_DEFAULT, 1, 1 << 24);
const GAMMA_MAX: f64 = 0.999_999;

const fn q_parameters(settings: QSettings) -> [Parameter; 4] {
    [
        number("alpha", settings.alpha, 1e-6, 1.0),
        number("gamma", settings.gamma, 0.0, GAMMA_MAX),
        number("temperature", settings.temperature, 1e-6, 1e6),
        STATES,
    ]
}

const fn mallory(
    name: &'static str,
    summary: &'static str,
    learns: bool,
    parameters: &'static [Parameter],
) -> Entry {
    let make = |values: &Values, space: &ActionSpace| AnyAgent::Mallory(Mallory::new(space, values.q()));
    Entry { name, summary, learns, parameters, make }
}

const ENTRIES: &[Entry] = &[
    Entry {
        name: "uniform",
        summary: "baseline: every legal action equally likely",
        learns: false,
        parameters: &[],
        make: |_, _| AnyAgent::Uniform(Uniform),
    },
    Entry {
        name: "swarm",
        summary: "baseline: a random subset of the fault kinds per schedule, uniform within it",
        learns: false,
        parameters: &[number("keep", swarm::KEEP_DEFAULT, 0.0, 1.0)],
        make: |values, space| AnyAgent::Swarm(Swarm::new(space, values.get("keep"))),
    },
    Entry {
        name: "periodic",
        summary: "baseline: one fault kind per schedule, broken and healed in turn, as Jepsen does",
        learns: false,
        parameters: &[whole("pause", periodic::PAUSE_DEFAULT, 0, 1_000_000)],
        make: |values, space| AnyAgent::Periodic(Periodic::new(space, values.count("pause"))),
    },
    mallory(
        "mallory",
        "Mallory's Q-learning with its published constants; within 0.7% of uniform, a yardstick",
        false,
        &q_parameters(mallory::PUBLISHED),
    ),
    mallory(
        "mallory-t0.3",
        "Mallory's Q-learning at temperature 0.3",
        true,
        &q_parameters(QSettings { temperature: 0.3, ..mallory::PUBLISHED }),
    ),
    mallory(
        "mallory-t1",
        "Mallory's Q-learning at temperature 1",
        true,
        &q_parameters(QSettings { temperature: 1.0, ..mallory::PUBLISHED }),
    ),
    mallory(
        "mallory-t3",
        "Mallory's Q-learning at temperature 3",
        true,
        &q_parameters(QSettings { temperature: 3.0, ..mallory::PUBLISHED }),
    ),
    Entry {
        name: "negative-visits",
        summary: "Q-learning, reward minus the visits of the state reached",
        learns: true,
        parameters: &q_parameters(negative_visits::DEFAULT),
        make: |values, space| AnyAgent::NegativeVisits(NegativeVisits::new(space, values.q())),
    },
    Entry {
        name: "bonus-max",
        summary: "Q-learning on the larger of a bonus for the rare and the discounted future",
        learns: true,
        parameters: &[
            number("alpha", 0.2, 1e-6, 1.0),
            number("gamma", 0.95, 0.0, GAMMA_MAX),
            number("epsilon", 0.05, 0.0, 1.0),
            STATES,
        ],
        make: |values, space| {
            let (alpha, gamma) = (values.get("alpha"), values.get("gamma"));
            let (epsilon, states_max) = (values.get("epsilon"), values.count("states"));
            AnyAgent::BonusMax(BonusMax::new(space, BonusMaxSettings { alpha, gamma, epsilon, states_max }))
        },
    },
    Entry {
        name: "ucb1",
        summary: "bandit over fault kinds, blind to the state",
        learns: true,
        parameters: &[number("weight", ucb1::WEIGHT_DEFAULT, 0.0, 1e6)],
        make: |values, space| AnyAgent::Ucb1(Ucb1::new(space, values.get("weight"))),
    },
    Entry {
        name: "portfolio",
        summary: "bandit over the other agents, a fifth of the schedules always uniform",
        learns: true,
        parameters: &[number("uniform", portfolio::UNIFORM_SHARE_DEFAULT, 0.0, 1.0), STATES],
        make: |values, space| {
            AnyAgent::Portfolio(Box::new(Portfolio::new(
                portfolio_members(space, values.count("states")),
                values.get("uniform"),
            )))
        },
    },
    Entry {
        name: "linear",
        summary: "advantages of actions, shared between states and between actions",
        learns: true,
        parameters: &[
            number("alpha", 0.1, 1e-6, 1.0),
            number("gamma", 0.8, 0.0, GAMMA_MAX),
            number("lambda", 0.6, 0.0, 1.0),
            number("temperature", 0.1, 1e-6, 1e6),
            number("epsilon", 0.15, 0.0, 1.0),
        ],
        make: |values, space| {
            let settings = LinearSettings {
                alpha: values.get("alpha"),
                gamma: values.get("gamma"),
                lambda: values.get("lambda"),
                temperature: values.get("temperature"),
                epsilon: values.get("epsilon"),
            };
            AnyAgent::Linear(Linear::new(space, settings))
        },
    },
];

/// What a portfolio holds besides the uniform agent: one of each sort that differs in what it does.
fn portfolio_members(space: &ActionSpace, states_max: usize) -> Vec<AnyAgent> {
    let sharp = QSettings { temperature: 1.0, states_max, ..mallory::PUBLISHED };
    let visits = QSettings { states_max, ..negative_visits::DEFAULT };
    let bonus = BonusMaxSettings { states_max, ..BonusMaxSettings::default() };
    vec![
        AnyAgent::Swarm(Swarm::new(space, swarm::KEEP_DEFAULT)),
        AnyAgent::Periodic(Periodic::new(space, periodic::PAUSE_DEFAULT)),
        AnyAgent::Mallory(Mallory::new(space, sharp)),
        AnyAgent::NegativeVisits(NegativeVisits::new(space, visits)),
        AnyAgent::BonusMax(BonusMax::new(space, bonus)),
        AnyAgent::Ucb1(Ucb1::new(space, ucb1::WEIGHT_DEFAULT)),
        AnyAgent::Linear(Linear::new(space, LinearSettings::default())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{action::ActionInfo, agent::Agent};

    fn space() -> ActionSpace {
        ActionSpace::new(vec![ActionInfo::fault("kill", 0)]).unwrap()
    }

    fn refused(spec: &str) -> String {
        build(spec, &space()).expect_err(spec).to_string()
    }

    #[test]
    fn every_name_makes_the_agent_of_that_name() {
        assert!(find(DEFAULT).is_some_and(|entry| entry.learns));
        for name in names() {
            assert_eq!(build(name, &space()).unwrap().name(), name);
        }
    }

    #[test]
    fn parameters_are_read_and_checked() {
        let spec = "mallory: temperature=0.5, alpha=0.2";
        assert_eq!(build(spec, &space()).unwrap().name(), "mallory-t0.3");
        assert!(build("ucb1:", &space()).is_ok());
        assert_eq!(
            refused("malory"),
            "no agent is named `malory`: choose one of uniform, swarm, periodic, mallory, mallory-t0.3, \
             mallory-t1, mallory-t3, negative-visits, bonus-max, ucb1, portfolio, linear"
        );
        assert_eq!(refused("uniform:x=1"), "agent `uniform` has no parameter `x`: it takes none");
        assert_eq!(
            refused("mallory:heat=1"),
            "agent `mallory` has no parameter `heat`: it takes alpha, gamma, temperature, states"
        );
        assert_eq!(
            refused("mallory:alpha"),
            "agent `mallory`: `alpha` is not a parameter: write name=number, separated by commas"
        );
        assert_eq!(
            refused("mallory:gamma=.1,gamma=.2"),
            "agent `mallory`: parameter `gamma` is given twice: keep one"
        );
        assert_eq!(
            refused("bonus-max:gamma=1"),
            "agent `bonus-max`: gamma=1 is out of range: give a number from 0 to 0.999999"
        );
        assert_eq!(
            refused("periodic:pause=1.5"),
            "agent `periodic`: pause=1.5 is out of range: give a whole number from 0 to 1000000"
        );
        assert!(refused("mallory:temperature=NaN").contains("out of range"));
    }

    #[test]
    fn listed_defaults_are_those_of_the_algorithm() {
        let entry = find("bonus-max").unwrap();
        let default = BonusMaxSettings::default();
        let want = [default.alpha, default.gamma, default.epsilon, default.states_max as f64];
        let listed: Vec<f64> = entry.parameters.iter().map(|parameter| parameter.default).collect();
        assert_eq!(listed, want);
        let entry = find("linear").unwrap();
        let LinearSettings { alpha, gamma, lambda, temperature, epsilon } = LinearSettings::default();
        let listed: Vec<f64> = entry.parameters.iter().map(|parameter| parameter.default).collect();
        assert_eq!(listed, [alpha, gamma, lambda, temperature, epsilon]);
        for entry in entries() {
            for parameter in entry.parameters {
                assert!((parameter.low..=parameter.high).contains(&parameter.default), "{parameter:?}");
            }
        }
    }
}
