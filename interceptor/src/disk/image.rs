//! The durable image of one file, kept as a difference from the file as it is now: the length it had and
//! the bytes that were overwritten since.

use crate::time::Instant;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How much is read at a time; also the grain at which runs of zeros are recognised.
const CHUNK: u64 = 64 * 1024;

/// Saved bytes. Preallocated files are mostly zeros, which cost nothing here.
#[derive(Debug)]
enum Piece {
    Data(Vec<u8>),
    Zero(u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Data(bytes) => bytes.len() as u64,
            Self::Zero(len) => *len,
        }
    }
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

    /// Saves `from..to` as far as it exists and is not saved. Returns the bytes of memory this took, or
    /// `None` when that would be more than `room`; then some of the range may be saved, which harms nothing.
    pub(super) fn save(&mut self, file: &File, from: u64, to: u64, room: u64) -> io::Result<Option<u64>> {
        let mut taken = 0;
        for (start, end) in self.gaps(from, to.min(self.len)) {
            let mut at = start;
            while at < end {
                let bytes = read_at(file, at, CHUNK.min(end - at))?;
                let len = bytes.len() as u64;
                if bytes.iter().all(|byte| *byte == 0) {
                    self.saved.insert(at, Piece::Zero(len));
                } else {
                    taken += len;
                    if taken > room {
                        return Ok(None);
                    }
                    self.saved.insert(at, Piece::Data(bytes));
                }
                at += len;
            }
        }
        Ok(Some(taken))
    }

    /// Makes the real file equal to the image again.
    pub(super) fn restore(&self, file: &File) -> io::Result<()> {
        file.set_len(self.len)?;
        for (offset, piece) in &self.saved {
            match piece {
                Piece::Data(bytes) => file.write_all_at(bytes, *offset)?,
                Piece::Zero(len) => zero(file, *offset, *len)?,
            }
        }
        Ok(())
    }

    /// The image in memory; right only after the whole file has been saved.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut whole = vec![0; usize_of(self.len)];
        for (offset, piece) in &self.saved {
            if let Piece::Data(bytes) = piece {
                let at = usize_of(*offset);
                whole[at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
        whole
    }

    /// Damages the saved copy of the byte at `offset`, if there is one.
    pub(super) fn flip(&mut self, offset: u64, mask: u8) {
        let Some((start, piece)) = self.saved.range_mut(..=offset).next_back() else { return };
        let within = usize_of(offset - start);
        match piece {
            Piece::Data(bytes) if within < bytes.len() => bytes[within] ^= mask,
            Piece::Zero(len) if offset - start < *len => {
                let mut bytes = vec![0; usize_of(*len)];
                bytes[within] = mask;
                *piece = Piece::Data(bytes);
            }
            _ => {}
        }
    }

    /// Cuts the image to at most `len` bytes.
    pub(super) fn cut(&mut self, len: u64) {
        self.len = self.len.min(len);
        self.saved.split_off(&self.len);
        if let Some((start, piece)) = self.saved.iter_mut().next_back() {
            let room = self.len - start;
            match piece {
                Piece::Data(bytes) => bytes.truncate(usize_of(room)),
                Piece::Zero(zeros) => *zeros = room.min(*zeros),
            }
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

/// Zeros `len` bytes at `offset` as far as the file reaches, without changing its length.
pub(super) fn zero(file: &File, offset: u64, len: u64) -> io::Result<()> {
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
        assert_eq!(image.save(&file, 2, 5, 100).unwrap(), Some(3));
        file.write_all_at(b"xxx", 2).unwrap();
        assert_eq!(image.gaps(0, 10), [(0, 2), (5, 10)]);
        assert_eq!(image.save(&file, 0, 50, 100).unwrap(), Some(7));
        file.write_all_at(b"yyyyyyyyyyyyyyyy", 0).unwrap();
        assert_eq!(image.to_vec(), b"0123456789");
        image.restore(&file).unwrap();
        assert_eq!(read_at(&file, 0, 10).unwrap(), b"0123456789");
        assert_eq!(file.metadata().unwrap().len(), 10);
    }

    #[test]
    fn zeros_cost_nothing_and_the_room_is_respected() {
        let file = file(&[0; 1000]);
        let mut image = Image::new(1000, None);
        assert_eq!(image.save(&file, 0, 1000, 0).unwrap(), Some(0));
        file.write_all_at(&[7; 1000], 0).unwrap();
        assert_eq!(Image::new(1000, None).save(&file, 0, 1000, 999).unwrap(), None);
        image.flip(3, 0x80);
        image.cut(5);
        image.restore(&file).unwrap();
        assert_eq!(read_at(&file, 0, 6).unwrap(), [0, 0, 0, 0x80, 0, 0]);
    }
}
