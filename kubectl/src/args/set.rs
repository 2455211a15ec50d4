//! Flags of the commands below `set`.

use clap::{ArgAction, Args, Subcommand};

use super::{FileArgs, WriteArgs};

/// Commands below `set`.
#[derive(Subcommand, Debug)]
pub enum SetCommand {
    /// Update environment variables on a pod template.
    Env(SetEnvArgs),
    /// Update existing container image(s) of resources.
    Image(SetImageArgs),
    /// Update resource requests/limits on objects with pod templates.
    Resources(SetResourcesArgs),
    /// Set the selector on a resource.
    Selector(SetSelectorArgs),
    /// Update the user, group, or service account in a role binding or cluster role binding.
    Subject(SetSubjectArgs),
    /// Update the service account of a resource.
    #[command(alias = "sa")]
    Serviceaccount(SetServiceAccountArgs),
}

/// The objects that are changed, and how.
#[derive(Args, Clone, Debug)]
pub struct SetArgs {
    /// TYPE NAME or TYPE/NAME, then what is set.
    pub words: Vec<String>,
    /// Files with the objects.
    #[command(flatten)]
    pub files: FileArgs,
    /// Select all resources, in the namespace of the specified resource types.
    #[arg(long)]
    pub all: bool,
    /// If true, no server is asked: the objects come from files, and go to standard output.
    #[arg(long)]
    pub local: bool,
    /// How to write.
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Which containers of them.
#[derive(Args, Clone, Debug)]
pub struct ContainersArgs {
    /// The names of containers in the selected pod templates to change - may use wildcards.
    #[arg(short = 'c', long, default_value = "*", value_name = "NAMES")]
    pub containers: String,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
}

/// Flags of `set image`.
#[derive(Args, Clone, Debug)]
pub struct SetImageArgs {
    /// Which objects.
    #[command(flatten)]
    pub set: SetArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
}

/// Flags of `set env`.
#[derive(Args, Clone, Debug)]
pub struct SetEnvArgs {
    /// Which objects.
    #[command(flatten)]
    pub set: SetArgs,
    /// Which containers.
    #[command(flatten)]
    pub containers: ContainersArgs,
    /// Specify a key-value pair for an environment variable to set into each container.
    #[arg(short = 'e', long, value_name = "KEY=VALUE")]
    pub env: Vec<String>,
    /// The name of a resource from which to inject environment variables.
    #[arg(long, value_name = "TYPE/NAME")]
    pub from: Option<String>,
    /// Comma-separated list of keys to import from specified resource.
    #[arg(long, value_delimiter = ',', value_name = "KEYS")]
    pub keys: Vec<String>,
    /// Prefix to append to variable names.
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "PREFIX"
    )]
    pub prefix: String,
    /// If true, display the environment and any changes in the standard format.
    #[arg(long)]
    pub list: bool,
    /// If true, show secret or configmap references when listing variables.
    #[arg(long)]
    pub resolve: bool,
    /// If true, allow environment to be overwritten, otherwise reject updates that overwrite existing environment.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = ArgAction::Set, value_parser = crate::parse::boolean)]
    pub overwrite: bool,
}

/// Flags of `set resources`.
#[derive(Args, Clone, Debug)]
pub struct SetResourcesArgs {
    /// Which objects.
    #[command(flatten)]
    pub set: SetArgs,
    /// Which containers.
    #[command(flatten)]
    pub containers: ContainersArgs,
    /// The resource requirement limits for this container, for example 'cpu=100m,memory=256Mi'.
    #[arg(long, value_name = "AMOUNTS")]
    pub limits: Option<String>,
    /// The resource requirement requests for this container, for example 'cpu=100m,memory=256Mi'.
    #[arg(long, value_name = "AMOUNTS")]
    pub requests: Option<String>,
}

/// Flags of `set serviceaccount`.
#[derive(Args, Clone, Debug)]
pub struct SetServiceAccountArgs {
    /// Which objects; the last word is the service account.
    #[command(flatten)]
    pub set: SetArgs,
}

/// Flags of `set selector`.
#[derive(Args, Clone, Debug)]
pub struct SetSelectorArgs {
    /// Which objects; the last word is the selector.
    #[command(flatten)]
    pub set: SetArgs,
    /// If non-empty, the selectors update will only succeed if this is the current resource-version for the object.
    #[arg(long, value_name = "VERSION")]
    pub resource_version: Option<String>,
}

/// Flags of `set subject`.
#[derive(Args, Clone, Debug)]
pub struct SetSubjectArgs {
    /// Which objects.
    #[command(flatten)]
    pub set: SetArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Usernames to bind to the role.
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Groups to bind to the role.
    #[arg(long, value_name = "NAME")]
    pub group: Vec<String>,
    /// Service accounts to bind to the role.
    #[arg(long, value_name = "NAMESPACE:NAME")]
    pub serviceaccount: Vec<String>,
}
