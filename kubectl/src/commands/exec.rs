//! `kubectl exec`

use serde_json::Value;

use super::pods;
use super::remote::{self, Remote};
use super::terminal::{self, Terminal};
use crate::args::ExecArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs the command; its exit code becomes ours.
pub async fn run(session: &Session, args: &ExecArgs) -> Result<()> {
    let from_files = !args.files.is_empty();
    if args.words.len() + usize::from(from_files) > 1 {
        return Err(Error::usage(
            "exec",
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead",
        ));
    }
    let running = pods::limit(&args.terminal.running, "exec")?;
    if args.words.is_empty() && !from_files {
        return Err(Error::local(
            "pod, type/name or --filename must be specified",
        ));
    }
    if args.command.is_empty() {
        return Err(Error::local(
            "you must specify at least one command for the container",
        ));
    }
    let named = pods::named(session, &args.words, Some(&args.files)).await?;
    let pod = pods::attachable(session, &named, running).await?;
    let options = &args.terminal;
    let container = chosen(&pod, options.container.as_deref(), options.quiet)?;
    let terminal = Terminal::asked(options.stdin, options.tty, options.quiet);
    Remote {
        pod: &pod,
        container: &container,
        command: Some(&args.command),
        stdin: options.stdin.then(remote::stdin),
        terminal,
        sizes: terminal::size().into_iter().collect(),
        stdout: &mut std::io::stdout(),
        stderr: &mut std::io::stderr(),
    }
    .run(session)
    .await
}

/// The container of a pod that still runs; a name that was given is the server's to judge.
pub fn chosen(pod: &Value, given: Option<&str>, quiet: bool) -> Result<String> {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::local(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    match given {
        Some(given) => Ok(given.to_owned()),
        None => {
            let (container, defaulted) = pods::container(pod, None)?;
            if let Some(defaulted) = defaulted.filter(|_| !quiet) {
                super::warn(&defaulted);
            }
            Ok(pods::name(container).to_owned())
        }
    }
}
