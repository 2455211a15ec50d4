//! Commands that need no server: `kustomize`, `completion`, `options`.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::print;
use crate::args::{Cli, CompletionArgs, KustomizeArgs};
use crate::error::{Error, Result};
use crate::kustomize;
use crate::output::go;

/// Runs `kubectl kustomize`.
pub fn kustomize(args: &KustomizeArgs) -> Result<()> {
    let folder = match args.words.as_slice() {
        [] => ".",
        [folder] => folder,
        _ => return Err(Error::local("specify one path to kustomization.yaml")),
    };
    let text = kustomize::print(&kustomize::build(folder)?);
    match &args.output {
        None => print(&text),
        Some(path) => std::fs::write(path, text)
            .map_err(|error| Error::local(format!("open {}: {}", path.display(), go(&error)))),
    }
}

/// Runs `kubectl completion`.
pub fn completion(args: &CompletionArgs) -> Result<()> {
    let shell = match args.words.as_slice() {
        [] => return Err(Error::usage("completion", "Shell not specified.")),
        [shell] => match shell.as_str() {
            "bash" => Shell::Bash,
            "zsh" => Shell::Zsh,
            "fish" => Shell::Fish,
            "powershell" => Shell::PowerShell,
            other => {
                let text = format_args!("Unsupported shell type {other:?}.");
                return Err(Error::usage("completion", text));
            }
        },
        _ => {
            let text = "Too many arguments. Expected only the shell type.";
            return Err(Error::usage("completion", text));
        }
    };
    let mut bytes = Vec::new();
    generate(shell, &mut crate::parse::command(), "kubectl", &mut bytes);
    print(&String::from_utf8_lossy(&bytes))
}

/// Runs `kubectl options`.
pub fn options() -> Result<()> {
    let mut text = "The following options can be passed to any command:\n".to_owned();
    let command = Cli::command();
    let mut flags: Vec<_> = command
        .get_arguments()
        .filter(|flag| flag.is_global_set())
        .collect();
    flags.sort_by_key(|flag| flag.get_long().unwrap_or_default());
    for flag in flags {
        let short = flag
            .get_short()
            .map(|short| format!("-{short}, "))
            .unwrap_or_default();
        let long = flag.get_long().unwrap_or_default();
        let default = match (flag.get_action(), long) {
            (clap::ArgAction::SetTrue, _) => "false".to_owned(),
            (clap::ArgAction::Append, _) => "[]".to_owned(),
            (_, "request-timeout") => "'0'".to_owned(),
            _ => "''".to_owned(),
        };
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        text.push_str(&format!("\n    {short}--{long}={default}:\n\t{help}\n"));
    }
    print(&text)
}
