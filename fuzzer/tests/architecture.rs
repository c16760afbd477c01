//! The import rules of ARCHITECTURE.md, and the house rules that a machine can check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_path_buf()
}

/// Our crates by directory.
const CRATES: [(&str, &str); 7] = [
    ("tracer", "interceptor/tracer"),
    ("interceptor", "interceptor"),
    ("oracle", "fuzzer/oracle"),
    ("agents", "agents"),
    ("fuzzer", "fuzzer"),
    ("guests", "interceptor/guests"),
    ("raft-demo", "targets/raft-demo"),
];

/// What a crate depends on, by the names in its manifest.
fn dependencies(directory: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(directory).join("Cargo.toml")).expect("a crate has a manifest");
    let manifest: toml::Table = text.parse().expect("a manifest is TOML");
    let table = |name: &str| manifest.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    ["dependencies", "build-dependencies"]
        .into_iter()
        .flat_map(|name| table(name).into_iter().map(|(k, _)| k))
        .collect()
}

/// Rust sources under a directory, without build output.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in
            fs::read_dir(directory).expect("a source directory").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() && entry.file_name().is_some_and(|name| name != "target") {
                open.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("sources lie in the workspace").display().to_string()
}

/// Files under `directory` in which `found` holds for a line, with the line's number.
fn lines_where(directory: &str, found: impl Fn(&str) -> bool) -> Vec<String> {
    let mut hits = Vec::new();
    for path in sources(&root().join(directory)) {
        let text = fs::read_to_string(&path).expect("sources are text");
        hits.extend(
            text.lines()
                .enumerate()
                .filter(|(_, line)| found(line))
                .map(|(i, _)| format!("{}:{}", relative(&path), i + 1)),
        );
    }
    hits
}

#[test]
fn crates_depend_only_on_what_the_architecture_allows() {
    let ours: BTreeSet<&str> = CRATES.iter().map(|(name, _)| *name).collect();
    let allowed = BTreeMap::from([
        ("tracer", vec![]),
        ("interceptor", vec!["tracer"]),
        ("oracle", vec![]),
        ("agents", vec![]),
        ("fuzzer", vec!["agents", "interceptor", "oracle"]),
        ("guests", vec![]),
        ("raft-demo", vec![]),
    ]);
    for (name, directory) in CRATES {
        let used: Vec<String> =
            dependencies(directory).into_iter().filter(|d| ours.contains(d.as_str())).collect();
        assert_eq!(used, allowed[name], "{name}");
    }
}

#[test]
fn pure_crates_name_no_crate_that_reaches_the_system() {
    for directory in ["agents", "fuzzer/oracle"] {
        for reaching in ["nix", "libc", "tokio", "tracer", "interceptor"] {
            assert!(!dependencies(directory).contains(reaching), "{directory} depends on {reaching}");
        }
    }
}

#[test]
fn only_the_campaign_names_libafl() {
    for (name, directory) in CRATES.iter().filter(|(name, _)| *name != "fuzzer") {
        assert!(!dependencies(directory).iter().any(|d| d.starts_with("libafl")), "{name}");
    }
    let code = |line: &str| line.contains("libafl") && !line.trim_start().starts_with("//");
    let elsewhere: Vec<String> = lines_where("fuzzer/src", code)
        .into_iter()
        .filter(|hit| !hit.starts_with("fuzzer/src/campaign"))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

/// `fuzzer/src/readers.rs` is a library of some of our modules: these use no others, or CI cannot build it.
#[test]
fn what_reads_for_users_needs_nothing_but_other_readers() {
    let source = root().join("fuzzer/src");
    let text = fs::read_to_string(source.join("readers.rs")).expect("the library is there");
    let modules: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(modules.contains("target"), "{modules:?}");
    for module in &modules {
        let files = sources(&source).into_iter().filter(|path| {
            let path = relative(path);
            let is_of = |prefix: &str| path.starts_with(&format!("fuzzer/src/{prefix}"));
            is_of(&format!("{module}.rs"))
                || is_of(&format!("{module}/"))
                || is_of(&format!("reproducer/{module}.rs"))
        });
        for file in files {
            let text = fs::read_to_string(&file).expect("sources are text");
            let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
            let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
            for used in text[..if is_test { 0 } else { tests }].split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(
                    modules.contains(&*name),
                    "{} uses crate::{name}, which is no reader",
                    relative(&file)
                );
            }
        }
    }
}

#[test]
fn only_the_tracer_has_unsafe_code() {
    let code =
        |line: &str| line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl");
    let elsewhere: Vec<String> = ["agents", "fuzzer/src", "fuzzer/oracle", "interceptor/src", "targets"]
        .into_iter()
        .flat_map(|directory| lines_where(directory, code))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

#[test]
fn the_sandbox_knows_no_fault_by_name() {
    // Operations are the sandbox's words; partition, isolation and the like are the nemesis's.
    let named = |line: &str| ["Partition", "Isolate", "Nemesis"].iter().any(|word| line.contains(word));
    assert_eq!(lines_where("interceptor/src/sandbox", named), Vec::<String>::new());
}

#[test]
fn no_test_sleeps_or_is_ignored() {
    let banned = [concat!("#[ig", "nore"), concat!("thread::", "sleep(")];
    let found = |line: &str| banned.iter().any(|b| line.contains(b)) && !line.trim_start().starts_with("//");
    let hits: Vec<String> =
        ["agents", "fuzzer", "interceptor/src", "interceptor/tests", "interceptor/tracer", "targets"]
            .into_iter()
            .flat_map(|directory| lines_where(directory, found))
            .collect();
    assert_eq!(hits, Vec::<String>::new());
}

#[test]
fn the_default_build_needs_no_native_tool() {
    let lock: toml::Table = fs::read_to_string(root().join("Cargo.lock")).unwrap().parse().unwrap();
    let names: BTreeSet<&str> =
        lock["package"].as_array().unwrap().iter().filter_map(|package| package["name"].as_str()).collect();
    for tool in ["cmake", "bindgen", "prost-build", "pkg-config", "openssl-sys", "libseccomp-sys"] {
        assert!(!names.contains(tool), "{tool}");
    }
}
