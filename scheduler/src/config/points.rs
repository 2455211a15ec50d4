//! Which plugins are enabled at which point: upstream's defaults, and what a profile changes.

use ferrule_apimachinery::field::FieldError;

use super::fields::Fields;
use crate::profile::Points;

/// Upstream's points, as their fields are called.
const POINTS: [&str; 12] = [
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
];

/// Upstream's plugins in the order of its default profile: the points at which they act (those
/// with a name here), and the weight of their score.
const PLUGINS: [(&str, &[&str], i64); 20] = [
    ("SchedulingGates", &["preEnqueue"], 0),
    ("PrioritySort", &["queueSort"], 0),
    ("NodeUnschedulable", &["filter"], 0),
    ("NodeName", &["filter"], 0),
    ("TaintToleration", &["filter", "preScore", "score"], 3),
    (
        "NodeAffinity",
        &["preFilter", "filter", "preScore", "score"],
        2,
    ),
    ("NodePorts", &["preFilter", "filter"], 0),
    (
        "NodeResourcesFit",
        &["preFilter", "filter", "preScore", "score"],
        1,
    ),
    ("VolumeRestrictions", &["preFilter", "filter"], 0),
    ("NodeVolumeLimits", &["preFilter", "filter"], 0),
    (
        "VolumeBinding",
        &[
            "preFilter",
            "filter",
            "reserve",
            "preBind",
            "preScore",
            "score",
        ],
        0,
    ),
    ("VolumeZone", &["preFilter", "filter"], 0),
    (
        "PodTopologySpread",
        &["preFilter", "filter", "preScore", "score"],
        2,
    ),
    (
        "InterPodAffinity",
        &["preFilter", "filter", "preScore", "score"],
        2,
    ),
    (
        "DynamicResources",
        &[
            "preEnqueue",
            "preFilter",
            "filter",
            "postFilter",
            "reserve",
            "preBind",
        ],
        0,
    ),
    ("DefaultPreemption", &["preEnqueue", "postFilter"], 0),
    ("NodeResourcesBalancedAllocation", &["preScore", "score"], 1),
    ("ImageLocality", &["score"], 1),
    ("DefaultBinder", &["bind"], 0),
    ("NodeDeclaredFeatures", &["preFilter", "filter"], 0),
];

fn plugin(name: &str) -> Option<&'static (&'static str, &'static [&'static str], i64)> {
    PLUGINS.iter().find(|(own, _, _)| *own == name)
}

/// Plugins that are enabled and disabled somewhere.
#[derive(Clone, Default)]
struct PluginSet {
    enabled: Vec<(String, i64)>,
    disabled: Vec<String>,
}

impl PluginSet {
    fn disables(&self, name: &str) -> bool {
        self.disabled.iter().any(|own| own == name || own == "*")
    }

    fn weight(&self, name: &str) -> Option<i64> {
        let mut enabled = self.enabled.iter();
        enabled
            .find(|(own, _)| own == name)
            .map(|(_, weight)| *weight)
    }
}

/// What a profile without words of its own has.
pub fn points_by_default() -> Points {
    let multi = merged(&PluginSet::default());
    all_points(&multi, |_| PluginSet::default())
}

/// Reads `plugins` of a profile.
pub(super) fn read(fields: &mut Fields) -> Points {
    let mut multi = PluginSet::default();
    let mut sets = vec![PluginSet::default(); POINTS.len()];
    fields.object("plugins", |fields| {
        multi = set(fields, "multiPoint");
        for (point, own) in POINTS.iter().zip(&mut sets) {
            *own = set(fields, point);
        }
    });
    let multi = merged(&multi);
    all_points(&multi, |point| {
        let place = POINTS.iter().position(|own| *own == point);
        place.map(|place| sets[place].clone()).unwrap_or_default()
    })
}

fn set(fields: &mut Fields, point: &str) -> PluginSet {
    let mut set = PluginSet::default();
    fields.object(point, |fields| {
        fields.list("enabled", |fields| {
            let name = fields.text("name").unwrap_or_default();
            let weight = fields.number("weight").unwrap_or(0);
            let path = fields.path("name");
            match plugin(&name) {
                None => fields.refuse(FieldError::invalid(
                    &path,
                    name.as_str(),
                    "plugin does not exist",
                )),
                Some((_, points, _)) if point != "multiPoint" && !points.contains(&point) => {
                    fields.refuse(FieldError::invalid(
                        &path,
                        name.as_str(),
                        format!("plugin does not extend {point}"),
                    ));
                }
                Some(_) if set.weight(&name).is_some() => {
                    fields.refuse(FieldError::duplicate(&path, name.as_str()));
                }
                Some(_) => {}
            }
            if weight < 0 {
                let path = fields.path("weight");
                fields.refuse(FieldError::invalid(
                    &path,
                    weight,
                    "must be greater than or equal to 0",
                ));
            }
            set.enabled.push((name, weight));
        });
        fields.list("disabled", |fields| {
            set.disabled.extend(fields.text("name"));
            let _ = fields.number("weight");
        });
    });
    set
}

/// The default plugins, with what a profile's `multiPoint` changes.
fn merged(own: &PluginSet) -> Vec<(String, i64)> {
    let mut plugins: Vec<(String, i64)> = Vec::new();
    // Volumes and declared features have no rules here; naming them changes nothing.
    for (name, _, weight) in PLUGINS {
        if !own.disables(name) {
            plugins.push((name.to_owned(), own.weight(name).unwrap_or(weight)));
        }
    }
    for (name, weight) in &own.enabled {
        if !plugins.iter().any(|(known, _)| known == name) {
            plugins.push((name.clone(), *weight));
        }
    }
    plugins
}

fn all_points(multi: &[(String, i64)], of: impl Fn(&str) -> PluginSet) -> Points {
    let point = |name: &str| at_point(name, multi, &of(name));
    let names = |point: Vec<(String, i64)>| point.into_iter().map(|(name, _)| name).collect();
    // Weight 0 is upstream's way to say that none is given.
    let weights = |(name, weight): (String, i64)| (name, if weight == 0 { 1 } else { weight });
    Points {
        gates: names(point("preEnqueue")),
        filters: names(point("filter")),
        post_filters: names(point("postFilter")),
        scores: point("score").into_iter().map(weights).collect(),
    }
}

/// The plugins of one point in upstream's order: those of `multiPoint` that the point names again,
/// as it names them; the others of `multiPoint`; and what only the point names.
fn at_point(point: &str, multi: &[(String, i64)], own: &PluginSet) -> Vec<(String, i64)> {
    let acts = |name: &str| plugin(name).is_some_and(|(_, points, _)| points.contains(&point));
    let inherited = |name: &str| {
        !own.disabled.iter().any(|own| own == "*") && multi.iter().any(|(own, _)| own == name)
    };
    let named_again = own.enabled.iter().filter(|(name, _)| inherited(name));
    let others = multi
        .iter()
        .filter(|(name, _)| acts(name) && !own.disables(name) && own.weight(name).is_none());
    let added = own.enabled.iter().filter(|(name, _)| !inherited(name));
    named_again.chain(others).chain(added).cloned().collect()
}
