//! A process that ends with whoever started it, and what it may leave behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program that was started.
pub(super) struct Running {
    name: String,
    child: Child,
}

impl Running {
    /// Starts a program, whose output goes into a file. The kernel kills it when the thread that started
    /// it ends without having ended it.
    pub fn start(name: &str, command: &Command, log: File) -> anyhow::Result<Running> {
        let mut bound = Command::new("setpriv");
        bound
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A terminal's interrupt is for us: we end the others in order.
            .process_group(0);
        let child = bound
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Running {
            name: name.to_owned(),
            child,
        })
    }

    /// What it was called when it was started.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of its process.
    pub fn number(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // One that has ended already is not waited for yet, so its number is still its own.
        if let Ok(number) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(number), signal);
        }
    }

    /// Waits until it has ended, and kills it when the time is over.
    pub fn wait(&mut self, deadline: Instant) {
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// What pods have mounted goes with them; a pod that was not ended keeps its volumes.
pub(super) fn unmount_under(folder: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mut points: Vec<&Path> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(Path::new)
        .filter(|point| point.starts_with(folder))
        .collect();
    points.sort();
    for point in points.into_iter().rev() {
        umount2(point, MntFlags::MNT_DETACH)?;
    }
    Ok(())
}
