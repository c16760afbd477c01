//! Agents: they look at the state a cluster is in and choose the next fault.
//!
//! The crate is pure. It knows neither processes nor clocks nor files; the caller brings the states, the
//! actions that are legal now, and a seeded generator. The same calls with the same generator give the same
//! choices on every machine: tables are ordered, and [`math`] keeps the platform's `exp` and `ln` out.
//!
//! A campaign uses it like this:
//!
//! 1. [`ActionSpace::new`] fixes the table of actions, [`AgentMemory::build`] makes an agent by name.
//! 2. Per schedule: [`Agent::begin`], then per window [`Agent::choose`] and, once the window has passed,
//!    [`Visited::enter`] and [`Agent::learn`]; at last [`Agent::end`].
//! 3. [`divergence()`] tells whether the policy has moved away from uniform at all. A learner that stays
//!    below [`UNIFORM_TV_MAX`] once states repeat is a random generator with extra steps.
//!
//! [`statistics`], [`survival`] and [`ratio`] compare agents over many trials.

pub mod action;
pub mod agent;
pub mod any;
pub mod bandit;
pub mod bonus_max;
pub mod divergence;
mod draw;
pub mod linear;
pub mod mallory;
pub mod math;
pub mod memory;
pub mod negative_visits;
pub mod periodic;
pub mod portfolio;
pub mod q_learning;
pub mod ratio;
pub mod registry;
mod softmax;
pub mod statistics;
pub mod survival;
pub mod swarm;
mod table;
pub mod ucb1;
pub mod uniform;
pub mod visited;

pub use action::{ActionClass, ActionId, ActionInfo, ActionSpace, ActionSpaceError};
pub use agent::{Agent, StateId, Transition, Turn};
pub use any::AnyAgent;
pub use bandit::{Bandit, Pull};
pub use divergence::{Divergence, UNIFORM_TV_MAX, divergence};
pub use memory::{AgentMemory, MemoryError};
pub use rand::Rng;
pub use registry::{AgentError, build, names};
pub use softmax::softmax;
pub use table::STATES_MAX_DEFAULT;
pub use visited::{Entered, Visited};
