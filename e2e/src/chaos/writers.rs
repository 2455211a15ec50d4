//! Writers of ConfigMaps: each has keys of its own, one write at a time, and notes every outcome.
//!
//! ```text
//!            create ──▶ present(revision) ── update, for this revision ──▶ present
//!  absent ◀── delete, for this revision ──────┘
//!     any write without an answer ──▶ lost ── read ──▶ absent or present
//! ```
//! Every write names the revision that it changes, so that one that comes late changes nothing
//! that was acknowledged in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ferrule_apimachinery::scheme::gvr;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::{At, Client, DeleteOptions, Object, Patch, WriteOptions};
use serde_json::json;

use super::history::{Clock, Outcome, Wish, Write};
use super::random::Random;

/// How long a writer waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// The label of what is written.
pub const LABEL: &str = "chaos=write";
const KEYS: usize = 6;

/// What a writer knows of a key.
#[derive(Clone, Debug)]
enum Known {
    Absent,
    Present { revision: i64, value: String },
    Lost,
}

/// One writer.
pub struct Writer {
    client: Client,
    namespace: String,
    number: usize,
    random: Random,
    clock: Clock,
    history: Arc<Mutex<Vec<Write>>>,
    keys: Vec<Known>,
    written: usize,
}

impl Writer {
    /// A writer with a number of its own.
    pub fn new(
        client: Client,
        namespace: &str,
        number: usize,
        random: Random,
        clock: Clock,
        history: Arc<Mutex<Vec<Write>>>,
    ) -> Writer {
        Writer {
            client,
            namespace: namespace.to_owned(),
            number,
            random,
            clock,
            history,
            keys: vec![Known::Absent; KEYS],
            written: 0,
        }
    }

    /// Writes until the task is ended.
    pub async fn run(mut self, pause: Duration) {
        loop {
            let key = self.random.below(KEYS);
            self.step(key).await;
            tokio::time::sleep(pause).await;
        }
    }

    async fn step(&mut self, key: usize) {
        let name = format!("writer{}-{key}", self.number);
        match self.keys[key].clone() {
            Known::Lost => self.keys[key] = self.read(&name).await,
            Known::Absent => {
                let value = self.value();
                self.write(key, name, Wish::Create, value, 0).await;
            }
            Known::Present { revision, value } if self.random.below(5) == 0 => {
                self.write(key, name, Wish::Delete, value, revision).await;
            }
            Known::Present { revision, .. } => {
                let value = self.value();
                self.write(key, name, Wish::Update, value, revision).await;
            }
        }
    }

    fn value(&mut self) -> String {
        self.written += 1;
        format!("{}-{}", self.number, self.written)
    }

    async fn read(&self, name: &str) -> Known {
        let at = self.at(name);
        match tokio::time::timeout(PATIENCE, self.client.get(&at)).await {
            Ok(Ok(object)) => {
                let parsed = object.parse::<serde_json::Value>().unwrap_or_default();
                Known::Present {
                    revision: object.revision,
                    value: parsed["data"]["value"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                }
            }
            Ok(Err(status)) if status.reason == Reason::NotFound => Known::Absent,
            _ => Known::Lost,
        }
    }

    fn at(&self, name: &str) -> At {
        At::of(gvr::CONFIG_MAPS)
            .namespace(&self.namespace)
            .name(name)
    }

    async fn write(&mut self, key: usize, name: String, wish: Wish, value: String, revision: i64) {
        let at = self.clock.now();
        let answer = tokio::time::timeout(PATIENCE, self.send(&name, wish, &value, revision)).await;
        let outcome =
            outcome(answer.unwrap_or_else(|_| Err(Status::timeout("no answer in time", 0))));
        self.keys[key] = match (&outcome, wish) {
            (Outcome::Done(_), Wish::Delete) => Known::Absent,
            (Outcome::Done(revision), _) => Known::Present {
                revision: *revision,
                value: value.clone(),
            },
            _ => Known::Lost,
        };
        let write = Write {
            key: name,
            wish,
            value,
            at,
            ended: self.clock.now(),
            outcome,
        };
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.push(write);
    }

    async fn send(
        &self,
        name: &str,
        wish: Wish,
        value: &str,
        revision: i64,
    ) -> Result<Object, Status> {
        let options = WriteOptions::default();
        match wish {
            Wish::Create => {
                let at = At::of(gvr::CONFIG_MAPS).namespace(&self.namespace);
                let object = json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": name, "labels": {"chaos": "write"}},
                    "data": {"value": value},
                });
                self.client.create(&at, object.to_string(), &options).await
            }
            Wish::Update => {
                let patch = json!({"metadata": {"resourceVersion": revision.to_string()}, "data": {"value": value}});
                let patch = Patch::Merge(patch);
                self.client.patch(&self.at(name), &patch, &options).await
            }
            Wish::Delete => {
                let only = DeleteOptions {
                    resource_version: Some(revision.to_string()),
                    ..DeleteOptions::default()
                };
                self.client.delete(&self.at(name), &only).await
            }
        }
    }
}

/// A refusal is one that the server decided; everything else leaves the outcome open.
fn outcome(answer: Result<Object, Status>) -> Outcome {
    match answer {
        Ok(object) => Outcome::Done(object.revision),
        Err(status) if (400..500).contains(&status.code) && status.code != 429 => {
            Outcome::Refused(status.message)
        }
        Err(status) => Outcome::Unknown(status.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_decision_of_the_server_is_a_refusal() {
        let refused = Status::failure(409, Reason::Conflict, "no");
        assert_eq!(outcome(Err(refused)), Outcome::Refused("no".into()));
        for status in [
            Status::timeout("late", 0),
            Status::service_unavailable("down"),
            Status::internal("odd"),
        ] {
            assert!(matches!(outcome(Err(status)), Outcome::Unknown(_)));
        }
    }
}
