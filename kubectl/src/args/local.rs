//! Flags of the commands that need no server.

use clap::{Args, Subcommand};

/// Flags of `kustomize`.
#[derive(Args, Clone, Debug)]
pub struct KustomizeArgs {
    /// The folder; the present one, when none is named.
    pub words: Vec<String>,
    /// If specified, write output to this path.
    #[arg(short = 'o', long, value_name = "PATH")]
    pub output: Option<std::path::PathBuf>,
}

/// Flags of `completion`.
#[derive(Args, Clone, Debug)]
pub struct CompletionArgs {
    /// bash, zsh, fish or powershell.
    pub words: Vec<String>,
}

/// Commands below `plugin`.
#[derive(Subcommand, Clone, Debug)]
pub enum PluginCommand {
    /// List all visible plugin executables on a user's PATH.
    List {
        /// If true, display only the binary name of each plugin, rather than its full path.
        #[arg(long)]
        name_only: bool,
    },
}
