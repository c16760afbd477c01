//! `fuzz check` on histories as people have them: every format in every wrapping, recorders of all habits, equal values,
//! and what nothing can be said of. Only the `fuzz` program is run.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `fuzz check` on what comes from standard input.
fn check(history: &[u8], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let command = command.args(["check", "-"]).args(arguments).env_remove("FUZZ_LOG");
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(history).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Exit code and everything that was written.
fn told(history: &str, arguments: &[&str]) -> (i32, String) {
    let output = check(history.as_bytes(), arguments);
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn expect(history: &str, arguments: &[&str], code: i32, part: &str) {
    let (found, text) = told(history, arguments);
    assert!(
        found == code && text.contains(part),
        "{history}\n{arguments:?}: exit {found}, expected {code}, {part:?}:\n{text}"
    );
}

/// Entries of a register that is in order.
const EDN: [&str; 4] = [
    "{:process 0, :type :invoke, :f :write, :value 1}",
    "{:process 0, :type :ok, :f :write, :value 1}",
    "{:process 1, :type :invoke, :f :read, :value nil}",
    "{:process 1, :type :ok, :f :read, :value 1}",
];
const KV: [&str; 4] = [
    "{:process 0, :type :invoke, :f :put, :key \"x\", :value \"1\"}",
    "{:process 0, :type :ok, :f :put, :key \"x\", :value \"1\"}",
    "{:process 1, :type :invoke, :f :get, :key \"x\", :value nil}",
    "{:process 1, :type :ok, :f :get, :key \"x\", :value \"1\"}",
];
const JSON: [&str; 4] = [
    r#"{"process":0,"type":"invoke","f":"write","value":1}"#,
    r#"{"process":0,"type":"ok","f":"write","value":1}"#,
    r#"{"process":1,"type":"invoke","f":"read","value":null}"#,
    r#"{"process":1,"type":"ok","f":"read","value":1}"#,
];

/// EDN in everything that may be around it.
fn wrapped_edn(entries: &[&str]) -> Vec<String> {
    let lines = entries.join("\n");
    let records =
        entries.iter().map(|entry| format!("#jepsen.history.Op{entry}")).collect::<Vec<_>>().join("\n");
    vec![
        lines.clone(),
        entries.join(" "),
        records.clone(),
        format!("[{lines}]"),
        format!("[\n{lines}\n]"),
        format!("[{records}]"),
        format!("({lines})"),
        format!("[[{lines}]]"),
        format!("([\n{lines} ] )"),
        format!("{{:history [{lines}]}}"),
        format!(
            "{{:name \"a test\", :nodes [\"n1\" \"n2\"], :history ({lines}), :results {{:valid? true}}}}"
        ),
        format!("{{\"history\" [{lines}]}}"),
        format!("#history [{lines}]"),
        format!("#history {{:history #history [{lines}]}}").replace("#history [", "["),
        format!("^{{:name \"x\"}} [{lines}]"),
        format!("^:private ^{{:line 3}} ({lines})"),
        format!("^{{:name \"x\"}} {lines}"),
        format!("; a comment\n{lines}\n; the end"),
        format!(";; one\n\n;; two\n[ ; three\n{lines} #_ {{:process 9}}\n] ; four"),
        format!("#_ {{:not here}} [{lines}]"),
        format!(",,{lines}"),
    ]
}

/// JSON in everything that may be around it.
fn wrapped_json(entries: &[&str]) -> Vec<String> {
    let (lines, elements) = (entries.join("\n"), entries.join(",\n"));
    vec![
        lines,
        entries.join(" "),
        entries.join(""),
        format!("[{elements}]"),
        format!("[\n  {elements}\n]"),
        format!("[[{elements}]]"),
        format!("{{\"history\":[{elements}]}}"),
        format!(
            "{{ \"name\" : \"a test\", \"data\": [[1]], \"history\" : [ {elements} ], \"results\": {{\"valid\": true}} }}"
        ),
        entries.join("\n").replace(":", " : ").replace(",", " , "),
    ]
}

/// A text with its line ends, beginnings and ends as editors and systems leave them.
fn edges(text: &str) -> Vec<String> {
    vec![
        text.to_owned(),
        format!("{text}\n"),
        format!("{text}\n\n\n"),
        format!("\n{text}"),
        format!("\u{feff}{text}\n"),
        format!("{text}\n").replace('\n', "\r\n"),
        format!("\u{feff}{text}").replace('\n', "\r\n"),
    ]
}

#[test]
fn every_format_is_read_in_every_wrapping() {
    let one = |text: &str| vec![text.to_owned()];
    let timed = |lines: [&str; 4]| lines.join("\n");
    let dbcop = r#"[[{"events":[{"Write":{"variable":0,"version":1}}],"committed":true}],
 [{"events":[{"Read":{"variable":0,"version":1}}],"committed":true}]]"#;
    let hist = "[x:=1]\n---\n[x==1]";
    let etcd = [
        "INFO  jepsen.util - 0\t:invoke\t:write\t1",
        "INFO  jepsen.util - 0\t:ok\t:write\t1",
        "INFO  jepsen.util - 1\t:invoke\t:read\tnil",
        "INFO  jepsen.util - 1\t:ok\t:read\t1",
    ];
    let txt = ["0\t:invoke\t:write\t1", "0\t:ok\t:write\t1", "1\t:invoke\t:read\tnil", "1\t:ok\t:read\t1"];
    let formats: [(Vec<String>, &[&str], &str); 12] = [
        (wrapped_edn(&EDN), &[], "valid: 2 operations as register"),
        (wrapped_edn(&KV).split_off(15), &[], "valid: 2 operations on 1 key as map"),
        (wrapped_edn(&KV)[..5].to_vec(), &["--format", "kv"], "valid: 2 operations on 1 key as map"),
        (wrapped_json(&JSON), &[], "valid: 2 operations as register"),
        (one(&timed(etcd)), &[], "valid: 2 operations as register"),
        (one(&timed(txt)), &[], "valid: 2 operations as register"),
        (one(&timed(txt).replace('\t', "    ")), &[], "valid: 2 operations as register"),
        (
            one("w(0,1,0,0)\nr(0,1,1,1)"),
            &["--model", "causal-consistency"],
            "valid: 2 operations as causal-consistency",
        ),
        (
            one("w 0 1\n=====\nr 0 1"),
            &["--model", "causal-consistency"],
            "valid: 2 operations as causal-consistency",
        ),
        (
            vec![dbcop.to_owned(), format!("{{\"params\":{{}},\"data\":{dbcop},\"end\":\"x\"}}")],
            &["--model", "causal-consistency"],
            "valid: 2 operations as causal-consistency",
        ),
        (
            vec![hist.to_owned(), format!("// a comment\n{hist}\n// the end")],
            &["--model", "causal-consistency"],
            "valid: 2 operations as causal-consistency",
        ),
        (
            one("up\ndown"),
            &["--format", "lines", "--model", "log-pattern", "--set", "pattern=FATAL"],
            "valid: 0 operations as log-pattern",
        ),
    ];
    for (texts, arguments, expected) in formats {
        for text in texts.iter().flat_map(|text| edges(text)) {
            let found = verdict_of(&text, arguments);
            assert_eq!(found, (0, expected.to_owned()), "{text:?}");
        }
    }
}

/// Exit code and the first line of standard output; what was said of it where it was refused.
fn verdict_of(history: &str, arguments: &[&str]) -> (i32, String) {
    let output = check(history.as_bytes(), arguments);
    let said = if output.stdout.is_empty() { text(&output.stderr) } else { text(&output.stdout) };
    (output.status.code().unwrap(), said.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn wrappings_that_do_not_close_are_refused_with_their_place() {
    let lines = EDN.join("\n");
    let elements = JSON.join(",");
    for (history, part) in [
        (format!("[{lines}"), "line 1, column 1: what is opened here is never closed"),
        (format!("[[{lines}]"), "line 1, column 1: what is opened here is never closed"),
        (format!("{{:history [{lines}]"), "line 1, column 1: the map opened here is never closed"),
        (format!("[[{lines}] 7]"), "found `7`, expected `]` after the history"),
        (format!("[{lines}] 7"), "found `7`, expected nothing after the end of the history"),
        (format!("({lines}]"), "found `]`, expected a value"),
        (format!("{{:history [{lines}] :history []}}"), "the field `history` of this map stands twice"),
        (format!("[{elements}"), "line 1, column 1: what is opened here is never closed"),
        (format!("{{\"history\":[{elements}]"), "line 1, column 1: what is opened here is never closed"),
        (format!("[{elements}]]"), "found `]`, expected nothing after the end of the history"),
        (format!("[[{elements}],7]"), "found `7`, expected `]` after the history"),
    ] {
        expect(&history, &["--model", "register"], 2, part);
    }
}

#[test]
fn what_is_no_text_is_named_with_the_next_step() {
    for (bytes, part) in [
        (&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], "is compressed with gzip; unpack it: gunzip -c "),
        (b"JEPSEN\0\0\0\x01", "is Jepsen's own file of a test; name history.edn or history.txt beside it"),
        (b"\xff\xfe{\0", "is text in UTF-16; write it as UTF-8: iconv "),
        (b"{:a \0}", "is no text; name the file of the history"),
    ] {
        let output = check(bytes, &["--model", "register"]);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(part), "{error}");
    }
}

/// A write that succeeded, and a read of `read`.
fn register(write: &str, read: &str) -> String {
    format!(
        "{{:process 0, :type :invoke, :f :write, :value {write}}}\n{{:process 0, :type :ok, :f :write, :value {write}}}\n\
         {{:process 1, :type :invoke, :f :read, :value nil}}\n{{:process 1, :type :ok, :f :read, :value {read}}}\n"
    )
}

#[test]
fn equal_values_are_equal() {
    let same = [
        ("{:a 1, :b 2}", "{:b 2, :a 1}"),
        ("#{1 2}", "#{2 1}"),
        ("[#{3 {1 2, 3 4}}]", "[#{{3 4, 1 2} 3}]"),
        ("1", "1.0"),
        ("100", "1e2"),
        ("1/2", "0.50M"),
        ("{:a [1.0]}", "{:a [1]}"),
        ("#{#{1 2} #{2 3}}", "#{#{3 2} #{2 1}}"),
        ("{1.0 :x}", "{1 :x}"),
        ("{[1] 2}", "{(1) 2.0}"),
        ("\\a", "\\u0061"),
        ("017", "15"),
        ("99999999999999999999", "99999999999999999999N"),
        ("#:a{:b 1}", "{:a/b 1}"),
        ("#inst \"2020\"", "#inst\"2020\""),
        ("#x{:a 1 :b 2}", "#x{:b 2 :a 1}"),
    ];
    for (write, read) in same {
        expect(&register(write, read), &["--model", "register"], 0, "valid: 2 operations as register");
        expect(&register(read, write), &["--model", "register"], 0, "valid: 2 operations as register");
    }
    let different = [
        ("1", "\"1\""),
        ("1", "1.5"),
        ("#{1}", "[1]"),
        ("{:a 1}", "{:a 2}"),
        ("[1 2]", "[2 1]"),
        ("1e400", "1e401"),
        ("\\a", "\"a\""),
        ("\\a", ":a"),
    ];
    for (write, read) in different {
        expect(&register(write, read), &["--model", "register"], 1, "linearizability/phantom-read");
    }
    let json = |write: &str, read: &str| {
        let [a, b, c, d] = JSON;
        [a, b].map(|line| line.replace(":1}", &format!(":{write}}}"))).join("\n")
            + "\n"
            + c
            + "\n"
            + &d.replace(":1}", &format!(":{read}}}"))
    };
    for (write, read) in [
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0.0", "0"),
        (r#"{"a":1,"b":[2.0]}"#, r#"{"b":[2],"a":1e0}"#),
        ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
    ] {
        let history = json(write, read);
        expect(&history, &["--model", "register"], 0, "valid: 2 operations as register");
    }
}

#[test]
fn values_that_no_clojure_reads_are_refused_with_their_place() {
    for (value, told) in [
        ("#{1 1.0}", "line 1, column 47: `1` stands twice in the set opened here"),
        ("{:a 1, :a 2}", "line 1, column 47: `:a` stands twice in the map opened here"),
        ("089", "line 1, column 47: `089` is no number"),
    ] {
        expect(&register(value, "1"), &["--model", "register"], 2, told);
    }
}

#[test]
fn a_first_value_that_is_half_written_is_refused() {
    let read = "{:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value {:a 1}}\n";
    expect(read, &["--model", "register", "--set", "initial={:a 1.0}"], 0, "valid: 1 operation as register");
    for half in ["{:a 1", "[1", "\"a", "#{"] {
        let setting = format!("initial={half}");
        expect(read, &["--model", "register", "--set", &setting], 2, "setting `initial` is");
    }
}

#[test]
fn tokens_of_fences_may_be_long() {
    let token = |process: u8, token: u64| {
        format!(
            "{{:process {process}, :type :invoke, :f :acquire, :value nil}}\n\
             {{:process {process}, :type :ok, :f :acquire, :value {token}}}\n"
        )
    };
    let falling = token(0, (1 << 63) + 1) + &token(1, 1 << 63);
    expect(&falling, &["--model", "fencing"], 1, "token-not-increasing");
    expect(
        &(token(0, 1 << 63) + &token(1, (1 << 63) + 1)),
        &["--model", "fencing"],
        0,
        "2 tokens were judged",
    );
}

#[test]
fn processes_with_names_are_clients() {
    let json = |read: u8| {
        format!(
            "{{\"process\":\"a\",\"type\":\"invoke\",\"f\":\"write\",\"value\":1}}\n\
             {{\"process\":\"a\",\"type\":\"ok\",\"f\":\"write\",\"value\":1}}\n\
             {{\"process\":\"nemesis\",\"type\":\"info\",\"f\":\"kill\",\"value\":null}}\n\
             {{\"process\":\"b\",\"type\":\"invoke\",\"f\":\"read\",\"value\":null}}\n\
             {{\"process\":\"b\",\"type\":\"ok\",\"f\":\"read\",\"value\":{read}}}\n"
        )
    };
    expect(&json(1), &[], 0, "valid: 2 operations as register");
    expect(&json(7), &[], 1, "linearizability/phantom-read");
    expect(&json(7), &[], 1, "note: in the history p0 is a, p1 is b");
    let quoted = EDN.join("\n").replace(":process 0", ":process \"0\"");
    expect(&quoted, &[], 0, "valid: 2 operations as register");
    let words = EDN
        .join("\n")
        .replace(":process 0", ":process :worker-1")
        .replace(":process 1", ":process worker/two");
    expect(&words, &[], 0, "valid: 2 operations as register");
    // a nemesis that invokes is one all the same
    let nemesis = "{:process :nemesis, :type :invoke, :f :kill}\n{:process :nemesis, :type :ok, :f :kill}\n";
    expect(&(nemesis.to_owned() + &EDN.join("\n")), &[], 0, "valid: 2 operations as register");
    // sessions keep their names apart from numbers
    let mixed = register("1", "1").replace(":process 0", ":process :a").replace(":process 1", ":process 0");
    expect(&mixed, &[], 0, "valid: 2 operations as register");
}

#[test]
fn nothing_judged_is_not_valid() {
    let nothing = "so nothing was judged";
    let succeeded = "none of the 2 operations succeeded";
    let ended = |kind: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :txn, :value [[:append 1 1]]}}\n\
             {{:process 0, :type :{kind}, :f :txn, :value [[:append 1 1]]}}\n\
             {{:process 1, :type :invoke, :f :txn, :value [[:r 1 nil]]}}\n\
             {{:process 1, :type :{kind}, :f :txn, :value [[:r 1 nil]]}}\n"
        )
    };
    expect(&ended("info"), &["--model", "list-append"], 4, succeeded);
    expect(&ended("fail"), &[], 4, succeeded);
    expect("{:process :nemesis, :type :info, :f :kill}", &["--model", "register"], 4, nothing);
    expect("[]", &["--model", "register"], 4, nothing);
    expect("{:process 0, :type :invoke, :f :write, :value 1}", &[], 4, "the only operation did not succeed");
    expect(
        "{:process 0, :type :invoke, :f :acquire}",
        &["--model", "mutex"],
        4,
        "the only operation did not succeed",
    );
    expect("", &["--model", "register"], 2, "is empty: there is no history in it");
    expect("\u{feff}\n ", &["--model", "register"], 2, "is empty: there is no history in it");
    expect("{:process 0, :type :invoke, :f :read}", &["--model", "crash"], 4, "there are no ends");
    // what is wrong is wrong, succeeded or not
    let lost =
        "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :fail, :f :write, :value 1}\n";
    expect(lost, &["--model", "stats"], 1, "stats/never-ok");
}

#[test]
fn an_order_of_versions_that_is_not_known_is_said() {
    let txn = |process: u8, asked: &str, answered: &str| {
        format!(
            "{{:process {process}, :type :invoke, :f :txn, :value [{asked}]}}\n\
             {{:process {process}, :type :ok, :f :txn, :value [{answered}]}}\n"
        )
    };
    let writes = txn(1, "[:w :x 1]", "[:w :x 1]") + &txn(2, "[:w :x 2]", "[:w :x 2]");
    let history = writes.clone() + &txn(1, "[:r :x nil]", "[:r :x 2]") + &txn(2, "[:r :x nil]", "[:r :x 1]");
    let strict = ["--model", "rw-register", "--set", "consistency=strict-serializable"];
    expect(
        &history,
        &strict,
        0,
        "note: the order of all versions is not known of 1 of 1 keys (of x, 1 or 2 may be newer)",
    );
    expect(&history, &[&strict[..], &["--set", "linearizable-keys=yes"]].concat(), 1, "rw-register/");
    expect(&history, &["--model", "strict-serializable"], 1, "strict-serializable/");
    // an order that is known needs no word
    let read = txn(2, "[:r :x nil] [:w :x 2]", "[:r :x 1] [:w :x 2]");
    let (code, text) = told(&(txn(1, "[:w :x 1]", "[:w :x 1]") + &read), &strict);
    assert!(code == 0 && !text.contains("not known of"), "{text}");
}

#[test]
fn a_release_that_failed_did_not_happen() {
    let entry =
        |process: u8, kind: &str, f: &str| format!("{{:process {process}, :type :{kind}, :f :{f}}}\n");
    let op = |process, f, kind| entry(process, "invoke", f) + &entry(process, kind, f);
    let history = |kind| op(0, "acquire", "ok") + &op(0, "release", kind) + &op(1, "acquire", "ok");
    let found = "mutex/two-holders: p1 was granted the lock while p0 held it";
    expect(&history("fail"), &["--model", "mutex"], 1, found);
    expect(&history("fail"), &["--model", "linearizable-mutex"], 1, "linearizability/acquired-twice");
    expect(&history("fail"), &["--model", "semaphore"], 1, "semaphore/too-many-holders");
    expect(
        &history("fail"),
        &["--model", "mutex", "--set", "failed-release=frees"],
        0,
        "valid: 3 operations",
    );
    expect(&history("ok"), &["--model", "mutex"], 0, "valid: 3 operations");
    expect(&history("info"), &["--model", "mutex"], 0, "valid: 3 operations");
    // it fails after the other was granted the lock, which it should not have been
    let late = op(0, "acquire", "ok")
        + &entry(0, "invoke", "release")
        + &op(1, "acquire", "ok")
        + &entry(0, "fail", "release");
    expect(&late, &["--model", "mutex"], 1, found);
    expect(&late, &["--model", "mutex"], 1, "this release failed, so p0 still held: p0 release");
    expect(&late.replace(":fail", ":ok"), &["--model", "mutex"], 0, "valid: 3 operations");
    // a second try gives it back
    let again = op(0, "acquire", "ok")
        + &op(0, "release", "fail")
        + &op(0, "release", "ok")
        + &op(1, "acquire", "ok");
    expect(&again, &["--model", "mutex"], 0, "valid: 4 operations");
    let explained =
        Command::new(env!("CARGO_BIN_EXE_fuzz")).args(["check", "--explain", "mutex"]).output().unwrap();
    assert!(
        text(&explained.stdout).contains("a release that failed did not happen, so its process still holds")
    );
}

#[test]
fn what_is_meant_is_guessed_or_asked_for() {
    let balances =
        "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value {0 10, 1 10}}\n";
    expect(balances, &[], 0, "valid: 1 operation as bank");
    let json =
        r#"[{"process":0,"type":"invoke","f":"read"},{"process":0,"type":"ok","f":"read","value":{"0":10}}]"#;
    expect(json, &[], 0, "valid: 1 operation as bank");
    expect(&register("{:a 1}", "{:a 1}"), &[], 0, "valid: 2 operations as register");
    // Elle's histories do without names of operations
    let append = "{:process 0, :type :invoke, :value [[:append 1 1]]}\n{:process 0, :type :ok, :value [[:append 1 1]]}\n";
    expect(append, &[], 0, "valid: 1 operation as list-append");
    expect(append, &["--model", "list-append"], 0, "valid: 1 operation as list-append");
}

#[test]
fn a_value_of_the_beginning_is_hinted_at() {
    let read = |value: &str| {
        format!(
            "{{:process 0, :type :invoke, :f :read}}\n{{:process 0, :type :ok, :f :read, :value {value}}}\n"
        )
    };
    for (value, word) in [("0", "0"), ("\"\"", "''"), (":free", ":free"), ("[1 2]", "'[1 2]'")] {
        let hint = format!("say so with --set initial={word}\n");
        expect(&read(value), &["--model", "register"], 1, &hint);
        let setting = format!("initial={}", word.trim_matches('\''));
        expect(&read(value), &["--model", "register", "--set", &setting], 0, "valid: 1 operation");
    }
    let (_, text) = told(&(read("0") + &read("1")), &["--model", "register"]);
    assert!(!text.contains("initial="), "two values cannot both be the first: {text}");
    let write = read("0").replace(":read", ":write").replacen(":f :write", ":f :write, :value 0", 1);
    expect(&(read("0") + &write), &["--model", "register"], 1, "say so with --set initial=0\n");
    let (code, text) = told(&(write + &read("0")), &["--model", "register"]);
    assert!(code == 0 && !text.contains("initial="), "it was written: {text}");
    let several = "{:process 0 :type :invoke :f :txn :value [[:read :x nil]]}\n{:process 0 :type :ok :f :txn :value [[:read :x 0]]}\n\
                   {:process 0 :type :invoke :f :txn :value [[:write :x 1]]}\n{:process 0 :type :ok :f :txn :value [[:write :x 1]]}\n";
    expect(several, &["--model", "multi-register"], 1, "say so with --set initial=0\n");
    expect(several, &["--model", "multi-register", "--set", "initial=0"], 0, "valid: 2 operations");
}

#[test]
fn recorders_have_their_habits() {
    // a process that goes on after an operation of unknown end
    let reuse = "{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :type :info, :f :write, :value 1}\n\
                 {:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 1}\n\
                 {:process 0, :type :invoke, :f :read, :value nil}\n{:process 0, :type :ok, :f :read, :value 1}\n";
    expect(reuse, &[], 0, "valid: 3 operations as register");
    // the write may take effect late
    let late = reuse.replacen(":f :read, :value 1", ":f :read, :value nil", 1);
    expect(&late, &[], 0, "valid: 3 operations as register");
    let wrong = reuse.replace(":f :read, :value 1", ":f :read, :value 2");
    expect(&wrong, &[], 1, "counts as a new one: p1 is p0");
    // times that are no nanoseconds
    for time in
        ["1.5", "1700000000.123", "\"2020-01-01T00:00:00Z\"", "#inst \"2020-01-01\"", "-5", "nil", "1e30"]
    {
        let timed = EDN.join("\n").replace('}', &format!(", :time {time}}}"));
        expect(&timed, &[], 0, "valid: 2 operations as register");
        let staleness = ["--model", "register", "--set", "staleness-ns=5"];
        expect(&timed, &staleness, 2, "it has no time");
    }
    // types in other spellings
    let upper = JSON.join("\n").replace("\"invoke\"", "\"INVOKE\"").replace("\"ok\"", "\":ok\"");
    expect(&upper, &[], 0, "valid: 2 operations as register");
    expect(
        &EDN.join("\n").replace(":type :", ":type ").replace("invoke", "\"invoke\""),
        &[],
        0,
        "valid: 2 operations",
    );
    // what Clojure prints of objects of Java
    let object = "{:process 2, :type :invoke, :f :read}\n{:process 2, :type :info, :f :read, :error #object[java.lang.Object 0x6b57696f \"x\"]}\n";
    expect(&(EDN.join("\n") + object), &[], 0, "valid: 3 operations as register");
}

#[test]
fn history_txt_is_read() {
    let history = "0\t:invoke\t:write\t1\n0\t:ok\t:write\t1\n:nemesis\t:info\t:start\tnil\n1\t:invoke\t:read\tnil\n1\t:ok\t:read\t1\n";
    expect(history, &["--model", "register"], 0, "valid: 2 operations as register");
    let odd = "2\t:invoke\t:write\t2\n2\t:info\t:write\t2\tjava.net.SocketTimeoutException: Read timed out\n\
               3\t:invoke\t:cas\t[1 2]\n3\t:fail\t:cas\t[1 2]\n:nemesis\t:info\t:stop\t#<Object x>\n";
    expect(&(history.to_owned() + odd), &[], 0, "valid: 4 operations as cas-register");
    let independent = "0\t:invoke\t:write\t[7 1]\n0\t:ok\t:write\t[7 1]\n1\t:invoke\t:read\t[7 nil]\n1\t:ok\t:read\t[7 1]\n";
    expect(independent, &["--independent"], 0, "valid: 2 operations on 1 key as register");
    expect(
        "0\t:invoke\t:read\t1 2\n",
        &[],
        2,
        "line 1, column 17: there is more than one value between two tabs",
    );
}

#[test]
fn pairs_everywhere_are_not_guessed() {
    // a key with a set of its own
    let history = "{:process 0, :type :invoke, :f :add, :value [7 1]}\n{:process 0, :type :ok, :f :add, :value [7 1]}\n\
                   {:process 1, :type :invoke, :f :read, :value [7 nil]}\n{:process 1, :type :ok, :f :read, :value [7 [1]]}\n";
    let (code, text) = told(history, &[]);
    let next =
        "every value is a pair; say --independent if they are keys with values, or --model if they are not";
    assert!(code == 2 && text.contains(next), "{code}: {text}");
    expect(history, &["--independent"], 0, "valid: 2 operations on 1 key as set");
    let (code, text) = told(history, &["--model", "set"]);
    assert!(code != 2 && !text.contains("every value is a pair"), "{code}: {text}");
}

#[test]
fn long_evidence_is_cut_to_what_contradicts() {
    // many writes at once, and a read of what was never written
    for (consistency, writers) in [("linearizable", 300), ("sequential", 12)] {
        let mut history = String::new();
        for kind in ["invoke", "ok"] {
            for process in 0..writers {
                let value = process % 7;
                history += &format!("{{:process {process}, :type :{kind}, :f :write, :value {value}}}\n");
            }
        }
        history += "{:process 0, :type :invoke, :f :read}\n{:process 0, :type :ok, :f :read, :value 9}\n";
        let setting = format!("consistency={consistency}");
        let (code, text) = told(&history, &["--model", "register", "--set", &setting]);
        assert!(code == 1 && text.contains("this one has no order even alone"), "{text}");
        assert!(text.lines().count() < 40, "{text}");
    }
}

#[test]
fn findings_of_other_oracles_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let finding = dir.path().join("crash-signal-11");
    std::fs::create_dir(&finding).unwrap();
    std::fs::write(finding.join("history.jsonl"), JSON.join("\n") + "\n").unwrap();
    let violation = |signature: &str, oracle: &str| {
        format!(
            "{{\"violation\":{{\"signature\":\"{signature}\",\"oracle\":\"{oracle}\",\"summary\":\"n1 ended by signal 11\",\
             \"evidence\":{{\"entries\":[],\"lines\":[]}},\"at_ns\":5}}}}\n"
        )
    };
    let run = |path: &std::path::Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_fuzz")).arg("check").arg(path).output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    std::fs::write(finding.join("verdict.json"), violation("crash/signal-11", "crash")).unwrap();
    for path in [finding.clone(), finding.join("history.jsonl")] {
        let (code, text) = run(&path);
        assert!(code == 4 && text.starts_with("unknown: 2 operations as register\n"), "{text}");
        assert!(text.contains("this is the finding crash/signal-11, of the oracle crash, which what clients saw does not show"), "{text}");
        assert!(text.contains("`fuzz replay "), "{text}");
    }
    // what its history shows is told as ever
    let wrong = JSON.join("\n").replace("\"f\":\"read\",\"value\":1", "\"f\":\"read\",\"value\":7") + "\n";
    std::fs::write(finding.join("history.jsonl"), wrong).unwrap();
    std::fs::write(
        finding.join("verdict.json"),
        violation("linearizability/phantom-read", "linearizability"),
    )
    .unwrap();
    let (code, text) = run(&finding);
    assert!(code == 1 && !text.contains("this is the finding"), "{text}");
    // clients may have done nothing at all
    std::fs::write(finding.join("history.jsonl"), "").unwrap();
    let (code, text) = run(&finding);
    assert!(code == 2 && text.contains("this is the finding") && text.contains("is empty"), "{text}");
}

/// As Plume, AWDIT and dbcop have it in their own programs and in the histories that they publish.
#[test]
fn nought_is_what_nobody_has_written_unless_somebody_writes_it() {
    let event = |name: &str, version: u8| format!("{{\"{name}\":{{\"variable\":0,\"version\":{version}}}}}");
    let dbcop = |events: [String; 2]| {
        let transaction = |event: &String| format!("[{{\"events\":[{event}],\"committed\":true}}]");
        format!("[{}]", events.each_ref().map(transaction).join(","))
    };
    for (first, written) in [
        ("r(0,0,0,0)\nw(0,1,1,1)".to_owned(), "r(0,0,0,0)\nw(0,0,1,1)".to_owned()),
        ("r 0 0\n=====\nw 0 1".to_owned(), "r 0 0\n=====\nw 0 0".to_owned()),
        ("[x==0]\n---\n[x:=1]".to_owned(), "[x==0]\n---\n[x:=0]".to_owned()),
        (dbcop([event("Read", 0), event("Write", 1)]), dbcop([event("Read", 0), event("Write", 0)])),
    ] {
        for text in [first, written] {
            let (code, told) = verdict_of(&text, &["--model", "causal-consistency"]);
            assert_eq!(code, 0, "{text}: {told}");
        }
    }
    // Who has written does not find nothing.
    for text in ["w(0,1,0,0)\nr(0,0,0,1)", "w 0 1\n-----\nr 0 0", "[x:=1] [x==0]"] {
        let (code, told) = verdict_of(text, &["--model", "causal-consistency"]);
        assert_eq!(code, 1, "{text}: {told}");
    }
}
