//! The streams of a process: one that was started for its client, or a container that a client joins.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::{CHUNK, CLOSE, Client, message, write};
use crate::error::Result;
use crate::server::exec::{End, Running};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;

/// How long a stream may be silent after its process's end: a child that kept it does not hold us up.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// What a stream may still hold after its process's end: more comes from somebody else.
const LAST_BYTES: usize = 256 << 10;

/// How the session came to its end.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The process ended.
    Exited(i32),
    /// The container ended, or its client has said all it had to say.
    Detached,
    /// The container went away under the process.
    Lost,
    /// Nobody listens any more.
    ClientGone,
}

/// Moves bytes until the process ends or the client goes.
pub(super) async fn serve(started: Result<Running>, client: Client) {
    let (mut sink, mut stream) = client.socket.split();
    let mut running = match started {
        Ok(running) => running,
        Err(error) => {
            let status = failure(&error.to_string());
            let _ = sink.send(message(STATUS, status.as_bytes())).await;
            let _ = sink.close().await;
            return;
        }
    };
    let (sender, outgoing) = mpsc::channel::<Message>(8);
    // An empty message says that the stream is open, as upstream's servers do.
    let _ = sender.try_send(message(STDOUT, &[]));
    let mut writer = tokio::spawn(write(sink, outgoing));
    let ended = watch::Sender::new(false);
    let mut readers = Vec::new();
    for (channel, reader) in [
        (STDOUT, running.stdout.take()),
        (STDERR, running.stderr.take()),
    ] {
        readers.extend(
            reader.map(|reader| {
                tokio::spawn(read(channel, reader, sender.clone(), ended.subscribe()))
            }),
        );
    }
    let mut stdin = running.stdin.take();
    let detaches = running.detaches();
    let outcome = {
        let mut end = std::pin::pin!(end(&mut running.end, &mut readers));
        loop {
            tokio::select! {
                outcome = &mut end => break outcome,
                _ = &mut writer => break Outcome::ClientGone,
                incoming = stream.next() => match incoming {
                    // A process that does not read its input can end all the same.
                    Some(Ok(Message::Binary(data))) => tokio::select! {
                        outcome = &mut end => break outcome,
                        _ = &mut writer => break Outcome::ClientGone,
                        () = running.control.receive(&mut stdin, &data) => {
                            if detaches && stdin.is_none() {
                                break Outcome::Detached;
                            }
                        }
                    },
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break Outcome::ClientGone,
                    Some(Ok(_)) => {}
                },
            }
        }
    };
    drop(stdin);
    if outcome == Outcome::ClientGone {
        // A container that was joined runs on. What was started for the client ends with it.
        if matches!(running.end, End::Exit(_)) {
            running.control.kill().await;
        }
        readers.iter().for_each(JoinHandle::abort);
        return;
    }
    ended.send_replace(true);
    drop(sender);
    // As fast as the client takes it: the readers end when their streams have nothing more.
    let Ok(Some(mut sink)) = writer.await else {
        return;
    };
    let status = match outcome {
        Outcome::Exited(0) | Outcome::Detached | Outcome::ClientGone => {
            json!({"metadata": {}, "status": "Success"}).to_string()
        }
        Outcome::Exited(code) => exit_status(code),
        Outcome::Lost => failure("the container ended during the exec"),
    };
    let _ = sink.send(message(STATUS, status.as_bytes())).await;
    let _ = sink.close().await;
}

/// Waits for the end of the process, or of the container that was joined.
async fn end(end: &mut End, readers: &mut [JoinHandle<()>]) -> Outcome {
    match end {
        End::Exit(exit) => exit.await.map_or(Outcome::Lost, Outcome::Exited),
        End::Container { ended, .. } => {
            let silent = async {
                for reader in readers.iter_mut() {
                    let _ = reader.await;
                }
                if readers.is_empty() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => {}
                () = silent => {}
            }
            Outcome::Detached
        }
    }
}

/// Passes output on until its end; after the process's end only what was written before.
async fn read(
    channel: u8,
    mut reader: pipe::Receiver,
    sender: mpsc::Sender<Message>,
    mut ended: watch::Receiver<bool>,
) {
    let mut chunk = vec![0; CHUNK];
    let mut left = LAST_BYTES;
    while left > 0 {
        let over = async {
            // An error is the end of the session.
            let _ = ended.wait_for(|ended| *ended).await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        let count = tokio::select! {
            biased;
            count = reader.read(&mut chunk) => count.unwrap_or(0),
            () = over => return,
        };
        if *ended.borrow() {
            left = left.saturating_sub(count);
        }
        if count == 0
            || sender
                .send(message(channel, &chunk[..count]))
                .await
                .is_err()
        {
            return;
        }
    }
}

impl crate::server::exec::Control {
    async fn receive(&self, stdin: &mut Option<pipe::Sender>, data: &[u8]) {
        match data.split_first() {
            Some((&STDIN, bytes)) => {
                if let Some(pipe) = stdin
                    && pipe.write_all(bytes).await.is_err()
                {
                    *stdin = None;
                }
            }
            Some((&RESIZE, bytes)) => {
                if let Ok(size) = serde_json::from_slice::<Size>(bytes) {
                    self.resize(size.width, size.height).await;
                }
            }
            Some((&CLOSE, [STDIN])) => *stdin = None,
            _ => {}
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

fn exit_status(code: i32) -> String {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": format!("command terminated with non-zero exit code: error executing command, exit code {code}"),
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
    .to_string()
}

fn failure(words: &str) -> String {
    json!({
        "metadata": {},
        "status": "Failure",
        "message": words,
        "reason": "InternalError",
        "details": {"causes": [{"message": words}]},
        "code": 500,
    })
    .to_string()
}
