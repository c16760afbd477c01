//! The durable image of one file, kept as a difference from the file as it is now: the length it had and
//! the bytes that were overwritten since.

use crate::time::Instant;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::Whence;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How much is read at a time; also the grain at which runs of zeros are recognised.
pub(super) const CHUNK: u64 = 64 * 1024;

/// No file is longer.
pub(super) const LENGTH_MAX: u64 = i64::MAX as u64 + 1;

/// Saved bytes. Preallocated files are mostly zeros, which cost nothing here, and sparse ones mostly holes.
#[derive(Debug)]
enum Piece {
    Data(Vec<u8>),
    Zero(u64),
    Hole(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Zero(len) | Self::Hole(len) => *len,
        }
    }
}

/// How far saving went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Saved {
    /// Bytes of memory it took.
    pub(super) taken: u64,
    /// All of the range is saved; else there was no more room.
    pub(super) whole: bool,
}

/// What the file held when its last change became durable.
///
/// Invariant: every byte below `len` is either in `saved` or unchanged in the real file, because each
/// change saves its range first. Bytes past `len` did not exist and need no saving.
#[derive(Debug)]
pub(super) struct Image {
    len: u64,
    mtime: Option<Instant>,
    saved: BTreeMap<u64, Piece>,
}

impl Image {
    /// The image of a file of `len` bytes that nothing has changed yet.
    pub(super) const fn new(len: u64, mtime: Option<Instant>) -> Self {
        Self { len, mtime, saved: BTreeMap::new() }
    }

    /// The time of change that belongs to this image.
    pub(super) const fn mtime(&self) -> Option<Instant> {
        self.mtime
    }

    /// Saves `from..to` as far as it exists and is not saved, in at most `room` bytes of memory.
    pub(super) fn save(&mut self, file: &File, from: u64, to: u64, room: u64) -> io::Result<Saved> {
        let mut taken = 0;
        for (start, end) in self.gaps(from, to.min(self.len)) {
            let mut at = start;
            for part in filled(file, start, end)? {
                self.note_hole(at, part.start);
                at = part.start;
                while at < part.end {
                    let bytes = read_at(file, at, CHUNK.min(part.end - at))?;
                    let len = bytes.len() as u64;
                    if bytes.iter().all(|byte| *byte == 0) {
                        self.saved.insert(at, Piece::Zero(len));
                    } else if taken + len > room {
                        return Ok(Saved { taken, whole: false });
                    } else {
                        taken += len;
                        self.saved.insert(at, Piece::Data(bytes));
                    }
                    at += len;
                }
            }
            self.note_hole(at, end);
        }
        Ok(Saved { taken, whole: true })
    }

    /// These bytes were at `offset` before they were changed: saves them as far as they are not saved. Returns the bytes of
    /// memory this took.
    pub(super) fn keep(&mut self, offset: u64, bytes: &[u8]) -> u64 {
        let mut taken = 0;
        for (start, end) in self.gaps(offset, (offset + bytes.len() as u64).min(self.len)) {
            let part = &bytes[usize_of(start - offset)..usize_of(end - offset)];
            let zero = part.iter().all(|byte| *byte == 0);
            taken += if zero { 0 } else { part.len() as u64 };
            let piece = if zero { Piece::Zero(end - start) } else { Piece::Data(part.to_vec()) };
            self.saved.insert(start, piece);
        }
        taken
    }

    /// Makes the real file equal to the image again.
    pub(super) fn restore(&self, file: &File) -> io::Result<()> {
        file.set_len(self.len)?;
        for (offset, piece) in &self.saved {
            match piece {
                Piece::Data(bytes) => file.write_all_at(bytes, *offset)?,
                Piece::Zero(len) => write_zeros(file, *offset, *len)?,
                Piece::Hole(len) => zero(file, *offset, *len)?,
            }
        }
        Ok(())
    }

    /// Damages the saved copy of the byte at `offset`, if there is one.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) {
        let Some((&start, piece)) = self.saved.range_mut(..=offset).next_back() else { return };
        let within = offset - start;
        if within >= piece.len() {
            return;
        }
        let (len, hole) = match piece {
            Piece::Data(bytes) => {
                bytes[usize_of(within)] ^= mask;
                return;
            }
            Piece::Zero(len) => (*len, false),
            Piece::Hole(len) => (*len, true),
        };
        let empty = |len| if hole { Piece::Hole(len) } else { Piece::Zero(len) };
        self.saved.remove(&start);
        let parts = [
            (start, empty(within)),
            (offset, Piece::Data(vec![mask])),
            (offset + 1, empty(len - within - 1)),
        ];
        self.saved.extend(parts.into_iter().filter(|(_, piece)| piece.len() > 0));
    }

    /// Cuts the image to at most `len` bytes.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = self.len.min(len);
        self.saved.split_off(&self.len);
        if let Some((start, piece)) = self.saved.iter_mut().next_back() {
            let room = self.len - start;
            match piece {
                Piece::Data(bytes) => bytes.truncate(usize_of(room)),
                Piece::Zero(len) | Piece::Hole(len) => *len = room.min(*len),
            }
        }
    }

    fn note_hole(&mut self, from: u64, to: u64) {
        if from < to {
            self.saved.insert(from, Piece::Hole(to - from));
        }
    }

    /// The parts of `from..to` that are not saved, in order.
    fn gaps(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut gaps = Vec::new();
        let mut at = from;
        let first = self.saved.range(..=from).next_back().map_or(from, |(start, _)| *start);
        for (start, piece) in self.saved.range(first..to.max(first)) {
            if *start > at {
                gaps.push((at, *start));
            }
            at = at.max(start + piece.len());
        }
        if at < to {
            gaps.push((at, to));
        }
        gaps
    }
}

/// Exactly `len` bytes at `offset`; what lies past the end reads as zeros.
pub(super) fn read_at(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize_of(len)];
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// The parts of `from..to` that are not holes, as far as the file reaches; where the file system does not tell, all of it.
/// Moves the position of the description.
pub(super) fn filled(file: &File, from: u64, to: u64) -> io::Result<Vec<Range<u64>>> {
    let to = to.min(file.metadata()?.len());
    let seek = |at: u64, whence| nix::unistd::lseek(file, at as i64, whence).map(|found| found as u64);
    let mut parts = Vec::new();
    let mut at = from;
    while at < to {
        let start = match seek(at, Whence::SeekData) {
            Ok(start) => start,
            Err(Errno::ENXIO) => break,
            Err(Errno::EINVAL) => at,
            Err(errno) => return Err(errno.into()),
        };
        if start >= to {
            break;
        }
        let end = seek(start, Whence::SeekHole).unwrap_or(to).min(to);
        parts.push(start..end);
        at = end;
    }
    Ok(parts)
}

/// Makes `len` bytes at `offset` a hole as far as the file reaches, without changing its length.
pub(super) fn zero(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.saturating_add(len).min(file.metadata()?.len());
    if offset >= end {
        return Ok(());
    }
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    match fallocate(file, punch, offset as i64, (end - offset) as i64) {
        Err(Errno::EOPNOTSUPP) => write_zeros(file, offset, len),
        other => Ok(other?),
    }
}

/// Writes `len` zeros at `offset` as far as the file reaches.
fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.saturating_add(len).min(file.metadata()?.len());
    let zeros = vec![0; usize_of(CHUNK.min(end.saturating_sub(offset)))];
    let mut at = offset;
    while at < end {
        let step = (zeros.len() as u64).min(end - at);
        file.write_all_at(&zeros[..usize_of(step)], at)?;
        at += step;
    }
    Ok(())
}

/// File offsets as memory indices; the sandbox runs on 64-bit machines only.
pub(super) fn usize_of(n: u64) -> usize {
    usize::try_from(n).expect("a 64-bit machine")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("room for a few bytes");
        file
    }

    #[test]
    fn a_range_is_saved_once_and_restored_whole() {
        let file = file(b"0123456789");
        let mut image = Image::new(10, None);
        assert_eq!(image.save(&file, 2, 5, 100).unwrap(), Saved { taken: 3, whole: true });
        file.write_all_at(b"xxx", 2).unwrap();
        assert_eq!(image.gaps(0, 10), [(0, 2), (5, 10)]);
        assert_eq!(image.save(&file, 0, 50, 100).unwrap(), Saved { taken: 7, whole: true });
        assert_eq!(image.keep(0, b"zzzzzzzzzzzzz"), 0);
        file.write_all_at(b"yyyyyyyyyyyyyyyy", 0).unwrap();
        image.restore(&file).unwrap();
        assert_eq!(read_at(&file, 0, 10).unwrap(), b"0123456789");
        assert_eq!(file.metadata().unwrap().len(), 10);
    }

    #[test]
    fn what_was_there_can_be_told_instead_of_read() {
        let file = file(b"0123456789");
        let mut image = Image::new(10, None);
        image.save(&file, 4, 6, 100).unwrap();
        file.write_all_at(b"**********", 0).unwrap();
        assert_eq!(image.keep(2, b"23xx67"), 4);
        assert_eq!(image.keep(8, &[0, 0, 7, 7]), 0);
        image.restore(&file).unwrap();
        assert_eq!(read_at(&file, 0, 10).unwrap(), b"**234567\0\0");
    }

    #[test]
    fn zeros_cost_nothing_and_the_room_is_respected() {
        let file = file(&[0; 1000]);
        let mut image = Image::new(1000, None);
        assert_eq!(image.save(&file, 0, 1000, 0).unwrap(), Saved { taken: 0, whole: true });
        file.write_all_at(&[7; 1000], 0).unwrap();
        let refused = Image::new(1000, None).save(&file, 0, 1000, 999).unwrap();
        assert_eq!(refused, Saved { taken: 0, whole: false });
        image.flip(3, 0x80);
        image.cut(5);
        image.restore(&file).unwrap();
        assert_eq!(read_at(&file, 0, 6).unwrap(), [0, 0, 0, 0x80, 0, 0]);
    }

    #[test]
    fn holes_are_saved_as_holes() {
        let file = file(b"begin");
        file.set_len(1 << 40).unwrap();
        file.write_all_at(b"middle", 1 << 30).unwrap();
        let mut image = Image::new(1 << 40, None);
        let saved = image.save(&file, 0, u64::MAX, 1 << 20).unwrap();
        assert!(saved.whole && saved.taken <= 2 * CHUNK, "{saved:?}");
        file.write_all_at(&[7; 5000], 1 << 35).unwrap();
        file.set_len(3).unwrap();
        image.restore(&file).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 40);
        assert_eq!(read_at(&file, 1 << 30, 6).unwrap(), b"middle");
        let full: u64 = filled(&file, 0, u64::MAX).unwrap().iter().map(|part| part.end - part.start).sum();
        assert!(full <= 2 * CHUNK, "{full}");
    }
}
