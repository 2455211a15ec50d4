//! `kubectl config`

mod file;
mod property;
mod set;

use serde_json::{Value, json};

use super::{print, warn};
use crate::args::{ConfigCommand, GlobalArgs, PrintArgs};
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::output::{self, Format, objects};
use crate::session::kubeconfig_path;
use file::File;

/// The order of fields in JSON.
const ORDER: [&str; 25] = [
    "kind",
    "apiVersion",
    "preferences",
    "clusters",
    "users",
    "contexts",
    "current-context",
    "name",
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority",
    "certificate-authority-data",
    "proxy-url",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "username",
    "password",
    "command",
    "cluster",
    "user",
    "namespace",
];

/// Runs a command below `config`.
pub fn run(global: &GlobalArgs, command: ConfigCommand) -> Result<()> {
    let mut file = File::read(&kubeconfig_path(global))?;
    match command {
        ConfigCommand::CurrentContext if file.current().is_empty() => {
            Err(Error::local("current-context is not set"))
        }
        ConfigCommand::CurrentContext => print(&format!("{}\n", file.current())),
        ConfigCommand::GetContexts {
            words,
            output,
            no_headers,
        } => match output.as_deref() {
            None | Some("") => contexts(&file, &words, false, no_headers),
            Some("name") => contexts(&file, &words, true, true),
            Some(other) => Err(Error::local(format!(
                "--output {other} is not available in kubectl config get-contexts; resetting to default output format"
            ))),
        },
        ConfigCommand::GetClusters => names(&file, "clusters"),
        ConfigCommand::GetUsers => names(&file, "users"),
        ConfigCommand::Set {
            words,
            set_raw_bytes,
        } => {
            let [name, value] = two(&words)?;
            property::set(&mut file.tree, name, value, set_raw_bytes)?;
            file.save()?;
            print(&format!("Property {name:?} set.\n"))
        }
        ConfigCommand::Unset { words } => {
            let name = one(&words)?;
            property::unset(&mut file.tree, name)?;
            file.save()?;
            print(&format!("Property {name:?} unset.\n"))
        }
        ConfigCommand::UseContext { words } => use_context(&mut file, one(&words)?),
        ConfigCommand::SetContext { words, current } => {
            set::context(&mut file, &words, current, global)
        }
        ConfigCommand::SetCluster(args) => set::cluster(&mut file, &args, global),
        ConfigCommand::SetCredentials(args) => set::credentials(&mut file, &args, global),
        ConfigCommand::DeleteContext { words } => {
            let [name] = words.as_slice() else {
                return help("delete-context");
            };
            if file.current() == name.as_str() && file.get("contexts", name).is_some() {
                warn(
                    "warning: this removed your active context, use \"kubectl config use-context\" to select a different one",
                );
            }
            delete(&mut file, "contexts", "context", name)
        }
        ConfigCommand::DeleteCluster { words } => match words.as_slice() {
            [name] => delete(&mut file, "clusters", "cluster", name),
            _ => help("delete-cluster"),
        },
        ConfigCommand::DeleteUser { words } => match words.as_slice() {
            [name] => delete(&mut file, "users", "user", name),
            _ => Err(Error::usage(
                "config delete-user",
                "user to delete is required",
            )),
        },
        ConfigCommand::RenameContext { words } => {
            let [old, new] = two(&words)?;
            rename(&mut file, old, new)
        }
        ConfigCommand::View {
            minify,
            raw,
            flatten,
            merge: _,
            print,
        } => view(file, global, minify, raw, flatten, &print),
    }
}

/// What upstream prints where it is not told what to delete: how to say it, and no error.
fn help(name: &str) -> Result<()> {
    let mut root = crate::parse::command();
    let config = root.find_subcommand_mut("config");
    let command = config.and_then(|own| own.find_subcommand_mut(name));
    command.map_or(Ok(()), |own| print(&own.render_help().to_string()))
}

fn unexpected(words: &[String]) -> Error {
    Error::local(format!("Unexpected args: [{}]", words.join(" ")))
}

fn one(words: &[String]) -> Result<&String> {
    match words {
        [word] => Ok(word),
        words => Err(unexpected(words)),
    }
}

fn two(words: &[String]) -> Result<[&String; 2]> {
    match words {
        [one, other] => Ok([one, other]),
        words => Err(unexpected(words)),
    }
}

fn use_context(file: &mut File, name: &str) -> Result<()> {
    if file.get("contexts", name).is_none() {
        return Err(Error::local(format!(
            "no context exists with the name: {name:?}"
        )));
    }
    file.tree["current-context"] = json!(name);
    file.save()?;
    print(&format!("Switched to context {name:?}.\n"))
}

fn delete(file: &mut File, list: &str, what: &str, name: &str) -> Result<()> {
    let shown = file.path.display().to_string();
    if !file.remove(list, name) {
        return Err(Error::local(format!(
            "cannot delete {what} {name}, not in {shown}"
        )));
    }
    file.save()?;
    print(&format!("deleted {what} {name} from {shown}\n"))
}

fn rename(file: &mut File, old: &str, new: &str) -> Result<()> {
    let shown = file.path.display().to_string();
    let Some(context) = file.get("contexts", old).cloned() else {
        return Err(Error::local(format!(
            "cannot rename the context {old:?}, it's not in {shown}"
        )));
    };
    if file.get("contexts", new).is_some() {
        return Err(Error::local(format!(
            "cannot rename the context {old:?}, the context {new:?} already exists in {shown}"
        )));
    }
    file.remove("contexts", old);
    if let Value::Object(context) = context {
        *file.entry("contexts", new).0 = context;
    }
    if file.current() == old {
        file.tree["current-context"] = json!(new);
    }
    file.save()?;
    print(&format!("Context {old:?} renamed to {new:?}.\n"))
}

fn names(file: &File, list: &str) -> Result<()> {
    let names = std::iter::once("NAME").chain(file.names(list));
    print(&names.fold(String::new(), |text, name| text + name + "\n"))
}

fn contexts(file: &File, words: &[String], only_names: bool, no_headers: bool) -> Result<()> {
    let known = file.names("contexts");
    let is_chosen = |name: &&str| words.is_empty() || words.iter().any(|word| word == name);
    let chosen: Vec<&str> = known.iter().copied().filter(is_chosen).collect();
    let unknown = words.iter().filter(|word| !known.contains(&word.as_str()));
    let errors = unknown
        .map(|word| Error::local(format!("context {word} not found")))
        .collect();
    if only_names {
        let text = chosen
            .iter()
            .fold(String::new(), |text, name| text + name + "\n");
        return print(&text).and_then(|()| Error::all(errors));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !no_headers {
        let titles = ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"];
        rows.push(titles.map(str::to_owned).to_vec());
    }
    for name in chosen {
        let context = file.get("contexts", name).unwrap_or(&Value::Null);
        let text = |field: &str| context[field].as_str().unwrap_or_default().to_owned();
        let mark = if name == file.current() { "*" } else { "" };
        rows.push(vec![
            mark.to_owned(),
            name.to_owned(),
            text("cluster"),
            text("user"),
            text("namespace"),
        ]);
    }
    print(&Columns::default().format(&rows))?;
    Error::all(errors)
}

/// Only what a context uses.
fn minified(file: &mut File, context: Option<&String>) -> Result<()> {
    let current = context
        .cloned()
        .unwrap_or_else(|| file.current().to_owned());
    let Some(used) = file.get("contexts", &current).cloned() else {
        return Err(Error::local(if current.is_empty() {
            "current-context must exist in order to minify".to_owned()
        } else {
            format!("cannot locate context {current}")
        }));
    };
    file.tree["current-context"] = json!(current);
    file.retain("contexts", |name| name == current);
    file.retain("clusters", |name| used["cluster"] == name);
    file.retain("users", |name| used["user"] == name);
    Ok(())
}

fn view(
    mut file: File,
    global: &GlobalArgs,
    minify: bool,
    raw: bool,
    flatten: bool,
    args: &PrintArgs,
) -> Result<()> {
    if minify {
        minified(&mut file, global.context.as_ref())?;
    }
    if flatten {
        set::embed(&mut file)?;
    }
    if !raw && !flatten {
        const HIDDEN: [(&str, &str, &str); 6] = [
            ("clusters", "certificate-authority-data", "DATA+OMITTED"),
            ("users", "client-certificate-data", "DATA+OMITTED"),
            ("users", "client-key-data", "DATA+OMITTED"),
            ("users", "token", "REDACTED"),
            ("users", "password", "REDACTED"),
            ("users", "secret", "REDACTED"),
        ];
        for (list, field, with) in HIDDEN {
            let names: Vec<String> = file.names(list).into_iter().map(str::to_owned).collect();
            for name in names {
                if let Some(secret) = file.entry(list, &name).0.get_mut(field) {
                    *secret = json!(with);
                }
            }
        }
    }
    let format = match Format::of_object(args)? {
        Format::Table => Format::Yaml,
        Format::Json => return print(&objects::format_in_order(&file.tree, &ORDER)),
        format => format,
    };
    output::print(&file.tree, &format, "config/")
}
