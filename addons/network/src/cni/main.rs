//! The CNI plugin's program.

use std::io::{Read, Write};
use std::process::ExitCode;

use ferrule_network::cni::{config::Call, plugin};

/// A network configuration is a few hundred bytes.
const INPUT_LIMIT: u64 = 1 << 20;

fn main() -> ExitCode {
    let mut input = Vec::new();
    // Whatever cannot be read shows as a configuration that cannot be decoded.
    let _ = std::io::stdin()
        .lock()
        .take(INPUT_LIMIT)
        .read_to_end(&mut input);
    let (code, output) = match plugin::run(&Call::from_environment(), &input) {
        Ok(output) => (ExitCode::SUCCESS, output),
        Err(failure) => (ExitCode::FAILURE, failure.to_json(&input)),
    };
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(output.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}
