//! Calls about the scheduling of a process, which is the sandbox's: priorities are kept, and nothing comes of them.
//! Their arguments are looked at as kernel/sched/syscalls.c of Linux does.

use crate::sandbox::Sandbox;
use crate::sandbox::guest::{Handled, Trouble, returns};
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
/// What nice(2) takes, and what getpriority says of 0, for it cannot return less than nothing.
const NICE: std::ops::RangeInclusive<i32> = -20..=19;
const NICE_ZERO: i32 = 20;
/// Where the class is in a priority of input and output, and the greatest class (ioprio_set(2)).
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

    /// The threads that a kind and a number mean: of a process, of a group, of a user, of which 0 are the caller's own.
    fn meant(&self, id: ThreadId, kind: i32, number: i32) -> Result<Vec<ThreadId>, Trouble> {
        let (node, own) = (self.thread(id).node, self.thread(id).process);
        let of_node = self.threads.iter().filter(|(_, thread)| thread.node == node);
        let meant: Vec<ThreadId> = match kind {
            0 if number == 0 => vec![id],
            0 => of_node.filter(|(_, thread)| thread.vtid == number).map(|(&id, _)| id).collect(),
            1 => {
                let group = if number == 0 { self.processes[&own].group } else { number };
                of_node
                    .filter(|(_, thread)| self.processes[&thread.process].group == group)
                    .map(|(&id, _)| id)
                    .collect()
            }
            _ if number == 0 || number as u32 == self.user(id)? => of_node.map(|(&id, _)| id).collect(),
            _ => Vec::new(),
        };
        if meant.is_empty() { Err(Errno::ESRCH.into()) } else { Ok(meant) }
    }

    /// getpriority, setpriority: what nice(2) says of a thread.
    pub(super) fn priority(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [kind, number, wanted, ..] = call.args;
        let (kind, number) = (kind as i32, number as i32);
        if !(0..=2).contains(&kind) {
            return Err(Errno::EINVAL.into());
        }
        let meant = self.meant(id, kind, number)?;
        if call.number == libc::SYS_getpriority {
            let least = meant.iter().map(|&thread| self.thread(thread).nice).min().unwrap_or(0);
            return returns(NICE_ZERO - least);
        }
        let wanted = (wanted as i32).clamp(*NICE.start(), *NICE.end());
        let is_raise = meant.iter().any(|&thread| self.thread(thread).nice > wanted);
        if is_raise && self.user(id)? != 0 {
            return Err(Errno::EACCES.into());
        }
        meant.into_iter().for_each(|thread| self.thread_mut(thread).nice = wanted);
        returns(0)
    }

    /// ioprio_get, ioprio_set, whose kinds begin with 1.
    pub(super) fn io_priority(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [kind, number, wanted, ..] = call.args;
        let (kind, number) = (kind as i32, number as i32);
        let is_set = call.number == libc::SYS_ioprio_set;
        let class = wanted >> IOPRIO_CLASS_SHIFT;
        let is_one = class <= IOPRIO_CLASS_MAX && (class > 0 || wanted == 0);
        if !(1..=3).contains(&kind) || (is_set && !is_one) {
            return Err(Errno::EINVAL.into());
        }
        let meant = self.meant(id, kind - 1, number)?;
        if !is_set {
            return returns(meant.iter().map(|&thread| self.thread(thread).io_priority).min().unwrap_or(0));
        }
        meant.into_iter().for_each(|thread| self.thread_mut(thread).io_priority = wanted as u16);
        returns(0)
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
