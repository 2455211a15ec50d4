//! `kubectl logs`

use std::io::Write;

use ferrule_client::client::status_of;
use ferrule_proto::v1::connect_response::Frame;
use futures::StreamExt;
use serde_json::Value;

use super::{pods, select, warn};
use crate::args::LogsArgs;
use crate::error::{Error, Result};
use crate::resources::at;
use crate::session::Session;

/// Lines shown of each pod when pods are selected by labels.
const SELECTED_TAIL: i64 = 10;
/// A longer line is written in parts.
const LINE_LIMIT: usize = 1 << 20;

/// The log of one container.
struct Source<'a> {
    pod: &'a Value,
    container: String,
}

/// Runs the command.
pub async fn run(session: &Session, args: &LogsArgs) -> Result<()> {
    check_words(args)?;
    let chosen = match &args.selector {
        Some(selector) => {
            let pods = session.resources().await?.find("pods")?;
            let options = select::options(Some(selector), None);
            let chosen = select::list(session, pods, &session.namespace, &options).await?;
            if chosen.is_empty() {
                warn(&format!(
                    "No resources found in {} namespace.",
                    session.namespace
                ));
            }
            chosen
        }
        None => {
            let one = named(session, args).await?;
            check_flags(args)?;
            chosen_pods(session, &one, args).await?
        }
    };
    check_flags(args)?;
    let mut sources = Vec::new();
    for pod in &chosen {
        sources.extend(sources_of(pod, args)?);
    }
    let follows = args.follow && sources.len() > 1;
    if follows && sources.len() as i64 > args.max_log_requests {
        return Err(Error::local(format!(
            "you are attempting to follow {} log streams, but maximum allowed concurrency is {}, use --max-log-requests \
             to increase the limit",
            sources.len(),
            args.max_log_requests
        )));
    }
    let streams = sources
        .iter()
        .map(async |source| match stream(session, args, source).await {
            Err(error) if args.ignore_errors && !matches!(error, Error::Exit(_)) => {
                super::print(&format!("error: {}\n", error.message()))
            }
            result => result,
        });
    if follows {
        return futures::future::try_join_all(streams).await.map(drop);
    }
    for stream in streams {
        stream.await?;
    }
    Ok(())
}

/// What is wrong before anything is looked for.
fn check_words(args: &LogsArgs) -> Result<()> {
    match (&args.selector, args.words.as_slice()) {
        (Some(_), []) | (None, [_]) | (_, [_, _]) => {}
        (Some(_), [_]) => {
            return Err(Error::usage(
                "logs",
                "only a selector (-l) or a POD name is allowed",
            ));
        }
        _ => {
            return Err(Error::usage(
                "logs",
                "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument \
                 for the logs command",
            ));
        }
    }
    if args.pod_running_timeout.is_zero() {
        return Err(Error::local(
            "--pod-running-timeout must be higher than zero",
        ));
    }
    if let Some(time) = &args.since_time
        && time.parse::<jiff::Timestamp>().is_err()
    {
        return Err(Error::local(format!(
            "parsing time {time:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {time:?} as \"2006\""
        )));
    }
    Ok(())
}

/// What is wrong although there is something to read.
fn check_flags(args: &LogsArgs) -> Result<()> {
    if args.since_time.is_some() && args.since != 0.0 {
        return Err(Error::local(
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    if args.all_containers
        && let Some(container) = container(args)
    {
        return Err(Error::local(format!(
            "--all-containers=true should not be specified with container name {container}"
        )));
    }
    if args.container.is_some() && args.words.len() == 2 {
        return Err(Error::local(
            "only one of -c or an inline [CONTAINER] arg is allowed",
        ));
    }
    if args.limit_bytes < 0 {
        return Err(Error::local("--limit-bytes must be greater than 0"));
    }
    if args.since.round() < 0.0 {
        return Err(Error::local("--since must be greater than 0"));
    }
    if args.tail.is_some_and(|tail| tail < -1) {
        return Err(Error::local("--tail must be greater than or equal to -1"));
    }
    Ok(())
}

/// The container that the command line names.
fn container(args: &LogsArgs) -> Option<&str> {
    let inline = args.words.get(1).map(String::as_str);
    inline.or(args.container.as_deref())
}

/// The object that the first word names.
async fn named(session: &Session, args: &LogsArgs) -> Result<select::Found> {
    let one = pods::named(session, &args.words[..1], None).await;
    one.map_err(|error| match error {
        Error::Server(status) if status.is_not_found() => Error::local(format!(
            "error from server (NotFound): {} in namespace {:?}",
            status.message, session.namespace
        )),
        other => other,
    })
}

/// Its pods: the best one, or with `--all-pods` all.
async fn chosen_pods(
    session: &Session,
    one: &select::Found,
    args: &LogsArgs,
) -> Result<Vec<Value>> {
    let mut found = pods::logged(session, one, args.pod_running_timeout).await?;
    if found.len() > 1 && !args.all_pods {
        let count = found.len();
        found.truncate(1);
        let name = pods::name(&found[0]["metadata"]);
        warn(&format!("Found {count} pods, using pod/{name}"));
    }
    Ok(found)
}

fn sources_of<'a>(pod: &'a Value, args: &LogsArgs) -> Result<Vec<Source<'a>>> {
    let source = |container: &Value| Source {
        pod,
        container: pods::name(container).to_owned(),
    };
    if args.all_containers {
        return Ok(pods::containers(pod).map(source).collect());
    }
    let given = container(args);
    let (container, defaulted) = pods::container(pod, given).map_err(|error| match given {
        Some(given) => Error::local(format!(
            "container {given} is not valid for pod {} out of: {}",
            pods::name(&pod["metadata"]),
            pods::all_names(pod)
        )),
        None => error,
    })?;
    if let Some(defaulted) = defaulted.filter(|_| !args.all_pods) {
        warn(&defaulted);
    }
    Ok(vec![source(container)])
}

fn parameters(args: &LogsArgs, container: &str) -> Vec<(&'static str, String)> {
    let mut parameters = vec![("container", container.to_owned())];
    let mut flag = |name, set: bool| {
        if set {
            parameters.push((name, "true".to_owned()));
        }
    };
    flag("follow", args.follow);
    flag("previous", args.previous);
    flag("timestamps", args.timestamps);
    let tail = match args.tail {
        None if args.selector.is_some() => SELECTED_TAIL,
        tail => tail.unwrap_or(-1),
    };
    if tail >= 0 {
        parameters.push(("tailLines", tail.to_string()));
    }
    if args.since != 0.0 {
        parameters.push(("sinceSeconds", args.since.round().to_string()));
    }
    if let Some(time) = &args.since_time {
        parameters.push(("sinceTime", time.clone()));
    }
    if args.limit_bytes != 0 {
        parameters.push(("limitBytes", args.limit_bytes.to_string()));
    }
    parameters
}

async fn stream(session: &Session, args: &LogsArgs, source: &Source<'_>) -> Result<()> {
    let Source { pod, container } = source;
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let prefix = if args.prefix || args.all_pods {
        format!("[pod/{}/{container}] ", text("name"))
    } else {
        String::new()
    };
    copy(session, pod, &parameters(args, container), &prefix).await
}

/// Prints the log of a container, each line with a prefix. Lines of several logs do not mix.
pub async fn copy(
    session: &Session,
    pod: &Value,
    parameters: &[(&str, String)],
    prefix: &str,
) -> Result<()> {
    let resource = session.resources().await?.find("pods")?;
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let place = at(resource, text("namespace"))
        .name(text("name"))
        .subresource("log");
    let client = &session.client;
    let mut frames = client
        .connect(&place, parameters, futures::stream::empty())
        .await?;
    let mut lines = Lines::new(prefix);
    let written = |result: std::io::Result<()>| result.map_err(|_| Error::Exit(0));
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|error| Error::from(status_of(error)))?;
        if let Some(Frame::Stdout(bytes)) = frame.frame {
            written(lines.write(&mut std::io::stdout().lock(), &bytes))?;
        }
    }
    written(lines.finish(&mut std::io::stdout().lock()))
}

/// Whole lines with a prefix; what has no line end yet waits.
struct Lines<'a> {
    prefix: &'a str,
    rest: Vec<u8>,
}

impl Lines<'_> {
    fn new(prefix: &str) -> Lines<'_> {
        Lines {
            prefix,
            rest: Vec::new(),
        }
    }

    fn write(&mut self, out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(line);
            if line.ends_with(b"\n") || self.rest.len() > LINE_LIMIT {
                self.finish(out)?;
            }
        }
        out.flush()
    }

    fn finish(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        out.write_all(self.prefix.as_bytes())?;
        out.write_all(&self.rest)?;
        self.rest.clear();
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_whole_and_each_has_its_prefix() {
        let mut lines = Lines::new("[a] ");
        let mut out = Vec::new();
        lines.write(&mut out, b"one\ntw").unwrap();
        assert_eq!(out, b"[a] one\n");
        lines.write(&mut out, b"o\n\nthr").unwrap();
        lines.finish(&mut out).unwrap();
        assert_eq!(out, b"[a] one\n[a] two\n[a] \n[a] thr");
    }
}
