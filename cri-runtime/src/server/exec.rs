//! Further processes in a container. Their streams are FIFOs, so that their bytes do not pass the shim.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use nix::sys::stat::Mode;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

use super::records::ContainerRecord;
use super::{Runtime, new_id, status};
use crate::error::{Error, Result};
use crate::layout::replace_file;
use crate::shim::client::Client;
use crate::shim::protocol::{Call, Exec, Started};
use crate::spec;

/// More output than this of a synchronous exec is read and thrown away.
const MAX_OUTPUT: usize = 16 << 20;

/// How long output may come after the process's end: a child that kept the stream does not hold us up.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Which streams a process gets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error; none of its own with a terminal.
    pub stderr: bool,
    /// A terminal in place of pipes.
    pub tty: bool,
}

/// A process that has been started in a container, or the streams of the container itself.
pub struct Running {
    /// The other ends of its streams.
    pub stdin: Option<pipe::Sender>,
    /// Its output.
    pub stdout: Option<pipe::Receiver>,
    /// Its errors.
    pub stderr: Option<pipe::Receiver>,
    /// How its end is learnt.
    pub end: End,
    /// What can be done to it.
    pub control: Control,
    /// Holds the FIFOs; removed at the end.
    _directory: Fifos,
}

/// How the end of a process is learnt.
pub enum End {
    /// The exit code of one that was started for its client.
    Exit(oneshot::Receiver<i32>),
    /// A container that was joined.
    Container {
        /// Becomes true when it ends.
        ended: watch::Receiver<bool>,
        /// Whether a client that closes its input leaves.
        detaches: bool,
    },
}

/// A process by the name its shim knows it by.
pub struct Control {
    target: String,
    shim: Arc<Client>,
}

/// FIFOs in a directory that is removed with the value.
struct Fifos {
    directory: PathBuf,
}

impl Fifos {
    fn create(parent: &Path) -> Result<Fifos> {
        let directory = parent.join(&new_id()[..16]);
        std::fs::create_dir_all(&directory)?;
        Ok(Fifos { directory })
    }

    fn make(&self, name: &str, wanted: bool) -> Result<Option<PathBuf>> {
        if !wanted {
            return Ok(None);
        }
        let path = self.directory.join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).context("make a FIFO")?;
        Ok(Some(path))
    }
}

impl Drop for Fifos {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Runtime {
    fn running(&self, id: &str) -> Result<(ContainerRecord, Arc<Client>)> {
        let record = self.container(id)?.record();
        if !status::is_running(&record) {
            return Err(Error::Precondition(format!(
                "container is in {} state",
                record.state().as_str_name()
            )));
        }
        let shim = self
            .sandbox(&record.sandbox)?
            .shim()
            .ok_or_else(|| Error::Precondition("container is not running".to_owned()))?;
        Ok((record, shim))
    }

    /// Starts a process in a running container.
    pub(crate) async fn start_exec(
        &self,
        id: &str,
        command: &[String],
        streams: Streams,
    ) -> Result<Running> {
        if command.is_empty() {
            return Err(Error::Invalid("no command specified".to_owned()));
        }
        let (record, shim) = self.running(id)?;
        let fifos = Fifos::create(&self.layout().bundle(&record.id))?;
        let process = fifos.directory.join("process.json");
        let specification = spec::exec_process(&record.process, command, streams.tty);
        replace_file(&process, &serde_json::to_vec(&specification)?)?;
        let stdin = fifos.make("stdin", streams.stdin)?;
        let stdout = fifos.make("stdout", streams.stdout)?;
        let stderr = fifos.make("stderr", streams.stderr && !streams.tty)?;
        // A FIFO's reader must be there before its writer.
        let output = stdout.as_deref().map(receiver).transpose()?;
        let errors = stderr.as_deref().map(receiver).transpose()?;
        let keeper = stdin.as_deref().map(keeper).transpose()?;
        let name = new_id()[..16].to_owned();
        let exit = shim.watch_exec(&name);
        let started = shim
            .call::<Started>(Call::Exec(Box::new(Exec {
                container: record.id.clone(),
                exec: name.clone(),
                process,
                stdin: stdin.clone(),
                stdout,
                stderr,
                tty: streams.tty,
            })))
            .await;
        if let Err(error) = started {
            shim.forget_exec(&name);
            return Err(error);
        }
        let input = stdin.as_deref().and_then(sender);
        drop(keeper);
        Ok(Running {
            stdin: input,
            stdout: output,
            stderr: errors,
            end: End::Exit(exit),
            control: Control { target: name, shim },
            _directory: fifos,
        })
    }

    /// Connects with the streams of the container itself.
    pub(crate) async fn start_attach(&self, id: &str, streams: Streams) -> Result<Running> {
        let (record, shim) = self.running(id)?;
        let ended = self.container(&record.id)?.ended.subscribe();
        let fifos = Fifos::create(&self.layout().bundle(&record.id))?;
        let takes_input = streams.stdin && record.config.stdin;
        let stdin = fifos.make("stdin", takes_input)?;
        let stdout = fifos.make("stdout", streams.stdout)?;
        let stderr = fifos.make("stderr", streams.stderr && !record.config.tty)?;
        let output = stdout.as_deref().map(receiver).transpose()?;
        let errors = stderr.as_deref().map(receiver).transpose()?;
        let keeper = stdin.as_deref().map(keeper).transpose()?;
        shim.call::<()>(Call::Attach {
            container: record.id.clone(),
            stdin: stdin.clone(),
            stdout,
            stderr,
        })
        .await?;
        let input = stdin.as_deref().and_then(sender);
        drop(keeper);
        Ok(Running {
            stdin: input,
            stdout: output,
            stderr: errors,
            end: End::Container {
                ended,
                // As containerd has it: who gave a container its only input waits for what it makes of it.
                detaches: takes_input && (!record.config.stdin_once || record.config.tty),
            },
            control: Control {
                target: record.id,
                shim,
            },
            _directory: fifos,
        })
    }

    /// Runs a process to its end and returns what it wrote. `timeout` 0 waits without end.
    pub(super) async fn exec_sync(
        &self,
        id: &str,
        command: &[String],
        timeout: Duration,
    ) -> Result<(Vec<u8>, Vec<u8>, i32)> {
        let streams = Streams {
            stdout: true,
            stderr: true,
            ..Streams::default()
        };
        let mut running = self.start_exec(id, command, streams).await?;
        let End::Exit(exit) = &mut running.end else {
            return Err(Error::Internal(anyhow!("an exec without an end")));
        };
        let stdout = Collector::start(running.stdout.take());
        let stderr = Collector::start(running.stderr.take());
        let code = if timeout.is_zero() {
            exit.await
        } else {
            match tokio::time::timeout(timeout, exit).await {
                Ok(code) => code,
                Err(_) => {
                    running.control.kill().await;
                    return Err(Error::Deadline(format!(
                        "failed to exec in container: timeout {timeout:?} exceeded: context deadline exceeded"
                    )));
                }
            }
        };
        let code =
            code.map_err(|_| Error::Unavailable("the container ended during the exec".to_owned()))?;
        Ok((stdout.finish().await, stderr.finish().await, code))
    }
}

impl Running {
    /// Whether a client that closes its input leaves.
    pub fn detaches(&self) -> bool {
        matches!(self.end, End::Container { detaches: true, .. })
    }
}

impl Control {
    /// Kills the process.
    pub async fn kill(&self) {
        let call = Call::KillExec {
            exec: self.target.clone(),
        };
        let _ = self.shim.call::<()>(call).await;
    }

    /// Sets the terminal's size.
    pub async fn resize(&self, width: u16, height: u16) {
        let call = Call::Resize {
            target: self.target.clone(),
            width,
            height,
        };
        let _ = self.shim.call::<()>(call).await;
    }
}

fn receiver(path: &Path) -> Result<pipe::Receiver> {
    Ok(pipe::OpenOptions::new().open_receiver(path)?)
}

/// A writer from the beginning: a FIFO that nobody has open to write reads as ended.
fn keeper(path: &Path) -> Result<pipe::Sender> {
    Ok(pipe::OpenOptions::new()
        .read_write(true)
        .open_sender(path)?)
}

/// The process may have gone without reading; then there is nobody to write to.
fn sender(path: &Path) -> Option<pipe::Sender> {
    pipe::OpenOptions::new().open_sender(path).ok()
}

/// What has been read of a stream so far.
struct Collector {
    collected: Arc<std::sync::Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Collector {
    fn start(reader: Option<pipe::Receiver>) -> Collector {
        let collected = Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let shared = collected.clone();
        let task = tokio::spawn(async move {
            let Some(mut reader) = reader else {
                return;
            };
            let mut chunk = vec![0; 32 << 10];
            while let Ok(count) = reader.read(&mut chunk).await {
                if count == 0 {
                    break;
                }
                let mut all = super::lock(&shared);
                let room = MAX_OUTPUT.saturating_sub(all.len());
                all.extend_from_slice(&chunk[..count.min(room)]);
            }
        });
        Collector { collected, task }
    }

    async fn finish(mut self) -> Vec<u8> {
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.task).await;
        self.task.abort();
        std::mem::take(&mut *super::lock(&self.collected))
    }
}
