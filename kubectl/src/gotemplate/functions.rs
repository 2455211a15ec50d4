//! The functions of templates: Go's own, and kubectl's `exists` and `base64decode`.

use std::cmp::Ordering;

use base64::Engine;
use serde_json::Value;

use super::eval::Item;
use super::print;

/// Whether there is a function of this name.
pub fn known(name: &str) -> bool {
    matches!(
        name,
        "and"
            | "or"
            | "not"
            | "len"
            | "index"
            | "slice"
            | "print"
            | "printf"
            | "println"
            | "html"
            | "js"
            | "urlquery"
            | "eq"
            | "ne"
            | "lt"
            | "le"
            | "gt"
            | "ge"
            | "exists"
            | "base64decode"
    )
}

/// What a function makes of its arguments.
pub fn call<'a>(name: &str, mut arguments: Vec<Item<'a>>) -> Result<Item<'a>, String> {
    let least = match name {
        "print" | "println" | "html" | "js" | "urlquery" => 0,
        "lt" | "le" | "gt" | "ge" => 2,
        _ => 1,
    };
    let most = match name {
        "not" | "len" | "base64decode" => 1,
        "lt" | "le" | "gt" | "ge" | "ne" => 2,
        "slice" => 4,
        _ => usize::MAX,
    };
    let given = arguments.len();
    if given < least {
        let most = if most == least { "" } else { "at least " };
        return Err(format!(
            "wrong number of args for {name}: want {most}{least} got {given}"
        ));
    }
    if given > most {
        return Err(format!(
            "wrong number of args for {name}: want {most} got {given}"
        ));
    }
    let values: Vec<&Value> = arguments.iter().map(Item::value).collect();
    let calling = |why: String| format!("error calling {name}: {why}");
    let text = |text: String| Ok(Item::Own(Value::from(text)));
    let decided = |truth: bool| Ok(Item::Own(Value::Bool(truth)));
    match name {
        // Whether an earlier one decides was seen before this is called.
        "and" | "or" => Ok(arguments.pop().unwrap_or(Item::Missing)),
        "not" => decided(!arguments[0].truth()),
        "len" => length(values[0])
            .map(|own| Item::Own(own.into()))
            .map_err(calling),
        "index" => {
            let mut own = arguments.into_iter();
            let first = own.next().unwrap_or(Item::Missing);
            let found = own.try_fold(first, |from, key| index(from, key.value()));
            found.map_err(|why| format!("error calling index: {why}"))
        }
        "slice" => slice(&values).map(Item::Own).map_err(calling),
        "print" => text(print::print(&values)),
        "println" => text(print::println(&values)),
        "printf" => match values[0] {
            Value::String(format) => text(print::printf(format, &values[1..])),
            other => Err(format!(
                "wrong type for value; expected string; got {}",
                kind(other)
            )),
        },
        "html" => text(html(&print::print(&values))),
        "js" => text(js(&print::print(&values))),
        "urlquery" => text(url_query(&print::print(&values))),
        "eq" => {
            let (first, others) = (values[0], &values[1..]);
            if others.is_empty() {
                return Err(calling("missing argument for comparison".to_owned()));
            }
            for other in others {
                if equal(first, other).map_err(calling)? {
                    return decided(true);
                }
            }
            decided(false)
        }
        "ne" => match values.as_slice() {
            [one, other] => equal(one, other)
                .map(|own| Item::Own(Value::Bool(!own)))
                .map_err(calling),
            _ => Err(format!("wrong number of args for ne: want 2 got {given}")),
        },
        "lt" | "le" | "gt" | "ge" => {
            let order = order(values[0], values[1]).map_err(calling)?;
            decided(match name {
                "lt" => order == Ordering::Less,
                "le" => order != Ordering::Greater,
                "gt" => order == Ordering::Greater,
                _ => order != Ordering::Less,
            })
        }
        "exists" => {
            let mut own = arguments.into_iter();
            let first = own.next().unwrap_or(Item::Missing);
            let found = own.try_fold(first, |from, key| match index(from, key.value()) {
                Ok(Item::Missing) | Err(_) => None,
                Ok(found) => Some(found),
            });
            decided(found.is_some())
        }
        "base64decode" => {
            let Value::String(coded) = values[0] else {
                return Err(format!(
                    "wrong type for value; expected string; got {}",
                    kind(values[0])
                ));
            };
            let bytes = base64::engine::general_purpose::STANDARD.decode(coded);
            let bytes = bytes.map_err(|_| {
                let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
                // Text that ends too early is told where its last group begins.
                let at = coded
                    .find(|c: char| !clean(c))
                    .unwrap_or(coded.len() / 4 * 4);
                calling(format!(
                    "base64 decode failed: illegal base64 data at input byte {at}"
                ))
            })?;
            text(String::from_utf8_lossy(&bytes).into_owned())
        }
        other => Err(format!("{other:?} is not a defined function")),
    }
}

/// A value's type, as Go names it.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "untyped nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::String(text) => Ok(text.len()),
        Value::Array(items) => Ok(items.len()),
        Value::Object(map) => Ok(map.len()),
        Value::Null => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        other => Err(format!("len of type {}", kind(other))),
    }
}

fn place(key: &Value, length: usize) -> Result<usize, String> {
    let index = match key {
        Value::Number(number) if !number.is_f64() => number.as_i64().unwrap_or(i64::MAX),
        Value::Null => return Err("cannot index slice/array with nil".to_owned()),
        other => {
            return Err(format!(
                "cannot index slice/array with type {}",
                kind(other)
            ));
        }
    };
    let inside = usize::try_from(index).ok().filter(|index| *index < length);
    inside.ok_or_else(|| format!("index out of range: {index}"))
}

fn index<'a>(from: Item<'a>, key: &Value) -> Result<Item<'a>, String> {
    let name = |key: &Value| match key {
        Value::String(name) => Ok(name.clone()),
        Value::Null => Err("value is nil; should be of type string".to_owned()),
        other => Err(format!("value has type {}; should be string", kind(other))),
    };
    match from {
        Item::Of(Value::Array(items)) => Ok(Item::Of(&items[place(key, items.len())?])),
        Item::Own(Value::Array(mut items)) => {
            let place = place(key, items.len())?;
            Ok(Item::Own(items.swap_remove(place)))
        }
        Item::Of(Value::Object(map)) => Ok(map.get(&name(key)?).map_or(Item::Missing, Item::Of)),
        Item::Own(Value::Object(mut map)) => {
            Ok(map.remove(&name(key)?).map_or(Item::Missing, Item::Own))
        }
        Item::Of(Value::String(text)) => byte(text, key),
        Item::Own(Value::String(text)) => byte(&text, key),
        Item::Missing | Item::Of(Value::Null) | Item::Own(Value::Null) => {
            Err("index of untyped nil".to_owned())
        }
        other => Err(format!("can't index item of type {}", kind(other.value()))),
    }
}

fn byte<'a>(text: &str, key: &Value) -> Result<Item<'a>, String> {
    let place = place(key, text.len())?;
    Ok(Item::Own(Value::from(text.as_bytes()[place])))
}

fn slice(values: &[&Value]) -> Result<Value, String> {
    let (from, bounds) = (values[0], &values[1..]);
    let length = match from {
        Value::Array(_) | Value::String(_) => length(from)?,
        Value::Null => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", kind(other))),
    };
    if bounds.len() == 3 && from.is_string() {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let mut ends = [0, length];
    for (end, bound) in ends.iter_mut().zip(bounds) {
        *end = place(bound, length + 1)?;
    }
    let [first, last] = ends;
    if first > last {
        return Err(format!("invalid slice index: {first} > {last}"));
    }
    Ok(match from {
        Value::String(text) => {
            Value::from(String::from_utf8_lossy(&text.as_bytes()[first..last]).into_owned())
        }
        Value::Array(items) => Value::from(items[first..last].to_vec()),
        _ => Value::Null,
    })
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Null, other) | (other, Value::Null) => Ok(other.is_null()),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            Err("non-comparable type: cannot compare".to_owned())
        }
        (one, other) if kind(one) == kind(other) => Ok(one == other),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn order(one: &Value, other: &Value) -> Result<Ordering, String> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Number(a), Value::Number(b)) if a.is_f64() == b.is_f64() => {
            Ok(match (a.as_i64(), b.as_i64()) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => a
                    .as_f64()
                    .partial_cmp(&b.as_f64())
                    .unwrap_or(Ordering::Equal),
            })
        }
        (one, other) if kind(one) == kind(other) => Err("invalid type for comparison".to_owned()),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
