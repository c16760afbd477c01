//! The other files of a finding: verdict, sources, history. What is read is printed and read back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::{Verdict, jsonl};
use readers::sources::Sources;

fuzz_target!(|text: &str| {
    if let Ok(sources) = toml::from_str::<Sources>(text) {
        let printed = sources.to_toml();
        assert_eq!(toml::from_str::<Sources>(&printed).as_ref(), Ok(&sources), "{printed}");
        assert!(sources.changes(&sources).is_empty());
    }
    if let Ok(verdict) = serde_json::from_str::<Verdict>(text) {
        let printed = serde_json::to_string(&verdict).expect("a verdict is JSON");
        assert_eq!(serde_json::from_str::<Verdict>(&printed).expect("it was written by us"), verdict);
    }
    match jsonl::from_json_lines(text) {
        Ok(entries) => {
            let printed = jsonl::to_json_lines(&entries);
            assert_eq!(jsonl::from_json_lines(&printed).as_ref(), Ok(&entries), "{printed}");
        }
        Err(error) => assert!((1..=text.len()).contains(&error.line), "{error}"),
    }
});
