//! epoll(7): interest, the ready list, level and edge triggering.

use super::files::DescriptionId;
use std::collections::{BTreeMap, VecDeque};

/// What an interest is about: the number it was added under, and the description behind it.
pub type Target = (i32, DescriptionId);

/// An interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// `EPOLL*` bits asked for.
    pub events: u32,
    /// What is handed back.
    pub data: u64,
    /// A one-shot interest that has fired.
    pub disabled: bool,
}

/// An epoll instance.
#[derive(Debug, Default)]
pub struct Epoll {
    interests: BTreeMap<Target, Interest>,
    ready: VecDeque<Target>,
}

/// Always reported, asked for or not.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
const EDGE: u32 = libc::EPOLLET as u32;
const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;
const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;
/// What may be asked for together with `EPOLLEXCLUSIVE` (epoll_ctl(2)).
const BESIDE_EXCLUSIVE: u32 =
    (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLWAKEUP) as u32 | ALWAYS | EDGE | EXCLUSIVE;

/// Whether anything new stands on the ready list of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Noted {
    /// Nothing does.
    Nothing,
    /// Something does.
    Something,
    /// Something does by an interest with `EPOLLEXCLUSIVE`.
    Exclusively,
}

/// Whether these events can be asked for; those of an instance cannot be exclusive.
#[must_use]
pub fn can_be_added(events: u32, of_instance: bool) -> bool {
    !is_exclusive(events) || (!of_instance && events & !BESIDE_EXCLUSIVE == 0)
}

/// Whether these events are asked for exclusively.
#[must_use]
pub fn is_exclusive(events: u32) -> bool {
    events & EXCLUSIVE != 0
}

impl Epoll {
    /// Adds an interest; `false`: there is one already.
    pub fn add(&mut self, target: Target, events: u32, data: u64) -> bool {
        if self.interests.contains_key(&target) {
            return false;
        }
        self.interests.insert(target, Interest { events, data, disabled: false });
        true
    }

    /// What it watches.
    pub fn watched(&self) -> impl Iterator<Item = DescriptionId> {
        self.interests.keys().map(|target| target.1)
    }

    /// Whether an interest is an exclusive one, which cannot be changed.
    #[must_use]
    pub fn is_exclusive(&self, target: Target) -> bool {
        self.interests.get(&target).is_some_and(|interest| is_exclusive(interest.events))
    }

    /// Changes an interest; `false`: there is none.
    pub fn modify(&mut self, target: Target, events: u32, data: u64) -> bool {
        match self.interests.get_mut(&target) {
            Some(interest) => {
                *interest = Interest { events, data, disabled: false };
                true
            }
            None => false,
        }
    }

    /// Removes an interest; `false`: there is none.
    pub fn remove(&mut self, target: Target) -> bool {
        self.ready.retain(|other| *other != target);
        self.interests.remove(&target).is_some()
    }

    /// The description is gone: so are the interests in it.
    pub fn forget(&mut self, description: DescriptionId) {
        self.ready.retain(|target| target.1 != description);
        self.interests.retain(|target, _| target.1 != description);
    }

    /// Something happened to `description`: `bits` just became true (again). Interests that are exclusive learn of it if
    /// `exclusive`: of several instances that have some, it is enough that one learns of it for which somebody waits.
    pub fn notify(&mut self, description: DescriptionId, bits: u32, exclusive: bool) -> Noted {
        let mut noted = Noted::Nothing;
        for (&target, interest) in &self.interests {
            let wanted = target.1 == description && bits & (interest.events | ALWAYS) != 0;
            let is_exclusive = is_exclusive(interest.events);
            if wanted && !interest.disabled && (exclusive || !is_exclusive) && !self.ready.contains(&target) {
                self.ready.push_back(target);
                noted = noted.max(if is_exclusive { Noted::Exclusively } else { Noted::Something });
            }
        }
        noted
    }

    /// Takes up to `max` events off the ready list, asking `readiness` what is true now. What is level
    /// triggered and still true stays on the list, behind the others.
    pub fn take(&mut self, max: usize, mut readiness: impl FnMut(DescriptionId) -> u32) -> Vec<(u32, u64)> {
        let mut taken = Vec::new();
        let mut again = Vec::new();
        while taken.len() < max {
            let Some(target) = self.ready.pop_front() else { break };
            let Some(interest) = self.interests.get_mut(&target) else { continue };
            let bits = readiness(target.1) & (interest.events | ALWAYS);
            if interest.disabled || bits == 0 {
                continue;
            }
            taken.push((bits, interest.data));
            if interest.events & ONE_SHOT != 0 {
                interest.disabled = true;
            } else if interest.events & EDGE == 0 {
                again.push(target);
            }
        }
        self.ready.extend(again);
        taken
    }

    /// Whether an event could be taken now.
    #[must_use]
    pub fn is_ready(&self, mut readiness: impl FnMut(DescriptionId) -> u32) -> bool {
        self.ready.iter().any(|target| {
            self.interests.get(target).is_some_and(|interest| {
                !interest.disabled && readiness(target.1) & (interest.events | ALWAYS) != 0
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: u32 = libc::EPOLLIN as u32;
    const A: Target = (4, DescriptionId(1));
    const B: Target = (5, DescriptionId(2));

    fn epoll(events: u32) -> Epoll {
        let mut epoll = Epoll::default();
        assert!(epoll.add(A, events, 10));
        assert!(!epoll.add(A, events, 10));
        epoll
    }

    #[test]
    fn level_triggered_events_come_until_they_are_false() {
        let mut epoll = epoll(IN);
        assert_ne!(epoll.notify(A.1, IN, true), Noted::Nothing);
        assert_eq!(epoll.notify(A.1, IN, true), Noted::Nothing, "already on the list");
        assert_eq!(epoll.take(8, |_| IN), [(IN, 10)]);
        assert_eq!(epoll.take(8, |_| IN), [(IN, 10)]);
        assert_eq!(epoll.take(8, |_| 0), []);
        assert_eq!(epoll.take(8, |_| IN), [], "off the list until something happens");
    }

    #[test]
    fn edge_triggered_events_come_once_an_edge() {
        let mut epoll = epoll(IN | EDGE);
        epoll.notify(A.1, IN, true);
        assert_eq!(epoll.take(8, |_| IN), [(IN, 10)]);
        assert_eq!(epoll.take(8, |_| IN), []);
        epoll.notify(A.1, IN, true);
        assert_eq!(epoll.take(8, |_| IN), [(IN, 10)]);
    }

    #[test]
    fn one_shot_events_come_once_until_modified() {
        let mut epoll = epoll(IN | ONE_SHOT);
        epoll.notify(A.1, IN, true);
        assert_eq!(epoll.take(8, |_| IN), [(IN, 10)]);
        assert_eq!(epoll.notify(A.1, IN, true), Noted::Nothing);
        assert!(epoll.modify(A, IN, 11));
        assert_ne!(epoll.notify(A.1, IN, true), Noted::Nothing);
        assert_eq!(epoll.take(8, |_| IN), [(IN, 11)]);
    }

    #[test]
    fn exclusive_interests_are_told_apart() {
        let mut epoll = epoll(IN | EXCLUSIVE);
        epoll.add(B, IN, 20);
        assert!(epoll.is_exclusive(A) && !epoll.is_exclusive(B));
        assert_eq!(epoll.notify(A.1, IN, false), Noted::Nothing);
        assert_eq!(epoll.notify(A.1, IN, true), Noted::Exclusively);
        assert_eq!(epoll.notify(B.1, IN, false), Noted::Something);
        assert!(can_be_added(IN | EDGE | EXCLUSIVE, false) && can_be_added(IN | ONE_SHOT, true));
        assert!(!can_be_added(IN | EXCLUSIVE, true) && !can_be_added(IN | ONE_SHOT | EXCLUSIVE, false));
    }

    #[test]
    fn a_short_wait_is_fair() {
        let mut epoll = epoll(IN);
        epoll.add(B, IN, 20);
        epoll.notify(A.1, IN, true);
        epoll.notify(B.1, IN, true);
        let order: Vec<u64> = (0..4).map(|_| epoll.take(1, |_| IN)[0].1).collect();
        assert_eq!(order, [10, 20, 10, 20]);
    }

    #[test]
    fn hang_up_is_reported_unasked_and_a_closed_description_is_forgotten() {
        let mut epoll = epoll(0);
        assert_ne!(epoll.notify(A.1, libc::EPOLLHUP as u32, true), Noted::Nothing);
        assert!(epoll.is_ready(|_| libc::EPOLLHUP as u32));
        epoll.forget(A.1);
        assert!(!epoll.is_ready(|_| libc::EPOLLHUP as u32));
        assert!(!epoll.remove(A));
    }
}
