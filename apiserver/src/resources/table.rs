//! Columns and rows of the Table form.

use jiff::Timestamp;
use serde_json::Value;

use super::tree::{Tree, display};

/// One column of a kind's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Heading, as in `Name`; kubectl prints it in capitals.
    pub name: &'static str,
    /// OpenAPI type of the cells: `string`, `integer`, `date` …
    pub kind: &'static str,
    /// OpenAPI format of the cells; `name` for the name's column.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: i32,
}

impl Column {
    /// The column of the object's name.
    pub const NAME: Column = Column {
        name: "Name",
        kind: "string",
        format: "name",
        description: "Name of the object, unique among its kind in its namespace.",
        priority: 0,
    };
    /// The column of the object's age.
    pub const AGE: Column = Column::text("Age", "Time since the server created the object.");

    /// A column of texts that is always shown.
    pub const fn text(name: &'static str, description: &'static str) -> Column {
        Column {
            name,
            kind: "string",
            format: "",
            description,
            priority: 0,
        }
    }

    /// A column of whole numbers that is always shown.
    pub const fn integer(name: &'static str, description: &'static str) -> Column {
        Column {
            name,
            kind: "integer",
            format: "",
            description,
            priority: 0,
        }
    }

    /// The same column, shown only in wide tables.
    pub const fn wide(self) -> Column {
        Column {
            priority: 1,
            ..self
        }
    }
}

/// A condition of a row, such as a pod that has completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCondition {
    /// `Completed`.
    pub kind: &'static str,
    /// `True`.
    pub status: &'static str,
    /// Why, as one word.
    pub reason: &'static str,
    /// Why, as a sentence.
    pub message: &'static str,
}

/// The cells of one object, one for each column of its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// In the order of the columns.
    pub cells: Vec<Value>,
    /// Usually none.
    pub conditions: Vec<RowCondition>,
}

impl From<Vec<Value>> for Row {
    fn from(cells: Vec<Value>) -> Row {
        Row {
            cells,
            conditions: Vec::new(),
        }
    }
}

/// The columns of a kind without columns of its own.
pub const NAME_AND_CREATION: &[Column] = &[
    Column::NAME,
    Column {
        kind: "date",
        ..Column::text("Created At", "When the server created the object.")
    },
];

/// The row that goes with [`NAME_AND_CREATION`].
pub fn name_and_creation(object: &Value, _now: Timestamp) -> Row {
    let created = object.at("metadata").text("creationTimestamp");
    vec![name(object), created.into()].into()
}

/// The columns of a kind that is nothing but its name.
pub const NAME_AND_AGE: &[Column] = &[Column::NAME, Column::AGE];

/// The row that goes with [`NAME_AND_AGE`].
pub fn name_and_age(object: &Value, now: Timestamp) -> Row {
    vec![name(object), age(object, now)].into()
}

/// The cell of an object's name.
pub fn name(object: &Value) -> Value {
    Value::from(object.at("metadata").text("name"))
}

/// The cell of an object's age.
pub fn age(object: &Value, now: Timestamp) -> Value {
    Value::from(since(object.at("metadata").text("creationTimestamp"), now))
}

/// How long ago a time was, in the short form of tables.
pub fn since(time: &str, now: Timestamp) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => human_duration(now.duration_since(time).as_secs_f64()),
        Err(_) => "<unknown>".to_owned(),
    }
}

/// A length of time in at most two units: `90s`, `4m5s`, `3h`, `2d4h`, `1y30d`.
pub fn human_duration(exact: f64) -> String {
    let seconds = exact as i64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |big: i64, unit: &str, small: i64, of: &str| match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit}{small}{of}"),
    };
    match () {
        () if seconds < -1 => "<invalid>".to_owned(),
        () if exact < 0.0 => "0s".to_owned(),
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if years < 2 => format!("{days}d"),
        () if years < 8 => two(years, "y", days % 365, "d"),
        () => format!("{years}y"),
    }
}

/// A cell's text, or `<none>`.
pub fn or_none(text: &str) -> &str {
    if text.is_empty() { "<none>" } else { text }
}

/// Labels as `a=b,c=d`, or `<none>`.
pub fn labels(labels: &Value) -> String {
    let pairs: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", display(value)))
        .collect();
    or_none(&pairs.join(",")).to_owned()
}

/// A list cut after three entries, with the number of those left out.
pub fn first_three(entries: Vec<String>, empty: &str) -> String {
    let shown = entries
        .iter()
        .take(3)
        .cloned()
        .collect::<Vec<_>>()
        .join(",");
    match entries.len() {
        0 => empty.to_owned(),
        count if count > 3 => format!("{shown} + {} more...", count - 3),
        _ => shown,
    }
}
