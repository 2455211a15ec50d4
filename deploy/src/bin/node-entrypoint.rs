//! The first process of a node's container.

use std::path::PathBuf;

use clap::Parser;
use ferrule_deploy::supervisor::{NodeFile, prepare, run};

/// Prepare a node's container and keep its components running.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The list of processes.
    #[arg(default_value = "/etc/ferrule/node.yaml")]
    file: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    prepare();
    let file = NodeFile::load(&args.file)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run(file))
}
