//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ferrule_component_base::cli::LogFormat;

use crate::cni::Cni;
use crate::layout::Layout;
use crate::server::Options;
use crate::simulated::SimulationArgs;

/// The container runtime of a node.
#[derive(Debug, Parser)]
#[command(name = "cri-runtime", version)]
pub struct Cli {
    /// Everything but a command's own.
    #[command(flatten)]
    pub common: Common,
    /// What to do; without one, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The flags of the server; the commands use those that say where things lie.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The socket to serve CRI on.
    #[arg(long, global = true, default_value = "/run/ferrule/cri.sock")]
    pub listen: PathBuf,
    /// Images, containers, sandboxes; on a volume, for overlay needs it.
    #[arg(long, global = true, default_value = "/var/lib/ferrule/cri")]
    pub root: PathBuf,
    /// What does not outlive a restart of the node.
    #[arg(long, global = true, default_value = "/run/ferrule/cri")]
    pub run: PathBuf,
    /// Where network namespaces are bound.
    #[arg(long, default_value = "/run/netns")]
    pub netns_dir: PathBuf,
    /// CNI configurations; the first by name counts.
    #[arg(long, default_value = "/etc/cni/net.d")]
    pub cni_conf_dir: PathBuf,
    /// Directories with CNI plugins.
    #[arg(long, value_delimiter = ',', default_value = "/opt/cni/bin")]
    pub cni_bin_dir: Vec<PathBuf>,
    /// Archives (`docker save`, OCI layout) that are imported at the start.
    #[arg(long, default_value = "/var/lib/ferrule/images")]
    pub image_dir: PathBuf,
    /// A YAML map from image names to the local images that stand in for them.
    #[arg(long, default_value = "/etc/ferrule/image-aliases.yaml")]
    pub image_aliases: PathBuf,
    /// Registries (host:port) that are spoken to without TLS; those on loopback always are.
    #[arg(long, value_delimiter = ',')]
    pub insecure_registries: Vec<String>,
    /// Bytes after which a shim rotates a container's log itself; 0 leaves it to the kubelet alone.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub container_log_limit: u64,
    /// In place of containers.
    #[command(flatten)]
    pub simulation: SimulationArgs,
    /// Number for the log level verbosity: 0-2 info, 3-4 debug, 5 and more trace.
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 2)]
    pub verbosity: u8,
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve CRI (what happens without a command, too).
    Serve,
    /// Look at or change the image store; a running server sees the change at once.
    #[command(subcommand)]
    Image(ImageCommand),
}

/// The commands about images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Import an archive made by `docker save` or an OCI layout in a tar.
    Import {
        /// The archive; `-` for standard input.
        file: PathBuf,
        /// A further name for its only image.
        #[arg(long)]
        name: Option<String>,
    },
    /// List images.
    #[command(visible_alias = "ls")]
    List,
    /// Remove an image with all its names.
    #[command(visible_alias = "rm")]
    Remove {
        /// Name or id.
        image: String,
    },
}

impl Common {
    /// The server's options.
    pub fn options(&self) -> std::io::Result<Options> {
        Ok(Options {
            layout: self.layout(),
            cni: Cni {
                configuration: self.cni_conf_dir.clone(),
                plugins: self.cni_bin_dir.clone(),
            },
            image_directory: self.image_dir.clone(),
            image_aliases: self.image_aliases.clone(),
            insecure_registries: self.insecure_registries.clone(),
            log_limit: self.container_log_limit,
            program: std::env::current_exe()?,
        })
    }

    /// Where everything lies.
    pub fn layout(&self) -> Layout {
        Layout {
            root: self.root.clone(),
            run: self.run.clone(),
            netns: self.netns_dir.clone(),
        }
    }
}
