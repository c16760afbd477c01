//! Who and where a guest is: constants, the node's name, the node's random bytes.

use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::log::checksum;
use crate::sandbox::task::{Call, ThreadId};
use crate::sandbox::{ClockKind, Sandbox};
use nix::errno::Errno;
use rand::Rng;

/// Memory a node has, as it is told.
pub(in crate::sandbox) const MEMORY_BYTES: u64 = 8 << 30;

/// Of prctl(2).
const PR_SCHED_CORE: i32 = 62;
const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;

impl Sandbox {
    pub(super) fn getrandom(&mut self, id: ThreadId, to: u64, len: u64, flags: u64) -> Handled {
        let (random, insecure) = (u64::from(libc::GRND_RANDOM), u64::from(libc::GRND_INSECURE));
        // The kernel takes 32 bits of them.
        let flags = flags & 0xffff_ffff;
        let known = u64::from(libc::GRND_NONBLOCK) | random | insecure;
        if flags & !known != 0 || flags & (random | insecure) == random | insecure {
            return Err(Errno::EINVAL.into());
        }
        let mut bytes = vec![0; (len as usize).min(1 << 20)];
        let node = self.thread(id).node;
        self.nodes[node].rng.fill_bytes(&mut bytes);
        self.store(id, to, &bytes)?;
        self.moved ^= checksum(&bytes);
        returns(bytes.len() as u64)
    }

    /// uname(2): six fields of 65 bytes.
    pub(super) fn uname(&mut self, id: ThreadId, to: u64) -> Handled {
        let node = self.thread(id).node;
        let name = self.nodes[node].config.name.clone();
        let mut bytes = Vec::new();
        for field in ["Linux", &name, "6.1.0", "#1 SMP", "x86_64", "(none)"] {
            let mut field = field.as_bytes().to_vec();
            field.truncate(64);
            field.resize(65, 0);
            bytes.extend(field);
        }
        self.store(id, to, &bytes)?;
        returns(0)
    }

    /// sysinfo(2): constants, but for the uptime.
    pub(super) fn sysinfo(&mut self, id: ThreadId, to: u64) -> Handled {
        let node = self.thread(id).node;
        let uptime = self.nodes[node].clock.read(ClockKind::Monotonic, self.now) / 1_000_000_000;
        let words = [uptime, 0, 0, 0, MEMORY_BYTES, MEMORY_BYTES / 2, 0, 0, 0, 0, 100, 0, 0];
        self.store_words(id, to, &words)?;
        self.store(id, to.wrapping_add(104), &1_u32.to_le_bytes())?;
        returns(0)
    }

    /// One processor, number 0.
    pub(super) fn affinity(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [number, size, to, ..] = call.args;
        self.about_process(id, number, 0)?;
        if size < 8 || !size.is_multiple_of(8) {
            return Err(Errno::EINVAL.into());
        }
        self.store_words(id, to, &[1])?;
        returns(8)
    }

    pub(super) fn getcpu(&mut self, id: ThreadId, cpu: u64, node: u64) -> Handled {
        for address in [cpu, node] {
            if address != 0 {
                self.store(id, address, &[0; 4])?;
            }
        }
        returns(0)
    }

    pub(super) fn prctl(&mut self, id: ThreadId, call: &Call) -> Handled {
        match call.args[0] as i32 {
            libc::PR_SET_PDEATHSIG if call.args[1] > 64 => Err(Errno::EINVAL.into()),
            libc::PR_SET_DUMPABLE if call.args[1] > 1 => Err(Errno::EINVAL.into()),
            libc::PR_SET_PDEATHSIG => {
                self.process_of_mut(id).parent_death = call.args[1] as i32;
                returns(0)
            }
            libc::PR_GET_PDEATHSIG => {
                self.store(id, call.args[1], &self.process_of(id).parent_death.to_le_bytes())?;
                returns(0)
            }
            libc::PR_SET_DUMPABLE => {
                self.process_of_mut(id).dumpable = call.args[1] != 0;
                returns(0)
            }
            libc::PR_GET_DUMPABLE => returns(i64::from(self.process_of(id).dumpable)),
            // The counter stays ours.
            libc::PR_SET_TSC => returns(0),
            libc::PR_GET_TSC => {
                self.store(id, call.args[1], &libc::PR_TSC_ENABLE.to_le_bytes())?;
                returns(0)
            }
            libc::PR_SET_SECCOMP | libc::PR_SET_CHILD_SUBREAPER => Err(Errno::EPERM.into()),
            // The first two name other processes or change what ours are; the others let calls or faults pass us by.
            PR_SCHED_CORE | libc::PR_SET_MM | PR_SET_SYSCALL_USER_DISPATCH | libc::PR_MCE_KILL => {
                Err(Errno::EINVAL.into())
            }
            libc::PR_SET_PTRACER => returns(0),
            _ => Ok(self.run_call(id)?.map_or(Outcome::Gone, Outcome::Ran)),
        }
    }
}
