//! The worker's side: answers requests until its parent is gone.

use super::{Reply, Request, Setup};
use crate::codec::{CodecError, read_frame, write_frame};
use crate::executor::{Executor, ExecutorError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, dup, dup2_stdout};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

/// Answers requests until the parent says so or is gone. `make` makes the runner once the target is known.
///
/// # Errors
/// When a frame is damaged or the parent disappears in the middle of one.
pub fn serve<R: Read, W: Write>(
    mut input: R,
    mut output: W,
    mut make: impl FnMut(&Setup) -> Result<Box<dyn Executor>, ExecutorError>,
) -> Result<(), CodecError> {
    let mut executor: Option<Box<dyn Executor>> = None;
    while let Some(request) = read_frame::<Request>(&mut input)? {
        let reply = match (request, executor.as_mut()) {
            (Request::Quit, _) => return Ok(()),
            (Request::Setup(setup), _) => match pin(setup.cpu).and_then(|()| make(&setup)) {
                Ok(made) => {
                    executor = Some(made);
                    Reply::Done
                }
                Err(error) => Reply::Failed(error),
            },
            (_, None) => Reply::Failed(ExecutorError::Run { why: "the worker was not set up".into() }),
            (Request::Adopt(agent), Some(executor)) => done(executor.adopt(&agent)),
            (Request::Learn(episodes), Some(executor)) => done(executor.learn(&episodes)),
            (Request::Run(schedule, options), Some(executor)) => match executor.run(&schedule, options) {
                Ok(execution) => Reply::Ran(Box::new(execution)),
                Err(error) => Reply::Failed(error),
            },
        };
        write_frame(&mut output, &reply)?;
    }
    Ok(())
}

/// [`serve`] on standard input and output, which from then on is kept for frames: whatever else this process
/// prints goes to standard error.
///
/// # Errors
/// As [`serve`], and when standard output cannot be set aside.
pub fn serve_stdio(
    make: impl FnMut(&Setup) -> Result<Box<dyn Executor>, ExecutorError>,
) -> Result<(), CodecError> {
    let output = File::from(dup(io::stdout()).map_err(io::Error::from)?);
    dup2_stdout(io::stderr()).map_err(io::Error::from)?;
    serve(io::stdin().lock(), output, make)
}

/// Ends this process as soon as nobody can ask it anything any more, also in the middle of a run. Guests and room go with
/// it. To be called when the process is where it stays: it starts a thread.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let input = io::stdin();
        loop {
            let mut fds = [PollFd::new(input.as_fd(), PollFlags::empty())];
            let polled = poll(&mut fds, PollTimeout::NONE);
            let is_gone =
                fds[0].revents().is_some_and(|it| it.intersects(PollFlags::POLLHUP | PollFlags::POLLERR));
            if polled.is_ok() && is_gone {
                std::process::exit(0);
            }
        }
    });
}

fn done(result: Result<(), ExecutorError>) -> Reply {
    match result {
        Ok(()) => Reply::Done,
        Err(error) => Reply::Failed(error),
    }
}

/// Keeps this thread to one processor, if one is given. Guests inherit it; without it two workers would share one at
/// times.
///
/// # Errors
/// When it is not ours to use.
pub fn pin(cpu: Option<usize>) -> Result<(), ExecutorError> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    let pinned = set.set(cpu).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    pinned.map_err(|e| ExecutorError::SetUp {
        why: format!("cannot keep to processor {cpu}: {e}; use fewer cores"),
    })
}
