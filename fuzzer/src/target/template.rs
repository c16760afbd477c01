//! Templates: text with words in braces, `{ip}` or `{key|base64}`, that are filled in.
//!
//! Only a word of lower-case letters and digits is a placeholder, with an argument after a colon (`{ip:1}`) or a
//! filter after a bar. Any other brace stands for itself, so that JSON can be written as it is.

use crate::nearest::suggestion;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// A piece of a template.
enum Piece<'a> {
    Text(&'a str),
    Word { name: &'a str, argument: Option<&'a str>, filter: Option<&'a str> },
}

/// The text in base64 (RFC 4648, with padding).
#[must_use]
pub fn base64(text: &str) -> String {
    BASE64.encode(text)
}

/// What base64 stands for, when that is UTF-8.
#[must_use]
pub fn from_base64(text: &str) -> Option<String> {
    String::from_utf8(BASE64.decode(text).ok()?).ok()
}

/// Fills in each word; `value` is given its name and its argument. A word it does not know stays as it is.
pub fn fill(text: &str, value: &dyn Fn(&str, Option<&str>) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Word { name, argument, filter } => match (value(name, argument), filter) {
                (Some(value), Some(_)) => filled.push_str(&base64(&value)),
                (Some(value), None) => filled.push_str(&value),
                (None, _) => filled.push_str(&written(name, argument, filter)),
            },
        }
    }
    filled
}

/// Whether the template holds the word.
#[must_use]
pub fn holds(text: &str, word: &str) -> bool {
    pieces(text).iter().any(|piece| matches!(piece, Piece::Word { name, .. } if *name == word))
}

/// The first placeholder that a template holds, as written.
#[must_use]
pub fn placeholder(text: &str) -> Option<String> {
    let mut all = pieces(text).into_iter();
    all.find_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Word { name, argument, filter } => Some(written(name, argument, filter)),
    })
}

fn written(name: &str, argument: Option<&str>, filter: Option<&str>) -> String {
    let colon = argument.map(|argument| format!(":{argument}")).unwrap_or_default();
    let bar = filter.map(|filter| format!("|{filter}")).unwrap_or_default();
    format!("{{{name}{colon}{bar}}}")
}

/// Most bytes that a filled template has: `value` tells how many a word stands for.
#[must_use]
pub fn length_max(text: &str, value: &dyn Fn(&str) -> usize) -> usize {
    let length = |piece: &Piece<'_>| match piece {
        Piece::Text(text) => text.len(),
        Piece::Word { name, filter: None, .. } => value(name),
        Piece::Word { name, .. } => value(name).saturating_add(2) / 3 * 4,
    };
    pieces(text).iter().map(length).fold(0, usize::saturating_add)
}

/// Whether all words are among `known`, and all filters are filters. `ip` may have the number of a node behind it, up to
/// `nodes`; no other word has an argument.
///
/// # Errors
/// The first that is not, with the nearest one.
pub fn check(text: &str, known: &[&str], nodes: u8) -> Result<(), String> {
    for (at, _) in text.match_indices('{') {
        let rest = &text[at + 1..];
        let name = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or("");
        if known.contains(&name) && !rest[name.len()..].starts_with(['}', '|', ':']) {
            return Err(format!("`{}`: the brace before `{name}` is not closed", shown(text)));
        }
    }
    for piece in pieces(text) {
        let Piece::Word { name, argument, filter } = piece else { continue };
        let text = shown(text);
        if !known.contains(&name) {
            return Err(format!("`{text}`: unknown placeholder {{{name}}}: {}", suggestion(name, known)));
        }
        if filter.is_some_and(|filter| filter != "base64") {
            return Err(format!("`{text}`: the only filter is base64, as in {{{name}|base64}}"));
        }
        let Some(argument) = argument else { continue };
        if name != "ip" {
            return Err(format!("`{text}`: {{{name}}} takes nothing behind a colon"));
        }
        if !argument.parse().is_ok_and(|id: u8| (1..=nodes).contains(&id)) {
            return Err(format!(
                "`{text}`: {{ip:{argument}}} is no node; nodes are numbered from 1 to {nodes}"
            ));
        }
    }
    Ok(())
}

/// As much of a text as a message shows.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(100).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest[from..].find('{').map(|at| at + from) {
        let inner = &rest[at + 1..];
        // No word has a brace in it: what follows the next one is not looked at, or many would be looked at as often.
        let end = inner.find(['{', '}']).filter(|end| inner[*end..].starts_with('}'));
        match end.and_then(|end| Some((word(&inner[..end])?, &inner[end + 1..]))) {
            Some((word, tail)) => {
                pieces.push(Piece::Text(&rest[..at]));
                pieces.push(word);
                (rest, from) = (tail, 0);
            }
            None => from = at + 1,
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn word(inner: &str) -> Option<Piece<'_>> {
    let (inner, filter) = match inner.split_once('|') {
        Some((inner, filter)) => (inner, Some(filter)),
        None => (inner, None),
    };
    let (name, argument) = match inner.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (inner, None),
    };
    let is_plain =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_word = is_plain(name) && argument.is_none_or(is_plain) && filter.is_none_or(is_plain);
    is_word.then_some(Piece::Word { name, argument, filter })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        fill(text, &|name, argument| match (name, argument) {
            ("key", None) => Some("k1".into()),
            ("ip", Some(id)) => Some(format!("10.0.0.{id}")),
            _ => None,
        })
    }

    #[test]
    fn words_are_filled_in_and_other_braces_stay() {
        assert_eq!(filled("GET {key} from {ip:2}"), "GET k1 from 10.0.0.2");
        assert_eq!(filled(r#"{"key":"{key|base64}","n":{"a":1}}"#), r#"{"key":"azE=","n":{"a":1}}"#);
        assert_eq!(filled("{other} {ip:x|base64} { key } {"), "{other} MTAuMC4wLng= { key } {");
        assert_eq!(from_base64(&base64("schlüssel")).as_deref(), Some("schlüssel"));
        assert!(holds("a {key|base64}", "key") && !holds("a key", "key"));
    }

    #[test]
    fn many_braces_are_looked_at_once() {
        let text = "{a".repeat(1 << 19) + ":}";
        assert_eq!(filled(&text), text);
    }

    #[test]
    fn unknown_words_and_filters_are_told() {
        let check = |text| check(text, &["key", "value", "ip"], 3);
        assert_eq!(check(r#"{"a":"{key}{ip:3}"}"#), Ok(()));
        assert_eq!(check("{kye}").unwrap_err(), "`{kye}`: unknown placeholder {kye}: did you mean `key`?");
        assert!(check("{key").unwrap_err().contains("is not closed"));
        assert!(check("{key|base46}").unwrap_err().contains("the only filter is base64"));
        assert_eq!(check("{key:1}").unwrap_err(), "`{key:1}`: {key} takes nothing behind a colon");
        for ip in ["{ip:0}", "{ip:4}", "{ip:x}", "{ip:999}"] {
            assert!(check(ip).unwrap_err().ends_with("is no node; nodes are numbered from 1 to 3"), "{ip}");
        }
        assert!(check(&"{kye}".repeat(1000)).unwrap_err().len() < 300);
    }

    #[test]
    fn a_filled_template_is_as_long_as_is_told() {
        for text in ["", "{key}", "a{ip:2}{ip:x|base64}{", "{key|base64}{key}", "{ip|base64}"] {
            let lengths = |name: &str| match name {
                "key" => 2,
                _ => 8,
            };
            assert!(filled(text).len() <= length_max(text, &lengths), "{text}");
        }
    }
}
