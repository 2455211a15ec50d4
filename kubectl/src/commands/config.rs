//! `kubectl config`

use ferrule_client::Kubeconfig;
use ferrule_client::kubeconfig::{Context, Named};
use serde_json::Value;

use super::{print, warn};
use crate::args::{ConfigCommand, GlobalArgs};
use crate::error::{Error, Result};
use crate::output::columns::Columns;
use crate::output::{self, Format};
use crate::session::{kubeconfig_path, load};

/// Runs a command below `config`.
pub fn run(global: &GlobalArgs, command: ConfigCommand) -> Result<()> {
    let path = kubeconfig_path(global);
    let refuse = |error: ferrule_client::kubeconfig::ConfigError| Error::local(error.to_string());
    let mut file = match path.exists() {
        true => load(&path)?,
        false => Kubeconfig::default(),
    };
    let shown = path.display();
    match command {
        ConfigCommand::CurrentContext if file.current_context.is_empty() => {
            Err(Error::local("current-context is not set"))
        }
        ConfigCommand::CurrentContext => print(&format!("{}\n", file.current_context)),
        ConfigCommand::GetContexts {
            words,
            output,
            no_headers,
        } => {
            let only_names = match output.as_deref() {
                None | Some("") => false,
                Some("name") => true,
                Some(other) => {
                    return Err(Error::local(format!(
                        "--output {other} is not available in kubectl config get-contexts; resetting to default output format"
                    )));
                }
            };
            contexts(&file, &words, only_names, no_headers || only_names)
        }
        ConfigCommand::GetClusters => names("NAME", file.clusters.iter().map(|own| &own.name)),
        ConfigCommand::GetUsers => names("NAME", file.users.iter().map(|own| &own.name)),
        ConfigCommand::UseContext { words } => {
            let name = one(&words)?;
            if !file.contexts.iter().any(|own| own.name == *name) {
                return Err(Error::local(format!(
                    "no context exists with the name: {name:?}"
                )));
            }
            file.current_context.clone_from(name);
            file.save(&path).map_err(refuse)?;
            print(&format!("Switched to context {name:?}.\n"))
        }
        ConfigCommand::SetContext {
            words,
            current,
            cluster,
            user,
        } => {
            let name = match words.as_slice() {
                _ if current => file.current_context.clone(),
                [name] => name.clone(),
                [] => {
                    return Err(Error::local(
                        "you must specify a non-empty context name or --current",
                    ));
                }
                words => {
                    return Err(Error::local(format!("Unexpected args: {}", go_list(words))));
                }
            };
            let done = set_context(&mut file, &name, cluster, user, global.namespace.clone());
            file.save(&path).map_err(refuse)?;
            print(&format!("Context {name:?} {done}.\n"))
        }
        ConfigCommand::DeleteContext { words } => {
            let name = one(&words)?;
            if !take(&mut file.contexts, name) {
                return Err(Error::local(format!(
                    "cannot delete context {name}, not in {shown}"
                )));
            }
            if file.current_context == *name {
                warn(
                    "warning: this removed your active context, use \"kubectl config use-context\" to select a different one",
                );
            }
            file.save(&path).map_err(refuse)?;
            print(&format!("deleted context {name} from {shown}\n"))
        }
        ConfigCommand::DeleteCluster { words } => {
            let name = one(&words)?;
            if !take(&mut file.clusters, name) {
                return Err(Error::local(format!(
                    "cannot delete cluster {name}, not in {shown}"
                )));
            }
            file.save(&path).map_err(refuse)?;
            print(&format!("deleted cluster {name} from {shown}\n"))
        }
        ConfigCommand::DeleteUser { words } => {
            let name = one(&words)?;
            if !take(&mut file.users, name) {
                return Err(Error::local(format!(
                    "cannot delete user {name}, not in {shown}"
                )));
            }
            file.save(&path).map_err(refuse)?;
            print(&format!("deleted user {name} from {shown}\n"))
        }
        ConfigCommand::RenameContext { words } => {
            let [old, new] = words.as_slice() else {
                return Err(Error::local(format!(
                    "Unexpected args: {}",
                    go_list(&words)
                )));
            };
            if file.contexts.iter().any(|own| own.name == *new) {
                return Err(Error::local(format!(
                    "cannot rename the context {old:?}, the context {new:?} already exists in {shown}"
                )));
            }
            let Some(context) = file.contexts.iter_mut().find(|own| own.name == *old) else {
                return Err(Error::local(format!(
                    "cannot rename the context {old:?}, it's not in {shown}"
                )));
            };
            context.name.clone_from(new);
            if file.current_context == *old {
                file.current_context.clone_from(new);
            }
            file.save(&path).map_err(refuse)?;
            print(&format!("Context {old:?} renamed to {new:?}.\n"))
        }
        ConfigCommand::View {
            minify,
            raw,
            flatten,
            output,
        } => view(file, minify, raw || flatten, &output),
    }
}

fn one(words: &[String]) -> Result<&String> {
    match words {
        [word] => Ok(word),
        words => Err(Error::local(format!("Unexpected args: {}", go_list(words)))),
    }
}

fn go_list(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

fn take<T>(entries: &mut Vec<Named<T>>, name: &str) -> bool {
    let count = entries.len();
    entries.retain(|own| own.name != name);
    entries.len() < count
}

fn set_context(
    file: &mut Kubeconfig,
    name: &str,
    cluster: Option<String>,
    user: Option<String>,
    namespace: Option<String>,
) -> &'static str {
    let known = file.contexts.iter().position(|own| own.name == name);
    let index = known.unwrap_or_else(|| {
        file.contexts.push(Named {
            name: name.to_owned(),
            value: Context::default(),
        });
        file.contexts.len() - 1
    });
    let context = &mut file.contexts[index].value;
    if let Some(cluster) = cluster {
        context.cluster = cluster;
    }
    if let Some(user) = user {
        context.user = user;
    }
    if namespace.is_some() {
        context.namespace = namespace;
    }
    match known {
        Some(_) => "modified",
        None => "created",
    }
}

fn names<'a>(head: &'a str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let text: String = std::iter::once(head)
        .chain(names.map(String::as_str))
        .map(|name| format!("{name}\n"))
        .collect();
    print(&text)
}

fn contexts(file: &Kubeconfig, words: &[String], only_names: bool, no_headers: bool) -> Result<()> {
    let is_chosen = |name: &String| words.is_empty() || words.contains(name);
    let mut chosen: Vec<_> = file
        .contexts
        .iter()
        .filter(|own| is_chosen(&own.name))
        .collect();
    chosen.sort_by_key(|own| &own.name);
    let unknown = |word: &&String| !file.contexts.iter().any(|own| own.name == **word);
    let errors = words
        .iter()
        .filter(unknown)
        .map(|word| Error::local(format!("context {word} not found")))
        .collect();
    if only_names {
        let text: String = chosen.iter().map(|own| format!("{}\n", own.name)).collect();
        return print(&text).and_then(|()| Error::all(errors));
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    if !no_headers {
        rows.push(
            ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    for own in chosen {
        let current = if own.name == file.current_context {
            "*"
        } else {
            ""
        };
        rows.push(vec![
            current.to_owned(),
            own.name.clone(),
            own.value.cluster.clone(),
            own.value.user.clone(),
            own.value.namespace.clone().unwrap_or_default(),
        ]);
    }
    print(&Columns::default().format(&rows))?;
    Error::all(errors)
}

fn view(mut file: Kubeconfig, minify: bool, raw: bool, wanted: &str) -> Result<()> {
    if minify {
        let current = file.current_context.clone();
        file.contexts.retain(|own| own.name == current);
        let Some(context) = file.contexts.first().map(|own| own.value.clone()) else {
            return Err(Error::local(
                "current-context must exist in order to minify",
            ));
        };
        file.clusters.retain(|own| own.name == context.cluster);
        file.users.retain(|own| own.name == context.user);
    }
    if !raw {
        for cluster in &mut file.clusters {
            hide(
                &mut cluster.value.certificate_authority_data,
                "DATA+OMITTED",
            );
        }
        for user in &mut file.users {
            hide(&mut user.value.client_certificate_data, "DATA+OMITTED");
            hide(&mut user.value.client_key_data, "DATA+OMITTED");
            hide(&mut user.value.token, "REDACTED");
        }
    }
    let text = file.to_yaml().map_err(Error::local)?;
    let documents =
        ferrule_apimachinery::yaml::read(&text).map_err(|error| Error::local(error.to_string()))?;
    let value = documents.into_iter().next().unwrap_or(Value::Null);
    let print = crate::args::PrintArgs {
        output: Some(wanted.to_owned()),
        ..crate::args::PrintArgs::default()
    };
    let format = Format::of_object(&print).map(|format| match format {
        Format::Table => Format::Yaml,
        other => other,
    })?;
    output::print(&value, &format, "")
}

fn hide(secret: &mut Option<String>, with: &str) {
    if secret.is_some() {
        *secret = Some(with.to_owned());
    }
}
