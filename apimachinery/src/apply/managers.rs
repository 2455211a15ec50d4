//! `metadata.managedFields`: who owns which fields, read from and written as JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::set::Set;

/// How a manager came to own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Operation {
    /// By applying a configuration.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// What tells managers apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity<'a> {
    /// Name of the manager.
    pub manager: Cow<'a, str>,
    /// How it wrote.
    pub operation: Operation,
    /// Version of the object that it updated; who applies is the same in every version, and has `""` here.
    pub api_version: Cow<'a, str>,
    /// The subresource that it wrote; `""` for the object itself.
    pub subresource: Cow<'a, str>,
}

impl Identity<'_> {
    /// The identity as upstream writes it down, which is also what it sorts by.
    pub fn identifier(&self) -> String {
        let mut parts = Vec::with_capacity(4);
        let mut part = |name: &str, text: &str| {
            if !text.is_empty() {
                parts.push(format!("\"{name}\":{}", serde_json::Value::from(text)));
            }
        };
        part("manager", &self.manager);
        part("operation", self.operation.as_str());
        part("apiVersion", &self.api_version);
        part("subresource", &self.subresource);
        format!("{{{}}}", parts.join(","))
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned<'a> {
    /// The version of the schema that the fields are of.
    pub api_version: Cow<'a, str>,
    /// The fields.
    pub fields: Set<'a>,
    /// When the manager last changed something, in RFC 3339.
    pub time: Option<Cow<'a, str>>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Managers<'a>(BTreeMap<Identity<'a>, Owned<'a>>);

/// Most entries that are read; upstream's own clients make a dozen or two.
const MAX_ENTRIES: usize = 10_000;

/// An entry as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    #[serde(borrow, default)]
    manager: Cow<'a, str>,
    #[serde(borrow, default)]
    operation: Cow<'a, str>,
    #[serde(borrow, default)]
    api_version: Cow<'a, str>,
    #[serde(borrow, default)]
    fields_type: Cow<'a, str>,
    #[serde(borrow, default)]
    fields_v1: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subresource: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
}

impl<'a> Managers<'a> {
    /// Reads `metadata.managedFields`; the messages are upstream's.
    pub fn parse(json: &'a [u8]) -> Result<Managers<'a>, String> {
        let entries: Vec<Entry<'a>> =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if entries.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} entries"));
        }
        let mut managers = BTreeMap::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let (identity, owned) = read_entry(i, entry)?;
            managers.insert(identity, owned);
        }
        Ok(Managers(managers))
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All managers.
    pub fn iter(&self) -> impl Iterator<Item = (&Identity<'a>, &Owned<'a>)> {
        self.0.iter()
    }

    /// What a manager owns.
    pub fn get(&self, identity: &Identity<'a>) -> Option<&Owned<'a>> {
        self.0.get(identity)
    }

    /// Sets what a manager owns; who owns nothing is no manager.
    pub fn insert(&mut self, identity: Identity<'a>, owned: Owned<'a>) {
        if owned.fields.is_empty() {
            self.0.remove(&identity);
        } else {
            self.0.insert(identity, owned);
        }
    }

    /// Takes a manager out.
    pub fn remove(&mut self, identity: &Identity<'a>) -> Option<Owned<'a>> {
        self.0.remove(identity)
    }

    /// Changes every manager's fields; who is left with none goes. `None` drops the manager.
    pub(super) fn map_fields(
        self,
        mut change: impl FnMut(&Identity<'a>, Owned<'a>) -> Option<Owned<'a>>,
    ) -> Managers<'a> {
        let kept = self.0.into_iter().filter_map(|(identity, owned)| {
            let owned = change(&identity, owned)?;
            (!owned.fields.is_empty()).then_some((identity, owned))
        });
        Managers(kept.collect())
    }

    /// Merges the oldest updates of more than `most` into one for each version.
    #[must_use]
    pub fn capped(mut self, most: usize) -> Managers<'a> {
        let mut updaters: Vec<Identity<'a>> = self
            .0
            .keys()
            .filter(|identity| identity.operation == Operation::Update)
            .cloned()
            .collect();
        let mut count = updaters.len();
        if count <= most {
            return self;
        }
        updaters.sort_by_cached_key(|identity| {
            let time = self.0.get(identity).and_then(|owned| owned.time.clone());
            (time.unwrap_or_default(), identity.identifier())
        });
        let mut firsts: BTreeMap<Cow<'a, str>, Identity<'a>> = BTreeMap::new();
        for identity in updaters {
            if count <= most {
                break;
            }
            let Some(owned) = self.0.get(&identity) else {
                continue;
            };
            let version = owned.api_version.clone();
            let Some(first) = firsts.get(&version) else {
                firsts.insert(version, identity);
                continue;
            };
            let bucket = Identity {
                manager: Cow::Borrowed(OLD_UPDATES),
                operation: Operation::Update,
                api_version: version.clone(),
                subresource: Cow::Borrowed(""),
            };
            if !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(first)
            {
                self.0.insert(bucket.clone(), owned);
            }
            if identity == bucket {
                continue;
            }
            let (Some(owned), Some(mut merged)) =
                (self.0.remove(&identity), self.0.remove(&bucket))
            else {
                continue;
            };
            merged.fields = merged.fields.union(owned.fields);
            // The later of the two, by their order.
            merged.time = owned.time;
            self.0.insert(bucket, merged);
            count -= 1;
        }
        self
    }

    /// `metadata.managedFields` as JSON, in upstream's order; `None` when nobody owns anything.
    pub fn to_json(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let mut entries: Vec<(&Identity<'a>, &Owned<'a>)> = self.0.iter().collect();
        entries.sort_by(|a, b| {
            let key = |(identity, owned): &(&Identity<'a>, &Owned<'a>)| {
                (
                    identity.operation,
                    owned.time.clone().unwrap_or_default(),
                    identity.manager.clone(),
                    owned.api_version.clone(),
                    identity.subresource.clone(),
                )
            };
            key(a).cmp(&key(b))
        });
        let mut out = Vec::with_capacity(256 * entries.len());
        out.push(b'[');
        for (i, (identity, owned)) in entries.into_iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            write_entry(&mut out, identity, owned);
        }
        out.push(b']');
        Some(out)
    }

    /// Whether the two differ in nothing but times.
    pub fn same_fields(&self, other: &Managers<'_>) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|((own, mine), (its, theirs))| {
                    own == its
                        && mine.api_version == theirs.api_version
                        && mine.fields == theirs.fields
                })
    }
}

/// The manager of updates that were too many.
const OLD_UPDATES: &str = "ancient-changes";

fn read_entry(i: usize, entry: Entry<'_>) -> Result<(Identity<'_>, Owned<'_>), String> {
    let operation = match &*entry.operation {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    if entry.api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match &*entry.fields_type {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {i}")),
        other => {
            return Err(format!(
                "invalid fieldsType {} in managed fields entry {i}",
                crate::field::quote(other)
            ));
        }
    }
    let fields = match entry.fields_v1 {
        None => Set::new(),
        Some(raw) => {
            Set::parse(raw.get()).map_err(|error| format!("error decoding set: {error}"))?
        }
    };
    let identity = Identity {
        manager: entry.manager,
        operation,
        api_version: match operation {
            Operation::Apply => Cow::Borrowed(""),
            Operation::Update => entry.api_version.clone(),
        },
        subresource: entry.subresource,
    };
    let owned = Owned {
        api_version: entry.api_version,
        fields,
        time: entry.time,
    };
    Ok((identity, owned))
}

fn write_entry(out: &mut Vec<u8>, identity: &Identity<'_>, owned: &Owned<'_>) {
    let text = |out: &mut Vec<u8>, before: &[u8], text: &str| {
        out.extend_from_slice(before);
        // Writing to a Vec cannot fail.
        let _ = serde_json::to_writer(out, text);
    };
    text(out, b"{\"apiVersion\":", &owned.api_version);
    out.extend_from_slice(b",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":");
    owned.fields.write_json(out);
    if !identity.manager.is_empty() {
        text(out, b",\"manager\":", &identity.manager);
    }
    text(out, b",\"operation\":", identity.operation.as_str());
    if !identity.subresource.is_empty() {
        text(out, b",\"subresource\":", &identity.subresource);
    }
    if let Some(time) = &owned.time {
        text(out, b",\"time\":", time);
    }
    out.push(b'}');
}
