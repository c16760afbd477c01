//! Calls about signals.

use crate::sandbox::Sandbox;
use crate::sandbox::guest::{Handled, Outcome, returns};
use crate::sandbox::signals::bit;
use crate::sandbox::task::{Action, Call, Key, ProcessId, SentSignal, ThreadId};
use crate::sandbox::files::DescriptionId;
use nix::errno::Errno;

/// `SI_USER`, `SI_TKILL`.
const SI_USER: i32 = 0;
const SI_TKILL: i32 = -6;

impl Sandbox {
    fn process_by_vpid(&self, node: usize, vpid: i32) -> Option<ProcessId> {
        self.processes.iter().find(|(_, p)| p.node == node && p.vpid == vpid).map(|(&id, _)| id)
    }

    pub(super) fn kill_process(&mut self, id: ThreadId, pid: u64, signal: u64, value: u64) -> Handled {
        let (pid, signal) = (pid as i32, signal as i32);
        if !(0..=64).contains(&signal) {
            return Err(Errno::EINVAL.into());
        }
        let (node, own) = (self.thread(id).node, self.process_of(id).vpid);
        let sent = SentSignal { signal, code: SI_USER, sender: own, value };
        let group = match pid {
            1.. => None,
            0 => Some(self.process_of(id).group),
            -1 => Some(-1),
            other => Some(-other),
        };
        let targets: Vec<ProcessId> = match group {
            None => self.process_by_vpid(node, pid).into_iter().collect(),
            Some(group) => {
                let in_group = |p: &crate::sandbox::task::Process| {
                    p.node == node && p.ended.is_none() && (group == p.group || (group == -1 && p.vpid != own))
                };
                self.processes.iter().filter(|(_, p)| in_group(p)).map(|(&id, _)| id).collect()
            }
        };
        if targets.is_empty() {
            return Err(Errno::ESRCH.into());
        }
        for process in targets {
            let to_self = self.threads.get(&id).filter(|t| t.process == process).map(|_| id);
            self.send(process, None, sent)?;
            if to_self.is_some() && !self.threads.contains_key(&id) {
                return Ok(Outcome::Gone);
            }
        }
        returns(0)
    }

    pub(super) fn kill_thread(&mut self, id: ThreadId, tid: u64, signal: u64, value: u64) -> Handled {
        let (vtid, signal) = (tid as i32, signal as i32);
        if !(0..=64).contains(&signal) {
            return Err(Errno::EINVAL.into());
        }
        let node = self.thread(id).node;
        let target = self.threads.iter().find(|(_, t)| t.node == node && t.vtid == vtid);
        let Some((&target, process)) = target.map(|(id, t)| (id, t.process)) else { return Err(Errno::ESRCH.into()) };
        let sent = SentSignal { signal, code: SI_TKILL, sender: self.process_of(id).vpid, value };
        self.send(process, Some(target), sent)?;
        if self.threads.contains_key(&id) { returns(0) } else { Ok(Outcome::Gone) }
    }

    pub(super) fn queue_signal(&mut self, id: ThreadId, to: u64, signal: u64, info: u64) -> Handled {
        let value = self.thread(id).tid.read_u64(info + 24)?;
        let node = self.thread(id).node;
        if self.process_by_vpid(node, to as i32).is_some() {
            return self.kill_process(id, to, signal, value);
        }
        self.kill_thread(id, to, signal, value)
    }

    /// Takes note of what a process does with a signal; the kernel is told, too.
    pub(super) fn sigaction(&mut self, id: ThreadId, signal: u64, action: u64) -> Handled {
        if action != 0 {
            let tid = self.thread(id).tid;
            let action = Action { handler: tid.read_u64(action)?, flags: tid.read_u64(action + 8)? };
            self.process_of_mut(id).actions.insert(signal as i32, action);
        }
        Ok(Outcome::Continue)
    }

    pub(super) fn sigsuspend(&mut self, id: ThreadId, mask: u64) -> Handled {
        let mask = self.thread(id).tid.read_u64(mask)?;
        if let Some(outcome) = self.swap_mask(id, mask)? {
            return Ok(outcome);
        }
        Ok(Outcome::Park(Vec::new()))
    }

    /// signalfd: takes queued signals as 128-byte records.
    pub(super) fn read_signals(
        &mut self,
        id: ThreadId,
        call: &Call,
        from: DescriptionId,
        mask: u64,
        vector: &super::data::Vector,
    ) -> Handled {
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
        let args = [scratch, 0, scratch + 8, 8, 0, 0];
        let Some(_) = self.run_instead(id, call, libc::SYS_rt_sigtimedwait, args)? else { return Ok(Outcome::Gone) };
        let sender = self.processes.get(&self.thread(id).process).and_then(|p| p.sent.iter().find(|s| s.signal == signal)).copied();
        let process = self.process_of_mut(id);
        process.sent.retain(|sent| sent.signal != signal);
        let mut record = [0_u8; 128];
        record[0..4].copy_from_slice(&signal.to_le_bytes());
        record[12..16].copy_from_slice(&sender.map_or(0, |s| s.sender).to_le_bytes());
        self.scatter(id, vector, &record)?;
        Ok(Outcome::Ran(128))
    }
}
