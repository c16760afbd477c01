//! EDN, as Clojure prints it: values in sequence, or the elements of one vector or list, one at a time.
//!
//! Beyond the EDN specification this takes ratios (`2/3`), `##Inf`, namespaced maps (`#:a{:b 1}`, as a tagged value)
//! and metadata (`^:a x`, passed over). Characters (`\a`) are taken as texts, `5N` as `5`.

use super::entry::{Draft, FIELDS_EDN, Found};
use super::scanner::{Scanner, shown, text};
use crate::raw::{Error, Place};
use crate::value::Value;
use std::io::BufRead;

/// Numbers without digits.
const SYMBOLIC: [&str; 3] = ["##Inf", "##-Inf", "##NaN"];

/// The values of a text; nothing is to be asked of it after an error.
#[derive(Debug)]
pub(super) struct Values<R> {
    scanner: Scanner<R>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    /// Inside the vector or list that began here and is closed by this byte.
    Inside(Place, u8),
    /// Values in sequence.
    Outside,
}

impl<R: BufRead> Values<R> {
    pub(super) fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), state: State::Start }
    }

    fn advance(&mut self) -> Result<Option<(Place, Found)>, Error> {
        let scanner = &mut self.scanner;
        scanner.begin();
        skip(scanner, 0)?;
        if let (State::Start, Some(open @ (b'[' | b'('))) = (self.state, scanner.peek()) {
            self.state = State::Inside(scanner.place(), if open == b'[' { b']' } else { b')' });
            scanner.bump();
            skip(scanner, 0)?;
        } else if let State::Start = self.state {
            self.state = State::Outside;
        }
        match (self.state, scanner.peek()) {
            (State::Inside(open, _), None) => Err(scanner.unclosed(open)),
            (State::Inside(_, close), Some(byte)) if byte == close => {
                scanner.bump();
                skip(scanner, 0)?;
                scanner.over().map(|()| None)
            }
            (_, None) => scanner.end().map(|()| None),
            _ => {
                let place = scanner.place();
                let found = match scanner.peek() {
                    Some(b'{') => Found::Map(fields(scanner)?),
                    _ => Found::Value(value(scanner, 0)?),
                };
                Ok(Some((place, found)))
            }
        }
    }
}

impl<R: BufRead> Iterator for Values<R> {
    type Item = Result<(Place, Found), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The values of a short text, such as the rest of a line that begins at `place`.
pub(super) fn values_of(text: &str, place: Place) -> Result<Vec<Value>, Error> {
    let mut scanner = Scanner::new(text.as_bytes());
    let mut values = Vec::new();
    let moved = |error: Error| {
        let at = error
            .place
            .map(|at| Place { line: place.line, column: place.column.saturating_add(at.column - 1) });
        Error { place: at, ..error }
    };
    loop {
        skip(&mut scanner, 0).map_err(moved)?;
        if scanner.peek().is_none() {
            return Ok(values);
        }
        values.push(value(&mut scanner, 0).map_err(moved)?);
    }
}

/// Passes over what means nothing: space, commas, comments, discarded values, metadata.
fn skip<R: BufRead>(scanner: &mut Scanner<R>, depth: usize) -> Result<(), Error> {
    loop {
        match scanner.peek() {
            Some(byte) if is_space(byte) => scanner.bump(),
            Some(b';') => scanner.skip_while(|byte| byte != b'\n'),
            Some(b'#') if scanner.peek_second() == Some(b'_') => {
                scanner.bump();
                scanner.bump();
                value(scanner, depth + 1)?;
            }
            Some(b'^') => {
                scanner.bump();
                value(scanner, depth + 1)?;
            }
            _ => return Ok(()),
        }
    }
}

/// The next value; there must be one.
fn value<R: BufRead>(scanner: &mut Scanner<R>, depth: usize) -> Result<Value, Error> {
    scanner.value(depth)?;
    skip(scanner, depth)?;
    if let Some(plain) = plain(scanner) {
        return Ok(plain);
    }
    let place = scanner.place();
    match scanner.peek() {
        Some(b'[') => Ok(Value::List(elements(scanner, depth, b']')?)),
        Some(b'(') => Ok(Value::List(elements(scanner, depth, b')')?)),
        Some(b'{') => map(scanner, depth),
        Some(b'"') => string(scanner).map(Value::Text),
        Some(b'\\') => character(scanner),
        Some(b'#') => dispatch(scanner, depth),
        Some(b':') => {
            scanner.bump();
            let name = token(scanner)?;
            if name.is_empty() {
                Err(scanner.unexpected("the name of a keyword"))
            } else {
                Ok(Value::Keyword(name))
            }
        }
        Some(byte) if is_token(byte) => atom(token(scanner)?).map_err(|cause| Error::at(place, cause)),
        _ => Err(scanner.unexpected("a value")),
    }
}

/// What most values are, if it stands here in one piece: `nil`, or a short whole number.
fn plain<R: BufRead>(scanner: &mut Scanner<R>) -> Option<Value> {
    match scanner.peek()? {
        b'-' | b'0'..=b'9' => scanner.take_int(|byte| !is_token(byte)).map(Value::Int),
        b'n' => scanner.take_word(&["nil"], |byte| !is_token(byte)).map(|_| Value::Nil),
        _ => None,
    }
}

/// The map that an entry is: its names are mostly known, and need no values of their own.
fn fields<R: BufRead>(scanner: &mut Scanner<R>) -> Result<Draft, Error> {
    scanner.value(0)?;
    let open = scanner.place();
    scanner.bump();
    let mut draft = Draft::default();
    loop {
        skip(scanner, 0)?;
        if let Some(field) = scanner.take_word(&FIELDS_EDN, |byte| !is_token(byte)) {
            skip(scanner, 0)?;
            match scanner.peek() {
                Some(b'}') => {
                    return Err(
                        scanner.error(format!("the key `{}` of the map has no value", FIELDS_EDN[field]))
                    );
                }
                Some(_) => draft.put(field, value(scanner, 1)?),
                None => return Err(scanner.error_at(open, "the map opened here is never closed")),
            }
        } else if !pair(scanner, 0, open, |name, value| draft.put_named(name, value))? {
            return Ok(draft);
        }
    }
}

fn elements<R: BufRead>(scanner: &mut Scanner<R>, depth: usize, close: u8) -> Result<Vec<Value>, Error> {
    let open = scanner.place();
    scanner.bump();
    let mut elements = Vec::new();
    loop {
        skip(scanner, depth)?;
        match scanner.peek() {
            Some(byte) if byte == close => {
                scanner.bump();
                return Ok(elements);
            }
            Some(_) => elements.push(value(scanner, depth + 1)?),
            None => return Err(scanner.unclosed(open)),
        }
    }
}

fn map<R: BufRead>(scanner: &mut Scanner<R>, depth: usize) -> Result<Value, Error> {
    let open = scanner.place();
    scanner.bump();
    let mut pairs = Vec::new();
    while pair(scanner, depth, open, |key, value| pairs.push((key, value)))? {}
    Ok(Value::Map(pairs))
}

/// The next pair of the map that began at `open`; false at its end.
fn pair<R: BufRead>(
    scanner: &mut Scanner<R>,
    depth: usize,
    open: Place,
    take: impl FnOnce(Value, Value),
) -> Result<bool, Error> {
    let unclosed =
        |scanner: &mut Scanner<R>| Err(scanner.error_at(open, "the map opened here is never closed"));
    skip(scanner, depth)?;
    match scanner.peek() {
        Some(b'}') => {
            scanner.bump();
            return Ok(false);
        }
        Some(_) => {}
        None => return unclosed(scanner),
    }
    let key = value(scanner, depth + 1)?;
    skip(scanner, depth)?;
    match scanner.peek() {
        Some(b'}') => {
            let key = shown(&key.to_string());
            return Err(scanner.error(format!("the key {key} of the map has no value")));
        }
        Some(_) => {}
        None => return unclosed(scanner),
    }
    take(key, value(scanner, depth + 1)?);
    Ok(true)
}

/// What begins with `#`, but for discards.
fn dispatch<R: BufRead>(scanner: &mut Scanner<R>, depth: usize) -> Result<Value, Error> {
    let place = scanner.place();
    scanner.bump();
    match scanner.peek() {
        Some(b'{') => return Ok(Value::Set(elements(scanner, depth, b'}')?)),
        Some(b'#') => {
            scanner.bump();
            let name = format!("##{}", token(scanner)?);
            return match name.as_str() {
                name if SYMBOLIC.contains(&name) => Ok(Value::Number(name.to_owned())),
                _ => Err(Error::at(place, format!("{} is no number", shown(&name)))),
            };
        }
        _ => {}
    }
    let tag = token(scanner)?;
    if !is_tag(&tag) {
        return Err(Error::at(place, format!("{} is no tag", shown(&format!("#{tag}")))));
    }
    Ok(Value::Tagged(Box::new((tag, value(scanner, depth + 1)?))))
}

/// The characters up to the next space or delimiter; perhaps none.
fn token<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, Error> {
    let place = scanner.place();
    let mut bytes = Vec::new();
    scanner.take_while(&mut bytes, is_token);
    text(bytes, place)
}

fn atom(token: String) -> Result<Value, String> {
    match token.as_str() {
        "nil" => return Ok(Value::Nil),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if !begins_number(&token) {
        return Ok(Value::Symbol(token));
    }
    let whole = token.strip_suffix('N').unwrap_or(&token);
    if let Ok(number) = whole.parse::<i64>() {
        return Ok(Value::Int(number));
    }
    if is_number(&token) { Ok(Value::Number(token)) } else { Err(format!("{} is no number", shown(&token))) }
}

fn string<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, Error> {
    let place = scanner.place();
    scanner.bump();
    let mut bytes = Vec::new();
    loop {
        scanner.take_while(&mut bytes, |byte| byte != b'"' && byte != b'\\');
        if scanner.take(b'"') {
            return text(bytes, place);
        }
        if scanner.peek().is_none() {
            return Err(scanner.error_at(place, "the text opened here is never closed"));
        }
        scanner.bump();
        let c = match scanner.peek() {
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'n') => '\n',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(c @ (b'"' | b'\\' | b'/' | b'\'')) => c.into(),
            Some(b'u') => {
                scanner.bump();
                push(&mut bytes, unicode(scanner)?);
                continue;
            }
            Some(b'0'..=b'7') => {
                push(&mut bytes, octal(scanner)?);
                continue;
            }
            _ => return Err(scanner.unexpected("one of the escapes t r n b f u \\ \" after a backslash")),
        };
        scanner.bump();
        push(&mut bytes, c);
    }
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What follows `\u`: four digits, or two times four for a pair of surrogates.
pub(super) fn unicode<R: BufRead>(scanner: &mut Scanner<R>) -> Result<char, Error> {
    let place = scanner.place();
    let first = unit(scanner)?;
    let code = match first {
        0xd800..0xdc00 if scanner.peek() == Some(b'\\') && scanner.peek_second() == Some(b'u') => {
            scanner.bump();
            scanner.bump();
            let second = unit(scanner)?;
            if !(0xdc00..0xe000).contains(&second) {
                return Err(Error::at(place, "half a surrogate pair is no character"));
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        }
        _ => first,
    };
    char::from_u32(code).ok_or_else(|| Error::at(place, "half a surrogate pair is no character"))
}

fn unit<R: BufRead>(scanner: &mut Scanner<R>) -> Result<u32, Error> {
    let mut code = 0;
    for _ in 0..4 {
        let Some(digit) = scanner.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
            return Err(scanner.unexpected("four hexadecimal digits after \\u"));
        };
        code = code * 16 + digit;
        scanner.bump();
    }
    Ok(code)
}

fn octal<R: BufRead>(scanner: &mut Scanner<R>) -> Result<char, Error> {
    let mut code = 0;
    for _ in 0..3 {
        let Some(digit) = scanner.peek().and_then(|byte| char::from(byte).to_digit(8)) else { break };
        code = code * 8 + digit;
        scanner.bump();
    }
    char::from_u32(code).ok_or_else(|| scanner.error("this is no character"))
}

fn character<R: BufRead>(scanner: &mut Scanner<R>) -> Result<Value, Error> {
    let place = scanner.place();
    scanner.bump();
    let mut bytes = Vec::new();
    // the first may be a delimiter
    match scanner.peek() {
        Some(byte) if byte > b' ' => bytes.push(byte),
        _ => return Err(scanner.unexpected("a character after the backslash")),
    }
    scanner.bump();
    scanner.take_while(&mut bytes, is_token);
    let name = text(bytes, place)?;
    let mut chars = name.chars();
    let c = match (chars.next(), chars.as_str()) {
        (Some(c), "") => Some(c),
        (Some('u'), digits) if digits.len() == 4 => {
            u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
        }
        (Some('o'), digits) if digits.len() <= 3 => {
            u32::from_str_radix(digits, 8).ok().and_then(char::from_u32)
        }
        _ => match name.as_str() {
            "newline" => Some('\n'),
            "space" => Some(' '),
            "tab" => Some('\t'),
            "return" => Some('\r'),
            "backspace" => Some('\u{8}'),
            "formfeed" => Some('\u{c}'),
            _ => None,
        },
    };
    match c {
        Some(c) => Ok(Value::Text(c.into())),
        None => Err(Error::at(place, format!("{} is no character", shown(&format!("\\{name}"))))),
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c | b',')
}

/// What names and numbers are made of. All of UTF-8 beyond ASCII counts.
const fn is_token(byte: u8) -> bool {
    byte > b' '
        && byte != 0x7f
        && !matches!(byte, b',' | b'"' | b';' | b'\\' | b'^' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}

fn begins_number(token: &str) -> bool {
    token.strip_prefix(['+', '-']).unwrap_or(token).starts_with(|c: char| c.is_ascii_digit())
}

/// Whole, with a fraction or an exponent, exact (`M`, `N`), or a ratio.
fn is_number(token: &str) -> bool {
    let body = token.strip_prefix(['+', '-']).unwrap_or(token);
    let body = body.strip_suffix(['M', 'N']).unwrap_or(body);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((above, below)) = body.split_once('/') {
        return is_digits(above) && is_digits(below);
    }
    let (mantissa, exponent) = body.split_once(['e', 'E']).unwrap_or((body, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    // Clojure prints `1.` as `1.0`, but reads both
    is_digits(whole)
        && (fraction.is_empty() || is_digits(fraction))
        && is_digits(exponent.trim_start_matches(['+', '-']))
}

fn is_tag(name: &str) -> bool {
    name.strip_prefix(':').unwrap_or(name).starts_with(char::is_alphabetic)
}

/// A keyword of this name can be written.
pub(super) fn is_keyword(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether EDN can write a value down such that it reads back the same; says what it cannot.
pub(super) fn check(value: &Value) -> Result<(), String> {
    let all = |values: &[Value]| values.iter().try_for_each(check);
    match value {
        Value::Nil | Value::Bool(_) | Value::Int(_) | Value::Text(_) => Ok(()),
        Value::Number(token) if is_number(token) || SYMBOLIC.contains(&token.as_str()) => Ok(()),
        Value::Number(token) => Err(format!("EDN cannot write the number {}", shown(token))),
        Value::Keyword(name) if is_keyword(name) => Ok(()),
        Value::Keyword(name) => Err(format!("EDN cannot write a keyword with the name {name:?}")),
        Value::Symbol(name) => {
            let is_plain = is_keyword(name)
                && !name.starts_with([':', '#'])
                && atom(name.clone()).is_ok_and(|atom| atom == *value);
            if is_plain { Ok(()) } else { Err(format!("EDN cannot write a symbol with the name {name:?}")) }
        }
        Value::List(values) | Value::Set(values) => all(values),
        Value::Map(pairs) => pairs.iter().try_for_each(|(key, value)| check(key).and_then(|()| check(value))),
        Value::Tagged(tagged) if is_keyword(&tagged.0) && is_tag(&tagged.0) => check(&tagged.1),
        Value::Tagged(tagged) => Err(format!("EDN cannot write a tag with the name {:?}", tagged.0)),
    }
}

#[cfg(test)]
mod tests;
