//! Bounded staleness: a read may answer what was right up to so long before it was asked, and no earlier: Δ-atomicity
//! (Golab, Li and Shah, "Analyzing consistency properties for fun and profit", PODC 2011).
//!
//! A history is so if it is linearizable once each read begins earlier by the bound.

use super::search::Item;
use crate::model::register::Action;

/// The oracle's name.
pub const NAME: &str = "bounded-staleness";

/// Lets reads begin `bound_ns` earlier. `times` are nanoseconds of invocations, one an item; `events` are those of all
/// entries of the history, in the order of their indices.
pub(super) fn relax(items: &mut [Item<Action>], times: &[u64], events: &[(u64, u64)], bound_ns: u64) {
    for (item, time) in items.iter_mut().zip(times) {
        if matches!(item.action, Action::Read(_)) {
            let from = time.saturating_sub(bound_ns);
            let first = events.partition_point(|(_, at)| *at < from);
            if let Some((index, _)) = events.get(first) {
                item.call = item.call.min(*index);
            }
        }
    }
}
