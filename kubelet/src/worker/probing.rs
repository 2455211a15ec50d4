//! Which probes of a pod run, and what is believed of containers after a restart of this process.

use std::time::Duration;

use super::{Message, Worker};
use crate::pod::backoff::BackOff;
use crate::pod::{Desired, Probed, Record, State, spec};
use crate::probes::{self, Kind};

impl Worker {
    /// After a restart of this process, what ran and was ready is so until its probes say otherwise.
    pub(super) fn prime(&mut self, records: &[Record]) {
        for (container, _) in spec::all_containers(&self.observed.pod) {
            let mut attempts = records.iter().filter(|own| own.name == container.name);
            let Some(latest) = attempts.next().filter(|own| own.state != State::Created) else {
                continue;
            };
            let waited = attempts.next().and_then(|before| {
                let passed = latest.created_at.duration_since(before.finished_at?);
                Duration::try_from(passed).ok()
            });
            let since = latest.started_at.unwrap_or(latest.created_at);
            if let Some(entry) = BackOff::recovered(latest.attempt, waited, since) {
                self.observed.backoff.insert(container.name.clone(), entry);
            }
        }
        for record in records
            .iter()
            .filter(|record| record.state == State::Running)
        {
            let Some(reported) = spec::reported(&self.observed.pod, &record.name) else {
                continue;
            };
            let id = format!("{}://{}", self.kubelet.runtime_name(), record.id);
            if reported.container_id.as_deref() != Some(&id) {
                continue;
            }
            let probed = Probed {
                startup: (reported.started == Some(true)).then_some(true),
                liveness: None,
                readiness: Some(reported.ready),
            };
            self.observed.probed.insert(record.id.clone(), probed);
        }
    }

    /// Starts the probes of containers that run and ends those of containers that do not.
    pub(super) fn watch_probes(&mut self, desired: &Desired) {
        let context = self.context();
        let mut wanted: Vec<(Record, Kind, Option<bool>)> = Vec::new();
        for (container, _) in spec::all_containers(&self.observed.pod) {
            let Some(latest) = self.observed.latest(&container.name) else {
                continue;
            };
            if latest.state != State::Running || self.observed.starting(&container.name) {
                continue;
            }
            let probed = self
                .observed
                .probed
                .get(&latest.id)
                .copied()
                .unwrap_or_default();
            let started = self.observed.has_started(container, latest);
            let ending = *desired != Desired::Run;
            for (kind, known, due) in [
                (Kind::Startup, probed.startup, !started && !ending),
                (Kind::Liveness, probed.liveness, started && !ending),
                (Kind::Readiness, probed.readiness, started),
            ] {
                if due && kind.of(container).is_some() {
                    wanted.push((latest.clone(), kind, known));
                }
            }
        }
        self.probes.retain(|(id, kind), task| {
            let keep = wanted
                .iter()
                .any(|(record, own, _)| record.id == *id && own == kind);
            if !keep {
                task.abort();
            }
            keep
        });
        for (record, kind, known) in wanted {
            let key = (record.id.clone(), kind);
            if self.probes.contains_key(&key) {
                continue;
            }
            let mailbox = self.mailbox.clone();
            let id = record.id.clone();
            let tell = move |verdict| {
                let _ = mailbox.send(Message::Probed {
                    id: id.clone(),
                    kind,
                    verdict,
                });
            };
            let task = tokio::spawn(probes::run(context.clone(), record, kind, known, tell));
            self.probes.insert(key, task.abort_handle());
        }
    }
}
