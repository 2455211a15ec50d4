//! `--sort-by`: rows and objects in the order of a field.

use std::cmp::Ordering;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::jsonpath::Template;
use crate::output::table::Row;

/// Sorts objects, whatever comes with them.
pub fn objects<T>(found: &mut [(T, Value)], path: &str) -> Result<()> {
    let template = template(path)?;
    let mut failure = None;
    found.sort_by(|(_, a), (_, b)| compare(&template, a, b, &mut failure));
    failure.map_or(Ok(()), Err)
}

/// Sorts a table's rows by what the whole objects say; whether any of them has the field.
pub fn rows(rows: &mut [Row], objects: &[Value], path: &str) -> bool {
    let Ok(template) = template(path) else {
        return false;
    };
    let has = |object: &Value| {
        let values = template.values(object);
        values.is_ok_and(|values| !values.is_empty())
    };
    if !objects.iter().any(has) {
        return objects.is_empty();
    }
    let mut failure = None;
    let of = |row: &Row| {
        let uid = &row.object["metadata"]["uid"];
        objects.iter().find(|own| own["metadata"]["uid"] == *uid)
    };
    rows.sort_by(|a, b| match (of(a), of(b)) {
        (Some(a), Some(b)) => compare(&template, a, b, &mut failure),
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    failure.is_none()
}

fn template(path: &str) -> Result<Template> {
    Template::read_path(path).map_err(Error::local)
}

fn compare(template: &Template, a: &Value, b: &Value, failure: &mut Option<Error>) -> Ordering {
    let mut key = |object| match template.values(object) {
        Ok(values) => values.first().map(|value| (*value).clone()),
        Err(why) => {
            *failure = Some(Error::local(why));
            None
        }
    };
    match (key(a), key(b)) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        (Some(a), Some(b)) => a.as_str().cmp(&b.as_str()),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}
