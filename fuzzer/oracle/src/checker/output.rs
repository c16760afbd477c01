//! What processes write: lines that should never be there, but for those that are known.
//!
//! A [`Pattern`] has a name, which becomes the violation `output/NAME`, texts of which a line must have one, and others
//! that excuse it. A text is looked for anywhere in the line; `*` in it stands for anything, so that `lost * messages`
//! is in `n2: lost 7 messages`. Nothing else is special, and case counts.
//!
//! Of several patterns each line is one finding at most: that of the first that has it. Linear in the lines, for each
//! text. Source: Jepsen's `checker/log-file-pattern`, which has regular expressions instead.

use super::sanitizer::Line;
use crate::op::seconds;
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};

/// The oracle's name.
pub const NAME: &str = "output";

/// Lines that should not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Words joined by `-`: `lost-messages`.
    pub name: String,
    /// A line is meant if it has one of these.
    pub any: Vec<String>,
    /// It is in order if it has one of these too.
    #[serde(default)]
    pub except: Vec<String>,
}

impl Pattern {
    /// Whether a line is meant and not excused.
    #[must_use]
    pub fn has(&self, line: &str) -> bool {
        self.any.iter().any(|text| is_in(text, line)) && !self.except.iter().any(|text| is_in(text, line))
    }
}

/// One violation for each pattern that has a line: the first. How many there are stands in its evidence.
#[must_use]
pub fn check(lines: &[Line], patterns: &[Pattern]) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let mut found: Vec<Vec<&Line>> = vec![Vec::new(); patterns.len()];
    for line in lines {
        if let Some(at) = patterns.iter().position(|pattern| pattern.has(&line.text)) {
            found[at].push(line);
        }
    }
    for (pattern, lines) in patterns.iter().zip(found) {
        let Some(first) = lines.iter().min_by_key(|line| line.at_ns) else { continue };
        let summary = format!("n{} wrote at {}: {}", first.node, seconds(first.at_ns), first.text);
        let mut shown = vec![summary.clone()];
        shown.extend((lines.len() > 1).then(|| format!("{} lines are like this", lines.len())));
        let evidence = Evidence { lines: shown, ..Evidence::default() };
        judgement.violation(&pattern.name, first.at_ns, summary, evidence);
    }
    judgement
}

/// Whether the pieces of a text between its `*` are in the line, one after the other.
fn is_in(text: &str, line: &str) -> bool {
    let mut rest = line;
    text.split('*').all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(name: &str, any: &[&str], except: &[&str]) -> Pattern {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Pattern { name: name.into(), any: owned(any), except: owned(except) }
    }

    #[test]
    fn stars_stand_for_anything() {
        let cases = [
            ("lost * messages", "n2: lost 7 messages", true),
            ("lost * messages", "n2: messages lost", false),
            ("lost*messages", "lostmessages", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("", "anything", true),
        ];
        for (text, line, expected) in cases {
            assert_eq!(is_in(text, line), expected, "{text} in {line}");
        }
    }

    #[test]
    fn the_first_line_of_each_pattern_is_the_finding_and_known_ones_are_not() {
        let texts = [
            "ok",
            "FATAL: test hook",
            "FATAL: disk 3",
            "FATAL: disk 4",
            "corrupt page 7",
            "corrupt page, FATAL",
        ];
        let lines: Vec<Line> = (0..)
            .zip(texts)
            .map(|(at, text)| Line { at_ns: at * 1_000_000_000, node: 2, text: text.to_owned() })
            .collect();
        let patterns =
            [pattern("fatal", &["FATAL"], &["test hook"]), pattern("corrupt", &["corrupt page*"], &[])];
        let judgement = check(&lines, &patterns);
        let shown: Vec<(&str, &str)> =
            judgement.violations.iter().map(|v| (v.signature.as_str(), v.summary.as_str())).collect();
        let expected = [
            ("output/fatal", "n2 wrote at 2.000000: FATAL: disk 3"),
            ("output/corrupt", "n2 wrote at 4.000000: corrupt page 7"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(judgement.violations[0].evidence.lines[1], "3 lines are like this");
    }
}
