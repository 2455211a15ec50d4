//! Commands that need no server: `kustomize`, `completion`, `options`, `plugin`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::{print, warn};
use crate::args::{Cli, CompletionArgs, KustomizeArgs, PluginCommand};
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
    let mut flags: Vec<_> = command.get_arguments().filter(|flag| flag.is_global_set()).collect();
    flags.sort_by_key(|flag| flag.get_long().unwrap_or_default());
    for flag in flags {
        let short = flag.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
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

/// Runs a command below `plugin`.
pub fn plugin(command: &PluginCommand) -> Result<()> {
    let PluginCommand::List { name_only } = command;
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = Vec::new();
    let mut warnings = 0;
    for folder in std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let is_plugin = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            path.is_file() && name.unwrap_or_default().starts_with("kubectl-")
        };
        found.extend(paths.into_iter().filter(is_plugin));
    }
    if found.is_empty() {
        return Err(Error::local("unable to find any kubectl plugins in your PATH"));
    }
    print("The following compatible plugins are available:\n\n")?;
    let name = |path: &PathBuf| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let known: Vec<String> =
        Cli::command().get_subcommands().map(|own| own.get_name().to_owned()).collect();
    for (place, path) in found.iter().enumerate() {
        let shown = if *name_only { name(path) } else { path.display().to_string() };
        print(&format!("{shown}\n"))?;
        let mut complain = |text: String| {
            warnings += 1;
            warn(&format!("  - warning: {text}"));
        };
        let runs = path.metadata().is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
        if !runs {
            complain(format!("{} identified as a kubectl plugin, but it is not executable", path.display()));
        }
        if let Some(first) = found[..place].iter().find(|first| name(first) == name(path)) {
            complain(format!(
                "{} is overshadowed by a similarly named plugin: {}",
                path.display(),
                first.display()
            ));
        }
        let words = name(path).trim_start_matches("kubectl-").replace('-', " ");
        if known.contains(&words) {
            complain(format!("{} overwrites existing command: \"kubectl {words}\"", name(path)));
        }
    }
    match warnings {
        0 => Ok(()),
        1 => Err(Error::local("one plugin warning was found")),
        count => Err(Error::local(format!("{count} plugin warnings were found"))),
    }
}
