//! Histories in all formats: entries or one error with its place, the same in pieces; what a writer writes, its reader reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::format::{Format, Options, detect, foreign, is_noise, read, write};
use oracle::raw::Entry;
use std::io::BufReader;

/// The longest input of which conversions are tried.
const CONVERTED_MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let _ = (detect(bytes), foreign(bytes), is_noise(bytes));
    for format in Format::ALL {
        for independent in [false, true] {
            let options = Options { independent };
            let entries = entries(format, bytes, options);
            if bytes.len() <= CONVERTED_MAX && !entries.is_empty() {
                Format::ALL.into_iter().for_each(|to| convert(format, &entries, to, options));
            }
        }
    }
});

/// What can be read before the first error.
fn entries(format: Format, bytes: &[u8], options: Options) -> Vec<Entry> {
    let mut in_pieces = read(format, BufReader::with_capacity(3, bytes), options);
    let mut entries = Vec::new();
    let mut all = read(format, bytes, options);
    for entry in &mut all {
        assert_eq!(in_pieces.next().as_ref(), Some(&entry), "{format:?}");
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                assert!(error.place.is_some(), "{format:?}: {error}");
                break;
            }
        }
        assert!(entries.len() <= bytes.len() * 2 + 1, "{format:?} does not end");
    }
    assert!(all.next().is_none() && in_pieces.next().is_none(), "{format:?} goes on after its end");
    entries
}

fn written(to: Format, entries: &[Entry], options: Options) -> Option<Vec<u8>> {
    let mut sink = Vec::new();
    write(to, &mut entries.iter().cloned().map(Ok), &mut sink, options).ok().map(|()| sink)
}

/// What is written is read, and is the same however often it is written again.
fn convert(from: Format, entries: &[Entry], to: Format, options: Options) {
    let Some(text) = written(to, entries, options) else { return };
    let once = reread(from, to, &text, options);
    if from == to && matches!(to, Format::Edn | Format::Json) {
        let without = |entry: &Entry| Entry { place: None, ..entry.clone() };
        assert_eq!(once, entries.iter().map(without).collect::<Vec<_>>(), "{to:?}");
    }
    let again = written(to, &once, options).unwrap_or_else(|| panic!("{from:?} as {to:?}: {once:?}"));
    assert_eq!(reread(from, to, &again, options), once, "{from:?} as {to:?}");
}

fn reread(from: Format, to: Format, text: &[u8], options: Options) -> Vec<Entry> {
    let all = read(to, text, options).map(|entry| entry.map(|entry| Entry { place: None, ..entry }));
    let all: Result<_, _> = all.collect();
    all.unwrap_or_else(|error| panic!("{from:?} as {to:?}: {error}\n{}", String::from_utf8_lossy(text)))
}
