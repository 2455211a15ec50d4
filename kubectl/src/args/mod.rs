//! The command line, with upstream's flags.

mod config;
mod create;
mod read;
mod rollout;
mod set;
mod stream;
mod update;
mod write;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use config::*;
pub use create::*;
pub use read::*;
pub use rollout::*;
pub use set::*;
pub use stream::*;
pub use update::*;
pub use write::*;

/// kubectl controls the Kubernetes cluster manager.
#[derive(Parser, Debug)]
#[command(name = "kubectl", disable_version_flag = true)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalArgs {
    /// Path to the kubeconfig file to use for CLI requests.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The name of the kubeconfig context to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// If present, the namespace scope for this CLI request.
    #[arg(short = 'n', long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The address and port of the Kubernetes API server.
    #[arg(short = 's', long, global = true, value_name = "ADDRESS")]
    pub server: Option<String>,
}

/// Files with objects.
#[derive(Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// Filename, directory, or '-' for standard input.
    #[arg(short = 'f', long, value_name = "FILE", value_delimiter = ',')]
    pub filename: Vec<String>,
    /// Process the directory used in -f, --filename recursively.
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

/// Whether anything is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Everything is done.
    #[default]
    None,
    /// Nothing is sent.
    Client,
    /// The server does everything but store.
    Server,
}

/// Output and dry run of a command that writes.
#[derive(Args, Clone, Debug, Default)]
pub struct WriteArgs {
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Output format: json, yaml or name.
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Name of the manager used to track field ownership.
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
    /// If true, the configuration of the object is saved in its annotation.
    #[arg(long)]
    pub save_config: bool,
    /// Record the current command in the annotation kubernetes.io/change-cause.
    #[arg(long, hide = true)]
    pub record: bool,
    /// If true, keep the managedFields when printing objects in JSON or YAML format.
    #[arg(long)]
    pub show_managed_fields: bool,
    /// Must be one of: strict (or true), warn, ignore (or false).
    #[arg(long, value_name = "MODE", default_value = "strict", num_args = 0..=1, require_equals = true, default_missing_value = "strict")]
    pub validate: String,
}

/// Which objects of a resource.
#[derive(Args, Clone, Debug, Default)]
pub struct SelectArgs {
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Selector (field query) to filter on.
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// If present, list the requested object(s) across all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

/// The commands, in upstream's order.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create a resource from a file or from stdin.
    #[command(args_conflicts_with_subcommands = true)]
    Create(CreateArgs),
    /// Take a service, deployment or pod and expose it as a new Kubernetes service.
    Expose(ExposeArgs),
    /// Run a particular image on the cluster.
    Run(RunArgs),
    /// Set specific features on objects.
    #[command(subcommand)]
    Set(SetCommand),
    /// Display one or many resources.
    Get(GetArgs),
    /// Delete resources by file names, stdin, resources and names, or by resources and label selector.
    Delete(DeleteArgs),
    /// Manage the rollout of a resource.
    #[command(subcommand)]
    Rollout(RolloutCommand),
    /// Set a new size for a deployment, replica set, or replication controller.
    Scale(ScaleArgs),
    /// Display addresses of the control plane.
    ClusterInfo(ClusterInfoArgs),
    /// Mark node as unschedulable.
    Cordon(CordonArgs),
    /// Mark node as schedulable.
    Uncordon(CordonArgs),
    /// Drain node in preparation for maintenance.
    Drain(DrainArgs),
    /// Update the taints on one or more nodes.
    Taint(TaintArgs),
    /// Show details of a specific resource or group of resources.
    Describe(DescribeArgs),
    /// Print the logs for a container in a pod.
    Logs(LogsArgs),
    /// Attach to a running container.
    Attach(AttachArgs),
    /// Execute a command in a container.
    Exec(ExecArgs),
    /// Forward one or more local ports to a pod.
    PortForward(PortForwardArgs),
    /// Copy files and directories to and from containers.
    Cp(CpArgs),
    /// Apply a configuration to a resource by file name or stdin.
    Apply(ApplyArgs),
    /// Update fields of a resource.
    Patch(PatchArgs),
    /// Replace a resource by file name or stdin.
    Replace(ReplaceArgs),
    /// Wait for a specific condition on one or many resources.
    Wait(WaitArgs),
    /// List events.
    Events(EventsArgs),
    /// Update the labels on a resource.
    Label(MarkArgs),
    /// Update the annotations on a resource.
    Annotate(MarkArgs),
    /// Print the supported API resources on the server.
    ApiResources(ApiResourcesArgs),
    /// Print the supported API versions on the server, in the form of "group/version".
    ApiVersions(ClusterInfoArgs),
    /// Modify kubeconfig files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the client and server version information.
    Version(VersionArgs),
}
