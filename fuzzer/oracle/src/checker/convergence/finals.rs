//! Which reads are final.

use crate::check::Options;
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The final reads of an object, and what may disturb them.
pub struct Finals<'a> {
    /// In the order of their invocations.
    pub reads: Vec<&'a Op>,
    /// Index from which on nothing changes any more, but for what is open.
    pub quiet: u64,
    /// A change that may still take effect, unless the settings say that there is none.
    pub open: Option<&'a Op>,
    /// Whether the settings say so.
    pub is_settled: bool,
}

impl<'a> Finals<'a> {
    /// Finds them.
    pub fn of(ops: &[&'a Op], options: &Options) -> Result<Self, Error> {
        let is_settled = options.is_set("settled", false)?;
        let settle_ns = options.number::<u64>("settle-ms")?.unwrap_or(0).saturating_mul(MS);
        let changes = || ops.iter().filter(|op| op.f != "read");
        let open = changes().find(|op| op.outcome == Outcome::Info).copied().filter(|_| !is_settled);
        let quiet = changes().map(|op| op.complete.unwrap_or(op.invoke)).max();
        let quiet_ns = changes().filter_map(|op| op.completed_ns.or(op.invoked_ns)).max();
        let from_ns = quiet_ns.map(|ns| ns.saturating_add(settle_ns));
        let answered = || ops.iter().copied().filter(|op| op.f == "read" && op.outcome == Outcome::Ok);
        let mut reads: Vec<&Op> = answered().filter(|op| is_marked(op)).collect();
        if reads.is_empty() {
            let is_late = |op: &&Op| {
                quiet.is_none_or(|quiet| quiet < op.invoke)
                    && (settle_ns == 0 || from_ns.is_none_or(|from| Some(from) <= op.invoked_ns))
            };
            let last: BTreeMap<u64, &Op> = answered().filter(is_late).map(|op| (op.process, op)).collect();
            reads = last.into_values().collect();
            reads.sort_by_key(|op| op.invoke);
        }
        Ok(Self { reads, quiet: quiet.unwrap_or(0), open, is_settled })
    }
}

fn is_marked(op: &Op) -> bool {
    op.extra
        .iter()
        .any(|(name, value)| matches!(name.as_str(), "final?" | "final") && *value == Value::Bool(true))
}
