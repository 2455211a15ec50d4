//! Containers, volumes and what else pods and their templates share.

use ferrule_apimachinery::quantity::Quantity;
use serde_json::Value;

use super::{Text, list, meta, number, plain, string, volumes};

/// The pod template of a workload.
pub fn describe(text: &mut Text, template: &Value) {
    text.line(0, "Pod Template:");
    meta::labels(text, 1, "Labels", &template["metadata"]["labels"]);
    if template["metadata"]["annotations"]
        .as_object()
        .is_some_and(|map| !map.is_empty())
    {
        meta::annotations(text, 1, &template["metadata"]["annotations"]);
    }
    let spec = &template["spec"];
    if !string(spec, "serviceAccountName").is_empty() {
        text.line(
            1,
            format!("Service Account:\t{}", string(spec, "serviceAccountName")),
        );
    }
    if list(spec, "initContainers").next().is_some() {
        containers(
            text,
            1,
            "Init Containers",
            spec,
            "initContainers",
            &Value::Null,
            &Value::Null,
        );
    }
    let (none, no_pod) = (&Value::Null, &Value::Null);
    containers(text, 1, "Containers", spec, "containers", none, no_pod);
    volumes::describe(text, 1, spec);
    spreading(text, 1, spec);
    if !string(spec, "priorityClassName").is_empty() {
        text.field(1, "Priority Class Name", string(spec, "priorityClassName"));
    }
    placement(text, 1, spec);
}

/// How pods are spread over domains.
pub fn spreading(text: &mut Text, level: usize, spec: &Value) {
    let mut all: Vec<&Value> = list(spec, "topologySpreadConstraints").collect();
    all.sort_by_key(|own| string(own, "topologyKey"));
    for (index, constraint) in all.into_iter().enumerate() {
        let head = if index == 0 {
            "Topology Spread Constraints:"
        } else {
            ""
        };
        let selector = &constraint["labelSelector"];
        let selector = match selector.is_object() {
            true => format!(" for selector {}", meta::selector(selector)),
            false => String::new(),
        };
        text.line(
            level,
            format!(
                "{head}\t{}:{} when max skew {} is exceeded{selector}",
                string(constraint, "topologyKey"),
                string(constraint, "whenUnsatisfiable"),
                number(constraint, "maxSkew"),
            ),
        );
    }
}

/// Node selectors and tolerations.
pub fn placement(text: &mut Text, level: usize, spec: &Value) {
    meta::labels(text, level, "Node-Selectors", &spec["nodeSelector"]);
    tolerations(text, level, spec);
}

fn tolerations(text: &mut Text, level: usize, spec: &Value) {
    let mut all: Vec<&Value> = list(spec, "tolerations").collect();
    all.sort_by_key(|own| string(own, "key"));
    let lines: Vec<String> = all.into_iter().map(toleration).collect();
    if lines.is_empty() {
        return text.line(level, "Tolerations:\t<none>");
    }
    for (index, line) in lines.iter().enumerate() {
        let head = if index == 0 { "Tolerations:" } else { "" };
        text.line(level, format!("{head}\t{line}"));
    }
}

fn toleration(toleration: &Value) -> String {
    let mut line = string(toleration, "key").to_owned();
    let (value, effect) = (string(toleration, "value"), string(toleration, "effect"));
    if !value.is_empty() {
        line.push_str(&format!("={value}"));
    }
    if !effect.is_empty() {
        line.push_str(&format!(":{effect}"));
    }
    if string(toleration, "operator") == "Exists" && value.is_empty() {
        line.push_str(if line.is_empty() {
            "op=Exists"
        } else {
            " op=Exists"
        });
    }
    if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
        line.push_str(&format!(" for {seconds}s"));
    }
    line
}

/// A list of containers, with their states where there are any.
pub fn containers(
    text: &mut Text,
    level: usize,
    title: &str,
    spec: &Value,
    field: &str,
    statuses: &Value,
    pod: &Value,
) {
    text.line(level, format!("{title}:"));
    for container in list(spec, field) {
        let name = string(container, "name");
        let statuses = statuses.as_array().into_iter().flatten();
        let status = statuses
            .into_iter()
            .find(|status| string(status, "name") == name);
        // Upstream indents names by one or two blanks, by where the list stands.
        let pad = if level == 0 { "  " } else { " " };
        text.line(level, format!("{pad}{name}:"));
        self::container(text, container, status, pod);
    }
}

fn container(text: &mut Text, container: &Value, status: Option<&Value>, pod: &Value) {
    let mut line = |line: String| text.line(2, line);
    if let Some(status) = status {
        line(format!("Container ID:\t{}", string(status, "containerID")));
    }
    line(format!("Image:\t{}", string(container, "image")));
    if let Some(status) = status {
        line(format!("Image ID:\t{}", string(status, "imageID")));
    }
    ports(container, &mut line);
    let profile = &container["securityContext"]["seccompProfile"];
    if profile.is_object() {
        line(format!("SeccompProfile:\t{}", string(profile, "type")));
        if string(profile, "type") == "Localhost" {
            let file = string(profile, "localhostProfile");
            line(format!("  LocalhostProfile:\t{file}"));
        }
    }
    for (field, title) in [("command", "Command"), ("args", "Args")] {
        let mut words = list(container, field).filter_map(Value::as_str).peekable();
        if words.peek().is_some() {
            line(format!("{title}:"));
            words.for_each(|word| word.split('\n').for_each(|part| line(format!("  {part}"))));
        }
    }
    if let Some(status) = status {
        state("State", &status["state"], &mut line);
        if status["lastState"]["terminated"].is_object() {
            state("Last State", &status["lastState"], &mut line);
        }
        let ready = if status["ready"] == true {
            "True"
        } else {
            "False"
        };
        line(format!("Ready:\t{ready}"));
        line(format!(
            "Restart Count:\t{}",
            number(status, "restartCount")
        ));
    }
    for (field, title) in [("limits", "Limits"), ("requests", "Requests")] {
        let mut entries: Vec<_> = container["resources"][field]
            .as_object()
            .into_iter()
            .flatten()
            .collect();
        entries.sort_by_key(|(name, _)| name.as_str());
        if !entries.is_empty() {
            line(format!("{title}:"));
            entries
                .iter()
                .for_each(|(name, amount)| line(format!("  {name}:\t{}", plain(amount))));
        }
    }
    for (field, title) in [
        ("livenessProbe", "Liveness"),
        ("readinessProbe", "Readiness"),
        ("startupProbe", "Startup"),
    ] {
        if container[field].is_object() {
            line(format!("{title}:\t{}", probe(&container[field])));
        }
    }
    environment(container, pod, &mut line);
    mounts(container, &mut line);
    devices(container, &mut line);
}

fn ports(container: &Value, line: &mut impl FnMut(String)) {
    let all: Vec<&Value> = list(container, "ports").collect();
    let plural = if all.len() > 1 { "s" } else { "" };
    let join = |field: &str| {
        let ports: Vec<String> = all
            .iter()
            .map(|port| {
                let name = string(port, "name");
                let name = if name.is_empty() || field == "hostPort" {
                    String::new()
                } else {
                    format!(" ({name})")
                };
                format!("{}/{}{name}", number(port, field), string(port, "protocol"))
            })
            .collect();
        if ports.is_empty() {
            "<none>".to_owned()
        } else {
            ports.join(", ")
        }
    };
    line(format!("Port{plural}:\t{}", join("containerPort")));
    line(format!("Host Port{plural}:\t{}", join("hostPort")));
}

fn state(title: &str, state: &Value, line: &mut impl FnMut(String)) {
    if let Some(running) = state.get("running") {
        line(format!("{title}:\tRunning"));
        line(format!("  Started:\t{}", meta::time(&running["startedAt"])));
    } else if let Some(ended) = state.get("terminated") {
        line(format!("{title}:\tTerminated"));
        for (name, value) in [
            ("Reason", string(ended, "reason")),
            ("Message", string(ended, "message")),
        ] {
            if !value.is_empty() {
                line(format!("  {name}:\t{value}"));
            }
        }
        line(format!("  Exit Code:\t{}", number(ended, "exitCode")));
        if number(ended, "signal") > 0 {
            line(format!("  Signal:\t{}", number(ended, "signal")));
        }
        line(format!("  Started:\t{}", meta::time(&ended["startedAt"])));
        line(format!("  Finished:\t{}", meta::time(&ended["finishedAt"])));
    } else {
        line(format!("{title}:\tWaiting"));
        let reason = string(&state["waiting"], "reason");
        if !reason.is_empty() {
            line(format!("  Reason:\t{reason}"));
        }
    }
}

fn probe(probe: &Value) -> String {
    let or = |field: &str, default: i64| probe[field].as_i64().unwrap_or(default);
    let timing = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        or("initialDelaySeconds", 0),
        or("timeoutSeconds", 1),
        or("periodSeconds", 10),
        or("successThreshold", 1),
        or("failureThreshold", 3),
    );
    let what = if let Some(exec) = probe.get("exec") {
        let words: Vec<&str> = list(exec, "command").filter_map(Value::as_str).collect();
        format!("exec [{}]", words.join(" "))
    } else if let Some(http) = probe.get("httpGet") {
        let scheme = string(http, "scheme").to_lowercase();
        let path = string(http, "path");
        format!(
            "http-get {scheme}://{}:{}{path}",
            string(http, "host"),
            plain(&http["port"])
        )
    } else if let Some(tcp) = probe.get("tcpSocket") {
        format!("tcp-socket {}:{}", string(tcp, "host"), plain(&tcp["port"]))
    } else if let Some(grpc) = probe.get("grpc") {
        format!(
            "grpc <pod>:{} {}",
            number(grpc, "port"),
            string(grpc, "service")
        )
    } else {
        "unknown".to_owned()
    };
    format!("{what} {timing}")
}

fn environment(container: &Value, pod: &Value, line: &mut impl FnMut(String)) {
    let mut from = list(container, "envFrom").peekable();
    if from.peek().is_some() {
        line("Environment Variables from:".to_owned());
        for source in from {
            let (kind, reference) = match source.get("secretRef") {
                Some(secret) => ("Secret", secret),
                None => ("ConfigMap", &source["configMapRef"]),
            };
            let optional = reference["optional"] == true;
            let prefix = match string(source, "prefix") {
                "" => String::new(),
                prefix => format!(" with prefix '{prefix}'"),
            };
            line(format!(
                "  {}\t{kind}{prefix}\tOptional: {optional}",
                string(reference, "name")
            ));
        }
    }
    let mut entries = list(container, "env").peekable();
    if entries.peek().is_none() {
        return line("Environment:\t<none>".to_owned());
    }
    line("Environment:".to_owned());
    for entry in entries {
        let name = string(entry, "name");
        let source = &entry["valueFrom"];
        let value = if let Some(field) = source.get("fieldRef") {
            let path = string(field, "fieldPath");
            let version = string(field, "apiVersion");
            format!("{} ({version}:{path})", own_field(pod, path))
        } else if let Some(resource) = source.get("resourceFieldRef") {
            let name = string(resource, "resource");
            let amount = match own_resource(container, resource).to_string().as_str() {
                "0" if name.starts_with("limits.") => "node allocatable".to_owned(),
                amount => amount.to_owned(),
            };
            format!("{amount} ({name})")
        } else if let Some(key) = source.get("secretKeyRef") {
            let optional = key["optional"] == true;
            format!(
                "<set to the key '{}' in secret '{}'>\tOptional: {optional}",
                string(key, "key"),
                string(key, "name")
            )
        } else if let Some(key) = source.get("configMapKeyRef") {
            let optional = key["optional"] == true;
            format!(
                "<set to the key '{}' of config map '{}'>\tOptional: {optional}",
                string(key, "key"),
                string(key, "name")
            )
        } else {
            string(entry, "value")
                .split('\n')
                .collect::<Vec<_>>()
                .join("\n\t\t")
        };
        line(format!("  {name}:\t{value}"));
    }
}

/// What a container asks for of its own resources, in units of the divisor, rounded up.
fn own_resource(container: &Value, reference: &Value) -> i64 {
    let milli = |value: &Value| {
        let text = value.as_str()?;
        Quantity::parse(text).ok().map(|quantity| quantity.milli())
    };
    let (field, name) = string(reference, "resource")
        .split_once('.')
        .unwrap_or_default();
    let amount = milli(&container["resources"][field][name]).unwrap_or(0);
    let divisor = milli(&reference["divisor"]).filter(|divisor| *divisor > 0);
    let divisor = divisor.unwrap_or(1000);
    (amount + divisor - 1) / divisor
}

fn mounts(container: &Value, line: &mut impl FnMut(String)) {
    let mut all: Vec<&Value> = list(container, "volumeMounts").collect();
    if all.is_empty() {
        return line("Mounts:\t<none>".to_owned());
    }
    all.sort_by_key(|mount| string(mount, "mountPath"));
    line("Mounts:".to_owned());
    for mount in all {
        let mut flags = vec![if mount["readOnly"] == true {
            "ro".to_owned()
        } else {
            "rw".to_owned()
        }];
        if !string(mount, "subPath").is_empty() {
            flags.push(format!("path={:?}", string(mount, "subPath")));
        }
        line(format!(
            "  {} from {} ({})",
            string(mount, "mountPath"),
            string(mount, "name"),
            flags.join(",")
        ));
    }
}

fn devices(container: &Value, line: &mut impl FnMut(String)) {
    let mut all: Vec<&Value> = list(container, "volumeDevices").collect();
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|device| string(device, "devicePath"));
    // Upstream says of devices whether there are mounts.
    let mounts = list(container, "volumeMounts").next().is_some();
    line(format!("Devices:{}", if mounts { "" } else { "\t<none>" }));
    for device in all {
        let (path, name) = (string(device, "devicePath"), string(device, "name"));
        line(format!("  {path} from {name}"));
    }
}

/// What a field of the pod holds, as a container's environment may refer to it.
fn own_field(pod: &Value, path: &str) -> String {
    if let Some((map, key)) = path
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"))
    {
        let map = map.replace('.', "/");
        let map = pod.pointer(&format!("/{map}")).unwrap_or(&Value::Null);
        return string(map, key).to_owned();
    }
    let path = format!("/{}", path.replace('.', "/"));
    let value = pod.pointer(&path).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}
