//! What a bad run without faults is told with: the proof, what clients heard last, and the last lines of who crashed, or
//! else of everybody.

use crate::execution::{Detail, Execution};
use interceptor::event::{EventKind, Exit, HostId, LogLine};
use interceptor::time::Instant;
use oracle::Verdict;

/// How many lines of output are shown.
const LINES_MAX: usize = 10;
/// How many lines of evidence are shown.
const EVIDENCE_MAX: usize = 20;

/// The lines, each indented; empty for a run that shows no violation.
#[must_use]
pub fn of(execution: &Execution) -> String {
    let Verdict::Violation(violation) = &execution.verdict else { return String::new() };
    let evidence = violation.evidence.lines.iter().take(EVIDENCE_MAX);
    let mut told: Vec<String> = evidence.map(|line| format!("  {line}")).collect();
    let Some(detail) = execution.detail.as_deref() else { return told.join("\n") };
    let crash = crash(detail, violation.at_ns);
    if crash.is_none() {
        let error = detail.history.iter().rev().find_map(|entry| Some((entry, entry.error.as_ref()?)));
        told.extend(error.map(|(entry, error)| format!("  {}: {}: {error}", entry.who(), entry.call)));
    }
    let is_meant = |line: &&LogLine| crash.is_none_or(|(host, at)| line.host == host && line.at <= at);
    let lines: Vec<&LogLine> = detail.logs.iter().filter(is_meant).collect();
    let last = &lines[lines.len().saturating_sub(LINES_MAX)..];
    if let Some((host, _)) = crash {
        let what = if last.is_empty() { "it wrote nothing" } else { "its last lines:" };
        told.push(format!("  {} crashed; {what}", name(detail, host)));
    }
    told.extend(last.iter().map(|line| format!("  {}: {}", name(detail, line.host), line.text)));
    told.join("\n")
}

/// Who ended by itself at the instant of the violation, and when.
fn crash(detail: &Detail, at_ns: u64) -> Option<(HostId, Instant)> {
    let ended = detail.events.iter().find(|event| {
        event.at.0 == at_ns && matches!(event.kind, EventKind::Exit(Exit::Status(_) | Exit::Signal(_)))
    })?;
    Some((ended.host, ended.at))
}

fn name(detail: &Detail, host: HostId) -> &str {
    detail.hosts.get(usize::from(host.0)).map_or("?", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Executor, RunOptions};
    use crate::fake::Fake;
    use interceptor::event::Event;

    fn run(kind: EventKind) -> Execution {
        let mut execution = Fake::breaking("toy/bug").run(&Fake::schedule(), RunOptions::default()).unwrap();
        let line = |at, host, text: &str| LogLine {
            at: Instant(at),
            host: HostId(host),
            stderr: false,
            text: text.into(),
        };
        execution.detail = Some(Box::new(Detail {
            hosts: vec!["n1".into(), "n2".into()],
            events: vec![Event { at: Instant(5), host: HostId(1), kind }],
            logs: vec![line(3, 1, "out of ideas"), line(4, 0, "all is well"), line(9, 1, "born again")],
            ..Detail::default()
        }));
        execution
    }

    #[test]
    fn who_crashed_has_the_last_word() {
        let told = of(&run(EventKind::Exit(Exit::Status(7))));
        assert_eq!(told, "  n2 crashed; its last lines:\n  n2: out of ideas");
    }

    #[test]
    fn without_a_crash_everybody_is_heard() {
        let told = of(&run(EventKind::Fsync { failed: false }));
        assert_eq!(told, "  n2: out of ideas\n  n1: all is well\n  n2: born again");
    }
}
