use super::{KEYS_MAX, Pattern, Timeline};
use crate::event::{Event, EventKind, HostId, MessageId};
use crate::time::Instant;
use proptest::prelude::*;

/// One step of a random run: which host, and what it does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Local(u16),
    Send(u16, u16),
    /// Receives one of the messages sent, old or new, perhaps again.
    Receive(usize),
}

pub(crate) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (0_u16..100).prop_map(Step::Local),
        2 => (0_u16..100, 0_u16..100).prop_map(|(from, to)| Step::Send(from, to)),
        2 => (0_usize..1000).prop_map(Step::Receive),
    ];
    proptest::collection::vec(step, 0..count)
}

pub(crate) fn run(hosts: u16, steps: &[Step]) -> Timeline {
    let mut timeline = Timeline::new(usize::from(hosts));
    let mut sent: Vec<(HostId, HostId)> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let (host, kind) = match step {
            Step::Local(host) => (HostId(host % hosts), EventKind::Fsync { failed: false }),
            Step::Send(from, to) => {
                let (from, to) = (HostId(from % hosts), HostId(to % hosts));
                let message = MessageId(sent.len() as u32);
                sent.push((from, to));
                (from, EventKind::Send { message, peer: to, label: "ping".into(), bytes: 8 })
            }
            Step::Receive(which) if !sent.is_empty() => {
                let which = which % sent.len();
                let (from, to) = sent[which];
                let message = MessageId(which as u32);
                (to, EventKind::Receive { message, peer: from, label: "ping".into(), bytes: 8 })
            }
            Step::Receive(_) => continue,
        };
        timeline.push(Event { at: Instant(at as u64 * 1000), host, kind });
    }
    timeline
}

/// Happens-before by its definition: program order and messages, closed under transitivity.
fn closure(timeline: &Timeline) -> Vec<Vec<bool>> {
    let events = timeline.events();
    let mut before = vec![vec![false; events.len()]; events.len()];
    for (b, event) in events.iter().enumerate() {
        for (a, earlier) in events[..b].iter().enumerate() {
            before[a][b] = earlier.host == event.host
                || matches!((&earlier.kind, &event.kind),
                    (EventKind::Send { message: sent, .. }, EventKind::Receive { message, .. }) if sent == message);
        }
    }
    for through in 0..events.len() {
        let reached = before[through].clone();
        for row in &mut before {
            if row[through] {
                row.iter_mut().zip(&reached).for_each(|(cell, reached)| *cell |= reached);
            }
        }
    }
    before
}

proptest! {
    #[test]
    fn clocks_agree_with_the_definition_of_happens_before(hosts in 1_u16..6, steps in steps(60)) {
        let timeline = run(hosts, &steps);
        let before = closure(&timeline);
        for (a, row) in before.iter().enumerate() {
            for (b, a_before_b) in row.iter().enumerate() {
                prop_assert_eq!(timeline.happens_before(a, b), *a_before_b, "{} before {}", a, b);
                prop_assert_eq!(timeline.concurrent(a, b), a != b && !a_before_b && !before[b][a]);
            }
        }
    }

    #[test]
    fn messages_are_found_from_both_ends(steps in steps(60)) {
        let timeline = run(4, &steps);
        for (index, event) in timeline.events().iter().enumerate() {
            match &event.kind {
                EventKind::Send { message, .. } => {
                    let first = timeline.events().iter().position(
                        |other| matches!(&other.kind, EventKind::Receive { message: got, .. } if got == message));
                    prop_assert_eq!(timeline.receive_of(index), first);
                    prop_assert_eq!(timeline.send_of(index), None);
                }
                EventKind::Receive { .. } => {
                    let send = timeline.send_of(index).unwrap();
                    prop_assert!(timeline.receive_of(send).unwrap() <= index);
                    prop_assert_eq!(timeline.receive_of(index), None);
                }
                _ => prop_assert_eq!((timeline.send_of(index), timeline.receive_of(index)), (None, None)),
            }
        }
    }

    #[test]
    fn counts_agree_with_patterns(steps in steps(60), host in 0_u16..4, peer in 0_u16..4) {
        let timeline = run(4, &steps);
        for text in ["send", "receive:ping", "fsync", "h1 send", "start"] {
            let mut pattern: Pattern = text.parse().unwrap();
            for (host, peer) in [(None, None), (Some(HostId(host)), None), (Some(HostId(host)), Some(HostId(peer)))] {
                (pattern.host, pattern.peer) = (host, peer);
                let matching: Vec<usize> =
                    (0..timeline.len()).filter(|event| pattern.matches(&timeline.events()[*event])).collect();
                prop_assert_eq!(timeline.count(&pattern), matching.len() as u64);
                for (nth, event) in matching.iter().enumerate() {
                    prop_assert_eq!(timeline.nth(&pattern, nth as u32 + 1), Some(*event));
                }
                prop_assert_eq!(timeline.nth(&pattern, matching.len() as u32 + 1), None);
            }
        }
    }
}

#[test]
fn a_full_timeline_counts_what_it_drops() {
    let mut timeline = Timeline::bounded(1, 2);
    let fsync = || Event { at: Instant(0), host: HostId(0), kind: EventKind::Fsync { failed: false } };
    assert_eq!([0; 4].map(|_| timeline.push(fsync())), [Some(0), Some(1), None, None]);
    assert_eq!((timeline.len(), timeline.dropped()), (2, 2));
    assert_eq!(timeline.count(&"fsync".parse().unwrap()), 4);
    assert_eq!(timeline.counts(), [("fsync", 4)].into());
}

#[test]
fn keys_are_bounded() {
    let mut timeline = Timeline::new(1);
    for n in 0..KEYS_MAX + 10 {
        let kind = EventKind::Client { label: format!("op {n}") };
        timeline.push(Event { at: Instant(0), host: HostId(0), kind });
    }
    assert_eq!(timeline.counts()["other"], 10);
    assert_eq!(timeline.key(KEYS_MAX + 9), "other");
}

#[test]
fn a_receipt_without_a_sending_is_local() {
    let mut timeline = Timeline::new(2);
    for (host, peer) in [(0, 1), (1, 0)] {
        let kind =
            EventKind::Receive { message: MessageId(9), peer: HostId(peer), label: "x".into(), bytes: 1 };
        timeline.push(Event { at: Instant(0), host: HostId(host), kind });
    }
    assert!(timeline.concurrent(0, 1));
    assert_eq!(timeline.send_of(1), None);
}
