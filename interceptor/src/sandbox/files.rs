//! Descriptors: which numbers of a process stand for what.
//!
//! Numbers are the kernel's: a virtual object (a socket, say) holds a placeholder descriptor in the guest, so
//! that numbers, inheritance and close-on-exec are the kernel's own. What the number means is kept here.

use super::clock::ClockKind;
use super::epoll::Epoll;
use super::timers::{Beat, TimerId};
use crate::net::SocketId;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;

/// A table of descriptors; threads share one, forks copy it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilesId(pub u32);

/// An open file description (open(2)), shared by all numbers that were duplicated from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DescriptionId(pub u32);

/// A pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipeId(pub u32);

/// An open file description.
pub struct Description {
    /// Its node.
    pub node: usize,
    /// How many numbers stand for it.
    pub refs: u32,
    /// `O_NONBLOCK`.
    pub nonblocking: bool,
    /// Other status flags (`O_APPEND`, access mode).
    pub flags: i32,
    /// What it is.
    pub kind: Kind,
}

/// What a description is.
pub enum Kind {
    /// A socket of the virtual network.
    Socket(SocketId),
    /// An epoll instance.
    Epoll(Epoll),
    /// eventfd(2).
    Event {
        /// Its counter.
        count: u64,
        /// `EFD_SEMAPHORE`.
        semaphore: bool,
    },
    /// The end of a pipe that is read.
    PipeRead(PipeId),
    /// The end of a pipe that is written.
    PipeWrite(PipeId),
    /// timerfd_create(2).
    Timer(TimerDescriptor),
    /// signalfd(2): the signals it takes.
    Signals(u64),
    /// Standard output or standard error, captured.
    Output {
        /// Standard error.
        stderr: bool,
    },
    /// The node's stream of random bytes.
    Random,
    /// A regular file on the node's disk: a duplicate of the guest's description, and another one to read
    /// with, and its path when it was opened.
    Disk {
        /// Shares the guest's position and flags.
        file: File,
        /// Reads independently of it.
        reader: File,
        /// Path when it was opened.
        path: PathBuf,
        /// Each write is made durable (`O_SYNC`, `O_DSYNC`).
        synchronous: bool,
    },
    /// A directory: its path, the sorted listing once it was asked for, and the position in it.
    Directory {
        /// Path when it was opened.
        path: PathBuf,
        /// Serialised entries.
        entries: Option<Vec<Vec<u8>>>,
        /// Number of entries already read.
        position: usize,
    },
    /// Anything else of the host: its calls run natively.
    Host {
        /// Path when it was opened.
        path: PathBuf,
    },
}

/// State of a timer descriptor.
pub struct TimerDescriptor {
    /// The clock it follows.
    pub clock: ClockKind,
    /// When it expires.
    pub beat: Beat,
    /// Expirations nobody has read.
    pub expirations: u64,
    /// The pending timer; none while there are expirations to read.
    pub timer: Option<TimerId>,
}

/// A pipe.
pub struct Pipe {
    /// How many it holds (`F_SETPIPE_SZ`, fcntl(2)).
    pub capacity: usize,
    /// Bytes in it.
    pub bytes: VecDeque<u8>,
    /// The read end, while open.
    pub reader: Option<DescriptionId>,
    /// The write end, while open.
    pub writer: Option<DescriptionId>,
}

impl Pipe {
    /// Capacity in bytes of a new one (pipe(7)).
    const CAPACITY: usize = 65_536;
    /// The least that it can be, which is the unit, and the most.
    pub const CAPACITIES: std::ops::RangeInclusive<usize> = 4_096..=1 << 20;
    /// Writes up to this size are atomic (`PIPE_BUF`).
    pub const ATOMIC: usize = 4_096;
}

/// A number's meaning.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// What it stands for.
    pub description: DescriptionId,
    /// `FD_CLOEXEC`.
    pub close_on_exec: bool,
}

/// All descriptors of a run.
#[derive(Default)]
pub struct Files {
    tables: BTreeMap<FilesId, BTreeMap<i32, Slot>>,
    /// How many processes use a table.
    users: BTreeMap<FilesId, u32>,
    descriptions: BTreeMap<DescriptionId, Description>,
    /// Pipes by number.
    pub pipes: BTreeMap<PipeId, Pipe>,
    /// Which description a socket belongs to.
    pub sockets: BTreeMap<SocketId, DescriptionId>,
    next: u32,
}

impl Files {
    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// An empty table with one user.
    pub fn new_table(&mut self) -> FilesId {
        let id = FilesId(self.number());
        self.tables.insert(id, BTreeMap::new());
        self.users.insert(id, 1);
        id
    }

    /// Another process uses the same table (`CLONE_FILES`).
    pub fn share(&mut self, id: FilesId) -> FilesId {
        *self.users.entry(id).or_default() += 1;
        id
    }

    /// Whether several processes use the table.
    pub fn is_shared(&self, id: FilesId) -> bool {
        self.users.get(&id).is_some_and(|&users| users > 1)
    }

    /// A copy of the table for a fork.
    pub fn copy(&mut self, id: FilesId) -> FilesId {
        let slots = self.tables.get(&id).cloned().unwrap_or_default();
        for slot in slots.values() {
            if let Some(description) = self.descriptions.get_mut(&slot.description) {
                description.refs += 1;
            }
        }
        let copy = FilesId(self.number());
        self.tables.insert(copy, slots);
        self.users.insert(copy, 1);
        copy
    }

    /// A process leaves the table; the numbers to close when it was the last one.
    pub fn leave(&mut self, id: FilesId) -> Vec<i32> {
        let users = self.users.entry(id).or_default();
        *users = users.saturating_sub(1);
        if *users > 0 {
            return Vec::new();
        }
        self.tables.get(&id).map(|table| table.keys().copied().collect()).unwrap_or_default()
    }

    /// Forgets an unused table.
    pub fn drop_table(&mut self, id: FilesId) {
        if self.users.get(&id).is_none_or(|&users| users == 0) {
            self.tables.remove(&id);
            self.users.remove(&id);
        }
    }

    /// A new description that no number stands for yet.
    pub fn add(&mut self, node: usize, flags: i32, kind: Kind) -> DescriptionId {
        let id = DescriptionId(self.number());
        if let Kind::Socket(socket) = kind {
            self.sockets.insert(socket, id);
        }
        let nonblocking = flags & libc::O_NONBLOCK != 0;
        self.descriptions.insert(id, Description { node, refs: 0, nonblocking, flags, kind });
        id
    }

    /// A number of its own for a pipe.
    pub fn add_pipe(&mut self) -> PipeId {
        let id = PipeId(self.number());
        let pipe = Pipe { capacity: Pipe::CAPACITY, bytes: VecDeque::new(), reader: None, writer: None };
        self.pipes.insert(id, pipe);
        id
    }

    /// Lets `fd` stand for `description`; returns what it stood for before, if that is now unused.
    #[must_use]
    pub fn bind(
        &mut self,
        files: FilesId,
        fd: i32,
        id: DescriptionId,
        close_on_exec: bool,
    ) -> Option<Description> {
        if let Some(description) = self.descriptions.get_mut(&id) {
            description.refs += 1;
        }
        let slot = Slot { description: id, close_on_exec };
        let before = self.tables.entry(files).or_default().insert(fd, slot)?;
        self.release(before.description)
    }

    /// `fd` is closed; returns what it stood for, with its number, if that is now unused.
    #[must_use]
    pub fn unbind(&mut self, files: FilesId, fd: i32) -> Option<(DescriptionId, Description)> {
        let slot = self.tables.get_mut(&files)?.remove(&fd)?;
        let id = slot.description;
        self.release(id).map(|description| (id, description))
    }

    fn release(&mut self, id: DescriptionId) -> Option<Description> {
        let description = self.descriptions.get_mut(&id)?;
        description.refs = description.refs.saturating_sub(1);
        if description.refs > 0 {
            return None;
        }
        let description = self.descriptions.remove(&id)?;
        if let Kind::Socket(socket) = description.kind {
            self.sockets.remove(&socket);
        }
        Some(description)
    }

    /// What `fd` stands for.
    #[must_use]
    pub fn slot(&self, files: FilesId, fd: i32) -> Option<Slot> {
        self.tables.get(&files)?.get(&fd).copied()
    }

    /// The slot of `fd`, to change it.
    pub fn slot_mut(&mut self, files: FilesId, fd: i32) -> Option<&mut Slot> {
        self.tables.get_mut(&files)?.get_mut(&fd)
    }

    /// All numbers of a table with their slots, sorted.
    #[must_use]
    pub fn slots(&self, files: FilesId) -> Vec<(i32, Slot)> {
        self.tables.get(&files).map(|t| t.iter().map(|(&fd, &slot)| (fd, slot)).collect()).unwrap_or_default()
    }

    /// A description by its number.
    #[must_use]
    pub fn get(&self, id: DescriptionId) -> Option<&Description> {
        self.descriptions.get(&id)
    }

    /// A description, to change it.
    pub fn get_mut(&mut self, id: DescriptionId) -> Option<&mut Description> {
        self.descriptions.get_mut(&id)
    }

    /// All epoll instances of a run, to change them.
    pub fn epolls(&mut self) -> impl Iterator<Item = (DescriptionId, &mut Epoll)> {
        self.descriptions.iter_mut().filter_map(|(&id, description)| match &mut description.kind {
            Kind::Epoll(epoll) => Some((id, epoll)),
            _ => None,
        })
    }

    /// Instances that watch this description.
    pub fn epolls_that_watch(&self, watched: DescriptionId) -> impl Iterator<Item = DescriptionId> {
        let watches = move |description: &Description| match &description.kind {
            Kind::Epoll(epoll) => epoll.watched().any(|id| id == watched),
            _ => false,
        };
        self.descriptions.iter().filter(move |(_, description)| watches(description)).map(|(&id, _)| id)
    }

    /// All descriptions, to change them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = (DescriptionId, &mut Description)> {
        self.descriptions.iter_mut().map(|(&id, description)| (id, description))
    }

    /// Number of open descriptions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.descriptions.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_lives_until_its_last_number_is_closed() {
        let mut files = Files::default();
        let table = files.new_table();
        let id = files.add(0, libc::O_NONBLOCK, Kind::Random);
        assert!(files.bind(table, 3, id, false).is_none());
        assert!(files.bind(table, 7, id, true).is_none());
        let fork = files.copy(table);
        for (files_id, fd, last) in [(table, 3, false), (table, 7, false), (fork, 3, false), (fork, 7, true)]
        {
            assert_eq!(files.unbind(files_id, fd).is_some(), last, "{fd}");
        }
        assert_eq!(files.len(), 0);
    }

    #[test]
    fn a_number_that_is_taken_over_releases_what_it_stood_for() {
        let mut files = Files::default();
        let table = files.new_table();
        let (old, new) = (files.add(0, 0, Kind::Random), files.add(0, 0, Kind::Random));
        assert!(files.bind(table, 0, old, false).is_none());
        assert!(files.bind(table, 0, new, false).is_some());
        assert_eq!(files.slot(table, 0).map(|slot| slot.description), Some(new));
    }
}
