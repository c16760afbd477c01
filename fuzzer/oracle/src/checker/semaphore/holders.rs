//! Who holds a lock at the moment, told from the operations on it in the order in which they happen.

use super::losses::Losses;
use super::{Kind, Rules, grant, is_acquire};
use crate::checker::fencing::Tokens;
use crate::checker::shape::{evidence, is_ok, not_understood, of_key, wrong_value};
use crate::op::Outcome;
use crate::raw::{Error, Op};
use crate::value::Value;
use crate::verdict::Judgement;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A point of a history: nanoseconds, and the index of the entry, which tells the order within an instant.
type Point = (u64, u64);

/// What nobody ends.
const NEVER: Point = (u64::MAX, u64::MAX);

/// A grant that is held.
struct Hold {
    op: Rc<Op>,
    permits: u64,
    /// When its lease ends; this point is left out.
    until: Point,
}

/// What happens to a lock.
enum Event {
    /// It is granted.
    Grant(Rc<Hold>, Point),
    /// A process asks to release it, by the operation invoked at this index.
    Release { process: u64, invoke: u64, at: Point, fate: Fate },
}

/// What is known of a release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Failed,
    Counts,
}

/// A grant whose holder has asked to release it, by the operation invoked at this index, which may fail yet: then it was
/// held all the time.
type Limbo = (u64, Rc<Hold>);

/// So many suspicions are kept for each lock.
const SUSPICIONS_MAX: usize = 64;

/// Too many would have held at this instant if releases failed that are open.
struct Suspicion {
    at_ns: u64,
    /// Who held for certain.
    holds: Vec<Rc<Hold>>,
    /// Who would hold then.
    limbo: Vec<Limbo>,
}

/// Too many held after a loss; it is not known yet whether they let go in time.
struct Doubt {
    span: usize,
    concerned: Vec<Rc<Hold>>,
    /// Those that nobody has released yet.
    left: Vec<Rc<Hold>>,
}

/// One lock.
#[derive(Default)]
pub struct Lock {
    tokens: Tokens,
    /// What waits until it is known of a release before it whether it failed.
    waiting: VecDeque<Event>,
    /// How many went through the queue.
    passed: u64,
    /// Places in the queue of releases that are open, by invocation.
    open: BTreeMap<u64, u64>,
    /// In the order in which they were granted.
    holds: Vec<Rc<Hold>>,
    held: Held,
    /// Those whose release is open.
    limbo: Vec<Limbo>,
    suspicions: Vec<Suspicion>,
    /// No lease ends before; `None` where there is none.
    first_end: Option<Point>,
    doubts: VecDeque<Doubt>,
    is_broken: bool,
    is_overdue: bool,
}

impl Lock {
    /// An operation of this holder begins.
    pub fn begin(&mut self, op: &Op, process: u64, now: Point, rules: &Rules) -> Result<(), Error> {
        match op.f.as_str() {
            "acquire" | "lock" => self.tokens.ask(op),
            "release" | "unlock" => {
                if rules.is_foreign {
                    self.open.insert(op.invoke, self.passed + self.waiting.len() as u64);
                }
                let (invoke, at, fate) = (op.invoke, now, Fate::Open);
                self.waiting.push_back(Event::Release { process, invoke, at, fate });
            }
            _ => return Err(not_understood(op, "acquire or release")),
        }
        Ok(())
    }

    /// An operation ends; whether it was granted a token.
    pub fn end(
        &mut self,
        op: Op,
        now: Point,
        rules: &Rules,
        judgement: &mut Judgement,
    ) -> Result<bool, Error> {
        if !is_acquire(&op) {
            let place = self.open.remove(&op.invoke).and_then(|place| place.checked_sub(self.passed));
            if let Some(Event::Release { fate, .. }) =
                place.and_then(|place| self.waiting.get_mut(place as usize))
            {
                *fate = if op.outcome == Outcome::Fail && !rules.frees { Fate::Failed } else { Fate::Counts };
            }
            self.decide(&op, now, rules, judgement);
            return Ok(false);
        }
        let op = Rc::new(op);
        if !is_ok(&op) {
            self.tokens.end(&op, None, judgement);
            return Ok(false);
        }
        let grant = grant(&op, rules.kind)?;
        self.tokens.end(&op, grant.token, judgement);
        let until = match (grant.lease_ns.or(rules.lease_ns), op.completed_ns) {
            (None, _) => NEVER,
            (Some(lease_ns), Some(from_ns)) => (from_ns.saturating_add(lease_ns), 0),
            (Some(_), None) => return Err(op.error("a lease needs the time of the grant")),
        };
        let permits = match (&op.asked, rules.kind) {
            (Value::Int(count), Kind::Semaphore) => {
                u64::try_from(*count).map_err(|_| wrong_value(&op, &op.asked, "a number of permits"))?
            }
            _ => 1,
        };
        self.waiting.push_back(Event::Grant(Rc::new(Hold { op, permits, until }), now));
        Ok(grant.token.is_some())
    }

    /// Lets happen what need not wait.
    pub fn go_on(&mut self, rules: &Rules, losses: &Losses, judgement: &mut Judgement) {
        while let Some(event) = self.waiting.front() {
            let at = match event {
                Event::Grant(_, at) => *at,
                Event::Release { process, at, fate, .. } => {
                    let (process, at, fate) = (*process, *at, *fate);
                    self.expire(at);
                    let may_be_foreign = rules.is_foreign && self.own(process).is_none();
                    if fate == Fate::Open && !self.holds.is_empty() && may_be_foreign {
                        return;
                    }
                    at
                }
            };
            self.settle(at.0, rules, losses, judgement);
            self.passed += 1;
            match self.waiting.pop_front() {
                Some(Event::Grant(hold, _)) => self.granted(hold, at, rules, losses, judgement),
                Some(Event::Release { process, invoke, fate, .. }) => {
                    self.released(process, invoke, fate, rules);
                }
                None => return,
            }
        }
    }

    fn granted(
        &mut self,
        hold: Rc<Hold>,
        at: Point,
        rules: &Rules,
        losses: &Losses,
        judgement: &mut Judgement,
    ) {
        self.expire(at);
        if hold.until <= at || self.is_settled(rules) {
            return;
        }
        if hold.until != NEVER {
            self.first_end = Some(self.first_end.map_or(hold.until, |first| first.min(hold.until)));
        }
        self.held.add(&hold);
        self.holds.push(hold);
        if self.held.permits(rules.kind) <= rules.permits {
            if losses.span(at.0).is_none() {
                self.suspect(at, rules);
            }
            return;
        }
        match losses.span(at.0) {
            None if self.is_broken => {}
            None => {
                self.is_broken = true;
                report(&self.holds, at.0, false, None, rules, judgement);
            }
            Some(_) if self.is_overdue => {}
            Some(span) => {
                self.doubts.push_back(Doubt { span, concerned: self.holds.clone(), left: self.holds.clone() })
            }
        }
        if self.is_settled(rules) {
            self.holds = Vec::new();
            self.limbo = Vec::new();
            self.suspicions = Vec::new();
            self.held = Held::default();
            self.first_end = None;
        }
    }

    /// Nothing new can be found.
    fn is_settled(&self, rules: &Rules) -> bool {
        self.is_broken && (self.is_overdue || rules.overlap_ns.is_none())
    }

    /// A release was asked for; one that failed did not happen.
    fn released(&mut self, process: u64, invoke: u64, fate: Fate, rules: &Rules) {
        if fate == Fate::Failed {
            return;
        }
        let own = self.own(process);
        let any = (rules.is_foreign && fate == Fate::Counts && !self.holds.is_empty()).then_some(0);
        let Some(at) = own.or(any) else { return };
        let hold = self.holds.remove(at);
        self.held.remove(&hold);
        self.doubts.retain_mut(|doubt| {
            doubt.left.retain(|left| !Rc::ptr_eq(left, &hold));
            permits(&doubt.left, rules.kind) > rules.permits
        });
        if own.is_some() && fate == Fate::Open {
            self.limbo.push((invoke, hold));
        }
    }

    /// Remembers who would be too many now, should releases fail that are open.
    fn suspect(&mut self, at: Point, rules: &Rules) {
        let limbo: Vec<Limbo> = self.limbo.iter().filter(|(_, hold)| hold.until > at).cloned().collect();
        if limbo.is_empty() || self.suspicions.len() >= SUSPICIONS_MAX {
            return;
        }
        let holds = self.holds.clone();
        let all: Vec<_> = holds.iter().chain(limbo.iter().map(|(_, hold)| hold)).cloned().collect();
        if permits(&all, rules.kind) > rules.permits {
            self.suspicions.push(Suspicion { at_ns: at.0, holds, limbo });
        }
    }

    /// A release ends, which decides whether its grant was held all the time.
    fn decide(&mut self, release: &Op, now: Point, rules: &Rules, judgement: &mut Judgement) {
        let is_it = |(invoke, _): &Limbo| *invoke == release.invoke;
        let Some(place) = self.limbo.iter().position(is_it) else { return };
        let (_, hold) = self.limbo.remove(place);
        let has_failed = release.outcome == Outcome::Fail && !rules.frees;
        let mut found = None;
        self.suspicions.retain_mut(|suspicion| {
            let Some(place) = suspicion.limbo.iter().position(is_it) else { return true };
            let (_, hold) = suspicion.limbo.remove(place);
            if has_failed {
                insert(&mut suspicion.holds, hold);
                if found.is_none() && permits(&suspicion.holds, rules.kind) > rules.permits {
                    found = Some((suspicion.at_ns, suspicion.holds.clone()));
                }
            }
            !suspicion.limbo.is_empty()
        });
        if let Some((at_ns, holds)) = found.filter(|_| !self.is_broken) {
            self.is_broken = true;
            report(&holds, at_ns, false, Some(release), rules, judgement);
        }
        if has_failed && hold.until > now && !self.is_settled(rules) {
            if hold.until != NEVER {
                self.first_end = Some(self.first_end.map_or(hold.until, |first| first.min(hold.until)));
            }
            self.held.add(&hold);
            insert(&mut self.holds, hold);
        }
    }

    /// The last of what the process was granted and holds.
    fn own(&self, process: u64) -> Option<usize> {
        self.holds.iter().rposition(|hold| hold.op.process == process)
    }

    /// Takes away what nobody holds any more at this point.
    fn expire(&mut self, at: Point) {
        if self.first_end.is_none_or(|first| first > at) {
            return;
        }
        let held = &mut self.held;
        self.holds.retain(|hold| {
            let is_held = hold.until > at;
            if !is_held {
                held.remove(hold);
            }
            is_held
        });
        self.first_end = self.holds.iter().map(|hold| hold.until).filter(|until| *until != NEVER).min();
    }

    /// Decides of spans that end before this instant whether too many held longer.
    pub fn settle(&mut self, now_ns: u64, rules: &Rules, losses: &Losses, judgement: &mut Judgement) {
        while let Some(doubt) = self.doubts.front_mut() {
            let end_ns = losses.end_ns(doubt.span);
            if end_ns >= now_ns {
                return;
            }
            doubt.left.retain(|hold| hold.until.0 > end_ns);
            if permits(&doubt.left, rules.kind) > rules.permits {
                self.is_overdue = true;
                report(&doubt.concerned, end_ns, true, None, rules, judgement);
                self.doubts.clear();
                return;
            }
            self.doubts.pop_front();
        }
    }
}

/// Puts a hold among others, which are in the order in which they were granted.
fn insert(holds: &mut Vec<Rc<Hold>>, hold: Rc<Hold>) {
    let place = holds.partition_point(|other| other.op.complete < hold.op.complete);
    holds.insert(place, hold);
}

/// How many permits are held, or how many processes hold something.
#[derive(Default)]
struct Held {
    permits: u128,
    processes: BTreeMap<u64, u64>,
}

impl Held {
    fn add(&mut self, hold: &Hold) {
        self.permits += u128::from(hold.permits);
        *self.processes.entry(hold.op.process).or_default() += 1;
    }

    fn remove(&mut self, hold: &Hold) {
        self.permits -= u128::from(hold.permits);
        if let Some(count) = self.processes.get_mut(&hold.op.process) {
            *count -= 1;
            if *count == 0 {
                self.processes.remove(&hold.op.process);
            }
        }
    }

    fn permits(&self, kind: Kind) -> u128 {
        match kind {
            Kind::Mutex => self.processes.len() as u128,
            Kind::Semaphore => self.permits,
        }
    }
}

/// How many permits these have together. A process that acquires a mutex again is one holder.
fn permits(holds: &[Rc<Hold>], kind: Kind) -> u128 {
    let mut held = Held::default();
    holds.iter().for_each(|hold| held.add(hold));
    held.permits(kind)
}

fn report(
    holds: &[Rc<Hold>],
    at_ns: u64,
    is_overdue: bool,
    failed: Option<&Op>,
    rules: &Rules,
    judgement: &mut Judgement,
) {
    let concerned: Vec<&Op> = holds.iter().map(|hold| &*hold.op).collect();
    let ([first, ..], [.., last]) = (&concerned[..], &concerned[..]) else { return };
    let key = of_key(last.key.as_ref());
    let (kind, who) = match rules.kind {
        Kind::Mutex => {
            let (last, first) = (last.process, first.process);
            ("two-holders", format!("p{last} was granted the lock{key} while p{first} held it"))
        }
        Kind::Semaphore => {
            let all = permits(holds, rules.kind);
            ("too-many-holders", format!("{all} permits{key} were held at once, of {}", rules.permits))
        }
    };
    let (kind, what) = match is_overdue {
        false => (kind, who),
        true => ("overlap-not-closed", format!("{who}, and this outlasted what is allowed after a loss")),
    };
    let still =
        failed.map(|release| format!("this release failed, so {} still held: {release}", release.who()));
    judgement.violation(kind, at_ns, what, evidence(&concerned, still));
}

#[cfg(test)]
mod tests {
    use super::super::judge;
    use super::*;
    use crate::checker::simulation::{script, settings};
    use crate::raw::{Entry, Pairing, Step};

    /// Processes acquire and release in turn; those of `open` never end the release.
    fn turns(count: u64, open: impl Fn(u64) -> bool) -> Vec<Entry> {
        let nil = Value::Nil;
        let turn = |n: u64| {
            let both = [(n, '+', "acquire", nil.clone()), (n, '=', "acquire", nil.clone())];
            let end = (!open(n)).then(|| (n, '=', "release", nil.clone()));
            both.into_iter().chain([(n, '+', "release", nil.clone())]).chain(end).collect::<Vec<_>>()
        };
        script(&(0..count).flat_map(turn).collect::<Vec<_>>())
    }

    /// The most that was held at once.
    fn most(entries: Vec<Entry>, kind: Kind, told: &[(&str, &str)]) -> usize {
        let (rules, losses) = (Rules::new(&settings(told), kind).unwrap(), Losses::default());
        let (mut pairing, mut lock, mut most) = (Pairing::default(), Lock::default(), 0);
        let mut judgement = Judgement::new("lock");
        for entry in entries {
            let now = (entry.at_ns.unwrap(), entry.index);
            match pairing.step(entry).unwrap() {
                Step::Other(_) => {}
                Step::Begun(op) => lock.begin(op, op.process, now, &rules).unwrap(),
                Step::Ended(op) => drop(lock.end(op, now, &rules, &mut judgement).unwrap()),
            }
            lock.go_on(&rules, &losses, &mut judgement);
            // what is in limbo is an operation that is open
            let parts = [lock.waiting.len(), lock.open.len(), lock.holds.len(), lock.doubts.len()];
            most = most.max(parts.into_iter().sum());
        }
        assert!(judgement.violations.is_empty());
        most
    }

    #[test]
    fn only_what_is_open_is_held() {
        assert_eq!(most(turns(1_000, |_| false), Kind::Mutex, &[]), 1);
        assert_eq!(most(turns(1_000, |n| n % 7 == 0), Kind::Mutex, &[("overlap-ms", "5")]), 1);
        // a release of one's own need not wait for its end
        let foreign = [("foreign-release", "yes")];
        assert!(most(turns(1_000, |n| n == 3), Kind::Semaphore, &foreign) <= 3);
        // a lease ends without a release
        let leased = turns(1_000, |_| false).into_iter().filter(|entry| entry.f == "acquire").collect();
        assert_eq!(most(leased, Kind::Mutex, &[("lease-ms", "1")]), 1);
    }

    #[test]
    fn a_release_that_failed_gives_nothing_back() {
        let nil = Value::Nil;
        let of = |end| {
            let entries = script(&[
                (0, '+', "acquire", nil.clone()),
                (0, '=', "acquire", nil.clone()),
                (1, '+', "release", nil.clone()),
                (2, '+', "acquire", nil.clone()),
                (2, '=', "acquire", nil.clone()),
                (1, end, "release", nil.clone()),
            ]);
            let told = settings(&[("foreign-release", "yes")]);
            judge(&mut entries.into_iter().map(Ok), &told, Kind::Semaphore).unwrap().violations.len()
        };
        assert_eq!((of('='), of('?'), of('!')), (0, 0, 1));
    }

    #[test]
    fn one_grant_may_be_too_much() {
        let entries = script(&[(0, '+', "acquire", Value::Int(3)), (0, '=', "acquire", Value::Int(3))]);
        let told = settings(&[("permits", "2")]);
        let judgement = judge(&mut entries.into_iter().map(Ok), &told, Kind::Semaphore).unwrap();
        let summaries: Vec<_> = judgement.violations.iter().map(|one| one.summary.as_str()).collect();
        assert_eq!(summaries, ["3 permits were held at once, of 2"]);
    }

    #[test]
    fn times_that_go_back_mislead_nobody() {
        let mut entries = turns(2, |_| false);
        entries[5].at_ns = Some(1);
        let judgement = judge(&mut entries.into_iter().map(Ok), &settings(&[]), Kind::Mutex).unwrap();
        assert!(judgement.violations.is_empty());
    }
}
