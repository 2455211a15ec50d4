//! Health: named checks behind `/healthz`, `/readyz`, `/livez` and `grpc.health.v1.Health`.
//!
//! A component is alive while it answers, and ready while every check that it set is good.

use std::collections::BTreeMap;
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

    /// The verbose report of upstream: a line a check, and whether all are good.
    pub fn report(&self, endpoint: &str) -> (bool, String) {
        let checks = self
            .checks
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut text = "[+]ping ok\n".to_owned();
        for (name, state) in checks.iter() {
            match state {
                Ok(()) => text.push_str(&format!("[+]{name} ok\n")),
                Err(reason) => text.push_str(&format!("[-]{name} failed: {reason}\n")),
            }
        }
        let good = checks.values().all(Result::is_ok);
        text.push_str(&format!(
            "{endpoint} check {}\n",
            if good { "passed" } else { "failed" }
        ));
        (good, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_check_makes_the_component_unready_and_names_itself() {
        let health = Health::default();
        health.set("etcd", Ok(()));
        assert!(health.is_ready());
        health.set("informers", Err("pods are not listed yet".into()));
        assert!(!health.is_ready());
        let (good, text) = health.report("readyz");
        assert!(!good && text.contains("[-]informers failed: pods are not listed yet\n"));
    }
}
