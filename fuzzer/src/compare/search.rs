//! One search: a campaign that ends when it has found what it is to find, or has had its share.

use super::cell::{Cell, Outcome, Role};
use super::outside::{States, Watched, is_mark};
use crate::campaign::{Campaign, CampaignConfig, CampaignError, CampaignEvent, Limits, StopReason};
use crate::executor::Executor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Nothing of the campaign is needed later: it is never saved on the way, but for the finding that ends it.
const SAVE_NEVER: Duration = Duration::from_secs(1 << 30);

/// What a campaign of this cell is asked to do, besides what the target says.
pub fn configure(config: &mut CampaignConfig, cell: &Cell) {
    config.agent.clone_from(&cell.agent);
    config.seed = cell.seed;
    config.search = cell.search;
    config.horizon_ms = cell.horizon_ms;
    config.save_every = SAVE_NEVER;
    // An experiment begins with nothing, whatever is kept in corpora.
    config.seeds.clear();
    if !cell.faults {
        config.kinds.clear();
    }
    config.limits = Limits {
        time: cell.seconds.map(Duration::from_secs),
        executions: Some(cell.executions),
        stop_after: None,
    };
}

/// Searches; `None` when `is_stopped` before it was over.
///
/// # Errors
/// When the campaign cannot begin or go on.
pub fn search(
    cell: &Cell,
    config: CampaignConfig,
    executors: Vec<Box<dyn Executor>>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Outcome>, CampaignError> {
    let states = States::default();
    let watched = |inner| Box::new(Watched::new(inner, &states)) as Box<dyn Executor>;
    let mut campaign = Campaign::open(config, executors.into_iter().map(watched).collect())?;
    let mut outcome = Outcome::default();
    let over = AtomicBool::new(false);
    let mut is_whole = false;
    campaign.run(&over, &mut |event| {
        match event {
            CampaignEvent::Finding { signature, executions, elapsed_ms, .. } => {
                outcome.findings.push(signature.clone());
                if cell.role == Role::Hunt && outcome.found.is_none() && cell.is_sought(signature) {
                    outcome.found = Some(signature.clone());
                    outcome.executions = *executions;
                    outcome.seconds = seconds(*elapsed_ms);
                    over.store(true, Ordering::Relaxed);
                }
            }
            CampaignEvent::Executed { executions, .. } if is_mark(*executions) => {
                outcome.states.push((*executions, states.len()));
            }
            CampaignEvent::Stopped { reason, summary } => {
                is_whole = *reason != StopReason::Interrupted || outcome.found.is_some();
                if outcome.found.is_none() {
                    outcome.executions = summary.executions;
                    outcome.seconds = seconds(summary.elapsed_ms);
                }
                if outcome.states.last().is_none_or(|last| last.0 < summary.executions) {
                    outcome.states.push((summary.executions, states.len()));
                }
                (outcome.steps, outcome.landed) = (summary.steps, summary.landed);
                (outcome.unknown, outcome.diverged) = (summary.unknown, summary.diverged);
                outcome.skipped = summary.skipped;
                outcome.distance = summary.divergence.tv;
            }
            _ => {}
        }
        if is_stopped() {
            over.store(true, Ordering::Relaxed);
        }
    })?;
    Ok(is_whole.then_some(outcome))
}

#[allow(clippy::cast_precision_loss, reason = "a time for people")]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1e3
}
