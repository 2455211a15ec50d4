//! Pulls from a registry that is one: Debian's `docker-registry`, filled by `docker push`.

use std::process::{Child, Command, Stdio};

use k8s_cri::v1::*;

use crate::harness::{self, Node, shell};

/// A registry on loopback that ends with the value.
struct Registry {
    process: Child,
    port: u16,
    files: tempfile::TempDir,
}

impl Registry {
    fn start() -> Registry {
        let files = tempfile::tempdir().expect("temporary directory");
        // Below the ports that the kernel gives to clients.
        let port = (20_000..32_000)
            .skip(std::process::id() as usize % 10_000)
            .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
            .expect("a port that nobody listens on");
        let root = files.path().join("blobs");
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            root.display()
        );
        let path = files.path().join("config.yml");
        std::fs::write(&path, config).expect("writable");
        let process = Command::new("docker-registry")
            .args(["serve".as_ref(), path.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts; `make test` installs it");
        Registry {
            process,
            port,
            files,
        }
    }

    /// Puts busybox into the registry as `name`.
    fn push(&self, name: &str) -> String {
        let image = format!("127.0.0.1:{}/{name}", self.port);
        let archive = self.files.path().join("image.tar");
        std::fs::write(&archive, harness::files()).expect("writable");
        docker(&["import", &archive.to_string_lossy(), &image]).expect("is imported");
        let pushed = || docker(&["push", "--quiet", &image]);
        // It may not listen yet.
        let mut result = pushed();
        for _ in 0..50 {
            if result.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
            result = pushed();
        }
        let forgotten = docker(&["rmi", &image]);
        result.expect("the image is pushed");
        forgotten.expect("the image is forgotten by docker");
        image
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn docker(words: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(words)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_from_a_real_registry() {
    let Some(mut node) = Node::start().await else {
        return;
    };
    let registry = Registry::start();
    let name = registry.push("team/tools:1");
    let image = Some(ImageSpec {
        image: name.clone(),
        ..Default::default()
    });
    let request = PullImageRequest {
        image: image.clone(),
        ..Default::default()
    };
    let pulled = node.images.pull_image(request).await.expect("pulls");
    let reference = pulled.into_inner().image_ref;
    assert!(reference.contains("@sha256:"), "{reference}");
    let pod = node.pod("pulled");
    let sandbox = node.run(&pod).await;
    let mut config = shell("main", "exit 11");
    config.image = image;
    let id = node.start_container(&pod, &sandbox, config).await;
    assert_eq!(node.ended(&id).await.exit_code, 11);
    node.remove(&sandbox).await;

    let absent = PullImageRequest {
        image: Some(ImageSpec {
            image: name.replace(":1", ":2"),
            ..Default::default()
        }),
        ..Default::default()
    };
    let refused = node
        .images
        .pull_image(absent)
        .await
        .expect_err("no such tag");
    assert_eq!(refused.code(), tonic::Code::NotFound, "{refused:?}");
}
