//! The server's side of the connection to a shim.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::protocol::{self, Call, ExitRecord, Message, Request};
use crate::error::{Error, Result};

/// How long a shim may take for one call; starting a container is the longest.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What a shim says on its own.
#[derive(Debug)]
pub enum Event {
    /// A container ended.
    Exited {
        /// The container.
        container: String,
        /// How.
        exit: ExitRecord,
    },
    /// The shim itself is gone.
    Gone {
        /// Its sandbox.
        sandbox: String,
    },
}

/// A connection to a shim.
#[derive(Debug)]
pub struct Client {
    next: AtomicU64,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    execs: Mutex<HashMap<String, oneshot::Sender<i32>>>,
}

impl Client {
    /// Connects to the shim of a sandbox and forwards what it reports to `events`.
    pub async fn connect(
        socket: &Path,
        sandbox: &str,
        events: mpsc::UnboundedSender<Event>,
    ) -> std::io::Result<Client> {
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let shared = Arc::new(Shared::default());
        tokio::spawn(listen(reader, shared.clone(), sandbox.to_owned(), events));
        Ok(Client {
            next: AtomicU64::new(1),
            writer: tokio::sync::Mutex::new(writer),
            shared,
        })
    }

    /// Calls the shim and waits for its answer.
    pub async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.shared.pending).insert(id, sender);
        let bytes = protocol::frame(&Request { id, call })?;
        if let Err(error) = self.writer.lock().await.write_all(&bytes).await {
            lock(&self.shared.pending).remove(&id);
            return Err(Error::Internal(anyhow!("the pod's shim is gone: {error}")));
        }
        match tokio::time::timeout(CALL_TIMEOUT, receiver).await {
            Ok(Ok(Ok(value))) => Ok(serde_json::from_value(value)?),
            Ok(Ok(Err(words))) => Err(Error::Internal(anyhow!(words))),
            Ok(Err(_)) => Err(Error::Internal(anyhow!("the pod's shim is gone"))),
            Err(_) => {
                lock(&self.shared.pending).remove(&id);
                Err(Error::Deadline("the pod's shim does not answer".to_owned()))
            }
        }
    }

    /// A receiver of an exec's end; to be taken before the exec is started.
    pub fn watch_exec(&self, exec: &str) -> oneshot::Receiver<i32> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.shared.execs).insert(exec.to_owned(), sender);
        receiver
    }

    /// Forgets an exec that was not started.
    pub fn forget_exec(&self, exec: &str) {
        lock(&self.shared.execs).remove(exec);
    }
}

async fn listen(
    mut reader: OwnedReadHalf,
    shared: Arc<Shared>,
    sandbox: String,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut buffer = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    'connection: loop {
        match reader.read(&mut chunk).await {
            Ok(count) if count > 0 => buffer.extend_from_slice(&chunk[..count]),
            _ => break,
        }
        loop {
            match protocol::take_frame(&mut buffer) {
                Ok(Some(body)) => match serde_json::from_slice(&body) {
                    Ok(message) => deliver(message, &shared, &events),
                    Err(error) => {
                        tracing::error!(%sandbox, %error, "the shim sent nonsense");
                        break 'connection;
                    }
                },
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%sandbox, %error, "the shim sent nonsense");
                    break 'connection;
                }
            }
        }
    }
    lock(&shared.pending).clear();
    lock(&shared.execs).clear();
    let _ = events.send(Event::Gone { sandbox });
}

fn deliver(message: Message, shared: &Shared, events: &mpsc::UnboundedSender<Event>) {
    match message {
        Message::Reply { id, result } => {
            if let Some(sender) = lock(&shared.pending).remove(&id) {
                let _ = sender.send(result);
            }
        }
        Message::Exited { container, exit } => {
            let _ = events.send(Event::Exited { container, exit });
        }
        Message::ExecExited { exec, exit_code } => {
            if let Some(sender) = lock(&shared.execs).remove(&exec) {
                let _ = sender.send(exit_code);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
