//! The terms of the leaders: nobody may write with the epoch of a former one.

use std::collections::BTreeMap;

use ferrule_apimachinery::scheme::gvr;
use ferrule_client::leader::Epoch;
use ferrule_client::{At, WriteOptions};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::check::{Broken, LEADERS};
use super::load::{self, Caller};

/// Follows the terms of the leaders, and tries to write with the epoch of each former one.
#[derive(Default)]
pub struct Terms {
    known: BTreeMap<String, Epoch>,
    /// Such writes that were refused.
    pub refused: usize,
    /// Such writes that were taken.
    pub broken: Vec<Broken>,
}

impl Terms {
    /// Reads the leases; where the term is another, tries a write of the one before.
    pub fn look(&mut self, runtime: &Handle, caller: &Caller) {
        for lease in ["kube-scheduler", "kube-controller-manager"] {
            let at = At::of(gvr::LEASES).namespace("kube-system").name(lease);
            let Ok(found) = runtime.block_on(load::in_time(caller.client.get(&at))) else {
                continue;
            };
            let Ok(found) = found.parse::<Value>() else {
                continue;
            };
            let epoch = Epoch {
                namespace: "kube-system".to_owned(),
                lease: lease.to_owned(),
                holder: found["spec"]["holderIdentity"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                transitions: found["spec"]["leaseTransitions"].as_i64().unwrap_or(0),
            };
            let before = self.known.insert(lease.to_owned(), epoch.clone());
            if let Some(before) =
                before.filter(|before| *before != epoch && !before.holder.is_empty())
            {
                self.try_former(runtime, caller, &before);
            }
        }
    }

    fn try_former(&mut self, runtime: &Handle, caller: &Caller, former: &Epoch) {
        let at = At::of(gvr::CONFIG_MAPS).namespace(&*caller.namespace);
        let name = format!("former-{}-{}", former.lease, former.transitions);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
        let client = caller.client.with_epoch(former);
        let options = WriteOptions::default();
        match runtime.block_on(load::in_time(client.create(
            &at,
            object.to_string(),
            &options,
        ))) {
            Ok(_) => self.broken.push(Broken::new(
                LEADERS,
                format!("a write with the epoch {former} was taken"),
            )),
            Err(status) if status.message.contains("epoch is over") => self.refused += 1,
            Err(status) => println!(
                "          a write with the epoch {former}: {}",
                status.message
            ),
        }
    }
}
