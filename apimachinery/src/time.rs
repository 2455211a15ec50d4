//! Points in time as the API writes them: RFC 3339, in UTC, to the second or microsecond.

pub use jiff::Timestamp;

use crate::field::quote;

/// Layouts that upstream names in its errors.
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
const MICRO_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";

/// `2026-11-21T04:16:40Z`: the form of a meta/v1 Time. Fractions are cut off.
pub fn format(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-21T04:16:40.123456Z`: the form of a meta/v1 MicroTime.
pub fn format_micro(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form, with any offset. The error is in upstream's words.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    parse_as(text, LAYOUT)
}

/// The same for a meta/v1 MicroTime.
pub fn parse_micro(text: &str) -> Result<Timestamp, String> {
    parse_as(text, MICRO_LAYOUT)
}

fn parse_as(text: &str, layout: &str) -> Result<Timestamp, String> {
    let bytes = text.as_bytes();
    // jiff reads more forms than RFC 3339 has; upstream takes only these.
    let strict = bytes.len() >= 20 && bytes[4] == b'-' && bytes[10] == b'T' && bytes[13] == b':';
    if strict && let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let (rest, element) = unparsed(text);
    Err(format!(
        "parsing time {} as {}: cannot parse {} as {}",
        quote(text),
        quote(layout),
        quote(rest),
        quote(element)
    ))
}

/// Where reading stops in malformed text, and which element of the layout was expected there.
fn unparsed(text: &str) -> (&str, &'static str) {
    const ELEMENTS: [(&str, usize); 11] = [
        ("2006", 4),
        ("-", 0),
        ("01", 2),
        ("-", 0),
        ("02", 2),
        ("T", 0),
        ("15", 2),
        (":", 0),
        ("04", 2),
        (":", 0),
        ("05", 2),
    ];
    let mut rest = text;
    for (element, digits) in ELEMENTS {
        if digits == 0 {
            match rest.strip_prefix(element) {
                Some(after) => rest = after,
                None => return (rest, element),
            }
        } else {
            let head = rest.as_bytes().get(..digits);
            if !head.is_some_and(|head| head.iter().all(u8::is_ascii_digit)) {
                return (rest, element);
            }
            rest = &rest[digits..];
        }
    }
    (rest, "Z07:00")
}

/// The point in time in whole seconds, as a meta/v1 Time keeps it.
pub fn truncate(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_written_in_utc() {
        let at = parse("2026-11-21T06:16:40.123456789+02:00").unwrap();
        assert_eq!(format(at), "2026-11-21T04:16:40Z");
        assert_eq!(format_micro(at), "2026-11-21T04:16:40.123456Z");
        assert_eq!(format(truncate(at)), "2026-11-21T04:16:40Z");
    }

    #[test]
    fn malformed_times_are_refused_in_upstream_words() {
        for (text, rest, element) in [
            ("yesterday", "yesterday", "2006"),
            ("2026-11-21", "", "T"),
            ("2026-11-21T04:16", "", ":"),
            ("2026-11-21T04:16:40", "", "Z07:00"),
        ] {
            assert_eq!(
                parse(text).unwrap_err(),
                format!(
                    "parsing time \"{text}\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"{rest}\" as \"{element}\""
                )
            );
        }
    }
}
