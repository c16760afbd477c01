//! What a process has mapped, as `/proc/PID/maps` tells it (proc(5)).

use crate::disk::InodeKey;
use std::ops::Range;
use tracer::Tid;

/// A mapping that its processes share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// Its addresses.
    pub addresses: Range<u64>,
    /// It can be stored to now.
    pub writable: bool,
    /// Where in the file it begins.
    pub offset: u64,
    /// The file.
    pub key: InodeKey,
}

impl Shared {
    /// The bytes of the file that lie at `addresses`, if any do.
    pub fn bytes(&self, addresses: &Range<u64>) -> Option<Range<u64>> {
        let start = self.addresses.start.max(addresses.start);
        let end = self.addresses.end.min(addresses.end);
        let place = |address: u64| self.offset + (address - self.addresses.start);
        (start < end).then(|| place(start)..place(end))
    }
}

/// The shared mappings of a thread's process, in the order of their addresses.
pub fn shared(thread: Tid) -> std::io::Result<Vec<Shared>> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/maps"))?;
    Ok(text.lines().filter_map(parse).collect())
}

/// The addresses of the kernel's own vDSO and of what it reads, in the process of a thread that has just begun a program.
pub fn of_kernel(thread: Tid) -> std::io::Result<Vec<Range<u64>>> {
    let text = std::fs::read_to_string(format!("/proc/{thread}/maps"))?;
    let lines = text.lines().filter(|line| line.contains("[vvar") || line.ends_with("[vdso]"));
    Ok(lines.filter_map(addresses).collect())
}

fn addresses(line: &str) -> Option<Range<u64>> {
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, end) = line.split_ascii_whitespace().next()?.split_once('-')?;
    Some(hex(start)?..hex(end)?)
}

/// A line if it is a shared mapping: `from-to rw-s offset device inode path`.
fn parse(line: &str) -> Option<Shared> {
    let addresses = addresses(line)?;
    let mut fields = line.split_ascii_whitespace().skip(1);
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let flags = fields.next()?;
    if !flags.ends_with('s') {
        return None;
    }
    let offset = hex(fields.next()?)?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let dev = nix::sys::stat::makedev(hex(major)?, hex(minor)?);
    let ino = fields.next()?.parse().ok()?;
    Some(Shared { addresses, writable: flags.contains('w'), offset, key: InodeKey { dev, ino } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(flags: &str) -> String {
        format!("7ffff7fbf000-7ffff7fc0000 rw-{flags} 00002000 fe:01 31 /srv/n1/data")
    }

    #[test]
    fn only_shared_mappings_are_told() {
        assert_eq!(parse(&line("p")), None);
        let mapping = parse(&line("s")).unwrap();
        assert_eq!((mapping.offset, mapping.key.ino, mapping.writable), (0x2000, 31, true));
        assert_eq!(nix::sys::stat::major(mapping.key.dev), 0xfe);
    }

    #[test]
    fn addresses_lie_somewhere_in_the_file() {
        let mapping = parse(&line("s")).unwrap();
        let start = mapping.addresses.start;
        assert_eq!(mapping.bytes(&(start + 16..start + 32)), Some(0x2010..0x2020));
        assert_eq!(mapping.bytes(&(0..u64::MAX)), Some(0x2000..0x3000));
        assert_eq!(mapping.bytes(&(mapping.addresses.end..u64::MAX)), None);
    }
}
