//! What kubectl prints, command by command; run by `e2e/run.sh cli`.
//!
//! ```text
//!  transcripts/NAME.txt ──> player: our kubectl ────────┐
//!                     └───> player: upstream's kubectl ─┴─> masked, and compared with the transcript
//! ```
//!
//! Both kubectls are played against one control plane of processes with two simulated nodes, each in
//! a namespace of its own. A transcript says what Kubernetes 1.36 prints; what older releases of
//! upstream's kubectl print otherwise is said in `releases`.

mod compare;
mod mask;
mod player;
mod releases;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use ferrule_e2e::processes::{Extent, Processes};

use crate::player::Player;
use crate::transcript::Transcript;

/// Where the transcripts are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/transcripts")
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    mask::prove();
    releases::prove();
    let transcripts = match Transcript::read_all(&folder()) {
        Ok(transcripts) => transcripts,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    if words == ["list"] {
        for transcript in &transcripts {
            println!("{}", transcript.name);
        }
        return ExitCode::SUCCESS;
    }
    let all = transcripts.len();
    let chosen: Vec<Transcript> = transcripts
        .into_iter()
        .filter(|own| words.is_empty() || words.iter().any(|word| own.name.contains(word)))
        .collect();
    match play_all(&chosen, all - chosen.len()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            println!(
                "test result: FAILED. 0 passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
                chosen.len()
            );
            ExitCode::FAILURE
        }
    }
}

/// Plays them one after the other; whether all went as they are written.
fn play_all(transcripts: &[Transcript], left_out: usize) -> anyhow::Result<bool> {
    let processes = Processes::start(Extent::Nodes(2)).context("the control plane")?;
    let ours = Player::of(&processes, &processes.kubectl())?;
    let upstream = player::upstream(&processes)?;
    let record = std::env::var_os("FERRULE_CLI_RECORD").is_some();
    println!("running {} tests", transcripts.len());
    let began = Instant::now();
    let (mut failures, mut steps) = (Vec::new(), 0);
    for transcript in transcripts {
        let started = Instant::now();
        steps += transcript.steps.len();
        let result = if record {
            compare::record(transcript, &ours, upstream.as_ref())
        } else {
            compare::play(transcript, &ours, upstream.as_ref())
        };
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        let took = started.elapsed().as_secs_f64();
        println!("test cli::{} ... {word} ({took:.1} s)", transcript.name);
        if let Err(error) = result {
            println!("    {}", format!("{error:#}").replace('\n', "\n    "));
            failures.push(transcript.name.as_str());
        }
    }
    if !failures.is_empty() {
        println!("\nfailures:");
        failures.iter().for_each(|name| println!("    cli::{name}"));
    }
    let whose = upstream.map_or_else(
        || "our kubectl alone".to_owned(),
        |own| format!("our kubectl and {}", own.whose),
    );
    println!("{steps} commands were played with {whose}");
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {left_out} filtered out; finished in {:.1}s",
        if failures.is_empty() { "ok" } else { "FAILED" },
        transcripts.len() - failures.len(),
        failures.len(),
        began.elapsed().as_secs_f64()
    );
    Ok(failures.is_empty())
}
