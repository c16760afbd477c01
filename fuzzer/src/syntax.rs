//! What is wrong with a TOML text: line, column, the line itself where it is short, and for what is missing the table that
//! lacks it.

/// The longest line that is shown, in bytes.
const SHOWN_MAX: usize = 160;

/// The longest message of the parser that is shown, in characters.
const MESSAGE_MAX: usize = 600;

/// The error for people. `tables` are the fields of the root that are written as tables.
#[must_use]
pub fn told(text: &str, error: &toml::de::Error, tables: &[&str]) -> String {
    let message = error.message();
    let Some(span) = error.span() else { return short(message) };
    let lacking = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    if let Some(field) = lacking.filter(|_| span.end == 0) {
        return match tables.contains(&field) {
            true => format!("the table [{field}] is missing"),
            false => format!("`{field}` is missing; write it at the top, before the first table"),
        };
    }
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[span.start..].find('\n').map_or(text.len(), |at| at + span.start);
    let message = match lacking
        .and_then(|field| Some((field, holder(&text[line_start..line_end], span.end - line_start)?)))
    {
        Some((field, table)) => format!("{table} lacks `{field}`"),
        None => short(message),
    };
    let line = 1 + text[..span.start].matches('\n').count();
    let column = 1 + text[line_start..span.start].chars().count();
    let shown = &text[line_start..line_end];
    if shown.len() > SHOWN_MAX {
        return format!("TOML parse error at line {line}, column {column}: {message}");
    }
    let block = error.to_string();
    match block.trim_end().rsplit_once(error.message()) {
        Some((before, _)) => format!("{before}{message}"),
        None => format!("TOML parse error at line {line}, column {column}: {message}"),
    }
}

/// As much of a message as can be read: names in it may be of any length.
fn short(message: &str) -> String {
    let mut short: String = message.chars().take(MESSAGE_MAX).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    short
}

/// The table that a line opens, up to `end`, or the field that holds one.
fn holder(line: &str, end: usize) -> Option<String> {
    if line.len() > SHOWN_MAX {
        return None;
    }
    if !line.trim_start().starts_with('[') {
        return line.split_once('=').map(|(field, _)| format!("`{}`", field.trim()));
    }
    let whole = line[..end.min(line.len())].trim();
    if whole.ends_with(']') {
        return Some(whole.to_owned());
    }
    // A table that only a longer name speaks of.
    Some(format!("[{}]", whole.trim_start_matches('[').trim()))
}

#[cfg(test)]
mod tests {
    use super::told;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Root {
        name: String,
        node: Node,
        #[serde(default)]
        list: Vec<Node>,
        #[serde(default)]
        outer: Option<Outer>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    struct Node {
        command: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Outer {
        inner: Node,
    }

    fn wrong(text: &str) -> String {
        told(text, &toml::from_str::<Root>(text).unwrap_err(), &["node"])
    }

    #[test]
    fn what_is_missing_is_told_with_its_table() {
        assert_eq!(wrong("name = \"a\"\n"), "the table [node] is missing");
        assert_eq!(
            wrong("\n[node]\n"),
            "TOML parse error at line 2, column 1\n  |\n2 | [node]\n  | ^^^^^^\n[node] lacks `command`"
        );
        assert_eq!(
            wrong("[node]\ncommand = 1\n"),
            "`name` is missing; write it at the top, before the first table"
        );
        let rest = "name = \"a\"\nnode = { command = 1 }\n";
        assert!(
            wrong(&format!("{rest}[[list]]\ncommand = 1\n[[list]]\n"))
                .ends_with("\n[[list]] lacks `command`")
        );
        assert!(
            wrong(&format!("{rest}[outer]\n[outer.inner]\n")).ends_with("\n[outer.inner] lacks `command`")
        );
        assert!(wrong(&format!("{rest}[outer.inner.more]\n")).ends_with("\n[outer.inner] lacks `command`"));
        assert!(wrong(&format!("{rest}[outer]\n")).ends_with("\n[outer] lacks `inner`"));
        assert!(wrong("name = \"a\"\nnode = { }\n").ends_with("\n`node` lacks `command`"));
    }

    #[test]
    fn long_lines_are_not_shown() {
        let told = wrong(&format!("name = \"{}\" x", "ä".repeat(100_000)));
        assert!(told.starts_with("TOML parse error at line 1, column 100011: "), "{told}");
        assert!(told.len() < 200, "{told}");
        let rest = "name = \"a\"\nnode = { command = 1 }\n[outer]\n";
        let told = wrong(&format!("{rest}inner = {{ command = 1 }}\n{} = 2\n", "x".repeat(100_000)));
        assert!(told.len() < 1000, "{told}");
        assert!(wrong("name = 1\n").starts_with("TOML parse error at line 1, column 8\n  |\n1 | name = 1\n"));
    }
}
