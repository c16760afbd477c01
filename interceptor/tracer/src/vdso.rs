//! Our vDSO image: a small ELF object whose functions read the time from the page after it.
//!
//! The kernel's own image reads the host's clock. This one is mapped beside it, and the auxiliary vector's
//! `AT_SYSINFO_EHDR` is pointed at it, so that a clock read stays a plain function call (vdso(7)). Each read
//! adds a step to the time, and every `reads_max` reads it makes the real call, so that a loop that waits for
//! time to pass gets there. The other image's functions compute the time from the host's clock, see `running`.
//!
//! The image lies at the same low address in every guest, so that code anywhere can call through a word of it with an
//! instruction of seven bytes: a program's own sleeps are led here, see `sleep`.

mod running;
mod sleep;

pub use running::{RunningClock, UNSEEN_CLOCK};
pub use sleep::{CALL_INSTEAD, SLEEP};

use crate::memory::PAGE;

/// What guests read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Monotonic time in nanoseconds.
    pub monotonic_ns: u64,
    /// Time since the epoch in nanoseconds.
    pub realtime_ns: u64,
    /// After so many reads the next one becomes a call.
    pub reads_max: u64,
    /// What each read adds, in nanoseconds.
    pub step_ns: u64,
    /// For so long, in nanoseconds, nothing happens in the room but what the program that goes on now does: a sleep that ends
    /// earlier needs no stop.
    pub alone_ns: u64,
    /// What a sleep takes beyond what was asked for, in nanoseconds.
    pub oversleep_ns: u64,
}

/// Where the image lies in every guest: above what the kernel lets nobody map (`vm.mmap_min_addr`), below where linkers
/// place programs.
pub const ADDRESS: u64 = 0x10_0000;

// Layout of the image, all offsets from its start.
const DYNAMIC: usize = 0xb0;
const DYNAMIC_LEN: usize = 10 * 16;
const HASH: usize = 0x150;
const SYMBOLS: usize = 0x180;
const SYMBOL_VERSIONS: usize = 0x1f8;
const VERSIONS: usize = 0x208;
const STRINGS: usize = 0x240;
/// The address of the function that sleeps, if the image has one.
const SLEEPER: usize = 0x2f8;
const TEXT: usize = 0x300;
/// What no dynamic linker looks for.
const SLEEP_TEXT: usize = 0x800;

const SONAME: &str = "linux-vdso.so.1";
/// The version of all functions. Go's runtime does not start where an image names none.
const VERSION: &str = "LINUX_2.6";
const NAMES: [&str; 6] =
    ["__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time", "__vdso_getcpu", SONAME, VERSION];

/// The image for a clock that is set each time a guest goes on: one page.
#[must_use]
pub fn image() -> Vec<u8> {
    let mut image = image_of([clock_gettime(), gettimeofday(), time(), getcpu()]);
    let at = SLEEP_TEXT;
    let code = patch_data_references(&sleep::sleep(), at);
    image[at..at + code.len()].copy_from_slice(&code);
    image[SLEEPER..SLEEPER + 8].copy_from_slice(&(ADDRESS + at as u64).to_le_bytes());
    image
}

/// The image for a clock that runs by itself: one page.
#[must_use]
pub fn running_image() -> Vec<u8> {
    image_of([running::clock_gettime(), running::gettimeofday(), running::time(), getcpu()])
}

fn image_of(functions: [Vec<u8>; 4]) -> Vec<u8> {
    let mut image = vec![0_u8; PAGE as usize];
    let mut offsets = Vec::new();
    let mut at = TEXT;
    for code in &functions {
        let code = patch_data_references(code, at);
        image[at..at + code.len()].copy_from_slice(&code);
        offsets.push((at, code.len()));
        at = (at + code.len()).next_multiple_of(16);
    }
    let end = at;

    // The name table starts with an empty name.
    let mut strings = vec![0_u8];
    let mut names = Vec::new();
    for name in NAMES {
        names.push(strings.len());
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
    }
    image[STRINGS..STRINGS + strings.len()].copy_from_slice(&strings);

    // Elf64_Sym: name, info (GLOBAL, FUNC), other, section (absolute is not undefined), value, size.
    for (i, (value, size)) in offsets.iter().enumerate() {
        let mut symbol = Writer::default();
        symbol.u32(names[i] as u32).u8(0x12).u8(0).u16(1).u64(*value as u64).u64(*size as u64);
        symbol.place(&mut image, SYMBOLS + 24 * (i + 1));
    }
    // DT_HASH with one bucket: a chain through all symbols.
    let count = functions.len() as u32;
    let mut hash = Writer::default();
    hash.u32(1).u32(count + 1).u32(1).u32(0);
    for i in 1..=count {
        hash.u32(if i == count { 0 } else { i + 1 });
    }
    hash.place(&mut image, HASH);

    // Elf64_Versym: the empty symbol is local, all others have version 2.
    let mut symbol_versions = Writer::default();
    symbol_versions.u16(0);
    for _ in &functions {
        symbol_versions.u16(2);
    }
    symbol_versions.place(&mut image, SYMBOL_VERSIONS);
    // Elf64_Verdef with one Elf64_Verdaux each: the object itself (VER_FLG_BASE), then the version.
    let mut versions = Writer::default();
    versions.u16(1).u16(1).u16(1).u16(1).u32(hash_of(SONAME)).u32(20).u32(28).u32(names[4] as u32).u32(0);
    versions.u16(1).u16(0).u16(2).u16(1).u32(hash_of(VERSION)).u32(20).u32(0).u32(names[5] as u32).u32(0);
    versions.place(&mut image, VERSIONS);

    let mut dynamic = Writer::default();
    for (tag, value) in [
        (14, names[4] as u64), // SONAME
        (4, HASH as u64),
        (6, SYMBOLS as u64),
        (5, STRINGS as u64),
        (10, strings.len() as u64), // STRSZ
        (11, 24),                   // SYMENT
        (0x6fff_fff0, SYMBOL_VERSIONS as u64),
        (0x6fff_fffc, VERSIONS as u64),
        (0x6fff_fffd, 2), // VERDEFNUM
        (0, 0),
    ] {
        dynamic.u64(tag).u64(value);
    }
    dynamic.place(&mut image, DYNAMIC);
    header(end as u64).place(&mut image, 0);
    image
}

/// The hash of a name in an ELF object (System V ABI, "Hash Table").
fn hash_of(name: &str) -> u32 {
    name.bytes().fold(0, |hash, byte| {
        let hash = (hash << 4) + u32::from(byte);
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

/// Elf64_Ehdr and two Elf64_Phdr: one to load, one that names the dynamic section.
fn header(end: u64) -> Writer {
    let mut w = Writer::default();
    w.bytes(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    w.u16(3).u16(62).u32(1).u64(0).u64(64).u64(0).u32(0);
    w.u16(64).u16(56).u16(2).u16(64).u16(0).u16(0);
    w.u32(1).u32(5).u64(0).u64(0).u64(0).u64(end).u64(end).u64(PAGE);
    let (at, len) = (DYNAMIC as u64, DYNAMIC_LEN as u64);
    w.u32(2).u32(4).u64(at).u64(at).u64(at).u64(len).u64(len).u64(8);
    w
}

/// Stands in code for "distance from the end of this field to the clock page"; replaced when placed.
const DATA: [u8; 4] = [0xd7, 0xa7, 0xa7, 0xd7];

fn patch_data_references(code: &[u8], at: usize) -> Vec<u8> {
    let mut code = code.to_vec();
    for i in 0..code.len().saturating_sub(3) {
        if code[i..i + 4] == DATA {
            let distance = PAGE as i32 - (at + i + 4) as i32;
            code[i..i + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }
    code
}

/// Counts a read in `r8`'s page and leaves `count * step` in rax; jumps to `slow` (a short forward distance
/// from the end of this fragment) when the reads are used up. Clobbers rax, r8.
fn count_read(slow: u8) -> Vec<u8> {
    let mut c = vec![0x4c, 0x8d, 0x05]; // lea r8, [rip + data]
    c.extend(DATA);
    c.extend([0x49, 0x8b, 0x40, 0x10]); // mov rax, [r8+16]
    c.extend([0x49, 0x3b, 0x40, 0x18]); // cmp rax, [r8+24]
    c.extend([0x73, slow + 12]); // jae slow
    c.extend([0x48, 0xff, 0xc0]); // inc rax
    c.extend([0x49, 0x89, 0x40, 0x10]); // mov [r8+16], rax
    c.extend([0x49, 0x0f, 0xaf, 0x40, 0x20]); // imul rax, [r8+32]
    c
}

/// Divides rax by 1e9: seconds in rax, nanoseconds in rdx. Clobbers rcx.
const SPLIT: [u8; 10] = [
    0x31, 0xd2, // xor edx, edx
    0xb9, 0x00, 0xca, 0x9a, 0x3b, // mov ecx, 1000000000
    0x48, 0xf7, 0xf1, // div rcx
];

/// The call itself: `mov eax, number; syscall; ret`.
fn call(number: u32) -> Vec<u8> {
    let mut c = vec![0xb8];
    c.extend(number.to_le_bytes());
    c.extend([0x0f, 0x05, 0xc3]);
    c
}

fn clock_gettime() -> Vec<u8> {
    // After count_read: choose the base, split, store, return.
    let mut tail = Vec::new();
    tail.extend([0xba, 0x21, 0x00, 0x00, 0x00]); // mov edx, 0x21: REALTIME and REALTIME_COARSE
    tail.extend([0x0f, 0xa3, 0xfa]); // bt edx, edi
    tail.extend([0x72, 0x05]); // jc real
    tail.extend([0x49, 0x03, 0x00]); // add rax, [r8]
    tail.extend([0xeb, 0x04]); // jmp split
    tail.extend([0x49, 0x03, 0x40, 0x08]); // real: add rax, [r8+8]
    tail.extend(SPLIT);
    tail.extend([0x48, 0x89, 0x06]); // mov [rsi], rax
    tail.extend([0x48, 0x89, 0x56, 0x08]); // mov [rsi+8], rdx
    tail.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    let count = count_read(tail.len() as u8);
    let body = count.len() + tail.len();

    let mut c = vec![0x83, 0xff, 0x07]; // cmp edi, 7
    c.extend([0x77, (10 + body) as u8]); // ja slow
    c.extend([0xb8, 0xf3, 0x00, 0x00, 0x00]); // mov eax, 0xf3: all but the CPU-time clocks
    c.extend([0x0f, 0xa3, 0xf8]); // bt eax, edi
    c.extend([0x73, body as u8]); // jnc slow
    c.extend(count);
    c.extend(tail);
    c.extend(call(libc::SYS_clock_gettime as u32)); // slow:
    c
}

/// Writes the nanoseconds in rax where rdi points, as seconds and microseconds, and returns 0.
fn to_timeval() -> Vec<u8> {
    let mut code = Vec::new();
    code.extend(SPLIT);
    code.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
    code.extend([0x89, 0xd0]); // mov eax, edx
    code.extend([0x31, 0xd2]); // xor edx, edx
    code.extend([0xb9, 0xe8, 0x03, 0x00, 0x00]); // mov ecx, 1000
    code.extend([0xf7, 0xf1]); // div ecx
    code.extend([0x48, 0x89, 0x47, 0x08]); // mov [rdi+8], rax
    code.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    code
}

fn gettimeofday() -> Vec<u8> {
    let mut tail = Vec::new();
    tail.extend([0x49, 0x03, 0x40, 0x08]); // add rax, [r8+8]
    tail.extend(to_timeval());
    let count = count_read(tail.len() as u8);
    let body = count.len() + tail.len();
    let mut c = vec![0x48, 0x85, 0xff]; // test rdi, rdi
    c.extend([0x74, (5 + body) as u8]); // jz slow
    c.extend([0x48, 0x85, 0xf6]); // test rsi, rsi: a time zone is asked for
    c.extend([0x75, body as u8]); // jnz slow
    c.extend(count);
    c.extend(tail);
    c.extend(call(libc::SYS_gettimeofday as u32));
    c
}

fn time() -> Vec<u8> {
    let mut tail = Vec::new();
    tail.extend([0x49, 0x03, 0x40, 0x08]); // add rax, [r8+8]
    tail.extend(SPLIT);
    tail.extend([0x48, 0x85, 0xff]); // test rdi, rdi
    tail.extend([0x74, 0x03]); // jz done
    tail.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
    tail.push(0xc3); // done: ret
    let mut c = count_read(tail.len() as u8);
    c.extend(tail);
    c.extend(call(libc::SYS_time as u32));
    c
}

fn getcpu() -> Vec<u8> {
    let mut c = vec![0x31, 0xc0]; // xor eax, eax
    c.extend([0x48, 0x85, 0xff, 0x74, 0x02, 0x89, 0x07]); // if rdi: mov [rdi], eax
    c.extend([0x48, 0x85, 0xf6, 0x74, 0x02, 0x89, 0x06]); // if rsi: mov [rsi], eax
    c.push(0xc3);
    c
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }
    fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }
    fn place(&self, image: &mut [u8], at: usize) {
        image[at..at + self.0.len()].copy_from_slice(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SharedPages;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    use std::num::NonZeroUsize;

    /// The offset of a function, found as a dynamic linker finds it: through the hash chain.
    fn lookup(image: &[u8], name: &str) -> Option<usize> {
        let u32_at = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        let mut index = u32_at(HASH + 8) as usize;
        while index != 0 {
            let symbol = SYMBOLS + 24 * index;
            let start = STRINGS + u32_at(symbol) as usize;
            if image[start..].starts_with(name.as_bytes()) && image[start + name.len()] == 0 {
                return Some(u32_at(symbol + 8) as usize);
            }
            index = u32_at(HASH + 12 + 4 * index) as usize;
        }
        None
    }

    #[test]
    fn every_function_can_be_found_and_no_other() {
        let image = image();
        for name in &NAMES[..4] {
            assert!(lookup(&image, name).is_some(), "{name}");
        }
        assert_eq!(lookup(&image, "__vdso_clock_getres"), None);
    }

    /// The version of a function, found as Go's runtime finds it: by hash and name among the definitions.
    #[test]
    fn the_functions_have_the_version_that_programs_ask_for() {
        let image = image();
        let u16_at = |at: usize| u16::from_le_bytes(image[at..at + 2].try_into().unwrap());
        let u32_at = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
        let text = |at: u32| image[STRINGS + at as usize..].split(|byte| *byte == 0).next().unwrap();
        let mut definition = VERSIONS;
        let mut found = None;
        loop {
            let (flags, index, hash) =
                (u16_at(definition + 2), u16_at(definition + 4), u32_at(definition + 8));
            let name = text(u32_at(definition + u32_at(definition + 12) as usize));
            // 0x3ae75f6: what glibc, musl and Go look for
            if flags & 1 == 0 && hash == 0x3ae_75f6 && name == b"LINUX_2.6" {
                found = Some(index);
            }
            match u32_at(definition + 16) {
                0 => break,
                next => definition += next as usize,
            }
        }
        assert_eq!(found, Some(2));
        assert!((1..=4).all(|symbol| u16_at(SYMBOL_VERSIONS + 2 * symbol) == 2));
        assert!(STRINGS + NAMES.iter().map(|name| name.len() + 1).sum::<usize>() < TEXT);
        let tags: Vec<u64> = (0..DYNAMIC_LEN / 16).map(|i| u64::from(u32_at(DYNAMIC + 16 * i))).collect();
        assert_eq!(tags, [14, 4, 6, 5, 10, 11, 0x6fff_fff0, 0x6fff_fffc, 0x6fff_fffd, 0]);
    }

    type ClockGettime = extern "C" fn(i32, *mut [i64; 2]) -> i32;
    type Gettimeofday = extern "C" fn(*mut [i64; 2], *mut u8) -> i32;
    type Time = extern "C" fn(*mut i64) -> i64;

    /// An image in memory, its clock page, and its functions.
    fn mapped(name: &str, image: &[u8]) -> (SharedPages, ClockGettime, Gettimeofday, Time) {
        let path = std::env::temp_dir().join(format!("tracer-vdso-{name}-{}", std::process::id()));
        let pages = SharedPages::create(&path, image).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let all = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE | ProtFlags::PROT_EXEC;
        let len = NonZeroUsize::new(SharedPages::LEN as usize).unwrap();
        // SAFETY: a fresh mapping that lives to the end of the process.
        let base = unsafe { mmap(None, len, all, MapFlags::MAP_SHARED, &file, 0) }.unwrap();
        let find = |name| {
            let offset = lookup(image, name).unwrap();
            // SAFETY: the offset lies within the mapping.
            unsafe { base.as_ptr().cast::<u8>().add(offset) }
        };
        // SAFETY: the functions have these C signatures.
        unsafe {
            (
                pages,
                std::mem::transmute::<*mut u8, ClockGettime>(find(NAMES[0])),
                std::mem::transmute::<*mut u8, Gettimeofday>(find(NAMES[1])),
                std::mem::transmute::<*mut u8, Time>(find(NAMES[2])),
            )
        }
    }

    #[test]
    fn a_running_clock_makes_the_nodes_time_of_the_hosts() {
        let (mut pages, clock_gettime, gettimeofday, time) = mapped("running", &running_image());
        let second = 1_000_000_000;
        let mut clock = RunningClock {
            since_ns: crate::host_ns(),
            percent: 100,
            base_ns: 70 * second,
            offset_ns: 1_699_999_930 * second,
        };
        pages.set_running(clock);
        let read = |id| {
            let mut ts = [0; 2];
            assert_eq!(clock_gettime(id, &mut ts), 0);
            ts[0] as u64 * second + ts[1] as u64
        };
        let before = crate::host_ns();
        let shown = read(1) - clock.base_ns;
        let after = crate::host_ns();
        assert!((before - clock.since_ns..=after - clock.since_ns).contains(&shown), "{shown}");
        for wall in [read(0), read(5)] {
            assert!((1_700_000_000 * second..1_700_000_060 * second).contains(&wall), "{wall}");
        }
        let mut tv = [0; 2];
        assert_eq!((gettimeofday(&mut tv, std::ptr::null_mut()), tv[0] / 100), (0, 17_000_000));
        assert!((0..1_000_000).contains(&tv[1]));
        let mut told = 0;
        assert_eq!((time(&mut told) / 100, told / 100), (17_000_000, 17_000_000));
        // Ten times as fast from now on, and never back.
        let last = read(1);
        pages.hold();
        clock.since_ns = crate::host_ns();
        (clock.percent, clock.base_ns) = (1_000, last);
        pages.set_running(clock);
        let faster = read(1) - last;
        assert!(faster <= 10 * (crate::host_ns() - clock.since_ns), "{faster}");
        // Other clocks are the call, which here is the host's.
        let mut ts = [0; 2];
        assert_eq!((clock_gettime(3, &mut ts), ts[0] < 1_000_000), (0, true));
    }

    #[test]
    fn reads_step_through_the_time_that_was_set() {
        let (mut pages, clock_gettime, gettimeofday, time) = mapped("set", &image());
        pages.set_clock(Clock {
            monotonic_ns: 5_000_000_001,
            realtime_ns: 1_700_000_000_000_000_002,
            reads_max: 4,
            step_ns: 20,
            alone_ns: 0,
            oversleep_ns: 0,
        });
        let mut ts = [0; 2];
        assert_eq!((clock_gettime(1, &mut ts), ts), (0, [5, 21]));
        assert_eq!((clock_gettime(0, &mut ts), ts), (0, [1_700_000_000, 42]));
        assert_eq!((gettimeofday(&mut ts, std::ptr::null_mut()), ts), (0, [1_700_000_000, 0]));
        assert_eq!(time(std::ptr::null_mut()), 1_700_000_000);
        assert_eq!(pages.used().unwrap().reads, 4);
        // The reads are used up: from here on it is the real call.
        assert_eq!(clock_gettime(0, &mut ts), 0);
        assert!(ts[0] > 1_700_000_000, "the host's own time: {ts:?}");
        assert_eq!(pages.used().unwrap().reads, 4);
        // CPU-time clocks are always the call.
        assert_eq!((clock_gettime(3, &mut ts), ts[0] < 1_000_000), (0, true));
    }
}
