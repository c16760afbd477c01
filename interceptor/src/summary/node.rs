//! What the nodes say of themselves: roles, and colours, which place a node relative to the foremost of the
//! cluster.

use crate::event::{Event, EventKind, HostId, Report};

/// Roles that are told apart in a run; the nodes of further ones are `other`.
const ROLES_MAX: usize = 24;

/// Longest name of a role in bytes.
const ROLE_BYTES_MAX: usize = 24;

const NODE: usize = 0;
const CLIENT: usize = 1;
const OTHER: usize = 2;

/// The kind of report that tells a node's state.
const STATE: &str = "state";

/// Fields that mean the same, in the order they are looked for.
const TERM: [&str; 4] = ["term", "epoch", "view", "ballot"];
const COMMIT: [&str; 3] = ["commit", "commit_index", "committed"];
const LOG: [&str; 5] = ["last", "last_index", "log_len", "log", "length"];

/// Commits behind the foremost node that make a node lag in the agent's eyes.
const FAR_BEHIND: u64 = 10;

/// The nodes as of some event.
pub(super) struct Cluster {
    nodes: Vec<Node>,
    roles: Vec<String>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    down: bool,
    role: usize,
    term: Option<u64>,
    commit: Option<u64>,
    log: Option<u64>,
}

impl Cluster {
    pub(super) fn new(nodes: usize) -> Self {
        let roles = ["node", "client", "other"].map(str::to_owned).to_vec();
        Self { nodes: vec![Node::default(); nodes], roles }
    }

    /// Back to the beginning of the run.
    pub(super) fn forget(&mut self) {
        self.nodes.fill(Node::default());
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The role of a host by number and name: that of its latest state report, or `node`, or `client`.
    pub(super) fn role(&self, host: HostId) -> (usize, &str) {
        let role = self.nodes.get(usize::from(host.0)).map_or(CLIENT, |node| node.role);
        (role, &self.roles[role])
    }

    /// Takes note of what an event says about its node.
    pub(super) fn follow(&mut self, event: &Event) {
        let host = usize::from(event.host.0);
        if host >= self.nodes.len() {
            return;
        }
        match &event.kind {
            EventKind::Start => self.nodes[host] = Node::default(),
            EventKind::Exit(_) => self.nodes[host] = Node { down: true, ..Node::default() },
            EventKind::Report(report) if report.kind == STATE => {
                let role = report.text("role").map_or(self.nodes[host].role, |role| self.role_number(role));
                let old = self.nodes[host];
                self.nodes[host] = Node {
                    down: false,
                    role,
                    term: number(report, &TERM).or(old.term),
                    commit: number(report, &COMMIT).or(old.commit),
                    log: number(report, &LOG).or(old.log),
                };
            }
            _ => {}
        }
    }

    fn role_number(&mut self, role: &str) -> usize {
        let role = &role[..role.floor_char_boundary(ROLE_BYTES_MAX)];
        match self.roles.iter().position(|known| known == role) {
            // A node that calls itself a client is still none.
            Some(CLIENT) => OTHER,
            Some(number) => number,
            None if role.is_empty() => NODE,
            None if self.roles.len() >= ROLES_MAX => OTHER,
            None => {
                self.roles.push(role.to_owned());
                self.roles.len() - 1
            }
        }
    }

    /// The colours of all nodes, sorted: role, and how far behind the foremost node in term (0, 1, 2+),
    /// commits and log (0, 1, 2-9, 10+), as far as it is reported.
    pub(super) fn colours(&self) -> Vec<String> {
        let front = self.front();
        self.paint(|node, role| {
            let mut colour = role.to_owned();
            let lags = [
                (" term -", lag(node.term, front.term).map(|lag| class(lag, &["0", "1", "2+"], &[0, 1]))),
                (" commit -", lag(node.commit, front.commit).map(|lag| class(lag, &FINE, &[0, 1, 9]))),
                (" log -", lag(node.log, front.log).map(|lag| class(lag, &FINE, &[0, 1, 9]))),
            ];
            for (name, class) in lags {
                if let Some(class) = class {
                    colour.push_str(name);
                    colour.push_str(class);
                }
            }
            colour
        })
    }

    /// The same for the agent: role, how far behind in term (0, 1, 2+), and whether ten commits or more
    /// behind.
    pub(super) fn coarse(&self) -> Vec<String> {
        let front = self.front();
        self.paint(|node, role| {
            let term = lag(node.term, front.term)
                .map_or("", |lag| class(lag, &["", " term -1", " term -2+"], &[0, 1]));
            let far = lag(node.commit, front.commit).is_some_and(|lag| lag >= FAR_BEHIND);
            format!("{role}{term}{}", if far { " behind" } else { "" })
        })
    }

    fn paint(&self, colour: impl Fn(&Node, &str) -> String) -> Vec<String> {
        let paint =
            |node: &Node| if node.down { "down".into() } else { colour(node, &self.roles[node.role]) };
        let mut colours: Vec<String> = self.nodes.iter().map(paint).collect();
        colours.sort_unstable();
        colours
    }

    /// The highest of everything.
    fn front(&self) -> Node {
        let highest = |of: fn(&Node) -> Option<u64>| self.nodes.iter().filter_map(of).max();
        let (term, commit, log) =
            (highest(|node| node.term), highest(|node| node.commit), highest(|node| node.log));
        Node { term, commit, log, ..Node::default() }
    }
}

const FINE: [&str; 4] = ["0", "1", "2-9", "10+"];

fn number(report: &Report, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| report.number(name))
}

fn lag(own: Option<u64>, front: Option<u64>) -> Option<u64> {
    Some(front?.saturating_sub(own?))
}

/// The first class whose bound is not exceeded, or the last.
fn class<'a>(value: u64, names: &[&'a str], bounds: &[u64]) -> &'a str {
    names[bounds.iter().position(|bound| value <= *bound).unwrap_or(names.len() - 1)]
}
