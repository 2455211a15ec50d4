//! `kubectl version`

use serde_json::json;

use super::print;
use crate::args::{GlobalArgs, VersionArgs};
use crate::error::{Error, Result};
use crate::output::{Format, objects};
use crate::session::Session;

/// The version that this program reports, as the servers do.
const GIT_VERSION: &str = concat!("v1.36.3-ferrule.", env!("CARGO_PKG_VERSION"));
/// The version of upstream's built-in kustomize that this client stands for.
const KUSTOMIZE_VERSION: &str = "v5.7.1";

/// Runs the command.
pub async fn run(global: &GlobalArgs, args: &VersionArgs) -> Result<()> {
    let client = json!({
        "major": "1", "minor": "36", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_architecture()),
    });
    let mut versions = json!({"clientVersion": client, "kustomizeVersion": KUSTOMIZE_VERSION});
    if !args.words.is_empty() {
        return Err(Error::local(format!(
            "extra arguments: [{}]",
            args.words.join(" ")
        )));
    }
    let mut failure = None;
    let mut text =
        format!("Client Version: {GIT_VERSION}\nKustomize Version: {KUSTOMIZE_VERSION}\n");
    if !args.client {
        let server = async {
            let session = Session::open(global)?;
            Ok::<_, Error>(session.client.version().await?)
        };
        match server.await {
            Ok(server) => {
                text.push_str(&format!("Server Version: {}\n", server.git_version));
                versions["serverVersion"] = json!({
                    "major": server.major, "minor": server.minor, "gitVersion": server.git_version,
                    "gitCommit": server.git_commit, "buildDate": server.build_date, "platform": server.platform,
                });
            }
            Err(error) => failure = Some(error),
        }
    }
    match args.output.as_deref() {
        None | Some("") => print(&text)?,
        Some("json") => print(&objects::format(&versions, &Format::Json))?,
        Some("yaml") => print(&objects::format(&versions, &Format::Yaml))?,
        Some(_) => return Err(Error::local("--output must be 'yaml' or 'json'")),
    }
    failure.map_or(Ok(()), Err)
}

fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
