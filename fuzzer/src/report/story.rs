//! The story of a run: what happened on which node at which virtual time, and why that is a violation. Text for people,
//! at most [`LINES_MAX`] lines; what matters least is left out first, and it is said that it was.

use crate::execution::{Detail, Execution, Landing};
use crate::fault::Fault;
use crate::schedule::{Schedule, Trigger};
use crate::trials::Rate;
use interceptor::event::{EventKind, Exit, HostId};
use interceptor::sandbox::Clock;
use interceptor::time::Instant;
use oracle::{Evidence, Verdict, Violation};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Most numbered lines.
pub const LINES_MAX: usize = 28;

/// How much a line matters: lines of the last rank are the first to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Faults and what the verdict rests on.
    Core,
    /// Leaders, crashes, restarts.
    Change,
    /// Other changes of role, failed fsyncs.
    Detail,
}

struct Line {
    at: Instant,
    rank: Rank,
    text: String,
}

/// What a run showed: in a few words, and in a sentence.
#[must_use]
pub fn title(verdict: &Verdict) -> (String, String) {
    match verdict {
        Verdict::Violation(violation) => (violation.signature.clone(), violation.summary.clone()),
        Verdict::Valid => ("No violation".to_owned(), "Nothing that was checked is wrong.".to_owned()),
        Verdict::Unknown { why } => ("Undecided".to_owned(), format!("The run could not be judged: {why}.")),
    }
}

/// Tells the run, and how often its schedule did so again, as far as that was tried.
#[must_use]
pub fn tell(execution: &Execution, again: Option<Rate>) -> String {
    let (title, summary) = title(&execution.verdict);
    let mut text = format!("# {title}\n\n{summary}\n\n{}\n\n", setting(execution));
    let empty = Detail::default();
    let detail = execution.detail.as_deref().unwrap_or(&empty);
    let (lines, left_out) = shortened(lines_of(execution, detail));
    for (number, line) in lines.iter().enumerate() {
        let _ = writeln!(text, "{:>2}. {}  {}", number + 1, line.at, line.text);
    }
    if left_out > 0 {
        let _ = writeln!(
            text,
            "\n({left_out} changes of less weight are left out; timeline.jsonl has them all.)"
        );
    }
    let Some(violation) = execution.verdict.violation() else {
        let _ = writeln!(text, "\nOperations: {}", execution.statistics.tally);
        return text;
    };
    let _ = writeln!(text, "\n## Why this is wrong\n\n{}", because(violation));
    if execution.clock == Clock::Real {
        let again = again
            .map_or_else(|| "It was not tried how often.".to_owned(), |rate| format!("It did so in {rate}."));
        let _ = writeln!(
            text,
            "\n## How surely it breaks again\n\nThis was by the host's clock, with threads that run free: the same \
             schedule breaks the target again only with some probability. {again} `fuzz replay` measures it."
        );
    }
    text
}

/// One line on what ran.
fn setting(execution: &Execution) -> String {
    let Schedule { target, bugs, nodes, seed, workload, .. } = &execution.schedule;
    let bugs =
        if bugs.is_empty() { "no planted bug".to_owned() } else { format!("with {}", bugs.join(", ")) };
    format!(
        "Target {target} ({bugs}), {nodes} nodes, seed {seed}; {} clients, {} operations a second on {} keys. \
         Times are {} seconds since power-on; the cluster was ready at {}.",
        workload.clients,
        workload.rate,
        workload.keys,
        execution.clock.name(),
        Instant(execution.statistics.ready_ns),
    )
}

fn because(violation: &Violation) -> String {
    let Evidence { lines, .. } = &violation.evidence;
    if lines.is_empty() {
        return format!(
            "{} (oracle `{}`, certain at {}).",
            violation.summary,
            violation.oracle,
            Instant(violation.at_ns)
        );
    }
    lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
}

fn lines_of(execution: &Execution, detail: &Detail) -> Vec<Line> {
    let mut lines = faults(execution);
    lines.extend(changes(detail, execution.schedule.nodes));
    if let Some(violation) = execution.verdict.violation() {
        lines.extend(operations(&violation.evidence));
        // It is certain once all that proves it was seen.
        let proven_ns = violation.evidence.entries.iter().map(|entry| entry.at_ns).max().unwrap_or(0);
        lines.push(Line {
            at: Instant(violation.at_ns.max(proven_ns)),
            rank: Rank::Core,
            text: format!("**violation certain**: {}", violation.signature),
        });
        // what comes after the violation explains nothing
        lines.retain(|line| line.at.0 <= violation.at_ns || line.rank == Rank::Core);
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// At most [`LINES_MAX`] lines: the least rank goes first, the earliest first, and how many went.
fn shortened(mut lines: Vec<Line>) -> (Vec<Line>, usize) {
    let before = lines.len();
    for rank in [Rank::Detail, Rank::Change, Rank::Core] {
        let mut surplus = lines.len().saturating_sub(LINES_MAX);
        lines.retain(|line| {
            let goes = surplus > 0 && line.rank == rank;
            surplus -= usize::from(goes);
            !goes
        });
    }
    let left_out = before - lines.len();
    (lines, left_out)
}

fn faults(execution: &Execution) -> Vec<Line> {
    let ready = execution.statistics.ready_ns;
    let mut lines = Vec::new();
    for landing in &execution.landings {
        let Some(fired) = landing.fired_ns else { continue };
        let touched = consequence(landing, fired);
        let text = match &landing.step.when {
            Trigger::At { .. } => format!("fault: {} ({touched})", landing.step.fault),
            when => format!("fault {when}: {} ({touched})", landing.step.fault),
        };
        lines.push(Line { at: Instant(ready.saturating_add(fired)), rank: Rank::Core, text });
    }
    lines
}

/// What a fault that fired took away, and that it was over before its time if it was.
fn consequence(landing: &Landing, fired_ns: u64) -> String {
    let count = landing.touched;
    let mut told = match &landing.step.fault {
        _ if !landing.took.is_empty() => format!("gone: {}", landing.took.join(", ")),
        _ if count == 0 => "it touched nothing".to_owned(),
        Fault::Partition { .. } | Fault::Link { .. } | Fault::Stall { .. } => {
            format!("{count} packets held back")
        }
        Fault::Delay { .. } => format!("{count} packets delayed"),
        Fault::Reset { .. } => format!("{count} connections reset"),
        Fault::Kill { .. } | Fault::PowerLoss { .. } => format!("{count} threads ended"),
        Fault::Pause { .. } => format!("{count} threads stopped"),
        Fault::SlowFsync { .. } => format!("{count} fsyncs delayed"),
        Fault::FsyncError { .. } | Fault::NoSpace { .. } => format!("{count} calls failed"),
        Fault::ClockJump { .. } | Fault::ClockRate { .. } => "its programs ran".to_owned(),
    };
    let lasts_ns = landing.step.fault.lasts_ms().map(|ms| ms.saturating_mul(1_000_000));
    if let (Some(ended_ns), Some(lasts_ns)) = (landing.ended_ns, lasts_ns)
        && ended_ns.saturating_sub(fired_ns) < lasts_ns
    {
        let after = match ended_ns.saturating_sub(fired_ns) {
            0 => "at once".to_owned(),
            ns => format!("after {} s", Instant(ns)),
        };
        told += &format!("; over {after}, since all faults ended then");
    }
    told
}

/// Restarts, exits, failed fsyncs, and changes of role from state reports.
fn changes(detail: &Detail, nodes: u8) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut started: BTreeMap<HostId, ()> = BTreeMap::new();
    let mut roles: BTreeMap<HostId, String> = BTreeMap::new();
    for event in detail.events.iter().filter(|event| event.host.0 < u16::from(nodes)) {
        let name = detail.hosts.get(usize::from(event.host.0)).map_or("?", String::as_str);
        let mut line = |rank, text| lines.push(Line { at: event.at, rank, text });
        match &event.kind {
            EventKind::Start if started.insert(event.host, ()).is_some() => {
                roles.remove(&event.host);
                line(Rank::Change, format!("{name} starts again"));
            }
            EventKind::Exit(Exit::Status(status)) => {
                line(Rank::Change, format!("{name} exits with status {status}"))
            }
            EventKind::Exit(Exit::Signal(signal)) => {
                line(Rank::Change, format!("{name} crashes by signal {signal}"))
            }
            EventKind::Fsync { failed: true } => line(Rank::Detail, format!("an fsync of {name} fails")),
            EventKind::Report(report) => {
                let Some(role) = report.text("role") else { continue };
                let before = roles.insert(event.host, role.to_owned());
                if before.as_deref() == Some(role) || (before.is_none() && role == "follower") {
                    continue;
                }
                let rank = if role == "leader" { Rank::Change } else { Rank::Detail };
                let term = report.text("term").map(|term| format!(" in term {term}")).unwrap_or_default();
                line(rank, format!("{name} becomes {role}{term}"));
            }
            _ => {}
        }
    }
    lines
}

/// The operations the verdict rests on, told when they end, or when they begin if they never do.
fn operations(evidence: &Evidence) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
    for entry in &evidence.entries {
        let told = |outcome: &str| format!("{}: {}{outcome}", entry.who(), entry.call);
        if entry.phase == oracle::Phase::Invoke {
            open.insert(entry.process, (lines.len(), entry.at_ns));
            lines.push(Line { at: Instant(entry.at_ns), rank: Rank::Core, text: told(" (no answer)") });
            continue;
        }
        let asked = open.remove(&entry.process);
        let since = asked.map(|(_, at)| format!(", asked at {}", Instant(at))).unwrap_or_default();
        let by = entry.node.map(|node| format!(" by n{node}")).unwrap_or_default();
        let error = entry.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let line = Line {
            at: Instant(entry.at_ns),
            rank: Rank::Core,
            text: told(&format!(" {}{by}{error}{since}", entry.phase.name())),
        };
        match asked {
            Some((at, _)) => lines[at] = line,
            None => lines.push(line),
        }
    }
    lines
}

#[cfg(test)]
mod tests;
