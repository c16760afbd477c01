//! Switching on: the nodes start, and the run waits until the cluster can be worked with.

use super::broken;
use super::connections::{Connections, Happening};
use super::gate::Gate;
use crate::executor::ExecutorError;
use crate::target::ReadySpec;
use crate::workload::Action;
use interceptor::event::EventKind;
use interceptor::rng::split;
use interceptor::sandbox::{Pause, Sandbox};
use interceptor::time::{Instant, Span};
use rand::RngExt;
use std::collections::VecDeque;

/// Nodes are started within this time of each other.
const START_SPREAD_NS: u64 = 5_000_000;
/// How long a cluster may take to become ready.
const READY_MAX: Span = Span::from_secs(30);
/// Lines shown of a node that did not become ready.
const LINES_SHOWN: usize = 8;

/// Starts all nodes, each a little later than the switching on.
pub(super) fn start_nodes(sandbox: &mut Sandbox, nodes: usize, seed: u64) -> Result<(), ExecutorError> {
    let mut rng = split(seed, "start");
    let mut starts: Vec<(u64, usize)> =
        (0..nodes).map(|node| (rng.random_range(0..START_SPREAD_NS), node)).collect();
    starts.sort_unstable();
    for (at_ns, node) in starts {
        while sandbox.run(Instant(at_ns)).map_err(broken)? == Pause::Activity {}
        sandbox
            .start(node)
            .map_err(|error| ExecutorError::SetUp { why: format!("cannot start n{}: {error}", node + 1) })?;
    }
    Ok(())
}

/// Runs until the cluster is ready; the questions come from the client host `probe`. A run that is ended early on the way
/// passes nothing, which is no error where clusters became ready before.
pub(super) fn pass_gate(
    sandbox: &mut Sandbox,
    questions: &[ReadySpec],
    nodes: usize,
    probe: usize,
    was_ready: bool,
) -> Result<(), ExecutorError> {
    let latest = sandbox.now() + READY_MAX;
    let mut gate = Gate::new(questions, nodes, sandbox.now().0);
    let mut connections = Connections::default();
    let from = sandbox.client(probe);
    let mut seen = 0;
    loop {
        let mut actions = VecDeque::from(gate.on_time(sandbox.now().0));
        while let Some(event) = sandbox.next_client_event() {
            for (slot, happening) in connections.on_event(sandbox, event) {
                let now_ns = sandbox.now().0;
                actions.extend(match happening {
                    Happening::Connected(is_up) => gate.on_connected(slot, is_up, now_ns),
                    Happening::Bytes(bytes) => gate.on_bytes(slot, &bytes, now_ns),
                    Happening::Closed => gate.on_closed(slot, now_ns),
                });
            }
        }
        while let Some((slot, action)) = actions.pop_front() {
            match action {
                Action::Connect(node) => {
                    connections.connect(sandbox, slot, from, node, gate.port(slot));
                }
                Action::Send(bytes) if !connections.send(sandbox, slot, &bytes) => {
                    actions.extend(gate.on_closed(slot, sandbox.now().0));
                }
                Action::Close => connections.close(sandbox, slot),
                _ => {}
            }
        }
        if gate.is_open() {
            connections.close_all(sandbox);
            return Ok(());
        }
        let ended = sandbox.events()[seen..].iter().find_map(|event| match &event.kind {
            EventKind::Exit(exit) => Some((usize::from(event.host.0), format!("{exit:?}"))),
            _ => None,
        });
        seen = sandbox.events().len();
        if let Some((node, exit)) = ended {
            return Err(not_ready(sandbox, node, &format!("it ended before the cluster was ready: {exit}")));
        }
        if sandbox.now() >= latest {
            let (node, why) = gate.holdup();
            return Err(not_ready(sandbox, node, &format!("not ready after {READY_MAX}, {why}")));
        }
        let until = gate.deadline_ns().map_or(latest, |at| latest.min(Instant(at)));
        if sandbox.run(until).map_err(broken)? == Pause::Stopped {
            if was_ready {
                return Ok(());
            }
            let why = sandbox.stopped().unwrap_or("the run was stopped").to_owned();
            return Err(not_ready(sandbox, gate.holdup().0, &why));
        }
    }
}

fn not_ready(sandbox: &Sandbox, node: usize, why: &str) -> ExecutorError {
    let lines = sandbox.logs().iter().filter(|line| usize::from(line.host.0) == node);
    let lines: Vec<&str> = lines.map(|line| line.text.as_str()).collect();
    let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n  ");
    let shown =
        if shown.is_empty() { "it wrote nothing".to_owned() } else { format!("its last lines:\n  {shown}") };
    ExecutorError::SetUp {
        why: format!("n{}: {why}; {shown}\ncheck [node] and [[ready]] in target.toml", node + 1),
    }
}
