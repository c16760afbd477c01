//! Threads and processes of the guests, as the sandbox knows them.

use super::files::{DescriptionId, FilesId};
use super::job_control::Change;
use super::syscalls::Limits;
use super::timers::{Beat, TimerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
pub use tracer::Call;
use tracer::Tid;

/// A thread, numbered in the order of creation over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThreadId(pub u32);

/// A process, numbered in the order of creation over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// What a parked thread waits for. Whatever happens to it makes the thread try its call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Readiness of a description.
    Description(DescriptionId),
    /// A wake of a futex word: the process whose memory it is in, and its address.
    Futex(ProcessId, u64),
    /// A wake of a futex word in memory that processes share: the inode behind it, and the place in that.
    SharedFutex(u64, u64),
    /// A child of the process ends.
    Child(ProcessId),
    /// A signal of the process is queued (sigwait).
    Signals(ProcessId),
    /// A request of a context ends.
    Aio(super::aio::ContextId),
    /// A file lock of the node is released.
    Lock(usize),
}

/// What a thread does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It stands at a stop and can go on.
    Ready,
    /// It runs free, or stands at a stop that nobody has answered yet.
    Free,
    /// Its call is to be tried again.
    Retry,
    /// Its call waits.
    Parked(Vec<Key>),
    /// It waits for the child it made with vfork to call exec or to end.
    Suspended,
}

/// A guest thread.
pub struct Thread {
    /// Its kernel id.
    pub tid: Tid,
    /// The id it sees.
    pub vtid: i32,
    /// Its process.
    pub process: ProcessId,
    /// Its node, from 0.
    pub node: usize,
    /// Its priority as nice(2) has it, and that of its input and output (ioprio_set(2)): both are kept and mean nothing.
    pub nice: i32,
    /// See `nice`.
    pub io_priority: u16,
    /// What it does.
    pub state: State,
    /// The call it is in, while parked or to be retried.
    pub call: Option<Call>,
    /// When its time is up: the clock's reading, for the call it is in.
    pub until: Option<super::Deadline>,
    /// The timer for it.
    pub timer: Option<TimerId>,
    /// A futex wake reached it.
    pub woken: bool,
    /// A signal that was sent to it while it ran free: it ends a wait that it may have begun meanwhile.
    pub signalled: Option<i32>,
    /// The futex bits it waits for.
    pub bitset: u32,
    /// Where to write 0 and wake when it ends (set_tid_address(2)).
    pub clear_tid: u64,
    /// Head of its list of robust futexes (set_robust_list(2)).
    pub robust_list: u64,
    /// A vfork child: its parent thread resumes when it calls exec or ends.
    pub vfork_parent: Option<ThreadId>,
    /// The mask to restore when a call that replaced it ends (ppoll, pselect, epoll_pwait).
    pub saved_mask: Option<u64>,
    /// Stopped just after a call rather than before one.
    pub after_call: bool,
    /// Bytes that its call has moved before it had to wait for more room.
    pub progress: usize,
    /// The signal that it goes on with.
    pub receives: i32,
    /// Its own table of descriptors, if it does not use its process's (clone(2) without `CLONE_FILES`).
    pub own_files: Option<FilesId>,
    /// It has called exit, but leads a process whose other threads go on.
    pub left: bool,
}

/// What a process does with a signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// 0: default, 1: ignore, else the handler's address.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
}

/// A signal on its way, as the receiver shall see it.
#[derive(Clone, Copy, Debug)]
pub struct SentSignal {
    /// Its number.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// Virtual id of the sender; of a timer's signal, the timer's number.
    pub sender: i32,
    /// `si_value`.
    pub value: u64,
}

/// What became of a signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Queued,
    /// Nobody is there who wants it, or it is queued already.
    Ignored,
    /// Too many are queued.
    Full,
}

/// The interval timer of a process.
pub struct Alarm {
    /// When it expires.
    pub beat: Beat,
    /// The pending timer; none while its signal is.
    pub timer: Option<TimerId>,
}

/// A POSIX timer.
pub struct PosixTimer {
    /// The clock it follows.
    pub clock: super::clock::ClockKind,
    /// The signal it sends; 0: none.
    pub signal: i32,
    /// `si_value`.
    pub value: u64,
    /// The thread it is sent to, by virtual id; 0: the process.
    pub thread: i32,
    /// When it expires.
    pub beat: Beat,
    /// The pending timer; none while its signal is.
    pub timer: Option<TimerId>,
    /// Its signal is on its way, for so many expirations.
    pub unseen: u64,
    /// Expirations that the last signal received stood for, but one.
    pub overrun: i32,
}

/// A guest process.
pub struct Process {
    /// Kernel id of its leader.
    pub tid: Tid,
    /// The id it sees.
    pub vpid: i32,
    /// Its node, from 0.
    pub node: usize,
    /// Its parent, unless that is the sandbox.
    pub parent: Option<ProcessId>,
    /// Its group and session, by virtual id.
    pub group: i32,
    /// Its session, by virtual id.
    pub session: i32,
    /// It runs another program than its parent did when it was made.
    pub has_run: bool,
    /// What it said of its memory (`/proc/PID/oom_score_adj`).
    pub oom_score: i32,
    /// `PR_SET_DUMPABLE`: kept, and nothing comes of it.
    pub dumpable: bool,
    /// The signal it gets when its parent ends, or 0 (`PR_SET_PDEATHSIG`).
    pub parent_death: i32,
    /// Its threads that have not ended.
    pub threads: BTreeSet<ThreadId>,
    /// Its descriptors.
    pub files: FilesId,
    /// The process whose memory it uses: itself, or its vfork parent.
    pub memory: ProcessId,
    /// What it does with signals, by number.
    pub actions: BTreeMap<i32, Action>,
    /// Signals the sandbox sent that were not delivered yet.
    pub sent: VecDeque<SentSignal>,
    /// How it ended: a status, or 256 and the signal.
    pub ended: Option<i32>,
    /// The last signal that reached a thread of it: if it ends by one, by that.
    pub fatal: Option<i32>,
    /// Job control has stopped it.
    pub stopped: bool,
    /// That it was stopped or continued, until its parent has learnt of it.
    pub change: Option<Change>,
    /// The interval timer.
    pub alarm: Option<Alarm>,
    /// POSIX timers.
    pub timers: BTreeMap<i32, PosixTimer>,
    /// Its limits on resources.
    pub limits: Limits,
    /// Where the shared pages are mapped; 0 before exec is done.
    pub shared: u64,
}
