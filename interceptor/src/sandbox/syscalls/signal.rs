//! Calls about signals.

use crate::sandbox::Sandbox;
use crate::sandbox::files::DescriptionId;
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::signals::bit;
use crate::sandbox::task::{Action, Call, Key, ProcessId, Sent, SentSignal, Thread, ThreadId};
use nix::errno::Errno;

/// `SI_USER`, `SI_TKILL`.
const SI_USER: i32 = 0;
const SI_TKILL: i32 = -6;
const SIG_IGN: u64 = 1;
/// What a set of signals takes, in bytes.
const SIGNALS_BYTES: u64 = 8;
/// What a signal descriptor tells of one signal, in bytes (signalfd(2)).
const RECORD_BYTES: usize = 128;

/// A call says how large its set of signals is.
pub(in crate::sandbox) fn check_signals(size: u64) -> Result<(), Errno> {
    if size == SIGNALS_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Sandbox {
    fn process_by_vpid(&self, node: usize, vpid: i32) -> Option<ProcessId> {
        self.processes.iter().find(|(_, p)| p.node == node && p.vpid == vpid).map(|(&id, _)| id)
    }

    pub(super) fn kill_process(&mut self, id: ThreadId, pid: u64, signal: u64) -> Handled {
        self.signal_process(id, pid, signal, (SI_USER, 0))
    }

    fn signal_process(&mut self, id: ThreadId, pid: u64, signal: u64, (code, value): (i32, u64)) -> Handled {
        let (pid, signal) = (pid as i32, signal as i32);
        if !(0..=64).contains(&signal) {
            return Err(Errno::EINVAL.into());
        }
        let (node, own) = (self.thread(id).node, self.process_of(id).vpid);
        let sent = SentSignal { signal, code, sender: own, value };
        let group = match pid {
            1.. => None,
            0 => Some(self.process_of(id).group),
            -1 => Some(-1),
            other => Some(other.checked_neg().ok_or(Errno::ESRCH)?),
        };
        let targets: Vec<ProcessId> = match group {
            // The number of any of its threads will do.
            None => {
                let thread =
                    || self.threads.values().find(|thread| thread.node == node && thread.vtid == pid);
                let process =
                    self.process_by_vpid(node, pid).or_else(|| thread().map(|thread| thread.process));
                process.into_iter().collect()
            }
            Some(group) => {
                let in_group = |p: &crate::sandbox::task::Process| {
                    p.node == node
                        && p.ended.is_none()
                        && (group == p.group || (group == -1 && p.vpid != own))
                };
                self.processes.iter().filter(|(_, p)| in_group(p)).map(|(&id, _)| id).collect()
            }
        };
        if targets.is_empty() {
            return Err(Errno::ESRCH.into());
        }
        for process in targets {
            let to_self = self.threads.get(&id).filter(|t| t.process == process).map(|_| id);
            if self.send(process, None, sent)? == Sent::Full {
                return Err(Errno::EAGAIN.into());
            }
            if to_self.is_some() && !self.threads.contains_key(&id) {
                return Ok(Outcome::Gone);
            }
        }
        returns(0)
    }

    /// tkill, and tgkill with the number of the thread's process.
    pub(super) fn kill_thread(
        &mut self,
        id: ThreadId,
        process: Option<u64>,
        tid: u64,
        signal: u64,
    ) -> Handled {
        self.signal_thread(id, (process, tid), signal, (SI_TKILL, 0))
    }

    fn signal_thread(
        &mut self,
        id: ThreadId,
        (process, tid): (Option<u64>, u64),
        signal: u64,
        (code, value): (i32, u64),
    ) -> Handled {
        let (vtid, vpid, signal) = (tid as i32, process.map(|vpid| vpid as i32), signal as i32);
        if !(0..=64).contains(&signal) || vtid <= 0 || vpid.is_some_and(|vpid| vpid <= 0) {
            return Err(Errno::EINVAL.into());
        }
        let node = self.thread(id).node;
        let is_meant = |t: &Thread| {
            t.node == node
                && t.vtid == vtid
                && vpid.is_none_or(|vpid| self.processes.get(&t.process).is_some_and(|p| p.vpid == vpid))
        };
        let target = self.threads.iter().find(|(_, thread)| is_meant(thread));
        let Some((&target, process)) = target.map(|(id, t)| (id, t.process)) else {
            return Err(Errno::ESRCH.into());
        };
        let sent = SentSignal { signal, code, sender: self.process_of(id).vpid, value };
        if self.send(process, Some(target), sent)? == Sent::Full {
            return Err(Errno::EAGAIN.into());
        }
        if self.threads.contains_key(&id) { returns(0) } else { Ok(Outcome::Gone) }
    }

    /// rt_sigqueueinfo, and rt_tgsigqueueinfo with the number of the thread's process.
    pub(super) fn queue_signal(
        &mut self,
        id: ThreadId,
        process: Option<u64>,
        to: u64,
        signal: u64,
        info: u64,
    ) -> Handled {
        let info = self.load(id, info, 32)?;
        let code = i32::from_le_bytes(info[8..12].try_into().expect("four bytes"));
        let value = u64::from_le_bytes(info[24..32].try_into().expect("eight bytes"));
        // Nobody passes for the kernel, or for kill(2), but to oneself.
        if (code >= 0 || code == SI_TKILL) && to as i32 != self.thread(id).vtid {
            return Err(Errno::EPERM.into());
        }
        match process {
            None => self.signal_process(id, to, signal, (code, value)),
            Some(_) => self.signal_thread(id, (process, to), signal, (code, value)),
        }
    }

    /// Takes note of what a process does with a signal; the kernel is told, too.
    pub(super) fn sigaction(&mut self, id: ThreadId, signal: u64, action: u64, size: u64) -> Handled {
        let settable =
            (1..=64).contains(&signal) && ![libc::SIGKILL, libc::SIGSTOP].contains(&(signal as i32));
        if action != 0 && settable && size == SIGNALS_BYTES {
            let tid = self.thread(id).tid;
            let action =
                Action { handler: tid.read_u64(action)?, flags: tid.read_u64(action.wrapping_add(8))? };
            let process = self.process_of_mut(id);
            process.actions.insert(signal as i32, action);
            if action.handler == SIG_IGN {
                // What is queued is dropped (sigaction(2)).
                process.sent.retain(|sent| sent.signal != signal as i32);
            }
        }
        Ok(Outcome::Continue)
    }

    pub(super) fn sigsuspend(&mut self, id: ThreadId, mask: u64, size: u64) -> Handled {
        check_signals(size)?;
        let mask = self.thread(id).tid.read_u64(mask)?;
        if let Some(outcome) = self.swap_mask(id, mask)? {
            return Ok(outcome);
        }
        Ok(Outcome::Park(Vec::new()))
    }

    /// signalfd: takes a queued signal as a record.
    pub(super) fn read_signals(
        &mut self,
        id: ThreadId,
        call: &Call,
        from: DescriptionId,
        mask: u64,
        vector: &super::data::Vector,
    ) -> Handled {
        if super::data::total(vector) < RECORD_BYTES {
            return Err(Errno::EINVAL.into());
        }
        let pending = self.pending_signals(id) & mask;
        if pending == 0 {
            if self.files.get(from).is_none_or(|d| d.nonblocking) {
                return Err(Errno::EAGAIN.into());
            }
            let process = self.thread(id).process;
            return Ok(Outcome::Park(vec![Key::Signals(process)]));
        }
        let signal = pending.trailing_zeros() as i32 + 1;
        // Taken off the kernel's queue by a wait that does not wait.
        let scratch = self.scratch(id);
        self.store_words(id, scratch, &[bit(signal), 0, 0])?;
        let args = [scratch, scratch + 64, scratch + 8, 8, 0, 0];
        let Some(_) = self.run_instead(id, call, libc::SYS_rt_sigtimedwait, args)? else {
            return Ok(Outcome::Gone);
        };
        let mut info: [u8; 128] = self.load(id, scratch + 64, 128)?.try_into().expect("as asked for");
        self.correct_signal_info(id, signal, &mut info);
        // signalfd_siginfo: signal, errno, code, pid, uid; status at 40, value at 44 and 48.
        let mut record = [0_u8; RECORD_BYTES];
        record[0..12].copy_from_slice(&info[0..12]);
        record[12..20].copy_from_slice(&info[16..24]);
        record[40..44].copy_from_slice(&info[24..28]);
        record[44..48].copy_from_slice(&info[24..28]);
        record[48..56].copy_from_slice(&info[24..32]);
        self.scatter(id, vector, &record)?;
        self.set_result(id, RECORD_BYTES as i64)?;
        Ok(Outcome::Ran(RECORD_BYTES as i64))
    }
}
