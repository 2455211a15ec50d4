//! Breaks one thing after the other in a cluster under load, and checks what must hold.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ferrule_e2e::Settings;
use ferrule_e2e::chaos::driver::{self, Order};
use ferrule_e2e::chaos::report;
use ferrule_e2e::chaos::schedule::{KINDS, Schedule};

/// Breaks one thing after the other in a cluster under load, and checks what must hold.
///
/// The variables of deploy/settings.sh say which cluster: it is removed and started afresh.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Which schedule of faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long faults are made.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Where the report goes, as markdown.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Only kinds of faults whose names contain this; may be repeated.
    #[arg(long, value_name = "WORDS")]
    only: Vec<String>,
    /// Only print the kinds of faults, as markdown.
    #[arg(long)]
    kinds: bool,
    /// Only print the first round of the schedule.
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.kinds {
        print!("{}", report::kinds());
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings::of_tests();
    println!("the schedule of seed {}, first round:", args.seed);
    for fault in Schedule::new(args.seed, settings.high_availability).take(KINDS.len()) {
        println!("    {fault}");
    }
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let evidence = PathBuf::from(format!("/var/tmp/ferrule-chaos-logs/seed-{}", args.seed));
    if evidence.exists() {
        std::fs::remove_dir_all(&evidence)?;
    }
    let run = driver::run(&Order {
        seed: args.seed,
        minutes: args.minutes,
        settings,
        evidence,
        only: args.only,
    })?;
    let report = run.markdown();
    println!("\n{report}");
    if let Some(path) = &args.report {
        std::fs::write(path, &report).with_context(|| format!("write {}", path.display()))?;
        println!("the report is in {}", path.display());
    }
    for broken in &run.broken {
        println!("BROKEN: {}: {}", broken.invariant, broken.evidence);
    }
    Ok(if run.broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
