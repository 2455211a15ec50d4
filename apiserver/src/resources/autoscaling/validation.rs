//! What a HorizontalPodAutoscaler may say.

use ferrule_apimachinery::names;
use serde_json::Value;

use super::{SOURCES, source_of};
use crate::resources::pod::validation::parse_or_zero;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;

const MAX_PERIOD: i64 = 1800;
const MAX_WINDOW: i64 = 3600;

/// Which versions a reference may name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Versions {
    /// Those of a named group.
    Grouped,
    /// The core group's too.
    AnyGroup,
    /// It was like that before.
    Unchecked,
}

pub(super) fn validate_spec(out: &mut Problems, spec: &Value, old: Option<&Value>) {
    let path = Path::new("spec");
    let (least, most) = (spec.opt_int("minReplicas"), spec.int("maxReplicas"));
    let was_zero = old.is_some_and(|old| old.opt_int("minReplicas") == Some(0));
    if let Some(least) = least
        && least < i64::from(!was_zero)
    {
        let detail = format!("must be greater than or equal to {}", i64::from(!was_zero));
        out.invalid(&path.child("minReplicas"), least, &detail);
    }
    let at = path.child("maxReplicas");
    match most {
        0 => out.required(&at, "must be set and greater than 0"),
        most if most < 0 => out.invalid(&at, most, "must be greater than 0"),
        _ => {}
    }
    if least.is_some_and(|least| most < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        out.invalid(&at, most, detail);
    }
    let scaled = spec.at("scaleTargetRef");
    let versions = match old.map(|old| old.at("scaleTargetRef")) {
        Some(before)
            if ["apiVersion", "kind"]
                .iter()
                .all(|field| before.text(field) == scaled.text(field)) =>
        {
            Versions::Unchecked
        }
        _ if scaled.text("kind") == "ReplicationController" => Versions::AnyGroup,
        _ => Versions::Grouped,
    };
    validate_reference(out, &path.child("scaleTargetRef"), scaled, versions);
    validate_metrics(out, &path.child("metrics"), spec, old);
    let (at, behavior) = (path.child("behavior"), spec.at("behavior"));
    for name in ["scaleUp", "scaleDown"] {
        if behavior.has(name) {
            validate_rules(out, &at.child(name), behavior.at(name));
        }
    }
}

fn validate_reference(out: &mut Problems, path: &Path, reference: &Value, versions: Versions) {
    for name in ["kind", "name"] {
        match reference.text(name) {
            "" => out.required(&path.child(name), ""),
            text => out.invalid_each(&path.child(name), text, names::path_segment(text)),
        }
    }
    let version = reference.text("apiVersion");
    if let Some(why) = wrong_version(version, versions) {
        out.invalid(&path.child("apiVersion"), version, &why);
    }
}

fn wrong_version(version: &str, versions: Versions) -> Option<String> {
    if versions == Versions::Unchecked {
        return None;
    }
    if version.matches('/').count() > 1 {
        return Some(format!("unexpected GroupVersion string: {version}"));
    }
    let grouped = version
        .split_once('/')
        .is_some_and(|(group, _)| !group.is_empty());
    (!grouped && versions == Versions::Grouped)
        .then(|| "apiVersion must specify API group".to_owned())
}

fn validate_metrics(out: &mut Problems, path: &Path, spec: &Value, old: Option<&Value>) {
    let described = |metric: &Value| {
        metric
            .at("object")
            .at("describedObject")
            .text("apiVersion")
            .to_owned()
    };
    let was_wrong = old.is_some_and(|old| {
        let metrics = old.items("metrics").iter();
        metrics
            .filter(|metric| metric.text("type") == "Object" && metric.has("object"))
            .any(|metric| wrong_version(&described(metric), Versions::AnyGroup).is_some())
    });
    let versions = match was_wrong {
        true => Versions::Unchecked,
        false => Versions::AnyGroup,
    };
    let metrics = spec.items("metrics");
    for (i, metric) in metrics.iter().enumerate() {
        validate_metric(out, &path.index(i), metric, versions);
    }
    let elsewhere = |metric: &Value| matches!(metric.text("type"), "Object" | "External");
    if spec.opt_int("minReplicas") == Some(0) && !metrics.iter().any(elsewhere) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        out.forbidden(path, detail);
    }
}

fn validate_metric(out: &mut Problems, path: &Path, metric: &Value, versions: Versions) {
    let kind = metric.text("type");
    let mut known = SOURCES.map(|(name, _)| name);
    known.sort_unstable();
    if kind.is_empty() {
        out.required(&path.child("type"), "must specify a metric source type");
    }
    let own = source_of(kind);
    if own.is_none() {
        out.unsupported(&path.child("type"), kind, &known);
    }
    let present = || {
        SOURCES
            .iter()
            .map(|(_, field)| *field)
            .filter(|field| metric.has(field))
    };
    if let Some(first) = present().next() {
        validate_source(out, &path.child(first), first, metric.at(first), versions);
    }
    match own {
        Some(own) if !metric.has(own) => {
            let detail = "must populate information for the given metric source";
            out.required(&path.child(own), detail);
        }
        Some(_) => {}
        None => out.unsupported(&path.child("type"), kind, &known),
    }
    if present().count() != 1 {
        for other in present().filter(|field| Some(*field) != own) {
            out.forbidden(
                &path.child(other),
                "must populate the given metric source only",
            );
        }
    }
}

fn validate_source(
    out: &mut Problems,
    path: &Path,
    kind: &str,
    source: &Value,
    versions: Versions,
) {
    let target = source.at("target");
    let at = path.child("target");
    match kind {
        "object" => {
            let described = source.at("describedObject");
            validate_reference(out, &path.child("describedObject"), described, versions);
        }
        "resource" | "containerResource" => validate_resource(out, path, kind, source),
        _ => {}
    }
    if matches!(kind, "object" | "external" | "pods") {
        let (at, name) = (
            path.child("metric").child("name"),
            source.at("metric").text("name"),
        );
        match name {
            "" => out.required(&at, "must specify a metric name"),
            name => out.invalid_each(&at, name, names::path_segment(name)),
        }
    }
    validate_target(out, &at, target);
    let (value, average, percent) = (
        target.has("value"),
        target.has("averageValue"),
        target.has("averageUtilization"),
    );
    let missing = match kind {
        "object" if !value && !average => Some((
            "averageValue",
            "must set either a target value or averageValue",
        )),
        "external" if !value && !average => Some((
            "averageValue",
            "must set either a target value for metric or a per-pod target",
        )),
        "pods" if !average => Some((
            "averageValue",
            "must specify a positive target averageValue",
        )),
        "resource" | "containerResource" if !percent && !average => Some((
            "averageUtilization",
            "must set either a target raw value or a target utilization",
        )),
        _ => None,
    };
    if let Some((field, detail)) = missing {
        out.required(&at.child(field), detail);
    }
    match kind {
        "external" if value && average => {
            let detail = "may not set both a target value for metric and a per-pod target";
            out.forbidden(&at.child("value"), detail);
        }
        "resource" | "containerResource" if percent && average => {
            let detail = "may not set both a target raw value and a target utilization";
            out.forbidden(&at.child("averageValue"), detail);
        }
        _ => {}
    }
}

fn validate_resource(out: &mut Problems, path: &Path, kind: &str, source: &Value) {
    if source.text("name").is_empty() {
        out.required(&path.child("name"), "must specify a resource name");
    }
    if kind == "containerResource" {
        match source.text("container") {
            "" => out.required(&path.child("container"), "must specify a container"),
            name => out.dns_label(&path.child("container"), name),
        }
    }
}

fn validate_target(out: &mut Problems, path: &Path, target: &Value) {
    let kind = target.text("type");
    if kind.is_empty() {
        out.required(&path.child("type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let detail = "must be either Utilization, Value, or AverageValue";
        out.invalid(&path.child("type"), kind, detail);
    }
    for name in ["value", "averageValue"] {
        let amount = target.at(name);
        if !amount.is_null() && parse_or_zero(amount).signum() != 1 {
            out.invalid(&path.child(name), amount, "must be positive");
        }
    }
    if let Some(percent) = target.opt_int("averageUtilization")
        && percent < 1
    {
        out.invalid(
            &path.child("averageUtilization"),
            percent,
            "must be greater than 0",
        );
    }
}

fn validate_rules(out: &mut Problems, path: &Path, rules: &Value) {
    let at = path.child("stabilizationWindowSeconds");
    match rules.int("stabilizationWindowSeconds") {
        window if window < 0 => {
            out.invalid(&at, window, "must be greater than or equal to zero");
        }
        window if window > MAX_WINDOW => {
            out.invalid(
                &at,
                window,
                &format!("must be less than or equal to {MAX_WINDOW}"),
            );
        }
        _ => {}
    }
    let policies = ["Disabled", "Max", "Min"];
    if let Some(policy) = rules.opt_text("selectPolicy")
        && !policies.contains(&policy)
    {
        out.unsupported(&path.child("selectPolicy"), policy, &policies);
    }
    let at = path.child("policies");
    if rules.items("policies").is_empty() {
        out.required(&at, "must specify at least one Policy");
    }
    for (i, policy) in rules.items("policies").iter().enumerate() {
        validate_policy(out, &at.index(i), policy);
    }
    let tolerance = rules.at("tolerance");
    if !tolerance.is_null() && parse_or_zero(tolerance).signum() < 0 {
        let detail = "must be greater than or equal to 0";
        out.invalid(&path.child("tolerance"), tolerance, detail);
    }
}

fn validate_policy(out: &mut Problems, path: &Path, policy: &Value) {
    let known = ["Percent", "Pods"];
    if !known.contains(&policy.text("type")) {
        out.unsupported(&path.child("type"), policy.text("type"), &known);
    }
    for name in ["value", "periodSeconds"] {
        if policy.int(name) <= 0 {
            out.invalid(
                &path.child(name),
                policy.int(name),
                "must be greater than zero",
            );
        }
    }
    let period = policy.int("periodSeconds");
    if period > MAX_PERIOD {
        let detail = format!("must be less than or equal to {MAX_PERIOD}");
        out.invalid(&path.child("periodSeconds"), period, &detail);
    }
}
