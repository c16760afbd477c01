//! The protocol of Redis (RESP 2 and 3): commands by name, replies by type.
//!
//! A replica's stream is read too: after `+FULLRESYNC` comes a file with no line end after it, then the
//! primary's commands, so from there on that direction carries commands.

use super::{Direction, Step};
use std::borrow::Cow;

/// Longest header line or simple string in bytes.
const LINE_MAX: usize = 64 * 1024;

/// How much of a line, or of a command's name, is kept.
const TEXT_MAX: usize = 64;

/// Most elements of an array (the limit of Redis for a command), and longest bulk string in bytes.
const ELEMENTS_MAX: u64 = 1 << 20;
const BULK_MAX: u64 = 512 << 20;

/// First words of the arrays that a server pushes to subscribers.
const PUSHES: [&str; 6] = ["message", "pmessage", "subscribe", "psubscribe", "unsubscribe", "punsubscribe"];

/// A stream of RESP values.
pub(super) struct Resp {
    /// Arrays are commands.
    commands: bool,
    /// The next bulk string is a file without a line end.
    file: bool,
    /// Values until the message is whole; 0 between messages.
    pending: u64,
    /// Bytes of a bulk string left, its line end included.
    bulk: u64,
    /// The next bulk string names the message.
    naming: bool,
    /// The beginning of the open line, or of the naming bulk string.
    text: Vec<u8>,
    line_len: usize,
    label: Cow<'static, str>,
}

/// The bytes are not RESP.
struct Garbage;

impl Resp {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            commands: direction == Direction::Request,
            file: false,
            pending: 0,
            bulk: 0,
            naming: false,
            text: Vec::new(),
            line_len: 0,
            label: Cow::Borrowed(""),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            let whole = if self.bulk > 0 {
                used += self.bulk_bytes(rest);
                self.bulk == 0 && self.bulk_ended()
            } else {
                used += 1;
                match self.line_byte(rest[0]) {
                    Ok(whole) => whole,
                    Err(Garbage) => return Step::Garbage,
                }
            };
            if whole {
                self.naming = false;
                return Step::Message { used, label: std::mem::take(&mut self.label) };
            }
        }
        Step::More
    }

    fn bulk_bytes(&mut self, bytes: &[u8]) -> usize {
        let take = bytes.len().min(usize::try_from(self.bulk).unwrap_or(usize::MAX));
        if self.naming {
            let room = TEXT_MAX - self.text.len();
            self.text.extend_from_slice(&bytes[..take.min(room)]);
        }
        self.bulk -= take as u64;
        take
    }

    fn bulk_ended(&mut self) -> bool {
        if self.naming {
            self.naming = false;
            self.name();
            self.text.clear();
        }
        self.value_ended()
    }

    /// Takes the name of a command, or of a push, from the first element of an array.
    fn name(&mut self) {
        let Some(name) = word(self.text.trim_ascii_end()) else { return };
        if self.commands {
            self.label = name.to_ascii_uppercase().into();
        } else if PUSHES.contains(&name) {
            self.label = format!("RESP {name}").into();
        }
    }

    fn value_ended(&mut self) -> bool {
        self.pending = self.pending.saturating_sub(1);
        self.pending == 0
    }

    /// One byte of a line; true when it ends the message.
    fn line_byte(&mut self, byte: u8) -> Result<bool, Garbage> {
        if self.line_len == 0 {
            let inline =
                self.pending == 0 && (byte.is_ascii_alphabetic() && self.commands || b"\r\n".contains(&byte));
            if !inline && !b"*$+-:_#,(!=%~>|".contains(&byte) {
                return Err(Garbage);
            }
        }
        self.line_len += 1;
        if self.line_len > LINE_MAX {
            return Err(Garbage);
        }
        if byte != b'\n' {
            if self.text.len() < TEXT_MAX {
                self.text.push(byte);
            }
            return Ok(false);
        }
        let line = std::mem::take(&mut self.text);
        self.line_len = 0;
        let whole = self.line(line.trim_ascii_end());
        self.text = line;
        self.text.clear();
        whole
    }

    fn line(&mut self, line: &[u8]) -> Result<bool, Garbage> {
        let top = self.pending == 0;
        if top {
            self.pending = 1;
            self.label = self.label_of(line);
        }
        let Some((kind, rest)) = line.split_first() else { return Ok(self.value_ended()) };
        // Anything but a plain bulk string in first place leaves the array unnamed.
        self.naming &= top || *kind == b'$';
        match kind {
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let count = number(rest, ELEMENTS_MAX)?;
                self.naming = top && matches!(kind, b'*' | b'>') && count > 0;
                self.pending = self.pending.saturating_add(match kind {
                    b'%' => 2 * count,
                    // Attributes stand before the value that they describe.
                    b'|' => 2 * count + 1,
                    _ => count,
                });
                Ok(self.value_ended())
            }
            b'$' | b'!' | b'=' => {
                let absent = rest.first() == Some(&b'-');
                let length = number(rest, BULK_MAX)?;
                let file = top && std::mem::take(&mut self.file);
                self.bulk = if file { length } else { length + 2 };
                if absent || self.bulk == 0 {
                    self.bulk = 0;
                    self.naming = false;
                    return Ok(self.value_ended());
                }
                Ok(false)
            }
            _ => Ok(self.value_ended()),
        }
    }

    /// The label of a message that begins with this line; an array may yet find a better one.
    fn label_of(&mut self, line: &[u8]) -> Cow<'static, str> {
        let Some((kind, rest)) = line.split_first() else { return "RESP newline".into() };
        let first = rest.split(|byte| *byte == b' ').next().and_then(word);
        match kind {
            b'+' => {
                let resync = rest.starts_with(b"FULLRESYNC");
                self.file |= resync;
                self.commands |= resync || rest.starts_with(b"CONTINUE");
                "RESP simple".into()
            }
            b'-' | b'!' => match first
                .filter(|word| *kind == b'-' && word.bytes().all(|byte| byte.is_ascii_uppercase()))
            {
                Some(code) => format!("RESP error {code}").into(),
                None => "RESP error".into(),
            },
            b':' | b'(' => "RESP integer".into(),
            b',' => "RESP double".into(),
            b'#' => "RESP boolean".into(),
            b'_' => "RESP nil".into(),
            b'$' | b'*' if rest.starts_with(b"-") => "RESP nil".into(),
            b'$' if self.file => "RESP file".into(),
            b'$' | b'=' => "RESP bulk".into(),
            b'%' => "RESP map".into(),
            b'~' => "RESP set".into(),
            b'>' => "RESP push".into(),
            b'|' => "RESP attribute".into(),
            b'*' => "RESP array".into(),
            _ => match line.split(|byte| *byte == b' ').next().and_then(word) {
                Some(command) => command.to_ascii_uppercase().into(),
                None => "RESP inline".into(),
            },
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.text.len()
    }
}

/// A count or length; -1 (absent) counts as none.
fn number(digits: &[u8], max: u64) -> Result<u64, Garbage> {
    if digits == b"-1" {
        return Ok(0);
    }
    let plain = !digits.is_empty() && digits.len() <= 10 && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).map_err(|_| Garbage)?;
    text.parse().ok().filter(|number| plain && *number <= max).ok_or(Garbage)
}

/// A word that may be a name.
fn word(text: &[u8]) -> Option<&str> {
    let fits = (1..=24).contains(&text.len());
    let plain = text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-|".contains(byte));
    std::str::from_utf8(text).ok().filter(|_| fits && plain)
}
