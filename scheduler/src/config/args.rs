//! The arguments of plugins.

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names::qualified_name;
use ferrule_apimachinery::selector::LabelSelector;

use super::fields::Fields;
use crate::affinity::{SpreadConstraint, Unsatisfiable};
use crate::plugins::allocation::{Counted, Resource, Strategy};
use crate::plugins::resources_fit::NodeResourcesFit;
use crate::plugins::spread::PodTopologySpread;
use crate::profile::PluginArgs;

/// The highest score of a point of a shape.
const HIGHEST_OF_SHAPE: i64 = 10;

/// Reads the `args` of one entry of `pluginConfig`.
pub(super) fn read(fields: &mut Fields, plugin: &str, args: &mut PluginArgs) {
    let kind = format!("{plugin}Args");
    let path = fields.path("name");
    let read: fn(&mut Fields, &mut PluginArgs) = match plugin {
        "DefaultPreemption" => preemption,
        "InterPodAffinity" => inter_pod_affinity,
        "NodeAffinity" => node_affinity,
        "NodeResourcesBalancedAllocation" => balanced,
        "NodeResourcesFit" => fit,
        "PodTopologySpread" => spread,
        // Nothing here follows from them.
        "VolumeBinding" | "DynamicResources" => {
            let _ = fields.any("args");
            return;
        }
        "" => return fields.refuse(FieldError::required(&path, "")),
        _ => {
            let _ = fields.any("args");
            return fields.refuse(FieldError::invalid(&path, plugin, "has no arguments"));
        }
    };
    fields.object("args", |fields| {
        let _ = fields.text("apiVersion");
        if let Some(other) = fields.text("kind").filter(|own| *own != kind) {
            let path = fields.path("kind");
            fields.refuse(FieldError::invalid(
                &path,
                other.as_str(),
                "has to match plugin args",
            ));
        }
        read(fields, args);
    });
}

/// A number within bounds; `default` where there is none.
fn within(fields: &mut Fields, name: &str, default: i64, least: i64, most: Option<i64>) -> i64 {
    let number = fields.number(name).unwrap_or(default);
    if number < least || most.is_some_and(|most| number > most) {
        let path = fields.path(name);
        let range = match most {
            Some(most) => format!("not in valid range [{least}, {most}]"),
            None => format!("not in valid range [{least}, inf)"),
        };
        fields.refuse(FieldError::invalid(&path, number, range));
    }
    number
}

fn preemption(fields: &mut Fields, args: &mut PluginArgs) {
    let percentage = within(fields, "minCandidateNodesPercentage", 10, 0, Some(100));
    let absolute = within(fields, "minCandidateNodesAbsolute", 100, 0, None);
    if percentage == 0 && absolute == 0 {
        let names = ["minCandidateNodesPercentage", "minCandidateNodesAbsolute"];
        for (name, other) in [(names[0], names[1]), (names[1], names[0])] {
            let path = fields.path(name);
            let message = format!("cannot be zero at the same time as {other}");
            fields.refuse(FieldError::invalid(&path, 0_i64, message));
        }
    }
    args.preemption.least_percentage = usize::try_from(percentage).unwrap_or(0);
    args.preemption.least_absolute = usize::try_from(absolute).unwrap_or(0);
}

fn inter_pod_affinity(fields: &mut Fields, args: &mut PluginArgs) {
    let own = &mut args.inter_pod_affinity;
    own.hard_weight = within(fields, "hardPodAffinityWeight", 1, 0, Some(100));
    own.ignore_preferred_of_existing = fields
        .boolean("ignorePreferredTermsOfExistingPods")
        .unwrap_or(false);
}

fn node_affinity(fields: &mut Fields, args: &mut PluginArgs) {
    args.node_affinity.added = fields.parsed("addedAffinity").unwrap_or_default();
}

fn resources(fields: &mut Fields, check: impl Fn(i64) -> Option<String>) -> Counted {
    let mut counted: Vec<(Resource, i64)> = Vec::new();
    fields.list("resources", |fields| {
        let name = fields.text("name").unwrap_or_default();
        let weight = match fields.number("weight") {
            None | Some(0) => 1,
            Some(weight) => weight,
        };
        let resource = Resource::named(&name);
        if counted.iter().any(|(own, _)| *own == resource) {
            let path = fields.path("name");
            fields.refuse(FieldError::duplicate(&path, name.as_str()));
        }
        if let Some(message) = check(weight) {
            let path = fields.path("weight");
            fields.refuse(FieldError::invalid(&path, weight, message));
        }
        counted.push((resource, weight));
    });
    if counted.is_empty() {
        return Counted::default();
    }
    Counted(counted)
}

fn balanced(fields: &mut Fields, args: &mut PluginArgs) {
    args.balanced.scored = resources(fields, |weight| {
        (weight != 1).then(|| "must be 1".to_owned())
    });
}

fn label_name(fields: &mut Fields, list: &str, index: usize, name: &str) {
    let errors = qualified_name(name);
    if !errors.is_empty() {
        let path = fields.path(list).index(index);
        fields.refuse(FieldError::invalid(&path, name, errors.join("; ")));
    }
}

fn fit(fields: &mut Fields, args: &mut PluginArgs) {
    let ignored = fields.texts("ignoredResources");
    for (index, name) in ignored.iter().enumerate() {
        label_name(fields, "ignoredResources", index, name);
    }
    let ignored_groups = fields.texts("ignoredResourceGroups");
    for (index, name) in ignored_groups.iter().enumerate() {
        if name.contains('/') {
            let path = fields.path("ignoredResourceGroups").index(index);
            fields.refuse(FieldError::invalid(
                &path,
                &**name,
                "resource group name can't contain '/'",
            ));
        }
        label_name(fields, "ignoredResourceGroups", index, name);
    }
    args.fit = NodeResourcesFit {
        ignored,
        ignored_groups,
        ..NodeResourcesFit::default()
    };
    fields.object("scoringStrategy", |fields| {
        let kind = fields.text("type").unwrap_or_default();
        args.fit.scored = resources(fields, |weight| {
            (!(1..=100).contains(&weight))
                .then(|| "resource weight not in valid range (0, 100]".to_owned())
        });
        let mut shape = None;
        let has_shape = fields.has("requestedToCapacityRatio");
        fields.object("requestedToCapacityRatio", |fields| {
            shape = Some(read_shape(fields));
        });
        let path = fields.path("requestedToCapacityRatio");
        args.fit.strategy = match (kind.as_str(), shape) {
            ("RequestedToCapacityRatio", Some(shape)) => Strategy::RequestedToCapacityRatio(shape),
            ("RequestedToCapacityRatio", None) => {
                fields.refuse(FieldError::required(
                    &path,
                    "must be specified when type is RequestedToCapacityRatio",
                ));
                Strategy::default()
            }
            ("LeastAllocated", _) => Strategy::LeastAllocated,
            ("MostAllocated", _) => Strategy::MostAllocated,
            (other, _) => {
                let path = fields.path("type");
                let known = [
                    "LeastAllocated",
                    "MostAllocated",
                    "RequestedToCapacityRatio",
                ];
                fields.refuse(FieldError::not_supported(&path, other, &known));
                Strategy::default()
            }
        };
        if has_shape && kind != "RequestedToCapacityRatio" {
            fields.refuse(FieldError::forbidden(
                &path,
                "must be nil when type is not RequestedToCapacityRatio",
            ));
        }
    });
}

fn read_shape(fields: &mut Fields) -> Vec<(i64, i64)> {
    let mut shape: Vec<(i64, i64)> = Vec::new();
    fields.list("shape", |fields| {
        let utilization = within(fields, "utilization", 0, 0, Some(100));
        let score = within(fields, "score", 0, 0, Some(HIGHEST_OF_SHAPE));
        if shape.last().is_some_and(|(last, _)| *last >= utilization) {
            let path = fields.path("utilization");
            fields.refuse(FieldError::invalid(
                &path,
                utilization,
                "values must be sorted in increasing order",
            ));
        }
        shape.push((utilization, score));
    });
    if shape.is_empty() {
        let path = fields.path("shape");
        fields.refuse(FieldError::required(
            &path,
            "at least one point must be specified",
        ));
    }
    // A shape scores to 10, a node to 100.
    let scaled = |(at, score): (i64, i64)| (at, score * 100 / HIGHEST_OF_SHAPE);
    shape.into_iter().map(scaled).collect()
}

fn spread(fields: &mut Fields, args: &mut PluginArgs) {
    let kind = fields
        .text("defaultingType")
        .unwrap_or_else(|| "System".to_owned());
    let mut constraints: Vec<SpreadConstraint> = Vec::new();
    fields.list("defaultConstraints", |fields| {
        if let Some(constraint) = constraint(fields) {
            let same = |own: &SpreadConstraint| {
                own.topology_key == constraint.topology_key
                    && own.unsatisfiable == constraint.unsatisfiable
            };
            if constraints.iter().any(same) {
                let path = fields.whole();
                let pair = format!(
                    "{{{}, {:?}}}",
                    constraint.topology_key, constraint.unsatisfiable
                );
                fields.refuse(FieldError::duplicate(&path, pair.as_str()));
            }
            constraints.push(constraint);
        }
    });
    let path = fields.path("defaultingType");
    match kind.as_str() {
        "System" if constraints.is_empty() => args.spread = PodTopologySpread::default(),
        "System" => fields.refuse(FieldError::invalid(
            &path,
            kind.as_str(),
            "when .defaultConstraints are not empty",
        )),
        "List" => {
            args.spread = PodTopologySpread {
                defaults: constraints,
                system: false,
            }
        }
        other => fields.refuse(FieldError::not_supported(&path, other, &["List", "System"])),
    }
}

fn constraint(fields: &mut Fields) -> Option<SpreadConstraint> {
    let max_skew = fields.number("maxSkew").unwrap_or(0);
    if max_skew <= 0 {
        let path = fields.path("maxSkew");
        fields.refuse(FieldError::invalid(
            &path,
            max_skew,
            "not in valid range (0, inf)",
        ));
    }
    let topology_key = fields.text("topologyKey").unwrap_or_default();
    let path = fields.path("topologyKey");
    let errors = qualified_name(&topology_key);
    if topology_key.is_empty() {
        fields.refuse(FieldError::required(&path, "can not be empty"));
    } else if !errors.is_empty() {
        fields.refuse(FieldError::invalid(
            &path,
            topology_key.as_str(),
            errors.join("; "),
        ));
    }
    if fields.any("labelSelector").is_some() {
        let path = fields.path("labelSelector");
        fields.refuse(FieldError::forbidden(
            &path,
            "constraint must not define a selector, as they deduced for each pod",
        ));
    }
    let min_domains = fields.number("minDomains").unwrap_or(1);
    let affinity = fields.text("nodeAffinityPolicy");
    let taints = fields.text("nodeTaintsPolicy");
    let path = fields.path("whenUnsatisfiable");
    let unsatisfiable = match fields.text("whenUnsatisfiable").as_deref() {
        Some("DoNotSchedule") => Unsatisfiable::DoNotSchedule,
        Some("ScheduleAnyway") => Unsatisfiable::ScheduleAnyway,
        None | Some("") => {
            fields.refuse(FieldError::required(&path, "can not be empty"));
            return None;
        }
        Some(other) => {
            let known = ["DoNotSchedule", "ScheduleAnyway"];
            fields.refuse(FieldError::not_supported(&path, other, &known));
            return None;
        }
    };
    Some(SpreadConstraint {
        max_skew,
        topology_key: topology_key.into(),
        unsatisfiable,
        selector: LabelSelector::nothing(),
        min_domains: usize::try_from(min_domains).unwrap_or(1),
        honor_affinity: affinity.as_deref() != Some("Ignore"),
        honor_taints: taints.as_deref() == Some("Honor"),
    })
}
