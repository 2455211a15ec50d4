//! What a plain scalar means in YAML 1.1.

use serde_json::{Number, Value};

/// What a plain scalar stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain {
    /// A text.
    Text,
    /// A number, truth value or nothing.
    Value(Value),
    /// A point in time; read as text, but quoted when written.
    Time,
    /// `<<`.
    Merge,
    /// Infinity or no number, which JSON cannot say.
    NoJson,
}

/// Resolves an unquoted scalar.
pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Value(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Plain::Value(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Plain::Value(Value::Bool(false));
        }
        "<<" => return Plain::Merge,
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Plain::NoJson,
        _ => {}
    }
    let first = text.as_bytes()[0];
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return Plain::Text;
    }
    if is_time(text) {
        return Plain::Time;
    }
    let plain = text.replace('_', "");
    if let Some(number) = whole(&plain) {
        return Plain::Value(Value::Number(number));
    }
    if is_float(&plain)
        && let Some(number) = plain.parse().ok().and_then(Number::from_f64)
    {
        return Plain::Value(Value::Number(number));
    }
    Plain::Text
}

/// A whole number with the prefixes of Go: `0x`, `0b`, `0o` and a bare `0` for octal.
fn whole(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    i64::try_from(value)
        .map(Number::from)
        .or_else(|_| u64::try_from(value).map(Number::from))
        .ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['-', '+']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    mantissa_fits && exponent_fits
}

/// `2006-1-2`, alone or followed by a time of day.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, least: usize, most: usize| {
        let count = bytes[from.min(bytes.len())..]
            .iter()
            .take(most)
            .take_while(|b| b.is_ascii_digit())
            .count();
        (count >= least).then_some(from + count)
    };
    let date_end = || {
        let year = number(0, 4, 4)?;
        let month = number((bytes.get(year) == Some(&b'-')).then_some(year + 1)?, 1, 2)?;
        number(
            (bytes.get(month) == Some(&b'-')).then_some(month + 1)?,
            1,
            2,
        )
    };
    let Some(at) = date_end() else {
        return false;
    };
    if at == bytes.len() {
        // A bare date has two digits for month and day.
        return at == 10;
    }
    let rest = text[at..].trim_start_matches([' ', 'T', 't']);
    if rest.len() == text.len() - at {
        return false;
    }
    let clock = rest.trim_end_matches(['Z', ' ']);
    let clock = clock.split(['+', '-']).next().unwrap_or("");
    let parts: Vec<&str> = clock.trim_end().split(':').collect();
    parts.len() == 3
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// A number in base 60 (`190:20:30`), which older readers know: written in quotes.
pub(super) fn is_base_60(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first = bytes.first().copied().unwrap_or(0);
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-')) || !text.contains(':') {
        return false;
    }
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let lead = parts.next().unwrap_or("");
    if !lead.starts_with(|c: char| c.is_ascii_digit())
        || !lead.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    rest.iter().enumerate().all(|(i, part)| {
        let whole = match part.split_once('.') {
            Some((whole, fraction))
                if i + 1 == rest.len()
                    && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_') =>
            {
                whole
            }
            Some(_) => return false,
            None => part,
        };
        whole.bytes().all(|b| b.is_ascii_digit())
            && (whole.len() == 1 || (whole.len() == 2 && whole.as_bytes()[0] < b'6'))
    })
}
