//! A judgement as one page of HTML that needs nothing else: verdict, evidence, pictures. Light or dark as the reader
//! has it; no scripts.

mod graph;
mod window;

use crate::verdict::{Graph, Judgement, Verdict, Violation};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// What was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What the history is called.
    pub history: String,
    /// Its format.
    pub format: String,
    /// The check's name.
    pub model: String,
    /// Lines of the history.
    pub entries: u64,
    /// Invocations of clients.
    pub operations: u64,
    /// Keys that stand apart from values; 0 where there are none.
    pub keys: u64,
}

impl fmt::Display for Checked {
    /// `10 operations on 2 keys as cas-register`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "{} operation{}", self.operations, plural(self.operations))?;
        if self.keys > 0 {
            write!(f, " on {} key{}", self.keys, plural(self.keys))?;
        }
        write!(f, " as {}", self.model)
    }
}

/// The verdict in a word: `valid`, `violation`, `unknown`.
#[must_use]
pub fn word(judgement: &Judgement) -> &'static str {
    match judgement.verdict() {
        Verdict::Valid => "valid",
        Verdict::Violation(_) => "violation",
        Verdict::Unknown { .. } => "unknown",
    }
}

/// Colours by variables, so that pictures follow the page.
const STYLE: &str = "\
:root { color-scheme: light dark; --back: #fdfdfc; --text: #1c1e21; --faint: #6a6f76; --line: #d5d8dc; --box: #f2f3f5;
  --valid: #1a7f4b; --violation: #c02b2b; --unknown: #9a6700; --ww: #7c4dbd; --wr: #1a73b8; --rw: #c25a12; --order: #6a6f76; }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e4e6e9; --faint: #9aa0a8; --line: #3a3f46;
  --box: #22262b; --valid: #4cc38a; --violation: #ff7b72; --unknown: #e3b341; --ww: #b794f6; --wr: #6cb6ff;
  --rw: #f0a060; --order: #9aa0a8; } }
body { background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 70rem; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
h1 b { text-transform: uppercase; letter-spacing: .04em; }
.valid { color: var(--valid); } .violation { color: var(--violation); } .unknown { color: var(--unknown); }
p { margin: .5rem 0; } .faint { color: var(--faint); }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; padding: .75rem 1rem;
  font: 13px/1.5 ui-monospace, monospace; }
figure { margin: 1rem 0; overflow-x: auto; } code { font: 13px ui-monospace, monospace; }
svg { display: block; } svg text { font: 13px ui-monospace, monospace; fill: var(--text); }
svg .box { fill: var(--box); stroke: var(--line); } svg .edge { fill: none; stroke-width: 1.6; }
svg .ww { stroke: var(--ww); } svg .wr { stroke: var(--wr); } svg .rw { stroke: var(--rw); }
svg .order { stroke: var(--order); stroke-dasharray: 5 3; } svg .head { stroke-width: 1.6; fill: none; }
svg .kind { font-weight: 600; paint-order: stroke; stroke: var(--back); stroke-width: 5px; stroke-linejoin: round; }
svg .kind.ww { fill: var(--ww); } svg .kind.wr { fill: var(--wr); } svg .kind.rw { fill: var(--rw); }
svg .row { stroke: var(--line); } svg .op { fill: var(--box); stroke: var(--valid); }
svg .op.fail { stroke: var(--line); } svg .op.info { stroke: var(--unknown); stroke-dasharray: 5 3; }
svg .op.culprit { stroke: var(--violation); stroke-width: 2.5; }
svg .kind.order { fill: var(--order); }
";

/// The page.
#[must_use]
pub fn html(checked: &Checked, judgement: &Judgement) -> String {
    let word = word(judgement);
    let history = escaped(&checked.history);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{word}: {history}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1><b class=\"{word}\">{word}</b> {}</h1>\n\
         <p class=\"faint\">{history}, {} entries as {}</p>\n",
        escaped(&checked.to_string()),
        checked.entries,
        escaped(&checked.format),
    );
    for violation in &judgement.violations {
        section(&mut page, violation);
    }
    for (heading, texts) in [("Unknown", &judgement.unknown), ("Notes", &judgement.notes)] {
        if !texts.is_empty() {
            line(&mut page, format_args!("<h2>{heading}</h2>"));
        }
        for text in texts {
            line(&mut page, format_args!("<p>{}</p>", escaped(text)));
        }
    }
    if word == "valid" {
        line(&mut page, format_args!("<p>Nothing of what this model forbids was found.</p>"));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn section(page: &mut String, violation: &Violation) {
    let Violation { signature, summary, evidence, .. } = violation;
    line(
        page,
        format_args!("<h2 class=\"violation\">{}</h2>\n<p>{}</p>", escaped(signature), escaped(summary)),
    );
    if let Some(graph) = evidence.graph.as_ref().filter(|graph| !graph.nodes.is_empty()) {
        line(page, format_args!("<figure>\n{}</figure>", graph::svg(graph)));
        reasons(page, graph);
    }
    if let Some(picture) = window::svg(&evidence.ops, evidence.culprit) {
        line(page, format_args!("<figure>\n{picture}</figure>"));
    }
    if !evidence.lines.is_empty() {
        line(page, format_args!("<pre>{}</pre>", escaped(&evidence.lines.join("\n"))));
    }
}

/// Why each arrow is there.
fn reasons(page: &mut String, graph: &Graph) {
    let reasons: Vec<String> = graph
        .edges
        .iter()
        .filter(|edge| !edge.why.is_empty())
        .map(|edge| {
            let (from, to) = (edge.from + 1, edge.to + 1);
            format!(
                "<li><code>{from} &rarr; {to} {}</code> {}</li>\n",
                escaped(&edge.kind),
                escaped(&edge.why)
            )
        })
        .collect();
    if !reasons.is_empty() {
        line(page, format_args!("<ul>\n{}</ul>", reasons.concat()));
    }
}

fn line(page: &mut String, text: fmt::Arguments<'_>) {
    // a text takes everything
    let _ = writeln!(page, "{text}");
}

/// Text as HTML and SVG have it; control characters that XML forbids become a sign.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Edge, Evidence};

    fn edge(from: usize, to: usize, kind: &str) -> Edge {
        Edge { from, to, kind: kind.into(), why: format!("because <{kind}>") }
    }

    fn checked() -> Checked {
        Checked {
            history: "a&b.edn".into(),
            format: "edn".into(),
            model: "list-append".into(),
            entries: 4,
            operations: 2,
            keys: 1,
        }
    }

    fn violation() -> Judgement {
        let nodes = vec!["T1 [[:append 1 2]]".to_owned(), "T2 <\"x\">".to_owned()];
        let graph = Graph { nodes, edges: vec![edge(0, 1, "wr"), edge(1, 0, "rw")] };
        let lines = vec!["T1 < T2".to_owned()];
        let mut judgement = Judgement::new("list-append");
        judgement.violation(
            "G-single",
            0,
            "T1 & T2".into(),
            Evidence { lines, graph: Some(graph), ..Evidence::default() },
        );
        judgement
    }

    #[test]
    fn a_page_says_it_all_and_needs_nothing_else() {
        let page = html(&checked(), &violation());
        for part in [
            "<title>violation: a&amp;b.edn</title>",
            "<b class=\"violation\">violation</b> 2 operations on 1 key as list-append</h1>",
            "a&amp;b.edn, 4 entries as edn",
            "list-append/G-single</h2>\n<p>T1 &amp; T2</p>",
            "<pre>T1 &lt; T2</pre>",
            "T2 &lt;&quot;x&quot;&gt;",
            "<code>2 &rarr; 1 rw</code> because &lt;rw&gt;",
            "<svg",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        for foreign in ["http:", "https:", "src=", "href=", "<script", "url("] {
            let page = page.replace("http://www.w3.org/2000/svg", "");
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert_eq!(page, html(&checked(), &violation()));
    }

    #[test]
    fn pages_of_other_verdicts() {
        let valid = html(&checked(), &Judgement::new("x"));
        assert!(
            valid.contains("<b class=\"valid\">valid</b>") && valid.contains("Nothing of what"),
            "{valid}"
        );
        let mut judgement = Judgement::new("x");
        judgement.unknown("no <budget>");
        let unknown = html(&checked(), &judgement);
        assert!(unknown.contains("<h2>Unknown</h2>\n<p>no &lt;budget&gt;</p>"), "{unknown}");
    }

    #[test]
    fn what_was_checked_is_said_in_a_line() {
        assert_eq!(checked().to_string(), "2 operations on 1 key as list-append");
        let plain = Checked { keys: 0, operations: 1, ..checked() };
        assert_eq!(plain.to_string(), "1 operation as list-append");
    }
}
