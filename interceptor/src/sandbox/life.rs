//! The life of threads and processes: waiting for stops, birth, death.

use super::boot::SHARED;
use super::log::What;
use super::syscalls::LIMITS;
use super::task::{Key, Process, ProcessId, SentSignal, State, Thread, ThreadId};
use super::{Error, Sandbox};
use crate::event::{EventKind, Exit};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tracer::{Stop, Tid, wait_any};

impl Sandbox {
    pub(super) fn next_task(&mut self) -> u32 {
        self.next_task += 1;
        self.next_task
    }

    /// Waits for the next stop of a thread that was just resumed. What others report meanwhile (a new child,
    /// threads that die with a process, threads that run free) is kept or taken note of.
    pub(super) fn await_stop(&mut self, id: ThreadId) -> Result<Stop, Error> {
        let tid = self.thread(id).tid;
        self.watchdog.watch(tid, self.process_of(id).tid);
        let mut over = false;
        let stop = loop {
            if let Some(stop) = self.stops.take_of(tid) {
                break stop;
            }
            let Some((who, stop)) = wait_any()? else { break Stop::Killed(libc::SIGKILL) };
            if who == tid {
                break stop;
            }
            match stop {
                Stop::Exited(_) | Stop::Killed(_) if !self.time.is_real() => {
                    if let Some(&other) = self.by_tid.get(&who.0) {
                        let is_apart = self.thread(other).process != self.thread(id).process;
                        if is_apart && self.heed_host(other, stop) {
                            // Whoever clears up waits for it.
                            self.stops.push(who, stop);
                            over = true;
                        } else {
                            self.forget_thread(other);
                        }
                    }
                }
                // A thread other than the leader called exec and took over the leader's id.
                Stop::Exec(former) if former == tid => {
                    self.by_tid.remove(&tid.0);
                    self.by_tid.insert(who.0, id);
                    self.thread_mut(id).tid = who;
                    break stop;
                }
                other => self.stops.push(who, other),
            }
        };
        self.watchdog.rest();
        over |= self.heed_watchdog() || self.heed_host(id, stop);
        if over {
            if stop.is_end() {
                // Whoever clears up waits for it.
                self.stops.push(self.thread(id).tid, stop);
            }
            return Err(Error::Over);
        }
        Ok(stop)
    }

    /// Runs the call before which the thread stands, to the stop after it. `None`: the thread ended in it.
    pub(super) fn run_call(&mut self, id: ThreadId) -> Result<Option<i64>, Error> {
        let node = self.thread(id).node;
        self.set_clock_page(node);
        loop {
            match self.resume_call(id)? {
                Stop::AfterCall => {
                    self.thread_mut(id).after_call = true;
                    return Ok(Some(self.thread(id).tid.registers()?.result()));
                }
                Stop::Child(_) | Stop::BeforeCall | Stop::Fresh => {}
                stop @ (Stop::Exited(_) | Stop::Killed(_)) => {
                    self.thread_ended(id, stop)?;
                    return Ok(None);
                }
                stop => {
                    return Err(Error::Stop {
                        thread: self.thread(id).vtid,
                        node,
                        stop: format!("{stop:?} in a call"),
                    });
                }
            }
        }
    }

    /// Lets the call before which the thread stands run, to the thread's next stop. The end of one that is being
    /// killed is that, too.
    pub(super) fn resume_call(&mut self, id: ThreadId) -> Result<Stop, Error> {
        match self.thread(id).tid.resume_to_exit_of_call(0) {
            Err(error) if !(error.is_gone() && self.time.is_real()) => Err(error.into()),
            _ => self.await_stop(id),
        }
    }

    /// The first stop of a new thread or process.
    pub(super) fn await_birth(&mut self, child: Tid) -> Result<(), Error> {
        if self.stops.take_of(child).is_none() {
            while let Some((who, stop)) = wait_any()? {
                if who == child {
                    break;
                }
                self.stops.push(who, stop);
            }
        }
        Ok(())
    }

    pub(super) fn new_vpid(&mut self, node: usize) -> i32 {
        let next = &mut self.nodes[node].next_vpid;
        let vpid = *next;
        *next += 1;
        vpid
    }

    /// Takes note of a process that has no parent among the guests.
    pub(super) fn add_root(&mut self, node: usize, tid: Tid) -> (ProcessId, ThreadId) {
        // Should the host run out of memory, it is guests that go; where it does not let us say so, anybody may.
        let _told = std::fs::write(format!("/proc/{tid}/oom_score_adj"), "1000");
        let process = ProcessId(self.next_task());
        let vpid = self.new_vpid(node);
        let files = self.files.new_table();
        self.processes.insert(
            process,
            Process {
                tid,
                vpid,
                node,
                parent: None,
                group: vpid,
                session: vpid,
                has_run: true,
                oom_score: 0,
                dumpable: true,
                parent_death: 0,
                threads: BTreeSet::new(),
                files,
                memory: process,
                actions: BTreeMap::new(),
                sent: VecDeque::new(),
                ended: None,
                fatal: None,
                stopped: false,
                change: None,
                alarm: None,
                timers: BTreeMap::new(),
                limits: LIMITS,
                shared: SHARED,
            },
        );
        let thread = self.add_thread(process, tid, vpid);
        (process, thread)
    }

    /// Takes note of a thread.
    pub(super) fn add_thread(&mut self, process: ProcessId, tid: Tid, vtid: i32) -> ThreadId {
        let id = ThreadId(self.next_task());
        let owner = self.processes.get_mut(&process).expect("a new thread's process is known");
        owner.threads.insert(id);
        let node = owner.node;
        self.threads.insert(
            id,
            Thread {
                tid,
                vtid,
                process,
                node,
                nice: 0,
                io_priority: 0,
                state: State::Ready,
                call: None,
                until: None,
                timer: None,
                woken: false,
                signalled: None,
                bitset: 0,
                clear_tid: 0,
                robust_list: 0,
                vfork_parent: None,
                saved_mask: None,
                after_call: true,
                progress: 0,
                receives: 0,
                own_files: None,
                left: false,
            },
        );
        self.by_tid.insert(tid.0, id);
        self.watchdog.born(self.processes[&process].tid);
        id
    }

    pub(super) fn threads_of_node(&self, node: usize) -> usize {
        self.threads.values().filter(|thread| thread.node == node).count()
    }

    /// Whether the thread, or all of its process, is on the way out. In real time others of its process can end a thread
    /// that stands at a stop: it cannot be reached then.
    pub(super) fn is_dying(&self, id: ThreadId) -> bool {
        let Some(thread) = self.threads.get(&id) else { return true };
        self.stopped.is_some() || (self.time.is_real() && thread.tid.registers().is_err())
    }

    /// A thread's last stop was seen: it alone ended, or a signal ended its whole process.
    pub(super) fn thread_ended(&mut self, id: ThreadId, stop: Stop) -> Result<(), Error> {
        let status = match stop {
            Stop::Exited(status) => status,
            Stop::Killed(signal) => 256 + signal,
            _ => 0,
        };
        self.log_entry(id, What::End(status));
        let process = self.thread(id).process;
        self.wake_clear_tid(id);
        self.pass_on_signal(id)?;
        self.forget_thread(id);
        let rest = self.processes.get(&process).map(|p| p.threads.clone()).unwrap_or_default();
        if status >= 256 || rest.iter().all(|&other| self.thread(other).left) {
            self.await_death(process)?;
        }
        if self.processes.get(&process).is_some_and(|p| p.threads.is_empty()) {
            self.process_ended(process, status)?;
        }
        Ok(())
    }

    /// The process ends as a whole: waits until all its threads have.
    pub(super) fn await_death(&mut self, process: ProcessId) -> Result<(), Error> {
        while let Some(rest) = self.processes.get(&process).map(|p| &p.threads).filter(|it| !it.is_empty()) {
            let tids: BTreeSet<Tid> = rest.iter().map(|&id| self.thread(id).tid).collect();
            let kept = self.stops.take(|who, stop| stop.is_end() && tids.contains(&who));
            let Some((who, stop)) = kept.map_or_else(wait_any, |kept| Ok(Some(kept)))? else {
                let rest: Vec<ThreadId> = self.processes[&process].threads.iter().copied().collect();
                rest.into_iter().for_each(|id| self.forget_thread(id));
                break;
            };
            match self.by_tid.get(&who.0) {
                Some(&id) if stop.is_end() && (tids.contains(&who) || !self.time.is_real()) => {
                    self.forget_thread(id);
                }
                None if stop.is_end() => {}
                _ => self.stops.push(who, stop),
            }
        }
        Ok(())
    }

    /// A thread is gone; nothing refers to it any more.
    pub(super) fn forget_thread(&mut self, id: ThreadId) {
        self.unpark(id, State::Ready);
        let Some(thread) = self.threads.remove(&id) else { return };
        self.by_tid.remove(&thread.tid.0);
        self.stops.forget(thread.tid);
        if let Some(files) = thread.own_files {
            self.leave_files(files);
        }
        if let Some(process) = self.processes.get_mut(&thread.process) {
            process.threads.remove(&id);
        }
        self.resume_vfork_parent(thread.vfork_parent);
    }

    pub(super) fn resume_vfork_parent(&mut self, parent: Option<ThreadId>) {
        if let Some(parent) = parent.and_then(|id| self.threads.get_mut(&id)) {
            parent.state = State::Ready;
        }
    }

    /// The word a thread asked for is 0 now; who waits for it goes on (set_tid_address(2)).
    fn wake_clear_tid(&mut self, id: ThreadId) {
        let thread = self.thread(id);
        let (address, process) = (thread.clear_tid, thread.process);
        if address != 0 {
            let memory = self.processes[&process].memory;
            self.futex_wake(Key::Futex(memory, address), 1, u32::MAX);
        }
    }

    /// All threads of a process have ended.
    pub(super) fn process_ended(&mut self, id: ProcessId, status: i32) -> Result<(), Error> {
        self.leave_files(self.processes[&id].files);
        self.cancel_process_timers(id);
        self.end_aio(id)?;
        let mut orphans = Vec::new();
        for (&child, process) in &mut self.processes {
            if process.parent == Some(id) {
                process.parent = None;
                orphans.push((child, process.parent_death));
            }
        }
        let process = self.processes.get_mut(&id).expect("a process that ends is known");
        process.ended = Some(status);
        self.watchdog.gone(process.tid);
        let (node, parent, vpid) = (process.node, process.parent, process.vpid);
        if self.nodes[node].roots.contains(&id) {
            self.nodes[node].roots.clear();
            self.flush_output(node);
            let exit = if status >= 256 { Exit::Signal(status - 256) } else { Exit::Status(status) };
            // A run that is over has ended it, and nobody else.
            if !self.is_client(node) && self.stopped.is_none() {
                self.note(self.nodes[node].host, EventKind::Exit(exit));
            }
            // What it left running goes with it, as with a container.
            self.end_processes(node)?;
            self.net.host_killed(self.nodes[node].host, self.now);
        }
        // Where the whole node ends nobody is told.
        if !self.nodes[node].roots.is_empty() {
            for (child, signal) in orphans.into_iter().filter(|(_, signal)| *signal != 0) {
                self.send(child, None, SentSignal { signal, code: libc::SI_USER, sender: vpid, value: 0 })?;
            }
        }
        match parent {
            Some(parent) if self.processes.contains_key(&parent) => {
                if self.ignores_children(parent) {
                    self.processes.remove(&id);
                }
                self.wake(Key::Child(parent));
                self.child_signal(parent)?;
            }
            _ => {
                self.processes.remove(&id);
            }
        }
        Ok(())
    }

    /// Ends all processes of a node at once.
    pub(super) fn end_processes(&mut self, node: usize) -> Result<(), Error> {
        let ids: Vec<ProcessId> =
            self.processes.iter().filter(|(_, p)| p.node == node).map(|(&id, _)| id).collect();
        for &id in &ids {
            let process = &self.processes[&id];
            if process.ended.is_none() {
                // Already gone is as good.
                let _gone = process.tid.send_process_signal(libc::SIGKILL);
            }
        }
        self.nodes[node].roots.clear();
        for id in ids {
            self.await_death(id)?;
            if let Some(process) = self.processes.get_mut(&id)
                && process.ended.is_none()
            {
                process.parent = None;
                self.process_ended(id, 256 + libc::SIGKILL)?;
            }
            self.processes.remove(&id);
        }
        self.flush_output(node);
        Ok(())
    }
}
