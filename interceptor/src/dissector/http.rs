//! HTTP/1 (RFC 9112): requests are named by method and route, responses by status.
//!
//! Only one direction is seen, so the answer to a HEAD request, whose `content-length` promises bytes that
//! never come, swallows that many bytes of the next answers.

use super::Step;
use super::binary::Binary;
use super::etcd_raft::{self, RaftStream};
use std::borrow::Cow;

/// Longest head of a message in bytes.
const HEAD_MAX: usize = 32 * 1024;

/// Longest first line, chunk line or trailer line in bytes.
const LINE_MAX: usize = 8 * 1024;

/// Longest body or chunk in bytes that is believed.
const BODY_MAX: u64 = 1 << 30;

/// Route segments that are kept; what follows is `/**`.
const SEGMENTS_MAX: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// In the head of a message.
    #[default]
    Head,
    /// In a body with this many bytes left.
    Body(u64),
    /// In the line before a chunk.
    ChunkLine,
    /// In a chunk with this many bytes left, its line end included.
    Chunk(u64),
    /// In the lines after the last chunk.
    Trailer,
    /// After a response that lasts until the connection ends: each write is a message.
    UntilClose,
}

/// A stream of HTTP messages.
#[derive(Default)]
pub(super) struct Http {
    phase: Phase,
    /// The head, or the line, so far.
    text: Vec<u8>,
    /// The first line of the head was found good.
    started: bool,
    /// Of the message whose body is open.
    label: String,
    /// What bodies hold.
    bodies: Bodies,
}

/// What bodies are looked into for.
#[derive(Default)]
enum Bodies {
    /// Nothing.
    #[default]
    Any,
    /// Messages of Raft: see [`etcd_raft`].
    Raft,
    /// Such a message, whose beginning is looked for in the body that is open.
    RaftMessage,
    /// A stream of them, once its first chunk is there.
    RaftStream(Option<Binary<RaftStream>>),
}

/// The request whose body is one message of Raft.
const RAFT_MESSAGE: &str = "POST /raft";

/// What the head says of the message.
struct Head {
    label: String,
    next: Phase,
}

impl Http {
    /// As etcd's servers speak it.
    pub(super) fn of_etcd() -> Self {
        Self { bodies: Bodies::Raft, ..Self::default() }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        if self.phase == Phase::UntilClose {
            // An answer to HEAD, or one that must not have a body, looks as if it lasted until the end.
            if !bytes.starts_with(b"HTTP/1.") {
                return Step::Message { used: bytes.len(), label: "HTTP body".into() };
            }
            self.phase = Phase::Head;
        }
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            match self.phase {
                // The line end after a chunk is counted with it.
                Phase::Chunk(left) if left > 2 && matches!(self.bodies, Bodies::RaftStream(_)) => {
                    let data = rest.len().min(usize::try_from(left - 2).unwrap_or(usize::MAX));
                    let (taken, label) = self.in_stream(&rest[..data], left - 2);
                    used += taken;
                    self.phase = Phase::Chunk(left - taken as u64);
                    if let Some(label) = label {
                        return Step::Message { used, label };
                    }
                }
                Phase::Body(left) | Phase::Chunk(left) => {
                    let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.in_body(&rest[..take]);
                    used += take;
                    let left = left - take as u64;
                    self.phase = match self.phase {
                        Phase::Body(_) if left == 0 => return self.finish(used, Phase::Head),
                        Phase::Body(_) => Phase::Body(left),
                        _ if left == 0 => Phase::ChunkLine,
                        _ => Phase::Chunk(left),
                    };
                }
                Phase::Head | Phase::ChunkLine | Phase::Trailer | Phase::UntilClose => {
                    used += 1;
                    match self.byte(rest[0]) {
                        Ok(None) => {}
                        Ok(Some(next)) => return self.finish(used, next),
                        Err(Garbage) => return Step::Garbage,
                    }
                }
            }
        }
        Step::More
    }

    /// Takes bytes of a chunk that has `len` left: how many, and the kind of the message that ends with them.
    fn in_stream(&mut self, data: &[u8], len: u64) -> (usize, Option<Cow<'static, str>>) {
        let Bodies::RaftStream(stream) = &mut self.bodies else { return (data.len(), None) };
        if stream.is_none() {
            *stream = data.first().and_then(|first| RaftStream::of_chunk(*first, len)).map(Binary::new);
        }
        match stream.as_mut().map(|stream| stream.feed(data)) {
            Some(Step::More) => (data.len(), None),
            Some(Step::Message { used, label }) => (used, Some(label)),
            // Another answer in chunks.
            None | Some(Step::Garbage) => {
                self.bodies = Bodies::Raft;
                (data.len(), None)
            }
        }
    }

    /// Looks at bytes of a body.
    fn in_body(&mut self, bytes: &[u8]) {
        if !matches!(self.bodies, Bodies::RaftMessage) {
            return;
        }
        self.text.extend(bytes.iter().take(2 - self.text.len()));
        if self.text.len() == 2 {
            if let Some(kind) = etcd_raft::named(&self.text) {
                self.label = format!("{RAFT_MESSAGE} {kind}");
            }
            self.text.clear();
            self.bodies = Bodies::Raft;
        }
    }

    /// Looks at a head: whether what follows is a stream, which has no end to wait for.
    fn is_stream(&mut self, head: &Head) -> bool {
        if matches!(self.bodies, Bodies::Any) {
            return false;
        }
        let is_stream = head.next == Phase::ChunkLine && head.label.starts_with("HTTP ");
        self.bodies = match head.next {
            _ if is_stream => Bodies::RaftStream(None),
            Phase::Body(2..) if head.label == RAFT_MESSAGE => Bodies::RaftMessage,
            _ => Bodies::Raft,
        };
        is_stream
    }

    fn finish(&mut self, used: usize, next: Phase) -> Step {
        self.phase = next;
        Step::Message { used, label: std::mem::take(&mut self.label).into() }
    }

    /// One byte of a head or line; `Some` is the phase after the message that it ends.
    fn byte(&mut self, byte: u8) -> Result<Option<Phase>, Garbage> {
        let head = self.phase == Phase::Head;
        if head && self.text.is_empty() && matches!(byte, b'\r' | b'\n') {
            return Ok(None);
        }
        self.text.push(byte);
        let limit = if head && self.started { HEAD_MAX } else { LINE_MAX };
        let misfit = head && self.text.len() == 1 && !byte.is_ascii_uppercase();
        if self.text.len() > limit || misfit {
            return Err(Garbage);
        }
        if byte != b'\n' {
            return Ok(None);
        }
        match self.phase {
            Phase::Head => self.head_line(),
            Phase::ChunkLine => {
                let size = chunk_size(&self.text).ok_or(Garbage)?;
                self.text.clear();
                self.phase = if size == 0 { Phase::Trailer } else { Phase::Chunk(size + 2) };
                Ok(None)
            }
            _ => {
                let last = self.text.trim_ascii().is_empty();
                self.text.clear();
                if self.label.is_empty() {
                    // The head was a message of its own.
                    self.label.push_str("HTTP body");
                }
                Ok(last.then_some(Phase::Head))
            }
        }
    }

    fn head_line(&mut self) -> Result<Option<Phase>, Garbage> {
        if !self.started {
            start_line(&self.text).ok_or(Garbage)?;
            self.started = true;
        }
        if !self.text.ends_with(b"\n\r\n") && !self.text.ends_with(b"\n\n") {
            return Ok(None);
        }
        let head = read_head(&self.text).ok_or(Garbage)?;
        self.text.clear();
        self.started = false;
        let is_stream = self.is_stream(&head);
        self.label = head.label;
        match head.next {
            Phase::ChunkLine if is_stream => Ok(Some(Phase::ChunkLine)),
            Phase::Body(0) => Ok(Some(Phase::Head)),
            Phase::Head | Phase::UntilClose => Ok(Some(head.next)),
            next => {
                self.phase = next;
                Ok(None)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.text.len()
    }
}

/// The bytes are not HTTP.
struct Garbage;

/// The first line: a status, or a method and a target.
enum Start<'a> {
    Response(u16),
    Request(&'a str, &'a str),
}

fn start_line(text: &[u8]) -> Option<Start<'_>> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next()?);
    if first.starts_with("HTTP/1.") {
        let status: u16 = second.parse().ok()?;
        return (100..1000).contains(&status).then_some(Start::Response(status));
    }
    let method = first.len() <= 20 && first.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let version = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    (method && version).then_some(Start::Request(first, second))
}

fn read_head(text: &[u8]) -> Option<Head> {
    let start = start_line(text)?;
    let mut length: Option<u64> = None;
    let mut chunked = false;
    for line in text.split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length =
                Some(std::str::from_utf8(value).ok()?.parse().ok().filter(|length| *length <= BODY_MAX)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            chunked |= value.to_ascii_lowercase().ends_with(b"chunked");
        }
    }
    let body = match length {
        _ if chunked => Some(Phase::ChunkLine),
        Some(length) => Some(Phase::Body(length)),
        None => None,
    };
    Some(match start {
        Start::Request(method, target) => {
            Head { label: format!("{method} {}", route(target)), next: body.unwrap_or(Phase::Head) }
        }
        Start::Response(status) => {
            let next = match status {
                101 => Phase::UntilClose,
                100..200 | 204 | 304 => Phase::Head,
                _ => body.unwrap_or(Phase::UntilClose),
            };
            Head { label: format!("HTTP {status}"), next }
        }
    })
}

fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (!digits.starts_with(b"+") && size <= BODY_MAX).then_some(size)
}

/// The route of a request target: without host and query, segments that look variable replaced by `*`. Kept
/// are leading `api` and version segments (`v3`, `v1beta1`) and the first segment after them unless it holds
/// a digit; after a version, in the POST-everything style of remote calls (`/v3/kv/put`), also the second, if
/// it holds no digit.
fn route(target: &str) -> Cow<'static, str> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.find("://").map_or(path, |at| {
        let host = &path[at + 3..];
        host.find('/').map_or("/", |slash| &host[slash..])
    });
    if !path.starts_with('/') {
        return "*".into();
    }
    let mut route = String::new();
    let (mut keep, mut prefix) = (1, true);
    for (at, segment) in path.split('/').skip(1).enumerate() {
        route.push('/');
        if at >= SEGMENTS_MAX {
            route.push_str("**");
            break;
        }
        let version = is_version(segment);
        prefix &= version || segment == "api";
        if prefix {
            keep = if version { 2 } else { keep };
            route.push_str(segment);
            continue;
        }
        let plain = !segment.bytes().any(|byte| byte.is_ascii_digit() || byte == b'%');
        route.push_str(if segment.is_empty() || (plain && keep > 0) { segment } else { "*" });
        keep = i32::max(keep - 1, 0);
    }
    route.into()
}

fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else { return false };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix("alpha").or_else(|| rest.strip_prefix("beta")).unwrap_or(rest);
    segment.len() > 1
        && segment.as_bytes()[1].is_ascii_digit()
        && rest.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn routes_keep_what_names_the_call() {
        let routes = [
            ("/kv/x7", "/kv/*"),
            ("/kv/alpha?wait=1", "/kv/*"),
            ("/", "/"),
            ("/x7", "/*"),
            ("/v3/kv/put", "/v3/kv/put"),
            ("/v3/kv/key9/more", "/v3/kv/*/*"),
            ("/api/v1beta1/pods/name", "/api/v1beta1/pods/name"),
            ("http://10.0.0.1:80/kv/x", "/kv/*"),
            ("*", "*"),
            ("/a/b/c/d/e/f/g/h", "/a/*/*/*/*/*/**"),
        ];
        for (target, expected) in routes {
            assert_eq!(route(target), expected, "{target}");
        }
    }
}
