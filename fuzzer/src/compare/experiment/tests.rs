use super::*;

const TEXT: &str = r#"version = 1
name = "demo"
baseline = "uniform"

[search]
seeds = 3
executions = 200

[[problem]]
target = "raft-demo"
bugs = ["stale-read", "lost-write"]
twin = true
executions = 400

[[problem]]
name = "nats-6999"
target = "nats"
binary = "old/nats-server"
twin = { binary = "new/nats-server" }
seeds = [7, 9]
seconds = 60

[[arm]]
name = "learned"

[[arm]]
name = "uniform"
agent = "uniform"
search = "explore"

[[arm]]
name = "off"
faults = false
"#;

fn refusal(from: &str, to: &str) -> String {
    let text = TEXT.replacen(from, to, 1);
    assert_ne!(text, TEXT, "{from}");
    Experiment::parse(&text, "ucb1").unwrap_err().to_string()
}

#[test]
fn what_is_not_said_is_as_usual() {
    let read = Experiment::parse(TEXT, "ucb1").unwrap();
    assert_eq!((read.name.as_str(), read.baseline), ("demo", 1));
    let arms: Vec<_> = read.arms.iter().map(|arm| (arm.agent.as_str(), arm.search, arm.faults)).collect();
    assert_eq!(
        arms,
        [
            ("ucb1", Search::Learned, true),
            ("uniform", Search::Explore, true),
            ("uniform", Search::Random, false)
        ]
    );
    let [first, second] = &read.problems[..] else { panic!("{read:?}") };
    let usual = Budget { seeds: vec![1, 2, 3], executions: 200, ..Budget::default() };
    assert_eq!(first.budget, Budget { executions: 400, ..usual.clone() });
    assert!(matches!(first.twin, Twin::Correct));
    assert_eq!(second.budget, Budget { seeds: vec![7, 9], seconds: Some(60), ..usual });
    let Twin::Other { target: None, binary: Some(binary) } = &second.twin else { panic!("{second:?}") };
    assert_eq!(binary.get_ref(), "new/nats-server");
    let without = Experiment::parse(&TEXT.replace("baseline = \"uniform\"\n", ""), "ucb1").unwrap();
    assert_eq!(without.baseline, 0, "the first arm");
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (from, to, why) in [
        (
            "\"uniform\"\n\n[s",
            "\"unifrom\"\n\n[s",
            "line 3, column 12: baseline: there is no arm `unifrom`: did you mean `uniform`?",
        ),
        (
            "executions = 200",
            "executions = 0",
            "line 7, column 14: executions = 0 is out of range; 1 to 100000000 are possible",
        ),
        ("seeds = 3", "seeds = []", "line 6, column 9: 0 seeds are listed; 1 to 10000 are possible"),
        (
            "[7, 9]",
            "[7, 7]",
            "line 20, column 9: a seed is listed twice; the same search again says nothing new",
        ),
        (
            "\"nats-6999\"",
            "\"nats 6999\"",
            "line 16, column 8: `nats 6999` is no name: 1 to 48 letters, digits, `-`, `_` and `.`",
        ),
        (
            "{ binary = \"new/nats-server\" }",
            "{ }",
            "line 19, column 8: this twin names neither a target nor a binary",
        ),
        (
            "agent = \"uniform\"",
            "agent = \"unifrom\"",
            "line 28, column 9: no agent is named `unifrom`: choose one of ",
        ),
        (
            "name = \"off\"\n",
            "name = \"off\"\nagent = \"uniform\"\n",
            "line 32, column 8: without faults there is nothing to choose: leave out agent and search",
        ),
        (
            "name = \"off\"\nfaults = false",
            "name = \"learned\"",
            "line 32, column 8: there is an arm `learned` already",
        ),
        ("faults = false", "agent = \"ucb1\"", "line 32, column 8: `off` searches exactly as `learned` does"),
        (
            "version = 1",
            "version = 9",
            "experiment version 9 is newer than this program reads (1); update fuzz",
        ),
    ] {
        let told = refusal(from, to);
        assert!(told.starts_with(why), "{told}");
    }
    for (from, to, parts) in [
        ("seeds = 3", "seeds = \"x\"", ["line 6", "seeds are a number of them or a list"]),
        ("twin = true", "twin = 7", ["line 12", "a twin is true (the correct build)"]),
        ("search = \"explore\"", "search = \"clever\"", ["line 29", "unknown variant `clever`"]),
        ("executions = 200", "exections = 200", ["line 7", "unknown field `exections`"]),
        ("name = \"demo\"", "name = ", ["line 2", ""]),
        ("target = \"nats\"\n", "", ["line 15", "[[problem]] lacks `target`"]),
    ] {
        let told = refusal(from, to);
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
    let told = refusal("bugs = [\"stale-read\", \"lost-write\"]\n", "");
    assert!(
        told.starts_with("line 11, column 8: twin = true is the build without the planted bugs"),
        "{told}"
    );
    let few = "version = 1\nname = \"a\"\nproblem = []\narm = []\n";
    let told = Experiment::parse(few, "ucb1").unwrap_err().to_string();
    assert_eq!(told, "line 1, column 1: there is no [[problem]]; write at least one");
}
