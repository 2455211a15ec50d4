//! A real etcd of a test's own: on free loopback ports, in a directory that goes with it.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running etcd; it is killed when dropped.
pub struct EtcdServer {
    dir: TempDir,
    generation: u32,
    name: String,
    client_port: u16,
    peer_port: u16,
    /// `name=peer URL` of every member.
    members: String,
    token: String,
    tls: bool,
    child: Option<Child>,
}

#[allow(dead_code)]
impl EtcdServer {
    /// Starts an empty etcd and waits until it listens.
    pub fn start() -> Self {
        let mut server = Self::prepare();
        server.run();
        server
    }

    fn prepare() -> Self {
        let (client_port, peer_port) = (free_port(), free_port());
        Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
            generation: 0,
            name: "test".into(),
            client_port,
            peer_port,
            members: format!("test=http://127.0.0.1:{peer_port}"),
            token: "first".into(),
            tls: false,
            child: None,
        }
    }

    /// Starts an empty cluster of so many members.
    pub fn start_members(count: usize) -> Vec<Self> {
        let mut members: Vec<Self> = (0..count).map(|_| Self::prepare()).collect();
        for (at, member) in members.iter_mut().enumerate() {
            member.name = format!("m{at}");
        }
        let all: Vec<String> = members
            .iter()
            .map(|member| format!("{}=http://127.0.0.1:{}", member.name, member.peer_port))
            .collect();
        for member in &mut members {
            member.members = all.join(",");
            member.run();
        }
        members
    }

    /// Stops its process, as `docker pause` does: connections are accepted, nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("etcd is running");
        let mut kill = Command::new("kill");
        let status = kill.arg(signal).arg(child.id().to_string()).status();
        assert!(status.expect("kill is installed").success());
    }

    /// Starts an empty etcd that serves only clients whose certificates its authority has signed;
    /// all arguments are PEM.
    pub fn start_with_tls(ca: &str, cert: &str, key: &str) -> Self {
        let mut server = Self::prepare();
        server.tls = true;
        for (name, pem) in [("ca.crt", ca), ("etcd.crt", cert), ("etcd.key", key)] {
            std::fs::write(server.dir.path().join(name), pem).expect("a file can be written");
        }
        server.run();
        server
    }

    /// Its client URL; it stays the same over restarts.
    pub fn endpoint(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("etcd can be killed");
            child.wait().expect("etcd ends");
        }
    }

    /// Starts it again on the same data.
    pub fn run(&mut self) {
        assert!(self.child.is_none(), "etcd is already running");
        let client = self.endpoint();
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let mut command = Command::new("etcd");
        if self.tls {
            let file = |name| self.dir.path().join(name);
            command.arg("--client-cert-auth");
            command.arg("--trusted-ca-file").arg(file("ca.crt"));
            command.arg("--cert-file").arg(file("etcd.crt"));
            command.arg("--key-file").arg(file("etcd.key"));
        }
        let child = command
            .args(["--name", &self.name])
            .arg("--data-dir")
            .arg(self.data())
            .args(["--listen-client-urls", &client])
            .args(["--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer])
            .args(["--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.members])
            .args(["--initial-cluster-token", &self.token])
            .args(["--log-level", "error"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed");
        self.child = Some(child);
        self.wait_until_listening();
    }

    /// A copy of its data, to go back to with [`EtcdServer::restore`]. It must not be running.
    pub fn backup(&self) -> PathBuf {
        assert!(self.child.is_none(), "etcd must be stopped for a backup");
        let copy = self.dir.path().join(format!("backup-{}", self.generation));
        copy_tree(&self.data(), &copy);
        copy
    }

    /// Replaces its data by a backup. It must not be running.
    pub fn restore(&mut self, backup: &Path) {
        assert!(self.child.is_none(), "etcd must be stopped to restore it");
        self.generation += 1;
        copy_tree(backup, &self.data());
    }

    /// Replaces it by an empty etcd of another cluster, at the same address.
    pub fn replace_by_another_cluster(&mut self) {
        self.kill();
        self.generation += 1;
        self.token = format!("cluster-{}", self.generation);
        self.run();
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join(format!("data-{}", self.generation))
    }

    fn wait_until_listening(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", self.client_port)).is_err() {
            assert!(Instant::now() < deadline, "etcd does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nobody takes meanwhile for a connection of its own: below those that the kernel gives
/// to clients, so that an etcd can be started on it again. No other test of this process gets it.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    (0..1000)
        .map(|_| rand::random_range(12_000..30_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok() && given.insert(*port))
        .expect("a free port")
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the target can be made");
    for entry in std::fs::read_dir(from).expect("the source can be read") {
        let entry = entry.expect("the source can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}
