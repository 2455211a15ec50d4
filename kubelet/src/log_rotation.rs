//! Keeping the logs of containers small: a large one is moved aside and the runtime opens it anew.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_cri::v1::ReopenContainerLogRequest;
use tokio_util::sync::CancellationToken;

use crate::context::Kubelet;
use crate::pod::State;
use crate::pods::Directory;

const INTERVAL: Duration = Duration::from_secs(10);

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a file before it is moved aside.
    pub size: u64,
    /// Files of a container, the current one included.
    pub files: usize,
}

/// Rotates the logs of running containers until `shutdown`.
pub async fn run(
    kubelet: Arc<Kubelet>,
    directory: Directory,
    limits: Limits,
    shutdown: CancellationToken,
) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        for view in directory.views() {
            let running = view
                .containers
                .iter()
                .filter(|own| own.state == State::Running);
            for record in running.filter(|own| !own.log_path.is_empty()) {
                let path = PathBuf::from(&record.log_path);
                if fs::metadata(&path).is_ok_and(|own| own.len() > limits.size)
                    && let Err(error) = rotate(&kubelet, &path, &record.id, limits).await
                {
                    tracing::warn!(path = %path.display(), %error, "cannot rotate a log");
                }
            }
        }
    }
}

async fn rotate(kubelet: &Kubelet, path: &Path, id: &str, limits: Limits) -> io::Result<()> {
    let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{stamp}"));
    fs::rename(path, &aside)?;
    let request = ReopenContainerLogRequest {
        container_id: id.to_owned(),
    };
    if let Err(error) = kubelet.cri.reopen_container_log(request).await {
        // The runtime still writes there: under its old name people find it.
        fs::rename(&aside, path)?;
        return Err(io::Error::other(error));
    }
    for old in outdated(rotated_files(path)?, limits.files) {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn rotated_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|own| own.to_str()))
    else {
        return Ok(Vec::new());
    };
    let prefix = format!("{name}.");
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let ours = |own: &PathBuf| {
        own.file_name()
            .and_then(|own| own.to_str())
            .is_some_and(|own| own.starts_with(&prefix))
    };
    Ok(entries.filter(ours).collect())
}

/// Those that are too many, beside the current file. The names end in their times.
fn outdated(mut rotated: Vec<PathBuf>, files: usize) -> Vec<PathBuf> {
    rotated.sort();
    let keep = files.saturating_sub(1).max(1);
    rotated.truncate(rotated.len().saturating_sub(keep));
    rotated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_files_go_first() {
        let named = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let all = named(&[
            "0.log.20261121-03",
            "0.log.20261121-01",
            "0.log.20261121-02",
        ]);
        assert_eq!(outdated(all.clone(), 3), named(&["0.log.20261121-01"]));
        assert_eq!(outdated(all, 5), named(&[]));
    }
}
