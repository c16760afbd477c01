//! Bytes of a text with their places: what the readers of EDN and JSON stand on.

use crate::raw::{Error, Place};
use std::io::{BufRead, ErrorKind};

/// How deep values may be nested. Real histories need about six.
pub(super) const DEPTH_MAX: usize = 128;

/// How long an entry may be, in bytes. The longest real ones are final reads of some million elements.
const ENTRY_BYTES_MAX: usize = 256 << 20;

/// How many values an entry may hold: a short text may be a long list.
const ENTRY_VALUES_MAX: usize = 1 << 24;

/// How many bytes of a bad token a message shows.
const SHOWN_BYTES: usize = 40;

/// A text, looked at from left to right; holds one chunk of it.
#[derive(Debug)]
pub(super) struct Scanner<R> {
    source: R,
    chunk: Vec<u8>,
    next: usize,
    place: Place,
    /// The source failed: what follows looks like the end.
    failure: Option<String>,
    /// How many bytes may still be read for this entry.
    allowance: usize,
    /// How many values may still be in this entry.
    values: usize,
    is_at_end: bool,
}

impl<R: BufRead> Scanner<R> {
    pub(super) fn new(source: R) -> Self {
        let place = Place { line: 1, column: 1 };
        let (chunk, allowance, values) = (Vec::new(), ENTRY_BYTES_MAX, ENTRY_VALUES_MAX);
        let mut scanner =
            Self { source, chunk, next: 0, place, failure: None, allowance, values, is_at_end: false };
        if scanner.starts_with(b"\xef\xbb\xbf") {
            scanner.next = 3;
        }
        scanner
    }

    /// An entry begins here: it may be so long, and no longer.
    pub(super) const fn begin(&mut self) {
        self.allowance = ENTRY_BYTES_MAX;
        self.values = ENTRY_VALUES_MAX;
    }

    /// A value of the entry begins here, at this depth: it may have so many, nested so deep.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(self.error(format!("values are nested deeper than {DEPTH_MAX}")));
        }
        match self.values.checked_sub(1) {
            Some(left) => self.values = left,
            None => return Err(self.error(format!("an entry holds more than {ENTRY_VALUES_MAX} values"))),
        }
        Ok(())
    }

    /// What of the text was read and not passed over yet.
    pub(super) fn rest(&mut self) -> &[u8] {
        self.peek();
        &self.chunk[self.next..]
    }

    /// Where the next byte stands.
    pub(super) const fn place(&self) -> Place {
        self.place
    }

    /// The next byte; `None` at the end.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        if self.next >= self.chunk.len() {
            self.fill();
        }
        self.chunk.get(self.next).copied()
    }

    /// The byte after the next one.
    pub(super) fn peek_second(&mut self) -> Option<u8> {
        while self.next + 1 >= self.chunk.len() && self.fill() {}
        self.chunk.get(self.next + 1).copied()
    }

    /// Passes over the byte that was peeked at.
    #[inline]
    pub(super) fn bump(&mut self) {
        if let Some(byte) = self.chunk.get(self.next) {
            step(&mut self.place, *byte);
            self.next += 1;
        }
    }

    /// Passes over the next byte if it is this one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        if is_it {
            self.bump();
        }
        is_it
    }

    /// Passes over the first of these words that stands here and is followed by a byte that may follow; its position. A
    /// word at the end of the chunk is left to whoever takes words byte by byte.
    pub(super) fn take_word(&mut self, words: &[&str], may_follow: impl Fn(u8) -> bool) -> Option<usize> {
        self.peek()?;
        let rest = &self.chunk[self.next..];
        let is_here = |word: &&str| {
            rest.starts_with(word.as_bytes()) && rest.get(word.len()).is_some_and(|byte| may_follow(*byte))
        };
        let found = words.iter().position(is_here)?;
        // words are in one line, of ASCII
        self.next += words[found].len();
        self.place.column = self.place.column.saturating_add(words[found].len() as u32);
        Some(found)
    }

    /// Passes over a whole number of up to 18 digits that is followed by a byte that may follow, and has no zeros before
    /// it; the same holds of the end of the chunk.
    pub(super) fn take_int(&mut self, may_follow: impl Fn(u8) -> bool) -> Option<i64> {
        self.peek()?;
        let rest = &self.chunk[self.next..];
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest[sign..].iter().take(19).take_while(|byte| byte.is_ascii_digit()).count();
        let length = sign + digits;
        let is_plain = (1..19).contains(&digits) && (digits == 1 || rest[sign] != b'0');
        if !is_plain || !rest.get(length).is_some_and(|byte| may_follow(*byte)) {
            return None;
        }
        let number = rest[sign..length].iter().fold(0, |number, byte| number * 10 + i64::from(byte - b'0'));
        self.next += length;
        self.place.column = self.place.column.saturating_add(length as u32);
        Some(if sign == 1 { -number } else { number })
    }

    /// Appends the bytes up to the first that is not wanted.
    pub(super) fn take_while(&mut self, taken: &mut Vec<u8>, is_wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some() {
            let rest = &self.chunk[self.next..];
            let length = rest.iter().position(|byte| !is_wanted(*byte)).unwrap_or(rest.len());
            taken.extend_from_slice(&rest[..length]);
            advance(&mut self.place, &rest[..length]);
            self.next += length;
            if self.next < self.chunk.len() {
                break;
            }
        }
    }

    /// Passes over bytes up to the first that is not wanted.
    pub(super) fn skip_while(&mut self, is_wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is_wanted) {
            self.bump();
        }
    }

    /// The rest of the line without its end; `None` at the end of the text. The place is where it begins.
    pub(super) fn line(&mut self) -> Result<Option<(Place, String)>, Error> {
        self.bytes_of_line()?.map(|(place, bytes)| Ok((place, text(bytes, place)?))).transpose()
    }

    /// The same of a text that need not be UTF-8: what is not is replaced.
    pub(super) fn line_lossy(&mut self) -> Result<Option<(Place, String)>, Error> {
        let line = self.bytes_of_line()?;
        Ok(line.map(|(place, bytes)| (place, String::from_utf8_lossy(&bytes).into_owned())))
    }

    fn bytes_of_line(&mut self) -> Result<Option<(Place, Vec<u8>)>, Error> {
        self.begin();
        let place = self.place;
        if self.peek().is_none() {
            return self.end().map(|()| None);
        }
        let mut bytes = Vec::new();
        self.take_while(&mut bytes, |byte| byte != b'\n');
        if !self.take(b'\n') {
            self.end()?;
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Ok(Some((place, bytes)))
    }

    /// An error at the next byte; if the source failed, that is the error.
    pub(super) fn error(&mut self, cause: impl Into<String>) -> Error {
        let place = self.place;
        self.error_at(place, cause)
    }

    /// An error elsewhere; if the source failed, that is the error.
    pub(super) fn error_at(&mut self, place: Place, cause: impl Into<String>) -> Error {
        match self.failure.take() {
            Some(failure) => Error::at(None, failure),
            None => Error::at(place, cause),
        }
    }

    /// An error that names what stands here instead of what was expected.
    pub(super) fn unexpected(&mut self, expected: &str) -> Error {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => format!("`{}`", char::from(byte)),
            Some(byte) => format!("the byte 0x{byte:02x}"),
        };
        self.error(format!("found {found}, expected {expected}"))
    }

    /// The history is over: nothing may follow.
    pub(super) fn over(&mut self) -> Result<(), Error> {
        match self.peek() {
            None => self.end(),
            Some(_) => Err(self.unexpected("nothing after the end of the history")),
        }
    }

    /// What was opened at `place` is never closed.
    pub(super) fn unclosed(&mut self, place: Place) -> Error {
        self.error_at(place, "what is opened here is never closed")
    }

    /// Nothing is wrong with an end of the text here, unless it is the source that failed.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.failure.is_some() { Err(self.error("")) } else { Ok(()) }
    }

    fn starts_with(&mut self, bytes: &[u8]) -> bool {
        while self.chunk.len() < bytes.len() && self.fill() {}
        self.chunk.starts_with(bytes)
    }

    /// Reads on, keeping what was not passed over; false at the end.
    fn fill(&mut self) -> bool {
        if self.is_at_end {
            return false;
        }
        self.chunk.drain(..self.next);
        self.next = 0;
        loop {
            match self.source.fill_buf() {
                Ok([]) => self.is_at_end = true,
                Ok(bytes) if bytes.len() > self.allowance => {
                    let limit = ENTRY_BYTES_MAX >> 20;
                    let line = self.place.line;
                    self.failure = Some(format!("line {line}: an entry is longer than {limit} MiB"));
                    self.is_at_end = true;
                }
                Ok(bytes) => {
                    let length = bytes.len();
                    self.allowance -= length;
                    self.chunk.extend_from_slice(bytes);
                    self.source.consume(length);
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.failure = Some(format!("cannot read: {error}"));
                    self.is_at_end = true;
                }
            }
            return false;
        }
    }
}

/// Columns count characters: the continuation bytes of UTF-8 do not count.
#[inline]
fn step(place: &mut Place, byte: u8) {
    if byte == b'\n' {
        place.line = place.line.saturating_add(1);
        place.column = 1;
    } else if byte & 0xc0 != 0x80 {
        place.column = place.column.saturating_add(1);
    }
}

/// The same for many bytes, which seldom hold the end of a line.
fn advance(place: &mut Place, bytes: &[u8]) {
    if bytes.contains(&b'\n') {
        bytes.iter().for_each(|byte| step(place, *byte));
    } else {
        let characters = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        place.column = place.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
    }
}

/// Bytes as text.
pub(super) fn text(bytes: Vec<u8>, place: Place) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::at(place, "this is not UTF-8"))
}

/// A token for a message, cut where it is long.
pub(super) fn shown(token: &str) -> String {
    match token.char_indices().find(|(at, _)| *at >= SHOWN_BYTES) {
        Some((at, _)) => format!("`{}...`", &token[..at]),
        None => format!("`{token}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Format, Options};
    use std::io::{BufReader, Read};

    #[test]
    fn places_count_lines_and_characters_whatever_the_chunks() {
        let text = "\u{feff}aé\nß€b";
        for capacity in 1..8 {
            let mut scanner = Scanner::new(BufReader::with_capacity(capacity, text.as_bytes()));
            let mut seen = Vec::new();
            while let Some(byte) = scanner.peek() {
                if byte.is_ascii() {
                    seen.push((byte, scanner.place().line, scanner.place().column));
                }
                scanner.bump();
            }
            assert_eq!(seen, [(b'a', 1, 1), (b'\n', 1, 3), (b'b', 2, 3)]);
        }
    }

    #[test]
    fn the_second_byte_is_seen_across_chunks() {
        let mut scanner = Scanner::new(BufReader::with_capacity(1, &b"ab"[..]));
        assert_eq!(
            (scanner.peek(), scanner.peek_second(), scanner.peek()),
            (Some(b'a'), Some(b'b'), Some(b'a'))
        );
        scanner.bump();
        assert_eq!((scanner.peek(), scanner.peek_second()), (Some(b'b'), None));
    }

    #[test]
    fn a_source_that_fails_is_no_end() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("disk on fire"))
            }
        }
        let mut scanner = Scanner::new(BufReader::new((&b"ab"[..]).chain(Broken)));
        let error = scanner.line().and_then(|_| scanner.line()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read: disk on fire");
    }

    #[test]
    fn an_entry_holds_so_many_values_and_the_next_as_many_again() {
        let mut scanner = Scanner::new(&b"1"[..]);
        scanner.values = 2;
        assert!(scanner.value(0).is_ok() && scanner.value(DEPTH_MAX).is_ok());
        let error = scanner.value(0).unwrap_err();
        assert_eq!(error.to_string(), "line 1, column 1: an entry holds more than 16777216 values");
        scanner.begin();
        assert!(scanner.value(0).is_ok() && scanner.value(DEPTH_MAX + 1).is_err());
    }

    #[test]
    fn an_entry_without_end_is_refused() {
        for (read, text) in
            [(Format::Edn, &b"[{:f \"a"[..]), (Format::Json, b"[{\"f\":\"a"), (Format::Plume, b"r(1,")]
        {
            let source = BufReader::with_capacity(1 << 20, text.chain(std::io::repeat(b'1')));
            let error = crate::format::read(read, source, Options::default()).next().unwrap().unwrap_err();
            assert_eq!(error.to_string(), "line 1: an entry is longer than 256 MiB");
        }
    }
}
