//! Streams between nodes: messages lie end to end, and are the same however the stream is cut.
#![no_main]

use interceptor::dissector::{DISTINCT_MAX, Direction, Dissector, LABEL_BYTES_MAX, Labels, Message, Stream};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|bytes: &[u8]| {
    for spec in SPECS {
        let dissector = Dissector::parse(spec).expect("there is one");
        for direction in [Direction::Request, Direction::Reply] {
            let whole = dissected(&dissector, direction, bytes, bytes.len().max(1));
            for piece in [1, 7].into_iter().filter(|_| spec != "shape") {
                let cut = dissected(&dissector, direction, bytes, piece);
                let known = if cut.is_all && whole.is_all {
                    assert_eq!(cut.broken, whole.broken, "{spec} in pieces of {piece}");
                    usize::MAX
                } else {
                    cut.known.len().min(whole.known.len())
                };
                let [cut, whole] =
                    [&cut, &whole].map(|seen| seen.known.iter().take(known).collect::<Vec<_>>());
                assert_eq!(cut, whole, "{spec} in pieces of {piece}");
            }
            let _ = dissector.datagram(direction, bytes, &mut Labels::default());
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(dissector) = Dissector::parse(text)
    {
        assert_eq!(dissector.to_string(), text);
    }
});

/// What was made of a stream.
struct Seen {
    /// The messages up to the first that is told by the pieces in which it comes: one that breaks the rules of the protocol,
    /// or a body without a length.
    known: Vec<Message>,
    /// No body without a length comes.
    is_all: bool,
    /// Where the one began that broke the rules.
    broken: Option<u64>,
}

fn dissected(dissector: &Dissector, direction: Direction, bytes: &[u8], piece: usize) -> Seen {
    let mut stream = Stream::new(dissector, direction);
    let (mut labels, mut out) = (Labels::default(), Vec::new());
    let mut broken = None;
    for piece in bytes.chunks(piece) {
        stream.push(piece, &mut labels, &mut out);
        if broken.is_none() && stream.is_shape() {
            broken = out.last().map(|message| message.start);
        }
    }
    let mut at = 0;
    for message in &out {
        assert!(message.start == at && message.end > at && message.end <= bytes.len() as u64, "{out:?}");
        assert!(!message.label.is_empty() && message.label.len() <= LABEL_BYTES_MAX, "{out:?}");
        at = message.end;
    }
    assert!(labels.len() <= DISTINCT_MAX);
    let is_body = |one: &Message| &*one.label == "HTTP body";
    let is_all = !out.iter().any(is_body);
    let known = out.into_iter().take_while(|one| !is_body(one) && broken.is_none_or(|at| one.end <= at));
    Seen { known: known.collect(), is_all, broken }
}
