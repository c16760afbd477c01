//! Released servers from Debian's packages, unmodified: three nodes each find each other, and do the same in every run.
//!
//! Where a package is not installed its test says so and ends.

mod support;

use interceptor::room::Room;
use interceptor::sandbox::{Clock, Config, Limits, NodeConfig, Program, Sandbox};
use std::path::Path;
use support::{Ran, assert_same, outcome, run_until_ms};

/// Runs three nodes for `ms` virtual milliseconds. In a command `ID` and `IP` are the node's. Its working directory is
/// its own; no path of the room is in what it is told, for rooms have different names.
fn three(program: &Path, command: impl Fn(usize) -> String, ms: u64) -> Ran {
    let room = Room::directory().expect("a room for the test");
    let node = |id: usize| {
        let text = command(id).replace("ID", &id.to_string()).replace("IP", &format!("10.0.0.{id}"));
        NodeConfig {
            name: format!("n{id}"),
            programs: vec![Program {
                program: program.to_path_buf(),
                arguments: text.split_whitespace().map(str::to_owned).collect(),
            }],
            files: vec![],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), "/".into())],
        }
    };
    let config = Config {
        seed: 5,
        nodes: (1..=3).map(node).collect(),
        clients: 0,
        client_programs: vec![],
        dissectors: vec![],
        roles: Vec::new(),
        atomic_write: 1,
        limits: Limits::default(),
        keep_log: true,
        clock: Clock::Virtual,
        shown: vec![],
    };
    let mut sandbox = Sandbox::new(&room, config).expect("a sandbox");
    (0..3).for_each(|node| sandbox.start(node).expect("the server starts"));
    run_until_ms(&mut sandbox, ms);
    outcome(&sandbox, 3)
}

/// The same twice; nothing is read that the sandbox does not own, and nobody ends. `None`: it is not installed.
fn twice(program: &str, command: impl Fn(usize) -> String, ms: u64) -> Option<Ran> {
    let program = Path::new(program);
    if !program.is_file() {
        println!("skipped: {} is not installed", program.display());
        return None;
    }
    let (first, second) = (three(program, &command, ms), three(program, &command, ms));
    assert_same(&first, &second);
    assert_eq!((&first.exit, &first.stopped), (&None, &None), "{:#?}{:#?}", first.stdout, first.stderr);
    assert_eq!(first.sources(), [""; 0]);
    Some(first)
}

fn count(lines: &[String], part: &str) -> usize {
    lines.iter().filter(|line| line.contains(part)).count()
}

#[test]
fn redis_replicates() {
    let command = |id| {
        let follows = if id == 1 { "" } else { "--replicaof 10.0.0.1 6379" };
        format!("--bind IP --port 6379 --dir . --protected-mode no --appendonly yes {follows}")
    };
    // a replica is loaded five seconds after it has asked
    let Some(ran) = twice("/usr/bin/redis-server", command, 8_000) else { return };
    assert_eq!(count(&ran.stdout, "MASTER <-> REPLICA sync: Finished with success"), 2, "{:#?}", ran.stdout);
}

#[test]
fn etcd_elects_a_leader() {
    let command = |_| {
        "--name nID --data-dir etcd --listen-peer-urls http://IP:2380 --initial-advertise-peer-urls http://IP:2380 \
         --listen-client-urls http://IP:2379 --advertise-client-urls http://IP:2379 --initial-cluster-state new \
         --initial-cluster n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380"
            .to_owned()
    };
    let Some(ran) = twice("/usr/bin/etcd", command, 4_000) else { return };
    assert_eq!(count(&ran.stderr, "ready to serve client requests"), 3, "{:#?}", ran.stderr);
}

#[test]
fn nats_elects_a_leader() {
    let command = |_| {
        "-n nID -a IP -p 4222 --cluster_name C --cluster nats://IP:6222 -js -sd js \
         --routes nats://10.0.0.1:6222,nats://10.0.0.2:6222,nats://10.0.0.3:6222"
            .to_owned()
    };
    let Some(ran) = twice("/usr/sbin/nats-server", command, 5_000) else { return };
    assert_eq!(count(&ran.stderr, "Self is new JetStream cluster metadata leader"), 1, "{:#?}", ran.stderr);
}
