//! [`Ready`]: what a socket is ready for, in epoll's own bits.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of readiness conditions with the values of `EPOLLIN` and its siblings (epoll_ctl(2)).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready(pub u32);

impl Ready {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A read would not block.
    pub const IN: Self = Self(0x1);
    /// Exceptional condition (urgent data); never raised here.
    pub const PRI: Self = Self(0x2);
    /// A write would not block.
    pub const OUT: Self = Self(0x4);
    /// An error waits to be taken.
    pub const ERR: Self = Self(0x8);
    /// Both directions are over.
    pub const HUP: Self = Self(0x10);
    /// The peer will send no more.
    pub const RDHUP: Self = Self(0x2000);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::IN, "IN"),
        (Self::PRI, "PRI"),
        (Self::OUT, "OUT"),
        (Self::ERR, "ERR"),
        (Self::HUP, "HUP"),
        (Self::RDHUP, "RDHUP"),
    ];

    /// No condition holds.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All conditions of `other` hold.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// At least one condition of `other` holds.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set when `condition` holds, else nothing.
    #[must_use]
    pub const fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::NONE }
    }
}

impl BitOr for Ready {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Ready {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Ready {
    /// `IN|OUT`, or `-` for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (bit, name) in Self::NAMES {
            if self.contains(bit) {
                write!(f, "{}{name}", if first { "" } else { "|" })?;
                first = false;
            }
        }
        if first { write!(f, "-") } else { Ok(()) }
    }
}
