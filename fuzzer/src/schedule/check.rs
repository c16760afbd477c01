//! Which schedules can be run.

use super::{Schedule, Step, Trigger, VERSION, Workload};
use crate::fault::Node;
use std::collections::BTreeSet;

/// The most steps a schedule may have, its agent's choices included.
pub const STEPS_MAX: usize = 1024;
/// The most nodes.
pub const NODES_MAX: u8 = 9;
/// The longest text of one, in bytes: several times that of any with [`STEPS_MAX`] steps.
pub const BYTES_MAX: usize = 1 << 20;
/// The most clients: each has an address of its own, and so has who asks whether nodes are ready.
pub const CLIENTS_MAX: u8 = 250;
/// The longest horizon: a day.
pub const HORIZON_MS_MAX: u64 = 86_400_000;

/// Why a schedule cannot be run: where it is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct Refusal {
    /// The field, or the step by its number from 1.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// What [`is_name`] asks for.
pub const NAME: &str =
    "a name has at most 64 lower-case letters, digits, `-` and `.`, and begins with a letter or digit";

/// Whether a text can be the name of a target. A name is never a path.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 64 && text.starts_with(is_plain) && text.chars().all(|c| is_plain(c) || "-.".contains(c))
}

impl Schedule {
    /// Whether it can be run at all. Limits of the target are not looked at: see [`Self::check_down`].
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |place: &str, why: String| Err(Refusal { place: place.into(), why });
        if self.version > VERSION {
            return refuse(
                "version",
                format!(
                    "{} was written by a newer version of this program, which reads up to {VERSION}; update fuzz",
                    self.version
                ),
            );
        }
        if self.version == 0 {
            return refuse("version", format!("0 does not exist; write `version = {VERSION}`"));
        }
        if !is_name(&self.target) {
            let shown: String = self.target.chars().take(80).collect();
            return refuse("target", format!("`{}` is no name of a target; {NAME}", shown.escape_debug()));
        }
        if !(1..=NODES_MAX).contains(&self.nodes) {
            return refuse("nodes", format!("{} is out of range; 1 to {NODES_MAX} are possible", self.nodes));
        }
        if i64::try_from(self.seed).is_err() {
            return refuse(
                "seed",
                format!("{} does not fit in 63 bits, which is all that TOML writes", self.seed),
            );
        }
        if !(1..=HORIZON_MS_MAX).contains(&self.horizon_ms) {
            return refuse(
                "horizon_ms",
                format!("{} is out of range; 1 to {HORIZON_MS_MAX} are possible", self.horizon_ms),
            );
        }
        if let Err(why) = self.workload.check() {
            return refuse("workload", why);
        }
        if i64::try_from(self.agent_salt).is_err() {
            let why = format!("{} does not fit in 63 bits, which is all that TOML writes", self.agent_salt);
            return refuse("agent_salt", why);
        }
        if self.agent_from_ms.is_some_and(|from| from > self.horizon_ms) {
            return refuse("agent_from_ms", format!("it lies beyond horizon_ms = {}", self.horizon_ms));
        }
        if self.steps.len() > STEPS_MAX {
            return refuse("step", format!("{} steps are over the limit of {STEPS_MAX}", self.steps.len()));
        }
        for (index, step) in self.steps.iter().enumerate() {
            if let Err(why) = step.check(self.nodes, self.horizon_ms) {
                return refuse(&format!("step {} ({step})", index + 1), why);
            }
        }
        Ok(())
    }

    /// Whether never more than `max` nodes can be down at once.
    ///
    /// # Errors
    /// When more can.
    pub fn check_down(&self, max: u8) -> Result<(), Refusal> {
        let down = self.down_at_once();
        if down <= usize::from(max) {
            return Ok(());
        }
        let why = format!("up to {down} nodes may be down at once; the target allows {max}");
        Err(Refusal { place: "step".into(), why })
    }

    /// How many nodes may be down at once, at worst. When a step waits for an event its victim may be down at
    /// any time.
    #[must_use]
    pub fn down_at_once(&self) -> usize {
        let outages: Vec<(Node, u64, u64)> = self.steps.iter().filter_map(outage).collect();
        let at = |instant: u64| {
            let down = outages.iter().filter(|(_, from, to)| (*from..*to).contains(&instant));
            down.map(|(node, ..)| *node).collect::<BTreeSet<_>>().len()
        };
        outages.iter().map(|(_, from, _)| at(*from)).max().unwrap_or(0)
    }
}

/// Who may be down from when to when because of this step.
fn outage(step: &Step) -> Option<(Node, u64, u64)> {
    if !step.fault.kind().takes_down() {
        return None;
    }
    let node = *step.fault.victims().first()?;
    let down_ms = step.fault.lasts_ms()?;
    Some(match step.when {
        Trigger::At { at_ms } => (node, at_ms, at_ms.saturating_add(down_ms)),
        Trigger::On { .. } => (node, 0, u64::MAX),
    })
}

impl Step {
    /// Whether it can be a step in a cluster of `nodes` that lives to `horizon_ms`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, nodes: u8, horizon_ms: u64) -> Result<(), String> {
        match &self.when {
            Trigger::At { at_ms } if *at_ms > horizon_ms => {
                return Err(format!("its instant lies beyond horizon_ms = {horizon_ms}"));
            }
            Trigger::At { .. } => {}
            Trigger::On { event, node, peer, nth } => {
                if event.is_empty() || event.chars().any(char::is_control) {
                    return Err(format!(
                        "`{event}` is not an event key; keys look like `send:append` or `fsync`"
                    ));
                }
                if *nth == 0 {
                    return Err("nth counts from 1".into());
                }
                for named in [node, peer].into_iter().flatten() {
                    named.check(nodes)?;
                }
                if node.is_some() && node == peer {
                    return Err("node and peer of its trigger are the same".into());
                }
            }
        }
        self.fault.check(nodes)
    }
}

impl Workload {
    /// Whether clients can do this.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let fields =
            [("clients", u32::from(self.clients)), ("rate", self.rate), ("keys", u32::from(self.keys))];
        match fields.into_iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(format!("{name} is 0; give at least 1")),
            None if self.clients > CLIENTS_MAX => {
                Err(format!("clients = {} is out of range; 1 to {CLIENTS_MAX} are possible", self.clients))
            }
            None if self.rate > 1_000_000 => Err(format!("rate = {} is over 1000000 a second", self.rate)),
            None => Ok(()),
        }
    }
}
