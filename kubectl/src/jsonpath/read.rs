//! Reads templates.

use serde_json::Value;

use super::{Node, Operator, Step};

type Result<T> = std::result::Result<T, String>;

/// How deep brackets, and ranges, may be nested.
const DEPTH: usize = 100;

/// The nodes of a template.
pub fn template(source: &str) -> Result<Vec<Node>> {
    if depth(source) > DEPTH {
        return Err("the template is nested too deeply".to_owned());
    }
    let mut open: Vec<(Vec<Step>, Vec<Node>)> = Vec::new();
    let mut nodes = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find('{') {
        if start > 0 {
            nodes.push(Node::Text(rest[..start].to_owned()));
        }
        let end = closing(&rest[start + 1..], '}').ok_or("unclosed action")?;
        let action = rest[start + 1..start + 1 + end].trim();
        rest = &rest[start + 2 + end..];
        if action == "end" {
            let (steps, outer) = open.pop().ok_or("not in range, nothing to end")?;
            let inner = std::mem::replace(&mut nodes, outer);
            nodes.push(Node::Range(steps, inner));
        } else if let Some(path) = action
            .strip_prefix("range")
            .filter(|path| starts_path(path))
        {
            if open.len() >= DEPTH {
                return Err("the template is nested too deeply".to_owned());
            }
            open.push((steps(path.trim())?, std::mem::take(&mut nodes)));
        } else if !action.is_empty() {
            nodes.push(single(action)?);
        }
    }
    if !rest.is_empty() {
        nodes.push(Node::Text(rest.to_owned()));
    }
    // A range that nothing ends goes on to the end of the template.
    while let Some((steps, outer)) = open.pop() {
        let inner = std::mem::replace(&mut nodes, outer);
        nodes.push(Node::Range(steps, inner));
    }
    Ok(nodes)
}

/// How many brackets are open at most, wherever they stand.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0usize, 0);
    for c in text.chars() {
        match c {
            '[' | '(' | '{' => open += 1,
            ']' | ')' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn starts_path(text: &str) -> bool {
    text.starts_with([' ', '.', '[', '$', '@', '\t'])
}

fn single(action: &str) -> Result<Node> {
    Ok(match steps(action)?.as_slice() {
        [Step::Literal(Value::String(text))] => Node::Text(text.clone()),
        path => Node::Path(path.to_vec()),
    })
}

/// Where the closing bracket stands, quotes and inner brackets aside.
fn closing(text: &str, close: char) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (quote, c) {
            (_, '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if c == close && depth == 0 => return Some(index),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn steps(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            ' ' | '\t' | '\n' | '\r' => rest = &rest[1..],
            '$' | '@' => {
                steps.push(if first == '$' {
                    Step::Root
                } else {
                    Step::Current
                });
                rest = &rest[1..];
            }
            '.' if rest.starts_with("..") => {
                steps.push(Step::Recursive);
                rest = &rest[1..];
                // The second dot begins the field's name; a bracket stands alone.
                if rest[1..].starts_with('[') {
                    rest = &rest[1..];
                }
            }
            '.' => {
                let (name, after) = field(&rest[1..]);
                match name.as_str() {
                    "" => {}
                    "*" => steps.push(Step::Wildcard),
                    _ => steps.push(Step::Field(name)),
                }
                rest = after;
            }
            '[' => {
                let end = closing(&rest[1..], ']').ok_or("unterminated array")?;
                steps.push(bracket(rest[1..1 + end].trim())?);
                rest = &rest[end + 2..];
            }
            '"' | '\'' => {
                let end = closing_quote(&rest[1..], first).ok_or("unterminated quoted string")?;
                steps.push(Step::Literal(Value::from(unescape(
                    &rest[1..1 + end],
                    first,
                ))));
                rest = &rest[end + 2..];
            }
            '-' | '+' | '0'..='9' => {
                let end = rest[1..]
                    .find(|c: char| !c.is_ascii_digit() && c != '.')
                    .map_or(rest.len(), |end| end + 1);
                let number = &rest[..end];
                let value = match (number.parse::<i64>(), number.parse::<f64>()) {
                    (Ok(whole), _) => Value::from(whole),
                    (_, Ok(other)) => Value::from(other),
                    _ => return Err(format!("cannot parse number {number}")),
                };
                steps.push(Step::Literal(value));
                rest = &rest[end..];
            }
            c if c.is_alphabetic() => {
                let end = rest
                    .find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                match &rest[..end] {
                    "true" => steps.push(Step::Literal(Value::Bool(true))),
                    "false" => steps.push(Step::Literal(Value::Bool(false))),
                    other => return Err(format!("unrecognized identifier {other}")),
                }
                rest = &rest[end..];
            }
            other => {
                return Err(format!(
                    "unrecognized character in action: U+{:04X} '{other}'",
                    u32::from(other)
                ));
            }
        }
    }
    Ok(steps)
}

fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(index),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str, quote: char) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some(c) if c == quote || c == '\\' => out.push(c),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

/// A field's name, and what comes after it; a backslash takes a character as it is.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            ' ' | '\t' | '\n' | '.' | ',' | '[' | ']' | '$' | '@' | '{' | '}' | '=' | '!' | '<'
            | '>' | '(' | ')' => {
                return (name, &text[index..]);
            }
            c => name.push(c),
        }
    }
    (name, "")
}

fn bracket(text: &str) -> Result<Step> {
    if let Some(inner) = text.strip_prefix("?(") {
        return filter(inner.strip_suffix(')').ok_or("unclosed array expect ]")?);
    }
    if text == "*" {
        return Ok(Step::Wildcard);
    }
    let parts = split(text);
    if parts.len() > 1 {
        let mut union = Vec::new();
        for part in parts {
            let part = part.trim();
            union.push(match part.starts_with(['.', '@', '$']) {
                true => steps(part)?,
                false => vec![bracket(part)?],
            });
        }
        return Ok(Step::Union(union));
    }
    let quoted = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    if let Some(name) = quoted {
        return Ok(Step::Field(name.to_owned()));
    }
    let invalid = || format!("invalid array index {text}");
    let number = |text: &str| match text {
        "" => Ok(None),
        text => text.parse::<i64>().map(Some).map_err(|_| invalid()),
    };
    let mut bounds = text.split(':');
    let first = number(bounds.next().unwrap_or_default())?;
    match (bounds.next(), bounds.next(), bounds.next()) {
        (None, ..) => first.map(Step::Index).ok_or_else(invalid),
        (Some(end), None, _) => Ok(Step::Slice(first, number(end)?, None)),
        (Some(end), Some(step), None) => Ok(Step::Slice(first, number(end)?, number(step)?)),
        _ => Err(invalid()),
    }
}

/// The parts between commas that stand outside of quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(end) = closing(rest, ',') {
        parts.push(&rest[..end]);
        rest = &rest[end + 1..];
    }
    parts.push(rest);
    parts
}

fn filter(text: &str) -> Result<Step> {
    const OPERATORS: [(&str, Operator); 6] = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    let mut quote = None;
    for (index, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, _) => {
                let found = OPERATORS
                    .iter()
                    .find(|(sign, _)| text[index..].starts_with(sign));
                if let Some((sign, operator)) = found {
                    let right = steps(text[index + sign.len()..].trim())?;
                    let left = steps(text[..index].trim())?;
                    return Ok(Step::Filter(left, Some((*operator, right))));
                }
            }
        }
    }
    Ok(Step::Filter(steps(text.trim())?, None))
}
