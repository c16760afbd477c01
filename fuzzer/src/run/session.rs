//! One execution, from switching on to the verdict: start, readiness, faults, quiet, final reads.
//!
//! One loop: let the sandbox run until something is due or happens, take in what happened, do what is due. The
//! instants at which it stops are the same whether faults are chosen or replayed, and so is the order of what is
//! done at one instant; therefore an executed schedule repeats the run that it came from, call by call.

use super::census::{Census, Deed, Fill, News, Way};
use super::connections::{Connections, Happening};
use super::start::{pass_gate, start_nodes};
use super::supervisor::Supervisor;
use super::{Runner, broken};
use crate::action::{Seen, View};
use crate::execution::{Detail, Execution, Statistics};
use crate::executor::{ExecutorError, RunOptions};
use crate::explorer::{self, Explorer};
use crate::nemesis::Nemesis;
use crate::observe::Observer;
use crate::reproducer::sources::Sources;
use crate::schedule::Schedule;
use crate::state::Situation;
use crate::tally::Tally;
use crate::target::{OracleSpec, Place};
use crate::workload::{Action, Command, Workload};
use agents::StateId;
use interceptor::event::{Event, EventKind, Exit, HostId, LogLine};
use interceptor::room::data_of;
use interceptor::sandbox::{Config, Pause, Sandbox, node_address};
use interceptor::summary::Dictionary;
use interceptor::time::{Instant, Span};
use interceptor::timeline::key;
use oracle::checker::sanitizer::Line;
use oracle::{Call, Entry, Observations, Phase, Quiet, Verdict};
use std::collections::VecDeque;

/// How often the agent is asked and windows are summarised.
const WINDOW: Span = Span::from_millis(250);
/// How long the cluster is watched at least before final reads; at most, it is for the target to say.
const PROBE_MIN: Span = Span::from_millis(1_500);
/// The longest time from then to the end.
const FINAL_MAX: Span = Span::from_secs(5);

/// Where the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Faults,
    Probing,
    /// Where answers may be old, final reads wait for all of the time that recovery may take: what is late is not lost.
    Resting,
    FinalReads,
    /// What final reads missed is asked for once more, after a change and a rest: it is late, or lost.
    SecondLook,
    Over,
}

/// A run under way.
pub(super) struct Session {
    input: Schedule,
    options: RunOptions,
    /// Where clients connect to.
    port: u16,
    /// Clients are programs.
    has_programs: bool,
    judges: oracle::Config,
    oracles: OracleSpec,
    /// How long the cluster may take to recover.
    probe_max: Span,
    sandbox: Sandbox,
    /// The target's directory.
    root: std::path::PathBuf,
    connections: Connections,
    census: Census,
    /// The connections that nodes are asked on.
    asking: Connections,
    /// How many clients are programs; those that ask come after them.
    programs: usize,
    nemesis: Nemesis,
    supervisor: Supervisor,
    workload: Workload,
    observer: Observer,
    explorer: Option<Explorer>,
    history: Vec<Entry>,
    /// Operations that wait for an answer.
    waiting: usize,
    assertions: Vec<oracle::assertion::Failed>,
    /// How many events were taken in.
    taken: usize,
    ready: Instant,
    horizon: Instant,
    window_end: Instant,
    stage: Stage,
    /// When final reads were over the first time: liveness looks no further.
    read: Option<Instant>,
    /// When a second look is over at the latest.
    look_end: Instant,
}

impl Session {
    /// Switches the cluster on and waits until it is ready.
    ///
    /// # Errors
    /// When the sandbox fails or the cluster does not become ready.
    pub fn begin(runner: &mut Runner, input: &Schedule, options: RunOptions) -> Result<Self, ExecutorError> {
        let config = runner.config(input, options);
        let nodes = config.nodes.len();
        let hosts = nodes + config.clients;
        let fill = filler(runner, &config);
        let mut sandbox = Sandbox::new(&runner.room, config)
            .map_err(|error| ExecutorError::SetUp { why: format!("cannot prepare the room: {error}") })?;
        if let Some(containers) = &runner.containers {
            sandbox = sandbox.with_homes(containers.homes());
        }
        start_nodes(&mut sandbox, nodes, input.seed)?;
        let manifest = &runner.manifest;
        let probe = usize::from(input.workload.clients);
        pass_gate(&mut sandbox, &manifest.questions(), nodes, probe, runner.was_ready)?;
        let dictionary = std::mem::take(&mut runner.dictionary);
        let mut observer = Observer::new(nodes, hosts, dictionary);
        let taken = sandbox.events().len();
        sandbox.events().iter().for_each(|event| observer.take(event, sandbox.logs()));
        let ready = sandbox.now();
        let explorer = Explorer::of(input, runner.agent.clone(), &runner.bounds);
        let lines = manifest.role_lines().unwrap_or_default();
        let census = Census::new(&manifest.status, lines, nodes, ready.0, fill);
        let has_programs = runner.offer.protocol.is_program();
        Ok(Self {
            root: runner.root.clone(),
            input: input.clone(),
            options,
            port: runner.port,
            has_programs,
            oracles: manifest.oracles.clone(),
            judges: manifest.judges(runner.offer.family(&input.workload)),
            probe_max: Span::from_millis(manifest.oracles.recovery_ms).max(PROBE_MIN),
            connections: Connections::default(),
            census,
            asking: Connections::default(),
            programs: if has_programs { usize::from(input.workload.clients) } else { 0 },
            nemesis: Nemesis::new(nodes, ready, &input.steps),
            supervisor: Supervisor::new(nodes),
            workload: Workload::new(&input.workload, &runner.offer, nodes, input.seed, ready.0),
            observer,
            explorer,
            history: Vec::new(),
            waiting: 0,
            assertions: Vec::new(),
            taken,
            ready,
            horizon: ready + Span::from_millis(input.horizon_ms),
            window_end: ready,
            stage: Stage::Faults,
            read: None,
            look_end: ready,
            sandbox,
        })
    }

    /// Runs to the end and judges; also what features mean, of this run and of earlier ones.
    ///
    /// # Errors
    /// When the sandbox fails.
    pub fn finish(mut self) -> Result<(Execution, Dictionary), ExecutorError> {
        // The first window ends as the run begins: what led to readiness is the state of the first choice.
        if self.sandbox.stopped().is_none() {
            self.do_what_is_due()?;
        }
        while self.stage != Stage::Over {
            let pause = self.sandbox.run(self.next_stop()).map_err(broken)?;
            self.take_events()?;
            if pause == Pause::Stopped {
                break;
            }
            self.take_client_events()?;
            self.do_what_is_due()?;
        }
        self.take_events()?;
        let state = self.end_window();
        self.close(state);
        Ok(self.conclude())
    }

    /// The next instant at which there is something to do.
    fn next_stop(&self) -> Instant {
        let quiet = |span: Span| Some(self.horizon + span);
        let stage = match self.stage {
            Stage::Faults => Some(self.horizon),
            Stage::Probing if self.sandbox.now() < self.horizon + PROBE_MIN => quiet(PROBE_MIN),
            Stage::Probing | Stage::Resting => quiet(self.probe_max),
            Stage::FinalReads | Stage::Over => quiet(self.probe_max + FINAL_MAX),
            Stage::SecondLook => Some(self.look_end),
        };
        let workload = self.workload.deadline_ns().map(Instant);
        let census = self.census.deadline_ns().map(Instant);
        let faults = [self.nemesis.deadline(), self.supervisor.deadline()];
        let all = [Some(self.window_end), stage, workload, census].into_iter().chain(faults);
        all.flatten().min().unwrap_or(self.window_end)
    }

    /// Takes in new events; steps that waited for one fire right after it.
    fn take_events(&mut self) -> Result<(), ExecutorError> {
        while let Some(event) = self.sandbox.events().get(self.taken).cloned() {
            self.taken += 1;
            if is_about_asking(&event, hosts_of(&self.input)) {
                continue;
            }
            self.observer.take(&event, self.sandbox.logs());
            if let Some(explorer) = &mut self.explorer {
                explorer.take(&event);
            }
            if let EventKind::Exit(Exit::Status(_) | Exit::Signal(_)) = event.kind {
                self.supervisor.on_exit(usize::from(event.host.0), event.at);
            }
            self.nemesis.on_event(&event, &mut self.sandbox).map_err(broken)?;
        }
        Ok(())
    }

    fn take_client_events(&mut self) -> Result<(), ExecutorError> {
        while let Some(event) = self.sandbox.next_client_event() {
            for (slot, happening) in self.asking.on_event(&mut self.sandbox, event) {
                let now_ns = self.sandbox.now().0;
                let (deeds, news) = match happening {
                    Happening::Connected(is_up) => self.census.on_connected(slot, is_up, now_ns),
                    Happening::Bytes(bytes) => self.census.on_bytes(slot, &bytes, now_ns),
                    Happening::Closed => self.census.on_closed(slot, now_ns),
                };
                self.tell(news);
                self.ask(deeds)?;
            }
            for (client, happening) in self.connections.on_event(&mut self.sandbox, event) {
                let now_ns = self.sandbox.now().0;
                let commands = match happening {
                    Happening::Connected(is_up) => self.workload.on_connected(client, is_up, now_ns),
                    Happening::Bytes(bytes) => self.workload.on_bytes(client, &bytes, now_ns),
                    Happening::Closed => self.workload.on_closed(client, now_ns),
                };
                self.carry_out(commands)?;
            }
        }
        Ok(())
    }

    /// Does what the census asks.
    fn ask(&mut self, deeds: Vec<Deed>) -> Result<(), ExecutorError> {
        let mut deeds = VecDeque::from(deeds);
        while let Some((slot, action)) = deeds.pop_front() {
            match (action, self.census.way(slot)) {
                (Action::Connect(node), Way::Port(port)) => {
                    let from = self.sandbox.client(usize::from(self.input.workload.clients));
                    self.asking.connect(&mut self.sandbox, slot, from, node, port);
                }
                (Action::Connect(_), Way::Program(program)) => {
                    let program = self.programs + program;
                    self.asking.converse(&mut self.sandbox, slot, program).map_err(broken)?;
                    deeds.extend(self.census.on_connected(slot, true, self.sandbox.now().0).0);
                }
                (Action::Send(bytes), _) if !self.asking.send(&mut self.sandbox, slot, &bytes) => {
                    let (more, news) = self.census.on_closed(slot, self.sandbox.now().0);
                    self.tell(news);
                    deeds.extend(more);
                }
                (Action::Close, _) => self.asking.close(&mut self.sandbox, slot),
                _ => {}
            }
        }
        Ok(())
    }

    /// What a node has said of itself is an event of that node.
    fn tell(&mut self, news: News) {
        if let Some((node, report)) = news {
            let host = HostId(u16::try_from(node).unwrap_or(u16::MAX));
            self.sandbox.note(host, EventKind::Report(report));
        }
    }

    /// Does what clients ask.
    fn carry_out(&mut self, commands: Vec<Command>) -> Result<(), ExecutorError> {
        let mut commands = VecDeque::from(commands);
        while let Some((client, action)) = commands.pop_front() {
            match action {
                Action::Connect(node) if !self.has_programs => {
                    let from = self.sandbox.client(client);
                    self.connections.connect(&mut self.sandbox, client, from, node, self.port);
                }
                Action::Connect(_) => {
                    self.connections.converse(&mut self.sandbox, client, client).map_err(broken)?;
                    commands.extend(self.workload.on_connected(client, true, self.sandbox.now().0));
                }
                Action::Send(bytes) => {
                    if !self.connections.send(&mut self.sandbox, client, &bytes) {
                        commands.extend(self.workload.on_closed(client, self.sandbox.now().0));
                    }
                }
                Action::Close => self.connections.close(&mut self.sandbox, client),
                Action::Assert { kind, message } => {
                    let (at_ns, client) = (self.sandbox.now().0, client as u32 + 1);
                    self.assertions.push(oracle::assertion::Failed { at_ns, client, kind, message });
                }
                Action::Invoke { process, call } => {
                    self.write_down(client, (process, None), Phase::Invoke, call, None)
                }
                Action::Complete { process, phase, call, error, node } => {
                    self.write_down(client, (process, Some(node)), phase, call, error);
                }
            }
        }
        Ok(())
    }

    fn write_down(
        &mut self,
        client: usize,
        (process, node): (u32, Option<usize>),
        phase: Phase,
        call: Call,
        error: Option<String>,
    ) {
        let label = format!("{}:{}", phase.name(), call.function().name());
        self.sandbox.note(self.sandbox.client(client), EventKind::Client { label });
        match phase {
            Phase::Invoke => self.waiting += 1,
            _ => self.waiting = self.waiting.saturating_sub(1),
        }
        let (index, at_ns) = (self.history.len() as u64, self.sandbox.now().0);
        let number = |position: usize| u32::try_from(position + 1).ok();
        let (client, node) = (number(client), node.and_then(number));
        self.history.push(Entry { index, at_ns, process, phase, call, error, client, node });
    }

    /// Everything whose time has come, always in the same order.
    fn do_what_is_due(&mut self) -> Result<(), ExecutorError> {
        let now = self.sandbox.now();
        self.nemesis.on_time(&mut self.sandbox).map_err(broken)?;
        if now >= self.window_end {
            let state = self.end_window();
            self.explore(state);
            self.nemesis.on_time(&mut self.sandbox).map_err(broken)?;
            while self.window_end <= now {
                self.window_end += WINDOW;
            }
        }
        for node in self.supervisor.due(now) {
            if !self.nemesis.holds_down(node) {
                self.sandbox.start(node).map_err(broken)?;
            }
        }
        if self.stage == Stage::Faults && now >= self.horizon {
            self.heal()?;
        }
        let deeds = self.census.on_time(now.0);
        self.ask(deeds)?;
        let commands = self.workload.on_time(now.0);
        self.carry_out(commands)?;
        self.go_on(now);
        Ok(())
    }

    /// Faults are over.
    fn heal(&mut self) -> Result<(), ExecutorError> {
        let state = self.end_window();
        self.close(state);
        self.stage = Stage::Probing;
        self.nemesis.heal(&mut self.sandbox).map_err(broken)?;
        self.supervisor.pardon();
        (0..usize::from(self.input.nodes)).try_for_each(|node| self.sandbox.start(node)).map_err(broken)?;
        self.workload.probe();
        Ok(())
    }

    fn go_on(&mut self, now: Instant) {
        let quiet = now.since(self.horizon);
        match self.stage {
            Stage::Probing | Stage::Resting if quiet >= self.probe_max => self.ask_finally(now),
            Stage::Probing if quiet >= PROBE_MIN && self.workload.is_settled() => {
                if self.oracles.fresh {
                    self.ask_finally(now);
                } else {
                    self.stage = Stage::Resting;
                    self.workload.rest();
                }
            }
            Stage::FinalReads if self.workload.is_finished() || quiet >= self.probe_max + FINAL_MAX => {
                self.read = Some(now);
                self.look_again(now);
            }
            Stage::SecondLook if self.workload.is_finished() || now >= self.look_end => {
                self.stage = Stage::Over;
            }
            _ => {}
        }
    }

    /// Final reads that miss what was acknowledged are asked again, after a change through the same nodes and a rest as
    /// long as recovery may take.
    fn look_again(&mut self, now: Instant) {
        let observations = Observations {
            history: self.history.clone(),
            final_from_ns: self.workload.final_from_ns(),
            ..Observations::default()
        };
        let missed = oracle::checker::missed::missed(&observations, &self.judges);
        if missed.is_empty() {
            self.stage = Stage::Over;
            return;
        }
        self.stage = Stage::SecondLook;
        let changes_until = now + FINAL_MAX;
        self.look_end = changes_until + self.probe_max + FINAL_MAX;
        self.workload.look_again(&missed, changes_until.0, self.probe_max.0, now.0);
    }

    fn ask_finally(&mut self, now: Instant) {
        self.stage = Stage::FinalReads;
        self.workload.finish(now.0);
    }

    /// Ends the window; the state it leads to.
    fn end_window(&mut self) -> StateId {
        let end_ms = self.window_end.since(self.ready).as_millis();
        let view = self.view();
        let (summary, happened, reign) =
            self.observer.window((self.window_end > self.ready).then_some(end_ms));
        if let Some(explorer) = &mut self.explorer {
            explorer.saw(&summary.features);
        }
        #[allow(clippy::cast_precision_loss, reason = "a share")]
        let over = end_ms as f64 / self.input.horizon_ms as f64;
        let waiting = self.waiting;
        Situation { standing: summary.standing, view: &view, happened, reign, waiting, over }.state()
    }

    /// Lets the agent choose, if it is its turn; what it chose strikes before the next window.
    fn explore(&mut self, state: StateId) {
        if self.explorer.is_none() || self.window_end >= self.horizon || self.stage != Stage::Faults {
            return;
        }
        debug_assert!(self.sandbox.now() >= self.window_end, "a window has passed when it ends");
        let begin_ms = self.window_end.since(self.ready).as_millis();
        let window = explorer::Window { state, begin_ms, length_ms: WINDOW.as_millis() };
        let (view, so_far) = (self.view(), self.so_far());
        let Some(explorer) = &mut self.explorer else { return };
        for step in explorer.choose(window, view, &so_far) {
            self.nemesis.arm(step, explorer.seen());
        }
    }

    /// Nothing is chosen any more: what the last choice led to is known.
    fn close(&mut self, state: StateId) {
        let now_ms = self.sandbox.now().since(self.ready).as_millis().min(self.input.horizon_ms);
        let (view, so_far) = (self.view(), self.so_far());
        if let Some(explorer) = &mut self.explorer {
            explorer.close(state, view, &so_far, now_ms);
        }
    }

    /// What is known of the cluster now.
    fn view(&self) -> View {
        View {
            roles: self.observer.roles(),
            up: (0..usize::from(self.input.nodes)).map(|node| self.sandbox.is_up(node)).collect(),
            active: self.nemesis.active().cloned().collect(),
            seen: Seen::default(),
        }
    }

    /// The schedule with all steps that are armed.
    fn so_far(&self) -> Schedule {
        Schedule { steps: self.nemesis.steps(), ..self.input.clone() }
    }

    fn conclude(self) -> (Execution, Dictionary) {
        let now = self.sandbox.now();
        let operations = self.history.iter().filter(|entry| entry.phase == Phase::Invoke).count() as u64;
        let stopped = self.sandbox.stopped().map(str::to_owned);
        let observations = Observations {
            history: self.history,
            reports: self.observer.reports().to_vec(),
            exits: self.observer.exits().to_vec(),
            lines: self.sandbox.logs().iter().filter_map(|line| written(line, self.input.nodes)).collect(),
            assertions: self.assertions,
            quiet: stopped
                .is_none()
                .then_some(Quiet { from_ns: self.horizon.0, to_ns: self.read.unwrap_or(now).0 }),
            final_from_ns: self.workload.final_from_ns(),
            again_from_ns: self.workload.again_from_ns(),
        };
        let tally = Tally::of(&observations.history);
        let mut verdicts = oracle::judge(&observations, &self.judges);
        for judgement in &mut verdicts.judgements {
            judgement.violations.retain(|violation| !self.oracles.is_known(&violation.signature));
        }
        let verdict = match (verdicts.verdict(), stopped) {
            (Verdict::Violation(violation), _) => Verdict::Violation(violation),
            (_, Some(why)) => Verdict::Unknown { why },
            // Who was never served was promised nothing.
            (verdict, None) => tally.in_vain().map_or(verdict, |why| Verdict::Unknown { why }),
        };
        let hosts = hosts_of(&self.input);
        let detail = self.options.detail.then(|| {
            Box::new(Detail {
                history: observations.history.clone(),
                events: self
                    .sandbox
                    .events()
                    .iter()
                    .filter(|event| !is_about_asking(event, hosts))
                    .cloned()
                    .collect(),
                logs: self.sandbox.logs().to_vec(),
                hosts: self.sandbox.host_names().into_values().take(hosts).collect(),
                calls: self.sandbox.log().entries().iter().map(ToString::to_string).collect(),
                sources: Sources::of(self.sandbox.sources(), &self.root),
            })
        });
        let (turn, episode) = self.explorer.map(Explorer::into_episode).unwrap_or_default();
        let execution = Execution {
            schedule: Schedule {
                agent_from_ms: None,
                agent_salt: 0,
                steps: self.nemesis.steps(),
                ..self.input
            },
            clock: self.sandbox.clock(),
            hash: self.sandbox.log().hash(),
            verdict,
            features: self.observer.features(),
            words: Vec::new(),
            turn,
            episode,
            landings: self.nemesis.landings(&self.sandbox),
            statistics: Statistics {
                virtual_ns: now.0,
                ready_ns: self.ready.0,
                wall_ns: 0,
                ready_wall_ns: 0,
                calls: self.sandbox.calls(),
                messages: self.observer.messages(),
                operations,
                tally,
                windows: self.observer.windows(),
                leaks: self.sandbox.leaks().into_iter().collect(),
            },
            detail,
        };
        (execution, self.observer.into_dictionary())
    }
}

/// How many hosts are nodes or clients; those behind them only ask nodes what they are.
fn hosts_of(schedule: &Schedule) -> usize {
    usize::from(schedule.nodes) + usize::from(schedule.workload.clients)
}

/// Whether an event has to do with a host behind the first so many: it is no part of what clients and nodes do.
fn is_about_asking(event: &Event, hosts: usize) -> bool {
    let is_behind = |host: HostId| usize::from(host.0) >= hosts;
    is_behind(event.host) || key::peer(&event.kind).is_some_and(is_behind)
}

/// Fills in the placeholders of a node.
fn filler(runner: &Runner, config: &Config) -> Fill {
    let manifest = runner.manifest.clone();
    let bin = runner.program.display().to_string();
    let data: Vec<String> =
        config.nodes.iter().map(|node| data_of(&node.name).display().to_string()).collect();
    let ips: Vec<String> = (0..data.len()).map(|node| node_address(node).to_string()).collect();
    Box::new(move |node, text| {
        let id = u8::try_from(node + 1).unwrap_or(u8::MAX);
        let place = Place { bin: &bin, id, ips: &ips, data: &data[node], bugs: &[] };
        manifest.words(&[text.to_owned()], &place).remove(0)
    })
}

/// What a node wrote, as oracles know it.
fn written(line: &LogLine, nodes: u8) -> Option<Line> {
    let is_node = line.host.0 < u16::from(nodes);
    is_node.then(|| Line { at_ns: line.at.0, node: u32::from(line.host.0) + 1, text: line.text.clone() })
}
