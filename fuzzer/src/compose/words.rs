//! Texts of a Compose file as programs get them: variables filled in, command lines cut into words.

/// Fills in `$NAME`, `${NAME}`, `${NAME:-default}` and `$$`, without an environment: names whose text is not known are
/// empty, and added to `unknown`.
#[must_use]
pub fn filled(text: &str, unknown: &mut Vec<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            filled.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{').and_then(|inner| Some((inner, closing(inner)?)));
        let (inside, after) = match braced {
            Some((inner, end)) => (&inner[..end], &inner[end + 1..]),
            None => rest.split_at(rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())),
        };
        let (name, operation) =
            inside.split_at(inside.find(|c: char| !is_of_name(c)).unwrap_or(inside.len()));
        if name.is_empty() {
            filled.push('$');
            continue;
        }
        match operation.trim_start_matches(':').strip_prefix('-') {
            Some(default) => filled.push_str(&self::filled(default, unknown)),
            None => unknown.push(name.to_owned()),
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the brace that encloses `text` is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A command line in words, as a shell cuts it: quotes and backslashes keep blanks together.
#[must_use]
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut all = line.chars();
    while let Some(c) = all.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().extend(all.next()),
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_their_defaults() {
        let mut unknown = Vec::new();
        let mut of = |text| filled(text, &mut unknown);
        assert_eq!(of("a-${A:-b}-${B-${C:-d}}-$$x-$ y"), "a-b-d-$x-$ y");
        assert_eq!(of("${A}:$B/${C:?no} ${D"), ":/ ${D");
        assert_eq!(unknown, ["A", "B", "C"]);
    }

    #[test]
    fn lines_are_cut_as_a_shell_does() {
        assert_eq!(split(r#" a 'b  c' "d \" e"f \  "" "#), ["a", "b  c", "d \" ef", " ", ""]);
        assert!(split(" \n ").is_empty());
    }
}
