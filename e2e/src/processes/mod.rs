//! A cluster of processes of this machine on 127.0.0.1, without containers.
//!
//! ```text
//!  ApiServer      etcd ◀── kube-apiserver
//!  ControlPlane      + kube-scheduler, kube-controller-manager
//!  Nodes(n)          + cri-runtime --simulated, n kubelets over it
//! ```
//!
//! The programs are those that lie beside the running one: whoever starts them builds them first.

mod ports;
mod running;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use ferrule_client::ClientConfig;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use self::ports::Ports;
use self::running::{Running, unmount_under};
use crate::command;
use crate::kubectl::Kubectl;
use crate::rest::Rest;
use crate::simulated::{kubelet_flags, socket_of};
use crate::wait::seconds;

/// How long anything may take to be ready, on a slow and busy machine too.
const READY_WITHIN: Duration = seconds(120);
/// How long everything may take to end when it is asked to.
const END_WITHIN: Duration = seconds(20);
/// How often all is started before it is given up: another program may have taken a port.
const ATTEMPTS: usize = 3;

/// What is started, in the order of the extents that need it.
const PROGRAMS: [&str; 6] = [
    "ferrule-certificates",
    "kube-apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "cri-runtime",
    "kubelet",
];

/// How much of a cluster is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// etcd and the API server.
    ApiServer,
    /// The same, with a scheduler and a controller manager that lead.
    ControlPlane,
    /// The same, and that many kubelets over a runtime that pretends, all of them Ready.
    Nodes(usize),
}

impl Extent {
    fn nodes(self) -> usize {
        match self {
            Extent::Nodes(nodes) => nodes,
            _ => 0,
        }
    }
}

/// What is started, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How much of a cluster.
    pub extent: Extent,
    /// Whether etcd waits for its disk, as it must where that is measured.
    pub durable: bool,
    /// Further flags of the API server.
    pub api_server_flags: Vec<String>,
    /// Set when nobody waits for the cluster any longer.
    pub abandoned: Arc<AtomicBool>,
}

impl Plan {
    /// So much, and nothing special.
    pub fn new(extent: Extent) -> Plan {
        Plan {
            extent,
            durable: false,
            api_server_flags: Vec::new(),
            abandoned: Arc::default(),
        }
    }
}

/// A running cluster of processes. Everything ends and is removed when it is dropped.
///
/// The processes end with the thread that started them, too, if that one cannot end them.
pub struct Processes {
    /// The oldest first.
    running: Mutex<Vec<Running>>,
    plan: Plan,
    ports: Ports,
    server: String,
    programs: PathBuf,
    work: TempDir,
}

impl Processes {
    /// Starts as much and waits until it is ready.
    pub fn start(extent: Extent) -> anyhow::Result<Processes> {
        Processes::of(&Plan::new(extent))
    }

    /// Starts what the plan says and waits until it is ready.
    pub fn of(plan: &Plan) -> anyhow::Result<Processes> {
        let mut attempt = 1;
        loop {
            let processes = Processes::prepared(plan.clone())?;
            match processes.begin() {
                Ok(()) => return Ok(processes),
                Err(error) if attempt == ATTEMPTS || plan.abandoned.load(Ordering::Relaxed) => {
                    return Err(error.context(processes.last_words()));
                }
                Err(error) => {
                    eprintln!("note: started again: {error:#}\n{}", processes.last_words());
                    attempt += 1;
                }
            }
        }
    }

    fn prepared(plan: Plan) -> anyhow::Result<Processes> {
        let ports = Ports::choose(plan.extent.nodes()).context("choose ports")?;
        Ok(Processes {
            running: Mutex::default(),
            server: format!("https://127.0.0.1:{}", ports.api),
            programs: programs(plan.extent)?,
            work: tempfile::Builder::new()
                .prefix("ferrule-processes-")
                .tempdir()?,
            plan,
            ports,
        })
    }

    fn begin(&self) -> anyhow::Result<()> {
        self.make_certificates()?;
        self.run("etcd", self.etcd_command())?;
        self.run("apiserver", self.api_server_command())?;
        self.api_server_is_ready()?;
        if self.plan.extent == Extent::ApiServer {
            return Ok(());
        }
        self.run("scheduler", self.leader("scheduler", self.ports.scheduler))?;
        let mut manager = self.leader("controller-manager", self.ports.controller_manager);
        manager.args(["--cluster-cidr", "10.244.0.0/16"]);
        self.run("controller-manager", manager)?;
        self.begin_nodes()?;
        let rest = self.rest()?;
        for name in ["kube-scheduler", "kube-controller-manager"] {
            let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}");
            self.until(&format!("{name} leads"), || {
                let lease = rest.get(&path)?.ok()?;
                ensure!(!lease["spec"]["holderIdentity"].is_null(), "{lease}");
                Ok(())
            })?;
        }
        self.until("all nodes are Ready", || {
            let nodes = rest.get("/api/v1/nodes")?.ok()?;
            let ready = nodes["items"].as_array().into_iter().flatten();
            let ready = ready.filter(|node| {
                let conditions = node["status"]["conditions"].as_array();
                conditions
                    .into_iter()
                    .flatten()
                    .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
            });
            let (ready, wanted) = (ready.count(), self.plan.extent.nodes());
            ensure!(ready == wanted, "{ready} of {wanted} are");
            Ok(())
        })
    }

    fn begin_nodes(&self) -> anyhow::Result<()> {
        let nodes = self.plan.extent.nodes();
        if nodes == 0 {
            return Ok(());
        }
        let listen = self.work().join("cri.sock");
        let mut runtime = Command::new(self.program("cri-runtime"));
        runtime
            .arg("--simulated")
            .arg(format!("--simulated-nodes={nodes}"))
            .arg(format!("--listen={}", listen.display()));
        self.run("cri-runtime", runtime)?;
        for (number, port) in self.ports.kubelets.iter().enumerate() {
            let socket = socket_of(&listen, number, nodes);
            self.until("the runtime listens", || {
                ensure!(socket.exists(), "there is no {}", socket.display());
                Ok(())
            })?;
            let name = node_name(number);
            let root = self.work().join(&name);
            let flags = kubelet_flags(
                &name,
                &self.pki(),
                &socket,
                &root,
                "127.0.0.1",
                usize::from(*port),
            );
            let mut kubelet = Command::new(self.program("kubelet"));
            kubelet.args(flags);
            self.run(&name, kubelet)?;
        }
        Ok(())
    }

    fn make_certificates(&self) -> anyhow::Result<()> {
        let mut make = Command::new(self.program("ferrule-certificates"));
        make.arg("--out").arg(self.pki());
        make.args(["--internal-server", &self.server]);
        make.args(["--external-server", &self.server]);
        for number in 0..self.plan.extent.nodes() {
            make.arg("--node")
                .arg(format!("{}=127.0.0.1", node_name(number)));
        }
        let made = command::run(&mut make, "", READY_WITHIN)?.ok();
        made.context("the certificates were not made")?;
        Ok(())
    }

    fn etcd_command(&self) -> Command {
        let [clients, peers] = [self.ports.etcd_clients, self.ports.etcd_peers]
            .map(|port| format!("http://127.0.0.1:{port}"));
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(self.work().join("etcd"));
        etcd.args(["--log-level", "error"]);
        etcd.args(["--listen-client-urls", &clients]);
        etcd.args(["--advertise-client-urls", &clients]);
        etcd.args(["--listen-peer-urls", &peers]);
        etcd.args(["--initial-advertise-peer-urls", &peers]);
        etcd.args(["--initial-cluster", &format!("default={peers}")]);
        if !self.plan.durable {
            etcd.arg("--unsafe-no-fsync");
        }
        etcd
    }

    fn api_server_command(&self) -> Command {
        let mut server = Command::new(self.program("kube-apiserver"));
        server.args(["--etcd-servers", &self.etcd()]);
        server.args(["--bind-address", "127.0.0.1"]);
        server.args(["--secure-port", &self.ports.api.to_string()]);
        server.args(["--service-cluster-ip-range", "10.96.0.0/16"]);
        server.args(self.tls("apiserver"));
        server.args(&self.plan.api_server_flags);
        server
    }

    fn leader(&self, name: &str, port: u16) -> Command {
        let mut command = Command::new(self.program(&format!("kube-{name}")));
        command.args(["--bind-address", "127.0.0.1"]);
        command.args(["--secure-port", &port.to_string()]);
        command
            .arg("--kubeconfig")
            .arg(self.pki().join(format!("{name}.kubeconfig")));
        command.args(self.tls(name));
        command
    }

    fn tls(&self, name: &str) -> [String; 3] {
        let pki = self.pki();
        let file = |name: String| pki.join(name).display().to_string();
        [
            format!("--tls-cert-file={}", file(format!("{name}.crt"))),
            format!("--tls-private-key-file={}", file(format!("{name}.key"))),
            format!("--client-ca-file={}", file("ca.crt".to_owned())),
        ]
    }

    /// Starts a program, whose output goes into a file.
    fn run(&self, name: &str, command: Command) -> anyhow::Result<()> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log(name))?;
        let running = Running::start(name, &command, log)?;
        self.running().push(running);
        Ok(())
    }

    /// Waits for something, as long as all programs run and somebody waits for the cluster.
    fn until<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            ensure!(!self.plan.abandoned.load(Ordering::Relaxed), "abandoned");
            for running in self.running().iter_mut() {
                if let Some(status) = running.ended()? {
                    bail!("{} ended with {status}", running.name());
                }
            }
            if Instant::now() >= deadline {
                return Err(error).with_context(|| format!("not within {READY_WITHIN:?}: {what}"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn api_server_is_ready(&self) -> anyhow::Result<()> {
        let rest = self.rest()?;
        self.until("the API server is ready", || {
            let answer = rest.get("/readyz")?;
            ensure!(answer.code == 200, "{answer}");
            Ok(())
        })
    }

    /// Ends the API server with a signal and starts it again, on the same port.
    pub fn restart_api_server(&self, signal: Signal) -> anyhow::Result<()> {
        let mut old = {
            let mut running = self.running();
            let at = running
                .iter()
                .position(|running| running.name() == "apiserver");
            running.remove(at.context("no API server runs")?)
        };
        old.signal(signal);
        old.wait(Instant::now() + END_WITHIN);
        self.run("apiserver", self.api_server_command())?;
        self.api_server_is_ready()
    }

    /// Where the API server is: `https://127.0.0.1:PORT`.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Where etcd is, without TLS.
    pub fn etcd(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.etcd_clients)
    }

    /// Runs `etcdctl` against this etcd.
    pub fn etcdctl(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut etcdctl = Command::new("etcdctl");
        etcdctl
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.etcd()])
            .args(words);
        command::run(&mut etcdctl, "", seconds(60))?.ok()
    }

    /// The number of a process: `etcd`, `apiserver`, `scheduler`, `controller-manager`, `cri-runtime`, or a
    /// node's name.
    pub fn process(&self, name: &str) -> Option<u32> {
        let running = self.running();
        let found = running.iter().find(|running| running.name() == name);
        found.map(Running::number)
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.pki().join("kubeconfig")
    }

    /// The folder with `ca.crt`, `admin.crt`, `admin.key` and those of all components.
    pub fn pki(&self) -> PathBuf {
        self.work().join("pki")
    }

    /// A folder for what belongs to this cluster.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// A program of ours.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The administrator over REST.
    pub fn rest(&self) -> anyhow::Result<Rest> {
        Rest::new(&ClientConfig::load(&self.kubeconfig(), "ferrule-e2e")?)
    }

    /// Our kubectl.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::ours(self.program("kubectl"), &self.kubeconfig())
    }

    /// Upstream's kubectl, where the machine has one (`FERRULE_UPSTREAM_KUBECTL`, or that of a
    /// package under /usr/bin). Each has a cache of its own.
    pub fn upstream_kubectl(&self) -> Option<Kubectl> {
        static CACHES: AtomicUsize = AtomicUsize::new(0);
        let program = std::env::var_os("FERRULE_UPSTREAM_KUBECTL")
            .map_or_else(|| PathBuf::from("/usr/bin/kubectl"), PathBuf::from);
        let cache = format!("kubectl-cache-{}", CACHES.fetch_add(1, Ordering::Relaxed));
        program
            .exists()
            .then(|| Kubectl::upstream(program, &self.kubeconfig(), self.work().join(cache)))
    }

    /// Copies what the programs wrote into a folder.
    pub fn save(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        for name in self.logs()? {
            fs::copy(self.log(&name), folder.join(format!("{name}.log")))?;
        }
        Ok(())
    }

    /// The ends of all logs, for messages.
    fn last_words(&self) -> String {
        let mut words = String::from("the last lines of the logs:");
        for name in self.logs().unwrap_or_default() {
            let text = fs::read_to_string(self.log(&name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines[lines.len().saturating_sub(5)..] {
                words.push_str(&format!("\n{name}: {line}"));
            }
        }
        words
    }

    fn logs(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.work())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".log").map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.work().join(format!("{name}.log"))
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        // The youngest first, so that nobody misses those that it depends on.
        for running in self.running().iter().rev() {
            running.signal(Signal::SIGTERM);
        }
        let deadline = Instant::now() + END_WITHIN;
        for running in self.running().iter_mut().rev() {
            running.wait(deadline);
        }
        if let Err(error) = unmount_under(self.work()) {
            eprintln!("note: mounts are left: {error}");
        }
        if let Some(folder) = std::env::var_os("FERRULE_KEEP_LOGS")
            && let Err(error) = self.save(Path::new(&folder))
        {
            eprintln!("note: the logs were not kept: {error:#}");
        }
    }
}

fn node_name(number: usize) -> String {
    format!("node-{number}")
}

/// The folder of the programs: that of the running one, which lies a level below when it is a test.
fn programs(extent: Extent) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().context("the folder of this program")?;
    let folder = if folder.ends_with("deps") {
        folder.parent().context("the folder above")?
    } else {
        folder
    };
    let needed: &[&str] = match extent {
        Extent::ApiServer => &PROGRAMS[..2],
        Extent::ControlPlane => &PROGRAMS[..4],
        Extent::Nodes(_) => &PROGRAMS,
    };
    for name in needed {
        ensure!(
            folder.join(name).exists(),
            "there is no {name} in {}: cargo build --workspace --bins",
            folder.display()
        );
    }
    Ok(folder.to_owned())
}
