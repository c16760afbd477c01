//! Export for ShiViz (<https://bestchai.bitbucket.io/shiviz/>), which draws the space-time diagram of a log.
//!
//! Its file format: the regular expression that reads an event, the one that separates executions (none
//! here), and then the log. The clock of each event is a JSON object; every host's own component begins at 1
//! and grows by 1.

use super::{Timeline, describe};
use std::fmt::Write;

/// Reads an event: host and clock on one line, the event's text on the next.
pub const PARSER: &str = r"(?<host>\S+) (?<clock>\{.*\})\n(?<time>[0-9.]+) (?<event>.*)";

/// The whole timeline as a ShiViz log; `hosts` are the names of the hosts by their number (missing ones are
/// `hN`, blanks in them become `_`).
#[must_use]
pub fn export(timeline: &Timeline, hosts: &[String]) -> String {
    let name = |host: usize| match hosts.get(host).filter(|name| !name.is_empty()) {
        Some(name) => {
            name.chars().map(|c| if c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
        }
        None => format!("h{host}"),
    };
    let names: Vec<String> = (0..timeline.hosts()).map(name).collect();
    let quoted: Vec<String> =
        names.iter().map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
    let mut out = format!("{PARSER}\n\n");
    for (index, event) in timeline.events().iter().enumerate() {
        let mut separator = "";
        out.push_str(&names[usize::from(event.host.0)]);
        out.push_str(" {");
        for (host, count) in timeline.clock(index).iter().enumerate().filter(|(_, count)| **count > 0) {
            write!(out, "{separator}{}:{count}", quoted[host]).expect("a string takes all text");
            separator = ", ";
        }
        let text = describe(event, &names).replace(char::is_control, " ");
        writeln!(out, "}}\n{} {text}", event.at).expect("a string takes all text");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{PARSER, export};
    use crate::timeline::tests::{run, steps};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_export_reads_back_with_all_clocks(steps in steps(40)) {
            let timeline = run(3, &steps);
            let hosts = ["n1".to_owned(), "node two".to_owned()];
            let text = export(&timeline, &hosts);
            let mut lines = text.lines();
            prop_assert_eq!(lines.next(), Some(PARSER));
            prop_assert_eq!(lines.next().unwrap_or_default(), "");
            let names = ["n1", "node_two", "h2"];
            let mut own = [0; 3];
            for (index, event) in timeline.events().iter().enumerate() {
                let (host, clock) = lines.next().unwrap().split_once(' ').unwrap();
                let clock: BTreeMap<String, u32> = serde_json::from_str(clock).unwrap();
                let number = names.iter().position(|name| *name == host).unwrap();
                prop_assert_eq!(number, usize::from(event.host.0));
                own[number] += 1;
                prop_assert_eq!(clock[host], own[number]);
                let read = names.map(|name| clock.get(name).copied().unwrap_or(0));
                prop_assert_eq!(&read[..], timeline.clock(index));
                prop_assert!(lines.next().unwrap().starts_with("0.000"));
            }
            prop_assert_eq!(lines.next(), None);
        }
    }
}
