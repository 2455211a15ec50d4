//! `--output=plaintext`: the kind, a field of it, its description and its fields.

use serde_json::Value;

use super::document::{Document, Gvr, all_of, map_element};
use super::wrap;
use crate::error::{Error, Result};

/// Explains a resource, or the field that a path leads to. What is known is written to `out` even
/// when the path leads nowhere, as upstream does.
pub fn explain(
    document: &Document,
    gvr: &Gvr,
    path: &[String],
    recursive: bool,
    out: &mut String,
) -> Result<()> {
    let missing = || Error::local(format!("GVR ({gvr}) not found in OpenAPI schema"));
    let kind = document.kind_of(gvr).ok_or_else(missing)?;
    let text = |field: &str| kind[field].as_str().unwrap_or_default();
    if !text("group").is_empty() {
        out.push_str(&format!("GROUP:      {}\n", text("group")));
    }
    let (name, version) = (text("kind"), text("version"));
    out.push_str(&format!("KIND:       {name}\nVERSION:    {version}\n\n"));
    let schema = document.schema_of(kind).ok_or_else(|| {
        let group = text("group");
        Error::local(format!(
            "GVK map[group:{group} kind:{name} version:{version}] not found in OpenAPI schema"
        ))
    })?;
    let printer = Printer {
        document,
        recursive,
    };
    let found = printer.output(schema, path, &[]).ok_or_else(|| {
        let field = path.last().map_or("", String::as_str);
        Error::local(format!("field {field:?} does not exist"))
    })?;
    out.push_str(&found);
    out.push('\n');
    Ok(())
}

struct Printer<'a> {
    document: &'a Document,
    recursive: bool,
}

impl<'a> Printer<'a> {
    /// What a path below a schema leads to; none when it leads nowhere. `seen` are the references
    /// followed for the same field, so that a circle ends.
    fn output(&self, schema: &'a Value, path: &[String], seen: &[&'a str]) -> Option<String> {
        let reference = schema["$ref"].as_str().unwrap_or_default();
        let resolved = self.document.resolved(schema);
        let Some((first, rest)) = path.split_first() else {
            return Some(self.described(resolved));
        };
        if !reference.is_empty() && seen.contains(&reference) {
            return None;
        }
        let seen = [seen, &[reference]].concat();
        if let Some(field) = resolved["properties"].get(first) {
            let mut out = String::new();
            if rest.is_empty() {
                let ty = self.type_name(field);
                let values = long_enum(field);
                out = format!("FIELD: {first} <{ty}>\n{values}\n\n");
            }
            out.push_str(&self.output(field, rest, &[])?);
            return Some(out);
        }
        if let Some(items) = resolved.get("items").or_else(|| map_element(resolved)) {
            return self.output(items, path, &seen);
        }
        all_of(resolved).find_map(|own| self.output(own, path, &seen))
    }

    fn described(&self, schema: &'a Value) -> String {
        let mut text = self.description(schema);
        if text.is_empty() {
            text = "<empty>".to_owned();
        }
        let mut out = format!(
            "DESCRIPTION:\n{}\n",
            wrap::indent(&wrap::words(&text, 76), 4)
        );
        let fields = self.fields(schema, 1, &[]);
        if !fields.is_empty() {
            out.push_str("FIELDS:\n");
            out.push_str(&fields);
        }
        out
    }

    /// The description of a schema and of everything that it consists of, each on lines of its own.
    fn description(&self, schema: &'a Value) -> String {
        let resolved = self.document.resolved(schema);
        let mut out = String::new();
        if let Some(text) = resolved["description"]
            .as_str()
            .filter(|text| !text.is_empty())
        {
            out.push_str(text);
            out.push('\n');
        }
        let inner = all_of(resolved)
            .chain(resolved.get("items"))
            .chain(map_element(resolved));
        inner.for_each(|own| out.push_str(&self.description(own)));
        out
    }

    fn fields(&self, schema: &'a Value, level: usize, seen: &[&'a str]) -> String {
        let reference = schema["$ref"].as_str().unwrap_or_default();
        if !reference.is_empty() && seen.contains(&reference) {
            return String::new();
        }
        let seen = [seen, &[reference]].concat();
        let resolved = self.document.resolved(schema);
        let mut out = String::new();
        for (name, field) in resolved["properties"].as_object().into_iter().flatten() {
            out.push_str(&self.field(name, field, resolved, level));
            if self.recursive {
                out.push_str(&self.fields(field, level + 1, &seen));
            }
        }
        let inner = all_of(resolved)
            .chain(resolved.get("items"))
            .chain(map_element(resolved));
        inner.for_each(|own| out.push_str(&self.fields(own, level, &seen)));
        out
    }

    fn field(&self, name: &str, field: &'a Value, of: &Value, level: usize) -> String {
        let amount = level * 2;
        let pad = " ".repeat(amount);
        let required = of["required"].as_array();
        let required = required.is_some_and(|own| own.iter().any(|own| own == name));
        let mut out = format!("{pad}{name}\t<{}>", self.type_name(field));
        if required {
            out.push_str(" -required-");
        }
        out.push_str(&short_enum(field, &pad));
        out.push('\n');
        if !self.recursive {
            let text = field["description"]
                .as_str()
                .filter(|text| !text.is_empty());
            let text = wrap::words(text.unwrap_or("<no description>"), 78 - amount);
            out.push_str(&wrap::indent(&text, amount + 2));
            out.push_str("\n\n");
        }
        out
    }

    /// `string`, `[]Container`, `map[string]string`.
    fn type_name(&self, schema: &Value) -> String {
        if let Some(items) = schema.get("items") {
            return format!("[]{}", self.type_name(items));
        }
        if let Some(element) = map_element(schema) {
            return format!("map[string]{}", self.type_name(element));
        }
        let parts: Vec<&Value> = all_of(schema).collect();
        if let ([part], None) = (parts.as_slice(), schema.get("properties")) {
            return self.type_name(part);
        }
        let named = |schema: &Value| match schema["type"].as_str() {
            None | Some("" | "object") => None,
            Some(own) => Some(own.to_owned()),
        };
        match schema["$ref"].as_str() {
            None => named(schema).unwrap_or_else(|| "Object".to_owned()),
            Some(reference) => {
                let target = self.document.follow(reference);
                let name = || reference.rsplit(['/', '.']).next().unwrap_or_default();
                target.and_then(named).unwrap_or_else(|| name().to_owned())
            }
        }
    }
}

fn enum_values(schema: &Value) -> Vec<String> {
    let values = schema["enum"].as_array().into_iter().flatten();
    values
        .map(|value| match value.as_str() {
            Some("") => "\"\"".to_owned(),
            Some(text) => text.to_owned(),
            None => value.to_string(),
        })
        .collect()
}

fn long_enum(schema: &Value) -> String {
    let values = enum_values(schema);
    if values.is_empty() {
        return String::new();
    }
    let lines: String = values.iter().map(|own| format!("\n    {own}")).collect();
    format!("ENUM:{lines}")
}

fn short_enum(schema: &Value, pad: &str) -> String {
    const SHOWN: usize = 4;
    let values = enum_values(schema);
    if values.is_empty() {
        return String::new();
    }
    let more = if values.len() > SHOWN { ", ...." } else { "" };
    let shown = &values[..values.len().min(SHOWN)];
    format!("\n{pad}enum: {}{more}", shown.join(", "))
}
