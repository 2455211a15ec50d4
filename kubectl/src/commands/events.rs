//! `kubectl events`

use ferrule_client::client::WatchOptions;
use ferrule_proto::v1::EventType;
use futures::StreamExt;
use serde_json::{Value, json};

use super::{print, select, warn};
use crate::args::EventsArgs;
use crate::describe::events;
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::output::{self, Format, objects};
use crate::resources::at;
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &EventsArgs) -> Result<()> {
    let known = |kind: &String| ["normal", "warning"].contains(&kind.to_lowercase().as_str());
    if !args.types.iter().all(known) {
        return Err(Error::local("valid --types are Normal or Warning"));
    }
    let format = Format::of_object(&args.print)?;
    let resources = session.resources().await?;
    let fields = match &args.r#for {
        None => String::new(),
        Some(word) => {
            let (resource, name) = word
                .split_once('/')
                .ok_or_else(|| Error::local("--for must be in resource/name form"))?;
            if name.contains('/') {
                return Err(Error::local(
                    "arguments in resource/name form may not have more than one slash",
                ));
            }
            let kind = &resources.find(resource)?.kind;
            format!("involvedObject.kind={kind},involvedObject.name={name}")
        }
    };
    let resource = resources.find("events")?;
    let namespace = if args.all_namespaces {
        ""
    } else {
        &session.namespace
    };
    let mut printer = Printer {
        args,
        format,
        columns: Columns::default(),
        headed: args.no_headers,
    };
    if !args.watch {
        let options = select::options(None, Some(&fields));
        let mut found = select::list(session, resource, namespace, &options).await?;
        found.retain(|event| printer.wants(event));
        if found.is_empty() {
            warn(&match args.all_namespaces {
                true => "No events found.".to_owned(),
                false => format!("No events found in {namespace} namespace."),
            });
            return Ok(());
        }
        events::sort(&mut found);
        return printer.print(found, true);
    }
    let options = WatchOptions {
        field_selector: fields,
        send_initial_events: true,
        ..WatchOptions::default()
    };
    let place = at(resource, namespace);
    let mut batches = session.client.watch(&place, &options).await?;
    while let Some(batch) = batches.next().await {
        for change in batch?.changes {
            let event: Value = ferrule_client::client::parse(&change.object)?;
            // Events go away after an hour: that is no news.
            if change.kind != EventType::EventDeleted && printer.wants(&event) {
                printer.print(vec![event], false)?;
            }
        }
    }
    Ok(())
}

struct Printer<'a> {
    args: &'a EventsArgs,
    format: Format,
    columns: Columns,
    headed: bool,
}

impl Printer<'_> {
    fn wants(&self, event: &Value) -> bool {
        let kind = event["type"].as_str().unwrap_or_default();
        let types = &self.args.types;
        types.is_empty() || types.iter().any(|own| own.eq_ignore_ascii_case(kind))
    }

    fn print(&mut self, found: Vec<Value>, listed: bool) -> Result<()> {
        if !self.format.is_table() {
            return self.print_whole(found, listed);
        }
        let mut rows = Vec::new();
        if !std::mem::replace(&mut self.headed, true) {
            let titles = [
                "NAMESPACE",
                "LAST SEEN",
                "TYPE",
                "REASON",
                "OBJECT",
                "MESSAGE",
            ];
            let first = usize::from(!self.args.all_namespaces);
            rows.push(
                titles[first..]
                    .iter()
                    .map(|title| (*title).to_owned())
                    .collect(),
            );
        }
        rows.extend(
            found
                .iter()
                .map(|event| row(event, self.args.all_namespaces)),
        );
        print(&self.columns.format(&rows))
    }

    fn print_whole(&self, mut found: Vec<Value>, listed: bool) -> Result<()> {
        found.iter_mut().for_each(objects::without_managed_fields);
        let name = |event: &Value| {
            format!(
                "event/{}",
                event["metadata"]["name"].as_str().unwrap_or_default()
            )
        };
        if listed && self.format != Format::Name {
            let list = json!({
                "kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": found,
            });
            return match self.format {
                Format::Json => print(&objects::list_first(&list)),
                _ => output::print(&list, &self.format, ""),
            };
        }
        for event in &found {
            output::print(event, &self.format, &name(event))?;
        }
        Ok(())
    }
}

fn row(event: &Value, with_namespace: bool) -> Vec<String> {
    let text = |value: &Value| {
        let text = value.as_str().unwrap_or_default().trim();
        match text.split_once(['\n', '\r', '\u{c}']) {
            Some((first, _)) => format!("{first}..."),
            None => text.to_owned(),
        }
    };
    let object = &event["involvedObject"];
    let mut cells = vec![
        events::interval(event),
        text(&event["type"]),
        text(&event["reason"]),
        format!("{}/{}", text(&object["kind"]), text(&object["name"])),
        text(&event["message"]),
    ];
    if with_namespace {
        cells.insert(0, text(&event["metadata"]["namespace"]));
    }
    cells
}
