//! `kubectl set image`

use serde_json::{Value, json};

use super::set::{self, Change};
use super::{pods, select};
use crate::args::SetImageArgs;
use crate::error::{Error, Result};
use crate::session::Session;

/// Runs the command.
pub async fn run(session: &Session, args: &SetImageArgs) -> Result<()> {
    let (images, words): (Vec<String>, Vec<String>) = args
        .set
        .words
        .iter()
        .cloned()
        .partition(|word| word.contains('='));
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
    set::run(session, &change, |_, spec| edit(spec, &images)).await
}

/// Gives containers their images; `*` is all of them.
fn edit(spec: &mut Value, images: &[(&str, &str)]) -> Result<()> {
    for (wanted, image) in images {
        let mut known = false;
        for container in set::containers(spec, "*") {
            if *wanted == "*" || pods::name(container) == *wanted {
                container["image"] = json!(image);
                known = true;
            }
        }
        if !known {
            return Err(Error::local(format!(
                "unable to find container named {wanted:?}"
            )));
        }
    }
    Ok(())
}
