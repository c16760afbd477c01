//! What the nodes say of themselves: roles, and colours, which place a node relative to the foremost of the
//! cluster.

use crate::event::{Event, EventKind, HostId, Report};
use crate::role_line;
use serde::{Deserialize, Serialize};

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

/// Roles of nodes that decide.
pub const LEADS: [&str; 3] = ["leader", "primary", "master"];

/// The role of the others, where one is supposed to lead.
pub const FOLLOWS: &str = "follower";

/// How the nodes of a cluster stand to each other, as far as they say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Nodes that run and lead.
    pub leaders: usize,
    /// Nodes that are down.
    pub down: usize,
    /// How far the last of those that run is behind the foremost, in terms.
    pub term_lag: Option<u64>,
    /// The same in commits.
    pub commit_lag: Option<u64>,
}

/// The nodes as of some event.
pub(super) struct Cluster {
    nodes: Vec<Node>,
    roles: Vec<String>,
    /// A node has said what it is.
    is_told: bool,
    /// The node that is supposed to lead.
    supposed: Option<usize>,
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
        Self { nodes: vec![Node::default(); nodes], roles, is_told: false, supposed: None }
    }

    /// Back to the beginning of the run.
    pub(super) fn forget(&mut self) {
        self.nodes.fill(Node::default());
        (self.is_told, self.supposed) = (false, None);
    }

    /// The role of a host by number and name: that of its latest state report, or `node`, or `client`.
    pub(super) fn role(&self, host: HostId) -> (usize, &str) {
        let node = usize::from(host.0);
        let role = if node < self.nodes.len() { self.role_of(node) } else { CLIENT };
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
            EventKind::Report(report) if report.kind == STATE || report.kind == role_line::KIND => {
                self.is_told |= report.text("role").is_some();
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

    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    /// Where no node says what it is: the others follow this one.
    pub(super) fn suppose(&mut self, leader: Option<usize>) {
        self.supposed = leader.filter(|_| !self.is_told);
        if self.supposed.is_some() && !self.roles.iter().any(|role| role == FOLLOWS) {
            self.role_number(LEADS[0]);
            self.role_number(FOLLOWS);
        }
    }

    /// The number of a node's role.
    fn role_of(&self, node: usize) -> usize {
        let Some(leader) = self.supposed.filter(|_| !self.nodes[node].down) else {
            return self.nodes[node].role;
        };
        let name = if node == leader { LEADS[0] } else { FOLLOWS };
        self.roles.iter().position(|role| role == name).unwrap_or(OTHER)
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

    /// How the nodes stand, for the agent.
    pub(super) fn standing(&self) -> Standing {
        let front = self.front();
        let up = || self.nodes.iter().filter(|node| !node.down);
        let roles =
            || (0..self.nodes.len()).filter(|node| !self.nodes[*node].down).map(|node| self.role_of(node));
        let widest = |of: fn(&Node) -> Option<u64>, front| up().filter_map(|node| lag(of(node), front)).max();
        let leaders = roles().filter(|role| LEADS.contains(&self.roles[*role].as_str()));
        Standing {
            leaders: leaders.count(),
            down: self.nodes.iter().filter(|node| node.down).count(),
            term_lag: widest(|node| node.term, front.term),
            commit_lag: widest(|node| node.commit, front.commit),
        }
    }

    fn paint(&self, colour: impl Fn(&Node, &str) -> String) -> Vec<String> {
        let paint = |(number, node): (usize, &Node)| match node.down {
            true => "down".into(),
            false => colour(node, &self.roles[self.role_of(number)]),
        };
        let mut colours: Vec<String> = self.nodes.iter().enumerate().map(paint).collect();
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
