//! Formats told from the beginning of a file.

use super::{Format, etcd, hist};

/// How much of a file [`detect`] needs at most, in bytes.
pub const SAMPLE_BYTES: usize = 64 * 1024;

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
    if text.lines().any(|line| line.contains(etcd::LOGGER)) && !first.starts_with(['{', '[', '(', '#']) {
        return Some(Format::Etcd);
    }
    of_brackets(first, text)
}

/// `[x:=` or `[x==`
fn begins_hist(line: &str) -> bool {
    let Some(line) = line.strip_prefix('[') else { return false };
    let rest = line.trim_start_matches(|c: char| !c.is_ascii() || hist::is_name(c as u8));
    rest.len() < line.len() && (rest.starts_with(":=") || rest.starts_with("=="))
}

/// EDN or some JSON.
fn of_brackets(first: &str, text: &str) -> Option<Format> {
    let start = text.find(first)?;
    // what is inside, past the brackets around it
    let mut rest = text[start..].chars().filter(|c| !c.is_whitespace());
    let (outer, inner) = (rest.next()?, rest.next());
    let rest: String = rest.take(SAMPLE_BYTES).collect();
    let is_dbcop = || ["events\":", "params\":", "data\":["].iter().any(|name| rest.contains(name));
    let is_edn_map = |text: &str| text.starts_with([':', '#', ';']) || text.starts_with("}");
    match (outer, inner) {
        ('(' | '#', _) => Some(Format::Edn),
        ('{', Some(':' | '#' | ';' | '}')) => Some(Format::Edn),
        ('{', Some('"')) => {
            // of an EDN map with texts as keys, the value follows without a colon
            let has_colon = after_text(&rest).is_some_and(|c| c == ':');
            Some(if !has_colon {
                Format::Edn
            } else if is_dbcop() && !rest.contains("\"process\"") {
                Format::Dbcop
            } else {
                Format::Json
            })
        }
        ('[', Some('[')) => Some(Format::Dbcop),
        ('[', Some('{')) if rest.starts_with('"') => {
            let has_colon = after_text(&rest[1..]).is_some_and(|c| c == ':');
            Some(if has_colon { Format::Json } else { Format::Edn })
        }
        ('[', Some('{')) if is_edn_map(&rest) => Some(Format::Edn),
        ('[', Some('#' | ';' | ']')) => Some(Format::Edn),
        _ => None,
    }
}

/// The character after the text whose opening quote was just passed.
fn after_text(rest: &str) -> Option<char> {
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return chars.next(),
            _ => {}
        }
    }
    None
}
