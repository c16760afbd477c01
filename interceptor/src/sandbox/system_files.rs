//! What guests find in /proc, /sys, /dev and /etc that is the same for all of them: files with constant contents, links,
//! and the few devices that are carried. What /proc says of processes is in `process_files.rs`.

use super::Error;
use super::syscalls::MEMORY_BYTES;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The directory of the room that holds them.
pub const DIRECTORY: &str = ".system";

/// Devices that are the host's: what they say is the same everywhere. Random ones are answered by the node's stream.
pub const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// The numbers of the devices that give random bytes (mem(4)).
pub const RANDOM: [u64; 2] = [libc::makedev(1, 8), libc::makedev(1, 9)];

/// Directories that are there for others to be put over, or because programs look for them.
const DIRECTORIES: &[&str] =
    &["proc/.passing", "proc/sys", "proc/tty", "sys/devices/system/cpu", "dev/shm", "etc"];

/// Links: where they are, and where they lead.
const LINKS: &[(&str, &str)] = &[
    ("proc/mounts", "self/mounts"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
];

/// Files with constant contents.
const FILES: &[(&str, &str)] = &[
    (
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: virtual\ncpu cores\t: 1\nflags\t\t: fpu sse2\n\n",
    ),
    (
        "proc/stat",
        "cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 100 0 100 1000 0 0 0 0 0 0\nctxt 1000\nbtime 1699990000\nprocesses 100\n",
    ),
    ("proc/loadavg", "0.00 0.00 0.00 1/64 100\n"),
    ("proc/uptime", "1000.00 1000.00\n"),
    ("proc/version", "Linux version 6.1.0\n"),
    ("proc/cmdline", "\n"),
    ("proc/filesystems", "nodev\tproc\nnodev\tsysfs\nnodev\ttmpfs\n\text4\n"),
    ("proc/diskstats", ""),
    ("proc/partitions", ""),
    ("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    ("proc/vmstat", "nr_free_pages 262144\npgfault 1000\npgmajfault 0\npswpin 0\npswpout 0\n"),
    ("proc/sys/fs/aio-max-nr", "65536\n"),
    ("proc/sys/fs/file-max", "9223372036854775807\n"),
    ("proc/sys/fs/nr_open", "1048576\n"),
    ("proc/sys/fs/pipe-max-size", "1048576\n"),
    ("proc/sys/kernel/cap_last_cap", "40\n"),
    ("proc/sys/kernel/core_pattern", "core\n"),
    // A place for the node's own.
    ("proc/sys/kernel/hostname", "\n"),
    ("proc/sys/kernel/msgmax", "8192\n"),
    ("proc/sys/kernel/ngroups_max", "65536\n"),
    ("proc/sys/kernel/numa_balancing", "0\n"),
    ("proc/sys/kernel/osrelease", "6.1.0\n"),
    ("proc/sys/kernel/ostype", "Linux\n"),
    ("proc/sys/kernel/pid_max", "32768\n"),
    ("proc/sys/kernel/random/boot_id", "00000000-0000-4000-8000-000000000001\n"),
    ("proc/sys/kernel/random/entropy_avail", "256\n"),
    ("proc/sys/kernel/random/poolsize", "256\n"),
    ("proc/sys/kernel/random/uuid", "00000000-0000-4000-8000-000000000002\n"),
    ("proc/sys/kernel/randomize_va_space", "0\n"),
    ("proc/sys/kernel/sem", "32000\t1024000000\t500\t32000\n"),
    ("proc/sys/kernel/shmall", "18446744073692774399\n"),
    ("proc/sys/kernel/shmmax", "18446744073692774399\n"),
    ("proc/sys/kernel/shmmni", "4096\n"),
    ("proc/sys/kernel/tainted", "0\n"),
    ("proc/sys/kernel/threads-max", "31000\n"),
    ("proc/sys/net/core/netdev_max_backlog", "1000\n"),
    ("proc/sys/net/core/rmem_default", "212992\n"),
    ("proc/sys/net/core/rmem_max", "212992\n"),
    ("proc/sys/net/core/somaxconn", "4096\n"),
    ("proc/sys/net/core/wmem_default", "212992\n"),
    ("proc/sys/net/core/wmem_max", "212992\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    ("proc/sys/net/ipv4/tcp_fin_timeout", "60\n"),
    ("proc/sys/net/ipv4/tcp_keepalive_intvl", "75\n"),
    ("proc/sys/net/ipv4/tcp_keepalive_probes", "9\n"),
    ("proc/sys/net/ipv4/tcp_keepalive_time", "7200\n"),
    ("proc/sys/net/ipv4/tcp_max_syn_backlog", "1024\n"),
    ("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
    ("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t4194304\n"),
    ("proc/sys/net/ipv6/conf/all/disable_ipv6", "0\n"),
    ("proc/sys/vm/dirty_background_ratio", "10\n"),
    ("proc/sys/vm/dirty_ratio", "20\n"),
    ("proc/sys/vm/max_map_count", "65530\n"),
    ("proc/sys/vm/min_free_kbytes", "67584\n"),
    ("proc/sys/vm/mmap_min_addr", "65536\n"),
    ("proc/sys/vm/nr_hugepages", "0\n"),
    ("proc/sys/vm/overcommit_memory", "0\n"),
    ("proc/sys/vm/overcommit_ratio", "50\n"),
    ("proc/sys/vm/swappiness", "60\n"),
    ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
    ("sys/devices/system/cpu/online", "0\n"),
    ("sys/devices/system/cpu/possible", "0\n"),
    ("sys/devices/system/cpu/present", "0\n"),
    ("sys/devices/system/node/online", "0\n"),
    ("sys/devices/system/node/possible", "0\n"),
    ("sys/kernel/mm/transparent_hugepage/defrag", "always defer defer+madvise madvise [never]\n"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"),
    ("sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n"),
    ("etc/resolv.conf", "options timeout:1 attempts:1\n"),
    (
        "etc/hosts",
        "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 n1\n10.0.0.2 n2\n10.0.0.3 n3\n10.0.0.4 n4\n10.0.0.5 n5\n10.0.0.6 n6\n10.0.0.7 n7\n",
    ),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/localtime", "UTC0\n"),
    ("etc/timezone", "Etc/UTC\n"),
    ("etc/machine-id", "00000000000040008000000000000001\n"),
];

/// The names of those in /etc.
pub fn etc() -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(|(path, _)| path.strip_prefix("etc/"))
}

/// Those in /etc that go with the files of this host, and not with those of an image.
pub const OF_HOST: [&str; 3] = ["passwd", "group", CACHE];

/// Files of /etc that nodes are better without: libraries that are loaded into every program, and passwords.
pub const LEFT_OUT: [&str; 5] = ["ld.so.preload", "shadow", "shadow-", "gshadow", "gshadow-"];

/// Where the loader finds libraries by their names.
const CACHE: &str = "ld.so.cache";
/// The cache is as long as a multiple of this, and so the same in all runs: it grows whenever something is installed, and
/// where the loader puts libraries depends on its length.
const CACHE_UNIT: usize = 1 << 20;

/// Writes them into the room.
///
/// # Errors
/// When one cannot be written.
pub fn prepare(room: &Path) -> Result<(), Error> {
    let directory = room.join(DIRECTORY);
    if directory.is_dir() {
        return Ok(());
    }
    write(&directory)
        .map_err(|source| Error::Io { what: format!("cannot prepare {}", directory.display()), source })
}

fn write(directory: &Path) -> std::io::Result<()> {
    for name in DIRECTORIES {
        std::fs::create_dir_all(directory.join(name))?;
    }
    let kb = MEMORY_BYTES / 1024;
    let memory =
        format!("MemTotal: {kb} kB\nMemFree: {} kB\nMemAvailable: {} kB\nSwapTotal: 0 kB\n", kb / 2, kb / 2);
    for (path, content) in FILES.iter().copied().chain([("proc/meminfo", memory.as_str())]) {
        let path = directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
        std::fs::write(path, content)?;
    }
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let etc = directory.join("etc");
    std::fs::write(etc.join("passwd"), names_of_users(user, group))?;
    std::fs::write(etc.join("group"), names_of_groups(group))?;
    std::fs::write(
        etc.join(CACHE),
        padded(std::fs::read(Path::new("/etc").join(CACHE)).unwrap_or_default()),
    )?;
    for name in DEVICES {
        std::fs::write(directory.join("dev").join(name), "")?;
    }
    LINKS.iter().try_for_each(|(at, to)| symlink(to, directory.join(at)))
}

/// The users that there are: those that every system has, and who runs this.
fn names_of_users(user: u32, group: u32) -> String {
    let mut users = "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
                     nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        .to_owned();
    if ![0, 1, 65_534].contains(&user) {
        users += &format!("user:x:{user}:{group}:user:/nonexistent:/bin/sh\n");
    }
    users
}

fn names_of_groups(group: u32) -> String {
    let mut groups = "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n".to_owned();
    if ![0, 1, 65_534].contains(&group) {
        groups += &format!("user:x:{group}:\n");
    }
    groups
}

fn padded(mut cache: Vec<u8>) -> Vec<u8> {
    cache.resize(cache.len().max(1).next_multiple_of(CACHE_UNIT), 0);
    cache
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_grows_a_little_is_as_long_as_before() {
        let lengths =
            [0, 1, 70_000, 70_100, CACHE_UNIT, CACHE_UNIT + 1].map(|len| padded(vec![7; len]).len());
        assert_eq!(lengths.map(|len| len / CACHE_UNIT), [1, 1, 1, 1, 1, 2]);
        assert!(padded(vec![7; 5])[..6].ends_with(&[7, 0]));
    }

    #[test]
    fn whoever_runs_this_has_a_name() {
        assert!(names_of_users(1000, 100).ends_with("user:x:1000:100:user:/nonexistent:/bin/sh\n"));
        assert!(!names_of_users(0, 0).contains("user:x:0"));
    }
}
