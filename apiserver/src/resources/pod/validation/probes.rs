//! Probes and life cycle handlers.

use serde_json::Value;

use crate::resources::format;
use crate::resources::problems::{Path, Problems};
use crate::resources::tree::Tree;

/// One probe; `kind` is the name of the container's field.
pub fn validate(out: &mut Problems, path: &Path, kind: &str, probe: &Value) {
    if probe.is_null() {
        return;
    }
    validate_handler(out, path, probe, None);
    let numbers = [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ];
    for name in numbers {
        out.non_negative(&path.child(name), probe.int(name));
    }
    if let Some(seconds) = probe.opt_int("terminationGracePeriodSeconds") {
        let at = path.child("terminationGracePeriodSeconds");
        if seconds <= 0 {
            out.invalid(&at, seconds, "must be greater than 0");
        }
        if kind == "readinessProbe" {
            out.invalid(&at, seconds, "must not be set for readinessProbes");
        }
    }
    let successes = probe.int("successThreshold");
    if kind != "readinessProbe" && successes != 1 {
        out.invalid(&path.child("successThreshold"), successes, "must be 1");
    }
}

/// What runs after a container's start and before its stop.
pub fn validate_lifecycle(out: &mut Problems, path: &Path, lifecycle: &Value, grace: Option<i64>) {
    for name in ["postStart", "preStop"] {
        if lifecycle.has(name) {
            validate_handler(out, &path.child(name), lifecycle.at(name), grace);
        }
    }
}

fn validate_handler(out: &mut Problems, path: &Path, handler: &Value, grace: Option<i64>) {
    let mut handlers = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        if !handler.has(kind) {
            continue;
        }
        let (at, action) = (path.child(kind), handler.at(kind));
        if handlers > 0 {
            out.forbidden(&at, "may not specify more than 1 handler type");
            continue;
        }
        handlers += 1;
        match kind {
            "exec" if action.items("command").is_empty() => out.required(&at.child("command"), ""),
            "httpGet" => validate_http(out, &at, action),
            "tcpSocket" | "grpc" => validate_port(out, &at.child("port"), action.at("port")),
            "sleep" => validate_sleep(out, &at, action.int("seconds"), grace),
            _ => {}
        }
    }
    if handlers == 0 {
        out.required(path, "must specify a handler type");
    }
}

fn validate_http(out: &mut Problems, path: &Path, action: &Value) {
    if action.text("path").is_empty() {
        out.required(&path.child("path"), "");
    }
    validate_port(out, &path.child("port"), action.at("port"));
    let scheme = action.text("scheme");
    if !["HTTP", "HTTPS"].contains(&scheme) {
        out.unsupported(&path.child("scheme"), scheme, &["HTTP", "HTTPS"]);
    }
    for header in action.items("httpHeaders") {
        let name = header.text("name");
        out.invalid_each(&path.child("httpHeaders"), name, format::header_name(name));
    }
}

fn validate_sleep(out: &mut Problems, path: &Path, seconds: i64, grace: Option<i64>) {
    if let Some(grace) = grace
        && (seconds < 0 || seconds > grace)
    {
        let detail =
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        out.invalid(path, seconds, &detail);
    }
}

/// A port by number or by name.
pub fn validate_port(out: &mut Problems, path: &Path, port: &Value) {
    match port {
        Value::String(name) => out.invalid_each(path, name.as_str(), format::port_name(name)),
        other => {
            let number = other.as_i64().unwrap_or_default();
            out.invalid_each(path, number, format::port_number(number));
        }
    }
}
