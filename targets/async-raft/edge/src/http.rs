//! As much HTTP/1.1 as small JSON requests need: heads, `Content-Length` bodies, keep-alive.
//!
//! Source: RFC 9112. Not supported, and refused: chunked bodies.

const HEAD_BYTES_MAX: usize = 8 << 10;
const BODY_BYTES_MAX: usize = 256 << 10;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// The path, without a query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection stays open after it.
    pub keep_alive: bool,
}

/// Takes the first whole request off `buffer`; `None` if more bytes are needed.
///
/// # Errors
///
/// The status to answer with before the connection is closed.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Request>, u16> {
    let end = buffer.windows(4).position(|window| window == b"\r\n\r\n");
    if end.unwrap_or(buffer.len()) > HEAD_BYTES_MAX {
        return Err(413);
    }
    let Some(end) = end else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end]).map_err(|_| 400_u16)?;
    let (first, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
        return Err(400);
    };
    let mut keep_alive = version == "HTTP/1.1";
    let mut body_bytes = 0;
    for field in fields.split_terminator("\r\n") {
        let (name, value) = field.split_once(':').ok_or(400_u16)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body_bytes = value.parse::<usize>().map_err(|_| 400_u16)?,
            "transfer-encoding" => return Err(400),
            "connection" => keep_alive = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    if body_bytes > BODY_BYTES_MAX {
        return Err(413);
    }
    let from = end + 4;
    let Some(body) = buffer.get(from..from + body_bytes) else { return Ok(None) };
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let request = Request { method: method.to_owned(), path, body: body.to_vec(), keep_alive };
    buffer.drain(..from + body_bytes);
    Ok(Some(request))
}

/// A response with a JSON body.
#[must_use]
pub fn response(status: u16, body: &str, keep_alive: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        _ => "Service Unavailable",
    };
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{connection}\r\n{body}"
    )
    .into_bytes()
}

/// Text with its percent escapes resolved; `None` if one is broken or the result is not UTF-8.
#[must_use]
pub fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(byte);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_any_split_and_pipelining() {
        let stream = b"PUT /kv/a?x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nConnection: Close\r\n\r\n";
        for chunk in 1..stream.len() {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for part in stream.chunks(chunk) {
                buffer.extend_from_slice(part);
                while let Some(request) = take(&mut buffer).unwrap() {
                    seen.push(request);
                }
            }
            let put =
                Request { method: "PUT".into(), path: "/kv/a".into(), body: b"abc".into(), keep_alive: true };
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[0], put);
            assert!(!seen[1].keep_alive);
        }
    }

    #[test]
    fn bad_requests_are_refused() {
        let refused = |text: &str| take(&mut text.as_bytes().to_vec()).unwrap_err();
        assert_eq!(refused("nonsense\r\n\r\n"), 400);
        assert_eq!(refused("GET / HTTP/1.1\r\nno colon\r\n\r\n"), 400);
        assert_eq!(refused("PUT / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n"), 413);
        assert_eq!(refused("PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), 400);
        assert_eq!(refused(&"x".repeat(HEAD_BYTES_MAX + 1)), 413);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(unescape("a%20b").as_deref(), Some("a b"));
        for broken in ["%", "%f", "%zz", "%ff"] {
            assert_eq!(unescape(broken), None);
        }
    }
}
