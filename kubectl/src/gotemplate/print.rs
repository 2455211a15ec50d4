//! Values as Go's `fmt` prints them.

use serde_json::Value;

/// The widest field that is set.
const WIDEST: usize = 10_000;

/// `%v`: maps in the order of their keys.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(own) if number.is_f64() => float(own),
            _ => number.to_string(),
        },
        Value::Bool(own) => own.to_string(),
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", texts.join(" "))
        }
        Value::Object(map) => {
            let mut keys: Vec<_> = map.iter().collect();
            keys.sort_by_key(|(key, _)| key.as_str());
            let texts: Vec<String> = keys
                .into_iter()
                .map(|(key, own)| format!("{key}:{}", self::value(own)))
                .collect();
            format!("map[{}]", texts.join(" "))
        }
    }
}

/// `%v` of a float: the shortest form, with an exponent from 1e21 on.
fn float(own: f64) -> String {
    if own == 0.0 {
        return "0".to_owned();
    }
    let exponent = own.abs().log10().floor();
    if (-4.0..21.0).contains(&exponent) {
        return own.to_string();
    }
    let text = format!("{own:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Blanks stand between two values of which neither is a text.
pub fn print(values: &[&Value]) -> String {
    let mut out = String::new();
    for (index, own) in values.iter().enumerate() {
        if index > 0 && !own.is_string() && !values[index - 1].is_string() {
            out.push(' ');
        }
        out.push_str(&value(own));
    }
    out
}

/// Blanks stand between all values.
pub fn println(values: &[&Value]) -> String {
    let texts: Vec<String> = values.iter().map(|own| value(own)).collect();
    format!("{}\n", texts.join(" "))
}

/// The flags of a verb.
#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    zero: bool,
    blank: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// `printf`.
pub fn printf(format: &str, values: &[&Value]) -> String {
    let mut out = String::new();
    let mut next = 0;
    let mut characters = format.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = characters.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                '0' => flags.zero = true,
                _ => flags.blank = true,
            }
        }
        let mut digits = |characters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if characters.next_if_eq(&'*').is_some() {
                let given = values.get(next).and_then(|own| own.as_u64());
                next += 1;
                return given.map(|own| usize::try_from(own).unwrap_or(WIDEST));
            }
            let mut number = None;
            while let Some(digit) = characters.next_if(char::is_ascii_digit) {
                let digit = digit.to_digit(10).unwrap_or(0) as usize;
                number = Some((number.unwrap_or(0usize) * 10 + digit).min(WIDEST));
            }
            number
        };
        flags.width = digits(&mut characters).map(|width| width.min(WIDEST));
        if characters.next_if_eq(&'.').is_some() {
            flags.precision = Some(digits(&mut characters).unwrap_or(0).min(WIDEST));
        }
        match characters.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => {
                match values.get(next) {
                    Some(own) => out.push_str(&one(verb, own, &flags)),
                    None => out.push_str(&format!("%!{verb}(MISSING)")),
                }
                next += 1;
            }
        }
    }
    if next < values.len() {
        let extra: Vec<String> = values[next..]
            .iter()
            .map(|own| match own {
                Value::Null => "<nil>".to_owned(),
                own => format!("{}={}", super::functions::kind(own), value(own)),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn one(verb: char, own: &Value, flags: &Flags) -> String {
    let bad = || match own {
        Value::Null => format!("%!{verb}(<nil>)"),
        own => format!("%!{verb}({}={})", super::functions::kind(own), value(own)),
    };
    let body = match (verb, own) {
        ('v', Value::String(text)) if flags.sharp => quote(text),
        ('v' | 's', Value::String(text)) => cut(text, flags),
        ('v', Value::Number(number)) if !number.is_f64() => whole(number, flags),
        ('v', own) => value(own),
        ('s', Value::Array(_) | Value::Object(_)) => value(own),
        ('q', Value::String(text)) => quote(&cut(text, flags)),
        ('q', Value::Array(items)) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| one('q', item, &Flags::default()))
                .collect();
            format!("[{}]", texts.join(" "))
        }
        ('d', Value::Number(number)) if !number.is_f64() => whole(number, flags),
        ('t', Value::Bool(own)) => own.to_string(),
        ('f' | 'F', Value::Number(number)) if number.is_f64() => {
            let own = number.as_f64().unwrap_or_default();
            format!("{own:.*}", flags.precision.unwrap_or(6))
        }
        ('g', Value::Number(number)) if number.is_f64() => {
            float(number.as_f64().unwrap_or_default())
        }
        ('e', Value::Number(number)) if number.is_f64() => {
            let own = number.as_f64().unwrap_or_default();
            let text = format!("{own:.*e}", flags.precision.unwrap_or(6));
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        ('x' | 'X', Value::String(text)) => {
            let bytes = text.bytes();
            match verb {
                'x' => bytes.map(|byte| format!("{byte:02x}")).collect(),
                _ => bytes.map(|byte| format!("{byte:02X}")).collect(),
            }
        }
        ('x' | 'X' | 'o' | 'b', Value::Number(number)) if !number.is_f64() => {
            let own = number.as_i64().unwrap_or_default();
            let (sign, own) = (if own < 0 { "-" } else { "" }, own.unsigned_abs());
            match verb {
                'x' => format!("{sign}{own:x}"),
                'X' => format!("{sign}{own:X}"),
                'o' => format!("{sign}{own:o}"),
                _ => format!("{sign}{own:b}"),
            }
        }
        ('c', Value::Number(number)) if !number.is_f64() => {
            let code = number.as_u64().and_then(|own| u32::try_from(own).ok());
            code.and_then(char::from_u32)
                .unwrap_or('\u{fffd}')
                .to_string()
        }
        _ => return bad(),
    };
    pad(&body, flags, own.is_number())
}

fn whole(number: &serde_json::Number, flags: &Flags) -> String {
    let text = number.to_string();
    match (text.starts_with('-'), flags.plus, flags.blank) {
        (false, true, _) => format!("+{text}"),
        (false, false, true) => format!(" {text}"),
        _ => text,
    }
}

fn cut(text: &str, flags: &Flags) -> String {
    match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_owned(),
    }
}

fn pad(body: &str, flags: &Flags, number: bool) -> String {
    let length = body.chars().count();
    let missing = flags.width.unwrap_or(0).saturating_sub(length);
    if missing == 0 {
        return body.to_owned();
    }
    if flags.minus {
        return format!("{body}{}", " ".repeat(missing));
    }
    if flags.zero && number {
        let (sign, digits) = match body.strip_prefix(['-', '+']) {
            Some(digits) => (&body[..1], digits),
            None => ("", body),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    let fill = if flags.zero { "0" } else { " " };
    format!("{}{body}", fill.repeat(missing))
}

/// A text in quotes, as Go's `strconv.Quote` writes it.
pub fn quote(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
