//! Schedules in the form of cron, and time zones: what is wrong with them, in the words of upstream's parser.

use jiff::tz::TimeZone;

/// A field of a schedule: its least and greatest value, and the names that its values have.
struct Field {
    least: i64,
    most: i64,
    names: &'static [&'static str],
}

/// Minute, hour, day of the month, month, day of the week.
const FIELDS: [Field; 5] = [
    Field {
        least: 0,
        most: 59,
        names: &[],
    },
    Field {
        least: 0,
        most: 23,
        names: &[],
    },
    Field {
        least: 1,
        most: 31,
        names: &[],
    },
    Field {
        least: 1,
        most: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        least: 0,
        most: 6,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

const DESCRIPTORS: [&str; 7] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// Whether a schedule can be read.
pub(super) fn check(schedule: &str) -> Result<(), String> {
    let mut rest = schedule;
    if let Some(zoned) = ["TZ=", "CRON_TZ="]
        .iter()
        .find_map(|name| rest.strip_prefix(name))
    {
        let (zone, after) = zoned.split_once(' ').unwrap_or((zoned, ""));
        if !is_known(zone) {
            return Err(format!(
                "provided bad location {zone}: unknown time zone {zone}"
            ));
        }
        rest = after.trim();
    }
    if rest.starts_with('@') {
        return check_descriptor(rest);
    }
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(format!(
            "expected exactly {} fields, found {}: [{}]",
            FIELDS.len(),
            fields.len(),
            fields.join(" ")
        ));
    }
    fields
        .iter()
        .zip(&FIELDS)
        .flat_map(|(text, field)| text.split(',').map(move |range| (range, field)))
        .filter(|(range, _)| !range.is_empty())
        .try_for_each(|(range, field)| check_range(range, field))
}

fn check_descriptor(text: &str) -> Result<(), String> {
    if DESCRIPTORS.contains(&text) {
        return Ok(());
    }
    let Some(every) = text.strip_prefix("@every ") else {
        return Err(format!("unrecognized descriptor: {text}"));
    };
    ferrule_apimachinery::duration::parse(every)
        .map(drop)
        .map_err(|why| format!("failed to parse duration {text}: {why}"))
}

fn check_range(range: &str, field: &Field) -> Result<(), String> {
    let parts: Vec<&str> = range.split('/').collect();
    let ends: Vec<&str> = parts[0].split('-').collect();
    let (start, mut end) = match ends.as_slice() {
        ["*" | "?", ..] => (field.least, field.most),
        [one] => {
            let value = value(one, field)?;
            (value, value)
        }
        [first, last] => (value(first, field)?, value(last, field)?),
        _ => return Err(format!("too many hyphens: {range}")),
    };
    let step = match parts.as_slice() {
        [_] => 1,
        [_, step] => {
            if ends.len() == 1 {
                end = field.most;
            }
            number(step)?
        }
        _ => return Err(format!("too many slashes: {range}")),
    };
    if start < field.least {
        let least = field.least;
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {range}"
        ));
    }
    if end > field.most {
        let most = field.most;
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {range}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {range}"
        ));
    }
    if step == 0 {
        return Err(format!(
            "step of range should be a positive number: {range}"
        ));
    }
    Ok(())
}

fn value(text: &str, field: &Field) -> Result<i64, String> {
    let lower = text.to_ascii_lowercase();
    match (field.least..)
        .zip(field.names)
        .find(|(_, name)| **name == lower)
    {
        Some((value, _)) => Ok(value),
        None => number(text),
    }
}

fn number(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(format!("negative number ({number}) not allowed: {text}")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"
        )),
    }
}

/// What is wrong with the name of a time zone.
pub(super) fn wrong_zone(zone: &str) -> Option<String> {
    if zone.is_empty() {
        return Some("timeZone must be nil or non-empty string".to_owned());
    }
    let good = |part: &str| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
        !matches!(part, "" | "." | "..")
            && !part.starts_with('-')
            && part.len() <= 14
            && part.bytes().all(letter)
    };
    if !zone.split('/').all(good) {
        return Some(format!("unknown time zone {zone}"));
    }
    if zone.eq_ignore_ascii_case("Local") {
        let detail =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        return Some(detail.to_owned());
    }
    (!is_known(zone)).then(|| format!("unknown time zone {zone}"))
}

/// Whether the machine knows the zone. One that knows none refuses none.
fn is_known(zone: &str) -> bool {
    zone == "UTC"
        || TimeZone::get(zone).is_ok_and(|found| found.iana_name() == Some(zone))
        || jiff::tz::db().is_definitively_empty()
}
