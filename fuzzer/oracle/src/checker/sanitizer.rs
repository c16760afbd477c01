//! Reports of sanitizers and race detectors in what a process wrote, told apart by their stacks.
//!
//! Addresses, processes, threads and lines differ between runs and builds of one defect; what is wrong and the functions
//! in which it is do not. A report's name is its kind with the first three functions outside the runtime:
//! `address-sanitizer:heap-use-after-free:list_find<serve<main`. Reports with the same name are one finding.
//!
//! Understood are the reports of AddressSanitizer, ThreadSanitizer, MemorySanitizer, LeakSanitizer and
//! UndefinedBehaviorSanitizer (Clang's and GCC's), and of the race detector of Go. Linear in the number of lines.
//! Sources: Serebryany et al., "AddressSanitizer", ATC 2012; the formats are those of LLVM's `compiler-rt` and Go.

use crate::op::seconds;
use crate::verdict::{Evidence, Judgement};
use serde::{Deserialize, Serialize};

/// The oracle's name.
pub const NAME: &str = "sanitizer";

/// Functions in a name.
const FRAMES: usize = 3;
/// Lines of a report kept as evidence.
pub(super) const LINES_MAX: usize = 24;
/// Lines of a report in which its first stack is looked for.
pub(super) const REACH_MAX: usize = 80;

/// A line that a process wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When, in virtual nanoseconds.
    pub at_ns: u64,
    /// The node's number.
    pub node: u32,
    /// Without the end of the line.
    pub text: String,
}

/// What a sanitizer found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `address-sanitizer:heap-use-after-free`
    pub kind: String,
    /// The functions of its first stack, the innermost first, without those of the runtime.
    pub functions: Vec<String>,
}

impl Report {
    /// The kind and where: see [`sanitizer`](self).
    #[must_use]
    pub fn name(&self) -> String {
        match self.functions.is_empty() {
            true => self.kind.clone(),
            false => format!("{}:{}", self.kind, self.functions.join("<")),
        }
    }
}

/// One violation `sanitizer/NAME` for each name, in all that nodes wrote; lines of one node are in their order.
#[must_use]
pub fn check(lines: &[Line]) -> Judgement {
    let mut judgement = Judgement::new(NAME);
    let mut nodes: Vec<u32> = lines.iter().map(|line| line.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    for node in nodes {
        let own: Vec<&Line> = lines.iter().filter(|line| line.node == node).collect();
        let texts: Vec<&str> = own.iter().map(|line| line.text.as_str()).collect();
        for at in 0..texts.len() {
            let Some(report) = report(&texts[at..]) else { continue };
            let summary = format!("n{node} reports {} at {}", report.name(), seconds(own[at].at_ns));
            let shown = texts[at..].iter().take(LINES_MAX).map(|text| (*text).to_owned()).collect();
            let evidence = Evidence { lines: shown, ..Evidence::default() };
            judgement.violation(&report.name(), own[at].at_ns, summary, evidence);
        }
    }
    judgement
}

/// The report that begins with the first of these lines, if one does.
#[must_use]
pub fn report<S: AsRef<str>>(lines: &[S]) -> Option<Report> {
    report_of(lines.iter().map(AsRef::as_ref))
}

/// The same of lines wherever they are.
pub(super) fn report_of<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<Report> {
    let head = lines.next()?;
    let kind = named(head).or_else(|| undefined(head)).or_else(|| go_race(head))?;
    let rest = lines.take(REACH_MAX);
    let is_next = |line: &&str| named(line).is_none() && undefined(line).is_none() && go_race(line).is_none();
    let mut functions: Vec<String> = Vec::new();
    for line in rest.take_while(is_next) {
        match function(line).or_else(|| go_function(line, &kind)) {
            Some(name) if functions.len() < FRAMES && !is_runtime(&name) => functions.push(name),
            Some(_) => {}
            // The first stack ends where something else comes.
            None if !functions.is_empty() && !line.trim_start().starts_with('/') => break,
            None => {}
        }
    }
    Some(Report { kind, functions })
}

/// `==12==ERROR: AddressSanitizer: heap-use-after-free on address …`
fn named(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("ERROR: ").or_else(|| line.split_once("WARNING: "))?;
    let (name, what) = rest.split_once("Sanitizer: ")?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    Some(format!("{}-sanitizer:{}", name.to_ascii_lowercase(), words(what)))
}

/// `src/x.c:12:5: runtime error: signed integer overflow: …`
fn undefined(line: &str) -> Option<String> {
    let (place, what) = line.split_once(": runtime error: ")?;
    let mut parts = place.rsplit(':');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    if !is_number(parts.next()) || !is_number(parts.next()) {
        return None;
    }
    let what = what.split(':').next().unwrap_or_default();
    let file = place.split(':').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    Some(format!("undefined-behavior-sanitizer:{}:{file}", words(what)))
}

/// `WARNING: DATA RACE`
fn go_race(line: &str) -> Option<String> {
    (line.trim() == "WARNING: DATA RACE").then(|| "go-race".to_owned())
}

/// The first words of a text, joined by `-`, up to what differs between runs.
fn words(text: &str) -> String {
    let is_word = |word: &&str| {
        !matches!(*word, "on" | "in" | "at" | "of" | "by")
            && word.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
    };
    text.split_whitespace().take_while(is_word).take(4).collect::<Vec<_>>().join("-")
}

/// `    #0 0x55d4 in list_find(List*, int) /build/list.c:12:5`, and `#0 list_find /build/list.c:12 (prog+0x1)`.
fn function(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix('#')?;
    let (number, rest) = rest.split_once(' ')?;
    number.parse::<u32>().ok()?;
    let rest = rest.trim_start();
    let rest = if rest.starts_with("0x") { rest.split_once(" in ")?.1 } else { rest };
    Some(plain(rest))
}

/// `  main.(*Store).put()` under the heading of a race of Go.
fn go_function(line: &str, kind: &str) -> Option<String> {
    let name = line.strip_prefix("  ").filter(|name| kind == "go-race" && !name.starts_with(' '))?;
    name.ends_with(')').then(|| plain(name))
}

/// A function's name without arguments, parameters of templates and generics, hashes, and the file that follows.
fn plain(text: &str) -> String {
    let mut name = String::new();
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            // `(*Store).put` is a receiver, `(int)` are arguments.
            '(' if depth == 0 && !name.is_empty() && !name.ends_with('.') => break,
            ' ' if depth == 0 => break,
            '(' | ')' | '*' => {}
            _ if depth == 0 => name.push(c),
            _ => {}
        }
    }
    match name.rsplit_once("::h") {
        Some((head, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            head.to_owned()
        }
        _ => name,
    }
}

fn is_runtime(function: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "__asan",
        "__tsan",
        "__msan",
        "__lsan",
        "__ubsan",
        "__sanitizer",
        "__interceptor",
        "__interposer",
        "__libc",
        "runtime.",
        "std::",
        "core::",
        "alloc::",
        "operator",
    ];
    const NAMES: [&str; 14] = [
        "malloc",
        "calloc",
        "realloc",
        "free",
        "memcpy",
        "memmove",
        "memset",
        "memcmp",
        "strlen",
        "strcpy",
        "abort",
        "raise",
        "_start",
        "rust_begin_unwind",
    ];
    PREFIXES.iter().any(|prefix| function.starts_with(prefix)) || NAMES.contains(&function)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASAN: &str = "==71==ERROR: AddressSanitizer: heap-use-after-free on address 0x602000000010 at pc 0x1 bp 0x2\n\
        READ of size 4 at 0x602000000010 thread T3\n\
        \x20   #0 0x4f1 in __interceptor_memcpy (/srv/node+0x4f1)\n\
        \x20   #1 0x4f2 in cache::get(std::map<int, int>&, int) /build/src/cache.cc:41:9\n\
        \x20   #2 0x4f3 in Table<int, std::pair<int, int>>::find(int) const /build/src/table.h:9:1\n\
        \x20   #3 0x4f4 in serve /build/src/main.cc:80:3\n\
        \x20   #4 0x4f5 in main /build/src/main.cc:99:3\n\
        \n\
        0x602000000010 is located 0 bytes inside of 4-byte region\n\
        freed by thread T0 here:\n\
        \x20   #0 0x4f7 in free (/srv/node+0x4f7)\n";

    fn names(text: &str) -> Vec<String> {
        let lines: Vec<Line> = text
            .lines()
            .enumerate()
            .map(|(at, text)| Line { at_ns: at as u64, node: 1, text: text.to_owned() })
            .collect();
        let judgement = check(&lines);
        judgement.violations.iter().map(|v| v.signature.trim_start_matches("sanitizer/").to_owned()).collect()
    }

    #[test]
    fn a_report_is_named_by_its_first_stack() {
        assert_eq!(names(ASAN), ["address-sanitizer:heap-use-after-free:cache::get<Table::find<serve"]);
        let tsan = "WARNING: ThreadSanitizer: data race (pid=9)\n  Write of size 8 at 0x7b by thread T1:\n    \
                    #0 Log::append(int) src/log.cc:3 (node+0x1)\n    #1 main src/main.cc:1 (node+0x2)\n\n  Previous read";
        assert_eq!(names(tsan), ["thread-sanitizer:data-race:Log::append<main"]);
        let leak = "==1==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 8 byte(s) in 1 object(s):\n    \
                    #0 0x1 in malloc (x)\n    #1 0x2 in open_db /b/db.c:2\n";
        assert_eq!(names(leak), ["leak-sanitizer:detected-memory-leaks:open_db"]);
        let rust = "==1==ERROR: AddressSanitizer: SEGV on unknown address\n    \
                    #0 0x1 in core::ptr::read::h0123456789abcdef /rustc/x\n    \
                    #1 0x2 in store::get::h0123456789abcdef src/store.rs:4";
        assert_eq!(names(rust), ["address-sanitizer:SEGV:store::get"]);
        let undefined = "/build/src/clock.c:12:5: runtime error: signed integer overflow: 2147483647 + 1 cannot\n    \
                         #0 0x1 in tick /build/src/clock.c:12:5";
        assert_eq!(names(undefined), ["undefined-behavior-sanitizer:signed-integer-overflow:clock.c:tick"]);
        let go = "==================\nWARNING: DATA RACE\nWrite at 0x00c by goroutine 7:\n  \
                  main.(*Store).put()\n      /src/store.go:12 +0x44\n  main.serve()\n      /src/main.go:3 +0x1\n\nPrevious read";
        assert_eq!(names(go), ["go-race:main.Store.put<main.serve"]);
    }

    #[test]
    fn the_same_defect_in_another_run_is_the_same_finding() {
        let again = ASAN
            .replace("0x602000000010", "0x7f0000000020")
            .replace("==71==", "==8==")
            .replace(":41:9", ":43:1");
        assert_eq!(names(&format!("{ASAN}{again}")), names(ASAN));
        let elsewhere = ASAN.replace("cache::get", "cache::put");
        assert_eq!(names(&format!("{ASAN}{elsewhere}")).len(), 2);
    }

    #[test]
    fn ordinary_lines_are_no_reports() {
        for line in
            ["ERROR: no such key", "WARNING: slow disk", "x: runtime error: none", "#0 is the leader", ""]
        {
            assert_eq!(names(line), [""; 0], "{line}");
        }
    }
}
