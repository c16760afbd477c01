//! Judgements of histories: every check ends within its steps, says the same twice, and all that it says can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::check::{CHECKS, Check, Options};
use oracle::format;
use oracle::inspection::{Asked, History, inspect};
use oracle::page::{self, Checked};
use oracle::raw::Entry;
use oracle::verdict::Judgement;

/// Steps of a search.
const STEPS_MAX: u64 = 2_000;
/// The longest history that every check judges, in entries.
const ENTRIES_MAX: usize = 100;

fuzz_target!(|bytes: &[u8]| {
    let options = Options { steps_max: STEPS_MAX, ..Options::default() };
    match inspect(bytes, &Asked { options: options.clone(), ..Asked::default() }) {
        Ok(seen) => show(&seen.judgement),
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
    let Ok(history) = History::open(bytes, None) else { return };
    let entries: Vec<Entry> = history.entries(format::Options::default()).map_while(Result::ok).collect();
    if entries.is_empty() || entries.len() > ENTRIES_MAX {
        return;
    }
    for check in CHECKS {
        let first = judged(check, &entries, &options);
        assert_eq!(first, judged(check, &entries, &options), "{}", check.name);
        first.iter().for_each(show);
    }
});

fn judged(check: &Check, entries: &[Entry], options: &Options) -> Result<Judgement, String> {
    check.judge(&mut entries.iter().cloned().map(Ok), options).map_err(|error| error.to_string())
}

fn show(judgement: &Judgement) {
    let _ = page::html(&Checked::default(), judgement);
    for violation in &judgement.violations {
        assert!(violation.signature.starts_with(&format!("{}/", judgement.oracle)), "{violation:?}");
        assert!(!violation.summary.is_empty(), "{violation:?}");
    }
}
