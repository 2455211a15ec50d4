//! Properties: sets round-trip and obey set algebra, apply is idempotent, ownership loses nothing.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Object, config_map};
use crate::apply::{Element, Managers, Node, Scalar, Set};

fn element() -> impl Strategy<Value = Element<'static>> {
    let text = "[a-c\"\\\\ü]{0,3}";
    let scalar = prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        (-3i64..3).prop_map(Scalar::Int),
        text.prop_map(|text| Scalar::Text(text.into())),
    ];
    prop_oneof![
        4 => text.prop_map(|name| Element::Field(name.into())),
        1 => scalar.clone().prop_map(Element::Value),
        1 => (0i64..12).prop_map(Element::Index),
        1 => prop::collection::btree_map("[a-b]", scalar, 1..3).prop_map(|keys| {
            Element::Key(keys.into_iter().map(|(name, value)| (name.into(), value)).collect())
        }),
    ]
}

fn sets() -> impl Strategy<Value = Set<'static>> {
    let leaf = Just(Set::new());
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec((element(), any::<bool>(), inner), 0..4).prop_map(|nodes| {
            let nodes = nodes.into_iter().map(|(element, member, children)| Node {
                element,
                member,
                children,
            });
            Set::from_nodes(nodes.collect())
        })
    })
}

fn maps() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-d]", "[12]", 0..4).prop_map(|map| {
        map.into_iter()
            .map(|(key, value)| (key, json!(value)))
            .collect()
    })
}

/// A write to a ConfigMap's data.
#[derive(Clone, Debug)]
enum Write {
    Apply(String, Map<String, Value>),
    Update(String, Map<String, Value>),
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let one = ("[mn]", maps(), any::<bool>()).prop_map(|(manager, data, apply)| {
        if apply {
            Write::Apply(manager, data)
        } else {
            Write::Update(manager, data)
        }
    });
    prop::collection::vec(one, 1..8)
}

fn data(object: &Object) -> Map<String, Value> {
    let value = object.value.as_ref().map(|value| value["data"].clone());
    match value {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn union_of_owners(object: &Object) -> Set<'_> {
    let managers = Managers::parse(&object.managed).expect("managed fields");
    managers.iter().fold(Set::new(), |all, (_, owned)| {
        all.union(owned.fields.clone())
    })
}

proptest! {
    #[test]
    fn fields_v1_round_trips(set in sets()) {
        let json = set.to_json();
        prop_assert_eq!(&Set::parse(&json).unwrap(), &set);
        // And is JSON like any other.
        serde_json::from_str::<Value>(&json).unwrap();
    }

    #[test]
    fn sets_obey_their_algebra(a in sets(), b in sets()) {
        let both = a.intersection(&b);
        let left = a.clone().difference(&b);
        prop_assert_eq!(left.clone().union(both.clone()), a.clone());
        prop_assert!(left.intersection(&b).is_empty());
        prop_assert_eq!(a.clone().union(b.clone()), b.clone().union(a.clone()));
        prop_assert_eq!(both, b.intersection(&a));
        prop_assert_eq!(a.clone().union(a.clone()), a.clone());
        prop_assert!(a.clone().recursive_difference(&a).is_empty());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[{}\\[\\]\":,.fkvi\\\\a1]{0,24}") {
        if let Ok(set) = Set::parse(&text) {
            let json = set.to_json();
            prop_assert_eq!(Set::parse(&json).unwrap(), set);
        }
        let _ = Managers::parse(text.as_bytes());
    }

    #[test]
    fn writes_keep_every_value_owned_and_apply_is_idempotent(writes in writes()) {
        let mut object = Object::absent("ConfigMap").updated("creator", config_map(json!({"z": "0"})));
        for write in writes {
            let before = data(&object);
            match write {
                Write::Apply(manager, wanted) => {
                    let mut config = config_map(Value::Object(wanted.clone()));
                    if let (true, Some(config)) = (wanted.is_empty(), config.as_object_mut()) {
                        // An empty map is a field as well, but one that is not stored.
                        config.remove("data");
                    }
                    object = object.applied(&manager, config.clone(), true).unwrap();
                    let after = data(&object);
                    for (key, value) in &wanted {
                        prop_assert_eq!(after.get(key), Some(value));
                    }
                    // Nothing appears that was neither there nor applied.
                    prop_assert!(after.keys().all(|key| before.contains_key(key) || wanted.contains_key(key)));
                    let again = object.applied(&manager, config, false).unwrap();
                    prop_assert_eq!(&again.value, &object.value);
                    prop_assert_eq!(&again.managed, &object.managed);
                }
                Write::Update(manager, data) => {
                    object = object.updated(&manager, config_map(Value::Object(data)));
                }
            }
            // While anybody's fields are kept, each value that is there has an owner.
            let owned = union_of_owners(&object);
            if !owned.is_empty() {
                for key in data(&object).keys() {
                    prop_assert!(owned.has_path(&["data", key]), "{} in {}", key, owned.to_json());
                }
            }
            // And nobody owns what is not there.
            let present = data(&object);
            if let Some(node) = owned.get(&Element::field("data")) {
                for below in node.children.nodes() {
                    let name = below.element.to_string();
                    prop_assert!(present.contains_key(&name[1..]));
                }
            }
        }
    }
}
