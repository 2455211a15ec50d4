//! `kubectl set image`

use serde_json::{Value, json};

use super::set::{self, Change};
use super::{pods, select};
use crate::args::SetImageArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &SetImageArgs) -> Result<()> {
    let is_image = |word: &&String| word.find('=').is_some_and(|place| place > 0);
    let (images, words): (Vec<&String>, Vec<&String>) =
        args.set.words.iter().partition(|word| is_image(word));
    let words: Vec<String> = words.into_iter().cloned().collect();
    if args.set.all && args.selector.as_deref().unwrap_or_default() != "" {
        return Err(Error::local(
            "cannot set --all and --selector at the same time",
        ));
    }
    let images: Vec<(&str, &str)> = images
        .iter()
        .filter_map(|image| image.split_once('='))
        .collect();
    if words.is_empty() && args.set.files.is_empty() {
        return Err(select::missing());
    }
    if images.is_empty() {
        return Err(Error::local("at least one image update is required"));
    }
    let change = Change {
        words: &words,
        args: &args.set,
        selector: args.selector.as_deref(),
        done: "image updated",
        failed: "failed to patch image update to pod template: ",
        version: None,
        always: false,
    };
    let mut missing = Vec::new();
    let result = set::run(session, &change, |_, spec| {
        missing.extend(edit(spec, &images));
        Ok(())
    });
    let mut errors = match result.await {
        Ok(()) => Vec::new(),
        Err(Error::Many(errors)) => errors,
        Err(error) => vec![error],
    };
    errors.extend(missing);
    Error::all(errors)
}

/// Gives containers their images; `*` is all of them. What names none is told, and does not keep the
/// others from being set.
fn edit(spec: &mut Value, images: &[(&str, &str)]) -> Vec<Error> {
    let mut missing = Vec::new();
    for (wanted, image) in images {
        let mut known = false;
        for container in set::containers(spec, "*") {
            if *wanted == "*" || pods::name(container) == *wanted {
                container["image"] = json!(image);
                known = true;
            }
        }
        if !known {
            missing.push(Error::local(format!(
                "error: unable to find container named {wanted:?}"
            )));
        }
    }
    missing
}
