//! References: programs of users that say what is right, asked in JSON lines on their standard input.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use oracle::Judgement;
use oracle::check::{Check, Holds, Options, Setting, Source};
use oracle::checker::conformance::{self, Reference};
use oracle::example::Example;
use oracle::raw::{Error, ops};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a reply may take.
const REPLY_MAX: Duration = Duration::from_secs(10);
/// How many of its last words are told of a reference that has ended.
const WORDS_MAX: usize = 5;

/// The check `conformance`: see [`oracle::checker::conformance`] for what the program is asked.
pub const CHECK: Check = Check {
    name: conformance::NAME,
    about: "any operations, of which a program of yours says what is right, in some order as if one by one",
    example: Example {
        settings: &[("reference", r#"sed -u 's/.*"value":\([0-9]*\).*/{"state":null,"value":\1}/'"#)],
        history: &["0 :invoke :echo 3", "0 :ok :echo 3", "0 :invoke :echo 4", "0 :ok :echo 5"],
        finds: "conformance/unlike-the-reference",
    },
    options: &[Setting {
        name: "reference",
        about: "the command of the program; for each line {\"f\":..., \"value\":..., \"state\":...} (and \"key\", if there \
                is one) it prints {\"state\":..., \"value\":...} or {\"refused\":\"why\"}; the first state is null",
    }],
    holds: Holds::History,
    run: judge,
};

fn judge(source: &mut Source<'_>, options: &Options) -> Result<Judgement, Error> {
    let command = options.text("reference").ok_or_else(|| {
        let cause = "there is no reference; name its command with --set reference=COMMAND";
        Error::at(None, cause.to_owned())
    })?;
    let ops = ops(source)?;
    let mut program = Program::start(command).map_err(|cause| Error::at(None, cause))?;
    conformance::judge(&ops, &mut program, options.steps_max)
}

/// A program that is running; it ends with this.
struct Program {
    child: Child,
    questions: ChildStdin,
    replies: Receiver<String>,
    /// Reads what it says on standard error, to the end.
    words: Option<JoinHandle<Vec<String>>>,
    command: String,
}

impl Program {
    /// Starts a command of the shell.
    fn start(command: &str) -> Result<Self, String> {
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start the reference `{command}`: {error}"))?;
        let questions = child.stdin.take().expect("it is piped");
        let (stdout, stderr) = (child.stdout.take().expect("it is piped"), child.stderr.take());
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            // nobody waits for lines that come after the last question
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let words = stderr.map(|stderr| std::thread::spawn(move || last_lines(stderr)));
        Ok(Self { child, questions, replies, words, command: command.to_owned() })
    }

    /// Why it says nothing more.
    fn ended(&mut self) -> String {
        let status = match self.child.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let words = self.words.take().and_then(|words| words.join().ok()).unwrap_or_default();
        let words: String = words.iter().map(|line| format!("\n  {line}")).collect();
        format!("the reference `{}` ended before it replied ({status}){words}", self.command)
    }
}

fn last_lines(stderr: impl Read) -> Vec<String> {
    let mut last = Vec::new();
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if last.len() == WORDS_MAX {
            last.remove(0);
        }
        last.push(line);
    }
    last
}

impl Reference for Program {
    fn ask(&mut self, question: &str) -> Result<String, String> {
        // who does not listen may have spoken before it ended: what it says counts, or that it says nothing
        let _ = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        self.replies.recv_timeout(REPLY_MAX).map_err(|error| match error {
            RecvTimeoutError::Disconnected => self.ended(),
            RecvTimeoutError::Timeout => format!(
                "the reference `{}` did not reply to {question} within {} s; it must print a line for each line, and \
                 not keep it in a buffer",
                self.command,
                REPLY_MAX.as_secs()
            ),
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = i32::try_from(self.child.id()).expect("process ids fit");
        // it may be gone already
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
