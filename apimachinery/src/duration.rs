//! Durations as Go writes and reads them: `40s`, `1m30s`, `500ms`, `-1.5h`.

use std::time::Duration;

use jiff::SignedDuration;

/// Why a text is no duration; in the words of Go's `time.ParseDuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// It is not made of numbers and units.
    #[error("time: invalid duration {0:?}")]
    Malformed(String),
    /// A number stands alone.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A unit that does not exist.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// What stands for the unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// It is negative where that makes no sense.
    #[error("must not be negative: {0:?}")]
    Negative(String),
}

/// Reads a duration that may be negative.
pub fn parse_signed(text: &str) -> Result<SignedDuration, InvalidDuration> {
    let malformed = || InvalidDuration::Malformed(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(malformed());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(malformed());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let nanoseconds = nanoseconds(unit, text)?;
        total += part(whole, fraction, nanoseconds).ok_or_else(malformed)?;
        if total > i128::from(i64::MAX) {
            return Err(malformed());
        }
        rest = next;
    }
    let total = i64::try_from(total).map_err(|_| malformed())?;
    Ok(SignedDuration::from_nanos(if negative {
        -total
    } else {
        total
    }))
}

/// Reads a duration that is not negative.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    Duration::try_from(parse_signed(text)?).map_err(|_| InvalidDuration::Negative(text.to_owned()))
}

/// Writes a duration as Go's `Duration.String` does.
pub fn format(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let digits = |unit: u32, places: usize, rest: u128| {
        let text = format!("{:.places$}", rest as f64 / f64::from(unit));
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanoseconds}ns"),
        1_000..1_000_000 => format!("{}µs", digits(1_000, 3, nanoseconds)),
        1_000_000..1_000_000_000 => format!("{}ms", digits(1_000_000, 6, nanoseconds)),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let seconds = digits(1_000_000_000, 9, nanoseconds % 60_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn nanoseconds(unit: &str, text: &str) -> Result<i128, InvalidDuration> {
    Ok(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(InvalidDuration::MissingUnit(text.to_owned())),
        _ => {
            return Err(InvalidDuration::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }
    })
}

/// A number of units in nanoseconds; what is smaller than one is cut off.
fn part(whole: &str, fraction: &str, unit: i128) -> Option<i128> {
    let read = |digits: &str| -> Option<i128> {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse().ok()
        }
    };
    // Further digits are less than a nanosecond even of an hour.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    read(whole)?
        .checked_mul(unit)?
        .checked_add(read(fraction)?.checked_mul(unit)? / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("40s", 40_000_000_000),
            ("1m30s", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("3us", 3_000),
            ("3µs", 3_000),
            ("7ns", 7),
            ("-2m", -120_000_000_000),
            ("+2m", 120_000_000_000),
        ] {
            assert_eq!(
                parse_signed(text),
                Ok(SignedDuration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (350_000_000, "350ms"),
            (1_234_000_000, "1.234s"),
            (62_500_000_000, "1m2.5s"),
            (300_000_000_000, "5m0s"),
            (5_400_000_000_000, "1h30m0s"),
        ] {
            assert_eq!(format(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_in_gos_words() {
        for (text, said) in [
            ("", "time: invalid duration \"\""),
            ("s", "time: invalid duration \"s\""),
            (".s", "time: invalid duration \".s\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("10", "time: missing unit in duration \"10\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("9999999h", "time: invalid duration \"9999999h\""),
            ("-1s", "must not be negative: \"-1s\""),
        ] {
            assert_eq!(
                parse(text).map_err(|error| error.to_string()),
                Err(said.to_owned())
            );
        }
    }
}
