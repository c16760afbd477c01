//! Calls about the scheduling of a process, which is the sandbox's: they change nothing, and tell the same of every thread.
//! Their arguments are looked at as kernel/sched/syscalls.c of Linux does.

use crate::sandbox::Sandbox;
use crate::sandbox::guest::{Handled, returns};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;

/// Priorities in real time (sched(7)).
const REAL_TIME: std::ops::RangeInclusive<i32> = 1..=99;
/// `SCHED_DEADLINE` (sched(7)).
const DEADLINE: i32 = 6;
/// How long a thread runs before another one of its priority may, as it is told.
const SLICE_NS: u64 = 4_000_000;
/// The first `struct sched_attr` there was.
const ATTRIBUTES_BYTES: u64 = 48;
/// `IOPRIO_WHO_*`, and where the class is in a priority (ioprio_set(2)).
const IOPRIO_PROCESS: i32 = 1;
const IOPRIO_USER: i32 = 3;
const IOPRIO_CLASS_SHIFT: u64 = 13;
const IOPRIO_CLASS_MAX: u64 = 3;

impl Sandbox {
    /// There is a process, or a thread, of this number in the caller's node; 0 is the caller.
    pub(super) fn about_process(&self, id: ThreadId, number: u64, result: i64) -> Handled {
        let node = self.thread(id).node;
        let is_thread =
            self.threads.values().any(|thread| thread.node == node && thread.vtid == number as i32);
        if !is_thread {
            self.process_numbered(id, number as i32)?;
        }
        returns(result)
    }

    /// Priorities of processes, of groups, of users: `kinds` are their numbers, of which the first means processes.
    fn about_some(
        &self,
        id: ThreadId,
        kinds: std::ops::RangeInclusive<i32>,
        call: &Call,
        result: i64,
    ) -> Handled {
        let [kind, number, ..] = call.args;
        let (kind, number) = (kind as i32, number as i32);
        if !kinds.contains(&kind) {
            return Err(Errno::EINVAL.into());
        }
        if kind == *kinds.start() {
            return self.about_process(id, number as u64, result);
        }
        let node = self.thread(id).node;
        let is_group = number == 0
            || self.processes.values().any(|process| process.node == node && process.group == number);
        if kind == *kinds.end() || is_group { returns(result) } else { Err(Errno::ESRCH.into()) }
    }

    /// getpriority, setpriority, ioprio_get, ioprio_set.
    pub(super) fn priority(&self, id: ThreadId, call: &Call) -> Handled {
        let (processes, users) = (libc::PRIO_PROCESS as i32, libc::PRIO_USER as i32);
        match call.number {
            libc::SYS_getpriority => self.about_some(id, processes..=users, call, 20),
            libc::SYS_setpriority => self.about_some(id, processes..=users, call, 0),
            libc::SYS_ioprio_set if call.args[2] >> IOPRIO_CLASS_SHIFT > IOPRIO_CLASS_MAX => {
                Err(Errno::EINVAL.into())
            }
            _ => self.about_some(id, IOPRIO_PROCESS..=IOPRIO_USER, call, 0),
        }
    }

    /// Every thread has the policy of most, `SCHED_OTHER`, and no priority beside its own.
    pub(super) fn scheduling(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [number, a, b, c, ..] = call.args;
        let of_process = |result| self.about_process(id, number, result);
        match call.number {
            libc::SYS_sched_get_priority_max => {
                priorities(number as i32).map_or_else(refused, |p| returns(*p.end()))
            }
            libc::SYS_sched_get_priority_min => {
                priorities(number as i32).map_or_else(refused, |p| returns(*p.start()))
            }
            _ if (number as i32) < 0 => Err(Errno::EINVAL.into()),
            libc::SYS_sched_setscheduler => {
                let policy = a as i32;
                if policy < 0 || b == 0 {
                    return Err(Errno::EINVAL.into());
                }
                self.set_policy(id, number, policy & !libc::SCHED_RESET_ON_FORK, b)
            }
            libc::SYS_sched_setparam | libc::SYS_sched_getparam if a == 0 => Err(Errno::EINVAL.into()),
            libc::SYS_sched_setparam => self.set_policy(id, number, libc::SCHED_OTHER, a),
            libc::SYS_sched_getparam => {
                of_process(0)?;
                self.store(id, a, &0_i32.to_le_bytes())?;
                returns(0)
            }
            libc::SYS_sched_rr_get_interval => {
                of_process(0)?;
                self.store_words(id, a, &[0, SLICE_NS])?;
                returns(0)
            }
            libc::SYS_sched_setaffinity => {
                let mask = self.load(id, b, (a as usize).min(8))?;
                of_process(0)?;
                // There is one processor, number 0.
                if mask.first().is_some_and(|byte| byte & 1 != 0) {
                    returns(0)
                } else {
                    Err(Errno::EINVAL.into())
                }
            }
            libc::SYS_sched_setattr => {
                if a == 0 || b != 0 {
                    return Err(Errno::EINVAL.into());
                }
                self.load(id, a, ATTRIBUTES_BYTES as usize)?;
                of_process(0)
            }
            libc::SYS_sched_getattr => {
                if a == 0 || !(ATTRIBUTES_BYTES..=tracer::PAGE).contains(&b) || c != 0 {
                    return Err(Errno::EINVAL.into());
                }
                of_process(0)?;
                self.store_words(id, a, &[ATTRIBUTES_BYTES, 0, 0, 0, 0, 0])?;
                returns(0)
            }
            _ => of_process(0),
        }
    }

    /// A policy and its parameters may be one that there is; nothing comes of it.
    fn set_policy(&self, id: ThreadId, number: u64, policy: i32, parameters: u64) -> Handled {
        let priority = self.thread(id).tid.read_u32(parameters)? as i32;
        self.about_process(id, number, 0)?;
        let is_one = policy != DEADLINE && priorities(policy).is_some_and(|known| known.contains(&priority));
        if is_one { returns(0) } else { Err(Errno::EINVAL.into()) }
    }
}

fn refused() -> Handled {
    Err(Errno::EINVAL.into())
}

/// The priorities of a policy, if there is such a one.
fn priorities(policy: i32) -> Option<std::ops::RangeInclusive<i32>> {
    match policy {
        libc::SCHED_FIFO | libc::SCHED_RR => Some(REAL_TIME),
        libc::SCHED_OTHER | libc::SCHED_BATCH | libc::SCHED_IDLE | DEADLINE => Some(0..=0),
        _ => None,
    }
}
