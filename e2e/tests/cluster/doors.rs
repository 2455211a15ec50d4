//! The doors of the components: who gets in, and to what.

use std::process::Command;

use anyhow::{Context, bail, ensure};
use ferrule_e2e::component::{Caller, Door, block_on, serves, services};
use ferrule_e2e::wait::{seconds, until};
use ferrule_e2e::{Cluster, Lab, NODES, command};

/// Every server with a TLS port: its service, its port, and a service of its own if it has one.
const CONTROL_PLANE: [(&str, u16, &str); 3] = [
    ("apiserver", 6443, "ferrule.v1.Resources"),
    ("scheduler", 10259, "ferrule.v1.SchedulerIntrospection"),
    (
        "controller-manager",
        10257,
        "ferrule.v1.ControllerIntrospection",
    ),
];
const NODE: [(&str, u16, &str); 4] = [
    ("kubelet", 10250, "ferrule.v1.Node"),
    ("kube-proxy", 10249, "ferrule.v1.ProxyIntrospection"),
    ("network-agent", 10258, ""),
    ("node-dns", 10254, ""),
];

/// A server with a TLS port.
pub struct Server {
    name: String,
    authority: String,
    own: &'static str,
}

/// All of them.
pub fn servers(cluster: &Cluster) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for (service, port, own) in CONTROL_PLANE {
        servers.push(Server {
            name: service.to_owned(),
            authority: format!("{}:{port}", cluster.address(service)?),
            own,
        });
    }
    for node in NODES {
        for (program, port, own) in NODE {
            servers.push(Server {
                name: format!("{program} of {node}"),
                authority: format!("{}:{port}", cluster.address(node)?),
                own,
            });
        }
    }
    Ok(servers)
}

impl Server {
    fn door(&self, cluster: &Cluster) -> anyhow::Result<Door> {
        Ok(Door::Tls(
            format!("https://{}", self.authority),
            cluster.certificate("ca.crt")?,
        ))
    }
}

fn administrator(cluster: &Cluster) -> anyhow::Result<Caller> {
    Ok(Caller {
        certificate: cluster.certificate("admin.crt")?,
        key: cluster.certificate("admin.key")?,
    })
}

/// Where the scheduler explains itself, and who may ask.
pub fn of_scheduler(cluster: &Cluster) -> anyhow::Result<(Door, Caller)> {
    let (service, port, _) = CONTROL_PLANE[1];
    let address = format!("https://{}:{port}", cluster.address(service)?);
    let door = Door::Tls(address, cluster.certificate("ca.crt")?);
    Ok((door, administrator(cluster)?))
}

/// Waits until a component says that it serves.
pub fn is_healthy(cluster: &Cluster, service: &str, program: &str) -> anyhow::Result<()> {
    let door = if program == "cri-runtime" {
        Door::Socket(cluster.path(service, "/run/ferrule/cri.sock")?)
    } else {
        let port = CONTROL_PLANE
            .iter()
            .chain(&NODE)
            .find(|(name, ..)| *name == program || *name == service)
            .with_context(|| format!("{program} has no port"))?
            .1;
        Door::Tls(
            format!("https://{}:{port}", cluster.address(service)?),
            cluster.certificate("ca.crt")?,
        )
    };
    block_on(async {
        ensure!(
            serves(door.connect(None).await?).await?,
            "it does not serve yet"
        );
        Ok(())
    })
}

pub fn every_component_tells_its_health_and_its_services(lab: &Lab) -> anyhow::Result<()> {
    let administrator = administrator(lab.cluster)?;
    let check = |name: &str, door: &Door, caller: Option<&Caller>, own: &str| {
        let told = until(&format!("{name} tells its services"), seconds(10), || {
            block_on(async {
                ensure!(
                    serves(door.connect(caller).await?).await?,
                    "it does not serve"
                );
                Ok(services(door.connect(caller).await?).await?)
            })
        })?;
        for expected in ["grpc.health.v1.Health", own] {
            ensure!(
                expected.is_empty() || told.iter().any(|service| service == expected),
                "{name} tells of {told:?}, not of {expected}"
            );
        }
        Ok(())
    };
    for server in servers(lab.cluster)? {
        check(
            &server.name,
            &server.door(lab.cluster)?,
            Some(&administrator),
            server.own,
        )?;
    }
    for node in NODES {
        let socket = Door::Socket(lab.cluster.path(node, "/run/ferrule/cri.sock")?);
        check(
            &format!("cri-runtime of {node}"),
            &socket,
            None,
            "runtime.v1.RuntimeService",
        )?;
    }
    Ok(())
}

pub fn without_a_certificate_there_is_nothing_but_health(lab: &Lab) -> anyhow::Result<()> {
    for server in servers(lab.cluster)? {
        let door = server.door(lab.cluster)?;
        block_on(async {
            let health = serves(door.connect(None).await?).await;
            ensure!(
                matches!(health, Ok(true)),
                "{}: health says {health:?}",
                server.name
            );
            match services(door.connect(None).await?).await {
                Err(status) if status.code() == tonic::Code::Unauthenticated => Ok(()),
                other => bail!("{}: reflection says {other:?}", server.name),
            }
        })?;
        for (path, expected) in [
            ("healthz", "200"),
            ("readyz", "200"),
            ("livez", "200"),
            ("metrics", "401"),
            ("api/v1/pods", "401"),
        ] {
            let status = http_status(lab.cluster, &server.authority, path)?;
            ensure!(
                status == expected,
                "{}: /{path} answers {status}",
                server.name
            );
        }
    }
    Ok(())
}

/// The status of a request without a certificate. Serving certificates have the name `localhost`.
fn http_status(cluster: &Cluster, authority: &str, path: &str) -> anyhow::Result<String> {
    let port = authority.rsplit(':').next().unwrap_or_default();
    command::run(
        Command::new("curl")
            .args(["--silent", "--max-time", "5", "--output", "/dev/null"])
            .args(["--write-out", "%{http_code}", "--cacert"])
            .arg(cluster.state().join("pki/ca.crt"))
            .arg("--connect-to")
            .arg(format!("localhost:{port}:{authority}"))
            .arg(format!("https://localhost:{port}/{path}")),
        "",
        seconds(10),
    )?
    .ok()
}

pub fn a_certificate_of_another_authority_is_worth_nothing(lab: &Lab) -> anyhow::Result<()> {
    let folder = lab.cluster.state().join("stranger");
    command::run(
        Command::new(lab.cluster.program("ferrule-certificates"))
            .arg("--out")
            .arg(&folder),
        "",
        seconds(20),
    )?
    .ok()?;
    let stranger = Caller {
        certificate: std::fs::read(folder.join("admin.crt"))?,
        key: std::fs::read(folder.join("admin.key"))?,
    };
    for server in servers(lab.cluster)? {
        let door = server.door(lab.cluster)?;
        let told = block_on(async { Ok(services(door.connect(Some(&stranger)).await?).await?) });
        ensure!(
            told.is_err(),
            "{}: reflection tells a stranger {told:?}",
            server.name
        );
    }
    Ok(())
}
