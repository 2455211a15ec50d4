//! A kubeconfig file as a tree: what this program does not know stays in it.

use std::path::{Path, PathBuf};

use ferrule_apimachinery::yaml;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::output::go;

/// The largest file that is read.
const LIMIT: u64 = 16 << 20;

/// Lists of a kubeconfig, each with the key of what its entries hold.
pub const LISTS: [(&str, &str); 3] = [
    ("clusters", "cluster"),
    ("contexts", "context"),
    ("users", "user"),
];

/// A kubeconfig.
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub tree: Value,
}

impl File {
    /// Reads a file; one that is not there is empty.
    pub fn read(path: &Path) -> Result<File> {
        use std::io::Read;
        let mut text = String::new();
        let opened = std::fs::File::open(path);
        let read = opened.and_then(|file| file.take(LIMIT).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = path.display();
                return Err(Error::local(format!("open {path}: {}", go(&error))));
            }
        }
        let path = path.to_owned();
        let refuse = |why: &dyn std::fmt::Display| {
            Error::local(format!(
                "error loading config file {:?}: {why}",
                path.display().to_string()
            ))
        };
        let documents = yaml::read(&text).map_err(|error| refuse(&error))?;
        let tree = documents.into_iter().find(|tree| !tree.is_null());
        let mut file = File {
            path: path.clone(),
            tree: tree.unwrap_or_else(|| json!({})),
        };
        if !file.tree.is_object() {
            return Err(refuse(&"it holds no Config"));
        }
        file.complete();
        Ok(file)
    }

    /// Every field that is always there, and the lists in the order of their names.
    fn complete(&mut self) {
        self.tree["apiVersion"] = json!("v1");
        self.tree["kind"] = json!("Config");
        for field in ["current-context", "preferences"] {
            if self.tree[field].is_null() {
                self.tree[field] = if field == "preferences" {
                    json!({})
                } else {
                    json!("")
                };
            }
        }
        for (list, key) in LISTS {
            let Value::Array(entries) = &mut self.tree[list] else {
                self.tree[list] = Value::Null;
                continue;
            };
            entries.retain(Value::is_object);
            for entry in entries.iter_mut() {
                if !entry[key].is_object() {
                    entry[key] = json!({});
                }
            }
            entries.sort_by(|one, other| one["name"].as_str().cmp(&other["name"].as_str()));
            if entries.is_empty() {
                self.tree[list] = Value::Null;
            }
        }
    }

    /// Writes the file, so that only its owner can read it.
    pub fn save(&mut self) -> Result<()> {
        self.complete();
        let refuse = |error: std::io::Error| {
            Error::local(format!("open {}: {}", self.path.display(), go(&error)))
        };
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        // A file in the same folder takes its place, so that nobody sees half of it.
        let temporary = self
            .path
            .with_extension(format!("new{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(refuse)?;
        std::io::Write::write_all(&mut file, yaml::write(&self.tree).as_bytes()).map_err(refuse)?;
        std::fs::rename(&temporary, &self.path).map_err(refuse)
    }

    /// The name of the context in use, or `""`.
    pub fn current(&self) -> &str {
        self.tree["current-context"].as_str().unwrap_or_default()
    }

    /// The names in a list.
    pub fn names(&self, list: &str) -> Vec<&str> {
        let entries = self.tree[list].as_array().into_iter().flatten();
        entries.filter_map(|entry| entry["name"].as_str()).collect()
    }

    /// What an entry of a list holds.
    pub fn get(&self, list: &str, name: &str) -> Option<&Value> {
        let entries = self.tree[list].as_array().into_iter().flatten();
        let entry = entries.into_iter().find(|entry| entry["name"] == name)?;
        entry.get(key(list))
    }

    /// The same, to change it; made when it is not there. And whether it was.
    pub fn entry(&mut self, list: &str, name: &str) -> (&mut Map<String, Value>, bool) {
        if !self.tree[list].is_array() {
            self.tree[list] = json!([]);
        }
        let key = key(list);
        let known = self.get(list, name).is_some();
        let entries = &mut self.tree[list];
        if !known && let Some(entries) = entries.as_array_mut() {
            entries.push(json!({"name": name, key: {}}));
        }
        let place = entries
            .as_array()
            .and_then(|entries| entries.iter().position(|own| own["name"] == name));
        let held = &mut entries[place.unwrap_or(0)][key];
        if !held.is_object() {
            *held = json!({});
        }
        match held {
            Value::Object(map) => (map, known),
            _ => unreachable!("it was made an object"),
        }
    }

    /// Removes an entry; whether it was there.
    pub fn remove(&mut self, list: &str, name: &str) -> bool {
        let Some(entries) = self.tree[list].as_array_mut() else {
            return false;
        };
        let count = entries.len();
        entries.retain(|entry| entry["name"] != name);
        entries.len() < count
    }

    /// Keeps the entries that a test passes.
    pub fn retain(&mut self, list: &str, keep: impl Fn(&str) -> bool) {
        if let Some(entries) = self.tree[list].as_array_mut() {
            entries.retain(|entry| keep(entry["name"].as_str().unwrap_or_default()));
        }
    }
}

fn key(list: &str) -> &'static str {
    let known = LISTS.iter().find(|(own, _)| *own == list);
    known.map_or("value", |(_, key)| key)
}
