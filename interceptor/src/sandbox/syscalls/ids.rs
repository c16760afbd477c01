//! Whose a process is: its ids stay what they are.

use crate::sandbox::Sandbox;
use crate::sandbox::guest::{Handled, Trouble, returns};
use crate::sandbox::task::{Call, ThreadId};
use nix::errno::Errno;

/// An id that is to stay as it is (setresuid(2)).
const SAME: u32 = u32::MAX;

/// The ids of a thread.
struct Ids {
    /// Real, effective, saved, of files.
    users: Vec<u32>,
    groups: Vec<u32>,
    others: Vec<u32>,
}

impl Sandbox {
    fn ids(&self, id: ThreadId) -> Result<Ids, Trouble> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.thread(id).tid))?;
        let line = |name: &str| -> Vec<u32> {
            let rest = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            rest.split_ascii_whitespace().filter_map(|id| id.parse().ok()).collect()
        };
        Ok(Ids { users: line("Uid:"), groups: line("Gid:"), others: line("Groups:") })
    }

    /// The user that a thread acts for.
    pub(super) fn user(&self, id: ThreadId) -> Result<u32, Trouble> {
        Ok(self.ids(id)?.users.get(1).copied().unwrap_or_default())
    }

    /// Sets ids to what they are, which servers do that start as the user they are to run as; others are refused, for a
    /// node has one user.
    pub(super) fn set_ids(&mut self, id: ThreadId, call: &Call) -> Handled {
        let ids = self.ids(id)?;
        let (own, count) = match call.number {
            libc::SYS_setuid => (&ids.users, 1),
            libc::SYS_setgid => (&ids.groups, 1),
            libc::SYS_setreuid => (&ids.users, 2),
            libc::SYS_setregid => (&ids.groups, 2),
            libc::SYS_setresuid => (&ids.users, 3),
            _ => (&ids.groups, 3),
        };
        let wanted = call.args.iter().take(count).map(|id| *id as u32);
        // -1 is an id like any other where there is one only, and no valid one.
        let mut kept = wanted.map(|id| (id == SAME && count > 1) || own.iter().all(|own| *own == id));
        if count == 1 && call.args[0] as u32 == SAME {
            return Err(Errno::EINVAL.into());
        }
        if kept.all(|kept| kept) { returns(0) } else { Err(Errno::EPERM.into()) }
    }

    /// setfsuid(2), setfsgid(2): they return the id before and never fail.
    pub(super) fn set_file_id(&mut self, id: ThreadId, call: &Call) -> Handled {
        let ids = self.ids(id)?;
        let own = if call.number == libc::SYS_setfsuid { &ids.users } else { &ids.groups };
        returns(own.get(3).copied().unwrap_or_default())
    }

    /// setgroups(2): the groups that there are.
    pub(super) fn set_groups(&mut self, id: ThreadId, count: u64, list: u64) -> Handled {
        let ids = self.ids(id)?;
        if ids.users.get(1) != Some(&0) {
            return Err(Errno::EPERM.into());
        }
        if count > 65_536 {
            return Err(Errno::EINVAL.into());
        }
        let bytes = self.load(id, list, count as usize * 4)?;
        let mut wanted = bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
        let own = |group: u32| ids.groups.contains(&group) || ids.others.contains(&group);
        if wanted.all(own) { returns(0) } else { Err(Errno::EPERM.into()) }
    }
}
