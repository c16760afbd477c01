//! What the check of a manifest accepts can be set up: one function makes the runner and answers the check.

use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn quoted(text: impl AsRef<str>) -> String {
    toml::Value::String(text.as_ref().to_owned()).to_string()
}

/// One of the good values, and now and then a bad one.
fn mostly<T: Clone + std::fmt::Debug + 'static>(good: &[T], bad: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop_oneof![15 => prop::sample::select(good.to_vec()), 1 => prop::sample::select(bad.to_vec())]
}

fn path() -> impl Strategy<Value = String> {
    let good = ["a", "b", "c.d", "ü", " ", "longer"].map(str::to_owned);
    let bad = ["..", ".", "", "a\0"]
        .map(str::to_owned)
        .into_iter()
        .chain([255, 256].map(|length| "x".repeat(length)));
    let part = mostly(&good, &bad.collect::<Vec<_>>());
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// A table of a file: where it lies, what it is a copy of, the nodes that have it.
fn file(nodes: f64) -> impl Strategy<Value = String> {
    let content = mostly(
        &["text = \"{ip} {x}\"", "from = \"plain\"", "from = \"tree\"", "from = \"link\""],
        &["from = \"gone\"", "from = \"pipe\"", "from = \"/dev/null\"", ""],
    );
    let number = mostly(&[1_u8, 2], &[0, 3]);
    let nodes = prop::option::weighted(nodes, prop::collection::vec(number, 1..3));
    (path(), content, nodes).prop_map(|(path, content, nodes)| {
        let nodes = nodes.map(|nodes| format!("nodes = {nodes:?}\n")).unwrap_or_default();
        format!("path = {}\n{content}\n{nodes}", quoted(path))
    })
}

fn word() -> impl Strategy<Value = &'static str> {
    mostly(
        &["{bin}", "sh", "/bin/sh"],
        &["no-such-program", "/bin", "/etc/passwd", "", "{id}", "{data}/a", "./a", "a\0"],
    )
}

proptest::prop_compose! {
    fn manifest()(
        name in mostly(&["toy".to_owned(), "a".repeat(64)], &["a".repeat(65), "..".into(), "a/b".into()]),
        binary in mostly(&["sh", "./run"], &["./plain", "tree", "./none", ""]),
        command in (word(), mostly(&["-c", "{ip:2}"], &["{ip:3}", "a\0", "{peers}"])),
        beside in prop::option::weighted(0.3, word()),
        client in prop::option::weighted(0.5, word()),
        asks in prop::option::weighted(0.2, word()),
        key in mostly(&["A", "A B"], &["A=B", "", "A\0"]),
        files in prop::collection::vec(file(0.5), 0..4),
        client_files in prop::collection::vec(file(0.05), 0..2),
        port in mostly(&[("http", 7000)], &[("http", 0), ("nonsense", 7000)]),
    ) -> String {
        let beside = beside.map(|word| format!("beside = [[{}]]\n", quoted(word))).unwrap_or_default();
        let asks = asks.map(|word| format!("[[status]]\nprogram = [{}, \"{{ip}}\"]\nrole = \"/r\"\n", quoted(word)));
        let asks = asks.unwrap_or_default();
        let table = |name: &str, files: &[String]| -> String {
            files.iter().map(|file| format!("[[{name}]]\n{file}")).collect()
        };
        let client = match client {
            None => "[client.kv-http]\nport = 8000\n".to_owned(),
            Some(word) => format!(
                "[client.exec]\ncommand = [{}]\noperations = [\"read\", \"write\"]\n{}",
                quoted(word),
                table("client.exec.file", &client_files)
            ),
        };
        format!(
            "version = 1\nname = {}\nnodes = 2\n[build]\nbinary = {}\n[node]\ncommand = [{}, {}]\n{beside}env = {{ {} = \"{{id}}\" }}\n\
             {}[[port]]\nport = {}\ndissector = {:?}\n{asks}{client}",
            quoted(name), quoted(binary), quoted(command.0), quoted(command.1), quoted(key),
            table("node.file", &files), port.1, port.0,
        )
    }
}

#[test]
fn what_the_check_accepts_can_be_set_up() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("plain"), "x").unwrap();
    std::fs::create_dir_all(at("tree/in")).unwrap();
    std::fs::write(at("tree/in/a"), "x").unwrap();
    std::os::unix::fs::symlink("plain", at("link")).unwrap();
    std::fs::copy("/bin/sh", at("run")).unwrap();
    nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let schedule = "version = 1\ntarget = \"toy\"\nnodes = 2\nseed = 7\nhorizon_ms = 1000\n[workload]\nclients = 2\nrate = 1\nkeys = 1\n";
    let schedule = Schedule::parse(schedule).unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..500 {
        let text = manifest().new_tree(&mut runner).unwrap().current();
        std::fs::write(at("target.toml"), &text).unwrap();
        let checked =
            Target::load(&at("target.toml")).and_then(|target| target.check().map(|told| (target, told)));
        let Ok((target, told)) = checked else {
            refused += 1;
            continue;
        };
        accepted += 1;
        assert_eq!(told, None, "{text}");
        let binary = target.binary().unwrap();
        let room = Room::directory().unwrap();
        let ready = Runner::new(&target, &binary.path, &Launcher::Native, None, room).unwrap();
        assert_eq!(
            ready.program.file_name(),
            binary.path.file_name(),
            "many look at the name they are called by"
        );
        let config = ready.config(&schedule, RunOptions::default());
        let nodes = config.nodes.iter().chain(config.client_programs.iter().map(|(_, program)| program));
        // The binary is a copy in the room, under the name that nodes know.
        let named = nodes.flat_map(|node| &node.programs).filter(|one| one.program != ready.program);
        for program in named {
            let is_there = std::fs::metadata(&program.program).is_ok_and(|found| found.is_file());
            assert!(is_there, "{}\n{text}", program.program.display());
        }
        if let Err(error) = interceptor::sandbox::Sandbox::new(&ready.room, config) {
            panic!("{error}\n{text}");
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} {refused}");
}
