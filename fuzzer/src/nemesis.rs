//! The nemesis: the only thing that turns a [`Fault`] into operations on the sandbox, and the only judge of
//! whether it landed.
//!
//! It owns the steps of a schedule, which of them have fired and what they have touched, and the faults in
//! force. It is told of events and of time. It does not choose anything.

mod effect;

use crate::action::Seen;
use crate::execution::Landing;
use crate::fault::Fault;
use crate::schedule::{Step, Trigger};
use effect::{host, position};
use interceptor::disk::Lost;
use interceptor::event::{Event, EventKind, HostId};
use interceptor::sandbox::{Error, Operation, Sandbox};
use interceptor::time::{Instant, Span};
use interceptor::timeline::Pattern;
use std::collections::BTreeSet;

/// What the nemesis needs of a sandbox.
pub trait Levers {
    /// Carries out an operation; what it touched at once.
    ///
    /// # Errors
    /// When the sandbox fails.
    fn operate(&mut self, operation: Operation) -> Result<u64, Error>;

    /// Packets that faults have held back or delayed on a link so far.
    fn link_landed(&self, from: HostId, to: HostId) -> u64;

    /// Calls that faults of a node's disk have failed or delayed so far.
    fn disk_landed(&self, node: usize) -> u64;

    /// What the last power loss took, once.
    fn take_lost(&mut self) -> Option<Lost>;

    /// Whether the node's program runs.
    fn is_up(&self, node: usize) -> bool;

    /// Virtual time.
    fn now(&self) -> Instant;

    /// Writes an event down.
    fn note(&mut self, host: HostId, kind: EventKind);
}

impl Levers for Sandbox {
    fn operate(&mut self, operation: Operation) -> Result<u64, Error> {
        Self::operate(self, operation)
    }

    fn link_landed(&self, from: HostId, to: HostId) -> u64 {
        Self::link_landed(self, from, to)
    }

    fn disk_landed(&self, node: usize) -> u64 {
        Self::disk_landed(self, node)
    }

    fn take_lost(&mut self) -> Option<Lost> {
        Self::take_lost(self)
    }

    fn is_up(&self, node: usize) -> bool {
        Self::is_up(self, node)
    }

    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn note(&mut self, host: HostId, kind: EventKind) {
        Self::note(self, host, kind);
    }
}

/// The steps of one execution and the faults in force.
#[derive(Debug)]
pub struct Nemesis {
    nodes: usize,
    ready: Instant,
    armed: Vec<Armed>,
    /// In the order in which they began.
    active: Vec<Active>,
    /// Fsyncs that failed, of each node.
    fsyncs_failed: Vec<u64>,
}

#[derive(Debug)]
struct Armed {
    step: Step,
    wait: Wait,
    fired: Option<Instant>,
    ended: Option<Instant>,
    touched: u64,
    took: Vec<String>,
}

#[derive(Debug)]
enum Wait {
    Instant(Instant),
    Events {
        pattern: Pattern,
        left: u32,
    },
    /// It has been disarmed.
    Never,
}

#[derive(Debug)]
struct Active {
    index: usize,
    fault: Fault,
    until: Option<Instant>,
    links: BTreeSet<(HostId, HostId)>,
    /// What its links or its disk had counted when it began.
    counted: u64,
    /// How many fsyncs it fails yet.
    failures_left: u32,
}

impl Nemesis {
    /// Arms the steps of a cluster of `nodes` that became ready at `ready`.
    #[must_use]
    pub fn new(nodes: usize, ready: Instant, steps: &[Step]) -> Self {
        let mut nemesis =
            Self { nodes, ready, armed: Vec::new(), active: Vec::new(), fsyncs_failed: vec![0; nodes] };
        steps.iter().for_each(|step| nemesis.arm(step.clone(), &Seen::default()));
        nemesis
    }

    /// Arms one more step; `seen` holds what happened since readiness, which its trigger counts too.
    pub fn arm(&mut self, step: Step, seen: &Seen) {
        let wait = match &step.when {
            Trigger::At { at_ms } => Wait::Instant(self.ready + Span::from_millis(*at_ms)),
            Trigger::On { event, node, peer, nth } => Wait::Events {
                pattern: Pattern { host: node.map(host), key: event.clone(), peer: peer.map(host) },
                left: nth.saturating_sub(seen.count(*node, event)),
            },
        };
        self.armed.push(Armed { step, wait, fired: None, ended: None, touched: 0, took: Vec::new() });
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let ends = self.active.iter().filter_map(|active| active.until);
        let begins = self.armed.iter().filter_map(|armed| match armed.wait {
            Wait::Instant(at) if armed.fired.is_none() => Some(at),
            _ => None,
        });
        ends.chain(begins).min()
    }

    /// Something happened: fires the steps that waited for it.
    ///
    /// # Errors
    /// When the sandbox fails.
    pub fn on_event(&mut self, event: &Event, levers: &mut impl Levers) -> Result<(), Error> {
        if matches!(event.kind, EventKind::Fsync { failed: true }) {
            self.fsync_failed(usize::from(event.host.0), levers)?;
        }
        let mut due = Vec::new();
        for (index, armed) in self.armed.iter_mut().enumerate() {
            if let Wait::Events { pattern, left } = &mut armed.wait
                && *left > 0
                && pattern.matches(event)
            {
                *left -= 1;
                if *left == 0 && armed.fired.is_none() {
                    due.push(index);
                }
            }
        }
        due.into_iter().try_for_each(|index| self.begin(index, levers))
    }

    /// Time has passed: what is over ends, then what is due begins.
    ///
    /// # Errors
    /// When the sandbox fails.
    pub fn on_time(&mut self, levers: &mut impl Levers) -> Result<(), Error> {
        let now = levers.now();
        let over =
            |active: &Active| active.until.filter(|until| *until <= now).map(|until| (until, active.index));
        while let Some((_, index)) = self.active.iter().filter_map(over).min() {
            self.end(index, levers)?;
        }
        let due = |(index, armed): (usize, &Armed)| match armed.wait {
            Wait::Instant(at) if at <= now && armed.fired.is_none() => Some((at, index)),
            _ => None,
        };
        while let Some((_, index)) = self.armed.iter().enumerate().filter_map(due).min() {
            self.begin(index, levers)?;
        }
        Ok(())
    }

    /// All faults end, nodes that are down start, and no step fires any more.
    ///
    /// # Errors
    /// When the sandbox fails.
    pub fn heal(&mut self, levers: &mut impl Levers) -> Result<(), Error> {
        for armed in self.armed.iter_mut().filter(|armed| armed.fired.is_none()) {
            armed.wait = Wait::Never;
        }
        while let Some(index) = self.active.first().map(|active| active.index) {
            self.end(index, levers)?;
        }
        Ok(())
    }

    /// Whether a fault keeps this node down.
    #[must_use]
    pub fn holds_down(&self, node: usize) -> bool {
        self.active.iter().any(|active| downs(&active.fault) == Some(node))
    }

    /// The faults in force.
    pub fn active(&self) -> impl Iterator<Item = &Fault> {
        self.active.iter().map(|active| &active.fault)
    }

    /// The steps so far, in the order in which they were armed.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.armed.iter().map(|armed| armed.step.clone()).collect()
    }

    /// What became of each step so far.
    #[must_use]
    pub fn landings(&self, levers: &impl Levers) -> Vec<Landing> {
        let landing = |(index, armed): (usize, &Armed)| {
            let active = self.active.iter().find(|active| active.index == index);
            let touched = armed.touched + active.map_or(0, |active| self.counted_since(active, levers));
            let since_ready = |at: Option<Instant>| at.map(|at| at.since(self.ready).0);
            Landing {
                step: armed.step.clone(),
                fired_ns: since_ready(armed.fired),
                touched,
                ended_ns: since_ready(armed.ended),
                took: armed.took.clone(),
            }
        };
        self.armed.iter().enumerate().map(landing).collect()
    }

    fn begin(&mut self, index: usize, levers: &mut impl Levers) -> Result<(), Error> {
        let now = levers.now();
        let fault = self.armed[index].step.fault.clone();
        self.armed[index].fired = Some(now);
        note(&fault, true, levers);
        let until = fault.lasts_ms().map(|ms| now + Span::from_millis(ms));
        let failures_left = if let Fault::FsyncError { count, .. } = fault { count } else { 0 };
        let links = effect::links(&fault, self.nodes);
        let mut active = Active { index, fault, until, links, counted: 0, failures_left };
        active.counted = self.count(&active, levers);
        let touched = self.strike(&active.fault, levers)?;
        self.armed[index].touched = touched;
        if matches!(active.fault, Fault::PowerLoss { .. }) {
            self.armed[index].took = levers.take_lost().as_ref().map(effect::took).unwrap_or_default();
        }
        if active.until.is_some() || failures_left > 0 {
            let fault = active.fault.clone();
            self.active.push(active);
            self.apply(&fault, levers)?;
            if matches!(fault, Fault::ClockRate { .. }) {
                self.armed[index].touched = u64::from(levers.is_up(position(fault.victims()[0])));
            }
        }
        Ok(())
    }

    /// What a fault does at once and once only; what it touched.
    fn strike(&self, fault: &Fault, levers: &mut impl Levers) -> Result<u64, Error> {
        let is_paused = |node| self.active.iter().any(|active| pauses(&active.fault) == Some(node));
        match fault {
            Fault::Kill { node, .. } => levers.operate(Operation::Kill(position(*node))),
            // Without power there is nothing left to lose.
            Fault::PowerLoss { node, .. } if self.is_without_power(position(*node)) => Ok(0),
            Fault::PowerLoss { node, loss, .. } => {
                levers.operate(Operation::PowerOff(position(*node), effect::loss(*loss)))
            }
            Fault::Pause { node, .. } if is_paused(position(*node)) => Ok(0),
            Fault::Pause { node, .. } => levers.operate(Operation::Pause(position(*node))),
            Fault::Reset { a, b } => levers.operate(Operation::Reset(host(*a), host(*b))),
            Fault::ClockJump { node, by_ms } => {
                levers.operate(Operation::ClockJump(position(*node), by_ms.saturating_mul(1_000_000)))
            }
            _ => Ok(0),
        }
    }

    fn is_without_power(&self, node: usize) -> bool {
        self.active.iter().any(|active| {
            matches!(active.fault, Fault::PowerLoss { node: victim, .. } if position(victim) == node)
        })
    }

    fn end(&mut self, index: usize, levers: &mut impl Levers) -> Result<(), Error> {
        let Some(place) = self.active.iter().position(|active| active.index == index) else { return Ok(()) };
        let counted = self.counted_since(&self.active[place], levers);
        let active = self.active.remove(place);
        self.armed[index].touched += counted;
        self.armed[index].ended = Some(levers.now());
        self.apply(&active.fault, levers)?;
        note(&active.fault, false, levers);
        if let Some(node) = downs(&active.fault)
            && !self.holds_down(node)
        {
            levers.operate(Operation::Start(node))?;
        }
        if let Some(node) = pauses(&active.fault)
            && !self.active.iter().any(|other| pauses(&other.fault) == Some(node))
        {
            // The node may have been down at first and have started meanwhile.
            let stopped = levers.operate(Operation::Resume(node))?;
            let touched = &mut self.armed[index].touched;
            *touched = (*touched).max(stopped);
        }
        Ok(())
    }

    /// Puts what this fault changes, or changed, in the state that all faults in force amount to.
    fn apply(&self, fault: &Fault, levers: &mut impl Levers) -> Result<(), Error> {
        for (from, to) in effect::links(fault, self.nodes) {
            let on_link = self.active.iter().filter(|active| active.links.contains(&(from, to)));
            let link = effect::link(on_link.map(|active| &active.fault));
            levers.operate(Operation::Link(from, to, link))?;
        }
        let Some(victim) = fault.victims().first().copied() else { return Ok(()) };
        let same = |active: &&Active| active.fault.victims().first() == Some(&victim);
        match fault {
            Fault::SlowFsync { .. } | Fault::FsyncError { .. } | Fault::NoSpace { .. } => {
                let faults =
                    self.active.iter().filter(same).map(|active| (&active.fault, active.failures_left));
                levers.operate(Operation::Disk(position(victim), effect::disk(faults)))?;
            }
            Fault::ClockRate { .. } => {
                let rate = effect::rate(self.active.iter().filter(same).map(|active| &active.fault));
                levers.operate(Operation::ClockRate(position(victim), rate))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The oldest fault that fails fsyncs of this node has met one.
    fn fsync_failed(&mut self, node: usize, levers: &mut impl Levers) -> Result<(), Error> {
        if let Some(count) = self.fsyncs_failed.get_mut(node) {
            *count += 1;
        }
        let met = self.active.iter_mut().find(|active| {
            matches!(active.fault, Fault::FsyncError { node: victim, .. } if position(victim) == node)
        });
        let Some(active) = met else { return Ok(()) };
        active.failures_left -= 1;
        let (index, is_over) = (active.index, active.failures_left == 0);
        self.armed[index].touched += 1;
        if is_over { self.end(index, levers) } else { Ok(()) }
    }

    fn counted_since(&self, active: &Active, levers: &impl Levers) -> u64 {
        self.count(active, levers).saturating_sub(active.counted)
    }

    /// What the links or the disk of a fault have counted so far. Failed fsyncs belong to another kind of fault.
    fn count(&self, active: &Active, levers: &impl Levers) -> u64 {
        match active.fault {
            Fault::SlowFsync { node, .. } | Fault::NoSpace { node, .. } => {
                let node = position(node);
                levers
                    .disk_landed(node)
                    .saturating_sub(self.fsyncs_failed.get(node).copied().unwrap_or_default())
            }
            _ => active.links.iter().map(|(from, to)| levers.link_landed(*from, *to)).sum(),
        }
    }
}

fn downs(fault: &Fault) -> Option<usize> {
    match fault {
        Fault::Kill { node, .. } | Fault::PowerLoss { node, .. } => Some(position(*node)),
        _ => None,
    }
}

fn pauses(fault: &Fault) -> Option<usize> {
    if let Fault::Pause { node, .. } = fault { Some(position(*node)) } else { None }
}

/// Writes down that a fault begins or ends, at its first victim.
fn note(fault: &Fault, on: bool, levers: &mut impl Levers) {
    if let Some(victim) = fault.victims().first() {
        levers.note(host(*victim), EventKind::Fault { label: fault.kind().name().to_owned(), on });
    }
}

#[cfg(test)]
mod tests;
