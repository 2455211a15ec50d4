//! The command line, with upstream's flags.

mod access;
mod config;
mod create;
mod explain;
mod local;
mod read;
mod rollout;
mod set;
mod stream;
mod update;
mod write;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use access::*;
pub use config::*;
pub use create::*;
pub use explain::*;
pub use local::*;
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
    /// The name of the kubeconfig cluster to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// The name of the kubeconfig user to use.
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Vec<String>,
    /// Bearer token for authentication to the API server.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Server name to use for server certificate validation.
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// Path to a cert file for the certificate authority.
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_authority: Option<String>,
    /// Path to a client certificate file for TLS.
    #[arg(long, global = true, value_name = "FILE")]
    pub client_certificate: Option<String>,
    /// Path to a client key file for TLS.
    #[arg(long, global = true, value_name = "FILE")]
    pub client_key: Option<String>,
    /// The length of time to wait before giving up on the command's requests; zero means don't time out.
    #[arg(long, global = true, default_value = "0", hide_default_value = true, value_name = "DURATION", value_parser = crate::parse::request_timeout)]
    pub request_timeout: std::time::Duration,
    /// Treat warnings received from the server as errors and exit with a non-zero exit code.
    #[arg(long, global = true)]
    pub warnings_as_errors: bool,
    /// Number for the log level verbosity; this program writes no log.
    #[arg(
        short = 'v',
        long = "v",
        global = true,
        hide = true,
        value_name = "LEVEL"
    )]
    pub verbosity: Option<i32>,
    /// Default cache directory; this program keeps no cache.
    #[arg(long, global = true, hide = true, value_name = "FOLDER")]
    pub cache_dir: Option<String>,
    /// If true, opt-out of response compression for all requests to the server.
    #[arg(long, global = true, hide = true)]
    pub disable_compression: bool,
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
    /// Process the kustomization directory. This flag can't be used together with -f or -R.
    #[arg(short = 'k', long, value_name = "DIRECTORY")]
    pub kustomize: Option<String>,
}

impl FileArgs {
    /// Neither a file nor a kustomization is named.
    pub fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.kustomize.as_deref().unwrap_or_default().is_empty()
    }
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

/// How objects are printed.
#[derive(Args, Clone, Debug, Default)]
pub struct PrintArgs {
    /// Output format. One of: (json, yaml, kyaml, name, go-template, go-template-file, template, templatefile, jsonpath, jsonpath-as-json, jsonpath-file).
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<String>,
    /// Template string or path to template file to use when -o=go-template, -o=go-template-file.
    #[arg(long, value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// If true, ignore any errors in templates when a field or map key is missing in the template.
    #[arg(long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::parse::boolean)]
    pub allow_missing_template_keys: bool,
    /// If true, keep the managedFields when printing objects in JSON or YAML format.
    #[arg(long)]
    pub show_managed_fields: bool,
}

/// Output and dry run of a command that writes.
#[derive(Args, Clone, Debug, Default)]
pub struct WriteArgs {
    /// Must be "none", "server", or "client".
    #[arg(long, value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// How the objects are printed.
    #[command(flatten)]
    pub print: PrintArgs,
    /// Name of the manager used to track field ownership.
    #[arg(long, value_name = "NAME")]
    pub field_manager: Option<String>,
    /// If true, the configuration of the object is saved in its annotation.
    #[arg(long)]
    pub save_config: bool,
    /// Record the current command in the annotation kubernetes.io/change-cause.
    #[arg(long, hide = true)]
    pub record: bool,
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
    /// Get documentation for a resource.
    Explain(ExplainArgs),
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
    #[command(args_conflicts_with_subcommands = true)]
    Apply(ApplyArgs),
    /// Diff the live version against a would-be applied version.
    Diff(DiffArgs),
    /// Edit a resource on the server.
    Edit(EditArgs),
    /// Build a kustomization target from a directory.
    Kustomize(KustomizeArgs),
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
    ApiVersions(NoArgs),
    /// Inspect authorization.
    #[command(subcommand)]
    Auth(AuthCommand),
    /// Modify certificate resources.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Look up a deployment, replica set, stateful set, or replication controller and create an autoscaler for it.
    Autoscale(AutoscaleArgs),
    /// Output shell completion code for the specified shell (bash, zsh, fish, or powershell).
    Completion(CompletionArgs),
    /// Modify kubeconfig files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the list of flags inherited by all commands.
    Options,
    /// Provides utilities for interacting with plugins.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print the client and server version information.
    Version(VersionArgs),
}
