//! Formats told from the beginning of a file.

use super::{Format, edn, etcd, hist, txt};

/// How much of a file [`detect`] needs at most, in bytes.
pub const SAMPLE_BYTES: usize = 64 * 1024;

/// What is no text: how it begins, what it is, and what to do with it.
const FOREIGN: [(&[u8], &str, &str); 9] = [
    (b"\x1f\x8b", "compressed with gzip", "unpack it: gunzip -c FILE | fuzz check -"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it: zstd -dc FILE | fuzz check -"),
    (b"\xfd7zXZ\0", "compressed with xz", "unpack it: xz -dc FILE | fuzz check -"),
    (b"BZh", "compressed with bzip2", "unpack it: bunzip2 -c FILE | fuzz check -"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "unpack it: lz4 -dc FILE | fuzz check -"),
    (b"PK\x03\x04", "a zip archive", "unpack it, and name the history in it"),
    (
        b"JEPSEN",
        "Jepsen's own file of a test",
        "name history.edn or history.txt beside it, which Jepsen writes of each test",
    ),
    (b"\xff\xfe", "text in UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE | fuzz check -"),
    (b"\xfe\xff", "text in UTF-16", "write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE | fuzz check -"),
];

/// What a file that begins like this is, if it is no text, and what to do with it.
#[must_use]
pub fn foreign(sample: &[u8]) -> Option<(&'static str, &'static str)> {
    let known =
        FOREIGN.iter().find(|(start, ..)| sample.starts_with(start)).map(|(_, what, how)| (*what, *how));
    known.or_else(|| {
        let is_binary = sample.iter().take(SAMPLE_BYTES).any(|byte| *byte == 0);
        is_binary.then_some(("no text", "name the file of the history, which is text in one of the formats"))
    })
}

/// There is nothing but space and comments.
#[must_use]
pub fn is_noise(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| edn::past_noise(text) == Some(""))
}

/// The format of a file that begins like this, where that is unambiguous.
#[must_use]
pub fn detect(sample: &[u8]) -> Option<Format> {
    let sample = &sample[..sample.len().min(SAMPLE_BYTES)];
    // a character may be cut off at the end
    let text = String::from_utf8_lossy(sample);
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(';'))?;
    if first.starts_with("r(") || first.starts_with("w(") {
        return Some(Format::Plume);
    }
    if first.starts_with("//") || begins_hist(first) {
        return Some(Format::Hist);
    }
    let is_rule = |mark: char| first.chars().all(|c| c == mark);
    let mut words = first.split_whitespace();
    let is_access = matches!(words.next(), Some("r" | "w")) && words.count() == 2;
    if is_access || is_rule('-') || is_rule('=') {
        return Some(Format::Awdit);
    }
    if txt::is_line(first) {
        return Some(Format::Txt);
    }
    if text.lines().any(|line| line.contains(etcd::LOGGER)) && !first.starts_with(['{', '[', '(', '#', '^']) {
        return Some(Format::Etcd);
    }
    of_brackets(text)
}

/// `[x:=` or `[x==`
fn begins_hist(line: &str) -> bool {
    let Some(line) = line.strip_prefix('[') else { return false };
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| !c.is_ascii() || hist::is_name(c as u8));
    rest.len() < line.len() && (rest.starts_with(":=") || rest.starts_with("=="))
}

/// EDN or some JSON.
fn of_brackets(text: &str) -> Option<Format> {
    let mut rest = text;
    let mut depth = 0;
    loop {
        let plain = rest.trim_start();
        rest = edn::past_noise(plain)?;
        // JSON has no comments, no metadata, and no commas before the first value
        let is_edn = rest.len() < plain.len();
        match rest.chars().next() {
            _ if is_edn => return rest.starts_with(['[', '(', '{', '#']).then_some(Format::Edn),
            Some('(' | '#') => return Some(Format::Edn),
            Some('[') => depth += 1,
            Some('{') => return of_braces(&rest[1..], depth, text),
            // an empty array or vector; two of them are sessions
            Some(']') if depth > 0 => return Some(if depth == 1 { Format::Edn } else { Format::Dbcop }),
            _ if depth > 1 => return Some(Format::Dbcop),
            _ => return None,
        }
        rest = &rest[1..];
    }
}

/// The same, from what follows the first brace, in so many brackets.
fn of_braces(inside: &str, depth: usize, text: &str) -> Option<Format> {
    let inside = inside.trim_start();
    // of an EDN map with texts as keys, the value follows without a colon
    let is_json = inside.starts_with('"') && after_text(&inside[1..]) == Some(':');
    let is_lone = inside.starts_with('}');
    if !is_json {
        let is_edn = inside.starts_with([':', '#', ';', '^', '"']) || (is_lone && depth < 2);
        return is_edn.then_some(Format::Edn);
    }
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let is_dbcop = ["\"events\":", "\"params\":", "\"data\":["].iter().any(|name| compact.contains(name));
    let has_entries = ["\"process\":", "\"history\":["].iter().any(|name| compact.contains(name));
    Some(if is_dbcop && !has_entries { Format::Dbcop } else { Format::Json })
}

/// The first character that is no space after the text whose opening quote was just passed.
fn after_text(rest: &str) -> Option<char> {
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return chars.find(|c| !c.is_whitespace()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_with_the_next_step() {
        for (sample, what) in [
            (&b"\x1f\x8b\x08rest"[..], "gzip"),
            (b"JEPSEN\0\0\0\0", "Jepsen"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"{\0:\0", "no text"),
        ] {
            assert!(
                foreign(sample).is_some_and(|(told, how)| told.contains(what) && !how.is_empty()),
                "{what}"
            );
        }
        assert_eq!(foreign(b"{:process 0}"), None);
        assert_eq!(foreign("\u{feff}[]".as_bytes()), None);
    }
}
