//! Sleeps that need no stop.
//!
//! The runtime of Go has a thread that sleeps for 20 us, looks around, and sleeps again, whatever else the program does:
//! two calls in five of an idle server. When nothing else happens in the room until such a sleep is over, all that its
//! call would do is to set the clock forward, and the function here does just that, to the nanosecond. Otherwise it makes
//! the call.
//!
//! Go makes the call in one place, `runtime.usleep`, in the same few instructions since its first versions for this
//! processor (`src/runtime/sys_linux_amd64.s`). They are overwritten in the memory of a program that starts, as rr does
//! it with calls it knows; the file is left alone. Code of C compilers never looks like this: it clears registers with
//! `xor`. So the function may use the stack, below which a leaf of C would keep variables.

use super::{ADDRESS, DATA, SLEEPER, call};

/// `mov [rsp+8], rax; mov rdi, rsp; mov esi, 0; mov eax, 35; syscall`: nanosleep of what lies on the stack.
pub const SLEEP: [u8; 20] =
    [0x48, 0x89, 0x44, 0x24, 0x08, 0x48, 0x89, 0xe7, 0xbe, 0, 0, 0, 0, 0xb8, 35, 0, 0, 0, 0x0f, 0x05];

/// What the last seven bytes of [`SLEEP`] become: `call [SLEEPER]`, as long as a number for eax and `syscall`.
pub const CALL_INSTEAD: [u8; 7] = {
    let [a, b, c, d] = (ADDRESS as u32 + SLEEPER as u32).to_le_bytes();
    [0xff, 0x14, 0x25, a, b, c, d]
};

/// nanosleep(rdi, rsi). As the call, it leaves all registers alone but rax, rcx and r11.
///
/// Words of the clock page: 0 and 1 the clocks, 2 the reads, 4 what each adds, 5 nanoseconds slept, 6 how many of these
/// there may be, 7 what a sleep takes beyond what was asked for.
pub(super) fn sleep() -> Vec<u8> {
    // Each is left for `slow`, whose distance from its own end is known once all is there.
    let mut exits = Vec::new();
    let mut c = vec![0x9c]; // pushfq
    c.extend([0x4c, 0x8d, 0x1d]); // lea r11, [rip + data]
    c.extend(DATA);
    c.extend([0x48, 0x8b, 0x07]); // mov rax, [rdi]
    c.extend([0x48, 0x85, 0xc0]); // test rax, rax: seconds
    exit(&mut c, &mut exits, 0x75); // jnz slow
    c.extend([0x48, 0x8b, 0x47, 0x08]); // mov rax, [rdi+8]
    c.extend([0x48, 0x85, 0xc0]); // test rax, rax: nothing
    exit(&mut c, &mut exits, 0x74); // jz slow
    c.extend([0x48, 0x3d, 0xff, 0xc9, 0x9a, 0x3b]); // cmp rax, 999999999
    exit(&mut c, &mut exits, 0x77); // ja slow
    c.extend([0x49, 0x8b, 0x4b, 0x10]); // mov rcx, [r11+16]
    c.extend([0x49, 0x0f, 0xaf, 0x4b, 0x20]); // imul rcx, [r11+32]
    c.extend([0x48, 0x01, 0xc8]); // add rax, rcx: what the reads took
    c.extend([0x49, 0x03, 0x43, 0x38]); // add rax, [r11+56]
    c.extend([0x49, 0x8b, 0x4b, 0x28]); // mov rcx, [r11+40]
    c.extend([0x48, 0x01, 0xc1]); // add rcx, rax
    c.extend([0x49, 0x3b, 0x4b, 0x30]); // cmp rcx, [r11+48]
    exit(&mut c, &mut exits, 0x73); // jae slow
    c.extend([0x49, 0x89, 0x4b, 0x28]); // mov [r11+40], rcx
    c.extend([0x49, 0x01, 0x03]); // add [r11], rax
    c.extend([0x49, 0x01, 0x43, 0x08]); // add [r11+8], rax
    c.extend([0x49, 0xc7, 0x43, 0x10, 0, 0, 0, 0]); // mov qword [r11+16], 0
    c.extend([0x31, 0xc0]); // xor eax, eax
    c.extend([0x9d, 0xc3]); // popfq; ret
    for at in exits {
        c[at] = u8::try_from(c.len() - at - 1).expect("the function is short");
    }
    c.push(0x9d); // slow: popfq
    c.extend(call(libc::SYS_nanosleep as u32));
    c
}

/// A short jump on this condition, to be completed.
fn exit(code: &mut Vec<u8>, exits: &mut Vec<usize>, condition: u8) {
    code.extend([condition, 0]);
    exits.push(code.len() - 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vdso::{Clock, SLEEP_TEXT, TEXT, image};
    use crate::{SharedPages, Used};
    use nix::sys::mman::{MapFlags, ProtFlags, mmap};
    use std::num::NonZeroUsize;

    #[test]
    fn the_address_in_the_image_is_the_functions() {
        let image = image();
        let word = |at: usize| u64::from_le_bytes(image[at..at + 8].try_into().unwrap());
        assert_eq!(word(SLEEPER), ADDRESS + SLEEP_TEXT as u64);
        assert_eq!(image[SLEEP_TEXT], 0x9c);
        assert!(image[TEXT..SLEEP_TEXT].ends_with(&[0; 16]), "the functions before it leave it its place");
        let places = [CALL_INSTEAD[3], CALL_INSTEAD[4], CALL_INSTEAD[5], CALL_INSTEAD[6]];
        assert_eq!(u32::from_le_bytes(places), 0x10_02f8);
    }

    /// Sleeps for so long on a clock page in this process; what the function returned.
    fn sleep_for(base: *const u8, request: [i64; 2]) -> i32 {
        let result: i32;
        // SAFETY: the function lies there, reads two words where rdi points, and clobbers what is named.
        unsafe {
            std::arch::asm!(
                "call {at}",
                at = in(reg) base.add(SLEEP_TEXT),
                in("rdi") request.as_ptr(),
                in("rsi") 0,
                lateout("eax") result,
                out("rcx") _,
                out("r11") _,
            );
        }
        result
    }

    #[test]
    fn a_sleep_sets_the_clock_forward_while_nothing_else_happens() {
        let path = std::env::temp_dir().join(format!("tracer-sleep-{}", std::process::id()));
        let mut pages = SharedPages::create(&path, &image()).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let all = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE | ProtFlags::PROT_EXEC;
        let len = NonZeroUsize::new(SharedPages::LEN as usize).unwrap();
        // SAFETY: a fresh mapping that lives to the end of the process.
        let base = unsafe { mmap(None, len, all, MapFlags::MAP_SHARED, &file, 0) }.unwrap().cast::<u8>();
        let base = base.as_ptr().cast_const();
        let clock = Clock {
            monotonic_ns: 5_000,
            realtime_ns: 9_000,
            reads_max: 500,
            step_ns: 20,
            alone_ns: 300_000,
            oversleep_ns: 51_000,
        };
        pages.set_clock(clock);
        // SAFETY: a word of the clock page.
        let word = |index: usize| unsafe { base.add(4096 + 8 * index).cast::<u64>().read_volatile() };
        // Three reads were made before.
        // SAFETY: as above, and the mapping can be written.
        unsafe { base.add(4096 + 16).cast_mut().cast::<u64>().write_volatile(3) };
        assert_eq!(sleep_for(base, [0, 20_000]), 0);
        assert_eq!([0, 1, 2, 5].map(word), [76_060, 80_060, 0, 71_060]);
        assert_eq!(pages.used(), Some(Used { reads: 0, slept_ns: 71_060 }));
        assert_eq!(sleep_for(base, [0, 177_939]), 0);
        assert_eq!(pages.used().unwrap().slept_ns, 299_999);
        // One nanosecond more would reach what happens then: it is the call, which here is the host's. So is what the
        // function does not know.
        for request in [[0, 1], [0, 0], [1, 0]] {
            let before = crate::host_ns();
            assert_eq!(sleep_for(base, request), 0);
            assert!(crate::host_ns() - before >= 1_000_000_000 * request[0] as u64);
        }
        assert_eq!(sleep_for(base, [0, 1_000_000_000]), -libc::EINVAL);
        assert_eq!(sleep_for(base, [0, -1]), -libc::EINVAL);
        assert_eq!((pages.used().unwrap().slept_ns, word(0)), (299_999, 304_999));
    }
}
