//! What guests could tell two runs apart by and the sandbox does not own, by name: files of the host that they read, and
//! programs and libraries that may ask the processor for random numbers or its own.

use super::Sandbox;
use super::task::{Process, ProcessId};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use tracer::Tid;

impl Sandbox {
    /// Sources that guests used so far and the sandbox does not own. Of code it is those files that a process has mapped
    /// when it ends, is replaced or is asked for here.
    #[must_use]
    pub fn leaks(&self) -> BTreeSet<String> {
        let living = self.processes.values().filter(|process| process.ended.is_none());
        let code = living.flat_map(|process| self.code_that_may_ask(self.living_thread(process)));
        self.leaks.iter().cloned().chain(code).collect()
    }

    /// Files of the host that guests opened, or that the kernel loaded for them; those of an image are the image's.
    #[must_use]
    pub fn sources(&self) -> &BTreeSet<PathBuf> {
        &self.sources
    }

    /// A node has opened or run what is at this path.
    pub(super) fn note_source(&mut self, node: usize, path: &Path) {
        let home = &self.nodes[node].home;
        if home.owner().is_none() && home.own(path).is_none() && !self.sources.contains(path) {
            self.sources.insert(path.to_owned());
        }
    }

    /// A program stands before its first instruction: it is mapped, and what loads its libraries.
    pub(super) fn note_program(&mut self, node: usize, tid: Tid) {
        let Ok(maps) = std::fs::read_to_string(format!("/proc/{tid}/maps")) else { return };
        let paths: BTreeSet<&str> = maps.lines().filter_map(code_of).collect();
        for path in paths {
            let path = self.nodes[node].home.guest_name(Path::new(path));
            self.note_source(node, &path);
        }
    }

    /// A process is about to end or to run another program: takes note of what it has mapped.
    pub(super) fn note_code(&mut self, process: ProcessId) {
        let Some(tid) = self.processes.get(&process).map(|process| self.living_thread(process)) else {
            return;
        };
        let found = self.code_that_may_ask(tid);
        self.leaks.extend(found);
    }

    /// As [`Self::note_code`], for all processes of a node.
    pub(super) fn note_code_of_node(&mut self, node: usize) {
        let of_node = self.processes.iter().filter(|(_, process)| process.node == node);
        for id in of_node.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.note_code(id);
        }
    }

    /// A thread that has not called exit: what /proc tells of a process it tells of such a one only.
    fn living_thread(&self, process: &Process) -> Tid {
        let living = process.threads.iter().map(|&id| self.thread(id)).find(|thread| !thread.left);
        living.map_or(process.tid, |thread| thread.tid)
    }

    fn code_that_may_ask(&self, tid: Tid) -> Vec<String> {
        let mut scans = self.scans.lock().expect("no scan panics");
        // As the process sees it, in whatever container it is. What cannot be read any more is not told of.
        let mut scan = |path: &str| {
            File::open(format!("/proc/{tid}/root{path}")).and_then(|file| scans.of(&file)).unwrap_or_default()
        };
        let Ok(maps) = std::fs::read_to_string(format!("/proc/{tid}/maps")) else { return Vec::new() };
        let mapped: BTreeSet<&str> = maps.lines().filter_map(code_of).collect();
        let asks = mapped.into_iter().flat_map(|path| {
            let found = scan(path);
            let all = [(found.may_draw, "RDRAND"), (found.may_ask_core, "RDPID")];
            all.into_iter().filter(|(may, _)| *may).map(move |(_, what)| format!("{path} may use {what}"))
        });
        asks.collect()
    }
}

/// The file of an executable mapping in a line of /proc/PID/maps (proc(5)): `from-to r-xp offset device inode path`.
fn code_of(line: &str) -> Option<&str> {
    let permissions = line.split(' ').nth(1)?;
    let path = &line[line.find('/')?..];
    permissions.contains('x').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn only_files_that_are_mapped_as_code_count() {
        let lines = [
            "55d0-55d4 r-xp 00002000 fd:00 1312 /usr/bin/a program",
            "55d4-55d8 rw-p 00002000 fd:00 1312 /usr/bin/a program",
            "7ffd-7fff r-xp 00000000 00:00 0 [vdso]",
            "7f00-7f01 rwxp 00000000 00:00 0",
        ];
        assert_eq!(lines.map(code_of), [Some("/usr/bin/a program"), None, None, None]);
    }
}
