//! futex(2), emulated: waiters are parked threads, wakes are ours, timeouts are virtual.

use crate::sandbox::guest::{Handled, Outcome, Trouble, returns};
use crate::sandbox::task::{Call, Key, ProcessId, State, Thread, ThreadId};
use crate::sandbox::{ClockKind, Deadline, Sandbox};
use crate::time::Span;
use nix::errno::Errno;

const ALL: u32 = u32::MAX;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;
/// More than this many robust futexes held by one thread are not looked at (the kernel's own bound).
const ROBUST_MAX: usize = 2048;
/// `struct robust_list_head`.
const ROBUST_HEAD_BYTES: u64 = 24;

/// What the kernel says of arguments, whatever the words hold: futex(2), EINVAL.
fn check_words(operation: i32, call: &Call) -> Result<(), Errno> {
    let [address, _, first, most, second, third] = call.args;
    let whole = |address: u64| address.is_multiple_of(4);
    let right = match operation {
        libc::FUTEX_WAIT | libc::FUTEX_WAKE => whole(address),
        libc::FUTEX_WAIT_BITSET | libc::FUTEX_WAKE_BITSET => whole(address) && third as u32 != 0,
        libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE => {
            whole(address) && whole(second) && first as i32 >= 0 && most as i32 >= 0
        }
        libc::FUTEX_WAKE_OP => whole(address) && whole(second),
        _ => true,
    };
    if right { Ok(()) } else { Err(Errno::EINVAL) }
}

impl Sandbox {
    fn memory(&self, id: ThreadId) -> ProcessId {
        self.process_of(id).memory
    }

    pub(super) fn futex(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [address, operation, value, timeout, second, third] = call.args;
        let value = value as u32;
        let realtime = operation as i32 & libc::FUTEX_CLOCK_REALTIME != 0;
        let private = operation as i32 & libc::FUTEX_PRIVATE_FLAG != 0;
        let operation = operation as i32 & !(libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME);
        check_words(operation, call)?;
        let key = |address| self.futex_key(id, address, private);
        match operation {
            libc::FUTEX_WAIT => {
                let until = self.relative(id, timeout)?;
                self.futex_wait(id, address, key(address)?, value, ALL, until)
            }
            libc::FUTEX_WAIT_BITSET => {
                let clock = if realtime { ClockKind::Realtime } else { ClockKind::Monotonic };
                let until = if timeout == 0 {
                    None
                } else {
                    let (s, ns) = self.load_pair(id, timeout)?;
                    Some(Deadline { clock, ns: super::span(s, ns)?.0 })
                };
                self.futex_wait(id, address, key(address)?, value, third as u32, until)
            }
            libc::FUTEX_WAKE => returns(self.futex_wake(key(address)?, value, ALL)),
            libc::FUTEX_WAKE_BITSET => returns(self.futex_wake(key(address)?, value, third as u32)),
            libc::FUTEX_REQUEUE => {
                let (from, to) = (key(address)?, key(second)?);
                self.requeue(from, value, timeout as u32, to)
            }
            libc::FUTEX_CMP_REQUEUE => {
                if self.thread(id).tid.read_u32(address)? != third as u32 {
                    return Err(Errno::EAGAIN.into());
                }
                let (from, to) = (key(address)?, key(second)?);
                self.requeue(from, value, timeout as u32, to)
            }
            libc::FUTEX_WAKE_OP if self.time.is_real() => self.wake_op_free(id, call),
            libc::FUTEX_WAKE_OP => {
                let keys = (key(address)?, key(second)?);
                self.wake_op(id, keys, value, timeout as u32, second, third as u32)
            }
            libc::FUTEX_LOCK_PI | libc::FUTEX_TRYLOCK_PI | libc::FUTEX_UNLOCK_PI | libc::FUTEX_LOCK_PI2 => {
                Err(Errno::ENOSYS.into())
            }
            _ => Err(Errno::ENOSYS.into()),
        }
    }

    /// A timeout counted from now, as a deadline; a call that comes again has its deadline already.
    fn relative(&self, id: ThreadId, timeout: u64) -> Result<Option<Deadline>, Trouble> {
        if timeout == 0 {
            return Ok(None);
        }
        let (seconds, nanoseconds) = self.load_pair(id, timeout)?;
        let Span(ns) = super::span(seconds, nanoseconds)?;
        let clock = ClockKind::Monotonic;
        let now = self.nodes[self.thread(id).node].clock.read(clock, self.now);
        Ok(Some(Deadline { clock, ns: now.saturating_add(ns) }))
    }

    /// What waits for a word wait for: its address, or its place in what several processes have mapped.
    fn futex_key(&self, id: ThreadId, address: u64, private: bool) -> Result<Key, Trouble> {
        let own = Key::Futex(self.memory(id), address);
        if private {
            return Ok(own);
        }
        let shared = crate::sandbox::maps::shared(self.thread(id).tid)?;
        let place =
            shared.iter().find_map(|mapping| Some((mapping, mapping.bytes(&(address..address + 1))?)));
        Ok(place.map_or(own, |(mapping, bytes)| Key::SharedFutex(mapping.key.ino, bytes.start)))
    }

    fn futex_wait(
        &mut self,
        id: ThreadId,
        address: u64,
        key: Key,
        value: u32,
        bitset: u32,
        until: Option<Deadline>,
    ) -> Handled {
        if self.thread(id).woken {
            return returns(0);
        }
        let waits = self.thread(id).call.is_some();
        if !waits && self.thread(id).tid.read_u32(address)? != value {
            return Err(Errno::EAGAIN.into());
        }
        if let Some(until) = until
            && self.timed_out_at(id, until)
        {
            return Err(Errno::ETIMEDOUT.into());
        }
        self.thread_mut(id).bitset = bitset;
        Ok(Outcome::Park(vec![key]))
    }

    /// Wakes up to `max` threads that wait for the word, in the order of their creation.
    pub(in crate::sandbox) fn futex_wake(&mut self, key: Key, max: u32, bits: u32) -> u32 {
        let mut woken = 0;
        for thread in self.threads.values_mut() {
            if woken == max {
                break;
            }
            if matches!(&thread.state, State::Parked(keys) if keys.contains(&key))
                && thread.bitset & bits != 0
            {
                thread.state = State::Retry;
                thread.woken = true;
                woken += 1;
            }
        }
        woken
    }

    fn requeue(&mut self, from: Key, wake: u32, max: u32, to: Key) -> Handled {
        let woken = self.futex_wake(from, wake, ALL);
        let mut moved = 0;
        for thread in self.threads.values_mut() {
            if moved == max {
                break;
            }
            if let State::Parked(keys) = &mut thread.state
                && keys.contains(&from)
            {
                *keys = vec![to];
                moved += 1;
            }
        }
        returns(woken + moved)
    }

    fn wake_op(
        &mut self,
        id: ThreadId,
        keys: (Key, Key),
        wake: u32,
        wake_second: u32,
        second: u64,
        op: u32,
    ) -> Handled {
        let tid = self.thread(id).tid;
        let old = tid.read_u32(second)?;
        let argument = (op << 8) as i32 >> 20;
        let argument = if op & 0x8000_0000 != 0 { 1 << (argument & 31) } else { argument };
        let against = (op << 20) as i32 >> 20;
        let new = match op >> 28 & 7 {
            0 => argument as u32,
            1 => old.wrapping_add(argument as u32),
            2 => old | argument as u32,
            3 => old & !(argument as u32),
            4 => old ^ argument as u32,
            _ => return Err(Errno::ENOSYS.into()),
        };
        tid.write(second, &new.to_le_bytes())?;
        let signed = old as i32;
        let also = match op >> 24 & 15 {
            0 => signed == against,
            1 => signed != against,
            2 => signed < against,
            3 => signed <= against,
            4 => signed > against,
            5 => signed >= against,
            _ => return Err(Errno::ENOSYS.into()),
        };
        let mut woken = self.futex_wake(keys.0, wake, ALL);
        if also {
            woken += self.futex_wake(keys.1, wake_second, ALL);
        }
        returns(woken)
    }

    /// As [`Self::wake_op`] beside threads that run free: the kernel changes the second word, for it alone can do so at
    /// once. What the word was is not told, so those who wait for it are woken in any case, as they may be (futex(2)).
    fn wake_op_free(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [address, operation, wake, wake_second, second, op] = call.args;
        let private = operation as i32 & libc::FUTEX_PRIVATE_FLAG != 0;
        let keys = (self.futex_key(id, address, private)?, self.futex_key(id, second, private)?);
        let Some(result) = self.run_instead(id, call, call.number, [address, operation, 0, 0, second, op])?
        else {
            return Ok(Outcome::Gone);
        };
        if result < 0 {
            return Ok(Outcome::Ran(result));
        }
        let woken =
            self.futex_wake(keys.0, wake as u32, ALL) + self.futex_wake(keys.1, wake_second as u32, ALL);
        self.set_result(id, i64::from(woken))?;
        Ok(Outcome::Ran(i64::from(woken)))
    }

    pub(super) fn set_tid_address(&mut self, id: ThreadId, address: u64) -> Handled {
        let vtid = self.thread(id).vtid;
        self.thread_mut(id).clear_tid = address;
        // The kernel's own copy must follow, for it is the kernel that writes the zero.
        Ok(match self.run_call(id)? {
            Some(_) => {
                let tid = self.thread(id).tid;
                let mut registers = tid.registers()?;
                registers.set_result(i64::from(vtid));
                tid.set_registers(&registers)?;
                Outcome::Ran(i64::from(vtid))
            }
            None => Outcome::Gone,
        })
    }

    pub(super) fn get_robust_list(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [number, head, size, ..] = call.args;
        let node = self.thread(id).node;
        let is_meant = |t: &Thread| t.node == node && t.vtid == number as i32;
        let thread = if number as i32 == 0 {
            Some(self.thread(id))
        } else {
            self.threads.values().find(|thread| is_meant(thread))
        };
        let list = thread.ok_or(Errno::ESRCH)?.robust_list;
        self.store_words(id, size, &[ROBUST_HEAD_BYTES])?;
        self.store_words(id, head, &[list])?;
        returns(0)
    }

    pub(super) fn set_robust_list(&mut self, id: ThreadId, head: u64, size: u64) -> Handled {
        if size != ROBUST_HEAD_BYTES {
            return Err(Errno::EINVAL.into());
        }
        self.thread_mut(id).robust_list = head;
        returns(0)
    }

    /// A thread ends while it holds robust mutexes: marks them, and wakes one waiter of each. The kernel
    /// cannot, for the owner in the word is a virtual id.
    pub(super) fn release_robust_futexes(&mut self, id: ThreadId) -> Result<(), Trouble> {
        let head = self.thread(id).robust_list;
        if head == 0 {
            return Ok(());
        }
        let (tid, vtid) = (self.thread(id).tid, self.thread(id).vtid as u32);
        let Ok(offset) = tid.read_u64(head.wrapping_add(8)) else { return Ok(()) };
        let mut held = vec![tid.read_u64(head.wrapping_add(16)).unwrap_or(0)];
        let mut entry = tid.read_u64(head).unwrap_or(0);
        while entry & !1 != head && entry != 0 && held.len() < ROBUST_MAX {
            held.push(entry);
            entry = tid.read_u64(entry & !1).unwrap_or(0);
        }
        for lock in held.into_iter().filter(|&lock| lock != 0) {
            let word = (lock & !1).wrapping_add(offset);
            if let Ok(value) = tid.read_u32(word)
                && value & TID_MASK == vtid
            {
                tid.write(word, &(value & !TID_MASK | OWNER_DIED).to_le_bytes())?;
                let key = self.futex_key(id, word, false)?;
                self.futex_wake(key, 1, ALL);
            }
        }
        Ok(())
    }
}
