//! As much HTTP/1.1 as small JSON requests need: heads, `Content-Length` bodies, keep-alive.
//!
//! Source: RFC 9112. Not supported, and refused: chunked bodies.

use thiserror::Error;

const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest body of a request or response, in bytes.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// A message: its first line, split at spaces, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Method, target and version of a request; version, status and reason of a response.
    pub start: [String; 3],
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection stays open after it.
    pub keep_alive: bool,
}

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HttpError {
    /// The head breaks the rules.
    #[error("malformed head")]
    Malformed,
    /// Head or body is too long.
    #[error("message too long")]
    TooLong,
    /// The body has no `Content-Length`.
    #[error("transfer codings are not supported; send a content-length")]
    Coding,
}

/// Takes the first whole message off `buffer`; `None` if more bytes are needed.
pub fn take(buffer: &mut Vec<u8>) -> Result<Option<Message>, HttpError> {
    let Some(head_bytes) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if buffer.len() > HEAD_BYTES_MAX { Err(HttpError::TooLong) } else { Ok(None) };
    };
    if head_bytes > HEAD_BYTES_MAX {
        return Err(HttpError::TooLong);
    }
    let head = std::str::from_utf8(&buffer[..head_bytes]).map_err(|_| HttpError::Malformed)?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return Err(HttpError::Malformed) };
    let start = [first, second, words.next().unwrap_or_default()];
    let mut keep_alive = start.iter().any(|word| word == "HTTP/1.1");
    let mut body_bytes = 0;
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(HttpError::Malformed)?;
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body_bytes = value.parse::<usize>().map_err(|_| HttpError::Malformed)?,
            "transfer-encoding" => return Err(HttpError::Coding),
            "connection" => keep_alive = !value.eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    if body_bytes > BODY_BYTES_MAX {
        return Err(HttpError::TooLong);
    }
    let from = head_bytes + 4;
    let Some(body) = buffer.get(from..from + body_bytes) else { return Ok(None) };
    let message = Message { start, body: body.to_vec(), keep_alive };
    buffer.drain(..from + body_bytes);
    Ok(Some(message))
}

/// A response with a JSON body.
pub fn response(status: u16, body: &str, keep_alive: bool) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        507 => "Insufficient Storage",
        _ => "Service Unavailable",
    };
    let connection = if keep_alive { "" } else { "connection: close\r\n" };
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{connection}\r\n{body}"
    )
    .into_bytes()
}

/// A request with a JSON body; empty: none.
pub fn request(method: &str, target: &str, host: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {target} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Text with its percent escapes resolved; `None` if one is broken or the result is not UTF-8.
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

/// Text with everything but letters, digits and `-._~` percent-escaped.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_survive_any_split_and_pipelining() {
        let stream = [
            request("PUT", "/kv/a", "h", r#"{"value":"v"}"#),
            b"GET /kv/a HTTP/1.1\r\nConnection: Close\r\n\r\n".to_vec(),
        ]
        .concat();
        for chunk in 1..stream.len() {
            let (mut buffer, mut seen) = (Vec::new(), Vec::new());
            for part in stream.chunks(chunk) {
                buffer.extend_from_slice(part);
                while let Some(message) = take(&mut buffer).unwrap() {
                    seen.push(message);
                }
            }
            assert_eq!(seen.len(), 2);
            assert_eq!(seen[0].start, ["PUT", "/kv/a", "HTTP/1.1"]);
            assert_eq!(seen[0].body, br#"{"value":"v"}"#);
            assert!(seen[0].keep_alive && !seen[1].keep_alive);
        }
    }

    #[test]
    fn bad_messages_are_refused() {
        let refused = |text: &str| take(&mut text.as_bytes().to_vec()).unwrap_err();
        assert_eq!(refused("nonsense\r\n\r\n"), HttpError::Malformed);
        assert_eq!(refused("GET / HTTP/1.1\r\nno colon\r\n\r\n"), HttpError::Malformed);
        assert_eq!(refused("PUT / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n"), HttpError::TooLong);
        assert_eq!(refused("PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"), HttpError::Coding);
        assert_eq!(refused(&"x".repeat(HEAD_BYTES_MAX + 1)), HttpError::TooLong);
    }

    #[test]
    fn escapes_round_trip() {
        assert_eq!(unescape(&escape("a b/ü%")).as_deref(), Some("a b/ü%"));
        assert_eq!(unescape("%"), None);
        assert_eq!(unescape("%f"), None);
        assert_eq!(unescape("%ff"), None);
    }
}
