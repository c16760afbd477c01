//! Event keys, the names of kinds of events in triggers and summaries, and [`Pattern`], which picks events by
//! them.
//!
//! | key | event |
//! |---|---|
//! | `start` | the node's first process runs |
//! | `exit:ok`, `exit:error`, `exit:crash`, `exit:killed` | it ended: status 0, another, a signal of its own, the sandbox |
//! | `connect`, `connect_failed`, `disconnect`, `disconnect:reset` | connections |
//! | `send:LABEL`, `receive:LABEL` | messages, with the dissector's label |
//! | `fsync`, `fsync:failed` | files made durable, or not |
//! | `report:KIND`, `report:KIND:ROLE` | state reports, with the field `role` if there is one |
//! | `fault:on:LABEL`, `fault:off:LABEL` | faults |
//! | `client:LABEL` | client operations |
//!
//! The text of a part is taken as it is, cut to [`PART_BYTES_MAX`] bytes, but for the kind of a report, in
//! which colons become `_`. A key stands for itself and for all keys that continue it after a colon: `fsync`
//! matches `fsync:failed`, `send` matches every sending.

use crate::event::{Event, EventKind, Exit, HostId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The key of events whose own keys are too many to tell apart.
pub const OTHER: &str = "other";

/// Longest variable part of a key in bytes.
pub const PART_BYTES_MAX: usize = 64;

/// Appends the key of an event to `out`.
pub fn write(kind: &EventKind, out: &mut String) {
    out.push_str(stem(kind));
    match kind {
        EventKind::Start | EventKind::Connect { .. } | EventKind::ConnectFailed { .. } => {}
        EventKind::Exit(Exit::Status(0)) => push_part("ok", out),
        EventKind::Exit(Exit::Status(_)) => push_part("error", out),
        EventKind::Exit(Exit::Signal(_)) => push_part("crash", out),
        EventKind::Exit(Exit::Killed) => push_part("killed", out),
        EventKind::Disconnect { reset, .. } => push_part(if *reset { "reset" } else { "" }, out),
        EventKind::Send { label, .. } | EventKind::Receive { label, .. } => push_part(label, out),
        EventKind::Fsync { failed } => push_part(if *failed { "failed" } else { "" }, out),
        EventKind::Report(report) => {
            push_part(&report.kind.replace(':', "_"), out);
            push_part(report.text("role").unwrap_or_default(), out);
        }
        EventKind::Fault { label, on } => {
            push_part(if *on { "on" } else { "off" }, out);
            push_part(label, out);
        }
        EventKind::Client { label } => push_part(label, out),
    }
}

fn stem(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Start => "start",
        EventKind::Exit(_) => "exit",
        EventKind::Connect { .. } => "connect",
        EventKind::ConnectFailed { .. } => "connect_failed",
        EventKind::Disconnect { .. } => "disconnect",
        EventKind::Send { .. } => "send",
        EventKind::Receive { .. } => "receive",
        EventKind::Fsync { .. } => "fsync",
        EventKind::Report(_) => "report",
        EventKind::Fault { .. } => "fault",
        EventKind::Client { .. } => "client",
    }
}

/// The parts that may follow a stem: fixed ones, or any text.
fn parts_of(stem: &str) -> Option<&'static [&'static str]> {
    Some(match stem {
        "start" | "connect" | "connect_failed" => &[],
        "exit" => &["ok", "error", "crash", "killed"],
        "disconnect" => &["reset"],
        "fsync" => &["failed"],
        "fault" => &["on", "off"],
        "send" | "receive" | "report" | "client" => &["*"],
        _ => return None,
    })
}

fn push_part(part: &str, out: &mut String) {
    if !part.is_empty() {
        out.push(':');
        out.push_str(&part[..part.floor_char_boundary(PART_BYTES_MAX)]);
    }
}

/// The key of an event.
#[must_use]
pub fn of(kind: &EventKind) -> String {
    let mut key = String::new();
    write(kind, &mut key);
    key
}

/// The other side of an event, if it has one.
#[must_use]
pub fn peer(kind: &EventKind) -> Option<HostId> {
    match kind {
        EventKind::Connect { peer }
        | EventKind::ConnectFailed { peer }
        | EventKind::Disconnect { peer, .. }
        | EventKind::Send { peer, .. }
        | EventKind::Receive { peer, .. } => Some(*peer),
        _ => None,
    }
}

/// Which events a trigger waits for. Written `send:append` (anywhere), `h2 fsync` (on host 2), `h0>h1
/// send:append` (on host 0, with host 1 as the other side), `>h1 connect` (on any host, with host 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pattern {
    /// Only events of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostId>,
    /// Key, or the beginning of keys up to a colon.
    pub key: String,
    /// Only events with this host on the other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<HostId>,
}

/// A pattern that cannot match anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown event `{given}`: {why}; write start, exit, connect, connect_failed, disconnect, send:LABEL, receive:LABEL, fsync, report:KIND:ROLE, fault:on:LABEL or client:LABEL, after an optional `h1>h2 `"
)]
pub struct PatternError {
    given: String,
    why: &'static str,
}

impl Pattern {
    /// Whether this is one of the events it picks.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        // Most events fail on the stem, before a key is made for them.
        self.host.is_none_or(|host| host == event.host)
            && self.peer.is_none_or(|wanted| peer(&event.kind) == Some(wanted))
            && self.key.starts_with(stem(&event.kind))
            && continues(&of(&event.kind), &self.key)
    }

    /// The same for an event whose key is known.
    pub(super) fn matches_parts(&self, key: &str, host: HostId, peer: Option<HostId>) -> bool {
        self.host.is_none_or(|wanted| wanted == host)
            && self.peer.is_none_or(|wanted| peer == Some(wanted))
            && continues(key, &self.key)
    }
}

/// `key` is `beginning`, or goes on after it with a colon.
#[must_use]
pub fn continues(key: &str, beginning: &str) -> bool {
    key.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// Says what is wrong with a key.
fn refuse(key: &str) -> Option<&'static str> {
    let (stem, rest) = match key.split_once(':') {
        Some((stem, rest)) => (stem, Some(rest)),
        None => (key, None),
    };
    let Some(parts) = parts_of(stem) else { return Some("there is no event of this name") };
    let rest = rest?;
    let part = if stem == "fault" { rest.split(':').next().unwrap_or_default() } else { rest };
    match parts {
        [] => Some("it has no kinds"),
        _ if rest.is_empty() => Some("there is nothing after the colon"),
        ["*"] => None,
        parts if parts.contains(&part) => None,
        _ => Some("it has no such kind"),
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let error = |why| PatternError { given: text.to_owned(), why };
        let (scope, key) = match text.split_once(' ') {
            Some((scope, key)) if scope.starts_with(['h', '>']) => (scope, key),
            _ => ("", text),
        };
        let (host, peer) = scope.split_once('>').unwrap_or((scope, ""));
        let host_of = |part: &str| match part.strip_prefix('h').map(str::parse) {
            _ if part.is_empty() => Ok(None),
            Some(Ok(number)) => Ok(Some(HostId(number))),
            _ => Err(error("hosts are written h0, h1, h2")),
        };
        match refuse(key) {
            Some(why) => Err(error(why)),
            None => Ok(Self { host: host_of(host)?, key: key.to_owned(), peer: host_of(peer)? }),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = self.host {
            write!(f, "h{}", host.0)?;
        }
        if let Some(peer) = self.peer {
            write!(f, ">h{}", peer.0)?;
        }
        if self.host.is_some() || self.peer.is_some() {
            f.write_str(" ")?;
        }
        f.write_str(&self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, of};
    use crate::event::{Event, EventKind, Exit, HostId, MessageId, Report};
    use crate::time::Instant;
    use proptest::prelude::*;

    fn send(label: &str) -> EventKind {
        EventKind::Send { message: MessageId(0), peer: HostId(2), label: label.into(), bytes: 1 }
    }

    #[test]
    fn keys_name_every_kind() {
        let report = Report::parse(br#"{"report":"a:b","role":"leader"}"#).unwrap();
        let keys = [
            (EventKind::Start, "start"),
            (EventKind::Exit(Exit::Status(0)), "exit:ok"),
            (EventKind::Exit(Exit::Status(3)), "exit:error"),
            (EventKind::Exit(Exit::Signal(11)), "exit:crash"),
            (EventKind::Exit(Exit::Killed), "exit:killed"),
            (EventKind::Connect { peer: HostId(1) }, "connect"),
            (EventKind::ConnectFailed { peer: HostId(1) }, "connect_failed"),
            (EventKind::Disconnect { peer: HostId(1), reset: true }, "disconnect:reset"),
            (send("GET /kv/*"), "send:GET /kv/*"),
            (EventKind::Fsync { failed: false }, "fsync"),
            (EventKind::Fsync { failed: true }, "fsync:failed"),
            (EventKind::Report(report), "report:a_b:leader"),
            (EventKind::Fault { label: "kill n1".into(), on: true }, "fault:on:kill n1"),
            (EventKind::Client { label: "read ok".into() }, "client:read ok"),
        ];
        for (kind, key) in keys {
            assert_eq!(of(&kind), key);
            let event = Event { at: Instant(0), host: HostId(0), kind };
            let pattern: Pattern = key.parse().unwrap();
            assert!(pattern.matches(&event), "{key}");
            let stem = key.split(':').next().unwrap();
            assert!(stem.parse::<Pattern>().unwrap().matches(&event), "{stem}");
        }
    }

    #[test]
    fn patterns_pick_by_host_peer_and_key() {
        let event = Event { at: Instant(0), host: HostId(1), kind: send("append") };
        let picks = |text: &str| text.parse::<Pattern>().unwrap().matches(&event);
        assert!(
            ["send", "send:append", "h1 send", "h1>h2 send:append", ">h2 send"]
                .iter()
                .all(|text| picks(text))
        );
        assert!(
            !["send:app", "send:append:x", "h2 send", ">h1 send", "receive:append"]
                .iter()
                .any(|text| picks(text))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["", "sned:x", "send:", "h1", "h1 ", "hx send", "h1>2 send", "fsync:maybe", "start:x", "fault:x"]
        {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn patterns_print_as_they_are_read(
            host in proptest::option::of(any::<u16>().prop_map(HostId)),
            peer in proptest::option::of(any::<u16>().prop_map(HostId)),
            label in "[ -~é]{1,20}",
        ) {
            let pattern = Pattern { host, key: format!("send:{label}"), peer };
            prop_assert_eq!(pattern.to_string().parse::<Pattern>().unwrap(), pattern);
        }
    }
}
