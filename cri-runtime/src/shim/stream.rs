//! Streams that never block the shim: FIFOs of clients, input of containers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::log::Stream;

/// How much a reader may lag behind before it is cut off.
const MAX_LAG: usize = 4 << 20;
/// For how long a reader may take nothing at all before it is cut off from a container: it must not hold it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Something written to, whose reader may lag.
#[derive(Debug)]
pub struct Sink {
    file: File,
    pending: Vec<u8>,
    /// Since when the reader has taken nothing.
    stalled: Option<Instant>,
}

/// A client connected with a container's streams, or with the terminal of an exec.
#[derive(Debug)]
pub struct Attached {
    /// Feeds the container.
    pub input: Option<File>,
    stdout: Option<Sink>,
    stderr: Option<Sink>,
    /// For how long an output may be left unread; `None` is without end.
    patience: Option<Duration>,
}

impl Sink {
    /// Writes to `file`, which from now on does not block.
    pub fn new(file: File) -> Result<Sink> {
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Sink {
            file,
            pending: Vec::new(),
            stalled: None,
        })
    }

    fn open(path: &Path) -> Result<Sink> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)
            .with_context(|| format!("open {}", path.display()))?;
        Ok(Sink {
            file,
            pending: Vec::new(),
            stalled: None,
        })
    }

    /// Takes the data; false when the reader is gone or lags too far behind.
    pub fn send(&mut self, data: &[u8]) -> bool {
        self.pending.extend_from_slice(data);
        self.flush() && self.pending.len() <= MAX_LAG
    }

    /// Writes what waits; false when the reader is gone.
    pub fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match self.file.write(&self.pending) {
                Ok(0) => return false,
                Ok(count) => {
                    self.pending.drain(..count);
                    self.stalled = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Whether something waits for its reader.
    pub fn lags(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether there is no use in writing any more.
    fn is_given_up(&self, patience: Option<Duration>) -> bool {
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::empty())];
        let hung_up = matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0);
        let overdue = |since: Instant| patience.is_some_and(|most| since.elapsed() > most);
        hung_up || self.stalled.is_some_and(overdue)
    }

    /// What to wait for: room when something waits for it, else only the end of the reader.
    pub fn poll_fd(&self) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLOUT, self.lags());
        PollFd::new(self.file.as_fd(), flags)
    }
}

impl Attached {
    /// Opens the client's FIFOs.
    pub fn open(
        stdin: Option<&Path>,
        stdout: Option<&Path>,
        stderr: Option<&Path>,
        patience: Option<Duration>,
    ) -> Result<Attached> {
        Ok(Attached {
            input: stdin.map(open_input).transpose()?,
            stdout: stdout.map(Sink::open).transpose()?,
            stderr: stderr.map(Sink::open).transpose()?,
            patience,
        })
    }

    /// Gives the client output; drops a stream whose reader is gone.
    pub fn send(&mut self, stream: Stream, data: &[u8]) {
        let sink = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if sink.as_mut().is_some_and(|sink| !sink.send(data)) {
            *sink = None;
        }
    }

    /// Writes what readers left waiting; drops those that are gone or take nothing.
    pub fn flush(&mut self) {
        let patience = self.patience;
        for sink in [&mut self.stdout, &mut self.stderr] {
            if sink
                .as_mut()
                .is_some_and(|sink| !sink.flush() || sink.is_given_up(patience))
            {
                *sink = None;
            }
        }
    }

    /// The outputs that have a reader.
    pub fn outputs(&self) -> impl Iterator<Item = &Sink> {
        [&self.stdout, &self.stderr].into_iter().flatten()
    }

    /// Whether some output still waits for its reader.
    pub fn lags(&self) -> bool {
        self.outputs().any(Sink::lags)
    }

    /// Whether nobody is at the other end any more.
    pub fn gone(&self) -> bool {
        self.input.is_none() && self.stdout.is_none() && self.stderr.is_none()
    }
}

fn open_input(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}

/// A FIFO or `/dev/null` as a process's own stream, blocking as programs expect.
pub fn of_process(path: Option<&Path>, write: bool) -> Result<OwnedFd> {
    let path = path.unwrap_or(Path::new("/dev/null"));
    let file = OpenOptions::new()
        .read(!write)
        .write(write)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file.into())
}

/// Whether a read would return at once.
pub fn readable(file: &File) -> bool {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0)
}

/// Whether there is just nothing to read now.
pub fn would_block(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
