//! Reads the tables of facts.

use std::collections::HashMap;

use super::{Enum, Field, Kind, ListType, PatchStrategy, Schema, Type, TypeId};

const COLUMNS: usize = 13;

/// Types whose values are one value for apply.
const ATOMIC_TYPES: [(&str, &[&str]); 7] = [
    (
        "core/v1",
        &[
            "ConfigMapKeySelector",
            "EndpointAddress",
            "EndpointPort",
            "FileKeySelector",
            "LocalObjectReference",
            "NodeSelector",
            "NodeSelectorTerm",
            "ObjectFieldSelector",
            "ObjectReference",
            "ResourceFieldSelector",
            "ScopeSelector",
            "SecretKeySelector",
            "SecretReference",
            "TopologySelectorTerm",
            "TypedLocalObjectReference",
        ],
    ),
    ("meta/v1", &["LabelSelector", "OwnerReference"]),
    (
        "admissionregistration.k8s.io/v1",
        &[
            "MatchResources",
            "NamedRuleWithOperations",
            "ParamKind",
            "ParamRef",
            "Variable",
        ],
    ),
    ("autoscaling/v1", &["CrossVersionObjectReference"]),
    ("discovery.k8s.io/v1", &["EndpointPort"]),
    ("networking.k8s.io/v1", &["ServiceBackendPort"]),
    ("rbac.authorization.k8s.io/v1", &["RoleRef", "Subject"]),
];

fn is_atomic((api_version, name): (&str, &str)) -> bool {
    ATOMIC_TYPES
        .iter()
        .any(|(version, names)| *version == api_version && names.contains(&name))
}

/// A line of `fields.tsv`.
struct Row {
    cells: [&'static str; COLUMNS],
}

impl Row {
    fn type_key(&self) -> (&'static str, &'static str) {
        (self.cells[0], self.cells[1])
    }

    fn flag(&self, flag: &str) -> bool {
        self.cells[4].split(',').any(|f| f == flag)
    }
}

fn cells<const N: usize>(line: &'static str) -> [&'static str; N] {
    let mut out = [""; N];
    for (place, cell) in out.iter_mut().zip(line.split('\t')) {
        *place = cell;
    }
    out
}

/// What is known while types refer to each other.
struct Names {
    types: HashMap<(&'static str, &'static str), TypeId>,
    aliases: HashMap<(&'static str, &'static str), &'static str>,
}

pub(super) fn read(fields: &'static str, enums: &'static str) -> Schema {
    let rows: Vec<Row> = fields
        .lines()
        .skip(1)
        .map(|line| Row { cells: cells(line) })
        .collect();

    let mut order: Vec<(&'static str, &'static str)> = Vec::new();
    let mut names = Names {
        types: HashMap::new(),
        aliases: HashMap::new(),
    };
    let mut rows_of: HashMap<(&'static str, &'static str), Vec<&Row>> = HashMap::new();
    for row in &rows {
        let key = row.type_key();
        names.types.entry(key).or_insert_with(|| {
            order.push(key);
            TypeId(u16::try_from(order.len() - 1).unwrap_or(u16::MAX))
        });
        rows_of.entry(key).or_default().push(row);
    }
    let mut declared = HashMap::new();
    for line in enums.lines().skip(1) {
        let [api_version, name, base, values] = cells::<4>(line);
        names.aliases.insert((api_version, name), base);
        let values = match values {
            "" => Vec::new(),
            values => values.split('|').collect(),
        };
        declared.insert(format!("{api_version}.{name}"), Enum { name, values });
    }

    let types = order
        .iter()
        .map(|key| {
            let mut fields = Vec::new();
            collect(*key, &rows_of, &names, &mut fields);
            let inlined = inlined(*key, &rows_of, &names);
            let by_name = fields
                .iter()
                .enumerate()
                .map(|(i, field)| (field.name, u16::try_from(i).unwrap_or(u16::MAX)))
                .collect();
            Type {
                api_version: key.0,
                name: key.1,
                fields,
                atomic: is_atomic(*key),
                inlined,
                empties: Vec::new(),
                by_name,
            }
        })
        .collect();
    let by_name = names
        .types
        .iter()
        .map(|((api_version, name), id)| (format!("{api_version}.{name}"), *id))
        .collect();
    let mut schema = Schema {
        types,
        by_name,
        enums: declared,
    };
    schema.find_empties();
    schema
}

/// Fields of a type, those of inlined types among them.
fn collect(
    key: (&'static str, &'static str),
    rows_of: &HashMap<(&'static str, &'static str), Vec<&Row>>,
    names: &Names,
    out: &mut Vec<Field>,
) {
    for row in rows_of.get(&key).into_iter().flatten() {
        let [api_version, _, name, go_type, ..] = row.cells;
        if !name.is_empty() {
            out.push(field(row, names));
        } else if row.flag("inline") {
            let own = out.len();
            collect(qualify(api_version, go_type), rows_of, names, out);
            // Their numbers count within the inlined type's own message.
            out[own..].iter_mut().for_each(|field| field.proto_tag = 0);
        }
    }
}

/// Inlined types that are messages of their own in protobuf.
fn inlined(
    key: (&'static str, &'static str),
    rows_of: &HashMap<(&'static str, &'static str), Vec<&Row>>,
    names: &Names,
) -> Vec<(u16, TypeId)> {
    let rows = rows_of.get(&key).into_iter().flatten();
    rows.filter(|row| row.cells[2].is_empty() && row.flag("inline"))
        .filter_map(|row| {
            let tag = row.cells[5].parse().ok().filter(|tag| *tag != 0)?;
            Some((tag, *names.types.get(&qualify(row.cells[0], row.cells[3]))?))
        })
        .collect()
}

/// Where a type named in Go's way is declared: `metav1.Time` is `Time` of meta/v1.
fn qualify(api_version: &'static str, go_type: &'static str) -> (&'static str, &'static str) {
    match go_type.split_once('.') {
        Some(("metav1", name)) => ("meta/v1", name),
        Some(("v1" | "corev1" | "apiv1", name)) => ("core/v1", name),
        Some((package, _)) => (package, go_type),
        None => (api_version, go_type),
    }
}

fn kind(api_version: &'static str, go_type: &'static str, names: &Names) -> Kind {
    match go_type {
        "[]byte" => return Kind::Bytes,
        "bool" => return Kind::Bool,
        "int32" => return Kind::Int32,
        "int64" => return Kind::Int64,
        "float64" => return Kind::Float64,
        "string" | "types.UID" => return Kind::Text,
        "resource.Quantity" => return Kind::Quantity,
        "intstr.IntOrString" => return Kind::IntOrString,
        "runtime.RawExtension" | "interface{}" => return Kind::Any,
        _ => {}
    }
    if let Some(element) = go_type.strip_prefix("[]") {
        return Kind::List(Box::new(kind(api_version, element, names)));
    }
    if let Some((_, element)) = go_type
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        return Kind::Map(Box::new(kind(api_version, element, names)));
    }
    let key = qualify(api_version, go_type);
    match key {
        ("meta/v1", "Time") => return Kind::Time,
        ("meta/v1", "MicroTime") => return Kind::MicroTime,
        ("meta/v1", "Duration") => return Kind::Text,
        ("meta/v1", "FieldsV1") => return Kind::Any,
        // Types with a JSON form of their own, or without fields.
        (_, name) if name.starts_with("JSONSchemaPropsOr") || name == "JSON" => return Kind::Any,
        _ => {}
    }
    if let Some(id) = names.types.get(&key) {
        return Kind::Struct(*id);
    }
    match names.aliases.get(&key) {
        Some(base) => kind(key.0, base, names),
        None => Kind::Any,
    }
}

/// A type as Go's errors print it.
fn go_name(api_version: &str, go_type: &str) -> String {
    if go_type == "[]byte" {
        return "[]uint8".to_owned();
    }
    if let Some(element) = go_type.strip_prefix("[]") {
        return format!("[]{}", go_name(api_version, element));
    }
    if let Some((key, element)) = go_type
        .strip_prefix("map[")
        .and_then(|rest| rest.split_once(']'))
    {
        let key = go_name(api_version, key);
        return format!("map[{key}]{}", go_name(api_version, element));
    }
    match go_type.split_once('.') {
        Some(("metav1" | "corev1" | "apiv1", name)) => format!("v1.{name}"),
        Some(_) => go_type.to_owned(),
        // A named type of this very package.
        None if go_type.starts_with(|c: char| c.is_ascii_uppercase()) => {
            let package = api_version.rsplit('/').next().unwrap_or(api_version);
            format!("{package}.{go_type}")
        }
        None => go_type.to_owned(),
    }
}

fn field(row: &Row, names: &Names) -> Field {
    let [
        api_version,
        _,
        name,
        go_type,
        _,
        tag,
        wire,
        list_type,
        list_map_keys,
        struct_type,
        strategy,
        merge_key,
        default,
    ] = row.cells;
    let has = |word: &str| strategy.split(',').any(|s| s == word);
    Field {
        name,
        kind: kind(api_version, go_type, names),
        go_type: go_name(api_version, go_type).into(),
        omit_empty: row.flag("omitempty"),
        omit_zero: row.flag("omitzero"),
        pointer: row.flag("pointer"),
        required: row.flag("required")
            || !["optional", "omitempty", "omitzero"]
                .iter()
                .any(|flag| row.flag(flag)),
        proto_tag: tag.parse().unwrap_or(0),
        proto_bytes: wire == "bytes",
        list_type: match list_type {
            "atomic" => Some(ListType::Atomic),
            "set" => Some(ListType::Set),
            "map" => Some(ListType::Map),
            _ => None,
        },
        list_map_keys: match list_map_keys {
            "" => Box::default(),
            keys => keys.split('+').collect(),
        },
        atomic: struct_type == "atomic",
        granular: struct_type == "granular",
        patch: PatchStrategy {
            merge: has("merge"),
            replace: has("replace"),
            retain_keys: has("retainKeys"),
        },
        merge_key,
        default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_atomic_type_is_in_the_table() {
        for (api_version, names) in ATOMIC_TYPES {
            for name in names {
                let id = Schema::builtin().type_id(&format!("{api_version}.{name}"));
                assert!(
                    id.is_some_and(|id| Schema::builtin().get(id).atomic),
                    "{name}"
                );
            }
        }
    }
}
