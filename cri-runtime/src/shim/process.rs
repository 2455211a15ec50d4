//! Processes: those started in a running container, and what can be asked of any.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Result, anyhow};
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;

use super::console::Console;
use super::executor::ContainerExecutor;
use super::log::Stream;
use super::protocol::Exec;
use super::stream::{self, Attached, Sink};

/// A further process in a container.
pub struct Process {
    /// Its pid.
    pub pid: i32,
    /// Its exit code, once it has ended; it stays until its client has all output.
    pub exit: Option<i32>,
    /// Its terminal, when it has one; not blocking.
    pub pty: Option<File>,
    /// The client of the terminal.
    pub client: Attached,
    /// Where the client's input goes.
    pub stdin: Option<Sink>,
}

impl Process {
    /// Starts the process in its container.
    pub fn start(exec: &Exec, state: &Path, console: &Path) -> Result<Process> {
        let console = exec.tty.then(|| Console::bind(console)).transpose()?;
        let mut builder = ContainerBuilder::new(exec.container.clone(), SyscallType::default())
            .with_root_path(state)
            .map_err(words)?
            .with_executor(ContainerExecutor);
        if let Some(console) = &console {
            builder = builder.with_console_socket(Some(console.path.clone()));
        } else {
            builder = builder
                .with_stdin(stream::of_process(exec.stdin.as_deref(), false)?)
                .with_stdout(stream::of_process(exec.stdout.as_deref(), true)?)
                .with_stderr(stream::of_process(exec.stderr.as_deref(), true)?);
        }
        let pid = builder
            .as_tenant()
            .with_process(Some(&exec.process))
            .with_detach(true)
            .build()
            .map_err(words)?
            .as_raw();
        let mut process = Process {
            pid,
            exit: None,
            pty: None,
            client: Attached::open(None, None, None, None)?,
            stdin: None,
        };
        if let Some(console) = console {
            let master = console.receive()?;
            process.stdin = Some(Sink::new(master.try_clone()?)?);
            process.pty = Some(master);
            process.client =
                Attached::open(exec.stdin.as_deref(), exec.stdout.as_deref(), None, None)?;
        }
        Ok(process)
    }

    /// Moves the terminal's output to the client; false when there is no more.
    pub fn copy(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let Some(pty) = &mut self.pty else {
            return false;
        };
        match pty.read(&mut buffer) {
            Ok(count) if count > 0 => {
                self.client.send(Stream::Stdout, &buffer[..count]);
                true
            }
            Err(error) if stream::would_block(&error) => false,
            _ => {
                self.pty = None;
                false
            }
        }
    }

    /// Whether the client's input can be taken now.
    pub fn takes_input(&self) -> bool {
        self.stdin.as_ref().is_none_or(|stdin| !stdin.lags())
    }

    /// Moves the client's input to the terminal.
    pub fn feed(&mut self) {
        let mut buffer = [0; 4 << 10];
        let Some(input) = &mut self.client.input else {
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
            _ => self.client.input = None,
        }
    }

    /// Writes what waits for its reader.
    pub fn flush(&mut self) {
        if self.stdin.as_mut().is_some_and(|stdin| !stdin.flush()) {
            self.stdin = None;
        }
        self.client.flush();
    }

    /// Whether something waits for its reader.
    pub fn lags(&self) -> bool {
        !self.takes_input() || self.client.lags()
    }

    /// Moves the last output of an ended process as far as its client takes it.
    pub fn drain(&mut self) {
        while !self.client.lags() && self.copy() {}
    }

    /// Whether it has ended and its client has all output.
    pub fn is_over(&self) -> bool {
        self.exit.is_some() && !self.client.lags()
    }
}

/// Sends a signal by number (real-time signals included).
#[allow(unsafe_code)] // nix knows no real-time signals.
pub fn kill(pid: i32, signal: i32) -> std::io::Result<()> {
    // SAFETY: kill(2) touches no memory.
    if unsafe { libc::kill(pid, signal) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Field 22 of `/proc/<pid>/stat`: with it a pid names one process for ever.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 2..];
    after_name.split(' ').nth(19)?.parse().ok()
}

/// Nanoseconds since the epoch.
pub fn now() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// The words of an error and all its causes, each once.
pub fn words(error: libcontainer::error::LibcontainerError) -> anyhow::Error {
    let mut parts: Vec<String> = Vec::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    anyhow!(parts.join(": "))
}
