//! The host's memory: how much of it processes use together, and whether it has run out.

/// Bytes of memory that these processes use, and whether that took long to find out. Pages that several have mapped count once, and those that are only a copy of a
/// file do not; but as long as the sum of what each has resident stays within `bound`, that is the answer, for it is
/// learnt at far less cost.
pub(super) fn used(processes: &[i32], bound: u64) -> (u64, bool) {
    let read = |process: &i32, name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}")).ok();
    let resident = processes.iter().filter_map(|process| resident(&read(process, "statm")?)).sum();
    if resident <= bound {
        return (resident, false);
    }
    // One that has ended meanwhile has none.
    (processes.iter().filter_map(|process| proportional(&read(process, "smaps_rollup")?)).sum(), true)
}

/// How often the kernel has ended a process because there was no memory left (`oom_kill` of /proc/vmstat).
pub(super) fn kills() -> u64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let found = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    found.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Resident bytes, from /proc/PID/statm (proc(5)).
fn resident(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * tracer::PAGE)
}

/// Bytes of memory that no file of a drive holds too, each page shared out among those that have it, from
/// /proc/PID/smaps_rollup (proc(5)). Kernels before 5.3 tell only of all pages.
fn proportional(rollup: &str) -> Option<u64> {
    let kb = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let own = kb("Pss_Anon:").zip(kb("Pss_Shmem:")).map(|(anonymous, shared)| anonymous + shared);
    own.or_else(|| kb("Pss:")).map(|kb| kb * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read() {
        assert_eq!(resident("2500 1000 500 100 0 500 0\n"), Some(1000 * 4096));
        let rollup = "55-7f ---p 0 0 [rollup]\nRss: 9000 kB\nPss:                4000 kB\nPss_Anon:           2000 kB\n\
                      Pss_File:           1500 kB\nPss_Shmem:           500 kB\n";
        assert_eq!(proportional(rollup), Some(2500 * 1024));
        assert_eq!(proportional("Pss: 10 kB\n"), Some(10 * 1024));
        assert_eq!(proportional(""), None);
    }

    #[test]
    fn memory_that_two_processes_share_counts_once() {
        let own = std::process::id().cast_signed();
        let (once, was_costly) = used(&[own], 0);
        assert!(once > 0 && was_costly);
        assert!(used(&[own], u64::MAX).0 >= once, "what is resident is the most that it can be");
        assert_eq!(used(&[i32::MAX], 0), (0, false));
    }
}
