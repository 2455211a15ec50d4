//! Logs, exec, attach and port-forward: streams of the kubelet's `Node` service, passed through.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ferrule_apimachinery::status::Status;
use ferrule_proto::v1;
use ferrule_proto::v1::node_client::NodeClient;
use futures::Stream;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::metadata::{meta_text, value_of};
use super::{Api, Call, Target};

/// How long a kubelet may take to accept a connection and the handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The kubelets' port when a node does not name it.
const KUBELET_PORT: u64 = 10250;

/// The files of the API server's certificate for kubelets; read anew for each connection.
#[derive(Clone, Debug)]
pub struct KubeletTls {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The authority of the kubelets' certificates, PEM.
    pub authority: PathBuf,
}

impl KubeletTls {
    fn load(&self) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.authority)? {
            roots.add(certificate?)?;
        }
        let chain =
            CertificateDer::pem_file_iter(&self.certificate)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// How kubelets are reached; without certificates there are no logs and no exec.
#[derive(Default)]
pub struct Kubelets {
    tls: Option<Arc<KubeletTls>>,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Kubelets {
    /// Reaches kubelets with these certificates.
    pub fn new(tls: Option<KubeletTls>) -> Kubelets {
        Kubelets {
            tls: tls.map(Arc::new),
            channels: Mutex::default(),
        }
    }

    /// A channel to the kubelet of `node` at `address`, kept for later calls.
    fn channel(&self, node: &str, address: &str) -> Result<Channel, Status> {
        let tls = self.tls.clone().ok_or_else(|| {
            Status::service_unavailable("this API server has no client certificate for kubelets")
        })?;
        let mut channels = self
            .channels
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = format!("{node} {address}");
        if let Some(channel) = channels.get(&key) {
            return Ok(channel.clone());
        }
        let (node, address) = (node.to_owned(), address.to_owned());
        let connect = tower::service_fn(move |_: Uri| {
            let (tls, node, address) = (tls.clone(), node.clone(), address.clone());
            async move {
                let open = async {
                    let config = tls.load().map_err(std::io::Error::other)?;
                    let connector = TlsConnector::from(Arc::new(config));
                    // The kubelet's certificate carries its node's name.
                    let name = ServerName::try_from(node).map_err(std::io::Error::other)?;
                    let stream = TcpStream::connect(&address).await?;
                    stream.set_nodelay(true)?;
                    connector.connect(name, stream).await
                };
                match tokio::time::timeout(CONNECT_TIMEOUT, open).await {
                    Ok(result) => result.map(TokioIo::new),
                    Err(_) => Err(std::io::Error::new(
                        std::io::ErrorKind::TimedOut,
                        format!("dial tcp {address}: i/o timeout"),
                    )),
                }
            }
        });
        let channel = Endpoint::from_static("http://kubelet")
            .http2_keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect_with_connector_lazy(connect);
        channels.insert(key, channel.clone());
        Ok(channel)
    }
}

/// The query parameters of a stream.
#[derive(Clone, Debug, Default)]
pub struct Parameters(pub Vec<(String, String)>);

impl Parameters {
    fn text(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value.as_str())
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        match self.text(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Status::bad_request(format!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }
}

impl Api {
    /// The log of a container. Empty for a pod that has no node yet.
    pub async fn logs(
        &self,
        call: &Call,
        target: &Target,
        parameters: &Parameters,
    ) -> Result<Option<tonic::Streaming<v1::LogsResponse>>, Status> {
        let pod = self.pod(call, target).await?;
        let container = container_of(&pod, parameters.text("container"))?;
        let request = v1::LogsRequest {
            follow: parameters.flag("follow"),
            previous: parameters.flag("previous"),
            timestamps: parameters.flag("timestamps"),
            tail_lines: parameters.number("tailLines")?,
            since_seconds: parameters.number("sinceSeconds")?,
            since_time: parameters.text("sinceTime").to_owned(),
            limit_bytes: parameters.number("limitBytes")?,
            container: Some(container),
        };
        if pod["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
        {
            return Ok(None);
        }
        let mut kubelet = self.kubelet(call, &pod).await?;
        let response = kubelet.logs(request).await.map_err(of_kubelet)?;
        Ok(Some(response.into_inner()))
    }

    /// Runs a command in a container.
    pub async fn exec(
        &self,
        call: &Call,
        target: &Target,
        parameters: &Parameters,
        input: impl Stream<Item = v1::ExecRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<v1::ExecResponse>, Status> {
        let (pod, container) = self.placed_container(call, target, parameters).await?;
        let command: Vec<String> = parameters
            .0
            .iter()
            .filter(|(name, _)| name == "command")
            .map(|(_, value)| value.clone())
            .collect();
        if command.is_empty() {
            return Err(Status::bad_request("you must specify at least one command"));
        }
        let open = exec_open(container, command, parameters)?;
        let mut kubelet = self.kubelet(call, &pod).await?;
        let frames = futures::StreamExt::chain(futures::stream::iter([open]), input);
        let response = kubelet.exec(frames).await.map_err(of_kubelet)?;
        Ok(response.into_inner())
    }

    /// Joins the main process of a running container.
    pub async fn attach(
        &self,
        call: &Call,
        target: &Target,
        parameters: &Parameters,
        input: impl Stream<Item = v1::ExecRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<v1::ExecResponse>, Status> {
        let (pod, container) = self.placed_container(call, target, parameters).await?;
        let open = exec_open(container, Vec::new(), parameters)?;
        let mut kubelet = self.kubelet(call, &pod).await?;
        let frames = futures::StreamExt::chain(futures::stream::iter([open]), input);
        let response = kubelet.attach(frames).await.map_err(of_kubelet)?;
        Ok(response.into_inner())
    }

    /// Opens a TCP connection to a port of a pod.
    pub async fn port_forward(
        &self,
        call: &Call,
        target: &Target,
        parameters: &Parameters,
        input: impl Stream<Item = v1::PortForwardRequest> + Send + 'static,
    ) -> Result<tonic::Streaming<v1::PortForwardResponse>, Status> {
        let pod = self.pod(call, target).await?;
        check_placed(&pod, &target.name)?;
        let port = forwarded_port(parameters.text("ports"))?;
        let open = v1::PortForwardRequest {
            frame: Some(v1::port_forward_request::Frame::Open(v1::PortForwardOpen {
                container: Some(pod_container(&pod, String::new())),
                port: u32::from(port),
            })),
        };
        let mut kubelet = self.kubelet(call, &pod).await?;
        let frames = futures::StreamExt::chain(futures::stream::iter([open]), input);
        let response = kubelet.port_forward(frames).await.map_err(of_kubelet)?;
        Ok(response.into_inner())
    }

    /// A pod that has a node, and the container of it that is meant.
    async fn placed_container(
        &self,
        call: &Call,
        target: &Target,
        parameters: &Parameters,
    ) -> Result<(Value, v1::PodContainer), Status> {
        let pod = self.pod(call, target).await?;
        let container = container_of(&pod, parameters.text("container"))?;
        check_placed(&pod, &target.name)?;
        Ok((pod, container))
    }

    async fn pod(&self, call: &Call, target: &Target) -> Result<Value, Status> {
        value_of(&*self.get_stored(call, target, "").await?)
    }

    async fn kubelet(&self, call: &Call, pod: &Value) -> Result<NodeClient<Channel>, Status> {
        let name = pod["spec"]["nodeName"].as_str().unwrap_or_default();
        let nodes = self
            .0
            .scheme
            .lookup("", "v1", "nodes")
            .ok_or_else(Status::no_such_resource)?;
        let target = Target {
            resource: nodes.clone(),
            namespace: String::new(),
            name: name.to_owned(),
            subresource: String::new(),
        };
        let node = value_of(&*self.get_stored(call, &target, "0").await?)?;
        let address = kubelet_address(&node).ok_or_else(|| {
            Status::internal(format!("no preferred addresses found for node {name:?}"))
        })?;
        Ok(NodeClient::new(self.0.kubelets.channel(name, &address)?))
    }
}

/// `InternalIP:port` of a node's kubelet.
fn kubelet_address(node: &Value) -> Option<String> {
    let status = &node["status"];
    let addresses = status["addresses"].as_array()?;
    let address = ["InternalIP", "Hostname"]
        .into_iter()
        .find_map(|kind| addresses.iter().find(|own| own["type"] == kind)?["address"].as_str())?;
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
        .as_u64()
        .filter(|port| *port > 0);
    let port = port.unwrap_or(KUBELET_PORT);
    Some(if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    })
}

/// The container that is meant, in upstream's words where none is.
fn container_of(pod: &Value, asked: &str) -> Result<v1::PodContainer, Status> {
    let names = |list: &str| -> Vec<&str> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|container| container["name"].as_str())
            .collect()
    };
    let (containers, init, ephemeral) = (
        names("containers"),
        names("initContainers"),
        names("ephemeralContainers"),
    );
    let name = meta_text(pod, "name");
    let container = match (asked, containers.as_slice()) {
        ("", [only]) => (*only).to_owned(),
        ("", _) => {
            let mut message = format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                containers.join(" ")
            );
            if !init.is_empty() {
                message.push_str(&format!(
                    " or one of the init containers: [{}]",
                    init.join(" ")
                ));
            }
            return Err(Status::bad_request(message));
        }
        (asked, _)
            if [&containers, &init, &ephemeral]
                .iter()
                .any(|list| list.contains(&asked)) =>
        {
            asked.to_owned()
        }
        (asked, _) => {
            return Err(Status::bad_request(format!(
                "container {asked} is not valid for pod {name}"
            )));
        }
    };
    Ok(pod_container(pod, container))
}

fn pod_container(pod: &Value, container: String) -> v1::PodContainer {
    v1::PodContainer {
        namespace: meta_text(pod, "namespace").to_owned(),
        pod: meta_text(pod, "name").to_owned(),
        uid: meta_text(pod, "uid").to_owned(),
        container,
    }
}

/// Refuses a pod that no node has yet.
fn check_placed(pod: &Value, name: &str) -> Result<(), Status> {
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        let why = format!("pod {name} does not have a host assigned");
        return Err(Status::bad_request(why));
    }
    Ok(())
}

/// The frame that begins an exec, or with no command an attach.
fn exec_open(
    container: v1::PodContainer,
    command: Vec<String>,
    parameters: &Parameters,
) -> Result<v1::ExecRequest, Status> {
    let tty = parameters.flag("tty");
    let [stdin, stdout, stderr] = ["stdin", "stdout", "stderr"].map(|name| parameters.flag(name));
    // A terminal has no second output.
    let stderr = stderr && !tty;
    if !(stdin || stdout || stderr) {
        return Err(Status::bad_request(
            "you must specify at least 1 of stdin, stdout, stderr",
        ));
    }
    Ok(v1::ExecRequest {
        frame: Some(v1::exec_request::Frame::Open(v1::ExecOpen {
            container: Some(container),
            command,
            stdin,
            stdout,
            stderr,
            tty,
        })),
    })
}

/// The port of a pod that is meant.
fn forwarded_port(text: &str) -> Result<u16, Status> {
    if text.is_empty() {
        return Err(Status::bad_request("query parameter \"port\" is required"));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let why = match text.parse::<u16>() {
        Ok(0) => format!("port {text:?} must be > 0"),
        Ok(port) => return Ok(port),
        Err(_) => {
            let why = if digits {
                "value out of range"
            } else {
                "invalid syntax"
            };
            format!(
                "unable to parse {text:?} as a port: strconv.ParseUint: parsing {text:?}: {why}"
            )
        }
    };
    Err(Status::bad_request(why))
}

/// A kubelet's error as a Status.
pub fn of_kubelet(error: tonic::Status) -> Status {
    if let Some(bytes) = error
        .metadata()
        .get_bin("ferrule-status-bin")
        .and_then(|value| value.to_bytes().ok())
        && let Some(status) = Status::from_json(&bytes)
    {
        return status;
    }
    match error.code() {
        tonic::Code::NotFound | tonic::Code::InvalidArgument | tonic::Code::FailedPrecondition => {
            Status::bad_request(error.message())
        }
        tonic::Code::Unavailable | tonic::Code::Unknown => {
            let mut why = error.message().to_owned();
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                why = error.to_string();
                source = error.source();
            }
            Status::bare_error(format!("error dialing backend: {why}"))
        }
        _ => Status::internal(error.message()),
    }
}

/// How a command ended, as upstream's error channel says it.
pub fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_must_be_clear() {
        let pod = json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]},
        });
        assert_eq!(container_of(&pod, "i").unwrap().container, "i");
        assert_eq!(
            container_of(&pod, "").unwrap_err().message,
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"
        );
        assert_eq!(
            container_of(&pod, "x").unwrap_err().message,
            "container x is not valid for pod p"
        );
    }

    #[test]
    fn a_terminal_has_one_output_and_somebody_must_hear_or_speak() {
        let open = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            exec_open(
                v1::PodContainer::default(),
                Vec::new(),
                &Parameters(pairs.collect()),
            )
        };
        let Some(v1::exec_request::Frame::Open(both)) =
            open(&[("tty", "true"), ("stdin", "1"), ("stderr", "true")])
                .unwrap()
                .frame
        else {
            panic!("the first frame opens");
        };
        assert!(both.tty && both.stdin && !both.stderr);
        let refusal = "you must specify at least 1 of stdin, stdout, stderr";
        for pairs in [&[][..], &[("tty", "true"), ("stderr", "true")]] {
            assert_eq!(open(pairs).unwrap_err().message, refusal);
        }
    }

    #[test]
    fn a_forwarded_port_is_a_port() {
        assert_eq!(forwarded_port("8080"), Ok(8080));
        for (text, why) in [
            ("", "query parameter \"port\" is required"),
            ("0", "port \"0\" must be > 0"),
            (
                "65536",
                "unable to parse \"65536\" as a port: strconv.ParseUint: parsing \"65536\": value out of range",
            ),
            (
                "http",
                "unable to parse \"http\" as a port: strconv.ParseUint: parsing \"http\": invalid syntax",
            ),
        ] {
            let refusal = forwarded_port(text).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (400, why));
        }
    }

    #[test]
    fn a_pod_without_a_node_is_refused() {
        let refusal = check_placed(&json!({"spec": {}}), "p").unwrap_err();
        assert_eq!(refusal.message, "pod p does not have a host assigned");
        assert_eq!(
            check_placed(&json!({"spec": {"nodeName": "n"}}), "p"),
            Ok(())
        );
    }

    #[test]
    fn a_kubelet_is_reached_at_its_internal_address_and_port() {
        let node = json!({"status": {
            "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "172.30.0.11"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10350}},
        }});
        assert_eq!(kubelet_address(&node).unwrap(), "172.30.0.11:10350");
        assert_eq!(kubelet_address(&json!({"status": {}})), None);
    }
}
