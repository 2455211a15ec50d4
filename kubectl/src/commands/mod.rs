//! The commands, one file each.

pub mod api_resources;
pub mod apply;
pub mod archive;
pub mod attach;
pub mod auth;
pub mod autoscale;
pub mod certificate;

pub mod change;
pub mod cluster_info;
pub mod complete;
pub mod config;
pub mod cp;
pub mod create;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod drain;
pub mod edit;
pub mod events;
pub mod evict;
pub mod exec;
pub mod explain;
pub mod expose;
pub mod get;
pub mod local;
pub mod logs;
pub mod mark;
pub mod node;
pub mod overrides;
pub mod patch;
pub mod plugin;
pub mod pods;
pub mod port_forward;
pub mod ports;
pub mod raw;
pub mod remote;
pub mod replace;
pub mod revisions;
pub mod rollout;
pub mod run;
pub mod scale;
pub mod select;

pub mod set;
pub mod set_env;
pub mod set_image;
pub mod set_resources;
pub mod set_selector;
pub mod sort;
pub mod taint;
pub mod terminal;
pub mod version;
pub mod wait;
pub mod write;

use std::io::Write;

use crate::args::{AuthCommand, Cli, Command, SetCommand};
use crate::error::{Error, Result};
use crate::session::{self, Session};

/// Runs a command line.
pub async fn run(mut cli: Cli) -> Result<()> {
    // Their own flag --user names a subject, not an entry of the kubeconfig.
    if matches!(cli.command, Command::Create(_) | Command::Set(_)) {
        cli.global.user.clear();
    }
    let global = &cli.global;
    let session = match cli.command {
        Command::Config(command) => return config::run(global, command),
        Command::Kustomize(args) => return local::kustomize(&args),
        Command::Completion(args) => return local::completion(&args),
        Command::Options => return local::options(),
        Command::Plugin(command) => return plugin::run(&command),
        Command::Version(args) => return version::run(global, &args).await,
        _ => Session::open(global)?,
    };
    let session = &session;
    let limit = global.request_timeout;
    let work = dispatch(session, cli.command);
    let result = if limit.is_zero() {
        work.await
    } else {
        let timed_out = || Error::local("context deadline exceeded");
        tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(timed_out()))
    };
    result?;
    match session::warnings() {
        count if count > 0 && global.warnings_as_errors => {
            let plural = if count == 1 { "" } else { "s" };
            Err(Error::local(format!("{count} warning{plural} received")))
        }
        _ => Ok(()),
    }
}

async fn dispatch(session: &Session, command: Command) -> Result<()> {
    match command {
        Command::Get(args) => get::run(session, &args).await,
        Command::Create(args) => create::run(session, args).await,
        Command::Run(args) => run::run(session, &args).await,
        Command::Apply(args) => apply::run(session, &args).await,
        Command::Diff(args) => diff::run(session, &args).await,
        Command::Edit(args) => edit::run(session, &args, edit::What::Objects).await,
        Command::Describe(args) => describe::run(session, &args).await,
        Command::Delete(args) => delete::run(session, &args).await,
        Command::Scale(args) => scale::run(session, &args).await,
        Command::Expose(args) => expose::run(session, &args).await,
        Command::Set(SetCommand::Env(args)) => set_env::run(session, &args).await,
        Command::Set(SetCommand::Image(args)) => set_image::run(session, &args).await,
        Command::Set(SetCommand::Resources(args)) => set_resources::run(session, &args).await,
        Command::Set(SetCommand::Selector(args)) => set_selector::run(session, &args).await,
        Command::Set(SetCommand::Subject(args)) => set_selector::subject(session, &args).await,
        Command::Set(SetCommand::Serviceaccount(args)) => {
            set_resources::service_account(session, &args).await
        }
        Command::Events(args) => events::run(session, &args).await,
        Command::Rollout(command) => rollout::run(session, &command).await,
        Command::Logs(args) => logs::run(session, &args).await,
        Command::Attach(args) => attach::run(session, &args).await,
        Command::Exec(args) => exec::run(session, &args).await,
        Command::PortForward(args) => port_forward::run(session, &args).await,
        Command::Cp(args) => cp::run(session, &args).await,
        Command::Replace(args) => replace::run(session, &args).await,
        Command::Patch(args) => patch::run(session, &args).await,
        Command::Label(args) => mark::run(session, &args, mark::Mark::Label).await,
        Command::Annotate(args) => mark::run(session, &args, mark::Mark::Annotation).await,
        Command::Wait(args) => wait::run(session, &args).await,
        Command::Taint(args) => taint::run(session, &args).await,
        Command::Drain(args) => drain::run(session, &args).await,
        Command::Cordon(args) => node::cordon(session, &args, true).await,
        Command::Uncordon(args) => node::cordon(session, &args, false).await,
        Command::ApiResources(args) => api_resources::run(session, &args).await,
        Command::ApiVersions(args) => api_resources::versions(session, &args.words).await,
        Command::ClusterInfo(args) => cluster_info::run(session, &args).await,
        Command::Explain(args) => explain::run(session, &args).await,
        Command::Auth(AuthCommand::CanI(args)) => auth::can_i(session, &args).await,
        Command::Auth(AuthCommand::Reconcile(args)) => auth::reconcile::run(session, &args).await,
        Command::Auth(AuthCommand::Whoami(args)) => auth::whoami(session, &args).await,
        Command::Certificate(command) => certificate::run(session, &command).await,
        Command::Autoscale(args) => autoscale::run(session, &args).await,
        // These need no session.
        Command::Config(_)
        | Command::Version(_)
        | Command::Kustomize(_)
        | Command::Completion(_)
        | Command::Options
        | Command::Plugin(_) => Ok(()),
    }
}

/// Prints to standard output; a closed pipe ends the command quietly.
pub fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Error::Exit(0),
            _ => Error::local(format!("cannot write: {error}")),
        })
}

/// Prints a line to standard error, if anybody reads it.
pub fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Refuses words that a command does not take.
pub fn no_words(words: &[String], command: &str) -> Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let words = words.join(" ");
    Err(Error::usage(
        command,
        format_args!("unexpected arguments: [{words}]"),
    ))
}

/// `a=b,c=d` as a map.
pub fn pairs(text: &str) -> Result<serde_json::Map<String, serde_json::Value>> {
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::local(format!("unexpected label spec: {pair}")))?;
            Ok((key.to_owned(), serde_json::Value::from(value)))
        })
        .collect()
}
