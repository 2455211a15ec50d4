//! Flags of the commands below `config`.

use clap::Subcommand;

/// Commands below `config`.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Display the current-context.
    CurrentContext,
    /// Describe one or many contexts.
    GetContexts {
        /// Contexts.
        words: Vec<String>,
        /// Output format: name.
        #[arg(short = 'o', long)]
        output: Option<String>,
        /// Don't print headers.
        #[arg(long)]
        no_headers: bool,
    },
    /// Display clusters defined in the kubeconfig.
    GetClusters,
    /// Display users defined in the kubeconfig.
    GetUsers,
    /// Set the current-context in a kubeconfig file.
    #[command(alias = "use")]
    UseContext {
        /// The context.
        words: Vec<String>,
    },
    /// Set a context entry in kubeconfig.
    SetContext {
        /// The context.
        words: Vec<String>,
        /// Modify the current context.
        #[arg(long)]
        current: bool,
        /// The cluster of the context.
        #[arg(long)]
        cluster: Option<String>,
        /// The user of the context.
        #[arg(long)]
        user: Option<String>,
    },
    /// Delete the specified context from the kubeconfig.
    DeleteContext {
        /// The context.
        words: Vec<String>,
    },
    /// Delete the specified cluster from the kubeconfig.
    DeleteCluster {
        /// The cluster.
        words: Vec<String>,
    },
    /// Delete the specified user from the kubeconfig.
    DeleteUser {
        /// The user.
        words: Vec<String>,
    },
    /// Rename a context from the kubeconfig file.
    RenameContext {
        /// The old name and the new.
        words: Vec<String>,
    },
    /// Display merged kubeconfig settings or a specified kubeconfig file.
    View {
        /// Remove all information not used by current-context from the output.
        #[arg(long)]
        minify: bool,
        /// Display raw byte data and sensitive data.
        #[arg(long)]
        raw: bool,
        /// Flatten the resulting kubeconfig file into self-contained output.
        #[arg(long)]
        flatten: bool,
        /// Output format: yaml, json, jsonpath=....
        #[arg(short = 'o', long, default_value = "yaml")]
        output: String,
    },
}
