//! Flags of the commands below `config`.

use clap::{Args, Subcommand};

use super::PrintArgs;

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
    /// Set an individual value in a kubeconfig file.
    Set {
        /// The property and its value.
        words: Vec<String>,
        /// When writing a []byte PROPERTY_VALUE, write the given string directly without base64 decoding.
        #[arg(long)]
        set_raw_bytes: bool,
    },
    /// Unset an individual value in a kubeconfig file.
    Unset {
        /// The property.
        words: Vec<String>,
    },
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
    },
    /// Set a cluster entry in kubeconfig.
    SetCluster(SetClusterArgs),
    /// Set a user entry in kubeconfig.
    SetCredentials(SetCredentialsArgs),
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
        /// Merge the full hierarchy of kubeconfig files.
        #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::parse::boolean)]
        merge: bool,
        /// How the file is printed.
        #[command(flatten)]
        print: PrintArgs,
    },
}

/// Flags of `config set-cluster`; the others are those of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct SetClusterArgs {
    /// The cluster.
    pub words: Vec<String>,
    /// Embed-certs for the cluster entry in kubeconfig.
    #[arg(long)]
    pub embed_certs: bool,
    /// insecure-skip-tls-verify for the cluster entry in kubeconfig.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::parse::boolean)]
    pub insecure_skip_tls_verify: Option<bool>,
    /// proxy-url for the cluster entry in kubeconfig.
    #[arg(long, value_name = "URL")]
    pub proxy_url: Option<String>,
}

/// Flags of `config set-credentials`; the others are those of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct SetCredentialsArgs {
    /// The user.
    pub words: Vec<String>,
    /// Embed client cert/key for the user entry in kubeconfig.
    #[arg(long)]
    pub embed_certs: bool,
    /// username for the user entry in kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub username: Option<String>,
    /// password for the user entry in kubeconfig.
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Command for the exec credential plugin for the user entry in kubeconfig.
    #[arg(long, value_name = "COMMAND")]
    pub exec_command: Option<String>,
    /// API version of the exec credential plugin for the user entry in kubeconfig.
    #[arg(long, value_name = "VERSION")]
    pub exec_api_version: Option<String>,
    /// New arguments for the exec credential plugin command for the user entry in kubeconfig.
    #[arg(long, value_name = "ARGUMENT", value_delimiter = ',')]
    pub exec_arg: Vec<String>,
    /// 'key=value' environment values for the exec credential plugin.
    #[arg(long, value_name = "KEY=VALUE")]
    pub exec_env: Vec<String>,
}
