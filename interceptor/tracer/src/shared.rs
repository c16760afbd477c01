//! Pages that the tracer and the guests of one node share: the vDSO image, the clock it reads, and scratch
//! room for calls that the tracer makes on a guest's behalf.

use crate::memory::PAGE;
use crate::vdso;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

/// The layout: page 0 the image, page 1 the clock, page 2 scratch.
const PAGES: u64 = 3;

/// The mapping in the tracer.
pub struct SharedPages {
    base: NonNull<c_void>,
    /// The reads and the nanoseconds of sleep that guests may have made since the clock was set.
    granted: (u64, u64),
}

/// What guests have done without a stop since the clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Reads of the clock, or those since the last sleep.
    pub reads: u64,
    /// Time that they slept, in nanoseconds, with the reads before.
    pub slept_ns: u64,
}

impl SharedPages {
    /// Size of the file in bytes.
    pub const LEN: u64 = PAGES * PAGE;
    /// Where the clock page starts.
    pub const CLOCK: u64 = PAGE;
    /// Where the scratch page starts.
    pub const SCRATCH: u64 = 2 * PAGE;

    /// Creates the file at `path` with a vDSO image in it and maps it.
    ///
    /// # Errors
    /// When the file cannot be written or mapped.
    pub fn create(path: &Path, image: &[u8]) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.write_all(image)?;
        file.set_len(Self::LEN)?;
        let len = NonZeroUsize::new(Self::LEN as usize).expect("three pages are not nothing");
        // SAFETY: a fresh mapping at an address of the kernel's choice; nothing of ours is replaced. The file
        // is ours alone and keeps its length while mapped.
        let base = unsafe {
            mmap(None, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, &file, 0)
        }?;
        Ok(Self { base, granted: (0, 0) })
    }

    fn word(&self, index: usize) -> *mut u64 {
        let byte = Self::CLOCK as usize + index * size_of::<u64>();
        // SAFETY: callers pass indices of `vdso::Clock` fields, all within the clock page.
        unsafe { self.base.as_ptr().cast::<u8>().add(byte).cast::<u64>() }
    }

    /// Sets what the guests' clock reads return from now on, and forgets the reads and sleeps counted so far.
    pub fn set_clock(&mut self, clock: vdso::Clock) {
        self.granted = (clock.reads_max, clock.alone_ns);
        let words = [
            clock.monotonic_ns,
            clock.realtime_ns,
            0,
            clock.reads_max,
            clock.step_ns,
            0,
            clock.alone_ns,
            clock.oversleep_ns,
        ];
        for (index, value) in words.into_iter().enumerate() {
            // SAFETY: an aligned word of the clock page; guests are stopped, so nobody races.
            unsafe { self.word(index).write_volatile(value) };
        }
    }

    /// Guests that read a clock of [`vdso::running_image`] wait from now on until [`Self::set_running`].
    pub fn hold(&mut self) {
        // SAFETY: an aligned word of the clock page that only we write.
        unsafe { self.word(0).write_volatile(self.word(0).read_volatile() | 1) };
        fence(Ordering::SeqCst);
    }

    /// Sets what such a clock makes of the host's; guests may read it meanwhile.
    pub fn set_running(&mut self, clock: vdso::RunningClock) {
        self.hold();
        let words = [clock.since_ns, clock.percent, clock.base_ns, clock.offset_ns];
        for (index, value) in words.into_iter().enumerate() {
            // SAFETY: an aligned word of the clock page; guests use what they read only if the sequence stayed.
            unsafe { self.word(1 + index).write_volatile(value) };
        }
        fence(Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { self.word(0).write_volatile(self.word(0).read_volatile().wrapping_add(1)) };
    }

    /// What guests have done since the last [`Self::set_clock`]. Nothing if the image's functions cannot have written what is
    /// there: guests can store to the page as they do.
    #[must_use]
    pub fn used(&self) -> Option<Used> {
        // SAFETY: aligned words of the clock page; guests are stopped, so nobody races.
        let (reads, slept_ns) = unsafe { (self.word(2).read_volatile(), self.word(5).read_volatile()) };
        let (reads_max, alone_ns) = self.granted;
        (reads <= reads_max && slept_ns <= alone_ns).then_some(Used { reads, slept_ns })
    }
}

impl Drop for SharedPages {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `create` with this length and nothing borrows from it.
        let unmapped = unsafe { munmap(self.base, Self::LEN as usize) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_in_the_file_where_the_image_reads_it() {
        let path = std::env::temp_dir().join(format!("tracer-shared-{}", std::process::id()));
        let mut pages = SharedPages::create(&path, &vdso::image()).unwrap();
        let (alone_ns, oversleep_ns) = (30, 4);
        pages.set_clock(vdso::Clock {
            monotonic_ns: 7,
            realtime_ns: 8,
            reads_max: 9,
            step_ns: 20,
            alone_ns,
            oversleep_ns,
        });
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let word = |i: usize| {
            let at = PAGE as usize + i * 8;
            u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
        };
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(word), [7, 8, 0, 9, 20, 0, 30, 4]);
        assert_eq!(pages.used(), Some(Used { reads: 0, slept_ns: 0 }));
        for (word, most) in [(2, 9), (5, 30)] {
            for (value, is_believed) in [(most, true), (most + 1, false), (u64::MAX, false), (0, true)] {
                // SAFETY: a word of the clock page, as a guest stores to it.
                unsafe { pages.word(word).write_volatile(value) };
                assert_eq!(pages.used().is_some(), is_believed, "{value} in word {word}");
            }
        }
    }
}
