//! Makes a fault, and undoes it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::schedule::{Act, Fault, Target};
use crate::cluster::{Cluster, docker};
use crate::command;
use crate::wait::until;

/// The table of rules that a fault adds; it holds nothing else.
pub const TABLE: &str = "ferrule-chaos";

/// What is to be hit may be about to come: a program that starts, a pod, a leader.
const RUNS: Duration = Duration::from_secs(15);
const LEADS: Duration = Duration::from_secs(30);

/// How a fault is undone.
#[derive(Debug)]
enum Undo {
    /// It undoes itself: something starts the program again.
    Nothing,
    Continue(Pid),
    Docker(&'static str),
    Rules,
    Connect,
}

/// A fault that was made.
#[derive(Debug)]
pub struct Made {
    /// The service that was hit.
    pub service: String,
    undo: Undo,
}

/// Makes a fault.
pub fn make(cluster: &Cluster, fault: &Fault) -> anyhow::Result<Made> {
    let service = match &fault.target {
        Target::Service(service) => service.clone(),
        // Between two terms there is none.
        Target::Leader(member) => until("somebody leads", LEADS, || leader(cluster, member))?,
    };
    let undo = act(cluster, fault.kind.act, &service)
        .with_context(|| format!("{} at {service}", fault.kind.name))?;
    Ok(Made { service, undo })
}

fn act(cluster: &Cluster, act: Act, service: &str) -> anyhow::Result<Undo> {
    let etcd = || addresses(cluster, &["etcd"]);
    let control_plane = || {
        addresses(
            cluster,
            &["etcd", "apiserver", "scheduler", "controller-manager"],
        )
    };
    Ok(match act {
        Act::Kill(program) => {
            until("it runs", RUNS, || cluster.kill(service, program))?;
            Undo::Nothing
        }
        Act::KillShim => {
            let shim = until("a pod runs there", RUNS, || {
                let shim = shims(cluster, service)?.into_iter().next();
                shim.with_context(|| format!("{service} has no pod with a shim"))
            })?;
            kill(shim, Signal::SIGKILL)?;
            Undo::Nothing
        }
        Act::Stop(program) => {
            let process = until("it runs", RUNS, || cluster.process(service, program))?;
            let process = Pid::from_raw(i32::try_from(process)?);
            kill(process, Signal::SIGSTOP)?;
            Undo::Continue(process)
        }
        Act::Pause => {
            cluster.docker("pause", service)?;
            Undo::Docker("unpause")
        }
        Act::Restart => {
            cluster.docker("kill", service)?;
            Undo::Docker("start")
        }
        Act::Drop => rules(cluster, service, &control_plane()?, "drop", "drop")?,
        Act::Loss => {
            let lose = "numgen random mod 100 < 30 drop";
            rules(cluster, service, &control_plane()?, lose, lose)?
        }
        Act::Reject => rules(cluster, service, &control_plane()?, RESET, "drop")?,
        Act::DropEtcd => rules(cluster, service, &etcd()?, "drop", "drop")?,
        Act::RejectEtcd => rules(cluster, service, &etcd()?, RESET, "drop")?,
        Act::Disconnect => {
            let (network, container) = (cluster.network(), cluster.container(service)?);
            docker(&["network", "disconnect", &network, &container])?.ok()?;
            Undo::Connect
        }
    })
}

/// Ends connections over TCP, and answers the rest with an ICMP error.
const RESET: &str = "meta l4proto tcp reject with tcp reset";

impl Made {
    /// Undoes it.
    pub fn undo(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let service = &*self.service;
        match self.undo {
            Undo::Nothing => {}
            Undo::Continue(process) => kill(process, Signal::SIGCONT)?,
            Undo::Docker(verb) => drop(cluster.docker(verb, service)?),
            Undo::Rules => {
                in_network_of(cluster, service, &format!("delete table inet {TABLE}\n"))?;
            }
            Undo::Connect => {
                let (network, container) = (cluster.network(), cluster.container(service)?);
                let address = cluster.address(service)?.to_string();
                let words = [
                    "network", "connect", "--ip", &address, "--alias", service, &network,
                    &container,
                ];
                docker(&words)?.ok()?;
            }
        }
        Ok(())
    }
}

/// The addresses of all members of some components.
fn addresses(cluster: &Cluster, components: &[&str]) -> anyhow::Result<Vec<String>> {
    let members = cluster.control_plane().into_iter().filter(|member| {
        let component = member.trim_end_matches(|digit: char| digit.is_ascii_digit());
        components.contains(&component)
    });
    members
        .map(|member| Ok(cluster.address(member)?.to_string()))
        .collect()
}

/// Adds a table to the network of a container that does something with packets from and to some
/// addresses, before any other table sees them.
fn rules(
    cluster: &Cluster,
    service: &str,
    others: &[String],
    going: &str,
    coming: &str,
) -> anyhow::Result<Undo> {
    in_network_of(cluster, service, &table(others, going, coming))?;
    Ok(Undo::Rules)
}

fn table(others: &[String], going: &str, coming: &str) -> String {
    let others = others.join(", ");
    format!(
        "table inet {TABLE} {{\n\
         chain going {{ type filter hook output priority -300; ip daddr {{ {others} }} {going}; }}\n\
         chain coming {{ type filter hook input priority -300; ip saddr {{ {others} }} {coming}; }}\n}}\n"
    )
}

/// Runs the host's `nft` in the network namespace of a container.
fn in_network_of(cluster: &Cluster, service: &str, rules: &str) -> anyhow::Result<()> {
    let namespace = format!("--net=/proc/{}/ns/net", cluster.first_process(service)?);
    let mut nft = Command::new("nsenter");
    nft.args([&*namespace, "nft", "-f", "-"]);
    let path = std::env::var("PATH").unwrap_or_default();
    nft.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command::run(&mut nft, rules, Duration::from_secs(10))?.ok()?;
    Ok(())
}

/// Which member of a component leads.
pub fn leader(cluster: &Cluster, component: &str) -> anyhow::Result<String> {
    if component == "etcd" {
        return leading_etcd(cluster);
    }
    let lease = cluster
        .kubectl()
        .within("kube-system")
        .json(&format!("lease kube-{component}"))?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    let host = holder.split('_').next().unwrap_or_default();
    ensure!(!host.is_empty(), "nobody holds the lease kube-{component}");
    Ok(host.to_owned())
}

fn leading_etcd(cluster: &Cluster) -> anyhow::Result<String> {
    let members: Vec<&str> = cluster
        .control_plane()
        .into_iter()
        .filter(|member| member.starts_with("etcd"))
        .collect();
    for member in members {
        let state = etcdctl(cluster, member, &["endpoint", "status", "-w", "json"])?;
        let state: serde_json::Value = serde_json::from_str(&state)?;
        let status = &state[0]["Status"];
        if status["leader"].is_u64() && status["leader"] == status["header"]["member_id"] {
            return Ok(member.to_owned());
        }
    }
    bail!("no member of etcd leads")
}

/// etcdctl inside a member, against this member.
pub fn etcdctl(cluster: &Cluster, member: &str, words: &[&str]) -> anyhow::Result<String> {
    let pki = "/etc/ferrule/pki";
    let options = [
        "--endpoints=https://localhost:2379".to_owned(),
        "--dial-timeout=2s".to_owned(),
        "--command-timeout=4s".to_owned(),
        format!("--cacert={pki}/etcd-ca.crt"),
        format!("--cert={pki}/apiserver-etcd-client.crt"),
        format!("--key={pki}/apiserver-etcd-client.key"),
    ];
    let mut all = vec!["etcdctl"];
    all.extend(options.iter().map(|option| &**option));
    all.extend(words);
    cluster.exec(member, &all)
}

/// The shims of a node's pods, as processes of the host, in the order of their numbers.
pub fn shims(cluster: &Cluster, node: &str) -> anyhow::Result<Vec<Pid>> {
    let first = cluster.first_process(node)?;
    let space = |process: u32| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let ours = space(first);
    let mut found: Vec<i32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|process| is_shim(*process) && space(*process) == ours)
        .filter_map(|process| i32::try_from(process).ok())
        .collect();
    found.sort_unstable();
    Ok(found.into_iter().map(Pid::from_raw).collect())
}

/// A shim runs the runtime's program under a name of its own.
fn is_shim(process: u32) -> bool {
    std::fs::read(format!("/proc/{process}/cmdline"))
        .is_ok_and(|line| line.starts_with(b"cri-shim\0shim\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_has_a_table_of_its_own_and_names_only_the_others() {
        let text = table(&["10.0.0.1".into(), "10.0.0.2".into()], "drop", "drop");
        assert!(text.starts_with("table inet ferrule-chaos {"));
        assert!(text.contains("hook output priority -300; ip daddr { 10.0.0.1, 10.0.0.2 } drop;"));
        assert!(text.contains("hook input priority -300; ip saddr { 10.0.0.1, 10.0.0.2 } drop;"));
        assert!(!text.contains("flush"));
    }
}
