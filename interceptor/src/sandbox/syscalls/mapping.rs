//! Files in memory: mapping them for shared writing, and making the stores durable.

use crate::disk::{DiskError, InodeKey};
use crate::event::EventKind;
use crate::sandbox::files::Kind;
use crate::sandbox::guest::{Handled, Outcome, Trouble};
use crate::sandbox::maps;
use crate::sandbox::task::{Call, ThreadId};
use crate::sandbox::{ClockKind, Sandbox};
use crate::time::Span;
use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;

/// The unit of memory.
const PAGE: u64 = 4096;

impl Sandbox {
    /// mmap of a file for shared writing: stores to it are no calls, so the journal remembers the file.
    pub(super) fn map_shared_file(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [.., flags, fd, _] = call.args;
        if flags & libc::MAP_ANONYMOUS as u64 != 0 {
            return Ok(Outcome::Continue);
        }
        let description = self.description(id, fd)?;
        let node = self.thread(id).node;
        if let Some(Kind::Disk { reader, .. }) = self.files.get(description).map(|d| &d.kind) {
            let reader = reader.try_clone()?;
            let mut mapped = self.nodes[node].disk.mapped(&reader);
            if matches!(mapped, Err(DiskError::Mapped { .. })) {
                self.forget_unmapped(node)?;
                mapped = self.nodes[node].disk.mapped(&reader);
            }
            mapped?;
        }
        self.native(id)
    }

    /// mincore(2). The kernel looks at the arguments; which pages it has in memory is the host's, and is told to nobody.
    pub(super) fn mincore(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [_, len, to, ..] = call.args;
        let outcome = self.native(id)?;
        if matches!(outcome, Outcome::Ran(0)) {
            let mut left = len.div_ceil(PAGE);
            let mut at = to;
            while left > 0 {
                let count = left.min(PAGE);
                self.store(id, at, &vec![1; count as usize])?;
                (at, left) = (at + count, left - count);
            }
        }
        Ok(outcome)
    }

    /// msync(2). The kernel looks at the arguments; what is durable is the journal's.
    pub(super) fn msync(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [address, len, flags, ..] = call.args;
        let synchronous = flags & !(libc::MS_INVALIDATE as u64) == libc::MS_SYNC as u64;
        if !synchronous || !address.is_multiple_of(PAGE) {
            return self.native(id);
        }
        let end = address.saturating_add(len.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX));
        let parts = self.mapped_parts(id, &(address..end))?;
        let (node, host) = (self.thread(id).node, self.nodes[self.thread(id).node].host);
        // A delayed call comes here again when its time is up; it was admitted the first time.
        if self.thread(id).until.is_none() {
            let mut delay = Span::ZERO;
            for (file, range) in &parts {
                match self.nodes[node].disk.admit_sync_range(file, range.clone()) {
                    Ok(longer) => delay = delay + longer,
                    Err(errno) => {
                        self.note(host, EventKind::Fsync { failed: true });
                        return Err(errno.into());
                    }
                }
            }
            if delay > Span::ZERO {
                self.timed_out(id, ClockKind::Monotonic, delay);
                return Ok(Outcome::Park(Vec::new()));
            }
        }
        for (file, range) in &parts {
            self.nodes[node].disk.sync_range(file, range.start, range.end - range.start)?;
            self.note(host, EventKind::Fsync { failed: false });
        }
        self.native(id)
    }

    /// The mapped files of the node's disk at these addresses, and which bytes of them lie there.
    fn mapped_parts(&self, id: ThreadId, at: &Range<u64>) -> Result<Vec<(File, Range<u64>)>, Trouble> {
        let disk = &self.nodes[self.thread(id).node].disk;
        if !disk.is_mapped() {
            return Ok(Vec::new());
        }
        let mut parts = Vec::new();
        for mapping in maps::shared(self.thread(id).tid)? {
            if let (Some(bytes), Some(file)) = (mapping.bytes(at), disk.mapped_file(mapping.key)) {
                parts.push((file.try_clone()?, bytes));
            }
        }
        Ok(parts)
    }

    /// Files of the node that no process has mapped any more need not be compared.
    pub(super) fn forget_unmapped(&mut self, node: usize) -> Result<(), Trouble> {
        let mut mapped: BTreeSet<InodeKey> = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for thread in self.threads.values().filter(|thread| thread.node == node) {
            if seen.insert(self.processes[&thread.process].memory) {
                mapped.extend(maps::shared(thread.tid)?.iter().map(|mapping| mapping.key));
            }
        }
        // A file is known by its inode alone where a mapping tells another device than the file does.
        let inodes: BTreeSet<u64> = mapped.iter().map(|key| key.ino).collect();
        Ok(self.nodes[node].disk.unmapped(|key| inodes.contains(&key.ino))?)
    }
}
