//! The observer: what a run looks like from outside, taken in event by event.
//!
//! It owns the timeline and its windows, the roles that nodes last reported, and what the oracles want to know of
//! nodes. It only reads; it has no influence on the run.

use crate::execution::Sighting;
use crate::state::Happened;
use interceptor::event::{Event, EventKind, Exit, LogLine, Report};
use interceptor::summary::{Dictionary, FOLLOWS, LEADS, Summarizer, WindowSummary};
use interceptor::time::Instant;
use interceptor::timeline::Timeline;
use oracle::{ProcessExit, raft};
use std::collections::BTreeMap;

/// Lines of standard error kept of a node that ended by itself.
const TAIL_MAX: usize = 40;

/// What was seen so far.
pub struct Observer {
    nodes: Vec<NodeSeen>,
    timeline: Timeline,
    summarizer: Summarizer,
    /// The first event of the present window.
    window_from: usize,
    /// Features, and when they were first seen.
    features: BTreeMap<u64, u64>,
    windows: u64,
    /// In the present window.
    happened: Happened,
    /// The node that led at the end of the last window, and for how many windows it had.
    leader: Option<usize>,
    reign: u64,
    messages: u64,
    exits: Vec<ProcessExit>,
    reports: Vec<raft::Report>,
}

#[derive(Clone, Debug, Default)]
struct NodeSeen {
    is_up: bool,
    role: Option<String>,
    /// When it last started.
    started_at: Instant,
}

impl Observer {
    /// For a run whose hosts `0..nodes` of `hosts` are nodes; `dictionary` is that of earlier runs.
    #[must_use]
    pub fn new(nodes: usize, hosts: usize, dictionary: Dictionary) -> Self {
        Self {
            nodes: vec![NodeSeen::default(); nodes],
            timeline: Timeline::new(hosts),
            summarizer: Summarizer::with_dictionary(nodes, dictionary),
            window_from: 0,
            features: BTreeMap::new(),
            windows: 0,
            happened: Happened::default(),
            leader: None,
            reign: 0,
            messages: 0,
            exits: Vec::new(),
            reports: Vec::new(),
        }
    }

    /// Takes in the next event; `logs` is all that was written so far, in order.
    pub fn take(&mut self, event: &Event, logs: &[LogLine]) {
        self.happened.take(event);
        self.messages += u64::from(matches!(event.kind, EventKind::Send { .. }));
        let host = usize::from(event.host.0);
        if let Some(node) = self.nodes.get_mut(host) {
            match &event.kind {
                EventKind::Start => *node = NodeSeen { is_up: true, role: None, started_at: event.at },
                EventKind::Exit(exit) => {
                    (node.is_up, node.role) = (false, None);
                    // Events are taken in some time after they happened; more may have been written since.
                    let from = logs.partition_point(|line| line.at < node.started_at);
                    let to = logs.partition_point(|line| line.at <= event.at);
                    self.exits.push(ended(event, host, exit, &logs[from..to.max(from)]));
                }
                EventKind::Report(report) => {
                    if let Some(role) = report.text("role") {
                        node.role = Some(role.to_owned());
                    }
                    self.reports.extend(raft_report(event, host, report));
                }
                _ => {}
            }
        }
        self.timeline.push(event.clone());
    }

    /// Ends a window and begins the next; what it amounts to. Only features of windows that count are kept: those that end at
    /// `at_ms` milliseconds since readiness, and not before.
    ///
    /// Besides, what happened in it, and for how many windows the leader has been the same.
    pub fn window(&mut self, at_ms: Option<u64>) -> (WindowSummary, Happened, u64) {
        let summary = self.summarizer.window(&self.timeline, self.window_from..self.timeline.len());
        self.window_from = self.timeline.len();
        if let Some(at_ms) = at_ms {
            self.windows += 1;
            for feature in &summary.features {
                self.features.entry(*feature).or_insert(at_ms);
            }
        }
        let roles = self.roles();
        let leader = roles.iter().position(|role| role.as_deref().is_some_and(|it| LEADS.contains(&it)));
        self.reign = if leader == self.leader { self.reign + 1 } else { 0 };
        self.leader = leader;
        (summary, std::mem::take(&mut self.happened), self.reign)
    }

    /// What each node last said of its role; nothing of nodes that are down or have not said. Where no node says anything, the
    /// one that sent to all others leads.
    #[must_use]
    pub fn roles(&self) -> Vec<Option<String>> {
        let Some(leader) = self.summarizer.supposed_leader() else {
            return self.nodes.iter().map(|node| node.role.clone()).collect();
        };
        let role = |number| if number == leader { LEADS[0] } else { FOLLOWS };
        let nodes = self.nodes.iter().enumerate();
        nodes.map(|(number, node)| node.is_up.then(|| role(number).to_owned())).collect()
    }

    /// Features of all windows that count.
    #[must_use]
    pub fn features(&self) -> Vec<Sighting> {
        self.features.iter().map(|(&feature, &at_ms)| Sighting { feature, at_ms }).collect()
    }

    /// What features mean, those of earlier runs included.
    #[must_use]
    pub fn into_dictionary(self) -> Dictionary {
        self.summarizer.into_dictionary()
    }

    /// How many windows count.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// How many messages were sent.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How nodes ended.
    #[must_use]
    pub fn exits(&self) -> &[ProcessExit] {
        &self.exits
    }

    /// What nodes said of their consensus.
    #[must_use]
    pub fn reports(&self) -> &[raft::Report] {
        &self.reports
    }
}

/// The number that oracles give the node at this position.
fn number(host: usize) -> u32 {
    u32::try_from(host + 1).unwrap_or(u32::MAX)
}

fn ended(event: &Event, host: usize, exit: &Exit, written: &[LogLine]) -> ProcessExit {
    let of_node = written.iter().filter(|line| line.host == event.host && line.stderr);
    let lines: Vec<String> = of_node.map(|line| line.text.clone()).collect();
    let (exit, planned) = match exit {
        Exit::Status(status) => (oracle::Exit::Status(*status), false),
        Exit::Signal(signal) => (oracle::Exit::Signal(*signal), false),
        Exit::Killed => (oracle::Exit::Signal(9), true),
    };
    let stderr_tail = lines[lines.len().saturating_sub(TAIL_MAX)..].to_vec();
    ProcessExit { at_ns: event.at.0, node: number(host), exit, planned, stderr_tail }
}

fn raft_report(event: &Event, host: usize, report: &Report) -> Option<raft::Report> {
    let kind = raft::Kind::from_fields(&report.kind, |name| report.text(name))?;
    Some(raft::Report { at_ns: event.at.0, node: number(host), kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use interceptor::event::{HostId, MessageId};

    fn event(at: u64, host: u16, kind: EventKind) -> Event {
        Event { at: Instant(at), host: HostId(host), kind }
    }

    fn report(line: &str) -> EventKind {
        EventKind::Report(Report::parse(line.as_bytes()).unwrap())
    }

    fn state(role: &str) -> EventKind {
        report(&format!(
            r#"{{"report":"state","role":"{role}","term":2,"vote":1,"commit":0,"last":0,"last_term":0,"applied":0}}"#
        ))
    }

    fn line(at: u64, host: u16, stderr: bool, text: &str) -> LogLine {
        LogLine { at: Instant(at), host: HostId(host), stderr, text: text.into() }
    }

    #[test]
    fn roles_last_as_long_as_the_node() {
        let mut observer = Observer::new(2, 3, Dictionary::default());
        observer.take(&event(1, 0, EventKind::Start), &[]);
        observer.take(&event(2, 0, state("leader")), &[]);
        observer.take(&event(2, 2, state("leader")), &[]);
        assert_eq!(observer.roles(), [Some("leader".to_owned()), None]);
        observer.take(&event(3, 0, EventKind::Exit(Exit::Killed)), &[]);
        assert_eq!(observer.roles(), [None, None]);
        assert_eq!(observer.reports().len(), 1);
    }

    #[test]
    fn who_sends_to_all_leads_where_nobody_says_so() {
        let mut observer = Observer::new(3, 4, Dictionary::default());
        let send = |message, to| EventKind::Send {
            message: MessageId(message),
            peer: HostId(to),
            label: "a".into(),
            bytes: 1,
        };
        (0..3).for_each(|node| observer.take(&event(1, node, EventKind::Start), &[]));
        observer.take(&event(2, 1, send(0, 0)), &[]);
        observer.take(&event(2, 1, send(1, 2)), &[]);
        assert_eq!(observer.roles(), [None, None, None], "a window tells");
        observer.window(Some(250));
        let roles = |observer: &Observer| {
            observer.roles().into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(roles(&observer), ["follower", "leader", "follower"]);
        observer.take(&event(3, 0, EventKind::Exit(Exit::Killed)), &[]);
        observer.window(Some(500));
        assert_eq!(roles(&observer), ["", "leader", "follower"]);
        observer.take(&event(4, 2, state("leader")), &[]);
        observer.window(Some(750));
        assert_eq!(roles(&observer), ["", "", "leader"]);
    }

    #[test]
    fn both_spellings_of_a_role_reach_the_oracle() {
        let mut observer = Observer::new(1, 1, Dictionary::default());
        observer.take(&event(1, 0, state("pre_candidate")), &[]);
        observer.take(&event(1, 0, report(r#"{"report":"metrics","x":1}"#)), &[]);
        let roles: Vec<&raft::Kind> = observer.reports().iter().map(|report| &report.kind).collect();
        assert!(matches!(roles[..], [raft::Kind::State { role: raft::Role::Candidate, .. }]), "{roles:?}");
    }

    #[test]
    fn exits_keep_what_this_life_wrote_last() {
        let mut observer = Observer::new(2, 2, Dictionary::default());
        let logs = [
            line(0, 0, true, "an earlier life"),
            line(1, 0, false, "hello"),
            line(1, 1, true, "another node"),
            line(2, 0, true, "panicked"),
            line(4, 0, true, "a later life"),
        ];
        observer.take(&event(1, 0, EventKind::Start), &logs);
        observer.take(&event(2, 0, EventKind::Exit(Exit::Status(101))), &logs);
        observer.take(&event(3, 1, EventKind::Exit(Exit::Killed)), &logs);
        let [own, killed] = observer.exits() else { panic!("two exits") };
        assert_eq!((own.node, own.exit, own.planned), (1, oracle::Exit::Status(101), false));
        assert_eq!(own.stderr_tail, ["panicked"]);
        assert!(killed.planned);
    }

    #[test]
    fn windows_that_do_not_count_leave_no_features() {
        let mut observer = Observer::new(2, 2, Dictionary::default());
        let send =
            |n| EventKind::Send { message: MessageId(n), peer: HostId(1), label: "a".into(), bytes: 1 };
        observer.take(&event(1, 0, send(0)), &[]);
        observer.window(None);
        assert_eq!((observer.features().len(), observer.windows()), (0, 0));
        observer.take(&event(2, 0, send(1)), &[]);
        let (busy, happened, reign) = observer.window(Some(250));
        assert!(!observer.features().is_empty());
        assert_eq!((happened, reign), (Happened::default(), 2));
        observer.window(Some(500));
        let first = busy.features[0];
        let seen = observer.features().into_iter().find(|sighting| sighting.feature == first).unwrap();
        assert_eq!(seen.at_ms, 250, "the first time counts");
        assert_eq!((observer.windows(), observer.messages()), (2, 2));
    }
}
