//! The space-time diagram of a stretch of the timeline, as an SVG that a page can embed: one vertical line
//! for each host, time downward (a row for each event, so distances mean order, not duration), arrows for
//! messages, crosses for deaths, a dashed line while a node is down, shaded bands while a fault lasts.
//!
//! It uses no style sheet and no script, so diagrams on one page do not disturb each other or the page.

use super::{Timeline, describe};
use crate::event::{Event, EventKind, HostId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;

/// Most events in one diagram; what comes after them is left out, and the diagram says so.
pub const SHOWN_MAX: usize = 400;

const LEFT: usize = 84;
const TOP: usize = 44;
const COLUMN: usize = 196;
const ROW: usize = 17;
/// Rows between two labels of time.
const TIME_EVERY: usize = 4;
/// Characters of a label; the tooltip has all of it.
const TEXT_MAX: usize = 27;
const BAND_LEFT: usize = 13;

const ALARM: &str = "#c81e1e";
const ARROW: &str = "#7b8794";

/// Draws the events in `range`; `hosts` are the names of the hosts by their number (missing ones are `hN`),
/// the events whose indices are in `highlight` stand out.
#[must_use]
pub fn svg(
    timeline: &Timeline,
    hosts: &[String],
    range: Range<usize>,
    highlight: &BTreeSet<usize>,
) -> String {
    let end = range.end.min(timeline.len());
    let start = range.start.min(end);
    let shown = start..end.min(start + SHOWN_MAX);
    let name = |host: usize| hosts.get(host).cloned().unwrap_or_else(|| format!("h{host}"));
    let names = (0..timeline.hosts()).map(name).collect();
    Picture { timeline, names, left_out: end - shown.end, shown, out: String::new() }.draw(highlight)
}

fn colour(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Send { .. } => "#1d4ed8",
        EventKind::Receive { .. } => "#15803d",
        EventKind::Fsync { failed: false } => "#92600a",
        EventKind::Report(_) => "#7c3aed",
        EventKind::Fault { .. } => "#c2570c",
        EventKind::Start => "#111827",
        EventKind::Client { .. } => "#0f766e",
        EventKind::Connect { .. } | EventKind::Disconnect { .. } => ARROW,
        EventKind::Exit(_) | EventKind::ConnectFailed { .. } | EventKind::Fsync { failed: true } => ALARM,
    }
}

struct Picture<'a> {
    timeline: &'a Timeline,
    names: Vec<String>,
    shown: Range<usize>,
    left_out: usize,
    out: String,
}

impl Picture<'_> {
    fn draw(mut self, highlight: &BTreeSet<usize>) -> String {
        let width = LEFT + self.names.len() * COLUMN;
        let height = self.bottom() + 24;
        let Range { start, end } = self.shown;
        self.put(format_args!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="ui-sans-serif, system-ui, Helvetica, Arial, sans-serif" font-size="11" role="img"><title>space-time diagram, events {start} to {end}</title><rect width="{width}" height="{height}" fill="#ffffff"/>"##
        ));
        for event in highlight.range(start..end) {
            let y = self.y(*event) - ROW / 2;
            self.put(format_args!(
                r##"<rect x="0" y="{y}" width="{width}" height="{ROW}" fill="#fff3bf"/>"##
            ));
        }
        self.bands();
        self.lifelines();
        self.times();
        self.arrows();
        for event in self.shown.clone() {
            self.event(event, highlight.contains(&event));
        }
        if self.left_out > 0 {
            let (y, more) = (height - 8, self.left_out);
            self.put(format_args!(
                r##"<text x="{LEFT}" y="{y}" fill="{ALARM}">{more} more events are not shown</text>"##
            ));
        }
        self.out.push_str("</svg>");
        self.out
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a string takes all text");
    }

    fn x(&self, host: HostId) -> usize {
        LEFT + BAND_LEFT + usize::from(host.0) * COLUMN
    }

    fn y(&self, event: usize) -> usize {
        TOP + (event - self.shown.start) * ROW + ROW / 2
    }

    fn bottom(&self) -> usize {
        TOP + self.shown.len() * ROW
    }

    /// The stretches between `begins` and `ends` events of a host, clipped to the picture.
    fn stretches<K: Ord>(
        &self,
        mark: impl Fn(&Event) -> Option<(K, bool)>,
    ) -> Vec<(K, HostId, usize, usize)> {
        let mut open: BTreeMap<(HostId, K), usize> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, event) in self.timeline.events()[..self.shown.end].iter().enumerate() {
            let y = if index < self.shown.start { TOP } else { self.y(index) };
            match mark(event) {
                Some((key, true)) => {
                    open.entry((event.host, key)).or_insert(y);
                }
                Some((key, false)) => {
                    if let Some(((host, key), from)) = open.remove_entry(&(event.host, key)) {
                        found.push((key, host, from, y));
                    }
                }
                None => {}
            }
        }
        let bottom = self.bottom();
        found.extend(open.into_iter().map(|((host, key), from)| (key, host, from, bottom)));
        found.retain(|(_, _, from, to)| to > from);
        found
    }

    fn bands(&mut self) {
        let faults = self.stretches(|event| match &event.kind {
            EventKind::Fault { label, on } => Some((label.clone(), *on)),
            _ => None,
        });
        for (label, host, from, to) in faults {
            let (x, width, height) = (self.x(host) - BAND_LEFT + 1, COLUMN - 2, to - from);
            self.put(format_args!(
                r##"<rect x="{x}" y="{from}" width="{width}" height="{height}" fill="#f59e0b" fill-opacity="0.13"><title>{}</title></rect><rect x="{x}" y="{from}" width="3" height="{height}" fill="#f59e0b" fill-opacity="0.7"/>"##,
                Escaped(&label)
            ));
        }
    }

    fn lifelines(&mut self) {
        let bottom = self.bottom();
        for host in 0..self.names.len() {
            let x = LEFT + BAND_LEFT + host * COLUMN;
            let name = std::mem::take(&mut self.names[host]);
            self.put(format_args!(
                r##"<text x="{x}" y="{}" font-size="13" font-weight="600" fill="#111827">{}</text><line x1="{x}" y1="{}" x2="{x}" y2="{bottom}" stroke="#c3cad3" stroke-width="2"/>"##,
                TOP - 18,
                Escaped(&name),
                TOP - 8
            ));
            self.names[host] = name;
        }
        let down = self.stretches(|event| match event.kind {
            EventKind::Exit(_) => Some(((), true)),
            EventKind::Start => Some(((), false)),
            _ => None,
        });
        for ((), host, from, to) in down {
            let x = self.x(host);
            self.put(format_args!(
                r##"<line x1="{x}" y1="{from}" x2="{x}" y2="{to}" stroke="#ffffff" stroke-width="3"/><line x1="{x}" y1="{from}" x2="{x}" y2="{to}" stroke="{ALARM}" stroke-width="1" stroke-dasharray="2 4"/>"##
            ));
        }
    }

    fn times(&mut self) {
        for event in self.shown.clone().step_by(TIME_EVERY) {
            let (x, y, at) = (LEFT - 10, self.y(event) + 4, self.timeline.events()[event].at);
            self.put(format_args!(
                r##"<text x="{x}" y="{y}" text-anchor="end" font-size="10" fill="#6b7280">{at}</text>"##
            ));
        }
    }

    fn arrows(&mut self) {
        for event in self.shown.clone() {
            let EventKind::Send { message, peer, label, bytes } = &self.timeline.events()[event].kind else {
                continue;
            };
            let (from, to) = (self.timeline.events()[event].host, *peer);
            let (x1, y1, x2) = (self.x(from), self.y(event), self.x(to));
            let receive = self.timeline.receive_of(event).filter(|receive| self.shown.contains(receive));
            match receive {
                Some(receive) if from != to => {
                    let (y2, took) = (self.y(receive), self.timeline.events()[receive].at);
                    let took = took.since(self.timeline.events()[event].at);
                    self.put(format_args!(
                        r##"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{ARROW}" stroke-width="1.1"><title>#{} {} ({bytes} bytes, {took})</title></line>"##,
                        message.0,
                        Escaped(label)
                    ));
                    self.head((x1, y1), (x2, y2));
                }
                Some(receive) => {
                    let (y2, bulge) = (self.y(receive), x1 - BAND_LEFT);
                    self.put(format_args!(
                        r##"<path d="M{x1} {y1}C{bulge} {y1} {bulge} {y2} {x1} {y2}" fill="none" stroke="{ARROW}"/>"##
                    ));
                }
                // Lost, held back, or received below the picture.
                None => {
                    let x2 = if x2 >= x1 { x1 + 26 } else { x1.saturating_sub(26) };
                    let y2 = y1 + 9;
                    self.put(format_args!(
                        r##"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{ALARM}" stroke-dasharray="3 2"><title>#{} {} is not received here</title></line>"##,
                        message.0,
                        Escaped(label)
                    ));
                }
            }
        }
    }

    /// The head of an arrow: a triangle of its own, because markers need an id that is unique on the page.
    fn head(&mut self, (x1, y1): (usize, usize), (x2, y2): (usize, usize)) {
        let (dx, dy) = (x2 as f64 - x1 as f64, y2 as f64 - y1 as f64);
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let (tip_x, tip_y) = (x2 as f64 - 4.0 * ux, y2 as f64 - 4.0 * uy);
        let (base_x, base_y) = (tip_x - 8.0 * ux, tip_y - 8.0 * uy);
        self.put(format_args!(
            r##"<path d="M{tip_x:.1} {tip_y:.1}L{:.1} {:.1}L{:.1} {:.1}Z" fill="{ARROW}"/>"##,
            base_x - 3.2 * uy,
            base_y + 3.2 * ux,
            base_x + 3.2 * uy,
            base_y - 3.2 * ux
        ));
    }

    fn event(&mut self, index: usize, highlighted: bool) {
        let event = &self.timeline.events()[index];
        let (x, y, colour) = (self.x(event.host), self.y(index), colour(&event.kind));
        let text = describe(event, &self.names);
        let mut short: String = text.chars().take(TEXT_MAX).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        let weight = if highlighted { "700" } else { "400" };
        let (at, number) = (event.at, index);
        let cross = matches!(event.kind, EventKind::Exit(_));
        self.put(format_args!("<g><title>{number}: {at} s, {}</title>", Escaped(&text)));
        if cross {
            let (l, r, t, b) = (x - 6, x + 6, y - 6, y + 6);
            self.put(format_args!(
                r##"<path d="M{l} {t}L{r} {b}M{r} {t}L{l} {b}" stroke="{colour}" stroke-width="3" fill="none"/>"##
            ));
        } else {
            self.put(format_args!(r##"<circle cx="{x}" cy="{y}" r="3.6" fill="{colour}"/>"##));
        }
        // An arrow leaves downwards, so the text of a sending sits a little above it.
        let (tx, ty) = (x + 9, if matches!(event.kind, EventKind::Send { .. }) { y } else { y + 4 });
        self.put(format_args!(
            r##"<text x="{tx}" y="{ty}" fill="{colour}" font-weight="{weight}" stroke="#ffffff" stroke-width="3" stroke-opacity="0.8" paint-order="stroke">{}</text></g>"##,
            Escaped(&short)
        ));
    }
}

/// Text in XML: what would be markup is escaped, what XML forbids is replaced.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{SHOWN_MAX, svg};
    use crate::event::{Event, EventKind, Exit, HostId, MessageId};
    use crate::time::Instant;
    use crate::timeline::Timeline;
    use crate::timeline::tests::{run, steps};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Every tag is closed in its turn and no text holds markup.
    fn assert_well_formed(xml: &str) {
        let mut open = Vec::new();
        for tag in xml.split('<').skip(1) {
            let (tag, text) = tag.split_once('>').expect("a tag ends");
            assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{tag} {text}");
            match tag.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if tag.ends_with('/') => {}
                None => open.push(tag.split(' ').next().unwrap()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }

    fn timeline(kinds: Vec<(u16, EventKind)>) -> Timeline {
        let mut timeline = Timeline::new(3);
        for (at, (host, kind)) in kinds.into_iter().enumerate() {
            timeline.push(Event { at: Instant(at as u64 * 1_000_000), host: HostId(host), kind });
        }
        timeline
    }

    fn message(number: u32, send: bool, peer: u16) -> EventKind {
        let (message, peer, label) = (MessageId(number), HostId(peer), "<b>&\"\u{1}".to_owned());
        if send {
            EventKind::Send { message, peer, label, bytes: 5 }
        } else {
            EventKind::Receive { message, peer, label, bytes: 5 }
        }
    }

    #[test]
    fn deaths_messages_and_faults_are_drawn() {
        let fault = |on| EventKind::Fault { label: "partition".into(), on };
        let timeline = timeline(vec![
            (0, message(0, true, 1)),
            (0, fault(true)),
            (1, message(0, false, 0)),
            (1, message(1, true, 2)),
            (2, EventKind::Exit(Exit::Killed)),
            (0, message(2, true, 0)),
            (0, message(2, false, 0)),
            (0, fault(false)),
            (2, EventKind::Start),
        ]);
        let picture = svg(&timeline, &["n1".into(), "a<b".into()], 0..100, &BTreeSet::from([4]));
        assert_well_formed(&picture);
        let count = |part: &str| picture.matches(part).count();
        assert_eq!(count("stroke-width=\"3\" fill=\"none\"/>"), 1, "crosses");
        assert_eq!(count("(5 bytes, 2ms)"), 1, "arrows");
        assert_eq!(count("is not received here"), 1, "messages without receipt");
        assert_eq!(count("fill-opacity=\"0.13\""), 1, "bands");
        assert_eq!(count("stroke-dasharray=\"2 4\""), 1, "times down");
        assert_eq!(count("#fff3bf"), 1, "highlights");
        assert!(picture.contains(">a&lt;b</text>") && picture.contains(">h2</text>"));
    }

    #[test]
    fn a_long_stretch_is_cut_and_says_so() {
        let timeline = timeline(vec![(0, EventKind::Fsync { failed: false }); SHOWN_MAX + 7]);
        let picture = svg(&timeline, &[], 0..usize::MAX, &BTreeSet::new());
        assert_eq!(picture.matches("<circle").count(), SHOWN_MAX);
        assert!(picture.contains("7 more events are not shown"));
    }

    proptest! {
        #[test]
        fn every_stretch_can_be_drawn(steps in steps(40), from in 0_usize..50, len in 0_usize..50) {
            let timeline = run(3, &steps);
            let picture = svg(&timeline, &[], from..from + len, &BTreeSet::from([from, from + 3]));
            assert_well_formed(&picture);
            let shown = timeline.len().min(from + len).saturating_sub(from);
            prop_assert_eq!(picture.matches("<circle").count(), shown);
        }
    }
}
