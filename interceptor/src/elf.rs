//! What of an ELF file of 64 bits is mapped as code, and where (elf(5)).

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// No file that is loaded has more program headers (elf(5) counts them in 16 bits; linkers write a dozen).
const HEADERS_MAX: usize = 256;

/// The executable segments of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The address of its first instruction, before relocation.
    pub entry: u64,
    /// Its segments that are mapped executable.
    pub code: Vec<Segment>,
}

/// A segment that is mapped executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its bytes in the file.
    pub bytes: Range<u64>,
    /// Where its first byte is mapped, before relocation.
    pub address: u64,
}

impl Elf {
    /// Reads a file's headers. What is no ELF file of 64 bits has no code.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(file: &File) -> io::Result<Self> {
        const LOAD: u32 = 1;
        const EXECUTABLE: u32 = 1;
        const HEADER: usize = 64;
        const PROGRAM_HEADER: usize = 56;
        let len = file.metadata()?.len();
        let mut header = [0; HEADER];
        if read(file, &mut header, 0)? < HEADER || !header.starts_with(b"\x7fELF\x02\x01") {
            return Ok(Self::default());
        }
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let u64_at = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        let (size, count) = (u16_at(54), u16_at(56).min(HEADERS_MAX));
        if size < PROGRAM_HEADER {
            return Ok(Self::default());
        }
        let mut table = vec![0; size * count];
        let got = read(file, &mut table, u64_at(32))?;
        let segments = table[..got].chunks_exact(size).filter_map(|entry| {
            let u32_at = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("four bytes"));
            let u64_at = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
            let (from, bytes) = (u64_at(8), u64_at(32));
            let is_code = u32_at(0) == LOAD && u32_at(4) & EXECUTABLE != 0;
            is_code.then(|| Segment {
                bytes: from.min(len)..from.saturating_add(bytes).min(len),
                address: u64_at(16),
            })
        });
        Ok(Self { entry: u64_at(24), code: segments.collect() })
    }
}

impl Segment {
    /// The segment's bytes, as many as there are.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(&self, file: &File) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(self.bytes.end - self.bytes.start).unwrap_or(0)];
        let got = read(file, &mut bytes, self.bytes.start)?;
        bytes.truncate(got);
        Ok(bytes)
    }
}

/// As many bytes from `at` as there are.
fn read(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], at + got as u64)? {
            0 => break,
            more => got += more,
        }
    }
    Ok(got)
}
