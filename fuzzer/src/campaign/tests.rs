//! Campaigns against a target that is a function: see [`fake`].

mod fake;

use super::*;
use crate::execution::Execution;
use crate::executor::{ExecutorError, RunOptions};
use crate::fault::Kind;
use crate::schedule::Schedule;
use fake::{Fake, Flaws, actions};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn config(out: &Path) -> CampaignConfig {
    CampaignConfig {
        agent: "negative-visits".into(),
        seed: 1,
        horizon_ms: 6000,
        kinds: BTreeSet::from([Kind::Partition, Kind::Kill, Kind::Pause, Kind::Delay]),
        limits: Limits { executions: Some(60), ..Limits::default() },
        ..CampaignConfig::new("fake", 3, actions(), out.to_owned())
    }
}

fn open(config: &CampaignConfig, cores: usize, flaws: &Flaws) -> Result<Campaign, CampaignError> {
    Campaign::open(config.clone(), (0..cores).map(|_| Fake::boxed(flaws)).collect())
}

/// One session; its events as JSON lines, without what depends on the host.
fn session(config: &CampaignConfig, cores: usize, flaws: &Flaws) -> (Summary, Vec<String>) {
    let mut campaign = open(config, cores, flaws).unwrap();
    let mut lines = Vec::new();
    let summary = campaign
        .run(&AtomicBool::new(false), &mut |event| {
            let mut value = serde_json::to_value(event).unwrap();
            for object in [&mut value].into_iter().flat_map(|v| v.as_object_mut()) {
                object.remove("elapsed_ms");
                object.remove("per_second");
                object.remove("speed");
                for inner in object.values_mut().filter_map(|v| v.as_object_mut()) {
                    inner.remove("elapsed_ms");
                    inner.remove("per_second");
                }
            }
            lines.push(value.to_string());
        })
        .unwrap();
    (summary, lines)
}

fn of_kind<'a>(lines: &'a [String], kind: &str) -> Vec<&'a String> {
    let mark = format!("\"event\":\"{kind}\"");
    lines.iter().filter(|line| line.contains(&mark)).collect()
}

fn corpus(out: &Path) -> BTreeSet<String> {
    fs::read_dir(out.join("corpus")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn finds_a_bug_that_needs_two_faults_in_order() {
    for seed in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        config.seed = seed;
        config.limits = Limits { executions: Some(2000), stop_after: Some(1), time: None };
        let (summary, lines) = session(&config, 2, &Flaws::default());
        assert_eq!(summary.findings.len(), 1, "seed {seed}");
        assert_eq!(summary.findings[0].slug, "fake-lost");
        assert!(of_kind(&lines, "stopped")[0].contains("\"reason\":\"findings\""));
        let finding = of_kind(&lines, "finding")[0];
        assert!(finding.contains("\"detail\":{") && !finding.contains("agent_from_ms"), "{finding}");
    }
}

#[test]
fn seed_cores_and_executions_determine_everything() {
    let run = |seed, cores| {
        let directory = tempfile::tempdir().unwrap();
        let mut config = config(directory.path());
        config.seed = seed;
        config.limits.executions = Some(200);
        let (_, lines) = session(&config, cores, &Flaws::default());
        (lines, corpus(directory.path()))
    };
    for cores in [1, 3] {
        assert_eq!(run(5, cores), run(5, cores));
    }
    assert_ne!(run(5, 2), run(6, 2));
}

#[test]
fn a_resumed_campaign_goes_on_as_if_it_had_not_stopped() {
    for agent in ["negative-visits", "portfolio"] {
        let [whole, parts] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let with = |out: &Path, executions| {
            let mut config = config(out);
            config.agent = agent.into();
            config.limits.executions = Some(executions);
            session(&config, 2, &Flaws::default())
        };
        let (at_once, _) = with(whole.path(), 150);
        with(parts.path(), 50);
        let (second, lines) = with(parts.path(), 60);
        assert_eq!(second.executions, 110);
        assert!(of_kind(&lines, "started")[0].contains("\"resumed\":true"));
        let (mut resumed, _) = with(parts.path(), 40);
        resumed.elapsed_ms = at_once.elapsed_ms;
        resumed.per_second = at_once.per_second;
        resumed.findings_now = at_once.findings_now;
        assert_eq!(resumed, at_once, "{agent}");
        assert_eq!(corpus(parts.path()), corpus(whole.path()));
    }
}

#[test]
fn candidates_come_from_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.limits.executions = Some(400);
    let (summary, lines) = session(&config, 2, &Flaws::default());
    let new = of_kind(&lines, "new_coverage");
    for source in ["explore", "random", "mutate", "prolong"] {
        assert!(new.iter().any(|line| line.contains(&format!("\"source\":\"{source}\""))), "{source}");
    }
    assert!(summary.divergence.states > 0 && summary.landed > 0);
    assert_eq!(corpus(directory.path()).len(), summary.corpus);
    for name in corpus(directory.path()) {
        let text = fs::read_to_string(directory.path().join("corpus").join(name)).unwrap();
        assert_eq!(Schedule::parse(&text).unwrap().agent_from_ms, None, "executed, not as it was drawn");
    }
}

#[test]
fn damage_is_set_aside_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let config = config(out);
    let (before, _) = session(&config, 2, &Flaws::default());
    let victim = corpus(out).pop_first().unwrap();
    fs::write(out.join("corpus").join(&victim), "version = 1\ntarget").unwrap();
    fs::write(out.join("corpus/.tmp-x.toml"), "half").unwrap();
    fs::write(out.join(".tmp-campaign.state"), "half").unwrap();
    let (after, lines) = session(&config, 2, &Flaws::default());
    assert_eq!(of_kind(&lines, "quarantined").len(), 1);
    assert!(out.join("quarantine").join(&victim).exists());
    assert_eq!(after.executions, before.executions + 60);
    assert!(!out.join(".tmp-campaign.state").exists() && !out.join("corpus/.tmp-x.toml").exists());
}

#[test]
fn a_lost_state_is_found_again_from_the_corpus() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let config = config(out);
    let (before, _) = session(&config, 2, &Flaws::default());
    let mut state = fs::read(out.join("campaign.state")).unwrap();
    let middle = state.len() / 2;
    state[middle] ^= 1;
    fs::write(out.join("campaign.state"), state).unwrap();
    let (after, lines) = session(&config, 2, &Flaws::default());
    assert!(of_kind(&lines, "quarantined")[0].contains("its checksum does not match"));
    let forgotten = of_kind(&lines, "forgotten")[0];
    assert!(forgotten.contains("campaign.state is damaged (the frame is damaged"), "{forgotten}");
    assert!(of_kind(&lines, "started")[0].contains("\"resumed\":false"));
    assert!(lines.iter().any(|line| line.contains("\"source\":\"given\"")));
    assert_eq!(after.executions, 60);
    assert!(after.features >= before.features, "{} < {}", after.features, before.features);
}

#[test]
fn a_campaign_that_begins_anew_says_so_and_one_that_does_not_is_silent() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let config = config(out);
    let told = |lines: &[String]| of_kind(lines, "forgotten").into_iter().cloned().collect::<Vec<_>>();
    let (_, lines) = session(&config, 1, &Flaws::default());
    assert!(told(&lines).is_empty());
    let (_, lines) = session(&config, 1, &Flaws::default());
    assert!(told(&lines).is_empty());
    let kept = corpus(out).len();
    fs::remove_file(out.join("campaign.state")).unwrap();
    let (after, lines) = session(&config, 1, &Flaws::default());
    assert!(told(&lines)[0].contains("campaign.state is gone"), "{lines:?}");
    assert!(told(&lines)[0].contains(&format!("\"findings\":0,\"schedules\":{kept},")), "{:?}", told(&lines));
    assert_eq!(after.executions, 60);
    fs::remove_file(out.join("campaign.state")).unwrap();
    fs::remove_file(out.join("campaign.toml")).unwrap();
    fs::create_dir_all(out.join("findings/stale")).unwrap();
    fs::write(out.join("findings/stale/schedule.toml"), "").unwrap();
    let (_, lines) = session(&config, 1, &Flaws::default());
    assert!(told(&lines)[0].contains("campaign.toml and campaign.state are gone"), "{:?}", told(&lines));
    assert!(told(&lines)[0].contains("\"findings\":1"), "{:?}", told(&lines));
}

#[test]
fn files_put_into_the_corpus_are_run_first() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    session(&config(from.path()), 1, &Flaws::default());
    let entry = corpus(from.path()).pop_last().unwrap();
    fs::create_dir(to.path().join("corpus")).unwrap();
    fs::copy(from.path().join("corpus").join(&entry), to.path().join("corpus/mine.toml")).unwrap();
    let (_, lines) = session(&config(to.path()), 1, &Flaws::default());
    assert!(of_kind(&lines, "new_coverage")[0].contains(&format!("\"entry\":\"{entry}\"")));
}

#[test]
fn a_noisy_control_run_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let flaws = Flaws { noisy: true, ..Flaws::default() };
    let mut campaign = open(&config(directory.path()), 1, &flaws).unwrap();
    let error = campaign.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, CampaignError::Control { signature, .. } if signature == "fake/lost"),
        "{error}"
    );
}

#[test]
fn what_does_not_repeat_is_told_and_never_a_finding() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.limits.executions = Some(800);
    let flaws = Flaws { nondeterministic: true, ..Flaws::default() };
    let (summary, lines) = session(&config, 2, &flaws);
    assert!(of_kind(&lines, "control")[0].contains("\"equal\":false"));
    // One for the control run, three for the violation, which then is only counted.
    assert_eq!((summary.findings.len(), summary.diverged), (0, 4));
    assert_eq!(of_kind(&lines, "diverged").len(), 4);
    assert!(!of_kind(&lines, "repeat").is_empty());
}

#[test]
fn schedules_that_cannot_be_run_are_skipped_until_it_is_too_many() {
    let directory = tempfile::tempdir().unwrap();
    let flaws = Flaws { fails_on: Some(Kind::Delay), ..Flaws::default() };
    let (summary, lines) = session(&config(directory.path()), 2, &flaws);
    assert!(summary.skipped > 0);
    assert_eq!(of_kind(&lines, "skipped").len() as u64, summary.skipped);
    assert_eq!(summary.executions + summary.skipped, 60);
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.search = Search::Random;
    config.kinds = BTreeSet::from([Kind::Delay]);
    let mut campaign = open(&config, 1, &flaws).unwrap();
    let error = campaign.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CampaignError::Executor(ExecutorError::Run { .. })), "{error}");
}

#[test]
fn a_disk_that_refuses_ends_the_campaign_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let config = config(out);
    let (before, _) = session(&config, 1, &Flaws::default());
    let state = fs::read(out.join("campaign.state")).unwrap();
    let mut campaign = open(&config, 1, &Flaws::default()).unwrap();
    fs::create_dir(out.join(".tmp-campaign.state")).unwrap();
    let error = campaign.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CampaignError::Io { .. }), "{error}");
    drop(campaign);
    fs::remove_dir(out.join(".tmp-campaign.state")).unwrap();
    assert_eq!(fs::read(out.join("campaign.state")).unwrap(), state);
    let (after, _) = session(&config, 1, &Flaws::default());
    assert_eq!(after.executions, before.executions + 60);
}

#[test]
fn another_agent_or_table_of_actions_is_another_campaign() {
    let directory = tempfile::tempdir().unwrap();
    session(&config(directory.path()), 1, &Flaws::default());
    let other = CampaignConfig { agent: "uniform".into(), ..config(directory.path()) };
    assert!(matches!(open(&other, 1, &Flaws::default()), Err(CampaignError::Foreign { field: "agent", .. })));
    let fewer = agents::ActionSpace::new(actions().actions()[..3].to_vec()).unwrap();
    let other = CampaignConfig { actions: fewer, ..config(directory.path()) };
    assert!(matches!(open(&other, 1, &Flaws::default()), Err(CampaignError::Memory(_))));
    let other = CampaignConfig { agent: "oracle-of-delphi".into(), ..config(&directory.path().join("x")) };
    assert!(matches!(open(&other, 1, &Flaws::default()), Err(CampaignError::Agent(_))));
    assert!(matches!(open(&config(directory.path()), 0, &Flaws::default()), Err(CampaignError::Settings(_))));
}

#[test]
fn stopping_is_honoured_between_batches() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.limits = Limits::default();
    let mut campaign = open(&config, 2, &Flaws::default()).unwrap();
    let stop = AtomicBool::new(false);
    let mut last = None;
    let summary = campaign
        .run(&stop, &mut |event| match event {
            CampaignEvent::Executed { executions, .. } if *executions >= 10 => {
                stop.store(true, Ordering::Relaxed)
            }
            CampaignEvent::Stopped { reason, .. } => last = Some(*reason),
            _ => {}
        })
        .unwrap();
    assert_eq!((summary.executions, last), (10, Some(StopReason::Interrupted)));
}

#[test]
fn runs_that_end_early_are_told_and_kept_and_are_no_findings() {
    let directory = tempfile::tempdir().unwrap();
    let flaws = Flaws { ends_on: Some(Kind::Kill), ..Flaws::default() };
    let (summary, lines) = session(&config(directory.path()), 2, &flaws);
    assert_eq!((summary.findings.len(), summary.diverged, summary.skipped), (0, 0, 0));
    assert!(summary.unknown > 0, "{summary:?}");
    let told = of_kind(&lines, "undecided");
    assert_eq!(told.len() as u64, summary.unknown);
    assert!(told[0].contains("node n2, thread 1: it ran"), "{}", told[0]);
    let kept: Vec<_> = fs::read_dir(directory.path().join("undecided")).unwrap().collect();
    assert!((1..=8).contains(&kept.len()), "{kept:?}");
    for entry in kept {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let schedule = Schedule::parse(&text).unwrap();
        assert!(schedule.steps.iter().any(|step| step.fault.kind() == Kind::Kill), "{text}");
    }
}

#[test]
fn a_batch_that_is_interrupted_counts_for_nothing() {
    let directories = [0, 1].map(|_| tempfile::tempdir().unwrap());
    let mut configs = directories.each_ref().map(|directory| config(directory.path()));
    configs.iter_mut().for_each(|config| config.save_every = std::time::Duration::ZERO);
    let (whole, _) = session(&configs[0], 2, &Flaws::default());
    // Two for the control, twice; then in the middle of a batch.
    let flaws = Flaws { interrupted_at: Some(25), ..Flaws::default() };
    let (part, lines) = session(&configs[1], 2, &flaws);
    assert!(of_kind(&lines, "stopped")[0].contains("\"reason\":\"interrupted\""));
    assert_eq!((part.skipped, part.diverged), (0, 0));
    configs[1].limits.executions = Some(whole.executions - part.executions);
    let (rest, _) = session(&configs[1], 2, &Flaws::default());
    assert_eq!((rest.executions, rest.features), (whole.executions, whole.features));
    assert_eq!(corpus(directories[0].path()), corpus(directories[1].path()));
}

#[test]
fn events_are_read_back_from_their_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut campaign = open(&config(directory.path()), 1, &Flaws::default()).unwrap();
    let mut events = Vec::new();
    campaign.run(&AtomicBool::new(false), &mut |event| events.push(event.clone())).unwrap();
    for event in events {
        let line = serde_json::to_string(&event).unwrap();
        let back: CampaignEvent = serde_json::from_str(&line).unwrap();
        // Figures with fractions may differ in the last digit.
        assert_eq!(std::mem::discriminant(&back), std::mem::discriminant(&event), "{line}");
    }
}

#[test]
fn executions_survive_the_frames_between_processes() {
    let mut fake = Fake::boxed(&Flaws::default());
    let directory = tempfile::tempdir().unwrap();
    let campaign = open(&config(directory.path()), 1, &Flaws::default()).unwrap();
    let mut schedule = campaign.engine.ground().control(3);
    schedule.agent_from_ms = Some(0);
    let execution = fake.run(&schedule, RunOptions { detail: true, calls: true }).unwrap();
    let frame = crate::codec::encode(&execution).unwrap();
    let back: Execution = crate::codec::decode(&frame).unwrap();
    assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(&execution).unwrap());
}

/// What libafl and the bookkeeping cost: an execution of a real target takes 100 ms and more.
#[test]
fn overhead_is_below_a_twentieth_of_an_execution() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.limits.executions = Some(1500);
    let (summary, _) = session(&config, 1, &Flaws::default());
    let each_us = summary.elapsed_ms * 1000 / summary.executions;
    println!("{each_us} us an execution, fake included, with {} entries", summary.corpus);
    assert!(each_us < 5000, "{each_us} us");
}

#[test]
fn a_campaign_begins_with_what_another_had() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let flaws = Flaws::default();
    session(&config(first.path()), 1, &flaws);
    let corpus = corpus(first.path());
    fs::write(first.path().join("corpus/none.toml"), "nothing").unwrap();
    let legacy = Legacy::read(first.path()).unwrap();
    assert_eq!((legacy.schedules.len(), legacy.damaged), (corpus.len(), 1));
    let limits = Limits { executions: Some(corpus.len() as u64), ..Limits::default() };
    let next = CampaignConfig { legacy: Some(legacy), limits, seed: 9, ..config(second.path()) };
    let (_, lines) = session(&next, 1, &flaws);
    let told = of_kind(&lines, "inherited");
    assert!(told.len() == 1 && told[0].contains("\"without_agent\":null"), "{told:?}");
    let sources: BTreeSet<&str> = of_kind(&lines, "new_coverage")
        .into_iter()
        .filter_map(|line| line.split("\"source\":\"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(sources, BTreeSet::from(["given"]), "the other's corpus is run first");
    // Another agent learns anew.
    let third = tempfile::tempdir().unwrap();
    let other = CampaignConfig { agent: "uniform".into(), out: third.path().to_owned(), ..next };
    let (_, lines) = session(&other, 1, &flaws);
    assert!(of_kind(&lines, "inherited")[0].contains("its agent was negative-visits"));
    assert!(Legacy::read(&first.path().join("nowhere")).is_err());
}
