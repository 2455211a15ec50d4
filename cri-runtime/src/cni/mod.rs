//! Networks by CNI: the plugins of the first configuration in a directory are run one after the other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::error::{Error, Result};

/// How long one plugin may take.
const PLUGIN_TIMEOUT: Duration = Duration::from_secs(60);

/// Where configurations and plugins are.
#[derive(Debug, Clone)]
pub struct Cni {
    /// `*.conflist` and `*.conf`; the first by name counts.
    pub configuration: PathBuf,
    /// Directories with plugins.
    pub plugins: Vec<PathBuf>,
}

/// A network: its plugins in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The version of the protocol.
    pub cni_version: String,
    /// Each plugin's own configuration.
    pub plugins: Vec<Value>,
}

/// The pod that is connected.
#[derive(Debug, Clone)]
pub struct Pod<'a> {
    /// The sandbox's id.
    pub sandbox: &'a str,
    /// The namespace's path; empty when it is gone.
    pub netns: String,
    /// The pod's namespace.
    pub namespace: &'a str,
    /// The pod's name.
    pub name: &'a str,
    /// The pod's uid.
    pub uid: &'a str,
    /// The cgroup's parent, a capability of some plugins.
    pub cgroup_parent: &'a str,
    /// Ports of the node that lead to the pod.
    pub port_mappings: Vec<Value>,
}

/// What was done for a pod: enough to undo it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network as it was then.
    pub network: Network,
    /// The last plugin's result.
    pub result: Value,
}

impl Attachment {
    /// The pod's addresses, in the plugins' order.
    pub fn addresses(&self) -> Vec<String> {
        self.result["ips"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|ip| ip["address"].as_str())
            .map(|address| address.split('/').next().unwrap_or(address).to_owned())
            .collect()
    }
}

impl Cni {
    /// The network that pods join, if one is configured.
    pub fn network(&self) -> Result<Option<Network>> {
        let mut files: Vec<PathBuf> = match std::fs::read_dir(&self.configuration) {
            Ok(entries) => entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| {
                    path.extension()
                        .is_some_and(|e| e == "conflist" || e == "conf" || e == "json")
                })
                .collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        files.sort();
        let Some(path) = files.first() else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)?;
        parse(&text)
            .with_context(|| format!("read {}", path.display()))
            .map(Some)
            .map_err(Error::Internal)
    }

    /// Connects the pod.
    pub async fn add(&self, network: &Network, pod: &Pod<'_>) -> Result<Attachment> {
        let mut previous = None;
        for plugin in &network.plugins {
            let answer = self
                .invoke("ADD", network, plugin, pod, previous.as_ref())
                .await?;
            previous = Some(answer);
        }
        Ok(Attachment {
            network: network.clone(),
            result: previous.unwrap_or(Value::Null),
        })
    }

    /// Disconnects the pod: the plugins in reverse order. May be repeated.
    pub async fn delete(&self, attachment: &Attachment, pod: &Pod<'_>) -> Result<()> {
        let previous = (!attachment.result.is_null()).then_some(&attachment.result);
        for plugin in attachment.network.plugins.iter().rev() {
            self.invoke("DEL", &attachment.network, plugin, pod, previous)
                .await?;
        }
        Ok(())
    }

    async fn invoke(
        &self,
        command: &str,
        network: &Network,
        plugin: &Value,
        pod: &Pod<'_>,
        previous: Option<&Value>,
    ) -> Result<Value> {
        let kind = plugin["type"]
            .as_str()
            .ok_or_else(|| anyhow!("a CNI plugin has no type"))?;
        let program = self.find(kind)?;
        let input = serde_json::to_vec(&input(network, plugin, pod, previous))?;
        let paths: Vec<&str> = self
            .plugins
            .iter()
            .filter_map(|path| path.to_str())
            .collect();
        let mut child = tokio::process::Command::new(&program)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", pod.sandbox)
            .env("CNI_NETNS", &pod.netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", arguments(pod))
            .env("CNI_PATH", paths.join(":"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("run CNI plugin {}", program.display()))?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let run = async {
            // A plugin that answers without reading its input is no error.
            let _ = stdin.write_all(&input).await;
            drop(stdin);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(PLUGIN_TIMEOUT, run)
            .await
            .map_err(|_| Error::Deadline(format!("CNI plugin {kind} does not end")))??;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        if !output.status.success() {
            let words = answer["msg"].as_str().map_or_else(
                || String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                |message| match answer["details"].as_str() {
                    Some(details) if !details.is_empty() => format!("{message}: {details}"),
                    _ => message.to_owned(),
                },
            );
            let verb = if command == "ADD" { "add" } else { "delete" };
            return Err(Error::Internal(anyhow!(
                "plugin type={kind:?} name={:?} failed ({verb}): {words}",
                network.name
            )));
        }
        Ok(answer)
    }

    fn find(&self, kind: &str) -> Result<PathBuf> {
        if kind.contains('/') {
            return Err(Error::Invalid(format!("invalid CNI plugin type {kind:?}")));
        }
        self.plugins
            .iter()
            .map(|directory| directory.join(kind))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                Error::Internal(anyhow!(
                    "failed to find plugin {kind:?} in path {:?}",
                    self.plugins
                ))
            })
    }
}

fn parse(text: &str) -> anyhow::Result<Network> {
    let value: Value = serde_json::from_str(text)?;
    let name = value["name"].as_str().context("no name")?.to_owned();
    let cni_version = value["cniVersion"].as_str().unwrap_or("0.1.0").to_owned();
    let plugins = match value.get("plugins") {
        Some(plugins) => plugins.as_array().context("plugins is no list")?.clone(),
        None => vec![value],
    };
    Ok(Network {
        name,
        cni_version,
        plugins,
    })
}

/// What a plugin reads: its own configuration with what the runtime adds.
fn input(network: &Network, plugin: &Value, pod: &Pod<'_>, previous: Option<&Value>) -> Value {
    let mut input = plugin.clone();
    input["name"] = json!(network.name);
    input["cniVersion"] = json!(network.cni_version);
    if let Some(previous) = previous {
        input["prevResult"] = previous.clone();
    }
    let offered: BTreeMap<&str, Value> = BTreeMap::from([
        ("portMappings", json!(pod.port_mappings)),
        ("cgroupPath", json!(pod.cgroup_parent)),
    ]);
    if let Some(capabilities) = plugin["capabilities"].as_object() {
        let wanted: serde_json::Map<String, Value> = offered
            .into_iter()
            .filter(|(name, _)| capabilities.get(*name) == Some(&json!(true)))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        if !wanted.is_empty() {
            input["runtimeConfig"] = Value::Object(wanted);
        }
        if let Some(object) = input.as_object_mut() {
            object.remove("capabilities");
        }
    }
    input
}

fn arguments(pod: &Pod<'_>) -> String {
    format!(
        "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
        pod.namespace, pod.name, pod.sandbox, pod.uid
    )
}

/// Reads what was done for a sandbox.
pub fn load(path: &Path) -> Option<Attachment> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POD: Pod<'_> = Pod {
        sandbox: "s1",
        netns: String::new(),
        namespace: "default",
        name: "web",
        uid: "u1",
        cgroup_parent: "/kubepods",
        port_mappings: Vec::new(),
    };

    #[test]
    fn a_single_plugin_is_a_list_of_one() {
        let network = parse(r#"{"cniVersion":"1.0.0","name":"n","type":"ferrule-cni","mtu":1450}"#)
            .expect("parses");
        assert_eq!(network.plugins.len(), 1);
        let given = input(
            &network,
            &network.plugins[0],
            &POD,
            Some(&json!({"ips": []})),
        );
        assert_eq!(given["mtu"], 1450);
        assert_eq!(given["prevResult"], json!({"ips": []}));
    }

    #[test]
    fn plugins_get_the_capabilities_they_ask_for() {
        let network = parse(
            r#"{"cniVersion":"1.0.0","name":"n","plugins":[
                {"type":"a","capabilities":{"portMappings":true,"bandwidth":true}},{"type":"b"}]}"#,
        )
        .expect("parses");
        let first = input(&network, &network.plugins[0], &POD, None);
        assert_eq!(first["runtimeConfig"], json!({"portMappings": []}));
        assert_eq!(first.get("capabilities"), None);
        assert_eq!(
            input(&network, &network.plugins[1], &POD, None).get("runtimeConfig"),
            None
        );
    }

    #[test]
    fn addresses_come_without_their_prefix_length() {
        let attachment = Attachment {
            network: Network {
                name: "n".into(),
                cni_version: "1.0.0".into(),
                plugins: Vec::new(),
            },
            result: json!({"ips": [{"address": "10.244.1.7/24"}, {"address": "fd00::7/64"}]}),
        };
        assert_eq!(attachment.addresses(), ["10.244.1.7", "fd00::7"]);
    }

    #[tokio::test]
    async fn plugins_are_run_in_order_and_their_errors_told() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("temporary directory");
        let script = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("writable");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .expect("permissions");
        };
        script(
            "good",
            r#"cat >/dev/null; echo "{\"ips\":[{\"address\":\"10.0.0.2/24\"}]}""#,
        );
        script(
            "bad",
            r#"cat >/dev/null; echo '{"code":11,"msg":"no address left"}'; exit 1"#,
        );
        std::fs::write(
            directory.path().join("10-a.conflist"),
            r#"{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"good"}]}"#,
        )
        .expect("writable");
        let cni = Cni {
            configuration: directory.path().to_owned(),
            plugins: vec![directory.path().to_owned()],
        };
        let network = cni.network().expect("readable").expect("configured");
        let attachment = cni.add(&network, &POD).await.expect("connects");
        assert_eq!(attachment.addresses(), ["10.0.0.2"]);
        cni.delete(&attachment, &POD).await.expect("disconnects");
        let bad = parse(r#"{"name":"n","type":"bad"}"#).expect("parses");
        let error = cni.add(&bad, &POD).await.expect_err("fails");
        assert_eq!(
            error.to_string(),
            r#"plugin type="bad" name="n" failed (add): no address left"#
        );
    }
}
