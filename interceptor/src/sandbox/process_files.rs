//! What /proc says of the processes of a node: made here, for the kernel knows them by other numbers and together with all
//! others of the host. What is taken from the kernel and may differ between runs is listed as a leak.

use super::files::Kind;
use super::guest::Trouble;
use super::task::{Process, ProcessId, State, ThreadId};
use super::{Sandbox, boot};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Something that /proc has of a process.
#[derive(Debug)]
pub(super) enum ProcessFile {
    /// A directory, by its name.
    Directory(PathBuf),
    /// A link that is not followed, and where it leads.
    Link(OsString),
    /// What a descriptor of a process stands for, where that has no name.
    Descriptor(ProcessId, i32),
    /// A file: its name, whose it is, and which.
    File {
        /// Its name.
        path: PathBuf,
        /// Whose.
        process: ProcessId,
        /// Which.
        name: &'static str,
    },
}

/// Where a step from a directory leads.
pub(super) enum Step {
    /// Not to what /proc says of processes.
    Elsewhere,
    /// To a directory of this name.
    Directory(PathBuf),
    /// To a link, which leads there.
    Link(OsString),
    /// To something that has nothing below it.
    End(ProcessFile),
}

/// Where a directory of a process is.
enum At {
    Process(i32),
    Tasks(i32),
    Task(i32),
    Descriptors(i32),
}

/// Files of a process with constant contents.
const CONSTANT: &[(&str, &str)] = &[
    ("cgroup", "0::/\n"),
    ("coredump_filter", "00000033\n"),
    ("gid_map", "         0          0 4294967295\n"),
    (
        "io",
        "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
    ),
    (
        "limits",
        "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1024                 files     \n",
    ),
    ("loginuid", "4294967295"),
    ("mountinfo", "1 0 0:1 / / rw - rootfs rootfs rw\n"),
    ("mounts", "rootfs / rootfs rw 0 0\n"),
    ("oom_adj", "0\n"),
    ("oom_score", "0\n"),
    ("personality", "00040000\n"),
    ("sched", "program (1, #threads: 1)\n"),
    ("sessionid", "4294967295"),
    ("setgroups", "allow\n"),
    (
        "smaps",
        "00400000-007d0000 rw-p 00000000 00:00 0 \nSize:               4000 kB\nRss:                4000 kB\nPrivate_Dirty:      1000 kB\n",
    ),
    ("statm", "2500 1000 500 100 0 500 0\n"),
    ("syscall", "running\n"),
    ("timerslack_ns", "50000\n"),
    ("uid_map", "         0          0 4294967295\n"),
    ("wchan", "0"),
];
/// How soon a process is ended where memory runs out, by its own account: it is kept, and means nothing.
const OOM_SCORE: &str = "oom_score_adj";
const OOM_SCORES: std::ops::RangeInclusive<i32> = -1000..=1000;
/// Files that are made of what the sandbox knows.
const MADE: [&str; 5] = ["auxv", "maps", OOM_SCORE, "stat", "status"];
/// Files of the kernel that say the same in all runs.
const KERNEL: [&str; 3] = ["cmdline", "comm", "environ"];
/// Files of the kernel that may not.
const LEAKS: [&str; 1] = ["schedstat"];
/// Files whose settings mean nothing here: what is written to them is dropped.
const SETTINGS: [&str; 8] =
    ["clear_refs", "comm", "coredump_filter", "loginuid", "oom_adj", OOM_SCORE, "sched", "timerslack_ns"];

fn files() -> impl Iterator<Item = &'static str> {
    CONSTANT.iter().map(|(name, _)| *name).chain(MADE).chain(KERNEL).chain(LEAKS).chain(["clear_refs"])
}

/// Whether what is written to a file of this name is dropped.
pub(super) fn takes_settings(name: &str) -> bool {
    SETTINGS.contains(&name)
}

impl At {
    fn of(path: &Path) -> Option<Self> {
        let mut parts = path.strip_prefix("/proc").ok()?.iter().map(|part| part.to_str());
        let process = parts.next()??.parse().ok()?;
        let at = match (parts.next(), parts.next()) {
            (None, _) => Self::Process(process),
            (Some(Some("fd" | "fdinfo")), None) => Self::Descriptors(process),
            (Some(Some("task")), None) => Self::Tasks(process),
            (Some(Some("task")), Some(Some(thread))) if thread.parse::<i32>().is_ok() => Self::Task(process),
            _ => return None,
        };
        parts.next().is_none().then_some(at)
    }
}

impl Sandbox {
    /// Whether a directory of this name is one that /proc has of a process.
    #[allow(clippy::unused_self, reason = "asked beside what does need it")]
    pub(super) fn is_of_process(&self, path: &Path) -> bool {
        At::of(path).is_some()
    }

    fn process_called(&self, node: usize, vpid: i32) -> Option<(ProcessId, &Process)> {
        let found = self.processes.iter().find(|(_, process)| process.node == node && process.vpid == vpid);
        found.map(|(&id, process)| (id, process))
    }

    /// Where the step to `name` leads from the directory `at`.
    pub(super) fn step_in_proc(&self, id: ThreadId, at: &Path, name: &OsStr) -> Result<Step, Trouble> {
        let node = self.thread(id).node;
        let path = at.join(name);
        let text = name.to_str().ok_or(Errno::ENOENT);
        if at == Path::new("/proc") {
            let vpid = self.process_of(id).vpid;
            return Ok(match text? {
                "self" => Step::Link(vpid.to_string().into()),
                "thread-self" => Step::Link(format!("{vpid}/task/{}", self.thread(id).vtid).into()),
                number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let process = number.parse().ok().and_then(|vpid| self.process_called(node, vpid));
                    if process.is_none() {
                        return Err(Errno::ENOENT.into());
                    }
                    Step::Directory(path)
                }
                _ => Step::Elsewhere,
            });
        }
        let Some(place) = At::of(at) else { return Ok(Step::Elsewhere) };
        let (At::Process(vpid) | At::Tasks(vpid) | At::Task(vpid) | At::Descriptors(vpid)) = place;
        let (process, of) = self.process_called(node, vpid).ok_or(Errno::ENOENT)?;
        match place {
            At::Process(_) | At::Task(_) => self.step_in_process(node, (process, of), text?, path),
            At::Tasks(_) => {
                let thread = text?.parse().ok();
                let known = of.threads.iter().any(|&t| Some(self.thread(t).vtid) == thread);
                if known { Ok(Step::Directory(path)) } else { Err(Errno::ENOENT.into()) }
            }
            At::Descriptors(_) => {
                let fd = text?.parse().map_err(|_| Errno::ENOENT)?;
                let (to, is_its_name) = self.descriptor_link(node, of, fd)?;
                if at.ends_with("fdinfo") {
                    return Ok(Step::End(ProcessFile::File { path, process, name: "fdinfo" }));
                }
                if is_its_name {
                    return Ok(Step::Link(to));
                }
                Ok(Step::End(ProcessFile::Descriptor(process, fd)))
            }
        }
    }

    fn step_in_process(
        &self,
        node: usize,
        (process, of): (ProcessId, &Process),
        name: &str,
        path: PathBuf,
    ) -> Result<Step, Trouble> {
        let link = |to: PathBuf| Ok(Step::Link(to.into_os_string()));
        match name {
            "root" => link("/".into()),
            "cwd" | "exe" => {
                let tid = of.threads.first().map_or(of.tid, |&thread| self.thread(thread).tid);
                link(self.nodes[node].home.named(Path::new(&format!("/proc/{tid}/{name}")))?)
            }
            "fd" | "fdinfo" | "task" => Ok(Step::Directory(path)),
            _ => {
                let name = files().find(|known| *known == name).ok_or(Errno::ENOENT)?;
                Ok(Step::End(ProcessFile::File { path, process, name }))
            }
        }
    }

    /// What the link of a descriptor says, and whether the thing can be found by that.
    pub(super) fn descriptor_link(
        &self,
        node: usize,
        of: &Process,
        fd: i32,
    ) -> Result<(OsString, bool), Trouble> {
        let slot = self.files.slot(of.files, fd).ok_or(Errno::ENOENT)?;
        let number = slot.description.0;
        let object = |text: String| Ok((OsString::from(text), false));
        match self.files.get(slot.description).map(|d| &d.kind).ok_or(Errno::ENOENT)? {
            Kind::Socket(_) => object(format!("socket:[{number}]")),
            Kind::PipeRead(pipe) | Kind::PipeWrite(pipe) => object(format!("pipe:[{}]", pipe.0)),
            Kind::Output { .. } => object(format!("pipe:[{number}]")),
            Kind::Epoll(_) => object("anon_inode:[eventpoll]".into()),
            Kind::Event { .. } => object("anon_inode:[eventfd]".into()),
            Kind::Timer(_) => object("anon_inode:[timerfd]".into()),
            Kind::Signals(_) => object("anon_inode:[signalfd]".into()),
            Kind::Random => Ok(("/dev/urandom".into(), true)),
            Kind::Directory { path, .. } | Kind::Host { path } if self.is_in_process(path) => {
                Ok((path.clone().into_os_string(), true))
            }
            Kind::Disk { .. } | Kind::Directory { .. } | Kind::Host { .. } => {
                let tid = of.threads.first().map_or(of.tid, |&thread| self.thread(thread).tid);
                let link = PathBuf::from(format!("/proc/{tid}/fd/{fd}"));
                let home = &self.nodes[node].home;
                let path = home.named(&link)?;
                let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
                let there = home.entry(&path).ok().and_then(|file| std::fs::File::from(file).metadata().ok());
                let is_there = there.map(identity) == std::fs::metadata(&link).ok().map(identity);
                Ok((path.into_os_string(), is_there))
            }
        }
    }

    /// Whether a name is one of what /proc has of a process.
    #[allow(clippy::unused_self, reason = "asked beside what does need it")]
    pub(super) fn is_in_process(&self, path: &Path) -> bool {
        path.strip_prefix("/proc").is_ok_and(|rest| rest.iter().next().is_some_and(is_number))
    }

    /// What a file says.
    pub(super) fn content_of(
        &mut self,
        (process, path): (ProcessId, &Path),
        name: &'static str,
    ) -> Result<Vec<u8>, Trouble> {
        if let Some((_, content)) = CONSTANT.iter().find(|(known, _)| *known == name) {
            return Ok(content.as_bytes().to_vec());
        }
        let of = self.processes.get(&process).ok_or(Errno::ENOENT)?;
        let tid = of.threads.first().map_or(of.tid, |&thread| self.thread(thread).tid);
        let kernel = |name: &str| std::fs::read(format!("/proc/{tid}/{name}"));
        Ok(match name {
            "auxv" => boot::told_vectors(kernel(name)?),
            "maps" => self.maps_of(of.node, &String::from_utf8_lossy(&kernel(name)?)).into_bytes(),
            "stat" => self.stat_of(of, path, &kernel("comm").unwrap_or_default()).into_bytes(),
            "status" => {
                let (comm, status) = (kernel("comm").unwrap_or_default(), kernel(name).unwrap_or_default());
                self.status_of(of, path, (&comm, &status)).into_bytes()
            }
            "fdinfo" => b"pos:\t0\nflags:\t02\nmnt_id:\t1\n".to_vec(),
            "clear_refs" => Vec::new(),
            OOM_SCORE => format!("{}\n", of.oom_score).into_bytes(),
            _ => {
                let content = kernel(name)?;
                if LEAKS.contains(&name) {
                    let of_self = path.iter().skip(3).collect::<PathBuf>();
                    self.leaks.insert(Path::new("/proc/self").join(of_self).to_string_lossy().into_owned());
                }
                content
            }
        })
    }

    /// What is written to a file of a process is kept, if it is a setting that is.
    pub(super) fn keep_setting(&mut self, node: usize, path: &Path, text: &[u8]) -> Result<(), Errno> {
        if path.file_name() != Some(OsStr::new(OOM_SCORE)) {
            return Ok(());
        }
        let At::Process(vpid) = path.parent().and_then(At::of).ok_or(Errno::ENOENT)? else { return Ok(()) };
        let score = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
        let score = score.filter(|score| OOM_SCORES.contains(score)).ok_or(Errno::EINVAL)?;
        let (process, _) = self.process_called(node, vpid).ok_or(Errno::ESRCH)?;
        self.processes.get_mut(&process).expect("just found").oom_score = score;
        Ok(())
    }

    /// Names in a directory, but for `.` and `..`.
    pub(super) fn names_in_process(&self, node: usize, path: &Path) -> Result<Vec<String>, Trouble> {
        let at = At::of(path).ok_or(Errno::ENOENT)?;
        let (At::Process(vpid) | At::Tasks(vpid) | At::Task(vpid) | At::Descriptors(vpid)) = at;
        let (_, of) = self.process_called(node, vpid).ok_or(Errno::ENOENT)?;
        let numbers = |numbers: Vec<i32>| numbers.iter().map(ToString::to_string).collect();
        Ok(match at {
            At::Descriptors(_) => numbers(self.files.slots(of.files).iter().map(|(fd, _)| *fd).collect()),
            At::Tasks(_) => numbers(of.threads.iter().map(|&thread| self.thread(thread).vtid).collect()),
            At::Process(_) | At::Task(_) => {
                let directories = ["cwd", "exe", "fd", "fdinfo", "root"].into_iter();
                let tasks = matches!(at, At::Process(_)).then_some("task");
                let mut names: Vec<String> =
                    files().chain(directories).chain(tasks).map(str::to_owned).collect();
                names.sort();
                names
            }
        })
    }

    /// The names of processes in /proc itself.
    pub(super) fn names_of_processes(&self, node: usize) -> Vec<String> {
        let mut numbers: Vec<i32> =
            self.processes.values().filter(|process| process.node == node).map(|p| p.vpid).collect();
        numbers.sort_unstable();
        numbers.iter().map(ToString::to_string).chain(["self".into(), "thread-self".into()]).collect()
    }

    /// The memory map, without what tells one file of the host from another, and without the sandbox's own file.
    fn maps_of(&self, node: usize, maps: &str) -> String {
        let home = &self.nodes[node].home;
        let passing = self.nodes[node].storage.passing();
        let mut told = String::new();
        for line in maps.lines() {
            let mut words = line.splitn(6, ' ');
            let [range, rights, offset, _, inode] = [(); 5].map(|()| words.next().unwrap_or_default());
            let path = words.next().unwrap_or_default().trim_start();
            let is_ours = path.contains("/.passing/") || Path::new(path).starts_with(&passing);
            let path = if is_ours { "[vdso]" } else { path };
            let (device, inode) = if inode == "0" || is_ours { ("00:00", "0") } else { ("00:01", "1") };
            let path = home.guest_name(Path::new(path));
            let start = format!("{range} {rights} {offset} {device} {inode} ");
            let _text_never_fails = match path.as_os_str().is_empty() {
                true => writeln!(told, "{start}"),
                false => writeln!(told, "{start:<73}{}", path.display()),
            };
        }
        told
    }

    /// What the thread that a file is about does, or the first one of its process (proc_pid_stat(5)).
    fn state_of(&self, of: &Process, path: &Path) -> char {
        let threads = || of.threads.iter().map(|&id| self.thread(id));
        let directory = path.parent().filter(|path| matches!(At::of(path), Some(At::Task(_))));
        let vtid: Option<i32> = directory.and_then(|path| path.file_name()?.to_str()?.parse().ok());
        let named = vtid.and_then(|vtid| threads().find(|thread| thread.vtid == vtid));
        match (of.ended, of.stopped, named.or_else(|| threads().next()).map(|thread| &thread.state)) {
            (Some(_), ..) => 'Z',
            (None, true, _) => 'T',
            (None, false, Some(State::Parked(_))) => 'S',
            (None, false, Some(State::Suspended)) => 'D',
            (None, false, _) => 'R',
        }
    }

    fn stat_of(&self, of: &Process, path: &Path, comm: &[u8]) -> String {
        let comm = String::from_utf8_lossy(comm);
        let (vpid, group, session) = (of.vpid, of.group, of.session);
        let parent = self.parent_of(of);
        let threads = of.threads.len().max(1);
        let state = self.state_of(of, path);
        format!(
            "{vpid} ({}) {state} {parent} {group} {session} 0 -1 4194304 100 0 0 0 10 10 0 0 20 0 {threads} 0 100 10000000 1000 \
             18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
            comm.trim_end()
        )
    }

    /// What the kernel knows better is its: whose the process is, and what it does with signals.
    fn status_of(&self, of: &Process, path: &Path, (comm, kernel): (&[u8], &[u8])) -> String {
        let (comm, kernel) = (String::from_utf8_lossy(comm), String::from_utf8_lossy(kernel));
        let told = |names: [&str; 3]| -> String {
            let is_told = |line: &&str| names.iter().any(|name| line.starts_with(name));
            kernel.lines().filter(is_told).flat_map(|line| [line, "\n"]).collect()
        };
        let (whose, signals) = (told(["Uid:", "Gid:", "Groups:"]), told(["SigBlk:", "SigIgn:", "SigCgt:"]));
        let (vpid, parent, threads) = (of.vpid, self.parent_of(of), of.threads.len().max(1));
        let state = match self.state_of(of, path) {
            'Z' => "Z (zombie)",
            'T' => "T (stopped)",
            'S' => "S (sleeping)",
            'D' => "D (disk sleep)",
            _ => "R (running)",
        };
        format!(
            "Name:\t{}\nUmask:\t0022\nState:\t{state}\nTgid:\t{vpid}\nNgid:\t0\nPid:\t{vpid}\nPPid:\t{parent}\nTracerPid:\t0\n{whose}\
             VmPeak:\t   10000 kB\nVmSize:\t   10000 kB\nVmHWM:\t   10000 kB\nVmRSS:\t   10000 kB\nVmSwap:\t       0 kB\n\
             Threads:\t{threads}\n{signals}Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed_list:\t0\n",
            comm.trim_end()
        )
    }

    fn parent_of(&self, of: &Process) -> i32 {
        of.parent.and_then(|parent| self.processes.get(&parent)).map_or(0, |parent| parent.vpid)
    }
}

fn is_number(part: &OsStr) -> bool {
    part.to_str().is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_processes_are_known_by_their_names() {
        let known = ["/proc/7", "/proc/7/fd", "/proc/7/task", "/proc/7/task/9", "/proc/7/fdinfo"];
        let others = ["/proc", "/proc/sys", "/proc/7/stat", "/proc/7/task/9/fd/3", "/srv/proc/7", "/proc/x"];
        assert_eq!(known.map(|path| At::of(Path::new(path)).is_some()), [true; 5]);
        assert_eq!(others.map(|path| At::of(Path::new(path)).is_some()), [false; 6]);
    }

    #[test]
    fn no_file_is_listed_twice() {
        let mut names: Vec<&str> = files().collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
