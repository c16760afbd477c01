//! Pictures of a run: the space-time diagram of the stretch before the instant that matters most, and a log for ShiViz.

use crate::execution::Detail;
use interceptor::event::EventKind;
use interceptor::timeline::{Timeline, shiviz, space_time};
use std::collections::{BTreeMap, BTreeSet};

/// Events drawn after that instant.
const AFTERMATH: usize = 12;

/// Files by name; none for a run without events. `at_ns` is that instant, in virtual nanoseconds: see
/// [`Execution::shown_ns`](crate::execution::Execution::shown_ns).
#[must_use]
pub fn of(detail: &Detail, at_ns: u64) -> BTreeMap<String, String> {
    let Some(last) = detail.events.iter().map(|event| usize::from(event.host.0)).max() else {
        return BTreeMap::new();
    };
    let mut timeline = Timeline::new(detail.hosts.len().max(last + 1));
    for event in &detail.events {
        timeline.push(event.clone());
    }
    let certain = timeline.events().partition_point(|event| event.at.0 <= at_ns);
    let end = (certain + AFTERMATH).min(timeline.len());
    let start = end.saturating_sub(space_time::SHOWN_MAX);
    let faults =
        timeline.events().iter().enumerate().filter(|(_, e)| matches!(e.kind, EventKind::Fault { .. }));
    let highlight: BTreeSet<usize> = faults.map(|(index, _)| index).chain(certain.checked_sub(1)).collect();
    BTreeMap::from([
        ("timeline.svg".to_owned(), space_time::svg(&timeline, &detail.hosts, start..end, &highlight)),
        ("shiviz.log".to_owned(), shiviz::export(&timeline, &detail.hosts)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::event::{Event, HostId};
    use interceptor::time::Instant;

    #[test]
    fn the_diagram_ends_soon_after_the_violation() {
        let fault = |label: &str| EventKind::Fault { label: label.into(), on: true };
        let events = (0..1_000)
            .map(|at| {
                let kind = if at % 500 == 499 {
                    fault(&format!("cut-{at}"))
                } else {
                    EventKind::Fsync { failed: false }
                };
                Event { at: Instant(at), host: HostId(0), kind }
            })
            .collect();
        let detail = Detail { hosts: vec!["n1".into()], events, ..Detail::default() };
        let files = of(&detail, 600);
        let svg = &files["timeline.svg"];
        assert!(svg.starts_with("<svg") && svg.contains("cut-499") && !svg.contains("cut-999"), "{svg}");
        assert!(files["shiviz.log"].contains("cut-999"));
        assert!(of(&Detail::default(), 0).is_empty());
    }
}
