//! Runs a program to its end, or to a deadline.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What a program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Output {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The standard output of a program that exited with 0.
    pub fn ok(self) -> anyhow::Result<String> {
        if self.success() {
            return Ok(self.stdout);
        }
        bail!(
            "exit code {:?}\n{}{}",
            self.code,
            self.stdout,
            self.stderr.trim_end()
        )
    }
}

/// Runs a program, feeds it `input`, and kills it when the time is over.
pub fn run(command: &mut Command, input: &str, within: Duration) -> anyhow::Result<Output> {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {shown}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input closes it: no failure.
        let _ = stdin.write_all(input.as_bytes());
    }
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let deadline = Instant::now() + within;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    // A grandchild may hold the pipe open: what came until now is what there is.
    let text = |pipe: mpsc::Receiver<String>| {
        pipe.recv_timeout(Duration::from_secs(2))
            .unwrap_or_default()
    };
    let output = Output {
        code: status.and_then(|status| status.code()),
        stdout: text(stdout),
        stderr: text(stderr),
    };
    if status.is_none() {
        bail!(
            "{shown} did not end within {within:?}\n{}{}",
            output.stdout,
            output.stderr
        );
    }
    Ok(output)
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_exit_code_are_told_apart() {
        let output = run(
            Command::new("sh").args(["-c", "cat; echo bad >&2; exit 3"]),
            "good",
            Duration::from_secs(10),
        )
        .unwrap();
        assert_eq!(
            (output.code, &*output.stdout, &*output.stderr),
            (Some(3), "good", "bad\n")
        );
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_at_its_deadline() {
        let error = run(
            Command::new("sleep").arg("60"),
            "",
            Duration::from_millis(50),
        )
        .unwrap_err();
        assert!(error.to_string().contains("did not end within 50ms"));
    }
}
