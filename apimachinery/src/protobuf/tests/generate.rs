//! Objects made of a sequence of choices: whoever shortens the sequence gets a smaller object.

use serde_json::{Map, Value, json};

use super::super::form::{Form, message};
use crate::schema::{Schema, TypeId};

/// The choices; behind their end everything is absent.
pub(super) struct Choices {
    all: std::vec::IntoIter<u16>,
    /// Types with fields of theirs that are always absent.
    without: &'static [(&'static str, &'static str)],
}

impl Choices {
    pub(super) fn new(all: Vec<u16>, without: &'static [(&'static str, &'static str)]) -> Choices {
        Choices {
            all: all.into_iter(),
            without,
        }
    }

    fn next(&mut self) -> usize {
        usize::from(self.all.next().unwrap_or_default())
    }

    fn coin(&mut self) -> bool {
        self.next() % 2 == 1
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.next() % all.len()]
    }
}

/// Objects within objects end here.
const DEPTH: usize = 8;

pub(super) fn object(schema: &Schema, id: TypeId, choices: &mut Choices) -> Value {
    value(schema, &Form::Message(id), choices, DEPTH)
}

const TEXTS: &[&str] = &["", "a", "web", "ä\"\\\n", "TCP", "true", "0"];
const QUANTITIES: &[&str] = &["0", "1", "500m", "1Gi", "-3", "100n", "1500M", "2e3"];
const TIMES: &[&str] = &[
    "2026-11-21T04:16:40Z",
    "1969-12-31T23:59:59Z",
    "0001-01-02T00:00:00Z",
    "9999-01-01T00:00:00Z",
];
const NUMBERS: &[i32] = &[0, 1, -1, 80, 127, 128, 65535, i32::MAX, i32::MIN];

fn value(schema: &Schema, form: &Form, choices: &mut Choices, depth: usize) -> Value {
    match form {
        Form::Bool => choices.coin().into(),
        Form::Number => (*choices.of(NUMBERS)).into(),
        Form::Double => (f64::from(*choices.of(NUMBERS)) / 4.0).into(),
        Form::Text => (*choices.of(TEXTS)).into(),
        Form::Bytes => (*choices.of(&["", "AA==", "/+8=", "YWJj"])).into(),
        Form::Duration => (*choices.of(&["0s", "1m30s", "-500ms"])).into(),
        Form::Time => (*choices.of(TIMES)).into(),
        Form::MicroTime => choices.of(TIMES).replace('Z', ".123456Z").into(),
        Form::Quantity => (*choices.of(QUANTITIES)).into(),
        Form::IntOrString if choices.coin() => (*choices.of(NUMBERS)).into(),
        Form::IntOrString => (*choices.of(TEXTS)).into(),
        Form::Json => choices
            .of(&[json!({"a": [1, null]}), json!("text"), json!({})])
            .clone(),
        Form::Texts => list(schema, &Form::Text, choices, depth),
        Form::Message(id) => fields(schema, *id, choices, depth),
        Form::SchemaOrBool(_) if choices.coin() => choices.coin().into(),
        Form::SchemaOrList(id) if choices.coin() => (0..choices.next() % 3)
            .map(|_| nested(schema, *id, choices, depth))
            .collect(),
        Form::SchemaOrTexts(_) if choices.coin() => list(schema, &Form::Text, choices, depth),
        Form::SchemaOrBool(id) | Form::SchemaOrList(id) | Form::SchemaOrTexts(id) => {
            nested(schema, *id, choices, depth)
        }
        Form::List(element) => list(schema, element, choices, depth),
        Form::Map(element) => {
            let mut map = Map::new();
            for _ in 0..choices.next() % 3 {
                let key = *choices.of(&["a", "b.c/d", "ä"]);
                map.insert(key.to_owned(), value(schema, element, choices, depth));
            }
            Value::Object(map)
        }
    }
}

fn list(schema: &Schema, element: &Form, choices: &mut Choices, depth: usize) -> Value {
    (0..choices.next() % 3)
        .map(|_| value(schema, element, choices, depth))
        .collect()
}

/// A schema within a schema, as it is kept: the type of the outer one does not look into it.
fn nested(schema: &Schema, id: TypeId, choices: &mut Choices, depth: usize) -> Value {
    let found = fields(schema, id, choices, depth);
    schema.decode_value(found, id).unwrap().value
}

fn fields(schema: &Schema, id: TypeId, choices: &mut Choices, depth: usize) -> Value {
    let mut object = Map::new();
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Object(object);
    };
    let of = schema.get(id).name;
    for slot in &message(schema, id).slots {
        if choices.next() % 3 == 1 && !choices.without.contains(&(of, slot.name)) {
            let found = value(schema, &slot.form, choices, depth);
            object.insert(slot.name.to_owned(), found);
        }
    }
    Value::Object(object)
}
