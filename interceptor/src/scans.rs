//! What is in the code of programs and libraries that the sandbox has to know. A file that has not changed is searched once.

use crate::elf::Elf;
use crate::{rdpid, rdrand};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use tracer::vdso;

/// How many files are remembered: far more than programs map.
const KNOWN_MAX: usize = 4096;

/// A file as it is now: device, inode, length, time of its last change.
type Identity = (u64, u64, u64, i64, i64);

/// What was found in a file's code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// It may draw random numbers from the processor.
    pub may_draw: bool,
    /// It may ask the processor which core it runs on.
    pub may_ask_core: bool,
    /// How far from the program's first instruction the calls lie that [`vdso::CALL_INSTEAD`] can take the place of.
    pub sleeps: Vec<i64>,
}

/// What was found of each file so far.
#[derive(Debug, Default)]
pub struct Scans {
    known: BTreeMap<Identity, Arc<Scan>>,
}

impl Scans {
    /// What is in the file's code.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(&mut self, file: &File) -> io::Result<Arc<Scan>> {
        let metadata = file.metadata()?;
        let identity =
            (metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if let Some(known) = self.known.get(&identity) {
            return Ok(Arc::clone(known));
        }
        let scan = Arc::new(scan(file)?);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(identity, Arc::clone(&scan));
        Ok(scan)
    }
}

fn scan(file: &File) -> io::Result<Scan> {
    let elf = Elf::of(file)?;
    let mut found = Scan::default();
    for segment in &elf.code {
        let bytes = segment.read(file)?;
        found.may_draw = found.may_draw || rdrand::holds(&bytes);
        found.may_ask_core = found.may_ask_core || rdpid::holds(&bytes);
        let last = vdso::SLEEP.len() - vdso::CALL_INSTEAD.len();
        let at = |start: usize| segment.address.wrapping_add((start + last) as u64);
        let sleeps = memchr::memmem::find_iter(&bytes, &vdso::SLEEP);
        found.sleeps.extend(sleeps.map(|start| at(start).wrapping_sub(elf.entry) as i64));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: &[u8; 16] = b"\x0f\xc7\xf0\x73\xfb-----------";

    /// A header, two program headers, and the same bytes in a segment of code and in one of data.
    fn image(flags: [u32; 2], code: &[u8]) -> Vec<u8> {
        let mut image = vec![0_u8; 64 + 2 * 56];
        image[..6].copy_from_slice(b"\x7fELF\x02\x01");
        image[24..32].copy_from_slice(&0x401_000_u64.to_le_bytes());
        image[32..40].copy_from_slice(&64_u64.to_le_bytes());
        image[54..56].copy_from_slice(&56_u16.to_le_bytes());
        image[56..58].copy_from_slice(&2_u16.to_le_bytes());
        for (i, flags) in flags.into_iter().enumerate() {
            let (at, len) = (64 + i * 56, code.len() as u64);
            let from = 176 + i as u64 * len;
            image[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
            image[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
            image[at + 8..at + 16].copy_from_slice(&from.to_le_bytes());
            image[at + 16..at + 24].copy_from_slice(&(0x400_000 + from).to_le_bytes());
            image[at + 32..at + 40].copy_from_slice(&len.to_le_bytes());
        }
        image.extend(code);
        image.resize(image.len() + code.len(), 0x90);
        image
    }

    /// What is found, the first time and again.
    fn found(image: &[u8]) -> Scan {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, image).unwrap();
        let mut scans = Scans::default();
        let scan = [(); 2].map(|()| scans.of(&file).unwrap());
        assert!(Arc::ptr_eq(&scan[0], &scan[1]));
        assert_eq!(scans.known.len(), 1);
        Scan::clone(&scan[0])
    }

    #[test]
    fn only_code_is_searched_and_only_once() {
        assert!(found(&image([5, 4], DRAWS)).may_draw);
        assert!(!found(&image([4, 5], DRAWS)).may_draw);
        assert!(!found(&image([5, 4], DRAWS)[..150]).may_draw);
        assert!(!found(b"#!/bin/sh\n").may_draw);
    }

    #[test]
    fn sleeps_of_go_are_found_by_their_distance_from_the_first_instruction() {
        let code = [&[0x90; 4], &vdso::SLEEP[..], &[0xc3], &vdso::SLEEP[..], &[0xc3]].concat();
        let first = 0x400_000 + 176 + 4 + 13 - 0x401_000;
        assert_eq!(found(&image([5, 4], &code)).sleeps, [first, first + 21]);
        assert!(found(&image([4, 4], &code)).sleeps.is_empty());
        // Ones that clear registers as C compilers do are not Go's.
        let other = code.iter().map(|byte| if *byte == 0xbe { 0xbf } else { *byte }).collect::<Vec<u8>>();
        assert_eq!(found(&image([5, 4], &other)), Scan::default());
    }
}
