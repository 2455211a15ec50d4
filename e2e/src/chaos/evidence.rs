//! What is kept of a run for those who look for the cause of what broke.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::check::{Broken, Histories};
use super::history::Request;
use crate::cluster::Cluster;

/// Keeps the requests that failed, whatever held.
pub fn failures(folder: &Path, requests: &[Request]) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let failed = requests.iter().filter_map(|request| {
        let error = request.error.as_ref()?;
        let side = if request.inside { "inside" } else { "outside" };
        let (at, node) = (request.at.as_secs_f64(), request.node);
        Some(format!("{at:.1} s {node} {side}: {error}\n"))
    });
    let path = folder.join("failed-requests.txt");
    fs::write(&path, failed.collect::<String>()).with_context(|| path.display().to_string())
}

/// Keeps the histories and what the cluster shows of itself.
pub fn save(
    folder: &Path,
    cluster: &Cluster,
    histories: &Histories,
    broken: &[Broken],
) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let lines = |shown: Vec<String>| shown.join("\n") + "\n";
    let file = |name: &str, text: String| fs::write(folder.join(name), text);
    file(
        "broken.txt",
        lines(
            broken
                .iter()
                .map(|one| format!("{}: {}", one.invariant, one.evidence))
                .collect(),
        ),
    )?;
    file(
        "writes.txt",
        lines(
            histories
                .writes
                .iter()
                .map(|write| format!("{write:?}"))
                .collect(),
        ),
    )?;
    file(
        "disturbances.txt",
        lines(
            histories
                .disturbances
                .iter()
                .map(|one| format!("{one:?}"))
                .collect(),
        ),
    )?;
    for tape in &histories.tapes {
        let mut shown = Vec::new();
        for stretch in &tape.stretches {
            shown.push(format!("after {} until {}", stretch.from, stretch.to));
            shown.extend(stretch.events.iter().map(|event| format!("{event:?}")));
        }
        file(
            &format!("{}.txt", tape.watcher.replace(' ', "-")),
            lines(shown),
        )?;
    }
    cluster.save(&folder.join("cluster"))?;
    println!("the evidence is in {}", folder.display());
    Ok(())
}
