//! The data directory, and files that are replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::entry::{NodeId, Snapshot, Term};

/// A data directory, held open to be fsynced.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
    syncs: bool,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    term: Term,
    vote: NodeId,
}

impl Directory {
    /// Opens the directory, creating it durably if needed; `syncs`: renames in it are made durable.
    pub fn open(path: &Path, syncs: bool) -> Result<Directory, StoreError> {
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(|source| failure("create", path, source))?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let synced = File::open(parent).and_then(|handle| handle.sync_all());
            synced.map_err(|source| failure("fsync", parent, source))?;
        }
        let handle = File::open(path).map_err(|source| failure("open", path, source))?;
        Ok(Directory { path: path.to_owned(), handle, syncs })
    }

    /// A file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Puts a file with these bytes in place of `name`, durably, and returns it open.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<File, StoreError> {
        let (path, aside) = (self.path(name), self.path(&format!("{name}.new")));
        let mut file = File::create(&aside).map_err(|source| failure("create", &aside, source))?;
        if !bytes.is_empty() {
            file.write_all(bytes).map_err(|source| failure("write", &aside, source))?;
        }
        file.sync_all().map_err(|source| failure("fsync", &aside, source))?;
        fs::rename(&aside, &path).map_err(|source| failure("rename to", &path, source))?;
        if self.syncs {
            self.handle.sync_all().map_err(|source| failure("fsync", &self.path, source))?;
        }
        Ok(file)
    }

    /// Term and vote; zeros if the node is new.
    pub fn read_meta(&self) -> Result<(Term, NodeId), StoreError> {
        Ok(self.read_checked::<Meta>("meta")?.map_or((0, 0), |meta| (meta.term, meta.vote)))
    }

    /// Replaces term and vote.
    pub fn write_meta(&self, term: Term, vote: NodeId) -> Result<(), StoreError> {
        self.write_checked("meta", &Meta { term, vote })
    }

    /// The snapshot, if there is one.
    pub fn read_snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        self.read_checked("snapshot")
    }

    /// Replaces the snapshot.
    pub fn write_snapshot(&self, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.write_checked("snapshot", snapshot)
    }

    /// A checked file is the CRC-32 of its JSON in hexadecimal, a line feed, and the JSON.
    fn write_checked(&self, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
        let json = serde_json::to_vec(value).expect("stored values are plain data");
        let mut bytes = format!("{:08x}\n", crc32fast::hash(&json)).into_bytes();
        bytes.extend_from_slice(&json);
        self.replace(name, &bytes).map(drop)
    }

    fn read_checked<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let path = self.path(name);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        // Replaced files are whole or not there: damage is never the work of a crash.
        let damaged = |why: &str| StoreError::Damaged { path: path.clone(), why: why.to_owned() };
        let (sum, json) = bytes.split_at_checked(9).ok_or_else(|| damaged("it is too short"))?;
        if sum != format!("{:08x}\n", crc32fast::hash(json)).as_bytes() {
            return Err(damaged("its checksum does not match"));
        }
        serde_json::from_slice(json).map(Some).map_err(|error| damaged(&error.to_string()))
    }
}

/// The bytes of a file; `None` if there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failure("read", path, source)),
    }
}

pub(super) fn failure(what: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { what, path: path.to_owned(), source }
}
