//! Calls that the tracer makes in a guest's name, right after exec.

use crate::{Error, Registers, Stop, Tid, wait_for};

/// A thread at its exec stop that runs calls for the tracer before its own first instruction.
pub struct Injection {
    tid: Tid,
    saved: Registers,
    word: u64,
    /// The signals it blocks; meanwhile it blocks all.
    mask: u64,
}

/// `syscall`, and a trap in case it is ever run past.
const SYSCALL: u64 = 0xcc_050f;

impl Injection {
    /// Takes over a thread that stands at its exec stop.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn after_exec(tid: Tid) -> Result<Self, Error> {
        to_stop(tid, Stop::AfterCall)?;
        let mask = tid.blocked_signals()?;
        tid.set_blocked_signals(u64::MAX)?;
        let saved = tid.registers()?;
        let word = tid.read_u64(saved.0.rip)?;
        tid.poke(saved.0.rip, (word & !0xff_ffff) | SYSCALL)?;
        Ok(Self { tid, saved, word, mask })
    }

    /// The stack pointer the program starts with: the vectors of arguments, environment and auxiliary values
    /// lie above it, room for scratch below.
    #[must_use]
    pub fn stack_pointer(&self) -> u64 {
        self.saved.0.rsp
    }

    /// Makes one call; the result is as the kernel returned it.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn call(&mut self, number: i64, arguments: [u64; 6]) -> Result<i64, Error> {
        let mut registers = self.saved;
        registers.replace_call(-1, arguments);
        registers.set_result(number);
        self.tid.set_registers(&registers)?;
        // The stop before the call, then the filter's if it has one for it, then the stop after.
        to_stop(self.tid, Stop::AfterCall)?;
        if next_stop(self.tid)? == Stop::BeforeCall {
            to_stop(self.tid, Stop::AfterCall)?;
        }
        Ok(self.tid.registers()?.result())
    }

    /// Gives the thread back as it was; it stands before its first instruction.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn finish(self) -> Result<(), Error> {
        self.tid.poke(self.saved.0.rip, self.word)?;
        self.tid.set_blocked_signals(self.mask)?;
        self.tid.set_registers(&self.saved)
    }
}

fn to_stop(tid: Tid, wanted: Stop) -> Result<(), Error> {
    if next_stop(tid)? == wanted {
        return Ok(());
    }
    Err(Error::Call { call: "making a call in a guest", tid: tid.0, source: nix::errno::Errno::ESRCH })
}

/// Lets it go on to its next stop of its own; that somebody wanted to interrupt it is forgotten.
fn next_stop(tid: Tid) -> Result<Stop, Error> {
    loop {
        tid.resume_to_exit_of_call(0)?;
        match wait_for(tid)? {
            Stop::Fresh => {}
            stop => return Ok(stop),
        }
    }
}
