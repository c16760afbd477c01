//! One program in the sandbox, without a target, clients, faults or oracles: what it wrote, how it ended, what it was
//! refused, and the hash of its run. For trying a runtime, for reports of faults in the sandbox, for tests.

use crate::target::template;
use interceptor::event::{EventKind, Exit, LogLine};
use interceptor::room::{Room, data_of};
use interceptor::sandbox::{
    Clock, Config, Error, Limits, NodeConfig, NodeFile, Pause, Program, Sandbox, node_address,
};
use interceptor::time::{Instant, Span};
use serde::Serialize;
use std::path::PathBuf;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The program, as a path that leads to it from anywhere.
    pub program: PathBuf,
    /// Its arguments; `{id}`, `{ip}`, `{ips}`, `{nodes}` and `{data}` stand for what they do in a manifest.
    pub arguments: Vec<String>,
    /// Environment beside PATH, HOME and LANG, or in their place.
    pub environment: Vec<(String, String)>,
    /// Files that it finds in its data directory, which is where it starts.
    pub files: Vec<NodeFile>,
    /// Seeds every choice of the sandbox.
    pub seed: u64,
    /// How many nodes run it.
    pub nodes: u8,
    /// The most time it gets, by its own clock.
    pub time: Span,
    /// By which clock.
    pub clock: Clock,
    /// Keep the event log.
    pub keep_calls: bool,
}

/// How one node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Its program called exit with this status.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was still running.
    Running,
}

/// A kind of call that a node was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The node, from 1.
    pub node: usize,
    /// The call, what of it is not carried, and what it failed with.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ran {
    /// How each node ended.
    pub ends: Vec<End>,
    /// Why the run was ended early, if it was: a bound, or a call that the sandbox does not know.
    pub stopped: Option<String>,
    /// Calls that are not carried.
    pub refused: Vec<Refused>,
    /// What could differ between two runs and the sandbox does not own, by name.
    pub leaks: Vec<String>,
    /// Intercepted calls.
    pub calls: u64,
    /// Time that passed by the sandbox's clock.
    pub virtual_ns: u64,
    /// SHA-256 of the event log, in hex.
    pub hash: String,
    /// The event log, if it was to be kept.
    #[serde(skip)]
    pub log: Vec<String>,
}

impl Exec {
    /// Runs it; `heard` is given each line that a node wrote, also where the run fails.
    ///
    /// # Errors
    /// When the program cannot be started, or the sandbox fails.
    pub fn run(&self, room: &Room, heard: &mut dyn FnMut(&LogLine)) -> Result<Ran, Error> {
        let mut sandbox = Sandbox::new(room, self.config())?;
        let nodes = usize::from(self.nodes);
        for node in 0..nodes {
            sandbox.start(node)?;
        }
        let end = Instant::START + self.time;
        let mut told = 0;
        loop {
            let pause = sandbox.run(end);
            while sandbox.next_client_event().is_some() {}
            sandbox.logs()[told..].iter().for_each(&mut *heard);
            told = sandbox.logs().len();
            if pause? != Pause::Activity || (0..nodes).all(|node| !sandbox.is_up(node)) {
                break;
            }
        }
        Ok(self.outcome(&sandbox))
    }

    fn config(&self) -> Config {
        let ips: Vec<String> =
            (0..usize::from(self.nodes)).map(|node| node_address(node).to_string()).collect();
        let node = |index: usize| {
            let name = format!("n{}", index + 1);
            let data = data_of(&name).display().to_string();
            let fill = |text: &String| {
                template::fill(text, &|word, argument| match (word, argument) {
                    ("id", None) => Some((index + 1).to_string()),
                    ("ip", None) => Some(ips[index].clone()),
                    ("ip", Some(id)) => ips.get(id.parse::<usize>().ok()?.checked_sub(1)?).cloned(),
                    ("ips", None) => Some(ips.join(",")),
                    ("nodes", None) => Some(ips.len().to_string()),
                    ("data", None) => Some(data.clone()),
                    _ => None,
                })
            };
            let mut environment: Vec<(String, String)> = [
                ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                ("HOME", &data),
                ("LANG", "C.UTF-8"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
            for (key, value) in &self.environment {
                environment.retain(|(known, _)| known != key);
                environment.push((key.clone(), fill(value)));
            }
            let arguments = self.arguments.iter().map(fill).collect();
            NodeConfig {
                name,
                programs: vec![Program { program: self.program.clone(), arguments }],
                environment,
                files: self.files.clone(),
            }
        };
        Config {
            seed: self.seed,
            nodes: (0..usize::from(self.nodes)).map(node).collect(),
            clients: 0,
            client_programs: Vec::new(),
            dissectors: Vec::new(),
            roles: Vec::new(),
            atomic_write: 1,
            limits: Limits::default(),
            keep_log: self.keep_calls,
            clock: self.clock,
            shown: self.shown(),
        }
    }

    /// What the program is told of by its path, and the directory that it is started from.
    fn shown(&self) -> Vec<PathBuf> {
        let told = self.arguments.iter().map(PathBuf::from).filter(|path| path.is_absolute());
        told.chain(std::env::current_dir()).collect()
    }

    fn outcome(&self, sandbox: &Sandbox) -> Ran {
        let end_of = |node: usize| {
            let ended = sandbox.events().iter().rev().find_map(|event| match &event.kind {
                EventKind::Exit(exit) if usize::from(event.host.0) == node => Some(exit),
                _ => None,
            });
            match ended {
                Some(Exit::Status(status)) => End::Status(*status),
                Some(Exit::Signal(signal)) => End::Signal(*signal),
                Some(Exit::Killed) | None => End::Running,
            }
        };
        let refused = sandbox.refusals().iter().map(|(refusal, &count)| Refused {
            node: refusal.node + 1,
            what: refusal.to_string(),
            count,
        });
        Ran {
            ends: (0..usize::from(self.nodes)).map(end_of).collect(),
            stopped: sandbox.stopped().map(str::to_owned),
            refused: refused.collect(),
            leaks: sandbox.leaks().into_iter().collect(),
            calls: sandbox.calls(),
            virtual_ns: sandbox.now().0,
            hash: sandbox.log().hash(),
            log: sandbox.log().entries().iter().map(ToString::to_string).collect(),
        }
    }
}
