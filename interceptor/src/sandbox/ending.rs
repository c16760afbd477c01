//! Runs that end before their time: why, in words that name the node. Guests cannot make the sandbox fail; what it cannot
//! carry of theirs ends the run, which is `Unknown` then.

use super::files::DescriptionId;
use super::syscalls::name;
use super::task::ThreadId;
use super::watchdog::Overrun;
use super::{Error, Sandbox, memory};
use crate::disk::DiskError;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use tracer::{Stop, Tid};

/// What `st_blocks` counts in (stat(2)).
const BLOCK: u64 = 512;
/// What to do about a program that cannot go on by itself.
const HINT: &str = "where a program waits by spinning, run it with --clock real";

impl Error {
    /// It comes of what a guest did, and another run may be spared it; else the world is wrong, or we are.
    fn is_a_guests(&self) -> bool {
        match self {
            Self::Over | Self::Stop { .. } | Self::Tracer(tracer::Error::Call { .. }) => true,
            Self::Disk(DiskError::Mapped { .. }) => true,
            Self::Disk(DiskError::Io { source, .. }) => !matches!(
                source.kind(),
                ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::OutOfMemory
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::StaleNetworkFileHandle
            ),
            Self::Tracer(_) | Self::Io { .. } | Self::Dissector(_) => false,
        }
    }
}

impl Sandbox {
    /// What came of something that guests have a hand in: where it is their doing that it failed, the run is over, and
    /// `otherwise` is what came of it.
    pub(super) fn contain<T>(&mut self, result: Result<T, Error>, otherwise: T) -> Result<T, Error> {
        match result {
            Err(Error::Over) => Ok(otherwise),
            Err(error) if error.is_a_guests() => {
                self.stop_run(error.to_string());
                Ok(otherwise)
            }
            other => other,
        }
    }

    /// As [`Self::contain`], of a turn of this thread's.
    pub(super) fn contain_turn(&mut self, id: ThreadId, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(error) if error.is_a_guests() && self.stopped.is_none() => {
                let who = self.told_thread(id);
                let what = self.calling.map_or_else(String::new, |call| format!(", in `{}`", name(call)));
                self.stop_run(format!("{who}{what}: {error}"));
                Ok(())
            }
            other => self.contain(other, ()),
        }
    }

    /// A thread, for people.
    fn told_thread(&self, id: ThreadId) -> String {
        match self.threads.get(&id) {
            Some(thread) => format!("node n{}, thread {}", thread.node + 1, thread.vtid),
            None => "a thread that is gone".into(),
        }
    }

    /// Whether the watchdog has noticed something: then the run is over.
    pub(super) fn heed_watchdog(&mut self) -> bool {
        let Some((overrun, tid)) = self.watchdog.take_verdict() else { return false };
        let who = match self.by_tid.get(&tid.0) {
            Some(&id) => self.told_thread(id),
            None => "a thread that is gone".into(),
        };
        let place = place(tid);
        let why = match overrun {
            Overrun::Spins { ms } => {
                // Who takes memory makes no stop either.
                let max = self.config.limits.memory_max;
                let used = self.watchdog.used(max);
                let hint = if used > max / 4 {
                    format!("the run's processes use {used} bytes of memory together, of {max}")
                } else {
                    HINT.to_owned()
                };
                format!("{who}: it ran {ms} ms of its processor time without a stop, {place}; {hint}")
            }
            Overrun::Waits { ms } => {
                format!(
                    "{who}: it waited {ms} ms in a call of the host that does not end{}, {place}",
                    call(tid)
                )
            }
            Overrun::Memory { bytes } => {
                let ran = if self.by_tid.contains_key(&tid.0) {
                    format!("; {who} was running, {place}")
                } else {
                    String::new()
                };
                format!("{}{ran}", self.told_memory(bytes))
            }
        };
        self.stop_run(why);
        true
    }

    /// That the run's processes use too much memory, and whose are those that use most.
    pub(super) fn told_memory(&self, bytes: u64) -> String {
        let of_node = |node: usize| {
            let own = self.processes.values().filter(|it| it.node == node && it.ended.is_none());
            memory::used(&own.map(|process| process.tid.0).collect::<Vec<_>>(), u64::MAX).0
        };
        let most = (0..self.nodes.len()).max_by_key(|&node| of_node(node)).unwrap_or(0) + 1;
        let max = self.config.limits.memory_max;
        format!(
            "the run's processes use {bytes} bytes of memory together, more than {max}, and those of n{most} use most"
        )
    }

    /// A file that is in memory only may have grown: what it takes counts as memory, whoever has it mapped.
    pub(super) fn bound_files_in_memory(&mut self, id: ThreadId, file: DescriptionId) {
        if !self.in_memory.contains_key(&file) {
            return;
        }
        let taken = |file: &File| file.metadata().map_or(0, |data| data.blocks() * BLOCK);
        let bytes: u64 = self.in_memory.values().map(taken).sum();
        self.watchdog.hold(bytes);
        let max = self.config.limits.memory_max;
        if bytes > max {
            let who = self.told_thread(id);
            self.stop_run(format!("{who}: files in memory take {bytes} bytes of memory, more than {max}"));
        }
    }

    /// Whether it was the host that ended the process of this thread, or the sandbox's filter, and no signal of the run:
    /// then the run is over, for that is no crash.
    pub(super) fn heed_host(&mut self, id: ThreadId, stop: Stop) -> bool {
        let Stop::Killed(signal) = stop else { return false };
        let was_sent = self.process_of(id).fatal == Some(signal);
        if was_sent || ![libc::SIGKILL, libc::SIGSYS].contains(&signal) {
            return false;
        }
        let who = self.told_thread(id);
        let kills = memory::kills();
        let why = if signal == libc::SIGSYS {
            "it made a call by another table than that of x86-64 (int 0x80, or x32), which the sandbox does not know".into()
        } else if kills > self.kills_before {
            format!(
                "the host ran out of memory and killed its process (oom_kill in /proc/vmstat went from {} to {kills})",
                self.kills_before
            )
        } else {
            "its process was killed from outside the run (SIGKILL)".into()
        };
        self.stop_run(format!("{who}: {why}"));
        true
    }
}

/// Where a stopped thread stands.
fn place(tid: Tid) -> String {
    let Ok(registers) = tid.registers() else {
        return "deep in a call, where it did not even stop".into();
    };
    let at = registers.0.rip;
    let maps = std::fs::read_to_string(format!("/proc/{tid}/maps")).unwrap_or_default();
    match maps.lines().find_map(|line| file_at(line, at)) {
        Some((file, offset)) => format!("at instruction {at:#x} ({offset:#x} in {file})"),
        None => format!("at instruction {at:#x}"),
    }
}

/// The call that a stopped thread was in.
fn call(tid: Tid) -> String {
    let number = tid.registers().ok().map(|registers| registers.0.orig_rax as i64);
    number.filter(|&number| number >= 0).map_or_else(String::new, |number| format!(", `{}`", name(number)))
}

/// If this line of /proc/PID/maps is a file's mapping with `address` in it: the file, and the place in that.
fn file_at(line: &str, address: u64) -> Option<(&str, u64)> {
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let (start, end) = (hex(start)?, hex(end)?);
    if !(start..end).contains(&address) {
        return None;
    }
    let offset = hex(rest.split(' ').nth(1)?)?;
    let file = rest.find('/').map(|at| &rest[at..])?;
    Some((file, offset + (address - start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_found_in_its_file() {
        let line = "00401000-00405000 r-xp 00001000 fe:00 12345                      /usr/bin/a b";
        assert_eq!(file_at(line, 0x0040_1136), Some(("/usr/bin/a b", 0x1136)));
        assert_eq!(file_at(line, 0x0040_5000), None);
        assert_eq!(file_at("00401000-00405000 rwxp 00000000 00:00 0 ", 0x0040_1136), None);
    }

    #[test]
    fn what_the_world_does_is_not_laid_on_guests() {
        let disk = |number| {
            Error::Disk(DiskError::Io {
                action: "write",
                path: "/srv/n1/f".into(),
                source: std::io::Error::from_raw_os_error(number),
            })
        };
        assert!(!disk(libc::ENOSPC).is_a_guests() && disk(libc::ENOENT).is_a_guests());
        let io = Error::Io { what: "cannot".into(), source: std::io::Error::from_raw_os_error(libc::ENOENT) };
        assert!(!io.is_a_guests() && Error::Over.is_a_guests());
    }
}
