//! Dialogues with a client, as text.

use super::*;
use crate::workload::kv_http::KvHttp;
use proptest::prelude::*;

const MS: u64 = 1_000_000;
const PATIENCE_NS: u64 = 1_000 * MS;

fn client(process: u32) -> Client {
    let protocol = Protocol::KvHttp(KvHttp::default());
    Client::new("c0".into(), process, 0, Arc::new(Nodes::new(3)), protocol, PATIENCE_NS)
}

fn write() -> Call {
    Call::Write { key: "k0".into(), value: "v0.1".into() }
}

fn read() -> Call {
    Call::Read { key: "k0".into(), value: None }
}

fn task(call: Call, is_impatient: bool) -> Task {
    Task { call, is_impatient, start_at: None }
}

/// Plays what happens, one a line, and writes down what the client does.
fn play(call: Call, is_impatient: bool, script: &str) -> String {
    let mut client = client(7);
    let mut shown = String::new();
    let mut out = Vec::new();
    client.begin(task(call, is_impatient), 0, &mut out);
    shown += &show("begin", &mut out);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (ms, what) = line.split_once(' ').unwrap();
        let now_ns = ms.parse::<u64>().unwrap() * MS;
        match what.split_once(' ').unwrap_or((what, "")) {
            ("up", _) => client.on_connected(true, now_ns, &mut out),
            ("refused", _) => client.on_connected(false, now_ns, &mut out),
            ("closed", _) => client.on_closed(now_ns, &mut out),
            ("time", _) => client.on_time(now_ns, &mut out),
            ("answer", answer) => {
                let (status, body) = answer.split_once(' ').unwrap_or((answer, ""));
                let text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                client.on_bytes(text.as_bytes(), now_ns, &mut out);
            }
            (bytes, _) => client.on_bytes(bytes.as_bytes(), now_ns, &mut out),
        }
        shown += &show(line, &mut out);
    }
    shown
}

fn show(what: &str, out: &mut Vec<Action>) -> String {
    let actions: Vec<String> = out
        .drain(..)
        .map(|action| match action {
            Action::Connect(node) => format!("connect n{}", node + 1),
            Action::Send(bytes) => {
                let text = String::from_utf8(bytes).unwrap();
                let seq = text.split("seq\":").nth(1).map_or("-", |rest| &rest[..1]);
                format!("send {} seq {seq}", text.split(' ').next().unwrap())
            }
            Action::Close => "close".into(),
            Action::Assert { kind, message } => format!("assert {kind}: {message}"),
            Action::Invoke { process, call } => format!("invoke p{process} {call}"),
            Action::Complete { process, phase, call, error, .. } => {
                format!("{} p{process} {call} ({})", phase.name(), error.unwrap_or_default())
            }
        })
        .collect();
    format!("{what}: {}\n", actions.join(", "))
}

#[test]
fn a_write_is_acknowledged() {
    insta::assert_snapshot!(play(write(), false, "1 up\n2 answer 200 {\"ok\":true}\n3 closed"), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    1 up: send PUT seq 1
    2 answer 200 {"ok":true}: ok p7 write k0 = "v0.1" ()
    3 closed: 
    "#);
}

#[test]
fn a_hint_is_followed_once_and_then_with_pauses() {
    let script = r#"
        1 up
        2 answer 421 {"leader":3}
        3 up
        4 answer 421 {"leader":1}
        24 time
        25 up
        26 answer 200
    "#;
    insta::assert_snapshot!(play(write(), false, script), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    1 up: send PUT seq 1
    2 answer 421 {"leader":3}: close, connect n3
    3 up: send PUT seq 1
    4 answer 421 {"leader":1}: close
    24 time: connect n1
    25 up: send PUT seq 1
    26 answer 200: ok p7 write k0 = "v0.1" ()
    "#);
}

#[test]
fn without_a_hint_all_nodes_are_tried_before_a_pause() {
    let script = r#"
        1 refused
        2 up
        3 answer 421 {"leader":null}
        4 refused
        24 time
    "#;
    insta::assert_snapshot!(play(read(), false, script), @r#"
    begin: invoke p7 read k0, connect n1
    1 refused: connect n2
    2 up: send GET seq -
    3 answer 421 {"leader":null}: close, connect n3
    4 refused: 
    24 time: connect n1
    "#);
}

#[test]
fn an_impatient_write_is_repeated_with_its_number() {
    let script = r"
        1 up
        351 time
        352 up
        400 closed
        401 up
        402 answer 200
    ";
    insta::assert_snapshot!(play(write(), true, script), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    1 up: send PUT seq 1
    351 time: close, connect n2
    352 up: send PUT seq 1
    400 closed: connect n3
    401 up: send PUT seq 1
    402 answer 200: ok p7 write k0 = "v0.1" ()
    "#);
}

#[test]
fn what_was_never_answered_is_unknown_unless_it_was_a_read() {
    let script = "1 up\n999 time\n1000 time\n1001 time";
    insta::assert_snapshot!(play(write(), false, script) + &play(read(), false, script), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    1 up: send PUT seq 1
    999 time: 
    1000 time: close, info p7 write k0 = "v0.1" (timed out)
    1001 time: 
    begin: invoke p7 read k0, connect n1
    1 up: send GET seq -
    999 time: 
    1000 time: close, fail p7 read k0 (timed out)
    1001 time: 
    "#);
}

#[test]
fn a_refusal_after_a_lost_attempt_leaves_it_unknown() {
    let script = r#"
        1 up
        351 time
        352 refused
        353 refused
        354 refused
        1000 time
    "#;
    insta::assert_snapshot!(play(write(), true, script), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    1 up: send PUT seq 1
    351 time: close, connect n2
    352 refused: connect n3
    353 refused: connect n1
    354 refused: 
    1000 time: info p7 write k0 = "v0.1" (connection refused)
    "#);
}

#[test]
fn nothing_sent_is_a_failure() {
    let script = "300 time\n600 time\n900 time\n920 time\n1000 time";
    insta::assert_snapshot!(play(write(), false, script), @r#"
    begin: invoke p7 write k0 = "v0.1", connect n1
    300 time: close, connect n2
    600 time: close, connect n3
    900 time: close
    920 time: connect n1
    1000 time: close, fail p7 write k0 = "v0.1" (connection timed out)
    "#);
}

#[test]
fn garbage_and_unasked_bytes_end_the_connection() {
    let script = "1 up\n2 SSH\r\n\r\n";
    assert!(play(write(), false, script).contains("begin"));
    let mut client = client(0);
    let mut out = Vec::new();
    client.begin(task(read(), false), 0, &mut out);
    client.on_connected(true, MS, &mut out);
    let twice = "HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n".repeat(2);
    out.clear();
    client.on_bytes(twice.as_bytes(), 2 * MS, &mut out);
    assert_eq!(show("twice", &mut out), "twice: close, ok p0 read k0 -> absent ()\n");
    client.begin(task(write(), false), 3 * MS, &mut out);
    client.on_connected(true, 4 * MS, &mut out);
    out.clear();
    client.on_bytes(b"SSH-2.0\r\n\r\n", 5 * MS, &mut out);
    assert_eq!(
        show("garbage", &mut out),
        "garbage: close, info p0 write k0 = \"v0.1\" (malformed response)\n"
    );
}

proptest! {
    /// Whatever happens: one operation, one completion, and it comes within its time.
    #[test]
    fn every_operation_ends_once_and_in_time(
        happenings in proptest::collection::vec((0_u8..8, 0_u64..200), 0..60), is_impatient: bool,
    ) {
        let mut client = client(7);
        let mut out = Vec::new();
        client.begin(task(write(), is_impatient), 0, &mut out);
        let mut now_ns = 0;
        for (what, wait_ms) in happenings {
            let next = now_ns + wait_ms * MS;
            // A caller never lets a deadline pass.
            while let Some(at) = client.deadline_ns().filter(|at| *at <= next) {
                client.on_time(at, &mut out);
            }
            now_ns = next;
            match what {
                0 | 1 => client.on_connected(what == 0, now_ns, &mut out),
                2 => client.on_closed(now_ns, &mut out),
                3 => client.on_bytes(b"HTTP/1.1 421 x\r\ncontent-length: 12\r\n\r\n{\"leader\":2}", now_ns, &mut out),
                4 => client.on_bytes(b"HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", now_ns, &mut out),
                5 => client.on_bytes(b"HTTP/1.1 2", now_ns, &mut out),
                6 => client.on_bytes(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n", now_ns, &mut out),
                _ => client.on_connected(true, now_ns, &mut out),
            }
        }
        while let Some(at) = client.deadline_ns() {
            prop_assert!(at <= PATIENCE_NS);
            client.on_time(at, &mut out);
        }
        prop_assert!(client.is_idle());
        let ends = out.iter().filter(|action| matches!(action, Action::Complete { .. })).count();
        prop_assert_eq!(ends, 1);
    }
}
