//! Manifests: text in, text out.

use super::*;
use insta::assert_snapshot;
use std::os::unix::fs::PermissionsExt;

const GOOD: &str = r#"
version = 1
name = "toy"
about = "three nodes that agree"
nodes = 3
[build]
command = ["make"]
binary = "out/toy"
[node]
command = ["{bin}", "--id", "{id}", "--listen", "{ip}:7000", "--peers", "{peers}", "--data", "{data}", "--bug={bug}"]
peer = "{id}={ip}:7000"
env = { NODES = "{nodes}" }
[[port]]
port = 7000
dissector = "frame32-json:type"
[[ready]]
http = "/status"
port = 8000
[client.kv-http]
port = 8000
[faults]
max_down = 3
[sets]
demo = ["stale-read"]
deep = ["lost-write", "stale-read"]
[[bug]]
name = "stale-read"
story = "answers from memory"
[[bug]]
name = "lost-write"
story = "acknowledges before fsync"
level = 2
"#;

fn good() -> Manifest {
    Manifest::parse(GOOD, "target.toml").unwrap()
}

fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    Manifest::parse(&GOOD.replacen(from, to, 1), "target.toml").unwrap_err().to_string()
}

#[test]
fn a_node_command_is_filled_in() {
    let ips = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
    let bugs = [];
    let place = Place { bin: "/bin/toy", id: 2, ips: &ips, data: "/data", bugs: &bugs };
    assert_snapshot!(good().words(&good().node.command, &place).join(" "), @"/bin/toy --id 2 --listen 10.0.0.2:7000 --peers 1=10.0.0.1:7000,2=10.0.0.2:7000 --data /data --bug=none");
    assert_eq!(good().env_of(&good().node.env, &place)["NODES"], "2");
    let bugs = ["a".to_owned(), "b".to_owned()];
    assert_eq!(good().words(&good().node.command, &Place { bugs: &bugs, ..place })[9], "--bug=a,b");
}

#[test]
fn bugs_are_named_one_by_one_or_in_sets() {
    let named = |words: &[&str]| good().bugs_named(words).map_err(|e| e.to_string());
    assert_eq!(named(&["none"]), Ok(vec![]));
    assert_eq!(named(&["deep"]), Ok(vec!["stale-read".into(), "lost-write".into()]));
    assert_eq!(named(&["lost-write,stale-read", "demo"]), Ok(vec!["stale-read".into(), "lost-write".into()]));
    assert_snapshot!(named(&["stale-raed"]).unwrap_err(), @"target `toy` has no bug or set `stale-raed`: did you mean `stale-read`?");
    assert_eq!(good().bugs_by_default(), ["stale-read"]);
}

#[test]
fn malformed_text_is_refused_with_line_and_column() {
    assert_snapshot!(refusal("max_down = 3", "max_dwon = 3"), @r"
    target.toml: TOML parse error at line 22, column 1
       |
    22 | max_dwon = 3
       | ^^^^^^^^
    unknown field `max_dwon`, expected one of `max_down`, `without`, `atomic_write`
    ");
    let refusal = refusal("nodes = 3", "nodes = three");
    assert!(refusal.starts_with("target.toml: TOML parse error at line 5, column 9"), "{refusal}");
}

#[test]
fn a_newer_version_is_refused_before_its_fields_are_read() {
    let newer = format!("wonder = true\n{}", GOOD.replacen("version = 1", "version = 2", 1));
    assert_snapshot!(Manifest::parse(&newer, "target.toml").unwrap_err().to_string(), @"target.toml: manifest version 2 is newer than this program reads (1); update fuzz");
}

#[test]
fn contradictions_are_refused_by_field() {
    let refusals = [
        refusal("name = \"toy\"", "name = \"Toy!\""),
        refusal("nodes = 3", "nodes = 0"),
        refusal("{data}", "{dta}"),
        refusal("{data}", "{data"),
        refusal("peer = \"{id}={ip}:7000\"", ""),
        refusal("max_down = 3", "max_down = 4"),
        refusal("max_down = 3", "atomic_write = 500"),
        refusal("\"/status\"", "\"status\""),
        refusal("demo = [\"stale-read\"]", "demo = [\"stale-reads\"]"),
        refusal("name = \"lost-write\"", "name = \"stale-read\""),
        refusal("[[ready]]", "[[port]]\nport = 7000\ndissector = \"resp\"\n[[ready]]"),
    ];
    assert_snapshot!(refusals.join("\n"), @r#"
    target.toml: name `Toy!` cannot be one: a name has at most 64 lower-case letters, digits, `-` and `.`, and begins with a letter or digit
    target.toml: nodes = 0 is out of range; 1 to 9 are possible
    target.toml: [node] `{dta}`: unknown placeholder {dta}: did you mean `data`?
    target.toml: [node] `{data`: the brace before `data` is not closed
    target.toml: [node] command holds {peers} but peer is not set; write peer = "{id}={ip}:PORT"
    target.toml: [faults] max_down is more than nodes = 3
    target.toml: [faults] atomic_write = 500 is no power of two up to 4096; drives write 512 or 4096 bytes whole
    target.toml: [[ready]] http = `status` must begin with `/` and have no blanks
    target.toml: [sets] demo names the bug `stale-reads`: did you mean `stale-read`?
    target.toml: [[bug]] name `stale-read` is empty, reserved, repeated or holds a comma
    target.toml: [[port]] 7000 is listed twice
    "#);
}

#[test]
fn protocols_questions_and_files_are_checked() {
    let client = "[client.kv-http]\nport = 8000";
    let resp = "[client.resp]\nport = 1\n[client.resp.ask]\nread = [\"GET\", \"{key}\"]";
    let http = "[client.http]\nport = 1\n[client.http.ask.read]\npath = \"kv\"";
    let file = |lines: &str| format!("[[node.file]]\n{lines}\n[[port]]");
    let refusals = [
        refusal(client, "[client]"),
        refusal(client, &format!("{client}\n{resp}")),
        refusal(client, resp),
        refusal(client, &resp.replace("{key}", "{kye}")),
        refusal(client, http),
        refusal(client, &format!("{client}\n[workload]\nfamilies = [\"set\"]")),
        refusal(client, &format!("{client}\n[oracles]\noff = [\"raf\"]")),
        refusal(client, &format!("{client}\n[oracles]\nknown = [\"stale\"]")),
        refusal("http = \"/status\"", "expect = [\"fine\"]"),
        refusal("http = \"/status\"", "command = []"),
        refusal("http = \"/status\"", "http = \"/\"\ncommand = [\"PING\"]"),
        refusal("[[ready]]\nhttp = \"/status\"\nport = 8000", "[[ready]]\nhttp = \"/status\"\nport = 0"),
        refusal("[[port]]", &file("path = \"../x\"\ntext = \"\"")),
        refusal("[[port]]", &file("path = \"x\"\ntext = \"\"\nfrom = \"y\"")),
        refusal("[[port]]", &file("path = \"x\"\ntext = \"\"\nnodes = [4]")),
    ];
    assert_snapshot!(refusals.join("\n"));
}

#[test]
fn questions_about_roles_are_checked() {
    let refused = |lines: &str| refusal("[[ready]]", &format!("[[status]]\n{lines}\n[[ready]]"));
    let refusals = [
        refused("port = 1\nrole = '/r'"),
        refused("http = '/'\ncommand = ['ROLE']\nport = 1\nrole = '/r'"),
        refused("http = '/'\nrole = '/r'"),
        refused("http = '/'\nport = 0\nrole = '/r'"),
        refused("http = 'x'\nport = 1\nrole = '/r'"),
        refused("http = '/'\nport = 1\nmethod = 'GET /'\nrole = '/r'"),
        refused("command = []\nport = 1\nrole = '/r'"),
        refused("command = ['X']\nport = 1\nbody = 'x'\nrole = '/r'"),
        refused("program = []\nrole = '/r'"),
        refused("program = ['{bin}', '{key}']\nrole = '/r'"),
        refused("program = ['{bin}']\nport = 1\nrole = '/r'"),
        refused("http = '/'\nport = 1"),
        refused("http = '/'\nport = 1\nrole = 'r'"),
        refused("http = '/'\nport = 1\nrole = '/r'\nterm = ['/t', 't']"),
        refused("http = '/'\nport = 1\nrole = '/r'\nleader = { at = '/l', is = '/i' }"),
        refused("http = '/'\nport = 1\nleader = { at = '/l', is = 'n{ID}{nod}' }"),
        refused("http = '/'\nport = 1\nrole = '/r'\nevery_ms = 1"),
    ];
    assert_snapshot!(refusals.join("\n"), @"
    target.toml: [[status]] asks by one of `http`, `command` and `program`; write one of them
    target.toml: [[status]] asks by one of `http`, `command` and `program`; write one of them
    target.toml: [[status]] has no port; write the one that nodes are asked at
    target.toml: [[status]] has no port; write the one that nodes are asked at
    target.toml: [[status]] http is no path; it begins with / and holds no spaces
    target.toml: [[status]] method is none; write GET or POST
    target.toml: [[status]] command is empty; write its name and arguments
    target.toml: [[status]] method and body belong to `http`
    target.toml: [[status]] program: `` names no program; write {bin}, a path, a name in PATH, or {data}/FILE
    target.toml: [[status]] program: `{key}`: unknown placeholder {key}: known: bin, id, ip, ips, peers, data, bug, nodes
    target.toml: [[status]] a program is asked at no port; leave it out
    target.toml: [[status]] does not say where the role is; write role or leader, or [[role]] with a line
    target.toml: [[status]] `r` is no place in an answer; write keys and positions, each after a `/`
    target.toml: [[status]] `t` is no place in an answer; write keys and positions, each after a `/`
    target.toml: [[status]] has both role and leader; write one
    target.toml: [[status]] leader: `n{ID}{nod}`: unknown placeholder {nod}: did you mean `id`?
    target.toml: [[status]] every_ms is out of range; 20 to 60000 are possible
    ");
}

#[test]
fn each_node_has_its_programs_and_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lib")).unwrap();
    std::fs::write(dir.path().join("lib/b"), "{ip}").unwrap();
    std::fs::write(dir.path().join("lib/a"), "a").unwrap();
    std::fs::set_permissions(dir.path().join("lib/a"), std::fs::Permissions::from_mode(0o744)).unwrap();
    let more = "beside = [[\"{bin}\", \"{ip:1}\"]]\n[[node.file]]\npath = \"conf\"\ntext = \"at {ip} {x}\"\n\
                nodes = [2]\n[[node.file]]\npath = \"lib\"\n[[port]]";
    let file = dir.path().join("target.toml");
    std::fs::write(&file, GOOD.replacen("[[port]]", more, 1)).unwrap();
    let target = Target::load(&file).unwrap();
    let ips = ["10.0.0.1".to_owned(), "10.0.0.2".to_owned()];
    let on = |id| Place { bin: "/bin/toy", id, ips: &ips, data: "/data", bugs: &[] };
    assert_eq!(target.manifest.words(&target.manifest.node.beside[0], &on(2)), ["/bin/toy", "10.0.0.1"]);
    let files = target.files().unwrap();
    let found = |id| -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let found = files.iter().filter_map(|file| {
            Some((file.path.display().to_string(), text(file.on(&target.manifest, &on(id))?)))
        });
        found.collect()
    };
    let executable: Vec<bool> = files.iter().map(|file| file.executable).collect();
    assert_eq!(executable, [false, true, false], "conf, lib/a, lib/b");
    let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    assert_eq!(found(1), [pair("lib/a", "a"), pair("lib/b", "{ip}")]);
    assert_eq!(found(2), [pair("conf", "at 10.0.0.2 {x}"), pair("lib/a", "a"), pair("lib/b", "{ip}")]);
}

#[test]
fn patterns_need_a_name_and_a_text() {
    let good = |name: &str, any: &str| {
        let with = format!("{GOOD}\n[[oracles.output]]\nname = {name:?}\nany = [{any:?}]\n");
        Manifest::parse(&with, "target.toml").map(|manifest| manifest.oracles.output.len())
    };
    assert_eq!(good("corrupt-page", "corrupt page *").unwrap(), 1);
    assert_snapshot!(good("Corrupt page", "x").unwrap_err(), @"target.toml: [[oracles.output]] name is `Corrupt page`, expected lower-case letters, digits and -");
    assert_snapshot!(good("corrupt-page", "").unwrap_err(), @"target.toml: [[oracles.output]] `corrupt-page` names no text to look for in `any`");
}

#[test]
fn known_findings_are_passed_over_by_signature() {
    let known = ["crash/panic:src/a.rs:1".to_owned(), "liveness/*".to_owned()].into();
    let oracles = OracleSpec { known, ..OracleSpec::default() };
    for (signature, is_known) in [
        ("crash/panic:src/a.rs:1", true),
        ("crash/panic:src/a.rs:12", false),
        ("liveness/no-progress-after-heal", true),
        ("durability/liveness/", false),
    ] {
        assert_eq!(oracles.is_known(signature), is_known, "{signature}");
    }
}

#[test]
fn corpora_lie_beside_targets_whatever_workspace_builds_one() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("targets/toy");
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("Cargo.toml"), "[workspace]").unwrap();
    std::fs::write(own.join("target.toml"), GOOD).unwrap();
    let target = Target::load(&own.join("target.toml")).unwrap();
    assert_eq!(target.root, own);
    assert_eq!(target.corpora(), dir.path().canonicalize().unwrap().join("corpora"));
}

#[test]
fn what_is_kept_of_each_target_fits_it() {
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    for entry in std::fs::read_dir(repository.join("targets")).unwrap() {
        let file = entry.unwrap().path().join("target.toml");
        let Ok(target) = Target::load(&file) else { continue };
        let (manifest, name) = (&target.manifest, target.name());
        let kinds = ["seeds", "witness", "regressions", "known"];
        for (kept, path) in crate::smoke::kept_in(&target.corpora(), name, &kinds) {
            let schedule = crate::reproducer::load(&path).unwrap().schedule;
            assert_eq!((schedule.target.as_str(), schedule.check()), (name, Ok(())), "{kept}");
            if let Some(family) = schedule.workload.family {
                assert!(manifest.workload.families.contains(&family), "{name} {kept}: {family:?}");
            }
            if kept.starts_with("seeds/") {
                let kinds = manifest.faults.kinds();
                assert_eq!(schedule.nodes, manifest.nodes, "{name} {kept}");
                assert!(
                    schedule.steps.iter().all(|step| kinds.contains(&step.fault.kind())),
                    "{name} {kept}"
                );
                assert_eq!(
                    schedule.check_down(manifest.faults.max_down.unwrap_or(9)),
                    Ok(()),
                    "{name} {kept}"
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}
