//! The entry: the one program that a container is started with. It holds the container's namespaces open, and ends
//! when its standard input does, which is when `fuzz` goes, however it goes.

/// Where the program is loaded.
const BASE: u64 = 0x40_0000;
/// Length of the ELF header and of one program header (elf(5)).
const HEADERS: u64 = 64 + 56;

/// `while (read(0, stack, 1) > 0); exit(0);`
const CODE: [u8; 29] = [
    0x31, 0xc0, // again: xor eax, eax (read)
    0x31, 0xff, // xor edi, edi
    0x48, 0x8d, 0x74, 0x24, 0xf0, // lea rsi, [rsp - 16]
    0xba, 0x01, 0x00, 0x00, 0x00, // mov edx, 1
    0x0f, 0x05, // syscall
    0x48, 0x85, 0xc0, // test rax, rax
    0x7f, 0xeb, // jg again
    0x31, 0xff, // xor edi, edi
    0x6a, 0x3c, 0x58, // push 60 (exit); pop rax
    0x0f, 0x05, // syscall
    0xcc, // not reached
];

/// The program: static, so that it runs in an image that holds nothing.
pub fn program() -> Vec<u8> {
    let mut elf = Vec::new();
    // 64 bits, little-endian, version 1, System V
    elf.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    elf.extend(2_u16.to_le_bytes()); // an executable
    elf.extend(62_u16.to_le_bytes()); // of x86-64
    elf.extend(1_u32.to_le_bytes());
    elf.extend((BASE + HEADERS).to_le_bytes()); // where it begins
    elf.extend(64_u64.to_le_bytes()); // program headers
    elf.extend(0_u64.to_le_bytes()); // no sections
    elf.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    let len = HEADERS + CODE.len() as u64;
    elf.extend(1_u32.to_le_bytes()); // to be loaded
    elf.extend(5_u32.to_le_bytes()); // readable, executable
    for word in [0, BASE, BASE, len, len, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(CODE);
    elf
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    #[test]
    fn the_entry_waits_for_the_end_of_its_input() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("entry");
        std::fs::write(&file, super::program()).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = Command::new(&file).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, b"still there").unwrap();
        assert!(child.try_wait().unwrap().is_none());
        drop(input);
        assert!(child.wait().unwrap().success());
    }
}
