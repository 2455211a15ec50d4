//! The parts of the store that need no etcd.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ferrule_apimachinery::object::Stored;
use ferrule_apimachinery::scheme::{Scheme, gvr};
use ferrule_apimachinery::selector::FieldSelector;
use proptest::prelude::*;

use super::dispatch::WatchFilter;
use super::history::{Change, Ledger, Past};
use super::snapshot::{Objects, Snapshot};
use super::table::Table;

fn object(namespace: &str, name: &str, revision: i64) -> Arc<Stored> {
    let scheme = Scheme::builtin();
    let resource = scheme.get(&gvr::CONFIG_MAPS).expect("a built-in resource");
    let bytes = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"{namespace}"}}}}"#
    );
    let stored = Stored::parse(resource, Bytes::from(bytes), revision, revision);
    Arc::new(stored.expect("an object"))
}

#[test]
fn keys_are_found_by_group_and_plural() {
    let table = Table::new(&Scheme::builtin());
    for (key, expected) in [
        ("/registry/pods/default/web", Some(("pods", "default/web"))),
        ("/registry/nodes/n1", Some(("nodes", "n1"))),
        (
            "/registry/apps/deployments/default/web",
            Some(("deployments", "default/web")),
        ),
        // A namespace that is named like a resource.
        (
            "/registry/configmaps/pods/web",
            Some(("configmaps", "pods/web")),
        ),
        ("/registry/pods", None),
        ("/registry/pods/", None),
        ("/registry/apps/deployments/", None),
        ("/registry/apps/unknown/default/web", None),
        ("/registry/unknown/default/web", None),
        ("/ferrule/compaction", None),
        ("", None),
    ] {
        let found = table
            .locate(key)
            .map(|(index, rest)| (&*table.resource(index).plural, rest));
        assert_eq!(found, expected, "{key}");
    }
}

#[test]
fn a_snapshot_is_walked_in_the_order_of_keys_from_any_point() {
    let mut objects = Objects::default();
    for (namespace, name) in [
        ("b", "x"),
        ("a-b", "x"),
        ("a", "y"),
        ("a", "x"),
        ("a", "x-1"),
    ] {
        let key = super::snapshot::key(namespace, name);
        objects.insert(key.into(), object(namespace, name, 1));
    }
    let snapshot = Snapshot::new(9, objects);
    for (namespace, after, expected) in [
        (None, None, vec!["a-b/x", "a/x", "a/x-1", "a/y", "b/x"]),
        (None, Some("a/x"), vec!["a/x-1", "a/y", "b/x"]),
        (None, Some("a/xx"), vec!["a/y", "b/x"]),
        (Some("a"), None, vec!["a/x", "a/x-1", "a/y"]),
        (Some("a"), Some("a/x-1"), vec!["a/y"]),
        (Some("a"), Some("a-b/x"), vec!["a/x", "a/x-1", "a/y"]),
        (Some("a"), Some("b/x"), vec![]),
        (Some("c"), None, vec![]),
    ] {
        let keys: Vec<&str> = snapshot
            .iter_from(namespace, after)
            .map(|(key, _)| &**key)
            .collect();
        assert_eq!(keys, expected, "{namespace:?} {after:?}");
    }
    assert!(snapshot.get("a", "y").is_some());
    assert!(snapshot.get("", "y").is_none());

    let scheme = Scheme::builtin();
    let maps = scheme.get(&gvr::CONFIG_MAPS).expect("a built-in resource");
    for (namespace, name, after, expected) in [
        (Some("a"), "x", None, vec!["a/x"]),
        (Some("a"), "x", Some("a"), vec!["a/x"]),
        (Some("a"), "x", Some("a/x"), vec![]),
        (Some("a"), "z", None, vec![]),
        (None, "x", Some("a/y"), vec!["b/x"]),
    ] {
        let filter = WatchFilter {
            namespace: namespace.map(str::to_owned),
            fields: FieldSelector::equals("metadata.name", name),
            ..WatchFilter::default()
        };
        let keys: Vec<&str> = snapshot
            .candidates(maps, &filter, after)
            .filter(|(_, stored)| filter.matches(maps, &stored.header))
            .map(|(key, _)| &**key)
            .collect();
        assert_eq!(keys, expected, "{namespace:?} {name:?} {after:?}");
    }
}

proptest! {
    #[test]
    fn any_revision_that_is_remembered_is_rebuilt_exactly(
        writes in proptest::collection::vec((0..20u8, any::<bool>()), 1..600),
        limit in 1_000..400_000usize,
    ) {
        let mut now = Objects::default();
        let mut pasts = vec![Past::starting_at(0)];
        let mut ledger = Ledger::default();
        let mut states: Vec<BTreeMap<String, i64>> = vec![BTreeMap::new()];
        for (at, (name, put)) in writes.iter().enumerate() {
            let revision = at as i64 + 1;
            let name = format!("n{name}");
            let key: Arc<str> = super::snapshot::key("default", &name).into();
            let before = now.clone();
            let new = put.then(|| object("default", &name, revision));
            let old = match &new {
                Some(new) => now.insert(key.clone(), new.clone()),
                None => now.remove(&*key),
            };
            if old.is_some() || new.is_some() {
                let change = Arc::new(Change::new(revision, key, old, new));
                ledger.push(&mut pasts[0], 0, change, revision - 1, &before);
            }
            ledger.trim(limit, &mut pasts);
            prop_assert!(ledger.bytes() <= limit);
            let state = now.iter().map(|(key, it)| (key.to_string(), it.revision));
            states.push(state.collect());
        }
        for (revision, expected) in states.iter().enumerate() {
            let revision = revision as i64;
            let rebuilt = pasts[0].state_at(revision, &now);
            prop_assert_eq!(rebuilt.is_some(), revision >= pasts[0].start());
            let Some(rebuilt) = rebuilt else { continue };
            let rebuilt: BTreeMap<String, i64> = rebuilt
                .iter()
                .map(|(key, it)| (key.to_string(), it.revision))
                .collect();
            prop_assert_eq!(&rebuilt, expected, "at revision {}", revision);
        }
    }
}
