//! Back-off: 10 s doubling to 5 min, forgotten after 10 quiet minutes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The first delay.
pub const INITIAL: Duration = Duration::from_secs(10);
/// The longest delay.
pub const LONGEST: Duration = Duration::from_secs(300);

/// How long something that keeps failing has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackOff {
    /// The present delay.
    pub delay: Duration,
    /// When the delay was last set.
    pub since: Timestamp,
}

impl BackOff {
    /// The entry after one more try at `now`, following an end at `event`.
    pub fn next(entry: Option<BackOff>, event: Timestamp, now: Timestamp) -> BackOff {
        let delay = match entry {
            Some(entry) if !entry.expired(event) => (entry.delay * 2).min(LONGEST),
            _ => INITIAL,
        };
        BackOff { delay, since: now }
    }

    /// The entry of a container of which only its records are known: after a restart of this process.
    /// `attempt` counts its restarts, the last one at `since`; `waited` is what passed between the end before
    /// and that start, where it is known. A container that was never restarted has none.
    pub fn recovered(attempt: u32, waited: Option<Duration>, since: Timestamp) -> Option<BackOff> {
        let doubled = |times: u32| INITIAL.saturating_mul(1 << times.min(10)).min(LONGEST);
        let counted = doubled(attempt.checked_sub(1)?);
        // Not all restarts need have followed one another: the last wait tells how long the next one is.
        let delay = match waited {
            Some(waited) => {
                let steps = (0..10).map(doubled).take_while(|step| *step <= waited);
                counted.min(doubled(u32::try_from(steps.count()).unwrap_or(10)))
            }
            None => counted,
        };
        Some(BackOff { delay, since })
    }

    /// Until when to wait after an end at `event`; `None` when there is no need.
    pub fn until(&self, event: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let until = event + SignedDuration::try_from(self.delay).unwrap_or(SignedDuration::MAX);
        (!self.expired(event) && now < until).then_some(until)
    }

    fn expired(&self, event: Timestamp) -> bool {
        event.duration_since(self.since) > SignedDuration::from_secs(2 * LONGEST.as_secs() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("in range")
    }

    #[test]
    fn a_container_that_keeps_crashing_waits_twice_as_long_each_time_up_to_five_minutes() {
        let mut entry = None;
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            let crashed = now;
            let wait = match entry {
                None => 0,
                Some(entry) => BackOff::until(&entry, at(crashed), at(now))
                    .map_or(0, |until| until.duration_since(at(crashed)).as_secs()),
            };
            waits.push(wait);
            now += wait;
            entry = Some(BackOff::next(entry, at(crashed), at(now)));
            now += 1;
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn records_of_attempts_tell_how_long_the_next_wait_is() {
        let seconds = Duration::from_secs;
        for (what, attempt, waited, expected) in [
            ("never restarted", 0, None, None),
            ("restarted at once", 1, Some(0), Some(10)),
            ("after the first wait", 2, Some(10), Some(20)),
            ("after the third", 4, Some(41), Some(80)),
            ("the longest", 9, Some(300), Some(300)),
            ("by the count alone", 5, None, Some(160)),
            ("a late crash after quiet days", 7, Some(1), Some(10)),
            ("a wait that a dead node made long", 2, Some(4000), Some(20)),
        ] {
            let entry = BackOff::recovered(attempt, waited.map(seconds), at(0));
            assert_eq!(entry.map(|own| own.delay), expected.map(seconds), "{what}");
        }
    }

    #[test]
    fn ten_quiet_minutes_forget_the_back_off() {
        let entry = BackOff {
            delay: LONGEST,
            since: at(0),
        };
        assert_eq!(entry.until(at(601), at(602)), None);
        assert_eq!(BackOff::next(Some(entry), at(601), at(602)).delay, INITIAL);
        assert_eq!(entry.until(at(599), at(600)), Some(at(899)));
        assert_eq!(BackOff::next(Some(entry), at(599), at(900)).delay, LONGEST);
    }
}
