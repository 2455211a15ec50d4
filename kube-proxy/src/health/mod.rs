//! What load balancers and people ask over plain HTTP: is this proxy healthy, has this node endpoints of a service.
//!
//! ```text
//! :10256/healthz  healthy, and the node is not about to be deleted     200 or 503, JSON as upstream's
//! :10256/livez    healthy                                              200 or 503, JSON as upstream's
//! :<healthCheckNodePort>/  endpoints of the service on this node       200 or 503, JSON as upstream's
//! ```

pub mod http;
pub mod services;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

use ::http::StatusCode;
use http::Answer;

/// Go's zero time, which upstream shows before the first update.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// The health of the proxy. Clones share it.
#[derive(Debug, Clone)]
pub struct ProxyHealth {
    patience: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    /// When the table was last brought up to date.
    updated: Option<Timestamp>,
    /// Since when a change waits to be programmed.
    waits_since: Option<Instant>,
    /// Whether load balancers may send to this node; `None` while there is no Node.
    eligible: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    last_updated: String,
    current_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Families>,
}

#[derive(Debug, Serialize)]
struct Families {
    #[serde(rename = "IPv4")]
    ipv4: Family,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    last_updated: String,
    healthy: bool,
}

impl ProxyHealth {
    /// Healthy until a change has waited longer than `patience`.
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            state: Arc::default(),
        }
    }

    /// A change came that has to be programmed.
    pub fn queued(&self, now: Instant) {
        self.with(|state| state.waits_since = state.waits_since.or(Some(now)));
    }

    /// The table is up to date.
    pub fn updated(&self, now: Timestamp) {
        self.with(|state| {
            state.waits_since = None;
            state.updated = Some(now);
        });
    }

    /// What is known of the Node.
    pub fn set_eligible(&self, eligible: Option<bool>) {
        self.with(|state| state.eligible = eligible);
    }

    /// Whether programming keeps up.
    pub fn is_healthy(&self, now: Instant) -> bool {
        let state = self.with(|state| *state);
        state.is_healthy(self.patience, now)
    }

    /// The answer at a path; `None` if there is nothing.
    pub fn answer(&self, path: &str, now: Instant, clock: Timestamp) -> Option<Answer> {
        let state = self.with(|state| *state);
        match path {
            "/healthz" => Some(state.answer(self.patience, true, now, clock)),
            "/livez" => Some(state.answer(self.patience, false, now, clock)),
            _ => None,
        }
    }

    fn with<T>(&self, function: impl FnOnce(&mut State) -> T) -> T {
        function(
            &mut self
                .state
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }
}

impl State {
    fn is_healthy(&self, patience: Duration, now: Instant) -> bool {
        let late = |since| now.saturating_duration_since(since) >= patience;
        // Before the first update, the proxy is starting.
        self.updated.is_none() || !self.waits_since.is_some_and(late)
    }

    fn answer(
        &self,
        patience: Duration,
        asks_node: bool,
        now: Instant,
        clock: Timestamp,
    ) -> Answer {
        let healthy = self.is_healthy(patience, now);
        let eligible = self.eligible.unwrap_or_default();
        let good = healthy && (eligible || !asks_node);
        let updated = self
            .updated
            .map_or(NEVER.to_owned(), |time| time.to_string());
        let report = Report {
            // Old clients expect it to be recent while all is well.
            last_updated: if good {
                clock.to_string()
            } else {
                updated.clone()
            },
            current_time: clock.to_string(),
            node_eligible: asks_node.then_some(eligible),
            healthy,
            status: self.updated.map(|_| Families {
                ipv4: Family {
                    last_updated: updated,
                    healthy,
                },
            }),
        };
        Answer {
            status: if good {
                StatusCode::OK
            } else {
                StatusCode::SERVICE_UNAVAILABLE
            },
            // Texts and booleans always encode.
            body: serde_json::to_string(&report).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_healthy_while_no_change_waits_too_long_and_the_node_stays() {
        let clock: Timestamp = "2026-01-19T10:32:02.5Z".parse().unwrap();
        let earlier: Timestamp = "2026-01-19T10:30:00Z".parse().unwrap();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let health = ProxyHealth::new(Duration::from_secs(60));
        let ask = |path: &str, now| {
            let answer = health.answer(path, now, clock).unwrap();
            (answer.status.as_u16(), answer.body)
        };
        assert_eq!(
            ask("/livez", start),
            (200, r#"{"lastUpdated":"2026-01-19T10:32:02.5Z","currentTime":"2026-01-19T10:32:02.5Z","healthy":true}"#.to_owned())
        );
        assert_eq!(ask("/healthz", start).0, 503);
        health.set_eligible(Some(true));
        assert_eq!(ask("/healthz", start).0, 200);

        health.updated(earlier);
        health.queued(after(0));
        health.queued(after(50));
        assert_eq!(ask("/healthz", after(59)).0, 200);
        let late = r#"{"lastUpdated":"2026-01-19T10:30:00Z","currentTime":"2026-01-19T10:32:02.5Z","nodeEligible":true,"healthy":false,"status":{"IPv4":{"lastUpdated":"2026-01-19T10:30:00Z","healthy":false}}}"#;
        assert_eq!(ask("/healthz", after(60)), (503, late.to_owned()));
        assert_eq!(ask("/livez", after(60)).0, 503);
        assert!(!health.is_healthy(after(60)));

        health.updated(clock);
        health.set_eligible(Some(false));
        assert_eq!(ask("/livez", after(61)).0, 200);
        let (status, body) = ask("/healthz", after(61));
        assert!(
            status == 503 && body.contains(r#""nodeEligible":false,"healthy":true"#),
            "{body}"
        );
        assert!(health.answer("/", start, clock).is_none());
    }
}
