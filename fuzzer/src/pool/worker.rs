//! The parent's side: one worker process, started again when it dies.

use super::{Reply, Request, Setup};
use crate::codec::{CodecError, read_frame, write_frame};
use crate::execution::Execution;
use crate::executor::{Executor, ExecutorError, Learned, Restart, RunOptions};
use crate::schedule::Schedule;
use agents::AnyAgent;
use interceptor::sandbox::Clock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::OpenOptions;
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a worker may be silent, in milliseconds of its processor time: no run takes that long, but for the time that
/// passes by the host's clock until its horizon. On a machine that is busy otherwise it may be much longer for the host;
/// a worker that gets nothing done for so long hangs.
const SILENCE_MS_MAX: i32 = 120_000;
/// How often it is looked whether the user wants all to end, in milliseconds of the host.
const SLICE_MS: i32 = 50;
/// How long a run may go on when the user does.
const STOP_MS_MAX: i32 = 800;
/// How long it may take to end when asked to, in milliseconds of the host.
const QUIT_MS_MAX: i32 = 2_000;

/// How a worker process is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program; as a rule this one.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Where its standard error goes, appended; absent: to ours.
    pub log: Option<PathBuf>,
    /// Set when the user wants all of it to end: a worker that does not answer soon is given up then.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Program {
    /// Starts it, in a process group of its own: what the terminal sends its user's program is not for workers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> io::Result<Link> {
        let stderr = match &self.log {
            None => Stdio::inherit(),
            Some(path) => OpenOptions::new().create(true).append(true).open(path)?.into(),
        };
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        let missing = || io::Error::other("a pipe of the worker is missing");
        let input = child.stdin.take().ok_or_else(missing)?.into();
        let output = child.stdout.take().ok_or_else(missing)?.into();
        let mut link = Link::new(Some(child), input, output);
        link.output.get_mut().stop.clone_from(&self.stop);
        Ok(link)
    }
}

/// A connection to a worker and the process behind it.
#[derive(Debug)]
pub struct Link {
    child: Option<Child>,
    /// `None` once it is closed.
    input: Option<std::fs::File>,
    output: BufReader<Patient>,
}

impl Link {
    /// Talks to a worker that reads `input` and writes `output`.
    #[must_use]
    pub fn new(child: Option<Child>, input: OwnedFd, output: OwnedFd) -> Self {
        let process = child.as_ref().map(Child::id);
        let output =
            BufReader::new(Patient { file: output.into(), limit_ms: SILENCE_MS_MAX, process, stop: None });
        Self { child, input: Some(input.into()), output }
    }

    /// Asks, and waits as long as it may be silent.
    fn ask(&mut self, request: &Request, silence_ms: i32) -> Result<Reply, CodecError> {
        self.output.get_mut().limit_ms = silence_ms;
        let closed = || CodecError::Io(io::ErrorKind::BrokenPipe.into());
        write_frame(self.input.as_mut().ok_or_else(closed)?, request)?;
        read_frame(&mut self.output)?.ok_or_else(closed)
    }

    /// The user's wish, if there is one: then it matters no more how the worker ended.
    fn interrupted(&self) -> Option<ExecutorError> {
        self.output.get_ref().is_stopped().then_some(ExecutorError::Interrupted)
    }

    /// How it ended; a process that has not is killed.
    fn end(&mut self) -> String {
        self.input = None;
        let Some(child) = self.child.as_mut() else { return "its connection was closed".into() };
        let ended_alone = matches!(child.try_wait(), Ok(Some(_)));
        if !ended_alone {
            // An error means that it is gone already.
            let _ = child.kill();
        }
        match child.wait() {
            Ok(status) if ended_alone && status.signal() == Some(nix::libc::SIGKILL) => {
                "it was killed (SIGKILL), as the host does when it runs out of memory".into()
            }
            Ok(status) if ended_alone => format!("it ended by itself: {status}"),
            Ok(status) => format!("it was given up: {status}"),
            Err(error) => format!("it is gone: {error}"),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let Some(input) = self.input.as_mut() else { return };
        if write_frame(input, &Request::Quit).is_ok() {
            self.output.get_mut().limit_ms = QUIT_MS_MAX;
            // Its end is the end of its output; whatever it still says is of no interest.
            let _ = io::copy(&mut self.output, &mut io::sink());
        }
        self.end();
    }
}

/// A reader that gives up when nothing arrives for a while.
#[derive(Debug)]
struct Patient {
    file: std::fs::File,
    limit_ms: i32,
    /// Who writes, where it is known: as long as it works, its time counts, and not the host's.
    process: Option<u32>,
    /// Set when nothing is worth waiting for any more.
    stop: Option<Arc<AtomicBool>>,
}

impl Patient {
    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Waits until something arrives: whether it does in time. A worker that is told to end has a moment to get done.
    fn waits_for(&self) -> io::Result<bool> {
        let mut waited_ms = 0;
        let mut since_stop_ms = 0;
        while waited_ms < self.limit_ms {
            let slice_ms =
                if self.stop.is_some() { SLICE_MS.min(self.limit_ms - waited_ms) } else { self.limit_ms };
            let timeout = PollTimeout::try_from(slice_ms).unwrap_or(PollTimeout::MAX);
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, timeout) {
                Ok(0) => {}
                Ok(_) => return Ok(true),
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            }
            waited_ms += slice_ms;
            since_stop_ms += if self.is_stopped() { slice_ms } else { 0 };
            if since_stop_ms >= STOP_MS_MAX {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was interrupted"));
            }
        }
        Ok(false)
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let worked = || self.process.and_then(worked_ms);
        let mut marks = worked().map(|now| Marks { begin: now, last: now });
        while !self.waits_for()? {
            let works =
                marks.as_mut().zip(worked()).is_some_and(|(marks, now)| marks.works(now, self.limit_ms));
            if !works {
                let why = format!("no answer for {} s", self.limit_ms / 1000);
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
        }
        self.file.read(buffer)
    }
}

/// A process's processor time in milliseconds, when waiting began and when it was looked at last.
#[derive(Debug)]
struct Marks {
    begin: u64,
    last: u64,
}

impl Marks {
    /// Whether it has got on since it was looked at last, and has some of its time left.
    fn works(&mut self, now_ms: u64, limit_ms: i32) -> bool {
        let has_worked = now_ms > self.last;
        self.last = now_ms;
        has_worked && now_ms - self.begin < u64::from(limit_ms.unsigned_abs())
    }
}

/// The processor time of a process in milliseconds (`schedstat` of proc(5) has nanoseconds).
fn worked_ms(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    text.split_whitespace().next()?.parse::<u64>().ok().map(|ns| ns / 1_000_000)
}

/// Starts a worker.
type Start = Box<dyn FnMut() -> io::Result<Link> + Send>;

/// A worker process, and what is needed to start it again.
pub struct Worker {
    number: usize,
    start: Start,
    setup: Setup,
    /// The replica that the worker holds: a new process gets it back.
    agent: Option<AnyAgent>,
    link: Option<Link>,
    restarts: Vec<Restart>,
}

impl Worker {
    /// Starts worker `number` and lets it make its runner.
    ///
    /// # Errors
    /// When it cannot be started, or its runner cannot be made.
    pub fn spawn(number: usize, program: Program, setup: Setup) -> Result<Self, ExecutorError> {
        Self::over(number, Box::new(move || program.start()), setup)
    }

    /// [`Self::spawn`] with another way to start it.
    ///
    /// # Errors
    /// As [`Self::spawn`].
    pub fn over(number: usize, start: Start, setup: Setup) -> Result<Self, ExecutorError> {
        let mut worker = Self { number, start, setup, agent: None, link: None, restarts: Vec::new() };
        worker.connect()?;
        Ok(worker)
    }

    /// The most memory that its process has had resident, in bytes, guests excluded (`VmHWM` of proc(5)).
    #[must_use]
    pub fn peak_memory(&self) -> Option<u64> {
        let id = self.link.as_ref()?.child.as_ref()?.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    }

    fn unusable(&self, why: impl ToString) -> ExecutorError {
        ExecutorError::Worker { worker: self.number, why: why.to_string() }
    }

    /// A fresh process with target and agent.
    fn connect(&mut self) -> Result<&mut Link, ExecutorError> {
        let mut link = (self.start)().map_err(|e| self.unusable(format!("it cannot be started: {e}")))?;
        let mut requests = vec![Request::Setup(Box::new(self.setup.clone()))];
        requests.extend(self.agent.clone().map(|agent| Request::Adopt(Box::new(agent))));
        for request in &requests {
            match link.ask(request, SILENCE_MS_MAX) {
                Ok(Reply::Done) => {}
                Ok(Reply::Failed(error)) => return Err(error),
                Ok(Reply::Ran(_)) => return Err(self.unusable("it answered something else than was asked")),
                Err(error) => {
                    let end = link.end();
                    return Err(link
                        .interrupted()
                        .unwrap_or_else(|| self.unusable(format!("{error}; {end}"))));
                }
            }
        }
        Ok(self.link.insert(link))
    }

    /// Asks, and once more of a new process when the first one dies.
    fn ask(&mut self, request: &Request) -> Result<Reply, ExecutorError> {
        match self.ask_once(request)? {
            Ok(reply) => return Ok(reply),
            Err(why) => self.restarts.push(Restart { worker: self.number, why }),
        }
        self.ask_once(request)?.map_err(|why| ExecutorError::WorkerDied { worker: self.number, why })
    }

    /// The reply, or how the worker died.
    fn ask_once(&mut self, request: &Request) -> Result<Result<Reply, String>, ExecutorError> {
        let silence_ms = match (request, self.setup.clock) {
            (Request::Run(schedule, _), Clock::Real) => {
                SILENCE_MS_MAX.saturating_add(i32::try_from(schedule.horizon_ms).unwrap_or(i32::MAX))
            }
            _ => SILENCE_MS_MAX,
        };
        let link = match self.link.as_mut() {
            Some(link) => link,
            None => self.connect()?,
        };
        match link.ask(request, silence_ms) {
            Ok(Reply::Failed(error)) => Err(error),
            Ok(reply) => Ok(Ok(reply)),
            Err(error) => {
                let why = format!("{error}; {}", link.end());
                let interrupted = link.interrupted();
                self.link = None;
                interrupted.map_or(Ok(Err(why)), Err)
            }
        }
    }

    fn tell(&mut self, request: &Request) -> Result<(), ExecutorError> {
        match self.ask(request)? {
            Reply::Done => Ok(()),
            Reply::Ran(_) | Reply::Failed(_) => {
                Err(self.unusable("it answered something else than was asked"))
            }
        }
    }
}

impl Executor for Worker {
    fn adopt(&mut self, agent: &AnyAgent) -> Result<(), ExecutorError> {
        self.agent = None;
        self.tell(&Request::Adopt(Box::new(agent.clone())))?;
        self.agent = Some(agent.clone());
        Ok(())
    }

    fn learn(&mut self, episodes: &[Learned]) -> Result<(), ExecutorError> {
        if episodes.is_empty() {
            return Ok(());
        }
        // A process that is started again on the way gets the agent as it was, and then the request.
        self.tell(&Request::Learn(episodes.to_vec()))?;
        if let Some(agent) = self.agent.as_mut() {
            episodes.iter().for_each(|episode| episode.teach(agent));
        }
        Ok(())
    }

    fn run(&mut self, input: &Schedule, options: RunOptions) -> Result<Execution, ExecutorError> {
        match self.ask(&Request::Run(Box::new(input.clone()), options))? {
            Reply::Ran(execution) => Ok(*execution),
            Reply::Done | Reply::Failed(_) => Err(self.unusable("it answered something else than was asked")),
        }
    }

    fn restarts(&mut self) -> Vec<Restart> {
        std::mem::take(&mut self.restarts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_waited_for_as_long_as_it_works_and_has_time_left() {
        let mut marks = Marks { begin: 500, last: 500 };
        assert!(marks.works(501, 1_000), "it got on, however little");
        assert!(marks.works(1_400, 1_000));
        assert!(!marks.works(1_400, 1_000), "it got nothing done");
        assert!(marks.works(1_499, 1_000));
        assert!(!marks.works(1_500, 1_000), "it has had its time");
        let own = worked_ms(std::process::id());
        assert!(own <= worked_ms(std::process::id()) && own.is_some());
    }
}
