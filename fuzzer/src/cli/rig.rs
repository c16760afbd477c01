//! From arguments to what runs schedules: a target, built; its bugs; worker processes.

use super::arguments::{LauncherName, Which};
use super::interrupt;
use super::output::{coloured, note};
use agents::ActionSpace;
use anyhow::{Context, bail};
use fuzzer::action;
use fuzzer::campaign::CampaignConfig;
use fuzzer::executor::{Executor, ExecutorError};
use fuzzer::launcher::{Launcher, engine};
use fuzzer::nearest::suggestion;
use fuzzer::pool::{Program, Setup, Worker};
use fuzzer::reproducer::environment::Environment;
use fuzzer::schedule::{Family, Schedule};
use fuzzer::target::build::Binary;
use fuzzer::target::{Part, Target, TargetError, discover};
use indicatif::{ProgressBar, ProgressStyle};
use interceptor::sandbox::Clock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A target that can be run.
#[derive(Clone, Debug)]
pub struct Rig {
    /// The target.
    pub target: Target,
    /// Its binary; with an image, the one in it, with the image's digest.
    pub binary: Binary,
    /// Where nodes live.
    pub launcher: Launcher,
    /// By which clock.
    pub clock: Clock,
    /// What clients work on, where there is a choice.
    pub families: Vec<Family>,
}

/// The target a word stands for.
///
/// # Errors
/// An unknown name, with the nearest one; a manifest that cannot be used.
pub fn find(word: &str) -> Result<Target, TargetError> {
    discover::find(word, &here(), std::env::current_exe().ok().as_deref())
}

/// The target of a finding or a schedule at `path`: the one that is asked for; else the manifest that the finding names,
/// the target of that name in the checkout, or the copy in the finding, whichever is there. It is said when it is not the
/// first of these.
///
/// # Errors
/// When there is none of them, as [`find`] says; a manifest that cannot be used.
pub fn target_of(path: &Path, schedule: &Schedule, asked: Option<&str>) -> Result<Target, TargetError> {
    if let Some(word) = asked {
        return find(word);
    }
    let Some((recorded, dir)) = Environment::beside(path) else { return find(&schedule.target) };
    if recorded.manifest.is_file() {
        return Target::load(&recorded.manifest);
    }
    let gone = |instead: &Path| {
        if recorded.manifest.as_os_str().is_empty() {
            return;
        }
        note(format!("{} is gone; taking {}", recorded.manifest.display(), typed(instead).display()));
    };
    let copy = dir.join(&recorded.copy);
    let by_name = find(&schedule.target);
    match by_name {
        Err(_) if !recorded.copy.as_os_str().is_empty() && copy.is_file() => {
            gone(&copy);
            let mut target = Target::load(&copy)?;
            if recorded.root.is_dir() {
                target.root = recorded.root;
            }
            Ok(target)
        }
        Ok(target) => {
            gone(&target.file);
            Ok(target)
        }
        error => error,
    }
}

/// The directory that holds `targets/` and `corpora/`.
///
/// # Errors
/// When there is none.
pub fn root() -> Result<PathBuf, TargetError> {
    discover::root(&here(), std::env::current_exe().ok().as_deref())
}

fn here() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))
}

impl Rig {
    /// Finds and builds.
    ///
    /// # Errors
    /// What the target or its build command says.
    pub fn prepare(which: &Which) -> anyhow::Result<Self> {
        let target = find(&which.target)?;
        let clock = which.clock.map_or(target.manifest.node.clock, Clock::from);
        let mut rig = Self::of(target, which.launcher, clock, which.no_build)?;
        if let Some(asked) = &which.workload {
            rig.restrict(asked)?;
        }
        Ok(rig)
    }

    /// Lets clients work on nothing but this family.
    ///
    /// # Errors
    /// When the target does not offer it, with the nearest one.
    pub fn restrict(&mut self, asked: &str) -> anyhow::Result<()> {
        let families = &self.target.manifest.workload.families;
        let Some(chosen) = families.iter().find(|family| family.name() == asked) else {
            let offered: Vec<&str> = families.iter().map(|family| family.name()).collect();
            bail!(
                "target `{}` has no workload `{asked}`: {}",
                self.target.name(),
                suggestion(asked, &offered)
            );
        };
        self.families = vec![*chosen];
        Ok(())
    }

    /// The target with another binary, by its own clock; nothing is built.
    ///
    /// # Errors
    /// When the binary cannot be read.
    pub fn with_binary(target: Target, path: PathBuf) -> anyhow::Result<Self> {
        let shown = path.display().to_string();
        let binary = Binary::read(path).with_context(|| format!("cannot read the binary {shown}"))?;
        let clock = target.manifest.node.clock;
        Ok(Self::made(target, binary, Launcher::Native, clock))
    }

    /// Builds.
    ///
    /// # Errors
    /// What the build command or the engine says.
    pub fn of(target: Target, launcher: LauncherName, clock: Clock, no_build: bool) -> anyhow::Result<Self> {
        let (binary, launcher) = match launcher {
            LauncherName::Native => {
                if !no_build {
                    build(&target, Target::build)?;
                }
                (target.binary()?, Launcher::Native)
            }
            LauncherName::Docker => {
                let Some(docker) = &target.manifest.docker else {
                    bail!(
                        "target `{}` has no image: give it a [docker] table in {}",
                        target.name(),
                        typed(&target.file).display()
                    );
                };
                if !no_build {
                    build(&target, Target::build_image)?;
                }
                let image = engine::find_image(&docker.image)?;
                (Binary { path: docker.binary.clone(), digest: image.id.clone() }, Launcher::Docker(image))
            }
        };
        note_roots();
        Ok(Self::made(target, binary, launcher, clock))
    }

    fn made(target: Target, binary: Binary, launcher: Launcher, clock: Clock) -> Self {
        let offered = &target.manifest.workload.families;
        let families = if offered.len() > 1 { offered.clone() } else { Vec::new() };
        Self { target, binary, launcher, clock, families }
    }

    /// What a finding of this command is found with.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment::here(&self.target, &self.binary, &self.launcher, self.clock, std::env::args())
    }

    /// The target's files, of which findings keep copies; none when they cannot be listed, which costs no finding.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.target.parts().unwrap_or_default()
    }

    /// What a worker needs to know. Threads that run free may do so on all processors.
    pub fn setup(&self, bugs: &[String], nodes: u8, cpu: Option<usize>) -> Setup {
        Setup {
            target: self.target.name().to_owned(),
            manifest: self.target.file.clone(),
            binary: self.binary.path.clone(),
            launcher: self.launcher.clone(),
            clock: self.clock,
            bugs: bugs.to_vec(),
            nodes,
            cpu: cpu.filter(|_| self.clock == Clock::Virtual),
            settings: BTreeMap::new(),
        }
    }

    /// What agents choose from, once it is sure that there is an agent `spec`: `name` or `name:parameter=value,…`.
    ///
    /// # Errors
    /// When there is no such agent, with the nearest name.
    pub fn actions(spec: &str) -> anyhow::Result<ActionSpace> {
        let name = spec.split_once(':').map_or(spec, |(name, _)| name);
        if agents::registry::find(name).is_none() {
            bail!("unknown agent `{name}`: {}", suggestion(name, &agents::names()));
        }
        let actions = action::space();
        agents::build(spec, &actions)?;
        Ok(actions)
    }

    /// A campaign of this target that writes to `out`, begun with the schedules in `corpora/<target>/seeds`.
    ///
    /// # Errors
    /// As [`Self::actions`], or a seed that cannot be read.
    pub fn campaign(
        &self,
        agent: &str,
        bugs: Vec<String>,
        nodes: u8,
        out: PathBuf,
    ) -> anyhow::Result<CampaignConfig> {
        let mut config = CampaignConfig::new(self.target.name(), nodes, Self::actions(agent)?, out);
        agent.clone_into(&mut config.agent);
        config.target_digest.clone_from(&self.target.digest);
        config.binary_digest.clone_from(&self.binary.digest);
        config.clock = self.clock;
        let manifest = &self.target.manifest;
        config.kinds = manifest.faults.kinds();
        config.max_down = manifest.faults.max_down;
        config.families.clone_from(&self.families);
        for (_, file) in fuzzer::smoke::kept_in(&self.target.corpora(), self.target.name(), &["seeds"]) {
            let seed = fuzzer::reproducer::load(&file)?.schedule;
            if seed.nodes == nodes {
                config.seeds.push(Schedule { bugs: bugs.clone(), ..seed });
            }
        }
        config.bugs = bugs;
        Ok(config)
    }

    /// A worker of its own for a command that runs one schedule at a time, on a core of its own.
    ///
    /// # Errors
    /// When it cannot be started or cannot run the target.
    pub fn worker(&self, bugs: &[String], nodes: u8) -> anyhow::Result<Worker> {
        Ok(Worker::spawn(0, program()?, self.setup(bugs, nodes, fuzzer::pool::cpus().first().copied()))?)
    }

    /// As many workers as there are `cores`, each on a core of its own as long as there are any.
    ///
    /// # Errors
    /// As [`Self::worker`].
    pub fn workers(
        &self,
        bugs: &[String],
        nodes: u8,
        cores: Option<u16>,
    ) -> anyhow::Result<Vec<Box<dyn Executor>>> {
        let cpus = fuzzer::pool::cpus();
        let count = cores.map_or(cpus.len(), usize::from).max(1);
        let cpus: Vec<usize> = cpus.iter().copied().cycle().take(count).collect();
        self.workers_on(bugs, nodes, &cpus)
    }

    /// A worker on each of these processors.
    ///
    /// # Errors
    /// As [`Self::worker`].
    pub fn workers_on(
        &self,
        bugs: &[String],
        nodes: u8,
        cpus: &[usize],
    ) -> anyhow::Result<Vec<Box<dyn Executor>>> {
        let mut workers: Vec<Box<dyn Executor>> = Vec::new();
        for (number, cpu) in cpus.iter().enumerate() {
            let setup = self.setup(bugs, nodes, Some(*cpu));
            let worker: Result<Worker, ExecutorError> = Worker::spawn(number, program()?, setup);
            workers.push(Box::new(worker?));
        }
        Ok(workers)
    }
}

/// This program as a worker.
///
/// # Errors
/// When the system does not tell where this program is.
pub fn program() -> anyhow::Result<Program> {
    let path = std::env::current_exe().context("cannot find this program to start workers")?;
    Ok(Program { path, arguments: vec!["worker".into()], log: None, stop: interrupt::wish() })
}

type Build = fn(&Target, &mut dyn FnMut(&str)) -> Result<(), TargetError>;

fn build(target: &Target, build: Build) -> Result<(), TargetError> {
    let what = format!("building {}", target.name());
    if !coloured() {
        return build(target, &mut |_| {});
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {prefix}: {wide_msg}").expect("the template is fixed"),
    );
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    let result = build(target, &mut |line| bar.set_message(line.trim().to_owned()));
    bar.finish_and_clear();
    result
}

/// The first line of every command that runs something.
pub fn headline(rig: &Rig, seed: Option<u64>) -> String {
    let seed = seed.map(|seed| format!(" · seed {seed}")).unwrap_or_default();
    let clock = match rig.clock {
        Clock::Virtual => "",
        Clock::Real => " · clock real",
    };
    format!("fuzz {} · target {}{seed}{clock}", env!("CARGO_PKG_VERSION"), rig.target.name())
}

/// Says what is not promised where nodes cannot have roots of their own.
pub fn note_roots() {
    if let Err(why) = interceptor::room::roots() {
        note(format!(
            "nodes have no root of their own here, and are kept from the host's files by fuzz alone ({why}); see `fuzz doctor`"
        ));
    }
}

/// Says what is given up where threads run free.
pub fn note_clock(rig: &Rig) {
    if rig.clock == Clock::Real {
        note(
            "by the real clock threads run free: runs take the time they take, none is the same as another, and what is \
             found breaks again in k of n runs instead of bit for bit",
        );
    }
}

/// A path as the user may type it: from the working directory when it lies there.
pub fn typed(path: &Path) -> PathBuf {
    let inner = std::env::current_dir().ok().and_then(|dir| path.strip_prefix(dir).ok().map(Path::to_owned));
    inner.unwrap_or_else(|| path.to_owned())
}

/// A warning on standard error.
pub fn warn(text: &str) {
    note(format!("warning: {text}"));
}
