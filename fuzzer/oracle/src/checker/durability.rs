//! Durability: what was acknowledged is still there when the faults are over.
//!
//! Judges only final reads, taken after everything healed. A key is lost when every final read that was
//! answered shows something older than an acknowledged change, also one that was asked once more after a change through
//! the same node and a rest; if only some do, they are stale, which is the
//! business of [`super::linearizable`]. A final read that failed tells nothing.

pub mod raw;

use super::missed::not_asked_again;
use crate::history::entries_of;
use crate::op::{Call, Op, Outcome, Shown, seconds};
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// The oracle's name.
pub const NAME: &str = "durability";

/// Judges the reads in `ops` invoked at `final_from_ns` or later against all changes. What they miss is lost if those
/// invoked at `again_from_ns` or later miss it too.
///
/// A key with an acknowledged change but no answered final read is unknown, and so is one that seems lost and was not
/// asked for again.
#[must_use]
pub fn check(ops: &[Op], final_from_ns: u64, again_from_ns: u64) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let mut unread: Vec<&str> = Vec::new();
    for (name, key) in &keys(ops, final_from_ns) {
        if key.reads.is_empty() && key.changes.iter().any(|op| op.acknowledged_change()) {
            unread.push(name);
        }
        let (Some(write), Some(read)) = (key.lost(), key.reads.first()) else { continue };
        let Some(again) = key.reads.iter().rev().find(|read| read.invoked_ns >= again_from_ns) else {
            not_asked_again(&mut judgement, name, &write.call.to_string());
            continue;
        };
        let since = match again.invoked_ns == read.invoked_ns {
            true => String::new(),
            false => format!(
                ": final reads from {} on and, after a change and a rest, at {} miss it",
                seconds(read.invoked_ns),
                seconds(again.invoked_ns)
            ),
        };
        let summary =
            format!("{} was acknowledged at {} and is gone{since}", write.call, moment(write.completed_ns));
        judgement.violation(
            "acknowledged-write-lost",
            read.completed_ns.unwrap_or(0),
            summary,
            key.evidence(write, final_from_ns.max(again_from_ns)),
        );
    }
    if !unread.is_empty() {
        judgement.unknown(format!("no final read was answered for {}", unread.join(", ")));
    }
    judgement
}

/// The final reads of keys that seem lost: all of them miss an acknowledged change.
pub(super) fn missing(ops: &[Op], final_from_ns: u64) -> Vec<&Op> {
    let keys = keys(ops, final_from_ns);
    keys.values().filter(|key| key.lost().is_some()).flat_map(|key| key.reads.iter().copied()).collect()
}

fn keys(ops: &[Op], final_from_ns: u64) -> BTreeMap<&str, Key<'_>> {
    let mut keys: BTreeMap<&str, Key<'_>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.outcome != Outcome::Fail && op.call.is_of_register()) {
        let key = keys.entry(op.call.key()).or_default();
        match op.call {
            Call::Read { .. } if op.outcome == Outcome::Ok && op.invoked_ns >= final_from_ns => {
                key.reads.push(op)
            }
            Call::Read { .. } => {}
            _ if op.call.leaves().is_some() => key.changes.push(op),
            _ => {}
        }
    }
    keys
}

#[derive(Default)]
struct Key<'a> {
    changes: Vec<&'a Op>,
    reads: Vec<&'a Op>,
}

impl<'a> Key<'a> {
    /// An acknowledged change that all final reads miss, if there are any.
    fn lost(&self) -> Option<&'a Op> {
        let lost: Option<Vec<&Op>> = self.reads.iter().map(|read| self.replacement(read)).collect();
        lost?.first().copied()
    }

    /// The last acknowledged change that certainly came before `read` and after all that can have left what it
    /// shows; `None` when the read may be right, or shows a value that nobody wrote (which is no loss).
    fn replacement(&self, read: &Op) -> Option<&'a Op> {
        let shown = read.call.observes()?;
        let mut sources = self.sources(shown, read).peekable();
        if shown.is_some() && sources.peek().is_none() {
            return None;
        }
        // a source in info may take effect at any time, even after everything else
        let mut latest_source_done = None;
        for source in sources {
            latest_source_done = latest_source_done.max(Some(source.effective_by()?));
        }
        self.changes
            .iter()
            .copied()
            .filter(|op| op.acknowledged_change() && op.call.leaves() != Some(shown))
            .filter(|op| latest_source_done.is_none_or(|done| done < op.invoke))
            .filter(|op| op.complete.is_some_and(|complete| complete < read.invoke))
            .max_by_key(|op| op.complete)
    }

    fn sources(&self, shown: Option<&'a str>, read: &Op) -> impl Iterator<Item = &'a Op> {
        let until = read.complete;
        self.changes
            .iter()
            .copied()
            .filter(move |op| op.call.leaves() == Some(shown) && Some(op.invoke) < until)
    }

    fn evidence(&self, write: &'a Op, again_from_ns: u64) -> Evidence {
        let mut lines =
            vec!["acknowledged".to_string(), format!("  {write}"), "but the final reads show".to_string()];
        let mut ops = vec![write];
        let first = self.reads.first().map_or(0, |read| read.invoked_ns);
        let mut is_again = first >= again_from_ns;
        for read in &self.reads {
            if !is_again && read.invoked_ns >= again_from_ns {
                is_again = true;
                lines.push(
                    "and those asked again, after a change through the same node and a rest,".to_string(),
                );
            }
            let shown = read.call.observes().flatten();
            lines.push(format!("  {read}"));
            match self.sources(shown, read).last() {
                Some(source) if !ops.iter().any(|op| op.invoke == source.invoke) => {
                    lines.push(format!("    where {} came from {source}", Shown(shown)));
                    ops.push(source);
                }
                _ => {}
            }
            ops.push(read);
        }
        ops.sort_by_key(|op| op.invoke);
        Evidence { entries: ops.iter().flat_map(|op| entries_of(op)).collect(), lines, ..Evidence::default() }
    }
}

fn moment(ns: Option<u64>) -> String {
    ns.map_or_else(|| "an unknown time".to_string(), seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ops;
    use crate::jsonl::from_json_lines;

    /// `OP OUTCOME VALUE`, one after the other, a second apart; operations of `=info` overlap all that follows.
    fn judge(script: &[(&str, &str, &str)], final_from: usize) -> Judgement {
        let mut text = String::new();
        for (i, (f, outcome, value)) in script.iter().enumerate() {
            for (n, phase) in ["invoke", outcome].iter().enumerate() {
                let time = i as u64 * 1_000_000_000 + n as u64 * 1_000_000;
                let index = i * 2 + n;
                text += &format!(
                    "{{\"type\":\"{phase}\",\"process\":{i},\"f\":\"{f}\",\"key\":\"x\",\"value\":{value},\
                     \"time\":{time},\"index\":{index}}}\n"
                );
            }
        }
        let from_ns = final_from as u64 * 1_000_000_000;
        check(&ops(&from_json_lines(&text).unwrap()).unwrap(), from_ns, from_ns)
    }

    fn signatures(judgement: &Judgement) -> Vec<&str> {
        judgement.violations.iter().map(|violation| violation.signature.as_str()).collect()
    }

    const LOST: [&str; 1] = ["durability/acknowledged-write-lost"];

    #[test]
    fn an_older_value_or_nothing_is_a_loss() {
        let writes = [("write", "ok", "\"a\""), ("write", "ok", "\"b\"")];
        for (shown, lost) in [("\"a\"", true), ("null", true), ("\"b\"", false), ("\"zz\"", false)] {
            let judgement = judge(&[writes[0], writes[1], ("read", "ok", shown)], 2);
            assert_eq!(signatures(&judgement), if lost { &LOST[..] } else { &[] }, "{shown}");
        }
        let judgement = judge(&[writes[0], writes[1], ("read", "ok", "\"a\"")], 2);
        insta::assert_snapshot!(judgement.violations[0].evidence.lines.join("\n"), @r#"
        acknowledged
          p1 write x = "b"  [1.000000, 1.001000] ok  #2
        but the final reads show
          p2 read x -> "a"  [2.000000, 2.001000] ok  #4
            where "a" came from p0 write x = "a"  [0.000000, 0.001000] ok  #0
        "#);
        assert_eq!(
            judgement.violations[0].summary,
            "write x = \"b\" was acknowledged at 1.001000 and is gone"
        );
    }

    #[test]
    fn what_may_have_happened_excuses() {
        let a = ("write", "info", "\"a\"");
        let b = ("write", "ok", "\"b\"");
        let gone = ("delete", "info", "null");
        assert_eq!(signatures(&judge(&[a, b, ("read", "ok", "\"a\"")], 2)), [""; 0]);
        assert_eq!(signatures(&judge(&[b, gone, ("read", "ok", "null")], 2)), [""; 0]);
        assert_eq!(signatures(&judge(&[b, ("delete", "fail", "null"), ("read", "ok", "null")], 2)), LOST);
        assert_eq!(signatures(&judge(&[b, a, ("read", "ok", "null")], 2)), LOST);
    }

    #[test]
    fn one_fresh_final_read_makes_the_others_stale_not_the_write_lost() {
        let writes = [("write", "ok", "\"a\""), ("write", "ok", "\"b\"")];
        let judgement = judge(&[writes[0], writes[1], ("read", "ok", "\"a\""), ("read", "ok", "\"b\"")], 2);
        assert_eq!(signatures(&judgement), [""; 0]);
    }

    #[test]
    fn an_unanswered_final_read_is_unknown_and_an_early_read_is_not_final() {
        let b = ("write", "ok", "\"b\"");
        let judgement = judge(&[b, ("read", "ok", "null"), ("read", "info", "null")], 2);
        assert_eq!(judgement.unknown, ["no final read was answered for x"]);
        assert_eq!(signatures(&judgement), [""; 0]);
    }

    #[test]
    fn final_reads_of_anybody_are_marked_or_follow_the_last_fault() {
        use crate::check::Options;
        use crate::format::{self, Format};
        let found = |read: &str, settings: &[(&str, &str)]| {
            let text = format!(
                "{{:process 0, :type :invoke, :f :write, :value 1, :time 0}}\n\
                 {{:process 0, :type :ok, :f :write, :value 1, :time 1000000000}}\n\
                 {{:process 0, :type :invoke, :f :read, :time 1500000000}}\n\
                 {{:process 0, :type :ok, :f :read, :value nil, :time 1600000000{read}}}\n\
                 {{:process :nemesis, :type :info, :f :kill, :time 2000000000}}\n\
                 {{:process 0, :type :invoke, :f :read, :time 3000000000}}\n\
                 {{:process 0, :type :ok, :f :read, :value 1, :time 4000000000}}\n"
            );
            let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let options = Options { settings, ..Options::default() };
            let mut entries = format::read(Format::Edn, text.as_bytes(), format::Options::default());
            let judgement = raw::CHECK.judge(&mut *entries, &options).unwrap();
            (judgement.violations.len(), judgement.unknown.len())
        };
        assert_eq!(found("", &[]), (0, 0));
        assert_eq!(found("", &[("final-ms", "1200")]), (0, 0), "one fresh answer is enough");
        assert_eq!(found(", :final? true", &[]), (0, 0), "a marked one and all after it are final");
        assert_eq!(found("", &[("final-ms", "9000")]), (0, 1));
    }

    #[test]
    fn swaps_count_unless_refused() {
        let a = ("write", "ok", "\"a\"");
        let swap = ("cas", "ok", "[\"a\",\"b\"]");
        assert_eq!(signatures(&judge(&[a, swap, ("read", "ok", "\"a\"")], 2)), LOST);
    }
}
