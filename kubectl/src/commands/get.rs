//! `kubectl get`

use ferrule_client::Object;
use ferrule_client::client::{At, Batch, ListOptions, WatchOptions};
use ferrule_proto::v1::{EventType, Form};
use futures::StreamExt;
use serde_json::{Value, json};

use super::select::Selection;
use super::{print, raw, select, sort, warn};
use crate::args::GetArgs;
use crate::describe::meta;
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::output::table::{Definition, Look, Printer, Row, Table};
use crate::output::{self, Format, objects};
use crate::resources::{Target, at, singular};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &GetArgs) -> Result<()> {
    check(args)?;
    if let Some(path) = args.raw.as_deref().filter(|path| !path.is_empty()) {
        return raw::get(session, path).await;
    }
    let format = Format::parse(&args.print)?;
    if args.words.is_empty() && args.files.is_empty() {
        return Err(Error::Plain(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of \
             supported resources.\n\nerror: Required resource not specified.\nUse \"kubectl explain <resource>\" for a \
             detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples"
                .to_owned(),
        ));
    }
    let selection = Selection {
        command: "get",
        words: &args.words,
        files: Some(&args.files),
        ..Selection::default()
    };
    let targets = select::targets(session, &selection).await?;
    let named = targets.iter().any(|(target, _)| !target.names.is_empty());
    let from_files = !args.files.is_empty();
    if named && (args.select.selector.is_some() || args.select.field_selector.is_some()) {
        return Err(Error::local(
            "name cannot be provided when a selector is specified",
        ));
    }
    if args.subresource.is_some() && !named {
        return Err(Error::local(
            "subresource cannot be used when bulk resources are specified",
        ));
    }
    if named && !from_files && args.select.all_namespaces {
        return Err(Error::local(
            "a resource cannot be retrieved by name across all namespaces",
        ));
    }
    if args.watch || args.watch_only {
        return watch(session, args, &targets, &format).await;
    }
    if format.is_table() {
        tables(session, args, &targets, &format).await
    } else {
        whole(session, args, &targets, &format, named).await
    }
}

/// Flags that do not go together.
fn check(args: &GetArgs) -> Result<()> {
    let refuse = |why: &str| Err(Error::local(why));
    if args.output_watch_events && !args.watch && !args.watch_only {
        return refuse(
            "--output-watch-events option can only be used with --watch or --watch-only",
        );
    }
    if args.raw.as_deref().unwrap_or_default().is_empty() {
        return Ok(());
    }
    let selects = [
        &args.select.selector,
        &args.select.field_selector,
        &args.sort_by,
    ];
    let selects = selects.into_iter().flatten().any(|text| !text.is_empty());
    if !args.files.is_empty() || args.watch || args.watch_only || selects {
        return refuse(
            "--raw may not be specified with other flags that filter the server request or alter the output",
        );
    }
    if !args.words.is_empty() {
        return refuse("arguments may not be passed when --raw is specified");
    }
    if args.print.output.as_deref().unwrap_or_default() != "" {
        return refuse("--raw and --output are mutually exclusive");
    }
    Ok(())
}

fn namespace<'a>(args: &GetArgs, namespace: &'a str) -> &'a str {
    if args.select.all_namespaces {
        ""
    } else {
        namespace
    }
}

/// An object, or a subresource of it.
fn named_place(place: &At, name: &str, args: &GetArgs) -> At {
    let place = place.clone().name(name);
    match &args.subresource {
        Some(subresource) => place.subresource(subresource),
        None => place,
    }
}

fn list_options(args: &GetArgs, form: Form) -> ListOptions {
    ListOptions {
        label_selector: args.select.selector.clone().unwrap_or_default(),
        field_selector: args.select.field_selector.clone().unwrap_or_default(),
        limit: args.chunk_size,
        form,
        ..ListOptions::default()
    }
}

fn look(args: &GetArgs, target: &Target, format: &Format, several: bool) -> Look {
    let prefix = if args.show_kind || several {
        format!("{}/", singular(&target.resource))
    } else {
        String::new()
    };
    Look {
        events: false,
        wide: *format == Format::Wide,
        namespace: args.select.all_namespaces && target.resource.namespaced,
        no_headers: args.no_headers,
        prefix,
        labels: args.show_labels,
        label_columns: args.label_columns.clone(),
    }
}

/// Targets of one resource stand in one table, in the order in which resources first appear.
fn grouped(targets: &[(Target, String)]) -> Vec<(Target, String)> {
    let mut groups: Vec<(Target, String)> = Vec::new();
    for (target, namespace) in targets {
        let same = |(own, place): &&mut (Target, String)| {
            own.resource == target.resource && place == namespace
        };
        match groups.iter_mut().find(same) {
            Some((own, _)) => own.names.extend(target.names.iter().cloned()),
            None => groups.push((target.clone(), namespace.clone())),
        }
    }
    groups
}

async fn tables(
    session: &Session,
    args: &GetArgs,
    targets: &[(Target, String)],
    format: &Format,
) -> Result<()> {
    let groups = grouped(targets);
    let several_asked = groups.len() > 1;
    let mut errors = Vec::new();
    let mut found = Vec::new();
    for (target, place) in &groups {
        match read_table(session, args, target, place, &mut errors).await {
            // A list without rows counts as a kind of its own, a name that is not there does not.
            Ok(table) if target.names.is_empty() || !table.rows.is_empty() => {
                found.push((target, table));
            }
            Ok(_) => {}
            Err(error) if target.names.is_empty() && several_asked => errors.push(error),
            Err(error) => return Err(error),
        }
    }
    let several = found.len() > 1;
    let mut printed = false;
    for (target, table) in found.iter().filter(|(_, table)| !table.rows.is_empty()) {
        let text = Printer::new(look(args, target, format, several)).format(table);
        let separator = if printed && !args.no_headers {
            "\n"
        } else {
            ""
        };
        print(&format!("{separator}{text}"))?;
        printed = true;
    }
    if !printed && errors.is_empty() && !args.ignore_not_found {
        let all = args.select.all_namespaces
            || groups.iter().all(|(target, _)| !target.resource.namespaced);
        match groups.first() {
            Some((_, place)) if !all => warn(&format!("No resources found in {place} namespace.")),
            _ => warn("No resources found"),
        }
    }
    Error::all(errors)
}

async fn read_table(
    session: &Session,
    args: &GetArgs,
    target: &Target,
    place: &str,
    errors: &mut Vec<Error>,
) -> Result<Table> {
    if !args.server_print {
        return plain_table(session, args, target, place, errors).await;
    }
    let mut table = Table::default();
    if target.names.is_empty() {
        let mut options = list_options(args, Form::Table);
        loop {
            let place = namespace(args, place);
            let page = select::page(session, &target.resource, place, &options).await?;
            let next: Table = ferrule_client::client::parse(&page.table)?;
            if table.column_definitions.is_empty() {
                table.column_definitions = next.column_definitions;
            }
            table.rows.extend(next.rows);
            if page.continue_token.is_empty() {
                break;
            }
            options.continue_token = page.continue_token;
        }
        if let Some(path) = &args.sort_by {
            let objects = list_whole(session, args, target, place).await?;
            // As upstream: rows that cannot be sorted are not shown.
            if !path.is_empty() && !sort::rows(&mut table.rows, &objects, path) {
                table.rows.clear();
            }
        }
        return Ok(table);
    }
    for object in read_named(session, args, target, place, Form::Table, errors).await {
        let next: Table = object.parse()?;
        table.column_definitions = next.column_definitions;
        table.rows.extend(next.rows);
    }
    Ok(table)
}

/// The objects that are named, as far as they are there.
async fn read_named(
    session: &Session,
    args: &GetArgs,
    target: &Target,
    place: &str,
    form: Form,
    errors: &mut Vec<Error>,
) -> Vec<Object> {
    let at_names = at(&target.resource, place);
    let mut found = Vec::new();
    for name in &target.names {
        let named = named_place(&at_names, name, args);
        match session.client.get_in(&named, form).await {
            Ok(object) => found.push(object),
            Err(status) if args.ignore_not_found && status.is_not_found() => {}
            Err(status) => {
                errors.push(select::missing_in(session, &target.resource, place, status).await);
            }
        }
    }
    found
}

/// Names and ages, which this program knows without the server.
async fn plain_table(
    session: &Session,
    args: &GetArgs,
    target: &Target,
    place: &str,
    errors: &mut Vec<Error>,
) -> Result<Table> {
    let mut found = Vec::new();
    if target.names.is_empty() {
        found = list_whole(session, args, target, place).await?;
    }
    for object in read_named(session, args, target, place, Form::Object, errors).await {
        found.push(object.parse()?);
    }
    let cells = |object: &Value| {
        let name = object["metadata"]["name"].clone();
        let age = meta::age(&object["metadata"]["creationTimestamp"]);
        vec![name, Value::from(age)]
    };
    let definition = |name: &str| Definition {
        name: name.to_owned(),
        priority: 0,
    };
    Ok(Table {
        column_definitions: vec![definition("Name"), definition("Age")],
        rows: found
            .into_iter()
            .map(|object| Row {
                cells: cells(&object),
                object,
                event: "",
            })
            .collect(),
    })
}

async fn list_whole(
    session: &Session,
    args: &GetArgs,
    target: &Target,
    place: &str,
) -> Result<Vec<Value>> {
    let options = list_options(args, Form::Object);
    select::list(session, &target.resource, namespace(args, place), &options).await
}

async fn whole(
    session: &Session,
    args: &GetArgs,
    targets: &[(Target, String)],
    format: &Format,
    named: bool,
) -> Result<()> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for (target, place) in targets {
        if target.names.is_empty() {
            let objects = list_whole(session, args, target, place).await?;
            found.extend(objects.into_iter().map(|object| (target, object)));
            continue;
        }
        let form = Form::Object;
        for object in read_named(session, args, target, place, form, &mut errors).await {
            found.push((target, object.parse()?));
        }
    }
    if let Some(path) = &args.sort_by {
        sort::objects(&mut found, path)?;
    }
    match format {
        Format::Name => {
            for (target, object) in &found {
                print(&format!("{}\n", qualified(target, object)))?;
            }
            return Error::all(errors);
        }
        Format::Custom(custom) => {
            let mut rows = Vec::new();
            if !args.no_headers {
                rows.push(custom.heading());
            }
            for (_, object) in &found {
                rows.push(custom.row(object)?);
            }
            print(&Columns::default().format(&rows))?;
            return Error::all(errors);
        }
        _ => {}
    }
    let mut items: Vec<Value> = found.into_iter().map(|(_, object)| object).collect();
    if !args.print.show_managed_fields && format.hides_managed_fields() {
        items.iter_mut().for_each(objects::without_managed_fields);
    }
    let asked: usize = targets.iter().map(|(target, _)| target.names.len()).sum();
    let single = named && asked == 1;
    match items.len() {
        1 if single => output::print(&items[0], format, "")?,
        0 if single => {}
        _ => output::print(&objects::list(items), format, "")?,
    }
    Error::all(errors)
}

fn qualified(target: &Target, object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    format!("{}/{name}", singular(&target.resource))
}

async fn watch(
    session: &Session,
    args: &GetArgs,
    targets: &[(Target, String)],
    format: &Format,
) -> Result<()> {
    let [(target, place)] = targets else {
        return Err(Error::local("you may only specify a single resource type"));
    };
    if target.names.len() > 1 {
        return Err(Error::local("you may only specify a single resource type"));
    }
    if args.sort_by.as_deref().unwrap_or_default() != "" {
        warn("warning: --watch requested, --sort-by will be ignored for watch events received");
    }
    let place = at(&target.resource, namespace(args, place));
    let table = format.is_table();
    let mut field_selector = args.select.field_selector.clone().unwrap_or_default();
    if let Some(name) = target.names.first() {
        field_selector = format!("metadata.name={name}");
        // A name that does not exist is an error, not an empty watch.
        session.client.get(&place.clone().name(name)).await?;
    }
    let mut options = WatchOptions {
        label_selector: args.select.selector.clone().unwrap_or_default(),
        field_selector,
        send_initial_events: true,
        form: if table { Form::Table } else { Form::Object },
        ..WatchOptions::default()
    };
    if args.watch_only {
        let list = ListOptions {
            limit: 1,
            ..ListOptions::default()
        };
        options.resource_version = session
            .client
            .list(&place, &list)
            .await?
            .revision
            .to_string();
        options.send_initial_events = false;
    }
    let mut printer = Printer::new(Look {
        events: args.output_watch_events,
        ..look(args, target, format, false)
    });
    let (mut columns, mut headed) = (Columns::default(), args.no_headers);
    let mut batches = session.client.watch(&place, &options).await?;
    while let Some(batch) = batches.next().await {
        let Batch { changes, .. } = batch?;
        for change in changes {
            if !table {
                let mut object: Value = ferrule_client::client::parse(&change.object)?;
                let event_shown = args.output_watch_events && *format != Format::Name;
                if !args.print.show_managed_fields && !event_shown && format.hides_managed_fields()
                {
                    objects::without_managed_fields(&mut object);
                }
                let name = qualified(target, &object);
                if event_shown {
                    let (kind, shown) = (event(change.kind), objects::compact(&object));
                    if *format == Format::Json {
                        print(&format!("{{\"type\":{kind:?},\"object\":{shown}}}\n"))?;
                        continue;
                    }
                    object = json!({"type": kind, "object": object});
                }
                if let Format::Custom(custom) = format {
                    let mut rows = vec![custom.row(&object)?];
                    if !std::mem::replace(&mut headed, true) {
                        rows.insert(0, custom.heading());
                    }
                    print(&columns.format(&rows))?;
                    continue;
                }
                if *format == Format::Yaml && std::mem::replace(&mut headed, true) {
                    print("---\n")?;
                }
                output::print(&object, format, &name)?;
                continue;
            }
            let mut rows: Table = ferrule_client::client::parse(&change.object)?;
            if args.output_watch_events {
                let event = event(change.kind);
                rows.rows.iter_mut().for_each(|row| row.event = event);
            }
            print(&printer.format(&rows))?;
        }
    }
    Ok(())
}

/// A change as watches of the REST interface name it.
fn event(kind: EventType) -> &'static str {
    match kind {
        EventType::EventAdded => "ADDED",
        EventType::EventModified => "MODIFIED",
        EventType::EventDeleted => "DELETED",
    }
}
