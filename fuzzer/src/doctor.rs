//! Doctor: whether this machine can run clusters, and what to do when it cannot. Reads only; changes nothing.

use crate::launcher::engine::{self, EngineError};
use crate::reproducer::environment;
use crate::target::Target;
use interceptor::room::Isolation;
use nix::unistd::Uid;
use serde::Serialize;
use std::process::Command;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, but slower or with less.
    Warn,
    /// Does not work.
    Fail,
}

impl Health {
    /// `ok`, `warn`, `fail`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub next: String,
}

fn check(name: &'static str, health: Health, found: impl Into<String>, next: &str) -> Check {
    let next = if health == Health::Ok { String::new() } else { next.to_owned() };
    Check { name, health, found: found.into(), next }
}

/// All checks of the machine, in a fixed order.
#[must_use]
pub fn machine() -> Vec<Check> {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let status = read("/proc/self/status").unwrap_or_default();
    vec![
        architecture(std::env::consts::ARCH),
        processor(&read("/proc/cpuinfo").unwrap_or_default()),
        kernel(&environment::kernel()),
        ptrace(
            read("/proc/sys/kernel/yama/ptrace_scope").as_deref(),
            field(&status, "TracerPid"),
            Uid::effective().is_root(),
        ),
        seccomp(read("/proc/sys/kernel/seccomp/actions_avail").as_deref()),
        namespaces(
            interceptor::room::roots(),
            read("/proc/sys/user/max_user_namespaces").as_deref(),
            read("/proc/sys/kernel/unprivileged_userns_clone").as_deref(),
            read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref(),
        ),
        tmpfs(&read("/proc/filesystems").unwrap_or_default(), &read("/proc/mounts").unwrap_or_default()),
        cores(environment::cores()),
        memory(read("/proc/meminfo").as_deref().and_then(|text| kilobytes(text, "MemAvailable"))),
        toolchain(),
        containers(engine::version(), Uid::effective().is_root()),
    ]
}

fn architecture(name: &str) -> Check {
    let health = if name == "x86_64" { Health::Ok } else { Health::Fail };
    check("architecture", health, name, "run on an x86-64 machine; no other is supported")
}

/// What programs learn of the processor by asking it.
fn processor(cpuinfo: &str) -> Check {
    let flags = cpuinfo.lines().find_map(|line| line.strip_prefix("flags")).unwrap_or_default();
    if flags.split_whitespace().any(|flag| flag == "cpuid_fault") {
        return check("processor", Health::Ok, "programs are told what fuzz wants them to know of it", "");
    }
    check(
        "processor",
        Health::Warn,
        "programs see which one it is, and may use its random numbers",
        "use one whose cpuid can be answered (Intel since 2012) for findings that replay on other machines",
    )
}

fn kernel(text: &str) -> Check {
    let release = text.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let health = match version {
        v if v >= (5, 12) => Health::Ok,
        v if v >= (4, 14) => Health::Warn,
        _ => Health::Fail,
    };
    check(
        "kernel",
        health,
        text,
        "use Linux 5.12 or later; what the sandbox needs of older ones is not tested",
    )
}

fn ptrace(scope: Option<&str>, tracer: Option<&str>, root: bool) -> Check {
    if let Some(pid) = tracer.filter(|pid| *pid != "0") {
        return check(
            "ptrace",
            Health::Fail,
            format!("this process is traced by {pid}"),
            "do not run under strace or a debugger",
        );
    }
    match scope {
        None => check("ptrace", Health::Ok, "allowed, no yama", ""),
        Some("0" | "1") => {
            check("ptrace", Health::Ok, format!("allowed, yama scope {}", scope.unwrap_or("?")), "")
        }
        Some("2") if root => check("ptrace", Health::Ok, "allowed for root, yama scope 2", ""),
        Some(scope) => {
            let next = "as root: sysctl kernel.yama.ptrace_scope=1 (scope 3 needs a reboot to leave)";
            check("ptrace", Health::Fail, format!("forbidden, yama scope {scope}"), next)
        }
    }
}

fn seccomp(actions: Option<&str>) -> Check {
    match actions {
        Some(actions) if actions.split_whitespace().any(|action| action == "trace") => {
            check("seccomp", Health::Ok, "filters can stop calls for a tracer", "")
        }
        Some(actions) => check(
            "seccomp",
            Health::Fail,
            format!("no trace action, only: {actions}"),
            "use a kernel with CONFIG_SECCOMP_FILTER",
        ),
        None => check(
            "seccomp",
            Health::Fail,
            "no filters",
            "use a kernel with CONFIG_SECCOMP_FILTER and a mounted /proc",
        ),
    }
}

fn namespaces(
    roots: Result<Isolation, String>,
    max: Option<&str>,
    clone: Option<&str>,
    apparmor: Option<&str>,
) -> Check {
    const NAME: &str = "namespaces";
    let why = match roots {
        Ok(Isolation::User) => {
            return check(NAME, Health::Ok, "user namespaces: each node has a root of its own", "");
        }
        Ok(_) => return check(NAME, Health::Ok, "each node has a root of its own", ""),
        Err(why) => why,
    };
    let found = |why: &str| format!("nodes have no root of their own, and see the host's files ({why})");
    if max == Some("0") || clone == Some("0") {
        let next = "as root: sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1, or run as root";
        return check(NAME, Health::Warn, found("user namespaces are switched off"), next);
    }
    if apparmor == Some("1") {
        let next = "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root";
        return check(NAME, Health::Warn, found("AppArmor restricts user namespaces"), next);
    }
    let next = "run as root, in a container with --privileged, on Linux 5.12 or later";
    check(NAME, Health::Warn, found(&why), next)
}

fn tmpfs(filesystems: &str, mounts: &str) -> Check {
    if !filesystems.lines().any(|line| line.split_whitespace().last() == Some("tmpfs")) {
        return check("tmpfs", Health::Fail, "the kernel has none", "use a kernel with CONFIG_TMPFS");
    }
    let shm = mounts.lines().any(|line| line.split_whitespace().nth(1) == Some("/dev/shm"));
    let found = if shm { "available, /dev/shm mounted" } else { "available, no /dev/shm" };
    check(
        "tmpfs",
        if shm { Health::Ok } else { Health::Warn },
        found,
        "mount -t tmpfs tmpfs /dev/shm makes data directories faster",
    )
}

fn cores(count: usize) -> Check {
    let health = if count >= 2 { Health::Ok } else { Health::Warn };
    check(
        "cores",
        health,
        count.to_string(),
        "each core runs one cluster at a time; more cores, more executions",
    )
}

fn memory(kilobytes: Option<u64>) -> Check {
    let Some(available) = kilobytes.map(|kb| kb / 1024) else {
        return check("memory", Health::Warn, "unknown", "mount /proc");
    };
    let health = match available {
        0..256 => Health::Fail,
        256..1024 => Health::Warn,
        _ => Health::Ok,
    };
    check(
        "memory",
        health,
        format!("{available} MiB available"),
        "a campaign wants 1 GiB and a few hundred MiB per core",
    )
}

fn toolchain() -> Check {
    match Command::new("cargo").arg("--version").output() {
        Ok(output) if output.status.success() => {
            check("toolchain", Health::Ok, String::from_utf8_lossy(&output.stdout).trim(), "")
        }
        _ => check(
            "toolchain",
            Health::Warn,
            "no cargo",
            "install Rust to build targets that are built with cargo",
        ),
    }
}

/// Only the docker launcher needs an engine, so that none is no warning.
fn containers(version: Result<String, EngineError>, root: bool) -> Check {
    match version {
        Ok(version) if root => check("containers", Health::Ok, version, ""),
        Ok(version) => {
            let found = format!("{version}; --launcher docker takes root besides");
            check("containers", Health::Ok, found, "")
        }
        Err(_) => {
            check("containers", Health::Ok, "no Docker or Podman; only --launcher docker needs one", "")
        }
    }
}

/// Whether what a target runs is there, and in which version.
#[must_use]
pub fn target(target: &Target) -> Check {
    let name = target.name();
    let build = &target.manifest.build;
    if let Err(error) = target.files().and_then(|_| target.client_files()) {
        let next = format!("scripts/install-targets {name}");
        return check("target", Health::Warn, format!("{name}: {error}"), &next);
    }
    let (health, found) = match (target.binary(), target.version()) {
        (Ok(_), Some(version)) => (Health::Ok, format!("{name}: {version}")),
        (Ok(_), None) => (Health::Ok, format!("{name}: there")),
        (Err(_), _) if build.command.is_empty() => {
            (Health::Warn, format!("{name}: {} is not installed", build.binary.display()))
        }
        (Err(_), _) => (Health::Warn, format!("{name}: not built")),
    };
    check("target", health, found, &target.remedy())
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn kilobytes(meminfo: &str, name: &str) -> Option<u64> {
    field(meminfo, name)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_not_ok_says_what_to_do() {
        let checks = [
            architecture("aarch64"),
            processor("processor\t: 0\nflags\t\t: fpu cpuid_fault sse2\n"),
            processor("processor\t: 0\nflags\t\t: fpu sse2\n"),
            kernel("Linux 4.4.0-generic x86_64"),
            kernel("Linux 4.19.1 x86_64"),
            kernel("Linux 6.1.0-18-amd64 x86_64"),
            ptrace(Some("3"), Some("0"), true),
            ptrace(Some("1"), Some("77"), false),
            ptrace(None, Some("0"), false),
            seccomp(Some("kill_process errno allow")),
            seccomp(Some("kill_process trap errno trace log allow")),
            namespaces(Err("no".into()), Some("0"), None, None),
            namespaces(Err("no".into()), Some("100"), Some("1"), Some("1")),
            namespaces(Err("cannot mount".into()), None, None, None),
            namespaces(Ok(Isolation::User), Some("100"), None, None),
            namespaces(Ok(Isolation::Root), Some("0"), None, None),
            tmpfs("nodev\tproc\nnodev\ttmpfs", "tmpfs /dev/shm tmpfs rw 0 0"),
            cores(1),
            memory(Some(100 * 1024)),
            memory(kilobytes("MemTotal:  9 kB\nMemAvailable:   4096000 kB", "MemAvailable")),
        ];
        let shown: Vec<String> = checks
            .iter()
            .map(|c| format!("{:<12} {:<4} {} > {}.", c.name, c.health.name(), c.found, c.next))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @"
    architecture fail aarch64 > run on an x86-64 machine; no other is supported.
    processor    ok   programs are told what fuzz wants them to know of it > .
    processor    warn programs see which one it is, and may use its random numbers > use one whose cpuid can be answered (Intel since 2012) for findings that replay on other machines.
    kernel       fail Linux 4.4.0-generic x86_64 > use Linux 5.12 or later; what the sandbox needs of older ones is not tested.
    kernel       warn Linux 4.19.1 x86_64 > use Linux 5.12 or later; what the sandbox needs of older ones is not tested.
    kernel       ok   Linux 6.1.0-18-amd64 x86_64 > .
    ptrace       fail forbidden, yama scope 3 > as root: sysctl kernel.yama.ptrace_scope=1 (scope 3 needs a reboot to leave).
    ptrace       fail this process is traced by 77 > do not run under strace or a debugger.
    ptrace       ok   allowed, no yama > .
    seccomp      fail no trace action, only: kill_process errno allow > use a kernel with CONFIG_SECCOMP_FILTER.
    seccomp      ok   filters can stop calls for a tracer > .
    namespaces   warn nodes have no root of their own, and see the host's files (user namespaces are switched off) > as root: sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1, or run as root.
    namespaces   warn nodes have no root of their own, and see the host's files (AppArmor restricts user namespaces) > as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run as root.
    namespaces   warn nodes have no root of their own, and see the host's files (cannot mount) > run as root, in a container with --privileged, on Linux 5.12 or later.
    namespaces   ok   user namespaces: each node has a root of its own > .
    namespaces   ok   each node has a root of its own > .
    tmpfs        ok   available, /dev/shm mounted > .
    cores        warn 1 > each core runs one cluster at a time; more cores, more executions.
    memory       fail 100 MiB available > a campaign wants 1 GiB and a few hundred MiB per core.
    memory       ok   4000 MiB available > .
    ");
        for check in checks.iter().chain(&machine()) {
            assert_eq!(check.next.is_empty(), check.health == Health::Ok, "{check:?}");
        }
    }
}
