//! One question to a container: a command, an HTTP request, a connection, a gRPC health check.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::http;
use crate::context::PodContext;
use crate::env::expand::expand;
use crate::pod::{Record, spec};

/// Asks once. An error is what the `Unhealthy` event says.
pub async fn check(
    context: &PodContext,
    container: &Container,
    record: &Record,
    probe: &Probe,
    timeout: Duration,
) -> Result<(), String> {
    if let Some(exec) = &probe.exec {
        return command(
            context,
            container,
            record,
            exec.command.as_deref().unwrap_or_default(),
            timeout,
        )
        .await;
    }
    if let Some(get) = &probe.http_get {
        let target = target(context, container, get)?;
        return match http::get(&target, timeout).await {
            Ok(answer) if (200..400).contains(&answer.status) => Ok(()),
            Ok(answer) => Err(format!(
                "HTTP probe failed with statuscode: {}",
                answer.status
            )),
            Err(error) => Err(error),
        };
    }
    if let Some(tcp) = &probe.tcp_socket {
        let port = port(&tcp.port, container)?;
        let host = tcp
            .host
            .clone()
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| pod_ip(context));
        return connect(&host, port, timeout).await.map(|_| ());
    }
    if let Some(grpc) = &probe.grpc {
        let port =
            u16::try_from(grpc.port).map_err(|_| format!("invalid port number: {}", grpc.port))?;
        return health(
            &pod_ip(context),
            port,
            grpc.service.as_deref().unwrap_or_default(),
            timeout,
        )
        .await;
    }
    Ok(())
}

async fn command(
    context: &PodContext,
    container: &Container,
    record: &Record,
    command: &[String],
    timeout: Duration,
) -> Result<(), String> {
    let values = container.env.iter().flatten();
    let plain: Vec<(String, String)> = values
        .filter_map(|own| Some((own.name.clone(), own.value.clone()?)))
        .collect();
    let lookup = |name: &str| {
        plain
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.clone())
    };
    let words: Vec<String> = command.iter().map(|word| expand(word, lookup)).collect();
    match context
        .kubelet
        .cri
        .exec_sync(&record.id, &words, timeout)
        .await
    {
        Ok(answer) if answer.exit_code == 0 => Ok(()),
        Ok(answer) => {
            let mut output = String::from_utf8_lossy(&answer.stdout).into_owned();
            output.push_str(&String::from_utf8_lossy(&answer.stderr));
            // As much as upstream keeps.
            let mut cut = output.len().min(10 << 10);
            while !output.is_char_boundary(cut) {
                cut -= 1;
            }
            output.truncate(cut);
            Err(output)
        }
        Err(error) if error.code == tonic::Code::DeadlineExceeded => Err(format!(
            "command timed out: {:?} timed out after {}s",
            words.join(" "),
            timeout.as_secs()
        )),
        Err(error) => Err(error.to_string()),
    }
}

/// The address of the pod, or of the node for pods that use its network.
pub fn pod_ip(context: &PodContext) -> String {
    if spec::host_network(&context.pod) {
        return context
            .kubelet
            .host_ips()
            .into_iter()
            .next()
            .unwrap_or_default();
    }
    context.pod_ips.first().cloned().unwrap_or_default()
}

/// A port by its number, or by its name in the container.
pub fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.container_port)
            .or_else(|| name.parse().ok()),
    };
    let number = number.ok_or_else(|| match port {
        IntOrString::String(name) => format!("couldn't find port: {name}"),
        IntOrString::Int(number) => format!("invalid port number: {number}"),
    })?;
    u16::try_from(number)
        .ok()
        .filter(|own| *own > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

/// Where an HTTP action leads.
pub fn target(
    context: &PodContext,
    container: &Container,
    get: &HTTPGetAction,
) -> Result<http::Target, String> {
    let host = get
        .host
        .clone()
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| pod_ip(context));
    let path = get
        .path
        .clone()
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| "/".to_owned());
    let headers = get.http_headers.iter().flatten();
    Ok(http::Target {
        tls: get
            .scheme
            .as_deref()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        host,
        port: port(&get.port, container)?,
        path: if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        },
        headers: headers
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
    })
}

/// Opens a connection; errors in the words of Go's `net` package.
pub async fn connect(host: &str, port: u16, timeout: Duration) -> Result<TcpStream, String> {
    let shown = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let connecting = async {
        match host.parse::<IpAddr>() {
            Ok(ip) => TcpStream::connect(SocketAddr::new(ip, port)).await,
            Err(_) => TcpStream::connect((host, port)).await,
        }
    };
    match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => {
            let reason = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
                std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
                std::io::ErrorKind::NetworkUnreachable => {
                    "connect: network is unreachable".to_owned()
                }
                _ => error.to_string(),
            };
            Err(format!("dial tcp {shown}: {reason}"))
        }
        Err(_) => Err(format!("dial tcp {shown}: i/o timeout")),
    }
}

async fn health(host: &str, port: u16, service: &str, timeout: Duration) -> Result<(), String> {
    let shown = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let asking = async {
        let endpoint = tonic::transport::Endpoint::try_from(format!("http://{shown}"))
            .map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| format!("error: failed to connect service {shown:?}: {error}"))?;
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        HealthClient::new(channel).check(request).await.map_err(|status| match status.code() {
            tonic::Code::Unimplemented => {
                format!("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}", status.message())
            }
            _ => format!("error: health rpc probe failed: {status}"),
        })
    };
    match tokio::time::timeout(timeout, asking).await {
        Ok(Ok(answer)) => match answer.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            other => {
                let name = other.as_str_name();
                Err(format!("service unhealthy (responded with {name:?})"))
            }
        },
        Ok(Err(error)) => Err(error),
        Err(_) => Err(format!(
            "timeout: failed to connect service {shown:?} within {}s: context deadline exceeded",
            timeout.as_secs()
        )),
    }
}
