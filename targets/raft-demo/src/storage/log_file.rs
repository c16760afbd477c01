//! The log on disk: records with checksums, appended in batches that are fsynced one after the other.
//!
//! A record is, little endian: `crc u32` over the rest, `length u32` of the payload, `durable u64`,
//! `index u64`, `term u64`, and the command as JSON. `durable` is how many bytes of the file were fsynced
//! before the record's batch was written.
//!
//! It tells a torn tail from damage. A crash may leave any part of the last batch, in any order, so a bad
//! record followed by good ones proves nothing by itself. But a good record whose `durable` lies beyond a bad
//! one proves that the bad one was once safe on disk.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::files::{Directory, failure, read_if_there};
use super::{Bug, Bugs, Entry, Index, StoreError};
use crate::entry::Command;

const HEADER_BYTES: usize = 32;
/// With delayed fsync (a planted bug): how long data may stay unsynced.
const SYNC_DELAY_NS: u64 = 1_000_000_000;

/// The open log.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    written: u64,
    /// Bytes that are fsynced.
    durable: u64,
    /// Bytes not written yet.
    batch: Vec<u8>,
    /// Where each entry starts, from `first` on.
    offsets: Vec<u64>,
    first: Index,
    synced_at_ns: u64,
}

/// One record as found in the file.
struct Record {
    durable: u64,
    entry: Entry,
    end: usize,
}

impl LogFile {
    /// Puts a new file with these entries in place of the log, durably.
    pub fn replace(directory: &Directory, entries: &[Entry]) -> Result<LogFile, StoreError> {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for entry in entries {
            let start = bytes.len() as u64;
            offsets.push(start);
            // The file appears as a whole: each record proves those before it.
            encode(entry, start, &mut bytes);
        }
        let file = directory.replace("log", &bytes)?;
        let written = bytes.len() as u64;
        let first = entries.first().map_or(0, |entry| entry.index);
        Ok(LogFile {
            path: directory.path("log"),
            file,
            written,
            durable: written,
            batch: Vec::new(),
            offsets,
            first,
            synced_at_ns: 0,
        })
    }

    /// Goes on at the end of the file that begins with these entries, whatever lies there: a planted bug.
    pub fn reopen(directory: &Directory, entries: &[Entry]) -> Result<LogFile, StoreError> {
        let (mut bytes, mut offsets) = (Vec::new(), Vec::new());
        for entry in entries {
            offsets.push(bytes.len() as u64);
            encode(entry, 0, &mut bytes);
        }
        let path = directory.path("log");
        let opened = File::options().write(true).open(&path);
        let file = opened.map_err(|source| failure("open", &path, source))?;
        file.sync_all().map_err(|source| failure("fsync", &path, source))?;
        let metadata = file.metadata().map_err(|source| failure("measure", &path, source))?;
        let (written, first) = (metadata.len(), entries.first().map_or(0, |entry| entry.index));
        let batch = Vec::new();
        Ok(LogFile { path, file, written, durable: written, batch, offsets, first, synced_at_ns: 0 })
    }

    /// Adds an entry to the batch.
    pub fn append(&mut self, entry: &Entry) {
        if self.offsets.is_empty() {
            self.first = entry.index;
        }
        self.offsets.push(self.written + self.batch.len() as u64);
        encode(entry, self.durable, &mut self.batch);
    }

    /// Cuts the log before an entry; what was cut cannot come back.
    pub fn truncate(&mut self, from: Index) -> Result<(), StoreError> {
        let keep = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let Some(&offset) = self.offsets.get(keep) else { return Ok(()) };
        self.offsets.truncate(keep);
        self.batch.truncate(offset.saturating_sub(self.written) as usize);
        if offset < self.written {
            self.file.set_len(offset).map_err(|source| failure("truncate", &self.path, source))?;
            // Before anything is written in its place: else a crash could leave new records followed by
            // old ones, all with good checksums.
            self.file.sync_all().map_err(|source| failure("fsync", &self.path, source))?;
            (self.written, self.durable) = (offset, offset);
        }
        Ok(())
    }

    /// Writes the batch in one call.
    pub fn write(&mut self) -> Result<(), StoreError> {
        if !self.batch.is_empty() {
            let written = self.file.write_all_at(&self.batch, self.written);
            written.map_err(|source| failure("write", &self.path, source))?;
            self.written += self.batch.len() as u64;
            self.batch.clear();
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub fn sync(&mut self, now_ns: u64) -> Result<(), StoreError> {
        if self.durable < self.written {
            // Even if this fails the bytes count as synced: only a planted bug goes on after a failure.
            (self.durable, self.synced_at_ns) = (self.written, now_ns);
            self.file.sync_data().map_err(|source| failure("fsync", &self.path, source))?;
        }
        Ok(())
    }

    /// The first entry that is not fsynced.
    pub fn first_unsynced(&self) -> Option<Index> {
        let synced = self.offsets.partition_point(|offset| *offset < self.durable);
        (synced < self.offsets.len()).then(|| self.first + synced as Index)
    }

    /// Whether the last fsync was long ago.
    pub fn sync_is_overdue(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.synced_at_ns) >= SYNC_DELAY_NS
    }
}

/// Reads the log up to its torn tail, if it has one.
pub(super) fn recover(directory: &Directory, bugs: Bugs) -> Result<Vec<Entry>, StoreError> {
    let path = directory.path("log");
    let bytes = read_if_there(&path)?.unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let record =
            if bugs.has(Bug::TornTailTrusted) { decode_trusting(&bytes, at) } else { decode(&bytes, at) };
        let follows = |entry: &Entry| entries.last().is_none_or(|last| entry.index == last.index + 1);
        let Some(record) = record.filter(|record| follows(&record.entry)) else { break };
        entries.push(record.entry);
        at = record.end;
    }
    if bugs.has(Bug::TornTailKept) {
        return Ok(entries);
    }
    let proof =
        (at + 1..bytes.len()).filter_map(|later| decode(&bytes, later)).find(|r| r.durable > at as u64);
    if let Some(record) = proof {
        let why = format!(
            "the record at byte {at} is bad, but entry {} was written after it was safe",
            record.entry.index
        );
        return Err(StoreError::Damaged { path, why });
    }
    Ok(entries)
}

fn encode(entry: &Entry, durable: u64, bytes: &mut Vec<u8>) {
    let payload = serde_json::to_vec(&entry.command).expect("commands are plain data");
    let length = u32::try_from(payload.len()).expect("requests are far below 4 GiB");
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&length.to_le_bytes());
    for number in [durable, entry.index, entry.term] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&payload);
    let crc = crc32fast::hash(&bytes[start + 4..]);
    bytes[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// The header at an offset: checksum, payload length, durable, index, term.
fn header(bytes: &[u8], at: usize) -> Option<(u32, usize, [u64; 3])> {
    let header = bytes.get(at..at + HEADER_BYTES)?;
    let crc = u32::from_le_bytes(*header.first_chunk()?);
    let length = u32::from_le_bytes(*header.get(4..)?.first_chunk()?) as usize;
    let mut numbers = [0; 3];
    for (number, chunk) in numbers.iter_mut().zip(header[8..].as_chunks::<8>().0) {
        *number = u64::from_le_bytes(*chunk);
    }
    Some((crc, length, numbers))
}

/// The record at an offset, if there is a whole and good one.
fn decode(bytes: &[u8], at: usize) -> Option<Record> {
    let (crc, length, [durable, index, term]) = header(bytes, at)?;
    let end = (at + HEADER_BYTES).checked_add(length)?;
    let checked = bytes.get(at + 4..end)?;
    if crc32fast::hash(checked) != crc {
        return None;
    }
    let command = serde_json::from_slice(&checked[HEADER_BYTES - 4..]).ok()?;
    Some(Record { durable, entry: Entry { index, term, command }, end })
}

/// The record at an offset, by its length alone; what cannot be read does nothing.
fn decode_trusting(bytes: &[u8], at: usize) -> Option<Record> {
    let (_, length, [durable, index, term]) = header(bytes, at)?;
    let end = at.checked_add(HEADER_BYTES + length)?.min(bytes.len());
    if index == 0 {
        return None;
    }
    let command = serde_json::from_slice(&bytes[at + HEADER_BYTES..end]).unwrap_or(Command::Noop);
    Some(Record { durable, entry: Entry { index, term, command }, end })
}
