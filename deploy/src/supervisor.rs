//! The first process of a node: prepares the container, keeps each component running, reaps.
//!
//! ```text
//!  start ─> remount /sys and /proc/sys writable, forward packets, clear stale network namespaces
//!        ─> start every process of the list
//!  SIGCHLD ─> reap; a process of the list comes back after a pause (200 ms, doubling to 5 s
//!             while it does not stay up), alone; orphans of others are only reaped
//!  SIGTERM ─> SIGTERM to all, SIGKILL after 8 s, exit
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived so long begins again with the shortest pause.
const STAYED_UP: Duration = Duration::from_secs(10);
const TERMINATION: Duration = Duration::from_secs(8);

/// The list of a node's processes, as its file holds it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// In the order in which they start.
    pub processes: Vec<Program>,
}

/// One process that is kept running.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its name in the log.
    pub name: String,
    /// The program and its arguments; `${NAME}` stands for a variable of the environment.
    pub command: Vec<String>,
}

impl NodeFile {
    /// Reads the list and fills in the environment's variables; one that is missing is an error.
    pub fn load(path: &Path) -> anyhow::Result<NodeFile> {
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let mut file: NodeFile =
            serde_yaml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        for program in &mut file.processes {
            anyhow::ensure!(
                !program.command.is_empty(),
                "{}: command is empty",
                program.name
            );
            for word in &mut program.command {
                *word = expand(word, |name| std::env::var(name).ok())?;
            }
        }
        Ok(file)
    }
}

/// Replaces `${NAME}`.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .with_context(|| format!("{text}: no }} after ${{"))?;
        expanded.push_str(before);
        expanded
            .push_str(&variable(name).with_context(|| format!("the variable {name} is not set"))?);
        rest = tail;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// Makes the container's file systems and settings fit for a node. What cannot be had is said.
pub fn prepare() {
    let remount = |target: &str| {
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
        if let Err(error) = mount(None::<&str>, target, None::<&str>, flags, None::<&str>) {
            eprintln!("node-entrypoint: cannot remount {target} writable: {error}");
        }
    };
    for target in ["/sys", "/proc/sys"] {
        remount(target);
    }
    for target in cgroup_mounts(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()) {
        remount(&target);
    }
    if let Err(error) = mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_SHARED | MsFlags::MS_REC,
        None::<&str>,
    ) {
        eprintln!("node-entrypoint: cannot share mounts: {error}");
    }
    let settings = [
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/default/rp_filter", "0"),
        ("net/ipv4/conf/all/route_localnet", "1"),
        ("fs/inotify/max_user_instances", "8192"),
        ("fs/inotify/max_user_watches", "524288"),
    ];
    for (name, value) in settings {
        if let Err(error) = fs::write(Path::new("/proc/sys").join(name), value) {
            eprintln!("node-entrypoint: cannot set {name} to {value}: {error}");
        }
    }
    // Network namespaces do not outlive the container; their mount points do.
    for folder in ["/run/netns", "/run/ferrule/netns"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let _ = nix::mount::umount2(&entry.path(), nix::mount::MntFlags::MNT_DETACH);
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The mount points of control groups below `/sys/fs/cgroup`.
fn cgroup_mounts(mountinfo: &str) -> Vec<String> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|target| target.starts_with("/sys/fs/cgroup"))
        .map(str::to_owned)
        .collect()
}

struct Kept {
    program: Program,
    started: Instant,
    pause: Duration,
}

/// Keeps the processes running until SIGTERM or SIGINT.
pub async fn run(file: NodeFile) -> anyhow::Result<()> {
    let mut child = signal(SignalKind::child())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut running: HashMap<Pid, Kept> = HashMap::new();
    let mut paused: Vec<(Instant, Kept)> = file
        .processes
        .into_iter()
        .map(|program| {
            (
                Instant::now(),
                Kept {
                    program,
                    started: Instant::now(),
                    pause: FIRST_PAUSE,
                },
            )
        })
        .collect();
    loop {
        let now = Instant::now();
        let (due, later) = paused
            .into_iter()
            .partition::<Vec<_>, _>(|(due, _)| *due <= now);
        paused = later;
        for (_, kept) in due {
            start(kept, &mut running, &mut paused);
        }
        let next = paused.iter().map(|(due, _)| *due).min();
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = child.recv() => {}
            () = sleep_until(next) => {}
        }
        for (pid, how) in reap() {
            let Some(mut kept) = running.remove(&pid) else {
                continue;
            };
            if kept.started.elapsed() > STAYED_UP {
                kept.pause = FIRST_PAUSE;
            }
            eprintln!(
                "node-entrypoint: {} {how}; starting it again in {:?}",
                kept.program.name, kept.pause
            );
            let due = Instant::now() + kept.pause;
            kept.pause = (kept.pause * 2).min(LONGEST_PAUSE);
            paused.push((due, kept));
        }
    }
    stop(running).await;
    Ok(())
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn start(mut kept: Kept, running: &mut HashMap<Pid, Kept>, paused: &mut Vec<(Instant, Kept)>) {
    kept.started = Instant::now();
    match Command::new(&kept.program.command[0])
        .args(&kept.program.command[1..])
        .spawn()
    {
        // Its end is seen by `reap`, not through this handle.
        Ok(child) => match i32::try_from(child.id()) {
            Ok(pid) => drop(running.insert(Pid::from_raw(pid), kept)),
            Err(_) => eprintln!("node-entrypoint: {}: no such process id", kept.program.name),
        },
        Err(error) => {
            eprintln!(
                "node-entrypoint: cannot start {}: {error}",
                kept.program.name
            );
            paused.push((Instant::now() + LONGEST_PAUSE, kept));
        }
    }
}

/// Every child that has ended, orphans of other processes included.
fn reap() -> Vec<(Pid, String)> {
    let mut ended = Vec::new();
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => ended.push((pid, format!("exited with {code}"))),
            Ok(WaitStatus::Signaled(pid, signal, _)) => {
                ended.push((pid, format!("was killed by {signal}")))
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return ended,
            Ok(_) => {}
        }
    }
}

async fn stop(mut running: HashMap<Pid, Kept>) {
    for pid in running.keys() {
        let _ = kill(*pid, Signal::SIGTERM);
    }
    let deadline = Instant::now() + TERMINATION;
    while !running.is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
        for (pid, _) in reap() {
            running.remove(&pid);
        }
    }
    for pid in running.keys() {
        let _ = kill(*pid, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_missing_ones_named() {
        let lookup = |name: &str| (name == "NODE").then(|| "node1".to_owned());
        assert_eq!(
            expand("--name=${NODE}-x", lookup).unwrap(),
            "--name=node1-x"
        );
        assert_eq!(
            expand("${IP}", lookup).unwrap_err().to_string(),
            "the variable IP is not set"
        );
    }

    #[test]
    fn cgroup_mounts_are_found_by_their_place() {
        let mountinfo = "30 25 0:26 / /sys ro - sysfs sysfs ro\n31 30 0:27 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        assert_eq!(cgroup_mounts(mountinfo), ["/sys/fs/cgroup/memory"]);
    }
}
