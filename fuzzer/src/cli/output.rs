//! Output: results on standard output, everything else on standard error. A reader that goes away is no error: the command
//! goes on to its exit code, or stops where it asks [`Output::is_closed`].

use serde::Serialize;
use std::io::{IsTerminal, Write};

/// Where results go.
#[derive(Debug)]
pub struct Output {
    json: bool,
    closed: bool,
}

impl Output {
    /// Text, or JSON lines.
    pub const fn new(json: bool) -> Self {
        Self { json, closed: false }
    }

    /// Whether the reader has gone.
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// A line of text, unless results are JSON.
    pub fn text(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.line(line.as_ref());
        }
    }

    /// A JSON line, unless results are text.
    pub fn json(&mut self, value: &impl Serialize) {
        if self.json {
            let line = serde_json::to_string(value).expect("results are plain data");
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
            self.closed = true;
        }
    }
}

/// Whether standard error is a terminal that wants colours and moving lines.
pub fn coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
}

/// A line of progress on standard error.
pub fn note(line: impl AsRef<str>) {
    // progress that nobody reads is not missed
    let _ = writeln!(std::io::stderr(), "{}", line.as_ref());
}
