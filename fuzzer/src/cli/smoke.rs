//! `fuzz smoke`: what is kept in `corpora/` first, then a bounded search; for continuous integration.

use super::arguments::Smoke;
use super::exit::Exit;
use super::interrupt;
use super::output::{Output, note};
use super::rig::{self, Rig};
use super::run::{Plan, campaign};
use super::shelf::Shelf;
use anyhow::Context;
use fuzzer::campaign::{FindingSummary, Limits, Summary};
use fuzzer::execution::Execution;
use fuzzer::executor::Executor;
use fuzzer::report::junit;
use fuzzer::report::stopwatch::Stopwatch;
use fuzzer::reproducer::quoted;
use fuzzer::smoke::{Case, Failure, check, kept};
use interceptor::sandbox::Clock;
use oracle::Verdict;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Executions spent on shrinking a finding.
const SHRINK: u32 = 100;

/// Runs by the host's clock in which what is kept must break again.
const TRIES: u32 = 5;

/// Runs the smoke test.
pub fn main(args: &Smoke, output: &mut Output) -> anyhow::Result<Exit> {
    if let Some(file) = &args.junit {
        // created before anything runs: a report that cannot be written is no report
        std::fs::write(file, "").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let stop = interrupt::flag();
    let rig = Rig::prepare(&args.which)?;
    let manifest = &rig.target.manifest;
    let bugs = manifest.bugs_named(&args.bugs)?;
    let watch = Stopwatch::start();
    let corpora = rig.target.corpora();
    let mut cases = Vec::new();
    let kept = kept(&corpora, rig.target.name());
    let tries = if rig.clock == Clock::Real { TRIES } else { 1 };
    if !kept.is_empty() {
        let mut worker = rig.worker(&[], manifest.nodes)?;
        let shelf = Shelf::asked(args.keep.as_deref(), &rig)?;
        let mut keep = |name: &str, run: &Execution| {
            let place = name.replace(", ", "-").replace(' ', "-");
            let kept = shelf.as_ref().map_or(Ok(()), |shelf| shelf.put(&place, run));
            kept.unwrap_or_else(|error| rig::warn(&format!("{name} is not kept: {error}")));
        };
        for (name, path) in &kept {
            let executor: &mut dyn Executor = &mut worker;
            let of_this = check(executor, name, path, tries, &mut || watch.elapsed_ms(), &mut keep);
            of_this.iter().filter(|case| case.failure.is_some()).for_each(|case| note(line(case)));
            cases.extend(of_this);
        }
    }
    let out = place(args, &rig)?;
    let mut config = rig.campaign(agents::registry::DEFAULT, bugs, manifest.nodes, out)?;
    config.seed = args.seed;
    let time = args.executions.is_none().then_some(args.time);
    config.limits = Limits { time, executions: args.executions, stop_after: None };
    let plan = Plan { cores: args.cores, shrink: SHRINK, keep: args.keep.as_deref() };
    let findings = config.out.join("findings");
    let begun = watch.elapsed_ms();
    let summary = campaign(&rig, config, &plan, &stop, output)?;
    cases.extend(of_search(&summary, &findings, watch.elapsed_ms() - begun));
    if let Some(file) = &args.junit {
        let xml = junit::report(rig.target.name(), &cases)?;
        std::fs::write(file, xml).with_context(|| format!("cannot write {}", file.display()))?;
    }
    output.json(&json!({ "event": "smoke", "cases": cases }));
    let failed = cases.iter().filter(|case| case.failure.is_some()).count();
    cases.iter().for_each(|case| output.text(line(case)));
    output.text(format!("{} checks, {failed} failed", cases.len()));
    Ok(exit_of(&cases))
}

fn line(case: &Case) -> String {
    match &case.failure {
        None => format!("ok    {}", case.name),
        Some(failure) => format!("FAIL  {}: {}", case.name, failure.text()),
    }
}

/// The directory of findings. One of an earlier smoke test that is not named is emptied: equal seeds, equal searches.
fn place(args: &Smoke, rig: &Rig) -> anyhow::Result<PathBuf> {
    if let Some(out) = &args.out {
        return Ok(out.clone());
    }
    let place = Path::new("fuzz-out").join(format!("{}-smoke", rig.target.name()));
    if place.exists() {
        std::fs::remove_dir_all(&place)
            .with_context(|| format!("cannot empty {}", rig::typed(&place).display()))?;
    }
    Ok(place)
}

/// The cases of a search: one for each finding, with its story and how to replay it; else one for all of it.
fn of_search(summary: &Summary, findings: &Path, wall_ms: u64) -> Vec<Case> {
    let case = |name: String, failure, story| Case {
        name,
        failure,
        story,
        operations: summary.operations.clone(),
        wall_ms,
    };
    if summary.findings.is_empty() {
        return vec![case("campaign".into(), failure(summary), String::new())];
    }
    let of_finding = |finding: &FindingSummary| {
        let place = findings.join(&finding.slug);
        let place = place.canonicalize().unwrap_or(place);
        // One that could not be written has been told of already.
        let story = std::fs::read_to_string(place.join("story.md")).unwrap_or_default();
        let story = format!("{story}\nReplay it: fuzz replay {}\n", quoted(&place));
        let summary = summary_in(&place).unwrap_or_else(|| finding.summary.clone());
        let failure = Failure::Violation(format!("{}: {summary}", finding.signature));
        case(format!("campaign: {}", finding.signature), Some(failure), story)
    };
    summary.findings.iter().map(of_finding).collect()
}

/// What the run that is kept showed, which its story tells of; the one that showed it first is another where it was shrunk.
fn summary_in(place: &Path) -> Option<String> {
    let text = std::fs::read_to_string(place.join("verdict.json")).ok()?;
    let verdict: Verdict = serde_json::from_str(&text).ok()?;
    verdict.violation().map(|violation| violation.summary.clone())
}

fn failure(summary: &Summary) -> Option<Failure> {
    if summary.diverged > 0 {
        return Some(Failure::Diverged(format!("{} runs did not repeat exactly", summary.diverged)));
    }
    if summary.unrepeated > 0 {
        return Some(Failure::Unknown(format!(
            "{} violations were seen once and not again",
            summary.unrepeated
        )));
    }
    if let Some(why) = summary.in_vain() {
        return Some(Failure::Unknown(why));
    }
    let unknown = summary.unknown * 2 > summary.executions;
    unknown.then(|| {
        Failure::Unknown(format!("{} of {} verdicts undecided", summary.unknown, summary.executions))
    })
}

/// The worst of all cases: a violation or a missed one, then divergence, then errors, then the undecided.
fn exit_of(cases: &[Case]) -> Exit {
    let rank = |case: &Case| match case.failure {
        Some(Failure::Violation(_) | Failure::Missed(_)) => 4,
        Some(Failure::Diverged(_)) => 3,
        Some(Failure::Error(_)) => 2,
        Some(Failure::Unknown(_)) => 1,
        None => 0,
    };
    match cases.iter().map(rank).max().unwrap_or(0) {
        4 => Exit::Violation,
        3 => Exit::Nondeterminism,
        2 => Exit::Usage,
        1 => Exit::Unknown,
        _ => Exit::Clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_and_story_of_a_finding_are_of_the_run_that_is_kept() {
        let findings = tempfile::tempdir().unwrap();
        let place = findings.path().join("toy-bug");
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("story.md"), "# toy/bug\n\nn2 lost 1 entry\n").unwrap();
        let finding = FindingSummary {
            signature: "toy/bug".into(),
            slug: "toy-bug".into(),
            summary: "n1 lost 9 entries".into(),
            count: 1,
            execution: 7,
        };
        let summary = Summary { findings: vec![finding], ..Summary::default() };
        let message = || {
            let case = of_search(&summary, findings.path(), 1).swap_remove(0);
            assert!(case.story.contains("n2 lost 1 entry"), "{}", case.story);
            case.failure.unwrap().text().to_owned()
        };
        assert_eq!(message(), "toy/bug: n1 lost 9 entries", "as it was found, where nothing else is known");
        let verdict = r#"{"violation":{"signature":"toy/bug","oracle":"toy","summary":"n2 lost 1 entry",
            "evidence":{"entries":[],"lines":[]},"at_ns":5}}"#;
        std::fs::write(place.join("verdict.json"), verdict).unwrap();
        assert_eq!(message(), "toy/bug: n2 lost 1 entry");
    }
}
