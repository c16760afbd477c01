//! Steady state: a metric stays in its band during and after faults.
//!
//! | kind | what was seen |
//! |---|---|
//! | `broken-during-faults` | the metric left its band in a window between the first fault and the last |
//! | `not-restored` | it was out of its band in a window that began `recovery-ms` after the last fault, or later |
//!
//! The history is cut into windows of `window-ms`, from its first entry on; the last, incomplete one is left out. In each
//! the metric is one of these, of the operations that ended there:
//!
//! | metric | unit |
//! |---|---|
//! | `throughput` | acknowledged operations in a second |
//! | `error-percent` | operations that failed or whose end is unknown, of all that ended |
//! | `latency-p50-ms`, `latency-p95-ms`, `latency-p99-ms`, `latency-max-ms` | time from asking to the acknowledgement |
//! | any other name | the number that entries with this name for `f` bear as their value: their mean |
//!
//! Faults are the entries that are no client's (but for those that bear the metric). A window in which nothing was to be
//! measured says nothing; for `throughput` it is 0 if an operation was open in it. Out of its band before the first fault
//! the hypothesis does not hold of the system as it is, and everything is unknown. The check begins `warmup-ms` late.
//!
//! Entries are in the order in which they happened: a time that goes back counts as none that passed. n log n in the number
//! of operations; held are those that are open, one window with its different latencies in milliseconds, and few findings.
//! Source: Basiri et al., "Chaos engineering", IEEE Software 2016.

use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::history::Phase;
use crate::op::seconds;
use crate::raw::{Entry, Error};
use crate::value::Value;
use crate::verdict::{Evidence, Judgement};
use std::collections::BTreeMap;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;

/// The check `steady-state`.
pub const CHECK: Check = Check {
    name: "steady-state",
    about: "a metric of the history stays in its band during faults, and is there again after them",
    example: Example {
        settings: &[("metric", "lag"), ("max", "10"), ("recovery-ms", "1000")],
        history: &[
            "nemesis :info :lag 3",
            "nemesis :info :partition nil",
            "nemesis :info :heal nil",
            "nemesis :info :lag 3",
            "nemesis :info :lag 40",
            "nemesis :info :lag 41",
        ],
        finds: "steady-state/not-restored",
    },
    options: &[
        Setting {
            name: "metric",
            about: "what is measured: throughput, error-percent, latency-p50-ms, latency-p95-ms, latency-p99-ms, \
                    latency-max-ms, or the name of the entries that bear it",
        },
        Setting { name: "min", about: "the least that is in order; none without it" },
        Setting { name: "max", about: "the most that is in order; none without it" },
        Setting {
            name: "window-ms",
            about: "how long is measured each time, in milliseconds; 1000 without it",
        },
        Setting { name: "warmup-ms", about: "how long nothing is asked for in the beginning; 0 without it" },
        Setting { name: "recovery-ms", about: "how long after the last fault it may take; 5000 without it" },
        Setting { name: "during", about: "no asks for nothing between faults; yes without it" },
    ],
    holds: Holds::Open,
    run: judge,
};

/// What is measured.
enum Metric {
    Throughput,
    ErrorPercent,
    /// The latency that this many of a hundred do not exceed.
    LatencyMs(u64),
    /// The mean of what entries with this `f` bear.
    Samples(String),
}

impl Metric {
    fn named(name: &str) -> Self {
        match name {
            "throughput" => Self::Throughput,
            "error-percent" => Self::ErrorPercent,
            "latency-p50-ms" => Self::LatencyMs(50),
            "latency-p95-ms" => Self::LatencyMs(95),
            "latency-p99-ms" => Self::LatencyMs(99),
            "latency-max-ms" => Self::LatencyMs(100),
            other => Self::Samples(other.to_owned()),
        }
    }
}

/// What happened in a window.
#[derive(Default)]
struct Window {
    ok: u64,
    others: u64,
    /// How many acknowledgements took so many milliseconds.
    latencies_ms: BTreeMap<u64, u64>,
    /// Sum and number of what was borne.
    samples: (i128, i128),
    /// An operation was open at some time in it.
    is_asked: bool,
}

/// What is asked of the metric.
struct Rules {
    name: String,
    metric: Metric,
    min: Option<i64>,
    max: Option<i64>,
    window_ns: u64,
    warmup_ns: u64,
    recovery_ns: u64,
    is_asked_during: bool,
}

impl Rules {
    fn new(options: &Options) -> Result<Self, Error> {
        let Some(name) = options.text("metric") else {
            return Err(Error::at(None, "setting `metric` is missing: say what is to be measured"));
        };
        let (min, max) = (options.number::<i64>("min")?, options.number::<i64>("max")?);
        if min.is_none() && max.is_none() {
            return Err(Error::at(
                None,
                "settings `min` and `max` are missing: say which values are in order",
            ));
        }
        let ns = |name, default| {
            let ms = options.number::<u64>(name).map(|ms| ms.unwrap_or(default));
            ms.map(|ms| ms.saturating_mul(MS))
        };
        Ok(Self {
            name: name.to_owned(),
            metric: Metric::named(name),
            min,
            max,
            window_ns: ns("window-ms", 1_000)?.max(1),
            warmup_ns: ns("warmup-ms", 0)?,
            recovery_ns: ns("recovery-ms", 5_000)?,
            is_asked_during: options.is_set("during", true)?,
        })
    }

    fn is_in_order(&self, value: i64) -> bool {
        self.min.is_none_or(|min| min <= value) && self.max.is_none_or(|max| value <= max)
    }
}

fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let rules = Rules::new(options)?;
    let mut course: Option<Course> = None;
    for entry in source {
        let entry = entry?;
        let Some(at_ns) = entry.at_ns else {
            let cause = format!("entry {}: it has no time, which is needed", entry.index);
            return Err(Error::at(entry.place, cause));
        };
        course.get_or_insert_with(|| Course::new(at_ns)).see(&entry, at_ns, &rules)?;
    }
    Ok(course.unwrap_or_else(|| Course::new(0)).finish(&rules))
}

/// A window in which the metric is out of its band.
struct Bad {
    from_ns: u64,
    to_ns: u64,
    summary: String,
}

/// A history as far as it was read.
struct Course {
    start_ns: u64,
    now_ns: u64,
    /// The window that is open, and its number.
    window: Window,
    number: u64,
    /// When what a client has open was asked.
    open: BTreeMap<u64, u64>,
    /// The last entry that is no client's.
    fault_ns: Option<u64>,
    /// The first bad window between faults.
    during: Option<Bad>,
    /// The first since the last fault, which lies between faults if another one comes.
    since: Option<Bad>,
    /// The first so long after the last fault that all should be well.
    late: Option<Bad>,
    /// What is wrong without a fault.
    without: Option<String>,
    shown: u64,
}

impl Course {
    fn new(start_ns: u64) -> Self {
        Self {
            start_ns,
            now_ns: start_ns,
            window: Window::default(),
            number: 0,
            open: BTreeMap::new(),
            fault_ns: None,
            during: None,
            since: None,
            late: None,
            without: None,
            shown: 0,
        }
    }

    fn see(&mut self, entry: &Entry, at_ns: u64, rules: &Rules) -> Result<(), Error> {
        self.now_ns = self.now_ns.max(at_ns);
        let number = (self.now_ns - self.start_ns) / rules.window_ns;
        if number >= WINDOWS_MAX {
            let cause =
                format!("entry {}: there are more than {WINDOWS_MAX} windows; take longer ones", entry.index);
            return Err(Error::at(entry.place, cause));
        }
        while self.number < number {
            self.close(rules);
        }
        if let Metric::Samples(name) = &rules.metric
            && *name == entry.f
        {
            if entry.value != Value::Nil {
                self.window.samples.0 += i128::from(sample(entry)?);
                self.window.samples.1 += 1;
            }
            return Ok(());
        }
        let Some(process) = entry.process.client() else {
            self.fault_ns = Some(self.now_ns);
            let since = self.since.take().or(self.late.take());
            self.during = self.during.take().or(since);
            self.late = None;
            return Ok(());
        };
        if entry.phase == Phase::Invoke {
            self.open.insert(process, at_ns);
            return Ok(());
        }
        let asked_ns = self.open.remove(&process).unwrap_or(at_ns);
        self.window.is_asked = true;
        if entry.phase == Phase::Ok {
            self.window.ok += 1;
            *self.window.latencies_ms.entry(at_ns.saturating_sub(asked_ns) / MS).or_default() += 1;
        } else {
            self.window.others += 1;
        }
        Ok(())
    }

    /// The open window ends, and the next one begins.
    fn close(&mut self, rules: &Rules) {
        let mut window = std::mem::take(&mut self.window);
        window.is_asked |= !self.open.is_empty();
        let from_ns = self.start_ns.saturating_add(self.number.saturating_mul(rules.window_ns));
        let to_ns = from_ns.saturating_add(rules.window_ns);
        self.number += 1;
        let is_warm = from_ns >= self.start_ns.saturating_add(rules.warmup_ns);
        if !is_warm || self.without.is_some() {
            return;
        }
        let Some(value) = window.value(&rules.metric, rules.window_ns) else { return };
        self.shown += 1;
        if rules.is_in_order(value) {
            return;
        }
        let least = rules.min.map(|min| format!("at least {min}"));
        let most = rules.max.map(|max| format!("at most {max}"));
        let band = [least, most].into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let span = format!("[{}, {}]", seconds(from_ns), seconds(to_ns));
        let summary = format!("{} is {value} in {span}, expected {band}", rules.name);
        let Some(fault_ns) = self.fault_ns else {
            self.without = Some(summary);
            return;
        };
        let bad = Bad { from_ns, to_ns, summary };
        let place = if from_ns >= fault_ns.saturating_add(rules.recovery_ns) {
            &mut self.late
        } else if from_ns <= fault_ns {
            &mut self.during
        } else {
            &mut self.since
        };
        place.get_or_insert(bad);
    }

    fn finish(self, rules: &Rules) -> Judgement {
        let mut judgement = Judgement::new(CHECK.name);
        let during = self.during.filter(|_| rules.is_asked_during);
        let found = [("broken-during-faults", during), ("not-restored", self.late)];
        let mut found: Vec<(&str, Bad)> =
            found.into_iter().filter_map(|(kind, bad)| Some((kind, bad?))).collect();
        found.sort_by_key(|(_, bad)| bad.from_ns);
        for (kind, bad) in found {
            let evidence = Evidence { lines: vec![bad.summary.clone()], ..Evidence::default() };
            judgement.violation(kind, bad.to_ns, bad.summary, evidence);
        }
        if let Some(summary) = self.without {
            judgement.unknown(format!("without a fault {summary}"));
        }
        if self.shown == 0 && judgement.unknown.is_empty() {
            judgement.unknown(format!("no whole window shows {}: nothing was judged", rules.name));
        }
        judgement.note(format!("{} was measured in {} windows", rules.name, self.shown));
        judgement
    }
}

/// The most windows.
const WINDOWS_MAX: u64 = 1 << 22;

fn sample(entry: &Entry) -> Result<i64, Error> {
    entry.value.as_int().ok_or_else(|| {
        let shown = entry.value.kind();
        Error::at(
            entry.place,
            format!("entry {} ({}): its value is {shown}, expected a whole number", entry.index, entry.f),
        )
    })
}

impl Window {
    fn value(&self, metric: &Metric, window_ns: u64) -> Option<i64> {
        let value = match metric {
            Metric::Throughput if !self.is_asked => return None,
            Metric::Throughput => u128::from(self.ok) * 1_000_000_000 / u128::from(window_ns),
            Metric::ErrorPercent => {
                let all = self.ok + self.others;
                u128::from(self.others) * 100 / u128::from((all > 0).then_some(all)?)
            }
            Metric::LatencyMs(percent) => {
                let rank = (u128::from(self.ok) * u128::from(*percent)).div_ceil(100);
                let mut passed = 0;
                let mut reached = self.latencies_ms.iter().skip_while(|(_, count)| {
                    passed += u128::from(**count);
                    passed < rank
                });
                u128::from(*reached.next()?.0)
            }
            Metric::Samples(_) => {
                let (sum, count) = self.samples;
                return i64::try_from(sum / Some(count).filter(|count| *count > 0)?).ok();
            }
        };
        Some(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{error, kinds, script};
    use crate::raw::Process;

    /// An operation each 100 ms that takes `latency(n)` ms, with a fault at 3 s and one at 5 s, up to 12 s.
    fn history(latency: impl Fn(u64) -> Option<u64>) -> Vec<Entry> {
        let mut all: Vec<(u64, Entry)> = Vec::new();
        let nil = Value::Nil;
        let sample = script(&[(0, '+', "read", nil.clone()), (0, '=', "read", nil)]);
        for n in 0..120 {
            let asked = n * 100;
            let ended = latency(n).map(|ms| asked + ms);
            for (entry, at) in sample.iter().zip([Some(asked), ended]) {
                let Some(at) = at else { continue };
                all.push((at, Entry { process: Process::Client(n), ..entry.clone() }));
            }
        }
        for at in [3_000, 5_000] {
            all.push((
                at,
                Entry { process: Process::Named("nemesis".into()), f: "kill".into(), ..sample[1].clone() },
            ));
        }
        all.sort_by_key(|(at, _)| *at);
        let numbered = all.into_iter().enumerate();
        numbered
            .map(|(index, (at, entry))| Entry { index: index as u64, at_ns: Some(at * MS), ..entry })
            .collect()
    }

    const LATENCY: &[(&str, &str)] = &[("metric", "latency-p99-ms"), ("max", "50"), ("recovery-ms", "2000")];
    const RATE: &[(&str, &str)] = &[("metric", "throughput"), ("min", "5"), ("recovery-ms", "2000")];

    #[test]
    fn each_phase_has_its_kind() {
        let slow = |from: u64, to: u64| history(move |n| Some(if (from..to).contains(&n) { 80 } else { 10 }));
        assert_eq!(kinds(&CHECK, &slow(0, 0), LATENCY), [""; 0]);
        assert_eq!(kinds(&CHECK, &slow(10, 11), LATENCY), ["unknown"]);
        assert_eq!(kinds(&CHECK, &slow(40, 41), LATENCY), ["broken-during-faults"]);
        assert_eq!(kinds(&CHECK, &slow(60, 65), LATENCY), [""; 0]);
        assert_eq!(kinds(&CHECK, &slow(80, 81), LATENCY), ["not-restored"]);
        let lenient = [LATENCY, &[("during", "no")]].concat();
        assert_eq!(kinds(&CHECK, &slow(40, 41), &lenient), [""; 0]);
        let late = [LATENCY, &[("warmup-ms", "2000")]].concat();
        assert_eq!(kinds(&CHECK, &slow(10, 11), &late), [""; 0]);
    }

    #[test]
    fn another_fault_makes_what_was_late_a_time_between_faults() {
        let slow = |from: u64, to: u64| history(move |n| Some(if (from..to).contains(&n) { 80 } else { 10 }));
        let told = [LATENCY, &[("recovery-ms", "500")]].concat();
        assert_eq!(kinds(&CHECK, &slow(41, 42), &told), ["broken-during-faults"]);
        let lenient = [&told[..], &[("during", "no")]].concat();
        assert_eq!(kinds(&CHECK, &slow(41, 42), &lenient), [""; 0]);
        assert_eq!(kinds(&CHECK, &slow(41, 91), &told), ["broken-during-faults", "not-restored"]);
    }

    #[test]
    fn a_window_holds_no_operations() {
        let rules = Rules::new(&crate::checker::simulation::settings(LATENCY)).unwrap();
        let (mut course, mut most) = (Course::new(0), 0);
        for entry in history(|n| Some(10 + n % 3)) {
            course.see(&entry, entry.at_ns.unwrap(), &rules).unwrap();
            most = most.max(course.open.len() + course.window.latencies_ms.len());
        }
        assert!(most <= 4, "{most}");
    }

    #[test]
    fn silence_is_no_throughput_but_idleness_is_no_silence() {
        let silent = |from: u64, to: u64| history(move |n| (!(from..to).contains(&n)).then_some(10));
        assert_eq!(kinds(&CHECK, &silent(0, 0), RATE), [""; 0]);
        assert_eq!(kinds(&CHECK, &silent(32, 48), RATE), ["broken-during-faults"]);
        assert_eq!(kinds(&CHECK, &silent(55, 118), RATE), ["not-restored"]);
        let idle: Vec<Entry> = history(|_| Some(10))
            .into_iter()
            .filter(|e| !(7_500..9_500).contains(&(e.at_ns.unwrap() / MS)))
            .collect();
        assert_eq!(kinds(&CHECK, &idle, RATE), [""; 0]);
    }

    #[test]
    fn samples_are_measured_by_their_mean_and_errors_by_their_share() {
        let of = |values: [i64; 2]| {
            let mut entries = history(|_| Some(10));
            let sampled = entries.iter_mut().filter(|e| (8_000..9_000).contains(&(e.at_ns.unwrap() / MS)));
            for (number, entry) in sampled.enumerate() {
                entry.f = "memory".into();
                entry.value = Value::Int(values[number % 2]);
            }
            kinds(&CHECK, &entries, &[("metric", "memory"), ("max", "10"), ("recovery-ms", "0")])
        };
        assert_eq!(of([5, 15]), [""; 0]);
        assert_eq!(of([5, 25]), ["not-restored"]);
        let mut entries = history(|_| Some(10));
        entries
            .iter_mut()
            .filter(|e| e.at_ns.unwrap() / MS % 1_000 == 810 && e.phase == Phase::Ok)
            .for_each(|e| e.phase = Phase::Fail);
        assert_eq!(kinds(&CHECK, &entries, &[("metric", "error-percent"), ("max", "10")]), [""; 0]);
        assert_eq!(kinds(&CHECK, &entries, &[("metric", "error-percent"), ("max", "9")]), ["unknown"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = "setting `metric` is missing: say what is to be measured";
        assert_eq!(error(&CHECK, &[], &[]), missing);
        let missing = "settings `min` and `max` are missing: say which values are in order";
        assert_eq!(error(&CHECK, &[], &[("metric", "throughput")]), missing);
        let mut entries = history(|_| Some(1));
        entries[0].at_ns = None;
        let missing = "line 1, column 1: entry 0: it has no time, which is needed";
        assert_eq!(error(&CHECK, &entries, RATE), missing);
    }
}
