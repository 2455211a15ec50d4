//! Nodes that pretend: `cri-runtime --simulated` on this machine, and what kubelets above it need.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use crate::Cluster;

/// A process that ends with its holder.
pub struct Background(Child);

impl Background {
    /// Starts a program; what it writes to its standard error goes to a file.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Background> {
        let log = fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Background(child))
    }

    /// Its number.
    pub fn process(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A simulated runtime of several nodes, and the certificates of their kubelets.
pub struct SimulatedNodes<'a> {
    cluster: &'a Cluster,
    folder: PathBuf,
    nodes: usize,
    runtime: Background,
}

impl<'a> SimulatedNodes<'a> {
    /// Starts the runtime with further flags, for nodes of these names.
    pub fn start(
        cluster: &'a Cluster,
        folder: PathBuf,
        names: &[String],
        flags: &[&str],
    ) -> anyhow::Result<SimulatedNodes<'a>> {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        let mut runtime = Command::new(cluster.program("cri-runtime"));
        runtime
            .args(["--simulated", "--v=1"])
            .arg(format!("--simulated-nodes={}", names.len()))
            .arg(format!("--listen={}", folder.join("cri.sock").display()))
            .args(flags);
        let runtime = Background::start(runtime, &folder.join("cri-runtime.log"))?;
        let nodes = SimulatedNodes {
            cluster,
            folder,
            nodes: names.len(),
            runtime,
        };
        nodes.certificates(names)?;
        Ok(nodes)
    }

    /// Certificates by the cluster's authority, in a folder of their own.
    fn certificates(&self, names: &[String]) -> anyhow::Result<()> {
        let (from, to) = (self.cluster.state().join("pki"), self.pki());
        fs::create_dir_all(&to)?;
        for file in ["ca.crt", "ca.key", "etcd-ca.crt", "etcd-ca.key"] {
            fs::copy(from.join(file), to.join(file)).with_context(|| format!("copy {file}"))?;
        }
        let server = format!("https://{}:6443", self.cluster.address("apiserver")?);
        let address = self.address()?;
        let mut make = Command::new(self.cluster.program("ferrule-certificates"));
        make.arg("--out").arg(&to);
        make.args(["--internal-server", &server, "--external-server", &server]);
        for name in names {
            make.args(["--node", &format!("{name}={address}")]);
        }
        let made = make.stdout(Stdio::null()).status()?;
        ensure!(made.success(), "the certificates were not made: {made}");
        Ok(())
    }

    /// Where everything of these nodes lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder with `kubelet-NAME.crt`, `.key` and `.kubeconfig`.
    pub fn pki(&self) -> PathBuf {
        self.folder.join("pki")
    }

    /// This machine's address in the cluster's network: that of all these nodes.
    pub fn address(&self) -> anyhow::Result<Ipv4Addr> {
        let [a, b, c, _] = self.cluster.address("apiserver")?.octets();
        Ok(Ipv4Addr::new(a, b, c, 1))
    }

    /// The runtime's process.
    pub fn runtime(&self) -> u32 {
        self.runtime.process()
    }

    /// The socket of the runtime's node with this number.
    pub fn socket(&self, number: usize) -> PathBuf {
        socket_of(&self.folder.join("cri.sock"), number, self.nodes)
    }

    /// Starts the kubelet of the node with this number.
    pub fn kubelet(&self, number: usize, name: &str) -> anyhow::Result<Background> {
        let mut kubelet = Command::new(self.cluster.program("kubelet"));
        let (address, port) = (self.address()?.to_string(), 21_000 + number);
        let (pki, root) = (self.pki(), self.folder.join(name));
        kubelet
            .args(kubelet_flags(
                name,
                &pki,
                &self.socket(number),
                &root,
                &address,
                port,
            ))
            .arg("--node-lease-duration-seconds=10");
        Background::start(kubelet, &self.folder.join(format!("{name}.log")))
    }
}

/// The socket of one of `nodes` nodes of a runtime that was told to listen at this path.
pub fn socket_of(listen: &Path, number: usize, nodes: usize) -> PathBuf {
    if nodes == 1 {
        return listen.to_owned();
    }
    let stem = listen.file_stem().unwrap_or_default().to_string_lossy();
    listen.with_file_name(format!("{stem}-{number}.sock"))
}

/// The flags of a kubelet over a simulated runtime.
pub fn kubelet_flags(
    name: &str,
    pki: &Path,
    socket: &Path,
    root: &Path,
    address: &str,
    port: usize,
) -> Vec<String> {
    let file = |end: &str| pki.join(format!("kubelet-{name}.{end}"));
    vec![
        format!("--hostname-override={name}"),
        format!("--node-ip={address}"),
        format!("--bind-address={address}"),
        format!("--secure-port={port}"),
        format!("--kubeconfig={}", file("kubeconfig").display()),
        format!("--tls-cert-file={}", file("crt").display()),
        format!("--tls-private-key-file={}", file("key").display()),
        format!("--client-ca-file={}", pki.join("ca.crt").display()),
        format!("--container-runtime-endpoint=unix://{}", socket.display()),
        format!("--root-dir={}", root.display()),
        format!("--pod-logs-dir={}", root.join("logs").display()),
        // There is nothing to put into control groups.
        "--cgroups-per-qos=false".to_owned(),
    ]
}
