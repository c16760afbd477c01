//! Command lines of a Compose file, cut into words.

/// A command line in words, as a shell cuts it: quotes and backslashes keep blanks together.
///
/// # Errors
/// A quote that is never closed.
pub fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut all = line.chars();
    while let Some(c) = all.next() {
        match (c, quote) {
            // A line that goes on in the next one.
            ('\\', None | Some('"')) if all.as_str().starts_with('\n') => {
                all.next();
            }
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
    if let Some(quote) = quote {
        return Err(format!("the quote {quote} is never closed in `{line}`"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_cut_as_a_shell_does() {
        let split = |line: &str| super::split(line).unwrap();
        assert_eq!(split(r#" a 'b  c' "d \" e"f \  "" "#), ["a", "b  c", "d \" ef", " ", ""]);
        assert!(split(" \n ").is_empty());
        assert_eq!(split("a \\\n  b\\\nc"), ["a", "bc"]);
        assert_eq!(super::split("a 'b").unwrap_err(), "the quote ' is never closed in `a 'b`");
    }
}
