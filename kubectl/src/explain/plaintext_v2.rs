//! `--output=plaintext-openapiv2`: the form of older clients.

use serde_json::Value;

use super::document::{Document, Gvr, all_of, map_element};
use super::wrap;
use crate::error::{Error, Result};

const WIDTH: usize = 80;

/// A schema as older clients tell them apart.
enum Shape<'a> {
    Fields(&'a serde_json::Map<String, Value>),
    List(&'a Value),
    Map(Option<&'a Value>),
    Scalar(&'a str),
    Any,
}

/// Explains a resource, or the field that a path leads to.
pub fn explain(
    document: &Document,
    gvr: &Gvr,
    path: &[String],
    recursive: bool,
    out: &mut String,
) -> Result<()> {
    let missing = || Error::local(format!("couldn't find resource for \"{gvr}\""));
    let kind = document.kind_of(gvr).ok_or_else(missing)?;
    let schema = document.schema_of(kind).ok_or_else(missing)?;
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    let version = match text("group") {
        "" => text("version").to_owned(),
        group => format!("{group}/{}", text("version")),
    };
    let mut printer = Printer {
        document,
        out: format!("KIND:     {}\nVERSION:  {version}\n\n", text("kind")),
        visited: Vec::new(),
    };
    let found = printer.look_up(schema, path)?;
    printer.model(found, path.last().map_or("", String::as_str), recursive);
    out.push_str(&printer.out);
    Ok(())
}

struct Printer<'a> {
    document: &'a Document,
    out: String,
    visited: Vec<&'a str>,
}

impl<'a> Printer<'a> {
    /// The reference of a schema, perhaps as the only schema that it consists of.
    fn reference(&self, schema: &'a Value) -> Option<&'a str> {
        let own = schema["$ref"].as_str();
        own.or_else(|| all_of(schema).find_map(|part| part["$ref"].as_str()))
    }

    fn target(&self, schema: &'a Value) -> Option<&'a Value> {
        let reference = self.reference(schema)?;
        self.document.follow(reference)
    }

    fn shape(&self, schema: &'a Value) -> Shape<'a> {
        if let Some(fields) = schema["properties"].as_object() {
            return Shape::Fields(fields);
        }
        match schema["type"].as_str() {
            Some("array") => Shape::List(&schema["items"]),
            Some("object") => Shape::Map(map_element(schema)),
            Some(scalar) => Shape::Scalar(scalar),
            // A text or a number counts as a text.
            None if schema["oneOf"].is_array() => Shape::Scalar("string"),
            None => Shape::Any,
        }
    }

    fn type_name(&self, schema: &'a Value) -> String {
        if let Some(target) = self.target(schema) {
            return self.type_name(target);
        }
        match self.shape(schema) {
            Shape::Fields(_) => "Object".to_owned(),
            Shape::List(items) => format!("[]{}", self.type_name(items)),
            Shape::Map(Some(element)) => format!("map[string]{}", self.type_name(element)),
            Shape::Map(None) => "map[string]".to_owned(),
            Shape::Scalar(name) => name.to_owned(),
            Shape::Any => String::new(),
        }
    }

    fn look_up(&self, schema: &'a Value, path: &[String]) -> Result<&'a Value> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(schema);
        };
        if let Some(target) = self.target(schema) {
            return self.look_up(target, path);
        }
        match self.shape(schema) {
            Shape::Fields(fields) => match fields.get(first) {
                Some(field) => self.look_up(field, rest),
                None => Err(Error::local(format!("field {first:?} does not exist"))),
            },
            Shape::List(inner) | Shape::Map(Some(inner)) => self.look_up(inner, path),
            _ => Err(Error::local(format!("field {first:?} does not exist"))),
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.out.push_str(&" ".repeat(indent));
            self.out.push_str(text);
        }
        self.out.push('\n');
    }

    fn wrapped(&mut self, indent: usize, text: &str) {
        for line in wrap::paragraphs(text, WIDTH - indent) {
            self.line(indent, &line);
        }
    }

    fn model(&mut self, schema: &'a Value, name: &str, recursive: bool) {
        let mut texts = Vec::new();
        let mut at = schema;
        let mut ty = String::new();
        loop {
            let own = at["description"].as_str().unwrap_or_default();
            texts.push(own);
            if let Some(target) = self.target(at) {
                at = target;
                continue;
            }
            if ty.is_empty() {
                ty = self.type_name(at);
            }
            match self.shape(at) {
                Shape::List(inner) | Shape::Map(Some(inner)) => at = inner,
                // A map of anything: what it holds is described by the same words.
                Shape::Map(None) => {
                    texts.push(own);
                    break;
                }
                _ => break,
            }
        }
        let shape = self.shape(at);
        let fields = matches!(shape, Shape::Fields(_));
        match shape {
            Shape::Fields(_) if name.is_empty() => {}
            Shape::Fields(_) => self.line(0, &format!("RESOURCE: {name} <{ty}>\n")),
            Shape::Scalar(_) => self.line(0, &format!("FIELD:    {name} <{ty}>\n")),
            _ => {}
        }
        self.line(0, "DESCRIPTION:");
        let mut empty = true;
        for (i, text) in texts
            .iter()
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
        {
            if i != 0 {
                self.line(0, "");
            }
            empty = false;
            self.wrapped(5, text);
        }
        if empty {
            self.wrapped(5, "<empty>");
        }
        if fields {
            self.line(0, "\nFIELDS:");
            self.fields(at, 3, recursive);
        }
    }

    fn fields(&mut self, schema: &'a Value, indent: usize, recursive: bool) {
        if let Some(reference) = self.reference(schema) {
            if self.visited.contains(&reference) {
                return;
            }
            self.visited.push(reference);
            if let Some(target) = self.document.follow(reference) {
                self.fields(target, indent, recursive);
            }
            self.visited.pop();
            return;
        }
        match self.shape(schema) {
            Shape::List(inner) | Shape::Map(Some(inner)) => self.fields(inner, indent, recursive),
            Shape::Fields(fields) => {
                for (name, field) in fields {
                    let ty = self.type_name(field);
                    if recursive {
                        self.line(indent, &format!("{name}\t<{ty}>"));
                        self.fields(field, indent + 3, true);
                        continue;
                    }
                    let required = schema["required"].as_array();
                    let required = required.is_some_and(|own| own.iter().any(|own| own == name));
                    let mark = if required { " -required-" } else { "" };
                    self.line(indent, &format!("{name}\t<{ty}>{mark}"));
                    self.wrapped(
                        indent + 2,
                        field["description"].as_str().unwrap_or_default(),
                    );
                    self.line(0, "");
                }
            }
            _ => {}
        }
    }
}
