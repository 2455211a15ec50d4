//! Probes: when they run, when they count, and what they tell.
//!
//! One task for each probe of a running container asks, counts against the thresholds, and tells
//! the pod's worker when the verdict changes.

pub mod check;
pub mod http;

use std::time::Duration;

use ferrule_client::EventType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Probe};
use rand::Rng;

use crate::context::PodContext;
use crate::pod::Record;

/// Which probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// May the others begin?
    Startup,
    /// Should it be restarted?
    Liveness,
    /// Should it get traffic?
    Readiness,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }

    /// The probe of this kind.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Startup => container.startup_probe.as_ref(),
            Kind::Liveness => container.liveness_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// Counts answers against thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    success_threshold: u32,
    failure_threshold: u32,
    last: Option<bool>,
    run: u32,
}

impl Counter {
    /// With the thresholds of `probe`.
    pub fn new(probe: &Probe) -> Counter {
        let at_least_one =
            |own: Option<i32>, default| u32::try_from(own.unwrap_or(default)).unwrap_or(1).max(1);
        Counter {
            success_threshold: at_least_one(probe.success_threshold, 1),
            failure_threshold: at_least_one(probe.failure_threshold, 3),
            last: None,
            run: 0,
        }
    }

    /// Counts one answer; a verdict once enough in a row agree.
    pub fn count(&mut self, success: bool) -> Option<bool> {
        if self.last != Some(success) {
            self.last = Some(success);
            self.run = 0;
        }
        self.run = self.run.saturating_add(1);
        let threshold = if success {
            self.success_threshold
        } else {
            self.failure_threshold
        };
        (self.run >= threshold).then_some(success)
    }
}

fn seconds(own: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(
        own.and_then(|own| u64::try_from(own).ok())
            .unwrap_or(default),
    )
}

/// Runs a probe until its task is aborted, or once it has said what it can: a startup probe ends
/// with any verdict, a liveness probe when it failed. `tell` gets each new verdict.
pub async fn run(
    context: PodContext,
    record: Record,
    kind: Kind,
    known: Option<bool>,
    tell: impl Fn(bool) + Send,
) {
    let Some((container, _)) = crate::pod::spec::container(&context.pod, &record.name) else {
        return;
    };
    let container = container.clone();
    let Some(probe) = kind.of(&container).cloned() else {
        return;
    };
    let period = seconds(probe.period_seconds, 10).max(Duration::from_secs(1));
    let timeout = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    let delay = seconds(probe.initial_delay_seconds, 0);
    let running_for = record
        .started_at
        .and_then(|started| Duration::try_from(Timestamp::now().duration_since(started)).ok())
        .unwrap_or_default();
    let first = if known.is_some() {
        // A restarted kubelet does not ask all containers at once.
        rand::rng().random_range(Duration::ZERO..period)
    } else {
        delay.saturating_sub(running_for)
    };
    tokio::time::sleep(first).await;
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut counter = Counter::new(&probe);
    let mut told = known;
    loop {
        ticks.tick().await;
        let answer = check::check(&context, &container, &record, &probe, timeout).await;
        let name = kind.name();
        if let Err(output) = &answer {
            let message = format!("{name} probe failed: {output}");
            context.kubelet.container_event(
                &context.pod,
                &container.name,
                EventType::Warning,
                "Unhealthy",
                message,
            );
        }
        let Some(verdict) = counter.count(answer.is_ok()) else {
            continue;
        };
        if told != Some(verdict) {
            told = Some(verdict);
            tell(verdict);
        }
        match (kind, verdict) {
            (Kind::Startup, _) | (Kind::Liveness, false) => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_needs_as_many_equal_answers_in_a_row_as_its_threshold() {
        let probe = Probe {
            success_threshold: Some(2),
            failure_threshold: Some(3),
            ..Probe::default()
        };
        let mut counter = Counter::new(&probe);
        let answers = [
            true, true, true, false, false, true, false, false, false, false,
        ];
        let verdicts = answers.map(|answer| counter.count(answer));
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(
            verdicts,
            [None, yes, yes, None, None, None, None, None, no, no]
        );
    }
}
