//! EDN, as Clojure prints it: values in sequence, or the elements of one vector or list, one at a time. That may be
//! nested, or the field `history` of a map.
//!
//! Beyond the EDN specification this takes ratios (`2/3`), `##Inf`, namespaced maps (`#:a{:b 1}`, as `{:a/b 1}`)
//! and metadata (`^:a x`, passed over). A character (`\a`), which no text is equal to, is the value `#char "a"`. Numbers that
//! begin with 0 are octal, as in Clojure.

use super::entry::{Draft, FIELDS_EDN, Found, HISTORY};
use super::scanner::{DEPTH_MAX, Scanner, shown, text};
use crate::raw::{Error, Place};
use crate::value::Value;
use std::io::BufRead;

/// The tag of characters.
const CHARACTER: &str = "char";

/// Numbers without digits.
const SYMBOLIC: [&str; 3] = ["##Inf", "##-Inf", "##NaN"];

/// The values of a text; nothing is to be asked of it after an error.
#[derive(Debug)]
pub(super) struct Values<R> {
    scanner: Scanner<R>,
    state: State,
    /// What is around the values, from the outside in.
    around: Vec<Around>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was read but what may be around the values.
    Start,
    /// Values in sequence, or inside of what is around them.
    Values,
    /// All of it was read.
    Done,
}

/// What is around the values: a vector or a list, or a map in whose field `history` they are.
#[derive(Clone, Copy, Debug)]
struct Around {
    open: Place,
    close: u8,
}

impl<R: BufRead> Values<R> {
    pub(super) fn new(source: R) -> Self {
        Self { scanner: Scanner::new(source), state: State::Start, around: Vec::new() }
    }

    fn advance(&mut self) -> Result<Option<(Place, Found)>, Error> {
        if self.state == State::Done {
            return Ok(None);
        }
        self.scanner.begin();
        if self.state == State::Start {
            self.state = State::Values;
            if let Some(found) = self.enter()? {
                return Ok(Some(found));
            }
        }
        let scanner = &mut self.scanner;
        skip(scanner, 0)?;
        let place = scanner.place();
        match (self.around.last(), scanner.peek()) {
            (Some(around), None) => Err(scanner.unclosed(around.open)),
            (None, None) => scanner.end().map(|()| None),
            (Some(around), Some(byte)) if byte == around.close => self.leave().map(|()| None),
            (_, Some(b'{')) => entry(scanner).map(|found| Some((place, found))),
            // records print as tagged maps: #jepsen.history.Op{...}
            (_, Some(b'#')) => {
                Ok(Some(match dispatch(scanner, 0, |scanner| scanner.peek() == Some(b'{'))? {
                    Some(value) => (place, Found::Value(value)),
                    None => (place, entry(scanner)?),
                }))
            }
            _ => Ok(Some((place, Found::Value(value(scanner, 0)?)))),
        }
    }

    /// Goes into what is around the values; gives the first of them where it had to be read for that.
    fn enter(&mut self) -> Result<Option<(Place, Found)>, Error> {
        let scanner = &mut self.scanner;
        loop {
            skip(scanner, 0)?;
            let open = scanner.place();
            if self.around.len() > DEPTH_MAX {
                return Err(scanner.error(format!("values are nested deeper than {DEPTH_MAX}")));
            }
            match scanner.peek() {
                Some(byte @ (b'[' | b'(')) => {
                    scanner.bump();
                    self.around.push(Around { open, close: if byte == b'[' { b']' } else { b')' } });
                }
                // histories and their entries print with their tags, such as #jepsen.history.Op{...}
                Some(b'#') => {
                    let is_left =
                        |scanner: &mut Scanner<R>| matches!(scanner.peek(), Some(b'[' | b'(' | b'{'));
                    if let Some(value) = dispatch(scanner, 0, is_left)? {
                        return Ok(Some((open, Found::Value(value))));
                    }
                }
                Some(b'{') => match fields(scanner, true)? {
                    Some(draft) => return Ok(Some((open, Found::Map(draft)))),
                    None => self.around.push(Around { open, close: b'}' }),
                },
                _ => return Ok(None),
            }
        }
    }

    /// Passes over the ends of what is around the values; nothing may follow.
    fn leave(&mut self) -> Result<(), Error> {
        self.state = State::Done;
        let scanner = &mut self.scanner;
        while let Some(Around { open, close }) = self.around.pop() {
            skip(scanner, 0)?;
            if close == b'}' {
                let mut is_twice = false;
                while pair(scanner, 0, open, |key, _| is_twice |= key.as_name() == Some(HISTORY))? {}
                if is_twice {
                    return Err(Error::at(open, "the field `history` of this map stands twice"));
                }
            } else if scanner.peek().is_none() {
                return Err(scanner.unclosed(open));
            } else if !scanner.take(close) {
                return Err(scanner.unexpected(&format!("`{}` after the history", char::from(close))));
            }
        }
        skip(scanner, 0)?;
        scanner.over()
    }
}

impl<R: BufRead> Iterator for Values<R> {
    type Item = Result<(Place, Found), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// What follows space, comments, discarded values and metadata; nothing if these are not whole.
pub(super) fn past_noise(text: &str) -> Option<&str> {
    let mut scanner = Scanner::new(text.as_bytes());
    skip(&mut scanner, 0).ok()?;
    let rest = scanner.rest().len();
    text.get(text.len() - rest..)
}

/// The one value that a text is.
pub(crate) fn value_of(text: &str) -> Option<Value> {
    let values = values_of(text, Place { line: 1, column: 1 }).ok()?;
    <[Value; 1]>::try_from(values).ok().map(|[value]| value)
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
        Some(b'#') => {
            let value = dispatch(scanner, depth, |_| false)?;
            value.ok_or_else(|| scanner.unexpected("a value"))
        }
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
        // Octal.
        b'0' if scanner.peek_second().is_some_and(|byte| byte.is_ascii_digit()) => None,
        b'-' | b'0'..=b'9' => scanner.take_int(|byte| !is_token(byte)).map(Value::Int),
        b'n' => scanner.take_word(&["nil"], |byte| !is_token(byte)).map(|_| Value::Nil),
        _ => None,
    }
}

/// The map at the place of an entry, where nothing else can be.
fn entry<R: BufRead>(scanner: &mut Scanner<R>) -> Result<Found, Error> {
    let draft = fields(scanner, false)?;
    draft.map(Found::Map).ok_or_else(|| scanner.unexpected("an entry"))
}

/// The map that an entry is: its names are mostly known, and need no values of their own. Nothing where it is one around
/// the history, whose value comes next.
fn fields<R: BufRead>(scanner: &mut Scanner<R>, may_hold_history: bool) -> Result<Option<Draft>, Error> {
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
            continue;
        }
        let Some(name) = key(scanner, 0, open)? else { return Ok(Some(draft)) };
        if may_hold_history
            && name.as_name() == Some(HISTORY)
            && !draft.is_entry()
            && matches!(scanner.peek(), Some(b'[' | b'('))
        {
            return Ok(None);
        }
        draft.put_named(name, value(scanner, 1)?);
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
    let map = Value::map(pairs);
    if let Value::Map(pairs) = &map {
        refuse_twice("map", pairs.iter().map(|(key, _)| key), scanner, open)?;
    }
    Ok(map)
}

/// Refuses what stands twice in a map or a set that began at `open`; given are keys or elements in their order.
fn refuse_twice<'a, R: BufRead>(
    what: &str,
    sorted: impl Iterator<Item = &'a Value>,
    scanner: &mut Scanner<R>,
    open: Place,
) -> Result<(), Error> {
    let mut before = None;
    for value in sorted {
        if before == Some(value) {
            let value = shown(&value.to_string());
            return Err(scanner.error_at(open, format!("{value} stands twice in the {what} opened here")));
        }
        before = Some(value);
    }
    Ok(())
}

/// The next pair of the map that began at `open`; false at its end.
fn pair<R: BufRead>(
    scanner: &mut Scanner<R>,
    depth: usize,
    open: Place,
    take: impl FnOnce(Value, Value),
) -> Result<bool, Error> {
    let Some(key) = key(scanner, depth, open)? else { return Ok(false) };
    take(key, value(scanner, depth + 1)?);
    Ok(true)
}

/// The key of the next pair of the map that began at `open`, up to its value; `None` at the end of the map.
fn key<R: BufRead>(scanner: &mut Scanner<R>, depth: usize, open: Place) -> Result<Option<Value>, Error> {
    let unclosed =
        |scanner: &mut Scanner<R>| Err(scanner.error_at(open, "the map opened here is never closed"));
    skip(scanner, depth)?;
    match scanner.peek() {
        Some(b'}') => {
            scanner.bump();
            return Ok(None);
        }
        Some(_) => {}
        None => return unclosed(scanner),
    }
    let key = value(scanner, depth + 1)?;
    skip(scanner, depth)?;
    match scanner.peek() {
        Some(b'}') => {
            let key = shown(&key.to_string());
            Err(scanner.error(format!("the key {key} of the map has no value")))
        }
        Some(_) => Ok(Some(key)),
        None => unclosed(scanner),
    }
}

/// What begins with `#`, but for discards; nothing if a tag was read, and its value is left to others.
fn dispatch<R: BufRead>(
    scanner: &mut Scanner<R>,
    depth: usize,
    is_left: impl FnOnce(&mut Scanner<R>) -> bool,
) -> Result<Option<Value>, Error> {
    let place = scanner.place();
    scanner.bump();
    match scanner.peek() {
        Some(b'{') => {
            let set = Value::set(elements(scanner, depth, b'}')?);
            if let Value::Set(elements) = &set {
                refuse_twice("set", elements.iter(), scanner, place)?;
            }
            return Ok(Some(set));
        }
        Some(b'#') => {
            scanner.bump();
            let name = format!("##{}", token(scanner)?);
            return match name.as_str() {
                name if SYMBOLIC.contains(&name) => Ok(Some(Value::Number(name.to_owned()))),
                _ => Err(Error::at(place, format!("{} is no number", shown(&name)))),
            };
        }
        _ => {}
    }
    let tag = token(scanner)?;
    if !is_tag(&tag) {
        return Err(Error::at(place, format!("{} is no tag", shown(&format!("#{tag}")))));
    }
    skip(scanner, depth)?;
    if is_left(scanner) {
        return Ok(None);
    }
    let value = value(scanner, depth + 1)?;
    Ok(Some(match (tag.strip_prefix(':'), value) {
        (Some(space), Value::Map(pairs)) => in_space(space, pairs),
        (_, value) => Value::Tagged(Box::new((tag, value))),
    }))
}

/// The map that `#:space{:a 1}` is short for: `{:space/a 1}`. A name in the space `_` has none.
fn in_space(space: &str, pairs: Vec<(Value, Value)>) -> Value {
    let full = |name: String| match name.strip_prefix("_/") {
        Some(bare) => bare.to_owned(),
        None if name.contains('/') => name,
        None => format!("{space}/{name}"),
    };
    let pair = |(key, value)| match key {
        Value::Keyword(name) => (Value::Keyword(full(name)), value),
        Value::Symbol(name) => (Value::Symbol(full(name)), value),
        other => (other, value),
    };
    Value::map(pairs.into_iter().map(pair).collect())
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
    let is_octal =
        token.len() > 1 && token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    let number = match is_octal {
        true => i64::from_str_radix(&token, 8).ok().map(Value::Int),
        false => Value::number(&token).or_else(|| hexadecimal(&token)),
    };
    number.ok_or_else(|| format!("{} is no number", shown(&token)))
}

/// `0x1f`: addresses in what Clojure prints of objects.
fn hexadecimal(token: &str) -> Option<Value> {
    let (sign, body) = token.strip_prefix('-').map_or(("", token), |body| ("-", body));
    let digits = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X"))?;
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(digits, 16).ok().filter(|_| is_plain)?;
    Value::number(&format!("{sign}{number}"))
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
        // No text is equal to it.
        Some(c) => Ok(Value::Tagged(Box::new((CHARACTER.to_owned(), Value::text(c))))),
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
        Value::Number(token) if Value::number(token).is_some() || SYMBOLIC.contains(&token.as_str()) => {
            Ok(())
        }
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
