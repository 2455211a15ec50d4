//! One cluster of containers: started by `deploy/up.sh`, removed by `deploy/down.sh`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::command::{self, Output};
use crate::kubectl::Kubectl;
use crate::network::{self, Blackholes};

/// The worker nodes.
pub const NODES: [&str; 3] = ["node1", "node2", "node3"];
const CONTROL_PLANE: [&str; 4] = ["etcd", "apiserver", "scheduler", "controller-manager"];
/// What a highly available control plane has beside these.
const FURTHER: [&str; 5] = [
    "etcd2",
    "etcd3",
    "apiserver2",
    "scheduler2",
    "controller-manager2",
];

/// What sets a cluster apart from others on the machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The compose project.
    pub project: String,
    /// Its folder.
    pub state: PathBuf,
    /// The first three bytes of its network.
    pub network: [u8; 3],
    /// The API server's port on 127.0.0.1; that of a second one is 100 higher.
    pub api_port: u16,
    /// Three members of etcd and two of each other program of the control plane.
    pub high_availability: bool,
    /// The cargo profile of the programs.
    pub profile: String,
    /// Leave it running at the end.
    pub keep: bool,
}

impl Settings {
    /// The cluster of the end-to-end tests; `FERRULE_KEEP` leaves it running at the end, and the
    /// next run uses it again. The variables of `deploy/settings.sh` give it another name, network,
    /// port or folder, so that two can run side by side.
    pub fn of_tests() -> Settings {
        let given = |name: &str| std::env::var(name).ok();
        let network = given("FERRULE_NET").and_then(|net| {
            let mut bytes = net.split('.').map(str::parse);
            Some([
                bytes.next()?.ok()?,
                bytes.next()?.ok()?,
                bytes.next()?.ok()?,
            ])
        });
        Settings {
            project: given("COMPOSE_PROJECT_NAME").unwrap_or_else(|| "ferrule-e2e".to_owned()),
            state: given("FERRULE_STATE")
                .unwrap_or_else(|| "/var/tmp/ferrule-e2e".to_owned())
                .into(),
            network: network.unwrap_or([172, 31, 251]),
            api_port: given("FERRULE_API_PORT")
                .and_then(|port| port.parse().ok())
                .unwrap_or(26443),
            high_availability: given("FERRULE_HA")
                .is_some_and(|given| !matches!(&*given, "" | "0")),
            profile: std::env::var("FERRULE_PROFILE").unwrap_or_else(|_| "dev".to_owned()),
            keep: std::env::var_os("FERRULE_KEEP").is_some(),
        }
    }

    /// The cluster of the benchmarks.
    pub fn of_benchmarks() -> Settings {
        Settings {
            project: "ferrule-bench".to_owned(),
            state: "/var/tmp/ferrule-bench".into(),
            network: [172, 31, 252],
            api_port: 27443,
            high_availability: false,
            profile: "release".to_owned(),
            keep: false,
        }
    }
}

/// A running cluster; removed when dropped.
pub struct Cluster {
    settings: Settings,
    root: PathBuf,
    _blackholes: Blackholes,
}

impl Cluster {
    /// Removes what an earlier run left, and starts afresh.
    pub fn start(settings: Settings) -> anyhow::Result<Cluster> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the workspace's folder")?
            .to_owned();
        let cluster = Cluster {
            settings,
            root,
            _blackholes: Blackholes::add(),
        };
        if !cluster.settings.keep {
            cluster.script("down.sh")?;
        }
        cluster.script("up.sh")?;
        Ok(cluster)
    }

    /// Runs a script of `deploy/` with this cluster's settings, its output on ours.
    pub fn script(&self, name: &str) -> anyhow::Result<()> {
        let [a, b, c] = self.settings.network;
        let mut script = Command::new(self.root.join("deploy").join(name));
        // What cargo tells the programs that it starts would make build scripts run again.
        for (variable, _) in std::env::vars_os() {
            let shown = variable.to_string_lossy();
            if shown.starts_with("CARGO_PKG_") || shown.starts_with("CARGO_MANIFEST_") {
                script.env_remove(&variable);
            }
        }
        let status = script
            .env("COMPOSE_PROJECT_NAME", &self.settings.project)
            .env("FERRULE_STATE", &self.settings.state)
            .env("FERRULE_NET", format!("{a}.{b}.{c}"))
            .env("FERRULE_API_PORT", self.settings.api_port.to_string())
            .env(
                "FERRULE_API_PORT_2",
                (self.settings.api_port + 100).to_string(),
            )
            .env(
                "FERRULE_HA",
                if self.settings.high_availability {
                    "1"
                } else {
                    "0"
                },
            )
            .env("FERRULE_NODE_PORTS", "")
            .env("FERRULE_PROFILE", &self.settings.profile)
            .env("FERRULE_QUIET", "1")
            .status()
            .with_context(|| format!("start deploy/{name}"))?;
        ensure!(status.success(), "deploy/{name} failed: {status}");
        Ok(())
    }

    /// Where the programs were built.
    pub fn program(&self, name: &str) -> PathBuf {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), PathBuf::from);
        let folder = match self.settings.profile.as_str() {
            "dev" => "debug",
            other => other,
        };
        target.join(folder).join(name)
    }

    /// The cluster's folder.
    pub fn state(&self) -> &Path {
        &self.settings.state
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.settings.state.join("kubeconfig")
    }

    /// A kubeconfig for each API server, that knows only this one.
    pub fn kubeconfigs(&self) -> Vec<PathBuf> {
        if self.settings.high_availability {
            let pki = self.settings.state.join("pki");
            vec![pki.join("kubeconfig.1"), pki.join("kubeconfig.2")]
        } else {
            vec![self.kubeconfig()]
        }
    }

    /// The services of the control plane.
    pub fn control_plane(&self) -> Vec<&'static str> {
        let further: &[&str] = if self.settings.high_availability {
            &FURTHER
        } else {
            &[]
        };
        CONTROL_PLANE.iter().chain(further).copied().collect()
    }

    /// The name of the cluster's network in Docker.
    pub fn network(&self) -> String {
        format!("{}_cluster", self.settings.project)
    }

    /// A certificate or key.
    pub fn certificate(&self, file: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.settings.state.join("pki").join(file);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    }

    /// Our kubectl, as the administrator.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::ours(self.program("kubectl"), &self.kubeconfig())
    }

    /// Upstream's kubectl, where the machine has one (`FERRULE_UPSTREAM_KUBECTL`, or that of a
    /// package under /usr/bin).
    pub fn upstream_kubectl(&self) -> Option<Kubectl> {
        let program = std::env::var_os("FERRULE_UPSTREAM_KUBECTL")
            .map_or_else(|| PathBuf::from("/usr/bin/kubectl"), PathBuf::from);
        if !program.exists() {
            println!(
                "note: there is no {}: what upstream's kubectl prints is not compared",
                program.display()
            );
        }
        program.exists().then(|| {
            Kubectl::upstream(
                program,
                &self.kubeconfig(),
                self.settings.state.join("kubectl-cache"),
            )
        })
    }

    /// The address of a service of docker-compose.yml.
    pub fn address(&self, service: &str) -> anyhow::Result<Ipv4Addr> {
        let last = match service {
            "etcd" => 2,
            "apiserver" => 3,
            "scheduler" => 4,
            "controller-manager" => 5,
            "etcd2" => 6,
            "etcd3" => 7,
            "apiserver2" => 8,
            "scheduler2" => 9,
            "controller-manager2" => 10,
            "node1" => 11,
            "node2" => 12,
            "node3" => 13,
            _ => bail!("there is no service {service}"),
        };
        let [a, b, c] = self.settings.network;
        Ok(Ipv4Addr::new(a, b, c, last))
    }

    /// Fetches `/` from a port of a node.
    pub fn get(&self, node: &str, port: u16) -> anyhow::Result<String> {
        network::get(
            SocketAddr::from((self.address(node)?, port)),
            Duration::from_secs(2),
        )
    }

    /// The id of the container of a service, whether it runs or not.
    pub fn container(&self, service: &str) -> anyhow::Result<String> {
        let project = format!("label=com.docker.compose.project={}", self.settings.project);
        let service_label = format!("label=com.docker.compose.service={service}");
        let found = docker(&[
            "ps",
            "-aq",
            "--filter",
            &project,
            "--filter",
            &service_label,
        ])?
        .ok()?;
        match found.lines().collect::<Vec<_>>()[..] {
            [id] => Ok(id.to_owned()),
            ref other => bail!("{service} has {} containers", other.len()),
        }
    }

    /// `docker VERB CONTAINER` for the container of a service.
    pub fn docker(&self, verb: &str, service: &str) -> anyhow::Result<String> {
        docker(&[verb, &self.container(service)?])?
            .ok()
            .with_context(|| format!("docker {verb} {service}"))
    }

    /// Runs a program inside the container of a service.
    pub fn exec(&self, service: &str, words: &[&str]) -> anyhow::Result<String> {
        let container = self.container(service)?;
        let mut all = vec!["exec", &container];
        all.extend(words);
        docker(&all)?
            .ok()
            .with_context(|| format!("in {service}: {}", words.join(" ")))
    }

    /// The process, as the host counts, of the first process of a service's container.
    pub fn first_process(&self, service: &str) -> anyhow::Result<u32> {
        let shown =
            docker(&["inspect", "-f", "{{.State.Pid}}", &self.container(service)?])?.ok()?;
        match shown.trim().parse()? {
            0 => bail!("{service} does not run"),
            process => Ok(process),
        }
    }

    /// The process of a component, as the host counts: the child of its container's first
    /// process that runs this program. A pod's shim runs `cri-runtime` too, but is no such child.
    pub fn process(&self, service: &str, program: &str) -> anyhow::Result<u32> {
        let first = self.first_process(service)?;
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children"))
            .with_context(|| format!("the processes of {service}"))?;
        children
            .split_whitespace()
            .filter_map(|process| process.parse().ok())
            .find(|process| runs(*process, program))
            .with_context(|| format!("{program} does not run in {service}"))
    }

    /// Ends a component's process with SIGKILL; answers with the process that it was.
    pub fn kill(&self, service: &str, program: &str) -> anyhow::Result<u32> {
        let process = self.process(service, program)?;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
            .with_context(|| format!("kill {program} of {service}: root is needed"))?;
        Ok(process)
    }

    /// A path inside the container of a running service, as the host sees it.
    pub fn path(&self, service: &str, path: &str) -> anyhow::Result<PathBuf> {
        let first = self.first_process(service)?;
        Ok(format!("/proc/{first}/root{path}").into())
    }

    /// The names in a folder of a node; none when the folder is not there.
    pub fn folder(&self, node: &str, path: &str) -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.path(node, path)?)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Writes what the cluster knows of itself into a folder: logs of every container, objects,
    /// rules and routes of the nodes.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let keep = |name: String, output: anyhow::Result<Output>| {
            let text = output.map_or_else(
                |error| format!("{error:#}\n"),
                |output| output.stdout + &output.stderr,
            );
            fs::write(folder.join(name), text)
        };
        for service in self.control_plane().iter().chain(&NODES) {
            let logs = self
                .container(service)
                .and_then(|id| docker(&["logs", "--tail", "5000", &id]));
            keep(format!("{service}.log"), logs)?;
        }
        for node in NODES {
            let inside = |words: &[&str]| {
                let id = self.container(node)?;
                let mut all = vec!["exec", &*id];
                all.extend(words);
                docker(&all)
            };
            keep(format!("{node}.rules"), inside(&["nft", "list", "ruleset"]))?;
            keep(format!("{node}.routes"), inside(&["ip", "route"]))?;
            keep(format!("{node}.links"), inside(&["ip", "address"]))?;
        }
        let kubectl = self.kubectl();
        let whole: [(&str, &[&str]); 3] = [
            ("pods.txt", &["get", "pods,nodes", "-A", "-o", "wide"]),
            ("events.txt", &["get", "events", "-A"]),
            (
                "objects.yaml",
                &[
                    "get",
                    "nodes,pods,deployments,replicasets,services,endpointslices",
                    "-A",
                    "-o",
                    "yaml",
                ],
            ),
        ];
        for (name, words) in whole {
            keep(name.to_owned(), kubectl.run(words, ""))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.settings.keep {
            println!(
                "the cluster goes on; its folder is {}",
                self.settings.state.display()
            );
        } else if let Err(error) = self.script("down.sh") {
            eprintln!("error: {error:#}");
        }
    }
}

/// Whether a process runs a program of this name.
fn runs(process: u32, program: &str) -> bool {
    let words = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let first = words.split(|byte| *byte == 0).next().unwrap_or_default();
    Path::new(&*String::from_utf8_lossy(first))
        .file_name()
        .is_some_and(|name| name == program)
}

/// Runs docker with these words, whatever comes of it.
pub fn docker(words: &[&str]) -> anyhow::Result<Output> {
    command::run(
        Command::new("docker").args(words),
        "",
        Duration::from_secs(60),
    )
}
