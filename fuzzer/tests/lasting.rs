//! Findings last: they are replayed from everywhere, without the target's own directory too, and say which of the files
//! that they were made with is another one now.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Stdio};

const PYTHON: &str = "/usr/bin/python3";

const TARGET: &str = r#"
version = 1
name = "lasting"
nodes = 1
[build]
binary = "/usr/bin/python3"
[node]
command = ["{bin}", "-I", "-S", "{data}/server.py", "{ip}", "8000", "{data}", "lost"]
[[node.file]]
path = "server.py"
[[ready]]
http = "/health"
port = 8000
[client.exec]
command = ["/usr/bin/python3", "-I", "-S", "{data}/client.py"]
operations = ["add", "elements"]
[[client.exec.file]]
path = "client.py"
[workload]
families = ["set"]
[oracles]
fresh = false
recovery_ms = 2000
"#;

const CLIENT: &str = r#"
import http.client, json, sys
for line in sys.stdin:
    operation = json.loads(line)
    try:
        connection = http.client.HTTPConnection(operation["node"], 8000, timeout=0.5)
        if operation["f"] == "add":
            connection.request("POST", f"/s/{operation['key']}", json.dumps({"value": operation["value"]}))
        else:
            connection.request("GET", f"/s/{operation['key']}")
        response = connection.getresponse()
        body = json.loads(response.read())
        answer = {"type": "ok", "value": body.get("elements")} if response.status == 200 else {"type": "info"}
    except (OSError, http.client.HTTPException) as error:
        answer = {"type": "info" if operation["f"] == "add" else "fail", "error": str(error)}
    print(json.dumps({"id": operation["id"], **answer}), flush=True)
"#;

const SCHEDULE: &str = "version = 1\ntarget = \"lasting\"\nbugs = []\nnodes = 1\nseed = 7\nhorizon_ms = 1000\n\
                        [workload]\nclients = 2\nrate = 40\nkeys = 1\n";

/// Exit code and all output.
fn fuzz(dir: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    let output = command
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("FUZZ_LOG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code(), text)
}

#[test]
fn a_finding_outlives_its_place_and_names_what_changed() {
    if !Path::new(PYTHON).exists() {
        eprintln!("skipped: there is no {PYTHON}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("my target");
    std::fs::create_dir(&home).unwrap();
    let put = |name: &str, text: &str| std::fs::write(home.join(name), text).unwrap();
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/server.py");
    let server = std::fs::read_to_string(server).unwrap();
    for (name, text) in
        [("target.toml", TARGET), ("server.py", &server), ("client.py", CLIENT), ("schedule.toml", SCHEDULE)]
    {
        put(name, text);
    }
    let found =
        fuzz(&home, &["replay", "schedule.toml", "--target", "./target.toml", "--keep", "it's found"]);
    assert_eq!(found.0, Some(1), "{}", found.1);

    // The command that README and schedule name is one of a shell, and right from everywhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let finding = home.join("it's found");
    let readme = std::fs::read_to_string(finding.join("README.md")).unwrap();
    let command = readme.lines().find_map(|line| line.strip_prefix("    fuzz ")).unwrap();
    let schedule = std::fs::read_to_string(finding.join("schedule.toml")).unwrap();
    assert!(schedule.contains(&format!("# replay, from everywhere: fuzz {command}\n")), "{schedule}");
    let typed = format!("'{}' {command} --times 2", env!("CARGO_BIN_EXE_fuzz"));
    let again = Command::new("sh").args(["-c", &typed]).current_dir(elsewhere.path()).output().unwrap();
    let text = String::from_utf8(again.stdout).unwrap();
    assert_eq!(again.status.code(), Some(1), "{text}");
    assert!(text.contains("reproduced: the same run, bit for bit"), "{text}");
    assert!(text.contains("2 of 2 runs are the same, bit for bit"), "{text}");

    // What nodes and clients are given must be what it was.
    let path = finding.to_str().unwrap();
    let refused = |part: &str| {
        let (code, text) = fuzz(elsewhere.path(), &["replay", path]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(part) && text.contains("--allow-changed"), "{text}");
    };
    put("client.py", &format!("{CLIENT}# more\n"));
    refused("file client.py of clients changed");
    let (code, text) = fuzz(elsewhere.path(), &["replay", path, "--allow-changed"]);
    assert_eq!(code, Some(1), "{text}");
    put("client.py", CLIENT);
    put("server.py", &format!("{server}# more\n"));
    refused("file server.py of nodes changed");
    put("server.py", &server);
    put("target.toml", &TARGET.replace("recovery_ms = 2000", "recovery_ms = 3000"));
    refused("the manifest changed");
    put("target.toml", &format!("# a comment changes nothing\n{TARGET}"));
    let (code, text) = fuzz(elsewhere.path(), &["replay", path]);
    assert_eq!((code, text.contains("reproduced: ")), (Some(1), true), "{text}");

    // A schedule of a campaign is one of its target, wherever that is.
    let corpus = home.join("out/corpus");
    std::fs::create_dir_all(&corpus).unwrap();
    std::fs::write(corpus.join("0123.toml"), SCHEDULE).unwrap();
    std::fs::copy(finding.join("environment.toml"), home.join("out/environment.toml")).unwrap();
    for (dir, name) in [(home.as_path(), "out/corpus/0123.toml"), (&corpus, "0123.toml")] {
        let (code, text) = fuzz(dir, &["replay", name]);
        assert_eq!(code, Some(1), "{text}");
    }

    // Without the target, and somewhere else.
    let moved = elsewhere.path().join("moved");
    std::fs::rename(&finding, &moved).unwrap();
    std::fs::remove_dir_all(&home).unwrap();
    let (code, text) = fuzz(&moved, &["replay", "."]);
    assert_eq!((code, text.contains("reproduced: ")), (Some(1), true), "{text}");
    assert!(
        text.contains("my target/target.toml is gone; taking ") && text.contains("target/target.toml\n"),
        "{text}"
    );
}
