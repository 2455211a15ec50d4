//! The socket, the services on it, and the order of start and end.

use std::path::Path;

use anyhow::Context;
use k8s_cri::v1::image_service_server::ImageServiceServer;
use k8s_cri::v1::runtime_service_server::RuntimeServiceServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;

use super::image_service::Images;
use super::runtime_service::Service;
use super::{Options, Runtime};
use crate::streaming;

/// The longest message of a client.
const MAX_MESSAGE: usize = 16 << 20;

/// Serves CRI on a unix socket until `shutdown`. Containers go on without us.
pub async fn serve(
    options: Options,
    socket: &Path,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (runtime, shim_events) = Runtime::open(options)?;
    runtime.recover().await;
    tokio::spawn(runtime.clone().listen_to_shims(shim_events));
    runtime.import_directory().await;
    let streaming = streaming::listen(runtime.clone(), shutdown.clone())
        .await
        .context("open the streaming server")?;
    tracing::info!(address = %streaming, "streaming server");

    let listener = bind(socket)?;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_serving::<RuntimeServiceServer<Service>>()
        .await;
    reporter.set_serving::<ImageServiceServer<Images>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(crate::CRI_DESCRIPTORS)
        .build_v1()?;
    tracing::info!(socket = %socket.display(), "serving CRI v1");
    let end = shutdown.clone();
    let server = tonic::transport::Server::builder()
        .add_service(health)
        .add_service(reflection)
        .add_service(
            RuntimeServiceServer::new(Service(runtime.clone()))
                .max_decoding_message_size(MAX_MESSAGE),
        )
        .add_service(
            ImageServiceServer::new(Images(runtime)).max_decoding_message_size(MAX_MESSAGE),
        )
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
            end.cancelled().await;
        });
    // Event streams never end by themselves: after a moment's grace they are cut.
    let grace = async {
        shutdown.cancelled().await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    };
    tokio::select! {
        result = server => result.context("serve")?,
        () = grace => {}
    }
    let _ = std::fs::remove_file(socket);
    Ok(())
}

/// Takes over a socket's path.
pub(crate) fn bind(socket: &Path) -> anyhow::Result<UnixListener> {
    if let Some(parent) = socket.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let listener =
        UnixListener::bind(socket).with_context(|| format!("listen on {}", socket.display()))?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
