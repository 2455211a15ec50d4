//! A server in a mount namespace of its own, with its state in a temporary directory, and a client.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::*;
use tonic::transport::{Channel, Endpoint, Uri};

/// The name of the test image.
pub const IMAGE: &str = "docker.io/library/busybox:latest";

/// A running server.
pub struct Node {
    pub directory: tempfile::TempDir,
    pub runtime: RuntimeServiceClient<Channel>,
    pub images: ImageServiceClient<Channel>,
    pub channel: Channel,
    /// Lives as long as the node: it holds the mount namespace across restarts of the server.
    holder: Child,
    server: Child,
}

impl Node {
    /// Starts a server with busybox in its store; `None` where that is not possible.
    pub async fn start() -> Option<Node> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/bin/busybox").exists() {
            eprintln!("skipped: needs root and /bin/busybox");
            return None;
        }
        let holder = hold()?;
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path();
        for name in ["images", "cni", "net.d"] {
            std::fs::create_dir(path.join(name)).expect("writable");
        }
        std::fs::write(path.join("images/busybox.tar"), busybox()).expect("writable");
        write_cni(path);
        wait_for_namespace(&holder).await;
        let server = launch(&holder, path);
        let channel = connect(path.join("cri.sock")).await;
        Some(Node {
            runtime: client(&channel),
            images: ImageServiceClient::new(channel.clone()),
            channel,
            directory,
            holder,
            server,
        })
    }

    /// Kills the server.
    pub fn kill_server(&mut self) {
        // `nsenter` has become the server.
        self.server.kill().expect("can be killed");
        self.server.wait().expect("can be reaped");
        let _ = std::fs::remove_file(self.path("cri.sock"));
    }

    /// Starts the server.
    pub async fn launch(&mut self) {
        self.server = launch(&self.holder, self.directory.path());
        let channel = connect(self.path("cri.sock")).await;
        self.runtime = client(&channel);
        self.images = ImageServiceClient::new(channel.clone());
        self.channel = channel;
    }

    /// As a restart of the node: every process and every mount is gone, files stay.
    pub async fn reboot(&mut self) {
        self.kill_server();
        self.kill_shims();
        self.holder.kill().expect("can be killed");
        self.holder.wait().expect("can be reaped");
        self.holder = hold().expect("a mount namespace");
        wait_for_namespace(&self.holder).await;
        self.launch().await;
    }

    /// The pids of the shims of this node.
    pub fn shims(&self) -> Vec<i32> {
        let own = self.directory.path().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).into_owned();
            if command.contains("\0shim\0") && command.contains(&own) {
                found.extend(entry.file_name().to_string_lossy().parse::<i32>());
            }
        }
        found
    }

    fn kill_shims(&self) {
        for pid in self.shims() {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            kill(pid);
            for child in children.unwrap_or_default().split_whitespace() {
                child.parse().into_iter().for_each(kill);
            }
        }
    }

    /// What a removed pod has left behind.
    pub fn leftovers(&self, pod: &PodSandboxConfig) -> Vec<PathBuf> {
        let mut left = Vec::new();
        for directory in [
            "root/sandboxes",
            "root/containers",
            "root/cni",
            "run/sandboxes",
            "run/containers",
            "run/shims",
            "netns",
        ] {
            let entries = std::fs::read_dir(self.path(directory))
                .into_iter()
                .flatten();
            left.extend(entries.flatten().map(|entry| entry.path()));
        }
        let cgroup = &pod
            .linux
            .as_ref()
            .expect("the harness sets it")
            .cgroup_parent;
        for controller in ["memory", "cpu", "pids", "devices", "."] {
            let path = PathBuf::from(format!("/sys/fs/cgroup/{controller}{cgroup}"));
            left.extend(path.exists().then_some(path));
        }
        left
    }

    /// A path in the node's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The configuration of a pod.
    pub fn pod(&self, name: &str) -> PodSandboxConfig {
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.into(),
                uid: format!("uid-{name}"),
                namespace: "default".into(),
                attempt: 0,
            }),
            hostname: name.into(),
            log_directory: self.path("logs").join(name).display().to_string(),
            labels: [("app".to_owned(), name.to_owned())].into(),
            dns_config: Some(DnsConfig {
                servers: vec!["10.96.0.10".into()],
                searches: vec!["cluster.local".into()],
                options: vec!["ndots:5".into()],
            }),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/ferrule-test-{}-{name}", std::process::id()),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(NamespaceOption {
                        pid: NamespaceMode::Container as i32,
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Runs a sandbox.
    pub async fn run(&mut self, config: &PodSandboxConfig) -> String {
        let request = RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: String::new(),
        };
        let response = self.runtime.run_pod_sandbox(request).await;
        response
            .expect("the sandbox runs")
            .into_inner()
            .pod_sandbox_id
    }

    /// Creates and starts a container.
    pub async fn start_container(
        &mut self,
        pod: &PodSandboxConfig,
        sandbox: &str,
        config: ContainerConfig,
    ) -> String {
        let id = self.create(pod, sandbox, config).await;
        let request = StartContainerRequest {
            container_id: id.clone(),
        };
        self.runtime
            .start_container(request)
            .await
            .expect("the container starts");
        id
    }

    /// Creates a container.
    pub async fn create(
        &mut self,
        pod: &PodSandboxConfig,
        sandbox: &str,
        config: ContainerConfig,
    ) -> String {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(pod.clone()),
        };
        let response = self.runtime.create_container(request).await;
        response
            .expect("the container is created")
            .into_inner()
            .container_id
    }

    /// The status of a container.
    pub async fn status(&mut self, id: &str) -> ContainerStatus {
        let request = ContainerStatusRequest {
            container_id: id.to_owned(),
            verbose: false,
        };
        let response = self.runtime.container_status(request).await;
        response
            .expect("a status")
            .into_inner()
            .status
            .expect("a status")
    }

    /// Waits until a container has ended.
    pub async fn ended(&mut self, id: &str) -> ContainerStatus {
        for _ in 0..500 {
            let status = self.status(id).await;
            if status.state == ContainerState::ContainerExited as i32 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("container {id} does not end");
    }

    /// Runs a command in a container.
    pub async fn exec(&mut self, id: &str, command: &str) -> ExecSyncResponse {
        let request = ExecSyncRequest {
            container_id: id.to_owned(),
            cmd: vec!["/bin/sh".into(), "-c".into(), command.into()],
            timeout: 10,
        };
        let response = self.runtime.exec_sync(request).await;
        response.expect("the command runs").into_inner()
    }

    /// Removes a sandbox with all in it.
    pub async fn remove(&mut self, sandbox: &str) {
        let pod_sandbox_id = sandbox.to_owned();
        self.runtime
            .stop_pod_sandbox(StopPodSandboxRequest {
                pod_sandbox_id: pod_sandbox_id.clone(),
            })
            .await
            .expect("the sandbox stops");
        self.runtime
            .remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id })
            .await
            .expect("the sandbox is removed");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Shims outlive their server.
        self.kill_shims();
        for child in [&mut self.server, &mut self.holder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Output of 16 MiB comes in one message.
fn client(channel: &Channel) -> RuntimeServiceClient<Channel> {
    RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(64 << 20)
}

/// A process with a mount namespace of its own.
fn hold() -> Option<Child> {
    Command::new("unshare")
        .args(["-m", "--propagation", "private", "sleep", "1000000"])
        .stdin(Stdio::null())
        .spawn()
        .ok()
}

/// Kills a process.
pub fn kill(pid: i32) {
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    );
}

/// A container that runs a shell command.
pub fn shell(name: &str, command: &str) -> ContainerConfig {
    ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: name.into(),
            attempt: 0,
        }),
        image: Some(ImageSpec {
            image: IMAGE.into(),
            ..Default::default()
        }),
        command: vec!["/bin/sh".into(), "-c".into(), command.into()],
        log_path: format!("{name}/0.log"),
        linux: Some(LinuxContainerConfig {
            resources: Some(LinuxContainerResources {
                cpu_shares: 512,
                memory_limit_in_bytes: 64 << 20,
                oom_score_adj: 900,
                ..Default::default()
            }),
            security_context: Some(LinuxContainerSecurityContext {
                namespace_options: Some(NamespaceOption {
                    pid: NamespaceMode::Container as i32,
                    ..Default::default()
                }),
                masked_paths: vec!["/proc/kcore".into()],
                readonly_paths: vec!["/proc/sys".into()],
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}

fn launch(holder: &Child, path: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path.join("server.log"))
        .expect("writable");
    let at = |name: &str| path.join(name).into_os_string();
    let namespace = format!("--mount=/proc/{}/ns/mnt", holder.id());
    Command::new("nsenter")
        .arg(namespace)
        // Measurements can be made of another build.
        .arg(
            std::env::var_os("FERRULE_CRI_RUNTIME")
                .unwrap_or_else(|| env!("CARGO_BIN_EXE_cri-runtime").into()),
        )
        .arg("--listen")
        .arg(at("cri.sock"))
        .arg("--root")
        .arg(at("root"))
        .arg("--run")
        .arg(at("run"))
        .arg("--netns-dir")
        .arg(at("netns"))
        .arg("--cni-conf-dir")
        .arg(at("net.d"))
        .arg("--cni-bin-dir")
        .arg(at("cni"))
        .arg("--image-dir")
        .arg(at("images"))
        .arg("--image-aliases")
        .arg(at("aliases.yaml"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the server starts")
}

/// `unshare` has done its work once the namespaces differ.
async fn wait_for_namespace(holder: &Child) {
    let own = std::fs::read_link("/proc/self/ns/mnt").expect("readable");
    for _ in 0..500 {
        let theirs = std::fs::read_link(format!("/proc/{}/ns/mnt", holder.id()));
        if theirs.is_ok_and(|theirs| theirs != own) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("no mount namespace");
}

async fn connect(socket: PathBuf) -> Channel {
    for _ in 0..1000 {
        let path = socket.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move {
                tokio::net::UnixStream::connect(path)
                    .await
                    .map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        if let Ok(channel) = endpoint.connect_with_connector(connector).await {
            return channel;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server does not come up");
}

/// A CNI plugin that makes no network but notes what it was asked.
fn write_cni(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let plugin = path.join("cni/note");
    let text = format!(
        "#!/bin/sh\ncat >/dev/null\necho \"$CNI_COMMAND $CNI_ARGS\" >>{}\n\
         echo '{{\"cniVersion\":\"1.0.0\",\"ips\":[{{\"address\":\"10.244.9.9/24\"}}]}}'\n",
        path.join("cni.log").display()
    );
    std::fs::write(&plugin, text).expect("writable");
    std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).expect("own file");
    let list = r#"{"cniVersion":"1.0.0","name":"test","plugins":[{"type":"note"}]}"#;
    std::fs::write(path.join("net.d/10-test.conflist"), list).expect("writable");
}

/// The files of an image of the machine's static busybox, as a tar archive.
pub fn files() -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let program = std::fs::read("/bin/busybox").expect("is there");
    let mut add = |path: &str, kind: tar::EntryType, mode: u32, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        layer
            .append_data(&mut header, path, data)
            .expect("in memory");
    };
    for directory in ["bin", "etc", "proc", "sys", "dev", "root"] {
        add(directory, tar::EntryType::Directory, 0o755, b"");
    }
    add("tmp", tar::EntryType::Directory, 0o1777, b"");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nweb:x:101:102::/srv:/bin/sh\n";
    add("etc/passwd", tar::EntryType::Regular, 0o644, passwd);
    add("etc/group", tar::EntryType::Regular, 0o644, b"root:x:0:\n");
    add("bin/busybox", tar::EntryType::Regular, 0o755, &program);
    for name in [
        "sh", "cat", "echo", "sleep", "hostname", "id", "ls", "kill", "ps", "seq", "dd", "head",
        "tail", "true", "mount", "env", "stty", "readlink", "test", "ip", "grep",
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        layer
            .append_link(&mut header, format!("bin/{name}"), "busybox")
            .expect("in memory");
    }
    layer.into_inner().expect("in memory")
}

/// An image as `docker save` writes it.
fn busybox() -> Vec<u8> {
    let layer = files();
    let config = serde_json::to_vec(&serde_json::json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin", "FROM=image"]},
        "rootfs": {"type": "layers",
                   "diff_ids": [ferrule_cri_runtime::image::layer::digest(&layer)]},
    }))
    .expect("in memory");
    let manifest =
        br#"[{"Config":"config.json","RepoTags":["busybox:latest"],"Layers":["layer.tar"]}]"#;
    let mut archive = tar::Builder::new(Vec::new());
    for (name, data) in [
        ("manifest.json", &manifest[..]),
        ("config.json", &config),
        ("layer.tar", &layer),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        archive
            .append_data(&mut header, name, data)
            .expect("in memory");
    }
    archive.into_inner().expect("in memory")
}
