//! Eviction: a pod is deleted unless its disruption budget forbids that now.
//!
//! ```text
//!  evict ─┬─ ended, pending or being deleted ──────────────────────────> delete
//!         └─ running ─┬─ no budget ────────────────────────────────────> delete
//!                     ├─ two budgets ──────────────────────────────────> 500
//!                     └─ one budget ─┬─ unhealthy pod it lets go ──────> delete, if it did not change
//!                                    ├─ a disruption is left ── take ──> delete
//!                                    └─ otherwise ─────────────────────> 429
//! ```
//!
//! What is left of a budget is taken before the pod is deleted: a failure in between costs a
//! disruption, which the budget's controller gives back, and never permits one too many.

use ferrule_apimachinery::status::{Cause, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::allocation::World;
use super::change::{Current, Step};
use super::effects::Effects;
use super::metadata::{check_namespace_matches, meta_text, metadata, seconds, value_of};
use super::owners::Writes;
use super::pods::{done, set_condition};
use super::write::Part;
use super::{Answer, Api, Body, Call, DeleteOptions, Target, WriteOptions, errors};
use crate::resources::selector;
use crate::resources::tree::Tree;
use crate::store::ReadAt;

/// Evictions that a budget may have granted and whose pods its controller has not yet seen go.
const MOST_UNCONFIRMED: usize = 2000;
/// When to ask again while the budget's controller has not seen its newest specification.
const RETRY_SECONDS: i32 = 10;
const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

impl Api {
    /// Evicts a pod: deletes it with a condition that says why, so that its owner replaces it.
    pub async fn evict(
        &self,
        call: &Call,
        target: &Target,
        body: Body<'_>,
        options: &WriteOptions,
    ) -> Result<Answer, Status> {
        let mut eviction =
            self.decode_other(body, "policy/v1", "Eviction", "policy/v1.Eviction")?;
        check_namespace_matches(target, &mut eviction)?;
        if meta_text(&eviction, "name") != target.name {
            return Err(Status::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        let delete = DeleteOptions::read(&eviction["deleteOptions"])?;
        let delete = DeleteOptions {
            dry_run: options.dry_run || delete.dry_run,
            ..delete
        };
        let pod = Target {
            subresource: String::new(),
            ..target.clone()
        };
        // Whether budgets count is decided on the very object that is deleted.
        let mut guarded = None;
        let mut plan = |current: Option<&Current>, world: &World| {
            let current = current.ok_or_else(|| errors::not_found(&pod.resource, &pod.name))?;
            guarded = needs_budget(&current.value)
                .then(|| (current.value.clone(), current.stored.revision));
            match guarded {
                Some(_) => Ok(Step::Keep),
                None => self.plan_eviction(&pod, &delete, current, world),
            }
        };
        let outcome = self.change(call, &pod, delete.dry_run, &mut plan).await?;
        let Some((value, revision)) = guarded else {
            return Ok(done(outcome.answer().revision));
        };
        let budgets = self.budgets_of(call, &pod, &value).await?;
        let unchanged = match budgets.as_slice() {
            [] => None,
            [budget] if lets_go(budget, &value) => Some((budget_name(budget), revision)),
            [budget] => {
                self.take_disruption(call, &pod, budget, delete.dry_run)
                    .await?;
                None
            }
            _ => {
                return Err(Status::bare_error(
                    "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
                ));
            }
        };
        let mut plan = |current: Option<&Current>, world: &World| {
            let current = current.ok_or_else(|| errors::not_found(&pod.resource, &pod.name))?;
            if let (Some((budget, revision)), None) = (&unchanged, &delete.resource_version)
                && current.stored.revision != *revision
            {
                return Err(not_yet_processed(budget));
            }
            self.plan_eviction(&pod, &delete, current, world)
        };
        let outcome = self.change(call, &pod, delete.dry_run, &mut plan).await?;
        Ok(done(outcome.answer().revision))
    }

    fn plan_eviction(
        &self,
        pod: &Target,
        delete: &DeleteOptions,
        current: &Current,
        world: &World,
    ) -> Result<Step, Status> {
        let mut value = current.value.clone();
        let condition = json!({
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "Eviction API: evicting",
            "lastProbeTime": null,
            "lastTransitionTime": seconds(world.now),
        });
        set_condition(&mut value, condition);
        let evicted = Current {
            stored: current.stored.clone(),
            managed: current.managed.clone(),
            value,
        };
        match self.plan_delete(pod, delete, &evicted, world)? {
            // It ends already; that it was evicted is said all the same.
            Step::Keep => {
                let mut value = evicted.value;
                metadata(&mut value).remove("resourceVersion");
                Ok(Step::Put(value, Effects::default()))
            }
            step => Ok(step),
        }
    }

    /// The budgets that select the pod.
    async fn budgets_of(
        &self,
        call: &Call,
        pod: &Target,
        value: &Value,
    ) -> Result<Vec<Value>, Status> {
        let resource = self.budgets()?;
        let snapshot = self.read(&resource.resource, ReadAt::Latest, call).await?;
        let labels = value.at("metadata").at("labels");
        let mut found = Vec::new();
        for (_, stored) in snapshot.iter_from(Some(&pod.namespace), None) {
            let budget = value_of(stored)?;
            let selects = budget.at("spec").at("selector");
            if selector::is_usable(selects) && selector::matches(selects, labels) {
                found.push(budget);
            }
        }
        Ok(found)
    }

    /// Takes one of the disruptions that a budget allows.
    async fn take_disruption(
        &self,
        call: &Call,
        pod: &Target,
        budget: &Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        let target = Target {
            namespace: pod.namespace.clone(),
            subresource: "status".to_owned(),
            ..self.budgets()?.named(&budget_name(budget))
        };
        let mut plan = |current: Option<&Current>, world: &World| {
            let current =
                current.ok_or_else(|| errors::not_found(&target.resource, &target.name))?;
            let taken = with_one_less(&current.value, &pod.name, world.now)?;
            self.plan_update(
                call,
                &target,
                Part::Status,
                taken,
                current,
                world,
                Writes::Unowned,
            )
        };
        self.change(call, &target, dry_run, &mut plan)
            .await
            .map(drop)
    }

    fn budgets(&self) -> Result<Target, Status> {
        let resource = self
            .0
            .scheme
            .lookup("policy", "v1", "poddisruptionbudgets")
            .ok_or_else(Status::no_such_resource)?;
        Ok(Target {
            resource: resource.clone(),
            namespace: String::new(),
            name: String::new(),
            subresource: String::new(),
        })
    }
}

fn budget_name(budget: &Value) -> String {
    meta_text(budget, "name").to_owned()
}

/// Whether a pod still serves, so that its budget has a say.
fn needs_budget(pod: &Value) -> bool {
    let ended_or_new = ["Succeeded", "Failed", "Pending"];
    !ended_or_new.contains(&pod.at("status").text("phase"))
        && meta_text(pod, "deletionTimestamp").is_empty()
}

/// Whether a budget lets an unhealthy pod go without taking a disruption.
fn lets_go(budget: &Value, pod: &Value) -> bool {
    let mut conditions = pod.at("status").items("conditions").iter();
    if conditions.any(|own| own.text("type") == "Ready" && own.text("status") == "True") {
        return false;
    }
    if budget.at("spec").text("unhealthyPodEvictionPolicy") == "AlwaysAllow" {
        return true;
    }
    let status = budget.at("status");
    let desired = status.int("desiredHealthy");
    desired > 0 && status.int("currentHealthy") >= desired
}

fn too_many(why: String, seconds: i32) -> Status {
    let mut status = Status::too_many_requests(REFUSAL, seconds);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "DisruptionBudget".to_owned(),
            message: why,
            field: String::new(),
        });
    }
    status
}

fn not_yet_processed(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    too_many(why, RETRY_SECONDS)
}

/// The budget after a pod's eviction, or why it allows none.
fn with_one_less(budget: &Value, pod: &str, now: Timestamp) -> Result<Value, Status> {
    let name = budget_name(budget);
    let status = budget.at("status");
    if status.int("observedGeneration") < budget.at("metadata").int("generation") {
        return Err(not_yet_processed(&name));
    }
    // Upstream writes the singular here.
    let forbid = |why: &str| {
        Err(Status::forbidden(
            "policy",
            "poddisruptionbudget",
            &name,
            why,
        ))
    };
    let left = status.int("disruptionsAllowed");
    if left < 0 {
        return forbid("pdb disruptions allowed is negative");
    }
    if status.entries("disruptedPods").count() > MOST_UNCONFIRMED {
        return forbid(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        );
    }
    if left == 0 {
        return Err(too_many(why_none_is_left(&name, status), 0));
    }
    let mut new = budget.clone();
    let now = seconds(now);
    new["status"]["disruptionsAllowed"] = (left - 1).into();
    new["status"]["disruptedPods"][pod] = now.as_str().into();
    if left == 1 {
        set_none_allowed(&mut new["status"], &now);
    }
    Ok(new)
}

fn why_none_is_left(name: &str, status: &Value) -> String {
    let (desired, current) = (status.int("desiredHealthy"), status.int("currentHealthy"));
    let said = status
        .items("conditions")
        .iter()
        .find(|own| own.text("type") == "DisruptionAllowed")
        .filter(|own| own.text("status") == "False" && !own.text("message").is_empty())
        .map(|own| (own.text("reason"), own.text("message")));
    match said {
        // The counts are not to be trusted then.
        Some(("SyncFailed", message)) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
        ),
        _ if current <= desired => format!(
            "The disruption budget {name} needs {desired} healthy pods and has {current} currently"
        ),
        Some((reason, message)) => format!(
            "The disruption budget {name} does not allow evicting pods currently ({reason}): {message}"
        ),
        None => format!("The disruption budget {name} does not allow evicting pods currently"),
    }
}

/// The condition that goes with a budget that is used up.
fn set_none_allowed(status: &mut Value, now: &str) {
    let mut condition = json!({
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "lastTransitionTime": now,
        "observedGeneration": status.int("observedGeneration"),
    });
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else {
        return;
    };
    match conditions
        .iter_mut()
        .find(|own| own["type"] == condition["type"])
    {
        Some(own) => {
            if own["status"] == condition["status"] {
                condition["lastTransitionTime"] = own["lastTransitionTime"].take();
            }
            *own = condition;
        }
        None => conditions.push(condition),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T00:00:00Z";

    fn budget(status: Value) -> Value {
        json!({ "metadata": { "name": "b", "generation": 2 }, "spec": {}, "status": status })
    }

    #[test]
    fn ended_new_and_ending_pods_go_without_a_budget() {
        for (phase, ending, expected) in [
            ("Running", false, true),
            ("Unknown", false, true),
            ("Running", true, false),
            ("Pending", false, false),
            ("Succeeded", false, false),
            ("Failed", false, false),
        ] {
            let mut pod = json!({ "metadata": {}, "status": { "phase": phase } });
            if ending {
                pod["metadata"]["deletionTimestamp"] = NOW.into();
            }
            assert_eq!(needs_budget(&pod), expected, "{phase} {ending}");
        }
    }

    #[test]
    fn an_unhealthy_pod_goes_when_the_others_suffice_or_the_budget_does_not_mind() {
        for (ready, policy, current, desired, expected) in [
            ("True", "AlwaysAllow", 3, 3, false),
            ("False", "AlwaysAllow", 0, 3, true),
            ("False", "IfHealthyBudget", 2, 3, false),
            ("False", "IfHealthyBudget", 3, 3, true),
            ("False", "", 3, 3, true),
            ("False", "", 2, 3, false),
            ("False", "", 0, 0, false),
            ("", "", 3, 3, true),
        ] {
            let mut pod = json!({ "status": {} });
            if !ready.is_empty() {
                pod["status"]["conditions"] = json!([{ "type": "Ready", "status": ready }]);
            }
            let mut budget =
                budget(json!({ "currentHealthy": current, "desiredHealthy": desired }));
            budget["spec"]["unhealthyPodEvictionPolicy"] = policy.into();
            assert_eq!(
                lets_go(&budget, &pod),
                expected,
                "{ready} {policy} {current}/{desired}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_the_budget_lacks() {
        let many: serde_json::Map<String, Value> = (0..=MOST_UNCONFIRMED)
            .map(|number| (format!("p{number}"), NOW.into()))
            .collect();
        let says = |reason: &str, message: &str| json!([{ "type": "DisruptionAllowed", "status": "False", "reason": reason, "message": message }]);
        let cases = [
            (
                json!({ "observedGeneration": 1, "disruptionsAllowed": 1 }),
                429,
                "The disruption budget b is still being processed by the server.",
                10,
            ),
            (
                json!({ "observedGeneration": 2, "desiredHealthy": 3, "currentHealthy": 3 }),
                429,
                "The disruption budget b needs 3 healthy pods and has 3 currently",
                0,
            ),
            (
                json!({ "observedGeneration": 2, "conditions": says("SyncFailed", "found no controllers") }),
                429,
                "The disruption budget b does not allow evicting pods currently because it failed sync: found no controllers",
                0,
            ),
            (
                json!({ "observedGeneration": 2, "currentHealthy": 4, "desiredHealthy": 3, "conditions": says("Other", "so") }),
                429,
                "The disruption budget b does not allow evicting pods currently (Other): so",
                0,
            ),
            (
                json!({ "observedGeneration": 2, "currentHealthy": 4, "desiredHealthy": 3 }),
                429,
                "The disruption budget b does not allow evicting pods currently",
                0,
            ),
            (
                json!({ "observedGeneration": 2, "disruptionsAllowed": -1 }),
                403,
                "poddisruptionbudget.policy \"b\" is forbidden: pdb disruptions allowed is negative",
                0,
            ),
            (
                json!({ "observedGeneration": 2, "disruptionsAllowed": 1, "disruptedPods": many }),
                403,
                "poddisruptionbudget.policy \"b\" is forbidden: DisruptedPods map too big - too many evictions not confirmed by PDB controller",
                0,
            ),
        ];
        for (status, code, why, seconds) in cases {
            let found = with_one_less(&budget(status), "p", NOW.parse().unwrap()).unwrap_err();
            assert_eq!(found.code, code, "{why}");
            let details = found.details.unwrap();
            assert_eq!(details.retry_after_seconds, seconds, "{why}");
            if code == 429 {
                assert_eq!(found.message, REFUSAL);
                assert_eq!(details.causes[0].reason, "DisruptionBudget");
                assert_eq!(details.causes[0].message, why);
            } else {
                assert_eq!(found.message, why);
            }
        }
    }

    #[test]
    fn the_last_disruption_leaves_a_budget_that_allows_none() {
        let before = budget(json!({
            "observedGeneration": 2,
            "disruptionsAllowed": 2,
            "conditions": [{
                "type": "DisruptionAllowed", "status": "True", "reason": "SufficientPods", "message": "",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }],
        }));
        let once = with_one_less(&before, "p", NOW.parse().unwrap()).unwrap();
        assert_eq!(once["status"]["disruptionsAllowed"], 1);
        assert_eq!(once["status"]["disruptedPods"], json!({ "p": NOW }));
        assert_eq!(once["status"]["conditions"], before["status"]["conditions"]);
        let twice = with_one_less(&once, "q", NOW.parse().unwrap()).unwrap();
        assert_eq!(twice["status"]["disruptionsAllowed"], 0);
        assert_eq!(
            twice["status"]["conditions"],
            json!([{
                "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
                "lastTransitionTime": NOW, "observedGeneration": 2,
            }])
        );
        assert!(with_one_less(&twice, "r", NOW.parse().unwrap()).is_err());
    }
}
