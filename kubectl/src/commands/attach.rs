//! `kubectl attach`

use ferrule_proto::v1::TerminalSize;
use serde_json::Value;

use super::remote::{self, Remote};
use super::terminal::{self, Terminal};
use super::{pods, print, warn};
use crate::args::AttachArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// How a container's process is joined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Join<'a> {
    /// The container; `None` is the pod's default.
    pub container: Option<&'a str>,
    /// Our input is its input.
    pub stdin: bool,
    /// In a terminal.
    pub tty: bool,
    /// Nothing is said but what it says.
    pub quiet: bool,
}

/// Runs the command.
pub async fn run(session: &Session, args: &AttachArgs) -> Result<()> {
    let options = &args.terminal;
    match args.words.len() {
        0 => return Err(Error::local("at least 1 argument is required for attach")),
        1 | 2 => {}
        count => {
            return Err(Error::local(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {count}: [{}]",
                args.words.join(" ")
            )));
        }
    }
    let running = pods::limit(&options.running, "attach")?;
    let named = pods::named(session, &args.words, None).await?;
    let pod = pods::attachable(session, &named, running).await?;
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Error::local(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let join = Join {
        container: options.container.as_deref(),
        stdin: options.stdin,
        tty: options.tty,
        quiet: options.quiet,
    };
    attach(session, &pod, join).await
}

/// Joins the process of a container, until it ends.
pub async fn attach(session: &Session, pod: &Value, join: Join<'_>) -> Result<()> {
    let (container, defaulted) = pods::container(pod, join.container).map_err(|error| {
        Error::local(format!(
            "cannot attach to the container: {}",
            error.message()
        ))
    })?;
    let say = |text: &str| {
        if !join.quiet {
            warn(text);
        }
    };
    if let Some(defaulted) = defaulted {
        say(&defaulted);
    }
    let name = pods::name(container);
    let has_terminal = container["tty"] == true;
    if join.tty && !has_terminal {
        say(&format!(
            "error: Unable to use a TTY - container {name} did not allocate one"
        ));
    }
    // A container with a terminal speaks to a terminal, asked for or not.
    let terminal = Terminal::asked(join.stdin, has_terminal, join.quiet);
    let raw = terminal.is_some();
    say(
        "All commands and output from this session will be recorded in container logs, including credentials and sensitive \
         information passed through the command prompt.",
    );
    say("If you don't see a command prompt, try pressing enter.");
    Remote {
        pod,
        container: name,
        command: None,
        stdin: join.stdin.then(remote::stdin),
        terminal,
        sizes: terminal::size().into_iter().flat_map(redrawn).collect(),
        stdout: &mut std::io::stdout(),
        stderr: &mut std::io::stderr(),
    }
    .run(session)
    .await?;
    if join.quiet || !raw || pod["spec"]["restartPolicy"] != "Always" {
        return Ok(());
    }
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    print(&format!(
        "Session ended, resume using 'kubectl attach {} -c {name} -i -t' command when the pod is running\n",
        text("name"),
    ))
}

/// One size more and back again: whoever joins a second time sees the screen drawn anew.
fn redrawn(size: TerminalSize) -> [TerminalSize; 2] {
    let larger = TerminalSize {
        width: size.width + 1,
        height: size.height + 1,
    };
    [larger, size]
}
