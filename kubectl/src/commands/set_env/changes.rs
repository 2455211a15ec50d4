//! Environment variables as they are typed, and what becomes of those of a container.

use ferrule_apimachinery::names;
use serde_json::{Value, json};

use super::super::pods;
use crate::error::{Error, Result};

/// What becomes of the variables of a container.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Variables that are set, as objects.
    pub set: Vec<Value>,
    /// Names of those that go.
    pub remove: Vec<String>,
}

/// Resources, and the changes behind them.
pub fn split(words: &[String]) -> Result<(&[String], &[String])> {
    let is_change = |word: &String| {
        word.ends_with('-') || word.char_indices().any(|(place, c)| place > 0 && c == '=')
    };
    let place = words.iter().position(is_change).unwrap_or(words.len());
    let (resources, changes) = words.split_at(place);
    if changes.iter().all(is_change) {
        return Ok((resources, changes));
    }
    Err(Error::local(format!(
        "all resources must be specified before environment changes: {}",
        words.join(" ")
    )))
}

/// Reads `KEY=VALUE` and `KEY-`; `-` stands for the lines of `input`.
pub fn read(specs: &[String], mut input: impl FnMut() -> Result<String>) -> Result<Changes> {
    let mut changes = Changes::default();
    let mut typed = Vec::new();
    for spec in specs {
        if spec == "-" {
            changes.set.extend(lines(&input()?));
        } else if let Some((name, value)) = spec.split_once('=') {
            let why = names::env_var_name(name);
            if !why.is_empty() {
                return Err(Error::local(format!(
                    "{name:?} is not a valid key name: {}",
                    why.join(";")
                )));
            }
            typed.push(name);
            changes.set.push(json!({"name": name, "value": value}));
        } else if let Some(name) = spec.strip_suffix('-') {
            changes.remove.push(name.to_owned());
        } else {
            return Err(Error::local(format!(
                "unknown environment variable: {spec}"
            )));
        }
    }
    if changes
        .remove
        .iter()
        .any(|name| typed.contains(&name.as_str()))
    {
        return Err(Error::local(
            "can not both modify and remove the same environment variable in the same command",
        ));
    }
    Ok(changes)
}

/// The variables of lines like `KEY=VALUE`; what stands behind a `#` is a comment, and other lines
/// say nothing.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let (name, value) = line.split_once('=')?;
            Some(json!({"name": name, "value": value}))
        })
        .collect()
}

impl Changes {
    /// The variables of a container after the changes, in their order; new ones come last.
    pub fn apply(&self, before: &[Value]) -> Vec<Value> {
        let removed = |own: &&Value| self.remove.iter().any(|name| name == pods::name(own));
        let newest = |own: &Value| {
            let same = |new: &&Value| pods::name(new) == pods::name(own);
            self.set.iter().find(same).unwrap_or(own).clone()
        };
        let mut after: Vec<Value> = Vec::new();
        let set = self.set.iter().filter(|own| !removed(own)).cloned();
        for own in before
            .iter()
            .filter(|own| !removed(own))
            .map(newest)
            .chain(set)
        {
            if !after
                .iter()
                .any(|other| pods::name(other) == pods::name(&own))
            {
                after.push(own);
            }
        }
        after
    }

    /// Refuses to set variables that have another value.
    pub fn keep(&self, before: &[Value]) -> Result<()> {
        let value = |own: &Value| own["value"].as_str().unwrap_or_default().to_owned();
        for new in &self.set {
            let same = before.iter().find(|own| pods::name(own) == pods::name(new));
            if let Some(own) = same.filter(|own| value(own) != value(new)) {
                return Err(Error::local(format!(
                    "'{}' already has a value ({}), and --overwrite is false",
                    pods::name(own),
                    value(own)
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    fn changes(line: &str) -> Result<Changes> {
        read(&words(line), || {
            Ok("D=1 2 # three\n\n#E=1\nexport F=3\nG\n".to_owned())
        })
    }

    #[test]
    fn variables_are_changed_in_place_removed_and_added_at_the_end() {
        let before = [
            json!({"name": "A", "value": "1"}),
            json!({"name": "B", "value": "2"}),
        ];
        for (specs, expected) in [
            (
                "A=3",
                r#"[{"name":"A","value":"3"},{"name":"B","value":"2"}]"#,
            ),
            (
                "C=3 A-",
                r#"[{"name":"B","value":"2"},{"name":"C","value":"3"}]"#,
            ),
            ("A- B-", "[]"),
            ("- A- B- D-", r#"[{"name":"export F","value":"3"}]"#),
        ] {
            let after = changes(specs).unwrap().apply(&before);
            assert_eq!(json!(after).to_string(), expected, "{specs}");
        }
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for (specs, expected) in [
            (
                "A=1 A-",
                "can not both modify and remove the same environment variable in the same command",
            ),
            ("A", "unknown environment variable: A"),
        ] {
            assert_eq!(changes(specs).unwrap_err().message(), expected);
        }
        let refused = changes("1A=1").unwrap_err().message();
        assert!(
            refused.starts_with(
                "\"1A\" is not a valid key name: a valid environment variable name must"
            ),
            "{refused}"
        );
    }

    #[test]
    fn values_are_kept_unless_they_are_the_same() {
        let before = [json!({"name": "A", "value": "1"})];
        assert!(changes("A=1 B=2").unwrap().keep(&before).is_ok());
        assert_eq!(
            changes("A=2").unwrap().keep(&before).unwrap_err().message(),
            "'A' already has a value (1), and --overwrite is false"
        );
    }
}
