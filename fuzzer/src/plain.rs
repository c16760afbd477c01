//! Plain files, read up to a limit: what a user names may be anything, and of any length.

use std::fs::{File, OpenOptions, symlink_metadata};
use std::io::{Error, Read, Result};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// A text of at most `max` bytes.
///
/// # Errors
/// What is no plain file by what it is; a longer file with the limit; what is no UTF-8 with its place.
pub fn text(path: &Path, max: usize) -> Result<String> {
    String::from_utf8(bytes(path, max)?).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..good];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Error::other(format!("line {line}: the byte {:#04x} is no UTF-8", error.as_bytes()[good]))
    })
}

/// The content of at most `max` bytes.
///
/// # Errors
/// As [`text`].
pub fn bytes(path: &Path, max: usize) -> Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= max as u64 {
        file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    }
    if length > max as u64 || bytes.len() > max {
        let length = length.max(bytes.len() as u64);
        return Err(Error::other(format!("it is {length} bytes long, and at most {max} are read")));
    }
    Ok(bytes)
}

/// Opens a plain file. Nothing else is waited for.
fn open(path: &Path) -> Result<File> {
    if let Some(what) = other(path)? {
        return Err(Error::other(format!("it is {what}, and no plain file")));
    }
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::other("it is no plain file"));
    }
    Ok(file)
}

/// What a path leads to, if that is no plain file.
///
/// # Errors
/// It leads nowhere; a link that does is named as one.
pub fn other(path: &Path) -> Result<Option<&'static str>> {
    let kind = match std::fs::metadata(path) {
        Ok(found) => found.file_type(),
        Err(error) => {
            let is_link = symlink_metadata(path).is_ok_and(|found| found.is_symlink());
            return Err(match std::fs::read_link(path) {
                Ok(to) if is_link && error.kind() == std::io::ErrorKind::NotFound => {
                    Error::other(format!("it is a link to {}, which is not there", to.display()))
                }
                _ => error,
            });
        }
    };
    let kinds = [
        (kind.is_dir(), "a directory"),
        (kind.is_char_device(), "a character device"),
        (kind.is_block_device(), "a block device"),
        (kind.is_fifo(), "a named pipe"),
        (kind.is_socket(), "a socket"),
        (!kind.is_file(), "something else"),
    ];
    Ok(kinds.into_iter().find(|(is_it, _)| *is_it).map(|(_, what)| what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_plain_files_are_read_and_only_up_to_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let told = |name: &str| text(&at(name), 10).unwrap_err().to_string();
        std::fs::write(at("ten"), "0123456789").unwrap();
        symlink(at("ten"), at("link")).unwrap();
        assert_eq!(
            (text(&at("ten"), 10).unwrap(), text(&at("link"), 10).unwrap().len()),
            ("0123456789".into(), 10)
        );
        std::fs::write(at("long"), "0123456789a").unwrap();
        assert_eq!(told("long"), "it is 11 bytes long, and at most 10 are read");
        std::fs::write(at("bytes"), b"a\nb\xff").unwrap();
        assert_eq!(told("bytes"), "line 2: the byte 0xff is no UTF-8");
        std::fs::create_dir(at("directory")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        assert_eq!(told("directory"), "it is a directory, and no plain file");
        assert_eq!(told("pipe"), "it is a named pipe, and no plain file");
        assert_eq!(told("socket"), "it is a socket, and no plain file");
        assert_eq!(told("device"), "it is a character device, and no plain file");
        assert!(told("dangling").ends_with("nowhere, which is not there"), "{}", told("dangling"));
        // Files of the kernel say that they are empty.
        assert!(
            bytes(Path::new("/proc/self/maps"), 10).unwrap_err().to_string().starts_with("it is 11 bytes")
        );
    }
}
