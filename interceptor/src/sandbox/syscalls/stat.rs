//! What is told of files: virtual inode numbers and times, sizes and modes as they are.

use crate::disk::{Disk, InodeKey};
use crate::sandbox::files::Kind;
use crate::sandbox::find::{Found, Named};
use crate::sandbox::guest::{Handled, Trouble, returns};
use crate::sandbox::home::PlaceUse;
use crate::sandbox::process_files::ProcessFile;
use crate::sandbox::task::{Call, ThreadId};
use crate::sandbox::{EPOCH_NS, Sandbox};
use nix::errno::Errno;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a guest is told, independent of the call's layout.
struct Facts {
    device: u64,
    inode: u64,
    mode: u32,
    links: u64,
    user: u32,
    group: u32,
    /// Of a device: which one.
    special: u64,
    size: u64,
    /// Blocks of 512 bytes that it holds.
    blocks: u64,
    time_ns: u64,
}

impl Sandbox {
    /// Where `file` is given, it is the file itself, open: its holes are looked for.
    fn facts(&mut self, id: ThreadId, metadata: &Metadata, path: &Path, file: Option<&File>) -> Facts {
        let size = if metadata.is_dir() { 4096 } else { metadata.len() };
        let held = file.filter(|_| metadata.is_file()).and_then(|file| Disk::blocks(file, metadata).ok());
        let node = self.thread(id).node;
        let own = self.home_of(id).own(path).map(|own| own.what);
        let disk = &mut self.nodes[node].disk;
        let key = InodeKey::of(metadata);
        let links = metadata.nlink().saturating_sub(disk.excess_links(key));
        let time_ns = match disk.inodes().mtime(key) {
            Some(at) => EPOCH_NS + at.0,
            // What is installed on the host is an input, as its content is: Python's byte code bears its source's time.
            None if metadata.is_file() && own.is_none() => {
                (metadata.mtime().max(0) as u64) * 1_000_000_000 + metadata.mtime_nsec().max(0) as u64
            }
            None => EPOCH_NS,
        };
        // Whose a file of the host is differs between machines, and between user namespaces.
        let (user, group) = match own {
            Some(PlaceUse::Disk | PlaceUse::Memory) => (metadata.uid(), metadata.gid()),
            _ => (0, 0),
        };
        Facts {
            device: 1,
            inode: disk.inodes_mut().number(key),
            mode: metadata.mode(),
            links: if metadata.is_dir() { 2 } else { links },
            user,
            group,
            special: metadata.rdev(),
            size,
            blocks: held.unwrap_or_else(|| size.div_ceil(4096) * 8),
            time_ns,
        }
    }

    fn facts_of_process_file(&mut self, id: ThreadId, file: &ProcessFile) -> Result<Facts, Trouble> {
        let mode = match file {
            ProcessFile::Directory(_) => libc::S_IFDIR | 0o555,
            ProcessFile::Link(_) => libc::S_IFLNK | 0o777,
            ProcessFile::File { .. } => libc::S_IFREG | 0o444,
            ProcessFile::Descriptor(process, fd) if *process == self.thread(id).process => {
                return self.facts_of_descriptor(id, *fd as u64);
            }
            ProcessFile::Descriptor(..) => return Err(Errno::EACCES.into()),
        };
        Ok(Facts { device: 3, inode: 1, mode, ..Facts::odd() })
    }

    fn facts_of_descriptor(&mut self, id: ThreadId, fd: u64) -> Result<Facts, Trouble> {
        let description = self.description(id, fd)?;
        let odd = |mode: u32| Facts { inode: u64::from(description.0), mode, ..Facts::odd() };
        let mut file = None;
        let (metadata, path) = match self.files.get(description).map(|d| &d.kind) {
            Some(Kind::Disk { reader, path, .. }) => {
                file = Some(reader.try_clone()?);
                (reader.metadata()?, path.clone())
            }
            Some(Kind::Directory { path, .. }) if self.is_of_process(path) => {
                return self.facts_of_process_file(id, &ProcessFile::Directory(path.clone()));
            }
            // What it says was made when it was opened.
            Some(Kind::Host { path }) if self.is_in_process(path) => {
                let mode = libc::S_IFREG | 0o444;
                return Ok(Facts { device: 3, inode: 1, mode, ..Facts::odd() });
            }
            Some(Kind::Directory { path, .. } | Kind::Host { path }) => {
                let copy = self.copy_of_descriptor(id, fd as i32)?;
                (std::fs::File::from(copy).metadata()?, path.clone())
            }
            Some(Kind::Socket(_)) => return Ok(odd(libc::S_IFSOCK | 0o777)),
            Some(Kind::Output { .. } | Kind::PipeRead(_) | Kind::PipeWrite(_)) => {
                return Ok(odd(libc::S_IFIFO | 0o600));
            }
            Some(Kind::Random) => {
                let special = crate::sandbox::system_files::RANDOM[1];
                return Ok(Facts { special, ..odd(libc::S_IFCHR | 0o666) });
            }
            Some(_) => return Ok(odd(0o600)),
            None => return Err(Errno::EBADF.into()),
        };
        Ok(self.facts(id, &metadata, &path, file.as_ref()))
    }

    pub(super) fn stat_path(&mut self, id: ThreadId, named: Named, to: u64, flags: u64) -> Handled {
        let facts = self.facts_at(id, named, flags)?;
        self.store(id, to, &facts.stat())?;
        returns(0)
    }

    fn facts_at(&mut self, id: ThreadId, named: Named, flags: u64) -> Result<Facts, Trouble> {
        let how = libc::AT_STATX_SYNC_TYPE | libc::AT_NO_AUTOMOUNT;
        super::only_known(flags, how | libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
        let mut name = if named.path == 0 { PathBuf::new() } else { self.load_path(id, named.path)? };
        if name.as_os_str().is_empty() {
            if flags & libc::AT_EMPTY_PATH as u64 == 0 {
                return Err(Errno::ENOENT.into());
            }
            if named.directory as i32 != libc::AT_FDCWD {
                return self.facts_of_descriptor(id, named.directory);
            }
            name = ".".into();
        }
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW as u64 == 0;
        match self.find_path(id, named.directory, &name, follow)? {
            Found::Spot(spot) => {
                let metadata = spot.metadata()?;
                // Only a file with holes is looked into.
                let sparse = metadata.is_file() && metadata.blocks() * 512 < metadata.len();
                let file = spot.on_disk().filter(|_| sparse).and_then(|path| File::open(path).ok());
                Ok(self.facts(id, &metadata, &spot.path, file.as_ref()))
            }
            Found::Process(file) => self.facts_of_process_file(id, &file),
        }
    }

    pub(super) fn stat_descriptor(&mut self, id: ThreadId, fd: u64, to: u64) -> Handled {
        let facts = self.facts_of_descriptor(id, fd)?;
        self.store(id, to, &facts.stat())?;
        returns(0)
    }

    pub(super) fn statx(&mut self, id: ThreadId, call: &Call) -> Handled {
        let [_, _, flags, mask, to, _] = call.args;
        if mask as u32 & libc::STATX__RESERVED as u32 != 0 {
            return Err(Errno::EINVAL.into());
        }
        let facts = self.facts_at(id, Named::at(call, 1), flags)?;
        self.store(id, to, &facts.statx())?;
        returns(0)
    }

    /// A file system of constant size, so that no program sees how full the host's is.
    pub(super) fn statfs(&mut self, id: ThreadId, call: &Call) -> Handled {
        const TMPFS_MAGIC: u64 = 0x0102_1994;
        if call.number == libc::SYS_fstatfs {
            self.description(id, call.args[0])?;
        } else if let Found::Spot(spot) = self.find(id, Named::of(call, 0), true)? {
            spot.metadata()?;
        }
        let blocks = self.config.limits.disk_max / 4096;
        let words = [
            TMPFS_MAGIC,
            4096,
            blocks,
            blocks / 2,
            blocks / 2,
            1 << 20,
            1 << 19,
            1,
            255,
            4096,
            0,
            0,
            0,
            0,
            0,
        ];
        self.store_words(id, call.args[1], &words)?;
        returns(0)
    }
}

impl Facts {
    /// Of what is in no directory.
    fn odd() -> Self {
        Self {
            device: 2,
            inode: 1,
            mode: 0o600,
            links: 1,
            user: 0,
            group: 0,
            special: 0,
            size: 0,
            blocks: 0,
            time_ns: EPOCH_NS,
        }
    }

    fn times(&self) -> (u64, u64) {
        (self.time_ns / 1_000_000_000, self.time_ns % 1_000_000_000)
    }

    /// `struct stat` of x86-64: 144 bytes.
    fn stat(&self) -> Vec<u8> {
        let (s, ns) = self.times();
        // mode and uid share a word, gid and padding the next.
        let words = [
            self.device,
            self.inode,
            self.links,
            u64::from(self.mode) | u64::from(self.user) << 32,
            u64::from(self.group),
            self.special,
            self.size,
            4096,
            self.blocks,
            s,
            ns,
            s,
            ns,
            s,
            ns,
            0,
            0,
            0,
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// `struct statx`: 256 bytes.
    fn statx(&self) -> Vec<u8> {
        let (s, ns) = self.times();
        let mut bytes = Vec::with_capacity(256);
        let u32s =
            |bytes: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        let u64s =
            |bytes: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        u32s(&mut bytes, &[libc::STATX_BASIC_STATS | libc::STATX_BTIME, 4096]);
        u64s(&mut bytes, &[0]);
        u32s(&mut bytes, &[self.links as u32, self.user, self.group, self.mode & 0xffff]);
        u64s(&mut bytes, &[self.inode, self.size, self.blocks, 0]);
        for _ in 0..4 {
            u64s(&mut bytes, &[s]);
            u32s(&mut bytes, &[ns as u32, 0]);
        }
        let special = [libc::major(self.special), libc::minor(self.special)];
        u32s(&mut bytes, &[special[0], special[1], 0, self.device as u32]);
        bytes.resize(256, 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;

    #[test]
    fn layouts_have_the_sizes_of_the_kernel() {
        let facts =
            Facts { inode: 7, mode: 0o100_644, size: 5, blocks: 8, time_ns: 1_500_000_000, ..Facts::odd() };
        let (stat, statx) = (facts.stat(), facts.statx());
        assert_eq!((stat.len(), statx.len()), (144, 256));
        let word = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        // st_ino, st_size, st_mtime; stx_ino, stx_size, stx_mtime.
        assert_eq!([word(&stat, 8), word(&stat, 48), word(&stat, 88)], [7, 5, 1]);
        // st_blocks, stx_blocks.
        assert_eq!([word(&stat, 64), word(&statx, 48)], [8, 8]);
        assert_eq!([word(&statx, 32), word(&statx, 40), word(&statx, 112)], [7, 5, 1]);
    }
}
