//! `.env` files: a variable a line, as Compose reads them:
//! <https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>.

use super::variables::{Filling, Variables, is_name};
use super::yaml::{BYTES_MAX, Fault, Place};
use std::collections::BTreeMap;

/// A file that is being read.
struct Reader<'a> {
    rest: &'a str,
    place: Place,
}

/// The variables of a file, in order. What `known` knows comes before the file's own where values hold variables.
///
/// # Errors
/// The first line that is none of such a file, with its place.
pub fn read(text: &str, known: &Variables) -> Result<Vec<(String, String)>, Fault> {
    let mut reader = Reader { rest: text, place: Place { line: 1, column: 1 } };
    if text.len() > BYTES_MAX {
        return Err(reader.fault(format!("{} bytes are more than the {BYTES_MAX} that are read", text.len())));
    }
    if let Some(bad) = text.find('\0') {
        reader.advance(bad);
        return Err(reader.fault("a text must not hold the character NUL"));
    }
    reader.rest = text.trim_start_matches('\u{feff}');
    let mut all: Vec<(String, String)> = Vec::new();
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    while let Some(name) = reader.name()? {
        let place = reader.place;
        let raw = reader.value()?;
        let value = match raw {
            Raw::Literal(text) => text,
            Raw::Filled(text) => {
                let get = |name: &str| {
                    let known = known.get(name).map(str::to_owned);
                    known.or_else(|| own.get(name).cloned())
                };
                Filling::new(&get).fill(&text).map_err(|cause| Fault { place, cause })?
            }
        };
        own.insert(name.clone(), value.clone());
        all.push((name, value));
    }
    Ok(all)
}

/// A value as written.
enum Raw {
    /// Variables in it stand for themselves.
    Literal(String),
    /// Variables in it are filled in.
    Filled(String),
}

impl Reader<'_> {
    fn fault(&self, cause: impl Into<String>) -> Fault {
        Fault { place: self.place, cause: cause.into() }
    }

    /// Passes over so many bytes.
    fn advance(&mut self, bytes: usize) {
        for c in self.rest[..bytes].chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.rest = &self.rest[bytes..];
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        let end = self.rest.find(|c| !is_skipped(c)).unwrap_or(self.rest.len());
        self.advance(end);
    }

    /// The next variable's name, up to the sign behind it; none at the end.
    fn name(&mut self) -> Result<Option<String>, Fault> {
        loop {
            self.skip(char::is_whitespace);
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('#') => self.skip(|c| c != '\n'),
                Some(_) => break,
            }
        }
        if let Some(after) = self.rest.strip_prefix("export")
            && after.starts_with([' ', '\t'])
        {
            self.advance("export".len());
            self.skip(is_blank);
        }
        let end = self.rest.find(['=', ':', '\n', '\r', ' ', '\t']).unwrap_or(self.rest.len());
        let name = self.rest[..end].to_owned();
        if !is_name(&name.replace(['.', '-'], "_")) {
            let shown: String = name.chars().take(40).collect();
            return Err(self.fault(format!("`{shown}` is no name of a variable; expected NAME=value")));
        }
        self.advance(end);
        self.skip(is_blank);
        if !self.rest.starts_with(['=', ':']) {
            return Err(self.fault(format!("there is no `=` behind {name}; expected {name}=value")));
        }
        self.advance(1);
        self.skip(is_blank);
        Ok(Some(name))
    }

    fn value(&mut self) -> Result<Raw, Fault> {
        let Some(quote) = self.rest.chars().next().filter(|c| ['\'', '"'].contains(c)) else {
            let line = &self.rest[..self.rest.find('\n').unwrap_or(self.rest.len())];
            let comment = line
                .char_indices()
                .find(|(at, c)| *c == '#' && (*at == 0 || line[..*at].ends_with(is_blank)));
            let text = line[..comment.map_or(line.len(), |(at, _)| at)].trim_end().to_owned();
            let end = line.len();
            self.advance(end);
            return Ok(Raw::Filled(text));
        };
        let opened = self.fault(format!("the quote {quote} is never closed"));
        let inner = &self.rest[1..];
        let mut text = String::new();
        let mut all = inner.char_indices();
        let end = loop {
            match all.next() {
                None => return Err(opened),
                Some((at, c)) if c == quote => break at,
                Some((_, '\\')) if quote == '"' => match all.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, 't')) => text.push('\t'),
                    // Filling in makes one dollar sign of two.
                    Some((_, '$')) => text.push_str("$$"),
                    Some((_, c @ ('"' | '\\' | '\''))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => return Err(opened),
                },
                Some((_, '\\')) if inner[all.offset()..].starts_with('\'') => {
                    text.push('\'');
                    all.next();
                }
                Some((_, c)) => text.push(c),
            }
        };
        self.advance(end + 2);
        self.skip(is_blank);
        if self.rest.starts_with('#') {
            self.skip(|c| c != '\n');
        }
        if !self.rest.is_empty() && !self.rest.starts_with(['\n', '\r']) {
            return Err(self.fault("nothing but a comment may follow the closing quote"));
        }
        Ok(if quote == '"' { Raw::Filled(text) } else { Raw::Literal(text) })
    }
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Result<Vec<(String, String)>, String> {
        let known = Variables::of([("OUT".to_owned(), "out".to_owned())]);
        read(text, &known).map_err(|fault| fault.to_string())
    }

    #[test]
    fn values_are_plain_or_quoted() {
        let text = "\u{feff}# a comment\n\nA=1\n export B = two words # and a comment\r\nC='$A # \\' literal'\n\
                    D=\"$A \\\"x\\\" \\$A\\n$OUT\" # more\nE=\nF=a#b\nG: yaml\nH=${A}-${Z:-z}\nI=\"two\nlines\"\nJ=#no\nmy.key-1=x";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", "$A # ' literal"),
            ("D", "1 \"x\" $A\nout"),
            ("E", ""),
            ("F", "a#b"),
            ("G", "yaml"),
            ("H", "1-z"),
            ("I", "two\nlines"),
            ("J", ""),
            ("my.key-1", "x"),
        ];
        let expected: Vec<(String, String)> =
            expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!(one(text), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, expected) in [
            ("A=1\nnonsense\n", "line 2, column 9: there is no `=` behind nonsense; expected nonsense=value"),
            ("=1", "line 1, column 1: `` is no name of a variable; expected NAME=value"),
            ("A=1\n 1B=2", "line 2, column 2: `1B` is no name of a variable; expected NAME=value"),
            ("A='x\ny\n", "line 1, column 3: the quote ' is never closed"),
            ("A=\"x\\", "line 1, column 3: the quote \" is never closed"),
            ("A='x' y", "line 1, column 7: nothing but a comment may follow the closing quote"),
            ("A=1\nB=${A", "line 2, column 3: `${A` is not closed; `$$` is a dollar sign"),
            ("A=\0", "line 1, column 3: a text must not hold the character NUL"),
        ] {
            assert_eq!(one(text), Err(expected.to_owned()), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever value is quoted is read back.
        #[test]
        fn quoted_values_are_read_back(value in "[ -~\n\tü]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
            prop_assert_eq!(one(&format!("A=\"{quoted}\"\nB=1\n")).unwrap()[0].1.clone(), value);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A=:'\"\\\\$#{} \n\ra-]{0,60}") {
            let _ = one(&text);
        }
    }
}
