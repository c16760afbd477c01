//! What users hand in, from outside: files of every kind, good, strange and hostile. Only the `fuzz` program is run, within
//! bounds of memory and time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Address space of a command in kilobytes: whatever is handed in, no more is needed.
const MEMORY_KB: u64 = 1_500_000;

/// Runs `fuzz` with these variables and nothing else that Compose would read.
fn fuzz_with(dir: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    let script = format!("ulimit -v {MEMORY_KB}; exec timeout 60 \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_fuzz")]).args(arguments).current_dir(dir);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn fuzz(dir: &Path, arguments: &[&str]) -> Output {
    fuzz_with(dir, &[], arguments)
}

/// Without bounds on memory: a sandbox maps more than it uses.
fn unbounded(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command
        .env("PATH", "/usr/bin:/bin")
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A command that is refused: exit code 2, one message, nothing on standard output.
fn refused(dir: &Path, arguments: &[&str]) -> String {
    let output = fuzz(dir, arguments);
    let told = text(&output.stderr);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(2), String::new()),
        "{arguments:?}: {told}"
    );
    assert!(told.starts_with("fuzz: "), "{told}");
    told
}

/// A manifest of one node that is a shell, with these lines at its end; `from` is replaced by `to`.
fn manifest(from: &str, to: &str, more: &str) -> String {
    let text = "version = 1\nname = \"toy\"\nnodes = 2\n[build]\nbinary = \"sh\"\n[node]\ncommand = [\"{bin}\", \"-c\", \"exit 7\"]\n\
                [client.kv-http]\nport = 8000\n";
    assert!(text.contains(from), "{from}");
    format!("{}{more}", text.replacen(from, to, 1))
}

/// What `--check` and `run` say of a manifest which neither takes; both say it in the same words.
fn refused_manifest(dir: &Path, content: &str) -> String {
    std::fs::write(dir.join("target.toml"), content).unwrap();
    let checked = refused(dir, &["targets", "--check", "target.toml"]);
    let run = unbounded(
        dir,
        &["run", "--target", "./target.toml", "--executions", "1", "--cores", "1", "--out", "out"],
    );
    let told = text(&run.stderr);
    assert_eq!(run.status.code(), Some(2), "{told}");
    let cause = checked.trim_start_matches("fuzz: ").trim_end();
    assert!(told.contains(cause), "check: {cause}\nrun: {told}");
    checked
}

/// A Compose file that is refused; its directory is empty afterwards.
fn refused_compose(content: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.yml"), content).unwrap();
    let told = refused(dir.path(), &["init", "x", "--compose", "c.yml"]);
    assert!(!dir.path().join("x").exists());
    told
}

/// The manifest that is made of a Compose file, and what is told beside.
fn made(dir: &Path, environment: &[(&str, &str)], more: &[&str]) -> (String, String) {
    let _ = std::fs::remove_dir_all(dir.join("x"));
    let arguments = [&["init", "x", "--compose", "c.yml"][..], more].concat();
    let output = fuzz_with(dir, environment, &arguments);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let manifest = std::fs::read_to_string(dir.join("x/target.toml")).unwrap();
    (manifest, told)
}

#[test]
fn compose_files_that_could_grow_without_end_are_refused() {
    // An empty service name once made the search for host names turn in circles.
    let told = refused_compose("services:\n : command: s /");
    assert!(told.contains("c.yml: line 2, column 4: `` is no name of a service"), "{told}");
    let merges: String =
        (1..3000).map(|n| format!("m{n}: &m{n} {{<<: [*m{0}, *m{0}, *m{0}], k{n}: 1}}\n", n - 1)).collect();
    let tower: String = (1..20_000).map(|n| format!("- &a{n} [*a{}]\n", n - 1)).collect();
    let service = |fields: &str| format!("services:\n  s:\n    image: x\n    {fields}\n");
    for (content, expected) in [
        (
            format!("m0: &m0 {{a: 1}}\n{merges}services: *m0\n"),
            "`<<` merges more than 100000 fields into maps",
        ),
        (format!("- &a0 []\n{tower}"), "lists and maps lie more than 64 deep"),
        ("[".repeat(200_000), "line 1, column 256: recursion limit exceeded"),
        ("- ".repeat(200_000), "lists and maps lie more than 64 deep"),
        (format!("a: [{}", "a,".repeat(300_000)), "a text of more than 200000 parts is not read"),
        ("#".repeat(2 << 20), "it is 2097152 bytes long, and at most 1048576 are read"),
        (
            service(&format!("command: '{}'", "${A:-".repeat(100_000))),
            "`${A:-${A:-${A:-${A:-$` is not closed",
        ),
        (
            service(&format!("command: '{}{}'", "${A:-".repeat(9_000), "}".repeat(9_000))),
            "line 4, column 14: defaults of variables lie more than 32 deep",
        ),
        (
            service("ports: ['1-65535']"),
            "line 4, column 13: a service of more than 256 ports cannot be carried over",
        ),
        (service("scale: 99999999999"), "line 4, column 12: `99999999999` is no number of copies"),
        (service("extends: s"), "`s` extends itself, or more than 16 services"),
        (service("command: \"a 'b\""), "line 4, column 14: the quote ' is never closed in `a 'b`"),
    ] {
        let told = refused_compose(&content);
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn no_manifest_is_made_without_a_program() {
    for (fields, expected) in [
        (
            "image: ${IMAGE}",
            "line 3, column 12: `` is no name of an image (variables that are not set: IMAGE)",
        ),
        ("image: registry/:1", "`registry/:1` is no name of an image"),
        ("command: x", "`s` has neither `image` nor `build`"),
        (
            "image: x\n    command: ['$CMD']",
            "the first word of a command line is empty (variables that are not set: CMD)",
        ),
        ("image: x\n    command: 'x {id}'", "`{id}` cannot be carried over"),
    ] {
        let told = refused_compose(&format!("services:\n  s:\n    {fields}\n"));
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn compose_files_that_are_no_plain_files_are_refused_by_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
    for (file, expected) in [
        ("pipe", "cannot read pipe: it is a named pipe, and no plain file"),
        ("/dev/zero", "cannot read /dev/zero: it is a character device, and no plain file"),
        (".", "cannot read .: it is a directory, and no plain file"),
        ("dangling", "cannot read dangling: it is a link to nowhere, which is not there"),
    ] {
        let told = refused(dir.path(), &["init", "x", "--compose", file]);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn variables_come_from_the_environment_and_then_from_env_files() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let content = "services:\n  s:\n    image: shop:${TAG:-1}\n    container_name: \"${N1}\"\n    \
                   command: shop --a $A --b ${B-b} --c '${C:?say it}' --d $$D --e x${E}y / s:80\n    \
                   environment: [A, PASSED, NOT_SET]\n    env_file: more.env\n";
    std::fs::write(at("c.yml"), content).unwrap();
    std::fs::write(at("more.env"), "MORE=\"of $A\"\n").unwrap();
    let told = refused(dir.path(), &["init", "x", "--compose", "c.yml"]);
    assert!(
        told.contains(
            "c.yml: line 5, column 14: the variable C must be set, in the environment or in .env: say it"
        ),
        "{told}"
    );
    std::fs::write(at(".env"), "# of the shop\nA='from file'\nexport C=c # comment\nPASSED=file\n").unwrap();
    let (manifest, told) = made(dir.path(), &[("PASSED", "environment")], &[]);
    for part in [
        r#""--a", "from", "file", "--b", "b", "--c", "c", "--d", "$D", "--e", "xy", "/", "{ip}:80"]"#,
        r#"env = { "A" = "from file", "PASSED" = "environment", "MORE" = "of from file" }"#,
        "image = \"shop:1\"",
    ] {
        assert!(manifest.contains(part), "{part} in\n{manifest}");
    }
    assert!(told.contains("neither in the environment nor in .env are empty: E, N1"), "{told}");
    assert!(told.contains("NOT_SET of `s` is left out: it is to come from the environment"), "{told}");
    let told = text(&fuzz(dir.path(), &["init", "x2", "--compose", "c.yml"]).stderr);
    assert!(
        told.contains("the program shop is not on this machine: nodes can only run with --launcher docker"),
        "{told}"
    );
    std::fs::write(at("other.env"), "A=other\nC=c\nTAG=2\n").unwrap();
    let (manifest, _) = made(dir.path(), &[("A", "mine")], &["--env-file", "other.env"]);
    assert!(manifest.contains(r#""--a", "mine""#) && manifest.contains("image = \"shop:2\""), "{manifest}");
    std::fs::write(at(".env"), "A=1\nB='2\n").unwrap();
    let told = refused(dir.path(), &["init", "y", "--compose", "c.yml"]);
    assert!(told.contains(".env: line 2, column 3: the quote ' is never closed"), "{told}");
    let told = refused(dir.path(), &["init", "y", "--compose", "c.yml", "--env-file", "none.env"]);
    assert!(told.contains("cannot read none.env"), "{told}");
}

#[test]
fn schedules_and_findings_have_limits_before_they_are_parsed() {
    let dir = tempfile::tempdir().unwrap();
    let head = "version = 1\ntarget = \"toy\"\nnodes = 1\nseed = 7\nhorizon_ms = 3000\n[workload]\nclients = 2\nrate = 10\nkeys = 2\n";
    let step = "[[step]]\nwhen = { at_ms = 1 }\nfault = { kind = \"power-loss\", node = \"n1\", loss = \"torn\", down_ms = 10 }\n";
    let file = dir.path().join("schedule.toml");
    std::fs::write(&file, format!("{head}{}", step.repeat(300_000))).unwrap();
    let told = refused(dir.path(), &["replay", "schedule.toml"]);
    assert!(
        told.contains("schedule.toml: it is 31200106 bytes long, and at most 1048576 are read"),
        "{told}"
    );
    std::fs::write(&file, format!("{head}{}", step.repeat(2_000))).unwrap();
    let told = refused(dir.path(), &["replay", "schedule.toml"]);
    assert!(told.contains("2000 steps are over the limit of 1024"), "{told}");
    for name in ["../toy", "/etc", ".", "toy/", "Toy"] {
        std::fs::write(&file, head.replace("\"toy\"", &format!("{name:?}"))).unwrap();
        let told = refused(dir.path(), &["replay", "schedule.toml"]);
        assert!(told.contains(&format!("target: `{name}` is no name of a target")), "{told}");
    }
    let told = refused(dir.path(), &["replay", "/dev/zero"]);
    assert!(told.contains("/dev/zero: it is a character device; pass the directory of a finding"), "{told}");
    std::fs::write(&file, head).unwrap();
    for name in ["hash.txt", "environment.toml", "verdict.json"] {
        std::fs::write(dir.path().join(name), "x".repeat(1025)).unwrap();
    }
    std::fs::remove_file(dir.path().join("verdict.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path().join("verdict.json")).unwrap();
    let told = refused(dir.path(), &["replay", "."]);
    assert!(told.contains("verdict.json: it is a character device, and no plain file"), "{told}");
}

/// What somebody has is not taken for what a run may be written over.
#[test]
fn nothing_is_lost_where_runs_and_histories_are_to_go() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let schedule = "version = 1\ntarget = \"toy\"\nnodes = 1\nseed = 7\nhorizon_ms = 3000\n[workload]\nclients = 2\nrate = 10\nkeys = 2\n";
    std::fs::write(at("schedule.toml"), schedule).unwrap();
    std::fs::create_dir(at("thesis")).unwrap();
    std::fs::write(at("thesis/chapter"), "precious").unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("thesis", at("link")).unwrap();
    for (name, why) in [
        ("thesis", "it is there already, and holds no run that was kept"),
        (".", "does not end in a name"),
        ("schedule.toml", "it is there already, and no directory"),
        ("pipe", "it is there already, and no directory"),
        ("link", "it is there already, and no directory"),
    ] {
        let told = refused(dir.path(), &["replay", "schedule.toml", "--keep", name]);
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(std::fs::read_to_string(at("thesis/chapter")).unwrap(), "precious");

    // Half a history is none, and takes no place.
    std::fs::write(at("bad.edn"), "{:process 0, :type :invoke, :f :read}\n{:process").unwrap();
    std::fs::write(at("mine.json"), "precious").unwrap();
    let told = refused(dir.path(), &["history", "convert", "bad.edn", "--to", "json", "--out", "mine.json"]);
    assert!(told.contains("line 2"), "{told}");
    assert_eq!(std::fs::read_to_string(at("mine.json")).unwrap(), "precious");
    let left = std::fs::read_dir(dir.path()).unwrap().flatten();
    assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count(), 0);
}

#[test]
fn devices_are_no_histories() {
    let dir = tempfile::tempdir().unwrap();
    for device in ["/dev/zero", "/dev/ptmx"] {
        let told = refused(dir.path(), &["check", device]);
        assert!(told.contains(&format!("{device} is a character device, and no history")), "{told}");
        let told = refused(dir.path(), &["history", "convert", device, "--to", "json"]);
        assert!(told.contains("a character device"), "{told}");
    }
}

#[test]
fn files_of_a_program_are_placed_as_those_of_nodes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f"), "x").unwrap();
    nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (files, told) in [
        (&["/dev/zero=x"][..], "cannot place /dev/zero: it is a character device, and no plain file"),
        (&["pipe=x"], "cannot place pipe: it is a named pipe, and no plain file"),
        (&["f=a/b", "f=a"], "a/b lies below a, which is a file"),
        (&["f=a", "f=a"], "two files have the path a on one node"),
    ] {
        let mut arguments = vec!["exec"];
        files.iter().for_each(|file| arguments.extend(["--file", file]));
        arguments.extend(["--", "true"]);
        let refusal = refused(dir.path(), &arguments);
        assert!(refusal.contains(told), "{refusal}");
    }
}

#[test]
fn what_cannot_be_placed_is_refused_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("plain"), "x").unwrap();
    std::fs::create_dir_all(at("empty")).unwrap();
    std::fs::create_dir_all(at("tree/in")).unwrap();
    std::fs::write(at("tree/in/x"), "x").unwrap();
    std::fs::create_dir_all(at("loop/in")).unwrap();
    std::os::unix::fs::symlink("..", at("loop/in/back")).unwrap();
    std::fs::create_dir_all(at("mixed")).unwrap();
    nix::unistd::mkfifo(&at("mixed/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    std::os::unix::fs::symlink("gone", at("dangling")).unwrap();
    std::fs::File::create(at("large")).unwrap().set_len(3 << 30).unwrap();
    let file = |lines: &str| manifest("", "", &format!("[[node.file]]\n{lines}\n"));
    let two = |first: &str, second: &str| file(&format!("{first}\n[[node.file]]\n{second}"));
    let long = "a".repeat(256);
    for (content, expected) in [
        (file("path = \"p\"\nfrom = \"none\""), "none, which nodes find at their start"),
        (file("path = \"p\"\nfrom = \"empty\""), "there is no file in the directory"),
        (
            file("path = \"p\"\nfrom = \"/dev/zero\""),
            "/dev/zero, which nodes find at their start (`fuzz doctor --target toy` says what brings it): it is a character device, and no plain file",
        ),
        (
            file("path = \"p\"\nfrom = \"mixed\""),
            "mixed/pipe, which nodes find at their start (`fuzz doctor --target toy` says what brings it): it is a named pipe, and no plain file",
        ),
        (file("path = \"p\"\nfrom = \"socket\""), "it is a socket, and no plain file"),
        (file("path = \"p\"\nfrom = \"dangling\""), "it is a link to gone, which is not there"),
        (file("path = \"p\"\nfrom = \"loop\""), "does a link lead back?"),
        (
            file("path = \"p\"\nfrom = \"large\""),
            "it is 3221225472 bytes long, and at most 67108864 are read",
        ),
        (file("path = \"p\"\nfrom = \"\""), "[[node.file]] p: from is empty"),
        (file("path = \"\"\ntext = \"\""), "[[node.file]] path `` must lie in the data directory"),
        (
            file("path = \"/etc/x\"\ntext = \"\""),
            "[[node.file]] path `/etc/x` must lie in the data directory",
        ),
        (
            file("path = \"a/../../x\"\ntext = \"\""),
            "[[node.file]] path `a/../../x` must lie in the data directory",
        ),
        (file("path = \"a\\u0000b\"\ntext = \"\""), "[[node.file]] path `a\\0b` holds the character NUL"),
        (file(&format!("path = \"{long}\"\ntext = \"\"")), "1024 bytes are possible, and 255 in each part"),
        (
            file(&format!("path = \"{}x\"\ntext = \"\"", "abc/".repeat(300))),
            "1024 bytes are possible, and 255 in each part",
        ),
        (file("path = \"p\"\ntext = \"\"\nnodes = []"), "[[node.file]] p: nodes is empty"),
        (file("path = \"p\"\ntext = \"\"\nnodes = [3]"), "[[node.file]] p: nodes are numbered from 1 to 2"),
        (
            two("path = \"p\"\ntext = \"\"", "path = \"p/\"\ntext = \"\""),
            "[[node.file]] two files have the path p on one node",
        ),
        (
            two("path = \"a/b/c\"\ntext = \"\"", "path = \"a\"\ntext = \"\""),
            "[[node.file]] a/b/c lies below a, which is a file",
        ),
        (
            two("path = \"t\"\nfrom = \"tree\"", "path = \"t/in/x\"\ntext = \"\"\nnodes = [2]"),
            "[[node.file]] two files have the path t/in/x on one node",
        ),
    ] {
        let told = refused_manifest(dir.path(), &content);
        assert!(told.contains(expected), "{expected}: {told}");
    }
    // The same path on different nodes, a whole directory and a link to a file are all in order.
    std::os::unix::fs::symlink("plain", at("link")).unwrap();
    let good =
        two("path = \"p\"\nfrom = \"link\"\nnodes = [1]", "path = \"p\"\nfrom = \"tree\"\nnodes = [2]");
    std::fs::write(at("target.toml"), good).unwrap();
    let checked = fuzz(dir.path(), &["targets", "--check", "target.toml"]);
    assert_eq!(text(&checked.stdout), "target.toml: target `toy` can be used\n", "{}", text(&checked.stderr));
}

#[test]
fn commands_that_cannot_be_run_are_refused_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("no-program"), "x").unwrap();
    let command = "[\"{bin}\", \"-c\", \"exit 7\"]";
    let exec = "[client.kv-http]\nport = 8000\n";
    let client = |lines: &str| {
        let table = format!(
            "[client.exec]\noperations = [\"read\", \"write\"]\n{lines}\n[[port]]\nport = 1\ndissector = \"http\"\n"
        );
        manifest(exec, &table, "")
    };
    let long = "x".repeat(200_000);
    for (content, expected) in [
        (manifest("\"sh\"", "\"\"", ""), "[build] binary is empty"),
        (manifest("\"sh\"", "\"./none\"", ""), "cannot read the binary `./none` of toy"),
        (manifest("\"sh\"", "\"/tmp\"", ""), "it is a directory, and no plain file"),
        (manifest("\"sh\"", "\"./no-program\"", ""), "is it executable?"),
        (manifest(command, "[]", ""), "[node] command is empty"),
        (manifest(command, "[\"\"]", ""), "[node] `` names no program"),
        (manifest(command, "[\"{id}\"]", ""), "[node] `{id}` names no program"),
        (manifest(command, "[\"no-such-shell\"]", ""), "[node] the program `no-such-shell` is not in PATH"),
        (manifest(command, "[\"/no/such\"]", ""), "[node] /no/such: No such file or directory"),
        (manifest(command, "[\"{data}/run\"]", ""), "[node] no file is placed at `run` on every node"),
        (
            manifest(command, "[\"{bin}\", \"a\\u0000\"]", ""),
            "[node] a word of the command `a\\0` holds the character NUL",
        ),
        (
            manifest(command, "[\"{bin}\", \"{ip:3}\"]", ""),
            "[node] `{ip:3}`: {ip:3} is no node; nodes are numbered from 1 to 2",
        ),
        (
            manifest(command, &format!("[\"{{bin}}\", \"{long}\"]"), ""),
            "[node] a word of the command may have 200001 bytes; a program can be given 131071",
        ),
        (manifest("[client", "beside = [[]]\n[client", ""), "[node] beside holds an empty command"),
        (
            manifest("[client", "beside = [[\"no-such\"]]\n[client", ""),
            "[node] the program `no-such` is not in PATH",
        ),
        (
            manifest("[client", "env = { \"A=B\" = \"\" }\n[client", ""),
            "[node] env: `A=B` is no name of a variable",
        ),
        (
            client("command = [\"no-such-client\"]"),
            "[client.exec] the program `no-such-client` is not in PATH",
        ),
        (client("command = [\"{data}/c.py\"]"), "[client.exec] no file is placed at `c.py`"),
        (manifest("port = 8000", "port = 0", ""), "[client] port is 0"),
        (manifest("", "", "[[port]]\nport = 1\ndissector = \"htpp\"\n"), "[[port]] 1: "),
        (manifest("", "", "[[ready]]\nport = 0\n"), "[[ready]] port is 0"),
        (
            manifest("", "", "[[ready]]\nport = 1\nhttp = \"/\"\nstatus = 9999\n"),
            "[[ready]] status = 9999 is no status of HTTP",
        ),
        (manifest("[node]", "[node]\nexits = [0, 999]", ""), "[node] exits has 999; a program ends with"),
        (manifest("[node]", "[node]\nexits = [-1]", ""), "[node] exits has -1; a program ends with"),
        (
            manifest("", "", "[oracles]\noff = [\"asserton\"]\n"),
            "[oracles] off holds `asserton`: did you mean `assertion`?",
        ),
        (manifest("name = \"toy\"", &format!("name = \"{}\"", "a".repeat(65)), ""), "a name has at most 64"),
        (manifest("name = \"toy\"", "name = \"..\"", ""), "name `..` cannot be one"),
    ] {
        let told = refused_manifest(dir.path(), &content);
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let told = refused_manifest(
        dir.path(),
        &client("command = [\"sh\"]").replace("[[port]]\nport = 1\ndissector = \"http\"\n", ""),
    );
    assert!(told.contains("there is neither a [[ready]] nor a port of clients nor a [[port]]"), "{told}");
    let built = manifest("[build]", "[build]\ncommand = [\"no-such-make\"]", "");
    std::fs::write(dir.path().join("target.toml"), built.replace("\"sh\"", "\"./out\"")).unwrap();
    let told = refused(dir.path(), &["targets", "--check", "target.toml"]);
    assert!(told.contains("[build] command: the program `no-such-make` is not in PATH"), "{told}");
}

#[test]
fn what_is_missing_in_a_file_is_told_with_its_table() {
    let dir = tempfile::tempdir().unwrap();
    for (content, expected) in [
        (manifest("[node]\n", "", ""), "target.toml: the table [node] is missing"),
        (
            manifest("command = [\"{bin}\", \"-c\", \"exit 7\"]\n", "", ""),
            "line 6, column 1\n  |\n6 | [node]\n  | ^^^^^^\n[node] lacks `command`",
        ),
        (manifest("[client.kv-http]\nport = 8000\n", "", ""), "target.toml: the table [client] is missing"),
        (manifest("port = 8000\n", "", ""), "[client.kv-http] lacks `port`"),
        (manifest("nodes = 2\n", "", ""), "`nodes` is missing; write it at the top, before the first table"),
        (manifest("", "", "[workload]\n"), "[workload] lacks `families`"),
        (manifest("", "", "[[ready]]\nhttp = \"/\"\n"), "[[ready]] lacks `port`"),
    ] {
        std::fs::write(dir.path().join("target.toml"), content).unwrap();
        let told = refused(dir.path(), &["targets", "--check", "target.toml"]);
        assert!(told.contains(expected), "{expected}: {told}");
    }
    std::fs::write(
        dir.path().join("s.toml"),
        "version = 1\ntarget = \"toy\"\nnodes = 1\nseed = 7\nhorizon_ms = 3000\n",
    )
    .unwrap();
    let told = refused(dir.path(), &["replay", "s.toml"]);
    assert!(told.contains("s.toml: the table [workload] is missing"), "{told}");
}

/// A manifest of a server in Python that accepts and answers nothing, with a client in Python that can do nothing.
fn write_server(dir: &Path) -> String {
    let server = "import socket,sys\ns=socket.socket()\ns.bind((sys.argv[1],7000))\ns.listen(9)\nwhile True:\n  c,_=s.accept()\n  c.close()\n";
    let client = "import json,sys\nfor l in sys.stdin:\n  print(json.dumps({'id':json.loads(l)['id'],'type':'fail'}),flush=True)\n";
    let content = "version = 1\nname = \"toy\"\nnodes = 1\n[build]\nbinary = \"/usr/bin/python3\"\n[node]\ncommand = [\"{bin}\", \"-I\", \"-S\", \
         \"{data}/s.py\", \"{ip}\"]\n[[node.file]]\npath = \"s.py\"\n[[port]]\nport = 7000\ndissector = \"shape\"\n[client.exec]\n\
         command = [\"python3\", \"-I\", \"-S\", \"{data}/c.py\"]\noperations = [\"read\", \"write\"]\n[[client.exec.file]]\npath = \"c.py\"\n[oracles]\noff = [\"liveness\"]\n"
        .to_owned();
    std::fs::write(dir.join("target.toml"), &content).unwrap();
    std::fs::write(dir.join("s.py"), server).unwrap();
    std::fs::write(dir.join("c.py"), client).unwrap();
    content
}

#[test]
fn a_campaign_that_has_lost_its_state_says_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    write_server(dir.path());
    let run = || {
        let words = "run --target ./target.toml --executions 1 --cores 1 --seed 1 --horizon 400ms --shrink 0 --out out";
        let output = unbounded(dir.path(), &words.split(' ').collect::<Vec<_>>());
        text(&output.stderr)
    };
    let (first, second) = (run(), run());
    assert!(!first.contains("begins anew") && !second.contains("begins anew"), "{first}{second}");
    let state = dir.path().join("out/campaign.state");
    std::fs::remove_file(&state).unwrap();
    let told = run();
    assert!(told.contains("the campaign begins anew, for campaign.state is gone"), "{told}");
    assert!(told.contains("schedules of the corpus are run again first"), "{told}");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    let told = run();
    assert!(told.contains("campaign.state is damaged (the frame is cut short)"), "{told}");
    std::fs::remove_file(dir.path().join("out/campaign.toml")).unwrap();
    let told = run();
    assert!(
        told.contains(
            "campaign.toml does not describe a campaign: it is gone, though campaign.state is there"
        ),
        "{told}"
    );
}

#[test]
fn a_cluster_without_a_question_is_ready_when_its_port_accepts_and_clients_are_found_in_path() {
    let dir = tempfile::tempdir().unwrap();
    let content = write_server(dir.path());
    let checked = unbounded(dir.path(), &["targets", "--check", "target.toml"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    let schedule = "version = 1\ntarget = \"toy\"\nnodes = 1\nseed = 7\nhorizon_ms = 500\n[workload]\nclients = 1\nrate = 10\nkeys = 1\n";
    std::fs::write(dir.path().join("s.toml"), schedule).unwrap();
    let replay = |content: &str| {
        std::fs::write(dir.path().join("target.toml"), content).unwrap();
        unbounded(dir.path(), &["replay", "s.toml", "--target", "./target.toml"])
    };
    let output = replay(&content);
    let told = text(&output.stderr);
    assert!(
        output.status.code() != Some(2) && !told.contains("cannot run the target"),
        "{told}{}",
        text(&output.stdout)
    );
    let output = replay(&content.replace("port = 7000", "port = 7001"));
    let told = text(&output.stderr);
    assert!(told.contains("a connection to port 7001: connection refused"), "{told}");
}
