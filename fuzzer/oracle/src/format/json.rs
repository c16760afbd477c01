//! JSON: values in sequence (JSON lines among them), or the elements of one array, one at a time. That may be nested, or
//! the field `history` of an object.

use super::edn::unicode;
use super::entry::{Draft, FIELDS_JSON, Found, HISTORY};
use super::scanner::{DEPTH_MAX, Scanner, shown, text};
use crate::raw::{Error, Place};
use crate::value::Value;
use std::fmt::Write;
use std::io::BufRead;

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

/// What is around the values: an array, or an object in whose field `history` they are.
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
        let scanner = &mut self.scanner;
        scanner.begin();
        match self.state {
            State::Done => return Ok(None),
            State::Start => {
                self.state = State::Values;
                return self.enter();
            }
            State::Values => {}
        }
        space(scanner);
        match self.around.last() {
            Some(around) if !more(scanner, around.open, around.close)? => self.leave().map(|()| None),
            None if scanner.peek().is_none() => scanner.end().map(|()| None),
            _ => found(scanner, false).map(|(place, found)| found.map(|found| (place, found))),
        }
    }

    /// Goes into what is around the values, to the first of them.
    fn enter(&mut self) -> Result<Option<(Place, Found)>, Error> {
        let scanner = &mut self.scanner;
        loop {
            space(scanner);
            let open = scanner.place();
            if self.around.len() > DEPTH_MAX {
                return Err(scanner.error(format!("values are nested deeper than {DEPTH_MAX}")));
            }
            match scanner.peek() {
                None if self.around.is_empty() => return scanner.end().map(|()| None),
                Some(b'[') => {
                    self.around.push(Around { open, close: b']' });
                    if !opened(scanner, b']')? {
                        return self.leave().map(|()| None);
                    }
                }
                _ => match found(scanner, true)? {
                    (place, Some(found)) => return Ok(Some((place, found))),
                    (open, None) => self.around.push(Around { open, close: b'}' }),
                },
            }
        }
    }

    /// Passes over the ends of what is around the values, of which the innermost was passed over already; nothing may
    /// follow.
    fn leave(&mut self) -> Result<(), Error> {
        self.state = State::Done;
        let scanner = &mut self.scanner;
        self.around.pop();
        while let Some(Around { open, close }) = self.around.pop() {
            while more(scanner, open, close)? {
                if close == b']' {
                    return Err(scanner.unexpected("`]` after the history"));
                }
                if name(scanner)? == HISTORY {
                    return Err(Error::at(open, "the field `history` of this object stands twice"));
                }
                value(scanner, 1)?;
            }
        }
        alone(scanner)
    }
}

impl<R: BufRead> Iterator for Values<R> {
    type Item = Result<(Place, Found), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The next value and its place; no value where it is an object around the history, whose value comes next.
fn found<R: BufRead>(
    scanner: &mut Scanner<R>,
    may_hold_history: bool,
) -> Result<(Place, Option<Found>), Error> {
    let place = scanner.place();
    let found = match scanner.peek() {
        Some(b'{') => fields(scanner, may_hold_history)?.map(Found::Map),
        _ => Some(Found::Value(value(scanner, 0)?)),
    };
    Ok((place, found))
}

/// Passes over space.
pub(super) fn space<R: BufRead>(scanner: &mut Scanner<R>) {
    scanner.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
}

/// Nothing follows.
pub(super) fn alone<R: BufRead>(scanner: &mut Scanner<R>) -> Result<(), Error> {
    space(scanner);
    scanner.over()
}

/// Passes over the opening bracket; whether there is a first element, to which it goes.
pub(super) fn opened<R: BufRead>(scanner: &mut Scanner<R>, close: u8) -> Result<bool, Error> {
    scanner.bump();
    space(scanner);
    Ok(!scanner.take(close))
}

/// After an element: whether there is another, to which it goes.
pub(super) fn more<R: BufRead>(scanner: &mut Scanner<R>, open: Place, close: u8) -> Result<bool, Error> {
    space(scanner);
    if scanner.take(close) {
        return Ok(false);
    }
    if scanner.peek().is_none() {
        return Err(scanner.unclosed(open));
    }
    if !scanner.take(b',') {
        return Err(scanner.unexpected(&format!("a comma or `{}`", char::from(close))));
    }
    space(scanner);
    Ok(true)
}

/// The object that an entry is: its names are mostly known, and need no texts of their own. Nothing where it is one
/// around the history, whose value comes next.
fn fields<R: BufRead>(scanner: &mut Scanner<R>, may_hold_history: bool) -> Result<Option<Draft>, Error> {
    scanner.value(0)?;
    let open = scanner.place();
    let mut draft = Draft::default();
    let mut is_more = opened(scanner, b'}')?;
    while is_more {
        match scanner.take_word(&FIELDS_JSON, |_| true) {
            Some(field) => {
                colon(scanner)?;
                draft.put(field, value(scanner, 1)?);
            }
            None => {
                let name = name(scanner)?;
                if may_hold_history && name == HISTORY && !draft.is_entry() && scanner.peek() == Some(b'[') {
                    return Ok(None);
                }
                draft.put_named(Value::Text(name), value(scanner, 1)?);
            }
        }
        is_more = more(scanner, open, b'}')?;
    }
    Ok(Some(draft))
}

/// The next value; there must be one.
pub(super) fn value<R: BufRead>(scanner: &mut Scanner<R>, depth: usize) -> Result<Value, Error> {
    scanner.value(depth)?;
    if let Some(plain) = plain(scanner) {
        return Ok(plain);
    }
    let open = scanner.place();
    match scanner.peek() {
        Some(b'[') => {
            let mut elements = Vec::new();
            let mut is_more = opened(scanner, b']')?;
            while is_more {
                elements.push(value(scanner, depth + 1)?);
                is_more = more(scanner, open, b']')?;
            }
            Ok(Value::List(elements))
        }
        Some(b'{') => {
            let mut pairs = Vec::new();
            let mut is_more = opened(scanner, b'}')?;
            while is_more {
                let name = name(scanner)?;
                pairs.push((Value::Text(name), value(scanner, depth + 1)?));
                is_more = more(scanner, open, b'}')?;
            }
            // Of names that stand twice the last counts, as for most who read JSON (RFC 8259, 4).
            let mut pairs: Vec<_> = pairs.into_iter().rev().collect();
            pairs.sort_by(|(a, _), (b, _): &(Value, Value)| a.cmp(b));
            pairs.dedup_by(|(a, _), (b, _)| a == b);
            Ok(Value::map(pairs))
        }
        Some(b'"') => string(scanner).map(Value::Text),
        Some(b'-' | b'0'..=b'9') => {
            let token = word(scanner)?;
            let number = if is_number(&token) { Value::number(&token) } else { None };
            number.ok_or_else(|| Error::at(open, format!("{} is no number", shown(&token))))
        }
        Some(b'a'..=b'z') => {
            let token = word(scanner)?;
            match token.as_str() {
                "null" => Ok(Value::Nil),
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(Error::at(open, format!("{} is no value", shown(&token)))),
            }
        }
        _ => Err(scanner.unexpected("a value")),
    }
}

/// What most values are, if it stands here in one piece: `null`, or a short whole number.
fn plain<R: BufRead>(scanner: &mut Scanner<R>) -> Option<Value> {
    match scanner.peek()? {
        b'-' | b'0'..=b'9' => scanner.take_int(|byte| !is_word(byte)).map(Value::Int),
        b'n' => scanner.take_word(&["null"], |byte| !is_word(byte)).map(|_| Value::Nil),
        _ => None,
    }
}

/// The name of a field of an object, with the colon after it.
pub(super) fn name<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, Error> {
    if scanner.peek() != Some(b'"') {
        return Err(scanner.unexpected("the name of a field in quotes"));
    }
    let name = string(scanner)?;
    colon(scanner)?;
    Ok(name)
}

/// The colon after the name of a field.
fn colon<R: BufRead>(scanner: &mut Scanner<R>) -> Result<(), Error> {
    space(scanner);
    if !scanner.take(b':') {
        return Err(scanner.unexpected("a colon"));
    }
    space(scanner);
    Ok(())
}

fn word<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, Error> {
    let place = scanner.place();
    let mut bytes = Vec::new();
    scanner.take_while(&mut bytes, is_word);
    text(bytes, place)
}

/// What numbers and words are made of.
const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn string<R: BufRead>(scanner: &mut Scanner<R>) -> Result<String, Error> {
    let place = scanner.place();
    scanner.bump();
    let mut bytes = Vec::new();
    loop {
        scanner.take_while(&mut bytes, |byte| byte != b'"' && byte != b'\\' && byte >= b' ');
        if scanner.take(b'"') {
            return text(bytes, place);
        }
        match scanner.peek() {
            Some(b'\\') => scanner.bump(),
            Some(_) => return Err(scanner.unexpected("the end of the text before any control character")),
            None => return Err(scanner.error_at(place, "the text opened here is never closed")),
        }
        let c = match scanner.peek() {
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'n') => '\n',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(c @ (b'"' | b'\\' | b'/')) => c.into(),
            Some(b'u') => {
                scanner.bump();
                let c = unicode(scanner)?;
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            _ => return Err(scanner.unexpected("one of the escapes t r n b f u \\ / \" after a backslash")),
        };
        scanner.bump();
        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A number as JSON has it.
fn is_number(token: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let body = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = body.split_once(['e', 'E']).unwrap_or((body, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && is_digits(fraction)
        && is_digits(exponent)
}

/// Appends a value as JSON. Keywords and symbols become texts, sets become lists; keys of maps that are no texts become
/// the text in which EDN writes them.
///
/// # Errors
/// What JSON has no word for: numbers that are not decimal, tagged values.
pub(super) fn write(json: &mut String, value: &Value) -> Result<(), String> {
    let list = |json: &mut String, values: &[Value]| {
        json.push('[');
        for (position, value) in values.iter().enumerate() {
            if position > 0 {
                json.push(',');
            }
            write(json, value)?;
        }
        json.push(']');
        Ok(())
    };
    match value {
        Value::Nil => json.push_str("null"),
        Value::Bool(truth) => json.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => {
            // a text takes everything
            let _ = write!(json, "{number}");
        }
        Value::Number(token) if is_number(token) => json.push_str(token),
        Value::Number(token) => return Err(format!("JSON cannot write the number {}", shown(token))),
        Value::Text(name) | Value::Keyword(name) | Value::Symbol(name) => quoted(json, name),
        Value::List(values) | Value::Set(values) => return list(json, values),
        Value::Map(pairs) => {
            json.push('{');
            for (position, (key, value)) in pairs.iter().enumerate() {
                if position > 0 {
                    json.push(',');
                }
                match key.as_name() {
                    Some(name) => quoted(json, name),
                    None => quoted(json, &key.to_string()),
                }
                json.push(':');
                write(json, value)?;
            }
            json.push('}');
        }
        Value::Tagged(tagged) => {
            return Err(format!("JSON cannot write a tagged value such as #{}", tagged.0));
        }
    }
    Ok(())
}

/// Appends a text in quotes.
pub(super) fn quoted(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c < ' ' => {
                // a text takes everything
                let _ = write!(json, "\\u{:04x}", c as u32);
            }
            c => json.push(c),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests;
