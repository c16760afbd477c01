//! Events in words, for people.

use crate::event::{Event, EventKind, Exit, HostId};
use std::fmt::Write;

/// One line of text about an event; `names` are the names of the hosts by their number.
#[must_use]
pub fn describe(event: &Event, names: &[String]) -> String {
    let name = |host: HostId| names.get(usize::from(host.0)).map_or("?", String::as_str);
    match &event.kind {
        EventKind::Start => "start".into(),
        EventKind::Exit(Exit::Status(status)) => format!("exit {status}"),
        EventKind::Exit(Exit::Signal(signal)) => format!("crash, signal {signal}"),
        EventKind::Exit(Exit::Killed) => "killed".into(),
        EventKind::Connect { peer } => format!("connect {}", name(*peer)),
        EventKind::ConnectFailed { peer } => format!("connect {} failed", name(*peer)),
        EventKind::Disconnect { peer, reset: false } => format!("disconnect {}", name(*peer)),
        EventKind::Disconnect { peer, reset: true } => format!("connection with {} reset", name(*peer)),
        EventKind::Send { peer, label, .. } => format!("{label} → {}", name(*peer)),
        EventKind::Receive { peer, label, .. } => format!("{label} ← {}", name(*peer)),
        EventKind::Fsync { failed: false } => "fsync".into(),
        EventKind::Fsync { failed: true } => "fsync failed".into(),
        EventKind::Report(report) => {
            // The role first: it is what people look for, and long texts are cut.
            let role = report.text("role").map(|role| format!(" {role}")).unwrap_or_default();
            let mut text = format!("{}{role}", report.kind);
            for (field, value) in report.fields.iter().filter(|(field, _)| *field != "role") {
                write!(text, " {field}={value}").expect("a string takes all text");
            }
            text
        }
        EventKind::Fault { label, on: true } => format!("fault {label}"),
        EventKind::Fault { label, on: false } => format!("end of {label}"),
        EventKind::Client { label } => label.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::describe;
    use crate::event::{Event, EventKind, HostId, MessageId, Report};
    use crate::time::Instant;

    #[test]
    fn events_are_told_in_a_few_words() {
        let names = ["n1".to_owned(), "n2".to_owned()];
        let tell = |kind| describe(&Event { at: Instant(0), host: HostId(0), kind }, &names);
        let send = EventKind::Send { message: MessageId(0), peer: HostId(1), label: "vote".into(), bytes: 3 };
        let report = Report::parse(br#"{"report":"state","term":3,"role":"leader","commit":1}"#).unwrap();
        assert_eq!(tell(send), "vote → n2");
        assert_eq!(tell(EventKind::Report(report)), "state leader commit=1 term=3");
        assert_eq!(tell(EventKind::Disconnect { peer: HostId(1), reset: true }), "connection with n2 reset");
        assert_eq!(tell(EventKind::ConnectFailed { peer: HostId(7) }), "connect ? failed");
    }
}
