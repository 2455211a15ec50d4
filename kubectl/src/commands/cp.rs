//! `kubectl cp`: tar at both ends of an `exec`.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::archive::{self, Extract};
use super::remote::Remote;
use super::{exec, print};
use crate::args::CpArgs;
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// One end of a copy: `[[namespace/]pod:]path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Empty: the session's.
    pub namespace: String,
    /// Empty: a local path.
    pub pod: String,
    /// The path.
    pub path: String,
}

impl Spec {
    /// Reads a word of the command line.
    pub fn read(text: &str) -> Result<Spec> {
        let refuse = || {
            Error::local("filespec must match the canonical format: [[namespace/]pod:]file/path")
        };
        let spec = |namespace: &str, pod: &str, path: &str| Spec {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            path: path.to_owned(),
        };
        let Some((pod, path)) = text.split_once(':') else {
            return Ok(spec("", "", text));
        };
        match pod.split('/').collect::<Vec<_>>().as_slice() {
            [""] => Err(refuse()),
            [pod] => Ok(spec("", pod, path)),
            [namespace, pod] => Ok(spec(namespace, pod, path)),
            _ => Err(refuse()),
        }
    }
}

/// Runs the command.
pub async fn run(session: &Session, args: &CpArgs) -> Result<()> {
    let [from, to] = args.words.as_slice() else {
        return Err(Error::local("source and destination are required"));
    };
    let (from, to) = (Spec::read(from)?, Spec::read(to)?);
    if !from.pod.is_empty() && !to.pod.is_empty() {
        return Err(Error::local(
            "one of src or dest must be a local file specification",
        ));
    }
    if from.path.is_empty() || to.path.is_empty() {
        return Err(Error::local("filepath can not be empty"));
    }
    if !from.pod.is_empty() {
        return Shell::open(session, &from, args)
            .await?
            .fetch(&from, &to, args)
            .await;
    }
    if to.pod.is_empty() {
        return Err(Error::local(
            "one of src or dest must be a remote file specification",
        ));
    }
    if Path::new(&from.path).metadata().is_err() {
        return Err(Error::local(format!(
            "{} doesn't exist in local filesystem",
            from.path
        )));
    }
    Shell::open(session, &to, args)
        .await?
        .send(&from, &to, args)
        .await
}

/// Commands in a container.
struct Shell<'a> {
    session: &'a Session,
    pod: Value,
    container: String,
}

impl<'a> Shell<'a> {
    async fn open(session: &'a Session, spec: &Spec, args: &CpArgs) -> Result<Shell<'a>> {
        let pods = session.resources().await?.find("pods")?;
        let namespace = match spec.namespace.as_str() {
            "" => &session.namespace,
            namespace => namespace,
        };
        let pod = session
            .client
            .get(&at(pods, namespace).name(&spec.pod))
            .await?;
        let pod: Value = pod.parse()?;
        let container = exec::chosen(&pod, args.container.as_deref(), false)?;
        Ok(Shell {
            session,
            pod,
            container,
        })
    }

    async fn run(
        &self,
        command: &[String],
        stdin: Option<futures::stream::BoxStream<'static, Bytes>>,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<()> {
        Remote {
            pod: &self.pod,
            container: &self.container,
            command: Some(command),
            stdin,
            terminal: None,
            sizes: Vec::new(),
            stdout,
            stderr,
        }
        .run(self.session)
        .await
    }

    /// Copies a local file or folder into the container.
    async fn send(&self, from: &Spec, to: &Spec, args: &CpArgs) -> Result<()> {
        let test = words(&["test", "-d", &to.path]);
        let mut target = archive::clean(&to.path);
        let (mut out, mut err) = (std::io::sink(), std::io::sink());
        if self.run(&test, None, &mut out, &mut err).await.is_ok() {
            // A folder that is there receives what is copied.
            target = archive::join(&target, archive::base(&archive::clean(&from.path)));
        }
        let (folder, name) = (archive::dir(&target), archive::base(&target).to_owned());
        let command = match args.no_preserve {
            true => words(&[
                "tar",
                "--no-same-permissions",
                "--no-same-owner",
                "-xmf",
                "-",
                "-C",
                &folder,
            ]),
            false => words(&["tar", "-xmf", "-", "-C", &folder]),
        };
        let (sender, receiver) = mpsc::channel(8);
        let (failed, failure) = oneshot::channel();
        let source = from.path.clone();
        std::thread::spawn(move || {
            let out = std::io::BufWriter::with_capacity(64 * 1024, Sending(sender));
            if let Err(error) = archive::pack(Path::new(&source), &name, out)
                && error.kind() != std::io::ErrorKind::BrokenPipe
            {
                let _ = failed.send(error);
            }
        });
        let stdin = ReceiverStream::new(receiver).boxed();
        let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
        tokio::select! {
            biased;
            Ok(error) = failure => Err(Error::local(crate::output::go(&error))),
            result = self.run(&command, Some(stdin), &mut out, &mut err) => result,
        }
    }

    /// Copies a file or folder of the container to a local path.
    async fn fetch(&self, from: &Spec, to: &Spec, args: &CpArgs) -> Result<()> {
        let (sender, receiver) = sync_channel(8);
        let (need, mut needed) = mpsc::unbounded_channel();
        let (done, mut extracted) = oneshot::channel();
        let extract = Extract {
            prefix: archive::without_shortcuts(&archive::clean(from.path.trim_matches('/'))),
            target: to.path.clone(),
            hint: format!(
                "kubectl exec -n {:?} {:?} -- tar cf - {:?} | tar xf -",
                self.pod["metadata"]["namespace"]
                    .as_str()
                    .unwrap_or_default(),
                from.pod,
                from.path
            ),
        };
        std::thread::spawn(move || {
            let input = Receiving {
                chunks: receiver,
                rest: Bytes::new(),
                need,
            };
            let _ = done.send(extract.unpack(input));
        });
        let mut out = Forwarding { sender, count: 0 };
        let mut tries = 0;
        loop {
            let command = match args.retries {
                0 => words(&["tar", "cf", "-", &from.path]),
                _ => {
                    let script = format!("tar cf - {} | tail -c+{}", from.path, out.count + 1);
                    words(&["sh", "-c", &script])
                }
            };
            let result = self
                .run(&command, None, &mut out, &mut std::io::stdout())
                .await;
            match result {
                // What the command itself says is final.
                Err(error @ (Error::Ended(..) | Error::Local(_))) => return Err(error),
                Err(error) if args.retries == 0 => return Err(error),
                _ => {}
            }
            let _ = out.sender.send(Chunk::End);
            tokio::select! {
                biased;
                result = &mut extracted => return result.unwrap_or(Ok(())),
                _ = needed.recv() => {}
            }
            if args.retries >= 0 && tries >= args.retries {
                print(&format!("Dropping out copy after {tries} retries\n"))?;
                drop(out);
                return extracted.await.unwrap_or(Ok(()));
            }
            tries += 1;
            print(&format!(
                "Resuming copy at {} bytes, retry {tries}/{}\n",
                out.count, args.retries
            ))?;
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Writes to a stream of the runtime, from a thread.
struct Sending(mpsc::Sender<Bytes>);

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let chunk = Bytes::copy_from_slice(bytes);
        let sent = self.0.blocking_send(chunk);
        sent.map_err(|_| std::io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

enum Chunk {
    Data(Bytes),
    /// The command has ended; it may be started again.
    End,
}

/// Hands output on to the thread that unpacks it.
struct Forwarding {
    sender: SyncSender<Chunk>,
    count: u64,
}

impl Write for Forwarding {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.count += bytes.len() as u64;
        // What comes behind the end of an archive is of no interest to anybody.
        let _ = self.sender.send(Chunk::Data(Bytes::copy_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the container sent, with a call for more when it ended too early.
struct Receiving {
    chunks: Receiver<Chunk>,
    rest: Bytes,
    need: mpsc::UnboundedSender<()>,
}

impl Read for Receiving {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.chunks.recv() {
                Ok(Chunk::Data(bytes)) => self.rest = bytes,
                Ok(Chunk::End) => drop(self.need.send(())),
                Err(_) => return Ok(0),
            }
        }
        let size = buffer.len().min(self.rest.len());
        buffer[..size].copy_from_slice(&self.rest.split_to(size));
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_names_a_pod_or_a_local_path() {
        for (text, expected) in [
            ("/tmp/foo", Some(("", "", "/tmp/foo"))),
            ("web:/tmp/foo", Some(("", "web", "/tmp/foo"))),
            ("ns/web:foo", Some(("ns", "web", "foo"))),
            ("web:a:b", Some(("", "web", "a:b"))),
            (":/tmp", None),
            ("a/b/c:/tmp", None),
        ] {
            let read = Spec::read(text).ok();
            let read = read
                .as_ref()
                .map(|own| (&*own.namespace, &*own.pod, &*own.path));
            assert_eq!(read, expected, "{text}");
        }
    }
}
