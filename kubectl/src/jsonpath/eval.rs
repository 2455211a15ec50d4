//! Follows paths through objects.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Node, Operator, Step, printed};

/// What is evaluated, and how strictly.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The whole object.
    pub root: &'a Value,
    /// A field that is not there is an error.
    pub strict: bool,
}

/// Writes what nodes say of `current`.
pub fn format(
    nodes: &[Node],
    source: Source<'_>,
    current: &Value,
    out: &mut String,
) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(steps) => {
                let texts: Vec<String> = path(steps, source, current)?
                    .into_iter()
                    .map(printed)
                    .collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(steps, inner) => {
                for value in path(steps, source, current)? {
                    format(inner, source, value, out)?;
                }
            }
        }
    }
    Ok(())
}

/// The values that a path leads to; a field that is not there leads nowhere.
pub fn path<'a>(
    steps: &'a [Step],
    source: Source<'a>,
    current: &'a Value,
) -> Result<Vec<&'a Value>, String> {
    let mut values = vec![current];
    for step in steps {
        let mut next = Vec::new();
        match step {
            Step::Root => next.push(source.root),
            Step::Current => next.push(current),
            Step::Literal(literal) => next.push(literal),
            Step::Union(paths) => {
                for value in values {
                    for inner in paths {
                        next.extend(path(inner, source, value)?);
                    }
                }
            }
            step => {
                for value in values {
                    follow(step, source, value, &mut next)?;
                }
            }
        }
        values = next;
    }
    Ok(values)
}

fn follow<'a>(
    step: &'a Step,
    source: Source<'a>,
    value: &'a Value,
    next: &mut Vec<&'a Value>,
) -> Result<(), String> {
    match (step, value) {
        (Step::Field(name), Value::Object(map)) => match map.get(name) {
            Some(value) => next.push(value),
            None if source.strict => return Err(format!("{name} is not found")),
            None => {}
        },
        (Step::Wildcard, value) => next.extend(children(value)),
        (Step::Recursive, value) => recursive(value, next),
        (Step::Index(index), Value::Array(items)) => {
            let length = items.len() as i64;
            let place = if *index < 0 { index + length } else { *index };
            let item = usize::try_from(place)
                .ok()
                .and_then(|place| items.get(place));
            next.push(item.ok_or_else(|| {
                format!("array index out of bounds: index {index}, length {length}")
            })?);
        }
        (Step::Slice(first, end, step), Value::Array(items)) => {
            let length = items.len() as i64;
            let place = |given: Option<i64>, default: i64| match given {
                None => default,
                Some(index) if index < 0 => index + length,
                Some(index) => index,
            };
            let (first, end) = (place(*first, 0).max(0), place(*end, length).min(length));
            let step = step.unwrap_or(1);
            if step <= 0 {
                return Err("step must be > 0".to_owned());
            }
            let mut index = first;
            while index < end {
                next.extend(
                    usize::try_from(index)
                        .ok()
                        .and_then(|index| items.get(index)),
                );
                index = index.saturating_add(step);
            }
        }
        (Step::Index(_) | Step::Slice(..), Value::Null) => {}
        (Step::Index(_) | Step::Slice(..), other) => {
            return Err(format!("{} is not array or slice", kind(other)));
        }
        (Step::Filter(left, right), Value::Array(items)) => {
            for item in items {
                if holds(left, right.as_ref(), source, item)? {
                    next.push(item);
                }
            }
        }
        (Step::Filter(..), other) if !other.is_null() => {
            return Err(format!(
                "{} is not array or slice and cannot be filtered",
                printed(other)
            ));
        }
        _ => {}
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map[string]interface {}",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "int64",
    }
}

/// Values of a map are visited in the order of their keys.
fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            entries.into_iter().map(|(_, value)| value).collect()
        }
        _ => Vec::new(),
    }
}

fn recursive<'a>(value: &'a Value, next: &mut Vec<&'a Value>) {
    let inner = children(value);
    if inner.is_empty() {
        return;
    }
    next.push(value);
    for child in inner {
        recursive(child, next);
    }
}

fn holds(
    left: &[Step],
    right: Option<&(Operator, Vec<Step>)>,
    source: Source<'_>,
    item: &Value,
) -> Result<bool, String> {
    let lefts = path(left, source, item)?;
    let Some((operator, right)) = right else {
        return Ok(!lefts.is_empty());
    };
    let rights = path(right, source, item)?;
    match (lefts.as_slice(), rights.as_slice()) {
        ([], _) | (_, []) => Ok(false),
        ([left], [right]) => Ok(compare(*operator, left, right)),
        _ => Err("can only compare one element at a time".to_owned()),
    }
}

fn compare(operator: Operator, left: &Value, right: &Value) -> bool {
    let ordering = match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (a, b) if a == b => Some(Ordering::Equal),
        _ => None,
    };
    match operator {
        Operator::Equal => ordering == Some(Ordering::Equal),
        Operator::NotEqual => ordering != Some(Ordering::Equal),
        Operator::Less => ordering == Some(Ordering::Less),
        Operator::LessOrEqual => ordering.is_some_and(Ordering::is_le),
        Operator::Greater => ordering == Some(Ordering::Greater),
        Operator::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
    }
}
