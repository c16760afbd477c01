//! `fuzz coverage`: what a campaign has seen, how often, and what may be left.

use super::arguments::Coverage;
use super::exit::Exit;
use super::output::Output;
use fuzzer::campaign::Chronicle;
use serde_json::json;

/// Tells.
pub fn main(args: &Coverage, output: &mut Output) -> anyhow::Result<Exit> {
    let chronicle = Chronicle::read(&args.out)?;
    output.json(&json!({ "event": "coverage", "campaign": args.out, "coverage": chronicle }));
    output.text(text(&chronicle, args.lines).trim_end());
    Ok(Exit::Clean)
}

fn text(chronicle: &Chronicle, lines: usize) -> String {
    let Chronicle { executions, classes, seen, never, curve } = chronicle;
    let mut text = format!("{executions} executions\n\n");
    text += &format!(
        "{:<20} {:>8} {:>10} {:>16} {:>22}\n",
        "", "seen", "seen once", "in all, at least", "next run shows a new one"
    );
    for class in classes {
        text += &format!(
            "{:<20} {:>8} {:>10} {:>16.0} {:>21.1}%\n",
            class.name,
            class.seen,
            class.once,
            class.estimate,
            100.0 * class.next_new
        );
    }
    text += "\nfeatures by execution:";
    for (executions, features) in curve {
        text += &format!(" {features} by {executions}");
    }
    text += "\n";
    list(&mut text, "rarest", lines, seen.iter().map(|(words, count)| format!("{count:>6}x  {words}")));
    let often = seen.iter().rev().map(|(words, count)| format!("{count:>6}x  {words}"));
    list(&mut text, "most often", lines.min(5), often);
    list(
        &mut text,
        "never seen, though the event was in another role",
        lines,
        never.iter().map(|it| format!("  {it}")),
    );
    text
}

fn list(text: &mut String, title: &str, lines: usize, items: impl ExactSizeIterator<Item = String>) {
    let more = items.len().saturating_sub(lines);
    if items.len() == 0 {
        return;
    }
    *text += &format!("\n{title}:\n");
    for item in items.take(lines) {
        *text += &format!("{item}\n");
    }
    if more > 0 {
        *text += &format!("  and {more} more\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fuzzer::campaign::Class;

    #[test]
    fn coverage_is_told_in_words() {
        let class = Class { name: "events", seen: 40, once: 8, twice: 3, estimate: 47.0, next_new: 0.016 };
        let chronicle = Chronicle {
            executions: 500,
            classes: vec![class],
            seen: vec![("leader fsync:failed".into(), 1), ("leader send:append".into(), 499)],
            never: vec!["candidate fsync:failed".into(), "candidate exit:error".into()],
            curve: vec![(1, 20), (2, 31)],
        };
        insta::assert_snapshot!(text(&chronicle, 1), @"
        500 executions

                                 seen  seen once in all, at least next run shows a new one
        events                     40          8               47                   1.6%

        features by execution: 20 by 1 31 by 2

        rarest:
             1x  leader fsync:failed
          and 1 more

        most often:
           499x  leader send:append
          and 1 more

        never seen, though the event was in another role:
          candidate fsync:failed
          and 1 more
        ");
    }
}
