//! API servers on loopback ports over mutual TLS, and what can stand between them and their clients.

#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferrule_apiserver::serve::{self, ServeOptions};
use ferrule_apiserver::verbs::Api;
use ferrule_client::{Client, ClientConfig};
use ferrule_component_base::health::Health;
use ferrule_component_base::metrics::Metrics;
use ferrule_component_base::server::Limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

#[path = "authority.rs"]
mod authority;

pub use authority::Authority;

impl Authority {
    /// How an administrator reaches these servers.
    pub fn admin(&self, servers: &[&str]) -> ClientConfig {
        self.config(servers, Some(("kubernetes-admin", "system:masters")))
    }

    /// A client with a connection of its own.
    pub fn client(&self, servers: &[&str]) -> Client {
        Client::new(&self.admin(servers)).unwrap()
    }
}

/// An API server's port; it closes when dropped.
pub struct Front {
    pub address: String,
    pub health: Health,
    _shutdown: DropGuard,
    _dir: tempfile::TempDir,
}

/// Serves the verbs on a loopback port.
pub async fn serve(authority: &Authority, api: Api, limits: Limits) -> Front {
    let dir = tempfile::tempdir().unwrap();
    let files = authority.files(dir.path(), "kube-apiserver");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (health, shutdown) = (Health::default(), CancellationToken::new());
    let options = ServeOptions::default();
    let front = serve::server(api, options, health.clone(), Metrics::default()).limits(limits);
    let until = shutdown.clone();
    tokio::spawn(async move { front.serve_on(listener, files, until).await });
    Front {
        address,
        health,
        _shutdown: shutdown.drop_guard(),
        _dir: dir,
    }
}

/// What becomes of connections through a [`Road`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    /// As a paused server or a partition without resets: accepted, and nothing goes on.
    Frozen,
    /// As a dead server: closed, and refused.
    Closed,
}

/// A way to a server that can be blocked.
pub struct Road {
    pub address: String,
    state: watch::Sender<State>,
    accepted: Arc<AtomicUsize>,
}

impl Road {
    pub async fn to(server: &str) -> Road {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (state, seen) = watch::channel(State::Open);
        let (server, accepted) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let count = accepted.clone();
        tokio::spawn(async move {
            while let Ok((inner, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(inner, server.clone(), seen.clone()));
            }
        });
        Road {
            address,
            state,
            accepted,
        }
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn carry(near: TcpStream, server: String, mut state: watch::Receiver<State>) {
    let Ok(far) = TcpStream::connect(server).await else {
        return;
    };
    let (mut near, mut far) = (near, far);
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Closed => return,
            State::Frozen => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            State::Open => tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                changed = state.changed() => if changed.is_err() { return },
            },
        }
    }
}
