//! Host time, for people: rates and limits. Nothing that is executed depends on it.

use std::time::Duration;

/// Time since it was started.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::disallowed_types,
    reason = "host time is shown to people and decides nothing that is executed"
)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[allow(clippy::disallowed_types, reason = "as above")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
