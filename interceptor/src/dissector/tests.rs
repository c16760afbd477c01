use super::{DISTINCT_MAX, Direction, Dissector, KEPT_MAX, LABEL_BYTES_MAX, Labels, Message, Stream};
use proptest::prelude::*;

const SPECS: [&str; 6] = ["frame32-json:type", "frame32-enum:2", "line-json:op", "http", "resp", "shape"];

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
    let token: [&[u8]; 13] = [
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
