//! What a campaign is asked to do.

use super::legacy::Legacy;
use crate::fault::Kind;
use crate::schedule::Family;
use crate::schedule::Schedule;
use agents::ActionSpace;
use interceptor::sandbox::Clock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// What a campaign is asked to do. The number of executors is its number of cores.
#[derive(Clone, Debug)]
pub struct CampaignConfig {
    /// The target's name.
    pub target: String,
    /// Digest of its manifest, in hex.
    pub target_digest: String,
    /// Digest of its binary, in hex.
    pub binary_digest: String,
    /// By which clock clusters live.
    pub clock: Clock,
    /// Planted bugs that are switched on.
    pub bugs: Vec<String>,
    /// Number of nodes.
    pub nodes: u8,
    /// Seeds every choice of the campaign.
    pub seed: u64,
    /// The agent, as [`agents::build`] takes it; a resumed campaign goes on with what it has learnt.
    pub agent: String,
    /// What agents choose from.
    pub actions: ActionSpace,
    /// The campaign's directory; made if need be, resumed if it holds this campaign.
    pub out: PathBuf,
    /// The longest horizon of a schedule, in milliseconds of the clock.
    pub horizon_ms: u64,
    /// The kinds of faults that may be drawn.
    pub kinds: BTreeSet<Kind>,
    /// Most nodes that may be down at once; absent: all of them.
    pub max_down: Option<u8>,
    /// What clients can work on; empty: the first that the target offers.
    pub families: Vec<Family>,
    /// Schedules to begin a new campaign with.
    pub seeds: Vec<Schedule>,
    /// Another campaign, of which a new one takes over the corpus and what its agent learnt.
    pub legacy: Option<Legacy>,
    /// How it searches.
    pub search: Search,
    /// When to stop.
    pub limits: Limits,
    /// So many executions of each session, the first ones, and the control run are told whole, whatever they show.
    pub show: u64,
    /// Host time between two saves.
    pub save_every: Duration,
}

impl CampaignConfig {
    /// A campaign with every kind of fault, the uniform agent, no limits and no bugs.
    #[must_use]
    pub fn new(target: &str, nodes: u8, actions: ActionSpace, out: PathBuf) -> Self {
        Self {
            target: target.to_owned(),
            target_digest: String::new(),
            binary_digest: String::new(),
            clock: Clock::default(),
            bugs: Vec::new(),
            nodes,
            seed: 0,
            agent: "uniform".into(),
            actions,
            out,
            horizon_ms: 10_000,
            kinds: BTreeSet::from(Kind::ALL),
            max_down: None,
            families: Vec::new(),
            seeds: Vec::new(),
            legacy: None,
            search: Search::default(),
            limits: Limits::default(),
            show: 0,
            save_every: Duration::from_secs(30),
        }
    }
}

/// When a session stops: at whichever comes first. All count from the session's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// After this much host time.
    pub time: Option<Duration>,
    /// After this many executions.
    pub executions: Option<u64>,
    /// After this many findings.
    pub stop_after: Option<u32>,
}

/// How a campaign searches: where candidates come from, and what joins the corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// Sources are drawn by what they have shown of late for what it cost; what says much joins.
    #[default]
    Learned,
    /// Sources are drawn by fixed weights, and all that is new joins: the search as it was before it learnt, to compare with.
    Fixed,
    /// Nothing is bred: the agent alone, from the beginning.
    Explore,
    /// Nothing is bred: random steps, without an agent.
    Random,
}

impl Search {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Learned, Self::Fixed, Self::Explore, Self::Random];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::Fixed => "fixed",
            Self::Explore => "explore",
            Self::Random => "random",
        }
    }
}
