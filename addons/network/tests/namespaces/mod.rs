//! Network namespaces that a test makes and that go with it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace, removed when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes an empty namespace, as a runtime makes one for a pod.
    pub fn pod() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrule-t-{}-{number}", std::process::id());
        command("ip", &["netns", "add", &name]);
        Self { name }
    }

    /// Makes a namespace with `lo` up, forwarding on, and service and pod CIDR leading nowhere.
    pub fn node() -> Self {
        let namespace = Self::pod();
        namespace.run("ip", &["link", "set", "lo", "up"]);
        for network in ["10.96.0.0/16", "10.244.0.0/16"] {
            let metric = u32::MAX.to_string();
            namespace.run(
                "ip",
                &["route", "add", "blackhole", network, "metric", &metric],
            );
        }
        namespace.inside(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        namespace
    }

    /// Where the namespace is mounted.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/var/run/netns").join(&self.name)
    }

    /// Runs a function in a thread that is in this namespace.
    pub fn inside<T: Send>(&self, function: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(&file, CloneFlags::CLONE_NEWNET).unwrap();
                function()
            });
            thread.join().unwrap()
        })
    }

    /// Runs a command in this namespace and returns what it prints.
    #[allow(dead_code)]
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        self.inside(|| command(program, arguments))
    }
}

/// Connects two namespaces by interfaces of this name with these addresses.
#[allow(dead_code)]
pub fn connect(name: &str, one: (&Namespace, &str), two: (&Namespace, &str)) {
    let (first, second) = (&one.0.name, &two.0.name);
    one.0.run(
        "ip",
        &[
            "link", "add", name, "type", "veth", "peer", "name", name, "netns", second,
        ],
    );
    for (namespace, address) in [one, two] {
        namespace.run("ip", &["address", "add", address, "dev", name]);
        namespace.run("ip", &["link", "set", name, "up"]);
    }
    assert_ne!(first, second);
}

/// Serves one connection in `server` with the client's address, and returns what a client in `client` reads.
#[allow(dead_code)]
pub fn talk(client: &Namespace, server: &Namespace, address: &str) -> std::io::Result<String> {
    let listener = server.inside(|| TcpListener::bind("0.0.0.0:8080"))?;
    let serving = std::thread::spawn(move || {
        if let Ok((mut stream, peer)) = listener.accept() {
            let _ = stream.write_all(peer.ip().to_string().as_bytes());
        }
    });
    let target: SocketAddr = format!("{address}:8080").parse().unwrap();
    let heard = client.inside(|| {
        let mut text = String::new();
        // Long enough for a second try: on a busy machine a link may come up after the first one.
        let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(4))?;
        stream.read_to_string(&mut text)?;
        Ok(text)
    });
    if heard.is_err() {
        // Lets the listener end.
        let _ = server.inside(|| TcpStream::connect("127.0.0.1:8080"));
    }
    serving.join().unwrap();
    heard
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
    }
}

/// Whether this process may make namespaces; tests that need them are skipped otherwise.
pub fn permitted() -> bool {
    let permitted = nix::unistd::geteuid().is_root();
    if !permitted {
        eprintln!("skipped: needs root");
    }
    permitted
}

fn command(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {stdout}{stderr}"
    );
    stdout
}
