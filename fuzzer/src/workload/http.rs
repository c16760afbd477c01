//! HTTP/1.1 as a client of small JSON services needs it (RFC 9112): requests are written whole, responses are read
//! from pieces of any size.

/// The longest head of a response in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// How much of a status's words is kept, in characters.
const REASON_CHARS_MAX: usize = 60;
/// The longest body of a response in bytes.
const BODY_BYTES_MAX: usize = 16 << 20;

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// The words that its server gave with it.
    pub reason: String,
    /// Its body.
    pub body: Vec<u8>,
    /// The connection stays open after it.
    pub keep_alive: bool,
}

impl Response {
    /// Its status for people: `404 Not Found`.
    #[must_use]
    pub fn status_line(&self) -> String {
        format!("{} {}", self.status, self.reason.trim()).trim_end().to_owned()
    }
}

/// Why bytes are no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The head or the framing of the body breaks the rules.
    #[error("malformed response")]
    Malformed,
    /// Head or body is over its limit.
    #[error("response too long")]
    TooLong,
}

/// A request with a JSON body; without one when it is empty.
#[must_use]
pub fn request(method: &str, target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    format!("{method} {target} HTTP/1.1\r\nhost: node\r\n{kind}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The bytes of one connection that are not yet a whole response.
#[derive(Clone, Debug, Default)]
pub struct Responses {
    buffer: Vec<u8>,
}

impl Responses {
    /// Adds what was received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing is left over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes the next response; `None` while it is not whole. Interim responses (1xx) are skipped.
    ///
    /// # Errors
    /// When the bytes cannot become one; the connection is of no more use then.
    pub fn take(&mut self) -> Result<Option<Response>, HttpError> {
        self.take_at(false)
    }

    /// The connection has ended: the response whose body lasted until now, if there is one.
    ///
    /// # Errors
    /// When the bytes cannot become a response.
    pub fn end(&mut self) -> Result<Option<Response>, HttpError> {
        self.take_at(true)
    }

    fn take_at(&mut self, ended: bool) -> Result<Option<Response>, HttpError> {
        loop {
            let Some((head, head_bytes)) = Head::read(&self.buffer)? else { return Ok(None) };
            if (100..200).contains(&head.status) {
                self.buffer.drain(..head_bytes);
                continue;
            }
            let rest = &self.buffer[head_bytes..];
            let read = match head.framing {
                Framing::Length(length) if length > BODY_BYTES_MAX => return Err(HttpError::TooLong),
                Framing::Length(length) => rest.get(..length).map(|body| (body.to_vec(), length)),
                Framing::Chunked => chunks(rest)?,
                Framing::End if rest.len() > BODY_BYTES_MAX => return Err(HttpError::TooLong),
                Framing::End => ended.then(|| (rest.to_vec(), rest.len())),
            };
            let Some((body, body_bytes)) = read else { return Ok(None) };
            self.buffer.drain(..head_bytes + body_bytes);
            let keep_alive = head.keep_alive && !ended;
            return Ok(Some(Response { status: head.status, reason: head.reason, body, keep_alive }));
        }
    }
}

enum Framing {
    Length(usize),
    Chunked,
    /// The body ends with the connection.
    End,
}

struct Head {
    status: u16,
    reason: String,
    keep_alive: bool,
    framing: Framing,
}

impl Head {
    /// The head at the beginning of `buffer` and its length with the empty line.
    fn read(buffer: &[u8]) -> Result<Option<(Self, usize)>, HttpError> {
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if buffer.len() > HEAD_BYTES_MAX { Err(HttpError::TooLong) } else { Ok(None) };
        };
        if end > HEAD_BYTES_MAX {
            return Err(HttpError::TooLong);
        }
        let text = std::str::from_utf8(&buffer[..end]).map_err(|_| HttpError::Malformed)?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let version =
            words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or(HttpError::Malformed)?;
        let digits = words.next().filter(|word| word.len() == 3).ok_or(HttpError::Malformed)?;
        let status: u16 = digits.parse().map_err(|_| HttpError::Malformed)?;
        let reason: String = words.collect::<Vec<_>>().join(" ").chars().take(REASON_CHARS_MAX).collect();
        let mut head = Self { status, reason, keep_alive: version != "HTTP/1.0", framing: Framing::End };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(HttpError::Malformed)?;
            head.field(&name.to_ascii_lowercase(), value.trim())?;
        }
        if matches!(status, 100..200 | 204 | 304) {
            head.framing = Framing::Length(0);
        }
        head.keep_alive &= !matches!(head.framing, Framing::End);
        Ok(Some((head, end + 4)))
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), HttpError> {
        match name {
            // A chunked body wins over a length (RFC 9112, 6.3).
            "content-length" if !matches!(self.framing, Framing::Chunked) => {
                let length = value.parse().map_err(|_| HttpError::Malformed)?;
                self.framing = Framing::Length(length);
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => self.framing = Framing::Chunked,
            "transfer-encoding" => return Err(HttpError::Malformed),
            "connection" if value.eq_ignore_ascii_case("close") => self.keep_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => self.keep_alive = true,
            _ => {}
        }
        Ok(())
    }
}

/// A chunked body at the beginning of `bytes` and how many of them it takes; trailers are dropped.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, HttpError> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits).map_err(|_| HttpError::Malformed)?;
        let size = usize::from_str_radix(digits.trim(), 16).map_err(|_| HttpError::Malformed)?;
        if size.saturating_add(body.len()) > BODY_BYTES_MAX {
            return Err(HttpError::TooLong);
        }
        if size == 0 {
            return trailers(bytes, at).map(|end| end.map(|end| (body, end)));
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else { return Ok(None) };
        let (data, end) = chunk.split_at(size);
        if end != b"\r\n" {
            return Err(HttpError::Malformed);
        }
        body.extend_from_slice(data);
        at += size + 2;
    }
}

/// Where the body ends, behind the trailers that begin at `at`.
fn trailers(bytes: &[u8], mut at: usize) -> Result<Option<usize>, HttpError> {
    loop {
        let Some(line) = line(&bytes[at..])? else { return Ok(None) };
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(Some(at));
        }
    }
}

/// The line at the beginning of `bytes`, without its end.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, HttpError> {
    match bytes.windows(2).position(|window| window == b"\r\n") {
        Some(end) => Ok(Some(&bytes[..end])),
        None if bytes.len() > HEAD_BYTES_MAX => Err(HttpError::TooLong),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn response(status: u16, body: &str, keep_alive: bool) -> Response {
        Response { status, reason: "Word".into(), body: body.into(), keep_alive }
    }

    /// All that becomes of `text` on a connection which then ends.
    fn read(text: &str, splits: &[usize]) -> Vec<Result<Response, HttpError>> {
        let mut cuts: Vec<usize> = splits.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let mut responses = Responses::default();
        let mut all = Vec::new();
        for pair in cuts.windows(2) {
            responses.feed(&text.as_bytes()[pair[0]..pair[1]]);
            while let Some(taken) = responses.take().transpose() {
                let failed = taken.is_err();
                all.push(taken);
                if failed {
                    return all;
                }
            }
        }
        all.extend(responses.end().transpose());
        all
    }

    #[test]
    fn requests_are_written_whole() {
        let text = String::from_utf8(request("PUT", "/kv/k0", "{}")).unwrap();
        assert_eq!(
            text,
            "PUT /kv/k0 HTTP/1.1\r\nhost: node\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
        let text = String::from_utf8(request("GET", "/status", "")).unwrap();
        assert_eq!(text, "GET /status HTTP/1.1\r\nhost: node\r\ncontent-length: 0\r\n\r\n");
    }

    #[test]
    fn every_framing_is_read() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab\
                    HTTP/1.1 204 No Content\r\n\r\n\
                    HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\ncontent-length: 9\r\n\r\n\
                    3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\ntrailer: 1\r\n\r\n\
                    HTTP/1.1 421 Misdirected Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n\
                    HTTP/1.0 503 Service Unavailable\r\n\r\nuntil the end";
        let expected = [
            response(200, "ab", true),
            response(204, "", true),
            response(200, "abc0123456789", true),
            response(421, "", false),
            response(503, "until the end", false),
        ];
        let mut read = read(text, &[]);
        let told: Vec<String> = read.iter().flatten().map(Response::status_line).collect();
        let lines =
            ["200 OK", "204 No Content", "200 OK", "421 Misdirected Request", "503 Service Unavailable"];
        assert_eq!(told, lines);
        read.iter_mut().flatten().for_each(|response| response.reason = "Word".into());
        assert_eq!(read, expected.map(Ok));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "SSH-2.0\r\n\r\n",
            "HTTP/1.1 2OO OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabcd\r\n",
        ] {
            assert_eq!(read(text, &[]), [Err(HttpError::Malformed)], "{text}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
        assert_eq!(read(&long, &[]), [Err(HttpError::TooLong)]);
        assert_eq!(
            read("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", &[]),
            [Err(HttpError::TooLong)]
        );
    }

    proptest! {
        #[test]
        fn how_bytes_are_cut_does_not_matter(
            parts in proptest::collection::vec((200_u16..600, "[a-z\r\n]{0,20}", any::<bool>()), 1..5),
            splits in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let mut text = String::new();
            let mut expected = Vec::new();
            for (status, body, chunked) in &parts {
                let body = if matches!(status, 204 | 304) { "" } else { body };
                let framed = match (chunked, body) {
                    (true, "") => "transfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                    (true, body) => format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                    (false, body) => format!("content-length: {}\r\n\r\n{body}", body.len()),
                };
                let framed = if matches!(status, 204 | 304) { "\r\n".to_owned() } else { framed };
                text += &format!("HTTP/1.1 {status} Word\r\n{framed}");
                expected.push(Ok(response(*status, body, true)));
            }
            prop_assert_eq!(read(&text, &splits), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut responses = Responses::default();
            responses.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            responses.feed(&bytes);
            let _ = responses.take();
            let _ = responses.end();
        }
    }
}
