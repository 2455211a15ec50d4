//! Leaves a server that is not ready for one that is.
//!
//! A connection that breaks needs no watching: the next request makes another. But a server may
//! be paused, cut off from etcd, or behind a network that drops packets, and its connection stays. So
//! where there are several servers, the one in use is asked for its health; when it does not say
//! that it serves, and another one does, the connection is ended, and with it every call and watch
//! on it. Informers go on at the other server after the last revision.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rand::Rng;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::connection::Servers;

/// How often the server in use is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Watches over the connection of a client, until `client` has gone.
pub(crate) fn start(servers: Arc<Servers>, channel: Channel, client: Weak<()>) {
    tokio::spawn(async move {
        loop {
            let pause = INTERVAL.mul_f64(rand::rng().random_range(0.75..1.25));
            sleep(pause).await;
            if client.strong_count() == 0 {
                return;
            }
            let Some(current) = servers.current() else {
                continue;
            };
            if !serves(channel.clone()).await {
                leave(&servers, current).await;
            }
        }
    });
}

/// Moves to the first other server that is ready; stays where none is.
async fn leave(servers: &Servers, current: usize) {
    let count = servers.count();
    for server in (1..count).map(|turn| (current + turn) % count) {
        let Ok(channel) = servers.channel_to(server) else {
            return;
        };
        if !serves(channel).await {
            continue;
        }
        // Another connection may have been made meanwhile.
        if servers.current() == Some(current) {
            let (from, to) = (servers.address(current), servers.address(server));
            tracing::info!(from, to, "the API server is not ready; moving to another");
            servers.move_to(server);
        }
        return;
    }
}

/// Whether the server at the other end says that it serves.
async fn serves(channel: Channel) -> bool {
    let request = HealthCheckRequest::default();
    let answer = timeout(PATIENCE, async {
        HealthClient::new(channel).check(request).await
    });
    matches!(answer.await, Ok(Ok(answer)) if answer.get_ref().status() == ServingStatus::Serving)
}
