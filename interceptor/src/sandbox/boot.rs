//! Starting a node's program, and what every program needs before its first instruction.

use super::files::Kind;
use super::home::Passed;
use super::log::{Entry, What};
use super::maps;
use super::task::{ProcessId, ThreadId};
use super::{Error, Program, Sandbox};
use crate::event::EventKind;
use crate::net::{Kind as SocketKind, SocketId};
use rand::Rng;
use std::ffi::CString;
use std::fs::File;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tracer::{Injection, Launch, PAGE, SharedPages, Tid, spawn, vdso};

/// Where the shared pages lie in every guest.
pub(super) const SHARED: u64 = vdso::ADDRESS;

const AT_NULL: u64 = 0;
const AT_ENTRY: u64 = 9;
const AT_HWCAP: u64 = 16;
const AT_RANDOM: u64 = 25;
const AT_HWCAP2: u64 = 26;
const AT_SYSINFO: u64 = 32;
const AT_SYSINFO_EHDR: u64 = 33;
const AT_MINSIGSTKSZ: u64 = 51;
/// What a signal handler's stack must hold at least. The kernel's own figure follows the processor's registers, and programs
/// map stacks by it; no frame without tile registers, which nobody may ask for here, is larger than this.
const SIGNAL_STACK: u64 = 8_192;
/// What every processor of x86-64 can: floating point, time stamps, atomic compares of eight bytes, system calls, moves on
/// a condition, flushes of a cache line, MMX, SSE, SSE2 and what belongs to them (the bits of EDX after `cpuid` 1).
const HARDWARE: u64 = 0x0783_fbff;

impl Sandbox {
    /// Starts (again) the programs of a node, on its data directory as it is.
    ///
    /// # Errors
    /// When a program cannot be started at all.
    pub fn start(&mut self, node: usize) -> Result<(), Error> {
        if !self.nodes[node].roots.is_empty() || self.stopped.is_some() {
            return Ok(());
        }
        let started = self.switch_on(node);
        match started {
            // It could be started before: what is in its way now is its own doing.
            Err(Error::Tracer(error @ tracer::Error::Died { .. })) if self.nodes[node].was_started => {
                self.stop_run(format!("node n{} cannot be started again: {error}", node + 1));
                return Ok(());
            }
            other if self.nodes[node].was_started => self.contain(other, ())?,
            other => other?,
        }
        self.nodes[node].was_started = true;
        Ok(())
    }

    fn switch_on(&mut self, node: usize) -> Result<(), Error> {
        self.move_in(node)?;
        self.nodes[node].next_vpid = 1;
        let host = self.nodes[node].host;
        self.net.host_powered_on(host);
        self.log_operation(node, 1);
        if !self.is_client(node) {
            self.note(host, EventKind::Start);
        }
        for program in self.nodes[node].config.programs.clone() {
            self.start_program(node, &program)?;
        }
        Ok(())
    }

    fn start_program(&mut self, node: usize, program: &Program) -> Result<(), Error> {
        let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
        let home = &self.nodes[node].home;
        let for_kernel = |path: &Path| text(home.for_kernel(path).as_os_str().as_bytes());
        let path = text(program.program.as_os_str().as_bytes());
        let arguments: Vec<CString> = std::iter::once(path.clone())
            .chain(program.arguments.iter().map(|a| text(a.as_bytes())))
            .collect();
        let environment = &self.nodes[node].config.environment;
        let environment: Vec<CString> =
            environment.iter().map(|(k, v)| text(format!("{k}={v}").as_bytes())).collect();
        let tid = spawn(&Launch {
            program: &for_kernel(&program.program),
            arguments: &arguments,
            environment: &environment,
            directory: &for_kernel(&crate::room::data_of(&self.nodes[node].config.name)),
            filter: &self.filter,
            address_space_max: 0,
            namespace: home.namespace(),
            owner: home.owner(),
        })?;
        let (process, thread) = self.add_root(node, tid);
        self.nodes[node].roots.push(process);
        self.bind_standard(process, node);
        self.prepare_program(thread)
    }

    /// Starts a client's program anew, by its position among them; the connection to its standard input and output.
    ///
    /// # Errors
    /// When it cannot be started at all.
    pub fn start_client(&mut self, program: usize) -> Result<SocketId, Error> {
        let node = self.config.nodes.len() + program;
        self.note_code_of_node(node);
        self.end_processes(node)?;
        let host = self.nodes[node].host;
        let (ours, theirs) = self.net.socketpair(host, SocketKind::Stream);
        self.nodes[node].conversation = Some(theirs);
        self.start(node)?;
        Ok(ours)
    }

    /// The client's program, not a node.
    pub(super) fn is_client(&self, node: usize) -> bool {
        node >= self.config.nodes.len()
    }

    pub(super) fn log_operation(&mut self, node: usize, operation: u64) {
        let what = What::Operation(operation);
        self.log.push(Entry { at: self.now, node: node as u16, thread: 0, what });
    }

    fn bind_standard(&mut self, process: ProcessId, node: usize) {
        let files = self.processes[&process].files;
        let (input, out) = match self.nodes[node].conversation.take() {
            Some(socket) => {
                let both = self.files.add(node, libc::O_RDWR, Kind::Socket(socket));
                (both, both)
            }
            None => (
                self.files.add(node, libc::O_RDONLY, Kind::Host { path: "/dev/null".into() }),
                self.files.add(node, libc::O_WRONLY, Kind::Output { stderr: false }),
            ),
        };
        let err = self.files.add(node, libc::O_WRONLY, Kind::Output { stderr: true });
        for (fd, id) in [(0, input), (1, out), (2, err)] {
            let replaced = self.files.bind(files, fd, id, false);
            debug_assert!(replaced.is_none(), "a new table is empty");
        }
    }

    /// A thread stands at its exec stop: gives it the shared pages, and takes the host's clock and randomness
    /// out of what the kernel put on its stack.
    pub(super) fn prepare_program(&mut self, id: ThreadId) -> Result<(), Error> {
        let tid = self.thread(id).tid;
        let node = self.thread(id).node;
        self.note_program(node, tid);
        let mut injection = Injection::after_exec(tid)?;
        let path = self.pass(node, Passed::Link(&self.nodes[node].storage.pages()))?;
        let mapped = map_shared(&mut injection, tid, path.as_os_str().as_bytes());
        self.take_back(node)?;
        mapped?;
        cover_clock_of_host(&mut injection, tid)?;
        // Where it cannot be, programs see what there is.
        let _refused = injection.call(libc::SYS_arch_prctl, [tracer::ARCH_CPUID_SET, 0, 0, 0, 0, 0])?;
        let entry = self.rewrite_vectors(tid, node, injection.stack_pointer())?;
        if !self.time.is_real() {
            self.lead_sleeps(tid, entry)?;
        }
        injection.finish()?;
        self.process_of_mut(id).shared = SHARED;
        self.thread_mut(id).after_call = true;
        Ok(())
    }

    /// Leads the sleeps of Go's runtime past the calls that they are, see [`vdso::SLEEP`].
    fn lead_sleeps(&self, tid: Tid, entry: u64) -> Result<(), Error> {
        let scan = File::open(format!("/proc/{tid}/exe"))
            .and_then(|file| self.scans.lock().expect("no scan panics").of(&file));
        // One that may be run and not read makes its calls.
        let Ok(scan) = scan else { return Ok(()) };
        for &distance in &scan.sleeps {
            // The byte before belongs to the sequence that was found: a word that begins with it lies in the program.
            let at = entry.wrapping_add_signed(distance) - 1;
            let mut word = tid.read_u64(at)?.to_le_bytes();
            word[1..].copy_from_slice(&vdso::CALL_INSTEAD);
            tid.poke(at, u64::from_le_bytes(word))?;
        }
        Ok(())
    }

    /// Walks past the arguments and the environment to the auxiliary vector (getauxval(3)); the address of the program's
    /// first instruction, which is told there.
    fn rewrite_vectors(&mut self, tid: Tid, node: usize, stack: u64) -> Result<u64, Error> {
        let mut entry = 0;
        let mut at = stack + 8 * (tid.read_u64(stack)? + 2);
        while tid.read_u64(at)? != 0 {
            at += 8;
        }
        at += 8;
        loop {
            let kind = tid.read_u64(at)?;
            match kind {
                AT_NULL => return Ok(entry),
                AT_ENTRY => entry = tid.read_u64(at + 8)?,
                AT_RANDOM => {
                    let mut bytes = [0; 16];
                    self.nodes[node].rng.fill_bytes(&mut bytes);
                    tid.write(tid.read_u64(at + 8)?, &bytes)?;
                }
                _ => {
                    if let Some(value) = vector(kind) {
                        tid.write(at + 8, &value.to_le_bytes())?;
                    }
                }
            }
            at += 16;
        }
    }

    /// Address of the scratch page in a guest.
    pub(super) fn scratch(&self, id: ThreadId) -> u64 {
        self.process_of(id).shared + SharedPages::SCRATCH
    }
}

/// What the auxiliary vector says of the machine, where the kernel would say what differs between machines.
fn vector(kind: u64) -> Option<u64> {
    match kind {
        AT_SYSINFO_EHDR => Some(SHARED),
        AT_MINSIGSTKSZ => Some(SIGNAL_STACK),
        AT_HWCAP => Some(HARDWARE),
        AT_SYSINFO | AT_HWCAP2 => Some(0),
        _ => None,
    }
}

/// The auxiliary vector as the kernel keeps it for /proc, with what programs are told.
pub(super) fn told_vectors(mut kept: Vec<u8>) -> Vec<u8> {
    for pair in kept.as_chunks_mut::<16>().0 {
        let (kind, value) = pair.split_at_mut(8);
        let kind = kind.try_into().map_or(AT_NULL, u64::from_le_bytes);
        if let Some(told) = vector(kind) {
            value.copy_from_slice(&told.to_le_bytes());
        }
    }
    kept
}

/// Takes away the kernel's image of a vDSO and the pages that it reads: the host's clock is in them, for whoever looks. Their
/// places stay taken, so that what is mapped later lies where it would.
fn cover_clock_of_host(injection: &mut Injection, tid: Tid) -> Result<(), Error> {
    let failed = |source| Error::Io { what: "cannot take the host's clock from a program".into(), source };
    let how = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as u64;
    for Range { start, end } in maps::of_kernel(tid).map_err(failed)? {
        let nothing = [start, end - start, libc::PROT_NONE as u64, how, u64::MAX, 0];
        let covered = injection.call(libc::SYS_mmap, nothing)?;
        if covered != start as i64 {
            return Err(failed(std::io::Error::from_raw_os_error(-covered as i32)));
        }
    }
    Ok(())
}

fn map_shared(injection: &mut Injection, tid: Tid, path: &[u8]) -> Result<(), Error> {
    let failed = |what: &str, result: i64| Error::Io {
        what: format!("cannot give a program its clock: {what}"),
        source: std::io::Error::from_raw_os_error(-result as i32),
    };
    // Room below the stack pointer that the program has not used yet.
    let name = (injection.stack_pointer() - 2 * PAGE) & !7;
    let mut text = path.to_vec();
    text.push(0);
    tid.write(name, &text)?;
    let here = libc::AT_FDCWD as i64 as u64;
    let fd = injection.call(libc::SYS_openat, [here, name, libc::O_RDWR as u64, 0, 0, 0])?;
    if fd < 0 {
        return Err(failed("open", fd));
    }
    // What a program stores to the image is its own; the other pages it shares with its node.
    let (clock, rest) = (SharedPages::CLOCK, SharedPages::LEN - SharedPages::CLOCK);
    let code = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
    let data = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    for (from, len, (access, manner)) in [(0, clock, code), (clock, rest, data)] {
        let how = (manner | libc::MAP_FIXED_NOREPLACE) as u64;
        let arguments = [SHARED + from, len, access as u64, how, fd as u64, from];
        let mapped = injection.call(libc::SYS_mmap, arguments)?;
        if mapped != (SHARED + from) as i64 {
            return Err(failed("mmap", mapped));
        }
    }
    injection.call(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0])?;
    // Leave no trace of the path on the stack.
    tid.write(name, &vec![0; text.len()])?;
    Ok(())
}
