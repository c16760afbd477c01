//! Crashes: a node that ends by itself other than its target allows.

use super::sanitizer;
use crate::op::seconds;
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};

/// The oracle's name.
pub const NAME: &str = "crash";

/// The name under which statuses are judged.
pub const NAME_EXIT: &str = "exit";

/// Lines of standard error kept as evidence.
const TAIL_MAX: usize = 12;

/// A node's first process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessExit {
    /// Virtual nanoseconds.
    pub at_ns: u64,
    /// The node's number.
    pub node: u32,
    /// How.
    pub exit: Exit,
    /// The sandbox ended it (a fault, or the end of the run).
    pub planned: bool,
    /// The last lines it wrote to standard error, the oldest first.
    pub stderr_tail: Vec<String>,
}

/// How a process ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// With this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

/// Judges the exits nobody planned; statuses in `allowed` are in order.
///
/// Signatures are `crash/KIND:PLACE` where standard error tells the place of a panic, an exception, a failed
/// assertion or a sanitizer's report (with its stack: see [`sanitizer`]); else `crash/signal-N` or `exit/unexpected-status-N`.
#[must_use]
pub fn check(exits: &[ProcessExit], allowed: &[i32]) -> [Judgement; 2] {
    let mut crash = Judgement::new(NAME);
    let mut status = Judgement::new(NAME_EXIT);
    for exit in exits.iter().filter(|exit| !exit.planned) {
        if matches!(exit.exit, Exit::Status(status) if allowed.contains(&status)) {
            continue;
        }
        let how = how(exit.exit);
        let summary = format!("n{} {how} at {}", exit.node, seconds(exit.at_ns));
        let found = told(exit.exit, summary, &exit.stderr_tail);
        let judgement =
            if found.says_why || matches!(exit.exit, Exit::Signal(_)) { &mut crash } else { &mut status };
        judgement.violation(&found.kind, exit.at_ns, found.summary, found.evidence);
    }
    [crash, status]
}

/// An end that is not in order.
pub(super) struct Found {
    /// `panic:PLACE`, `signal-N`.
    pub kind: String,
    /// The process had said why.
    pub says_why: bool,
    /// What happened, in a sentence.
    pub summary: String,
    /// With the last lines that it wrote.
    pub evidence: Evidence,
}

/// What to say of an end; `who` may say when it was.
pub(super) fn found(exit: Exit, who: &str, stderr: &[String]) -> Found {
    told(exit, format!("{who} {}", how(exit)), stderr)
}

fn told(exit: Exit, summary: String, stderr: &[String]) -> Found {
    let tail = stderr.len().saturating_sub(TAIL_MAX);
    let mut lines = vec![summary.clone()];
    lines.extend(stderr[tail..].iter().map(|line| format!("  {line}")));
    let place = place(stderr);
    let says_why = place.is_some();
    let kind = place.unwrap_or_else(|| match exit {
        Exit::Signal(signal) => format!("signal-{signal}"),
        Exit::Status(status) => format!("unexpected-status-{status}"),
    });
    Found { kind, says_why, summary, evidence: Evidence { lines, ..Evidence::default() } }
}

fn how(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exited with status {status}"),
        Exit::Signal(signal) => format!("was ended by signal {signal}{}", signal_name(signal)),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        9 => " (SIGKILL)",
        11 => " (SIGSEGV)",
        13 => " (SIGPIPE)",
        31 => " (SIGSYS)",
        _ => "",
    }
}

/// What the standard error says went wrong and where. The last report counts: earlier ones did not end the
/// process.
fn place(stderr: &[String]) -> Option<String> {
    (0..stderr.len()).rev().find_map(|i| {
        rust_panic(&stderr[i])
            .or_else(|| go_panic(&stderr[i], &stderr[i + 1..]))
            .or_else(|| python_exception(&stderr[i], &stderr[i + 1..]))
            .or_else(|| failed_assertion(&stderr[i]))
            .or_else(|| sanitizer::report(&stderr[i..]).map(|report| report.name()))
    })
}

/// `thread 'main' panicked at src/x.rs:10:5:`, and before Rust 1.73 `… panicked at 'why', src/x.rs:10:5`.
fn rust_panic(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" panicked at ")?;
    let location = rest.rsplit(", ").next()?.trim_end_matches(':');
    let (rest, _column) = location.rsplit_once(':')?;
    let (file, number) = rest.rsplit_once(':')?;
    number.parse::<u32>().ok().map(|number| format!("panic:{}:{number}", short(file)))
}

/// `panic: why` or `fatal error: why`, then goroutines; the first frame outside the runtime is the place.
fn go_panic(line: &str, after: &[String]) -> Option<String> {
    if !line.starts_with("panic: ") && !line.starts_with("fatal error: ") {
        return None;
    }
    let frame = after.iter().filter_map(|line| line.strip_prefix('\t')).find_map(|line| {
        let (file, number) = line.split(' ').next()?.rsplit_once(':')?;
        let runtime = file.contains("/src/runtime/") || file.starts_with("runtime/");
        (!runtime && file.ends_with(".go")).then(|| format!("{}:{number}", short(file)))
    });
    // a tail without goroutines may be any program's output
    frame.map(|frame| format!("go-panic:{frame}"))
}

/// `Traceback (most recent call last):`, frames, and the exception; the innermost frame is the place.
fn python_exception(line: &str, after: &[String]) -> Option<String> {
    if !line.starts_with("Traceback (most recent call last)") {
        return None;
    }
    let frame = after.iter().rev().find_map(|line| line.trim_start().strip_prefix("File \""))?;
    let (file, rest) = frame.split_once("\", line ")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("exception:{}:{number}", short(file)))
}

/// `prog: x.c:12: function: Assertion `…' failed.`
fn failed_assertion(line: &str) -> Option<String> {
    let (head, _) = line.split_once(": Assertion `")?;
    let mut parts = head.rsplit(':').map(str::trim);
    let (_function, number, file) = (parts.next()?, parts.next()?, parts.next()?);
    number.parse::<u32>().ok().map(|number| format!("assertion:{}:{number}", short(file)))
}

/// A path without what depends on where it was built: from the directory above the last `src`, else the last
/// two components. Relative paths stay as they are.
fn short(path: &str) -> String {
    if !path.starts_with('/') {
        return path.to_string();
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let from = match parts.iter().rposition(|part| *part == "src") {
        Some(src) if src + 1 < parts.len() => src.saturating_sub(1),
        _ => parts.len().saturating_sub(2),
    };
    parts[from..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signatures(exit: Exit, planned: bool, stderr: &[&str]) -> Vec<String> {
        let stderr_tail = stderr.iter().map(ToString::to_string).collect();
        let exits = [ProcessExit { at_ns: 1_500_000_000, node: 2, exit, planned, stderr_tail }];
        check(&exits, &[0]).iter().flat_map(|j| j.violations.iter().map(|v| v.signature.clone())).collect()
    }

    #[test]
    fn planned_and_allowed_ends_are_in_order() {
        assert_eq!(signatures(Exit::Signal(9), true, &[]), [""; 0]);
        assert_eq!(signatures(Exit::Status(0), false, &[]), [""; 0]);
        assert_eq!(
            signatures(Exit::Status(3), false, &["error: no such file"]),
            ["exit/unexpected-status-3"]
        );
        assert_eq!(signatures(Exit::Signal(11), false, &[]), ["crash/signal-11"]);
    }

    #[test]
    fn the_place_is_read_from_standard_error() {
        let cases: &[(&[&str], &str)] = &[
            (
                &["thread 'node-3' panicked at src/raft/log.rs:120:17:", "index out of bounds"],
                "crash/panic:src/raft/log.rs:120",
            ),
            (&["thread 'x' (42) panicked at 'a, b', src/log.rs:7:1"], "crash/panic:src/log.rs:7"),
            (
                &[
                    "thread 'main' panicked at /home/me/.cargo/registry/src/mirror-1/raft-0.6.1/src/core/mod.rs:9:5:",
                ],
                "crash/panic:raft-0.6.1/src/core/mod.rs:9",
            ),
            (
                &[
                    "panic: tocommit(11) is out of range",
                    "",
                    "goroutine 1 [running]:",
                    "panic({0x1})",
                    "\t/usr/lib/go/src/runtime/panic.go:884 +0x212",
                    "raft.(*raftLog).commitTo(...)",
                    "\t/build/etcd/raft/log.go:237 +0x1d",
                ],
                "crash/go-panic:raft/log.go:237",
            ),
            (
                &[
                    "Traceback (most recent call last):",
                    "  File \"/usr/lib/python3/x.py\", line 3, in <module>",
                    "    f()",
                    "  File \"node.py\", line 14, in f",
                    "KeyError: 'a'",
                ],
                "crash/exception:node.py:14",
            ),
            (
                &["demo: src/uv_append.c:310: uvAppend: Assertion `n > 0' failed."],
                "crash/assertion:src/uv_append.c:310",
            ),
            (
                &["==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1"],
                "crash/address-sanitizer:heap-use-after-free",
            ),
            (
                &[
                    "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1",
                    "READ of size 4 at 0x1 thread T0",
                    "    #0 0x55 in list_find /build/list.c:12:5",
                    "    #1 0x56 in main /build/main.c:3:1",
                ],
                "crash/address-sanitizer:heap-use-after-free:list_find<main",
            ),
        ];
        for (stderr, expected) in cases {
            assert_eq!(signatures(Exit::Signal(6), false, stderr), [*expected]);
        }
    }

    #[test]
    fn evidence_ends_with_what_it_said_last() {
        let stderr_tail: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
        let exit = ProcessExit {
            at_ns: 1_500_000_000,
            node: 2,
            exit: Exit::Signal(11),
            planned: false,
            stderr_tail,
        };
        let [crash, _] = check(&[exit], &[]);
        let violation = &crash.violations[0];
        assert_eq!(violation.summary, "n2 was ended by signal 11 (SIGSEGV) at 1.500000");
        assert_eq!(violation.evidence.lines[1], "  line 8");
        assert_eq!(violation.evidence.lines[12], "  line 19");
    }
}
