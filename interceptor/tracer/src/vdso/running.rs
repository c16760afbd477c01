//! Clock reads while guests run free: the functions of the image ask the host's clock, by a call that the filter lets
//! through, and make the node's time of it.
//!
//! The terms are in the clock page, behind a sequence number that is odd while they change. The host's clock is read
//! between two looks at that number, so that no read mixes old terms with a later time: a node's clock never runs
//! back when its rate changes.

use super::{DATA, SPLIT, call, to_timeval};

/// What guests make of the host's monotonic clock: `base_ns + (host - since_ns) * percent / 100`, and the wall clock
/// is `offset_ns` ahead of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningClock {
    /// Nanoseconds of the host's monotonic clock from which on the others hold.
    pub since_ns: u64,
    /// Percent of the host's rate.
    pub percent: u64,
    /// What the node's monotonic clock showed then, in nanoseconds.
    pub base_ns: u64,
    /// Wall clock minus monotonic clock, in nanoseconds, modulo 2^64.
    pub offset_ns: u64,
}

/// The first argument of the call of clock_gettime(2) that the image makes. The kernel looks at the lower half, which
/// is CLOCK_MONOTONIC; a filter that lets exactly this through stops all other reads.
pub const UNSEEN_CLOCK: u64 = 0x6675_7a7a_0000_0001;

/// Leaves monotonic time in rax and the wall clock's offset in r10; clobbers rcx, rdx, r8, r9, r11.
fn measure() -> Vec<u8> {
    let mut c = vec![0x4c, 0x8d, 0x05]; // lea r8, [rip + data]
    c.extend(DATA);
    c.extend([0x57, 0x56]); // push rdi; push rsi
    c.extend([0x48, 0x83, 0xec, 0x10]); // sub rsp, 16
    let again = c.len();
    c.extend([0x4d, 0x8b, 0x08]); // again: mov r9, [r8]
    c.extend([0x41, 0xf6, 0xc1, 0x01]); // test r9b, 1
    c.extend([0x75, 0u8.wrapping_sub((c.len() - again) as u8 + 2)]); // jnz again
    c.extend([0x48, 0xbf]); // mov rdi, the clock
    c.extend(UNSEEN_CLOCK.to_le_bytes());
    c.extend([0x48, 0x89, 0xe6]); // mov rsi, rsp
    c.push(0xb8); // mov eax, the call's number
    c.extend((libc::SYS_clock_gettime as u32).to_le_bytes());
    c.extend([0x0f, 0x05]); // syscall
    c.extend([0x48, 0x69, 0x04, 0x24, 0x00, 0xca, 0x9a, 0x3b]); // imul rax, [rsp], 1000000000
    c.extend([0x48, 0x03, 0x44, 0x24, 0x08]); // add rax, [rsp+8]
    c.extend([0x49, 0x2b, 0x40, 0x08]); // sub rax, [r8+8]
    c.extend([0x49, 0x0f, 0xaf, 0x40, 0x10]); // imul rax, [r8+16]
    c.extend([0x31, 0xd2]); // xor edx, edx
    c.extend([0xb9, 0x64, 0x00, 0x00, 0x00]); // mov ecx, 100
    c.extend([0x48, 0xf7, 0xf1]); // div rcx
    c.extend([0x49, 0x03, 0x40, 0x18]); // add rax, [r8+24]
    c.extend([0x4d, 0x8b, 0x50, 0x20]); // mov r10, [r8+32]
    c.extend([0x4d, 0x3b, 0x08]); // cmp r9, [r8]
    c.extend([0x75, 0u8.wrapping_sub((c.len() - again) as u8 + 2)]); // jne again
    c.extend([0x48, 0x83, 0xc4, 0x10]); // add rsp, 16
    c.extend([0x5e, 0x5f]); // pop rsi; pop rdi
    c
}

/// A jump over the next `distance` bytes, on the condition whose near form is `0f code`.
fn jump(code: u8, distance: usize) -> [u8; 6] {
    let [a, b, c, d] = (distance as u32).to_le_bytes();
    [0x0f, code, a, b, c, d]
}

const ABOVE: u8 = 0x87;
const NOT_BELOW: u8 = 0x83;
const ZERO: u8 = 0x84;
const NOT_ZERO: u8 = 0x85;

pub(super) fn clock_gettime() -> Vec<u8> {
    let mut body = measure();
    body.extend([0xba, 0x21, 0x00, 0x00, 0x00]); // mov edx, 0x21: REALTIME and REALTIME_COARSE
    body.extend([0x0f, 0xa3, 0xfa]); // bt edx, edi
    body.extend([0x73, 0x03]); // jnc monotonic
    body.extend([0x4c, 0x01, 0xd0]); // add rax, r10
    body.extend(SPLIT); // monotonic:
    body.extend([0x48, 0x89, 0x06]); // mov [rsi], rax
    body.extend([0x48, 0x89, 0x56, 0x08]); // mov [rsi+8], rdx
    body.extend([0x31, 0xc0, 0xc3]); // xor eax, eax; ret
    let mut bits = vec![0xb8, 0xf3, 0x00, 0x00, 0x00]; // mov eax, 0xf3: all but the CPU-time clocks
    bits.extend([0x0f, 0xa3, 0xf8]); // bt eax, edi
    bits.extend(jump(NOT_BELOW, body.len()));

    let mut c = vec![0x83, 0xff, 0x07]; // cmp edi, 7
    c.extend(jump(ABOVE, bits.len() + body.len()));
    c.extend(bits);
    c.extend(body);
    c.extend(call(libc::SYS_clock_gettime as u32));
    c
}

pub(super) fn gettimeofday() -> Vec<u8> {
    let mut body = measure();
    body.extend([0x4c, 0x01, 0xd0]); // add rax, r10
    body.extend(to_timeval());
    let mut zone = vec![0x48, 0x85, 0xf6]; // test rsi, rsi: a time zone is asked for
    zone.extend(jump(NOT_ZERO, body.len()));

    let mut c = vec![0x48, 0x85, 0xff]; // test rdi, rdi
    c.extend(jump(ZERO, zone.len() + body.len()));
    c.extend(zone);
    c.extend(body);
    c.extend(call(libc::SYS_gettimeofday as u32));
    c
}

pub(super) fn time() -> Vec<u8> {
    let mut c = measure();
    c.extend([0x4c, 0x01, 0xd0]); // add rax, r10
    c.extend(SPLIT);
    c.extend([0x48, 0x85, 0xff]); // test rdi, rdi
    c.extend([0x74, 0x03]); // jz done
    c.extend([0x48, 0x89, 0x07]); // mov [rdi], rax
    c.push(0xc3); // done: ret
    c
}
