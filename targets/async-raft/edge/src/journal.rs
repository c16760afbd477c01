//! A durable journal: one JSON record a line, only ever appended to.
//!
//! What was synced is read back at the next start, followed by what else reached the disk. At the first line
//! that is not whole and valid the journal is cut: power was lost there before the line was synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens the journal in `dir`, and makes both if they do not exist; also returns its records.
    ///
    /// # Errors
    ///
    /// The disk failed.
    pub fn open<R: DeserializeOwned>(dir: &Path) -> io::Result<(Journal, Vec<R>)> {
        fs::create_dir_all(dir)?;
        let path = dir.join("journal.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut records = Vec::new();
        let mut valid_bytes = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let Ok(record) = serde_json::from_slice(line) else { break };
            if line.last() != Some(&b'\n') {
                break;
            }
            records.push(record);
            valid_bytes += line.len();
        }
        if valid_bytes < bytes.len() {
            file.set_len(valid_bytes as u64)?;
        }
        file.sync_all()?;
        // The file's name is durable when its directory is.
        File::open(dir)?.sync_all()?;
        Ok((Journal { file }, records))
    }

    /// Appends a record that need not be durable yet.
    ///
    /// # Errors
    ///
    /// The disk failed; how much of the record is on it is unknown.
    pub fn append<R: Serialize>(&mut self, record: &R) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }

    /// Makes all records durable.
    ///
    /// # Errors
    ///
    /// The disk failed; which records are durable is unknown.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        for torn in ["", "\"thr", "\"three\"", "\0\0\0\0\n\"four\"\n"] {
            fs::write(&path, format!("\"one\"\n\"two\"\n{torn}")).unwrap();
            let (mut journal, records) = Journal::open::<String>(dir.path()).unwrap();
            assert_eq!(records, ["one", "two"], "{torn:?}");
            journal.append(&"three").unwrap();
            journal.sync().unwrap();
            assert_eq!(Journal::open::<String>(dir.path()).unwrap().1, ["one", "two", "three"], "{torn:?}");
        }
    }
}
