//! What guests are told of the processor: what it can do, and not which one of how many it is, how fast, or under which
//! hypervisor. Instructions whose results nobody can repeat are not offered: programs that ask do without them.

/// A bit of a register: leaf, register (EAX to EDX from 0), bit (Intel SDM volume 2, "CPUID").
const NOT_OFFERED: [(u32, usize, u32); 10] = [
    (1, 2, 30), // RDRAND
    (1, 2, 31), // a hypervisor
    (7, 1, 4),  // HLE: transactions that end when they like
    (7, 1, 11), // RTM: the same
    (7, 1, 18), // RDSEED
    (7, 2, 5),  // WAITPKG: waits by the counter
    (7, 2, 22), // RDPID: which processor this is
    (7, 3, 11), // RTM_ALWAYS_ABORT
    (7, 3, 13), // the same, by a register of the machine's
    (7, 3, 5),  // UINTR: interrupts between processors
];

/// What guests are told of a leaf and a subleaf, of which the processor says this: EAX, EBX, ECX, EDX.
#[must_use]
pub fn told(leaf: u32, subleaf: u32, says: [u32; 4]) -> [u32; 4] {
    let mut told = says;
    if leaf != 7 || subleaf == 0 {
        for (_, register, bit) in NOT_OFFERED.iter().filter(|(of, ..)| *of == leaf) {
            told[*register] &= !(1 << bit);
        }
    }
    match leaf {
        // The upper byte is the number of the processor.
        1 => told[1] &= 0x00ff_ffff,
        // The topology: EDX is the number of the processor.
        0xb | 0x1f => told[3] = 0,
        // The counter's rate, the clock's, and what hypervisors say of themselves.
        0x15 | 0x16 | 0x4000_0000..=0x4fff_ffff => told = [0; 4],
        // The name of the model, in three parts.
        0x8000_0002 => told = [u32::from_le_bytes(*b"virt"), u32::from_le_bytes(*b"ual\0"), 0, 0],
        0x8000_0003 | 0x8000_0004 => told = [0; 4],
        // The numbers of the processor, of its core and of its node.
        0x8000_001e => (told[0], told[1], told[2]) = (0, told[1] & !0xff, told[2] & !0xff),
        _ => {}
    }
    told
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn which_processor_it_is_and_what_cannot_be_repeated_is_not_told() {
        let all = [u32::MAX; 4];
        assert_eq!(told(1, 0, all), [u32::MAX, 0x00ff_ffff, 0x3fff_ffff, u32::MAX]);
        assert_eq!(told(0xb, 1, all), [u32::MAX, u32::MAX, u32::MAX, 0]);
        assert_eq!(told(7, 0, all)[1] & (1 << 18 | 1 << 11), 0);
        assert_eq!(told(7, 1, all), all);
        assert_eq!(told(0x4000_0010, 0, all), [0; 4]);
        assert_eq!(told(2, 0, all), all);
    }

    #[test]
    fn two_processors_of_a_machine_say_the_same() {
        // What differs between processors of one kind is their numbers.
        let [one, other] = [0x0a00_0800, 0x0b00_0800].map(|ebx| told(1, 0, [0x50654, ebx, 0, 0]));
        assert_eq!(one, other);
    }
}
