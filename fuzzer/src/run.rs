//! The runner: executes one schedule on one target in this process.
//!
//! It owns the room and the target's program in it, and the replica of the agent. Everything about a run is a
//! function of target, schedule and agent, unless it is by the host's clock; only its wall time is not.

mod asker;
mod census;
mod connections;
mod gate;
mod session;
mod start;
mod supervisor;

use crate::action::Bounds;
use crate::execution::{Execution, Sighting};
use crate::executor::{Executor, ExecutorError, Learned, RunOptions};
use crate::launcher::Launcher;
use crate::launcher::containers::Containers;
use crate::schedule::Schedule;
use crate::target::{Home, Manifest, Place, PlacedFile, Prepared, Target};
use crate::workload::Offer;
use agents::AnyAgent;
use interceptor::room::{Room, data_of};
use interceptor::sandbox::{Clock, Config, Limits, NodeConfig, NodeFile, Program, node_address};
use interceptor::summary::{CONCURRENT, Dictionary, ORDERS, class_of};
use interceptor::time::host_ns;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Most features of which the meaning is told.
const WORDS_MAX: usize = 1 << 15;

/// Runs schedules on one target, one at a time.
#[derive(Debug)]
pub struct Runner {
    manifest: Manifest,
    offer: Offer,
    /// Where clients connect to.
    port: u16,
    /// What nodes find in their data directories.
    files: Vec<PlacedFile>,
    /// What clients that are programs find in theirs.
    client_files: Vec<PlacedFile>,
    /// The target's program, in the room or in the image.
    program: PathBuf,
    /// The environment that nodes have before the manifest adds to it, but for HOME.
    environment: Vec<(String, String)>,
    /// What makes containers, where nodes live in them.
    containers: Option<Containers>,
    agent: Option<AnyAgent>,
    bounds: Bounds,
    limits: Limits,
    clock: Clock,
    /// The target's directory, which nodes and clients find where it is on the host, wherever that is.
    root: PathBuf,
    room: Room,
    /// What features mean.
    dictionary: Dictionary,
    /// Those of which it was told.
    told: BTreeSet<u64>,
    /// A cluster has become ready before: what does not now is the schedule's doing.
    was_ready: bool,
}

impl Runner {
    /// Puts the program of a target into the room, or gets its containers ready. Without an agent no schedule can ask
    /// for one.
    ///
    /// # Errors
    /// When the program cannot be copied, the target's workload is not known, or containers cannot be had.
    pub fn new(
        target: &Target,
        binary: &Path,
        launcher: &Launcher,
        agent: Option<AnyAgent>,
        room: Room,
    ) -> Result<Self, ExecutorError> {
        let home = match launcher {
            Launcher::Native => Home::Host(Some(binary)),
            Launcher::Docker(_) => Home::Image,
        };
        let prepared = target.prepare(home);
        let Prepared { manifest, files, client_files } =
            prepared.map_err(|error| ExecutorError::SetUp { why: error.to_string() })?;
        let offer = Offer::of(&manifest.client, &manifest.workload.families);
        let containers = launcher.containers(manifest.nodes)?;
        let mut environment = on_host();
        let program = match &containers {
            None => room.install(binary).map_err(|error| ExecutorError::SetUp {
                why: format!("cannot copy {} into {}: {error}", binary.display(), room.root().display()),
            })?,
            Some(containers) => {
                let image = containers.image();
                environment.retain(|(name, _)| !image.environment.iter().any(|(known, _)| known == name));
                environment.extend(image.environment.iter().cloned());
                binary.to_owned()
            }
        };
        let bounds = Bounds {
            max_down: manifest.faults.max_down,
            kinds: manifest.faults.kinds(),
            ..Bounds::default()
        };
        let port = manifest.client.port();
        Ok(Self {
            manifest,
            offer,
            port,
            files,
            client_files,
            program,
            environment,
            containers,
            agent,
            bounds,
            limits: Limits::default(),
            clock: Clock::default(),
            root: target.root.clone(),
            room,
            dictionary: Dictionary::default(),
            told: BTreeSet::new(),
            was_ready: false,
        })
    }

    /// Restricts what the agent may do; the target's own limits stay.
    #[must_use]
    pub fn with_bounds(mut self, bounds: Bounds) -> Self {
        let least = [bounds.max_down, self.bounds.max_down].into_iter().flatten().min();
        self.bounds = Bounds { max_down: least, ..bounds };
        self
    }

    /// Sets bounds on what the nodes may use.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets clusters live by this clock; by the virtual one otherwise.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The meaning of features that was not told before. Orders and concurrency have none that anybody would read.
    fn new_words(&mut self, seen: &[Sighting]) -> Vec<(u64, String)> {
        let mut words = Vec::new();
        for Sighting { feature, .. } in seen {
            if !matches!(class_of(*feature), ORDERS | CONCURRENT)
                && self.told.len() < WORDS_MAX
                && self.told.insert(*feature)
            {
                words.extend(self.dictionary.explain(*feature).map(|text| (*feature, text)));
            }
        }
        words
    }

    fn config(&self, schedule: &Schedule, options: RunOptions) -> Config {
        let ips: Vec<String> =
            (0..usize::from(schedule.nodes)).map(|node| node_address(node).to_string()).collect();
        let bin = self.program.display().to_string();
        let host = |name: String,
                    id: u8,
                    programs: Vec<Vec<String>>,
                    base: &[(String, String)],
                    env: &BTreeMap<String, String>,
                    files: &[PlacedFile]| {
            let data = data_of(&name).display().to_string();
            let place = Place { bin: &bin, id, ips: &ips, data: &data, bugs: &schedule.bugs };
            let programs = programs.into_iter().map(|words| {
                let mut words = self.manifest.words(&words, &place);
                Program { program: words.remove(0).into(), arguments: words }
            });
            let programs = programs.collect();
            let mut environment = vec![("HOME".to_owned(), data.clone())];
            environment.extend(base.iter().filter(|(name, _)| name != "HOME").cloned());
            for (key, value) in self.manifest.env_of(env, &place) {
                environment.retain(|(known, _)| *known != key);
                environment.push((key, value));
            }
            let files = files.iter().filter_map(|file| {
                let content = file.on(&self.manifest, &place)?;
                Some(NodeFile { path: file.path.clone(), content, executable: file.executable })
            });
            let files = files.collect();
            NodeConfig { name, programs, environment, files }
        };
        let spec = &self.manifest.node;
        let commands: Vec<Vec<String>> =
            std::iter::once(&spec.command).chain(&spec.beside).cloned().collect();
        let node =
            |id: u8| host(format!("n{id}"), id, commands.clone(), &self.environment, &spec.env, &self.files);
        let clients = schedule.workload.clients;
        let client_programs = self.manifest.client.exec.iter().flat_map(|exec| {
            let client = |id: u8| {
                let programs = vec![exec.command.clone()];
                let host = host(format!("c{id}"), id, programs, &on_host(), &exec.env, &self.client_files);
                (usize::from(id - 1), host)
            };
            (1..=clients).map(client)
        });
        // One more host asks the nodes whether they are ready, and one for each program what they are.
        let questions = self.manifest.status_programs().flat_map(|command| {
            let question = |id: u8| (id, vec![command.to_vec()]);
            (1..=schedule.nodes).map(question)
        });
        let questions = questions.enumerate().map(|(number, (id, programs))| {
            let name = format!("q{}", number + 1);
            let host = host(name, id, programs, &on_host(), &BTreeMap::new(), &self.client_files);
            (usize::from(clients) + 1 + number, host)
        });
        let client_programs: Vec<(usize, NodeConfig)> = client_programs.chain(questions).collect();
        let questions = self.manifest.status_programs().count() * usize::from(schedule.nodes);
        Config {
            seed: schedule.seed,
            nodes: (1..=schedule.nodes).map(node).collect(),
            clients: usize::from(clients) + 1 + questions,
            client_programs,
            roles: self.manifest.role_lines().unwrap_or_default(),
            dissectors: self.manifest.ports.iter().map(|port| (port.port, port.dissector.clone())).collect(),
            atomic_write: self.manifest.faults.atomic_write(),
            limits: self.limits.clone(),
            keep_log: options.calls,
            clock: self.clock,
            shown: vec![self.root.clone()],
        }
    }
}

impl Executor for Runner {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.agent = Some(agent.clone());
        Ok(())
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        if let Some(agent) = &mut self.agent {
            episodes.iter().for_each(|episode| episode.teach(agent));
        }
        Ok(())
    }

    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError> {
        let begun_ns = host_ns();
        input.check().map_err(|refusal| ExecutorError::Run { why: refusal.to_string() })?;
        if input.agent_from_ms.is_some() && self.agent.is_none() {
            return Err(ExecutorError::Run {
                why: "the schedule asks for an agent and there is none".into(),
            });
        }
        if let Some(family) = input.workload.family.filter(|family| !self.offer.families.contains(family)) {
            let offered: Vec<&str> = self.offer.families.iter().map(|family| family.name()).collect();
            return Err(ExecutorError::Run {
                why: format!(
                    "the schedule's clients work on a {}; target `{}` offers {}",
                    family.name(),
                    self.manifest.name,
                    offered.join(", ")
                ),
            });
        }
        let session = session::Session::begin(self, input, options).map_err(|error| match error {
            ExecutorError::SetUp { why } if self.was_ready => ExecutorError::Run { why },
            other => other,
        })?;
        self.was_ready = true;
        let ready_wall_ns = host_ns() - begun_ns;
        let (mut execution, dictionary) = session.finish()?;
        self.dictionary = dictionary;
        execution.words = self.new_words(&execution.features);
        execution.statistics.ready_wall_ns = ready_wall_ns;
        execution.statistics.wall_ns = host_ns() - begun_ns;
        Ok(execution)
    }
}

/// The environment of programs of the host.
fn on_host() -> Vec<(String, String)> {
    vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]
}

fn broken(error: interceptor::sandbox::Error) -> ExecutorError {
    ExecutorError::Run { why: format!("the sandbox failed: {error}") }
}

#[cfg(test)]
mod tests;
