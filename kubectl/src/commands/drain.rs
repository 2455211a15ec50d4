//! `kubectl drain`: cordon, then evict or delete the pods, and wait until they are gone.

use std::collections::HashMap;
use std::time::Duration;

use ferrule_apimachinery::duration;
use ferrule_apimachinery::selector::LabelSelector;
use ferrule_apimachinery::status::{Reason, Status};
use ferrule_client::WriteOptions;
use ferrule_client::client::{DeleteOptions, Propagation};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::evict::{self, DaemonSet, Judged, Rules};
use super::select;
use super::write::Report;
use super::{node, pods, print, warn, write};
use crate::args::{DrainArgs, DryRun};
use crate::error::{Error, Result, aggregate};
use crate::resources::at;
use crate::session::Session;

/// Between two attempts to evict a pod that its budget protects.
const RETRY: Duration = Duration::from_secs(5);
/// Between two looks at whether a pod is gone.
const POLL: Duration = Duration::from_secs(1);

/// Runs the command.
pub async fn run(session: &Session, args: &DrainArgs) -> Result<()> {
    if LabelSelector::parse(&args.pod_selector).is_err() {
        return Err(Error::local(
            "--pod-selector=<pod_selector> must be a valid label selector",
        ));
    }
    let nodes = node::nodes(session, &args.nodes, "drain").await?;
    let dry_run = args.nodes.dry_run;
    node::switch_all(session, &nodes, true, dry_run).await?;
    let report = Report::plain(dry_run);
    let mut failed: Vec<(&str, Vec<Error>)> = Vec::new();
    for one in &nodes {
        let drain = Drain {
            session,
            args,
            report: &report,
            node: &one.name,
        };
        match drain.run().await {
            Ok(()) => report.print(&one.object, &one.resource, "drained")?,
            Err(errors) => {
                warn(&format!(
                    "error: unable to drain node {:?} due to error: {}, continuing command...",
                    one.name,
                    aggregate(&errors)
                ));
                failed.push((&one.name, errors));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    warn("There are pending nodes to be drained:");
    failed
        .iter()
        .for_each(|(node, _)| warn(&format!(" {node}")));
    let texts: Vec<String> = match failed.as_slice() {
        [(_, errors)] => errors.iter().map(Error::message).collect(),
        several => several
            .iter()
            .map(|(_, errors)| aggregate(errors))
            .collect(),
    };
    Err(Error::Plain(texts.join("\n")))
}

/// The drain of one node.
struct Drain<'a> {
    session: &'a Session,
    args: &'a DrainArgs,
    report: &'a Report,
    node: &'a str,
}

impl Drain<'_> {
    async fn run(&self) -> std::result::Result<(), Vec<Error>> {
        let judged = self.judged().await.map_err(|error| vec![error])?;
        if !judged.refusals.is_empty() {
            return Err(judged.refusals);
        }
        if !judged.warnings.is_empty() {
            warn(&format!("Warning: {}", judged.warnings));
        }
        if self.report.dry_run == DryRun::Client {
            for pod in &judged.remove {
                let (namespace, name) = place(pod);
                let _ = print(&format!("evicting pod {namespace}/{name} (dry run)\n"));
            }
            return Ok(());
        }
        let errors = match self.args.disable_eviction {
            false => self.evict(&judged.remove).await,
            true => self
                .delete(&judged.remove)
                .await
                .err()
                .into_iter()
                .collect(),
        };
        if errors.is_empty() {
            return Ok(());
        }
        self.pending(&errors).await;
        Err(errors)
    }

    /// Says which pods are still there after a failure.
    async fn pending(&self, errors: &[Error]) {
        let refusals = match self.judged().await {
            Ok(judged) => {
                if !judged.remove.is_empty() {
                    warn(&format!(
                        "There are pending pods in node {:?} when an error occurred: {}",
                        self.node,
                        aggregate(errors)
                    ));
                }
                for pod in &judged.remove {
                    warn(&format!("pod/{}", place(pod).1));
                }
                judged.refusals
            }
            Err(error) => vec![error],
        };
        if !refusals.is_empty() {
            warn(&format!(
                "Following errors occurred while getting the list of pods to delete:\n{}",
                aggregate(&refusals)
            ));
        }
    }

    async fn judged(&self) -> Result<Judged> {
        let resources = self.session.resources().await?;
        let labels = (!self.args.pod_selector.is_empty()).then_some(&*self.args.pod_selector);
        let fields = format!("spec.nodeName={}", self.node);
        let options = select::options(labels, Some(&fields));
        let pods = select::list(self.session, resources.find("pods")?, "", &options).await?;
        let rules = Rules {
            force: self.args.force,
            ignore_daemon_sets: self.args.ignore_daemonsets,
            delete_local_data: self.args.delete_emptydir_data,
            skip_after: self.args.skip_wait_for_delete_timeout,
        };
        let now = jiff::Timestamp::now();
        let mut daemon_sets: HashMap<(String, String), DaemonSet> = HashMap::new();
        let mut verdicts = Vec::with_capacity(pods.len());
        for pod in pods {
            let owner = evict::controller(&pod).filter(|own| own["kind"] == "DaemonSet");
            let daemon_set = match owner {
                None => None,
                Some(owner) => {
                    let key = (place(&pod).0.to_owned(), pods::name(owner).to_owned());
                    if !daemon_sets.contains_key(&key) {
                        let found = self.daemon_set(&key.0, &key.1).await;
                        daemon_sets.insert(key.clone(), found);
                    }
                    daemon_sets.get(&key)
                }
            };
            let verdict = evict::judge(&pod, daemon_set, rules, now);
            verdicts.push((pod, verdict));
        }
        Ok(evict::sort(verdicts))
    }

    async fn daemon_set(&self, namespace: &str, name: &str) -> DaemonSet {
        let resources = self.session.resources().await?;
        // A server without DaemonSets has none of this name.
        let Ok(resource) = resources.find("daemonsets") else {
            return Err(Status::not_found("apps", "daemonsets", name).into());
        };
        let place = at(resource, namespace).name(name);
        self.session.client.get(&place).await?;
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let limit = self.args.timeout;
        (!limit.is_zero()).then(|| Instant::now() + limit)
    }

    fn late(&self) -> String {
        format!(
            "global timeout reached: {}",
            duration::format(self.args.timeout)
        )
    }

    async fn evict(&self, pods: &[Value]) -> Vec<Error> {
        let deadline = self.deadline();
        let evictions = pods.iter().map(|pod| self.evict_one(pod, deadline));
        let results = futures::future::join_all(evictions).await;
        results.into_iter().filter_map(Result::err).collect()
    }

    /// Evicts one pod, as soon as its budget allows, and waits for its end.
    async fn evict_one(&self, pod: &Value, deadline: Option<Instant>) -> Result<()> {
        let (namespace, name) = place(pod);
        let failed = |why: &str| {
            Err(Error::Plain(format!(
                "error when evicting pods/{name:?} -n {namespace:?}: {why}"
            )))
        };
        loop {
            let suffix = write::suffix(self.report.dry_run);
            print(&format!("evicting pod {namespace}/{name}{suffix}\n"))?;
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return failed(&self.late());
            }
            let Err(status) = self.ask(namespace, name).await else {
                break;
            };
            if status.is_not_found() {
                return Ok(());
            }
            let terminating = status.reason == Reason::Forbidden && namespace_ends(&status);
            let retry = duration::format(RETRY);
            if status.reason == Reason::TooManyRequests {
                warn(&format!(
                    "error when evicting pods/{name:?} -n {namespace:?} (will retry after {retry}): {}",
                    status.message
                ));
            } else if terminating && self.is_deleted(namespace, name).await {
                break;
            } else if terminating {
                warn(&format!(
                    "error when evicting pod {name:?} from terminating namespace {namespace:?} (will retry after {retry}): {}",
                    status.message
                ));
            } else {
                return failed(&status.message);
            }
            tokio::time::sleep(RETRY).await;
        }
        if self.report.dry_run == DryRun::Server {
            return Ok(());
        }
        self.gone(pod, deadline, "evicted").await.map_err(|error| {
            Error::Plain(format!(
                "error when waiting for pod {name:?} in namespace {namespace:?} to terminate: {}",
                error.message()
            ))
        })
    }

    async fn ask(&self, namespace: &str, name: &str) -> std::result::Result<(), Status> {
        let mut options = json!({});
        if self.args.grace_period >= 0 {
            options["gracePeriodSeconds"] = json!(self.args.grace_period);
        }
        if self.report.dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": options,
        });
        let place = self
            .pod_place(namespace, name)
            .await?
            .subresource("eviction");
        let options = WriteOptions {
            dry_run: self.report.dry_run == DryRun::Server,
            ..WriteOptions::default()
        };
        let client = &self.session.client;
        client
            .create(&place, eviction.to_string(), &options)
            .await
            .map(drop)
    }

    async fn pod_place(
        &self,
        namespace: &str,
        name: &str,
    ) -> std::result::Result<ferrule_client::At, Status> {
        let resources = self.session.resources().await;
        let resources = resources.map_err(|error| Status::internal(error.message()))?;
        let pods = resources.find("pods");
        let pods = pods.map_err(|error| Status::internal(error.message()))?;
        Ok(at(pods, namespace).name(name))
    }

    async fn is_deleted(&self, namespace: &str, name: &str) -> bool {
        match self.read(namespace, name).await {
            Ok(pod) => pod["metadata"]["deletionTimestamp"].is_string(),
            Err(_) => false,
        }
    }

    async fn read(&self, namespace: &str, name: &str) -> std::result::Result<Value, Status> {
        let place = self.pod_place(namespace, name).await?;
        self.session.client.get(&place).await?.parse()
    }

    async fn delete(&self, pods: &[Value]) -> Result<()> {
        let options = DeleteOptions {
            grace_period_seconds: u32::try_from(self.args.grace_period).ok().map(Into::into),
            propagation: Some(Propagation::Background),
            dry_run: self.report.dry_run == DryRun::Server,
            ..DeleteOptions::default()
        };
        for pod in pods {
            let (namespace, name) = place(pod);
            let place = self.pod_place(namespace, name).await?;
            match self.session.client.delete(&place, &options).await {
                Err(status) if !status.is_not_found() => return Err(status.into()),
                _ => {}
            }
        }
        if self.report.dry_run == DryRun::Server {
            return Ok(());
        }
        let deadline = self.deadline();
        let waits = pods.iter().map(|pod| self.gone(pod, deadline, "deleted"));
        futures::future::try_join_all(waits).await.map(drop)
    }

    /// Waits until a pod is gone, and says so.
    async fn gone(&self, pod: &Value, deadline: Option<Instant>, done: &str) -> Result<()> {
        let (namespace, name) = place(pod);
        let resources = self.session.resources().await?;
        let skip_after = self.args.skip_wait_for_delete_timeout;
        loop {
            match self.read(namespace, name).await {
                Ok(now) if now["metadata"]["uid"] == pod["metadata"]["uid"] => {
                    if evict::is_overdue(&now, skip_after, jiff::Timestamp::now()) {
                        return print(&format!(
                            "pod {name:?} has DeletionTimestamp older than {skip_after} seconds, skipping\n"
                        ));
                    }
                }
                Err(status) if !status.is_not_found() => {
                    let failed = match done {
                        "evicted" => "eviction failed",
                        _ => "deletion failed",
                    };
                    self.report.print(pod, resources.find("pods")?, failed)?;
                    return Err(status.into());
                }
                _ => return self.report.print(pod, resources.find("pods")?, done),
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::Local(self.late()));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Namespace and name.
fn place(pod: &Value) -> (&str, &str) {
    let metadata = &pod["metadata"];
    (
        metadata["namespace"].as_str().unwrap_or_default(),
        pods::name(metadata),
    )
}

fn namespace_ends(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}
