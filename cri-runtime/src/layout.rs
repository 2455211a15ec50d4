//! Where everything lies on disk.
//!
//! ```text
//! <root>  (a volume; survives restarts of the node)
//!   images/                        the image store
//!   sandboxes/<id>/                state.json, resolv.conf, hostname, hosts
//!   containers/<id>/               state.json, exit.json, upper/, work/
//!   cni/<sandbox>.json             what DEL needs
//! <run>   (dead after a restart of the node)
//!   cri.sock  shims/<id>.sock  netns/<id>
//!   sandboxes/<id>/                setup.json, shm/, shim.log, libcontainer/
//!   containers/<id>/               config.json, rootfs/ (the overlay's mount point)
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The directories of one runtime.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Durable state.
    pub root: PathBuf,
    /// State of this boot.
    pub run: PathBuf,
    /// Where network namespaces are bound.
    pub netns: PathBuf,
}

impl Layout {
    /// The directory of a sandbox's durable files.
    pub fn sandbox(&self, id: &str) -> PathBuf {
        self.root.join("sandboxes").join(id)
    }

    /// The directory of a sandbox's files of this boot.
    pub fn sandbox_run(&self, id: &str) -> PathBuf {
        self.run.join("sandboxes").join(id)
    }

    /// The socket of a sandbox's shim; short, for a socket's path holds 107 bytes.
    pub fn shim_socket(&self, id: &str) -> PathBuf {
        let short = id.get(..24).unwrap_or(id);
        self.run.join("shims").join(format!("{short}.sock"))
    }

    /// Where a sandbox's network namespace is bound.
    pub fn netns(&self, id: &str) -> PathBuf {
        self.netns
            .join(format!("ferrule-{}", id.get(..24).unwrap_or(id)))
    }

    /// The directory of a container's durable files.
    pub fn container(&self, id: &str) -> PathBuf {
        self.root.join("containers").join(id)
    }

    /// The bundle of a container.
    pub fn bundle(&self, id: &str) -> PathBuf {
        self.run.join("containers").join(id)
    }

    /// The image store.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// What CNI answered, for a later DEL.
    pub fn cni(&self, sandbox: &str) -> PathBuf {
        self.root.join("cni").join(format!("{sandbox}.json"))
    }

    /// Creates the directories.
    pub fn create(&self) -> io::Result<()> {
        for directory in [
            self.root.join("sandboxes"),
            self.root.join("containers"),
            self.root.join("cni"),
            self.images(),
            self.run.join("shims"),
            self.run.join("sandboxes"),
            self.run.join("containers"),
            self.netns.clone(),
        ] {
            std::fs::create_dir_all(directory)?;
        }
        Ok(())
    }
}

/// Replaces a file whole: a reader sees the old or the new content.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(content)?;
    std::fs::rename(&temporary, path)
}

/// Removes a directory with all in it; one that is not there is fine.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
