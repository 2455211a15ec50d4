//! Tables that the server made, and the columns that kubectl adds to them.

use serde::Deserialize;
use serde_json::Value;

use super::columns::Columns;

/// A meta.k8s.io/v1 Table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Table {
    /// What the cells mean.
    pub column_definitions: Vec<Definition>,
    /// A row an object.
    pub rows: Vec<Row>,
}

/// What a cell means.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// The heading.
    pub name: String,
    /// 0 is always shown, anything else only when wide.
    pub priority: i64,
}

/// A row.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Row {
    /// In the order of the definitions.
    pub cells: Vec<Value>,
    /// The object's metadata.
    pub object: Value,
    /// What happened to the object, in a watch.
    #[serde(skip)]
    pub event: &'static str,
}

/// What is shown of tables.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// A first column with what happened.
    pub events: bool,
    /// Columns of lower priority too.
    pub wide: bool,
    /// A first column with the namespace.
    pub namespace: bool,
    /// No headings.
    pub no_headers: bool,
    /// Names with this in front: `deployment.apps/`.
    pub prefix: String,
    /// A last column with all labels.
    pub labels: bool,
    /// Columns with these labels.
    pub label_columns: Vec<String>,
}

/// Prints tables of one resource; rows that come later fit below.
#[derive(Default)]
pub struct Printer {
    look: Look,
    columns: Columns,
    definitions: Vec<Definition>,
    headed: bool,
}

impl Printer {
    /// A printer with this look.
    pub fn new(look: Look) -> Printer {
        Printer {
            look,
            ..Printer::default()
        }
    }

    /// The text of a table.
    pub fn format(&mut self, table: &Table) -> String {
        // In a watch only the first table has definitions.
        if !table.column_definitions.is_empty() {
            self.definitions.clone_from(&table.column_definitions);
        }
        let mut rows = Vec::new();
        if !self.headed && !self.look.no_headers {
            rows.push(self.heading());
        }
        self.headed = true;
        rows.extend(table.rows.iter().map(|row| self.row(row)));
        self.columns.format(&rows)
    }

    fn shown(&self, index: usize) -> bool {
        self.look.wide
            || self
                .definitions
                .get(index)
                .is_none_or(|definition| definition.priority == 0)
    }

    fn heading(&self) -> Vec<String> {
        let mut cells = Vec::new();
        if self.look.events {
            cells.push("EVENT".to_owned());
        }
        if self.look.namespace {
            cells.push("NAMESPACE".to_owned());
        }
        for (index, definition) in self.definitions.iter().enumerate() {
            if self.shown(index) {
                cells.push(definition.name.to_uppercase());
            }
        }
        for label in &self.look.label_columns {
            cells.push(label.rsplit('/').next().unwrap_or(label).to_uppercase());
        }
        if self.look.labels {
            cells.push("LABELS".to_owned());
        }
        cells
    }

    fn row(&self, row: &Row) -> Vec<String> {
        let metadata = &row.object["metadata"];
        let mut cells = Vec::new();
        if self.look.events {
            cells.push(row.event.to_owned());
        }
        if self.look.namespace {
            cells.push(
                metadata["namespace"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        for (index, cell) in row.cells.iter().enumerate() {
            if !self.shown(index) {
                continue;
            }
            let is_name = self
                .definitions
                .get(index)
                .is_some_and(|definition| definition.name == "Name");
            let prefix = if is_name {
                self.look.prefix.as_str()
            } else {
                ""
            };
            cells.push(format!("{prefix}{}", text(cell)));
        }
        // An absent label is an empty cell upstream, too.
        let label = |key: &String| {
            metadata["labels"][key]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        cells.extend(self.look.label_columns.iter().map(label));
        if self.look.labels {
            cells.push(labels(&metadata["labels"]));
        }
        cells
    }
}

/// A cell's text: the first line, cut where upstream cuts.
fn text(cell: &Value) -> String {
    let text = match cell {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.split_once(['\n', '\r', '\u{c}']) {
        Some((first, _)) => format!("{first}..."),
        None => text,
    }
}

/// `a=b,c=d`, or `<none>`.
pub fn labels(labels: &Value) -> String {
    match labels.as_object().filter(|map| !map.is_empty()) {
        None => "<none>".to_owned(),
        Some(map) => {
            let mut pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
                .collect();
            pairs.sort();
            pairs.join(",")
        }
    }
}
