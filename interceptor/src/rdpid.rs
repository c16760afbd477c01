//! Programs that can ask the processor which of its cores they run on: RDPID.
//!
//! It cannot be trapped, and what it tells is the host's. Programs look whether it is there before they use it, so it is out
//! of the way where `cpuid` can be answered; what holds one all the same is told by name.

/// Whether code holds the instruction: F3 0F C7 /7 on a register, perhaps with REX (Intel SDM volume 2, "RDPID").
pub fn holds(code: &[u8]) -> bool {
    memchr::memmem::find_iter(code, b"\x0f\xc7").any(|at| {
        let is_prefixed = matches!(&code[..at], [.., 0xf3] | [.., 0xf3, 0x40..=0x4f]);
        is_prefixed && code.get(at + 2).is_some_and(|register| *register >= 0xf8)
    })
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn the_instruction_is_told_from_its_like() {
        let code: [&[u8]; 6] = [
            b"\x90\xf3\x0f\xc7\xf8\x90",     // rdpid rax
            b"\xf3\x41\x0f\xc7\xff",         // rdpid r15
            b"\x0f\xc7\xf8\x73\xfb",         // rdseed eax
            b"\xf3\x0f\xc7\xf0",             // senduipi rax
            b"\xf3\x90\x0f\xc7\xf8\x73\xfb", // pause; rdseed eax
            b"\xf3\x0f\xc7",
        ];
        assert_eq!(code.map(holds), [true, true, false, false, false, false]);
    }
}
