//! `fuzz check` and `fuzz history convert` from outside: only the `fuzz` program is run, on files of a few lines.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A set that has lost 2, in Jepsen's EDN.
const LOST: &str = "{:process 0, :type :invoke, :f :add, :value 1}\n{:process 0, :type :ok, :f :add, :value 1}\n\
                    {:process 1, :type :invoke, :f :add, :value 2}\n{:process 1, :type :ok, :f :add, :value 2}\n\
                    {:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value #{1}}\n";

/// A directory with a history that is in order, and one that is not.
fn histories() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("lost.edn"), LOST).unwrap();
    std::fs::write(dir.path().join("kept.edn"), LOST.replace("#{1}", "#{1 2}")).unwrap();
    dir
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.current_dir(dir).args(arguments).stdin(Stdio::null()).env_remove("FUZZ_LOG").output().unwrap()
}

fn fuzz_with(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let command = command.current_dir(dir).args(arguments).env_remove("FUZZ_LOG");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The first line of standard output.
fn verdict(output: &Output) -> String {
    stdout(output).lines().next().unwrap_or_default().to_owned()
}

/// Exit code and standard error of a command that is refused; nothing is on standard output.
fn refusal(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = fuzz(dir, arguments);
    assert_eq!(stdout(&output), "", "{arguments:?}");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn format_and_model_are_told_from_the_history() {
    let dir = histories();
    let kept = fuzz(dir.path(), &["check", "kept.edn"]);
    assert_eq!((kept.status.code(), verdict(&kept).as_str()), (Some(0), "valid: 3 operations as set"));
    let lost = fuzz(dir.path(), &["check", "lost.edn"]);
    let text = stdout(&lost);
    assert_eq!(lost.status.code(), Some(1), "{text}");
    assert!(text.starts_with("violation: 3 operations as set\nset/acknowledged-element-lost: "), "{text}");
    assert!(text.lines().count() > 3 && text.contains("\n  p1 add 2  "), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn json_is_one_object() {
    let dir = histories();
    let lost = fuzz(dir.path(), &["check", "lost.edn", "--model", "set", "--json"]);
    assert_eq!(lost.status.code(), Some(1));
    let object: serde_json::Value = serde_json::from_str(&stdout(&lost)).unwrap();
    assert_eq!(object["verdict"], "violation");
    assert_eq!((&object["model"], &object["format"]), (&"set".into(), &"edn".into()));
    assert_eq!((&object["entries"], &object["operations"]), (&6.into(), &3.into()));
    assert_eq!(object["violations"][0]["signature"], "set/acknowledged-element-lost");
}

#[test]
fn a_page_is_written() {
    let dir = histories();
    let lost = fuzz(dir.path(), &["check", "lost.edn", "--html", "report.html"]);
    assert!(stdout(&lost).ends_with("the page is report.html\n"), "{}", stdout(&lost));
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    assert!(page.contains("set/acknowledged-element-lost") && page.contains("lost.edn"), "{page}");
    let (code, error) = refusal(dir.path(), &["check", "lost.edn", "--html", "no/where.html"]);
    assert_eq!(code, Some(2));
    assert!(error.starts_with("fuzz: cannot write no/where.html: "), "{error}");
}

#[test]
fn pairs_are_taken_apart_when_told() {
    let dir = histories();
    let line = |kind: &str, f: &str, value: &str| {
        format!("{{:process 0, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    let text: String = [
        line("invoke", "add", "[7 1]"),
        line("ok", "add", "[7 1]"),
        line("invoke", "read", "[7 nil]"),
        line("ok", "read", "[7 [1]]"),
    ]
    .concat();
    let output = fuzz_with(dir.path(), &["check", "-", "--independent"], &text);
    assert_eq!(
        (output.status.code(), verdict(&output).as_str()),
        (Some(0), "valid: 2 operations on 1 key as set")
    );
}

#[test]
fn bad_input_is_told_with_its_place() {
    let dir = histories();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("broken.edn", &LOST.replace(":value #{1}", ":value )"));
    write(
        "double.edn",
        &LOST.replace(":process 1", ":process 0").replace("{:process 0, :type :ok, :f :add, :value 1}\n", ""),
    );
    write("odd.txt", "hello\n");
    write("empty.edn", "\n");
    write("queue.edn", "{:process 0, :type :invoke, :f :enqueue, :value 1}");
    let cases: [(&[&str], &str); 10] = [
        (&["check", "broken.edn"], "fuzz: broken.edn: line 6, column 42: found `)`, expected a value\n"),
        (
            &["check", "double.edn", "--model", "set", "--format", "edn"],
            "fuzz: double.edn: line 2, column 1: entry 1: process 0 has another operation open, invoked by entry 0\n",
        ),
        (
            &["check", "odd.txt"],
            "fuzz: odd.txt begins like no format that is known; if it is one, say which with --format: edn, ",
        ),
        (&["check", "empty.edn"], "fuzz: empty.edn is empty: there is no history in it\n"),
        (&["check", "none.edn"], "fuzz: cannot open none.edn: No such file"),
        (
            &["check", "."],
            "fuzz: . is a directory without history.jsonl or history.edn or history.json or history.txt; name the file\n",
        ),
        (&["check", "kept.edn", "--model", "sett"], "fuzz: there is no model `sett`; did you mean `set`?"),
        (
            &["check", "kept.edn", "--set", "total=5"],
            "fuzz: the model `set` has no setting `total`; there are none\n",
        ),
        (
            &["check", "kept.edn", "--set", "total"],
            "fuzz: --set total is no setting; write it as NAME=VALUE\n",
        ),
        (
            &["check", "queue.edn"],
            "fuzz: queue.edn holds enqueue, which tells no single model; choose one with --model: ",
        ),
    ];
    for (arguments, expected) in cases {
        let (code, error) = refusal(dir.path(), arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(error.starts_with(expected), "{arguments:?}: {error}");
    }
    let (code, error) = refusal(dir.path(), &["check", "kept.edn", "--format", "end"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("there is no such format; did you mean `edn`?"), "{error}");
}

#[test]
fn models_are_listed_and_explained() {
    let dir = histories();
    let list = fuzz(dir.path(), &["check", "--list"]);
    assert_eq!(list.status.code(), Some(0));
    assert!(stdout(&list).starts_with("register "));
    let json = stdout(&fuzz(dir.path(), &["check", "--list", "--json"]));
    let names: Vec<String> = json
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let (models, anomalies) = (oracle::check::CHECKS.len() + 1, oracle::check::ANOMALIES.len());
    assert_eq!(names.len(), models + anomalies + oracle::check::ALIASES.len());
    for name in names {
        let explained = fuzz(dir.path(), &["check", "--explain", &name]);
        let text = stdout(&explained);
        assert_eq!(explained.status.code(), Some(0), "{name}");
        let name = oracle::check::canonical(&name);
        assert!(
            text.starts_with(&format!("{name}: ")) && text.contains("Example: fuzz check FILE"),
            "{text}"
        );
    }
    let text = stdout(&fuzz(dir.path(), &["check", "--explain", "bank"]));
    assert!(
        text.contains("\n  --set total=...  ") && text.contains("--model bank --set total=100\n"),
        "{text}"
    );
    assert!(text.contains("\nbank/wrong-total: the balances sum up to 90, expected 100\n"), "{text}");
}

#[test]
fn anomalies_are_explained_by_transactions_that_show_them() {
    let dir = histories();
    let text = stdout(&fuzz(dir.path(), &["check", "--explain", "G2-item"]));
    assert!(text.starts_with("G2-item: write skew: "), "{text}");
    assert!(
        text.contains("--model list-append\n") && text.contains("\nlist-append/G2-item: write skew: "),
        "{text}"
    );
    let example: String = text.lines().filter(|line| line.starts_with("  {")).collect::<Vec<_>>().join("\n");
    let checked = fuzz_with(dir.path(), &["check", "-"], &example);
    assert_eq!(
        (checked.status.code(), verdict(&checked).as_str()),
        (Some(1), "violation: 2 operations as list-append")
    );
}

#[test]
fn other_names_lead_to_the_same_explanation() {
    let dir = histories();
    let begin =
        |name| stdout(&fuzz(dir.path(), &["check", "--explain", name])).lines().next().unwrap().to_owned();
    assert!(begin("write-skew").starts_with("G2-item: write skew: "));
    assert!(begin("read-skew").starts_with("G-single: read skew: "));
    assert!(begin("G2").starts_with("g2: "));
    assert!(begin("long-fork").starts_with("long-fork: "));
    let text = stdout(&fuzz(dir.path(), &["check", "--explain", "cyclic-versions"]));
    assert!(text.contains("--model rw-register --set linearizable-keys=yes\n"), "{text}");
    assert!(text.contains("\nrw-register/cyclic-versions: "), "{text}");
    assert!(stdout(&fuzz(dir.path(), &["check", "--list"])).contains("\nwrite-skew "));
}

#[test]
fn any_text_can_be_judged_as_what_a_process_wrote() {
    let dir = histories();
    std::fs::write(dir.path().join("server.log"), "up\n\u{0}FATAL: disk \u{fffd}\nFATAL: test hook\n")
        .unwrap();
    let check = ["check", "server.log", "--format", "lines", "--model"];
    let pattern = ["log-pattern", "--set", "pattern=FATAL", "--set", "except=test hook"];
    let found = fuzz(dir.path(), &[&check[..], &pattern].concat());
    assert_eq!(found.status.code(), Some(1));
    assert!(stdout(&found).contains("log in line 2 wrote: \u{0}FATAL: disk"), "{}", stdout(&found));
    assert_eq!(fuzz(dir.path(), &[&check[..], &["sanitizer"]].concat()).status.code(), Some(0));
    let (code, error) = refusal(dir.path(), &check[..4]);
    assert_eq!(code, Some(2));
    assert!(error.contains("choose one with --model: sanitizer, log-pattern"), "{error}");
    let (code, error) = refusal(dir.path(), &[&check[..], &["log-pattern"]].concat());
    assert_eq!(code, Some(2));
    assert!(error.contains("setting `pattern` is missing"), "{error}");
}

/// A register, as a user would write it.
const REFERENCE: &str = r#"
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["f"] == "write":
        print(json.dumps({"state": asked["value"], "value": asked["value"]}), flush=True)
    elif asked["f"] == "read":
        print(json.dumps({"state": asked["state"], "value": asked["state"]}), flush=True)
    else:
        sys.exit("what is " + asked["f"] + "?")
"#;

#[test]
fn a_program_of_the_user_says_what_is_right() {
    let dir = histories();
    std::fs::write(dir.path().join("reference.py"), REFERENCE).unwrap();
    let check = |history: &str, reference: &str| {
        let arguments = ["check", "-", "--format", "edn", "--model", "conformance", "--set", reference];
        fuzz_with(dir.path(), &arguments, history)
    };
    let history = |read: u8| {
        format!(
            "{{:process 0, :type :invoke, :f :write, :value 1}}\n{{:process 0, :type :ok, :f :write, :value 1}}\n\
             {{:process 1, :type :invoke, :f :read, :value nil}}\n{{:process 1, :type :ok, :f :read, :value {read}}}\n"
        )
    };
    let program = "reference=python3 reference.py";
    assert_eq!(check(&history(1), program).status.code(), Some(0));
    let wrong = check(&history(2), program);
    assert_eq!(wrong.status.code(), Some(1));
    let expected = "read nil was answered with 2; in the state 1 the reference answers 1";
    assert!(stdout(&wrong).contains(expected), "{}", stdout(&wrong));
    for (history, reference, expected) in [
        (LOST, program, "ended before it replied (exit status: 1)\n  what is add?"),
        (LOST, "reference=no-such-program", "ended before it replied (exit status: 127)"),
        (LOST, "reference=echo {}", "expected an object with `state` and `value`, or with `refused`"),
    ] {
        let refused = check(history, reference);
        let error = String::from_utf8(refused.stderr.clone()).unwrap();
        assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    let (code, error) = refusal(dir.path(), &["check", "lost.edn", "--model", "conformance"]);
    assert!(code == Some(2) && error.contains("--set reference=COMMAND"), "{error}");
}

#[test]
fn histories_are_converted_and_mean_the_same() {
    let dir = histories();
    let converted =
        fuzz(dir.path(), &["history", "convert", "lost.edn", "--to", "json", "--out", "lost.jsonl"]);
    assert_eq!(stdout(&converted), "lost.jsonl has 6 entries as json\n");
    let first = std::fs::read_to_string(dir.path().join("lost.jsonl")).unwrap();
    let line = "{\"index\":0,\"type\":\"invoke\",\"process\":0,\"f\":\"add\",\"value\":1}\n";
    assert!(first.starts_with(line), "{first}");
    let again = fuzz(dir.path(), &["check", "lost.jsonl"]);
    // sets are lists in JSON
    let before = stdout(&fuzz(dir.path(), &["check", "lost.edn"])).replace("#{1}", "[1]");
    assert_eq!((again.status.code(), stdout(&again)), (Some(1), before));
    let text = "w(1,5,0,0)\nr(1,5,1,1)\n";
    let there = fuzz_with(dir.path(), &["history", "convert", "-", "--to", "dbcop"], text);
    let back = fuzz_with(dir.path(), &["history", "convert", "-", "--to", "plume"], &stdout(&there));
    assert_eq!(stdout(&back), text);
    let told =
        String::from_utf8(fuzz_with(dir.path(), &["history", "convert", "-", "--to", "edn"], text).stderr)
            .unwrap();
    assert!(told.starts_with("plume has sessions without real time: "), "{told}");
}

#[test]
fn what_a_format_cannot_say_leaves_no_file() {
    let dir = histories();
    let (code, error) =
        refusal(dir.path(), &["history", "convert", "lost.edn", "--to", "plume", "--out", "x.txt"]);
    assert_eq!(code, Some(2));
    let expected = "fuzz: lost.edn as edn: line 1, column 1: operation 0 (add 1): the format has transactions of reads and writes only\n";
    assert_eq!(error, expected);
    assert!(!dir.path().join("x.txt").exists());
    let (code, error) =
        refusal(dir.path(), &["history", "convert", "lost.edn", "--to", "edn", "--out", "lost.edn"]);
    assert_eq!(
        (code, error.as_str()),
        (Some(2), "fuzz: lost.edn is the history itself; give another --out\n")
    );
    assert_eq!(std::fs::read_to_string(dir.path().join("lost.edn")).unwrap(), LOST);
}

#[test]
fn help_teaches_with_examples() {
    let dir = histories();
    for arguments in [&["check", "--help"][..], &["history", "convert", "--help"]] {
        let help = stdout(&fuzz(dir.path(), arguments));
        assert!(help.contains("Examples:\n  fuzz ") && help.contains("plume"), "{help}");
    }
}

/// Two sessions that each see the other's write before their own, and 126 others that have nothing to do with them.
fn circle_of_sessions() -> String {
    let circle = "w(900,1,0,0)\nr(900,2,0,1)\nw(900,2,1,2)\nr(900,1,1,3)\n";
    let others = (1..=126).map(|number| format!("w({number},1,2,{})\n", number + 3));
    circle.to_owned() + &others.collect::<String>()
}

#[test]
fn sessions_count_where_a_format_has_them() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("circle.txt"), circle_of_sessions()).unwrap();
    for model in ["serializable", "snapshot-isolation"] {
        let found = fuzz(dir.path(), &["check", "circle.txt", "--format", "plume", "--model", model]);
        let text = stdout(&found);
        assert_eq!(found.status.code(), Some(1), "{text}");
        assert!(
            text.contains(&format!("{model}/no-order: no order of these 4 transactions explains")),
            "{text}"
        );
        assert!(text.contains("T4 = ") && !text.contains("T5"), "{text}");
        assert!(text.contains("so T1 would come before itself: T1, "), "{text}");
        let without = ["check", "circle.txt", "--format", "plume", "--model", model, "--set", "order=none"];
        assert_eq!(fuzz(dir.path(), &without).status.code(), Some(0));
    }
    let (code, told) =
        refusal(dir.path(), &["check", "circle.txt", "--format", "plume", "--model", "strict-serializable"]);
    assert_eq!(code, Some(2));
    assert!(
        told.contains("strict-serializable asks for real time, and plume has sessions without it"),
        "{told}"
    );
    let explained = stdout(&fuzz(dir.path(), &["check", "--explain", "serializable"]));
    assert!(
        explained.contains("process where a format has sessions (plume, awdit, dbcop, hist)"),
        "{explained}"
    );
}

#[test]
fn values_of_many_writes_are_no_matter_if_nobody_can_have_mixed_them_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    // twenty writes and twenty reads of them at the same time, and one value that is written twice and not read
    let entry = |process: usize, phase: &str, f: &str, value: usize| {
        format!("{{:process {process}, :type :{phase}, :f :{f}, :value {value}}}\n")
    };
    for phase in ["invoke", "ok"] {
        for n in 0..20 {
            text += &entry(n, phase, "write", n + 1);
            text += &entry(n + 20, phase, "read", (n * 7) % 20 + 1);
        }
        text += &entry(40, phase, "write", 99);
        text += &entry(41, phase, "write", 99);
        text += &entry(42, phase, "read", 0);
    }
    std::fs::write(dir.path().join("register.edn"), text).unwrap();
    let valid = fuzz(
        dir.path(),
        &["check", "register.edn", "--model", "register", "--set", "initial=0", "--steps", "1"],
    );
    assert_eq!(
        (valid.status.code(), verdict(&valid).as_str()),
        (Some(0), "valid: 43 operations as register")
    );
}
