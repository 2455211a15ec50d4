//! Reads YAML into trees.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};

use super::resolve::{Plain, resolve};
use crate::schema::MAX_DEPTH;

/// Most that anchors and aliases may copy within one document, in the units of [`size`].
const MAX_COPIED: usize = 1_000_000;
/// Bytes of text that count as one value more.
const UNIT_OF_TEXT: usize = 16;

/// Why something is no YAML; the message is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(pub String);

/// A document, and the keys that it has twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The tree; of a repeated key the last value.
    pub value: Value,
    /// `line 7: key "k" already set in map`.
    pub duplicates: Vec<String>,
}

/// Reads all documents of a stream, leaving out empty ones; repeated keys are an error.
pub fn read(text: &str) -> Result<Vec<Value>, YamlError> {
    if let Some(values) = read_json(text) {
        return Ok(values);
    }
    let mut values = Vec::new();
    for part in split_documents(text) {
        let document = read_document(part)?;
        if !document.duplicates.is_empty() {
            return Err(YamlError(format!(
                "yaml: unmarshal errors:\n  {}",
                document.duplicates.join("\n  ")
            )));
        }
        if !document.value.is_null() {
            values.push(document.value);
        }
    }
    Ok(values)
}

/// JSON values one after the other, when that is what the text is.
fn read_json(text: &str) -> Option<Vec<Value>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect::<Result<Vec<Value>, _>>()
        .ok()
}

/// The documents of a stream: what stands between lines that begin with `---`.
pub fn split_documents(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") && at > 0 {
            parts.push(&text[start..at]);
            // What follows on the line of the mark belongs to the new document.
            start = at;
        }
        at += line.len();
    }
    parts.push(&text[start..]);
    parts
}

/// Reads one document.
pub fn read_document(text: &str) -> Result<Document, YamlError> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        copied: 0,
        duplicates: Vec::new(),
    };
    let mut value = Value::Null;
    let mut seen = false;
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamEnd => break,
            Event::DocumentStart(_) if seen => break,
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => {
                value = reader.node(event, span, 0)?.0;
                seen = true;
            }
        }
    }
    Ok(Document {
        value,
        duplicates: reader.duplicates,
    })
}

/// An error of the scanner, with its line when that is not the first.
fn refused(error: &ScanError) -> YamlError {
    let info = error.info();
    match error.marker().line() {
        0 | 1 => YamlError(format!("yaml: {info}")),
        line => YamlError(format!("yaml: line {line}: {info}")),
    }
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Value>,
    copied: usize,
    duplicates: Vec<String>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, YamlError> {
        self.events
            .next_event()
            .transpose()
            .map_err(|e| refused(&e))
    }

    fn expect(&mut self) -> Result<(Event<'t>, Span), YamlError> {
        self.next()?
            .ok_or_else(|| YamlError("yaml: unexpected end of stream".to_owned()))
    }

    /// The value that begins with this event, and whether it is the merge key `<<`.
    fn node(
        &mut self,
        event: Event<'t>,
        span: Span,
        depth: usize,
    ) -> Result<(Value, bool), YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError("yaml: exceeded max depth".to_owned()));
        }
        let (value, anchor, merge) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let (value, merge) = scalar(&text, style, tag.as_deref(), span)?;
                (value, anchor, merge)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(depth)?, anchor, false),
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor, false),
            Event::Alias(anchor) => {
                let value =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| {
                        YamlError("yaml: anchor value contains itself".to_owned())
                    })?;
                self.copy(&value)?;
                (value, 0, false)
            }
            _ => return Err(YamlError("yaml: unexpected event".to_owned())),
        };
        if anchor > 0 {
            // Anchors within anchors: each keeps all that it holds.
            self.copy(&value)?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok((value, merge))
    }

    /// Counts what is copied: few words may stand for more than there is memory.
    fn copy(&mut self, value: &Value) -> Result<(), YamlError> {
        self.copied += size(value);
        if self.copied > MAX_COPIED {
            return Err(YamlError(
                "yaml: document contains excessive aliasing".to_owned(),
            ));
        }
        Ok(())
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.expect()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?.0),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut map = Map::new();
        let mut merged: Vec<Value> = Vec::new();
        loop {
            let (event, span) = self.expect()?;
            if event == Event::MappingEnd {
                break;
            }
            let (key, is_merge) = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.expect()?;
            let (value, _) = self.node(event, value_span, depth + 1)?;
            if is_merge {
                merged.push(value);
                continue;
            }
            let key = key_text(key)?;
            if map.insert(key.clone(), value).is_some() {
                self.duplicates.push(format!(
                    "line {}: key {} already set in map",
                    span.start.line(),
                    crate::field::quote(&key)
                ));
            }
        }
        for source in merged {
            merge(&mut map, source)?;
        }
        Ok(Value::Object(map))
    }
}

/// Brings in the entries of a merged map, or of each of a list of maps; present keys win.
fn merge(map: &mut Map<String, Value>, source: Value) -> Result<(), YamlError> {
    match source {
        Value::Object(source) => {
            for (key, value) in source {
                if !map.contains_key(&key) {
                    map.insert(key, value);
                }
            }
            Ok(())
        }
        Value::Array(sources) if sources.iter().all(Value::is_object) => {
            sources.into_iter().try_for_each(|s| merge(map, s))
        }
        _ => Err(YamlError(
            "yaml: map merge requires map or sequence of maps as the value".to_owned(),
        )),
    }
}

fn key_text(key: Value) -> Result<String, YamlError> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Ok("null".to_owned()),
        other => Err(YamlError(format!("yaml: invalid map key: {other}"))),
    }
}

/// How much a value holds: its values, and its texts.
fn size(value: &Value) -> usize {
    let text = |text: &str| text.len() / UNIT_OF_TEXT;
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(key, inner)| text(key) + size(inner)).sum(),
        Value::String(own) => text(own),
        _ => 0,
    }
}

/// A scalar and whether it is the merge key.
fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: Span,
) -> Result<(Value, bool), YamlError> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema());
    let as_text = || Value::String(text.to_owned());
    match core.map(|tag| tag.suffix.as_str()) {
        Some("str" | "binary" | "timestamp") => return Ok((as_text(), false)),
        Some(wanted @ ("int" | "float" | "bool" | "null")) => {
            let value = match resolve(text) {
                Plain::Value(value) => value,
                _ => as_text(),
            };
            let fits = match (wanted, &value) {
                ("int", Value::Number(n)) => !n.is_f64(),
                ("float", Value::Number(_)) | ("bool", Value::Bool(_)) | ("null", Value::Null) => {
                    true
                }
                _ => false,
            };
            if fits {
                return Ok((value, false));
            }
            return Err(YamlError(format!(
                "yaml: cannot decode !!str `{text}` as a !!{wanted} (line {})",
                span.start.line()
            )));
        }
        _ => {}
    }
    if style != ScalarStyle::Plain || tag.is_some() {
        return Ok((as_text(), false));
    }
    match resolve(text) {
        Plain::Value(value) => Ok((value, false)),
        Plain::Merge => Ok((as_text(), true)),
        Plain::Text | Plain::Time => Ok((as_text(), false)),
        Plain::NoJson => Err(YamlError(format!("json: unsupported value: {text}"))),
    }
}
