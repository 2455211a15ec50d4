//! Port-forward: one connection to a port of a pod, over a stream of the runtime.
//!
//! Channels: 0 data, 1 an error in words. The first message on each is the port.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ferrule_client::client::STATUS_TRAILER;
use ferrule_proto::v1::{self, port_forward_request};
use tokio::sync::mpsc;
use tonic::metadata::MetadataValue;
use tonic::{Status, Streaming};

use super::channels::{CLOSE, Receiver, Sender};

const DATA: u8 = 0;
const ERROR: u8 = 1;
/// How long a client that says nothing may keep a connection on which the pod has said all.
const LINGER: Duration = Duration::from_secs(1);

type Output = mpsc::Sender<Result<v1::PortForwardResponse, Status>>;

/// How the pod's side ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The pod says nothing more, but may still listen.
    Silent,
    /// The connection is closed.
    Closed,
}

/// Carries bytes until both sides have said all, or one is gone.
pub(super) async fn run(
    (sender, mut receiver): (Sender, Receiver),
    input: Streaming<v1::PortForwardRequest>,
    output: &Output,
) -> Result<(), Status> {
    let frames = AtomicU64::new(0);
    let mut there = std::pin::pin!(to_pod(sender, input, &frames));
    let mut client_speaks = true;
    let end = {
        let mut back = std::pin::pin!(to_client(&mut receiver, output));
        loop {
            tokio::select! {
                end = &mut back => break end?,
                () = output.closed() => return Err(gone()),
                end = &mut there, if client_speaks => {
                    end?;
                    client_speaks = false;
                }
            }
        }
    };
    if end == End::Closed {
        return Ok(());
    }
    // Empty data is the end of what the pod says; see `PortForwardResponse`.
    if output
        .send(Ok(v1::PortForwardResponse::default()))
        .await
        .is_err()
    {
        return Ok(());
    }
    while client_speaks {
        let before = frames.load(Ordering::Relaxed);
        tokio::select! {
            end = &mut there => return end,
            () = output.closed() => return Err(gone()),
            end = to_client(&mut receiver, output) => return end.map(|_| ()),
            () = tokio::time::sleep(LINGER) => {
                client_speaks = frames.load(Ordering::Relaxed) != before;
            }
        }
    }
    Ok(())
}

/// The runtime's words, as they are: with the whole Status the API server adds none of its own.
fn failed(words: &str) -> Status {
    let mut status = Status::internal(words);
    let whole = ferrule_apimachinery::Status::bare_error(words).to_json();
    let whole = MetadataValue::from_bytes(&whole);
    status.metadata_mut().insert_bin(STATUS_TRAILER, whole);
    status
}

fn gone() -> Status {
    Status::cancelled("the caller went away")
}

/// Until the client has said all.
async fn to_pod(
    mut sender: Sender,
    mut input: Streaming<v1::PortForwardRequest>,
    frames: &AtomicU64,
) -> Result<(), Status> {
    loop {
        let frame = match input.message().await {
            Ok(Some(frame)) => frame.frame,
            Ok(None) => Some(port_forward_request::Frame::CloseWrite(v1::CloseStdin {})),
            Err(_) => return Err(gone()),
        };
        frames.fetch_add(1, Ordering::Relaxed);
        let listens = match frame {
            Some(port_forward_request::Frame::Data(data)) => sender.send(DATA, &data).await,
            Some(port_forward_request::Frame::CloseWrite(_)) => {
                sender.close(DATA).await;
                // The socket stays open while the other direction is used: it holds the other half.
                return Ok(());
            }
            Some(port_forward_request::Frame::Open(_)) | None => true,
        };
        if !listens {
            return Ok(());
        }
    }
}

async fn to_client(receiver: &mut Receiver, output: &Output) -> Result<End, Status> {
    let mut begun = false;
    while let Some(message) = receiver.next().await {
        let (channel, data) = message?;
        match channel {
            DATA if !begun => begun = true,
            DATA if data.is_empty() => {}
            DATA => {
                let frame = Ok(v1::PortForwardResponse { data });
                output.send(frame).await.map_err(|_| gone())?;
            }
            ERROR if data.len() > 2 => return Err(failed(&String::from_utf8_lossy(&data))),
            CLOSE if data.first() == Some(&DATA) => return Ok(End::Silent),
            _ => {}
        }
    }
    Ok(End::Closed)
}
