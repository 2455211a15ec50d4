//! Rules of LimitRanges, which say how much pods and claims may ask for, and what they ask for when they do not say.

use std::collections::{BTreeSet, HashSet};

use ferrule_apimachinery::field::FieldError;
use ferrule_apimachinery::names;
use ferrule_apimachinery::quantity::Quantity;
use serde_json::Value;

use super::pod::validation::{
    may_overcommit, parse_or_zero, validate_container_resource, validate_resource_name,
};
use super::problems::{Path, Problems};
use super::tree::{Tree, child, fill, items_mut};
use super::{Context, Rules, Strategy, meta};

/// Rules of LimitRanges.
pub struct LimitRange;

impl Rules for LimitRange {
    fn strategy(&self) -> Strategy {
        Strategy::PLAIN.making()
    }

    fn default(&self, object: &mut Value) {
        let Some(spec) = child(object, "spec") else {
            return;
        };
        for limit in items_mut(spec, "limits") {
            if limit.text("type") == "Container" {
                fill_from(limit, "default", "max");
                fill_from(limit, "defaultRequest", "default");
                fill_from(limit, "defaultRequest", "min");
            }
        }
    }

    fn validate_create(&self, new: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_create(new, true, self.name_rule());
        validate_limits(&mut out, new.at("spec").items("limits"));
        out.into_errors()
    }

    fn validate_update(&self, new: &Value, old: &Value, _context: &Context<'_>) -> Vec<FieldError> {
        let mut out = meta::validate_update(new, old);
        out.extend(meta::validate_create(new, true, self.name_rule()));
        validate_limits(&mut out, new.at("spec").items("limits"));
        out.into_errors()
    }
}

/// Gives `name` the amounts of `from` for resources that it does not name.
fn fill_from(limit: &mut Value, name: &str, from: &str) {
    let amounts = limit.map(from).cloned().unwrap_or_default();
    if amounts.is_empty() {
        return;
    }
    if let Some(place) = child(limit, name) {
        for (resource, amount) in amounts {
            fill(place, &resource, amount);
        }
    }
}

fn validate_limits(out: &mut Problems, limits: &[Value]) {
    let path = Path::new("spec").child("limits");
    let mut types = HashSet::new();
    for (i, limit) in limits.iter().enumerate() {
        let (at, kind) = (path.index(i), limit.text("type"));
        validate_type(out, &at.child("type"), kind);
        if !types.insert(kind) {
            out.duplicate(&at.child("type"), kind);
        }
        validate_names(out, &at, limit);
        for resource in resources_of(limit) {
            Amounts::of(limit, resource).validate(out, &at);
        }
    }
}

fn validate_type(out: &mut Problems, path: &Path, kind: &str) {
    let wrong = names::qualified_name(kind);
    if !wrong.is_empty() {
        return out.invalid_each(path, kind, wrong);
    }
    let standard = ["Pod", "Container", "PersistentVolumeClaim"];
    if !kind.contains('/') && !standard.contains(&kind) {
        out.invalid(
            path,
            kind,
            "must be a standard limit type or fully qualified",
        );
    }
}

fn validate_names(out: &mut Problems, path: &Path, limit: &Value) {
    let kind = limit.text("type");
    for name in [
        "max",
        "min",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
    ] {
        let at = path.child(name);
        if kind == "Pod" && name.starts_with("default") {
            if limit.entries(name).next().is_some() {
                out.forbidden(&at, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        if name == "maxLimitRequestRatio" && kind == "PersistentVolumeClaim" {
            let stored = |name: &str| limit.at(name).has("storage");
            if !stored("min") && !stored("max") {
                let detail =
                    "either minimum or maximum storage value is required, but neither was provided";
                out.required(&path.child("limits"), detail);
            }
        }
        for (resource, _) in limit.entries(name) {
            match kind {
                "Pod" | "Container" => {
                    validate_container_resource(out, &at.key(resource), resource)
                }
                _ => {
                    validate_resource_name(out, &at.key(resource), resource);
                }
            }
        }
    }
}

/// The resources that a limit names anywhere, by name.
fn resources_of(limit: &Value) -> BTreeSet<&str> {
    let lists: &[&str] = match limit.text("type") {
        "Pod" => &["max", "min", "maxLimitRequestRatio"],
        _ => &[
            "max",
            "min",
            "default",
            "defaultRequest",
            "maxLimitRequestRatio",
        ],
    };
    lists
        .iter()
        .flat_map(|name| limit.entries(name))
        .map(|(resource, _)| resource)
        .collect()
}

/// What a limit says of one resource.
struct Amounts<'a> {
    resource: &'a str,
    min: Option<Quantity>,
    max: Option<Quantity>,
    default: Option<Quantity>,
    request: Option<Quantity>,
    ratio: Option<Quantity>,
}

impl<'a> Amounts<'a> {
    fn of(limit: &Value, resource: &'a str) -> Amounts<'a> {
        let amount = |name: &str| {
            let value = limit.at(name).at(resource);
            (!value.is_null()).then(|| parse_or_zero(value))
        };
        Amounts {
            resource,
            min: amount("min"),
            max: amount("max"),
            default: amount("default"),
            request: amount("defaultRequest"),
            ratio: amount("maxLimitRequestRatio"),
        }
    }

    fn validate(&self, out: &mut Problems, path: &Path) {
        let [min, max] = [("min", &self.min), ("max", &self.max)];
        let default = ("default", &self.default);
        let request = ("default request", &self.request);
        let limit = ("default limit", &self.default);
        // What may not be above what, where that is told, and which of the two is shown.
        for (low, high, field, shows_low) in [
            (min, max, "min", true),
            (min, request, "defaultRequest", false),
            (request, max, "defaultRequest", true),
            (request, limit, "defaultRequest", true),
            (min, default, "default", true),
            (default, max, "default", false),
        ] {
            let ((low_name, Some(below)), (high_name, Some(above))) = (low, high) else {
                continue;
            };
            if below.nano() > above.nano() {
                let detail =
                    format!("{low_name} value {below} is greater than {high_name} value {above}");
                let shown = if shows_low { below } else { above };
                let at = path.child(field).key(self.resource);
                out.invalid(&at, shown.to_string(), &detail);
            }
        }
        self.validate_ratio(out, &path.child("maxLimitRequestRatio").key(self.resource));
        if let (Some(default), Some(request)) = (&self.default, &self.request)
            && !may_overcommit(self.resource)
            && default.nano() != request.nano()
        {
            let detail = format!(
                "default value {default} must equal to defaultRequest value {request} in {}",
                self.resource
            );
            let at = path.child("defaultRequest").key(self.resource);
            out.invalid(&at, request.to_string(), &detail);
        }
    }

    fn validate_ratio(&self, out: &mut Problems, path: &Path) {
        let Some(ratio) = &self.ratio else { return };
        if ratio.nano() < Quantity::from_value(1).nano() {
            let detail = format!("ratio {ratio} is less than 1");
            out.invalid(path, ratio.to_string(), &detail);
        }
        let (Some(min), Some(max)) = (&self.min, &self.max) else {
            return;
        };
        let limit = max.nano() as f64 / min.nano() as f64;
        if ratio.nano() as f64 / 1e9 > limit {
            let detail = format!("ratio {ratio} is greater than max/min = {limit:.6}");
            out.invalid(path, ratio.to_string(), &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::tests::{context, lines};

    fn problems(limit: Value) -> Vec<String> {
        let mut object =
            json!({"metadata": {"name": "x", "namespace": "default"}, "spec": {"limits": [limit]}});
        LimitRange.default(&mut object);
        lines(LimitRange.validate_create(&object, &context()))
    }

    #[test]
    fn containers_default_to_what_is_said() {
        let mut object = json!({"spec": {"limits": [
            {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}},
            {"type": "Pod", "max": {"cpu": "2"}},
        ]}});
        LimitRange.default(&mut object);
        assert_eq!(
            object["spec"]["limits"],
            json!([
                {"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"},
                    "default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "1Mi"}},
                {"type": "Pod", "max": {"cpu": "2"}},
            ])
        );
    }

    #[test]
    fn amounts_must_fit_each_other() {
        assert_eq!(
            problems(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "2"}})),
            [
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value 1",
                "spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1",
            ]
        );
        assert_eq!(
            problems(json!({"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}})),
            [
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"2\": default request value 2 is greater than max value 1",
                "spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1",
            ]
        );
        assert_eq!(
            problems(json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "0.5"}})),
            [
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1"
            ]
        );
        assert_eq!(
            problems(json!({"type": "Pod", "default": {"cpu": "2"}})),
            ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"]
        );
        assert_eq!(
            problems(json!({"type": "PersistentVolumeClaim", "max": {"cpu": "1"}})),
            [
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided"
            ]
        );
        assert_eq!(
            problems(json!({"type": "Container", "max": {"bananas": "1"}})).len(),
            6
        );
    }
}
