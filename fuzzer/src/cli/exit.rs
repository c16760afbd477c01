//! Exit codes: the same meaning for every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything is in order.
    Clean,
    /// A violation was found, or shown again.
    Violation,
    /// Usage, input or set-up is wrong.
    Usage,
    /// Equal inputs gave different runs.
    Nondeterminism,
    /// It could not be decided.
    Unknown,
    /// The user stopped it before anything was found.
    Interrupted,
}

impl Exit {
    /// The number given to the shell.
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Violation => 1,
            Self::Usage => 2,
            Self::Nondeterminism => 3,
            Self::Unknown => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
