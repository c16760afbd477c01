//! Threads and processes: making them, replacing their program, ending and awaiting them.

use crate::sandbox::Sandbox;
use crate::sandbox::files::FilesId;
use crate::sandbox::find::{Found, Named};
use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::job_control::{Awaited, Change};
use crate::sandbox::log::What;
use crate::sandbox::task::{Call, Key, Process, ProcessId, State, Thread, ThreadId};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tracer::{Stop, Tid};

const CLONE_VM: u64 = libc::CLONE_VM as u64;
const CLONE_VFORK: u64 = libc::CLONE_VFORK as u64;
const CLONE_FILES: u64 = libc::CLONE_FILES as u64;
const CLONE_THREAD: u64 = libc::CLONE_THREAD as u64;
const CLONE_PARENT: u64 = libc::CLONE_PARENT as u64;
const CLONE_PARENT_SETTID: u64 = libc::CLONE_PARENT_SETTID as u64;
const CLONE_CHILD_SETTID: u64 = libc::CLONE_CHILD_SETTID as u64;
const CLONE_CHILD_CLEARTID: u64 = libc::CLONE_CHILD_CLEARTID as u64;
/// What clone returns when a signal is pending: the kernel makes the call again after that (errno.h of the kernel).
const ERESTARTNOINTR: i64 = -513;
/// Namespaces: a guest lives in the sandbox's.
const CLONE_REFUSED: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_PIDFD
    | libc::CLONE_PTRACE) as u64;

impl Sandbox {
    pub(super) fn clone_task(&mut self, id: ThreadId, call: &Call) -> Handled {
        let mut args = call.args;
        match call.number {
            libc::SYS_fork => args = [libc::SIGCHLD as u64, 0, 0, 0, 0, 0],
            libc::SYS_vfork => args = [CLONE_VM | CLONE_VFORK | libc::SIGCHLD as u64, 0, 0, 0, 0, 0],
            _ => {}
        }
        let flags = args[0];
        if flags & CLONE_REFUSED != 0 {
            return Err(Errno::EPERM.into());
        }
        // The parent of who has none among the guests is ours.
        if flags & CLONE_PARENT != 0 && self.process_of(id).parent.is_none() {
            return Err(Errno::EINVAL.into());
        }
        let node = self.thread(id).node;
        if self.threads_of_node(node) >= self.config.limits.threads_max {
            self.stop_run(format!(
                "node n{} has more than {} threads",
                node + 1,
                self.config.limits.threads_max
            ));
            return Err(Errno::EAGAIN.into());
        }
        // The kernel would hold a vfork parent where nobody can see it; the sandbox does it instead.
        args[0] &= !CLONE_VFORK;
        self.replace_call(id, libc::SYS_clone, args)?;
        let tid = self.thread(id).tid;
        self.set_clock_page(node);
        let child = match self.resume_past_interruption(id)? {
            Stop::Child(child) => child,
            Stop::AfterCall => {
                self.thread_mut(id).after_call = true;
                let result = tid.registers().map_err(crate::sandbox::Error::from)?.result();
                if result == ERESTARTNOINTR {
                    return Ok(Outcome::Restart);
                }
                self.restore_arguments(id, call)?;
                return Ok(Outcome::Ran(result));
            }
            stop => {
                self.thread_ended(id, stop)?;
                return Ok(Outcome::Gone);
            }
        };
        self.await_birth(child)?;
        let stop = self.resume_past_interruption(id)?;
        if stop != Stop::AfterCall {
            // Nobody will know of the child.
            let _gone = child.send_process_signal(libc::SIGKILL);
            self.thread_ended(id, stop)?;
            return Ok(Outcome::Gone);
        }
        self.thread_mut(id).after_call = true;
        self.restore_arguments(id, call)?;
        restore_child(child, call).map_err(crate::sandbox::Error::from)?;
        let vtid = self.adopt(id, child, &args, flags)?;
        let mut registers = tid.registers().map_err(crate::sandbox::Error::from)?;
        registers.set_result(i64::from(vtid));
        tid.set_registers(&registers).map_err(crate::sandbox::Error::from)?;
        if flags & CLONE_VFORK != 0 {
            // The outcome makes it ready; the child's exec or end does, later.
            self.suspend_after_call = Some(id);
        }
        Ok(Outcome::Ran(i64::from(vtid)))
    }

    /// Lets the call run to its next stop; that somebody wanted to interrupt the thread is no matter to it.
    fn resume_past_interruption(&mut self, id: ThreadId) -> Result<Stop, crate::sandbox::Error> {
        loop {
            match self.resume_call(id)? {
                Stop::Fresh => {}
                stop => return Ok(stop),
            }
        }
    }

    /// Takes note of a new thread or process, and corrects the ids that the kernel has written.
    fn adopt(
        &mut self,
        parent: ThreadId,
        child: Tid,
        args: &[u64; 6],
        flags: u64,
    ) -> Result<i32, crate::sandbox::Error> {
        let [_, _, parent_tid, child_tid, ..] = *args;
        let node = self.thread(parent).node;
        let vtid = self.new_vpid(node);
        let process = if flags & CLONE_THREAD != 0 {
            self.thread(parent).process
        } else {
            self.fork_process(parent, child, vtid, flags)
        };
        let thread = self.add_thread(process, child, vtid);
        let Thread { nice, io_priority, .. } = *self.thread(parent);
        let own = self.thread_mut(thread);
        (own.nice, own.io_priority) = (nice, io_priority);
        if flags & CLONE_THREAD != 0 {
            self.thread_mut(thread).own_files = self.files_of_new_thread(parent, flags & CLONE_FILES != 0);
        }
        if flags & CLONE_CHILD_CLEARTID != 0 {
            self.thread_mut(thread).clear_tid = child_tid;
        }
        if flags & CLONE_VFORK != 0 {
            self.thread_mut(thread).vfork_parent = Some(parent);
        }
        if flags & CLONE_PARENT_SETTID != 0 {
            self.thread(parent).tid.write(parent_tid, &vtid.to_le_bytes())?;
        }
        if flags & CLONE_CHILD_SETTID != 0 {
            child.write(child_tid, &vtid.to_le_bytes())?;
        }
        Ok(vtid)
    }

    /// The table of a new thread, if that is not its process's: a copy, unless it shares one that its parent has to itself.
    fn files_of_new_thread(&mut self, parent: ThreadId, shares: bool) -> Option<FilesId> {
        match (shares, self.thread(parent).own_files) {
            (true, own) => own.map(|files| self.files.share(files)),
            (false, _) => {
                let files = self.files_of(parent);
                Some(self.files.copy(files))
            }
        }
    }

    fn fork_process(&mut self, parent: ThreadId, child: Tid, vpid: i32, flags: u64) -> ProcessId {
        let id = ProcessId(self.next_task());
        let files = self.files_of(parent);
        let files = if flags & CLONE_FILES != 0 { self.files.share(files) } else { self.files.copy(files) };
        let parent_id = self.thread(parent).process;
        let origin = self.process_of(parent);
        let process = Process {
            tid: child,
            vpid,
            node: origin.node,
            parent: if flags & CLONE_PARENT != 0 { origin.parent } else { Some(parent_id) },
            group: origin.group,
            session: origin.session,
            has_run: false,
            oom_score: origin.oom_score,
            dumpable: origin.dumpable,
            parent_death: 0,
            threads: BTreeSet::new(),
            files,
            memory: if flags & CLONE_VM != 0 { origin.memory } else { id },
            actions: origin.actions.clone(),
            sent: VecDeque::new(),
            ended: None,
            fatal: None,
            stopped: false,
            change: None,
            alarm: None,
            timers: BTreeMap::new(),
            limits: origin.limits,
            shared: origin.shared,
        };
        self.processes.insert(id, process);
        id
    }

    pub(super) fn exec(&mut self, id: ThreadId, call: &Call, named: Named) -> Handled {
        self.check_program(id, call, named)?;
        self.note_code(self.thread(id).process);
        match self.resume_past_interruption(id)? {
            Stop::AfterCall => {
                self.thread_mut(id).after_call = true;
                self.restore_arguments(id, call)?;
                Ok(Outcome::Ran(
                    self.thread(id).tid.registers().map_err(crate::sandbox::Error::from)?.result(),
                ))
            }
            Stop::Exec(_) => {
                self.replaced(id)?;
                Ok(Outcome::Ran(0))
            }
            stop => {
                self.thread_ended(id, stop)?;
                Ok(Outcome::Gone)
            }
        }
    }

    /// Looks the program up, and tells the kernel another name for it where it needs one.
    fn check_program(&self, id: ThreadId, call: &Call, named: Named) -> Result<(), Trouble> {
        let path = self.load_path(id, named.path)?;
        if path.as_os_str().is_empty() && call.number == libc::SYS_execveat {
            // The program is what a descriptor stands for.
            return Ok(());
        }
        let follows = call.number == libc::SYS_execve || call.args[4] & libc::AT_SYMLINK_NOFOLLOW as u64 == 0;
        let spot = match self.find_path(id, named.directory, &path, follows)? {
            Found::Spot(spot) => spot,
            Found::Process(_) => return Err(Errno::EACCES.into()),
        };
        if let Some(told) = &spot.told {
            let args = self.tell_paths(id, call, &[(named.argument, told)])?;
            self.replace_call(id, call.number, args)?;
        }
        Ok(())
    }

    /// The process runs another program: it alone, with its handlers reset and some descriptors closed.
    fn replaced(&mut self, id: ThreadId) -> Result<(), crate::sandbox::Error> {
        let process = self.thread(id).process;
        let vpid = self.processes[&process].vpid;
        let leader = self.processes[&process].tid;
        let others: Vec<ThreadId> =
            self.processes[&process].threads.iter().copied().filter(|&t| t != id).collect();
        for other in others {
            self.forget_thread(other);
        }
        self.cancel_process_timers(process);
        self.end_aio(process)?;
        let own = self.thread_mut(id).own_files.take();
        let shares = own.unwrap_or(self.processes[&process].files);
        if own.is_some() {
            self.leave_files(self.processes[&process].files);
        }
        // A table that nobody else uses stays the same one, for locks belong to it.
        let files = if self.files.is_shared(shares) {
            let files = self.files.copy(shares);
            self.leave_files(shares);
            files
        } else {
            shares
        };
        for (fd, slot) in self.files.slots(files) {
            if slot.close_on_exec {
                self.close_descriptor(files, fd);
            }
        }
        let state = self.processes.get_mut(&process).expect("a process that calls exec is known");
        state.files = files;
        state.has_run = true;
        state.memory = process;
        state.dumpable = true;
        state.actions.retain(|_, action| action.handler == 1);
        let thread = self.thread_mut(id);
        thread.vtid = vpid;
        thread.clear_tid = 0;
        thread.robust_list = 0;
        thread.tid = leader;
        let parent = thread.vfork_parent.take();
        self.by_tid.insert(leader.0, id);
        self.prepare_program(id)?;
        self.resume_vfork_parent(parent);
        Ok(())
    }

    pub(super) fn exit(&mut self, id: ThreadId, call: &Call) -> Handled {
        self.release_robust_futexes(id)?;
        let process = self.thread(id).process;
        let last = self.processes[&process].threads.len() == 1;
        if last {
            self.note_code(process);
        }
        let leads = self.thread(id).tid == self.processes[&process].tid;
        let tid = self.thread(id).tid;
        let what = What::Call { number: call.number, arguments: call.args, result: 0, data: 0 };
        self.log_entry(id, what);
        if leads && !last {
            // The kernel reports a leader's end only with the process's.
            tid.resume(0).map_err(crate::sandbox::Error::from)?;
            await_zombie(tid);
            let address = self.thread(id).clear_tid;
            if address != 0 {
                let memory = self.process_of(id).memory;
                self.futex_wake(Key::Futex(memory, address), 1, u32::MAX);
            }
            let state = State::Parked(Vec::new());
            self.unpark(id, state);
            self.pass_on_signal(id)?;
            self.thread_mut(id).left = true;
            return Ok(Outcome::Gone);
        }
        tid.resume(0).map_err(crate::sandbox::Error::from)?;
        let stop = self.await_stop(id)?;
        self.thread_ended(id, stop)?;
        Ok(Outcome::Gone)
    }

    pub(super) fn exit_group(&mut self, id: ThreadId, call: &Call) -> Handled {
        let status = (call.args[0] & 0xff) as i32;
        let process = self.thread(id).process;
        self.note_code(process);
        let what = What::Call { number: call.number, arguments: call.args, result: 0, data: 0 };
        self.log_entry(id, what);
        self.log_entry(id, What::End(status));
        self.thread(id).tid.resume(0).map_err(crate::sandbox::Error::from)?;
        self.await_death(process)?;
        self.process_ended(process, status)?;
        Ok(Outcome::Gone)
    }

    /// A child of which there is something to tell that is awaited; whether there is any child to wait for.
    fn changed_child(
        &self,
        id: ThreadId,
        awaited: Awaited,
        wanted: impl Fn(&Process) -> bool,
    ) -> (Option<(ProcessId, Change)>, bool) {
        let own = self.thread(id).process;
        let mut any = false;
        for (&child, process) in &self.processes {
            if process.parent == Some(own) && wanted(process) {
                any = true;
                if let Some(change) = awaited.of(process) {
                    return (Some((child, change)), true);
                }
            }
        }
        (None, any)
    }

    pub(super) fn wait4(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [pid, status, options, usage, ..] = call.args;
        let (pid, options) = (pid as i32, options as i32);
        let awaited = Awaited::by_wait4(options)?;
        if pid == i32::MIN {
            return Err(Errno::ESRCH.into());
        }
        let own_group = self.process_of(id).group;
        let wanted = |process: &Process| match pid {
            -1 => true,
            0 => process.group == own_group,
            1.. => process.vpid == pid,
            other => process.group == -other,
        };
        let (child, any) = self.changed_child(id, awaited, wanted);
        let Some((child, change)) = child else {
            return self.no_child_yet(id, any, options & libc::WNOHANG != 0);
        };
        let (real, vpid) = (self.processes[&child].tid, self.processes[&child].vpid);
        self.store_asked(id, usage, &[0; 18])?;
        if !matches!(change, Change::Ended(_)) {
            if status != 0 {
                self.store(id, status, &change.status().to_le_bytes())?;
            }
            self.processes.get_mut(&child).expect("just found").change = None;
            return returns(vpid);
        }
        let result = self.run_instead(id, call, libc::SYS_wait4, [real.0 as u64, status, 0, 0, 0, 0])?;
        let Some(result) = result else { return Ok(Outcome::Gone) };
        self.processes.remove(&child);
        let result = if result == i64::from(real.0) { i64::from(vpid) } else { result };
        self.set_result(id, result)?;
        Ok(Outcome::Ran(result))
    }

    fn no_child_yet(&self, id: ThreadId, any: bool, at_once: bool) -> Handled {
        match (any, at_once) {
            (false, _) => Err(Errno::ECHILD.into()),
            (true, true) => returns(0),
            (true, false) => Ok(Outcome::Park(vec![Key::Child(self.thread(id).process)])),
        }
    }

    /// After a call ran: what it returned is this.
    pub(super) fn set_result(&mut self, id: ThreadId, result: i64) -> Result<(), crate::sandbox::Error> {
        let tid = self.thread(id).tid;
        let mut registers = tid.registers()?;
        registers.set_result(result);
        Ok(tid.set_registers(&registers)?)
    }

    pub(super) fn waitid(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [kind, number, info, options, _, _] = call.args;
        let options = options as i32;
        let awaited = Awaited::by_waitid(options)?;
        let own_group = self.process_of(id).group;
        let number = number as i32;
        match kind as u32 {
            libc::P_ALL => {}
            libc::P_PID if number > 0 => {}
            libc::P_PGID if number >= 0 => {}
            _ => return Err(Errno::EINVAL.into()),
        }
        let wanted = |process: &Process| match kind as u32 {
            libc::P_PID => process.vpid == number,
            libc::P_PGID => process.group == if number == 0 { own_group } else { number },
            _ => true,
        };
        let (child, any) = self.changed_child(id, awaited, wanted);
        let Some((child, change)) = child else {
            let outcome = self.no_child_yet(id, any, options & libc::WNOHANG != 0)?;
            if matches!(outcome, Outcome::Return(_)) {
                self.store_asked(id, info, &[0; 16])?;
            }
            return Ok(outcome);
        };
        let (real, vpid) = (self.processes[&child].tid, self.processes[&child].vpid);
        let takes = options & libc::WNOWAIT == 0;
        let has_ended = matches!(change, Change::Ended(_));
        if takes && has_ended {
            let args = [u64::from(libc::P_PID), real.0 as u64, 0, libc::WEXITED as u64, 0, 0];
            if self.run_instead(id, call, libc::SYS_waitid, args)?.is_none() {
                return Ok(Outcome::Gone);
            }
            self.processes.remove(&child);
        } else if takes {
            self.processes.get_mut(&child).expect("just found").change = None;
        }
        if info != 0 {
            let (code, status) = change.told();
            let mut record = [0_u8; 128];
            for (at, value) in [(0, libc::SIGCHLD), (8, code), (16, vpid), (24, status)] {
                record[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            self.store(id, info, &record)?;
        }
        if !(takes && has_ended) {
            return returns(0);
        }
        self.set_result(id, 0)?;
        Ok(Outcome::Ran(0))
    }

    pub(super) fn getppid(&mut self, id: ThreadId) -> Handled {
        let process = self.process_of(id);
        // An orphan is the first process's.
        let adopted = i32::from(process.vpid != 1);
        returns(process.parent.and_then(|p| self.processes.get(&p)).map_or(adopted, |p| p.vpid))
    }

    fn target_of(&self, id: ThreadId, pid: u64) -> Result<ProcessId, Errno> {
        if pid == 0 {
            return Ok(self.thread(id).process);
        }
        let node = self.thread(id).node;
        let found = self.processes.iter().find(|(_, p)| p.node == node && p.vpid == pid as i32);
        found.map(|(&id, _)| id).ok_or(Errno::ESRCH)
    }

    /// getpgid, getpgrp, getsid.
    pub(super) fn group(&mut self, id: ThreadId, call: &Call) -> Handled {
        let pid = if call.number == libc::SYS_getpgrp { 0 } else { call.args[0] };
        let target = &self.processes[&self.target_of(id, pid)?];
        returns(if call.number == libc::SYS_getsid { target.session } else { target.group })
    }

    /// setpgid, setsid: groups are ours alone.
    pub(super) fn set_group(&mut self, id: ThreadId, call: &Call) -> Handled {
        let node = self.thread(id).node;
        if call.number == libc::SYS_setsid {
            let own = self.process_of(id).vpid;
            if self.processes.values().any(|process| process.node == node && process.group == own) {
                return Err(Errno::EPERM.into());
            }
            let process = self.process_of_mut(id);
            (process.group, process.session) = (process.vpid, process.vpid);
            let session = process.session;
            return returns(session);
        }
        let [pid, group, ..] = call.args;
        let (own, group) = (self.thread(id).process, group as i32);
        if group < 0 {
            return Err(Errno::EINVAL.into());
        }
        let target = self.target_of(id, pid)?;
        let process = &self.processes[&target];
        if target != own && process.parent != Some(own) {
            return Err(Errno::ESRCH.into());
        }
        let session = self.processes[&own].session;
        if target != own && process.session == session && process.has_run {
            return Err(Errno::EACCES.into());
        }
        let group = if group == 0 { process.vpid } else { group };
        let is_there =
            |other: &Process| other.node == node && other.group == group && other.session == session;
        let may_be = group == process.vpid || self.processes.values().any(is_there);
        if process.session != session || process.session == process.vpid || !may_be {
            return Err(Errno::EPERM.into());
        }
        self.processes.get_mut(&target).expect("just found").group = group;
        returns(0)
    }
}

/// The child, too, finds its argument registers as the caller left them: vfork keeps its return address there.
fn restore_child(child: Tid, call: &Call) -> Result<(), tracer::Error> {
    let mut registers = child.registers()?;
    registers.restore_call(call);
    child.set_registers(&registers)
}

/// Waits until a leader that has called exit while its threads live on is a zombie: its last store, to the
/// word that says so, has been made then.
fn await_zombie(tid: Tid) {
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{tid}/stat")).ok()?;
        Some(stat.rsplit_once(") ")?.1.starts_with('Z'))
    };
    while state() == Some(false) {
        std::thread::yield_now();
    }
}
