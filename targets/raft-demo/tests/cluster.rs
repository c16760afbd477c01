//! Three real processes on loopback: they elect, write, survive the death of their leader, and recover.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use raft_demo::edge::client::{Session, exchange};
use serde_json::{Value, json};
use tokio::time::{Instant, interval};

const PATIENCE: Duration = Duration::from_secs(30);

/// Nodes 1 to 3 on ports the system had free, killed when dropped.
struct Cluster {
    dir: tempfile::TempDir,
    peers: Vec<String>,
    clients: Vec<String>,
    extra: Vec<&'static str>,
    nodes: Vec<Option<Child>>,
}

impl Cluster {
    fn start(extra: &[&'static str]) -> Cluster {
        // Held all at once, so that they differ.
        let held: Vec<TcpListener> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let free: Vec<String> =
            held.iter().map(|listener| listener.local_addr().unwrap().to_string()).collect();
        drop(held);
        let (peers, clients) = free.split_at(3);
        let dir = tempfile::tempdir().unwrap();
        let (peers, clients) = (peers.to_vec(), clients.to_vec());
        let mut cluster =
            Cluster { dir, peers, clients, extra: extra.to_vec(), nodes: vec![None, None, None] };
        for at in 0..3 {
            cluster.up(at);
        }
        cluster
    }

    fn up(&mut self, at: usize) {
        let list = |addrs: &[String]| {
            let pairs = addrs.iter().enumerate().map(|(at, addr)| format!("{}={addr}", at + 1));
            pairs.collect::<Vec<_>>().join(",")
        };
        let id = (at + 1).to_string();
        let dir = self.dir.path();
        let reports =
            File::options().create(true).append(true).open(dir.join(format!("{id}.reports"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_raft-demo"))
            .args(["--id", &id, "--listen", &self.peers[at], "--client", &self.clients[at], "--reports"])
            .args(["--peers", &list(&self.peers), "--client-peers", &list(&self.clients)])
            .args(["--data-dir".as_ref(), dir.join(&id).as_os_str()])
            .args(&self.extra)
            .stdout(reports)
            .spawn()
            .unwrap();
        self.nodes[at] = Some(child);
    }

    /// kill -9
    fn kill(&mut self, at: usize) {
        if let Some(mut child) = self.nodes[at].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn session(&self, client: &str) -> Session {
        Session::new(self.clients.clone(), client.to_owned(), PATIENCE)
    }

    /// Polls the nodes' status until it satisfies the condition.
    async fn wait(&self, what: &str, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let until = Instant::now() + PATIENCE;
        let mut polls = interval(Duration::from_millis(20));
        let mut all = Vec::new();
        while Instant::now() < until {
            polls.tick().await;
            all.clear();
            for client in &self.clients {
                all.push(exchange(client, "GET", "/status", "").await.map_or(Value::Null, |(_, body)| body));
            }
            if holds(&all) {
                return all;
            }
        }
        panic!("not in time: {what}: {all:?}");
    }

    async fn leader(&self) -> usize {
        let all = self.wait("a leader", |all| all.iter().any(|status| status["role"] == "leader")).await;
        all.iter().position(|status| status["role"] == "leader").unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for at in 0..self.nodes.len() {
            self.kill(at);
        }
    }
}

fn value(answer: (u16, Value)) -> String {
    assert_eq!(answer.0, 200, "{answer:?}");
    answer.1["value"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_cluster_survives_its_leader() {
    let mut cluster = Cluster::start(&["--snapshot-every", "10"]);
    let mut session = cluster.session("c1");
    for number in 0..25 {
        let answer = session.put(&format!("k{number}"), &format!("v{number}")).await.unwrap();
        assert_eq!(answer, (200, json!({ "ok": true })));
    }
    let leader = cluster.leader().await;
    cluster.kill(leader);
    for number in 0..25 {
        assert_eq!(value(session.get(&format!("k{number}")).await.unwrap()), format!("v{number}"));
    }
    assert_eq!(session.cas("k0", Some("v0"), "w0").await.unwrap().0, 200);
    let mismatch = session.cas("k0", Some("v0"), "x0").await.unwrap();
    assert_eq!(mismatch, (409, json!({ "error": "mismatch", "actual": "w0" })));
    assert_eq!(session.delete("k1").await.unwrap().0, 200);
    assert_eq!(session.get("k1").await.unwrap().0, 404);
    for number in 0..25 {
        session.put("more", &number.to_string()).await.unwrap();
    }
    // The dead one comes back, from its own disk and a snapshot of the new leader.
    cluster.up(leader);
    cluster
        .wait("the same log everywhere", |all| {
            all.iter().all(|status| status["applied"] == all[0]["last"] && status["last"].as_u64() > Some(50))
        })
        .await;
    let text = std::fs::read_to_string(cluster.dir.path().join(format!("{}.reports", leader + 1))).unwrap();
    let reports: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(reports.iter().filter(|report| report["report"] == "start").count(), 2);
    assert!(reports.iter().any(|report| report["report"] == "snapshot" && report["installed"] == true));
}

#[tokio::test]
async fn all_nodes_killed_at_once_lose_nothing() {
    let mut cluster = Cluster::start(&["--reads", "lease"]);
    let mut session = cluster.session("c1");
    for number in 0..10 {
        session.put(&format!("k{number}"), "v").await.unwrap();
    }
    for at in 0..3 {
        cluster.kill(at);
    }
    for at in 0..3 {
        cluster.up(at);
    }
    for number in 0..10 {
        assert_eq!(value(session.get(&format!("k{number}")).await.unwrap()), "v");
    }
}

#[tokio::test]
async fn members_change_one_at_a_time() {
    let cluster = Cluster::start(&[]);
    let mut session = cluster.session("c1");
    session.put("k", "v").await.unwrap();
    let leader = cluster.leader().await;
    let gone = (leader + 1) % 3;
    let removed = session.change_members(&json!({ "remove": gone + 1 })).await.unwrap();
    assert_eq!(removed, (200, json!({ "ok": true })));
    let of_leader = |all: &[Value]| all[leader]["members"].as_array().map(Vec::len);
    cluster.wait("two members", |all| of_leader(all) == Some(2)).await;
    let back = json!({ "add": { "id": gone + 1, "addr": cluster.peers[gone] } });
    assert_eq!(session.change_members(&back).await.unwrap().0, 200);
    cluster.wait("three members", |all| of_leader(all) == Some(3)).await;
    assert_eq!(value(session.get("k").await.unwrap()), "v");
    let (status, body) = exchange(&cluster.clients[gone], "PUT", "/kv/k", r#"{"value":"w"}"#).await.unwrap();
    assert_eq!((status, &body["leader"]), (421, &json!(leader + 1)));
}

fn run_node(data: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raft-demo"))
        .args(["--id", "1", "--client", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()])
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn bad_flags_and_bad_disks_end_with_one_message() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("node");
    let listen = ["--listen", "127.0.0.1:0", "--peers", "1=127.0.0.1:1"];

    let unknown = run_node(&data, &[&listen[..], &["--bug", "stale-reed"]].concat());
    let message = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(message.contains("unknown bug `stale-reed`") && message.contains("stale-read"), "{message}");

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let busy = run_node(&data, &["--listen", &addr, "--peers", "1=127.0.0.1:1"]);
    let message = String::from_utf8(busy.stderr).unwrap();
    assert_eq!((busy.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("cannot listen on"), "{message}");

    std::fs::write(data.join("meta"), "damaged, certainly").unwrap();
    let damaged = run_node(&data, &listen);
    let message = String::from_utf8(damaged.stderr).unwrap();
    assert_eq!((damaged.status.code(), message.lines().count()), (Some(70), 1), "{message}");
}
