//! Limits on resources, and other calls that name a process: its number is the guests' own, and never the host's.

use crate::sandbox::Sandbox;
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::task::{Call, ProcessId, ThreadId};
use nix::errno::Errno;

/// Soft and hard limit of each resource, as every process finds them at first, in the order of their numbers
/// (getrlimit(2)): what the host gives us is not told.
pub(in crate::sandbox) type Limits = [(u64, u64); RESOURCES];

const RESOURCES: usize = 16;
const NONE: u64 = libc::RLIM64_INFINITY;

/// What a program finds that a node starts.
pub(in crate::sandbox) const LIMITS: Limits = [
    (NONE, NONE),       // processor seconds
    (NONE, NONE),       // length of a file
    (NONE, NONE),       // data
    (8 << 20, 8 << 20), // stack
    (0, 0),             // core
    (NONE, NONE),       // resident memory
    (31_000, 31_000),   // processes
    (1_024, 1_024),     // descriptors
    (8 << 20, 8 << 20), // locked memory
    (NONE, NONE),       // address space
    (NONE, NONE),       // locks
    (31_000, 31_000),   // pending signals
    (819_200, 819_200), // message queues
    (0, 0),             // nice
    (0, 0),             // real-time priority
    (NONE, NONE),       // real-time microseconds
];

/// Those that the kernel keeps to for the guest's own doings; the others depend on what else runs on the host.
const KEPT: [u32; 4] = [libc::RLIMIT_DATA, libc::RLIMIT_STACK, libc::RLIMIT_NOFILE, libc::RLIMIT_AS];

impl Sandbox {
    /// A process of the caller's node, by its number; 0 is the caller's own. One that has ended is there until it is awaited.
    pub(super) fn process_numbered(&self, id: ThreadId, number: i32) -> Result<ProcessId, Errno> {
        let thread = self.thread(id);
        if number == 0 || number == thread.vtid {
            return Ok(thread.process);
        }
        let is_it =
            |process: &crate::sandbox::task::Process| process.node == thread.node && process.vpid == number;
        self.processes.iter().find(|(_, process)| is_it(process)).map(|(&id, _)| id).ok_or(Errno::ESRCH)
    }

    /// prlimit, setrlimit, getrlimit.
    pub(super) fn limit(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [a, b, c, d, ..] = call.args;
        let (number, resource, new, old) = match call.number {
            libc::SYS_setrlimit => (0, a, b, 0),
            libc::SYS_getrlimit => (0, a, 0, b),
            _ => (a as i32, b, c, d),
        };
        let target = self.process_numbered(id, number)?;
        let resource = resource as u32;
        let at = Some(resource as usize).filter(|&at| at < RESOURCES).ok_or(Errno::EINVAL)?;
        let wanted = if new == 0 { None } else { Some(self.load_pair(id, new)?) };
        let (soft, hard) = self.processes[&target].limits[at];
        if let Some((soft, new_hard)) = wanted.map(|(soft, hard)| (soft as u64, hard as u64)) {
            if soft > new_hard {
                return Err(Errno::EINVAL.into());
            }
            if new_hard > hard {
                return Err(Errno::EPERM.into());
            }
            if KEPT.contains(&resource) {
                let real =
                    if target == self.thread(id).process { 0 } else { self.processes[&target].tid.0 as u64 };
                let args = [real, u64::from(resource), new, 0, 0, 0];
                match self.run_instead(id, call, libc::SYS_prlimit64, args)? {
                    Some(0) => {}
                    Some(failed) => return Ok(Outcome::Ran(failed)),
                    None => return Ok(Outcome::Gone),
                }
            }
            self.processes.get_mut(&target).expect("just found").limits[at] = (soft, new_hard);
        }
        self.store_asked(id, old, &[soft, hard])?;
        if self.thread(id).after_call {
            self.set_result(id, 0)?;
            return Ok(Outcome::Ran(0));
        }
        returns(0)
    }

    /// capget: what one process of a node may do, all may. The header is a version and a number.
    pub(super) fn capget(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [header, data, ..] = call.args;
        let number = self.thread(id).tid.read_u64(header)? >> 32;
        if number == 0 {
            return Ok(Outcome::Continue);
        }
        if (number as i32) < 0 {
            return Err(Errno::EINVAL.into());
        }
        self.about_process(id, number, 0)?;
        let scratch = self.scratch(id);
        self.store_words(id, scratch, &[u64::from(self.thread(id).tid.read_u32(header)?)])?;
        let result = self.run_instead(id, call, libc::SYS_capget, [scratch, data, 0, 0, 0, 0])?;
        Ok(result.map_or(Outcome::Gone, Outcome::Ran))
    }
}
