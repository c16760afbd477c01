//! Processes in anybody's histories: what they write, and how they end.
//!
//! | check | kind | what was seen |
//! |---|---|---|
//! | `log-pattern` | `forbidden-line` | a line that has one of the texts, and none that excuses it |
//! | `sanitizer` | `KIND:FUNCTIONS` | a report of a sanitizer or a race detector: see [`sanitizer`] |
//! | `crash` | `panic:PLACE`, `exception:PLACE`, … | a process ended that nobody ended, and had said why: see [`crash`] |
//! | `crash` | `signal-N`, `unexpected-status-N` | it had not said why |
//!
//! Lines are the entries `log` of named processes, whose value is the text; the format `lines` makes them of any text.
//! Ends are the entries `exit`, whose value is a status, or a map with `status` or `signal`; with a true field
//! `planned?` (or `planned`) they were meant. All other entries are passed over, so the lines may stand in a history of
//! operations. Findings of one kind are one, the first. Linear in the lines, of which it holds few of each process.
//!
//! Sources: Jepsen's `checker/log-file-pattern` and `db/log-files`; those of [`sanitizer`] and [`crash`].

use super::crash::{self, Exit};
use super::output::Pattern;
use super::sanitizer::{self, REACH_MAX};
use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::op::seconds;
use crate::raw::{Entry, Error, Process};
use crate::value::Value;
use crate::verdict::{Evidence, Judgement};
use std::collections::{BTreeMap, VecDeque};

/// Lines before an end that may tell why.
const TAIL_MAX: usize = 200;

/// The check `log-pattern`.
pub const LOG_PATTERN: Check = Check {
    name: "log-pattern",
    about: "no line of `log` has a text that must not be there",
    example: Example {
        settings: &[("pattern", "FATAL|lost * messages"), ("except", "test hook")],
        history: &["n1 :info :log \"FATAL: test hook\"", "n1 :info :log \"lost 7 messages\""],
        finds: "log-pattern/forbidden-line",
    },
    options: &[
        Setting { name: "pattern", about: "the texts, with | between them; * in a text stands for anything" },
        Setting { name: "except", about: "texts that excuse a line, with | between them; none without it" },
    ],
    holds: Holds::Open,
    run: log_pattern,
};

/// The check `sanitizer`.
pub const SANITIZER: Check = Check {
    name: "sanitizer",
    about: "lines of `log` hold no report of a sanitizer or a race detector; reports with the same stack are one",
    example: Example {
        settings: &[],
        history: &[
            "n1 :info :log \"listening\"",
            "n1 :info :log \"==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\"",
        ],
        finds: "sanitizer/address-sanitizer:heap-use-after-free",
    },
    options: &[],
    holds: Holds::Open,
    run: |source, _| sanitizers(source),
};

/// The check `crash`.
pub const CRASH: Check = Check {
    name: "crash",
    about: "no process ends by a signal or a bad status at its `exit`, but for those that were meant to; lines of `log` tell why",
    example: Example {
        settings: &[],
        history: &[
            "n1 :info :log \"thread 'main' panicked at src/log.rs:7:5:\"",
            "n1 :info :exit {:signal 6}",
        ],
        finds: "crash/panic:src/log.rs:7",
    },
    options: &[Setting {
        name: "allowed",
        about: "statuses that are in order, separated by commas; 0 without it",
    }],
    holds: Holds::Open,
    run: crashes,
};

/// The line that an entry is.
fn line(entry: &Entry) -> Option<&str> {
    match (&entry.process, entry.f.as_str(), &entry.value) {
        (Process::Named(_), "log", Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// Who, when and where: `n1 at 2.000000`, `log in line 7`.
fn who(entry: &Entry) -> String {
    match (entry.at_ns, entry.place) {
        (Some(ns), _) => format!("{} at {}", entry.process, seconds(ns)),
        (None, Some(place)) => format!("{} in line {}", entry.process, place.line),
        (None, None) => format!("{} in entry {}", entry.process, entry.index),
    }
}

fn log_pattern(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let texts = |name| -> Vec<String> {
        options.text(name).map(|all| all.split('|').map(str::to_owned).collect()).unwrap_or_default()
    };
    let pattern = Pattern { name: String::new(), any: texts("pattern"), except: texts("except") };
    if pattern.any.is_empty() {
        return Err(Error::at(None, "setting `pattern` is missing: say which texts must not be there"));
    }
    let mut first: Option<(u64, String)> = None;
    let (mut lines, mut bad) = (0_u64, 0_u64);
    for entry in source {
        let entry = entry?;
        let Some(text) = line(&entry) else { continue };
        lines += 1;
        if pattern.has(text) {
            bad += 1;
            first.get_or_insert_with(|| {
                (entry.at_ns.unwrap_or_default(), format!("{} wrote: {text}", who(&entry)))
            });
        }
    }
    let mut judgement = Judgement::new(LOG_PATTERN.name);
    if let Some((at_ns, summary)) = first {
        let shown = vec![summary.clone(), format!("{bad} of {lines} lines are such")];
        judgement.violation(
            "forbidden-line",
            at_ns,
            summary,
            Evidence { lines: shown, ..Evidence::default() },
        );
    }
    finish(judgement, lines)
}

/// Says how many lines there were; without any it cannot be told that all is well.
fn finish(mut judgement: Judgement, lines: u64) -> Result<Judgement, Error> {
    if lines == 0 {
        judgement
            .unknown("there are no lines: entries `log` of named processes (--format lines takes any text)");
    }
    judgement.note(format!("{lines} lines were judged"));
    Ok(judgement)
}

fn sanitizers(source: &mut Source<'_>) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(SANITIZER.name);
    // of each process the lines that a report may reach, the oldest first, with who wrote them
    let mut reach: BTreeMap<Process, VecDeque<(u64, String, String)>> = BTreeMap::new();
    let mut lines = 0;
    for entry in source {
        let entry = entry?;
        let Some(text) = line(&entry) else { continue };
        lines += 1;
        if !reach.contains_key(&entry.process) {
            reach.insert(entry.process.clone(), VecDeque::new());
        }
        let Some(own) = reach.get_mut(&entry.process) else { continue };
        own.push_back((entry.at_ns.unwrap_or_default(), text.to_owned(), who(&entry)));
        if own.len() > REACH_MAX {
            report(own, &mut judgement);
        }
    }
    for own in reach.values_mut() {
        while !own.is_empty() {
            report(own, &mut judgement);
        }
    }
    finish(judgement, lines)
}

/// Takes the oldest line away; says so if a report begins with it.
fn report(lines: &mut VecDeque<(u64, String, String)>, judgement: &mut Judgement) {
    let texts: &[(u64, String, String)] = lines.make_contiguous();
    if let Some(report) = sanitizer::report_of(texts.iter().map(|(_, text, _)| text.as_str())) {
        let (at_ns, _, who) = &texts[0];
        let summary = format!("{who} reports {}", report.name());
        let shown = texts.iter().take(sanitizer::LINES_MAX).map(|(_, text, _)| text.clone()).collect();
        judgement.violation(
            &report.name(),
            *at_ns,
            summary,
            Evidence { lines: shown, ..Evidence::default() },
        );
    }
    lines.pop_front();
}

fn crashes(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let bad = |text: &str| {
        let cause = format!("setting `allowed` is {text:?}, expected statuses separated by commas");
        Error::at(None, cause)
    };
    let allowed = options.text("allowed").unwrap_or("0");
    let allowed: Vec<i32> = allowed
        .split(',')
        .map(|one| one.trim().parse().map_err(|_| bad(allowed)))
        .collect::<Result<_, _>>()?;
    let mut judgement = Judgement::new(CRASH.name);
    let mut tails: BTreeMap<Process, VecDeque<String>> = BTreeMap::new();
    let mut ends = 0;
    for entry in source {
        let entry = entry?;
        if let Some(text) = line(&entry) {
            let text = text.to_owned();
            let tail = tails.entry(entry.process).or_default();
            if tail.len() >= TAIL_MAX {
                tail.pop_front();
            }
            tail.push_back(text);
        } else if entry.f == "exit" && matches!(entry.process, Process::Named(_)) {
            ends += 1;
            let exit = exit(&entry)?;
            let tail: Vec<String> = tails.remove(&entry.process).unwrap_or_default().into();
            if is_planned(&entry) || matches!(exit, Exit::Status(status) if allowed.contains(&status)) {
                continue;
            }
            let found = crash::found(exit, &who(&entry), &tail);
            judgement.violation(&found.kind, entry.at_ns.unwrap_or_default(), found.summary, found.evidence);
        }
    }
    if ends == 0 {
        judgement.unknown("there are no ends: entries `exit` of named processes");
    }
    judgement.note(format!("{ends} ends were judged"));
    Ok(judgement)
}

fn is_planned(entry: &Entry) -> bool {
    let says_so = |(name, value): &(String, Value)| {
        matches!(name.as_str(), "planned?" | "planned") && *value == Value::Bool(true)
    };
    entry.extra.iter().any(says_so)
}

/// How it ended.
fn exit(entry: &Entry) -> Result<Exit, Error> {
    let number =
        |value: Option<&Value>| value.and_then(Value::as_int).and_then(|int| i32::try_from(int).ok());
    let status = number(Some(&entry.value)).or_else(|| number(entry.value.get("status"))).map(Exit::Status);
    status.or_else(|| number(entry.value.get("signal")).map(Exit::Signal)).ok_or_else(|| {
        let cause = format!(
            "entry {}: `exit` holds {}, expected a status, {{:status N}} or {{:signal N}}",
            entry.index, entry.value
        );
        Error::at(entry.place, cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{self, Format};

    fn found(check: &Check, format: Format, text: &str, settings: &[(&str, &str)]) -> Vec<String> {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = Options { settings, ..Options::default() };
        let mut entries = format::read(format, text.as_bytes(), format::Options::default());
        match check.judge(&mut *entries, &options) {
            Ok(judgement) => {
                let all =
                    judgement.violations.into_iter().map(|one| format!("{}: {}", one.signature, one.summary));
                all.chain(judgement.unknown).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn any_text_is_lines_and_the_first_that_is_forbidden_is_told() {
        let text = "start\nFATAL: test hook\nlost 7 messages\nFATAL: disk\n";
        let settings = [("pattern", "FATAL|lost * messages"), ("except", "test hook")];
        let expected = ["log-pattern/forbidden-line: log in line 3 wrote: lost 7 messages"];
        assert_eq!(found(&LOG_PATTERN, Format::Lines, text, &settings), expected);
        assert_eq!(found(&LOG_PATTERN, Format::Lines, "fine\n", &settings), [""; 0]);
        let nothing = "there are no lines: entries `log` of named processes (--format lines takes any text)";
        assert_eq!(found(&LOG_PATTERN, Format::Edn, "", &settings), [nothing]);
        let missing = "setting `pattern` is missing: say which texts must not be there";
        assert_eq!(found(&LOG_PATTERN, Format::Lines, text, &[]), [missing]);
    }

    #[test]
    fn reports_with_one_stack_are_one_however_far_apart() {
        let report = |pid: u32, function: &str| {
            format!(
                "=={pid}==ERROR: AddressSanitizer: heap-use-after-free on address 0x{pid}\n\
                 READ of size 4\n    #0 0x55 in {function} /build/list.c:12:5\n    #1 0x56 in main /build/main.c:3:1\n\n"
            )
        };
        let noise = "a line\n".repeat(3 * REACH_MAX);
        let text = [report(1, "find"), noise.clone(), report(2, "find"), noise, report(3, "drop")].concat();
        let names: Vec<String> = found(&SANITIZER, Format::Lines, &text, &[])
            .into_iter()
            .map(|line| line.split_once(": ").unwrap().0.to_owned())
            .collect();
        let of = |function| format!("sanitizer/address-sanitizer:heap-use-after-free:{function}<main");
        assert_eq!(names, [of("find"), of("drop")]);
    }

    #[test]
    fn ends_that_were_meant_or_allowed_are_in_order() {
        let exit = |value: &str, more: &str| {
            let text = format!("{{:process :n2, :type :info, :f :exit, :value {value}, :time 5{more}}}");
            found(&CRASH, Format::Edn, &text, &[("allowed", "0, 3")])
        };
        assert_eq!(exit("3", ""), [""; 0]);
        assert_eq!(exit("{:signal 9}", ", :planned? true"), [""; 0]);
        assert_eq!(
            exit("{:signal 9}", ""),
            ["crash/signal-9: n2 at 0.000000 was ended by signal 9 (SIGKILL)"]
        );
        assert_eq!(
            exit("{:status 1}", ""),
            ["crash/unexpected-status-1: n2 at 0.000000 exited with status 1"]
        );
        let wrong =
            "line 1, column 1: entry 0: `exit` holds :x, expected a status, {:status N} or {:signal N}";
        assert_eq!(exit(":x", ""), [wrong]);
    }
}
