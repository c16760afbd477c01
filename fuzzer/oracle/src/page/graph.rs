//! A graph of dependencies as SVG: nodes in a column in their order, arrows down on the left, arrows up on the right.
//!
//! An arrow runs in a lane of its own beside the column; short ones run inside, so that lanes nest. Linear in nodes,
//! quadratic in edges.

use super::escaped;
use crate::verdict::{Edge, Graph};
use std::fmt::Write;

/// Sizes in pixels; a character of the monospaced font is 7.9 wide at most.
const CHARACTER: f64 = 7.9;
const LINE: usize = 18;
const PADDING: usize = 12;
const GAP: usize = 34;
const LANE: usize = 40;
const CORNER: f64 = 10.0;

/// Characters in a line of a node.
const WIDTH_MAX: usize = 84;

/// Lines of a node.
const LINES_MAX: usize = 4;

/// Bytes of a name at the head of a label.
const NAME_MAX: usize = 8;

struct Node {
    lines: Vec<String>,
    top: usize,
    height: usize,
}

/// An arrow on its side of the column.
struct Arrow<'a> {
    edge: &'a Edge,
    goes_down: bool,
    /// Counted from the column.
    lane: usize,
}

impl Arrow<'_> {
    const fn first(&self) -> usize {
        if self.goes_down { self.edge.from } else { self.edge.to }
    }

    const fn last(&self) -> usize {
        if self.goes_down { self.edge.to } else { self.edge.from }
    }
}

/// The picture. Edges of nodes that are not there are left out.
pub(super) fn svg(graph: &Graph) -> String {
    let nodes = nodes(graph);
    let arrows = arrows(graph);
    let lanes = |goes_down: bool| {
        let side = arrows.iter().filter(|arrow| arrow.goes_down == goes_down);
        side.map(|arrow| arrow.lane + 1).max().unwrap_or(0)
    };
    let widest =
        nodes.iter().flat_map(|node| &node.lines).map(|line| line.chars().count()).max().unwrap_or(0);
    let box_width = (widest as f64 * CHARACTER) as usize + 2 * PADDING;
    // half a label stands out of the outermost lane
    let margin = |lanes: usize| if lanes == 0 { PADDING } else { lanes * LANE + LANE };
    let left = margin(lanes(true));
    let width = left + box_width + margin(lanes(false));
    let height = nodes.last().map_or(0, |node| node.top + node.height + PADDING);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"dependencies\">\n"
    );
    for node in &nodes {
        draw_node(&mut svg, node, left, box_width);
    }
    for (position, arrow) in arrows.iter().enumerate() {
        let edge_of = |down: bool| if down { left as f64 } else { (left + box_width) as f64 };
        let ports = (
            port(&nodes, &arrows, position, arrow.edge.from),
            port(&nodes, &arrows, position, arrow.edge.to),
        );
        draw_arrow(&mut svg, arrow, edge_of(arrow.goes_down), ports);
    }
    // labels last: nothing runs over them
    for (position, arrow) in arrows.iter().enumerate() {
        let from = port(&nodes, &arrows, position, arrow.edge.from);
        let to = port(&nodes, &arrows, position, arrow.edge.to);
        let offset = (arrow.lane + 1) as f64 * LANE as f64;
        let x = if arrow.goes_down { left as f64 - offset } else { (left + box_width) as f64 + offset };
        let (kind, y) = (escaped(&arrow.edge.kind), f64::midpoint(from, to) + 4.0);
        let class = class(&arrow.edge.kind);
        draw(
            &mut svg,
            format_args!(
                "<text class=\"kind {class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{kind}</text>"
            ),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn nodes(graph: &Graph) -> Vec<Node> {
    let mut top = PADDING;
    let node = |(number, label): (usize, &String)| {
        let name = name(graph, number);
        let lines =
            wrapped(&if label.starts_with(&name) { label.clone() } else { format!("{name} {label}") });
        let height = lines.len() * LINE + PADDING;
        let node = Node { lines, top, height };
        top += height + GAP;
        node
    };
    graph.nodes.iter().enumerate().map(node).collect()
}

/// What a node is called: what its label calls it (`T1: ...`), else its number from 1.
pub(super) fn name(graph: &Graph, number: usize) -> String {
    let own = graph.nodes.get(number).and_then(|label| label.split_once(": "));
    match own {
        Some((name, _)) if name.len() <= NAME_MAX && !name.contains(' ') => name.to_owned(),
        _ => (number + 1).to_string(),
    }
}

/// Lines of a label, broken at spaces where there are any.
fn wrapped(label: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in label.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let line = lines.last_mut().expect("there is a first line");
            let used = line.chars().count() + usize::from(!line.is_empty());
            if used + rest.len() <= WIDTH_MAX {
                if used > 0 {
                    line.push(' ');
                }
                line.extend(rest.drain(..));
            } else if used == 0 {
                line.extend(rest.drain(..WIDTH_MAX));
            } else {
                lines.push(String::new());
            }
        }
    }
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX);
        lines.push("...".to_owned());
    }
    lines
}

/// Arrows with lanes in which no two of a side meet; shorter ones are nearer to the column.
fn arrows(graph: &Graph) -> Vec<Arrow<'_>> {
    let count = graph.nodes.len();
    let is_there = |edge: &&Edge| edge.from < count && edge.to < count;
    let arrow = |edge| Arrow { edge, goes_down: edge.from < edge.to, lane: 0 };
    let mut arrows: Vec<Arrow<'_>> = graph.edges.iter().filter(is_there).map(arrow).collect();
    arrows.sort_by_key(|arrow| (arrow.last() - arrow.first(), arrow.first()));
    for position in 0..arrows.len() {
        let (before, rest) = arrows.split_at_mut(position);
        let arrow = &mut rest[0];
        let meets = |other: &&Arrow<'_>| {
            let is_apart = other.last() <= arrow.first() || arrow.last() <= other.first();
            other.goes_down == arrow.goes_down && (!is_apart || other.first() == arrow.first())
        };
        let taken: Vec<usize> = before.iter().filter(meets).map(|other| other.lane).collect();
        arrow.lane = (0..).find(|lane| !taken.contains(lane)).expect("there are more lanes than arrows");
    }
    arrows
}

/// Where an arrow meets a node: the ends on one side of a node are spread over its height, those of arrows to nodes above
/// it first, so that arrows may follow each other in a lane.
fn port(nodes: &[Node], arrows: &[Arrow<'_>], position: usize, node: usize) -> f64 {
    let goes_down = arrows[position].goes_down;
    let mut ends: Vec<(bool, usize)> = Vec::new();
    for (position, arrow) in arrows.iter().enumerate().filter(|(_, arrow)| arrow.goes_down == goes_down) {
        if arrow.last() == node {
            ends.push((false, position));
        }
        if arrow.first() == node {
            ends.push((true, position));
        }
    }
    ends.sort_unstable();
    let place = ends.iter().position(|(_, other)| *other == position).unwrap_or_default();
    let node = &nodes[node];
    node.top as f64 + node.height as f64 * (place + 1) as f64 / (ends.len() + 1) as f64
}

fn draw_node(svg: &mut String, node: &Node, left: usize, width: usize) {
    let Node { top, height, .. } = node;
    draw(
        svg,
        format_args!(
            "<rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
        ),
    );
    for (number, line) in node.lines.iter().enumerate() {
        let (x, y) = (left + PADDING, top + PADDING / 2 + LINE * number + 14);
        let line = escaped(line);
        draw(svg, format_args!("<text x=\"{x}\" y=\"{y}\" xml:space=\"preserve\">{line}</text>"));
    }
}

/// From the column out to the lane, along it, and back.
fn draw_arrow(svg: &mut String, arrow: &Arrow<'_>, side: f64, (from, to): (f64, f64)) {
    let out = if arrow.goes_down { -1.0 } else { 1.0 };
    let lane = side + out * (arrow.lane + 1) as f64 * LANE as f64;
    // an arrow to the same node ends below where it begins
    let (from, to) = if arrow.edge.from == arrow.edge.to { (from - 5.0, to + 5.0) } else { (from, to) };
    let turn = if to > from { 1.0 } else { -1.0 };
    let corner = CORNER.min((to - from).abs() / 2.0);
    let (near, bend) = (lane - out * corner, turn * corner);
    let class = class(&arrow.edge.kind);
    draw(
        svg,
        format_args!(
            "<path class=\"edge {class}\" d=\"M{side:.1} {from:.1}H{near:.1}Q{lane:.1} {from:.1} {lane:.1} {:.1}\
             V{:.1}Q{lane:.1} {to:.1} {near:.1} {to:.1}H{side:.1}\"/>",
            from + bend,
            to - bend,
        ),
    );
    let tail = side + out * 8.0;
    draw(
        svg,
        format_args!(
            "<path class=\"head {class}\" style=\"stroke-dasharray: none\" d=\"M{tail:.1} {:.1}L{side:.1} {to:.1}L{tail:.1} {:.1}\"/>",
            to - 4.5,
            to + 4.5
        ),
    );
}

/// The class of style for a kind of dependency.
fn class(kind: &str) -> &'static str {
    match kind {
        "ww" => "ww",
        "wr" => "wr",
        "rw" => "rw",
        _ => "order",
    }
}

fn draw(svg: &mut String, shape: std::fmt::Arguments<'_>) {
    // a text takes everything
    let _ = writeln!(svg, "{shape}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let edge = |(from, to): &(usize, usize)| Edge {
            from: *from,
            to: *to,
            kind: "ww".into(),
            why: String::new(),
        };
        Graph { nodes: vec!["T".into(); nodes], edges: edges.iter().map(edge).collect() }
    }

    #[test]
    fn lanes_of_a_side_do_not_meet_and_nest() {
        let graph = graph(4, &[(0, 3), (0, 1), (1, 2), (2, 3), (3, 0), (2, 1)]);
        let lanes: Vec<(usize, usize, usize)> =
            arrows(&graph).iter().map(|arrow| (arrow.edge.from, arrow.edge.to, arrow.lane)).collect();
        assert_eq!(lanes, [(0, 1, 0), (1, 2, 0), (2, 1, 0), (2, 3, 0), (0, 3, 1), (3, 0, 1)]);
    }

    #[test]
    fn nodes_have_the_names_of_their_labels() {
        let graph = Graph { nodes: vec!["T7: p1 txn".into(), "p1 write: 5".into()], edges: Vec::new() };
        assert_eq!([name(&graph, 0), name(&graph, 1)], ["T7", "2"]);
        let picture = svg(&graph);
        assert!(picture.contains(">T7: p1 txn<") && picture.contains(">2 p1 write: 5<"), "{picture}");
    }

    #[test]
    fn edges_from_nowhere_are_left_out() {
        let picture = svg(&graph(1, &[(0, 7), (9, 0), (0, 0)]));
        assert_eq!(picture.matches("class=\"edge").count(), 1, "{picture}");
        assert!(!svg(&graph(0, &[])).contains("rect"));
    }

    #[test]
    fn long_labels_are_broken_and_cut() {
        let lines = wrapped(&format!("{} {}", "ab ".repeat(40), "x".repeat(150)));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH_MAX), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', "").len(), 230);
        assert_eq!(wrapped(&"word ".repeat(1_000)).len(), LINES_MAX + 1);
        assert_eq!(wrapped(""), [""]);
    }
}
