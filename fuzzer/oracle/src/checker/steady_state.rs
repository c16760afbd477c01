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
//! n log n in the number of operations. Source: Basiri et al., "Chaos engineering", IEEE Software 2016.

use crate::check::{Check, Holds, Options, Setting, Source};
use crate::example::Example;
use crate::history::Phase;
use crate::op::seconds;
use crate::raw::{Entry, Error, Process};
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
    holds: Holds::History,
    run: judge,
};

/// What is measured.
enum Metric {
    Throughput,
    ErrorPercent,
    /// The latency that this many of a hundred do not exceed.
    LatencyMs(usize),
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
#[derive(Clone, Default)]
struct Window {
    ok: u64,
    others: u64,
    latencies_ns: Vec<u64>,
    samples: Vec<i64>,
    /// An operation was open at some time in it.
    is_asked: bool,
}

fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let mut judgement = Judgement::new(CHECK.name);
    let Some(name) = options.text("metric") else {
        return Err(Error::at(None, "setting `metric` is missing: say what is to be measured"));
    };
    let metric = Metric::named(name);
    let (min, max) = (options.number::<i64>("min")?, options.number::<i64>("max")?);
    if min.is_none() && max.is_none() {
        return Err(Error::at(None, "settings `min` and `max` are missing: say which values are in order"));
    }
    let ms = |name, default| {
        let ms = options.number::<u64>(name).map(|ms| ms.unwrap_or(default));
        ms.map(|ms| ms.saturating_mul(MS))
    };
    let window_ns = ms("window-ms", 1_000)?.max(1);
    let (warmup_ns, recovery_ns) = (ms("warmup-ms", 0)?, ms("recovery-ms", 5_000)?);
    let is_asked_during = options.is_set("during", true)?;
    let measured = measure(source, &metric, window_ns)?;
    let in_order = |value: i64| min.is_none_or(|min| min <= value) && max.is_none_or(|max| value <= max);
    let mut shown = 0;
    for (position, window) in measured.windows.iter().enumerate() {
        let from_ns = measured.start_ns.saturating_add((position as u64).saturating_mul(window_ns));
        let to_ns = from_ns.saturating_add(window_ns);
        let is_warm = from_ns >= measured.start_ns.saturating_add(warmup_ns);
        let Some(value) = window.value(&metric, window_ns).filter(|_| is_warm) else { continue };
        shown += 1;
        if in_order(value) {
            continue;
        }
        let band = [min.map(|min| format!("at least {min}")), max.map(|max| format!("at most {max}"))];
        let band = band.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let span = format!("[{}, {}]", seconds(from_ns), seconds(to_ns));
        let summary = format!("{name} is {value} in {span}, expected {band}");
        let kind = match measured.faults {
            Some((first, _)) if to_ns <= first => None,
            None => None,
            Some((_, last)) if from_ns >= last.saturating_add(recovery_ns) => Some("not-restored"),
            Some((_, last)) if from_ns <= last && is_asked_during => Some("broken-during-faults"),
            Some(_) => continue,
        };
        match kind {
            Some(kind) => {
                let lines = vec![summary.clone()];
                judgement.violation(kind, to_ns, summary, Evidence { lines, ..Evidence::default() });
            }
            None => judgement.unknown(format!("without a fault {summary}")),
        }
        if kind.is_none() {
            break;
        }
    }
    judgement.note(format!("{name} was measured in {shown} windows"));
    Ok(judgement)
}

/// A history cut into windows.
struct Measured {
    start_ns: u64,
    windows: Vec<Window>,
    /// The first and the last entry that is no client's.
    faults: Option<(u64, u64)>,
}

fn measure(source: &mut Source<'_>, metric: &Metric, window_ns: u64) -> Result<Measured, Error> {
    let mut measured = Measured { start_ns: 0, windows: Vec::new(), faults: None };
    let mut open: BTreeMap<u64, u64> = BTreeMap::new();
    let mut start: Option<u64> = None;
    let mut end_ns = 0;
    for entry in source {
        let entry = entry?;
        let Some(at_ns) = entry.at_ns else {
            return Err(Error::at(
                entry.place,
                format!("entry {}: it has no time, which is needed", entry.index),
            ));
        };
        let start_ns = *start.get_or_insert(at_ns);
        end_ns = end_ns.max(at_ns);
        let of =
            |at_ns: u64| usize::try_from(at_ns.saturating_sub(start_ns) / window_ns).unwrap_or(usize::MAX);
        let position = of(at_ns);
        if position >= WINDOWS_MAX {
            let cause =
                format!("entry {}: there are more than {WINDOWS_MAX} windows; take longer ones", entry.index);
            return Err(Error::at(entry.place, cause));
        }
        if position >= measured.windows.len() {
            measured.windows.resize(position + 1, Window::default());
        }
        if let Metric::Samples(name) = metric
            && *name == entry.f
        {
            if entry.value != Value::Nil {
                measured.windows[position].samples.push(sample(&entry)?);
            }
            continue;
        }
        let Process::Client(process) = entry.process else {
            let (first, _) = measured.faults.unwrap_or((at_ns, at_ns));
            measured.faults = Some((first, at_ns));
            continue;
        };
        match entry.phase {
            Phase::Invoke => {
                open.insert(process, at_ns);
            }
            phase => {
                let asked_ns = open.remove(&process).unwrap_or(at_ns);
                measured.windows[of(asked_ns)..=position]
                    .iter_mut()
                    .for_each(|window| window.is_asked = true);
                let window = &mut measured.windows[position];
                if phase == Phase::Ok {
                    window.ok += 1;
                    window.latencies_ns.push(at_ns.saturating_sub(asked_ns));
                } else {
                    window.others += 1;
                }
            }
        }
    }
    measured.start_ns = start.unwrap_or(0);
    for asked_ns in open.into_values() {
        let from = usize::try_from((asked_ns - measured.start_ns) / window_ns).unwrap_or(usize::MAX);
        measured.windows[from..].iter_mut().for_each(|window| window.is_asked = true);
    }
    let whole = usize::try_from((end_ns - measured.start_ns) / window_ns).unwrap_or(usize::MAX);
    measured.windows.truncate(whole);
    Ok(measured)
}

/// The most windows.
const WINDOWS_MAX: usize = 1 << 22;

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
                let mut all = self.latencies_ns.clone();
                all.sort_unstable();
                let at = (all.len() * percent).div_ceil(100).checked_sub(1)?;
                u128::from(all[at] / MS)
            }
            Metric::Samples(_) => {
                let sum: i128 = self.samples.iter().map(|sample| i128::from(*sample)).sum();
                let count = i128::try_from(self.samples.len()).ok().filter(|count| *count > 0)?;
                return i64::try_from(sum / count).ok();
            }
        };
        Some(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::simulation::{error, kinds, script};

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
