//! `kubectl create ingress`

use serde_json::{Map, Value, json};

use super::one_name;
use crate::args::CreateIngressArgs;
use crate::error::{Error, Result};

/// `host/path=service:port[,tls[=secret]]`
#[derive(Debug, PartialEq, Eq)]
struct Rule<'a> {
    host: &'a str,
    path: &'a str,
    service: &'a str,
    port: &'a str,
    /// The secret, perhaps none.
    tls: Option<&'a str>,
}

/// The Ingress of the flags.
pub fn object(args: &CreateIngressArgs) -> Result<Value> {
    let name = one_name(&args.words, "create ingress")?;
    let backend = args.default_backend.as_deref().unwrap_or_default();
    if args.rule.is_empty() && backend.is_empty() {
        return Err(Error::local(
            "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or \
             a list of rules (which catch specific paths)",
        ));
    }
    let mut rules = Vec::new();
    for text in &args.rule {
        rules.push(read(text).ok_or_else(|| {
            Error::local(format!(
                "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
            ))
        })?);
    }
    let mut annotations = Map::new();
    for text in &args.annotation {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| {
                Error::local(format!(
                    "annotation {text} is invalid and should be in format key=[value]"
                ))
            })?;
        annotations.insert(key.to_owned(), json!(value));
    }
    let mut spec = json!({});
    if let Some(class) = args.class.as_deref().filter(|class| !class.is_empty()) {
        spec["ingressClassName"] = json!(class);
    }
    if !backend.is_empty() {
        let (service, port) = match backend.split(':').collect::<Vec<_>>()[..] {
            [service, port] if !service.is_empty() && !port.is_empty() => (service, port),
            _ => {
                return Err(Error::local(
                    "default-backend should be in format servicename:serviceport",
                ));
            }
        };
        spec["defaultBackend"] = target(service, port);
    }
    if !rules.is_empty() {
        spec["rules"] = Value::Array(by_host(&rules));
    }
    let tls = tls(&rules);
    if !tls.is_empty() {
        spec["tls"] = Value::Array(tls);
    }
    let mut metadata = json!({"name": name});
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    Ok(json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": spec,
        "status": {"loadBalancer": {}},
    }))
}

fn read(text: &str) -> Option<Rule<'_>> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let run = |text: &str| text.find(|c: char| !word(c)).unwrap_or(text.len());
    let host = text.find(|c: char| !(word(c) || c == '*' || c == '.'))?;
    let (host, rest) = text.split_at(host);
    if !rest.starts_with('/') {
        return None;
    }
    // The path goes as far as it can.
    for (index, _) in rest.rmatch_indices('=') {
        let (path, backend) = (&rest[..index], &rest[index + 1..]);
        let (service, behind) = backend.split_at(run(backend));
        let Some(behind) = behind.strip_prefix(':').filter(|_| !service.is_empty()) else {
            continue;
        };
        let (port, behind) = behind.split_at(run(behind));
        if port.is_empty() {
            continue;
        }
        let secret = behind.strip_prefix(",tls").map(|secret| {
            let secret = secret.strip_prefix('=').unwrap_or(secret);
            &secret[..run(secret)]
        });
        return Some(Rule {
            host,
            path,
            service,
            port,
            tls: secret,
        });
    }
    None
}

fn target(service: &str, port: &str) -> Value {
    let port = match port.parse::<i32>() {
        Ok(0) => json!({}),
        Ok(number) => json!({"number": number}),
        Err(_) => json!({"name": port}),
    };
    json!({"service": {"name": service, "port": port}})
}

fn by_host(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut hosts: Vec<(&str, Vec<Value>)> = Vec::new();
    for rule in rules {
        let (path, kind) = match rule.path.strip_suffix('*') {
            Some(path) => (path, "Prefix"),
            None => (rule.path, "Exact"),
        };
        let path =
            json!({"path": path, "pathType": kind, "backend": target(rule.service, rule.port)});
        match hosts.iter_mut().find(|(host, _)| *host == rule.host) {
            Some((_, paths)) => paths.push(path),
            None => hosts.push((rule.host, vec![path])),
        }
    }
    let rule = |(host, paths): (&str, Vec<Value>)| match host {
        "" => json!({"http": {"paths": paths}}),
        host => json!({"host": host, "http": {"paths": paths}}),
    };
    hosts.into_iter().map(rule).collect()
}

/// Each host once, with those of the same secret.
fn tls(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut secrets: Vec<(&str, Vec<&str>)> = Vec::new();
    for rule in rules {
        let Some(secret) = rule.tls else {
            continue;
        };
        if secrets.iter().any(|(_, hosts)| hosts.contains(&rule.host)) {
            continue;
        }
        match secrets.iter_mut().find(|(own, _)| *own == secret) {
            Some((_, hosts)) => hosts.push(rule.host),
            None => secrets.push((secret, vec![rule.host])),
        }
    }
    let mut found = Vec::new();
    for (secret, mut hosts) in secrets {
        hosts.retain(|host| !host.is_empty());
        let mut entry = json!({});
        if !hosts.is_empty() {
            entry["hosts"] = json!(hosts);
        }
        if !secret.is_empty() {
            entry["secretName"] = json!(secret);
        }
        if entry != json!({}) {
            found.push(entry);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_a_host_a_path_a_backend_and_perhaps_a_secret() {
        let rule = |host, path, service, port, tls| {
            Some(Rule {
                host,
                path,
                service,
                port,
                tls,
            })
        };
        for (text, expected) in [
            (
                "a.example/x*=web:80,tls=sec",
                rule("a.example", "/x*", "web", "80", Some("sec")),
            ),
            ("/=web:http", rule("", "/", "web", "http", None)),
            (
                "*.b/q=1=web:80,tls",
                rule("*.b", "/q=1", "web", "80", Some("")),
            ),
            ("a", None),
            ("a/b=web", None),
            ("a:b/=web:80", None),
            ("a/=:80", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_of_one_host_stand_together() {
        let args = CreateIngressArgs {
            words: vec!["i".to_owned()],
            rule: ["a/x=s:1,tls", "a/y*=s:2,tls", "b/=s:3,tls"]
                .map(str::to_owned)
                .to_vec(),
            ..CreateIngressArgs::default()
        };
        let spec = object(&args).unwrap()["spec"].take();
        assert_eq!(spec["rules"][0]["http"]["paths"][1]["pathType"], "Prefix");
        assert_eq!(spec["tls"], json!([{"hosts": ["a", "b"]}]));
    }
}
