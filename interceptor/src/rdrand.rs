//! Programs that can draw random numbers from the processor itself: RDRAND and RDSEED.
//!
//! No kernel lets these instructions be trapped or hidden in general, so a program that uses one directly is not
//! deterministic in the sandbox. All that can be done is to say which files hold one: the executable segments of a
//! program or a library are searched for an instruction with what programs do right after it, which is to look at the
//! carry flag (Intel SDM volume 2, "RDRAND"; volume 1, 7.3.17: "software must check CF"). Data among the code can look the
//! same, and code that is there need not run: the answer is "may".

/// How far behind the instruction the carry flag is looked at, in bytes: a store of the number may come between.
const REACH: usize = 12;

/// Whether code holds one of the instructions, followed by a look at the carry flag.
pub fn holds(code: &[u8]) -> bool {
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
}
