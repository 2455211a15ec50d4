//! How long something did not work: from the last success before a failure to the next success.

use super::history::{Moment, Outcome, Request, Write};

/// A write that took so long counts as one that failed.
const LATE: Moment = Moment::from_secs(1);

/// One try.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    /// When it was sent.
    pub at: Moment,
    /// When it was over.
    pub ended: Moment,
    /// Whether it worked.
    pub worked: bool,
}

impl From<&Request> for Try {
    fn from(request: &Request) -> Try {
        Try {
            at: request.at,
            ended: request.ended,
            worked: request.error.is_none(),
        }
    }
}

impl From<&Write> for Try {
    fn from(write: &Write) -> Try {
        Try {
            at: write.at,
            ended: write.ended,
            // A refusal is an answer; one that came late is none.
            worked: !matches!(write.outcome, Outcome::Unknown(_))
                && write.ended.saturating_sub(write.at) < LATE,
        }
    }
}

/// The longest outage of one stream of tries, those sent from `from` until `to`, in their order.
pub fn longest(tries: impl IntoIterator<Item = Try>, from: Moment, to: Moment) -> Moment {
    let mut longest = Moment::ZERO;
    let mut worked = None;
    let mut failed = false;
    for one in tries {
        if one.at < from || one.at >= to {
            continue;
        }
        let since = *worked.get_or_insert(one.at);
        if one.worked {
            if failed {
                longest = longest.max(one.ended.saturating_sub(since));
            }
            failed = false;
            worked = Some(one.ended);
        } else {
            failed = true;
        }
    }
    match (failed, worked) {
        (true, Some(since)) => longest.max(to.saturating_sub(since)),
        _ => longest,
    }
}

/// The middle one; the higher of two in the middle.
pub fn median(mut times: Vec<Moment>) -> Moment {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenths: u64) -> Moment {
        Moment::from_millis(tenths * 100)
    }

    fn tries(pattern: &str) -> Vec<Try> {
        (0..)
            .zip(pattern.chars())
            .map(|(number, sign)| Try {
                at: at(number * 10),
                ended: at(number * 10 + 1),
                worked: sign == '+',
            })
            .collect()
    }

    #[test]
    fn an_outage_lasts_from_the_success_before_to_the_success_after() {
        for (pattern, expected) in [
            ("", 0),
            ("++++", 0),
            // From the end of the second try at 1.1 s to the end of the fifth at 4.1 s.
            ("++--+", 30),
            ("-+--+", 30),
            // Nothing worked before or after: the edges count.
            ("--+", 21),
            ("+--", 49),
        ] {
            assert_eq!(
                longest(tries(pattern), at(0), at(50)),
                at(expected),
                "{pattern}"
            );
        }
    }

    #[test]
    fn tries_outside_of_the_time_do_not_count() {
        assert_eq!(longest(tries("--++--"), at(20), at(40)), Moment::ZERO);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![at(3), at(1), at(2)]), at(2));
        assert_eq!(median(Vec::new()), Moment::ZERO);
    }
}
