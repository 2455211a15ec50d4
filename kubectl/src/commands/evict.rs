//! Which pods of a node a drain removes, and what it says of the others.

use serde_json::Value;

use super::pods::name;
use crate::error::Error;

const MIRROR: &str = "kubernetes.io/config.mirror";

/// What a drain may do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Pods without a controller, or whose controller is gone, are removed.
    pub force: bool,
    /// Pods of DaemonSets stay, without a word.
    pub ignore_daemon_sets: bool,
    /// Pods with emptyDir volumes are removed.
    pub delete_local_data: bool,
    /// Pods that have been terminating for more than this many seconds do not count.
    pub skip_after: i64,
}

/// What becomes of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is removed; perhaps with a warning.
    Remove(Option<&'static str>),
    /// It stays; perhaps with a warning.
    Stay(Option<&'static str>),
    /// It forbids the drain.
    Refuse(String),
}

/// Whether a pod's DaemonSet is there; the error when it is not.
pub type DaemonSet = std::result::Result<(), Error>;

/// The controller of a pod.
pub fn controller(pod: &Value) -> Option<&Value> {
    let mut owners = pod["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten();
    owners.find(|own| own["controller"] == true)
}

/// Whether a pod was told to end so long ago that nobody waits for it.
pub fn is_overdue(pod: &Value, skip_after: i64, now: jiff::Timestamp) -> bool {
    let since = pod["metadata"]["deletionTimestamp"].as_str();
    let since = since.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    skip_after > 0 && since.is_some_and(|since| now.as_second() - since.as_second() > skip_after)
}

/// The verdict on a pod. `daemon_set` says of a DaemonSet's pod whether its owner is there.
pub fn judge(
    pod: &Value,
    daemon_set: Option<&DaemonSet>,
    rules: Rules,
    now: jiff::Timestamp,
) -> Verdict {
    let ended = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if is_overdue(pod, rules.skip_after, now) {
        return Verdict::Stay(None);
    }
    if let Some(daemon_set) = daemon_set.filter(|_| !ended) {
        match daemon_set {
            Ok(()) if rules.ignore_daemon_sets => {
                return Verdict::Stay(Some("ignoring DaemonSet-managed Pods"));
            }
            Ok(()) => {
                return Verdict::Refuse(
                    "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)".to_owned(),
                );
            }
            Err(error) if error.is_not_found() && rules.force => {}
            Err(error) => return Verdict::Refuse(error.message()),
        }
    }
    if !pod["metadata"]["annotations"][MIRROR].is_null() {
        return Verdict::Stay(None);
    }
    if ended {
        return Verdict::Remove(None);
    }
    let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    if !rules.delete_local_data && volumes.any(|volume| volume["emptyDir"].is_object()) {
        return Verdict::Refuse(
            "Pods with local storage (use --delete-emptydir-data to override)".to_owned(),
        );
    }
    match controller(pod) {
        Some(_) => Verdict::Remove(None),
        None if rules.force => Verdict::Remove(Some("deleting Pods that declare no controller")),
        None => Verdict::Refuse(
            "cannot delete Pods that declare no controller (use --force to override)".to_owned(),
        ),
    }
}

/// The verdicts on all pods of a node.
#[derive(Debug, Default)]
pub struct Judged {
    /// The pods that are removed.
    pub remove: Vec<Value>,
    /// Warnings, in one line.
    pub warnings: String,
    /// Why the drain may not begin.
    pub refusals: Vec<Error>,
}

/// Sorts pods by their verdicts, and gathers what is said of them by reason.
pub fn sort(pods: Vec<(Value, Verdict)>) -> Judged {
    let mut judged = Judged::default();
    let (mut warnings, mut refusals) = (Groups::default(), Groups::default());
    for (pod, verdict) in pods {
        let metadata = &pod["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let shown = format!("{namespace}/{}", name(metadata));
        match verdict {
            Verdict::Remove(said) => {
                warnings.add(said, shown);
                judged.remove.push(pod);
            }
            Verdict::Stay(said) => warnings.add(said, shown),
            Verdict::Refuse(why) => {
                let why = match why.to_lowercase().starts_with("cannot delete") {
                    true => why,
                    false => format!("cannot delete {why}"),
                };
                refusals.add(Some(&why), shown);
            }
        }
    }
    judged.warnings = warnings.texts().join("; ");
    judged.refusals = refusals.texts().into_iter().map(Error::Plain).collect();
    judged
}

/// Pods by what is said of them.
#[derive(Default)]
struct Groups(Vec<(String, Vec<String>)>);

impl Groups {
    fn add(&mut self, said: Option<&str>, pod: String) {
        let Some(said) = said else { return };
        match self.0.iter_mut().find(|(own, _)| own == said) {
            Some((_, pods)) => pods.push(pod),
            None => self.0.push((said.to_owned(), vec![pod])),
        }
    }

    fn texts(&self) -> Vec<String> {
        let text = |(said, pods): &(String, Vec<String>)| format!("{said}: {}", pods.join(", "));
        self.0.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use ferrule_apimachinery::status::Status;
    use serde_json::json;

    use super::*;

    fn pod(name: &str, more: &Value) -> Value {
        let mut pod =
            json!({"metadata": {"namespace": "d", "name": name}, "status": {"phase": "Running"}});
        for (path, value) in more.as_object().into_iter().flatten() {
            *pod.pointer_mut(path).unwrap() = value.clone();
        }
        pod
    }

    fn owned(name: &str, kind: &str) -> Value {
        let mut pod = pod(name, &Value::Null);
        pod["metadata"]["ownerReferences"] =
            json!([{"kind": kind, "name": "x", "controller": true}]);
        pod
    }

    #[test]
    fn each_pod_gets_its_verdict() {
        let now: jiff::Timestamp = "2026-01-01T00:01:40Z".parse().unwrap();
        let none = Rules::default();
        let force = Rules {
            force: true,
            ..none
        };
        let ignore = Rules {
            ignore_daemon_sets: true,
            ..none
        };
        let data = Rules {
            delete_local_data: true,
            ..none
        };
        let skip = Rules {
            skip_after: 30,
            ..none
        };
        let mut local = owned("local", "ReplicaSet");
        local["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        let mut ended = pod("ended", &json!({"/status/phase": "Succeeded"}));
        ended["spec"]["volumes"] = json!([{"name": "v", "emptyDir": {}}]);
        let mut mirror = pod("mirror", &Value::Null);
        mirror["metadata"]["annotations"] = json!({MIRROR: "x"});
        let mut old = owned("old", "ReplicaSet");
        old["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:01:00Z");
        let (there, gone): (DaemonSet, DaemonSet) = (
            Ok(()),
            Err(Status::not_found("apps", "daemonsets", "x").into()),
        );
        let remove = Verdict::Remove(None);
        let unmanaged = "cannot delete Pods that declare no controller (use --force to override)";
        let local_storage = "Pods with local storage (use --delete-emptydir-data to override)";
        let daemons = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
        let refuse = |why: &str| Verdict::Refuse(why.to_owned());
        let ds = owned("ds", "DaemonSet");
        for (what, pod, daemon_set, rules, expected) in [
            (
                "managed",
                owned("a", "ReplicaSet"),
                None,
                none,
                remove.clone(),
            ),
            (
                "unmanaged",
                pod("a", &Value::Null),
                None,
                none,
                refuse(unmanaged),
            ),
            (
                "forced",
                pod("a", &Value::Null),
                None,
                force,
                Verdict::Remove(Some("deleting Pods that declare no controller")),
            ),
            ("local", local.clone(), None, none, refuse(local_storage)),
            ("local data", local, None, data, remove.clone()),
            ("ended", ended, None, none, remove.clone()),
            ("mirror", mirror, None, none, Verdict::Stay(None)),
            ("daemon", ds.clone(), Some(&there), none, refuse(daemons)),
            (
                "daemon ignored",
                ds.clone(),
                Some(&there),
                ignore,
                Verdict::Stay(Some("ignoring DaemonSet-managed Pods")),
            ),
            (
                "orphaned daemon",
                ds.clone(),
                Some(&gone),
                ignore,
                refuse("daemonsets.apps \"x\" not found"),
            ),
            (
                "orphaned daemon forced",
                ds,
                Some(&gone),
                force,
                remove.clone(),
            ),
            ("overdue", old.clone(), None, skip, Verdict::Stay(None)),
            ("overdue, not skipped", old, None, none, remove),
        ] {
            assert_eq!(judge(&pod, daemon_set, rules, now), expected, "{what}");
        }
    }

    #[test]
    fn what_is_said_is_gathered_by_reason() {
        let none = &Value::Null;
        let judged = sort(vec![
            (pod("a", none), Verdict::Stay(Some("ignoring"))),
            (pod("b", none), Verdict::Refuse("Pods of a kind".to_owned())),
            (pod("c", none), Verdict::Stay(Some("ignoring"))),
            (pod("e", none), Verdict::Remove(Some("deleting"))),
            (
                pod("f", none),
                Verdict::Refuse("cannot delete Pods".to_owned()),
            ),
            (pod("g", none), Verdict::Refuse("Pods of a kind".to_owned())),
        ]);
        assert_eq!(judged.warnings, "ignoring: d/a, d/c; deleting: d/e");
        assert_eq!(
            crate::error::aggregate(&judged.refusals),
            "[cannot delete Pods of a kind: d/b, d/g, cannot delete Pods: d/f]"
        );
        assert_eq!(judged.remove.len(), 1);
    }
}
