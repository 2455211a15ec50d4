//! Node ports: one key `/ferrule/nodeports/<port>` for each, with the uid of its Service.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use ferrule_apimachinery::field::{FieldError, Path};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::{Effects, Ranges, Spec, World, may_have_ports, needs_health_port, needs_ports, text};
use crate::store::{Compare, Snapshot};

fn key(port: u16) -> String {
    format!("/ferrule/nodeports/{port}")
}

fn entries(spec: &Spec) -> impl Iterator<Item = &Spec> {
    spec.get("ports")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
}

fn number(map: &Spec, field: &str) -> u16 {
    map.get(field)
        .and_then(Value::as_u64)
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(0)
}

fn identity(port: &Spec) -> (String, u64) {
    let protocol = match text(port, "protocol") {
        "" => "TCP",
        protocol => protocol,
    };
    (
        protocol.to_owned(),
        port.get("port").and_then(Value::as_u64).unwrap_or_default(),
    )
}

/// Every port that a Service holds.
fn held(spec: &Spec) -> HashSet<u16> {
    if !may_have_ports(spec) {
        return HashSet::new();
    }
    let mut ports: HashSet<u16> = entries(spec).map(|port| number(port, "nodePort")).collect();
    ports.insert(number(spec, "healthCheckNodePort"));
    ports.remove(&0);
    ports
}

/// Ports that the client left out stay as they were allocated.
pub(super) fn keep_allocated(spec: &mut Spec, old: &Spec) {
    if may_have_ports(spec) && may_have_ports(old) {
        let before: HashMap<(String, u64), u16> = entries(old)
            .map(|port| (identity(port), number(port, "nodePort")))
            .collect();
        let mut used: HashSet<u16> = entries(spec).map(|port| number(port, "nodePort")).collect();
        let list = spec
            .get_mut("ports")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten();
        for port in list.filter_map(Value::as_object_mut) {
            if number(port, "nodePort") != 0 {
                continue;
            }
            if let Some(kept) = before
                .get(&identity(port))
                .filter(|kept| **kept != 0 && used.insert(**kept))
            {
                port.insert("nodePort".into(), (*kept).into());
            }
        }
    }
    if needs_health_port(spec) && needs_health_port(old) && number(spec, "healthCheckNodePort") == 0
    {
        spec.insert(
            "healthCheckNodePort".into(),
            number(old, "healthCheckNodePort").into(),
        );
    }
}

/// Removes node ports that the client left as they were from a Service that no longer has any.
pub(super) fn drop_unchanged(spec: &mut Spec, old: &Spec) {
    let ports = |spec: &Spec| {
        entries(spec)
            .map(|port| number(port, "nodePort"))
            .collect::<Vec<_>>()
    };
    if ports(spec) != ports(old) {
        return;
    }
    let list = spec
        .get_mut("ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten();
    for port in list.filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
}

/// The node ports in use, read off the bytes of all Services.
///
/// A text that a user wrote has its quotes escaped, so that the pattern matches only field names.
fn in_use(services: &Snapshot) -> HashSet<u16> {
    let mut ports = HashSet::new();
    for (_, stored) in services.iter() {
        for pattern in ["\"nodePort\":", "\"healthCheckNodePort\":"] {
            let mut rest = &stored.bytes[..];
            while let Some(at) = find(rest, pattern.as_bytes()) {
                rest = &rest[at + pattern.len()..];
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let text = std::str::from_utf8(&rest[..digits]).ok();
                let port: Option<u16> = text.and_then(|text| text.parse().ok());
                ports.extend(port);
            }
        }
    }
    ports
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

impl Ranges {
    pub(super) fn allocate_ports(
        &self,
        spec: &mut Spec,
        old: Option<&Spec>,
        uid: &str,
        world: &World,
        dice: &mut StdRng,
        effects: &mut Effects,
    ) -> Vec<FieldError> {
        let had = old.map(held).unwrap_or_default();
        let mut mine = HashSet::new();
        let mut problems = Vec::new();
        if may_have_ports(spec) {
            let used = world.services.as_ref().map(in_use).unwrap_or_default();
            let taken = |port: u16| used.contains(&port) || world.taken.contains(&key(port));
            let allocate = needs_ports(spec);
            let health = needs_health_port(spec);
            let path = Path::new("spec");
            let list = spec
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten();
            for (index, port) in list.filter_map(Value::as_object_mut).enumerate() {
                let asked = number(port, "nodePort");
                if asked == 0 && allocate {
                    let free =
                        |port: u16| !taken(port) && !mine.contains(&port) && !had.contains(&port);
                    match self.pick_port(dice, free) {
                        Some(picked) => {
                            port.insert("nodePort".into(), picked.into());
                            mine.insert(picked);
                        }
                        None => {
                            let path = path.child("ports").index(index).child("nodePort");
                            let why = "failed to allocate a nodePort: range is full";
                            problems.push(FieldError::internal(&path, why));
                        }
                    }
                } else if asked != 0 {
                    let path = path.child("ports").index(index).child("nodePort");
                    problems.extend(self.check_port(&path, asked, &had, &mine, taken));
                    mine.insert(asked);
                }
            }
            if health {
                let asked = number(spec, "healthCheckNodePort");
                let path = path.child("healthCheckNodePort");
                if asked != 0 {
                    problems.extend(self.check_port(&path, asked, &had, &HashSet::new(), taken));
                    mine.insert(asked);
                } else {
                    let free =
                        |port: u16| !taken(port) && !mine.contains(&port) && !had.contains(&port);
                    if let Some(picked) = self.pick_port(dice, free) {
                        spec.insert("healthCheckNodePort".into(), picked.into());
                        mine.insert(picked);
                    }
                }
            }
        }
        for port in mine.difference(&had) {
            effects.compare.push(Compare::Absent(key(*port)));
            effects.put.push((key(*port), Bytes::from(uid.to_owned())));
        }
        if let Some(old) = old {
            self.release_ports(old, &mine, effects);
        }
        problems
    }

    fn check_port(
        &self,
        path: &Path,
        asked: u16,
        had: &HashSet<u16>,
        mine: &HashSet<u16>,
        taken: impl Fn(u16) -> bool,
    ) -> Option<FieldError> {
        // One number may serve several protocols of the same Service.
        if had.contains(&asked) || mine.contains(&asked) {
            return None;
        }
        let (first, last) = (self.ports.start(), self.ports.end());
        let why = if !self.ports.contains(&asked) {
            format!(
                "provided port is not in the valid range. The range of valid ports is {first}-{last}"
            )
        } else if taken(asked) {
            "provided port is already allocated".to_owned()
        } else {
            return None;
        };
        Some(FieldError::invalid(path, i64::from(asked), why))
    }

    /// A free port, from the upper part of the range while there is one.
    fn pick_port(&self, dice: &mut StdRng, free: impl Fn(u16) -> bool) -> Option<u16> {
        let (first, last) = (*self.ports.start(), *self.ports.end());
        let size = last - first + 1;
        let lower = (size / 32).clamp(16, 128).min(size / 2);
        for (start, length) in [(first + lower, size - lower), (first, lower)] {
            if length == 0 {
                continue;
            }
            let offset = dice.random_range(0..length);
            let found = (0..length)
                .map(|step| start + (offset + step) % length)
                .find(|port| free(*port));
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Gives back the ports of a Service that are not among those it keeps.
    pub(super) fn release_ports(&self, old: &Spec, kept: &HashSet<u16>, effects: &mut Effects) {
        effects
            .delete
            .extend(held(old).difference(kept).map(|port| key(*port)));
    }
}
