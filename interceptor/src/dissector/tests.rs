use super::{DISTINCT_MAX, Direction, Dissector, KEPT_MAX, LABEL_BYTES_MAX, Labels, Message, Stream};
use proptest::prelude::*;

const SPECS: [&str; 12] = [
    "frame32-json:type",
    "frame32-enum:2",
    "line-json:op",
    "etcd-raft",
    "http",
    "nats",
    "redis-bus",
    "resp",
    "shape",
    "zookeeper",
    "zookeeper-election",
    "zookeeper-quorum",
];

/// Feeds `bytes` in pieces of the given sizes (cyclic; the remainder when there are none) and returns the
/// messages.
fn split(spec: &str, direction: Direction, bytes: &[u8], pieces: &[usize]) -> (Vec<Message>, Stream, Labels) {
    let mut stream = Stream::new(&spec.parse().unwrap(), direction);
    let (mut labels, mut out, mut rest) = (Labels::default(), Vec::new(), bytes);
    for size in pieces.iter().cycle().take_while(|_| !pieces.is_empty()) {
        let (piece, tail) = rest.split_at((*size).max(1).min(rest.len()));
        stream.push(piece, &mut labels, &mut out);
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    stream.push(rest, &mut labels, &mut out);
    (out, stream, labels)
}

/// The labels of a stream, which must be the same however the stream is cut.
fn check(spec: &str, direction: Direction, bytes: &[u8], expected: &[&str]) {
    for pieces in [&[][..], &[1], &[2, 3], &[7, 1, 30]] {
        let (messages, stream, _) = split(spec, direction, bytes, pieces);
        let labels: Vec<&str> = messages.iter().map(|message| &*message.label).collect();
        assert_eq!(labels, expected, "{spec}, cut by {pieces:?}");
        assert_eq!(messages.last().map_or(0, |last| last.end), bytes.len() as u64);
        assert!(!stream.is_shape());
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

#[test]
fn specs_print_as_they_are_read() {
    for spec in SPECS {
        assert_eq!(Dissector::parse(spec).unwrap().to_string(), spec);
    }
    for spec in
        ["", "frame32-json", "frame32-json:", "frame32-enum:x", "frame32-enum:70000", "http:1", "grpc"]
    {
        let error = Dissector::parse(spec).unwrap_err().to_string();
        assert!(error.starts_with(&format!("unknown dissector `{spec}`")), "{error}");
    }
}

#[test]
fn frames_are_named_by_a_field() {
    let long = format!(r#"{{"type":"append","entries":"{}"}}"#, "x".repeat(3 * KEPT_MAX));
    let bytes = [
        frame(br#"{"type":"vote","term":3}"#),
        frame(br#"{"nested":{"type":"no"},"list":[{"type":"no"}],"type":"yes"}"#),
        frame(br#" {"type":7}"#),
        frame(br#"{"term":1}"#),
        frame(b"[1,2]"),
        frame(b""),
        frame(long.as_bytes()),
    ]
    .concat();
    check(
        "frame32-json:type",
        Direction::Request,
        &bytes,
        &["vote", "yes", "7", "unnamed", "json", "empty", "append"],
    );
}

#[test]
fn frames_are_named_by_a_byte() {
    let bytes = [frame(&[9, 9, 5, 1]), frame(&[1]), frame(&[0, 0, 255])].concat();
    check("frame32-enum:2", Direction::Reply, &bytes, &["5", "short", "255"]);
}

#[test]
fn lines_are_named_by_a_field() {
    let bytes = b"{\"op\":\"get\",\"key\":\"a\\n\"}\r\n\n{\"key\":1}\n[]\n{\"op\":null}\n";
    check("line-json:op", Direction::Request, bytes, &["get", "blank", "unnamed", "json", "null"]);
}

#[test]
fn http_requests_are_named_by_method_and_route() {
    let bytes = b"GET /kv/x1?stale HTTP/1.1\r\nHost: a\r\n\r\n\
        PUT /kv/x1 HTTP/1.1\r\nCONTENT-Length: 5\r\n\r\nhello\
        POST /v3/kv/put HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: 1\r\n\r\n\
        DELETE /kv/x2 HTTP/1.0\n\n";
    check("http", Direction::Request, bytes, &["GET /kv/*", "PUT /kv/*", "POST /v3/kv/put", "DELETE /kv/*"]);
}

#[test]
fn http_responses_are_named_by_status() {
    let bytes = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\
        HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 503\r\ncontent-length: 0\r\n\r\n";
    check("http", Direction::Reply, bytes, &["HTTP 100", "HTTP 200", "HTTP 204", "HTTP 503"]);
}

#[test]
fn an_http_response_may_last_until_the_connection_ends() {
    let (messages, ..) = split("http", Direction::Reply, b"HTTP/1.0 200 OK\r\n\r\nbody", &[10, 9, 2, 2]);
    let labels: Vec<&str> = messages.iter().map(|message| &*message.label).collect();
    assert_eq!(labels, ["HTTP 200", "HTTP body", "HTTP body"]);
}

#[test]
fn redis_commands_are_named() {
    let bytes = b"*3\r\n$3\r\nset\r\n$1\r\nk\r\n$5\r\na\r\nb*\r\n*1\r\n$4\r\nPING\r\nPING\r\n*2\r\n$8\r\nsentinel\r\n$0\r\n\r\n*0\r\n";
    check("resp", Direction::Request, bytes, &["SET", "PING", "PING", "SENTINEL", "RESP array"]);
}

#[test]
fn redis_replies_are_named_by_type() {
    let bytes = b"+OK\r\n-MOVED 5 10.0.0.1:6379\r\n-oops\r\n:1\r\n$-1\r\n$3\r\nabc\r\n*2\r\n*1\r\n:1\r\n*-1\r\n%1\r\n+a\r\n_\r\n\
        |1\r\n+ttl\r\n:1\r\n#t\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nv\r\n*1\r\n$3\r\nfoo\r\n";
    let expected = [
        "RESP simple",
        "RESP error MOVED",
        "RESP error",
        "RESP integer",
        "RESP nil",
        "RESP bulk",
        "RESP array",
        "RESP map",
        "RESP attribute",
        "RESP message",
        "RESP array",
    ];
    check("resp", Direction::Reply, bytes, &expected);
}

#[test]
fn a_replica_receives_a_file_and_then_commands() {
    let bytes = b"+FULLRESYNC 4f 1\r\n\n$5\r\nREDIS*1\r\n$4\r\nPING\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
    check("resp", Direction::Reply, bytes, &["RESP simple", "RESP newline", "RESP file", "PING", "SELECT"]);
}

/// A chunk of an HTTP body.
fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// A message of Raft of this type, behind its length.
fn raft(kind: u8, rest: usize) -> Vec<u8> {
    [&(rest as u64 + 2).to_be_bytes()[..], &[8, kind], &vec![7; rest]].concat()
}

#[test]
fn streams_of_etcd_hold_messages_of_raft() {
    let head = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let all = [
        head,
        &chunk(&[raft(5, 20), raft(8, 0)].concat()),
        &chunk(&raft(6, 300)),
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ];
    check(
        "etcd-raft",
        Direction::Reply,
        &all.concat(),
        &["HTTP 200", "MsgVote", "MsgHeartbeat", "MsgVoteResp", "HTTP body", "HTTP 200"],
    );
    let entry = |len: usize| [&(len as u64).to_be_bytes()[..], &vec![1; len]].concat();
    let entries = [&[1][..], &2_u64.to_be_bytes(), &entry(3), &entry(0), &9_u64.to_be_bytes()].concat();
    let none = [&[1][..], &0_u64.to_be_bytes(), &9_u64.to_be_bytes()].concat();
    let whole = [&[2][..], &entry(40)].concat();
    let mut of_entries =
        [head, &chunk(&[0]), &chunk(&[0]), &chunk(&[entries, none].concat()), &chunk(&whole)].concat();
    // Its line end belongs to what comes next.
    of_entries.truncate(of_entries.len() - 2);
    check(
        "etcd-raft",
        Direction::Reply,
        &of_entries,
        &["HTTP 200", "sign of life", "sign of life", "MsgApp", "MsgApp", "MsgApp"],
    );
    let other = [head, &chunk(b"{\"members\":[]}"), &chunk(b"more"), b"0\r\n\r\n"];
    check("etcd-raft", Direction::Reply, &other.concat(), &["HTTP 200", "HTTP body"]);
}

#[test]
fn a_request_of_etcd_carries_a_message_of_raft() {
    let bytes = b"POST /raft HTTP/1.1\r\nContent-Length: 5\r\n\r\n\x08\x07abc\
        GET /raft/stream/msgapp/8e9e05c52164694d HTTP/1.1\r\n\r\n\
        POST /raft HTTP/1.1\r\nContent-Length: 1\r\n\r\n\x08";
    let expected = ["POST /raft MsgSnap", "GET /raft/*/*/*", "POST /raft"];
    check("etcd-raft", Direction::Request, bytes, &expected);
}

#[test]
fn nats_is_named_by_verb_and_subject() {
    let bytes = b"INFO {\"server_id\":\"x\"} \r\nCONNECT {}\r\nPING\r\npong\r\nSUB k1 1\r\nRS+ $G k1 2\r\n\
        PUB k1 _INBOX.a.1 5\r\na\r\nb\n\r\nHPUB $JS.API.STREAM.CREATE.k1 12 17\r\n0123456789012345\n\r\n\
        RMSG $SYS $NRG.V.S-R3F-x $NRG.R.y 3\r\nabc\r\nRMSG $G $NRG.AE.S-R3F-x 0\r\n\r\n\
        MSG _INBOX.a.1 1 0\r\n\r\n+OK\r\n-ERR 'x'\r\n";
    let expected = [
        "INFO",
        "CONNECT",
        "PING",
        "PONG",
        "SUB",
        "RS+",
        "PUB *",
        "HPUB $JS.API.STREAM.CREATE.*",
        "RMSG $NRG.V.*",
        "RMSG $NRG.AE.*",
        "MSG _INBOX.*",
        "+OK",
        "-ERR",
    ];
    check("nats", Direction::Request, bytes, &expected);
}

#[test]
fn the_bus_of_redis_cluster_is_named_by_type() {
    let message = |kind: u16, rest: usize| {
        let length = 16 + u32::try_from(rest).unwrap();
        [&b"RCmb"[..], &length.to_be_bytes(), &[0, 1, 24, 235], &kind.to_be_bytes(), &[0, 0], &vec![1; rest]]
            .concat()
    };
    let bytes = [message(0, 2_240), message(5, 0), message(6, 1), message(77, 3)].concat();
    let expected = ["PING", "FAILOVER_AUTH_REQUEST", "FAILOVER_AUTH_ACK", "type 77"];
    check("redis-bus", Direction::Reply, &bytes, &expected);
}

/// A number of four bytes, or of eight, big end first.
fn int(number: i32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn long(number: i64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

fn buffer(data: &[u8]) -> Vec<u8> {
    [&int(i32::try_from(data.len()).unwrap()), data].concat()
}

#[test]
fn clients_of_zookeeper_are_named_by_requests_and_errors() {
    let asked = |xid: i32, kind: i32, rest: &[u8]| buffer(&[&int(xid), &int(kind), rest].concat());
    let session = buffer(&[0; 44]);
    let bytes = [session, asked(1, 1, b"path"), asked(-2, 11, b""), asked(2, 5, &[0; 70]), asked(3, 99, b"")];
    let expected = ["session", "create", "ping", "setData", "request 99"];
    check("zookeeper", Direction::Request, &bytes.concat(), &expected);
    let answered =
        |xid: i32, error: i32, rest: &[u8]| buffer(&[&int(xid), &long(7), &int(error), rest].concat());
    let bytes = [
        buffer(&[0; 36]),
        answered(1, 0, b"path"),
        answered(-2, 0, b""),
        answered(2, -103, b""),
        answered(3, -7, b""),
        answered(-1, 0, &[1; 20]),
    ];
    let expected = ["session", "ok", "pong", "bad version", "error -7", "event"];
    check("zookeeper", Direction::Reply, &bytes.concat(), &expected);
}

#[test]
fn followers_of_zookeeper_are_named_by_packets() {
    let packet = |kind: i32, data: Option<&[u8]>, identities: &[u8]| {
        [&int(kind), &long(1), &data.map_or_else(|| int(-1), buffer), identities].concat()
    };
    let who = [int(2), buffer(b"ip"), buffer(b"10.0.1.1"), buffer(b"world"), buffer(b"")].concat();
    let snapshot = [&b"ZKSN\0\0\0\0\0\0\x0aBen\0\0\0\x0aBenWas"[..], b"\0\0\0\0\x0aBenWasHere"].concat();
    let bytes = [
        packet(11, Some(&[1; 20]), &int(-1)),
        packet(1, Some(&[2; 90]), &who),
        packet(15, None, &int(-1)),
        snapshot,
        packet(10, None, &int(0)),
        packet(5, None, &int(-1)),
    ];
    let expected = ["FOLLOWERINFO", "REQUEST", "SNAP", "snapshot", "NEWLEADER", "PING"];
    check("zookeeper-quorum", Direction::Reply, &bytes.concat(), &expected);
}

#[test]
fn elections_of_zookeeper_are_named_by_states() {
    let notification = |state: i32| buffer(&[int(state), vec![3; 40]].concat());
    let rest = [notification(0), notification(2)].concat();
    let hellos = [[long(-65_536), long(3), buffer(b"10.0.0.1:3888")].concat(), long(3)];
    for hello in hellos {
        let bytes = [&hello[..], &rest].concat();
        check("zookeeper-election", Direction::Request, &bytes, &["hello", "looking", "leading"]);
    }
    check("zookeeper-election", Direction::Reply, &rest, &["looking", "leading"]);
}

#[test]
fn shapes_tell_direction_size_and_first_bytes() {
    for (direction, bytes, expected) in [
        (Direction::Request, &b"GET /x"[..], ">2aa"),
        (Direction::Reply, &[0, 200, 3][..], "<1zh"),
        (Direction::Reply, b"1", "<0d"),
        (Direction::Request, b"\n ", ">1cp"),
    ] {
        check_shape(direction, bytes, expected);
    }
}

fn check_shape(direction: Direction, bytes: &[u8], expected: &str) {
    let (messages, ..) = split("shape", direction, bytes, &[]);
    assert_eq!(messages.iter().map(|message| &*message.label).collect::<Vec<_>>(), [expected]);
}

#[test]
fn garbage_falls_back_to_shape_from_where_it_began() {
    let good = frame(br#"{"type":"vote"}"#);
    let bytes = [&good[..], b"GET /x HTTP/1.1\r\n", b"more"].concat();
    let (messages, stream, _) =
        split("frame32-json:type", Direction::Request, &bytes, &[good.len() + 2, 15, 4]);
    let seen: Vec<_> = messages.iter().map(|message| (message.start, &*message.label)).collect();
    let at = good.len() as u64;
    assert_eq!(seen, [(0, "vote"), (at, ">4aa"), (at + 17, ">2aa")]);
    assert!(stream.is_shape());
}

#[test]
fn a_datagram_is_one_message() {
    let mut labels = Labels::default();
    let dissector: Dissector = "frame32-json:type".parse().unwrap();
    let whole = frame(br#"{"type":"ping"}"#);
    assert_eq!(&*dissector.datagram(Direction::Request, &whole, &mut labels), "ping");
    assert_eq!(&*dissector.datagram(Direction::Request, &whole[..9], &mut labels), ">3zz");
    assert_eq!(&*dissector.datagram(Direction::Reply, b"", &mut labels), "<0");
}

/// Bytes that look enough like a protocol to get past its first checks.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let token: [&[u8]; 21] = [
        b"GET /a HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"content-length: 3\r\n",
        b"transfer-encoding: chunked\r\n",
        b"\r\n",
        b"*2\r\n$3\r\nfoo\r\n",
        b"%9999\r\n",
        b"+FULLRESYNC\r\n$2\r\n",
        b"$-1\r\n",
        &[0, 0, 0, 4],
        b"{\"op\":1}\n",
        b"{\"type\":",
        b"[[[[",
        b"9\r\n\0\0\0\0\0\0\0\x02\x08\x05",
        b"PUB a 3\r\nabc\r\n",
        b"RMSG $G $NRG.AE.x 2\r\n",
        b"RCmb\0\0\0\x10\0\x01\0\0\0\x05",
        &[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 14],
        &[255, 255, 255, 255, 255, 255, 0, 0],
        &[0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 0, 0, 0, 0],
        b"\0\0\0\x0aBenWasHere",
    ];
    let known = proptest::sample::select(token.to_vec()).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![3 => known, 1 => proptest::collection::vec(any::<u8>(), 0..8)];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_make_messages_that_lie_end_to_end(
        bytes in bytes(),
        spec in 0..SPECS.len(),
        reply in any::<bool>(),
        pieces in proptest::collection::vec(1_usize..12, 1..6),
    ) {
        let direction = if reply { Direction::Reply } else { Direction::Request };
        let (messages, stream, labels) = split(SPECS[spec], direction, &bytes, &pieces);
        let mut at = 0;
        for message in &messages {
            prop_assert_eq!(message.start, at);
            prop_assert!(message.end > at && message.end <= bytes.len() as u64);
            prop_assert!(!message.label.is_empty() && message.label.len() <= LABEL_BYTES_MAX);
            at = message.end;
        }
        prop_assert!(!stream.is_shape() || at == bytes.len() as u64);
        prop_assert!(stream.kept() <= KEPT_MAX && labels.len() <= DISTINCT_MAX);
    }

    #[test]
    fn memory_stays_bounded_whatever_is_promised(head in 0_u32..(32 << 20), spec in 0..SPECS.len()) {
        let mut stream = Stream::new(&SPECS[spec].parse().unwrap(), Direction::Request);
        let (mut labels, mut out) = (Labels::default(), Vec::new());
        stream.push(&head.to_be_bytes(), &mut labels, &mut out);
        stream.push(b"{\"list\":[", &mut labels, &mut out);
        for _ in 0..40 {
            stream.push(&[b'1'; 4096], &mut labels, &mut out);
            prop_assert!(stream.kept() <= KEPT_MAX);
        }
    }
}
