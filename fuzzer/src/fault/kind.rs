//! The kinds of faults, without victims and durations.

use super::Fault;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What sort of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// [`Fault::Partition`]
    Partition,
    /// [`Fault::Link`]
    Link,
    /// [`Fault::Delay`]
    Delay,
    /// [`Fault::Stall`]
    Stall,
    /// [`Fault::Reset`]
    Reset,
    /// [`Fault::Kill`]
    Kill,
    /// [`Fault::PowerLoss`]
    PowerLoss,
    /// [`Fault::Pause`]
    Pause,
    /// [`Fault::ClockJump`]
    ClockJump,
    /// [`Fault::ClockRate`]
    ClockRate,
    /// [`Fault::SlowFsync`]
    SlowFsync,
    /// [`Fault::FsyncError`]
    FsyncError,
    /// [`Fault::NoSpace`]
    NoSpace,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Partition,
        Self::Link,
        Self::Delay,
        Self::Stall,
        Self::Reset,
        Self::Kill,
        Self::PowerLoss,
        Self::Pause,
        Self::ClockJump,
        Self::ClockRate,
        Self::SlowFsync,
        Self::FsyncError,
        Self::NoSpace,
    ];

    /// Its name, as in the `kind` of a written fault.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partition => "partition",
            Self::Link => "link",
            Self::Delay => "delay",
            Self::Stall => "stall",
            Self::Reset => "reset",
            Self::Kill => "kill",
            Self::PowerLoss => "power-loss",
            Self::Pause => "pause",
            Self::ClockJump => "clock-jump",
            Self::ClockRate => "clock-rate",
            Self::SlowFsync => "slow-fsync",
            Self::FsyncError => "fsync-error",
            Self::NoSpace => "no-space",
        }
    }

    /// Whether it needs two nodes.
    #[must_use]
    pub const fn is_between(self) -> bool {
        matches!(self, Self::Partition | Self::Link | Self::Delay | Self::Stall | Self::Reset)
    }

    /// Whether its victim is down for a while.
    #[must_use]
    pub const fn takes_down(self) -> bool {
        matches!(self, Self::Kill | Self::PowerLoss)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is not a kind of fault; the kinds are {names}")
        })
    }
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Partition { .. } => Kind::Partition,
            Self::Link { .. } => Kind::Link,
            Self::Delay { .. } => Kind::Delay,
            Self::Stall { .. } => Kind::Stall,
            Self::Reset { .. } => Kind::Reset,
            Self::Kill { .. } => Kind::Kill,
            Self::PowerLoss { .. } => Kind::PowerLoss,
            Self::Pause { .. } => Kind::Pause,
            Self::ClockJump { .. } => Kind::ClockJump,
            Self::ClockRate { .. } => Kind::ClockRate,
            Self::SlowFsync { .. } => Kind::SlowFsync,
            Self::FsyncError { .. } => Kind::FsyncError,
            Self::NoSpace { .. } => Kind::NoSpace,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_written_form() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert!(
            "part"
                .parse::<Kind>()
                .unwrap_err()
                .starts_with("`part` is not a kind of fault; the kinds are partition, ")
        );
    }
}
