//! The nemesis against levers that write down what is pulled.

use super::*;
use crate::fault::{Direction, Loss, Node};
use interceptor::event::{Link, MessageId};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000_000;

/// A cluster of three that does as it is told.
#[derive(Default)]
struct Recorder {
    now: Instant,
    down: BTreeSet<usize>,
    links: BTreeMap<(u16, u16), Link>,
    held: u64,
    disk: u64,
    pulled: Vec<String>,
}

impl Levers for Recorder {
    fn operate(&mut self, operation: Operation) -> Result<u64, Error> {
        self.pulled.push(show(&operation));
        Ok(match operation {
            Operation::Kill(node) | Operation::PowerOff(node, _) => u64::from(self.down.insert(node)),
            Operation::Start(node) => u64::from(self.down.remove(&node)),
            Operation::Link(from, to, link) => {
                self.links.insert((from.0, to.0), link);
                0
            }
            Operation::Pause(node) | Operation::Resume(node) => {
                if self.down.contains(&node) {
                    0
                } else {
                    3
                }
            }
            Operation::Reset(..) => 2,
            _ => 1,
        })
    }

    fn link_landed(&self, _: HostId, _: HostId) -> u64 {
        self.held
    }

    fn disk_landed(&self, _: usize) -> u64 {
        self.disk
    }

    fn take_lost(&mut self) -> Option<Lost> {
        None
    }

    fn is_up(&self, node: usize) -> bool {
        !self.down.contains(&node)
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn note(&mut self, host: HostId, kind: EventKind) {
        if let EventKind::Fault { label, on } = kind {
            self.pulled.push(format!("{label} of n{} {}", host.0 + 1, if on { "begins" } else { "ends" }));
        }
    }
}

fn show(operation: &Operation) -> String {
    match operation {
        Operation::Link(from, to, link) => {
            let mut what = Vec::new();
            what.extend(link.blocked.then_some("blocked"));
            what.extend(link.stalled.then_some("stalled"));
            what.extend((link.latency > Link::default().latency).then_some("slow"));
            if what.is_empty() {
                what.push("clear");
            }
            format!("n{}>n{} {}", from.0 + 1, to.0 + 1, what.join(" "))
        }
        Operation::Disk(node, faults) => format!(
            "disk n{} slow {} errors {} room {:?}",
            node + 1,
            faults.fsync_delay,
            faults.fsync_error.unwrap_or_default(),
            faults.space
        ),
        other => format!("{other:?}"),
    }
}

fn n(number: u8) -> Node {
    Node(number)
}

fn at(at_ms: u64, fault: Fault) -> Step {
    Step { when: Trigger::At { at_ms }, fault }
}

fn isolate(node: u8, for_ms: u64) -> Fault {
    Fault::Partition { side: vec![n(node)], direction: Direction::Both, for_ms }
}

fn kill(node: u8, down_ms: u64) -> Fault {
    Fault::Kill { node: n(node), down_ms }
}

struct Play {
    nemesis: Nemesis,
    levers: Recorder,
}

impl Play {
    fn new(steps: &[Step]) -> Self {
        Self { nemesis: Nemesis::new(3, Instant(0), steps), levers: Recorder::default() }
    }

    /// Lets time pass; what was pulled, with the milliseconds.
    fn run(&mut self, until_ms: u64) -> String {
        let mut shown = String::new();
        while let Some(due) = self.nemesis.deadline().filter(|due| *due <= Instant(until_ms * MS)) {
            self.levers.now = due.max(self.levers.now);
            self.nemesis.on_time(&mut self.levers).unwrap();
            shown += &self.shown();
        }
        self.levers.now = Instant(until_ms * MS);
        shown
    }

    fn shown(&mut self) -> String {
        let ms = self.levers.now.0 / MS;
        format!("{ms}: {}\n", self.levers.pulled.drain(..).collect::<Vec<_>>().join(", "))
    }

    fn event(&mut self, host: u16, kind: EventKind) -> String {
        let event = Event { at: self.levers.now, host: HostId(host), kind };
        self.nemesis.on_event(&event, &mut self.levers).unwrap();
        self.levers.pulled.drain(..).collect::<Vec<_>>().join(", ")
    }

    fn touched(&self) -> Vec<u64> {
        self.nemesis.landings(&self.levers).iter().map(|landing| landing.touched).collect()
    }
}

#[test]
fn overlapping_faults_of_one_link_end_one_by_one() {
    let delay = Fault::Delay { from: n(1), to: n(2), delay_ms: 9, jitter_ms: 0, for_ms: 30 };
    let hold = |from, to, for_ms| Fault::Link { from: n(from), to: n(to), for_ms };
    let mut play = Play::new(&[at(10, hold(1, 2, 20)), at(20, delay), at(25, hold(1, 2, 10))]);
    insta::assert_snapshot!(play.run(100), @r"
    10: link of n1 begins, n1>n2 blocked
    20: delay of n1 begins, n1>n2 blocked slow
    25: link of n1 begins, n1>n2 blocked slow
    30: n1>n2 blocked slow, link of n1 ends
    35: n1>n2 slow, link of n1 ends
    50: n1>n2 clear, delay of n1 ends
    ");
}

#[test]
fn a_node_starts_when_the_last_fault_lets_it() {
    let power = Fault::PowerLoss { node: n(1), loss: Loss::Torn, down_ms: 50 };
    let mut play =
        Play::new(&[at(10, kill(1, 30)), at(20, power.clone()), at(30, power), at(80, kill(1, 5))]);
    insta::assert_snapshot!(play.run(100), @r"
    10: kill of n1 begins, Kill(0)
    20: power-loss of n1 begins, PowerOff(0, Torn)
    30: power-loss of n1 begins
    40: kill of n1 ends
    70: power-loss of n1 ends
    80: power-loss of n1 ends, Start(0), kill of n1 begins, Kill(0)
    85: kill of n1 ends, Start(0)
    ");
    assert_eq!(play.touched(), [1, 0, 0, 1]);
}

#[test]
fn a_pause_lasts_as_long_as_any() {
    let pause = |for_ms| Fault::Pause { node: n(2), for_ms };
    let mut play = Play::new(&[at(10, pause(30)), at(20, pause(10)), at(60, kill(2, 10)), at(60, pause(30))]);
    insta::assert_snapshot!(play.run(100), @r"
    10: pause of n2 begins, Pause(1)
    20: pause of n2 begins
    30: pause of n2 ends
    40: pause of n2 ends, Resume(1)
    60: kill of n2 begins, Kill(1), pause of n2 begins, Pause(1)
    70: kill of n2 ends, Start(1)
    90: pause of n2 ends, Resume(1)
    ");
    // The last one found the node down, and stopped it as soon as it was up again.
    assert_eq!(play.touched(), [3, 0, 1, 3]);
}

#[test]
fn faults_of_disk_and_clock_add_up_and_go() {
    let steps = [
        at(10, Fault::SlowFsync { node: n(1), delay_ms: 5, for_ms: 50 }),
        at(20, Fault::FsyncError { node: n(1), count: 2 }),
        at(30, Fault::NoSpace { node: n(1), bytes: 7, for_ms: 10 }),
        at(30, Fault::ClockRate { node: n(3), percent: 50, for_ms: 30 }),
        at(35, Fault::ClockRate { node: n(3), percent: 200, for_ms: 10 }),
        at(50, Fault::ClockJump { node: n(3), by_ms: -4 }),
        at(50, Fault::Reset { a: n(1), b: n(3) }),
    ];
    let mut play = Play::new(&steps);
    let mut shown = play.run(32);
    shown += &play.event(0, EventKind::Fsync { failed: false });
    shown += &play.event(1, EventKind::Fsync { failed: true });
    assert_eq!(play.event(0, EventKind::Fsync { failed: true }), "");
    play.levers.disk = 4;
    shown += &play.run(45);
    shown += &play.event(0, EventKind::Fsync { failed: true });
    shown += "\n";
    shown += &play.run(100);
    insta::assert_snapshot!(shown, @r"
    10: slow-fsync of n1 begins, disk n1 slow 5ms errors 0 room None
    20: fsync-error of n1 begins, disk n1 slow 5ms errors 2 room None
    30: no-space of n1 begins, disk n1 slow 5ms errors 2 room Some(7), clock-rate of n3 begins, ClockRate(2, 50)
    35: clock-rate of n3 begins, ClockRate(2, 200)
    40: disk n1 slow 5ms errors 1 room None, no-space of n1 ends
    45: ClockRate(2, 50), clock-rate of n3 ends
    disk n1 slow 5ms errors 0 room None, fsync-error of n1 ends
    50: clock-jump of n3 begins, ClockJump(2, -4000000), reset of n1 begins, Reset(HostId(0), HostId(2))
    60: disk n1 slow 0s errors 0 room None, slow-fsync of n1 ends, ClockRate(2, 100), clock-rate of n3 ends
    ");
    // Of four calls one was an fsync that failed for the third when the second-last ended, two at the end.
    assert_eq!(play.touched(), [2, 2, 3, 1, 1, 1, 2]);
}

#[test]
fn steps_count_events_from_readiness_and_fire_once() {
    let on = |event: &str, node, peer, nth| Step {
        when: Trigger::On { event: event.into(), node, peer, nth },
        fault: kill(3, 10),
    };
    let mut play =
        Play::new(&[on("send:append", Some(n(1)), Some(n(2)), 2), on("fault:on:kill", None, None, 1)]);
    let send = |peer| EventKind::Send {
        message: MessageId(0),
        peer: HostId(peer),
        label: "append".into(),
        bytes: 1,
    };
    assert_eq!(play.event(0, send(1)), "");
    assert_eq!(play.event(0, send(2)), "");
    assert_eq!(play.event(1, send(1)), "");
    assert_eq!(play.event(0, send(1)), "kill of n3 begins, Kill(2)");
    assert_eq!(play.event(0, send(1)), "");
    let noted = EventKind::Fault { label: "kill".into(), on: true };
    assert_eq!(play.event(2, noted.clone()), "kill of n3 begins, Kill(2)");
    assert_eq!(play.event(2, noted), "");
    assert_eq!(play.touched(), [1, 0]);
}

#[test]
fn healing_ends_everything_and_disarms_the_rest() {
    let waiting = Step {
        when: Trigger::On { event: "fsync".into(), node: None, peer: None, nth: 1 },
        fault: kill(1, 10),
    };
    let mut play = Play::new(&[at(10, isolate(1, 500)), at(10, kill(2, 500)), at(90, kill(3, 10)), waiting]);
    play.run(50);
    play.levers.held = 3;
    play.nemesis.heal(&mut play.levers).unwrap();
    insta::assert_snapshot!(play.shown(), @"50: n1>n2 clear, n1>n3 clear, n2>n1 clear, n3>n1 clear, partition of n1 ends, kill of n2 ends, Start(1)");
    assert_eq!(play.nemesis.deadline(), None);
    assert_eq!(play.event(0, EventKind::Fsync { failed: false }), "");
    let landings = play.nemesis.landings(&play.levers);
    let fired: Vec<Option<u64>> = landings.iter().map(|landing| landing.fired_ns).collect();
    assert_eq!(fired, [Some(10 * MS), Some(10 * MS), None, None]);
    assert_eq!(play.touched(), [12, 1, 0, 0]);
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let pair = (1_u8..=3, 1_u8..=2).prop_map(|(a, d)| (n(a), n((a + d - 1) % 3 + 1)));
    (pair, 1_u64..200, 0_u8..7).prop_map(|((from, to), for_ms, kind)| match kind {
        0 => isolate(from.0, for_ms),
        1 => Fault::Partition { side: vec![from, to], direction: Direction::Inbound, for_ms },
        2 => Fault::Link { from, to, for_ms },
        3 => Fault::Delay { from, to, delay_ms: 3, jitter_ms: 1, for_ms },
        4 => Fault::Stall { from, to, for_ms },
        5 => Fault::Pause { node: from, for_ms },
        _ => kill(from.0, for_ms),
    })
}

proptest! {
    /// However faults overlap, nothing is left of them when the last has ended.
    #[test]
    fn all_is_well_in_the_end(steps in proptest::collection::vec((0_u64..300, any_fault()), 0..12), heal_ms in 0_u64..600) {
        let steps: Vec<Step> = steps.into_iter().map(|(ms, fault)| at(ms, fault)).collect();
        let mut play = Play::new(&steps);
        let mut shown = play.run(heal_ms);
        play.nemesis.heal(&mut play.levers).unwrap();
        shown += &play.shown();
        prop_assert!(play.levers.links.values().all(|link| *link == Link::default()));
        prop_assert!(play.levers.down.is_empty());
        prop_assert_eq!(play.nemesis.active().count(), 0);
        prop_assert_eq!(shown.matches("begins").count(), shown.matches("ends").count());
        prop_assert_eq!(play.nemesis.deadline(), None);
    }
}
