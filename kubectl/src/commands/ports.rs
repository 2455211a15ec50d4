//! Ports as `port-forward` is given them: `8080`, `8080:80`, `:80`, `8080:http`.

use serde_json::Value;

use super::pods::name;
use crate::error::{Error, Result};

/// A local port, 0 for any, and the pod's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Ours.
    pub local: u16,
    /// The pod's.
    pub remote: u16,
}

impl Pair {
    /// Reads a pair of numbers.
    pub fn read(text: &str) -> Result<Pair> {
        let (local, remote) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [both] => (*both, *both),
            ["", remote] => ("0", *remote),
            [local, remote] => (*local, *remote),
            _ => return Err(Error::local(format!("invalid port format '{text}'"))),
        };
        let number = |side: &str, text: &str| {
            text.parse::<u16>().map_err(|error| {
                use std::num::IntErrorKind::PosOverflow;
                let why = match error.kind() {
                    PosOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Error::local(format!(
                    "error parsing {side} port '{text}': strconv.ParseUint: parsing {text:?}: {why}"
                ))
            })
        };
        let (local, remote) = (number("local", local)?, number("remote", remote)?);
        if remote == 0 {
            return Err(Error::local("remote port must be > 0"));
        }
        Ok(Pair { local, remote })
    }

    /// As Go prints it.
    pub fn shown(&self) -> String {
        format!("{{{} {}}}", self.local, self.remote)
    }
}

/// The texts of the command line with the pod's port numbers in place of names and of the ports
/// of a Service.
pub fn resolve(texts: &[String], service: Option<&Value>, pod: &Value) -> Result<Vec<String>> {
    texts
        .iter()
        .map(|text| match service {
            Some(service) => of_service(text, service, pod),
            None => of_pod(text, pod),
        })
        .collect()
}

/// The local and the remote part; one number is both.
fn split(text: &str) -> (&str, &str) {
    match text.split(':').collect::<Vec<_>>().as_slice() {
        [local, remote] => (local, remote),
        several => (several[0], several[0]),
    }
}

fn joined(local: &str, remote: &str) -> String {
    if local == remote {
        remote.to_owned()
    } else {
        format!("{local}:{remote}")
    }
}

/// A pod's or a Service's ports.
fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[field].as_array().into_iter().flatten()
}

fn container_ports(pod: &Value) -> impl Iterator<Item = &Value> {
    list(&pod["spec"], "containers").flat_map(|container| list(container, "ports"))
}

fn port_of_pod(pod: &Value, wanted: &str) -> Result<i64> {
    let found = container_ports(pod).find(|port| name(port) == wanted);
    let number = found.and_then(|port| port["containerPort"].as_i64());
    number.ok_or_else(|| {
        let pod = name(&pod["metadata"]);
        Error::local(format!("Pod '{pod}' does not have a named port '{wanted}'"))
    })
}

fn refuse_udp<'a>(
    ports: impl Iterator<Item = &'a Value>,
    field: &str,
    number: i64,
    remote: &str,
) -> Result<()> {
    let own: Vec<&Value> = ports.filter(|port| port[field] == number).collect();
    let speaks = |protocol: &str| own.iter().any(|port| port["protocol"] == protocol);
    if speaks("UDP") && !speaks("TCP") {
        return Err(Error::local(format!(
            "UDP protocol is not supported for {remote}"
        )));
    }
    Ok(())
}

fn of_pod(text: &str, pod: &Value) -> Result<String> {
    let (local, remote) = split(text);
    if remote.is_empty() {
        return Err(Error::local("remote port cannot be empty"));
    }
    let number = match remote.parse::<i64>() {
        Ok(number) => number,
        Err(_) => port_of_pod(pod, remote)?,
    };
    refuse_udp(container_ports(pod), "containerPort", number, remote)?;
    Ok(if local == remote {
        number.to_string()
    } else {
        format!("{local}:{number}")
    })
}

fn of_service(text: &str, service: &Value, pod: &Value) -> Result<String> {
    let (local, remote) = split(text);
    let spec = &service["spec"];
    let title = name(&service["metadata"]);
    let number = match remote.parse::<i64>() {
        Ok(number) => number,
        Err(_) => list(spec, "ports")
            .find(|port| name(port) == remote)
            .and_then(|port| port["port"].as_i64())
            .ok_or_else(|| {
                Error::local(format!(
                    "Service '{title}' does not have a named port '{remote}'"
                ))
            })?,
    };
    refuse_udp(list(spec, "ports"), "port", number, remote)?;
    let own = list(spec, "ports").find(|port| port["port"] == number);
    let own = own.ok_or_else(|| {
        Error::local(format!(
            "Service {title} does not have a service port {number}"
        ))
    })?;
    let target = match &own["targetPort"] {
        _ if spec["clusterIP"] == "None" => number,
        Value::String(named) => port_of_pod(pod, named)?,
        target => target
            .as_i64()
            .filter(|target| *target != 0)
            .unwrap_or(number),
    };
    let number = number.to_string();
    let local = if local == remote { &number } else { local };
    Ok(joined(local, &target.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_read_as_upstream_reads_them() {
        for (text, expected) in [
            ("80", Ok((80, 80))),
            ("8080:80", Ok((8080, 80))),
            (":80", Ok((0, 80))),
            ("0:80", Ok((0, 80))),
            ("80:0", Err("remote port must be > 0")),
            ("1:2:3", Err("invalid port format '1:2:3'")),
            (
                "a:80",
                Err(
                    "error parsing local port 'a': strconv.ParseUint: parsing \"a\": invalid syntax",
                ),
            ),
            (
                "80:70000",
                Err(
                    "error parsing remote port '70000': strconv.ParseUint: parsing \"70000\": value out of range",
                ),
            ),
        ] {
            let read = Pair::read(text).map(|pair| (pair.local, pair.remote));
            let read = read.map_err(|error| error.message());
            assert_eq!(read, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn names_and_service_ports_become_numbers_of_the_pod() {
        let pod = json!({
            "metadata": {"name": "web-1"},
            "spec": {"containers": [{"ports": [
                {"name": "http", "containerPort": 8080, "protocol": "TCP"},
                {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            ]}]},
        });
        let service = json!({
            "metadata": {"name": "web"},
            "spec": {"clusterIP": "10.0.0.1", "ports": [
                {"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"},
                {"name": "more", "port": 81, "targetPort": 9000, "protocol": "TCP"},
                {"name": "wrong", "port": 82, "targetPort": "nothing", "protocol": "TCP"},
                {"name": "udp", "port": 83, "targetPort": 83, "protocol": "UDP"},
            ]},
        });
        let headless = {
            let mut headless = service.clone();
            headless["spec"]["clusterIP"] = json!("None");
            headless
        };
        for (owner, text, expected) in [
            (None, "80", "80"),
            (None, "http", "8080"),
            (None, "8888:http", "8888:8080"),
            (None, ":http", ":8080"),
            (
                None,
                "https",
                "! Pod 'web-1' does not have a named port 'https'",
            ),
            (None, "dns", "! UDP protocol is not supported for dns"),
            (None, "8080:", "! remote port cannot be empty"),
            (Some(&service), "80", "80:8080"),
            (Some(&service), "8888:80", "8888:8080"),
            (Some(&service), "web", "80:8080"),
            (Some(&service), ":web", ":8080"),
            (Some(&service), "81", "81:9000"),
            (
                Some(&service),
                "82",
                "! Pod 'web-1' does not have a named port 'nothing'",
            ),
            (
                Some(&service),
                "83",
                "! UDP protocol is not supported for 83",
            ),
            (
                Some(&service),
                "90",
                "! Service web does not have a service port 90",
            ),
            (
                Some(&service),
                "none",
                "! Service 'web' does not have a named port 'none'",
            ),
            (Some(&headless), "80", "80"),
        ] {
            let texts = [text.to_owned()];
            let resolved = match resolve(&texts, owner, &pod) {
                Ok(texts) => texts.join(" "),
                Err(error) => format!("! {}", error.message()),
            };
            assert_eq!(resolved, expected, "{text}");
        }
    }
}
