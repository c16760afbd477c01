//! The sandbox: the virtual machine room that a cluster runs in.
//!
//! It owns everything a node could tell two runs apart by: the clock, randomness, the network, the disk, the
//! order of threads, process ids. One guest thread runs at a time in the whole cluster; it runs until its
//! next intercepted call, which the sandbox answers itself, lets run, or parks. When nothing can run, virtual
//! time jumps to the next deadline. See [`Sandbox::run`] for the one loop. Under [`Clock::Real`] time is the host's and
//! threads run free; everything else is the same.

mod aio;
mod boot;
mod clock;
mod descriptors;
mod ending;
mod epoll;
mod files;
mod find;
mod free;
mod guest;
mod home;
mod interleaver;
mod job_control;
mod leaks;
mod life;
mod locks;
mod log;
mod maps;
mod memory;
mod operations;
mod process_files;
mod refusals;
mod run;
mod signals;
mod stops;
pub mod syscalls;
mod system_files;
mod task;
mod timers;
mod watchdog;

pub use clock::{Clock, ClockKind};
pub(crate) use home::Home;
pub use home::{BASE, Container, Homes};
pub use log::{Entry, EventLog, What};
pub use operations::{ClientEvent, Operation};
pub use refusals::Refusal;
pub use run::Pause;

use crate::disk::Disk;
use crate::dissector::{Dissector, DissectorError};
use crate::event::{Event, EventKind, HostId, LogLine};
use crate::net::{Net, SocketId};
use crate::rng::{Rng, split};
use crate::role_line::RoleLine;
use crate::room::Room;
use crate::scans::Scans;
use crate::time::{Instant, Span};
use crate::timeline::Capture;
use aio::Aio;
use clock::{NodeClock, Time};
use files::Files;
use home::Storage;
use interleaver::Interleaver;
use std::any::Any;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use stops::Stops;
use task::{Process, ProcessId, Thread, ThreadId};
use timers::Timers;
use tracer::{Filter, NoTsc, SharedPages};
use watchdog::Watchdog;

/// A failure of the sandbox: the world, or we, are wrong. What a guest does is never one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mechanism failed.
    #[error(transparent)]
    Tracer(#[from] tracer::Error),
    /// A file or directory of the room.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The disk journal.
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskError),
    /// A dissector's notation.
    #[error(transparent)]
    Dissector(#[from] DissectorError),
    /// The run is over before its time; [`Sandbox::stopped`] says why. Nobody outside of the sandbox meets this.
    #[error("the run is over")]
    Over,
    /// A stop that cannot be.
    #[error("unexpected stop of thread {thread} on node n{node}: {stop}", node = node + 1)]
    Stop {
        /// The thread's virtual id.
        thread: i32,
        /// Its node.
        node: usize,
        /// The stop.
        stop: String,
    },
}

/// What a node runs.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its host name.
    pub name: String,
    /// What it runs, the main program first; they live and die together.
    pub programs: Vec<Program>,
    /// Their whole environment.
    pub environment: Vec<(String, String)>,
    /// Files in its data directory when it is switched on for the first time; they are durable.
    pub files: Vec<NodeFile>,
}

/// A file that a node finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFile {
    /// Where, in its data directory.
    pub path: PathBuf,
    /// What it holds.
    pub content: Vec<u8>,
    /// It may be executed.
    pub executable: bool,
}

/// A program of a node.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path, as the node finds it: a copy in the room, or a file of the host.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
}

/// The address of the client with this position.
#[must_use]
pub fn client_address(client: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, client as u8 + 1)
}

/// The address of the node with this position.
#[must_use]
pub fn node_address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, node as u8 + 1)
}

/// Bounds on what guests may use; reaching one ends the run and says so, but for files: then the drive is full.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Intercepted calls of a run.
    pub calls_max: u64,
    /// Bytes of output of a node.
    pub output_max: u64,
    /// Threads of a node at a time.
    pub threads_max: usize,
    /// Bytes of memory of all processes of a run together.
    pub memory_max: u64,
    /// Bytes that the files of a node hold; past them writes fail with ENOSPC.
    pub disk_max: u64,
    /// Milliseconds of its processor time that a thread may run without a stop, or wait in a call of the host.
    pub spin_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_max: 5_000_000,
            output_max: 64 << 20,
            threads_max: 512,
            memory_max: 4 << 30,
            disk_max: 1 << 30,
            spin_ms_max: 3_000,
        }
    }
}

/// A cluster to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Seeds every choice of the sandbox.
    pub seed: u64,
    /// The nodes; node `i` has address `10.0.0.(i+1)`.
    pub nodes: Vec<NodeConfig>,
    /// Number of client hosts; client `j` has address `10.0.1.(j+1)`.
    pub clients: usize,
    /// What some of them run: which, and what.
    pub client_programs: Vec<(usize, NodeConfig)>,
    /// Dissector of the messages to a port, by the manifest's notation; other ports are taken by shape.
    pub dissectors: Vec<(u16, String)>,
    /// Lines of nodes that tell their roles; they are reports.
    pub roles: Vec<RoleLine>,
    /// Bytes that the nodes' drives write whole or not at all when power fails.
    pub atomic_write: u64,
    /// Bounds.
    pub limits: Limits,
    /// Keep the entries of the event log, not only its hash.
    pub keep_log: bool,
    /// By which clock the room lives.
    pub clock: Clock,
    /// Files and directories of the host that nodes find where they are, though they have a directory of their own there
    /// otherwise: in /tmp, say.
    pub shown: Vec<PathBuf>,
}

/// A reading of a node's clock at which something is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Which clock.
    pub clock: ClockKind,
    /// Its reading in nanoseconds.
    pub ns: u64,
}

/// What is known of one node, or of a client that is a program; those come after all nodes.
struct Node {
    config: NodeConfig,
    /// What its next program has as standard input and output, when that is a conversation.
    conversation: Option<SocketId>,
    host: HostId,
    clock: NodeClock,
    pages: SharedPages,
    storage: Storage,
    disk: Disk,
    rng: Rng,
    /// Decides how long its disk takes where a program can tell.
    device_rng: Rng,
    /// The processes of its programs, the main one first; none when it is down.
    roots: Vec<ProcessId>,
    next_vpid: i32,
    /// Its programs were started once.
    was_started: bool,
    paused: bool,
    output: [Vec<u8>; 2],
    output_bytes: u64,
    /// Bytes its files may still take before what they hold is counted again.
    unchecked: u64,
    /// It was told that its drive is full.
    full: bool,
    unix_names: BTreeMap<PathBuf, SocketId>,
    /// Where its programs find their files.
    home: Arc<Home>,
    /// Ends the container that it lives in.
    keeper: Option<Box<dyn Any>>,
}

/// The sandbox and the cluster in it.
///
/// As long as it lives its thread cannot read the host's clock in the usual way, see [`NoTsc`];
/// [`crate::time::host_ns`] can.
pub struct Sandbox {
    config: Config,
    room: PathBuf,
    filter: Filter,
    time: Time,
    now: Instant,
    /// Until then nothing happens but what the thread does that goes on now, as far as is known.
    alone_until: Instant,
    nodes: Vec<Node>,
    /// A vfork parent whose call is about to be completed: it waits for its child then.
    suspend_after_call: Option<ThreadId>,
    clients: Vec<HostId>,
    net: Net,
    capture: Capture,
    /// Connections the capture knows the port of.
    announced: BTreeSet<u32>,
    files: Files,
    /// Files that are in memory only (memfd_create(2)), while a number stands for them.
    in_memory: BTreeMap<files::DescriptionId, std::fs::File>,
    timers: Timers,
    aio: Aio,
    interleaver: Interleaver,
    threads: BTreeMap<ThreadId, Thread>,
    processes: BTreeMap<ProcessId, Process>,
    by_tid: BTreeMap<i32, ThreadId>,
    stops: Stops,
    next_task: u32,
    log: EventLog,
    events: Vec<Event>,
    logs: Vec<LogLine>,
    client_events: VecDeque<(SocketId, u32)>,
    calls: u64,
    /// The call that is being answered.
    calling: Option<i64>,
    /// How often the host had run out of memory when the room was switched on.
    kills_before: u64,
    /// When the memory of threads that run free was last looked at.
    looked: Instant,
    /// Checksum of the data the current call moved.
    moved: u64,
    /// Where the last paths lie that the current call was given, and their checksums.
    paths: Cell<[(u64, u64); 2]>,
    leaks: BTreeSet<String>,
    refusals: BTreeMap<Refusal, u64>,
    /// Files of the host that were opened or run.
    sources: BTreeSet<PathBuf>,
    /// What is in the code of files; outlives the run.
    scans: Arc<Mutex<Scans>>,
    stopped: Option<String>,
    /// What the last power loss took.
    lost: Option<crate::disk::Lost>,
    locks: locks::Locks,
    watchdog: Watchdog,
    /// Where nodes live, if that is not the host.
    homes: Option<Box<dyn Homes>>,
    /// Dropped last.
    _no_tsc: NoTsc,
}

impl Sandbox {
    /// Switches the room on: hosts, disks and clocks are there, no process runs yet.
    ///
    /// # Errors
    /// When the room's files cannot be prepared.
    pub fn new(room: &Room, config: Config) -> Result<Self, Error> {
        tracer::raise_descriptor_limit();
        let root = room.root().to_path_buf();
        let time = Time::begin(config.clock)?;
        let mut net = Net::new(config.seed);
        let mut nodes = Vec::new();
        system_files::prepare(&root)?;
        home::prepare(&root)?;
        // A program is found where it is, wherever that is.
        let clients = config.client_programs.iter().map(|(_, program)| program);
        let programs = config.nodes.iter().chain(clients).flat_map(|node| &node.programs);
        let programs = programs.map(|program| program.program.clone());
        let shown: Vec<PathBuf> = config.shown.iter().cloned().chain(programs).collect();
        for (index, node) in config.nodes.iter().enumerate() {
            let host = net.add_host(node_address(index));
            let mut node = Node::new(room, config.seed, index, host, node.clone(), (&time, &shown))?;
            node.disk.set_atomic_write(config.atomic_write);
            nodes.push(node);
        }
        let clients: Vec<HostId> = (0..config.clients).map(|j| net.add_host(client_address(j))).collect();
        for (j, (client, program)) in config.client_programs.iter().enumerate() {
            let (index, host) = (config.nodes.len() + j, clients[*client]);
            nodes.push(Node::new(room, config.seed, index, host, program.clone(), (&time, &shown))?);
        }
        let mut dissectors = BTreeMap::new();
        for (port, spec) in &config.dissectors {
            dissectors.insert(*port, Dissector::parse(spec)?);
        }
        // Started first: it reads clocks.
        let watchdog = Watchdog::start(config.limits.spin_ms_max, config.limits.memory_max);
        Ok(Self {
            room: root,
            filter: syscalls::filter(config.clock),
            time,
            now: Instant::START,
            alone_until: Instant::START,
            nodes,
            suspend_after_call: None,
            clients,
            net,
            capture: Capture::new(dissectors),
            announced: BTreeSet::new(),
            files: Files::default(),
            in_memory: BTreeMap::new(),
            timers: Timers::default(),
            aio: Aio::default(),
            interleaver: Interleaver::new(config.seed),
            threads: BTreeMap::new(),
            processes: BTreeMap::new(),
            by_tid: BTreeMap::new(),
            stops: Stops::default(),
            next_task: 0,
            log: EventLog::new(config.keep_log),
            events: Vec::new(),
            logs: Vec::new(),
            client_events: VecDeque::new(),
            calls: 0,
            calling: None,
            kills_before: memory::kills(),
            looked: Instant::START,
            moved: 0,
            paths: Cell::default(),
            leaks: BTreeSet::new(),
            refusals: BTreeMap::new(),
            sources: BTreeSet::new(),
            scans: room.scans(),
            stopped: None,
            lost: None,
            locks: locks::Locks::default(),
            watchdog,
            homes: None,
            _no_tsc: NoTsc::begin(),
            config,
        })
    }

    /// By which clock the room lives.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.config.clock
    }

    /// Time since the room was switched on, as of the last event.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What was seen so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The output of all nodes so far.
    #[must_use]
    pub fn logs(&self) -> &[LogLine] {
        &self.logs
    }

    /// The event log.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Number of intercepted calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Why the run was ended early, if it was: a bound was reached, or a call is not carried.
    #[must_use]
    pub fn stopped(&self) -> Option<&str> {
        self.stopped.as_deref()
    }

    /// The host of a client.
    #[must_use]
    pub fn client(&self, index: usize) -> HostId {
        self.clients[index]
    }

    /// Adds an event at this instant; for the caller's own (faults, client operations).
    pub fn note(&mut self, host: HostId, kind: EventKind) {
        self.events.push(Event { at: self.now, host, kind });
    }

    fn stop_run(&mut self, why: String) {
        if self.stopped.is_none() {
            tracing::debug!(why, "run stopped");
            self.stopped = Some(why);
        }
    }
}

/// The wall clock of the cluster when it is switched on: 2023-11-14 22:13:20 UTC.
const EPOCH_NS: u64 = 1_700_000_000_000_000_000;

impl Node {
    fn new(
        room: &Room,
        seed: u64,
        index: usize,
        host: HostId,
        config: NodeConfig,
        (time, shown): (&Time, &[PathBuf]),
    ) -> Result<Self, Error> {
        use rand::RngExt;
        let label = format!("node/{index}");
        let mut rng = split(seed, &label);
        let storage = Storage::prepare(room.root(), &config.name)?;
        let shown = storage.show(shown)?;
        let home = home::home_in(room, &storage, &shown)?;
        let pages_path = storage.pages();
        let mut pages = SharedPages::create(&pages_path, &time.image()).map_err(|source| Error::Io {
            what: format!("cannot create {}", pages_path.display()),
            source,
        })?;
        // Nodes were not switched on together, and their wall clocks agree as well as NTP makes them.
        let uptime = Span::from_secs(1_000 + 977 * index as u64).0 + rng.random_range(0..1_000_000_000);
        let skew = rng.random_range(0..1_000_000);
        let disk = Disk::new(storage.disk(), seed, &label)?;
        place(&storage.data(), &config.files)?;
        let clock = NodeClock::new(uptime, EPOCH_NS + skew);
        if let Time::Real { begun_ns, .. } = time {
            pages.set_running(clock.running_terms(*begun_ns));
        }
        Ok(Self {
            disk,
            clock,
            host,
            pages,
            storage,
            rng,
            device_rng: split(seed, &format!("device/{label}")),
            roots: Vec::new(),
            next_vpid: 1,
            was_started: false,
            paused: false,
            output: [Vec::new(), Vec::new()],
            output_bytes: 0,
            unchecked: 0,
            full: false,
            unix_names: BTreeMap::new(),
            conversation: None,
            home,
            keeper: None,
            config,
        })
    }
}

impl Node {
    /// A line that begins with a path on the node's drive, with the path as its programs know it: from its data directory,
    /// else from the root.
    fn named_by_node(&self, line: &str) -> String {
        let data = self.storage.data();
        let inside = data.strip_prefix(self.storage.disk()).ok().and_then(|data| data.to_str());
        let rest = inside.and_then(|data| line.strip_prefix(data)?.strip_prefix('/'));
        rest.map_or_else(|| format!("/{line}"), str::to_owned)
    }
}

/// Writes what a node finds on its disk.
fn place(data: &std::path::Path, files: &[NodeFile]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    for NodeFile { path, content, executable } in files {
        let path = data.join(path);
        // One mode for all hosts, whatever their umask.
        let mode = std::fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 });
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::write(&path, content))
            .and_then(|()| std::fs::set_permissions(&path, mode))
            .map_err(|source| Error::Io { what: format!("cannot place {}", path.display()), source })?;
    }
    Ok(())
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            if let Err(error) = self.end_processes(node) {
                tracing::debug!(%error, "ending a node");
            }
        }
        for node in &self.nodes {
            if let Err(error) = node.storage.clear() {
                tracing::debug!(%error, "clearing the room");
            }
        }
    }
}
