//! A process in a container: what it reads, what it writes, and how it ends.
//!
//! ```text
//!  stdin ──> Stdin frames … CloseStdin ─┐
//!  SIGWINCH ──> Resize frames ──────────┴─> Connect ──> Stdout, Stderr, Status (the last)
//! ```

use std::io::{Read, Write};

use bytes::Bytes;
use ferrule_client::client::status_of;
use ferrule_proto::v1::connect_request::Frame as Input;
use ferrule_proto::v1::connect_response::Frame;
use ferrule_proto::v1::{CloseStdin, ConnectRequest, TerminalSize};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::terminal::{self, Terminal};
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// A process, and where its streams lead.
pub struct Remote<'a> {
    /// The pod as the server has it.
    pub pod: &'a Value,
    /// The container's name.
    pub container: &'a str,
    /// What is started; `None` joins the container's own process.
    pub command: Option<&'a [String]>,
    /// What it reads; `None`: its input stays closed.
    pub stdin: Option<BoxStream<'static, Bytes>>,
    /// The terminal that it is shown in.
    pub terminal: Option<Terminal>,
    /// Sizes that the terminal is given first.
    pub sizes: Vec<TerminalSize>,
    /// Where its output goes.
    pub stdout: &'a mut dyn Write,
    /// Where its errors go; a terminal has none.
    pub stderr: &'a mut dyn Write,
}

impl Remote<'_> {
    /// Follows the process to its end. An exit code of its own is an [`Error::Ended`].
    pub async fn run(self, session: &Session) -> Result<()> {
        let resource = session.resources().await?.find("pods")?;
        let text = |field: &str| self.pod["metadata"][field].as_str().unwrap_or_default();
        let verb = if self.command.is_some() {
            "exec"
        } else {
            "attach"
        };
        let place = at(resource, text("namespace"))
            .name(text("name"))
            .subresource(verb);
        let tty = self.terminal.is_some();
        let mut parameters = vec![
            ("container", self.container.to_owned()),
            ("stdin", self.stdin.is_some().to_string()),
            ("stdout", "true".to_owned()),
            ("stderr", (!tty).to_string()),
            ("tty", tty.to_string()),
        ];
        let command = self.command.into_iter().flatten();
        parameters.extend(command.map(|word| ("command", word.clone())));
        let frames = input(self.stdin, tty.then_some(self.sizes));
        let mut frames = session.client.connect(&place, &parameters, frames).await?;
        // A terminal that was switched over is given back even when the program is told to end.
        let ended = async {
            if tty {
                terminal::ended().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(ended);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                () = &mut ended => return Err(Error::Exit(1)),
            };
            let Some(frame) = frame else { return Ok(()) };
            let frame = frame.map_err(|error| Error::from(status_of(error)))?;
            let written = match frame.frame {
                Some(Frame::Stdout(bytes)) => write(self.stdout, &bytes),
                Some(Frame::Stderr(bytes)) => write(self.stderr, &bytes),
                Some(Frame::Status(status)) => return outcome(&status),
                None => Ok(()),
            };
            written.map_err(|_| Error::Exit(0))?;
        }
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> std::io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

/// The frames of a session. The stream never ends: its end would end the session.
fn input(
    stdin: Option<BoxStream<'static, Bytes>>,
    sizes: Option<Vec<TerminalSize>>,
) -> BoxStream<'static, ConnectRequest> {
    let stdin = match stdin {
        Some(stdin) => stdin
            .map(Input::Stdin)
            .chain(stream::iter([Input::CloseStdin(CloseStdin {})]))
            .boxed(),
        None => stream::empty().boxed(),
    };
    let sizes = match sizes {
        Some(first) => stream::iter(first)
            .chain(terminal::sizes())
            .map(Input::Resize)
            .boxed(),
        None => stream::empty().boxed(),
    };
    stream::select(sizes, stdin)
        .map(|frame| ConnectRequest { frame: Some(frame) })
        .chain(stream::pending())
        .boxed()
}

/// Standard input, until its end.
pub fn stdin() -> BoxStream<'static, Bytes> {
    let (sender, receiver) = mpsc::channel(8);
    // Reading blocks: it has a thread of its own, which the program's end ends.
    std::thread::spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(size) = std::io::stdin().read(&mut buffer) {
            let bytes = Bytes::copy_from_slice(&buffer[..size]);
            if size == 0 || sender.blocking_send(bytes).is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(receiver).boxed()
}

/// What the last frame says.
pub fn outcome(status: &[u8]) -> Result<()> {
    let status: Value = serde_json::from_slice(status).unwrap_or_default();
    if status["status"] == "Success" {
        return Ok(());
    }
    let mut causes = status["details"]["causes"].as_array().into_iter().flatten();
    let code = causes
        .find(|cause| cause["reason"] == "ExitCode")
        .and_then(|cause| cause["message"].as_str()?.parse().ok());
    Err(match code {
        Some(code) => Error::Ended(format!("command terminated with exit code {code}"), code),
        None => Error::local(status["message"].as_str().unwrap_or("the command failed")),
    })
}
