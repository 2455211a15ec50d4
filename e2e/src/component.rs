//! The doors of a component that every server has: health and reflection over gRPC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio_stream::StreamExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

const WITHIN: Duration = Duration::from_secs(5);

/// Who calls, in PEM.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Vec<u8>,
}

/// How a component is reached.
#[derive(Clone, Debug)]
pub enum Door {
    /// Over TLS: `https://host:port`, and the authority of its certificate.
    Tls(String, Vec<u8>),
    /// Over a socket of the file system.
    Socket(PathBuf),
}

impl Door {
    /// Connects, with a certificate or without.
    pub async fn connect(&self, caller: Option<&Caller>) -> anyhow::Result<Channel> {
        match self {
            Door::Tls(address, authority) => {
                let mut tls = ClientTlsConfig::new()
                    .ca_certificate(Certificate::from_pem(authority))
                    // Every serving certificate has this name; few have their address.
                    .domain_name("localhost")
                    .timeout(WITHIN);
                if let Some(caller) = caller {
                    tls = tls.identity(Identity::from_pem(&caller.certificate, &caller.key));
                }
                Endpoint::from_shared(address.clone())?
                    .connect_timeout(WITHIN)
                    .timeout(WITHIN)
                    .tls_config(tls)?
                    .connect()
                    .await
                    .with_context(|| format!("connect to {address}"))
            }
            Door::Socket(path) => over_socket(path.clone()).await,
        }
    }
}

async fn over_socket(path: PathBuf) -> anyhow::Result<Channel> {
    let shown = path.display().to_string();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The address is a formality: the connector goes to the socket.
    Endpoint::from_static("http://localhost")
        .connect_timeout(WITHIN)
        .timeout(WITHIN)
        .connect_with_connector(connector)
        .await
        .with_context(|| format!("connect to {}", Path::new(&shown).display()))
}

/// Whether the server as a whole says that it serves.
pub async fn serves(channel: Channel) -> Result<bool, tonic::Status> {
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await?;
    Ok(answer.into_inner().status() == ServingStatus::Serving)
}

/// The names of the services that reflection tells of.
pub async fn services(channel: Channel) -> Result<Vec<String>, tonic::Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answer = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(request))
        .await?
        .into_inner()
        .next()
        .await
        .ok_or_else(|| tonic::Status::internal("reflection answers nothing"))??;
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => Ok(list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect()),
        other => Err(tonic::Status::internal(format!(
            "reflection answers {other:?}"
        ))),
    }
}

/// Runs a short conversation to its end.
pub fn block_on<T>(talk: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            match tokio::time::timeout(WITHIN * 6, talk).await {
                Ok(result) => result,
                Err(_) => bail!("no answer within {:?}", WITHIN * 6),
            }
        })
}
