//! Waiting for something to become true, never longer than a deadline.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

const PAUSE: Duration = Duration::from_millis(150);

/// Tries until an attempt succeeds; after `within`, fails with what the last one said.
pub fn until<T>(
    what: &str,
    within: Duration,
    mut attempt: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("not within {within:?}: {what}"));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Seconds, shortly.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
