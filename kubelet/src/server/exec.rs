//! Exec and attach: frames of our own wire to and from the runtime's streams.
//!
//! Channels: 0 stdin, 1 stdout, 2 stderr, 3 the final status, 4 terminal sizes.

use ferrule_proto::v1::{self, exec_request, exec_response};
use serde_json::Value;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::channels::{Receiver, Sender};

/// Carries input and output until the process ends; its exit code. One direction never waits for the
/// other: a process may read only when what it wrote is taken.
pub(super) async fn run(
    (sender, receiver): (Sender, Receiver),
    input: Streaming<v1::ExecRequest>,
    output: &mpsc::Sender<Result<v1::ExecResponse, Status>>,
) -> Result<i32, Status> {
    tokio::select! {
        end = read(receiver, output) => end,
        gone = feed(sender, input) => Err(gone),
        () = output.closed() => Err(gone()),
    }
}

fn gone() -> Status {
    Status::cancelled("the caller went away")
}

/// Passes input on; ends only when the caller is gone.
async fn feed(mut sender: Sender, mut input: Streaming<v1::ExecRequest>) -> Status {
    loop {
        let listens = match input.message().await {
            Ok(Some(frame)) => match frame.frame {
                Some(exec_request::Frame::Stdin(data)) => sender.send(0, &data).await,
                Some(exec_request::Frame::Resize(size)) => {
                    let size = serde_json::json!({"Width": size.width, "Height": size.height});
                    sender.send(4, size.to_string().as_bytes()).await
                }
                Some(exec_request::Frame::CloseStdin(_)) => sender.close(0).await,
                Some(exec_request::Frame::Open(_)) | None => true,
            },
            Ok(None) => {
                sender.close(0).await;
                false
            }
            // So is everybody's interest in the process's streams.
            Err(_) => return gone(),
        };
        if !listens {
            // How it ended is learnt on the other way.
            return std::future::pending().await;
        }
    }
}

async fn read(
    mut receiver: Receiver,
    output: &mpsc::Sender<Result<v1::ExecResponse, Status>>,
) -> Result<i32, Status> {
    let mut end: Option<Result<i32, Status>> = None;
    while let Some(message) = receiver.next().await {
        let (channel, data) = match message {
            Ok(message) => message,
            Err(status) => {
                end.get_or_insert(Err(status));
                break;
            }
        };
        let frame = match channel {
            1 if !data.is_empty() => exec_response::Frame::Stdout(data),
            2 if !data.is_empty() => exec_response::Frame::Stderr(data),
            3 if !data.is_empty() => {
                end = Some(verdict(&data));
                continue;
            }
            _ => continue,
        };
        let frame = v1::ExecResponse { frame: Some(frame) };
        if output.send(Ok(frame)).await.is_err() {
            return Err(gone());
        }
    }
    end.unwrap_or_else(|| {
        Err(Status::unavailable(
            "the stream ended before the process did",
        ))
    })
}

/// The exit code in the final status.
fn verdict(status: &[u8]) -> Result<i32, Status> {
    let status: Value = serde_json::from_slice(status)
        .map_err(|_| Status::internal(String::from_utf8_lossy(status).into_owned()))?;
    if status["status"] == "Success" {
        return Ok(0);
    }
    let causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes
        .filter(|cause| cause["reason"] == "ExitCode")
        .find_map(|cause| cause["message"].as_str()?.parse().ok());
    code.map(Ok).unwrap_or_else(|| {
        Err(Status::internal(
            status["message"]
                .as_str()
                .unwrap_or("the process failed")
                .to_owned(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_status_tells_the_exit_code() {
        let failed = br#"{"status":"Failure","reason":"NonZeroExitCode","message":"command terminated with non-zero exit code","details":{"causes":[{"reason":"ExitCode","message":"7"}]}}"#;
        assert_eq!(
            verdict(br#"{"metadata":{},"status":"Success"}"#).ok(),
            Some(0)
        );
        assert_eq!(verdict(failed).ok(), Some(7));
        let broken =
            verdict(br#"{"status":"Failure","message":"no such file"}"#).expect_err("an error");
        assert_eq!(broken.message(), "no such file");
    }
}
