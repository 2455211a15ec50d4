//! Health: named checks behind `/healthz`, `/readyz`, `/livez` and `grpc.health.v1.Health`.
//!
//! A component is alive while it answers, and ready while every check that it set is good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

/// The checks of a process. Clones share them.
#[derive(Clone)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
    ready: watch::Sender<bool>,
}

impl Default for Health {
    fn default() -> Self {
        Health {
            checks: Arc::default(),
            ready: watch::Sender::new(true),
        }
    }
}

impl Health {
    /// Sets one check: good, or bad with the reason.
    pub fn set(&self, check: &'static str, state: Result<(), String>) {
        let mut checks = self
            .checks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        checks.insert(check, state);
        let ready = checks.values().all(Result::is_ok);
        self.ready
            .send_if_modified(|was| std::mem::replace(was, ready) != ready);
    }

    /// Whether every check is good.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Follows readiness.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// What is answered at `/<endpoint>`, with what was asked in the query.
    ///
    /// The words are upstream's. Reasons are for logs and for those who ask for one check.
    pub fn answer(&self, endpoint: &str, query: &[(String, String)]) -> Answer {
        let mut excluded: BTreeSet<&str> = query
            .iter()
            .filter(|(name, _)| name == "exclude")
            .map(|(_, check)| check.as_str())
            .collect();
        let (mut text, mut good) = (String::new(), true);
        for (check, state) in self.of(endpoint) {
            match state {
                _ if excluded.remove(check) => text.push_str(&format!("[+]{check} excluded: ok\n")),
                Ok(()) => text.push_str(&format!("[+]{check} ok\n")),
                Err(reason) => {
                    tracing::info!(check, reason, "{endpoint} check failed");
                    text.push_str(&format!("[-]{check} failed: reason withheld\n"));
                    good = false;
                }
            }
        }
        if !excluded.is_empty() {
            let names: Vec<String> = excluded.iter().map(|check| format!("{check:?}")).collect();
            text.push_str(&format!(
                "warn: some health checks cannot be excluded: no matches for {}\n",
                names.join(",")
            ));
        }
        let verbose = query.iter().any(|(name, _)| name == "verbose");
        let text = match (good, verbose) {
            (false, _) => format!("{text}{endpoint} check failed\n"),
            (true, true) => format!("{text}{endpoint} check passed\n"),
            (true, false) => "ok".to_owned(),
        };
        Answer { good, text }
    }

    /// What is answered at `/<endpoint>/<check>`; nothing where there is no such check.
    pub fn answer_one(&self, endpoint: &str, check: &str) -> Option<Answer> {
        let found = self
            .of(endpoint)
            .into_iter()
            .find(|(own, _)| *own == check)?;
        Some(match found.1 {
            Ok(()) => Answer {
                good: true,
                text: "ok".to_owned(),
            },
            Err(reason) => Answer {
                good: false,
                text: format!("internal server error: {reason}\n"),
            },
        })
    }

    /// The checks of an endpoint. Whatever answers is alive, so that `/livez` has but one.
    fn of(&self, endpoint: &str) -> Vec<(&'static str, Result<(), String>)> {
        let mut all = vec![("ping", Ok(()))];
        if endpoint != "livez" {
            let checks = self.checks.lock();
            let checks = checks.unwrap_or_else(|poisoned| poisoned.into_inner());
            all.extend(checks.iter().map(|(check, state)| (*check, state.clone())));
        }
        all
    }
}

/// The answer of a health endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is good.
    pub good: bool,
    /// What is sent.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(health: &Health, endpoint: &str, query: &str) -> (bool, String) {
        let pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let answer = health.answer(endpoint, &pairs);
        (answer.good, answer.text)
    }

    #[test]
    fn one_bad_check_makes_the_component_unready() {
        let health = Health::default();
        health.set("etcd", Ok(()));
        assert!(health.is_ready());
        health.set("informers", Err("pods are not listed yet".into()));
        assert!(!health.is_ready());
        for (endpoint, query, good, text) in [
            ("livez", "", true, "ok"),
            ("livez", "verbose", true, "[+]ping ok\nlivez check passed\n"),
            (
                "readyz",
                "",
                false,
                "[+]ping ok\n[+]etcd ok\n[-]informers failed: reason withheld\nreadyz check failed\n",
            ),
            ("readyz", "exclude=informers", true, "ok"),
            (
                "healthz",
                "verbose&exclude=informers&exclude=other",
                true,
                "[+]ping ok\n[+]etcd ok\n[+]informers excluded: ok\n\
                 warn: some health checks cannot be excluded: no matches for \"other\"\n\
                 healthz check passed\n",
            ),
        ] {
            assert_eq!(asked(&health, endpoint, query), (good, text.to_owned()));
        }
    }

    #[test]
    fn one_check_says_why_it_failed() {
        let health = Health::default();
        health.set("etcd", Err("no route".into()));
        let text = |endpoint, check| health.answer_one(endpoint, check).map(|own| own.text);
        assert_eq!(text("readyz", "ping").as_deref(), Some("ok"));
        assert_eq!(
            text("readyz", "etcd").as_deref(),
            Some("internal server error: no route\n")
        );
        assert_eq!(text("livez", "etcd"), None);
    }
}
