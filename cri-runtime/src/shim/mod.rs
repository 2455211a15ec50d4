//! The shim: one small single-threaded process per pod sandbox.
//!
//! It is the parent of the pod's containers and holds the namespaces they share. It copies their output to
//! the logs, reaps them, and has an exit code on disk before anybody hears of it. It outlives the server:
//! a new server connects to its socket again.
//!
//! ```text
//!   cri-runtime ──unix socket, frames of JSON──▶ shim ──libcontainer──▶ containers, exec'd processes
//!        ▲ replies, exits ◀──────────────────────┘ ◀── stdout, stderr ──┘──▶ log files
//! ```

mod calls;
pub mod client;
mod console;
mod container;
mod executor;
pub mod log;
mod namespaces;
pub mod process;
pub mod protocol;
mod stream;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use container::Container;
use process::Process;
use protocol::{Message, Ready, Request, Setup};
use stream::Attached;

/// Runs the shim until it is told to shut down.
pub fn run(setup: &Path) -> Result<()> {
    let log = setup.with_file_name("shim.log");
    log_to(&log)?;
    let started = start(setup, log);
    let ready = match &started {
        Ok(shim) => Ready {
            pid: std::process::id() as i32,
            start_time: process::start_time(std::process::id() as i32).unwrap_or_default(),
            pause: shim.pause,
            error: None,
        },
        Err(error) => Ready {
            pid: 0,
            start_time: 0,
            pause: None,
            error: Some(format!("{error:#}")),
        },
    };
    println!("{}", serde_json::to_string(&ready)?);
    let mut shim = started?;
    // The server waits for the end of the line only; nothing else may keep its pipe open.
    nix::unistd::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    shim.serve()
}

/// libcontainer tells its log what its short errors leave out; a container's own standard error is already
/// in place by then, so the log has a descriptor of its own.
fn log_to(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_ansi(false)
        .with_writer(std::sync::Mutex::new(file))
        .try_init();
    Ok(())
}

/// The first thing that was logged after the first `from` bytes: the innermost cause of a failure.
fn first_logged(path: &Path, from: u64) -> Option<String> {
    use std::io::{Seek, SeekFrom};
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = String::new();
    file.take(64 << 10).read_to_string(&mut text).ok()?;
    let (_, words) = text.lines().next()?.split_once(" ERROR ")?;
    Some(words.split_once(": ")?.1.to_owned())
}

struct Shim {
    setup: Setup,
    log: PathBuf,
    pause: Option<i32>,
    listener: UnixListener,
    children: File,
    connections: Vec<Connection>,
    containers: BTreeMap<String, Container>,
    execs: BTreeMap<String, Process>,
    stopping: bool,
}

struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    open: bool,
}

/// What a descriptor in the poll set belongs to.
enum Source {
    Children,
    Listener,
    Connection(usize),
    Output(String, usize),
    Input(String, usize),
    Terminal(String),
    TerminalInput(String),
    /// A stream that was behind can be written, or its reader is gone: `flush` sees to it.
    Room,
}

fn start(setup: &Path, log: PathBuf) -> Result<Shim> {
    let setup: Setup = serde_json::from_slice(&fs::read(setup)?).context("read the set-up")?;
    let _ = nix::unistd::setsid();
    nix::sys::prctl::set_child_subreaper(true)?;
    let _ = nix::sys::prctl::set_name(c"cri-shim");
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    std::env::set_current_dir("/")?;
    let children = watch_children()?;
    fs::create_dir_all(&setup.containers)?;
    let pause = namespaces::enter(&setup)?;
    let _ = fs::remove_file(&setup.socket);
    let listener = UnixListener::bind(&setup.socket)
        .with_context(|| format!("listen on {}", setup.socket.display()))?;
    listener.set_nonblocking(true)?;
    Ok(Shim {
        setup,
        log,
        pause,
        listener,
        children,
        connections: Vec::new(),
        containers: BTreeMap::new(),
        execs: BTreeMap::new(),
        stopping: false,
    })
}

static CHILD_PIPE: AtomicI32 = AtomicI32::new(-1);

#[allow(unsafe_code)] // write(2) is all a handler may do.
extern "C" fn on_child(_: libc::c_int) {
    let byte = 0_u8;
    // SAFETY: one byte from the stack to a pipe that stays open for the process's life.
    unsafe {
        libc::write(
            CHILD_PIPE.load(Ordering::Relaxed),
            (&raw const byte).cast(),
            1,
        )
    };
}

/// A pipe that becomes readable when a child has changed. A handler, not a blocked signal with a signalfd:
/// containers would inherit the mask.
#[allow(unsafe_code)] // Signal dispositions.
fn watch_children() -> Result<File> {
    use std::os::fd::IntoRawFd;
    let (read, write) =
        nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
    CHILD_PIPE.store(write.into_raw_fd(), Ordering::Relaxed);
    let handler = SigAction::new(
        SigHandler::Handler(on_child),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler only writes to a pipe.
    unsafe { sigaction(Signal::SIGCHLD, &handler)? };
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    for signal in [
        Signal::SIGPIPE,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
    ] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { sigaction(signal, &ignore)? };
    }
    Ok(read.into())
}

impl Shim {
    fn serve(&mut self) -> Result<()> {
        while !(self.stopping
            && self
                .connections
                .iter()
                .all(|c| c.output.is_empty() || !c.open))
        {
            for source in self.wait()? {
                self.handle(source);
            }
            self.flush();
            self.end_execs();
        }
        Ok(())
    }

    /// Waits until something can be done and says what.
    fn wait(&self) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Children, Source::Listener];
        let mut fds = vec![
            PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
        ];
        let mut lagging = false;
        for (index, connection) in self.connections.iter().enumerate() {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, !connection.output.is_empty());
            sources.push(Source::Connection(index));
            fds.push(PollFd::new(connection.stream.as_fd(), flags));
        }
        for (id, container) in &self.containers {
            // A client that lags holds the output up, for a while: that is the back-pressure.
            if !container.attached.iter().any(Attached::lags) {
                for (index, output) in container.outputs.iter().enumerate() {
                    sources.push(Source::Output(id.clone(), index));
                    fds.push(PollFd::new(output.source.as_fd(), PollFlags::POLLIN));
                }
            }
            lagging |= container.lags();
            for (index, client) in container.attached.iter().enumerate() {
                if let (Some(input), true) = (&client.input, container.takes_input()) {
                    sources.push(Source::Input(id.clone(), index));
                    fds.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
                }
            }
            let clients = container.attached.iter().flat_map(Attached::outputs);
            let stdin = container.stdin.iter().filter(|stdin| stdin.lags());
            for sink in clients.chain(stdin) {
                sources.push(Source::Room);
                fds.push(sink.poll_fd());
            }
        }
        for (name, exec) in &self.execs {
            lagging |= exec.lags();
            if let (Some(pty), false) = (&exec.pty, exec.client.lags()) {
                sources.push(Source::Terminal(name.clone()));
                fds.push(PollFd::new(pty.as_fd(), PollFlags::POLLIN));
            }
            if let (Some(input), true) = (&exec.client.input, exec.takes_input()) {
                sources.push(Source::TerminalInput(name.clone()));
                fds.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
            }
            let stdin = exec.stdin.iter().filter(|stdin| stdin.lags());
            for sink in exec.client.outputs().chain(stdin) {
                sources.push(Source::Room);
                fds.push(sink.poll_fd());
            }
        }
        // Who takes nothing is given up some day.
        let timeout = if lagging {
            PollTimeout::from(1000_u16)
        } else {
            PollTimeout::NONE
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
        let ready = fds
            .iter()
            .map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
        let mut ready: Vec<Source> = sources
            .into_iter()
            .zip(ready)
            .filter_map(|(source, ready)| ready.then_some(source))
            .collect();
        // Indices stay valid when a handled source removes itself: later ones first.
        ready.reverse();
        Ok(ready)
    }

    fn handle(&mut self, source: Source) {
        match source {
            Source::Children => {
                let mut bytes = [0; 64];
                let _ = self.children.read(&mut bytes);
                self.reap();
            }
            Source::Listener => {
                if let Ok((stream, _)) = self.listener.accept()
                    && stream.set_nonblocking(true).is_ok()
                {
                    self.connections.push(Connection {
                        stream,
                        input: Vec::new(),
                        output: Vec::new(),
                        open: true,
                    });
                }
            }
            Source::Connection(index) => self.receive(index),
            Source::Output(id, index) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.copy(index);
                }
            }
            Source::Input(id, index) => {
                if let Some(container) = self.containers.get_mut(&id) {
                    container.feed(index);
                }
            }
            Source::Terminal(name) => {
                if let Some(exec) = self.execs.get_mut(&name) {
                    exec.copy();
                }
            }
            Source::TerminalInput(name) => {
                if let Some(exec) = self.execs.get_mut(&name) {
                    exec.feed();
                }
            }
            Source::Room => {}
        }
    }

    fn receive(&mut self, index: usize) {
        let mut buffer = [0; 64 << 10];
        let connection = &mut self.connections[index];
        match connection.stream.read(&mut buffer) {
            Ok(0) => connection.open = false,
            Ok(count) => connection.input.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => connection.open = false,
        }
        loop {
            let connection = &mut self.connections[index];
            let body = match protocol::take_frame(&mut connection.input) {
                Ok(Some(body)) => body,
                Ok(None) => return,
                Err(_) => {
                    connection.open = false;
                    return;
                }
            };
            let Ok(request) = serde_json::from_slice::<Request>(&body) else {
                connection.open = false;
                return;
            };
            let result = self
                .call(request.call)
                .map_err(|error| format!("{error:#}"));
            self.send(
                index,
                &Message::Reply {
                    id: request.id,
                    result,
                },
            );
        }
    }

    /// Collects every child that ended; strangers are orphans of our containers.
    fn reap(&mut self) {
        loop {
            let (pid, exit_code) = match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid.as_raw(), code),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid.as_raw(), 128 + signal as i32),
                Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => break,
                Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
                // A real-time signal has no name in nix, but the child is gone all the same.
                Err(_) => continue,
            };
            if let Some((id, container)) = self
                .containers
                .iter_mut()
                .find(|(_, container)| container.exit.is_none() && container.started.pid == pid)
            {
                let message = Message::Exited {
                    container: id.clone(),
                    exit: container.finish(exit_code),
                };
                self.broadcast(&message);
            } else if let Some(exec) = self
                .execs
                .values_mut()
                .find(|exec| exec.pid == pid && exec.exit.is_none())
            {
                exec.exit = Some(exit_code);
            }
        }
        self.end_execs();
    }

    /// Reports ended processes whose clients have all of their output.
    fn end_execs(&mut self) {
        let mut over = Vec::new();
        self.execs.retain(|name, exec| {
            if exec.exit.is_some() {
                exec.drain();
            }
            match exec.exit {
                Some(exit_code) if exec.is_over() => {
                    over.push((name.clone(), exit_code));
                    false
                }
                _ => true,
            }
        });
        for (exec, exit_code) in over {
            self.broadcast(&Message::ExecExited { exec, exit_code });
        }
    }

    fn broadcast(&mut self, message: &Message) {
        for index in 0..self.connections.len() {
            self.send(index, message);
        }
    }

    fn send(&mut self, index: usize, message: &Message) {
        if let Ok(bytes) = protocol::frame(message) {
            self.connections[index].output.extend_from_slice(&bytes);
        }
    }

    fn flush(&mut self) {
        for connection in &mut self.connections {
            while connection.open && !connection.output.is_empty() {
                match connection.stream.write(&connection.output) {
                    Ok(count) if count > 0 => drop(connection.output.drain(..count)),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    _ => connection.open = false,
                }
            }
        }
        // A server that does not read is no reason to grow without bound.
        self.connections
            .retain(|connection| connection.open && connection.output.len() < 16 << 20);
        for container in self.containers.values_mut() {
            container.flush();
        }
        for exec in self.execs.values_mut() {
            exec.flush();
        }
    }
}
