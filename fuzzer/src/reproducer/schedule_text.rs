//! A schedule as a finding keeps it: TOML with comments on top and one line for when and one for what of each step.
//! [`Schedule::parse`] reads it back.

use crate::schedule::Schedule;
use serde::Serialize;
use std::fmt::Write;

/// The schedule as text; each of `comments` becomes a line before it.
#[must_use]
pub fn write(schedule: &Schedule, comments: &[String]) -> String {
    let mut text = String::new();
    for comment in comments {
        let _ = writeln!(text, "# {}", comment.replace('\n', " "));
    }
    let head = Schedule { steps: Vec::new(), ..schedule.clone() };
    for line in head.to_toml().lines().filter(|line| *line != "step = []") {
        let _ = writeln!(text, "{line}");
    }
    for step in &schedule.steps {
        let _ = writeln!(
            text,
            "\n# {step}\n[[step]]\nwhen = {}\nfault = {}",
            inline(&step.when),
            inline(&step.fault)
        );
    }
    text
}

fn inline(value: &impl Serialize) -> String {
    let mut text = String::new();
    value
        .serialize(toml::ser::ValueSerializer::new(&mut text))
        .expect("triggers and faults are tables of plain values");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# found by chance
version = 1
target = "toy"
bugs = ["stale-read"]
nodes = 3
seed = 7
horizon_ms = 10000

[workload]
clients = 5
rate = 20
keys = 3

# at 1.5s: cut off outbound n1 for 2s
[[step]]
when = { at_ms = 1500 }
fault = { kind = "partition", side = ["n1"], direction = "outbound", for_ms = 2000 }

# on 3rd send:append of n2: power off n2, losing a torn tail of its unsynced data, down for 300ms
[[step]]
when = { event = "send:append", node = "n2", nth = 3 }
fault = { kind = "power-loss", node = "n2", loss = "torn", down_ms = 300 }
"#;

    #[test]
    fn a_schedule_survives_its_text() {
        let schedule = Schedule::parse(TEXT).unwrap();
        assert_eq!(write(&schedule, &["found by chance".into()]), TEXT);
    }
}
