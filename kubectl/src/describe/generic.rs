//! Kinds that have no description of their own.

use serde_json::Value;

use super::plain::sorted;
use super::{Text, meta, string};

/// Fields of the metadata that are shown at the head, or not at all.
const HIDDEN: [&str; 5] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "managedFields",
];

/// Words that stay in capitals.
const ACRONYMS: [&str; 4] = ["API", "URL", "UID", "GUID"];

/// Describes anything: its fields, a line each.
pub fn describe(text: &mut Text, object: &Value) -> bool {
    text.field(0, "Name", string(&object["metadata"], "name"));
    text.field(0, "Namespace", string(&object["metadata"], "namespace"));
    meta::labels_and_annotations(text, object);
    for (key, value) in sorted(object) {
        if key != "metadata" {
            tree(text, 0, &title(key), value);
            continue;
        }
        text.line(0, "Metadata:");
        for (key, value) in sorted(value) {
            if !HIDDEN.contains(&key.as_str()) {
                tree(text, 1, &title(key), value);
            }
        }
    }
    true
}

fn tree(text: &mut Text, level: usize, name: &str, value: &Value) {
    match value {
        Value::Object(_) => {
            text.line(level, format!("{name}:"));
            fields(text, level + 1, value);
        }
        Value::Array(items) => {
            text.line(level, format!("{name}:"));
            for item in items {
                match item {
                    Value::Object(_) => fields(text, level + 1, item),
                    other => text.line(level + 1, printed(other)),
                }
            }
        }
        other => text.line(level, format!("{name}:\t{}", printed(other))),
    }
}

fn fields(text: &mut Text, level: usize, map: &Value) {
    for (key, value) in sorted(map) {
        tree(text, level, &title(key), value);
    }
}

/// A value as Go prints it.
fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(printed).collect();
            format!("[{}]", items.join(" "))
        }
        other => super::plain(other),
    }
}

/// What a character is to `words`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Other,
}

fn class(character: char) -> Class {
    match character {
        lower if lower.is_lowercase() => Class::Lower,
        upper if upper.is_uppercase() => Class::Upper,
        _ => Class::Other,
    }
}

/// `creationTimestamp` as `creation` and `Timestamp`; `podCIDRs` as `pod` and `CIDRs`.
fn words(key: &str) -> Vec<String> {
    let mut runs: Vec<(Class, String)> = Vec::new();
    for character in key.chars() {
        let own = class(character);
        match runs.last_mut() {
            Some((class, run)) if *class == own => run.push(character),
            _ => runs.push((own, character.to_string())),
        }
    }
    // The last capital begins the word in small letters behind it.
    for index in 1..runs.len() {
        if runs[index - 1].0 == Class::Upper && runs[index].0 == Class::Lower {
            let moved = runs[index - 1].1.pop();
            runs[index].1.insert_str(0, &String::from_iter(moved));
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(_, run)| run)
        .filter(|run| !run.is_empty())
        .collect();
    // Capitals in front of a capital are an abbreviation and its plural.
    let mut words: Vec<String> = Vec::new();
    let mut closed = true;
    for run in runs {
        let begins = run.chars().next().is_some_and(char::is_uppercase);
        match words.last_mut() {
            Some(last) if begins && !closed => {
                last.push_str(&run);
                closed = true;
            }
            _ => {
                closed = run.chars().count() < 2 || !run.chars().all(char::is_uppercase);
                words.push(run);
            }
        }
    }
    words
}

/// `creationTimestamp` becomes `Creation Timestamp`, `apiVersion` becomes `API Version`.
fn title(key: &str) -> String {
    if key
        .chars()
        .any(|character| !character.is_alphabetic() && character != '-')
    {
        return key.to_owned();
    }
    let titled = |word: String| {
        let upper = word.to_uppercase();
        if ACRONYMS.contains(&upper.as_str()) {
            return upper;
        }
        let mut rest = word.chars();
        match rest.next() {
            Some(first) => first.to_uppercase().chain(rest).collect(),
            None => word,
        }
    };
    let words: Vec<String> = words(key).into_iter().map(titled).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_titles() {
        for (key, expected) in [
            ("creationTimestamp", "Creation Timestamp"),
            ("apiVersion", "API Version"),
            ("uid", "UID"),
            ("holderIdentity", "Holder Identity"),
            ("podCIDRs", "Pod CIDRs"),
            ("externalURL", "External URL"),
            ("some-key", "Some - Key"),
            ("f:spec", "f:spec"),
            ("x", "X"),
        ] {
            assert_eq!(title(key), expected, "{key}");
        }
    }
}
