//! `kubectl __complete`: what may stand next, as the completion scripts of upstream's kubectl ask.
//!
//! The last word is the one that is completed. The answer is a candidate a line, perhaps with a tab
//! and what it means, and then a line that says that file names are no candidates.

use clap::Command;

use super::{print, select, warn};
use crate::args::GlobalArgs;
use crate::error::Result;
use crate::parse;
use crate::resources::{at, plural};
use crate::session::Session;

/// The word that asks.
pub const WORD: &str = "__complete";

/// Commands whose words are a type, and then names.
const OF_TYPES: [&str; 7] = [
    "annotate", "delete", "describe", "edit", "get", "label", "patch",
];

/// Runs the command: `words` are those behind `__complete`.
pub async fn run(words: &[String]) -> Result<()> {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.as_str(), before),
        None => ("", words),
    };
    let mut command = &parse::command();
    let mut rest: Vec<&str> = Vec::new();
    for word in before.iter().filter(|word| !word.starts_with('-')) {
        match command.find_subcommand(word) {
            Some(below) if rest.is_empty() => command = below,
            _ => rest.push(word),
        }
    }
    let candidates = if command.has_subcommands() && rest.is_empty() {
        subcommands(command)
    } else if OF_TYPES.contains(&command.get_name()) {
        objects(&rest).await?
    } else {
        Vec::new()
    };
    let mut text = String::new();
    for candidate in candidates.iter().filter(|own| own.starts_with(last)) {
        text.push_str(candidate);
        text.push('\n');
    }
    print(&format!("{text}:4\n"))?;
    warn("Completion ended with directive: ShellCompDirectiveNoFileComp");
    Ok(())
}

/// The commands below a command, with what they do.
fn subcommands(command: &Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|own| !own.is_hide_set());
    let mut candidates: Vec<String> = shown
        .map(|own| {
            let about = own.get_about().map(ToString::to_string);
            let about = about.unwrap_or_default();
            format!("{}\t{}", own.get_name(), about.trim_end_matches('.'))
        })
        .collect();
    candidates.sort_unstable();
    candidates
}

/// Types, or the names of the objects of a type.
async fn objects(words: &[&str]) -> Result<Vec<String>> {
    let session = Session::open(&GlobalArgs::default())?;
    let resources = session.resources().await?;
    let Some(resource) = words.first() else {
        return Ok(resources.all().iter().map(plural).collect());
    };
    let resource = resources.find(resource)?;
    let namespace = &session.namespace;
    let options = select::options(None, None);
    let listed = session
        .client
        .list_all(&at(resource, namespace), &options)
        .await?;
    let mut names = Vec::new();
    for item in &listed.items {
        let object: serde_json::Value = ferrule_client::client::parse(item)?;
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if !words.contains(&name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
