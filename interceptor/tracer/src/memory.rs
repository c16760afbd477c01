//! Guest memory: copied in and out by the kernel, without stopping or mapping anything.

use crate::{Error, Tid};

/// Size of a page of guest memory in bytes.
pub const PAGE: u64 = 4096;

impl Tid {
    /// Fills `buffer` from guest memory at `address`.
    ///
    /// # Errors
    /// When any byte of it is not readable.
    pub fn read(self, address: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let got = self.transfer(libc::SYS_process_vm_readv, address, buffer.as_mut_ptr(), buffer.len());
        if got == buffer.len() as i64 { Ok(()) } else { Err(fault("reading memory", self, got)) }
    }

    /// Writes `bytes` to guest memory at `address`; the page must be writable for the guest.
    ///
    /// # Errors
    /// When any byte of it is not writable.
    pub fn write(self, address: u64, bytes: &[u8]) -> Result<(), Error> {
        let source = bytes.as_ptr().cast_mut();
        let put = self.transfer(libc::SYS_process_vm_writev, address, source, bytes.len());
        if put == bytes.len() as i64 { Ok(()) } else { Err(fault("writing memory", self, put)) }
    }

    fn transfer(self, call: i64, address: u64, local: *mut u8, len: usize) -> i64 {
        if len == 0 {
            return 0;
        }
        let local = libc::iovec { iov_base: local.cast(), iov_len: len };
        let remote =
            libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(address as usize), iov_len: len };
        // SAFETY: `local` describes a live buffer of `len` bytes (only read from for the writing call);
        // `remote` lies in another process and is checked by the kernel.
        unsafe { libc::syscall(call, self.0, &raw const local, 1_u64, &raw const remote, 1_u64, 0_u64) }
    }

    /// Reads a 64-bit word.
    ///
    /// # Errors
    /// When it is not readable.
    pub fn read_u64(self, address: u64) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Reads a 32-bit word.
    ///
    /// # Errors
    /// When it is not readable.
    pub fn read_u32(self, address: u64) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Reads a C string of at most `limit` bytes, without its end mark.
    ///
    /// # Errors
    /// When it is not readable; `ENAMETOOLONG` when it is longer.
    pub fn read_string(self, address: u64, limit: usize) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        let mut at = address;
        while text.len() < limit {
            // Never past the page: the next one may not be there.
            let chunk = ((PAGE - at % PAGE) as usize).min(256).min(limit - text.len());
            let start = text.len();
            text.resize(start + chunk, 0);
            self.read(at, &mut text[start..])?;
            if let Some(end) = text[start..].iter().position(|&byte| byte == 0) {
                text.truncate(start + end);
                return Ok(text);
            }
            at += chunk as u64;
        }
        Err(Error::Call { call: "reading a string", tid: self.0, source: nix::errno::Errno::ENAMETOOLONG })
    }

    /// Writes to guest memory whatever its protection (as a debugger does), word by word.
    ///
    /// # Errors
    /// When the address is not mapped.
    pub fn poke(self, address: u64, word: u64) -> Result<(), Error> {
        // SAFETY: the word is passed by value; the address is the guest's and is checked by the kernel.
        let done = unsafe {
            libc::ptrace(
                libc::PTRACE_POKEDATA,
                self.0,
                std::ptr::with_exposed_provenance_mut::<libc::c_void>(address as usize),
                std::ptr::without_provenance_mut::<libc::c_void>(word as usize),
            )
        };
        if done < 0 { Err(Error::call("patching memory", self)) } else { Ok(()) }
    }
}

fn fault(call: &'static str, tid: Tid, count: i64) -> Error {
    if count < 0 {
        Error::call(call, tid)
    } else {
        Error::Call { call, tid: tid.0, source: nix::errno::Errno::EFAULT }
    }
}

#[cfg(test)]
mod tests {
    use crate::Tid;

    fn own() -> Tid {
        Tid(nix::unistd::getpid().as_raw())
    }

    #[test]
    fn memory_is_read_written_and_bounded() {
        let mut words = [1_u64, 2, 3];
        let address = words.as_mut_ptr().expose_provenance() as u64;
        assert_eq!(own().read_u64(address + 8).unwrap(), 2);
        own().write(address, &9_u64.to_le_bytes()).unwrap();
        assert_eq!(std::hint::black_box(&words)[0], 9);
        assert!(own().read_u64(8).is_err());
    }

    #[test]
    fn strings_end_at_their_mark_or_are_refused() {
        let text = c"hello";
        let address = text.as_ptr().expose_provenance() as u64;
        assert_eq!(own().read_string(address, 64).unwrap(), b"hello");
        assert!(own().read_string(address, 3).is_err());
    }
}
