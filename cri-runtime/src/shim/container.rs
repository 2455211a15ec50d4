//! A container of the pod: its birth through libcontainer, its streams, its end.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Result, anyhow};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;

use super::console::Console;
use super::executor::ContainerExecutor;
use super::log::{Lines, LogFile, Stream, timestamp};
use super::process::{kill, now, start_time, words};
use super::protocol::{ExitRecord, Run, Started};
use super::stream::{self, Attached, Sink};

/// A container of the pod.
pub struct Container {
    /// What it was started with.
    pub run: Run,
    /// Its first process.
    pub started: Started,
    /// How it ended.
    pub exit: Option<ExitRecord>,
    /// Its output; closed ones are gone.
    pub outputs: Vec<Output>,
    /// Where attached clients' input goes.
    pub stdin: Option<Sink>,
    /// The terminal.
    pub pty: Option<File>,
    /// Connected clients.
    pub attached: Vec<Attached>,
    log: Option<LogFile>,
}

/// One output stream of a container.
pub struct Output {
    /// Readable end, not blocking.
    pub source: File,
    stream: Stream,
    lines: Lines,
}

impl Output {
    fn new(source: OwnedFd, stream: Stream) -> Result<Output> {
        fcntl(&source, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Output {
            source: source.into(),
            stream,
            lines: Lines::new(stream),
        })
    }
}

impl Container {
    /// Creates and starts the container.
    pub fn start(run: Run, state: &Path, console: &Path) -> Result<Container> {
        let log = run
            .log
            .as_deref()
            .map(|path| LogFile::open(path, run.log_limit))
            .transpose()?;
        let console = run.tty.then(|| Console::bind(console)).transpose()?;
        let mut builder = ContainerBuilder::new(run.container.clone(), SyscallType::default())
            .with_root_path(state)
            .map_err(words)?
            .with_executor(ContainerExecutor);
        let mut outputs = Vec::new();
        let mut stdin = None;
        if let Some(console) = &console {
            builder = builder.with_console_socket(Some(console.path.clone()));
        } else {
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            outputs.push(Output::new(read, Stream::Stdout)?);
            builder = builder.with_stdout(write);
            let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
            outputs.push(Output::new(read, Stream::Stderr)?);
            builder = builder.with_stderr(write);
            if run.stdin {
                let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
                builder = builder.with_stdin(read);
                stdin = Some(Sink::new(write.into())?);
            } else {
                builder = builder.with_stdin(stream::of_process(None, false)?);
            }
        }
        let mut container = builder
            .as_init(&run.bundle)
            .with_systemd(false)
            .with_detach(true)
            .build()
            .map_err(words)?;
        let pid = container
            .pid()
            .ok_or_else(|| anyhow!("libcontainer reports no pid"))?
            .as_raw();
        if let Some(score) = run.oom_score_adj {
            // Lowering needs a capability that a node in a container has not.
            let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string());
        }
        let mut pty = None;
        if let Some(console) = console {
            let master = console.receive()?;
            outputs.push(Output::new(master.try_clone()?.into(), Stream::Stdout)?);
            if run.stdin {
                stdin = Some(Sink::new(master.try_clone()?)?);
            }
            pty = Some(master);
        }
        let start_time = start_time(pid).unwrap_or_default();
        if let Err(error) = container.start() {
            let _ = container.delete(true);
            return Err(words(error));
        }
        Ok(Container {
            started: Started {
                pid,
                start_time,
                started_at: now(),
            },
            run,
            exit: None,
            outputs,
            stdin,
            pty,
            attached: Vec::new(),
            log,
        })
    }

    /// Copies what a stream has to the log and the clients.
    pub fn copy(&mut self, index: usize) {
        let mut buffer = [0; 64 << 10];
        let Some(output) = self.outputs.get_mut(index) else {
            return;
        };
        let mut written = Vec::new();
        let open = match output.source.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                let data = &buffer[..count];
                output.lines.push(data, &timestamp(), &mut written);
                for client in &mut self.attached {
                    client.send(output.stream, data);
                }
                true
            }
            // A terminal whose other side is closed reads as EIO.
            Err(error) => stream::would_block(&error),
        };
        if !open {
            output.lines.finish(&timestamp(), &mut written);
            self.outputs.remove(index);
        }
        if let (Some(log), false) = (&mut self.log, written.is_empty()) {
            log.write(&written);
        }
    }

    /// Copies all that the streams hold now: what was written before the end belongs to the log.
    fn drain(&mut self) {
        // A stream that a surviving process keeps filling does not hold up the report.
        const ROUNDS: usize = 4096;
        for _ in 0..ROUNDS {
            let ready = self
                .outputs
                .iter()
                .position(|output| stream::readable(&output.source));
            match ready {
                Some(index) => self.copy(index),
                None => return,
            }
        }
    }

    /// Opens the log file anew.
    pub fn reopen_log(&mut self) -> Result<()> {
        match &mut self.log {
            Some(log) => Ok(log.reopen()?),
            None => Ok(()),
        }
    }

    /// Whether a client's input can be taken now.
    pub fn takes_input(&self) -> bool {
        self.stdin.as_ref().is_none_or(|stdin| !stdin.lags())
    }

    /// Moves a client's input to the container.
    pub fn feed(&mut self, client: usize) {
        let mut buffer = [0; 16 << 10];
        let Some(attached) = self.attached.get_mut(client) else {
            return;
        };
        let Some(input) = &mut attached.input else {
            return;
        };
        match input.read(&mut buffer) {
            Ok(count) if count > 0 => {
                if let Some(stdin) = &mut self.stdin
                    && !stdin.send(&buffer[..count])
                {
                    self.stdin = None;
                }
            }
            Err(error) if stream::would_block(&error) => {}
            _ => {
                attached.input = None;
                // A terminal's input cannot end by itself, and others may come to it.
                if self.run.stdin_once && !self.run.tty {
                    self.stdin = None;
                }
            }
        }
    }

    /// Writes what waits for its reader.
    pub fn flush(&mut self) {
        if self.stdin.as_mut().is_some_and(|stdin| !stdin.flush()) {
            self.stdin = None;
        }
        for client in &mut self.attached {
            client.flush();
        }
        // The last words of a container that ended are for its clients too.
        let over = self.exit.is_some() && self.outputs.is_empty();
        self.attached
            .retain(|client| !client.gone() && (!over || client.lags()));
    }

    /// Whether something waits for its reader.
    pub fn lags(&self) -> bool {
        !self.takes_input() || self.attached.iter().any(Attached::lags)
    }

    /// Records the end durably and returns the record.
    pub fn finish(&mut self, exit_code: i32) -> ExitRecord {
        self.drain();
        if !self.run.own_pid_namespace {
            self.kill_all();
        }
        let oom_killed = exit_code != 0
            && self
                .run
                .oom_file
                .as_deref()
                .is_some_and(|path| oom_kills(path) > 0);
        let record = ExitRecord {
            exit_code,
            finished_at: now(),
            oom_killed,
        };
        if let Err(error) = write_durably(&self.run.exit_file, &record) {
            tracing::error!(container = self.run.container, %error, "cannot save an exit code");
        }
        self.exit = Some(record.clone());
        self.stdin = None;
        self.pty = None;
        self.flush();
        record
    }

    /// Kills every process of the container's cgroup.
    pub fn kill_all(&self) {
        let Some(procs) = &self.run.procs_file else {
            return;
        };
        for pid in fs::read_to_string(procs).unwrap_or_default().lines() {
            if let Ok(pid) = pid.parse() {
                let _ = kill(pid, libc::SIGKILL);
            }
        }
    }
}

fn oom_kills(path: &Path) -> u64 {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        .unwrap_or(0)
}

/// Writes, flushes to the disk, then renames: the file is whole or absent.
fn write_durably(path: &Path, record: &ExitRecord) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(parent) = path.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}
