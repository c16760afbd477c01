use super::{Dictionary, EVENTS_MAX, Standing, Summarizer, WindowSummary};
use crate::event::{Event, EventKind, Exit, HostId, MessageId, Report};
use crate::time::Instant;
use crate::timeline::Timeline;
use proptest::prelude::*;
use std::collections::BTreeSet;

const NODES: u16 = 3;
const HOSTS: u16 = 4;

/// One step of a random run on three nodes (0 to 2) and a client (3).
#[derive(Clone, Debug)]
enum Step {
    Send { from: u16, to: u16, label: usize },
    Receive(usize),
    Fsync(u16),
    Report { node: u16, role: usize, term: u64, commit: u64 },
    Exit(u16),
    Start(u16),
    Fault { node: u16, on: bool },
}

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..HOSTS, 0..HOSTS, 0_usize..3).prop_map(|(from, to, label)| Step::Send { from, to, label }),
        6 => (0_usize..1000).prop_map(Step::Receive),
        2 => (0..NODES).prop_map(Step::Fsync),
        2 => (0..NODES, 0_usize..3, 0_u64..4, 0_u64..20)
            .prop_map(|(node, role, term, commit)| Step::Report { node, role, term, commit }),
        1 => (0..NODES).prop_map(Step::Exit),
        1 => (0..NODES).prop_map(Step::Start),
        1 => (0..NODES, any::<bool>()).prop_map(|(node, on)| Step::Fault { node, on }),
    ];
    proptest::collection::vec(step, 0..count)
}

/// Plays the steps with the nodes renamed.
fn run(steps: &[Step], names: [u16; 4]) -> Timeline {
    let name = |host: u16| HostId(names[usize::from(host)]);
    let mut timeline = Timeline::new(usize::from(HOSTS));
    let mut sent = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let (host, kind) = match step {
            Step::Send { from, to, label } => {
                let (message, label) =
                    (MessageId(sent.len() as u32), ["append", "vote", "reply"][*label].to_owned());
                sent.push((*from, *to, label.clone()));
                (name(*from), EventKind::Send { message, peer: name(*to), label, bytes: 9 })
            }
            Step::Receive(which) if !sent.is_empty() => {
                let which = which % sent.len();
                let (from, to, label) = sent[which].clone();
                let message = MessageId(which as u32);
                (name(to), EventKind::Receive { message, peer: name(from), label, bytes: 9 })
            }
            Step::Receive(_) => continue,
            Step::Fsync(node) => (name(*node), EventKind::Fsync { failed: false }),
            Step::Report { node, role, term, commit } => {
                let role = ["leader", "follower", "candidate"][*role];
                let line = format!(
                    "{{\"report\":\"state\",\"role\":\"{role}\",\"term\":{term},\"commit\":{commit}}}"
                );
                (name(*node), EventKind::Report(Report::parse(line.as_bytes()).unwrap()))
            }
            Step::Exit(node) => (name(*node), EventKind::Exit(Exit::Killed)),
            Step::Start(node) => (name(*node), EventKind::Start),
            Step::Fault { node, on } => {
                (name(*node), EventKind::Fault { label: format!("pause n{}", name(*node).0 + 1), on: *on })
            }
        };
        timeline.push(Event { at: Instant(at as u64), host, kind });
    }
    timeline
}

fn summarize(timeline: &Timeline, window: usize) -> (Vec<WindowSummary>, Summarizer) {
    let mut summarizer = Summarizer::new(usize::from(NODES));
    let starts = (0..timeline.len()).step_by(window);
    let summaries = starts.map(|start| summarizer.window(timeline, start..start + window)).collect();
    (summaries, summarizer)
}

/// Role and kind of every event, computed anew for each from the beginning.
fn named(timeline: &Timeline) -> Vec<String> {
    let name = |index: usize| {
        let host = timeline.events()[index].host;
        let supposed = supposed(timeline, index);
        let mut role = if host.0 < NODES { "node" } else { "client" }.to_owned();
        for event in timeline.events()[..index].iter().filter(|event| event.host == host) {
            match &event.kind {
                EventKind::Report(report) => role = report.text("role").unwrap().to_owned(),
                EventKind::Exit(_) | EventKind::Start => role = "node".to_owned(),
                _ => {}
            }
        }
        let is_down = timeline.events()[..index].iter().rev().find_map(|event| match &event.kind {
            EventKind::Exit(_) if event.host == host => Some(true),
            EventKind::Start | EventKind::Report(_) if event.host == host => Some(false),
            _ => None,
        });
        if let Some(leader) = supposed.filter(|_| host.0 < NODES && is_down != Some(true)) {
            role = if leader == host.0 { "leader" } else { "follower" }.to_owned();
        }
        let key = timeline.key(index);
        let key = if key.starts_with("fault") { key.rsplit_once(' ').unwrap().0 } else { key };
        format!("{role} {key}")
    };
    (0..timeline.len()).map(name).collect()
}

/// Who is supposed to lead when an event happens, where no node has said what it is: the last that sent to both others, all
/// being up, if it was alone in that then, and has not ended since. All is recent in these runs.
fn supposed(timeline: &Timeline, index: usize) -> Option<u16> {
    let before = &timeline.events()[..index];
    if before.iter().any(|event| matches!(event.kind, EventKind::Report(_)) && event.host.0 < NODES) {
        return None;
    }
    let (mut leader, mut up) = (None, BTreeSet::from([0, 1, 2]));
    let mut sent = BTreeSet::new();
    for Event { host: HostId(host), kind, .. } in before.iter().filter(|event| event.host.0 < NODES) {
        match kind {
            EventKind::Start => drop(up.insert(*host)),
            EventKind::Exit(_) => {
                up.remove(host);
                sent.retain(|(from, _)| from != host);
                leader = leader.filter(|leader| leader != host);
            }
            EventKind::Send { peer, .. } if peer.0 < NODES => {
                sent.insert((*host, peer.0));
                let to_all = |from: u16| (0..NODES).all(|to| to == from || sent.contains(&(from, to)));
                if up.len() == 3 && to_all(*host) {
                    leader = Some(*host).filter(|_| (0..NODES).filter(|node| to_all(*node)).eq([*host]));
                }
            }
            _ => {}
        }
    }
    leader
}

/// The features about events and pairs of events, in words, by their definitions.
fn expected(timeline: &Timeline, from: usize, to: usize) -> BTreeSet<String> {
    let names = named(timeline);
    let host = |index: usize| timeline.events()[index].host;
    let first =
        |index: usize| (from..index).all(|other| host(other) != host(index) || names[other] != names[index]);
    let receipt = |index: usize| matches!(timeline.events()[index].kind, EventKind::Receive { .. });
    let mut expected: BTreeSet<String> = names[from..to].iter().cloned().collect();
    for a in (from..to).filter(|a| host(*a).0 < NODES) {
        for b in (from..to).filter(|b| host(*b).0 < NODES) {
            if a < b && host(a) == host(b) && first(a) && first(b) {
                expected.insert(format!("on one node: {}, then {}", names[a], names[b]));
            }
            if host(a) != host(b) && timeline.concurrent(a, b) {
                let mut pair = [&names[a], &names[b]];
                pair.sort_by_key(|name| super::feature::hash(name));
                expected.insert(format!("on two nodes, unordered: {}, {}", pair[0], pair[1]));
            }
        }
        if let Some(send) = timeline.send_of(a)
            && let Some(next) = (a..to).find(|next| host(*next) == host(a) && !receipt(*next))
        {
            expected.insert(format!("{}, and its receiver then: {}", names[send], names[next]));
        }
    }
    expected
}

/// Sends of nodes, in order, none of which says what it is.
fn silent(sends: &[(u16, u16)]) -> Timeline {
    let step = |(from, to): &(u16, u16)| Step::Send { from: *from, to: *to, label: 0 };
    run(&sends.iter().map(step).collect::<Vec<_>>(), [0, 1, 2, 3])
}

#[test]
fn who_alone_sends_to_all_others_is_supposed_to_lead() {
    let leader = |sends: &[(u16, u16)]| summarize(&silent(sends), sends.len().max(1)).1.supposed_leader();
    assert_eq!(leader(&[(1, 0), (0, 1), (1, 2), (2, 1), (1, 3)]), Some(1));
    assert_eq!(leader(&[(1, 0), (0, 1), (2, 1)]), None, "not to all");
    assert_eq!(leader(&[(1, 0), (1, 2), (0, 1), (0, 2)]), None, "not alone");
    // It stays what it is until another one does so too.
    let sends = [(1, 0), (1, 2), (0, 1), (2, 1), (0, 2), (0, 1)];
    let leaders = [1, 2, 4, 6].map(|end| leader(&sends[..end]));
    assert_eq!(leaders, [None, Some(1), Some(1), None]);
    let (summaries, summarizer) = summarize(&silent(&sends), 2);
    assert_eq!(summaries.iter().map(|it| it.standing.leaders).collect::<Vec<_>>(), [1, 1, 0]);
    let colours: Vec<String> =
        summaries[1].features.iter().filter_map(|it| summarizer.explain(*it)).collect();
    assert!(colours.iter().any(|text| text.contains("follower | follower | leader")), "{colours:?}");
}

#[test]
fn what_was_sent_long_ago_says_nothing() {
    let mut timeline = Timeline::new(usize::from(HOSTS));
    let sends = [(0, 1, 0), (0, 1, 2), (450, 0, 1), (490, 1, 0), (900, 0, 1), (900, 0, 2)];
    let leaders = sends.iter().enumerate().map(|(number, (at_ms, from, to))| {
        let (message, label) = (MessageId(number as u32), "a".to_owned());
        let kind = EventKind::Send { message, peer: HostId(*to), label, bytes: 1 };
        timeline.push(Event { at: Instant(at_ms * 1_000_000), host: HostId(*from), kind });
        summarize(&timeline, number + 1).1.supposed_leader()
    });
    assert_eq!(leaders.collect::<Vec<_>>(), [None, Some(1), Some(1), Some(1), Some(1), Some(0)]);
}

#[test]
fn what_nodes_say_counts_more_than_what_they_send() {
    let mut steps: Vec<Step> = [(1, 0), (1, 2)].map(|(from, to)| Step::Send { from, to, label: 0 }).into();
    let timeline = run(&steps, [0, 1, 2, 3]);
    assert_eq!(summarize(&timeline, 2).1.supposed_leader(), Some(1));
    steps.push(Step::Exit(1));
    assert_eq!(summarize(&run(&steps, [0, 1, 2, 3]), 3).1.supposed_leader(), None, "it is down");
    steps[2] = Step::Report { node: 1, role: 1, term: 1, commit: 0 };
    let (summaries, summarizer) = summarize(&run(&steps, [0, 1, 2, 3]), 3);
    assert_eq!((summarizer.supposed_leader(), summaries[0].standing.leaders), (None, 0));
}

proptest! {
    #[test]
    fn features_are_what_their_definitions_say(steps in steps(60), window in 5_usize..40) {
        let timeline = run(&steps, [0, 1, 2, 3]);
        let (summaries, summarizer) = summarize(&timeline, window);
        for (number, summary) in summaries.iter().enumerate() {
            let (from, to) = (number * window, ((number + 1) * window).min(timeline.len()));
            let words = summary.features.iter().map(|feature| summarizer.explain(*feature).unwrap());
            let about_events = |text: &String| {
                !["a node: ", "the cluster: ", "under fault: "].iter().any(|start| text.starts_with(start))
            };
            prop_assert_eq!(words.filter(about_events).collect::<BTreeSet<_>>(), expected(&timeline, from, to));
            prop_assert!(summary.features.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn names_of_nodes_do_not_matter(steps in steps(120), window in 10_usize..60) {
        let (plain, _) = summarize(&run(&steps, [0, 1, 2, 3]), window);
        for names in [[1, 2, 0, 3], [2, 1, 0, 3]] {
            let (renamed, _) = summarize(&run(&steps, names), window);
            prop_assert_eq!(&plain, &renamed);
        }
    }

    #[test]
    fn a_window_is_the_same_in_and_out_of_order(steps in steps(120), window in 10_usize..60) {
        let timeline = run(&steps, [0, 1, 2, 3]);
        let (in_order, mut summarizer) = summarize(&timeline, window);
        for (number, summary) in in_order.iter().enumerate().rev() {
            let range = number * window..(number + 1) * window;
            prop_assert_eq!(&summarizer.window(&timeline, range.clone()), summary);
            let mut fresh = Summarizer::with_dictionary(usize::from(NODES), Dictionary::bounded(0));
            prop_assert_eq!(&fresh.window(&timeline, range), summary);
        }
    }
}

fn report(role: &str, term: u64, commit: u64) -> EventKind {
    let line = format!(
        "{{\"report\":\"state\",\"role\":\"{role}\",\"term\":{term},\"commit\":{commit},\"last\":5}}"
    );
    EventKind::Report(Report::parse(line.as_bytes()).unwrap())
}

fn play(nodes: usize, events: Vec<(u16, EventKind)>) -> (WindowSummary, Vec<String>) {
    let mut timeline = Timeline::new(nodes + 1);
    for (host, kind) in events {
        timeline.push(Event { at: Instant(0), host: HostId(host), kind });
    }
    let mut summarizer = Summarizer::new(nodes);
    let summary = summarizer.window(&timeline, 0..timeline.len());
    let words: Vec<String> = summary.features.iter().map(|one| summarizer.explain(*one).unwrap()).collect();
    (summary, words)
}

#[test]
fn nodes_are_coloured_relative_to_the_foremost() {
    let fault = EventKind::Fault { label: "partition n1 | n2 n3".into(), on: true };
    let send = EventKind::Send { message: MessageId(0), peer: HostId(1), label: "append".into(), bytes: 1 };
    let reply =
        EventKind::Send { message: MessageId(1), peer: HostId(3), label: "HTTP 200".into(), bytes: 1 };
    let (_, words) = play(
        3,
        vec![
            (0, report("leader", 7, 104)),
            (1, report("follower", 6, 103)),
            (2, report("follower", 2, 80)),
            (0, send),
            (0, reply),
            (1, fault),
        ],
    );
    let all = [
        "a node: follower term -1 commit -1 log -0",
        "a node: follower term -2+ commit -10+ log -0",
        "a node: leader term -0 commit -0 log -0",
        "under fault: partition",
        "the cluster: follower term -1 commit -1 log -0 | follower term -2+ commit -10+ log -0 | leader term -0 commit -0 log -0",
    ];
    for text in all {
        assert!(words.iter().any(|word| word == text), "{text}\n{words:#?}");
    }
}

#[test]
fn nodes_stand_as_they_say_whoever_they_are() {
    let standing = |commit: u64, leader: u16| {
        let mut events: Vec<_> = (0..3).map(|node| (node, report("follower", 3, commit))).collect();
        events.push((leader, report("leader", 3, commit + 2)));
        play(3, events).0.standing
    };
    let expected = Standing { leaders: 1, down: 0, term_lag: Some(0), commit_lag: Some(2) };
    assert_eq!((standing(10, 0), standing(500, 2)), (expected, expected));
    let down = play(3, vec![(0, report("leader", 3, 1)), (1, EventKind::Exit(Exit::Killed))]).0.standing;
    assert_eq!(down, Standing { leaders: 1, down: 1, term_lag: Some(0), commit_lag: Some(0) });
    let back = play(3, vec![(1, EventKind::Exit(Exit::Killed)), (1, EventKind::Start)]).0.standing;
    assert_eq!(back, Standing::default());
}

#[test]
fn long_windows_are_cut_but_not_forgotten() {
    let mut events = vec![(0, EventKind::Fsync { failed: false }); EVENTS_MAX];
    events.push((1, EventKind::Fsync { failed: true }));
    events.push((1, report("leader", 1, 0)));
    let (_, words) = play(2, events);
    assert!(!words.iter().any(|word| word.contains("failed")));
    assert!(words.iter().any(|word| word.starts_with("a node: leader")));
}

#[test]
fn a_hostile_node_cannot_make_summaries_grow() {
    let mut events = Vec::new();
    for n in 0..3000 {
        events.push((0, report(&format!("role {n} {}", "x".repeat(500)), n, n)));
        events.push((0, EventKind::Client { label: format!("word{}", "y".repeat(n as usize)) }));
    }
    let mut timeline = Timeline::new(1);
    for (host, kind) in events {
        timeline.push(Event { at: Instant(0), host: HostId(host), kind });
    }
    let mut summarizer = Summarizer::new(1);
    for start in (0..timeline.len()).step_by(100) {
        let summary = summarizer.window(&timeline, start..start + 100);
        assert!(summary.features.len() < 100 * 100);
    }
    assert!(summarizer.kinds.len() <= super::kinds::KINDS_MAX);
}
