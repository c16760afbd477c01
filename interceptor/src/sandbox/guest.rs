//! What a call does: moving data between the sandbox and the calling thread.

use super::log::checksum;
use super::task::{Key, Process, Thread, ThreadId};
use super::{Error, Sandbox};
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// How a handler leaves a call.
#[derive(Debug)]
pub enum Outcome {
    /// The call does not run; it returns this.
    Return(i64),
    /// The call ran and the thread stands after it; it returns this.
    Ran(i64),
    /// The call waits for one of these, or for its deadline.
    Park(Vec<Key>),
    /// The call runs with no further look at it.
    Continue,
    /// The thread makes the call again, after it has handled a signal.
    Restart,
    /// The thread has ended, or was replaced.
    Gone,
}

/// Why a handler cannot go on.
#[derive(Debug)]
pub enum Trouble {
    /// The call fails with this.
    Fails(Errno),
    /// The sandbox fails.
    Broken(Error),
}

/// What a handler returns.
pub type Handled = Result<Outcome, Trouble>;

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Fails(errno)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<tracer::Error> for Trouble {
    /// Memory that is not there is the guest's mistake; all else is ours.
    fn from(error: tracer::Error) -> Self {
        match error {
            tracer::Error::Call {
                source: source @ (Errno::EFAULT | Errno::ENAMETOOLONG | Errno::EIO),
                ..
            } => Self::Fails(source),
            other => Self::Broken(other.into()),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Fails(Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }
}

impl From<crate::disk::DiskError> for Trouble {
    fn from(error: crate::disk::DiskError) -> Self {
        Self::Broken(error.into())
    }
}

/// A call that succeeds with `value`.
pub fn returns(value: impl TryInto<i64>) -> Handled {
    Ok(Outcome::Return(value.try_into().unwrap_or(i64::MAX)))
}

/// At most this much is moved by one call (the kernel's own bound is 2 GiB).
pub const MOVE_MAX: usize = 1 << 24;

impl Sandbox {
    pub(super) fn thread(&self, id: ThreadId) -> &Thread {
        self.threads.get(&id).expect("a thread that makes a call is known")
    }

    pub(super) fn thread_mut(&mut self, id: ThreadId) -> &mut Thread {
        self.threads.get_mut(&id).expect("a thread that makes a call is known")
    }

    pub(super) fn process_of(&self, id: ThreadId) -> &Process {
        self.processes.get(&self.thread(id).process).expect("a thread's process is known")
    }

    pub(super) fn process_of_mut(&mut self, id: ThreadId) -> &mut Process {
        let process = self.thread(id).process;
        self.processes.get_mut(&process).expect("a thread's process is known")
    }

    pub(super) fn load(&self, id: ThreadId, address: u64, len: usize) -> Result<Vec<u8>, Trouble> {
        let mut bytes = vec![0; len.min(MOVE_MAX)];
        self.thread(id).tid.read(address, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn store(&self, id: ThreadId, address: u64, bytes: &[u8]) -> Result<(), Trouble> {
        Ok(self.thread(id).tid.write(address, bytes)?)
    }

    /// Writes words of 64 bits.
    pub(super) fn store_words(&self, id: ThreadId, address: u64, words: &[u64]) -> Result<(), Trouble> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.store(id, address, &bytes)
    }

    /// Writes words of 64 bits, where somebody asked for them: `address` is not null.
    pub(super) fn store_asked(&self, id: ThreadId, address: u64, words: &[u64]) -> Result<(), Trouble> {
        if address == 0 { Ok(()) } else { self.store_words(id, address, words) }
    }

    /// Reads a timespec or timeval as two words.
    pub(super) fn load_pair(&self, id: ThreadId, address: u64) -> Result<(i64, i64), Trouble> {
        let mut words = [0; 16];
        self.thread(id).tid.read(address, &mut words)?;
        let word = |at: usize| i64::from_le_bytes(words[at..at + 8].try_into().expect("eight bytes"));
        Ok((word(0), word(8)))
    }

    /// Reads an itimerspec or itimerval as four words.
    pub(super) fn load_four(&self, id: ThreadId, address: u64) -> Result<[i64; 4], Trouble> {
        let mut bytes = [0; 32];
        self.thread(id).tid.read(address, &mut bytes)?;
        let word = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Ok([0, 8, 16, 24].map(word))
    }

    pub(super) fn load_path(&self, id: ThreadId, address: u64) -> Result<PathBuf, Trouble> {
        let bytes = self.thread(id).tid.read_string(address, libc::PATH_MAX as usize)?;
        let path = PathBuf::from(OsString::from_vec(bytes));
        let [_, last] = self.paths.get();
        self.paths.set([last, (address, checksum(path.as_os_str().as_bytes()))]);
        Ok(path)
    }

    /// The buffers of a vectored call.
    pub(super) fn load_vector(
        &self,
        id: ThreadId,
        address: u64,
        count: u64,
    ) -> Result<Vec<(u64, usize)>, Trouble> {
        if count > 1024 {
            return Err(Errno::EINVAL.into());
        }
        let bytes = self.load(id, address, count as usize * 16)?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let buffer = |i: usize| match word(16 * i + 8) {
            len if i64::try_from(len).is_ok() => Ok((word(16 * i), len as usize)),
            _ => Err(Errno::EINVAL.into()),
        };
        (0..count as usize).map(buffer).collect()
    }

    /// All bytes of a vector of buffers.
    pub(super) fn gather(&self, id: ThreadId, vector: &[(u64, usize)]) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        for &(address, len) in vector {
            let room = MOVE_MAX - bytes.len();
            bytes.extend(self.load(id, address, len.min(room))?);
        }
        Ok(bytes)
    }

    /// Spreads bytes over a vector of buffers.
    pub(super) fn scatter(
        &self,
        id: ThreadId,
        vector: &[(u64, usize)],
        mut bytes: &[u8],
    ) -> Result<(), Trouble> {
        for &(address, len) in vector {
            let (part, rest) = bytes.split_at(len.min(bytes.len()));
            self.store(id, address, part)?;
            bytes = rest;
            if bytes.is_empty() {
                break;
            }
        }
        Ok(())
    }
}
