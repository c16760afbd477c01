//! The only place that reads the host's clock: rates for people, and the limit they give in seconds.

use std::time::Duration;

/// Time since it was made.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::disallowed_types, reason = "the campaign's edge: nothing that is executed depends on it")]
pub(super) struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts.
    #[allow(clippy::disallowed_types, reason = "as above")]
    pub(super) fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time passed.
    pub(super) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// The same in milliseconds.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
