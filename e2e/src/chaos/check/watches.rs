//! A watcher misses no matching change without a 410, repeats none, and all see the same.

use std::collections::BTreeMap;

use super::{Broken, Histories, WATCHES};
use crate::chaos::history::{Outcome, Stretch, Tape};

/// A change that somebody knows of: its key, and its digest where a watcher saw it.
type Known = BTreeMap<i64, (String, Option<u64>)>;

pub fn check(histories: &Histories) -> Vec<Broken> {
    let mut known: BTreeMap<&str, Known> = BTreeMap::new();
    let acknowledged = known.entry("configmaps").or_default();
    for write in &histories.writes {
        if let Outcome::Done(revision) = write.outcome {
            acknowledged.insert(revision, (write.key.clone(), None));
        }
    }
    for tape in &histories.tapes {
        let known = known.entry(tape.resource).or_default();
        for event in tape.stretches.iter().flat_map(|stretch| &stretch.events) {
            known.insert(event.revision, (event.key.clone(), Some(event.digest)));
        }
    }
    let mut broken = Vec::new();
    for tape in &histories.tapes {
        for stretch in &tape.stretches {
            broken.extend(in_order(tape, stretch));
            if let Some(known) = known.get(tape.resource) {
                broken.extend(complete(tape, stretch, known));
            }
        }
    }
    broken
}

fn in_order(tape: &Tape, stretch: &Stretch) -> Vec<Broken> {
    let mut before = stretch.from;
    let mut broken = Vec::new();
    for event in &stretch.events {
        if event.revision <= before {
            broken.push(Broken::new(
                WATCHES,
                format!(
                    "{} saw revision {} of {} after {before}",
                    tape.watcher, event.revision, event.key
                ),
            ));
        }
        before = event.revision;
    }
    broken
}

fn complete(tape: &Tape, stretch: &Stretch, known: &Known) -> Vec<Broken> {
    let seen: BTreeMap<i64, u64> = stretch
        .events
        .iter()
        .map(|event| (event.revision, event.digest))
        .collect();
    let covered = known.range(stretch.from + 1..=stretch.to.max(stretch.from));
    covered
        .filter_map(|(revision, (key, digest))| {
            let what = match (seen.get(revision), digest) {
                (None, _) => "missed",
                (Some(seen), Some(digest)) if seen != digest => "saw other bytes of",
                _ => return None,
            };
            let covered = (stretch.from, stretch.to);
            Some(Broken::new(
                WATCHES,
                format!(
                    "{} {what} revision {revision} of {key}, though it saw all of {covered:?}",
                    tape.watcher
                ),
            ))
        })
        .collect()
}
