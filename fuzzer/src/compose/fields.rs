//! Which fields of a Compose file there are, and which of them mean something that a manifest has no word for.

use super::yaml::{Fault, Node};
use crate::nearest::nearest;

/// Parts of a file, beside its services, that are left out.
const LEFT_OUT_OF_FILE: [&str; 4] = ["configs", "secrets", "include", "models"];
/// Parts of a file that need no word.
const KNOWN_OF_FILE: [&str; 5] = ["version", "name", "services", "networks", "volumes"];

/// Fields of a service that change how it runs.
const LEFT_OUT: [&str; 51] = [
    "blkio_config",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "configs",
    "credential_spec",
    "depends_on",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "driver_opts",
    "external_links",
    "extra_hosts",
    "gpus",
    "group_add",
    "init",
    "ipc",
    "isolation",
    "links",
    "mac_address",
    "models",
    "network_mode",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "post_start",
    "pre_stop",
    "privileged",
    "provider",
    "read_only",
    "runtime",
    "secrets",
    "security_opt",
    "shm_size",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "ulimits",
    "use_api_socket",
    "user",
    "userns_mode",
    "uts",
    "volumes_from",
    "working_dir",
];

/// Fields of a service that need no word: what they ask for a sandbox does anyway, or has no use for.
const NEEDLESS: [&str; 24] = [
    "annotations",
    "attach",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "label_file",
    "labels",
    "logging",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "platform",
    "pull_policy",
    "restart",
    "stdin_open",
    "stop_grace_period",
    "tty",
];

/// Fields of a service that are read.
const READ: [&str; 17] = [
    "build",
    "command",
    "container_name",
    "deploy",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "healthcheck",
    "hostname",
    "image",
    "networks",
    "ports",
    "profiles",
    "scale",
    "volumes",
];

/// A sentence for each part of a file that is left out.
pub(super) fn left_out_of_file(root: &Node) -> Result<Vec<String>, Fault> {
    let known = [&LEFT_OUT_OF_FILE[..], &KNOWN_OF_FILE].concat();
    let mut notes = Vec::new();
    for (name, _) in root.fields()? {
        if LEFT_OUT_OF_FILE.contains(&name) {
            notes.push(format!("`{name}` is left out"));
        } else if !KNOWN_OF_FILE.contains(&name) && !name.starts_with("x-") {
            notes.push(format!(
                "`{}` is no part of a Compose file that is known, and is left out{}",
                name.escape_debug(),
                hint(name, &known)
            ));
        }
    }
    Ok(notes)
}

/// The sentence for a field of a service that is not read, where it takes one.
pub(super) fn left_out(field: &str, service: &str) -> Option<String> {
    if LEFT_OUT.contains(&field) {
        return Some(format!("`{field}` of `{service}` is left out"));
    }
    let known = [&LEFT_OUT[..], &NEEDLESS, &READ].concat();
    let is_known = known.contains(&field) || field.starts_with("x-");
    (!is_known).then(|| {
        let hint = hint(field, &known);
        format!("`{}` of `{service}` is no field that is known, and is left out{hint}", field.escape_debug())
    })
}

/// The nearest of what is known, where one is near.
fn hint(word: &str, known: &[&str]) -> String {
    let near =
        Some(word).filter(|word| word.len() <= 40).and_then(|word| nearest(word, known.iter().copied()));
    near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default()
}
