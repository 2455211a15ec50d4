//! `kubectl config set-context`, `set-cluster` and `set-credentials`

use std::path::Path;

use base64::Engine;
use serde_json::{Map, Value, json};

use super::file::File;
use super::{one, print, unexpected};
use crate::args::{GlobalArgs, SetClusterArgs, SetCredentialsArgs};
use crate::error::{Error, Result};
use crate::output::go;

/// Files whose content can stand in a kubeconfig, under another name.
const FILES: [(&str, &str, &str); 3] = [
    (
        "clusters",
        "certificate-authority",
        "certificate-authority-data",
    ),
    ("users", "client-certificate", "client-certificate-data"),
    ("users", "client-key", "client-key-data"),
];

/// Runs `set-context`.
pub fn context(
    file: &mut File,
    words: &[String],
    current: bool,
    global: &GlobalArgs,
) -> Result<()> {
    let name = match words {
        [] if current && file.current().is_empty() => {
            return Err(Error::local("no current context is set"));
        }
        [] if current => file.current().to_owned(),
        [_] if current => {
            return Err(Error::local(
                "you cannot specify both a context name and --current",
            ));
        }
        [name] => name.clone(),
        [] => {
            return Err(Error::local(
                "you must specify a non-empty context name or --current",
            ));
        }
        words => return Err(unexpected(words)),
    };
    let (context, known) = file.entry("contexts", &name);
    let given = [
        ("cluster", global.cluster.as_ref()),
        ("user", global.user.last()),
        ("namespace", global.namespace.as_ref()),
    ];
    for (field, value) in given {
        put(context, field, value);
    }
    for field in ["cluster", "user"] {
        context.entry(field).or_insert_with(|| json!(""));
    }
    file.save()?;
    let done = if known { "modified" } else { "created" };
    print(&format!("Context {name:?} {done}.\n"))
}

/// A text that was given; an empty one takes the field away.
fn put(map: &mut Map<String, Value>, field: &str, value: Option<&String>) {
    match value {
        Some(text) if text.is_empty() => drop(map.remove(field)),
        Some(text) => drop(map.insert(field.to_owned(), json!(text))),
        None => {}
    }
}

/// A file by its whole path, or what it holds.
fn put_file(
    map: &mut Map<String, Value>,
    field: &str,
    path: Option<&String>,
    embeds: bool,
) -> Result<()> {
    let data = format!("{field}-data");
    let Some(path) = path else {
        return Ok(());
    };
    if path.is_empty() {
        map.remove(field);
        return Ok(());
    }
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    if embeds {
        let bytes = std::fs::read(&whole).map_err(|error| {
            Error::local(format!(
                "could not stat {field} file {path}: stat {path}: {}",
                go(&error)
            ))
        })?;
        map.remove(field);
        map.insert(
            data,
            json!(base64::engine::general_purpose::STANDARD.encode(bytes)),
        );
        return Ok(());
    }
    map.remove(&data);
    map.insert(field.to_owned(), json!(whole.display().to_string()));
    Ok(())
}

/// Runs `set-cluster`.
pub fn cluster(file: &mut File, args: &SetClusterArgs, global: &GlobalArgs) -> Result<()> {
    let name = one(&args.words)?;
    if args.embed_certs && global.certificate_authority.is_none() {
        return Err(Error::local(
            "you must specify a --certificate-authority to embed",
        ));
    }
    if args.insecure_skip_tls_verify == Some(true) && global.certificate_authority.is_some() {
        return Err(Error::local(
            "you cannot specify a certificate authority and insecure mode at the same time",
        ));
    }
    let (cluster, _) = file.entry("clusters", name);
    put(cluster, "server", global.server.as_ref());
    put(cluster, "tls-server-name", global.tls_server_name.as_ref());
    put(cluster, "proxy-url", args.proxy_url.as_ref());
    if let Some(insecure) = args.insecure_skip_tls_verify {
        cluster.insert("insecure-skip-tls-verify".to_owned(), json!(insecure));
        if insecure {
            cluster.remove("certificate-authority");
            cluster.remove("certificate-authority-data");
        } else {
            cluster.remove("insecure-skip-tls-verify");
        }
    }
    let authority = global.certificate_authority.as_ref();
    if authority.is_some_and(|path| !path.is_empty()) {
        cluster.remove("insecure-skip-tls-verify");
    }
    put_file(
        cluster,
        "certificate-authority",
        authority,
        args.embed_certs,
    )?;
    cluster.entry("server").or_insert_with(|| json!(""));
    file.save()?;
    print(&format!("Cluster {name:?} set.\n"))
}

/// Runs `set-credentials`.
pub fn credentials(file: &mut File, args: &SetCredentialsArgs, global: &GlobalArgs) -> Result<()> {
    let name = one(&args.words)?;
    let (certificate, key) = (
        global.client_certificate.as_ref(),
        global.client_key.as_ref(),
    );
    if args.embed_certs && certificate.is_none() && key.is_none() {
        return Err(Error::local(
            "you must specify a --client-certificate or --client-key to embed",
        ));
    }
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let (token, basic) = (
        given(&global.token),
        given(&args.username) || given(&args.password),
    );
    if token && basic {
        return Err(Error::local(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        ));
    }
    let (user, _) = file.entry("users", name);
    put_file(user, "client-certificate", certificate, args.embed_certs)?;
    put_file(user, "client-key", key, args.embed_certs)?;
    put(user, "token", global.token.as_ref());
    put(user, "username", args.username.as_ref());
    put(user, "password", args.password.as_ref());
    // A token and a password exclude each other.
    if token {
        user.remove("username");
        user.remove("password");
    }
    if basic {
        user.remove("token");
        user.remove("tokenFile");
    }
    plugin(user, args)?;
    file.save()?;
    print(&format!("User {name:?} set.\n"))
}

/// The program that gets credentials.
fn plugin(user: &mut Map<String, Value>, args: &SetCredentialsArgs) -> Result<()> {
    let wanted = args.exec_command.is_some()
        || args.exec_api_version.is_some()
        || !args.exec_arg.is_empty()
        || !args.exec_env.is_empty();
    if !wanted {
        return Ok(());
    }
    let exec = user
        .entry("exec")
        .or_insert_with(|| json!({"command": "", "provideClusterInfo": false}));
    for (field, value) in [
        ("command", &args.exec_command),
        ("apiVersion", &args.exec_api_version),
    ] {
        if let Some(text) = value {
            exec[field] = json!(text);
        }
    }
    if !args.exec_arg.is_empty() {
        exec["args"] = json!(args.exec_arg);
    }
    let mut variables = exec["env"].as_array().cloned().unwrap_or_default();
    for text in &args.exec_env {
        let (key, value) = match (text.split_once('='), text.strip_suffix('-')) {
            (Some((key, value)), _) => (key, Some(value)),
            (None, Some(key)) => (key, None),
            (None, None) => {
                return Err(Error::local(format!(
                    "error: invalid argument {text:?} for flag --exec-env"
                )));
            }
        };
        variables.retain(|own| own["name"] != key);
        if let Some(value) = value {
            variables.push(json!({"name": key, "value": value}));
        }
    }
    if !variables.is_empty() {
        exec["env"] = json!(variables);
    }
    Ok(())
}

/// Puts what files hold in place of their paths.
pub fn embed(file: &mut File) -> Result<()> {
    let folder = file.path.parent().map(Path::to_owned).unwrap_or_default();
    for (list, field, data) in FILES {
        let names: Vec<String> = file.names(list).into_iter().map(str::to_owned).collect();
        for name in names {
            let (entry, _) = file.entry(list, &name);
            let Some(Value::String(path)) = entry.remove(field) else {
                continue;
            };
            if entry.contains_key(data) || path.is_empty() {
                continue;
            }
            let path = folder.join(path);
            let bytes = std::fs::read(&path).map_err(|error| {
                Error::local(format!("open {}: {}", path.display(), go(&error)))
            })?;
            let coded = base64::engine::general_purpose::STANDARD.encode(bytes);
            entry.insert(data.to_owned(), json!(coded));
        }
    }
    Ok(())
}
