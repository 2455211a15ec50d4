//! Plugins: programs `kubectl-NAME` on the PATH, which become commands.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use clap::CommandFactory;

use super::{print, warn};
use crate::args::{Cli, PluginCommand};
use crate::error::{Error, Result};

/// Becomes the plugin that the words of a command line name; returns when there is none, or when
/// it cannot be run. Words before the first flag name it, as many of them as there is a plugin for.
pub fn replace(words: &[String]) -> Option<Error> {
    let command = Cli::command();
    let first = words.get(1).filter(|word| !word.starts_with('-'))?;
    if command.find_subcommand(first).is_some() {
        return None;
    }
    let folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let (path, count) = find(&words[1..], &folders)?;
    let mut plugin = std::process::Command::new(&path);
    let error = plugin.args(&words[1 + count..]).exec();
    Some(Error::local(format!("{}: {error}", path.display())))
}

/// The program of a plugin, and how many words name it.
fn find(words: &[String], folders: &[PathBuf]) -> Option<(PathBuf, usize)> {
    let names: Vec<String> = words
        .iter()
        .take_while(|word| !word.starts_with('-') && !word.contains('/'))
        .map(|word| word.replace('-', "_"))
        .collect();
    (1..=names.len()).rev().find_map(|count| {
        let name = format!("kubectl-{}", names[..count].join("-"));
        let mut paths = folders.iter().map(|folder| folder.join(&name));
        paths
            .find(|path| is_program(path))
            .map(|path| (path, count))
    })
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Runs a command below `plugin`.
pub fn run(command: &PluginCommand) -> Result<()> {
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
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            path.is_file() && name.unwrap_or_default().starts_with("kubectl-")
        };
        found.extend(paths.into_iter().filter(is_plugin));
    }
    if found.is_empty() {
        return Err(Error::local(
            "unable to find any kubectl plugins in your PATH",
        ));
    }
    print("The following compatible plugins are available:\n\n")?;
    let name = |path: &PathBuf| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let known: Vec<String> = Cli::command()
        .get_subcommands()
        .map(|own| own.get_name().to_owned())
        .collect();
    for (place, path) in found.iter().enumerate() {
        let shown = if *name_only {
            name(path)
        } else {
            path.display().to_string()
        };
        print(&format!("{shown}\n"))?;
        let mut complain = |text: String| {
            warnings += 1;
            warn(&format!("  - warning: {text}"));
        };
        let runs = path
            .metadata()
            .is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
        if !runs {
            complain(format!(
                "{} identified as a kubectl plugin, but it is not executable",
                path.display()
            ));
        }
        if let Some(first) = found[..place]
            .iter()
            .find(|first| name(first) == name(path))
        {
            complain(format!(
                "{} is overshadowed by a similarly named plugin: {}",
                path.display(),
                first.display()
            ));
        }
        let words = name(path).trim_start_matches("kubectl-").replace('-', " ");
        if known.contains(&words) {
            complain(format!(
                "{} overwrites existing command: \"kubectl {words}\"",
                name(path)
            ));
        }
    }
    match warnings {
        0 => Ok(()),
        1 => Err(Error::local("one plugin warning was found")),
        count => Err(Error::local(format!("{count} plugin warnings were found"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_with_the_most_words_is_found() {
        let folder = crate::commands::edit::temporary_folder("ferrule-plugin-").unwrap();
        for (name, mode) in [
            ("kubectl-a", 0o755),
            ("kubectl-a-b_c", 0o755),
            ("kubectl-d", 0o644),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let named = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = find(&words, std::slice::from_ref(&folder));
            found.map(|(path, count)| {
                (
                    path.strip_prefix(&folder).unwrap().display().to_string(),
                    count,
                )
            })
        };
        let is = |name: &str, count| Some((name.to_owned(), count));
        for (line, expected) in [
            ("a", is("kubectl-a", 1)),
            ("a b-c x", is("kubectl-a-b_c", 2)),
            ("a x", is("kubectl-a", 1)),
            ("a --flag b-c", is("kubectl-a", 1)),
            ("d", None),
            ("../a", None),
        ] {
            assert_eq!(named(line), expected, "{line}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
