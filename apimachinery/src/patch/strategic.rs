//! Strategic merge patch: lists merge by key, and `$`-directives say what merging cannot.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{
    DELETE_FROM_LIST, DIRECTIVE, ELEMENT_ORDER, PatchError, RETAIN_KEYS, go_format, parallel,
};
use crate::schema::{Field, Kind, Schema, TypeId};

/// Applies a strategic merge patch to an object of the type.
pub fn strategic_merge(
    schema: &Schema,
    id: TypeId,
    original: Value,
    patch: &Value,
) -> Result<Value, PatchError> {
    let (Value::Object(original), Value::Object(patch)) = (original, patch) else {
        return Err(PatchError::BadRequest("invalid JSON document".to_owned()));
    };
    let merge = Merge {
        schema,
        into_object: true,
    };
    merge
        .maps(original, patch.clone(), &Kind::Struct(id))
        .map(Value::Object)
}

/// How a field merges; what the schema does not know is replaced as a whole.
#[derive(Clone, Copy, Default)]
pub(super) struct Rule<'s> {
    pub kind: Option<&'s Kind>,
    pub merge: bool,
    pub replace: bool,
    pub retain_keys: bool,
    pub key: &'s str,
}

/// The rule for the value at `key` of a value of this kind.
pub(super) fn rule<'s>(
    schema: &'s Schema,
    kind: &'s Kind,
    key: &str,
) -> Result<Rule<'s>, PatchError> {
    match kind {
        Kind::Struct(id) => match schema.field(*id, key) {
            Some(Field {
                kind,
                patch,
                merge_key,
                ..
            }) => Ok(Rule {
                kind: Some(kind),
                merge: patch.merge,
                replace: patch.replace,
                retain_keys: patch.retain_keys,
                key: merge_key,
            }),
            None => Err(PatchError::Internal(format!(
                "unable to find api field in struct {} for the json field {}",
                schema.get(*id).name,
                crate::field::quote(key)
            ))),
        },
        Kind::Map(element) => Ok(Rule {
            kind: Some(element),
            ..Rule::default()
        }),
        _ => Ok(Rule::default()),
    }
}

pub(super) fn no_merge_key(item: &Value, key: &str) -> PatchError {
    PatchError::Internal(format!(
        "map: {} does not contain declared merge key: {key}",
        go_format(item)
    ))
}

fn bad_element_order() -> PatchError {
    PatchError::BadRequest("invalid patch format of setElementOrder list".to_owned())
}

fn no_list(value: &Value) -> PatchError {
    PatchError::Internal(format!(
        "expected a []interface {{}}, but received a {}",
        super::json_type(value)
    ))
}

/// Merges a patch into an object, or two patches into one.
pub(super) struct Merge<'s> {
    pub schema: &'s Schema,
    /// Whether directives are carried out; they are kept when a patch is merged into a patch.
    pub into_object: bool,
}

type Object = Map<String, Value>;

impl Merge<'_> {
    pub fn maps(
        &self,
        mut original: Object,
        mut patch: Object,
        kind: &Kind,
    ) -> Result<Object, PatchError> {
        if let Some(directive) = patch.get(DIRECTIVE) {
            return match directive.as_str() {
                Some("replace") => {
                    patch.remove(DIRECTIVE);
                    Ok(patch)
                }
                Some("delete") => Ok(Object::new()),
                _ => Err(unknown_directive(directive, &Value::Object(patch.clone()))),
            };
        }
        self.retain_keys(&mut original, &mut patch)?;
        self.ordered_lists(&mut original, &mut patch, kind)?;

        for (key, value) in patch {
            let mut name = key.as_str();
            let mut deletes = false;
            if key.starts_with(DELETE_FROM_LIST) {
                if !self.into_object {
                    original.insert(key, value);
                    continue;
                }
                deletes = true;
                name = parallel(&key, DELETE_FROM_LIST).ok_or_else(|| {
                    PatchError::BadRequest("invalid patch format of primitive list".to_owned())
                })?;
            }
            if value.is_null() {
                original.remove(name);
                if self.into_object {
                    continue;
                }
            }
            let Some(old) = original.remove(name) else {
                if !deletes {
                    original.insert(name.to_owned(), self.fresh(value));
                }
                continue;
            };
            let merged = self.values(old, value, kind, name, deletes)?;
            original.insert(name.to_owned(), merged);
        }
        Ok(original)
    }

    fn values(
        &self,
        old: Value,
        value: Value,
        kind: &Kind,
        name: &str,
        deletes: bool,
    ) -> Result<Value, PatchError> {
        match (old, value) {
            (Value::Object(old), Value::Object(value)) => {
                let rule = rule(self.schema, kind, name)?;
                match rule.kind {
                    Some(kind) if !rule.replace => self.maps(old, value, kind).map(Value::Object),
                    _ => Ok(Value::Object(value)),
                }
            }
            (Value::Array(old), Value::Array(value)) => {
                let rule = rule(self.schema, kind, name)?;
                self.list(old, value, rule, deletes).map(Value::Array)
            }
            (old, _) if deletes => Ok(old),
            (_, value) => Ok(self.fresh(value)),
        }
    }

    /// A value that meets nothing to merge with: directives and nulls mean nothing there.
    fn fresh(&self, mut value: Value) -> Value {
        if self.into_object {
            drop_directives(&mut value);
        }
        value
    }

    fn retain_keys(&self, original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
        let Some(retained) = patch.remove(RETAIN_KEYS) else {
            return Ok(());
        };
        if !self.into_object {
            original.entry(RETAIN_KEYS).or_insert(retained);
            return Ok(());
        }
        let refused = || PatchError::BadRequest("invalid patch format of retainKeys".to_owned());
        let retained: HashSet<&str> = retained
            .as_array()
            .ok_or_else(refused)?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for (key, value) in &*patch {
            let parallel = key.starts_with(DELETE_FROM_LIST) || key.starts_with(ELEMENT_ORDER);
            if !value.is_null() && !parallel && !retained.contains(key.as_str()) {
                return Err(refused());
            }
        }
        original.retain(|key, _| retained.contains(key.as_str()));
        Ok(())
    }

    /// Lists whose order the patch sets: merged here, and taken out of the patch.
    fn ordered_lists(
        &self,
        original: &mut Object,
        patch: &mut Object,
        kind: &Kind,
    ) -> Result<(), PatchError> {
        let keys: Vec<String> = patch
            .keys()
            .filter(|key| key.starts_with(ELEMENT_ORDER))
            .cloned()
            .collect();
        for key in keys {
            let Some(order) = patch.remove(&key) else {
                continue;
            };
            if !self.into_object {
                match original.get(&key) {
                    Some(present) if *present != order => return Err(bad_element_order()),
                    Some(_) => {}
                    None => {
                        original.insert(key.clone(), order.clone());
                    }
                }
            }
            let Value::Array(order) = order else {
                return Err(no_list(&order));
            };
            let name = parallel(&key, ELEMENT_ORDER).ok_or_else(bad_element_order)?;
            let rule = rule(self.schema, kind, name)?;
            let old = take_list(original, name)?;
            let new = take_list(patch, name)?;
            check_order(new.as_deref().unwrap_or_default(), &order, rule.key)?;
            let server_order = old.clone().unwrap_or_default();
            let merged = match (old, new) {
                (Some(old), None) => old,
                (None, Some(new)) => new,
                (Some(old), Some(new)) => self.list(old, new, rule, false)?,
                (None, None) => continue,
            };
            let merged = arrange(merged, &order, &server_order, rule.key)?;
            original.insert(name.to_owned(), Value::Array(merged));
        }
        Ok(())
    }

    fn list(
        &self,
        original: Vec<Value>,
        patch: Vec<Value>,
        rule: Rule<'_>,
        deletes: bool,
    ) -> Result<Vec<Value>, PatchError> {
        let element = rule.kind.and_then(Kind::element);
        let (true, Some(element)) = (rule.merge, element) else {
            return Ok(patch);
        };
        if original.is_empty() && patch.is_empty() {
            return Ok(original);
        }
        if same_type(original.iter().chain(&patch))? != "object" {
            if deletes && self.into_object {
                let deleted = Places::of(&patch, "");
                return Ok(original
                    .into_iter()
                    .filter(|item| deleted.find(item, "").is_none())
                    .collect());
            }
            let mut known = Places::default();
            let all = original.iter().chain(&patch);
            let merged = all.filter(|item| known.add(item, "")).cloned().collect();
            return arrange(merged, &patch, &original, "");
        }
        if rule.key.is_empty() {
            return Err(PatchError::Internal(
                "cannot merge lists without merge key for type struct".to_owned(),
            ));
        }
        let (original, patch) = list_directives(original, patch, rule.key)?;
        let server_order = original.clone();
        let merged = self.items(original, &patch, rule.key, element)?;
        arrange(merged, &patch, &server_order, rule.key)
    }

    fn items(
        &self,
        mut original: Vec<Value>,
        patch: &[Value],
        key: &str,
        element: &Kind,
    ) -> Result<Vec<Value>, PatchError> {
        let mut places = Places::of(&original, key);
        for item in patch {
            if item.get(key).is_none() {
                return Err(no_merge_key(item, key));
            }
            let place = places.find(item, key);
            match (place.and_then(|place| original.get_mut(place)), item) {
                (Some(place), Value::Object(item)) => {
                    let old = match place.take() {
                        Value::Object(old) => old,
                        _ => Object::new(),
                    };
                    *place = Value::Object(self.maps(old, item.clone(), element)?);
                }
                _ => {
                    let fresh = self.fresh(item.clone());
                    places.add(&fresh, key);
                    original.push(fresh);
                }
            }
        }
        Ok(original)
    }
}

fn unknown_directive(directive: &Value, map: &Value) -> PatchError {
    PatchError::Internal(format!(
        "unknown patch type: {} in map: {}",
        go_format(directive),
        go_format(map)
    ))
}

fn take_list(map: &mut Object, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.remove(name) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(no_list(&other)),
    }
}

/// The one type that all items have.
pub(super) fn same_type<'v>(
    items: impl Iterator<Item = &'v Value> + Clone,
) -> Result<&'static str, PatchError> {
    let mut types = items.clone().map(super::json_type);
    let Some(first) = types.next() else {
        return Ok("null");
    };
    if first == "array" {
        return Err(PatchError::Internal(
            "lists of lists are not supported".to_owned(),
        ));
    }
    if types.any(|other| other != first) {
        let all: Vec<Value> = items.cloned().collect();
        return Err(PatchError::Internal(format!(
            "list element types are not identical: {}",
            go_format(&Value::Array(all))
        )));
    }
    Ok(first)
}

/// Carries out `$patch` items of a list; returns both lists without them.
fn list_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut deleted = Places::default();
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                if item.get(key).is_none() {
                    return Err(no_merge_key(&item, key));
                }
                deleted.add(&item, key);
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(PatchError::Internal(
                    "merging lists cannot yet be specified in the patch".to_owned(),
                ));
            }
            _ => return Err(unknown_directive(directive, &item)),
        }
    }
    original.retain(|old| old.get(key).is_none() || deleted.find(old, key).is_none());
    Ok(if replace {
        (plain, Vec::new())
    } else {
        (original, plain)
    })
}

fn is_deletion(item: &Value) -> bool {
    item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete")
}

/// What tells items apart: the value of the merge key, or the scalar itself.
fn identity<'v>(item: &'v Value, key: &str) -> Option<&'v Value> {
    match item {
        Value::Object(map) if !key.is_empty() => map.get(key),
        scalar => Some(scalar),
    }
}

/// Where the items of a list stand, by what tells them apart; of equals the first.
#[derive(Default)]
struct Places {
    /// Identities as JSON; empty for items without one.
    by_identity: HashMap<String, usize>,
    length: usize,
}

impl Places {
    fn of(list: &[Value], key: &str) -> Places {
        let mut places = Places::default();
        for item in list {
            places.add(item, key);
        }
        places
    }

    /// Adds the next item of the list; false when an equal one is there.
    fn add(&mut self, item: &Value, key: &str) -> bool {
        let place = self.length;
        self.length += 1;
        let found = self.by_identity.entry(text_of(item, key));
        *found.or_insert(place) == place
    }

    fn find(&self, item: &Value, key: &str) -> Option<usize> {
        self.by_identity.get(&text_of(item, key)).copied()
    }
}

fn text_of(item: &Value, key: &str) -> String {
    identity(item, key)
        .map(Value::to_string)
        .unwrap_or_default()
}

/// Sorts by `order`, keeping the place of equals; deletions go last.
pub(super) fn sort_by_order(
    items: Vec<Value>,
    order: &[Value],
    key: &str,
) -> Result<Vec<Value>, PatchError> {
    if !key.is_empty() {
        for item in items.iter().chain(order) {
            if item.is_object() && item.get(key).is_none() {
                return Err(no_merge_key(item, key));
            }
        }
    }
    let (deletions, mut kept): (Vec<Value>, Vec<Value>) = items.into_iter().partition(is_deletion);
    let places = Places::of(order, key);
    kept.sort_by_cached_key(|item| places.find(item, key).unwrap_or(usize::MAX));
    kept.extend(deletions);
    Ok(kept)
}

/// Puts items that `order` names into its order, and threads the others, which only the server
/// has, between them where the server's order allows.
fn arrange(
    merged: Vec<Value>,
    order: &[Value],
    server_order: &[Value],
    key: &str,
) -> Result<Vec<Value>, PatchError> {
    let places = Places::of(order, key);
    let server_places = Places::of(server_order, key);
    let (named, others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| places.find(item, key).is_some());
    let mut named = sort_by_order(named, order, key)?.into_iter().peekable();
    let mut others = sort_by_order(others, server_order, key)?
        .into_iter()
        .peekable();
    let mut out = Vec::new();
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (Some(other), Some(named)) => {
                let other = server_places.find(other, key);
                let named = server_places.find(named, key);
                matches!((other, named), (Some(o), Some(n)) if o < n)
            }
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return Ok(out),
        };
        out.extend(if other_first {
            others.next()
        } else {
            named.next()
        });
    }
}

/// The items of the patch must stand in the order that it sets, and be named by it.
fn check_order(patch: &[Value], order: &[Value], key: &str) -> Result<(), PatchError> {
    if order.is_empty() || patch.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if item.is_object() && !key.is_empty() && item.get(key).is_none() {
            return Err(no_merge_key(item, key));
        }
        if !rest.any(|other| identity(other, key) == identity(item, key)) {
            return Err(PatchError::Internal(format!(
                "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER} list:\n{}\n",
                go_format(&Value::Array(patch.to_vec())),
                go_format(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}

/// Removes nulls and directives from a value that is taken over as it is.
fn drop_directives(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| {
                let directive = key == DIRECTIVE
                    || key == RETAIN_KEYS
                    || key.starts_with(DELETE_FROM_LIST)
                    || key.starts_with(ELEMENT_ORDER);
                !directive && !value.is_null()
            });
            map.values_mut().for_each(drop_directives);
        }
        Value::Array(items) => {
            items.retain(|item| !is_deletion(item));
            items.iter_mut().for_each(drop_directives);
        }
        _ => {}
    }
}
