//! Starts `kubectl`.

use std::io::Write;
use std::process::ExitCode;

use ferrule_kubectl::error::Result;
use ferrule_kubectl::{commands, parse};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if let Some(error) = commands::plugin::replace(&words) {
        commands::warn(&error.to_string());
        return ExitCode::FAILURE;
    }
    if words
        .get(1)
        .is_some_and(|word| word == commands::complete::WORD)
    {
        return ended(commands::complete::run(&words[2..]));
    }
    let cli = match parse::parse(&words) {
        Ok(cli) => cli,
        Err(refusal) if refusal.wanted => {
            // Whoever asked for help and closed the pipe has read enough.
            let _ = write!(std::io::stdout(), "{}", refusal.text);
            return ExitCode::SUCCESS;
        }
        Err(refusal) => {
            commands::warn(&refusal.text);
            return ExitCode::FAILURE;
        }
    };
    if words
        .iter()
        .any(|word| word == "--record" || word.starts_with("--record="))
    {
        commands::warn("Flag --record has been deprecated, --record will be removed in the future");
    }
    ended(commands::run(cli))
}

/// Runs a command to its end; says what went wrong, and with which code the program ends.
fn ended(command: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            commands::warn(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(command);
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                commands::warn(&text);
            }
            ExitCode::from(error.exit_code())
        }
    }
}
