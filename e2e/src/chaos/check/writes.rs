//! An acknowledged write is never lost, and nothing is stored that nobody asked for.
//!
//! Each key has one writer, each value is used once, and each write names the revision that it
//! changes. So every event is explained by one write, and after the last acknowledged write only
//! unknown ones may have changed the key.

use std::collections::{BTreeMap, BTreeSet};

use ferrule_proto::v1::EventType;

use super::{Broken, Histories, WRITES};
use crate::chaos::history::{Event, Facts, Outcome, Wish, Write};

pub fn check(histories: &Histories) -> Vec<Broken> {
    let mut keys: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
    for write in &histories.writes {
        keys.entry(&write.key).or_default().push(write);
    }
    let mut broken = Vec::new();
    let mut events: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in histories.merged("configmaps").into_values() {
        // Others keep ConfigMaps in the namespace, too.
        if matches!(event.facts, Facts::Value(_)) {
            let name = event
                .key
                .split_once('/')
                .map_or(&*event.key, |(_, name)| name);
            events.entry(name).or_default().push(event);
        }
    }
    for (key, writes) in &keys {
        broken.extend(at_the_end(key, writes, histories.read_back.get(*key)));
        broken.extend(explained(
            key,
            writes,
            events.get(*key).map_or(&[], |all| all),
        ));
    }
    for key in events.keys().filter(|key| !keys.contains_key(**key)) {
        broken.push(Broken::new(
            WRITES,
            format!("{key} was never written, but is there"),
        ));
    }
    broken
}

/// What is read at the end must be the last acknowledged state, or that of an unknown write.
fn at_the_end(key: &str, writes: &[&Write], read: Option<&(String, i64)>) -> Option<Broken> {
    let last = writes
        .iter()
        .rposition(|write| matches!(write.outcome, Outcome::Done(_)));
    let acknowledged = last.map(|last| writes[last]);
    let later = &writes[last.map_or(0, |last| last + 1)..];
    let unknown = |write: &&&Write| matches!(write.outcome, Outcome::Unknown(_));
    let possible = match (read, acknowledged) {
        (Some((value, revision)), Some(write))
            if write.wish != Wish::Delete && write.value == *value =>
        {
            write.outcome == Outcome::Done(*revision)
        }
        (Some((value, _)), _) => {
            let stores = |write: &&&Write| write.wish != Wish::Delete && write.value == *value;
            // A create can come late into an empty place, whenever it was sent.
            later.iter().filter(unknown).any(|write| stores(&write))
                || writes
                    .iter()
                    .filter(unknown)
                    .any(|write| write.wish == Wish::Create && stores(&write))
        }
        (None, None) => true,
        (None, Some(write)) => {
            write.wish == Wish::Delete
                || later
                    .iter()
                    .filter(unknown)
                    .any(|write| write.wish == Wish::Delete)
        }
    };
    (!possible).then(|| {
        Broken::new(
            WRITES,
            format!("{key}: read back {read:?}, but the last acknowledged write is {acknowledged:?}, later ones {later:?}"),
        )
    })
}

/// Every event comes from one write that was not refused; an acknowledged one has its revision.
fn explained(key: &str, writes: &[&Write], events: &[&Event]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    for event in events {
        let Facts::Value(value) = &event.facts else {
            continue;
        };
        let deletes = event.kind == EventType::EventDeleted;
        let mut causes = writes
            .iter()
            .filter(|write| write.value == *value && (write.wish == Wish::Delete) == deletes);
        let explains = |write: &&Write| match &write.outcome {
            Outcome::Done(revision) => *revision == event.revision,
            Outcome::Unknown(_) => true,
            Outcome::Refused(_) => false,
        };
        if !causes.clone().any(explains) {
            let cause = causes.next();
            broken.push(Broken::new(
                WRITES,
                format!("{key}: nobody's write explains {event:?}; its value belongs to {cause:?}"),
            ));
        }
        if !deletes && !seen.insert(value) {
            broken.push(Broken::new(
                WRITES,
                format!("{key}: {value} was stored twice"),
            ));
        }
    }
    broken
}
