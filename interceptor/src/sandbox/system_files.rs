//! What guests find in /proc, /sys and /dev: an observed list is replaced by constants, random devices by the
//! node's stream, and what else is read there is listed as a leak by its name.

use super::Error;
use super::syscalls::MEMORY_BYTES;
use std::path::{Path, PathBuf};

/// The directory of the room that holds the replacements.
pub const DIRECTORY: &str = ".system";

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file like any other.
    Ordinary,
    /// A source of randomness.
    Random,
    /// A file with constant contents, by its name in [`DIRECTORY`].
    Replaced(&'static str),
    /// Not there for guests.
    Missing,
    /// The host's own; what it says may differ between runs or machines.
    Leak,
}

/// Files with constant contents: path, name of the replacement, contents.
const REPLACED: &[(&str, &str, &str)] = &[
    (
        "/proc/cpuinfo",
        "cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: virtual\ncpu cores\t: 1\nflags\t\t: fpu sse2\n\n",
    ),
    (
        "/proc/stat",
        "stat",
        "cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 100 0 100 1000 0 0 0 0 0 0\nctxt 1000\nbtime 1699990000\nprocesses 100\n",
    ),
    ("/proc/loadavg", "loadavg", "0.00 0.00 0.00 1/64 100\n"),
    ("/proc/uptime", "uptime", "1000.00 1000.00\n"),
    ("/proc/version", "version", "Linux version 6.1.0\n"),
    (
        "/proc/self/stat",
        "self-stat",
        "1 (node) R 0 1 1 0 -1 4194304 100 0 0 0 10 10 0 0 20 0 1 0 100 10000000 1000 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
    ),
    (
        "/proc/self/status",
        "self-status",
        "Name:\tnode\nState:\tR (running)\nTgid:\t1\nPid:\t1\nPPid:\t0\nVmRSS:\t10000 kB\nThreads:\t1\n",
    ),
    (
        "/proc/self/smaps",
        "self-smaps",
        "00400000-007d0000 rw-p 00000000 00:00 0 \nSize:               4000 kB\nRss:                4000 kB\nPrivate_Dirty:      1000 kB\n",
    ),
    ("/proc/self/statm", "self-statm", "2500 1000 500 100 0 500 0\n"),
    ("/proc/self/cgroup", "cgroup", "0::/\n"),
    ("/proc/self/mountinfo", "mountinfo", "1 0 0:1 / / rw - rootfs rootfs rw\n"),
    (
        "/proc/self/limits",
        "limits",
        "Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1024                 files     \n",
    ),
    ("/proc/sys/vm/overcommit_memory", "overcommit", "0\n"),
    ("/proc/sys/vm/max_map_count", "max-map-count", "65530\n"),
    ("/proc/sys/net/core/somaxconn", "somaxconn", "4096\n"),
    ("/proc/sys/kernel/osrelease", "osrelease", "6.1.0\n"),
    ("/proc/sys/kernel/pid_max", "pid-max", "32768\n"),
    ("/proc/sys/kernel/random/boot_id", "boot-id", "00000000-0000-4000-8000-000000000001\n"),
    ("/proc/sys/kernel/random/uuid", "uuid", "00000000-0000-4000-8000-000000000002\n"),
    ("/sys/devices/system/clocksource/clocksource0/current_clocksource", "clocksource", "tsc\n"),
    ("/sys/devices/system/cpu/online", "cpus", "0\n"),
    ("/sys/devices/system/cpu/possible", "cpus", "0\n"),
    ("/sys/kernel/mm/transparent_hugepage/enabled", "hugepages", "always madvise [never]\n"),
    ("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "hugepage-size", "2097152\n"),
    ("/etc/resolv.conf", "resolv-conf", "options timeout:1 attempts:1\n"),
    (
        "/etc/hosts",
        "hosts",
        "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 n1\n10.0.0.2 n2\n10.0.0.3 n3\n10.0.0.4 n4\n10.0.0.5 n5\n10.0.0.6 n6\n10.0.0.7 n7\n",
    ),
    ("/etc/nsswitch.conf", "nsswitch", "passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/localtime", "localtime", "UTC0\n"),
];

/// What there is that says nothing of the run: memory maps are constant, devices are what they are.
const ORDINARY: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/proc/self/exe", "/proc/self/fd", "/proc/self/maps"];

/// Classifies a path a guest names.
#[must_use]
pub fn place(path: &Path) -> Place {
    let Some(text) = path.to_str() else { return Place::Ordinary };
    if ["/dev/random", "/dev/urandom"].contains(&text) {
        return Place::Random;
    }
    if text == "/proc/meminfo" {
        return Place::Replaced("meminfo");
    }
    if let Some((_, name, _)) = REPLACED.iter().find(|(from, ..)| *from == text) {
        return Place::Replaced(name);
    }
    if text.starts_with("/sys/fs/cgroup")
        || text.starts_with("/var/run/nscd")
        || text.starts_with("/run/nscd")
        || process_named(text).is_some()
    {
        return Place::Missing;
    }
    let system = ["/proc/", "/sys/", "/dev/"].iter().any(|prefix| text.starts_with(prefix));
    if !system || ORDINARY.iter().any(|known| text == *known || text.starts_with("/proc/self/fd/")) {
        return Place::Ordinary;
    }
    Place::Leak
}

/// The path as a process numbered `vpid` means it: what it calls by its own number is its own. Other numbers are none
/// of the host's: [`Place::Missing`].
#[must_use]
pub fn own(path: &Path, vpid: i32) -> PathBuf {
    match path.to_str().and_then(process_named) {
        Some((number, rest)) if number == vpid => Path::new("/proc/self").join(rest),
        _ => path.to_path_buf(),
    }
}

/// The number in `/proc/NUMBER/REST`, and the rest.
fn process_named(text: &str) -> Option<(i32, &str)> {
    let text = text.strip_prefix("/proc/")?;
    let (number, rest) = text.split_once('/').unwrap_or((text, ""));
    number.parse().ok().map(|number| (number, rest))
}

/// Writes the replacements into the room.
pub fn prepare(room: &Path) -> Result<(), Error> {
    let directory = room.join(DIRECTORY);
    if directory.is_dir() {
        return Ok(());
    }
    let failed = |source| Error::Io { what: format!("cannot prepare {}", directory.display()), source };
    std::fs::create_dir_all(&directory).map_err(failed)?;
    for (_, name, contents) in REPLACED {
        std::fs::write(directory.join(name), contents).map_err(failed)?;
    }
    let kb = MEMORY_BYTES / 1024;
    let meminfo =
        format!("MemTotal: {kb} kB\nMemFree: {} kB\nMemAvailable: {} kB\nSwapTotal: 0 kB\n", kb / 2, kb / 2);
    std::fs::write(directory.join("meminfo"), meminfo).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let places = [
            "/dev/urandom",
            "/proc/cpuinfo",
            "/sys/fs/cgroup/cpu.max",
            "/proc/self/io",
            "/dev/null",
            "/srv/n1/log",
            "/proc/12/stat",
        ]
        .map(|path| place(Path::new(path)));
        use Place::{Leak, Missing, Ordinary, Random, Replaced};
        assert_eq!(places, [Random, Replaced("cpuinfo"), Missing, Leak, Ordinary, Ordinary, Missing]);
    }

    #[test]
    fn a_process_finds_itself_by_its_number() {
        assert_eq!(own(Path::new("/proc/7/stat"), 7), Path::new("/proc/self/stat"));
        assert_eq!(own(Path::new("/proc/7/stat"), 8), Path::new("/proc/7/stat"));
        assert_eq!(own(Path::new("/proc/sys/vm"), 7), Path::new("/proc/sys/vm"));
    }
}
