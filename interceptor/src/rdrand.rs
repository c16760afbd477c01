//! Programs that can draw random numbers from the processor itself: RDRAND and RDSEED.
//!
//! No kernel lets these instructions be trapped or hidden in general, so a program that uses one directly is not
//! deterministic in the sandbox. All that can be done is to say which files hold one: the executable segments of a
//! program or a library are searched for an instruction with what programs do right after it, which is to look at the
//! carry flag (Intel SDM volume 2, "RDRAND"; volume 1, 7.3.17: "software must check CF"). Data among the code can look the
//! same, and code that is there need not run: the answer is "may".

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};

/// How far behind the instruction the carry flag is looked at, in bytes: a store of the number may come between.
const REACH: usize = 12;
/// No file that is loaded has more program headers (elf(5) counts them in 16 bits; linkers write a dozen).
const HEADERS_MAX: usize = 256;

/// How many files are remembered: far more than programs map.
const KNOWN_MAX: usize = 4096;

/// A file as it is now: device, inode, length, time of its last change.
type Identity = (u64, u64, u64, i64, i64);

/// What was found of each file so far. A file that has not changed is searched once.
#[derive(Debug, Default)]
pub struct Scans {
    known: BTreeMap<Identity, bool>,
}

impl Scans {
    /// Whether the file's code may use the instructions.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn may_use(&mut self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let identity =
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if let Some(&known) = self.known.get(&identity) {
            return Ok(known);
        }
        let mut found = false;
        for segment in code(file)? {
            let mut bytes = vec![0; usize::try_from(segment.end - segment.start).unwrap_or(0)];
            let got = read(file, &mut bytes, segment.start)?;
            found = found || holds(&bytes[..got]);
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(identity, found);
        Ok(found)
    }
}

/// Places in the file of the segments that are mapped executable (elf(5)); none when it is no ELF file of 64 bits.
fn code(file: &File) -> io::Result<Vec<Range<u64>>> {
    const LOAD: u32 = 1;
    const EXECUTABLE: u32 = 1;
    const HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    let len = file.metadata()?.len();
    let mut header = [0; HEADER];
    if read(file, &mut header, 0)? < HEADER || !header.starts_with(b"\x7fELF\x02\x01") {
        return Ok(Vec::new());
    }
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let offset = u64::from_le_bytes(header[32..40].try_into().expect("eight bytes"));
    let (size, count) = (u16_at(54), u16_at(56).min(HEADERS_MAX));
    if size < PROGRAM_HEADER {
        return Ok(Vec::new());
    }
    let mut table = vec![0; size * count];
    let got = read(file, &mut table, offset)?;
    let segments = table[..got].chunks_exact(size).filter_map(|entry| {
        let u32_at = |at: usize| u32::from_le_bytes(entry[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().expect("eight bytes"));
        let (from, bytes) = (u64_at(8), u64_at(32));
        let is_code = u32_at(0) == LOAD && u32_at(4) & EXECUTABLE != 0;
        is_code.then(|| from.min(len)..from.saturating_add(bytes).min(len))
    });
    Ok(segments.collect())
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

/// Whether code holds one of the instructions, followed by a look at the carry flag.
fn holds(code: &[u8]) -> bool {
    code.windows(3).enumerate().any(|(at, bytes)| {
        // 0F C7 /6 (RDRAND) and /7 (RDSEED) on a register: the upper two bits and the middle three.
        let is_drawn = bytes[0] == 0x0f && bytes[1] == 0xc7 && bytes[2] >= 0xf0;
        is_drawn && !is_other(&code[..at], &code[at + 3..]) && checks_carry(&code[at + 3..])
    })
}

/// Whether what is around the bytes makes something else of them. With F3, perhaps before REX, it is RDPID or SENDUIPI.
/// A call or a jump (E8, E9) to nearby, or a place relative to the next instruction, is a number of four bytes that ends
/// in zeros or ones.
fn is_other(before: &[u8], after: &[u8]) -> bool {
    let is_prefixed = matches!(before, [.., 0xf2 | 0xf3] | [.., 0xf2 | 0xf3, 0x40..=0x4f]);
    let takes_number = before.last().is_some_and(|byte| matches!(byte, 0xe8 | 0xe9) || byte & 0xc7 == 0x05);
    is_prefixed || takes_number && matches!(after.first(), Some(0x00 | 0xff))
}

/// Whether one of the next instructions depends on the carry flag: Jcc, SETcc, CMOVcc, ADC and SBB.
fn checks_carry(after: &[u8]) -> bool {
    let near = &after[..after.len().min(REACH)];
    near.windows(2).any(|bytes| {
        matches!(
            bytes,
            [0x72 | 0x73, _] // jc, jnc
                | [0x0f, 0x82 | 0x83 | 0x92 | 0x93 | 0x42 | 0x43] // the same far, setc, setnc, cmovc, cmovnc
                | [0x83, 0xd0..=0xdf] // adc and sbb of a number
                | [0x11 | 0x13 | 0x19 | 0x1b, 0xc0..=0xff] // adc and sbb of registers
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_are_told_by_what_follows_them() {
        let code: [&[u8]; 10] = [
            b"\x0f\xc7\xf0\x73\xfb",                         // rdrand eax; jnc back
            b"\x48\x0f\xc7\xf0\x0f\x92\xc2",                 // rdrand rax; setc dl
            b"\x66\x0f\xc7\xf1\x89\x0f\x0f\x43\xc8",         // rdrand cx; mov [rdi], ecx; cmovnc ecx, eax
            b"\x49\x0f\xc7\xf8\x4c\x89\x07\x83\xd0\x00",     // rdseed r8; mov [rdi], r8; adc eax, 0
            b"\x48\x0f\xc7\xf0\x48\x89\x07\xc3\x90\x90\x90", // nobody looks at the flag
            b"\xf3\x48\x0f\xc7\xf8\x73\xfb",                 // rdpid rax
            b"\x0f\xc7\x0e\x73\xfb",                         // cmpxchg8b [rsi]
            b"\xe8\x0f\xc7\xff\xff\xc6\x83\xda\x00",         // call back; movb 0, 0xda(rbx)
            b"\x89\xe8\x0f\xc7\xf0\x0f\x92\xc2",             // mov eax, ebp; rdrand eax; setc dl
            b"\x0f\xc7",
        ];
        let expected = [true, true, true, true, false, false, false, false, true, false];
        assert_eq!(code.map(holds), expected);
    }

    #[test]
    fn only_code_is_searched_and_only_once() {
        // A header, two program headers, and the same bytes in a segment of code and in one of data.
        let image = |flags: [u32; 2]| {
            let mut image = vec![0_u8; 64 + 2 * 56];
            image[..6].copy_from_slice(b"\x7fELF\x02\x01");
            image[32..40].copy_from_slice(&64_u64.to_le_bytes());
            image[54..56].copy_from_slice(&56_u16.to_le_bytes());
            image[56..58].copy_from_slice(&2_u16.to_le_bytes());
            for (i, flags) in flags.into_iter().enumerate() {
                let (at, from) = (64 + i * 56, 176 + i as u64 * 16);
                image[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
                image[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
                image[at + 8..at + 16].copy_from_slice(&from.to_le_bytes());
                image[at + 32..at + 40].copy_from_slice(&16_u64.to_le_bytes());
            }
            image.extend(b"\x0f\xc7\xf0\x73\xfb-----------");
            image.extend([0x90; 16]);
            image
        };
        let directory = tempfile::tempdir().unwrap();
        let answer = |name: &str, image: &[u8]| {
            let path = directory.path().join(name);
            std::fs::write(&path, image).unwrap();
            let mut scans = Scans::default();
            let answers = [(); 2].map(|()| scans.may_use(&File::open(&path).unwrap()).unwrap());
            assert_eq!((answers[0], scans.known.len()), (answers[1], 1));
            answers[0]
        };
        assert!(answer("code", &image([5, 4])));
        assert!(!answer("data", &image([4, 5])));
        assert!(!answer("cut", &image([5, 4])[..150]));
        assert!(!answer("text", b"#!/bin/sh\n"));
    }
}
