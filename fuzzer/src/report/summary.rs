//! The summary of a campaign: a few lines for people.

use crate::campaign::Summary;
use std::fmt::Write;
use std::path::Path;

/// The summary. `findings` is the directory of findings, as the user may type it.
#[must_use]
pub fn text(summary: &Summary, findings: &Path) -> String {
    let Summary { executions, per_second, corpus, features, states, steps, landed, .. } = summary;
    let mut text = String::new();
    let seconds = summary.elapsed_ms as f64 / 1e3;
    let _ = writeln!(text, "executions  {executions} in {seconds:.1} s ({per_second:.1} a second)");
    let _ =
        writeln!(text, "coverage    {features} features, {states} states, {corpus} schedules in the corpus");
    let share = if *steps == 0 { 0.0 } else { *landed as f64 * 100.0 / *steps as f64 };
    let _ = writeln!(text, "faults      {steps}, of which {share:.0}% touched something");
    let _ = writeln!(text, "operations  {}", summary.operations);
    for (count, what) in [
        (summary.unknown, "verdicts undecided"),
        (summary.skipped, "schedules that could not be run"),
        (summary.diverged, "runs that did not repeat exactly: see `fuzz verify`"),
        (
            summary.unrepeated,
            "violations that were seen once and not again: see `unrepeated` in events.jsonl",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(text, "warning     {count} {what}");
        }
    }
    if let Some(why) = summary.in_vain() {
        let _ = writeln!(text, "unknown     {why}");
    }
    let _ = writeln!(text, "findings    {}", summary.findings.len());
    for finding in &summary.findings {
        let place = findings.join(&finding.slug);
        let _ = writeln!(
            text,
            "  {}: seen {}x, first in execution {}; {}",
            finding.signature,
            finding.count,
            finding.execution,
            place.display()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::FindingSummary;
    use crate::tally::{Counts, Tally};
    use oracle::Function;
    use std::collections::BTreeMap;

    #[test]
    fn a_summary_names_each_finding_and_where_it_is() {
        let finding = FindingSummary {
            signature: "register/stale-read".into(),
            slug: "register-stale-read".into(),
            summary: String::new(),
            count: 14,
            execution: 33,
        };
        let summary = Summary {
            executions: 1234,
            elapsed_ms: 60_000,
            per_second: 20.57,
            corpus: 96,
            features: 812,
            states: 200,
            findings: vec![finding],
            unknown: 2,
            steps: 200,
            landed: 150,
            operations: Tally {
                counts: BTreeMap::from([
                    (Function::Read, Counts { ok: 8_000, failed: 12, unknown: 0 }),
                    (Function::Write, Counts { ok: 0, failed: 9_000, unknown: 3 }),
                ]),
                answers: BTreeMap::from([(
                    Function::Write,
                    BTreeMap::from([("404 Not Found".to_owned(), 9_000), ("timed out".to_owned(), 3)]),
                )]),
            },
            ..Summary::default()
        };
        insta::assert_snapshot!(text(&summary, Path::new("fuzz-out/toy/findings")), @r#"
    executions  1234 in 60.0 s (20.6 a second)
    coverage    812 features, 200 states, 96 schedules in the corpus
    faults      200, of which 75% touched something
    operations  read 8000 ok, 12 failed, 0 unknown; write 0 ok, 9000 failed, 3 unknown
    warning     2 verdicts undecided
    unknown     no write ever succeeded: 9000 failed, 3 unknown, most often "404 Not Found"; nothing is known of what was never done: look at [client] of the manifest, what it asks and where, and at what the target answers to that
    findings    1
      register/stale-read: seen 14x, first in execution 33; fuzz-out/toy/findings/register-stale-read
    "#);
    }
}
