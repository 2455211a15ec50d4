//! Runs a command beside a cluster of processes of its own.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use ferrule_e2e::processes::{Extent, Plan, Processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

/// How long the command may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts etcd, an API server, a scheduler and a controller manager on 127.0.0.1, runs a command, ends
/// everything, and exits with the command's code.
///
/// The command finds KUBECONFIG, FERRULE_SERVER, FERRULE_PKI (a folder) and FERRULE_API_SERVER_PID in its
/// environment. FERRULE_KEEP_LOGS names a folder that the programs' logs are copied to at the end.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// So many kubelets beside it, over a runtime that pretends.
    #[arg(long, value_name = "COUNT", conflicts_with = "api_server_only")]
    nodes: Option<usize>,
    /// Only etcd and the API server.
    #[arg(long)]
    api_server_only: bool,
    /// Let etcd wait for its disk.
    #[arg(long)]
    durable: bool,
    /// The command and its words.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let abandoned = Arc::new(AtomicBool::new(false));
    let result = listen_for_the_end(abandoned.clone()).and_then(|()| run(&args, abandoned));
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Notes in the background that somebody wants this program to end.
fn listen_for_the_end(abandoned: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = runtime.block_on(async {
        let of = |kind| signal(kind).context("listen for signals");
        anyhow::Ok([
            of(SignalKind::terminate())?,
            of(SignalKind::interrupt())?,
            of(SignalKind::hangup())?,
        ])
    })?;
    thread::spawn(move || {
        let [terminate, interrupt, hangup] = &mut signals;
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
                _ = hangup.recv() => (),
            }
        });
        abandoned.store(true, Ordering::Relaxed);
        // Further ones change nothing: the end is on its way.
        runtime.block_on(std::future::pending::<()>());
    });
    Ok(())
}

fn run(args: &Args, abandoned: Arc<AtomicBool>) -> anyhow::Result<ExitCode> {
    let extent = match args.nodes {
        Some(nodes) => Extent::Nodes(nodes),
        None if args.api_server_only => Extent::ApiServer,
        None => Extent::ControlPlane,
    };
    let processes = Processes::of(&Plan {
        durable: args.durable,
        abandoned: abandoned.clone(),
        ..Plan::new(extent)
    })?;
    let (program, words) = args.command.split_first().context("no command")?;
    let number = processes.process("apiserver").context("no API server")?;
    let mut child = Command::new(PathBuf::from(program))
        .args(words)
        .env("KUBECONFIG", processes.kubeconfig())
        .env("FERRULE_SERVER", processes.server())
        .env("FERRULE_PKI", processes.pki())
        .env("FERRULE_API_SERVER_PID", number.to_string())
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let mut killed_at = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        match killed_at {
            None if abandoned.load(Ordering::Relaxed) => {
                kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
                killed_at = Some(Instant::now() + PATIENCE);
            }
            Some(at) if Instant::now() >= at => child.kill()?,
            _ => (),
        }
        thread::sleep(Duration::from_millis(20));
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
