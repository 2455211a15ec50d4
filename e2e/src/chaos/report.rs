//! What a run shows: a table of faults and one of invariants, as markdown.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Broken, Histories};
use super::history::{Disturbance, Moment, Outcome, Request};
use super::outage::{Try, longest, median};
use super::schedule::{Act, KINDS, Place};

/// A run that is over.
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// How long faults were to be made.
    pub minutes: u64,
    /// Whether the control plane had several of each.
    pub high_availability: bool,
    /// What was recorded.
    pub histories: Histories,
    /// The requests to the Service.
    pub requests: Vec<Request>,
    /// Writes with the epoch of a former leader that were refused.
    pub stale_writes_refused: usize,
    /// What did not hold.
    pub broken: Vec<Broken>,
}

/// What one fault broke.
#[derive(Default)]
struct Effect {
    healthy: Moment,
    target: Moment,
    writes: Moment,
    works: Option<Moment>,
    well: Option<Moment>,
}

impl Run {
    /// The whole report.
    pub fn markdown(&self) -> String {
        let shape = if self.high_availability {
            "high availability"
        } else {
            "single control plane"
        };
        format!(
            "### Seed {}: {} minutes, {shape}\n\n{}\n\n{}\n{}",
            self.seed,
            self.histories.ended.as_secs() / 60,
            self.counts(),
            self.faults(),
            self.invariants(),
        )
    }

    fn counts(&self) -> String {
        let outcome = |wanted: fn(&Outcome) -> bool| {
            let writes = self.histories.writes.iter();
            writes.filter(|write| wanted(&write.outcome)).count()
        };
        let failed = self
            .requests
            .iter()
            .filter(|request| request.error.is_some())
            .count();
        let stretches = self.histories.tapes.iter().flat_map(|tape| &tape.stretches);
        let events: usize = stretches.map(|stretch| stretch.events.len()).sum();
        let resumed: u64 = self.histories.tapes.iter().map(|tape| tape.resumed).sum();
        let gaps: usize = self
            .histories
            .tapes
            .iter()
            .map(|tape| tape.stretches.len() - 1)
            .sum();
        format!(
            "{} faults. {} writes acknowledged, {} unknown, {} refused. {} requests, {failed} failed. \
             {} watchers saw {events} events, resumed {resumed} times, {gaps} times after a 410. \
             {} pods with known codes. {} writes with the epoch of a former leader tried, all refused.",
            self.histories.disturbances.len(),
            outcome(|outcome| matches!(outcome, Outcome::Done(_))),
            outcome(|outcome| matches!(outcome, Outcome::Unknown(_))),
            outcome(|outcome| matches!(outcome, Outcome::Refused(_))),
            self.requests.len(),
            self.histories.tapes.len(),
            self.histories.endings.len(),
            self.stale_writes_refused,
        )
    }

    fn faults(&self) -> String {
        let mut kinds: BTreeMap<&str, Vec<(&Disturbance, Effect)>> = BTreeMap::new();
        for (number, one) in self.histories.disturbances.iter().enumerate() {
            let next = self.histories.disturbances.get(number + 1);
            let until = next.map_or(self.histories.ended, |next| next.from);
            let effect = self.effect(one, until);
            kinds.entry(one.kind).or_default().push((one, effect));
        }
        let mut text = String::from(
            "| fault | targets | times | requests elsewhere broke for | requests at the node | writes | works after | all done after | held |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for (kind, all) in kinds {
            let targets: BTreeSet<&str> = all.iter().map(|(one, _)| &*one.service).collect();
            let column = |value: fn(&Effect) -> Option<Moment>| {
                let times: Vec<Moment> =
                    all.iter().filter_map(|(_, effect)| value(effect)).collect();
                span(times)
            };
            text += &format!(
                "| {kind} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                targets.into_iter().collect::<Vec<_>>().join(", "),
                all.len(),
                column(|effect| Some(effect.healthy)),
                column(|effect| Some(effect.target)),
                column(|effect| Some(effect.writes)),
                column(|effect| effect.works),
                column(|effect| effect.well),
                self.held(kind),
            );
        }
        text
    }

    fn effect(&self, one: &Disturbance, until: Moment) -> Effect {
        let mut effect = Effect {
            works: one.works.map(|works| works.saturating_sub(one.undone)),
            well: one.well.map(|well| well.saturating_sub(one.undone)),
            ..Effect::default()
        };
        for node in crate::cluster::NODES {
            for inside in [false, true] {
                let of_stream = self
                    .requests
                    .iter()
                    .filter(|request| request.node == node && request.inside == inside);
                let outage = longest(of_stream.map(Try::from), one.from, until);
                let worst = if node == one.service {
                    &mut effect.target
                } else {
                    &mut effect.healthy
                };
                *worst = outage.max(*worst);
            }
        }
        let mut writers: BTreeMap<&str, Vec<Try>> = BTreeMap::new();
        for write in &self.histories.writes {
            let writer = write.key.split('-').next().unwrap_or_default();
            writers.entry(writer).or_default().push(write.into());
        }
        for tries in writers.into_values() {
            effect.writes = effect.writes.max(longest(tries, one.from, until));
        }
        effect
    }

    fn held(&self, kind: &str) -> String {
        let lost: BTreeSet<&str> = self
            .broken
            .iter()
            .filter(|broken| broken.evidence.contains(kind))
            .map(|broken| broken.invariant)
            .collect();
        if lost.is_empty() {
            "all".to_owned()
        } else {
            format!("NOT: {}", lost.into_iter().collect::<Vec<_>>().join("; "))
        }
    }

    fn invariants(&self) -> String {
        let mut text = String::from("| invariant | held |\n|---|---|\n");
        for invariant in check::ALL {
            let broken = self
                .broken
                .iter()
                .filter(|one| one.invariant == invariant)
                .count();
            let held = match broken {
                0 => "yes".to_owned(),
                times => format!("NO, broken {times} times"),
            };
            text += &format!("| {invariant} | {held} |\n");
        }
        text
    }
}

/// The kinds of faults, as a table.
pub fn kinds() -> String {
    let mut text = String::from("| fault | where | how | lasts |\n|---|---|---|---|\n");
    for kind in &KINDS {
        let place = match kind.place {
            Place::Node => "a node",
            Place::Member(member) => member,
        };
        let lasts = match (kind.act, kind.lasts) {
            (Act::Kill(_) | Act::KillShim, _) => "until it is started again".to_owned(),
            (_, (least, most)) => format!("{least} to {most} s"),
        };
        text += &format!(
            "| {} | {place} | {} | {lasts} |\n",
            kind.name,
            kind.act.description()
        );
    }
    text
}

/// The longest and the middle of some times.
fn span(times: Vec<Moment>) -> String {
    match times.iter().max() {
        None => "never".to_owned(),
        Some(longest) if longest.is_zero() => "-".to_owned(),
        Some(longest) if times.len() == 1 => format!("{:.1} s", longest.as_secs_f64()),
        Some(longest) => {
            let longest = longest.as_secs_f64();
            format!(
                "{longest:.1} s (median {:.1} s)",
                median(times).as_secs_f64()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_its_longest_and_its_middle() {
        let seconds = |all: &[u64]| all.iter().map(|one| Moment::from_secs(*one)).collect();
        assert_eq!(span(seconds(&[])), "never");
        assert_eq!(span(seconds(&[0, 0])), "-");
        assert_eq!(span(seconds(&[3])), "3.0 s");
        assert_eq!(span(seconds(&[1, 9, 2])), "9.0 s (median 2.0 s)");
    }
}
