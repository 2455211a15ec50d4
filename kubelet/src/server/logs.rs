//! Logs: files in the format of the CRI, from which place, to which end.
//!
//! ```text
//! 2026-11-21T04:00:00.123456789Z stdout F a whole line, or the end of one
//! 2026-11-21T04:00:00.123456789Z stdout P a part of a line
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferrule_proto::v1;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};
use tokio::sync::mpsc;
use tonic::Status;

use crate::context::Kubelet;
use crate::cri::config::log_path;
use crate::pod::{State, spec};
use crate::worker::Handle;

const CHUNK: usize = 32 << 10;
/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Which log.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    container_id: String,
}

/// Which part of it, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    follow: bool,
    timestamps: bool,
    tail: Option<usize>,
    since: Option<Timestamp>,
    limit: Option<usize>,
}

impl Options {
    /// From a request.
    pub fn new(request: &v1::LogsRequest) -> Result<Options, Status> {
        let since = match (request.since_seconds, request.since_time.as_str()) {
            (Some(seconds), _) => {
                let ago = SignedDuration::from_secs(seconds);
                // More than there are years is from the beginning.
                Some(
                    Timestamp::now()
                        .saturating_sub(ago)
                        .unwrap_or(Timestamp::MIN),
                )
            }
            (None, "") => None,
            (None, text) => Some(
                text.parse()
                    .map_err(|error| Status::invalid_argument(format!("sinceTime: {error}")))?,
            ),
        };
        Ok(Options {
            follow: request.follow,
            timestamps: request.timestamps,
            tail: request
                .tail_lines
                .map(|lines| usize::try_from(lines).unwrap_or(0)),
            since,
            limit: request
                .limit_bytes
                .map(|bytes| usize::try_from(bytes).unwrap_or(0)),
        })
    }
}

/// The log of a container's present or previous attempt.
pub fn source(
    kubelet: &Kubelet,
    handle: &Handle,
    container: &str,
    previous: bool,
) -> Result<Source, String> {
    let view = handle.view.borrow().clone();
    let id = attempt(&view.status, spec::name(&view.pod), container, previous)?;
    let id = id
        .split_once("://")
        .map_or(id.as_str(), |(_, id)| id)
        .to_owned();
    let record = view.containers.iter().find(|record| record.id == id);
    let record = record.ok_or_else(|| {
        format!(
            "container {container:?} in pod {:?} has no log any more",
            spec::name(&view.pod)
        )
    })?;
    let own = kubelet
        .log_directory(&view.pod)
        .join(log_path(container, record.attempt));
    let path = if record.log_path.is_empty() {
        own
    } else {
        PathBuf::from(&record.log_path)
    };
    Ok(Source {
        path,
        container_id: id,
    })
}

/// The container id whose log is meant; errors in upstream's words.
fn attempt(
    status: &PodStatus,
    pod: &str,
    container: &str,
    previous: bool,
) -> Result<String, String> {
    let all = [&status.container_statuses, &status.init_container_statuses];
    let own: &ContainerStatus = all
        .into_iter()
        .flatten()
        .flatten()
        .find(|own| own.name == container)
        .ok_or_else(|| format!("container {container:?} in pod {pod:?} is not available"))?;
    let last = own
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    let last = last
        .and_then(|last| last.container_id.clone())
        .filter(|id| !id.is_empty());
    let state = own.state.clone().unwrap_or_default();
    if previous {
        return last.ok_or_else(|| {
            format!("previous terminated container {container:?} in pod {pod:?} not found")
        });
    }
    if state.running.is_some() {
        return Ok(own.container_id.clone().unwrap_or_default());
    }
    if let Some(terminated) = state.terminated {
        let id = terminated.container_id.filter(|id| !id.is_empty()).or(last);
        return id.ok_or_else(|| format!("container {container:?} in pod {pod:?} is terminated"));
    }
    if let Some(last) = last {
        return Ok(last);
    }
    let why = match state.waiting.and_then(|waiting| waiting.reason).as_deref() {
        Some("ErrImagePull") => "image can't be pulled".to_owned(),
        Some("ImagePullBackOff") => "trying and failing to pull image".to_owned(),
        Some(reason) => reason.to_owned(),
        None => {
            return Err(format!(
                "container {container:?} in pod {pod:?} is waiting to start - no logs yet"
            ));
        }
    };
    Err(format!(
        "container {container:?} in pod {pod:?} is waiting to start: {why}"
    ))
}

/// Sends a log, and what is added to it while it is followed and its container runs.
pub async fn send(
    source: Source,
    options: Options,
    handle: Handle,
    sender: &mpsc::Sender<Result<v1::LogsResponse, Status>>,
) -> io::Result<()> {
    let mut file = match File::open(&source.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && options.follow => {
            wait_for(&source, &handle).await?
        }
        Err(error) => return Err(error),
    };
    if let Some(lines) = options.tail {
        let start = tail_start(&mut file, lines)?;
        file.seek(SeekFrom::Start(start))?;
    }
    let mut pass = Pass {
        writer: Writer::new(options.clone()),
        pending: Vec::new(),
        sender,
    };
    loop {
        // Whether it ran is asked before the rest is read: what it wrote until then is in the file.
        let running = runs(&handle, &source.container_id);
        if pass.on(&mut file).await? {
            return Ok(());
        }
        if let Some(next) = rotated(&source.path, &file)? {
            // What was written before the move is complete only now.
            if pass.on(&mut file).await? {
                return Ok(());
            }
            file = next;
            continue;
        }
        if !options.follow || !running {
            return Ok(());
        }
        tokio::select! {
            () = sender.closed() => return Ok(()),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Passes a log on, as it was asked for.
struct Pass<'a> {
    writer: Writer,
    pending: Vec<u8>,
    sender: &'a mpsc::Sender<Result<v1::LogsResponse, Status>>,
}

impl Pass<'_> {
    /// To the present end of `file`; `true` when nobody wants more.
    async fn on(&mut self, file: &mut File) -> io::Result<bool> {
        loop {
            let more = read(file, &mut self.pending)?;
            let done = self.writer.take(&mut self.pending);
            let data = std::mem::take(&mut self.writer.out);
            let response = v1::LogsResponse { data: data.into() };
            if !response.data.is_empty() && self.sender.send(Ok(response)).await.is_err() {
                return Ok(true);
            }
            if done || !more {
                return Ok(done);
            }
        }
    }
}

async fn wait_for(source: &Source, handle: &Handle) -> io::Result<File> {
    loop {
        match File::open(&source.path) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && runs(handle, &source.container_id) =>
            {
                tokio::time::sleep(POLL).await;
            }
            other => return other,
        }
    }
}

fn runs(handle: &Handle, id: &str) -> bool {
    // A worker that ended has no container.
    handle.view.has_changed().is_ok()
        && handle
            .view
            .borrow()
            .containers
            .iter()
            .any(|own| own.id == id && own.state == State::Running)
}

/// The new file, when the one that is open was moved away.
fn rotated(path: &Path, open: &File) -> io::Result<Option<File>> {
    let (now, own) = match std::fs::metadata(path) {
        Ok(now) => (now, open.metadata()?),
        Err(_) => return Ok(None),
    };
    if now.ino() == own.ino() && now.dev() == own.dev() {
        Ok(None)
    } else {
        File::open(path).map(Some)
    }
}

/// Reads on; `false` at the present end.
fn read(file: &mut File, pending: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    let count = file.read(&mut chunk)?;
    pending.extend_from_slice(&chunk[..count]);
    Ok(count > 0)
}

/// Turns entries into what a person reads.
struct Writer {
    options: Options,
    left: Option<usize>,
    line_begins: bool,
    /// How much of what is pending was searched for the end of its entry.
    searched: usize,
    out: Vec<u8>,
}

impl Writer {
    fn new(options: Options) -> Writer {
        Writer {
            left: options.limit,
            options,
            line_begins: true,
            searched: 0,
            out: Vec::new(),
        }
    }

    /// Takes the whole entries from `pending`; `true` once the limit is reached.
    fn take(&mut self, pending: &mut Vec<u8>) -> bool {
        let mut from = 0;
        let mut search = self.searched.min(pending.len());
        while let Some(length) = pending[search..].iter().position(|byte| *byte == b'\n') {
            let end = search + length;
            let line = &pending[from..end];
            (from, search) = (end + 1, end + 1);
            if self.entry(line) {
                return true;
            }
        }
        pending.drain(..from);
        self.searched = pending.len();
        false
    }

    fn entry(&mut self, line: &[u8]) -> bool {
        let Some(entry) = Entry::parse(line) else {
            return false;
        };
        let early = |since: Timestamp| entry.time.is_some_and(|time| time < since);
        if self.options.since.is_some_and(early) {
            return false;
        }
        let mut text = Vec::with_capacity(line.len() + 1);
        if self.options.timestamps && self.line_begins {
            text.extend_from_slice(entry.stamp);
            text.push(b' ');
        }
        text.extend_from_slice(entry.text);
        if !entry.partial {
            text.push(b'\n');
        }
        self.line_begins = !entry.partial;
        if let Some(left) = &mut self.left {
            text.truncate(*left);
            *left -= text.len();
        }
        self.out.extend_from_slice(&text);
        self.left == Some(0)
    }
}

struct Entry<'a> {
    stamp: &'a [u8],
    time: Option<Timestamp>,
    partial: bool,
    text: &'a [u8],
}

impl Entry<'_> {
    fn parse(line: &[u8]) -> Option<Entry<'_>> {
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let (stamp, _stream, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let text = parts.next().unwrap_or_default();
        let time = std::str::from_utf8(stamp)
            .ok()
            .and_then(|stamp| stamp.parse().ok());
        Some(Entry {
            stamp,
            time,
            partial: tag == b"P" || tag.starts_with(b"P:"),
            text,
        })
    }
}

/// Where the last `lines` lines begin.
fn tail_start(file: &mut File, lines: usize) -> io::Result<u64> {
    let size = file.metadata()?.len();
    if lines == 0 {
        return Ok(size);
    }
    let mut end = size;
    let mut found = 0;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let mut chunk = vec![0; usize::try_from(end - start).unwrap_or(CHUNK)];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut chunk)?;
        for (index, _) in chunk
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let position = start + index as u64;
            // The newline at the very end ends the last line and begins none.
            if position + 1 == size {
                continue;
            }
            found += 1;
            if found == lines {
                return Ok(position + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

/// What a person reads of the whole entries in `log`.
pub fn text(log: &[u8], options: Options) -> Vec<u8> {
    let mut writer = Writer::new(options);
    writer.take(&mut log.to_vec());
    writer.out
}

/// The end of a log as text: at most `lines` lines and `bytes` bytes.
pub fn tail_text(path: &Path, lines: usize, bytes: usize) -> String {
    /// More is not read, however long the lines are; a line that is cut does not parse as an entry.
    const MOST: u64 = 1 << 20;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let start = tail_start(&mut file, lines)?.max(file.metadata()?.len().saturating_sub(MOST));
        file.seek(SeekFrom::Start(start))?;
        let mut raw = Vec::new();
        file.take(MOST).read_to_end(&mut raw)?;
        Ok(raw)
    };
    let out = text(&read().unwrap_or_default(), Options::default());
    String::from_utf8_lossy(&out[out.len().saturating_sub(bytes)..]).into_owned()
}

#[cfg(test)]
#[path = "logs_tests.rs"]
mod tests;
