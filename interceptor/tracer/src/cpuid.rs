//! What the processor says of itself (Intel SDM volume 2, "CPUID"). In guests the instruction faults, where the processor
//! can do that, so that somebody else answers.

/// arch_prctl(2): whether `cpuid` may be executed.
pub const ARCH_CPUID_SET: u64 = 0x1012;
/// The instruction.
pub const CPUID: [u8; 2] = [0x0f, 0xa2];

/// What it says here of a leaf and a subleaf: EAX, EBX, ECX, EDX.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    #[allow(unused_unsafe, reason = "safe in newer versions of the language")]
    // SAFETY: every processor of x86-64 has the instruction, and it changes nothing but its results.
    let said = unsafe { std::arch::x86_64::__cpuid_count(leaf, subleaf) };
    [said.eax, said.ebx, said.ecx, said.edx]
}
