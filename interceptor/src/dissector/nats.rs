//! The protocol of NATS, between clients and servers and between servers: lines of a verb and its arguments; behind those that
//! carry a message stand as many bytes as the last argument says, and a line end.
//!
//! Messages are named by verb and subject, of which the words in capitals at its beginning are kept: servers speak to each
//! other by `$NRG.V.…` (votes of Raft), `$NRG.AE.…` (entries), `$JS.API.STREAM.CREATE.…` and the like.

use super::FRAME_MAX;
use super::binary::{Grammar, Then};
use std::borrow::Cow;

/// Longest line in bytes (a server's INFO names all others).
const LINE_MAX: usize = 32 * 1024;

/// Most words of a subject that are kept.
const WORDS_MAX: usize = 4;

/// Verbs of which nothing but themselves is told.
const PLAIN: [&str; 14] = [
    "INFO", "CONNECT", "SUB", "UNSUB", "PING", "PONG", "+OK", "-ERR", "RS+", "RS-", "LS+", "LS-", "A+", "A-",
];

/// Verbs behind which a message stands.
const CARRIERS: [&str; 7] = ["PUB", "HPUB", "MSG", "HMSG", "RMSG", "LMSG", "HRMSG"];

/// Accounts, which stand before the subject between servers.
const ACCOUNTS: [&str; 2] = ["$G", "$SYS"];

/// Lines, a byte at a time.
#[derive(Default)]
pub(super) struct Nats {
    line: Vec<u8>,
}

impl Grammar for Nats {
    fn first(&self) -> usize {
        1
    }

    fn after(&mut self, part: &[u8]) -> Then {
        self.line.extend_from_slice(part);
        let is_verb =
            self.line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || b"+-".contains(byte));
        if !is_verb || self.line.len() > LINE_MAX {
            return Then::Garbage;
        }
        if part != b"\n" {
            return Then::Read(1);
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        match read(&line) {
            Some((label, pass)) => Then::End { pass, label, next: 1 },
            None => Then::Garbage,
        }
    }
}

/// The kind of the message that a line is or begins, and the bytes behind it.
fn read(line: &str) -> Option<(Cow<'static, str>, u64)> {
    let mut words = line.split_ascii_whitespace();
    // Verbs are written in any case, and mostly in capitals.
    let verb = words.next()?.to_ascii_uppercase();
    if let Some(verb) = PLAIN.iter().find(|known| **known == verb) {
        return Some(((*verb).into(), 0));
    }
    if !CARRIERS.contains(&verb.as_str()) {
        return None;
    }
    let arguments: Vec<&str> = words.collect();
    let (size, rest) = arguments.split_last()?;
    let size: u64 = size.parse().ok().filter(|size| *size <= FRAME_MAX)?;
    let subject = rest.iter().find(|word| !ACCOUNTS.contains(*word))?;
    Some((format!("{verb} {}", class(subject)).into(), size + 2))
}

/// The words in capitals at the beginning of a subject; `*` for the rest.
fn class(subject: &str) -> String {
    let says = |word: &&str| {
        let mut letters = word.bytes().filter(|byte| !b"$_".contains(byte)).peekable();
        letters.peek().is_some() && letters.all(|byte| byte.is_ascii_uppercase())
    };
    let kept: Vec<&str> = subject.split('.').take_while(says).take(WORDS_MAX).collect();
    match kept.join(".") {
        kept if kept.is_empty() => "*".to_owned(),
        kept if kept.len() < subject.len() => kept + ".*",
        kept => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn subjects_keep_the_words_of_the_protocol() {
        for (subject, expected) in [
            ("$NRG.AE.S-R3F-x2Ab", "$NRG.AE.*"),
            ("$JS.API.STREAM.CREATE.k1", "$JS.API.STREAM.CREATE.*"),
            ("_INBOX.7a.1", "_INBOX.*"),
            ("orders.new", "*"),
            ("k1", "*"),
            ("", "*"),
            ("$", "*"),
            ("PING", "PING"),
        ] {
            assert_eq!(class(subject), expected, "{subject}");
        }
    }
}
